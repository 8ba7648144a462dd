"""NanoDet-g: a plain convolutional detector without anchors, whose boxes are distributions.

Lyu, "NanoDet" (2020); head: Li et al., "Generalized Focal Loss", 2020; neck: Liu et al., "Path
Aggregation Network", 2018. Batch norms are folded into the convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (8, 16, 32)
CLASSES = 80
BINS = 11  # distances of 0 to 10 strides


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution and leaky ReLU of slope 0.1."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.LeakyReLU(0.1))


class Pair(nn.Module):
    """Two convolutions to half the channels each, the second on the first, side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels // 2)
        self.second = conv(channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        y = self.first(x)
        return torch.cat([self.second(y), y], 1)


class Stage(nn.Module):
    """A convolution, and beside its output what some pairs make of it: twice the channels."""

    def __init__(self, channels: int, pairs: int, stride: int) -> None:
        super().__init__()
        self.enter = conv(channels, channels, stride)
        self.pairs = nn.Sequential(*(Pair(channels) for _ in range(pairs)))
        self.leave = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 2 C, H / stride, W / stride)."""
        y = self.enter(x)
        return torch.cat([self.leave(self.pairs(y)), y], 1)


class Head(nn.Module):
    """One level's class logits and, for each side, the logits of its distance in bins."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv(channels, channels)
        self.out = nn.Conv2d(channels, CLASSES + 4 * BINS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 80 + 44, H, W)."""
        y: Tensor = self.out(self.conv(x))
        return y


@dataclass(frozen=True, slots=True)
class Cells:
    """What all cells of one picture say, level after level; P cells in all.

    Attributes:
        logits: (P, 80). ``sides``: (P, 4, 11) logits of the distance to left, top, right, bottom.
        sizes: (height, width) of each level.
    """

    logits: Tensor
    sides: Tensor
    sizes: tuple[tuple[int, int], ...]


class NanoDet(nn.Module):
    """The network; 3,786,068 parameters."""

    def __init__(self, channels: int = 128) -> None:
        super().__init__()
        self.stem = conv(3, 32, 2)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.stages = nn.ModuleList(
            [Stage(32, 1, 1), Stage(64, 2, 2), Stage(128, 2, 2), Stage(256, 3, 2)]
        )
        self.lateral = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in (128, 256, 512))
        self.merged = nn.ModuleList(nn.Identity() for _ in STRIDES)  # each level of the neck
        self.heads = nn.ModuleList(Head(channels) for _ in STRIDES)

    def forward(self, x: Tensor) -> Cells:
        """One picture (1, 3, H, W), BGR, normalised; H and W are multiples of 32."""
        x = self.pool(self.stem(x))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        levels = self._neck([lateral(m) for lateral, m in zip(self.lateral, maps[1:], strict=True)])
        out = [head(level)[0] for head, level in zip(self.heads, levels, strict=True)]
        rows = torch.cat([o.flatten(1).T for o in out])
        sizes = tuple((int(o.shape[1]), int(o.shape[2])) for o in out)
        return Cells(rows[:, :CLASSES], rows[:, CLASSES:].reshape(-1, 4, BINS), sizes)

    def _neck(self, levels: list[Tensor]) -> list[Tensor]:
        """Sums from the coarse maps to the fine ones, then back."""
        for i in (1, 0):
            levels[i] = levels[i] + resized(levels[i + 1], levels[i])
        for i in (1, 2):
            levels[i] = levels[i] + resized(levels[i - 1], levels[i])
        return [m(level) for m, level in zip(self.merged, levels, strict=True)]


def resized(x: Tensor, like: Tensor) -> Tensor:
    """To the size of another map, bilinear between half-pixel centres."""
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


@lru_cache(maxsize=8)
def centres(sizes: tuple[tuple[int, int], ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Of every cell: centre (P, 2) in pixels of the network's input, stride (P,), level (P,).

    They are kept from call to call, and not to be changed.
    """
    points, strides, levels = [], [], []
    for level, ((height, width), stride) in enumerate(zip(sizes, STRIDES, strict=True)):
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        points.append((torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(torch.full((height * width,), stride))
        levels.append(torch.full((height * width,), level))
    return torch.cat(points), torch.cat(strides), torch.cat(levels)


def boxes_of(cells: Cells) -> Tensor:
    """Boxes (P, 4) in pixels of the network's input: each side lies at its mean distance."""
    points, strides, _ = (t.to(cells.sides.device) for t in centres(cells.sizes))
    bins = torch.arange(BINS, device=cells.sides.device, dtype=cells.sides.dtype)
    # One column a distribution: over rows of eight numbers a softmax takes ten times as long.
    likely = cells.sides.flatten(0, 1).t().contiguous().softmax(0)  # (BINS, 4 P)
    away = (bins @ likely).view(-1, 4) * strides[:, None]
    return torch.cat([points - away[:, :2], points + away[:, 2:]], 1)
