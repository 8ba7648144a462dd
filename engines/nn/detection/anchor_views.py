"""What k-means chose as anchors, to look at: the cloud of sizes, the curve over k, the boxes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engines.nn.detection.anchor_clustering import (
    Floats,
    Iteration,
    as_cells,
    best,
    by_area,
    run_for,
    shape_iou,
    some,
)
from engines.nn.detection.box_sizes import BoxSizes
from explorer.api import Artefact, Boxes, Curve, EndOfStep, EngineError, Scatter, Text

DRAWN = 3000  # boxes in the cloud; more would hide the centroids


def anchors_artefacts(
    found: BoxSizes,
    k: int,
    *,
    grid: tuple[int, int],
    picture: tuple[int, int],
    group: str = "anchors",
    step: int = 0,
    most: int = 10,
    film: bool = True,
) -> Iterator[Artefact | EndOfStep]:
    """Cluster the boxes of a file, a step for each iteration, and draw what came out.

    Args:
        found: from `engines.nn.detection.box_sizes.read_sizes`.
        k: how many anchors, 1 or more.
        grid: (rows, columns) of cells that the detector lays over its input.
        picture: (height, width) in px of the picture on which the anchors are drawn.
        group: first part of the artefacts' names: ``sizes`` (Scatter), ``mean IoU over
            iterations`` and ``mean IoU against k`` (Curve), ``boxes`` (Boxes), ``cfg`` (Text).
        step: of the first iteration; each further one is a step of its own.
        most: the curve goes from one anchor to this many, or to ``k`` where that is more.
        film: off gives the last iteration alone, all in ``step``.

    Raises:
        EngineError: the file has fewer distinct sizes than ``k``.
    """
    sizes = some(found.sizes)
    drawn = found.words() if len(sizes) == len(found.sizes) else (
        f"{found.words()}, {len(sizes)} of them drawn by lot and clustered"
    )  # fmt: skip
    runs = _grown(sizes, k, most)
    run = runs[k - 1]
    last = len(run) - 1 if film else 0
    for now in range(last + 1):
        seen = run[: now + 1] if film else run
        yield _cloud(sizes, seen, f"{group}/sizes", step + now, drawn)
        yield _climb(seen, f"{group}/mean IoU over iterations", step + now)
        if now < last:
            yield EndOfStep()
    yield _curve(runs, k, f"{group}/mean IoU against k", step + last)
    anchors = by_area(best(run).centroids)
    yield _boxes(anchors, sizes, grid, picture, f"{group}/boxes", step + last)
    line = ", ".join(f"{w:.5g},{h:.5g}" for w, h in as_cells(anchors, grid))
    yield Text(
        f"{group}/cfg", f"anchors = {line}", step=step + last,
        note=f"width,height in cells of a {grid[0]} × {grid[1]} grid, as in Darknet's cfg",
    )  # fmt: skip


def _grown(sizes: Floats, k: int, most: int) -> list[list[Iteration]]:
    """Iterations for 1, 2, ... anchors, as far as there are sizes; each starts from the last."""
    runs: list[list[Iteration]] = []
    previous = None
    for count in range(1, max(k, most) + 1):
        try:
            runs.append(run_for(sizes, count, previous))
        except EngineError:
            if count <= k:
                raise
            break
        previous = best(runs[-1]).centroids
    return runs


def _cloud(sizes: Floats, run: list[Iteration], name: str, step: int, words: str) -> Scatter:
    """Every box as a point of its cluster's colour, the centroids, and where they came from."""
    now = run[-1]
    shown = np.linspace(0, len(sizes) - 1, min(DRAWN, len(sizes))).astype(int)
    trail = np.concatenate([iteration.centroids for iteration in run[:-1]] or [np.zeros((0, 2))])
    rank = run[-1].centroids.prod(1).argsort().argsort()  # numbered as the anchors, by area
    labels = [f"boxes of {rank[i] + 1}" for i in now.nearest[shown]]
    labels += ["centroids before"] * len(trail) + ["centroids now"] * len(now.centroids)
    again = f"; {now.reseeded} empty, set anew" if now.reseeded else ""
    top = max(range(len(run)), key=lambda i: run[i].mean_iou)
    again += f"; iteration {top} had {run[top].mean_iou:.3f}" if top < len(run) - 1 else ""
    return Scatter(
        name, np.concatenate([sizes[shown], trail, now.centroids]), labels,
        axes=("width", "height"), unit="share of the picture", step=step,
        note=f"iteration {len(run) - 1}: mean IoU {now.mean_iou:.3f}{again}; {words}",
    )  # fmt: skip


def _climb(run: list[Iteration], name: str, step: int) -> Curve:
    values = np.array([iteration.mean_iou for iteration in run])
    return Curve(name, np.arange(len(run)), values, x_label="iteration", step=step,
                 note="of each box with its best centroid; the anchors are those of the best "
                 "iteration, for means of sizes need not be the best for IoU")  # fmt: skip


def _curve(runs: list[list[Iteration]], k: int, name: str, step: int) -> Curve:
    values = np.array([best(run).mean_iou for run in runs])
    return Curve(
        name, np.arange(1, len(runs) + 1), values, x_label="anchors k", step=step,
        marks={f"k = {k}": float(values[k - 1])},
        note="each k starts from the anchors of k − 1 and the box they cover worst, or from "
        "k boxes far apart, whichever ends higher",
    )  # fmt: skip


def _boxes(
    anchors: Floats,
    sizes: Floats,
    grid: tuple[int, int],
    picture: tuple[int, int],
    name: str,
    step: int,
) -> Boxes:
    """The anchors about the middle of the picture; scores are shares of the boxes."""
    height, width = picture
    half = anchors * (width, height) / 2
    middle = np.array([width / 2, height / 2])
    nearest = shape_iou(sizes, anchors).argmax(1)
    shares = np.bincount(nearest, minlength=len(anchors)) / len(sizes)
    labels = [f"anchor {i + 1}: {w:.2f} × {h:.2f} cells"
              for i, (w, h) in enumerate(as_cells(anchors, grid))]  # fmt: skip
    return Boxes(
        name, np.concatenate([middle - half, middle + half], 1), shares, labels,
        ids=range(len(anchors)), step=step,
        note="drawn about the middle; the score is the share of boxes that each fits best",
    )  # fmt: skip
