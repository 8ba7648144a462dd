"""Average precision against pycocotools to 1e-9, and the rules of Pascal VOC by hand."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from engines.nn.detection.average_precision import (
    AREAS,
    Found,
    Truths,
    average_precision,
    voc_average_precision,
)
from engines.nn.detection.shapes import HELD_OUT, scene

CLASSES = (0, 1, 2)


def pictures(seed: int, *, count: int, masks: bool) -> tuple[list[Truths], list[Found]]:
    """Hard scenes, and spoiled copies of their truths as detections, among them ties in score."""
    draw = np.random.default_rng(seed)
    truths, found = [], []
    for at in range(count):
        held = scene(HELD_OUT + 1000 * seed + at, hard=True)
        number = len(held.boxes)
        crowd = draw.uniform(size=number) < 0.15
        pixels = held.masks.sum((1, 2)).astype(np.float64)
        areas = pixels * draw.choice([1, 20, 60], number)
        truths.append(Truths(held.boxes.astype(float), held.labels, crowd, areas, held.masks))
        again = draw.integers(0, number, draw.integers(0, 3 * number))
        boxes = held.boxes[again] + draw.normal(0, 1.5, (len(again), 4))
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        labels = np.where(draw.uniform(size=len(again)) < 0.8, held.labels[again], 1)
        scores = np.round(draw.uniform(size=len(again)), 1)
        shifted = [np.roll(held.masks[i], draw.integers(-3, 4, 2), (0, 1)) for i in again]
        stack = np.array(shifted, np.bool_).reshape(-1, 64, 64)
        found.append(Found(boxes, scores, labels, stack if masks else None))
    if not masks:
        truths = [Truths(t.boxes, t.labels, t.crowd, t.areas) for t in truths]
    return truths, found


def encoded(mask: Any) -> Any:
    return rle.encode(np.asfortranarray(mask.astype(np.uint8)))


def xywh(box: Any) -> list[float]:
    return [*map(float, box[:2]), *map(float, box[2:] - box[:2])]


def oracle(truths: list[Truths], found: list[Found], *, masks: bool, most: int) -> COCOeval:
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, (t, f) in enumerate(zip(truths, found, strict=True)):
        for i in range(len(t.boxes)):
            one = {"id": len(annotations) + 1, "image_id": image, "bbox": xywh(t.boxes[i])}
            one |= {"category_id": int(t.labels[i]), "area": float(t.areas[i])}
            one |= {"iscrowd": int(t.crowd[i])}
            annotations.append(one | ({"segmentation": encoded(t.masks[i])} if masks else {}))
        for i in range(len(f.boxes)):
            one = {"image_id": image, "category_id": int(f.labels[i]), "score": float(f.scores[i])}
            one |= {"segmentation": encoded(f.masks[i])} if masks else {"bbox": xywh(f.boxes[i])}
            results.append(one)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": i, "width": 64, "height": 64} for i in range(len(truths))],
            "categories": [{"id": c, "name": str(c)} for c in CLASSES],
            "annotations": annotations,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm" if masks else "bbox")
        evaluation.params.maxDets = [1, 2, most]  # kept in rising order
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


@pytest.mark.parametrize("masks", [False, True], ids=["boxes", "masks"])
@pytest.mark.parametrize(("seed", "most"), [(1, 100), (2, 4)])
def test_equal_to_pycocotools(seed: int, most: int, masks: bool) -> None:
    truths, found = pictures(seed, count=25, masks=masks)
    evaluation = oracle(truths, found, masks=masks, most=most)
    for a, area in enumerate(AREAS):
        own = average_precision(truths, found, classes=CLASSES, most=most, area=area)
        wanted = evaluation.eval["precision"][:, :, :, a, 2]
        assert (np.isnan(own.precision) == (wanted == -1)).all()
        np.testing.assert_allclose(np.nan_to_num(own.precision, nan=-1), wanted, atol=1e-9, rtol=0)
        reached = evaluation.eval["recall"][:, :, a, 2]
        np.testing.assert_allclose(np.nan_to_num(own.recall, nan=-1), reached, atol=1e-9, rtol=0)
    whole = average_precision(truths, found, classes=CLASSES, most=most)
    seen = evaluation.eval["precision"][:, :, :, 0, 2]
    assert whole.mean == pytest.approx(seen[seen > -1].mean(), abs=1e-9)
    assert whole.at(0.75) == pytest.approx(seen[5][seen[5] > -1].mean(), abs=1e-9)
    assert 0.05 < whole.mean < 0.95, "a case that says something"


def boxes(*rows: tuple[float, ...]) -> Any:
    return np.array(rows, np.float64).reshape(-1, 4)


def test_perfect_none_and_no_truths() -> None:
    truth = Truths(boxes((0, 0, 10, 10), (20, 20, 40, 40)), np.array([0, 2]))
    same = Found(truth.boxes, np.array([0.9, 0.8]), truth.labels)
    nothing = Found(boxes(), np.zeros(0), np.zeros(0, np.int64))
    empty = Truths(boxes(), np.zeros(0, np.int64))
    assert average_precision([truth], [same]).mean == pytest.approx(1.0)
    assert average_precision([truth], [same]).mean_recall == 1.0
    assert average_precision([truth], [nothing]).mean == 0.0
    assert np.isnan(average_precision([empty], [same], classes=CLASSES).mean)
    assert np.isnan(average_precision([], []).mean)
    with pytest.raises(ValueError, match="1 pictures with truths, 0"):
        average_precision([truth], [])


def test_the_rules_of_voc_by_hand() -> None:
    """Right, wrong, right of three truths: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3."""
    truth = Truths(boxes((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)), np.zeros(3, np.int64))
    told = boxes((0, 0, 10, 10), (0, 0, 10, 9), (20, 0, 30, 10))
    found = Found(told, np.array([0.9, 0.8, 0.7]), np.zeros(3, np.int64))
    whole = voc_average_precision([truth], [found], 0)
    assert whole == pytest.approx((1 + 2 / 3) / 3)
    eleven = voc_average_precision([truth], [found], 0, rule="11 points")
    assert eleven == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)


def test_voc_leaves_difficult_ones_out_and_wants_more_than_the_threshold() -> None:
    label = np.zeros(2, np.int64)
    pair = boxes((0, 0, 10, 10), (20, 0, 30, 10))
    truth = Truths(pair, label, crowd=np.array([False, True]))
    found = Found(pair, np.array([0.5, 0.9]), label)
    assert voc_average_precision([truth], [found], 0) == pytest.approx(1.0)
    half = Found(boxes((0, 0, 10, 5)), np.array([0.5]), label[:1])  # an IoU of 0.5 exactly
    assert voc_average_precision([truth], [half], 0) == 0.0
    assert np.isnan(voc_average_precision([truth], [half], 1))


@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_only_the_order_of_scores_counts(seed: int, factor: float) -> None:
    truths, found = pictures(seed, count=3, masks=False)
    scaled = [Found(f.boxes, f.scores * factor, f.labels) for f in found]
    before, after = (average_precision(truths, f).precision for f in (found, scaled))
    np.testing.assert_array_equal(before, after)
