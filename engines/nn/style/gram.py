"""Losses of style transfer: Gatys, Ecker, Bethge, "A Neural Algorithm of Artistic Style", 2015.

F and P are features (N, M) of N units at M positions, G and A Gram matrices (N, N), not normalised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


class _Gram(torch.autograd.Function):
    """F Fᵀ of (..., N, M). Its gradient is one product, (D + Dᵀ) F, where autograd takes two.

    The gradient lies in memory as F does: units first, or positions first.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        return features @ features.mT

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (features,), (gradient,) = ctx.saved_tensors, gradients
        both = gradient + gradient.mT
        made: Tensor = both @ features if features.stride(-1) == 1 else (features.mT @ both).mT
        return made


_gram: Callable[[Tensor], Tensor] = _Gram.apply


def gram_matrix(features: Tensor) -> Tensor:
    """F Fᵀ (..., N, N) of features (..., N, M), differentiable once."""
    return _gram(features)


def flattened(features: Tensor) -> Tensor:
    """Features (1, N, H, W) as (N, H W), without a copy in either layout of maps."""
    # Squeezed, not indexed: an index would copy the whole layer into zeros on the way back.
    single = features.squeeze(0)
    if features.is_contiguous(memory_format=torch.channels_last):
        return single.permute(1, 2, 0).flatten(0, 1).mT
    return single.flatten(1)


def per_position(features: Tensor) -> Tensor:
    """Gram matrix of features (1, N, H, W) divided by its positions, so that sizes may differ."""
    flat = flattened(features)
    return gram_matrix(flat) / flat.shape[1]


def grams_per_position(features: Tensor) -> Tensor:
    """Gram matrices (B, N, N) of a batch (B, N, H, W), each divided by its positions."""
    return gram_matrix(features.flatten(2)) / features[0, 0].numel()


def total_variation(canvas: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels of (1, 3, H, W)."""
    down = (canvas[:, :, 1:] - canvas[:, :, :-1]).abs().mean()
    right = (canvas[..., 1:] - canvas[..., :-1]).abs().mean()
    return torch.stack([down, right]).sum()
