"""Boxes (N, 4) as x1, y1, x2, y2: their area, overlap and coding against a reference.

Continuous convention: pixel ``i`` covers [i, i + 1), so the width is ``x2 - x1``. Girshick, "Fast
R-CNN", 2015, and torchvision code them alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from explorer.api import Affine

LOG_LIMIT = math.log(1000 / 16)  # no box grows by more than this in one decoding
UNIT_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


def area(boxes: Tensor) -> Tensor:
    """Areas (N,) of boxes (N, 4); 0 where the ends are swapped."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union (N, M) of boxes (N, 4) and (M, 4); 0 where both have no area."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = (high - low).clamp(min=0)  # (N, M, 2)
    both = sides[..., 0] * sides[..., 1]
    either = area(a)[:, None] + area(b)[None] - both
    return torch.where(either > 0, both / torch.where(either > 0, either, 1), 0)


def to_centres(boxes: Tensor) -> Tensor:
    """x1, y1, x2, y2 to centre x, centre y, width, height, along the last axis."""
    low, high = boxes[..., :2], boxes[..., 2:]
    sides = high - low
    return torch.cat([low + 0.5 * sides, sides], -1)


def from_centres(boxes: Tensor) -> Tensor:
    """Centre x, centre y, width, height to x1, y1, x2, y2, along the last axis."""
    centres, half = boxes[..., :2], 0.5 * boxes[..., 2:]
    return torch.cat([centres - half, centres + half], -1)


def encode(truth: Tensor, reference: Tensor, weights: Sequence[float] = UNIT_WEIGHTS) -> Tensor:
    """What moves a reference onto the truth: ``w_x (x - x_a) / w_a``, ``w_w ln(w / w_a)``.

    Args:
        truth, reference: (N, 4); both have area.
        weights: of x, y, w, h; (10, 10, 5, 5) in the second stage and in SSD.
    """
    goal, start = to_centres(truth), to_centres(reference)
    shift = (goal[..., :2] - start[..., :2]) / start[..., 2:]
    growth = (goal[..., 2:] / start[..., 2:]).log()
    return torch.cat([shift, growth], -1) * truth.new_tensor(weights)


def decode(
    deltas: Tensor,
    reference: Tensor,
    weights: Sequence[float] = UNIT_WEIGHTS,
    limit: float = LOG_LIMIT,
) -> Tensor:
    """The inverse of `encode`: boxes (N, 4) of deltas and references (N, 4).

    Args:
        limit: the logarithm of a growth is cut here, so that no box becomes infinite.
    """
    deltas = deltas / deltas.new_tensor(weights)
    start = to_centres(reference)
    centres = deltas[..., :2] * start[..., 2:] + start[..., :2]
    sides = deltas[..., 2:].clamp(max=limit).exp() * start[..., 2:]
    return from_centres(torch.cat([centres, sides], -1))


def clip(boxes: Tensor, height: float, width: float) -> Tensor:
    """Boxes cut at the edges of a picture; one that lies outside keeps no area."""
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], -1)


def moved(boxes: Tensor, affine: Affine) -> Tensor:
    """Boxes of the grid that ``affine`` leads from, in input pixels."""
    scale = boxes.new_tensor((affine.sx, affine.sy, affine.sx, affine.sy))
    return boxes * scale + boxes.new_tensor((affine.tx, affine.ty, affine.tx, affine.ty))


def large_enough(boxes: Tensor, smallest: float) -> Tensor:
    """Which boxes (N,) have both sides at least ``smallest``."""
    return ((boxes[..., 2:] - boxes[..., :2]) >= smallest).all(-1)
