"""Mask and Keypoint R-CNN as engines: scenes whose truth is known, knobs, odd pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from engines.detect.roi_choice import PoolingParams, neighbours
from engines.nn.detection.average_precision import box_iou
from engines.nn.detection.coco import annotations_of
from engines.nn.detection.shapes import HELD_OUT, NAMES, SQUARE, scene
from engines.nn.two_stage.roi import align_points, roi_align
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.engine import EngineError, ImageInput
from explorer.kinds import Boxes, Field, Keypoints, Masks

SCENES = range(HELD_OUT, HELD_OUT + 6)
ENGINES = ("mask-rcnn", "keypoint-rcnn")


@pytest.fixture(scope="module", params=ENGINES)
def either(request: pytest.FixtureRequest) -> Iterator[Session]:
    yield from opened(request.param)


@pytest.fixture(scope="module")
def masks() -> Iterator[Session]:
    yield from opened("mask-rcnn")


@pytest.fixture(scope="module")
def keypoints() -> Iterator[Session]:
    yield from opened("keypoint-rcnn")


def opened(name: str) -> Iterator[Session]:
    torch.set_num_threads(1)
    session = Session(table()[name], device="cpu")
    session.open()
    yield session
    session.close()


def run(session: Session, pixels: Any, **values: Any) -> dict[str, Any]:
    default = type(session.params)()
    session.set_params({**{k: getattr(default, k) for k in session.params.__slots__}, **values})
    photo = ImageInput(np.ascontiguousarray(pixels))
    return {a.name: a for frame in session.run({"image": photo}) for a in frame.artefacts}


def test_boxes_and_masks_are_the_true_ones(masks: Session) -> None:
    found = total = 0
    for seed in SCENES:
        held = scene(seed)
        made = run(masks, held.image, score=0.3)
        boxes, stack = made["detections/boxes"], made["detections/masks"]
        assert isinstance(boxes, Boxes)
        assert isinstance(stack, Masks)
        assert stack.masks.shape == (len(boxes.boxes), *held.image.shape[:2])
        assert tuple(stack.labels) == tuple(boxes.labels)
        for box, label, mask in zip(held.boxes, held.labels, held.masks, strict=True):
            total += 1
            same = np.array([word == NAMES[label] for word in boxes.labels])
            shares = box_iou(boxes.boxes.astype(float), box[None].astype(float))[:, 0] * same
            best = int(shares.argmax())
            both = (stack.masks[best] & mask).sum() / (stack.masks[best] | mask).sum()
            found += bool(shares[best] > 0.7 and both > 0.75)
    assert found >= 0.9 * total


def test_a_mask_lies_in_its_box_and_follows_the_threshold(masks: Session) -> None:
    held = scene(HELD_OUT)
    areas = []
    for threshold in (0.1, 0.5, 0.9):
        made = run(masks, held.image, threshold=threshold)
        mask = made["pasted/after the threshold"].masks[0]
        chance = made["pasted/probability"]
        assert isinstance(chance, Field)
        assert np.array_equal(mask, chance.values > threshold)
        areas.append(int(mask.sum()))
        x1, y1, x2, y2 = made["detections/boxes"].boxes[0]
        rows, columns = np.nonzero(made["detections/masks"].masks[0])
        assert y1 - 2 <= rows.min() <= rows.max() <= y2 + 1
        assert x1 - 2 <= columns.min() <= columns.max() <= x2 + 1
    assert areas[0] > areas[1] > areas[2] > 0


def test_the_click_chooses_the_detection_and_the_region_is_free(masks: Session) -> None:
    held = next(s for s in map(scene, SCENES) if len(s.boxes) > 1)
    made = {}
    for box in held.boxes[:2]:
        middle = tuple(map(float, (box[:2] + box[2:]) / 2))
        made[middle] = run(masks, held.image, score=0.3, cursor=middle)
        x, y = int(middle[0]), int(middle[1])
        assert made[middle]["pasted/after the threshold"].masks[0, y, x]
    one, other = made.values()
    assert not np.array_equal(one["classes/logits"].maps, other["classes/logits"].maps)
    drawn = run(masks, held.image, region=(8.0, 8.0, 40.0, 40.0))
    assert drawn["roi/bins of RoIPool"].boxes[0].tolist() == [8.0, 8.0, 40.0, 40.0]


def test_a_lower_score_finds_its_masks_without_the_network(masks: Session) -> None:
    held = scene(HELD_OUT + 3)
    few = run(masks, held.image, score=0.9)["detections/masks"]
    masks.set_params({"score": 0.02, "overlap": 1.0})
    again = {a.name: a for frame in masks.again() for a in frame.artefacts}
    many = again["detections/masks"]
    assert len(many.masks) > len(few.masks)
    assert len(many.masks) == len(again["detections/boxes"].boxes)


def test_how_regions_are_pooled_changes_the_masks_and_can_be_taken_back(masks: Session) -> None:
    held = scene(HELD_OUT)
    before = run(masks, held.image)["classes/logits"].maps
    for values in ({"pooling": "pool"}, {"aligned": True}, {"ratio": 1}):
        assert not np.array_equal(run(masks, held.image, **values)["classes/logits"].maps, before)
    assert np.array_equal(run(masks, held.image)["classes/logits"].maps, before)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((2, 3, 3), 90, np.uint8),
        np.full((3, 500, 3), 90, np.uint8),
        np.full((400, 2, 3), 90, np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.full((200, 90, 3), 255, np.uint8),
    ],
    ids=["smaller than a stride", "very wide", "very high", "black", "white"],
)
def test_odd_pictures_give_a_right_result(either: Session, pixels: Any) -> None:
    made = run(either, pixels, score=0.97)
    boxes = made["detections/boxes"].boxes
    height, width = pixels.shape[:2]
    assert (boxes >= 0).all()
    assert (boxes[:, [0, 2]] <= width + 1e-3).all()
    assert (boxes[:, [1, 3]] <= height + 1e-3).all()
    shown = made.get("detections/masks")
    if shown is not None:
        assert len(shown.masks) == len(boxes)


def test_no_detection_is_an_empty_result_that_says_so(either: Session) -> None:
    made = run(either, scene(HELD_OUT).image, only="nothing of this name")
    assert len(made["detections/boxes"].boxes) == 0
    assert "no box stayed" in made["origin/box"].note
    rest = made.get("detections/masks") or made["detections/keypoints"]
    assert "no detection" in rest.note


def test_weights_of_another_class_count_are_refused_by_name(
    masks: Session, keypoints: Session
) -> None:
    from engines.nn.two_stage.rcnn import load

    with pytest.raises(EngineError, match=r"roi_heads\.mask_head.* is missing"):
        load(masks.engine.network, keypoints.network.state_dict(), "shapes-keypoint-rcnn")


def test_corners_of_squares_are_drawn(keypoints: Session) -> None:
    errors = []
    for seed in range(HELD_OUT, HELD_OUT + 12):
        held = scene(seed)
        made = run(keypoints, held.image)["detections/keypoints"]
        assert isinstance(made, Keypoints)
        for corners in held.keypoints[held.labels == SQUARE]:
            away = np.abs(made.points[:, :, :2] - corners[:, :2]).max(2) if len(made.points) else []
            if len(away):
                errors.append(float(away.mean(1).min()))
    assert len(errors) >= 5
    assert np.median(errors) < 1.5


def test_the_threshold_of_points_hides_the_unsure_ones(keypoints: Session) -> None:
    held = next(s for s in map(scene, range(HELD_OUT, HELD_OUT + 40)) if s.labels[0] == SQUARE)
    made = run(keypoints, held.image)
    peaks = made["points/peaks"].scores
    middle = float(np.sort(peaks)[1:3].mean())
    hidden = run(keypoints, held.image, threshold=middle)
    assert (hidden["points/peaks"].scores == peaks).all()
    assert "below" in hidden["points/peaks"].note
    least = run(keypoints, held.image, threshold=-20.0)["detections/keypoints"].points[..., 2]
    assert (least >= 0.5).all()


def test_the_four_cells_of_a_point_make_its_value() -> None:
    maps = torch.randn(3, 12, 10, generator=torch.Generator().manual_seed(1))
    box = torch.tensor([9.0, 12.0, 60.0, 70.0])
    said = neighbours(box, PoolingParams(bins=3, ratio=1, unit=2), 1 / 8, maps).text
    roi = torch.cat([torch.zeros(1), box])[None]
    value = float(roi_align(maps[None], roi, 3, 1 / 8, 1)[0, 2, 1, 1])
    assert f"makes {value:+.3f}" in said
    x, y = align_points(box, 3, 1 / 8, 1)[1, 1, 0, 0].tolist()
    assert f"column {x:.2f} and row {y:.2f}" in said


def test_a_folder_is_evaluated(either: Session, tmp_path: Path) -> None:
    scenes = {f"{seed}.png": scene(seed) for seed in SCENES}
    for name, held in scenes.items():
        cv2.imwrite(str(tmp_path / name), held.image[..., ::-1])
    (tmp_path / "annotations.json").write_text(json.dumps(annotations_of(scenes, NAMES)))
    evaluation = either.engine.evaluate(tmp_path, type(either.params)())
    try:
        with torch.no_grad():
            while True:
                next(evaluation)
    except StopIteration as end:
        figures = end.value
    assert figures["pictures"] == len(scenes)
    assert figures["AP50"] > 0.9
    if either.row.name == "mask-rcnn":
        assert figures["mask AP50"] > 0.9
    else:
        assert figures["keypoint AP50"] > 0.9
        assert 0.5 < figures["keypoint AP"] < 1


def test_the_official_networks_are_not_trained_here(either: Session) -> None:
    official = next(w.name for w in either.row.weights if w.name.endswith("-coco"))
    wanted = type(either.params)(model=official)
    with pytest.raises(EngineError, match=f"{official} is not trained here; set model to shapes-"):
        next(either.engine.train({}, wanted))
