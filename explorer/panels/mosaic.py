"""Where the tiles of a mosaic stand so that they fill a panel, and the picture made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from explorer.panels.plotting import cv2
from explorer.views import GAP, Rendered

TILE_GAP = 2  # screen px between tiles
LABEL_ROW = 16  # screen px above each tile, for its index
LABEL_FROM, MAXIMUM_FROM, HOVER_FROM = 48, 96, 24  # tile sides (screen px) for what is written


@dataclass(frozen=True, slots=True)
class Layout:
    """A grid of ``count`` tiles; one mosaic pixel is one screen pixel.

    Attributes:
        tile: (height, width) of one tile in map pixels.
        drawn: (height, width) of one tile in mosaic pixels.
        gap: mosaic pixels right of and below each tile. ``label``: mosaic pixels above it.
    """

    count: int
    columns: int
    tile: tuple[int, int]
    drawn: tuple[int, int]
    gap: int = TILE_GAP
    label: int = 0

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.count // self.columns)

    @property
    def cell(self) -> tuple[int, int]:
        """(height, width) from one tile to the next."""
        height, width = self.drawn
        return height + self.gap + self.label, width + self.gap

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the mosaic, without the last gap."""
        height, width = self.cell
        return self.rows * height - self.gap, self.columns * width - self.gap

    @property
    def side(self) -> int:
        """Shorter side of a tile."""
        return min(self.drawn)

    @property
    def shrunk(self) -> float:
        """Map pixels that share one mosaic pixel along an axis; below 1 where maps are enlarged."""
        return self.tile[1] / self.drawn[1]

    def corners(self, position: int) -> tuple[int, int, int, int]:
        """(x1, y1, x2, y2) of the tile at ``position``, without gap and label."""
        row, column = divmod(position, self.columns)
        cell_h, cell_w = self.cell
        x, y = column * cell_w, row * cell_h + self.label
        return x, y, x + self.drawn[1], y + self.drawn[0]

    def locate(self, x: float, y: float) -> tuple[int, float, float] | None:
        """Tile under a mosaic position: ``(position, x, y)`` in continuous map pixels, or None."""
        cell_h, cell_w = self.cell
        column, row = int(x // cell_w), int(y // cell_h)
        position = row * self.columns + column
        if not (0 <= column < self.columns and row >= 0 and position < self.count):
            return None
        inside_x = (x - column * cell_w) * self.tile[1] / self.drawn[1]
        inside_y = (y - row * cell_h - self.label) * self.tile[0] / self.drawn[0]
        if not (0 <= inside_x < self.tile[1] and 0 <= inside_y < self.tile[0]):
            return None
        return position, inside_x, inside_y

    def denser(self, times: int) -> Layout:
        """The same grid with ``times`` as many mosaic pixels along each axis."""
        drawn = (self.drawn[0] * times, self.drawn[1] * times)
        return replace(self, drawn=drawn, gap=self.gap * times, label=self.label * times)


@lru_cache(maxsize=64)
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
    best = int(np.argmax(snapped + 1e-6 * ideal))
    scale = float(snapped[best])
    drawn = (max(1, int(tile_h * scale + 1e-6)), max(1, int(tile_w * scale + 1e-6)))
    return Layout(count, int(columns[best]), tile, drawn, gap, label)


def tiles_of(rendered: Rendered) -> npt.NDArray[np.uint8]:
    """The tiles (N, h, w) of a rendered mosaic, in its order."""
    height, width = rendered.tile
    cell_h, cell_w = height + rendered.gap, width + rendered.gap
    rows = -(-len(rendered.order) // rendered.columns)
    full = _padded(rendered.index, rows * cell_h, rendered.columns * cell_w)
    grid = full.reshape(rows, cell_h, rendered.columns, cell_w)[:, :height, :, :width]
    return grid.swapaxes(1, 2).reshape(-1, height, width)[: len(rendered.order)]


def arrange(
    tiles: npt.NDArray[np.uint8], layout: Layout, fill: int = GAP, *, average: bool = True
) -> npt.NDArray[np.uint8]:
    """Place tiles (N, h, w) or (N, h, w, 3) as ``layout`` says; what is no tile is ``fill``.

    Smaller tiles are averages of map pixels, or with ``average`` False single ones (indices that
    are no numbers, such as 254, must not be averaged).
    """
    tiles = resized(tiles, layout.drawn, average=average)
    cell_h, cell_w = layout.cell
    canvas = np.full(
        (layout.rows, cell_h, layout.columns, cell_w, *tiles.shape[3:]), fill, np.uint8
    )
    top, (height, width) = layout.label, tiles.shape[1:3]
    whole = len(tiles) // layout.columns
    inside = canvas[:, top : top + height, :, :width]
    if whole:
        block = tiles[: whole * layout.columns]
        inside[:whole] = block.reshape(whole, layout.columns, *tiles.shape[1:]).swapaxes(1, 2)
    if rest := len(tiles) - whole * layout.columns:
        inside[whole, :, :rest] = tiles[whole * layout.columns :].swapaxes(0, 1)
    flat = canvas.reshape(layout.rows * cell_h, layout.columns * cell_w, *tiles.shape[3:])
    return flat[: layout.size[0], : layout.size[1]]


def resized(
    tiles: npt.NDArray[np.uint8], size: tuple[int, int], *, average: bool = True
) -> npt.NDArray[np.uint8]:
    """Tiles (N, h, w, ...) at ``size`` = (height, width): averaged when smaller, else repeated.

    All tiles are resized as one tall picture: whole tiles go to whole tiles, so none leaks into
    its neighbour.
    """
    count, height, width = tiles.shape[:3]
    if (height, width) == size:
        return tiles
    tall = np.ascontiguousarray(tiles).reshape(count * height, width, *tiles.shape[3:])
    smaller = average and size[0] <= height and size[1] <= width
    # Below a factor of two a pixel lies between two of its own tile, and linear is three times
    # as quick as the mean over an area.
    near = 2 * size[0] > height and 2 * size[1] > width
    way = (cv2.INTER_LINEAR if near else cv2.INTER_AREA) if smaller else cv2.INTER_NEAREST
    made = cv2.resize(tall, (size[1], count * size[0]), interpolation=way)
    return np.asarray(made, np.uint8).reshape(count, *size, *tiles.shape[3:])


def _padded(index: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """``index`` with gaps added below and right when it comes without the last ones."""
    if index.shape == (height, width):
        return index
    full = np.full((height, width), GAP, np.uint8)
    full[: index.shape[0], : index.shape[1]] = index[:height, :width]
    return full
