"""Which layers are looked at: ticks in the tree, panels in the middle, views for the runner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QApplication

if TYPE_CHECKING:
    from explorer.app.window import Window
    from explorer.panels.maps import MapsPanel
    from explorer.panels.panel import Panel
    from explorer.views import Edit, Handle, View


class Looking(QObject):
    """Keeps the module tree, the middle and the runner's views of one mind.

    Attributes:
        selected: layer to the unit that was clicked last.
    """

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.selected: dict[str, int] = {}
        centre = window.centre
        centre.views_changed.connect(self.on_views)
        centre.current_changed.connect(self.on_current)
        centre.unit_selected.connect(self.on_unit)
        centre.panel_made.connect(self.connect_maps)
        window.layers.ticked_changed.connect(self.on_ticked)
        window.layers.current_changed.connect(self.on_chosen)
        window.layers.unit_step.connect(self.on_unit_step)

    # -- layers

    def show(self, points: Sequence[str], current: str = "") -> None:
        """Show these layers and no others."""
        self._window.layers.set_ticked(points)
        self._window.centre.show_points(points, current)
        self._window.layers.set_current(self._window.centre.current)

    def go_to(self, name: str) -> None:
        """Show a layer large, in place of the current one unless it is shown already."""
        points = list(self._window.centre.points())
        if name not in points:
            current = self._window.centre.current
            points = [name if p == current else p for p in points] or [name]
        self._window.touched("layer")
        self.show(points, name)

    @Slot(object)
    def on_ticked(self, points: Sequence[str]) -> None:
        """A tick was set or taken away: the newest one becomes the large one."""
        before = self._window.centre.points()
        new = [p for p in points if p not in before]
        self._window.touched("layer")
        self._window.centre.show_points(points, new[-1] if new else self._window.centre.current)

    @Slot(str)
    def on_chosen(self, name: str) -> None:
        """A row was chosen in the tree."""
        called = {la.name: la.called for la in self._window.room.layers}
        if name in self._window.centre.points():
            self._window.centre.make_current(name)
        elif called.get(name) is not False:
            self.go_to(name)
        else:
            self._window.say(f"{name} is not called by its parent: nothing to show")

    @Slot(int)
    def on_unit_step(self, by: int) -> None:
        """Left and Right in the tree walk through the units."""
        panel = self._window.centre.panel()
        if panel is not None:
            panel.walk(by)

    @Slot(str)
    def on_current(self, name: str) -> None:
        """Another panel is the large one."""
        self._window.layers.set_current(name)

    @Slot(object)
    def on_views(self, views: tuple[View, ...]) -> None:
        """The visible panels ask for other pictures; nothing else is captured."""
        self._window.runner.set_views(views)

    # -- units and values

    @Slot(object)
    def on_unit(self, selection: tuple[str, int | None]) -> None:
        """A unit was clicked: edits act on it."""
        point, unit = selection
        if unit is None:
            self.selected.pop(point, None)
            return
        self.selected[point] = unit
        self._window.touched("unit")

    @Slot(object)
    def on_edits(self, edits: tuple[Edit, ...]) -> None:
        """Edits act from the next run on; the tiles they touch are marked."""
        self._window.touched("edit" if edits else "")
        self._window.runner.set_edits(edits)
        for panel in self._window.centre.panels():
            self._mark_edits(panel)

    def _mark_edits(self, panel: MapsPanel) -> None:
        """Scissors on the tiles of a layer that are edited."""
        on = [e for e in self._window.edit_book.edits if e.point == panel.point and e.on]
        panel.set_edited(tuple(u for e in on for u in e.units))

    @Slot(object)
    def on_value_wanted(self, wanted: tuple[Handle, int, int, int]) -> None:
        """The mouse is on a captured value: ask the runner, which holds the tensor."""
        self._window.runner.read(*wanted)

    @Slot(object)
    def on_unit_wanted(self, wanted: tuple[Handle, int]) -> None:
        """The large view wants the exact map of one unit."""
        self._window.runner.read_array(*wanted)

    @Slot(object)
    def on_value(self, read: Any) -> None:
        """The runner's answer, to the panel that asked."""
        panel = self._window.centre.panel(read.handle.point)
        if panel is None or read.unit is None:
            return
        if read.array is not None:
            panel.show_unit(read.handle, read.unit, read.array)
        elif read.value is not None:
            panel.show_value(read.handle, read.unit, read.y, read.x, read.value)

    @Slot(object)
    def on_field(self, corners: tuple[float, float, float, float] | None) -> None:
        """Draw the receptive field of the selected cell on the photo."""
        for panel in self._window.presenter.pictures():
            panel.set_receptive_field(corners)

    # -- panels

    @Slot(object)
    def connect_maps(self, panel: Any) -> None:
        """A panel of the middle."""
        self.connect_panel(panel)
        panel.value_wanted.connect(self.on_value_wanted)
        panel.unit_wanted.connect(self.on_unit_wanted)
        panel.field_marked.connect(self.on_field)
        panel.cancel_wanted.connect(self._window.cancel)
        panel.detail.asked.connect(self._window.explaining.ask)
        self._mark_edits(panel)  # it may be opened long after the edit

    def connect_panel(self, panel: Any) -> None:
        """What every panel tells: probes, gestures, words for the status bar."""
        panel.probed.connect(self._window.presenter.probed)
        if hasattr(panel, "zoomed"):
            panel.zoomed.connect(self._window.presenter.zoomed)
        panel.gestured.connect(self.on_gesture)
        if hasattr(panel, "looked_at"):
            panel.looked_at.connect(self._window.presenter.looked_at)
        if hasattr(panel, "said"):
            panel.said.connect(self._window.say)
        if hasattr(panel, "show_knob"):  # what was painted goes with an undo
            for name, value in self._window.knobs.values().items():
                panel.show_knob(name, value)
            self._window.knobs.changed.connect(panel.show_knob)

    @Slot(object)
    def on_gesture(self, gesture: tuple[str, Any]) -> None:
        """A gesture sets a knob as a slider would, with undo."""
        self._window.touched()
        self._window.knobs.set_by_gesture(*gesture)

    def panel_in_use(self) -> Panel | None:
        """The panel with the focus, else the large one of the middle, else any with a picture."""
        from explorer.panels.panel import Panel

        widget = QApplication.focusWidget()
        while widget is not None:
            if isinstance(widget, Panel):
                return widget
            widget = widget.parentWidget()
        if self._window.centre.panel() is not None:
            return self._window.centre.panel()
        for group in self._window.presenter.groups.values():
            found = [p for p in group.findChildren(Panel) if p.isVisible()]
            if found:
                return found[0]
        return None
