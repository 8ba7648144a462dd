"""pyqtgraph and OpenCV, set up once for all panels: ``from explorer.panels.plotting import pg``."""

from __future__ import annotations

import os

import cv2
import pyqtgraph as pg

# OpenCV points Qt at plugins of its own; a child process would inherit that.
for _name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
    if "cv2" in os.environ.get(_name, ""):
        del os.environ[_name]

cv2.setNumThreads(1)
pg.setConfigOptions(imageAxisOrder="row-major", antialias=False, useOpenGL=False)

__all__ = ["cv2", "pg"]
