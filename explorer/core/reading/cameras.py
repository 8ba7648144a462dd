"""Cameras: the newest frame only, and a clear word when one is not there or goes away."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from explorer.core.opencv import opencv
from explorer.core.reading.clips import FPS
from explorer.core.reading.formats import MediaError
from explorer.inputs import Pixels

_PATIENCE = 5.0  # seconds without a picture before a camera counts as stuck
_REMEDY = "Plug it in again and press C, or drop a photo or clip."


class Camera:
    """A camera: a thread reads it all the time and keeps one frame, the newest.

    Args:
        capture: an open ``cv2.VideoCapture``, or anything that reads and releases like one.
        name: what the window calls it.
    """

    live = True
    path: Path | None = None
    sha256 = ""

    def __init__(self, capture: Any, name: str = "camera 0") -> None:
        self.name = name
        cv2 = opencv()
        self._cv2 = cv2
        self._capture = capture
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0.1 <= fps <= 1000 else FPS
        self.dropped = 0
        self._slot: Pixels | None = None
        self._fresh = False
        self._gone = self._stop = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._grab, name=name, daemon=True)
        self._thread.start()

    @property
    def gone(self) -> bool:
        """Whether it went away or was closed: it sends nothing more and has to be opened anew."""
        return self._gone or self._stop

    def __len__(self) -> int:
        """Always 0: a camera has no end."""
        return 0

    def __getitem__(self, index: int) -> Pixels:
        """The newest frame (H, W, 3) uint8 RGB that was not handed out yet; ``index`` is ignored.

        Raises:
            MediaError: the camera went away, sends nothing, or was closed.
        """
        with self._change:
            arrived = self._change.wait_for(
                lambda: self._fresh or self._gone or self._stop, timeout=_PATIENCE
            )
            if self._slot is not None and self._fresh and not self._stop:
                self._fresh = False
                return self._slot
        if self._stop:
            raise MediaError(f"{self.name}: the camera was closed. Press C to open it again.")
        if not arrived:
            raise MediaError(f"{self.name}: no picture for {_PATIENCE:g} s. {_REMEDY}")
        raise MediaError(f"{self.name}: the camera went away. {_REMEDY}")

    def close(self) -> None:
        """Stop the thread and release the device; a second call does nothing."""
        with self._change:
            self._stop = True
            self._change.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=_PATIENCE)

    def _grab(self) -> None:
        misses, allowed = 0, 100  # some cameras need a second or two to wake
        while not self._stop and misses < allowed:
            found, frame = self._capture.read()
            if not found or frame is None:
                misses += 1
                time.sleep(0.02)
                continue
            misses, allowed = 0, 5
            rgb = self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB)
            with self._change:
                self.dropped += self._fresh
                self._slot, self._fresh = rgb, True
                self._change.notify_all()
        self._capture.release()
        with self._change:
            self._gone = True
            self._change.notify_all()


def open_camera(index: int = 0) -> Camera:
    """Open camera ``index`` of this computer.

    Raises:
        MediaError: there is none of that number, or it cannot be opened.
    """
    name = f"camera {index}"
    if sys.platform.startswith("linux") and not Path(f"/dev/video{index}").exists():
        # Asking the drivers for a camera that is not there is slow and noisy.
        numbers = [device.name.removeprefix("video") for device in Path("/dev").glob("video[0-9]*")]
        here = f"there is {', '.join(sorted(numbers))}" if numbers else "there is none"
        raise MediaError(f"{name}: not found, {here}. {_REMEDY}")
    cv2 = opencv()
    capture = cv2.VideoCapture(index, cv2.CAP_DSHOW if sys.platform == "win32" else cv2.CAP_ANY)
    if not capture.isOpened():
        capture.release()
        raise MediaError(
            f"{name}: cannot be opened, it is not there, in use by another program, or not "
            f"permitted. Close the other program or allow the camera, or drop a photo or clip."
        )
    return Camera(capture, name)
