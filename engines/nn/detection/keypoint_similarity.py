"""Object keypoint similarity: what IoU is to boxes, OKS is to the points of an object.

Ronchi, Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", 2017, and the
rules of COCO's keypoint challenge.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engines.nn.detection.average_precision import AREAS, Floats, Found, Truths

# How far people who annotate lie apart, in shares of the root of an object's area; nose, eyes,
# ears, shoulders, elbows, wrists, hips, knees, ankles.
COCO_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
    0.087, 0.087, 0.089, 0.089,
)  # fmt: skip
# Of corners of generated squares; between an ear and an elbow of COCO's. In a square of 20 px a
# corner that lies 1 px off counts 0.88, one that lies 3 px off 0.32.
SHAPE_SIGMA = 0.05
MOST = 20  # detections of one class in one picture
POINT_AREAS: Mapping[str, tuple[float, float]] = {  # points of small objects are not annotated
    name: limits for name, limits in AREAS.items() if name != "small"
}


def similarity(found: Floats, truths: Floats, boxes: Floats, areas: Floats, sigmas: Floats) -> (
    Floats
):  # fmt: skip
    """OKS (M, N) in [0, 1]: the mean of ``exp(-d^2 / (2 area (2 sigma)^2))`` over the points.

    ``d`` is the distance of a point from its annotated place, and only annotated ones count. For an
    object without any, it is the distance from its box, grown to three times its sides.

    Args:
        found: (M, K, 2 or 3) in pixels. truths: (N, K, 3), the last 0 where not annotated.
        boxes: (N, 4) of the truths. areas: (N,) of the truths. sigmas: (K,).
    """
    seen = np.asarray(truths[..., 2] > 0)  # (N, K)
    away = found[:, None, :, :2] - truths[None, ..., :2]  # (M, N, K, 2)
    sides = boxes[:, 2:] - boxes[:, :2]
    low, high = (corner[None, :, None] for corner in (boxes[:, :2] - sides, boxes[:, 2:] + sides))
    at = found[:, None, :, :2]
    beyond = np.clip(low - at, 0, None) + np.clip(at - high, 0, None)
    none = np.asarray(~seen.any(1))
    away = np.where(none[None, :, None, None], beyond, away)
    counted = seen | none[:, None]
    scale = 2 * (areas[:, None] + np.spacing(1)) * (2 * sigmas[None]) ** 2  # (N, K)
    near = np.exp(-(away**2).sum(3) / scale[None]) * counted[None]
    return np.asarray(near.sum(2) / counted.sum(1)[None])


def point_overlaps(truths: Truths, found: Found, sigmas: Floats) -> tuple[Floats, Floats]:
    """OKS (M, N), and the sizes (M,) of what was found, each of the box around its points."""
    assert truths.points is not None
    assert found.points is not None
    alike = similarity(found.points, truths.points, truths.boxes, truths.areas, sigmas)
    places = found.points[..., :2]
    return alike, np.ptp(places, axis=1).prod(1)
