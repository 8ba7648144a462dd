"""Regions of a feature map at one size: RoIPool, RoIAlign, and the level a region is taken from.

Girshick, "Fast R-CNN", 2015, section 2.1; He et al., "Mask R-CNN", 2017, section 3. Both are a sum
or a maximum over rows of a table, cells by channels. They round in single precision where the
compiled kernels of torchvision do, so that no bin is another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.detection.boxes import area

CACHED = 1 << 19  # values that are pooled at once: 2 MB
MOST = 1 << 26  # the same where larger parts cost less: 256 MB


def bilinear_weights(y: Tensor, x: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The four cells around a position, and how much each weighs.

    Args:
        y, x: of shapes that broadcast to (...), in map cells: whole numbers are middles of cells.
        height, width: of the map.

    Returns:
        Indices (..., 4) of cells, row by row: upper left, upper right, lower left, lower right; and
        weights (..., 4). They add up to 1, or are 0 for a position more than a cell outside the
        outer middles; a position in between counts as the border.
    """
    (top, bottom), (up, down) = _neighbours(y, height)
    (left, right), (back, forth) = _neighbours(x, width)
    top, bottom = top * width, bottom * width
    index = torch.stack([top + left, top + right, bottom + left, bottom + right], -1)
    return index, torch.stack([up * back, up * forth, down * back, down * forth], -1)


def _neighbours(at: Tensor, count: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The cells before and after each position of one axis, and their weights."""
    inside = (at >= -1) & (at <= count)
    at = torch.where(inside, at, 0).clamp(0, count - 1)  # what is not a number lies outside too
    before = at.floor()
    after = at - before
    cells = before.long(), (before + 1).clamp(max=count - 1).long()
    return cells, ((1 - after) * inside, after * inside)


def pool_bins(box: Tensor, size: int, scale: float, height: int, width: int) -> Tensor:
    """The cells of every bin of RoIPool: the box is rounded to cells, and so are its bins.

    Args:
        box: (4,) or (R, 4) in pixels of the network's input.
        size: bins a side. scale: cells a pixel. height, width: of the map.

    Returns:
        Integers (size, size, 4) or (R, size, size, 4): x1, y1, x2, y2, the last ones exclusive, cut
        at the edges of the map. A bin outside has no cells.
    """
    scaled = (box.float() * scale).nan_to_num()
    ends = torch.copysign((scaled.abs() + 0.5).floor(), scaled)  # half away from zero
    low, high = ends[..., :2], ends[..., 2:]
    sides = (high - low + 1).clamp(min=1)
    step = (sides / size)[..., None, :]
    i = torch.arange(size, device=box.device, dtype=scaled.dtype)[:, None]
    limits = torch.tensor([width, height], device=box.device)
    start = ((i * step).floor() + low[..., None, :]).clamp(min=0).minimum(limits).long()
    stop = (((i + 1) * step).ceil() + low[..., None, :]).clamp(min=0).minimum(limits).long()
    across, down = (..., None, slice(None)), (..., slice(None), None)
    shape = (*box.shape[:-1], size, size)
    parts = [
        start[..., 0][across], start[..., 1][down], stop[..., 0][across], stop[..., 1][down],
    ]  # fmt: skip
    return torch.stack([part.expand(shape) for part in parts], -1)


def align_points(
    box: Tensor, size: int, scale: float, ratio: int = 2, *, aligned: bool = False
) -> Tensor:
    """Where RoIAlign reads the map: nothing is rounded.

    Args:
        box: (4,) in pixels of the network's input.
        size: bins a side. scale: cells a pixel.
        ratio: points a side of a bin; 0: as many as the bin has cells, rounded up.
        aligned: the middle of the upper left cell is at half a cell, not at 0.

    Returns:
        (size, size, r_y, r_x, 2): x, y in map cells; whole numbers are the middles of cells.
    """
    frame = _Frame.of(box[None], size, scale, aligned=aligned)
    counts = frame.counts(ratio)[0].tolist()
    x = frame.points(0, size, counts[0])[0]
    y = frame.points(1, size, counts[1])[0]
    shape = (size, size, counts[1], counts[0])
    return torch.stack(
        [x[None, :, None, :].expand(shape), y[:, None, :, None].expand(shape)], -1
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Frame:
    """Start (R, 2) of regions on the map as x, y, and width and height (R, 2) of their bins."""

    start: Tensor
    bin: Tensor

    @classmethod
    def of(cls, boxes: Tensor, size: int, scale: float, *, aligned: bool) -> _Frame:
        scaled = boxes.float() * scale - (0.5 if aligned else 0.0)
        sides = scaled[:, 2:] - scaled[:, :2]
        if not aligned:
            sides = sides.clamp(min=1)
        return cls(scaled[:, :2], sides / size)

    def counts(self, ratio: int) -> Tensor:
        """Points a bin (R, 2) in x and y."""
        if ratio > 0:
            return torch.full_like(self.bin, ratio, dtype=torch.int64)
        return self.bin.ceil().clamp(min=0).long()

    def points(self, axis: int, size: int, count: int) -> Tensor:
        """Positions (R, size, count) along one axis."""
        start, step = self.start[:, axis, None, None], self.bin[:, axis, None, None]
        i = torch.arange(size, device=step.device, dtype=step.dtype)[:, None]
        k = torch.arange(count, device=step.device, dtype=step.dtype)
        return start + i * step + (k + 0.5) * step / max(count, 1)


def roi_align(
    maps: Tensor, rois: Tensor, size: int, scale: float, ratio: int = 2, *, aligned: bool = False
) -> Tensor:
    """Mean of bilinear samples in each bin of every region.

    Args:
        maps: (N, C, h, w). rois: (R, 5), index of the map, then x1, y1, x2, y2 in pixels.
        size: bins a side. scale: cells a pixel. ratio, aligned: see `align_points`.

    Returns:
        (R, C, size, size), differentiable by the maps.
    """
    table, first = _table(maps, rois)
    frame = _Frame.of(rois[:, 1:], size, scale, aligned=aligned)
    parts, rows = [maps.new_zeros((0, maps.shape[1], size * size))], [first.new_zeros(0)]
    for group, (across, down) in _alike(frame, ratio):
        cost = size * size * max(maps.shape[1], 4 * across * down)
        for chunk in torch.split(group, max(1, _budget(table) // cost)):
            part = _Frame(frame.start[chunk], frame.bin[chunk])
            y = part.points(1, size, down)[:, :, None, :, None]
            x = part.points(0, size, across)[:, None, :, None, :]
            index, weight = bilinear_weights(y, x, *maps.shape[-2:])  # (R, s, s, r_y, r_x, 4)
            index = index + first[chunk, None, None, None, None, None]
            weight = (weight / max(1, across * down)).to(table.dtype)
            offsets = torch.arange(len(chunk) * size * size, device=index.device)
            pooled = F.embedding_bag(
                index.flatten(),
                table,
                offsets * (4 * across * down),  # an empty bin is 0
                mode="sum",
                per_sample_weights=weight.flatten(),
            )
            parts.append(pooled.view(-1, size * size, pooled.shape[1]).transpose(1, 2))
            rows.append(chunk)
    found = torch.cat(parts)
    if ratio <= 0:
        found = found[torch.cat(rows).argsort()]
    return found.view(len(rois), maps.shape[1], size, size)


def roi_pool(maps: Tensor, rois: Tensor, size: int, scale: float) -> Tensor:
    """Maximum over the cells of each bin of every region, 0 in a bin without cells.

    Args:
        maps: (N, C, h, w). rois: (R, 5), index of the map, then x1, y1, x2, y2 in pixels.
        size: bins a side. scale: cells a pixel.

    Returns:
        (R, C, size, size), differentiable by the maps.
    """
    height, width = maps.shape[-2:]
    table, first = _table(maps, rois)
    bins = pool_bins(rois[:, 1:], size, scale, height, width)
    start = (bins[..., 1] * width + bins[..., 0] + first[:, None, None]).flatten()
    columns, lines = (bins[..., 2:] - bins[..., :2]).clamp(min=0).flatten(0, 2).unbind(-1)
    counts = columns * lines
    parts = [maps.new_zeros((0, maps.shape[1], size * size))]
    cost = counts.view(-1, size * size).sum(1).clamp(min=size * size * maps.shape[1])
    for run in _runs(cost, _budget(table)):
        chunk = slice(run.start * size * size, run.stop * size * size)
        offsets = counts[chunk].cumsum(0) - counts[chunk]
        bag = torch.repeat_interleave(counts[chunk])
        within = torch.arange(len(bag), device=bag.device) - offsets[bag]
        across = columns[chunk][bag]
        index = start[chunk][bag] + within // across * width + within % across
        pooled = F.embedding_bag(index, table, offsets, mode="max")
        parts.append(pooled.view(-1, size * size, pooled.shape[1]).transpose(1, 2))
    return torch.cat(parts).view(len(rois), maps.shape[1], size, size)


def _table(maps: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
    """Cells by channels (N h w, C), and the row (R,) that each region's map starts at."""
    cells = maps.shape[-2] * maps.shape[-1]
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]), rois[:, 0].long() * cells


def _budget(table: Tensor) -> int:
    """Values that are looked up or pooled at once.

    Small parts stay in a processor's cache; but a backward pass costs a whole table for each part,
    and a GPU a call.
    """
    whole = table.is_cuda or (table.requires_grad and torch.is_grad_enabled())
    return MOST if whole else CACHED


def _alike(frame: _Frame, ratio: int) -> list[tuple[Tensor, tuple[int, int]]]:
    """Regions of the same number of points a bin: their indices, and the number in x and y."""
    if ratio > 0:
        return [(torch.arange(len(frame.start), device=frame.start.device), (ratio, ratio))]
    kinds, which = torch.unique(frame.counts(ratio), dim=0, return_inverse=True)
    return [
        (torch.nonzero(which == k)[:, 0], (int(across), int(down)))
        for k, (across, down) in enumerate(kinds.tolist())
    ]


def _runs(cost: Tensor, most: int) -> list[slice]:
    """Runs of regions that cost (R,) about ``most`` together, or of a single one."""
    share = (cost.cumsum(0) - 1).div(most, rounding_mode="floor")
    ends = torch.unique_consecutive(share, return_counts=True)[1].cumsum(0).tolist()
    return [slice(start, end) for start, end in pairwise([0, *ends])]


def level_of(
    boxes: Tensor, lowest: int, highest: int, *, canonical: float = 224, level: int = 4
) -> Tensor:
    """The level (N,) of the pyramid that boxes are pooled from: Lin et al., 2017, equation 1.

    Args:
        boxes: (N, 4) in pixels of the network's input.
        lowest, highest: levels there are; level k has the stride ``2 ** k``.
        canonical: side in pixels of a box that belongs to ``level``.
    """
    steps = torch.log2(area(boxes).sqrt() / canonical)
    return torch.floor(level + steps + 1e-6).clamp(lowest, highest).long()


class MultiScaleRoIAlign(nn.Module):
    """Pools every region from the level of its size; no parameters.

    Args:
        size: bins a side. ratio: points a side of a bin, see `align_points`.
        canonical, level: see `level_of`.
        pooling: "align", or "pool" for `roi_pool` in its place.

    torchvision's checkpoints want ``aligned`` False.
    """

    def __init__(
        self,
        size: int,
        ratio: int = 2,
        *,
        canonical: float = 224,
        level: int = 4,
        aligned: bool = False,
        pooling: Literal["align", "pool"] = "align",
    ) -> None:
        super().__init__()
        self.size, self.ratio, self.aligned = size, ratio, aligned
        self.canonical, self.level, self.pooling = canonical, level, pooling

    def forward(
        self, levels: Sequence[Tensor], boxes: Sequence[Tensor], strides: Sequence[int]
    ) -> Tensor:
        """Regions of all pictures, one picture after the other.

        Args:
            levels: maps (N, C, h_k, w_k), fine to coarse.
            boxes: (R_n, 4) of each picture, in pixels of the network's input.
            strides: pixels a cell of every level, powers of 2.

        Returns:
            (R, C, size, size).
        """
        rois = batch_rois(boxes)
        choice = self.levels(rois[:, 1:], strides)
        out = levels[0].new_zeros((len(rois), levels[0].shape[1], self.size, self.size))
        for k, (maps, stride) in enumerate(zip(levels, strides, strict=True)):
            rows = torch.nonzero(choice == k)[:, 0]
            if len(rows):
                out = out.index_copy(0, rows, self._pool(maps, rois[rows], 1 / stride))
        return out

    def levels(self, boxes: Tensor, strides: Sequence[int]) -> Tensor:
        """The index (R,) into ``strides`` that each box is pooled from."""
        lowest, highest = (round(math.log2(stride)) for stride in (strides[0], strides[-1]))
        chosen = level_of(boxes, lowest, highest, canonical=self.canonical, level=self.level)
        return chosen - lowest

    def _pool(self, maps: Tensor, rois: Tensor, scale: float) -> Tensor:
        if self.pooling == "pool":
            return roi_pool(maps, rois, self.size, scale)
        return roi_align(maps, rois, self.size, scale, self.ratio, aligned=self.aligned)


def batch_rois(boxes: Sequence[Tensor]) -> Tensor:
    """Boxes (R_n, 4) of each picture as (R, 5), the picture's index first."""
    return torch.cat([F.pad(part, (1, 0), value=n) for n, part in enumerate(boxes)])
