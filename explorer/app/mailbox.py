"""The newest whole frame on its way from the runner's thread to the window's."""

from __future__ import annotations

import threading

from explorer.app.reports import merged
from explorer.views import Frame


class Mailbox:
    """Holds one frame at most, so that a slow window never falls behind.

    Attributes:
        dropped: frames with artefacts that a newer one has replaced.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._waiting: Frame | None = None
        self._lock = threading.Lock()

    def post(self, frame: Frame) -> bool:
        """Put a frame in; whether the box was empty, so that somebody must be told."""
        with self._lock:
            waiting = self._waiting
            self._waiting = frame if waiting is None else merged(waiting, frame)
        if waiting is not None and frame.artefacts:
            self.dropped += 1
        return waiting is None

    def take(self) -> Frame | None:
        """The newest whole frame, once."""
        with self._lock:
            frame, self._waiting = self._waiting, None
        return frame
