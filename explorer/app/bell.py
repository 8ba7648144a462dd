"""When the window is told that a frame waits for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

SOON = 0.01  # s from the beginning of a run to its network, up to which a frame is held back


class Bell:
    """Tells the window of a frame: of a clip that plays, once the next frame is in the network.

    There torch computes without the interpreter. Before it both want that, and the window's drawing
    would hold up what leads to the network. Where a run has other work first, or no network, the
    window is told at once. All calls come from the runner's thread.
    """

    def __init__(self, ring: Callable[[], object]) -> None:
        self._ring = ring
        self._owed = False
        self._begun = -math.inf  # when this run began
        self._entry: float | None = None  # seconds from there to its network

    def begin(self) -> None:
        """A run begins."""
        self._begun, self._entry = time.perf_counter(), None

    def entered(self) -> None:
        """A picture enters the network."""
        if self._entry is None:
            self._entry = time.perf_counter() - self._begun
        self.settle()

    def posted(self, *, more: bool) -> None:
        """This run's frame waits for the window; with ``more`` another run follows at once."""
        if more and self._entry is not None and self._entry < SOON:
            self._owed = True
        else:
            self._ring()

    def settle(self) -> None:
        """Tell the window what it has not been told yet."""
        if self._owed:
            self._owed = False
            self._ring()
