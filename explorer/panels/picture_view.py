"""PictureView: one pyqtgraph picture with zoom, pan and mouse positions in picture coordinates."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QCursor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QGraphicsItem, QWidget

from explorer.panels.pixels import Canvas, Words, words_of
from explorer.panels.plotting import pg
from explorer.panels.theme import DARK, Theme

DragMode = Literal["pan", "box", "paint"]
CLICK_SLACK = 4  # px that the mouse may move between press and release of a click


class SmoothImage(pg.ImageItem):  # type: ignore[misc]  # pyqtgraph has no types
    """A picture that is averaged when it is shown smaller, and keeps crisp pixels when larger."""

    smooth_below = 0.99
    _table: Any = None
    _words: Words | None = None
    _canvas: Canvas | None = None

    def render(self) -> None:
        """As pyqtgraph does, in pixels that Qt need not convert, where bytes are shown as such."""
        picture, table = self.image, self.lut
        canvas = self._canvas = self._canvas or Canvas()
        plain = picture is not None and picture.dtype == np.uint8
        if plain and picture.ndim == 2 and isinstance(table, np.ndarray) and len(table) == 256:
            if self._words is None or table is not self._table:
                self._table, self._words = table, words_of(table)
            shown = canvas.of_indices(picture, self._words)
        elif plain and picture.ndim == 3 and picture.shape[2] == 3 and self.levels is None:
            shown = canvas.of_photo(picture)
        else:
            super().render()
            return
        self.qimage, self._unrenderable = shown, False

    def paint(self, painter: QPainter, *args: Any) -> None:
        """Choose the filter by the size of a picture pixel on the screen."""
        size = abs(painter.worldTransform().m11())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, size < self.smooth_below)
        super().paint(painter, *args)


class PictureView(pg.GraphicsView):  # type: ignore[misc]  # pyqtgraph has no types
    """A locked-aspect, y-down view of one image item and what lies over it.

    Signals (positions are ``(x, y)`` in the coordinates that the picture was placed in):
        hovered: under the mouse, None when it leaves.
        clicked: a press and release at one place.
        dragged: ``(start, end, finished)`` while a drag with `drag_mode` box or paint goes on.
        resized: the view has a new size.
        focus_changed: the view got or lost the keyboard.
        zoom_changed: a person zoomed or panned: what is shown (x1, y1, x2, y2), None for all.
    """

    hovered = Signal(object)
    clicked = Signal(object)
    dragged = Signal(object)
    resized = Signal()
    focus_changed = Signal()
    zoom_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.drag_mode: DragMode = "pan"
        self.zoomed = False
        self.box = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0)
        self.setCentralItem(self.box)
        self.image = SmoothImage()
        self.box.addItem(self.image, ignoreBounds=True)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._home = QRectF(0, 0, 1, 1)
        self._scale: float | None = None
        self._near = 1  # times that `cycle_zoom` has enlarged
        self._pressed: QPointF | None = None
        self.set_theme(DARK)

    def show_picture(
        self,
        picture: npt.NDArray[np.uint8],
        rect: QRectF | None = None,
        table: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        """Show (H, W, 3) sRGB, or (H, W) indices through ``table`` (256, 4), placed at ``rect``."""
        if table is not None and table is not self.image.lut:
            self.image.setLookupTable(table, update=False)
        levels = None if picture.ndim == 3 else (0, 255)
        self.image.setImage(picture, autoLevels=False, levels=levels)
        if rect is not None and self.image.boundingRect():
            self.image.setRect(rect)

    def set_home(self, rect: QRectF, scale: float | None = None) -> None:
        """What `reset_zoom` shows: ``rect``, fitted, or at ``scale`` screen pixels a unit."""
        if (rect, scale) != (self._home, self._scale):
            self._home, self._scale = rect, scale
            self.reset_zoom()

    def reset_zoom(self) -> None:
        """Show all, in the middle of the view."""
        self.zoomed, self._near = False, 1
        size = self.viewport().size()
        if size.width() < 2 or size.height() < 2:
            return
        fitted = min(
            size.width() / max(self._home.width(), 1e-9),
            size.height() / max(self._home.height(), 1e-9),
        )
        scale = self._scale or fitted
        width, height = size.width() / scale, size.height() / scale
        centre = self._home.center()
        # Whole screen pixels, or crisp tiles blur where they are shown at 1:1.
        left = round((centre.x() - width / 2) * scale) / scale
        top = round((centre.y() - height / 2) * scale) / scale
        shown = QRectF(left, top, width, height)
        self.box.setLimits(minXRange=2 / max(scale, 1e-9), maxXRange=4 * width)
        self.box.setRange(shown, padding=0, disableAutoRange=True)

    def cycle_zoom(self) -> None:
        """Show it 2, 4 and 8 times as large, about the mouse or the middle; then all again."""
        if self._near >= 8:
            self.show_all()
            return
        self._near *= 2
        self.zoomed = True
        middle = self.box.viewRect().center()
        mouse = QPointF(self.mapFromGlobal(QCursor.pos()))
        self.box.scaleBy(
            (0.5, 0.5), center=QPointF(*self.position(mouse)) if self.underMouse() else middle
        )
        self._tell_zoom()

    def show_all(self) -> None:
        """As a person asks for it: show all, and say so."""
        self.reset_zoom()
        self.zoom_changed.emit(None)

    def show_region(self, region: tuple[float, float, float, float] | None) -> None:
        """Show at least (x1, y1, x2, y2), as large as it fits, without a word; None shows all."""
        if region is None:
            self.reset_zoom()
            return
        x1, y1, x2, y2 = region
        self.zoomed = True
        shown = QRectF(x1, y1, x2 - x1, y2 - y1)
        self.box.setRange(shown, padding=0, disableAutoRange=True)

    def _tell_zoom(self) -> None:
        shown = self.box.viewRect()
        self.zoom_changed.emit((shown.left(), shown.top(), shown.right(), shown.bottom()))

    def magnified(self) -> float:
        """Screen pixels of one picture unit."""
        return float(self.viewport().width() / max(self.box.viewRect().width(), 1e-9))

    def set_theme(self, theme: Theme) -> None:
        """Paint the canvas of ``theme`` behind the picture."""
        self.setBackground(theme["canvas"])

    def add(self, item: QGraphicsItem, z: float = 10) -> None:
        """Put ``item`` above the picture, in its coordinates."""
        item.setZValue(z)
        self.box.addItem(item, ignoreBounds=True)

    def position(self, at: QPointF) -> tuple[float, float]:
        """Picture coordinates of a viewport position."""
        point = self.box.mapSceneToView(self.mapToScene(at.toPoint()))
        return float(point.x()), float(point.y())

    def screen(self, x: float, y: float) -> QPointF:
        """Viewport position of a picture coordinate."""
        scene = self.box.mapViewToScene(QPointF(x, y))
        return QPointF(self.mapFromScene(scene))

    # -- events --------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the whole picture in view unless the person has zoomed."""
        super().resizeEvent(event)
        if hasattr(self, "_home"):  # pyqtgraph resizes within its constructor
            self.resized.emit()
            if not self.zoomed:
                self.reset_zoom()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom about the mouse."""
        self.zoomed = True
        super().wheelEvent(event)
        self._tell_zoom()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Start a click, a drag, or a pan."""
        if event.button() is Qt.MouseButton.LeftButton:
            self._pressed = event.position()
        if self.drag_mode == "pan" or event.button() is not Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
        else:
            self.setFocus()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Report the position; go on with a drag."""
        self.hovered.emit(self.position(event.position()))
        if self._pressed is None or self.drag_mode == "pan":
            moved = self._pressed is not None and self._moved(event)
            self.zoomed |= moved
            super().mouseMoveEvent(event)
            if moved:
                self._tell_zoom()
        elif self._moved(event) or self.drag_mode == "paint":
            ends = self.position(self._pressed), self.position(event.position())
            self.dragged.emit((*ends, False))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a click or a drag."""
        pressed, self._pressed = self._pressed, None
        if self.drag_mode == "pan" or event.button() is not Qt.MouseButton.LeftButton:
            super().mouseReleaseEvent(event)
        if pressed is None or event.button() is not Qt.MouseButton.LeftButton:
            return
        moved = (event.position() - pressed).manhattanLength() > CLICK_SLACK
        if self.drag_mode == "paint" or (moved and self.drag_mode == "box"):
            ends = self.position(pressed), self.position(event.position())
            self.dragged.emit((*ends, True))
        elif not moved:
            self.clicked.emit(self.position(event.position()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show all again."""
        self.show_all()
        event.accept()

    def leaveEvent(self, event: Any) -> None:
        """The mouse is nowhere on the picture."""
        super().leaveEvent(event)
        self.hovered.emit(None)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Tell the panel, which draws the ring."""
        super().focusInEvent(event)
        self.focus_changed.emit()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Tell the panel, which draws the ring."""
        super().focusOutEvent(event)
        self.focus_changed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave the keys to the panel around the view."""
        event.ignore()

    def _moved(self, event: QMouseEvent) -> bool:
        assert self._pressed is not None
        return (event.position() - self._pressed).manhattanLength() > CLICK_SLACK
