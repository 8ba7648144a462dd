"""The unit page's questions: what a unit owes to its input, what it likes, what excited it."""

from __future__ import annotations

import operator
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Slot

if TYPE_CHECKING:
    from explorer.app.window import Window

# The items of the instrument in the order of the key, and then all of them side by side.
CYCLE = ("gradient", "guided", "deconvolution", "Grad-CAM")


class Explaining(QObject):
    """Opens the instruments of a unit on the one that is selected, and runs them."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._explained: tuple[Any, ...] = ()
        self._inputs: tuple[Any, ...] = ()
        offer = window.commanding.offer
        offer("backprop-cycle", self.cycle)
        offer("compare-captum", partial(self.ask, "captum"))
        offer("maximise-unit", partial(self.ask, "maximise"))

    @Slot(str)
    def ask(self, what: str) -> None:
        """Answer a button of the unit page: explain, maximise, exciting or captum."""
        if what == "exciting":  # it collects as frames go by; nothing has to be run for it
            self._open("exciting", {})
        elif what == "maximise":
            self._open("maximise", {})
            self._window.runner.study("maximise")
        else:
            self._explain(captum=what == "captum")

    @Slot()
    def cycle(self) -> None:
        """One way back to the input after another, large, and then all side by side.

        A unit that has not been explained yet on this input is explained first.
        """
        dock = self._window.instruments.docks.get("unit")
        inputs = tuple(self._window.sources.inputs().values())
        same = len(inputs) == len(self._inputs) and all(map(operator.is_, inputs, self._inputs))
        fresh = same and self._chosen() == self._explained
        if not fresh or dock is None or dock.isHidden():
            self._explain(captum=False)
            return
        group = dock.group
        if group is None:
            return
        there = [item for item in CYCLE if item in group.panels]
        place = there.index(group.large) + 1 if group.large in there else 0
        dock.raise_()
        group.enlarge(there[place] if place < len(there) else None)

    def _explain(self, *, captum: bool) -> None:
        self._open("unit", {"method": "all", "captum": captum})
        self._explained = self._chosen()
        self._inputs = tuple(self._window.sources.inputs().values())
        self._window.runner.study("unit")

    def _open(self, name: str, values: dict[str, Any]) -> None:
        """Open an instrument on the selected unit; its knobs are known before it is run."""
        values = {**values, **dict(zip(("layer", "unit"), self._chosen(), strict=False))}
        instruments = self._window.instruments
        if name in instruments.names():
            instruments.docks[name].raise_()
            self._window.runner.set_instrument(name, values)
        else:
            instruments.open(name, values)

    def _chosen(self) -> tuple[Any, ...]:
        """Layer and unit that are looked at; a layer alone while no unit is selected."""
        panel = self._window.centre.panel()
        if panel is None or not panel.point:
            return ()
        return (panel.point,) if panel.selected is None else (panel.point, panel.selected)
