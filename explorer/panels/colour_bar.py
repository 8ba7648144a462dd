"""The colour bar: a strip of the table in use with the values at its ends and clip marks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QImage, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer.panels.theme import DARK, SPACE_M, Theme, font
from explorer.panels.wording import number_text
from explorer.views import TOP

LINE, TWO_LINES = 16, 28  # px of height
STEP = 32  # px by which the numbers' room grows


class ColourBar(QWidget):
    """``low [strip] high unit``; a triangle at an end says that values lie beyond it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._low, self._high, self._unit = 0.0, 1.0, ""
        self._beyond = (False, False)
        self._strip = QImage()
        self.setFont(font("number"))
        self._stacked = False
        self._widths = self._measured()
        self._asked = QSize()
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
        self._widths = self._measured()  # of the numbers at both ends
        self._tell(below, above)
        self._fit()
        self._ask_for_room()
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
        """Numbers, strip of 160 px and unit; in steps, so that it stays as digits come and go."""
        tall = TWO_LINES if self._stacked else LINE
        words = -(-sum(self._widths) // STEP) * STEP
        return QSize(words + 160 + 4 * SPACE_M, tall)

    def minimumSizeHint(self) -> QSize:
        """A short strip with the numbers below it."""
        return QSize(56, self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the numbers below the strip where they do not fit beside it."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        stacked = self.width() < sum(self._widths) + 32 + 4 * SPACE_M
        if stacked != self._stacked:
            self._stacked = stacked
            self._ask_for_room()

    def _ask_for_room(self) -> None:
        """Have the panel laid out anew, but only when another size is wished for."""
        if self.sizeHint() != self._asked:
            self._asked = self.sizeHint()
            self.updateGeometry()

    def strip_place(self) -> QRect:
        """Where the strip is drawn."""
        if self._stacked:
            return QRect(SPACE_M, 1, self.width() - 2 * SPACE_M, 10)
        left, right = self._widths
        return QRect(left + 2 * SPACE_M, 3, self.width() - left - right - 4 * SPACE_M, 10)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Numbers at both ends of the strip or below it, zero ticked when it lies inside."""
        painter = QPainter(self)
        strip = self.strip_place()
        self._draw_numbers(painter)
        painter.drawImage(strip, self._strip)
        painter.setPen(QPen(self._theme.colour("outline"), 1))
        painter.drawRect(strip.adjusted(0, 0, -1, -1))
        if self._low < 0 < self._high:
            zero = strip.left() + strip.width() * -self._low / (self._high - self._low)
            painter.setPen(QPen(self._theme.colour("text"), 1))
            painter.drawLine(QPointF(zero, strip.top() - 2), QPointF(zero, strip.bottom() + 2))
        self._draw_clip_marks(painter, QRectF(strip))
        painter.end()

    def _draw_numbers(self, painter: QPainter) -> None:
        painter.setPen(self._theme.colour("muted"))
        middle = Qt.AlignmentFlag.AlignVCenter
        left, right = middle | Qt.AlignmentFlag.AlignLeft, middle | Qt.AlignmentFlag.AlignRight
        if self._stacked:
            face = font("caption")
            painter.setFont(face)
            below = QRect(0, TWO_LINES - LINE, self.width(), LINE)
            low, high = self._ends(QFontMetrics(face), self.width() - SPACE_M)
            painter.drawText(below, left, low)
            painter.drawText(below, right, high)
            return
        painter.setFont(font("number"))
        widths = self._widths
        painter.drawText(QRect(0, 0, widths[0], LINE), right, number_text(self._low))
        at_end = QRect(self.width() - widths[1], 0, widths[1], LINE)
        painter.drawText(at_end, left, self._end())

    def _ends(self, metrics: QFontMetrics, room: int) -> tuple[str, str]:
        """Both numbers with as many digits as there is room for; the unit goes first."""
        choices = [(number_text(self._low), self._end())]
        choices += [(number_text(self._low, n), number_text(self._high, n)) for n in (3, 2, 1)]
        fits = (c for c in choices if sum(map(metrics.horizontalAdvance, c)) <= room)
        return next(fits, choices[-1])

    def _draw_clip_marks(self, painter: QPainter, strip: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.colour("warn"))
        for beyond, x, sign in (
            (self._beyond[0], strip.left() - 2, -1),
            (self._beyond[1], strip.right() + 2, 1),
        ):
            if beyond:
                top = strip.top()
                points = [QPointF(x, top + 1), QPointF(x, top + 9), QPointF(x + 5 * sign, top + 5)]
                painter.drawPolygon(QPolygonF(points))

    def _end(self) -> str:
        return f"{number_text(self._high)} {self._unit}".rstrip()

    def _measured(self) -> tuple[int, int]:
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
