"""Where the tiles of a mosaic stand so that they fill a panel, and the picture made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explorer.views import GAP, Rendered

TILE_GAP = 2  # screen px between tiles
LABEL_ROW = 16  # screen px above each tile, for its index
LABEL_FROM, MAXIMUM_FROM, HOVER_FROM = 48, 96, 24  # tile sides (screen px) for what is written


@dataclass(frozen=True, slots=True)
class Layout:
    """A grid of ``count`` tiles.

    Attributes:
        tile: (height, width) of one tile in map pixels.
        scale: screen pixels of one mosaic pixel.
        grow: a map pixel is drawn as ``grow`` x ``grow`` mosaic pixels.
        gap: mosaic pixels right of and below each tile. ``label``: mosaic pixels above it.
    """

    count: int
    columns: int
    tile: tuple[int, int]
    scale: float
    grow: int = 1
    gap: int = 1
    label: int = 0

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.count // self.columns)

    @property
    def cell(self) -> tuple[int, int]:
        """(height, width) from one tile to the next, in mosaic pixels."""
        height, width = self.tile
        return height * self.grow + self.gap + self.label, width * self.grow + self.gap

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the mosaic in its pixels, without the last gap."""
        height, width = self.cell
        return self.rows * height - self.gap, self.columns * width - self.gap

    @property
    def side(self) -> float:
        """Shorter side of a tile on the screen, px."""
        return min(self.tile) * self.grow * self.scale

    def corners(self, position: int) -> tuple[int, int, int, int]:
        """(x1, y1, x2, y2) of the tile at ``position`` in mosaic pixels, without gap and label."""
        row, column = divmod(position, self.columns)
        cell_h, cell_w = self.cell
        x, y = column * cell_w, row * cell_h + self.label
        return x, y, x + self.tile[1] * self.grow, y + self.tile[0] * self.grow

    def locate(self, x: float, y: float) -> tuple[int, float, float] | None:
        """Tile under a mosaic position: ``(position, x, y)`` in continuous map pixels, or None."""
        cell_h, cell_w = self.cell
        column, row = int(x // cell_w), int(y // cell_h)
        position = row * self.columns + column
        if not (0 <= column < self.columns and row >= 0 and position < self.count):
            return None
        inside_x = (x - column * cell_w) / self.grow
        inside_y = (y - row * cell_h - self.label) / self.grow
        if not (0 <= inside_x < self.tile[1] and 0 <= inside_y < self.tile[0]):
            return None
        return position, inside_x, inside_y


def plan(count: int, tile: tuple[int, int], width: float, height: float) -> Layout:
    """The layout that makes ``count`` tiles of ``tile`` = (height, width) largest in a panel.

    Sides of tiles are whole screen pixels; from twice the map's size up they are whole multiples
    of it. Where tiles are large enough to be labelled, room for the label is kept above each.
    """
    bare = _fit(count, tile, width, height, label=0)
    if count == 1 or bare.side < LABEL_FROM:
        return bare
    labelled = _fit(count, tile, width, height, label=LABEL_ROW)
    return labelled if labelled.side >= LABEL_FROM else bare


def _fit(count: int, tile: tuple[int, int], width: float, height: float, *, label: int) -> Layout:
    tile_h, tile_w = tile
    columns = np.arange(1, count + 1)
    rows = -(-count // columns)
    gap = TILE_GAP if count > 1 else 0
    across = (max(width, 8) + gap) / columns - gap
    down = (max(height, 8) + gap) / rows - gap - label
    ideal = np.minimum(across / tile_w, down / tile_h)
    snapped = np.where(ideal >= 2, np.floor(ideal), np.floor(ideal * tile_w) / tile_w)
    snapped = np.where((snapped <= 0) | (count == 1), ideal, snapped)
    best = int(np.argmax(snapped + 1e-6 * ideal))
    return _drawn(count, int(columns[best]), tile, max(float(snapped[best]), 1e-3), label)


def _drawn(count: int, columns: int, tile: tuple[int, int], scale: float, label: int) -> Layout:
    """Sizes in mosaic pixels instead of screen pixels; small maps are grown to keep gaps thin."""
    grow = int(scale) if count > 1 and scale >= 5 else 1
    scale /= grow
    gap = max(1, round(TILE_GAP / scale)) if count > 1 else 0
    return Layout(count, columns, tile, scale, grow, gap, -int(-label // scale))


def tiles_of(rendered: Rendered) -> npt.NDArray[np.uint8]:
    """The tiles (N, h, w) of a rendered mosaic, in its order."""
    height, width = rendered.tile
    cell_h, cell_w = height + rendered.gap, width + rendered.gap
    rows = -(-len(rendered.order) // rendered.columns)
    full = _padded(rendered.index, rows * cell_h, rendered.columns * cell_w)
    grid = full.reshape(rows, cell_h, rendered.columns, cell_w)[:, :height, :, :width]
    return grid.swapaxes(1, 2).reshape(-1, height, width)[: len(rendered.order)]


def arrange(tiles: npt.NDArray[np.uint8], layout: Layout, fill: int = GAP) -> npt.NDArray[np.uint8]:
    """Place tiles (N, h, w) or (N, h, w, 3) as ``layout`` says; what is no tile is ``fill``."""
    cell_h, cell_w = layout.cell
    colour = tiles.shape[3:]
    canvas = np.full((layout.rows, cell_h, layout.columns, cell_w, *colour), fill, np.uint8)
    if layout.grow > 1:
        tiles = tiles.repeat(layout.grow, 1).repeat(layout.grow, 2)
    top, (height, width) = layout.label, tiles.shape[1:3]
    whole = len(tiles) // layout.columns
    inside = canvas[:, top : top + height, :, :width]
    if whole:
        block = tiles[: whole * layout.columns]
        inside[:whole] = block.reshape(whole, layout.columns, *tiles.shape[1:]).swapaxes(1, 2)
    if rest := len(tiles) - whole * layout.columns:
        inside[whole, :, :rest] = tiles[whole * layout.columns :].swapaxes(0, 1)
    flat = canvas.reshape(layout.rows * cell_h, layout.columns * cell_w, *colour)
    return flat[: layout.size[0], : layout.size[1]]


def picture_of(rendered: Rendered, layout: Layout) -> npt.NDArray[np.uint8]:
    """The index picture for ``layout``; the rendered one itself where it already stands so."""
    same = (
        rendered.columns == layout.columns
        and rendered.gap == layout.gap
        and layout.grow == 1
        and layout.label == 0
    )
    if same:
        return rendered.index[: layout.size[0], : layout.size[1]]
    return arrange(tiles_of(rendered), layout)


def _padded(index: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """``index`` with gaps added below and right when it comes without the last ones."""
    if index.shape == (height, width):
        return index
    full = np.full((height, width), GAP, np.uint8)
    full[: index.shape[0], : index.shape[1]] = index[:height, :width]
    return full
