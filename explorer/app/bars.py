"""A vector as a grid of bars in one widget: a hundred components build as fast as one."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QScrollArea, QSizePolicy, QWidget

from explorer.app.track import number_text
from explorer.panels.theme import DARK, Theme

BAR, GAP, ROW = 11, 2, 52
WIDEST = 40  # px from one bar to the next
ROW_GAP = 8
MOST_HEIGHT = 188  # the scroll area grows to this


class VectorBars(QWidget):
    """``length`` bars between ``low`` and ``high`` around 0, in rows that fill the width.

    The mouse paints across them; Left and Right choose one, Up and Down change it by a fiftieth
    of the range, 0 or Delete clears it. They are counted from ``first``.
    """

    edited = Signal(object)
    finished = Signal()
    pointed = Signal(str)

    def __init__(self, length: int, low: float, high: float, first: int = 1) -> None:
        super().__init__()
        self.low, self.high, self._first = low, high, first
        self._values = [0.0] * length
        self._current = 0
        self._theme: Theme = DARK
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def values(self) -> tuple[float, ...]:
        """What the bars show."""
        return tuple(self._values)

    def show_values(self, values: tuple[float, ...]) -> None:
        """Show ``values`` without telling."""
        self._values = [float(v) for v in values]
        self._current = min(self._current, max(0, len(self._values) - 1))
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.update()

    def columns(self) -> int:
        """Bars a row at the width there is; all rows are as long as one another, but the last."""
        count = len(self._values) or 1
        return -(-count // self._rows(self.width()))

    def _rows(self, width: int) -> int:
        at_most = max(1, (width - 4 + GAP) // (BAR + GAP))
        return -(-(len(self._values) or 1) // at_most)

    def _pitch(self) -> int:
        """Pixels from one bar to the next: they fill the width as far as they stay bars."""
        return max(BAR + GAP, min(WIDEST, (self.width() - 4 + GAP) // self.columns()))

    def hasHeightForWidth(self) -> bool:
        """Yes: narrower needs more rows."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Pixels that the rows take at ``width``."""
        rows = self._rows(width)
        return rows * ROW + (rows - 1) * ROW_GAP + 4

    def sizeHint(self) -> QSize:
        """The size it would like."""
        return QSize(240, self.heightForWidth(max(self.width(), 240)))

    def minimumSizeHint(self) -> QSize:
        """The least that can be used."""
        return QSize(120, ROW + 4)

    def cell(self, index: int) -> QRect:
        """Where the bar of a component lies, its whole range."""
        row, column = divmod(index, self.columns())
        pitch = self._pitch()
        return QRect(2 + column * pitch, 2 + row * (ROW + ROW_GAP), pitch - GAP, ROW)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars whose rows are to be painted."""
        painter = QPainter(self)
        theme = self._theme
        span = self.high - self.low
        zero = min(max(0.0, self.low), self.high)
        for index, value in enumerate(self._values):
            cell = self.cell(index)
            if not cell.intersects(event.rect()):
                continue
            painter.fillRect(cell, theme.colour("canvas"))
            base = cell.bottom() + 1 - round((zero - self.low) / span * cell.height())
            top = cell.bottom() + 1 - round((value - self.low) / span * cell.height())
            bar = QRect(cell.left(), min(base, top), cell.width(), abs(base - top))
            painter.fillRect(bar, theme.colour("accent" if value >= 0 else "muted"))
            painter.fillRect(cell.left(), base, cell.width(), 1, theme.colour("outline"))
        if self.hasFocus() and self._values:
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.drawRect(self.cell(self._current).adjusted(-1, -1, 1, 1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Set the bar under the mouse to the height of the mouse."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._paint_at(event.position().toPoint())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Paint on while the button is down; else say what lies under the mouse."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._paint_at(event.position().toPoint())
        else:
            self._point(self._index_at(event.position().toPoint()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the drag."""
        self.finished.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Clear the bar under the mouse."""
        index = self._index_at(event.position().toPoint())
        if index is not None:
            self._set(index, 0.0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose with Left and Right, change with Up and Down, clear with 0 or Delete."""
        keys = Qt.Key
        key = event.key()
        moves = {keys.Key_Left: -1, keys.Key_Right: 1}
        changes = {keys.Key_Up: 1, keys.Key_Down: -1}
        if not self._values:
            event.ignore()
        elif key in moves:
            last = len(self._values) - 1
            self._current = min(max(0, self._current + moves[Qt.Key(key)]), last)
            self._point(self._current)
            self.update()
        elif key in changes:
            step = changes[Qt.Key(key)] * (self.high - self.low) / 50
            self._set(self._current, self._values[self._current] + step)
        elif key in (keys.Key_0, keys.Key_Delete, keys.Key_Backspace):
            self._set(self._current, 0.0)
        else:
            event.ignore()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Take the height that the rows need."""
        self.setMinimumHeight(self.heightForWidth(self.width()))
        super().resizeEvent(event)

    def _index_at(self, place: QPoint) -> int | None:
        column = min(max(0, (place.x() - 2) // self._pitch()), self.columns() - 1)
        row = max(0, (place.y() - 2) // (ROW + ROW_GAP))
        index = row * self.columns() + column
        return index if index < len(self._values) else None

    def _paint_at(self, place: QPoint) -> None:
        index = self._index_at(place)
        if index is None:
            return
        cell = self.cell(index)
        share = (cell.bottom() + 1 - place.y()) / cell.height()
        self._current = index
        self._set(index, self.low + share * (self.high - self.low))

    def _set(self, index: int, value: float) -> None:
        self._values[index] = round(min(max(value, self.low), self.high), 4)
        self._point(index)
        self.update()
        self.edited.emit(self.values())

    def _point(self, index: int | None) -> None:
        text = ""
        if index is not None:
            text = f"{self._first + index}: {number_text(round(self._values[index], 2))}"
        self.pointed.emit(text)


class VectorScroll(QScrollArea):
    """The bars in as many rows as they need, scrolled when those are more than a few."""

    def __init__(self, bars: VectorBars) -> None:
        super().__init__()
        self._bars = bars
        self.setWidget(bars)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Be as high as the rows, up to a limit."""
        super().resizeEvent(event)
        self.setFixedHeight(min(MOST_HEIGHT, self._bars.heightForWidth(self.viewport().width())))
