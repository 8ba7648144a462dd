"""Reference boxes: anchors of the R-CNN line and default boxes (priors) of SSD.

In pixels of the network's input, one after the other: levels, then cells row by row, then the
shapes of a cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from engines.nn.detection.boxes import from_centres

Size = tuple[int, int]  # height, width


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """Anchors (len(ratios) * len(sizes), 4) around the origin, rounded to whole pixels.

    Args:
        sizes: square roots of the areas. ratios: height over width; they vary slowest.
    """
    side = torch.as_tensor(sizes, dtype=torch.float32)
    tall = torch.as_tensor(ratios, dtype=torch.float32).sqrt()
    heights = (tall[:, None] * side).flatten()
    widths = (1 / tall[:, None] * side).flatten()
    return (torch.stack([-widths, -heights, widths, heights], 1) / 2).round()


def caffe_anchors(
    base: int = 16, ratios: Sequence[float] = (0.5, 1, 2), scales: Sequence[float] = (8, 16, 32)
) -> Tensor:
    """The nine anchors (9, 4) of Faster R-CNN as first published, around the window 0..base - 1.

    Ends are inclusive: the width is ``x2 - x1 + 1``. Ratios vary slowest.
    """
    centre = (base - 1) / 2
    rows = []
    for ratio in ratios:
        width = round(math.sqrt(base * base / ratio))
        height = round(width * ratio)
        for scale in scales:
            x, y = (width * scale - 1) / 2, (height * scale - 1) / 2
            rows.append((centre - x, centre - y, centre + x, centre + y))
    return torch.tensor(rows)


class AnchorGrid:
    """Anchors of every cell of every level; a cell's anchors are centred on its upper left corner.

    Lin et al., "Feature Pyramid Networks", 2017, as torchvision's ``AnchorGenerator`` has it.

    Args:
        sizes, ratios: a tuple of each for every level.
    """

    def __init__(self, sizes: Sequence[Sequence[float]], ratios: Sequence[Sequence[float]]) -> None:
        self.sizes = tuple(tuple(line) for line in sizes)
        self.ratios = tuple(tuple(line) for line in ratios)
        self.cells = tuple(
            cell_anchors(line, row) for line, row in zip(self.sizes, self.ratios, strict=True)
        )

    @property
    def per_cell(self) -> tuple[int, ...]:
        """Anchors of a cell of every level."""
        return tuple(len(cell) for cell in self.cells)

    def levels(self, image: Size, grids: Sequence[Size]) -> list[Tensor]:
        """Anchors (h, w, A, 4) of every level.

        Args:
            image: (height, width) of the network's input, padding included.
            grids: (height, width) of the maps; there is one for each level.
        """
        return [
            torch.cat(
                [corners + cell[:, :2], corners + cell[:, 2:]], -1
            )
            for cell, grid in zip(self.cells, grids, strict=True)
            for corners in [_corners(image, grid)]
        ]  # fmt: skip

    def __call__(self, image: Size, grids: Sequence[Size]) -> Tensor:
        """All anchors (A, 4)."""
        return torch.cat([level.reshape(-1, 4) for level in self.levels(image, grids)])


def _corners(image: Size, grid: Size) -> Tensor:
    """Upper left corners x, y (h, w, 1, 2) of the cells; the stride is a whole number of pixels."""
    down, right = (image[k] // grid[k] for k in (0, 1))
    y, x = torch.meshgrid(
        torch.arange(grid[0]) * down, torch.arange(grid[1]) * right, indexing="ij"
    )
    return torch.stack([x, y], -1)[:, :, None].float()


class PriorGrid:
    """Default boxes of SSD, centred in the cells: Liu et al., "SSD", 2016, section 2.2.

    Args:
        shapes: (width, height) of every shape of a cell, for every map, as shares of the input.
        steps: pixels from cell to cell of every map; None: the input's side by the cells.
        clip: cut widths and heights at the size of the input.
    """

    def __init__(
        self,
        shapes: Sequence[Sequence[tuple[float, float]]],
        steps: Sequence[float] | None = None,
        *,
        clip: bool = True,
    ) -> None:
        if steps is not None and len(steps) != len(shapes):
            raise ValueError(f"{len(steps)} steps for {len(shapes)} maps")
        self.shapes = tuple(tuple(pairs) for pairs in shapes)
        self.steps = None if steps is None else tuple(steps)
        self.clip = clip

    @classmethod
    def scaled(
        cls,
        ratios: Sequence[Sequence[float]],
        scales: Sequence[float],
        steps: Sequence[float] | None = None,
        *,
        clip: bool = True,
    ) -> PriorGrid:
        """By scale, as torchvision's ``DefaultBoxGenerator`` has it.

        Args:
            ratios: of every map; each gives a wide and a high shape beside the two squares.
            scales: of every map and one more, for the second square of the last map.
        """
        if len(scales) != len(ratios) + 1:
            raise ValueError(f"{len(scales)} scales for {len(ratios)} maps; need one more")
        shapes = [
            _shapes(low, math.sqrt(low * high), row)
            for (low, high), row in zip(pairwise(scales), ratios, strict=True)
        ]
        return cls(shapes, steps, clip=clip)

    @classmethod
    def voc(cls, side: int = 300) -> PriorGrid:
        """The sizes of the published VOC models of 300 or 512 px; nothing is clipped.

        Raises:
            ValueError: for another side.
        """
        if side not in _VOC:
            raise ValueError(f"no VOC sizes for {side} px; there are {', '.join(map(str, _VOC))}")
        sizes, steps, rich = _VOC[side]
        ratios = [(2.0, 3.0) if k in rich else (2.0,) for k in range(len(steps))]
        shares = [size / side for size in sizes]
        return cls.scaled(ratios, shares, steps, clip=False)

    @property
    def per_cell(self) -> tuple[int, ...]:
        """Default boxes of a cell of every map."""
        return tuple(len(pairs) for pairs in self.shapes)

    def levels(self, image: Size, grids: Sequence[Size]) -> list[Tensor]:
        """Default boxes (h, w, A, 4) of every map.

        Args:
            image: (height, width) of the network's input. grids: (height, width) of the maps.
        """
        steps = self.steps or (None,) * len(self.shapes)
        return [
            self._level(pairs, image, grid, step)
            for pairs, grid, step in zip(self.shapes, grids, steps, strict=True)
        ]

    def __call__(self, image: Size, grids: Sequence[Size]) -> Tensor:
        """All default boxes (P, 4)."""
        return torch.cat([level.reshape(-1, 4) for level in self.levels(image, grids)])

    def _level(
        self, pairs: Sequence[tuple[float, float]], image: Size, grid: Size, step: float | None
    ) -> Tensor:
        height, width = image
        rows, columns = grid if step is None else (height / step, width / step)
        y = (torch.arange(grid[0]) + 0.5) / rows
        x = (torch.arange(grid[1]) + 0.5) / columns
        y, x = torch.meshgrid(y, x, indexing="ij")
        sides = torch.tensor(pairs)
        if self.clip:
            sides = sides.clamp(0, 1)
        centres = torch.stack([x, y], -1)[:, :, None].expand(-1, -1, len(pairs), -1)
        boxes = from_centres(torch.cat([centres, sides.expand(*grid, -1, -1)], -1))
        return boxes * torch.tensor([width, height, width, height])


def _shapes(scale: float, middle: float, ratios: Sequence[float]) -> list[tuple[float, float]]:
    """Two squares, and a wide and a high shape of the first one's area for every ratio."""
    shapes = [(scale, scale), (middle, middle)]
    for ratio in ratios:
        wide, high = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        shapes += [(wide, high), (high, wide)]
    return shapes


# Sizes in px (one more than maps), steps, and which maps have the ratio 3 too.
_VOC: dict[int, tuple[tuple[float, ...], tuple[float, ...], tuple[int, ...]]] = {
    300: ((30, 60, 111, 162, 213, 264, 315), (8, 16, 32, 64, 100, 300), (1, 2, 3)),
    512: (
        (35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.6),
        (8, 16, 32, 64, 128, 256, 512),
        (1, 2, 3, 4),
    ),
}
