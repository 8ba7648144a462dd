"""The one door to OpenCV: imported when first needed, its marks on the process removed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_QT = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")
_QUIET = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
_redirecting = threading.Lock()


@cache
def opencv() -> Any:
    """Import cv2 and undo what that does to Qt.

    The import points two variables at Qt plug-ins and fonts that are not there, which would break
    a window opened later. One thread, so that decoding leaves the cores to the network. Warnings
    of the decoders are silenced: what is wrong with a file is said in a MediaError.
    """
    before = {name: os.environ.get(name) for name in _QT}
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import cv2

    for name in _QT:
        os.environ.pop(name, None)
        if (old := before[name]) is not None:
            os.environ[name] = old
    cv2.setNumThreads(1)
    # The variable is too late where pyqtgraph has imported cv2 before us.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Drop what C libraries write to stderr meanwhile; only for files known to be damaged.

    libjpeg and libpng have no switch for it. The redirection holds for the whole process, so what
    another thread writes in these milliseconds is lost too.
    """
    with _redirecting:
        try:
            kept = os.dup(2)
        except OSError:  # a window without a console has no stderr
            yield
            return
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
