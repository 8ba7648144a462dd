"""Whose turn it is to be looked at, when a frame has time for some of the layers only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FIRST_GUESS = 0.1  # ms: cost of a layer that was never read
TURN = 0.25  # share of a budget that is kept for those that nobody looks at
CHANGED = 0.05  # relative change between two looks from which on a layer counts as changed
PATIENCE = 3  # passes after which a layer that was not called no longer holds back others
IDLE = 64  # attempts without any reading that count as a pass: most are yields without a network


@dataclass(slots=True)
class _Entry:
    """What is known of one layer; ``asked`` is the attempt at which it last had its turn."""

    asked: int = -1
    misses: int = 0
    cost: float = FIRST_GUESS
    changed: bool = True


class Schedule:
    """Chooses layers for each pass: visible ones first, then changed ones, the rest in turn.

    The first choice of every pass is the one that has waited longest, whoever looks at it, so none
    waits for more than as many passes as there are layers, however small the budget. A layer that
    was chosen stays so until it is read: a network may run in parts.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._pending: dict[str, None] = {}
        self._attempt = 0
        self._idle = 0
        self._all = False

    def fit(self, names: Iterable[str]) -> None:
        """Take these layers, in this order; what is known of those that stay is kept."""
        self._entries = {name: self._entries.get(name) or _Entry() for name in names}
        self._pending = {name: None for name in self._pending if name in self._entries}

    @property
    def names(self) -> tuple[str, ...]:
        """All layers that have a turn."""
        return tuple(self._entries)

    def choose(self, budget: float | None, visible: Iterable[str] = ()) -> tuple[str, ...]:
        """Layers to be read in the next pass.

        Args:
            budget: ms that reading may take; None takes all layers.
            visible: layers on the screen.
        """
        self._attempt += 1
        self._idle += 1
        if self._all and budget is not None:
            self._pending = {}  # left over from a pass that took all
        self._all = budget is None
        if budget is None:
            for entry in self._entries.values():
                entry.asked = self._attempt
            self._pending = dict.fromkeys(self._entries)
            return tuple(self._pending)
        if self._pending and 1 < self._idle <= IDLE:
            return tuple(self._pending)  # nothing has run since
        self._idle = 1
        left = budget
        for name in self._pending:
            entry = self._entries[name]
            entry.misses += 1
            left -= entry.cost if entry.misses <= PATIENCE else 0.0
        waiting = sorted(
            (n for n in self._entries if n not in self._pending),
            key=lambda n: self._entries[n].asked,
        )
        if not waiting:
            return tuple(self._pending)
        seen = frozenset(visible)
        left -= self._take(waiting.pop(0))
        wanted = [n for n in waiting if n in seen]
        changed = [n for n in waiting if n not in seen and self._entries[n].changed]
        kept = TURN * max(left, 0.0)
        for queue, reserve in ((wanted, kept), (changed, kept), (waiting, 0.0)):
            for name in queue:
                if name not in self._pending and self._entries[name].cost <= left - reserve:
                    left -= self._take(name)
        return tuple(self._pending)

    def read(self, name: str, milliseconds: float, change: float) -> None:
        """A layer was read: what that took, and by how much it had changed, relative to before."""
        self._idle = 0
        self._pending.pop(name, None)
        entry = self._entries.get(name)
        if entry is not None:
            entry.misses = 0
            entry.cost += 0.3 * (milliseconds - entry.cost)
            entry.changed = not change < CHANGED  # not a number counts as changed

    def _take(self, name: str) -> float:
        entry = self._entries[name]
        entry.asked, entry.misses = self._attempt, 0
        self._pending[name] = None
        return entry.cost
