"""A hierarchy of merged regions in pictures: the state after some merges, and why they came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.nn.two_stage.selective_search import MEASURES, Hierarchy
from explorer.api import Affine, Artefact, Boxes, Curve, Image, Text

STAGES = ("start", "early", "middle", "late")


def stage(depth: int, merges: int) -> str:
    """When in the course of all merges a region came up, in a word."""
    if depth == 0:
        return STAGES[0]
    return STAGES[1 + min(2, 3 * (depth - 1) // max(merges, 1))]


def hierarchy_views(
    hierarchy: Hierarchy, pixels: npt.NDArray[np.uint8], left: int, affine: Affine
) -> Iterator[Artefact]:
    """The regions that are left, the merge that comes next, and all similarities.

    Args:
        pixels: (H, W, 3) of the picture that was searched.
        left: how many regions are to be left; as many as there are at the start at the most.
        affine: from its pixels to input pixels.
    """
    done = min(max(hierarchy.starts - left, 0), len(hierarchy.merges))
    parts = hierarchy.partition(done)
    now = np.unique(parts)
    yield Image(
        "hierarchy/regions", _painted(parts, pixels), affine=affine,
        note=f"{len(now)} of {hierarchy.starts} regions left after {done} merges, in mean colours",
    )  # fmt: skip
    boxes = hierarchy.boxes()[now]
    depths = hierarchy.depths()[now]
    yield Boxes(
        "hierarchy/boxes", to_input(boxes, affine),
        labels=[stage(int(d), len(hierarchy.merges)) for d in depths], ids=now.tolist(),
        note="of the regions that are left; the colour says when each came up",
    )  # fmt: skip
    yield Text("hierarchy/next merge", _words(hierarchy, done))
    if hierarchy.merges:
        measures = np.array([m.similarity for m in hierarchy.merges], np.float32).T
        yield Curve(
            "hierarchy/similarity", np.arange(1, len(hierarchy.merges) + 1), measures,
            series=MEASURES, x_label="merge", note="of the pair that was most alike each time",
        )  # fmt: skip


def to_input(boxes: npt.NDArray[Any], affine: Affine) -> npt.NDArray[np.float32]:
    """Boxes (N, 4) of the searched picture in input pixels."""
    scale = np.array([affine.sx, affine.sy] * 2)
    shift = np.array([affine.tx, affine.ty] * 2)
    return np.asarray(boxes * scale + shift, np.float32).reshape(-1, 4)


def _painted(parts: npt.NDArray[np.int64], pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Every region in its mean colour, with lighter lines between them."""
    _, index = np.unique(parts, return_inverse=True)
    index = index.reshape(parts.shape)
    counts = np.bincount(index.ravel())
    means = np.stack(
        [
            np.bincount(index.ravel(), pixels[..., c].ravel().astype(float)) / counts
            for c in range(3)
        ],
        1,
    )
    picture = means[index]
    edge = np.zeros(parts.shape, bool)
    edge[1:] |= parts[1:] != parts[:-1]
    edge[:, 1:] |= parts[:, 1:] != parts[:, :-1]
    picture[edge] = 0.5 * picture[edge] + 127.5
    return np.asarray(picture.round(), np.uint8)


def _words(hierarchy: Hierarchy, done: int) -> str:
    if done >= len(hierarchy.merges):
        return "One region is left: the whole picture."
    merge = hierarchy.merges[done]
    a, b = (hierarchy.regions[i] for i in (merge.first, merge.second))
    lines = [
        f"Merge {done + 1} of {len(hierarchy.merges)}: regions {merge.first} and {merge.second}",
        f"{a.size} and {b.size} pixels",
    ]
    lines += [
        f"{name}: {value:.3f}" for name, value in zip(MEASURES, merge.similarity, strict=True)
    ]
    return "\n".join([*lines, f"sum: {merge.total:.3f}"])
