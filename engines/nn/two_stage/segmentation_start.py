"""Regions of alike pixels by a minimum spanning forest, where selective search begins.

Felzenszwalb, Huttenlocher, "Efficient Graph-Based Image Segmentation", 2004. Two regions are joined
by an edge that is no longer than either's longest inner edge plus ``scale / size``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def felzenszwalb(
    image: Floats, scale: float = 100.0, sigma: float = 0.8, smallest: int = 20
) -> Integers:
    """Label every pixel of a picture.

    Args:
        image: (H, W, C), values in [0, 1].
        scale: larger ones make larger regions; in grey levels of 255 times pixels.
        sigma: of the Gaussian that smooths first, in pixels.
        smallest: regions with fewer pixels are joined to their nearest neighbour.

    Returns:
        (H, W), labels from 0 without gaps, in order of the first pixel.
    """
    height, width = image.shape[:2]
    smooth = gaussian(image, sigma)
    costs, ends = _edges(smooth)
    parent = list(range(height * width))
    size = [1] * (height * width)
    inner = [0.0] * (height * width)
    limit = scale / 255.0
    order = np.argsort(costs, kind="stable")
    queue = list(zip(costs[order].tolist(), *ends[order].T.tolist(), strict=True))
    for cost, a, b in _apart(queue, parent):
        if cost < min(inner[a] + limit / size[a], inner[b] + limit / size[b]):
            _join(parent, size, a, b)
            inner[a] = cost
    for _, a, b in _apart(queue, parent):
        if min(size[a], size[b]) < smallest:
            _join(parent, size, a, b)
    roots = np.array(parent)
    while (roots != roots[roots]).any():
        roots = roots[roots]
    _, first, labels = np.unique(roots, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[labels].reshape(height, width))


def gaussian(image: Floats, sigma: float) -> Floats:
    """Smooth (H, W, C) along both sides; the picture is mirrored at its edges."""
    return filtered(image, kernel(sigma), kernel(sigma))


def kernel(sigma: float, *, derivative: bool = False) -> Floats:
    """A Gaussian cut at four deviations, of sum 1, or its derivative."""
    if sigma <= 0:
        return np.ones(1)
    radius = int(4 * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    bell = np.exp(-0.5 * (x / sigma) ** 2)
    bell /= bell.sum()
    return bell * x / sigma**2 if derivative else bell


def filtered(image: Floats, down: Floats, across: Floats) -> Floats:
    """Correlate the columns of (H, W, C) with ``down`` and the rows with ``across``."""
    for axis, taps in ((0, down), (1, across)):
        radius = len(taps) // 2
        pads = [(radius, radius) if i == axis else (0, 0) for i in range(3)]
        padded = np.pad(image, pads, mode="symmetric")
        length = image.shape[axis]
        parts = [np.take(padded, range(i, i + length), axis) * t for i, t in enumerate(taps)]
        image = np.sum(parts, 0)
    return image


def _edges(image: Floats) -> tuple[Floats, Integers]:
    """Lengths (E,) and ends (E, 2) of the edges to the eight neighbours, each once."""
    height, width = image.shape[:2]
    index = np.arange(height * width).reshape(height, width)
    pairs = (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ((slice(1, None), slice(1, None)), (slice(None, -1), slice(None, -1))),
        ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))),
    )
    costs: list[Any] = []
    ends: list[Any] = []
    for one, other in pairs:
        costs.append(np.sqrt(((image[one] - image[other]) ** 2).sum(-1)).ravel())
        ends.append(np.stack([index[other].ravel(), index[one].ravel()], 1))
    return np.concatenate(costs), np.concatenate(ends)


def _apart(
    queue: list[tuple[float, int, int]], parent: list[int]
) -> Iterator[tuple[float, int, int]]:
    """Cost and regions (their roots) of each edge whose ends are in two regions by then.

    All of the picture's edges pass through here, so the roots are looked up in place.
    """
    for cost, a, b in queue:
        while parent[a] != a:
            parent[a] = a = parent[parent[a]]
        while parent[b] != b:
            parent[b] = b = parent[parent[b]]
        if a != b:
            yield cost, a, b


def _join(parent: list[int], size: list[int], a: int, b: int) -> None:
    parent[b] = a
    size[a] += size[b]
