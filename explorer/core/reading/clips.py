"""Clips with exact random access: untrusted files to RGB frames."""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from explorer.core.opencv import opencv
from explorer.core.reading.formats import (
    CLIPS,
    HEAD,
    MediaError,
    is_text,
    require_file,
    shown,
    sniff,
    trouble,
    unreadable,
    whole_file,
)  # fmt: skip
from explorer.core.reading.headers import HeaderError, read_header
from explorer.core.reading.pictures import FILE_BYTES, MAX_PIXELS
from explorer.inputs import Pixels

FPS = 25.0
"""Assumed where a file or camera names none."""
UNEVEN = 1.5
"""Times as long as the shortest frame: a clip with such frames has no one rate."""


class Clip:
    """A clip: ``clip[i]`` is frame ``i`` in order of showing, whatever was read before.

    Reading on is quick: the next frame is decoded in a second thread while the caller works. To
    jump, the packets of the file are listed once without decoding (their times are the times of
    the frames); a seek then goes to where the container leads and on until the time fits, because
    where a container leads to is not to be trusted.

    One reader at a time: calls from several threads are serialised.

    Attributes:
        whole: an engine takes the clip itself, not frame after frame of it.
    """

    live = False
    whole = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = shown(path)
        self._cv2 = opencv()
        self._capture = self._open()
        fps = float(self._capture.get(self._cv2.CAP_PROP_FPS))
        self.fps = fps if 0.1 <= fps <= 1000 else FPS
        self._times: list[float] | None = None
        self._at = 0  # the frame that the decoder gives next
        self._lock = threading.Lock()
        self._closed = False
        self._sha256 = ""
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="clip")
        self._ahead: tuple[int, Future[Pixels | None]] | None = None
        self._last: tuple[int, Pixels] | None = None
        count = self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT)
        self._length = int(count) if 1 <= count < 1 << 31 else len(self._index())

    def __len__(self) -> int:
        """Frames of the file; smaller once a read has shown that the file ends earlier."""
        return self._length

    def __getitem__(self, index: int) -> Pixels:
        """The frame (H, W, 3) uint8 RGB.

        Raises:
            IndexError: past the end; also where the file ends before its header says.
            MediaError: the clip was closed.
        """
        with self._lock:
            if self._closed:
                raise MediaError(f"{self.name}: the clip was closed. Open it again.")
            if not 0 <= index < self._length:
                raise IndexError(f"{self.name}: no frame {index}, it has {self._length}")
            if self._last is not None and self._last[0] == index:
                return self._last[1]
            frame = self._taken(index)
            if frame is None:
                self._length = min(self._length, index)
                if index and (self._last is None or self._last[0] != index - 1):
                    self._length = self._true_length(index)
                raise IndexError(f"{self.name}: ends early, after {self._length} frames")
            self._last = (index, frame)
            if index + 1 < self._length:
                self._ahead = (index + 1, self._worker.submit(self._read, index + 1))
            return frame

    @property
    def steady(self) -> bool:
        """Whether all frames last equally long, as far as the file says; lists its packets once."""
        with self._lock:
            gaps = [b - a for a, b in pairwise(self._index())]
        return not gaps or max(gaps) < UNEVEN * min(gaps)

    @property
    def sha256(self) -> str:
        """Of the file, hashed in pieces when first asked."""
        if not self._sha256:
            with self.path.open("rb") as file:
                self._sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return self._sha256

    def close(self) -> None:
        """Stop reading ahead and release the decoder; a second call does nothing."""
        with self._lock:
            self._closed = True
            self._worker.shutdown(wait=True, cancel_futures=True)
            self._ahead = self._last = None
            self._capture.release()

    def _open(self) -> Any:
        capture = self._cv2.VideoCapture()
        # An absolute path: a relative one with a colon in it would be taken for a protocol.
        name = str(self.path.absolute())
        try:
            opened = capture.open(name, self._cv2.CAP_FFMPEG)
        except (self._cv2.error, UnicodeError, SystemError) as error:
            raise trouble(self.path, "its name cannot be passed on", "Rename the file") from error
        if not opened:
            cause = "not a clip that can be decoded, or one whose end is missing"
            raise trouble(self.path, cause, CLIPS)
        return capture

    def _taken(self, index: int) -> Pixels | None:
        """The frame that was decoded ahead, else decoded now."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            frame = ahead[1].result()
            if ahead[0] == index:
                return frame
        return self._worker.submit(self._read, index).result()

    def _read(self, index: int) -> Pixels | None:
        """Decode frame ``index``; None past the true end. Only the worker thread calls this."""
        if index != self._at and not self._seek(index):
            return None
        found, frame = self._capture.read()
        if not found or frame is None:
            self._at = -1  # unknown: the next read seeks
            return None
        self._at = index + 1
        rgb: Pixels = self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB)
        return rgb

    def _seek(self, index: int) -> bool:
        """Bring the decoder to just before ``index``."""
        times = self._index()
        if times and index >= len(times):
            return False
        step = index - self._at
        near = self._at >= 0 and 0 <= step <= 16
        if not near and times and self._landed(index, times):
            return True
        if not near and not self._restart():
            return False
        while self._at < index:
            if not self._capture.grab():
                self._at = -1
                return False
            self._at += 1
        return True

    def _landed(self, index: int, times: list[float]) -> bool:
        """Let the container lead to before ``index``; True when the decoder then stands there."""
        for margin in (2, 64):
            start = max(0, index - margin)
            self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, start)
            while start < index and self._capture.grab():
                at = _nearest(times, self._capture.get(self._cv2.CAP_PROP_POS_MSEC))
                if at is None or at >= index:
                    break
                if at == index - 1:
                    self._at = index
                    return True
        return False

    def _restart(self) -> bool:
        self._capture.release()
        try:
            self._capture = self._open()
        except MediaError:
            return False
        self._at = 0
        return True

    def _index(self) -> list[float]:
        """Times in ms of all frames in order of showing; empty where they are not told apart."""
        if self._times is None:
            packets, times = self._open(), []
            if packets.set(self._cv2.CAP_PROP_FORMAT, -1):
                while packets.grab():
                    times.append(float(packets.get(self._cv2.CAP_PROP_POS_MSEC)))
            packets.release()
            times.sort()
            apart = all(b - a > 0.5 for a, b in pairwise(times))
            self._times = times if apart else []
        return self._times

    def _true_length(self, bound: int) -> int:
        """Count the frames that decode, from the start; a file that lies about its end is rare."""

        def count() -> int:
            self._restart()
            frames = 0
            while frames < bound and self._capture.grab():
                frames += 1
            self._at = -1
            return frames

        return self._worker.submit(count).result()


def _nearest(times: list[float], time_ms: float) -> int | None:
    at = bisect_left(times, time_ms - 0.25)
    return at if at < len(times) and abs(times[at] - time_ms) <= 0.5 else None


def open_clip(path: Path | str) -> Clip:
    """Open a clip, or an animated GIF or PNG as one.

    Raises:
        MediaError: not there, empty, not decodable, or with larger frames than can be shown.
    """
    path = Path(path)
    _check(path)
    clip = Clip(path)
    try:
        frame = clip[0]
    except IndexError as error:
        clip.close()
        raise trouble(path, "a clip of which no frame can be decoded", CLIPS) from error
    if frame.shape[0] * frame.shape[1] > MAX_PIXELS:
        clip.close()
        size = f"{frame.shape[1]:,} × {frame.shape[0]:,}"
        raise trouble(path, f"its frames of {size} pixels are too large", "Scale the clip down")
    return clip


def _check(path: Path) -> None:
    """Refuse what the decoder must not see: above all play lists, which name other files."""
    if sniff(path) == "image":
        try:
            header = read_header(whole_file(path, limit=FILE_BYTES, what="a clip"))
        except HeaderError as error:
            raise trouble(path, str(error), CLIPS) from error
        if header.frames < 2:
            raise trouble(path, "a still picture, not a clip", CLIPS)
        if header.format not in ("GIF", "PNG"):
            cause = f"an animated {header.format}, of which only the first frame is read"
            raise trouble(path, cause, "Save it as GIF or MP4")
        return
    require_file(path, "a clip")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise unreadable(path, error) from error
    if is_text(head):
        raise trouble(path, "a text, not a clip", CLIPS)
