"""One undo and redo history for knobs and edits alike; a drag is one step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, QTimer, Signal

LIMIT = 500
PAUSE_MS = 700  # changes of one thing that follow closer than this are one step


@dataclass(frozen=True, slots=True)
class Step:
    """One change that can be taken back.

    Attributes:
        label: for the menu: "content weight 1 → 5".
        back, forward: undo it, do it again; they must not add to the history themselves.
        key: changes of one key in quick succession merge; None never does.
        owner: whose steps `History.forget` drops together.
    """

    label: str
    back: Callable[[], None]
    forward: Callable[[], None]
    key: object = None
    owner: object = None


class History(QObject):
    """What was done, in order; ``changed`` tells that undo or redo have become possible or not."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._done: list[Step] = []
        self._undone: list[Step] = []
        self._open = False
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.seal)

    def add(self, step: Step) -> None:
        """Note what has just been done; with the key of the step before it, they become one."""
        self._undone.clear()
        last = self._done[-1] if self._done else None
        if self._open and last is not None and step.key is not None and last.key == step.key:
            self._done[-1] = replace(last, label=step.label, forward=step.forward)
        else:
            self._done.append(step)
            del self._done[:-LIMIT]
        self._open = True
        self._pause.start()
        self.changed.emit()

    def seal(self) -> None:
        """End a drag: the next change is a step of its own."""
        self._open = False
        self._pause.stop()

    def undo(self) -> bool:
        """Take back the last step; False when there is none."""
        self.seal()
        if not self._done:
            return False
        step = self._done.pop()
        self._undone.append(step)
        step.back()
        self.changed.emit()
        return True

    def redo(self) -> bool:
        """Do the step that was taken back last; False when there is none."""
        self.seal()
        if not self._undone:
            return False
        step = self._undone.pop()
        self._done.append(step)
        step.forward()
        self.changed.emit()
        return True

    def forget(self, owner: object) -> None:
        """Drop the steps of ``owner``, whose things are no more."""
        self.seal()
        self._done = [step for step in self._done if step.owner is not owner]
        self._undone = [step for step in self._undone if step.owner is not owner]
        self.changed.emit()

    def undo_label(self) -> str:
        """What `undo` would take back; empty when nothing."""
        return self._done[-1].label if self._done else ""

    def redo_label(self) -> str:
        """What `redo` would do; empty when nothing."""
        return self._undone[-1].label if self._undone else ""
