"""Writing films: an MP4 is whole or not there."""

from __future__ import annotations

import math
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from explorer.core.opencv import opencv
from explorer.core.stores.atomic import atomic
from explorer.core.writing.drawing import Pixels

SPARE = 1 << 20  # bytes of room without which no further frame is begun


class ExportError(OSError):
    """A file could not be written; one line with cause and remedy."""


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """`atomic`, with one line for a folder that cannot be written."""
    try:
        with atomic(path) as part:
            yield part
    except ExportError:
        raise
    except OSError as error:
        raise ExportError(
            f"cannot write {path}: {error.strerror or error}; choose another folder"
        ) from error


class ClipWriter:
    """An MP4 (MPEG-4 part 2) that appears under its name when closed, and not at all when aborted.

    Sides are made even, which the codec wants; a frame of another size than the first is fitted
    into it with bars. As a context manager it closes, or aborts on an exception.

    Raises:
        ExportError: the folder cannot be written, or this OpenCV has no MPEG-4 encoder.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path = Path(path)
        self._fps = fps if math.isfinite(fps) and fps > 0 else 25.0
        self._writing = writing(self._path)
        self._part: Path | None = self._writing.__enter__()
        self._video: Any = None
        self._size = (0, 0)

    def write(self, pixels: Pixels) -> None:
        """Add one frame (H, W, 3) uint8 sRGB."""
        if self._part is None:
            raise ExportError(f"{self._path.name}: already closed")
        if shutil.disk_usage(self._part.parent).free < SPARE:
            raise self._full()
        if self._video is None:
            self._open(pixels.shape[0] // 2 * 2 or 2, pixels.shape[1] // 2 * 2 or 2)
        height, width = self._size
        if pixels.shape[0] // 2 * 2 != height or pixels.shape[1] // 2 * 2 != width:
            pixels = _fitted(pixels, height, width)
        self._video.write(np.ascontiguousarray(pixels[:height, :width, ::-1]))

    def close(self) -> None:
        """Finish the file; a clip without frames leaves none."""
        if self._video is None:
            self.abort()
            return
        self._video.release()
        part, self._part = self._part, None
        if part is not None and not is_whole(part):  # the encoder itself says nothing
            self._leave(self._full())
        self._writing.__exit__(None, None, None)

    def abort(self) -> None:
        """Remove what was written."""
        if self._part is None:
            return
        self._part = None
        if self._video is not None:
            self._video.release()
        try:
            self._leave(_Aborted())
        except _Aborted:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _open(self, height: int, width: int) -> None:
        cv2 = opencv()
        code = cv2.VideoWriter_fourcc(*"mp4v")
        self._size = (height, width)
        self._video = cv2.VideoWriter(str(self._part), code, self._fps, (width, height))
        if not self._video.isOpened():
            self.abort()
            raise ExportError(
                f"{self._path.name}: this OpenCV cannot encode {width} x {height} MPEG-4"
            )

    def _full(self) -> ExportError:
        folder = self._path.parent
        return ExportError(
            f"{self._path.name}: the disk took no more, {shutil.disk_usage(folder).free >> 20} MiB "
            f"are free in {folder}; nothing was kept. Make room there or choose another folder"
        )

    def _leave(self, error: Exception) -> None:
        self._writing.__exit__(type(error), error, None)
        raise error


def is_whole(path: Path) -> bool:
    """Whether the boxes of an MP4 fill the file and its index is there: it was written to the end.

    ISO/IEC 14496-12, section 4.2: a length of 32 bits and a name; 1 means that 64 bits follow.
    """
    end, at, names = path.stat().st_size, 0, set()
    with path.open("rb") as file:
        while at + 8 <= end:
            file.seek(at)
            length, name = struct.unpack(">I4s", file.read(8))
            if length == 1:
                length = int.from_bytes(file.read(8), "big")
            if length < 8:
                return False
            names.add(name)
            at += length
    return at == end and b"moov" in names


class _Aborted(Exception):
    """Makes the writing context remove its file."""


def _fitted(pixels: Pixels, height: int, width: int) -> Pixels:
    """Scale into (height, width) with black bars."""
    factor = min(height / pixels.shape[0], width / pixels.shape[1])
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    small = opencv().resize(pixels, size, interpolation=opencv().INTER_AREA)
    canvas: Pixels = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas
