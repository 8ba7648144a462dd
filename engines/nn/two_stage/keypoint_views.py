"""Keypoints as artefacts: skeletons of all instances, and the maps of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from engines.nn.detection.shapes import CORNERS
from engines.nn.two_stage.class_tiles import tiles
from engines.nn.two_stage.mask_views import array
from explorer.api import Affine, Artefact, FeatureMaps, Field, Keypoints, Scores

COCO_POINTS = (
    "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder",
    "left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee",
    "right knee", "left ankle", "right ankle",
)  # fmt: skip
COCO_BONES = (
    (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12),
    (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
SQUARE_POINTS = CORNERS
SQUARE_BONES = ((0, 1), (1, 2), (2, 3), (3, 0))


def chances(logits: Tensor) -> Tensor:
    """The softmax over the places of each map, (..., m, m)."""
    return logits.flatten(-2).softmax(-1).view_as(logits)


def skeletons(
    points: Tensor, logits: Tensor, names: Sequence[str], bones: Sequence[tuple[int, int]],
    threshold: float, ids: Sequence[int],
) -> Keypoints:  # fmt: skip
    """All instances; points whose peak lies below the threshold are drawn hollow.

    Args:
        points: (P, K, 2) in input pixels. ``logits``: (P, K) at the peaks.
        ids: (P,) of the boxes that they belong to.
    """
    seen = logits >= threshold
    # A sure point counts 1, one at the threshold 0.5, one below it less than is drawn as seen.
    score = torch.where(seen, (logits - threshold).sigmoid(), 0.0)
    count = f"{int(seen.sum())} of {seen.numel()} points at {threshold:g} logits or more"
    return Keypoints(
        "detections/keypoints", array(torch.cat([points, score[..., None]], 2)), labels=list(names),
        skeleton=tuple(bones), ids=ids,
        note=count if len(points) else "no detection that has points",
    )  # fmt: skip


def instance(
    logits: Tensor, box: Tensor, peaks: Tensor, names: Sequence[str], affine: Affine,
    size: tuple[int, int], threshold: float,
) -> Iterator[Artefact]:  # fmt: skip
    """The maps of one detection, point by point.

    Args:
        logits: (K, m, m). ``box``: (4,) in pixels of the network's input. ``peaks``: (K,) logits.
        size: (height, width) of the picture there; ``affine`` leads to input pixels.
    """
    x1, y1, x2, y2 = box.tolist()
    cells = logits.shape[-1]
    place = affine.after(Affine(max(x2 - x1, 1e-3) / cells, max(y2 - y1, 1e-3) / cells, x1, y1))
    yield FeatureMaps(
        "points/logits", array(logits), labels=list(names), affine=place, unit="logit",
        note=f"{cells} × {cells} places over the box; a softmax over them all says where",
    )  # fmt: skip
    likely = chances(logits)
    relative = likely / likely.amax((1, 2), keepdim=True)
    yield tiles(
        "points/heat maps", array(relative), names,
        note="softmax over the places of each point, white at its peak",
    )  # fmt: skip
    below = [n for n, v in zip(names, peaks.tolist(), strict=True) if v < threshold]
    yield Scores(
        "points/peaks", array(peaks), labels=list(names), probability=False, unit="logit",
        note=f"below {threshold:g}: {', '.join(below)}" if below else f"all at {threshold:g} "
        "or more",
    )  # fmt: skip
    yield Field(
        "points/heat on the picture", array(spread(relative, box, size).clamp(max=1)),
        scale="probability", affine=affine, note="all points in the box, 1 at each peak",
    )  # fmt: skip


def spread(likely: Tensor, box: Tensor, size: tuple[int, int]) -> Tensor:
    """The maps (K, m, m) of a box added up and put into its place, (height, width).

    A pixel has the value of the place that its middle lies in, or that of a larger one whose middle
    lies in it: where places are finer than pixels no peak may fall between two.
    """
    total, cells = likely.sum(0), likely.shape[-1]
    height, width = size
    x1, y1, x2, y2 = box.tolist()
    x = (torch.arange(width, device=box.device) + 0.5 - x1) * (cells / max(x2 - x1, 1e-3))
    y = (torch.arange(height, device=box.device) + 0.5 - y1) * (cells / max(y2 - y1, 1e-3))
    inside = ((y >= 0) & (y < cells))[:, None] & ((x >= 0) & (x < cells))[None]
    column, row = (v.long().clamp(0, cells - 1) for v in (x, y))
    heat: Tensor = total[row[:, None], column[None]] * inside
    middles = (torch.arange(cells, device=box.device) + 0.5) / cells
    across, down = (x1 + middles * (x2 - x1)).floor().long(), (y1 + middles * (y2 - y1)).floor()
    place = down.long()[:, None] * width + across[None]
    there = ((down >= 0) & (down < height))[:, None] & ((across >= 0) & (across < width))[None]
    return heat.flatten().scatter_reduce(0, place[there], total[there], "amax").view(height, width)
