"""Regions of alike pixels by a minimum spanning forest, where selective search begins.

Felzenszwalb, Huttenlocher, "Efficient Graph-Based Image Segmentation", 2004. Two regions are joined
by an edge that is no longer than either's longest inner edge plus ``scale / size``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Pause = Callable[[], object]
BREATH = 1024  # edges from one pause to the next
PORTION = 8192  # edges that are looked at together


def no_pause() -> None:
    """Nobody waits."""


def felzenszwalb(
    image: Floats,
    scale: float = 100.0,
    sigma: float = 0.8,
    smallest: int = 20,
    pause: Pause = no_pause,
) -> Integers:
    """Label every pixel of a picture.

    Args:
        image: (H, W, C), values in [0, 1].
        scale: larger ones make larger regions; in grey levels of 255 times pixels.
        sigma: of the Gaussian that smooths first, in pixels.
        smallest: regions with fewer pixels are joined to their nearest neighbour.
        pause: called every few milliseconds.

    Returns:
        (H, W), labels from 0 without gaps, in order of the first pixel.
    """
    height, width = image.shape[:2]
    smooth = gaussian(image, sigma)
    costs, ends = _edges(smooth)
    order = np.argsort(costs, kind="stable")
    costs, ends = costs[order], ends[order]
    forest = _Forest(height * width, scale / 255.0, pause)
    for first in range(0, len(costs), PORTION):
        part = slice(first, first + PORTION)
        forest.grow(costs[part], ends[part])
    forest.swallow(ends, smallest)
    labels = forest.roots(np.arange(height * width))
    _, first_seen, labels = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first_seen))
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


class _Forest:
    """Regions as trees of pixels; edges that cannot join any are dropped in bulk beforehand."""

    def __init__(self, pixels: int, limit: float, pause: Pause) -> None:
        self._parent = list(range(pixels))
        self._size = [1] * pixels
        self._longest = [limit] * pixels  # edge that a region, by its root, may still be joined by
        self._limit = limit
        self._pause = pause

    def roots(self, pixels: Integers) -> Integers:
        """The roots of so many pixels."""
        parent = np.array(self._parent)
        found = parent[pixels]
        while (found != parent[found]).any():
            found = parent[found]
        return found

    def grow(self, costs: Floats, ends: Integers) -> None:
        """Join along edges (E,) between pixels (E, 2), those before them having been seen.

        A region that the shortest of them cannot join has got its last pixel.
        """
        roots = self.roots(ends)
        grown = np.array(self._longest)[roots].min(1) <= costs[:1]
        open_ = (roots[:, 0] != roots[:, 1]) & ~grown
        size, longest, limit = self._size, self._longest, self._limit
        lengths = costs[open_].tolist()
        for i, a, b in self._apart(roots[open_]):
            cost = lengths[i]
            if cost < longest[a] and cost < longest[b]:
                self._join(a, b)
                longest[a] = cost + limit / size[a]

    def swallow(self, ends: Integers, smallest: int) -> None:
        """Join along edges (E, 2) of which one end's region has fewer than so many pixels."""
        roots = self.roots(ends)
        small = np.array(self._size)[roots].min(1) < smallest
        for _, a, b in self._apart(roots[small & (roots[:, 0] != roots[:, 1])]):
            if min(self._size[a], self._size[b]) < smallest:
                self._join(a, b)

    def _apart(self, ends: Integers) -> Iterator[tuple[int, int, int]]:
        """Position and roots of each edge whose ends are in two regions by then."""
        parent = self._parent
        for i, (a, b) in enumerate(ends.tolist()):
            if i % BREATH == 0:
                self._pause()
            while parent[a] != a:
                parent[a] = a = parent[parent[a]]
            while parent[b] != b:
                parent[b] = b = parent[parent[b]]
            if a != b:
                yield i, a, b

    def _join(self, a: int, b: int) -> None:
        self._parent[b] = a
        self._size[a] += self._size[b]
