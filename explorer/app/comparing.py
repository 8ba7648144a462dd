"""Before and after an edit: what each changed artefact was, beside it and as a number."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from explorer.app.change_words import change
from explorer.kinds import Artefact, Field, Image, Matrix, Scores

if TYPE_CHECKING:
    from explorer.app.window import Window
    from explorer.views import Frame

BESIDE = (Image, Field, Matrix)  # kinds that are worth a second picture; scores have hollow bars
SUFFIX = " · before"
MOST = 6  # lines


class Comparing(QObject):
    """Lays what edits have changed, as it was, beside what it is now.

    Signals:
        changed: lines ``prediction/top classes: tiger cat 0.62 → 0.11``; none without edits.

    Attributes:
        side_by_side: whether the pictures from before are shown.
    """

    changed = Signal(object)  # tuple[str, ...]

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.side_by_side = True
        self._beside: dict[str, str] = {}  # name of a second picture to that of the first

    def beside(self, frame: Frame) -> list[Artefact]:
        """The artefacts to draw in addition; those of the frame before that are over go."""
        before = {a.name: a for a in frame.before}
        shown = {a.name for a in frame.artefacts}
        made = [_named(a) for a in frame.before if self.side_by_side and isinstance(a, BESIDE)]
        wanted = {a.name for a in made}
        for name, first in list(self._beside.items()):
            if first in shown and name not in wanted:
                self._remove(name)
        self._beside |= {a.name: a.name.removesuffix(SUFFIX) for a in made}
        changed = [a for a in frame.artefacts if a.name in before]
        if shown:
            self.changed.emit(_lines(before, changed))
        return made

    def set_side_by_side(self, *, on: bool) -> None:
        """Show the pictures from before, or not."""
        self.side_by_side = on
        frame = self._window.presenter.frame
        if frame is not None:
            self._window.presenter.show(frame)

    def forget(self) -> None:
        """Another engine: what was before compares with nothing."""
        self._beside.clear()
        self.changed.emit(())

    def _remove(self, name: str) -> None:
        group, _, item = name.partition("/")
        panels = self._window.presenter.groups.get(group)
        del self._beside[name]
        if panels is not None:
            panels.remove(item)


def _lines(before: Mapping[str, Artefact], after: Sequence[Artefact]) -> tuple[str, ...]:
    """What has changed, scores first, for they are what the network says."""
    ordered = sorted(after, key=lambda a: not isinstance(a, Scores))
    lines = [f"{a.item}: {change(before[a.name], a)}" for a in ordered[:MOST]]
    more = len(ordered) - MOST
    return (*lines, f"… and {more} more") if more > 0 else tuple(lines)


def _named(artefact: Artefact) -> Artefact:
    made = copy.copy(artefact)
    object.__setattr__(made, "name", artefact.name + SUFFIX)
    object.__setattr__(made, "gestures", {})
    return made
