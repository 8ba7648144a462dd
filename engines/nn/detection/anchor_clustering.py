"""Anchors by k-means over the sizes of annotated boxes, with 1 - IoU as the distance.

Redmon, Farhadi, "YOLO9000: Better, Faster, Stronger", 2016, section 2, "Dimension Clusters".
Sizes are (N, 2): width and height as shares of their picture, so that a file of pictures of many
sizes makes one cloud; the centres of two compared boxes are laid upon each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.api import EngineError

Floats = npt.NDArray[np.float64]
Distance = Callable[[Floats, Floats], Floats]
MOST_ITERATIONS = 100
MOST_BOXES = 20_000  # of a larger file a seeded draw is clustered: 100 iterations stay in seconds


@dataclass(frozen=True, slots=True)
class Iteration:
    """One step of k-means.

    Attributes:
        centroids: (k, 2) width and height.
        nearest: (N,) index of each box's centroid.
        mean_iou: mean over the boxes of the best IoU with a centroid, [0, 1].
        reseeded: how many centroids had lost all boxes and stand on a box anew.
    """

    centroids: Floats
    nearest: npt.NDArray[np.int64]
    mean_iou: float
    reseeded: int = 0


def shape_iou(sizes: Floats, others: Floats) -> Floats:
    """IoU (N, M) of boxes (N, 2) with boxes (M, 2) that share their centres; all sides above 0."""
    inside = np.minimum(sizes[:, None], others[None]).prod(2)
    whole: Floats = inside / (sizes.prod(1)[:, None] + others.prod(1)[None] - inside)
    return whole


def iou_distance(sizes: Floats, centroids: Floats) -> Floats:
    """The paper's distance (N, k): 1 - IoU, so that a large box weighs no more than a small."""
    return 1.0 - shape_iou(sizes, centroids)


def iterations(
    sizes: Floats, start: Floats, *, distance: Distance = iou_distance
) -> Iterator[Iteration]:
    """Lloyd's k-means from ``start`` (k, 2) until no box changes its centroid.

    A centroid that has lost all boxes moves onto the box that is worst covered: its mean would
    be of nothing, not a number.
    """
    centroids, before, reseeded = np.array(start, np.float64), None, 0
    for _ in range(MOST_ITERATIONS):
        away = distance(sizes, centroids)
        nearest = away.argmin(1)
        yield Iteration(
            centroids.copy(), nearest, float(shape_iou(sizes, centroids).max(1).mean()), reseeded
        )
        if before is not None and not reseeded and (nearest == before).all():
            return
        before = nearest
        centroids, reseeded = _means(sizes, nearest, away)


def _means(sizes: Floats, nearest: npt.NDArray[np.int64], away: Floats) -> tuple[Floats, int]:
    """Mean size of each cluster; empty ones take the worst covered boxes, one each."""
    k = away.shape[1]
    counts = np.bincount(nearest, minlength=k)
    sums = np.stack([np.bincount(nearest, sizes[:, i], minlength=k) for i in (0, 1)], 1)
    centroids = sums / np.maximum(counts, 1)[:, None]
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        centroids[empty] = sizes[away.min(1).argsort(kind="stable")[::-1][: len(empty)]]
    return centroids, len(empty)


def spread_start(sizes: Floats, k: int) -> Floats:
    """``k`` distinct boxes: the one nearest to the mean, then each time the worst covered.

    Raises:
        EngineError: there are fewer than ``k`` distinct sizes.
    """
    _enough(sizes, k)
    chosen = sizes[[shape_iou(sizes, sizes.mean(0, keepdims=True))[:, 0].argmax()]]
    for _ in range(k - 1):
        chosen = grown(sizes, chosen)
    return chosen


def grown(sizes: Floats, centroids: Floats) -> Floats:
    """The centroids (k, 2) and the box that they cover worst, (k + 1, 2)."""
    worst = shape_iou(sizes, centroids).max(1).argmin()
    return np.concatenate([centroids, sizes[[worst]]])


def best(run: list[Iteration]) -> Iteration:
    """The iteration with the highest mean IoU; the mean of sizes need not be the best of them."""
    return max(run, key=lambda iteration: iteration.mean_iou)


def run_for(sizes: Floats, k: int, previous: Floats | None = None) -> list[Iteration]:
    """All iterations for ``k`` anchors: from spread boxes, or from those of k - 1 and one more.

    Whichever ends better. Given ``previous`` (k - 1, 2), the mean IoU is never below theirs.
    """
    runs = [list(iterations(sizes, spread_start(sizes, k)))]
    if previous is not None:
        runs.append(list(iterations(sizes, grown(sizes, previous))))
    return max(runs, key=lambda run: best(run).mean_iou)


def by_area(centroids: Floats) -> Floats:
    """Anchors in the order of their area, as Darknet's files list them."""
    ordered: Floats = centroids[centroids.prod(1).argsort(kind="stable")]
    return ordered


def some(sizes: Floats, most: int = MOST_BOXES) -> Floats:
    """All sizes, or a seeded draw of ``most`` of them without putting back, in their order."""
    if len(sizes) <= most:
        return sizes
    picked = np.random.default_rng(0).choice(len(sizes), most, replace=False)
    drawn: Floats = sizes[np.sort(picked)]
    return drawn


def _enough(sizes: Floats, k: int) -> None:
    distinct = len(np.unique(sizes, axis=0)) if len(sizes) else 0
    if distinct < k:
        raise EngineError(
            f"{k} anchors want at least {k} boxes of different sizes; there are {distinct}. "
            "Choose a smaller k or a file with more boxes."
        )


def as_cells(centroids: Floats, grid: tuple[int, int]) -> Floats:
    """Anchors (k, 2) in cells of a grid (rows, columns), as Darknet's cfg wants them."""
    cells: Any = centroids * (grid[1], grid[0])
    return np.asarray(cells, np.float64)
