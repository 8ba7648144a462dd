"""Hypercolumns of a whole picture as colours: principal axes and k-means, without building them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from explorer.core.studies.hypercolumns import Hypercolumns

SPARE = 8  # further axes that are iterated along: the wanted ones converge faster


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """Principal axes: ``mean`` (D,), orthonormal ``axes`` (D, K), ``variances`` (K,) along them,
    largest first, and the ``total`` variance of all D. ``rounds``: iterations that it took.
    """

    mean: Tensor
    axes: Tensor
    variances: Tensor
    total: float
    rounds: int


def principal_axes(
    columns: Hypercolumns, count: int = 3, *, seed: int = 0, rounds: int = 30, within: float = 1e-4
) -> Axes:
    """Principal axes of all hypercolumns by block power iteration with Rayleigh-Ritz.

    Every round multiplies by the stack and its transpose through the layers' cells. Ends when no
    wanted variance changes by more than the share ``within`` of the largest. The largest entry of
    each axis is positive.
    """
    mean = columns.mean()
    width = min(len(mean), columns.count, count + SPARE)
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(len(mean), width, generator=generator).to(mean.device)
    basis = torch.linalg.qr(start).Q
    before = torch.zeros(width, dtype=torch.float64, device=mean.device)
    done = 0
    for done in range(1, rounds + 1):  # noqa: B007 -- reported
        away = columns.dot(basis) - (mean @ basis)[:, None, None]
        flat = away.flatten(1).double()
        variances, turn = torch.linalg.eigh(flat @ flat.T / max(1, columns.count - 1))
        variances, turn = variances.flip(0), turn.flip(1)
        ritz = basis @ turn.to(basis.dtype)
        if bool(((variances - before).abs()[:count] <= within * variances[0]).all()):
            break
        before = variances
        basis = torch.linalg.qr(columns.gather(away)).Q
    axes = ritz[:, :count]
    peak = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    total = float(columns.squares().double().mean() - mean.double().square().sum())
    scale = columns.count / max(1, columns.count - 1)
    return Axes(mean, axes * peak.sign(), variances[:count], max(0.0, total * scale), done)


def projections(columns: Hypercolumns, axes: Axes) -> Tensor:
    """Coordinates (K, H, W) of all hypercolumns along the axes, from their mean."""
    return columns.dot(axes.axes) - (axes.mean @ axes.axes)[:, None, None]


def colour_limits(coordinates: Tensor) -> Tensor:
    """(K, 2): what becomes black and full colour: the 1st and 99th percentile of each."""
    shares = torch.tensor([0.01, 0.99], device=coordinates.device)
    return torch.quantile(coordinates.flatten(1), shares, dim=1).T


def as_colours(coordinates: Tensor, limits: Tensor) -> Tensor:
    """Three coordinates (K, H, W), fewer filled up with grey, as (H, W, 3) uint8."""
    low, high = limits[:, 0, None, None], limits[:, 1, None, None]
    span = high - low
    share = torch.where(span > 0, (coordinates - low) / span.clamp_min(1e-30), 0.5).clamp(0, 1)
    grey = share.new_full((3 - len(share), *share.shape[1:]), 0.5)
    return (255 * torch.cat([share, grey])).round().to(torch.uint8).permute(1, 2, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """K-means: ``labels`` (H, W), largest cluster first, ``centres`` (D, K), mean squared distance
    ``inertia``, and the ``rounds`` that it took.
    """

    labels: Tensor
    centres: Tensor
    inertia: float
    rounds: int


def kmeans(
    columns: Hypercolumns, count: int, *, seed: int = 0, rounds: int = 30,
    start: Tensor | None = None,
) -> Clusters:  # fmt: skip
    """Lloyd's algorithm on all hypercolumns, from k-means++ or the centres ``start`` (D, K).

    Distances come from squared lengths and inner products, centres from the transpose. Ends when no
    pixel changes its cluster; a cluster that loses all keeps its centre.
    """
    centres = spread_centres(columns, count, seed) if start is None else start
    labels = nearest(columns, centres)
    done = 0
    for done in range(1, rounds + 1):  # noqa: B007 -- reported
        one_hot = _one_hot(labels, centres.shape[1])
        sizes = one_hot.sum((1, 2))
        means = columns.gather(one_hot) / sizes.clamp_min(1)
        centres = torch.where(sizes > 0, means, centres)
        before, labels = labels, nearest(columns, centres)
        if torch.equal(labels, before):
            break
    sizes = torch.bincount(labels.flatten(), minlength=centres.shape[1])
    order = sizes.argsort(descending=True, stable=True)
    ranks = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)).to(order.device))
    inertia = float(_distances(columns, centres).amin(0).double().mean())
    return Clusters(ranks[labels], centres[:, order], inertia, done)


def nearest(columns: Hypercolumns, centres: Tensor) -> Tensor:
    """Index (H, W) of the nearest of the centres (D, K)."""
    return _distances(columns, centres).argmin(0)


def spread_centres(columns: Hypercolumns, count: int, seed: int) -> Tensor:
    """k-means++: the next centre is drawn with a chance that grows with the squared distance."""
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(count, generator=generator, dtype=torch.float64).tolist()
    chosen = [columns.at(*columns.raster.centre(int(draws[0] * columns.count)))]
    left = _distances(columns, chosen[0][:, None])[0]
    for draw in draws[1:]:
        sums = left.flatten().double().cumsum(0)
        at = torch.searchsorted(sums, draw * sums[-1:], right=True).clamp(max=columns.count - 1)
        chosen.append(columns.at(*columns.raster.centre(int(at))))
        left = torch.minimum(left, _distances(columns, chosen[-1][:, None])[0])
    return torch.stack(chosen, 1)


def _distances(columns: Hypercolumns, centres: Tensor) -> Tensor:
    """Squared distances (K, H, W)."""
    own = centres.square().sum(0)[:, None, None]
    return (columns.squares() + own - 2 * columns.dot(centres)).clamp_min(0)


def _one_hot(labels: Tensor, count: int) -> Tensor:
    return (labels == torch.arange(count, device=labels.device)[:, None, None]).float()
