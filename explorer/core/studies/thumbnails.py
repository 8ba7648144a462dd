"""From one layer's output to a strip of small maps and its numbers, on the device where it is.

Two steps, so that a pass waits for no transfer: `reduce_layer` in the hook leaves small tensors,
`transfer` brings those of all layers over at once, and numpy does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.reduction import planar, strided

SAMPLE = 2048  # values of a layer that its histogram and its colour range are made from
ENDS = 0.01  # share of a bounded activation's span that counts as its end
CANCELLED = 1e-4  # variance over mean square below which a difference of sums has lost its digits
Floats = npt.NDArray[np.float64]

BOUNDS: Mapping[type[nn.Module], tuple[float, float]] = {
    nn.Sigmoid: (0.0, 1.0), nn.Hardsigmoid: (0.0, 1.0), nn.Softmax: (0.0, 1.0),
    nn.Softmax2d: (0.0, 1.0), nn.Tanh: (-1.0, 1.0), nn.Softsign: (-1.0, 1.0), nn.ReLU6: (0.0, 6.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reduced:
    """One layer's output, reduced; small tensors on its device.

    Attributes:
        units: (N,) shown, for maps.
        tiles: (N, h, w) float32 of the first sample, at most as large as asked for.
        sample: (S,) float32, evenly spread over the whole output.
        high, low, mean, variance: (U,) of each unit, over its finite values.
        saturated: () share of values at the ends; NaN where there are no ends.
        bad: () how many values are not finite; the others are what the numbers are about.
        counted: (U,) finite values a unit.
    """

    units: Tensor
    tiles: Tensor
    sample: Tensor
    high: Tensor
    low: Tensor
    mean: Tensor
    variance: Tensor
    saturated: Tensor
    bad: Tensor
    counted: Tensor


def bounds_of(module: nn.Module) -> tuple[float, float] | None:
    """Ends of a bounded activation's range, else None."""
    if isinstance(module, nn.Hardtanh) and not isinstance(module, nn.ReLU6):
        return float(module.min_val), float(module.max_val)
    return next((ends for kind, ends in BOUNDS.items() if isinstance(module, kind)), None)


def by_unit(x: Tensor, module: nn.Module | None = None) -> Tensor:
    """Values (U, n) of each unit over the batch and all places.

    Units are the channels: axis 1 of maps (N, C, H, W) and of what a 1d layer makes (N, C, L),
    the last axis of tokens (N, T, C) and vectors (N, C).
    """
    if x.ndim < 2:
        return x.reshape(-1, 1)
    axis = _unit_axis(x, module)
    if axis == 1 and len(x) == 1:
        return x[0].reshape(x.shape[1], -1)
    return x.movedim(axis, 0).reshape(x.shape[axis], -1)


def channels_of(x: Tensor, module: nn.Module | None = None) -> int:
    """How many units an output has."""
    return x.numel() if x.ndim < 2 else int(x.shape[_unit_axis(x, module)])


def _unit_axis(x: Tensor, module: nn.Module | None) -> int:
    return 1 if x.ndim >= 4 or (x.ndim == 3 and type(module).__name__.endswith("1d")) else -1


def reduce_layer(
    x: Tensor,
    module: nn.Module,
    *,
    side: int,
    width: int,
    units: Tensor | None = None,
    count: int = 8,
) -> Reduced:
    """Everything that the overview shows of one output, without keeping the output.

    Args:
        side: largest height of a tile, and width of a map's, in pixels.
        width: largest width of the strip of a vector or a token matrix.
        units: which maps to show; None shows the ``count`` with the highest values.

    Raises:
        ValueError: there are no values.
    """
    x = planar(real(x))
    if not x.numel():
        raise ValueError("it has no values")
    rows = by_unit(x, module)
    high, low = rows.amax(1), rows.amin(1)
    bad, counted = x.new_zeros(()), x.new_full((len(rows),), rows.shape[1])
    clean = rows
    if not bool((high - low).sum().isfinite()):
        finite = rows.isfinite()
        bad, counted = (~finite).sum().float(), finite.sum(1).float()
        high = torch.where(finite, rows, -torch.inf).amax(1)
        low = torch.where(finite, rows, torch.inf).amin(1)
        clean = torch.where(finite, rows, 0.0)
    mean, variance = _moments(clean, counted)
    shown = high.topk(min(count, len(high))).indices if units is None else units
    return Reduced(
        shown, tiles_of(x, module, shown, side, width), strided(x, SAMPLE).clone(), high, low, mean,
        variance, _saturated(x, bounds_of(module)), bad, counted,
    )  # fmt: skip


def real(x: Tensor) -> Tensor:
    """Any tensor as detached float32 (float64 stays): complex by magnitude, quantised as meant."""
    x = x.detach()
    if x.is_quantized:
        x = x.dequantize()
    if x.is_complex():
        x = x.abs()
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def tiles_of(x: Tensor, module: nn.Module, units: Tensor, side: int, width: int) -> Tensor:
    """Small pictures (N, h, w) of the first sample: some maps, or one strip of a vector."""
    one = x[0] if x.ndim > 1 else x
    if one.ndim >= 3:
        while one.ndim > 3:  # of a volume, the slice in the middle
            one = one[:, one.shape[1] // 2]
        maps = one[units]
        largest = max(maps.shape[1:])
        if largest > side:
            scale = side / largest
            size = (max(1, round(maps.shape[1] * scale)), max(1, round(maps.shape[2] * scale)))
            maps = F.adaptive_avg_pool2d(maps, size)
        return maps.float().clone()
    if one.ndim == 2 and type(module).__name__.endswith("1d"):
        one = one.movedim(0, -1)
    strip = one.reshape(1, 1, -1) if one.ndim < 2 else one.unsqueeze(0)
    size = (min(strip.shape[1], side), min(strip.shape[2], width))
    if tuple(strip.shape[1:]) != size:
        strip = F.adaptive_avg_pool2d(strip, size)
    return strip.float().clone()


def transfer(layers: Sequence[Reduced]) -> list[dict[str, npt.NDArray[np.float32]]]:
    """The arrays of all layers by field, with one transfer from the device."""
    names = [f.name for f in fields(Reduced)]
    parts: list[Tensor] = [getattr(layer, name) for layer in layers for name in names]
    if not parts:
        return []
    flat = torch.cat([part.reshape(-1).float() for part in parts]).cpu().numpy()
    ends = np.cumsum([part.numel() for part in parts])
    arrays = iter(
        flat[end - part.numel() : end].reshape(tuple(part.shape))
        for end, part in zip(ends, parts, strict=True)
    )
    return [{name: next(arrays) for name in names} for _ in layers]


def pooled(made: Mapping[str, npt.NDArray[np.float32]]) -> tuple[float, float, float]:
    """(count, mean, variance) of all finite values, from the units' moments, in float64."""
    counted = made["counted"].astype(np.float64)
    total = float(counted.sum())
    if not total:
        return 0.0, 0.0, 0.0
    mean = float(counted @ made["mean"].astype(np.float64)) / total
    # Between and within units: differences of large numbers stay inside one unit.
    inside = np.maximum(made["variance"].astype(np.float64), 0.0)
    between = (made["mean"].astype(np.float64) - mean) ** 2
    return total, mean, float(counted @ (inside + between)) / total


def histogram(
    sample: npt.NDArray[np.float32], low: float, high: float, bins: int
) -> npt.NDArray[np.int64]:
    """Counts (bins,) of the finite values between ``low`` and ``high``, both included."""
    kept = sample[np.isfinite(sample)].astype(np.float64)
    if not high > low:
        counts = np.zeros(bins, np.int64)
        counts[0] = len(kept)
        return counts
    place = ((kept - low) * (bins / (high - low))).astype(np.int64)
    return np.bincount(np.clip(place, 0, bins - 1), minlength=bins)


def _moments(rows: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (U,) and variance (U,) of each unit over its ``counted`` values.

    On the CPU a sum and a norm are twenty times as quick as `torch.var_mean`, which is taken where
    their difference would have lost its digits.
    """
    whole = counted.clamp_min(1.0)
    mean = rows.sum(1) / whole
    if not rows.is_cuda:
        square = torch.linalg.vector_norm(rows, dim=1).square() / whole
        variance = square - mean.square()
        lost = variance < CANCELLED * square
        if not bool(lost.any()):
            return mean, variance
        some = rows[lost] - mean[lost, None]
        holes = rows.shape[1] - counted[lost]  # zeros that stand for what is not finite
        exact = (some.square().sum(1) - holes * mean[lost].square()) / whole[lost]
        return mean, variance.index_put((lost,), exact)
    gone = (rows.shape[1] - counted) * mean.square()
    return mean, ((rows - mean[:, None]).square().sum(1) - gone) / whole


def _saturated(x: Tensor, ends: tuple[float, float] | None) -> Tensor:
    if ends is None:
        return x.new_full((), torch.nan)
    margin = ENDS * (ends[1] - ends[0])
    return ((x <= ends[0] + margin) | (x >= ends[1] - margin)).float().mean()
