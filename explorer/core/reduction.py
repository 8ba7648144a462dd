"""From one captured tensor to one uint8 mosaic, on the device where the tensor is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from explorer.views import GAP, NOT_FINITE, TOP, Statistics, View, grid_columns

SAMPLE = 8192  # values looked at for the robust range: 1 ms, where exact quantiles take over 100
LARGEST = 4_000_000  # mosaic pixels; above it maps are averaged down whatever the panel's size


@dataclass(frozen=True, slots=True)
class Mosaic:
    """The reduced picture and the numbers beside it; the fields are those of `Rendered`."""

    index: Tensor
    limits: Tensor
    order: Tensor
    tile: tuple[int, int]
    columns: int
    gap: int
    reduced: int
    statistics: Statistics


def as_maps(tensor: Tensor, sample: int = 0) -> tuple[Tensor, str]:
    """Any tensor with a batch axis as maps (C, H, W), and what one unit is.

    (N, C, H, W) gives units with a place; (N, T, C) one tile of tokens x channels; (N, C) one
    cell a unit; further axes are folded into the units.
    """
    one = tensor[min(sample, len(tensor) - 1)] if tensor.ndim > 1 else tensor
    if one.is_complex():
        one = one.abs()
    if one.ndim >= 3:
        return one.reshape(-1, *one.shape[-2:]), "unit"
    if one.ndim == 2:
        return one.unsqueeze(0), "token × channel"
    return one.reshape(-1, 1, 1), "value"


def planar(maps: Tensor) -> Tensor:
    """The same maps (..., H, W) with each map in one piece: what reads maps one by one would gather
    those of a network that runs channels last anew at every step.
    """
    if maps.is_contiguous() or maps.ndim < 3:
        return maps
    *batch, count, height, width = maps.shape
    if math.prod(batch) > 1 or maps.stride(-3) != 1:
        return maps.contiguous()
    # `contiguous` is four times as fast where it sees that this is a transposed matrix.
    cells = maps.reshape(count, height, width).permute(1, 2, 0).reshape(-1, count)
    return cells.t().contiguous().view(maps.shape)


def statistics(maps: Tensor) -> Statistics:
    """Exact extremes and means of each unit; zeros and their share from a strided sample."""
    flat = maps.reshape(len(maps), -1)
    if not flat.is_floating_point():
        flat = flat.float()
    low, high = flat.amin(1), flat.amax(1)  # aminmax(dim) is ten times slower than both
    mean = flat.mean(dim=1)
    numbers = torch.stack([low.min(), high.max(), mean.mean()]).tolist()
    bad = 0
    if not all(map(_finite, numbers)):
        finite = flat.isfinite()
        bad = int(flat.numel() - int(finite.sum()))
        kept = finite.sum(1).clamp_min(1)
        low = torch.where(finite, flat, torch.inf).amin(1)
        high = torch.where(finite, flat, -torch.inf).amax(1)
        mean = torch.where(finite, flat, 0.0).sum(1) / kept
        low, high = (torch.where(v.isfinite(), v, 0.0) for v in (low, high))
        numbers = [float(low.min()), float(high.max()), float(mean.mean())]
    taken = strided(flat)
    return Statistics(
        low=numbers[0],
        high=numbers[1],
        mean=numbers[2],
        zeros=float((taken == 0).float().mean()),
        not_finite=bad,
        dead=int((low == high).sum()) if flat.shape[1] > 1 else 0,
        unit_low=low.float().cpu().numpy(),
        unit_high=high.float().cpu().numpy(),
        unit_mean=mean.float().cpu().numpy(),
    )


def strided(values: Tensor, count: int = SAMPLE) -> Tensor:
    """About ``count`` values, evenly spread; the odd stride keeps it off the columns of a map."""
    flat = values.reshape(-1)
    return flat[:: max(1, flat.numel() // count) | 1]


def reduce(maps: Tensor, view: View, previous_mean: Tensor | None = None) -> Mosaic:
    """Arrange maps (C, H, W) as tiles of one index image, as ``view`` asks."""
    maps = planar(maps)
    numbers = statistics(maps)
    order = _order(maps, view, numbers, previous_mean)
    shown = maps if _is_natural(order, len(maps)) else maps[order]
    shown = shown.float()
    factor = _factor(shown.shape, view.tile)
    if factor > 1:
        shown = F.avg_pool2d(shown.unsqueeze(0), factor, ceil_mode=True)[0]
    limits = _limits(maps, order, view, numbers)
    quantised = _quantise(shown, limits, finite=numbers.not_finite == 0)
    columns = view.columns or grid_columns(len(shown), shown.shape[2], shown.shape[1], view.aspect)
    gap = 1 if min(shown.shape[1:]) >= 4 and len(shown) > 1 else 0
    return Mosaic(
        _tile(quantised, columns, gap), limits, order, (shown.shape[1], shown.shape[2]), columns,
        gap, factor, numbers,
    )  # fmt: skip


def _finite(number: float) -> bool:
    return number - number == 0.0


def _is_natural(order: Tensor, count: int) -> bool:
    return len(order) == count and bool((order == torch.arange(count)).all())


def _order(maps: Tensor, view: View, numbers: Statistics, previous: Tensor | None) -> Tensor:
    count = len(maps)
    if view.units:
        return torch.tensor([u for u in view.units if 0 <= u < count] or [0])
    if view.order == "max":
        return torch.from_numpy(numbers.unit_high).argsort(descending=True, stable=True)
    if view.order == "mean":
        return torch.from_numpy(numbers.unit_mean).argsort(descending=True, stable=True)
    if view.order == "change" and previous is not None and len(previous) == count:
        change = (torch.from_numpy(numbers.unit_mean) - previous).abs()
        return change.argsort(descending=True, stable=True)
    if view.order == "similarity":
        flat = F.normalize(maps.reshape(count, -1).float().nan_to_num(), dim=1)
        near = flat @ flat[min(view.selected, count - 1)]
        return near.argsort(descending=True, stable=True).cpu()
    return torch.arange(count)


def _factor(shape: torch.Size, tile: int) -> int:
    count, height, width = shape
    factor = max(height, width) // tile if tile else 1
    while count * (height // max(1, factor)) * (width // max(1, factor)) > LARGEST:
        factor += 1
    return max(1, min(factor, height, width))


def _limits(maps: Tensor, order: Tensor, view: View, numbers: Statistics) -> Tensor:
    """Values at index 0 and 253: (2,) for the layer, (C, 2) for each unit shown."""
    if view.range == "frozen":
        return torch.tensor(view.limits)
    if view.range == "unit":
        low = torch.from_numpy(numbers.unit_low)[order]
        high = torch.from_numpy(numbers.unit_high)[order]
        if numbers.low < 0:
            high = torch.maximum(low.abs(), high.abs())
            low = -high
        else:
            low = torch.zeros_like(low)
        return torch.stack([low, high], 1)
    taken = strided(maps).float()
    if numbers.not_finite:
        taken = taken[taken.isfinite()]
    ends = _percentiles(taken, 0.01, 0.99) if len(taken) else [0.0, 0.0]
    if numbers.low < 0:
        reach = max(abs(ends[0]), abs(ends[1])) or max(-numbers.low, numbers.high)
        return torch.tensor([-reach, reach])
    return torch.tensor([0.0, ends[1] or numbers.high])


def _percentiles(values: Tensor, *shares: float) -> list[float]:
    """The values (N,) that these shares of all lie at or below, by nearest rank.

    Without a whole sort, which `torch.quantile` makes: that took longer than drawing the maps.
    """
    ranks = [round(share * (len(values) - 1)) for share in shares]
    found: list[float] = np.partition(values.cpu().numpy(), ranks)[ranks].tolist()
    return found


def _quantise(maps: Tensor, limits: Tensor, *, finite: bool) -> Tensor:
    """Index 0 to 253 between the limits, clamped; 254 where a value is not finite."""
    limits = limits.to(maps.device)
    if limits.ndim == 1:
        low, high = limits.tolist()
        span = (high - low) or 1.0
        # In place on the first result only: the maps themselves may be the captured tensor.
        scaled = torch.sub(maps, low).mul_(TOP / span)
    else:
        low_c, high_c = limits[:, 0, None, None], limits[:, 1, None, None]
        scaled = torch.sub(maps, low_c).mul_(TOP / (high_c - low_c).clamp_min(1e-30))
    if finite:
        return scaled.add_(0.5).clamp_(0, TOP).to(torch.uint8)
    bad = ~maps.isfinite()
    index = scaled.nan_to_num_(0.0, TOP, 0.0).add_(0.5).clamp_(0, TOP).to(torch.uint8)
    return index.masked_fill_(bad, NOT_FINITE)


def _tile(maps: Tensor, columns: int, gap: int) -> Tensor:
    """Place (C, h, w) uint8 tiles row by row; (rows (h + gap), columns (w + gap)), gaps 255."""
    count, height, width = maps.shape
    rows = -(-count // columns)
    canvas = torch.full(
        (rows, height + gap, columns, width + gap), GAP, dtype=torch.uint8, device=maps.device
    )
    whole = count // columns
    if whole:
        block = maps[: whole * columns].view(whole, columns, height, width)
        canvas[:whole, :height, :, :width] = block.permute(0, 2, 1, 3)
    if rest := count - whole * columns:
        canvas[whole, :height, :rest, :width] = maps[whole * columns :].permute(1, 0, 2)
    return canvas.view(rows * (height + gap), columns * (width + gap))
