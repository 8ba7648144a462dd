"""Losses of style transfer: Gatys, Ecker, Bethge, "A Neural Algorithm of Artistic Style", 2015.

F and P are features (N, M) of N units at M positions, G and A Gram matrices (N, N), not normalised.
"""

from __future__ import annotations

import torch
from torch import Tensor


def content_energy(features: Tensor, target: Tensor) -> Tensor:
    """``1/2 sum (F - P)^2`` (eq. 1)."""
    return 0.5 * (features - target).square().sum()


def style_energy(gram: Tensor, target: Tensor, positions: int) -> Tensor:
    """``E_l = sum (G - A)^2 / (4 N^2 M^2)`` (eq. 4)."""
    return (gram - target).square().sum() / (4 * len(gram) ** 2 * positions**2)


def style_gradient(features: Tensor, target: Tensor) -> Tensor:
    """dE_l / dF = ``(G - A) F / (N^2 M^2)`` (eq. 6, without its mask for F = 0)."""
    units, positions = features.shape
    return (features @ features.T - target) @ features / (units**2 * positions**2)


def relative(value: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference over the mean square of the target: 0 when equal, 1 against zero.

    Layers differ by a factor of ten thousand in scale; divided like this their losses compare.
    """
    return (value - target).square().mean() / target.square().mean().clamp_min(1e-20)


def per_position(features: Tensor) -> Tensor:
    """Gram matrix of features (1, N, H, W) divided by its positions, so that sizes may differ."""
    flat = features.flatten(2)[0]
    return flat @ flat.T / flat.shape[1]


def total_variation(canvas: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels of (1, 3, H, W)."""
    down = (canvas[:, :, 1:] - canvas[:, :, :-1]).abs().mean()
    right = (canvas[..., 1:] - canvas[..., :-1]).abs().mean()
    return torch.stack([down, right]).sum()
