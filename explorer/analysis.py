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


def unit_rows(features: Tensor) -> Tensor:
    """A layer's output as one row of values a unit (C, P), float32, of the first sample.

    Maps (1, C, H, W) and vectors (1, C) by channel; tokens (1, T, C) by channel over the tokens.

    Raises:
        ValueError: another number of axes.
    """
    if features.ndim == 4:
        return features[0].flatten(1).float()
    if features.ndim == 3:
        return features[0].T.float()
    if features.ndim == 2:
        return features[0][:, None].float()
    raise ValueError(f"a tensor of {features.ndim} axes has no units: need 2, 3 or 4")


def gram_per_position(rows: Tensor) -> Tensor:
    """``F F^T / P`` (C, C) of rows (C, P): maps of different sizes compare."""
    return rows @ rows.T / max(1, rows.shape[1])


def gram_spectrum(rows: Tensor) -> Tensor:
    """Eigenvalues (min(C, P),) of `gram_per_position`, largest first, in double precision.

    ``F F^T`` and ``F^T F`` have the same ones but for zeros, so the smaller of both is solved.
    """
    wide = rows.double()
    small = wide @ wide.T if len(rows) <= rows.shape[1] else wide.T @ wide
    values: Tensor = torch.linalg.eigvalsh(small).flip(0).clamp_min(0)
    return values / max(1, rows.shape[1])


def block_means(rows: Tensor, blocks: int) -> tuple[Tensor, Tensor]:
    """Means (B, P) of consecutive rows, as even as can be, and the first row of each block (B,).

    Their Gram matrix holds the mean of each block of the whole one, which is never made.
    """
    blocks = min(blocks, len(rows))
    starts = torch.arange(blocks + 1, device=rows.device) * len(rows) // blocks
    sums = rows.new_zeros(blocks, rows.shape[1])
    lengths = starts.diff()
    owner = torch.repeat_interleave(torch.arange(blocks, device=rows.device), lengths)
    return sums.index_add_(0, owner, rows) / lengths[:, None], starts[:-1]


def row_order(rows: Tensor, most: int = 1024) -> Tensor:
    """`unit_order` of the Gram matrix of rows (C, P), also where C is too large for its solution.

    With more than ``most`` rows the vectors come from the smaller side: at most that many
    positions, every n-th one.
    """
    if len(rows) <= most:
        return unit_order(rows @ rows.T)
    taken = rows[:, :: -(-rows.shape[1] // most)].double()
    unit = taken / taken.norm(dim=1, keepdim=True).clamp_min(1e-6)
    _, vectors = torch.linalg.eigh(unit.T @ unit)
    first = unit @ vectors[:, -1]
    second = unit @ vectors[:, -min(2, vectors.shape[1])]
    first = first * torch.where(first.sum() < 0, -1.0, 1.0)
    return torch.atan2(second, first).argsort()
