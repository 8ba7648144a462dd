"""Line: a curve drawn in screen pixels, which Qt does a hundred times quicker than a wide path.

Lines say that they fill the view. Where exactly they lie pyqtgraph works out from the data, several
times a painting, which took longer than to draw them; so did its own item for the spots on a line.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPaintEngine, QPainter, QPainterPath, QPen, QPixmap, QTransform

from explorer.kinds import Array
from explorer.panels.plotting import pg


class Line(pg.PlotCurveItem):  # type: ignore[misc]  # pyqtgraph has no types
    """The data of a `PlotCurveItem`; solid lines are drawn piece by piece with round ends.

    Qt strokes an antialiased path of more than one pixel's width as a filled outline: 40 ms for
    120 noisy points, against 0.3 ms in pieces. Dashes would begin anew at each piece, so dashed
    lines are a path of one pixel's width, which is quick as well. The marker of the spots is drawn
    once and stamped.

    Args:
        marker: outline of one, 1 px tall, about the origin. size: px of a spot.
    """

    def __init__(self, marker: QPainterPath, size: float, **options: Any) -> None:
        super().__init__(**options)
        self._marker, self._size = marker, size
        self._spots: tuple[Array, Array] = (np.zeros(0), np.zeros(0))
        self._stamps: dict[float, QPixmap] = {}

    def set_spots(self, x: Array, y: Array) -> None:
        """Mark these places (N,) of the line, all of them finite."""
        self._spots = x, y
        self.update()

    def spots(self) -> tuple[Array, Array]:
        """The places that are marked."""
        return self._spots

    def boundingRect(self) -> QRectF:
        """The view; the range that shows all goes by the data."""
        return _view_of(self, super().boundingRect)

    def paint(self, painter: QPainter, *args: Any) -> None:
        """Map the points to the screen; draw between those that are finite, then the spots."""
        x, y = self.getData()
        if x is None or not len(x):
            return
        to_screen = painter.worldTransform()
        device = painter.device()
        ratio = device.devicePixelRatioF() if device is not None else 1.0
        box = self.getViewBox()
        area = None if box is None else self.mapRectFromItem(box, box.rect())
        painter.save()
        painter.setClipping(False)
        painter.resetTransform()
        if area is not None:
            painter.setClipRect(to_screen.mapRect(area).toAlignedRect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_line(painter, *on_screen(to_screen, x, y), ratio)
        self._draw_spots(painter, *on_screen(to_screen, *self._spots), ratio)
        painter.restore()

    def _draw_line(self, painter: QPainter, x: Array, y: Array, ratio: float) -> None:
        pen = QPen(self.opts["pen"])
        pen.setCosmetic(False)
        pen.setWidthF(pen.widthF() * ratio)
        pen.setCapStyle(Qt.PenCapStyle.SquareCap)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if pen.style() == Qt.PenStyle.SolidLine:
            self._pieces(painter, x, y)
        elif len(x) > 1:
            painter.drawPath(pg.arrayToQPath(x, y, connect="finite"))

    def _draw_spots(self, painter: QPainter, x: Array, y: Array, ratio: float) -> None:
        raster = painter.paintEngine().type() == QPaintEngine.Type.Raster
        stamp = self._stamp(ratio)
        middle = stamp.width() / 2
        for across, down in zip(x.tolist(), y.tolist(), strict=True):
            if raster:
                painter.drawPixmap(QPointF(across - middle, down - middle), stamp)
            else:  # a drawing that can be scaled, as SVG
                painter.save()
                painter.translate(across, down)
                self._draw_marker(painter, ratio)
                painter.restore()

    def _stamp(self, ratio: float) -> QPixmap:
        """One spot on a transparent ground, at this many device pixels for each of the screen."""
        if ratio not in self._stamps:
            side = 2 * math.ceil(self._size * ratio / 2) + 4
            made = QPixmap(side, side)
            made.fill(Qt.GlobalColor.transparent)
            painter = QPainter(made)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.translate(side / 2, side / 2)
            self._draw_marker(painter, ratio)
            painter.end()
            self._stamps[ratio] = made
        return self._stamps[ratio]

    def _draw_marker(self, painter: QPainter, ratio: float) -> None:
        colour = self.opts["pen"].color()
        painter.setPen(QPen(colour, ratio))
        painter.setBrush(colour)
        size = self._size * ratio
        painter.drawPath(QTransform.fromScale(size, size).map(self._marker))

    @staticmethod
    def _pieces(painter: QPainter, x: Array, y: Array) -> None:
        whole = np.isfinite(x) & np.isfinite(y)
        both = whole[1:] & whole[:-1]
        ends = np.stack([x[:-1], y[:-1], x[1:], y[1:]], axis=1)[both]
        if len(ends):
            store = pg.Qt.internals.PrimitiveArray(pg.QtCore.QLineF, 4)
            store.resize(len(ends))
            store.ndarray()[:] = ends
            painter.drawLines(*store.drawargs())


def on_screen(to_screen: QTransform, x: Array, y: Array) -> tuple[Array, Array]:
    """Places in device pixels; wide of the screen they would overflow Qt's raster coordinates."""
    across = np.clip(to_screen.m11() * x + to_screen.dx(), -1e5, 1e5)
    return across, np.clip(to_screen.m22() * y + to_screen.dy(), -1e5, 1e5)


def _view_of(item: Any, own: Callable[[], QRectF]) -> QRectF:
    box = item.getViewBox()
    found: QRectF = own() if box is None else box.viewRect()
    return found
