"""pyqtgraph, set up once for the whole program: ``from explorer.panels.plotting import pg``."""

from __future__ import annotations

import pyqtgraph as pg

pg.setConfigOptions(imageAxisOrder="row-major", antialias=False, useOpenGL=False)

__all__ = ["pg"]
