"""Spatial pyramid pooling: a map of any size becomes a vector of one length.

He, Zhang, Ren, Sun, "Spatial Pyramid Pooling in Deep Convolutional Networks", 2014, section 2. For
each level n the map is covered by n x n bins, and the maximum of each bin is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.api import EngineError, Probe

RULES = ("torch", "paper")
Bin = tuple[int, int, int, int]  # x1, y1, x2, y2 in cells, the last two exclusive


def spans(extent: int, count: int, rule: str = "torch") -> list[tuple[int, int]]:
    """First and last cell (exclusive) of ``count`` bins along a side of ``extent`` cells.

    "torch": from ``floor(i a / n)`` to ``ceil((i + 1) a / n)``, so that every cell is in a bin.
    "paper": one window ``ceil(a / n)`` and one stride ``floor(a / n)``; where n does not divide a,
    cells at the end can be in no bin.

    Raises:
        ValueError: fewer cells than bins.
    """
    if extent < count:
        raise ValueError(f"{extent} cells are too few for {count} bins")
    if rule == "paper":
        window, stride = -(-extent // count), extent // count
        return [(i * stride, i * stride + window) for i in range(count)]
    return [(i * extent // count, -(-(i + 1) * extent // count)) for i in range(count)]


def bins(height: int, width: int, count: int, rule: str = "torch") -> list[Bin]:
    """The ``count`` x ``count`` bins of a map, row by row.

    Raises:
        ValueError: the map has fewer cells than bins on a side.
    """
    try:
        rows, columns = spans(height, count, rule), spans(width, count, rule)
    except ValueError as error:
        raise ValueError(
            f"a map of {width} × {height} cells is too small for {count} × {count} bins"
        ) from error
    return [(x1, y1, x2, y2) for y1, y2 in rows for x1, x2 in columns]


@dataclass(frozen=True, slots=True)
class Pooled:
    """Of maps (B, C, h, w): maxima (B, C, M) and their cells (B, C, M) as ``y * w + x``.

    Columns go level by level, each row by row; ``bins`` are the M bins, ``levels`` their levels.
    """

    values: Tensor
    cells: Tensor
    bins: tuple[Bin, ...]
    levels: tuple[int, ...]

    def vector(self) -> Tensor:
        """(B, C M), as the next layer takes it: level by level, in each channel by channel."""
        parts = [
            self.values[..., [i for i, at in enumerate(self.levels) if at == level]].flatten(1)
            for level in dict.fromkeys(self.levels)
        ]
        return torch.cat(parts, 1)


def pyramid(
    maps: Tensor, levels: Sequence[int], rule: str = "torch", region: Bin | None = None
) -> Pooled:
    """Pool maps (B, C, h, w), or a region of their cells, on a pyramid of grids.

    Raises:
        ValueError: the map or region has fewer cells than a level has bins.
    """
    x1, y1, x2, y2 = region or (0, 0, maps.shape[3], maps.shape[2])
    width = maps.shape[3]
    values, cells, found, at = [], [], [], []
    for level in levels:
        for left, top, right, bottom in bins(y2 - y1, x2 - x1, level, rule):
            patch = maps[:, :, y1 + top : y1 + bottom, x1 + left : x1 + right]
            best, index = patch.flatten(2).max(2)
            across = right - left
            row, column = index // across + y1 + top, index % across + x1 + left
            values.append(best)
            cells.append(row * width + column)
            found.append((x1 + left, y1 + top, x1 + right, y1 + bottom))
            at.append(level)
    return Pooled(torch.stack(values, 2), torch.stack(cells, 2), tuple(found), tuple(at))


class SpatialPyramidPooling(nn.Module):
    """From maps (B, C, h, w) to (B, C M), M the sum of the squared levels.

    Raises:
        EngineError: on a map with fewer cells than a level has bins.
    """

    def __init__(self, levels: Sequence[int] = (1, 2, 4), rule: str = "torch") -> None:
        super().__init__()
        self.levels, self.rule = tuple(levels), rule

    @property
    def bins(self) -> int:
        """M: how many numbers a channel gives."""
        return sum(n * n for n in self.levels)

    def forward(self, maps: Tensor) -> Tensor:
        """Maxima of all bins."""
        height, width = maps.shape[2:]
        if min(height, width) < max(self.levels):
            raise EngineError(
                f"the map has {width} × {height} cells, fewer than the {max(self.levels)} bins a "
                f"side of the finest level; choose a larger size or coarser levels"
            )
        if self.rule == "torch":
            parts = [F.adaptive_max_pool2d(maps, n).flatten(1) for n in self.levels]
            return torch.cat(parts, 1)
        return pyramid(maps, self.levels, self.rule).vector()


class SppDigits(nn.Module):
    """Two convolutions, pyramid pooling and one linear layer over pictures of digits of any size.

    Args:
        levels: of the pyramid, (1, 2, 4) as trained: 21 bins of 32 channels, 672 numbers.
    """

    stride = 2  # pixels a cell of the map

    def __init__(self, levels: Sequence[int] = (1, 2, 4)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.maps = Probe()
        self.pool = SpatialPyramidPooling(levels)
        self.classifier = nn.Linear(32 * self.pool.bins, 10)

    def features(self, x: Tensor) -> Tensor:  # (B, 1, H, W) in [0, 1]
        """The shared map (B, 32, H / 2, W / 2)."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (B, 16, H / 2, W / 2)
        maps: Tensor = self.maps(F.relu(self.conv2(x)))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 10)."""
        logits: Tensor = self.classifier(self.pool(self.features(x)))
        return logits

    def start(self, generator: torch.Generator) -> None:
        """Fresh weights (He et al. 2015), biases 0."""
        for module in (self.conv1, self.conv2, self.classifier):
            fan = module.weight[0].numel()
            with torch.no_grad():
                noise = torch.randn(module.weight.shape, generator=generator)
                module.weight.copy_(noise * (2.0 / fan) ** 0.5)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
