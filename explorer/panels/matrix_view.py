"""MatrixView: one or many matrices of the same shape as pictures, with labels, zoom and a probe.

Each paint quantises only what is seen, at the size at which it is seen: a matrix larger than its
place is averaged down before it is coloured, one that is zoomed into is cut to the window first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer import colours
from explorer.kinds import Array
from explorer.panels.matrix_layout import TITLE, Layout, lay_out
from explorer.panels.overlays import chip, ink_on
from explorer.panels.pixels import Canvas, Words, words_of
from explorer.panels.plotting import cv2
from explorer.panels.theme import DARK, Theme, font
from explorer.panels.wording import MINUS, number_text

VALUES_FROM = (36.0, 16.0)  # px of a cell from which its value is written in it
AVERAGE_BELOW = 0.75  # px of a cell below which neighbours are averaged
Cell = tuple[int, int, int]  # tile, row, column


@dataclass(frozen=True, slots=True)
class Content:
    """What is drawn: planes (R, C) with a long and a short title each, labels, range, table."""

    planes: Sequence[Array] = ()
    titles: Sequence[tuple[str, str]] = ()
    rows: Sequence[str] = ()
    heads: Sequence[str] = ()
    low: float = 0.0
    high: float = 1.0
    table: npt.NDArray[np.uint8] | None = None
    columns: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of every plane."""
        return self.planes[0].shape if self.planes else (0, 0)


class MatrixView(QWidget):
    """The wheel zooms all matrices to the same cells, a drag moves them, a double click shows all.

    Signals:
        hovered: (tile, row, column) under the mouse, None when there is none.
        clicked: (tile, row, column).
        scaled: the size of a cell may have changed.
    """

    hovered = Signal(object)
    clicked = Signal(object)
    scaled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.content = Content()
        self.cell: Cell | None = None
        self.window_cells: QRectF | None = None  # None shows all
        self._pressed: QPointF | None = None
        self._dragged: tuple[QPointF, QRectF] | None = None
        self._words: Words = np.zeros(256, np.uint32)
        self._canvas = Canvas()
        self._laid: tuple[object, Layout] | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(60, 48)

    def show_content(self, content: Content) -> None:
        """Show these planes; the zoom stays while the shape does."""
        if content.shape != self.content.shape:
            self.window_cells = self.cell = None
        if content.table is not None and content.table is not self.content.table:
            self._words = words_of(content.table)
        self.content = content
        if self.cell is not None and self.cell[0] >= len(content.planes):
            self.cell = None
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.theme = theme
        self.update()

    def reset_zoom(self) -> None:
        """Show all cells."""
        self.window_cells = None
        self.scaled.emit()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cells have another size."""
        super().resizeEvent(event)
        self.scaled.emit()

    def sizeHint(self) -> QSize:
        """Square-ish."""
        return QSize(240, 200)

    def layout_now(self) -> Layout:
        """Where everything is at the present size and zoom."""
        content = self.content
        rows, columns = content.shape
        window = self.window_cells or QRectF(0, 0, columns, rows)
        key = (self.size().toTuple(), content.shape, window.getRect(), len(content.planes),
               content.columns, tuple(content.rows), tuple(content.heads))  # fmt: skip
        if self._laid is None or self._laid[0] != key:  # asked for several times a frame
            self._laid = key, lay_out(
                (self.width(), self.height()), (rows, columns), window, len(content.planes),
                columns=content.columns, rows=content.rows, heads=content.heads,
                metrics=QFontMetrics(font("caption")),
            )  # fmt: skip
        return self._laid[1]

    def cell_at(self, at: QPointF) -> Cell | None:
        """The cell at a place of the widget."""
        if not self._drawable():
            return None
        layout = self.layout_now()
        tile = layout.tile_at(at)
        if tile < 0:
            return None
        column, row = layout.to_cells(tile, at)
        rows, columns = self.content.shape
        return tile, min(int(row), rows - 1), min(int(column), columns - 1)

    def _drawable(self) -> bool:
        return bool(self.content.planes) and 0 not in self.content.shape

    # -- drawing -------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Ground, pictures, values, labels, the cell under the mouse."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.theme.colour("canvas"))
        painter.setFont(font("caption"))
        if not self._drawable():
            painter.setFont(font("body"))
            painter.setPen(self.theme.colour("muted"))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No cells")
            painter.end()
            return
        layout = self.layout_now()
        for tile in range(len(self.content.planes)):
            self._draw_plane(painter, layout, tile)
            self._draw_labels(painter, layout, tile)
        if self.cell is not None:
            self._draw_cell(painter, layout, self.cell)
        if self.hasFocus():
            painter.setPen(QPen(self.theme.colour("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))
        painter.end()

    def _draw_plane(self, painter: QPainter, layout: Layout, tile: int) -> None:
        index, (row, column), step = self._picture(layout, tile)
        height, width = index.shape
        image = self._canvas.of_indices(index, self._words)
        target = QRectF(
            layout.to_screen(tile, column, row),
            layout.to_screen(tile, column + width * step[0], row + height * step[1]),
        )
        box = layout.tiles[tile]
        painter.save()
        painter.setClipRect(box)
        painter.drawImage(target, image)
        if layout.cell[0] >= VALUES_FROM[0] and layout.cell[1] >= VALUES_FROM[1]:
            self._draw_values(painter, layout, tile, index, (row, column))
        painter.restore()
        painter.setPen(self.theme.colour("hairline"))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))

    def _picture(
        self, layout: Layout, tile: int
    ) -> tuple[npt.NDArray[np.uint8], tuple[int, int], tuple[float, float]]:
        """Indices of the visible cells, the first (row, column), and cells a pixel (x, y)."""
        window, (rows, columns) = layout.window, self.content.shape
        row, column = max(0, int(window.top())), max(0, int(window.left()))
        last_row = min(rows, int(np.ceil(window.bottom())))
        last_column = min(columns, int(np.ceil(window.right())))
        part = self.content.planes[tile][row:last_row, column:last_column]
        height, width = part.shape
        shown = self._size_shown((height, width), layout.cell)
        if shown != (width, height):
            part = averaged(part, shown)
        index = colours.index_of(part, self.content.low, self.content.high)
        step = width / index.shape[1], height / index.shape[0]
        return np.ascontiguousarray(index), (row, column), step

    def _size_shown(self, part: tuple[int, int], cell: tuple[float, float]) -> tuple[int, int]:
        """Width and height in values of a part (rows, columns) as it is drawn."""
        ratio = self.devicePixelRatioF()
        height, width = part
        if min(cell) * ratio >= AVERAGE_BELOW:
            return width, height
        return (
            min(width, max(1, round(width * cell[0] * ratio))),
            min(height, max(1, round(height * cell[1] * ratio))),
        )

    def averaging(self) -> float:
        """Cells along an axis that share one drawn value now; 1 where each is drawn."""
        if not self._drawable():
            return 1.0
        layout = self.layout_now()
        part = (max(1, round(layout.window.height())), max(1, round(layout.window.width())))
        width, height = self._size_shown(part, layout.cell)
        return max(part[1] / width, part[0] / height)

    def _draw_values(
        self, painter: QPainter, layout: Layout, tile: int, index: npt.NDArray[np.uint8],
        first: tuple[int, int],
    ) -> None:  # fmt: skip
        plane = self.content.planes[tile]
        metrics = QFontMetrics(font("caption"))
        places = next(
            (p for p in (3, 2, 1, 0) if self._widest(metrics, p) <= layout.cell[0] - 4), 0
        )
        for (y, x), entry in np.ndenumerate(index):
            row, column = first[0] + y, first[1] + x
            at = layout.to_screen(tile, column, row)
            box = QRectF(at, layout.to_screen(tile, column + 1, row + 1))
            value = float(plane[row, column])
            words = f"{value:.{places}f}".replace("-", MINUS)
            if not np.isfinite(value) or metrics.horizontalAdvance(words) > layout.cell[0]:
                words = number_text(value, 1)
            painter.setPen(ink_on(QColor(int(self._words[entry]))))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)

    def _widest(self, metrics: QFontMetrics, places: int) -> int:
        """Width of the longest number that the range holds, all with the same decimals."""
        ends = (
            f"{v:.{places}f}".replace("-", MINUS) for v in (self.content.low, self.content.high)
        )
        return max(metrics.horizontalAdvance(words) for words in ends)

    def _draw_labels(self, painter: QPainter, layout: Layout, tile: int) -> None:
        box, content = layout.tiles[tile], self.content
        metrics = QFontMetrics(font("caption"))
        if len(content.planes) > 1:
            title, short = content.titles[tile]
            if metrics.horizontalAdvance(title) > box.width() + layout.left:
                title = short
            if metrics.horizontalAdvance(title) > box.width() + layout.left + 4:
                title = ""
            painter.setPen(self.theme.colour("text"))
            line = QRectF(box.left() - layout.left, box.top() - layout.top - TITLE, 400, TITLE)
            painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, title)
        painter.setPen(self.theme.colour("text" if content.rows else "muted"))
        rows, columns = content.shape
        if layout.row_stride:
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            for row in range(0, rows, layout.row_stride):
                y = layout.to_screen(tile, 0, row + 0.5).y()
                if box.top() <= y <= box.bottom():
                    name = content.rows[row] if content.rows else str(row)
                    cut = metrics.elidedText(
                        name, Qt.TextElideMode.ElideMiddle, int(layout.left) - 6
                    )
                    painter.drawText(
                        QRectF(box.left() - layout.left, y - 8, layout.left - 5, 16), flags, cut
                    )
        painter.setPen(self.theme.colour("text" if content.heads else "muted"))
        if layout.column_stride:
            for column in range(0, columns, layout.column_stride):
                x = layout.to_screen(tile, column + 0.5, 0).x()
                if box.left() <= x <= box.right():
                    name = content.heads[column] if content.heads else str(column)
                    self._draw_head(painter, metrics, layout, QPointF(x, box.top()), name)

    def _draw_head(
        self, painter: QPainter, metrics: QFontMetrics, layout: Layout, at: QPointF, name: str
    ) -> None:
        if not layout.upright:
            line = QRectF(at.x() - 60, at.y() - 17, 120, 16)
            painter.drawText(line, Qt.AlignmentFlag.AlignCenter, name)
            return
        cut = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, int(layout.top) - 6)
        painter.save()
        painter.translate(at.x(), at.y() - 4)
        painter.rotate(-90)
        painter.drawText(QRectF(0, -8, layout.top, 16), Qt.AlignmentFlag.AlignVCenter, cut)
        painter.restore()

    def _draw_cell(self, painter: QPainter, layout: Layout, cell: Cell) -> None:
        """The cell in black and white on every matrix, its words beside the one under the mouse."""
        tile, row, column = cell
        for i, box in enumerate(layout.tiles):
            outline = QRectF(
                layout.to_screen(i, column, row), layout.to_screen(i, column + 1, row + 1)
            ).intersected(box)
            grow = max(0.0, 5 - outline.width()) / 2
            outline.adjust(-grow, -grow, grow, grow)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            for ink, more in (("black", 1.5), ("white", 0.5)):
                painter.setPen(QPen(QColor(ink), 1))
                painter.drawRect(outline.adjusted(-more, -more, more, more))
        words = self.words(cell)
        ground, ink_ = self.theme.colour("raised", 240), self.theme.colour("text")
        metrics = QFontMetrics(font("caption"))
        if metrics.horizontalAdvance(words) > self.width() - 12:
            words = words.rpartition(": ")[2]
        wide = metrics.horizontalAdvance(words) + 8
        at = layout.to_screen(tile, column + 1, row) + QPointF(8, -2)
        x = min(max(2.0, at.x()), max(2.0, self.width() - wide - 2))
        above = at.y() - 18 >= layout.tiles[tile].top()
        y = at.y() if above else layout.to_screen(tile, column, row + 1).y() + 20
        chip(painter, QPointF(x, min(y, self.height() - 2)), words, ink_, ground)

    def words(self, cell: Cell) -> str:
        """``row 'k', column '9': 0.123``."""
        tile, row, column = cell
        content = self.content
        down = f"'{content.rows[row]}'" if content.rows else str(row)
        across = f"'{content.heads[column]}'" if content.heads else str(column)
        value = number_text(float(content.planes[tile][row, column]), 4)
        return f"row {down}, column {across}: {value}"

    # -- events --------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag what is zoomed; else tell the cell."""
        if self._dragged is not None and self._pressed is not None:
            moved = event.position() - self._pressed
            if moved.manhattanLength() > 4:
                cell = self.layout_now().cell
                _, window = self._dragged
                self._show(window.translated(-moved.x() / cell[0], -moved.y() / cell[1]))
        self._choose(self.cell_at(event.position()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click or a drag begins."""
        if event.button() is Qt.MouseButton.LeftButton and self._drawable():
            self._pressed = event.position()
            self._dragged = self._pressed, self.layout_now().window

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click ends where it began."""
        pressed, self._pressed, self._dragged = self._pressed, None, None
        cell = self.cell_at(event.position())
        if pressed is None or cell is None:
            return
        if (event.position() - pressed).manhattanLength() <= 4:
            self.clicked.emit(cell)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show all again."""
        self.reset_zoom()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom about the mouse."""
        event.accept()
        if not self._drawable():
            return
        layout = self.layout_now()
        tile = max(0, layout.tile_at(event.position()))
        x, y = layout.to_cells(tile, event.position())
        factor = 1.15 ** (-event.angleDelta().y() / 120)
        old = layout.window
        self._show(QRectF(x + (old.left() - x) * factor, y + (old.top() - y) * factor,
                          old.width() * factor, old.height() * factor))  # fmt: skip
        self._choose(self.cell_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse is nowhere."""
        super().leaveEvent(event)
        self._choose(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows walk from cell to cell, Return picks one."""
        step = {
            Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1),
            Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
        }.get(Qt.Key(event.key()))  # fmt: skip
        if step is not None and self._drawable():
            tile, row, column = self.cell or (0, -step[0], -step[1])
            rows, columns = self.content.shape
            row, column = row + step[0], column + step[1]
            self._choose((tile, min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.cell is not None:
            self.clicked.emit(self.cell)
        else:
            super().keyPressEvent(event)

    def _show(self, window: QRectF) -> None:
        """Show this part, kept inside the matrix and not smaller than two cells."""
        rows, columns = self.content.shape
        width = min(max(window.width(), min(2.0, columns)), columns)
        height = min(max(window.height(), min(2.0, rows)), rows)
        left = min(max(window.left(), 0.0), columns - width)
        top = min(max(window.top(), 0.0), rows - height)
        whole = width >= columns and height >= rows
        self.window_cells = None if whole else QRectF(left, top, width, height)
        self.scaled.emit()
        self.update()

    def _choose(self, cell: Cell | None) -> None:
        if cell != self.cell:
            self.cell = cell
            self.update()
            self.hovered.emit(cell)


def averaged(plane: Array, size: tuple[int, int]) -> Array:
    """A plane (R, C) averaged down to ``size`` (columns, rows): halved, then fitted.

    An exact area average at any ratio takes ten times as long.
    """
    made: Array = np.ascontiguousarray(plane, np.float32)
    while min(made.shape) > 1 and made.shape[1] >= 2 * size[0] and made.shape[0] >= 2 * size[1]:
        rows, columns = made.shape[0] // 2, made.shape[1] // 2
        made = cv2.resize(
            made[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA
        )
    return cv2.resize(made, size, interpolation=cv2.INTER_LINEAR)
