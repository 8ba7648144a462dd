"""Where the matrices of one artefact stand in a panel, and which labels fit beside their cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QFontMetrics

TITLE, GAP, PAD = 18, 8, 4  # px: line above a tile, between tiles, around all
LABEL_ROW, LABEL_WIDE, LABEL_TALL = 14, 150, 110  # px: least pitch, most room at the left, on top
LEAST_WIDE = 110  # px: narrower tiles have no labels
SHORT = 34  # px: shorter labels stay level, and less room than this holds no label on end
LEAST_TALL = (36, 80)  # px: lower tiles have none at the left, and none on top
STRETCH = 6  # a matrix longer than this many times its width is stretched to fill the room


@dataclass(frozen=True, slots=True)
class Layout:
    """Tiles in a grid.

    Attributes:
        tiles: outer rectangle of each matrix's cells, px, all of the same size.
        cell: width and height of one cell, px.
        window: the part of the matrix that is shown, in cells: x columns, y rows.
        row_stride, column_stride: every how many a label is drawn; 0 draws none.
        upright: column labels stand on end.
        left, top: px kept free for labels beside each tile.
    """

    tiles: tuple[QRectF, ...]
    cell: tuple[float, float]
    window: QRectF
    row_stride: int = 0
    column_stride: int = 0
    upright: bool = False
    left: float = 0.0
    top: float = 0.0

    def to_screen(self, tile: int, column: float, row: float) -> QPointF:
        """Screen position of a place in a matrix."""
        box = self.tiles[tile]
        return QPointF(
            box.left() + (column - self.window.left()) * self.cell[0],
            box.top() + (row - self.window.top()) * self.cell[1],
        )

    def to_cells(self, tile: int, at: QPointF) -> tuple[float, float]:
        """(column, row) of a screen position, continuous."""
        box = self.tiles[tile]
        return (
            self.window.left() + (at.x() - box.left()) / self.cell[0],
            self.window.top() + (at.y() - box.top()) / self.cell[1],
        )

    def tile_at(self, at: QPointF) -> int:
        """The tile under a screen position; -1 is none."""
        return next((i for i, box in enumerate(self.tiles) if box.contains(at)), -1)


def stride(pitch: float, wanted: float) -> int:
    """1, 2, 5, 10, 20 ...: the least that puts labels ``wanted`` px apart, cells ``pitch`` px."""
    step = 1
    while step * pitch < wanted and step < 10**6:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    return step


def lay_out(
    size: tuple[int, int], shape: tuple[int, int], window: QRectF, count: int, *,
    columns: int = 0, rows: Sequence[str] = (), heads: Sequence[str] = (), metrics: QFontMetrics,
) -> Layout:  # fmt: skip
    """Fit ``count`` matrices of ``shape`` (R, C) into ``size`` (width, height) px.

    Args:
        window: part of the matrix to show, in cells.
        columns: tiles in a row; 0 chooses what makes them largest.
        rows, heads: labels of the rows and columns of the matrix; indices where empty.
        metrics: of the face that labels are written in.
    """
    room = (max(1.0, size[0] - 2.0 * PAD), max(1.0, size[1] - 2.0 * PAD))
    wide, tall = max(window.width(), 1e-6), max(window.height(), 1e-6)
    title = TITLE if count > 1 else 0
    labels = _label_room(shape, rows, heads, metrics)
    choices = [columns] if columns else range(1, count + 1)
    tried = [_fit(room, (wide, tall), (n, -(-count // n)), title, labels, bool(heads))
             for n in choices]  # fmt: skip
    columns, (left, top, upright, cell) = max(
        zip(choices, tried, strict=True), key=lambda fit: fit[1][3][0] * fit[1][3][1]
    )
    lines = -(-count // columns)
    tile_w, tile_h = cell[0] * wide, cell[1] * tall
    # What is left over stands outside, so that the tiles stay together.
    pitch_x, pitch_y = left + tile_w + GAP, title + top + tile_h + GAP
    x0 = PAD + max(0.0, (room[0] - pitch_x * columns + GAP) / 2)
    y0 = PAD + max(0.0, (room[1] - pitch_y * lines + GAP) / 2)
    tiles = tuple(
        QRectF(
            x0 + (i % columns) * pitch_x + left,
            y0 + (i // columns) * pitch_y + title + top,
            tile_w,
            tile_h,
        )
        for i in range(count)
    )
    across = LABEL_ROW if upright else labels[1]
    return Layout(
        tiles, cell, window, stride(cell[1], LABEL_ROW) if left else 0,
        stride(cell[0], across) if top else 0, upright, left, top,
    )  # fmt: skip


def _fit(
    room: tuple[float, float], window: tuple[float, float], grid: tuple[int, int], title: int,
    labels: tuple[float, float], named: bool,
) -> tuple[float, float, bool, tuple[float, float]]:  # fmt: skip
    """Room for labels at the left and on top, whether these stand upright, and the cell's size."""
    wide = (room[0] - GAP * (grid[0] - 1)) / grid[0]
    tall = (room[1] - GAP * (grid[1] - 1)) / grid[1] - title
    if wide < LEAST_WIDE or tall < LEAST_TALL[0]:
        return 0.0, 0.0, False, _cell(wide, tall, *window)
    left = min(labels[0], LABEL_WIDE, 0.3 * wide)
    top = LABEL_ROW + 2.0 if tall >= LEAST_TALL[1] else 0.0
    cell = _cell(wide - left, tall - top, *window)
    upright = bool(top) and named and labels[1] > max(cell[0], SHORT)
    if upright:
        top = min(labels[1], LABEL_TALL, 0.3 * tall)
        top = top if top >= min(SHORT, labels[1]) else 0.0
        cell = _cell(wide - left, tall - top, *window)
    return left, top, upright, cell


def _cell(width: float, height: float, columns: float, rows: float) -> tuple[float, float]:
    """Size of a cell: square, but a thin strip is stretched until it is a band."""
    width, height = max(width, 1.0), max(height, 1.0)
    if columns > STRETCH * rows:
        return width / columns, min(height, width / STRETCH) / rows
    if rows > STRETCH * columns:
        return min(width, height / STRETCH) / columns, height / rows
    side = min(width / columns, height / rows)
    return side, side


def _label_room(
    shape: tuple[int, int], rows: Sequence[str], heads: Sequence[str], metrics: QFontMetrics
) -> tuple[float, float]:
    """Width of the widest row label and of the widest column label, px."""
    names = rows or (str(max(0, shape[0] - 1)),)
    tops = heads or (str(max(0, shape[1] - 1)),)
    longest = [max((metrics.horizontalAdvance(n) for n in group[:256]), default=0) for group in
               (names, tops)]  # fmt: skip
    return longest[0] + 8.0, longest[1] + 8.0
