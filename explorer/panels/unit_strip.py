"""The strip under a layer of more than 1,024 units: a bar a unit, and a brush over those shown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from explorer.panels.theme import DARK, Theme
from explorer.panels.wording import number_text

SLACK = 3  # px that the mouse may move within a click
TOP = 3  # px above the highest bar


class UnitStrip(QWidget):
    """Bars as high as each unit's maximum, in the order of the mosaic.

    A click chooses the unit; a drag moves the brush, which covers the units that are shown. Where
    there are more units than pixels, a bar stands for the largest of its neighbours.

    Signals:
        chosen: unit that was clicked. brushed: place in the order from which on to show units.
    """

    chosen = Signal(int)
    brushed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._values: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        self._order: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._brush = (0, 0)  # first place, and how many
        self._selected: int | None = None
        self._pressed: tuple[float, float] | None = None  # x, and the mouse's place in the brush
        self._dragging = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)

    def show_units(
        self,
        values: npt.NDArray[np.float32],
        shown: npt.NDArray[np.int64],
        selected: int | None,
        order: npt.NDArray[np.int64],
    ) -> None:
        """Show the maximum of each unit (C,), the units ``shown`` and the selected one.

        Args:
            order: all units (C,) as the mosaic has them; ``shown`` is a stretch of it.
        """
        self._order = order
        self._values = np.maximum(np.nan_to_num(values), 0)[order]
        found = np.flatnonzero(order == shown[0]) if len(shown) else order[:0]
        if not self._dragging:
            self._brush = (int(found[0]) if len(found) else 0, len(shown))
        place = np.flatnonzero(order == selected) if selected is not None else order[:0]
        self._selected = int(place[0]) if len(place) else None
        self.setAccessibleName(f"strip of {len(values)} units, {len(shown)} of them shown")
        self.update()

    def brush(self) -> QRectF:
        """Where the brush lies."""
        per_unit = self.width() / max(len(self._values), 1)
        return QRectF(self._brush[0] * per_unit, 0, self._brush[1] * per_unit, self.height())

    def unit_at(self, x: float) -> int:
        """The unit at a horizontal position; the largest where several share a pixel."""
        count, width = len(self._values), max(self.width(), 1)
        first = max(0, min(int(x / width * count), count - 1))
        last = max(first + 1, min(count, int((x + 1) / width * count)))
        return int(self._order[first + int(self._values[first:last].argmax())])

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """40 px high."""
        return QSize(200, 40)

    def event(self, event: QEvent) -> bool:
        """The unit under the mouse as the tooltip."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.hint(event.pos().x()), self)
            return True
        return super().event(event)

    def hint(self, x: float) -> str:
        """What the tooltip at a place says."""
        if not len(self._values):
            return ""
        unit = self.unit_at(x)
        top = number_text(float(self._values[np.flatnonzero(self._order == unit)[0]]))
        return f"unit {unit}: max {top}. Click to go there, drag to show others."

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click or a drag begins; away from the brush, a drag takes it by its middle."""
        if event.button() is Qt.MouseButton.LeftButton and len(self._values):
            x, brush = event.position().x(), self.brush()
            inside = brush.contains(QPointF(x, 1))
            self._pressed = x, (x - brush.left() if inside else brush.width() / 2)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move the brush, and show what it covers."""
        x = event.position().x()
        if self._pressed is None:
            at = self.brush().contains(QPointF(x, 1))
            shape = Qt.CursorShape.OpenHandCursor if at else Qt.CursorShape.PointingHandCursor
            self.setCursor(shape)
            return
        if not self._dragging and abs(x - self._pressed[0]) <= SLACK:
            return
        self._dragging = True
        self.setCursor(Qt.CursorShape.ClosedHandCursor)
        count, long = len(self._values), self._brush[1]
        first = round((x - self._pressed[1]) / max(self.width(), 1) * count)
        first = max(0, min(first, count - long))
        if first != self._brush[0]:
            self._brush = first, long
            self.update()
            self.brushed.emit(first)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The brush stays where it is; a click chooses the unit."""
        pressed, self._pressed = self._pressed, None
        dragged, self._dragging = self._dragging, False
        if pressed is not None and not dragged:
            self.chosen.emit(self.unit_at(pressed[0]))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bars: bright under the brush, dim elsewhere; the selected one in its colour."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colour("canvas"))
        brush = self.brush()
        painter.fillRect(brush, self._theme.colour("raised"))
        count, width, height = len(self._values), self.width(), self.height()
        top = float(self._values.max()) if count else 0.0
        bars = min(count, width)
        edges = np.linspace(0, count, bars + 1).astype(int)
        step = width / max(bars, 1)
        page, rest = self._theme.colour("accent"), self._theme.colour("disabled")
        first, last = self._brush[0], sum(self._brush)
        for i in range(bars):
            span = slice(edges[i], edges[i + 1])
            tall = float(self._values[span].max()) / top * (height - TOP - 2) if top else 0.0
            ink = page if edges[i] < last and edges[i + 1] > first else rest
            bar = QRectF(i * step, height - max(tall, 1), max(step * 0.9, 1), max(tall, 1))
            painter.fillRect(bar, ink)
        if self._brush[1] < count:
            painter.setPen(QPen(page, 2))
            painter.drawRect(brush.adjusted(1, 1, -1, -1))
        if self._selected is not None and count:
            x = (self._selected + 0.5) / count * width
            painter.fillRect(QRectF(x - 2, 0, 4, height), Qt.GlobalColor.black)
            painter.fillRect(QRectF(x - 1, 0, 2, height), self._theme.colour("selected"))
        painter.end()
