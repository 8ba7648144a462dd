"""Before and after an edit: the scores of the same frame without edits, as hollow bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from explorer.kinds import Scores

if TYPE_CHECKING:
    from explorer.app.window import Window
    from explorer.views import Edit, Frame


class Comparing(QObject):
    """Keeps the scores of the newest frame without edits, and shows them beside the edited ones.

    They count for the same inputs, knobs and frame only: whatever changes one of these takes the
    hollow bars away, for they would compare two different things.

    Attributes:
        before: name of an artefact to its scores without edits.
    """

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.before: dict[str, Scores] = {}
        self._frame = -1
        self._edited = False

    def on_edits(self, edits: tuple[Edit, ...]) -> None:
        """The first edit keeps what is shown as the state before; the last one's end forgets it."""
        self._edited = any(edit.on for edit in edits)
        if self._edited:
            self.draw()
        else:
            self._clear()

    def note(self, frame: Frame) -> None:
        """A frame is on the screen: remember it, or lay what came before beside it."""
        scores = {a.name: a for a in frame.artefacts if isinstance(a, Scores)}
        if not self._edited:
            kept = self.before if frame.frame == self._frame else {}
            self.before, self._frame = {**kept, **scores}, frame.frame
        elif frame.frame != self._frame:
            self.forget()
        elif scores:
            self.draw()

    def forget(self) -> None:
        """Other inputs, knobs or another engine: what was before compares with nothing."""
        self.before, self._frame = {}, -1
        self._clear()

    def draw(self) -> None:
        """Hollow bars in every panel of scores whose state before is known."""
        for name, scores in self.before.items():
            group, _, item = name.partition("/")
            panels = self._window.presenter.groups.get(group)
            panel = panels.panels.get(item) if panels is not None else None
            if panel is not None and hasattr(panel, "set_baseline"):
                panel.set_baseline(scores)

    def _clear(self) -> None:
        for group in self._window.presenter.groups.values():
            for panel in group.panels.values():
                if hasattr(panel, "set_baseline"):
                    panel.set_baseline(None)
