"""Opening engines: their docks, their inputs, their layers, and what is remembered of each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Slot

from explorer.app.slots import SlotBox

OWN = ("model", "weights")  # knobs that say which network of a person's own is meant

if TYPE_CHECKING:
    from explorer.app.window import Window
    from explorer.core.registry import Row


class EngineRoom(QObject):
    """One engine is open at a time. The window stands before torch is there, so that all this
    happens in three steps: docks at once, panels when pyqtgraph is in, results when torch is."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.opened: Any = None
        self.layers: list[Any] = []
        self.slots: SlotBox | None = None

    def set_up(self, row: Row) -> None:
        """Make the docks of an engine; its panels follow when they can be made."""
        window = self._window
        window.row = row
        window.setWindowTitle(f"{row.title} — layerscope")
        window.headline.show_engine(row.title, row.summary)
        self.opened = None
        window.presenter.forget()
        docks = window.engine_docks.make(row)
        window.watch_docks(docks.values())
        self.slots = SlotBox(row, docks["input"])
        self.slots.dropped.connect(window.intake.take)
        self.slots.wanted.connect(window.intake.slot_wants)
        self.slots.typed.connect(window.intake.typed)
        docks["input"].add(self.slots)
        if "input" not in row.groups:
            docks["input"].add_stretch()
        for dock in docks.values():
            dock.dropped.connect(window.intake.take)
            dock.set_theme(window.theme)
        self.slots.set_theme(window.theme)
        window.engines.set_current(row.name)
        window.knobs.wait()
        self.layers = []
        window.layers.set_layers([])
        window.centre.show_points(self.first_points(row))

    def fill(self) -> None:
        """Put a group panel into each dock (pyqtgraph is imported now)."""
        from explorer.panels.group import GroupPanel

        window = self._window
        for name, group in window.row.groups.items():
            if name in window.presenter.groups:
                continue
            panel = GroupPanel(window.engine_docks.docks[name], theme=window.theme)
            window.looking.connect_panel(panel)
            window.presenter.groups[name] = panel
            window.engine_docks.docks[name].fill(panel)
            panel.setAccessibleName(group.title)
        window.instruments.fill()

    def open(self, name: str) -> None:
        """Close the present engine and open another."""
        window = self._window
        if name not in window.rows or window.rows[name].problem:
            window.say(
                f"{name} cannot run: {window.rows[name].problem}" if name in window.rows else name
            )
            return
        self.remember()
        self.enter(name)

    def enter(self, name: str) -> None:
        """Open an engine as it is remembered, without a look at the present one."""
        window = self._window
        window.edit_book.forget()
        window.cards.clear()
        self.set_up(window.rows[name])
        window.layouts.restore_last()
        if window.awake:
            self.fill()
            self.start()

    def start(self) -> None:
        """Ask the runner to open the engine, and open its inputs."""
        window = self._window
        row = window.row
        kept = dict(window.settings.values.knobs.get(row.name, {}))
        asked = dict(window.asked.knobs)
        if "model" in asked and any(kept.get(name, "") != asked.get(name, "") for name in OWN):
            kept = {}  # they were set for another network
        values = kept | asked
        window.runner.open(row, values, window.device, window.seed)
        window.sources.use(row, window.settings.values.sources.get(row.name))

    def start_with_defaults(self) -> bool:
        """Forget knobs kept from last time that fit no more; False when there were none."""
        window = self._window
        kept = window.settings.values.knobs.pop(window.row.name, {})
        asked, window.asked = window.asked.knobs, replace(window.asked, knobs={})
        if not (kept or asked):
            return False
        self.start()
        return True

    def first_points(self, row: Row) -> list[str]:
        """Layers to show first: those of last time, else the first worth showing."""
        asked = self._window.asked.points
        return list(asked or self._window.settings.values.ticked.get(row.name) or row.points[:1])

    @Slot(object)
    def on_opened(self, opened: Any) -> None:
        """The runner has built the network."""
        window = self._window
        if opened.row.name != window.row.name:
            return  # a newer request is under way
        from explorer.params import knobs

        self._go_by(opened.row)

        self.opened = opened
        self.layers = opened.layers
        window.layers.set_layers(opened.layers)
        window.layers.set_points(window.row.points)
        names = {layer.name for layer in opened.layers}
        artefacts = [p for p in self.first_points(window.row) if "/" in p]
        ticked = [p for p in self.first_points(window.row) if p in names]
        if not ticked and not artefacts:
            ticked = [p for p in window.row.points if p in names][:1]
        if not opened.rebuilt:
            window.knobs.set_knobs(knobs(opened.params_type), opened.params)
            window.looking.show(ticked, window.settings.values.layer.get(window.row.name, ""))
        window.centre.send_again()
        window.cards.opened(opened)
        if window.asked.edits:
            window.edit_book.put(window.asked.edits, "edits of the command line")
        window.asked = type(window.asked)()
        window.run_inputs()

    def _go_by(self, row: Row) -> None:
        """Slots and layers worth showing of a person's own network, now that they are known."""
        window = self._window
        before, window.row = window.row, row
        window.rows[row.name] = row
        if row.inputs != before.inputs and self.slots is not None:
            self.slots.set_row(row)
            self.slots.set_theme(window.theme)
            window.sources.use(row, window.settings.values.sources.get(row.name))

    @Slot(object)
    def on_layers(self, layers: Any) -> None:
        """Which modules are called, and their shapes, is known after the first run."""
        if [(la.name, la.called) for la in layers] != [(la.name, la.called) for la in self.layers]:
            self._window.layers.set_layers(layers)
            self._window.layers.set_current(self._window.centre.current)
        self.layers = layers

    def changed_knobs(self) -> dict[str, Any]:
        """The knobs that differ from their defaults."""
        if self.opened is None:
            return {}
        defaults = self.opened.params_type()
        values = self._window.knobs.values()
        return {knob: value for knob, value in values.items() if value != getattr(defaults, knob)}

    def remember(self) -> None:
        """Keep what this engine looks like, for the next time it is opened."""
        window = self._window
        values = window.settings.values
        name = window.row.name
        values.engine = name
        values.sources[name] = window.sources.remember()
        if self.opened is not None:
            values.ticked[name] = list(window.centre.points())
            values.layer[name] = window.centre.current
            values.knobs[name] = self.changed_knobs()
        if window.arranged:
            window.layouts.save("")
