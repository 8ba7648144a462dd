"""The recent past of a session: frames under a memory cap, read without the runner."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from explorer.views import Frame

CAP = 512 * 2**20


@dataclass(slots=True)
class _Entry:
    frame: Frame
    bytes: int
    marked: bool = False


class Timeline:
    """Frames in order of time. Above the cap every second one goes; first, last and marked stay.

    A frame over a sixteenth of the cap is kept without its artefacts' arrays: its pictures
    (`Rendered`) and statistics stay, and ``notes`` say so.
    """

    def __init__(self, cap: int = CAP) -> None:
        self.cap = cap
        self._entries: list[_Entry] = []
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def add(self, frame: Frame) -> None:
        """Append a frame; thin out when the cap is passed."""
        size = frame.nbytes()
        if size > self.cap // 16:
            small = tuple(a for a in frame.artefacts if a.nbytes() <= self.cap // 64)
            note = "too large to keep whole: some artefacts of this step were not recorded"
            frame = replace(frame, artefacts=small, notes=(*frame.notes, note))
            size = frame.nbytes()
        with self._lock:
            self._entries.append(_Entry(frame, size))
            self._bytes += size
            while self._bytes > self.cap and self._thin():
                pass

    def at(self, position: int) -> Frame:
        """The frame at a position.

        Raises:
            IndexError: there is none.
        """
        with self._lock:
            return self._entries[position].frame

    def steps(self) -> list[tuple[int, int, int]]:
        """(run, frame, step) of every entry."""
        with self._lock:
            return [(e.frame.run, e.frame.frame, e.frame.step) for e in self._entries]

    def marks(self) -> tuple[int, ...]:
        """Positions of marked entries."""
        with self._lock:
            return tuple(i for i, e in enumerate(self._entries) if e.marked)

    def mark(self, position: int, *, on: bool = True) -> None:
        """Keep this entry whatever happens (or release it)."""
        with self._lock:
            self._entries[position].marked = on

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def _thin(self) -> bool:
        """Drop every second entry that may go; False when none may."""
        last = len(self._entries) - 1
        may_go = [i for i, e in enumerate(self._entries) if 0 < i < last and not e.marked]
        gone = set(may_go[::2])
        if not gone:
            return False
        self._bytes -= sum(self._entries[i].bytes for i in gone)
        self._entries = [e for i, e in enumerate(self._entries) if i not in gone]
        return True
