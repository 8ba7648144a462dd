"""The recent past of a session: frames under a memory cap, read without the runner."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.core.stores.packing import Pool, blocks, packed, unpacked
from explorer.views import Frame

CAP = 512 * 2**20
LOOSE = 8  # this share of the cap is kept as it came, before anything is packed
REST = 4.0  # the packing thread rests this many times as long as it worked
QUIET = 1.0  # s without a frame, after which nothing is being recorded


@dataclass(slots=True, eq=False)
class _Entry:
    frame: Frame
    serial: int
    bytes: int  # that it brought when it came
    marked: bool = False
    here: bool = True


class Timeline:
    """Frames in order of time, a ring under a cap.

    Above the cap the oldest frames of earlier runs go first (each frame of a clip is a run); of
    the newest run every second step goes, its first and last stay. Marked ones always stay.

    A frame over a sixteenth of the cap is kept without its largest arrays; its pictures and
    statistics stay, and ``notes`` say so. Older frames are packed by a thread of their own that
    mostly rests, and waits while frames come faster than it could pack them: they would go before
    it got there. `at` unpacks. Statistics of units are never packed: `unit_means` reads them all.

    Attributes:
        on: whether frames are recorded.
    """

    def __init__(self, cap: int = CAP) -> None:
        self.cap = cap
        self.on = True
        self._entries: list[_Entry] = []
        self._loose: dict[int, _Entry] = {}  # recorded and not packed yet, by serial
        self._loose_bytes = 0
        self._held = _Ledger()
        self._serials = 0
        self._lock = threading.Lock()
        self._packer: threading.Thread | None = None
        self._came = -math.inf  # when the newest frame did
        self._pace = math.inf  # seconds from frame to frame
        self._unpacked: tuple[int, Frame] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """Bytes held now; an array that several frames share counts once."""
        return self._held.bytes

    def add(self, frame: Frame) -> None:
        """Append a frame; let others go when the cap is passed."""
        if not self.on:
            return
        if frame.nbytes() > self.cap // 16:
            small = tuple(a for a in frame.artefacts if a.nbytes() <= self.cap // 64)
            note = "too large to keep whole: some artefacts of this step were not recorded"
            frame = replace(frame, artefacts=small, notes=(*frame.notes, note))
        now = time.monotonic()
        with self._lock:
            between = now - self._came
            self._pace = (
                between if between > QUIET else 0.9 * min(self._pace, QUIET) + 0.1 * between
            )
            self._came = now
            entry = _Entry(frame, self._serials, self._held.add(frame))
            self._serials += 1
            self._entries.append(entry)
            self._loose[entry.serial] = entry
            self._loose_bytes += entry.bytes
            while self._held.bytes > self.cap and self._thin():
                pass
            if self._loose_bytes > self.cap // LOOSE and self._packer is None:
                self._packer = threading.Thread(target=self._pack, name="timeline", daemon=True)
                self._packer.start()

    def at(self, position: int) -> Frame:
        """The frame at a position.

        Raises:
            IndexError: there is none.
        """
        with self._lock:
            entry = self._entries[position]
            frame, known = entry.frame, self._unpacked
        if known is not None and known[0] == entry.serial:
            return known[1]
        whole = unpacked(frame)
        if any(a is not b for a, b in zip(blocks(whole), blocks(frame), strict=True)):
            self._unpacked = (entry.serial, whole)
            return whole
        return frame

    def steps(self) -> list[tuple[int, int, int]]:
        """(run, frame, step) of every entry."""
        with self._lock:
            return [(e.frame.run, e.frame.frame, e.frame.step) for e in self._entries]

    def serial(self, position: int) -> int:
        """A number that stays with the entry at a position while others go.

        Raises:
            IndexError: there is none.
        """
        with self._lock:
            return self._entries[position].serial

    def position(self, serial: int) -> int:
        """Where an entry stands now; when it has gone, the next one after it."""
        with self._lock:
            found = bisect_left(self._entries, serial, key=lambda e: e.serial)
            return max(0, min(found, len(self._entries) - 1))

    def span(self) -> Callable[[], Iterator[Frame]]:
        """All that is recorded now, however the record goes on: a function that reads it through.

        What it holds stays in memory as long as the function does.
        """
        with self._lock:
            held = [e.frame for e in self._entries]
        return lambda: map(unpacked, held)

    def unit_means(self, point: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Mean of each unit of a layer at each recorded step that shows the layer.

        Returns:
            serials (T,), and means (T, C) with the number of units of the newest step.
        """
        with self._lock:
            found = [
                (e.serial, r.statistics.unit_mean)
                for e in self._entries
                for r in e.frame.rendered
                if r.view.point == point
            ]
        units = len(found[-1][1]) if found else 0
        fitting = [(s, m) for s, m in found if len(m) == units]
        means = np.array([m for _, m in fitting], np.float32).reshape(len(fitting), units)
        return np.array([s for s, _ in fitting], np.int64), means

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
            for entry in self._entries:
                entry.here = False
            self._entries.clear()
            self._loose.clear()
            self._loose_bytes = 0
            self._held = _Ledger()
            self._unpacked = None

    # -- inside

    def _thin(self) -> bool:
        """Let the oldest frame of an earlier run go, else every second step; False when none may.

        Called with the lock held.
        """
        entries = self._entries
        newest = entries[-1].frame.run
        old = next(
            (i for i, e in enumerate(entries) if e.frame.run != newest and not e.marked), None
        )
        if old is not None:
            self._drop((entries.pop(old),))
            return True
        first = next(i for i, e in enumerate(entries) if e.frame.run == newest)
        may_go = [i for i in range(first + 1, len(entries) - 1) if not entries[i].marked]
        gone = set(may_go[::2])
        self._drop([entries[i] for i in gone])
        self._entries = [e for i, e in enumerate(entries) if i not in gone]
        return bool(gone)

    def _drop(self, entries: Iterable[_Entry]) -> None:
        for entry in entries:
            entry.here = False
            self._held.remove(entry.frame)
            if self._loose.pop(entry.serial, None) is not None:
                self._loose_bytes -= entry.bytes

    def _pack(self) -> None:
        """In a thread of its own: pack the oldest frames while too many are loose."""
        pool: Pool = {}
        spent = 0.0
        while True:
            while (1 + REST) * spent > self._pace and time.monotonic() - self._came < QUIET:
                time.sleep(QUIET)
            with self._lock:
                entry = self._next_loose()
                if entry is None:
                    self._packer = None
                    return
            begun = time.perf_counter()
            small = packed(entry.frame, pool)
            spent = time.perf_counter() - begun
            with self._lock:
                if entry.here:
                    self._held.add(small)
                    self._held.remove(entry.frame)
                    entry.frame = small
            time.sleep(REST * spent)

    def _next_loose(self) -> _Entry | None:
        if self._loose_bytes <= self.cap // LOOSE or not self._loose:
            return None
        entry = self._loose.pop(next(iter(self._loose)))
        self._loose_bytes -= entry.bytes
        return entry


class _Ledger:
    """Bytes of the blocks that frames hold, each block once however many share it."""

    def __init__(self) -> None:
        self.bytes = 0
        self._users: Counter[int] = Counter()

    def add(self, frame: Frame) -> int:
        """Note a frame; returns the bytes that it brought."""
        before = self.bytes
        self.bytes += _statistics_bytes(frame)
        for block in blocks(frame):
            if not self._users[id(block)]:
                self.bytes += block.nbytes
            self._users[id(block)] += 1
        return self.bytes - before

    def remove(self, frame: Frame) -> None:
        """Forget a frame that was noted."""
        self.bytes -= _statistics_bytes(frame)
        for block in blocks(frame):
            self._users[id(block)] -= 1
            if not self._users[id(block)]:
                del self._users[id(block)]
                self.bytes -= block.nbytes


def _statistics_bytes(frame: Frame) -> int:
    """Of the numbers kept for every unit of every layer shown."""
    numbers: Any = [r.statistics for r in frame.rendered]
    return sum(int(s.unit_low.nbytes + s.unit_high.nbytes + s.unit_mean.nbytes) for s in numbers)
