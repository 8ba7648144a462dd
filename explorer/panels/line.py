"""Line: a curve drawn in screen pixels, which Qt does a hundred times quicker than a wide path.

Lines and the spots on them say that they fill the view. Where exactly they lie pyqtgraph works out
from the data, several times a painting, which took longer than to draw them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from explorer.panels.plotting import pg


class Line(pg.PlotCurveItem):  # type: ignore[misc]  # pyqtgraph has no types
    """The data of a `PlotCurveItem`; solid lines are drawn piece by piece with round ends.

    Qt strokes an antialiased path of more than one pixel's width as a filled outline: 40 ms for
    120 noisy points, against 0.3 ms in pieces. Dashes would begin anew at each piece, so dashed
    lines are a path of one pixel's width, which is quick as well.
    """

    def boundingRect(self) -> QRectF:
        """The view; the range that shows all goes by the data."""
        return _view_of(self, super().boundingRect)

    def paint(self, painter: QPainter, *args: Any) -> None:
        """Map the points to the screen and draw between those that are finite."""
        x, y = self.getData()
        if x is None or len(x) < 2:
            return
        pen = QPen(self.opts["pen"])
        to_screen = painter.worldTransform()
        device = painter.device()
        ratio = device.devicePixelRatioF() if device is not None else 1.0
        pen.setCosmetic(False)
        pen.setWidthF(pen.widthF() * ratio)
        # Wide of the screen numbers would overflow Qt's raster coordinates.
        across = np.clip(to_screen.m11() * x + to_screen.dx(), -1e5, 1e5)
        down = np.clip(to_screen.m22() * y + to_screen.dy(), -1e5, 1e5)
        painter.save()
        box = self.getViewBox()
        area = None if box is None else self.mapRectFromItem(box, box.rect())
        painter.setClipping(False)
        painter.resetTransform()
        if area is not None:
            painter.setClipRect(to_screen.mapRect(area).toAlignedRect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen.setCapStyle(Qt.PenCapStyle.SquareCap)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if pen.style() == Qt.PenStyle.SolidLine:
            self._pieces(painter, across, down)
        else:
            painter.drawPath(pg.arrayToQPath(across, down, connect="finite"))
        painter.restore()

    @staticmethod
    def _pieces(painter: QPainter, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> None:
        whole = np.isfinite(x) & np.isfinite(y)
        both = whole[1:] & whole[:-1]
        ends = np.stack([x[:-1], y[:-1], x[1:], y[1:]], axis=1)[both]
        if len(ends):
            store = pg.Qt.internals.PrimitiveArray(pg.QtCore.QLineF, 4)
            store.resize(len(ends))
            store.ndarray()[:] = ends
            painter.drawLines(*store.drawargs())


class Spots(pg.ScatterPlotItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Markers of a line."""

    def boundingRect(self) -> QRectF:
        """The view."""
        return _view_of(self, super().boundingRect)


def _view_of(item: Any, own: Callable[[], QRectF]) -> QRectF:
    box = item.getViewBox()
    found: QRectF = own() if box is None else box.viewRect()
    return found
