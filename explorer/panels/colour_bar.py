"""The colour bar: a strip of the table in use with the values at its ends and clip marks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QImage, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer.panels.theme import DARK, SPACE_M, Theme, font
from explorer.panels.wording import number_text
from explorer.views import TOP


class ColourBar(QWidget):
    """``low [strip] high unit``; a triangle at an end says that values lie beyond it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._low, self._high, self._unit = 0.0, 1.0, ""
        self._beyond = (False, False)
        self._strip = QImage()
        self.setFont(font("number"))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def show_range(
        self,
        table: npt.NDArray[np.uint8],
        low: float,
        high: float,
        *,
        unit: str = "",
        data: tuple[float, float] | None = None,
    ) -> None:
        """Show ``table`` (256, 3 or 4) from ``low`` to ``high``; ``data`` are the true extremes."""
        strip = np.ascontiguousarray(table[None, : TOP + 1, :3])
        self._strip = QImage(
            strip.data, strip.shape[1], 1, 3 * strip.shape[1], QImage.Format.Format_RGB888
        ).copy()
        margin = 1e-3 * abs(high - low)
        below, above = data or (low, high)
        self._beyond = (below < low - margin, above > high + margin)
        self._low, self._high, self._unit = low, high, unit
        self._tell(below, above)
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        """The numbers as one line, with the clip marks."""
        left = "◂ " if self._beyond[0] else ""
        right = " ▸" if self._beyond[1] else ""
        unit = f" {self._unit}" if self._unit else ""
        return f"{left}{number_text(self._low)} … {number_text(self._high)}{right}{unit}"

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """Numbers, strip of 160 px and unit."""
        return QSize(sum(self._text_widths()) + 160 + 4 * SPACE_M, 16)

    def minimumSizeHint(self) -> QSize:
        """Numbers and a strip of 32 px."""
        return QSize(sum(self._text_widths()) + 32 + 4 * SPACE_M, 16)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Numbers at both ends, the strip between, zero ticked when it lies inside."""
        painter = QPainter(self)
        painter.setFont(font("number"))
        painter.setPen(self._theme.colour("muted"))
        left, right = self._text_widths()
        strip = QRect(left + 2 * SPACE_M, 3, self.width() - left - right - 4 * SPACE_M, 10)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(
            QRect(0, 0, left, 16), middle | Qt.AlignmentFlag.AlignRight, number_text(self._low)
        )
        painter.drawText(
            QRect(self.width() - right, 0, right, 16),
            middle | Qt.AlignmentFlag.AlignLeft,
            self._end(),
        )
        painter.drawImage(strip, self._strip)
        painter.setPen(QPen(self._theme.colour("outline"), 1))
        painter.drawRect(strip.adjusted(0, 0, -1, -1))
        if self._low < 0 < self._high:
            zero = strip.left() + strip.width() * -self._low / (self._high - self._low)
            painter.setPen(QPen(self._theme.colour("text"), 1))
            painter.drawLine(QPointF(zero, 1), QPointF(zero, 14))
        self._draw_clip_marks(painter, QRectF(strip))
        painter.end()

    def _draw_clip_marks(self, painter: QPainter, strip: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.colour("warn"))
        for beyond, x, sign in (
            (self._beyond[0], strip.left() - 2, -1),
            (self._beyond[1], strip.right() + 2, 1),
        ):
            if beyond:
                points = [QPointF(x, 4), QPointF(x, 12), QPointF(x + 5 * sign, 8)]
                painter.drawPolygon(QPolygonF(points))

    def _end(self) -> str:
        return f"{number_text(self._high)} {self._unit}".rstrip()

    def _text_widths(self) -> tuple[int, int]:
        metrics = QFontMetrics(font("number"))
        widest = metrics.horizontalAdvance("−0.000")  # reserved, so that numbers do not jump
        return (
            max(widest, metrics.horizontalAdvance(number_text(self._low))),
            max(widest, metrics.horizontalAdvance(self._end())),
        )

    def _tell(self, below: float, above: float) -> None:
        self.setAccessibleName(f"colour bar {self.text()}")
        parts = [f"Colours span {number_text(self._low)} to {number_text(self._high)}."]
        if any(self._beyond):
            parts.append(
                f"Values reach from {number_text(below)} to {number_text(above)}: clipped."
            )
        self.setToolTip(" ".join(parts))
