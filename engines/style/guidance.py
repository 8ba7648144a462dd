"""Where a style applies: Gram matrices guided by a painted mask.

Gatys, Ecker, Bethge, Hertzmann, Shechtman, "Controlling Perceptual Factors in Neural Style
Transfer", 2017, section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.nn.style.gram import gram_matrix
from explorer.api import Affine

Dabs = Sequence[Sequence[float]]  # x, y, radius in pixels of the photo, and value in [0, 1]


def painted(dabs: Dabs, affine: Affine, height: int, width: int) -> Tensor:
    """The mask (1, 1, height, width) of brush dabs in order, in [0, 1]; later ones cover earlier.

    A pixel belongs to a dab when its centre does; ``affine`` leads from mask to photo pixels.
    """
    mask = torch.zeros(height, width)
    xs, ys = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    xs, ys = affine.sx * xs + affine.tx, affine.sy * ys + affine.ty
    for x, y, radius, value in dabs:
        columns, rows = _within(xs, x, radius), _within(ys, y, radius)
        inside = (ys[rows, None] - y) ** 2 + (xs[None, columns] - x) ** 2 <= radius**2
        mask[rows, columns][inside] = min(1.0, max(0.0, value))
    return mask[None, None]


def _within(places: Tensor, middle: float, radius: float) -> slice:
    """Those of rising places that lie within ``radius`` of the middle."""
    ends = torch.tensor([middle - radius, math.nextafter(middle + radius, math.inf)])
    low, high = torch.searchsorted(places, ends).tolist()
    return slice(low, high)


def guided(features: Tensor, mask: Tensor) -> Tensor:
    """Gram matrix of features (1, N, H, W) weighted by T: F T² Fᵀ / sum T² (their eq. 4 and 5).

    T is the mask (1, 1, h, w), shrunk to the layer by averages. Where it is 1 everywhere this is
    the Gram matrix per position; where it is 0 everywhere, 0.
    """
    height, width = features.shape[2:]
    guide = F.adaptive_avg_pool2d(mask, (height, width)).to(features)
    flat = (features * guide).flatten(2).squeeze(0)
    return gram_matrix(flat) / guide.square().sum().clamp_min(1e-12)
