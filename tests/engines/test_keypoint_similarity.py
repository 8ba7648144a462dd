"""OKS and the AP by it against pycocotools to 1e-9, and cases by hand."""

from __future__ import annotations

import contextlib
import copy
import io
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from engines.nn.detection.average_precision import THRESHOLDS, Found, Gathered, Truths
from engines.nn.detection.keypoint_similarity import (
    COCO_SIGMAS,
    MOST,
    POINT_AREAS,
    point_overlaps,
    similarity,
)

CLASSES = (3, 5)
SIGMAS = np.array(COCO_SIGMAS)
COUNT = len(SIGMAS)


def figure(draw: np.random.Generator) -> tuple[Any, Any, float]:
    """Box, points and area of a person: some points hidden, some not annotated, sometimes none."""
    side = draw.uniform(20, 250, 2)
    corner = draw.uniform(0, 60, 2)
    points = np.zeros((COUNT, 3))
    points[:, :2] = corner + draw.uniform(0, 1, (COUNT, 2)) * side
    points[:, 2] = draw.choice([0, 1, 2], COUNT) * (draw.uniform() < 0.8)
    points[points[:, 2] == 0] = 0
    return np.concatenate([corner, corner + side]), points, float(side.prod() * 0.6)


def pictures(seed: int, count: int) -> tuple[list[Truths], list[Found]]:
    """People, and spoiled copies of them as detections, often more than twenty of a picture."""
    draw = np.random.default_rng(seed)
    truths, found = [], []
    for at in range(count):
        number = 0 if at == 0 else int(draw.integers(1, 7))
        figures = [figure(draw) for _ in range(number)]
        boxes = np.array([f[0] for f in figures]).reshape(-1, 4)
        points = np.array([f[1] for f in figures]).reshape(-1, COUNT, 3)
        labels = draw.choice(CLASSES, number)
        crowd = draw.uniform(size=number) < 0.15
        truths.append(
            Truths(boxes, labels, crowd, np.array([f[2] for f in figures]), points=points)
        )
        if not number:
            label = np.repeat(CLASSES[0], 3)
            places = draw.uniform(0, 200, (3, COUNT, 3))
            found.append(Found(np.zeros((3, 4)), np.array([0.9, 0.5, 0.1]), label, None, places))
            continue
        again = draw.integers(0, number, draw.integers(0, 60))
        told = points[again].copy()
        middle = (boxes[again, None, :2] + boxes[again, None, 2:]) / 2
        told[..., :2] = np.where(told[..., 2:] == 0, middle, told[..., :2])
        spread = draw.choice([1, 5, 40], (len(again), 1, 1))
        told[..., :2] += draw.normal(0, 1, (len(again), COUNT, 2)) * spread
        scores = np.round(draw.uniform(size=len(again)), 1)
        found.append(Found(boxes[again], scores, labels[again], None, told))
    return truths, found


def oracle(truths: list[Truths], found: list[Found]) -> COCOeval:
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, (t, f) in enumerate(zip(truths, found, strict=True)):
        assert t.points is not None
        assert f.points is not None
        for i, box in enumerate(t.boxes):
            one = {"id": len(annotations) + 1, "image_id": image, "category_id": int(t.labels[i])}
            one |= {"bbox": [*box[:2], *(box[2:] - box[:2])], "area": float(t.areas[i])}
            one |= {"iscrowd": int(t.crowd[i]), "keypoints": t.points[i].reshape(-1).tolist()}
            annotations.append(one | {"num_keypoints": int((t.points[i, :, 2] > 0).sum())})
        results += [
            {"image_id": image, "category_id": int(label), "score": float(score),
             "keypoints": points.reshape(-1).tolist()}
            for label, score, points in zip(f.labels, f.scores, f.points, strict=True)
        ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": i, "width": 200, "height": 200} for i in range(len(truths))],
            "categories": [{"id": c, "name": str(c)} for c in CLASSES],
            "annotations": annotations,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def gathered(truths: list[Truths], found: list[Found]) -> Gathered:
    rule = partial(point_overlaps, sigmas=SIGMAS)
    made = Gathered(CLASSES, most=MOST, areas=POINT_AREAS, overlaps=rule)
    for t, f in zip(truths, found, strict=True):
        made.add(t, f)
    return made


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equal_to_pycocotools(seed: int) -> None:
    truths, found = pictures(seed, 12)
    assert max(len(f.scores) for f in found) > 2 * MOST, "more than twenty of a class"
    evaluation, own = oracle(truths, found), gathered(truths, found)
    assert evaluation.params.maxDets == [MOST]
    assert evaluation.params.areaRngLbl == list(POINT_AREAS)
    np.testing.assert_allclose(evaluation.params.iouThrs, THRESHOLDS, atol=1e-12)
    for a, area in enumerate(POINT_AREAS):
        made = own.figures(area)
        wanted = evaluation.eval["precision"][:, :, :, a, 0]
        np.testing.assert_allclose(np.nan_to_num(made.precision, nan=-1), wanted, atol=1e-9, rtol=0)
        reached = evaluation.eval["recall"][:, :, a, 0]
        np.testing.assert_allclose(np.nan_to_num(made.recall, nan=-1), reached, atol=1e-9, rtol=0)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.summarize()
    whole = own.figures()
    mine = [whole.mean, whole.at(0.5), whole.at(0.75)]
    mine += [own.figures(area).mean for area in ("medium", "large")]
    mine.append(whole.mean_recall)
    np.testing.assert_allclose(mine, evaluation.stats[:6], atol=1e-9)
    assert 0.05 < whole.mean < 0.95, "a case that says something"


def test_every_similarity_is_that_of_pycocotools() -> None:
    truths, found = pictures(5, 8)
    evaluation = oracle(truths, found)
    seen = 0
    for (image, category), wanted in evaluation.ious.items():
        if not len(wanted):
            continue
        t, f = truths[image], found[image]
        assert t.points is not None
        assert f.points is not None
        mine, theirs = t.labels == category, np.flatnonzero(f.labels == category)
        best = theirs[np.argsort(-f.scores[theirs], kind="stable")][:MOST]
        own = similarity(f.points[best], t.points[mine], t.boxes[mine], t.areas[mine], SIGMAS)
        np.testing.assert_allclose(own, wanted, atol=1e-12, rtol=0)
        seen += own.size
    assert seen > 200


def test_one_point_by_hand() -> None:
    """4 px off in an object of 400 px: exp(-16 / (2 * 400 * 0.2^2)) = exp(-0.5)."""
    truth = np.array([[[10.0, 10.0, 2.0], [0.0, 0.0, 0.0]]])
    told = np.array([[[14.0, 10.0], [500.0, 500.0]]])
    boxes, areas = np.array([[0.0, 0.0, 20.0, 20.0]]), np.array([400.0])
    alike = similarity(told, truth, boxes, areas, np.array([0.1, 0.1]))
    assert alike == pytest.approx(math.exp(-0.5), abs=1e-12)


def test_without_annotated_points_the_box_three_times_as_large_counts() -> None:
    nothing = np.zeros((1, 2, 3))
    boxes, areas = np.array([[10.0, 10.0, 20.0, 20.0]]), np.array([100.0])
    inside = np.array([[[1.0, 1.0], [29.0, 29.0]]])
    outside = np.array([[[1.0, 1.0], [34.0, 15.0]]])  # the second by 4 px
    sigmas = np.array([0.1, 0.1])
    assert similarity(inside, nothing, boxes, areas, sigmas) == 1.0
    wanted = (1 + math.exp(-16 / (2 * 100 * 0.04))) / 2
    assert similarity(outside, nothing, boxes, areas, sigmas) == pytest.approx(wanted, abs=1e-12)


@given(st.integers(0, 10_000), st.floats(0.2, 5), st.floats(-50, 50))
def test_scale_and_place_do_not_matter(seed: int, factor: float, shift: float) -> None:
    truths, found = pictures(seed, 2)
    t, f = truths[1], found[1]
    assert t.points is not None
    assert f.points is not None
    before = similarity(f.points, t.points, t.boxes, t.areas, SIGMAS)
    assert ((before >= 0) & (before <= 1)).all()
    moved, told = t.points.copy(), f.points.copy()
    moved[..., :2] = moved[..., :2] * factor + shift
    told[..., :2] = told[..., :2] * factor + shift
    after = similarity(told, moved, t.boxes * factor + shift, t.areas * factor**2, SIGMAS)
    np.testing.assert_allclose(after, before, atol=1e-6)
