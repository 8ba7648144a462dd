"""Docks of the instruments: their knobs, what they show, and which follow the mouse."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QSignalBlocker, Qt, Slot
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QToolButton, QWidget

from explorer.app.docks import AREAS, Dock
from explorer.app.drop import WORDS, Dropped
from explorer.app.knobs import KnobsPanel
from explorer.app.sides import Sides
from explorer.core.instruments import INSTRUMENTS, PREFIX, InstrumentRow
from explorer.params import knobs

if TYPE_CHECKING:
    from explorer.app.window import Window
    from explorer.panels.group import GroupPanel
    from explorer.panels.theme import Theme
    from explorer.views import Frame

FOLLOWED = ("cursor", "layer", "unit")  # knobs of these names follow the window
WIDE = 540  # px: a list of layers with all that is told of them


class InstrumentDock(Dock):
    """What one instrument shows, under its knobs, which a button folds away."""

    def __init__(self, row: InstrumentRow, window: Window) -> None:
        super().__init__(f"inspect:{row.name}", row.title, window)
        self.row = row
        self.group: GroupPanel | None = None
        self.rows: Any = None  # a panel of the instrument's own, for rows of layers
        self.knobs = KnobsPanel(window.history)
        self.knobs.setAccessibleName(f"Knobs of {row.title}")
        self.fold = QToolButton()
        self.fold.setText("Knobs")
        self.fold.setCheckable(True)
        self.fold.setArrowType(Qt.ArrowType.RightArrow)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.setAccessibleName(f"Show the knobs of {row.title}")
        self.fold.toggled.connect(self._folded)
        self.fold.setChecked(row.unfolded)
        self.run = QPushButton("Run")
        self.run.setToolTip(row.summary)
        self.run.setVisible(row.study)
        self.hold = QPushButton("Hold")
        self.hold.setCheckable(True)
        self.hold.setToolTip("Keep what is shown, to compare the next input with it (H); a picture "
                             "dropped here is compared at once")  # fmt: skip
        self.hold.setAccessibleName(f"Hold the input of {row.title}")
        self.hold.hide()
        self.knobs.setMaximumHeight(220)
        self.knobs.setVisible(row.unfolded)
        self.bar.remark.setText(row.summary)
        self.bar.setToolTip(row.summary)
        self.choose = QPushButton("Choose file…")
        self.choose.setToolTip("Another picture, clip or checkpoint; or drop it here")
        self.choose.setAccessibleName(f"Choose a file for {row.title}")
        self.choose.setVisible(bool(row.takes))
        self.add(_beside(self.fold, self.run, self.hold, self.choose))
        self.add(self.knobs)

    def set_theme(self, theme: Theme) -> None:
        """Tint title bar, knobs and panels."""
        super().set_theme(theme)
        self.knobs.set_theme(theme)
        for panel in (self.group, self.rows):
            if panel is not None:
                panel.set_theme(theme)

    @Slot(bool)
    def _folded(self, opened: bool) -> None:
        self.knobs.setVisible(opened)
        self.fold.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)


class Instruments(QObject):
    """Which instruments are open. They stay open when another engine takes the place.

    Attributes:
        docks: of all that were opened in this window, shown or closed.
        pinned: where the cursor stays, in input pixels; None while it follows the mouse.
    """

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.docks: dict[str, InstrumentDock] = {}
        self._rows = {row.name: row for row in INSTRUMENTS}
        self._followed: dict[str, Any] = {}
        self.pinned: tuple[float, float] | None = None
        runner = window.runner
        runner.laid.connect(self.on_laid, Qt.ConnectionType.QueuedConnection)
        runner.opened.connect(self.on_opened, Qt.ConnectionType.QueuedConnection)
        window.centre.current_changed.connect(self._on_layer)
        window.centre.unit_selected.connect(self._on_unit)

    def names(self) -> tuple[str, ...]:
        """The instruments whose docks are open."""
        return tuple(name for name, dock in self.docks.items() if not dock.isHidden())

    def known(self) -> tuple[str, ...]:
        """All instruments that there are."""
        return tuple(self._rows)

    def values(self, name: str) -> dict[str, Any]:
        """The knobs of an instrument that has been opened."""
        return self.docks[name].knobs.values()

    def open(self, name: str, values: dict[str, Any] | None = None) -> None:
        """Open an instrument's dock and lay it on what runs."""
        window, row = self._window, self._rows[name]
        self._followed |= {k: v for k, v in (values or {}).items() if k in FOLLOWED}
        if window.centre.current:
            self._followed.setdefault("layer", window.centre.current)
        dock = self.docks.get(name)
        if dock is None:
            dock = self.docks[name] = InstrumentDock(row, window)
            dock.dropped.connect(self._on_drop)
            dock.hold.toggled.connect(self._on_hold)
            dock.set_theme(window.theme)
            dock.visibilityChanged.connect(self._on_visible)
            dock.knobs.changed.connect(self._on_knob)
            dock.run.clicked.connect(self._on_run)
            dock.choose.clicked.connect(self._on_choose)
            window.addDockWidget(AREAS[row.area], dock)
            self._stand(dock)
            window.watch_docks([dock])
        self.fill()
        dock.show()
        dock.raise_()
        window.commands[f"inspect-{name}"].setChecked(True)
        window.runner.set_instrument(name, {**(values or {}), **self._wanted(name)})

    def has_study(self, name: str) -> bool:
        """Whether an instrument has passes of its own."""
        return self._rows[name].study

    def close(self, name: str) -> None:
        """Close an instrument's dock; nothing is captured for it any more."""
        if name in self.docks:
            self.docks[name].close()

    def toggle(self, name: str) -> None:
        """Open or close an instrument."""
        self.close(name) if name in self.names() else self.open(name)

    def fill(self) -> None:
        """Put a group panel into each dock that has none, and have the presenter know them."""
        if not self._window.awake:
            return
        from explorer.panels.group import GroupPanel

        for name, dock in self.docks.items():
            if dock.row.panel and dock.rows is None:
                self._add_rows(dock)
            if not dock.row.groups:
                continue
            if dock.group is None:
                dock.group = GroupPanel(dock, theme=self._window.theme)
                dock.group.setAccessibleName(dock.row.title)
                self._window.looking.connect_panel(dock.group)
                if dock.rows is None:
                    dock.fill(dock.group)
                else:
                    dock.fill(Sides(dock.knobs, dock.rows, dock.group))
            self._window.presenter.groups[PREFIX + name] = dock.group

    def _add_rows(self, dock: InstrumentDock) -> None:
        """The panel of an instrument that tells of layers, one row each."""
        module, _, cls = dock.row.panel.partition(":")
        panel = getattr(importlib.import_module(module), cls)(dock, theme=self._window.theme)
        panel.chosen.connect(self._window.looking.on_chosen)
        if hasattr(panel, "visible_changed"):
            panel.visible_changed.connect(self._window.runner.set_visible)
        self._window.looking.connect_panel(panel)
        dock.rows = panel
        if not dock.row.groups:
            dock.fill(panel)

    def show_frame(self, frame: Frame) -> None:
        """Rows of layers, to the panels that show them."""
        for dock in self.docks.values():
            if dock.rows is not None:
                dock.rows.show_frame(frame)

    @Slot(object)
    def on_opened(self, _opened: Any) -> None:
        """Another network: its layers are still to come."""
        for dock in self.docks.values():
            if dock.rows is not None:
                dock.rows.clear()

    def follow(self, knob: str, value: Any) -> None:
        """Tell the instruments where the mouse is, or which layer or unit is looked at."""
        if value is None or value == self._followed.get(knob):
            return
        if knob == "cursor" and self.pinned is not None:
            return
        self._followed[knob] = value
        for name in self.names():
            if knob in self.docks[name].knobs.rows:
                self._window.runner.set_instrument(name, {knob: value})

    def pin(self) -> None:
        """Keep the cursor where it is while the mouse moves on, or let it follow again."""
        self.pinned = None if self.pinned is not None else self._followed.get("cursor")
        self._window.commands["pin-cursor"].setChecked(self.pinned is not None)
        if self.pinned is None:
            self._window.say("The cursor follows the mouse")
        else:
            x, y = self.pinned
            self._window.say(f"The cursor stays at x {x:.0f}, y {y:.0f}; P lets it go")

    def set_theme(self, theme: Theme) -> None:
        """Tint every dock."""
        for dock in self.docks.values():
            dock.set_theme(theme)

    @Slot(object)
    def on_laid(self, laid: Any) -> None:
        """The runner has laid an instrument on: make its knobs, or show what holds."""
        dock = self.docks.get(laid.name)
        if dock is None:
            return
        known = knobs(laid.params_type)
        dock.hold.setVisible("hold" in known)
        with QSignalBlocker(dock.hold):
            dock.hold.setChecked(bool(getattr(laid.params, "hold", False)))
        if list(dock.knobs.rows) != list(known):
            dock.knobs.set_knobs(known, laid.params)
            dock.fold.setVisible(bool(known))
            late = {k: v for k, v in self._followed.items() if k in known}
            if late:
                self._window.runner.set_instrument(laid.name, late)
        else:
            dock.knobs.set_values(laid.params)

    def _wanted(self, name: str) -> dict[str, Any]:
        known = self.docks[name].knobs.rows
        return {knob: value for knob, value in self._followed.items() if knob in known}

    def _stand(self, dock: InstrumentDock) -> None:
        """Beside others of its area as a tab, so that none is squeezed."""
        others = (d for d in self.docks.values() if d is not dock)
        beside: Dock | None = next((d for d in others if d.row.area == dock.row.area), None)
        if beside is None:
            engine = self._window.engine_docks
            beside = next((d for g, d in engine.docks.items()
                           if engine.area(g) == dock.row.area and g != "input"), None)  # fmt: skip
        if beside is None and dock.row.area == "right":
            beside = self._window.knobs_dock
        if beside is None and dock.row.area == "left":
            beside = self._window.layers_dock
        if beside is not None:
            self._window.tabifyDockWidget(beside, dock)
        across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        wide, high = self._window.width(), self._window.height()
        if dock.row.area == "bottom":  # where the maps leave room for several panels in a row
            self._window.resizeDocks([dock], [high // 2], down)
            self._window.resizeDocks([dock], [wide // 2], across)
        elif dock.row.area == "right":
            self._window.resizeDocks([dock], [wide * 3 // 10], across)
            self._window.resizeDocks([dock], [high * 3 // 5], down)
        else:  # a list of rows wants more room than a tree of names
            self._window.resizeDocks([dock], [min(WIDE, wide * 2 // 5)], across)

    @Slot(str)
    def _on_layer(self, name: str) -> None:
        for dock in self.docks.values():
            if dock.rows is not None:
                dock.rows.set_current(name)
        self.follow("layer", name)

    @Slot(object)
    def _on_unit(self, chosen: tuple[str, int]) -> None:
        self.follow("layer", chosen[0])
        self.follow("unit", chosen[1])

    @Slot(str, object)
    def _on_knob(self, knob: str, value: Any) -> None:
        dock = self._dock_of(self.sender())
        if dock is not None:
            self._window.runner.set_instrument(dock.row.name, {knob: value})

    @Slot()
    def _on_run(self) -> None:
        dock = self._dock_of(self.sender())
        if dock is not None:
            self._window.runner.study(dock.row.name)

    @Slot(bool)
    def _on_visible(self, _seen: bool) -> None:
        dock = self.sender()
        if isinstance(dock, InstrumentDock):
            name = dock.row.name
            shown = not dock.isHidden()  # a dock behind another's tab is open all the same
            self._window.commands[f"inspect-{name}"].setChecked(shown)
            if not shown and not self._window.closing:
                self._window.runner.set_instrument(name, None)

    def toggle_hold(self) -> None:
        """Hold the present input in all open instruments that compare, or let go in all."""
        docks = [self.docks[name] for name in self.names() if not self.docks[name].hold.isHidden()]
        if not docks:
            self._window.say("No open instrument compares inputs: open Pixel or Gram matrix")
        on = not all(dock.hold.isChecked() for dock in docks)
        for dock in docks:
            dock.hold.setChecked(on)

    @Slot(bool)
    def _on_hold(self, on: bool) -> None:
        dock = self._dock_of(self.sender())
        if dock is not None:
            self._window.runner.set_instrument(dock.row.name, {"hold": on})

    @Slot(object)
    def _on_drop(self, things: Any) -> None:
        """A picture dropped on an instrument that compares is compared with the present one."""
        dock = self.sender()
        if isinstance(dock, InstrumentDock) and dock.row.takes:
            things = [thing for thing in things if not self._give(dock, thing)]
        if isinstance(dock, InstrumentDock) and not dock.hold.isHidden():
            dock.hold.setChecked(True)
        if things:
            self._window.intake.take(things)

    def _give(self, dock: InstrumentDock, thing: Dropped) -> bool:
        """Give a file to the instrument that takes its sort; whether it did."""
        knob = dict(dock.row.takes).get(thing.what)
        if knob is None or thing.path is None:
            return False
        self._window.runner.set_instrument(dock.row.name, {knob: str(thing.path)})
        self._window.say(f"{dock.row.title.rstrip('…')} {thing.name}")
        return True

    @Slot()
    def _on_choose(self) -> None:
        """A file for an instrument that takes some; any other sort is refused in words."""
        dock = self._dock_of(self.sender())
        path = QFileDialog.getOpenFileName(self._window, "Compare with a file")[0]
        if dock is None or not path:
            return
        from explorer.core.media import sniff

        thing = Dropped(sniff(Path(path)), Path(path))
        if not self._give(dock, thing):
            wanted = " or ".join(WORDS[what] for what, _ in dock.row.takes)
            found = WORDS.get(thing.what, "a file")
            self._window.say(f"{thing.name} is {found}; wanted {wanted}. A model goes by its name")

    def _dock_of(self, sender: QObject | None) -> InstrumentDock | None:
        found = (d for d in self.docks.values() if sender in (d.knobs, d.run, d.hold, d.choose))
        return next(found, None)


def _beside(*widgets: QWidget) -> QWidget:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(4, 2, 4, 2)
    for widget in widgets:
        line.addWidget(widget)
    line.addStretch(1)
    return row
