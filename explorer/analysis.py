"""Gram matrices, projections and statistics: pure functions of tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def gram(features: Tensor) -> Tensor:
    """Gram matrix ``F F^T`` (C, C) of feature maps (C, H, W) or (1, C, H, W), not normalised.

    Gatys, Ecker, Bethge, "A Neural Algorithm of Artistic Style", 2015, eq. 3.
    """
    flat = features.flatten(-2).reshape(features.shape[-3], -1)
    return flat @ flat.T


def unit_order(matrix: Tensor) -> Tensor:
    """An order of rows (C,) with similar ones side by side: angle in the plane of two eigenvectors.

    Deterministic, O(C^3); used for Gram matrices so that block structure is visible.
    """
    scale = matrix.diagonal().clamp_min(1e-12).rsqrt()
    correlation = matrix * scale[:, None] * scale[None, :]
    _, vectors = torch.linalg.eigh(correlation.double())
    first, second = vectors[:, -1], vectors[:, -2] if len(matrix) > 1 else vectors[:, -1]
    first = first * torch.where(first.sum() < 0, -1.0, 1.0)
    return torch.atan2(second, first).argsort()
