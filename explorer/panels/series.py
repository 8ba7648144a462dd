"""How one series is told from the next: colour, line style, marker; and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pyqtgraph.graphicsItems.ScatterPlotItem import Symbols
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTransform,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from explorer.colours import OKABE_ITO
from explorer.panels.theme import DARK, SPACE_L, SPACE_S, Theme, font

#: Okabe-Ito without black, in an order whose neighbours differ most in lightness.
ORDER = (1, 0, 2, 6, 5, 3, 4)
STYLES = (
    Qt.PenStyle.SolidLine,
    Qt.PenStyle.DashLine,
    Qt.PenStyle.DotLine,
    Qt.PenStyle.DashDotLine,
)
#: pyqtgraph's names of marker shapes.
MARKERS = ("o", "s", "t", "d", "x", "+", "t1", "star")
LEAST_CONTRAST = 3.0
SWATCH, SHORT_SWATCH, LINE = 22, 14, 18
NAME_LENGTHS = (180, 90, 56, 0)  # px of a name in the legend; 0 is the sample alone


def luminance(colour: QColor) -> float:
    """Relative luminance of WCAG, 0 to 1."""
    parts = (colour.redF(), colour.greenF(), colour.blueF())
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: QColor, b: QColor) -> float:
    """Contrast ratio of WCAG, 1 to 21."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def series_colour(index: int, theme: Theme) -> QColor:
    """Okabe-Ito colour of series ``index``, shaded until it stands out from the canvas (3:1)."""
    return QColor(_shaded(index % len(ORDER), theme))  # a copy: colours can be changed


@lru_cache(maxsize=64)
def _shaded(index: int, theme: Theme) -> QColor:
    colour = QColor(*OKABE_ITO[ORDER[index]])
    ground = theme.colour("canvas")
    for _ in range(12):
        if contrast(colour, ground) >= LEAST_CONTRAST:
            break
        colour = colour.darker(112) if theme.name == "light" else colour.lighter(112)
    return colour


def series_pen(index: int, theme: Theme, width: float = 1.0) -> QPen:
    """Pen of a series: the colour goes round first, then the line style."""
    pen = QPen(series_colour(index, theme), width, STYLES[index // len(ORDER) % len(STYLES)])
    pen.setCosmetic(True)
    return pen


def marker(index: int) -> str:
    """Marker shape of a series."""
    return MARKERS[index % len(MARKERS)]


def marker_path(index: int, at: QPointF, size: float) -> QPainterPath:
    """Outline of the series' marker about ``at``, as tall as ``size``: the plots' own shapes."""
    path: QPainterPath = Symbols[marker(index)]
    return QTransform.fromTranslate(at.x(), at.y()).scale(size, size).map(path)


class Legend(QWidget):
    """Names beside a sample of line and marker, wrapped into one or two rows; a click hides one.

    Signals:
        toggled: index of the series that a person wants hidden or shown again.
    """

    toggled = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.names: tuple[str, ...] = ()
        self.hidden: frozenset[int] = frozenset()
        self.lines, self.markers = True, True
        self._places: list[tuple[int, QRectF, str]] = []
        self._rest = 0
        self._swatch = SWATCH
        self._most_rows = 2
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_series(
        self, names: Sequence[str], hidden: frozenset[int] = frozenset(), *, lines: bool = True,
        markers: bool = True,
    ) -> None:  # fmt: skip
        """Show these names; with one or none there is nothing to tell apart."""
        state = (tuple(names), hidden, lines, markers)
        if state == (self.names, self.hidden, self.lines, self.markers):
            return
        self.names, self.hidden, self.lines, self.markers = state
        self.setAccessibleName("Legend: " + ", ".join(self.names))
        self._arrange()
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.theme = theme
        self.update()

    def set_rows(self, rows: int) -> None:
        """Use at most so many rows; what has no room is counted at the end."""
        if rows != self._most_rows:
            self._most_rows = rows
            self._arrange()
            self.update()

    def sizeHint(self) -> QSize:
        """As tall as the rows in use."""
        rows = 1 + max((int(box.top()) // LINE for _, box, _ in self._places), default=0)
        return QSize(160, LINE * rows)

    def minimumSizeHint(self) -> QSize:
        """As tall as the rows in use, as narrow as need be."""
        return QSize(40, self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Wrap anew."""
        super().resizeEvent(event)
        self._arrange()

    def index_at(self, at: QPointF) -> int:
        """Series under a position; -1 is none."""
        return next((i for i, box, _ in self._places if box.contains(at)), -1)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Hide or show the series under the mouse."""
        index = self.index_at(event.position())
        if index >= 0:
            self.toggled.emit(index)

    def event(self, event: QEvent) -> bool:
        """The whole name under the mouse, or all names, as the tooltip."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.hint(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def hint(self, at: QPointF) -> str:
        """What the tooltip at a place says."""
        index = self.index_at(at)
        if index < 0:
            return ", ".join(self.names)
        return f"{self.names[index]}: click to {'show' if index in self.hidden else 'hide'}"

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw samples and names."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font("caption"))
        for index, box, words in self._places:
            off = index in self.hidden
            ink = self.theme.colour("disabled") if off else series_colour(index, self.theme)
            self._sample(painter, index, QPointF(box.left(), box.center().y()), ink)
            painter.setPen(self.theme.colour("disabled" if off else "text"))
            face = font("caption")
            face.setStrikeOut(off)
            painter.setFont(face)
            painter.drawText(
                box.adjusted(self._swatch + SPACE_S, 0, 0, 0),
                Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
                words,
            )
        if self._rest:
            last = self._places[-1][1]
            painter.setPen(self.theme.colour("muted"))
            painter.setFont(font("caption"))
            box = QRectF(last.right() + SPACE_L / 2, last.top(), 90, LINE)
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
            painter.drawText(box, flags, f"+ {self._rest} more")
        painter.end()

    def _sample(self, painter: QPainter, index: int, at: QPointF, ink: QColor) -> None:
        pen = series_pen(index, self.theme, 1.6)
        pen.setColor(ink)
        painter.setPen(pen)
        if self.lines:
            painter.drawLine(at, at + QPointF(self._swatch, 0))
        if self.markers:
            painter.setPen(QPen(ink, 1.4))
            painter.setBrush(ink)
            painter.drawPath(marker_path(index, at + QPointF(self._swatch / 2, 0), 7))

    def _arrange(self) -> None:
        """Names as long as there is room for: shorter ones, then samples alone, then a count."""
        for longest in NAME_LENGTHS:
            self._place(longest, whole=True)
            if not self._rest:
                break
        else:
            self._place(NAME_LENGTHS[-1], whole=False)
        self.updateGeometry()

    def _place(self, longest: int, *, whole: bool) -> None:
        """Place the samples from left to right; unless ``whole``, leave room for a count."""
        metrics = QFontMetrics(font("caption"))
        room = max(80, self.width() - 4)
        sample, gap = (SWATCH, SPACE_L / 2) if longest else (SHORT_SWATCH, SPACE_S)
        x, row = 0.0, 0
        self._places, self._swatch = [], sample
        for index, name in enumerate(self.names):
            most = min(longest, room - sample - SPACE_S)
            words = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, most) if longest else ""
            width = sample + (SPACE_S + metrics.horizontalAdvance(words) + 1 if words else 0)
            if x and x + width > room:
                x, row = 0.0, row + 1
            more = 60 if row == self._most_rows - 1 and index + 1 < len(self.names) else 0
            if row >= self._most_rows or (not whole and more and x and x + width + more > room):
                break
            self._places.append((index, QRectF(x, row * LINE, width, LINE), words))
            x += width + gap
        self._rest = len(self.names) - len(self._places)
