"""The file of results that `layerscope run` writes for detectors, as pycocotools loads it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO

from explorer.core.export import write_run
from explorer.core.writing.detection_export import Detections, picture_number
from explorer.kinds import Affine, Artefact, Boxes, Keypoints, Masks, Text
from explorer.views import Frame

CATEGORIES = {"cat": 17, "dog": 18}


def found(*labels: str, shift: float = 0.0) -> Boxes:
    boxes = np.array([[10 * i + shift, 5, 10 * i + 8, 25] for i in range(len(labels))], np.float32)
    return Boxes("detections/boxes", boxes.reshape(-1, 4), np.linspace(0.9, 0.5, len(labels)),
                 labels)  # fmt: skip


def frame(number: int, *artefacts: Artefact) -> Frame:
    return Frame(run=1, frame=number, step=0, artefacts=artefacts, last=True)


def written(tmp_path: Path, frames: list[Frame], gathered: Detections) -> list[dict[str, Any]]:
    record = write_run(tmp_path / "out", frames, {}, detections=gathered)
    entry = next(e for e in record["artefacts"] if e["name"] == "detections/boxes")
    assert entry["files"][-1] == "detections.coco.json"
    made: list[dict[str, Any]] = json.loads(
        (tmp_path / "out" / "detections.coco.json").read_text("utf-8")
    )
    return made


def test_pycocotools_loads_it(tmp_path: Path) -> None:
    made = written(
        tmp_path,
        [frame(0, found("dog", "cat"))],
        Detections(CATEGORIES, picture_number("0139.jpg")),
    )
    assert [r["category_id"] for r in made] == [18, 17]
    assert made[0]["bbox"] == [0, 5, 8, 20]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {}, "images": [{"id": 139, "height": 40, "width": 40}], "annotations": [],
            "categories": [{"id": i, "name": n} for n, i in CATEGORIES.items()],
        }  # fmt: skip
        truth.createIndex()
        loaded = truth.loadRes(made)
    assert len(loaded.getAnnIds(imgIds=[139])) == 2


def test_frames_of_a_clip_count_and_unknown_names_follow(tmp_path: Path) -> None:
    frames = [frame(0, found("zebra")), frame(1, found("ape", "cat", shift=1)), frame(3, found())]
    made = written(tmp_path, frames, Detections(CATEGORIES, 0))
    assert [(r["image_id"], r["category"], r["category_id"]) for r in made] == [
        (0, "zebra", 20), (1, "ape", 19), (1, "cat", 17),
    ]  # fmt: skip


def test_masks_of_the_picture_and_points_go_with_their_boxes(tmp_path: Path) -> None:
    masks = np.zeros((2, 30, 40), np.float32)
    masks[0, 5:25, :8] = 0.9
    masks[1, 5:25, 10:18] = 0.6
    points = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    step = frame(
        0, found("cat", "dog"), Masks("detections/masks", masks), Keypoints("detections/k", points)
    )
    made = written(tmp_path, [step], Detections(CATEGORIES))
    for record, mask in zip(made, masks, strict=True):
        np.testing.assert_array_equal(rle.decode(record["segmentation"]), mask > 0.5)
    assert made[1]["keypoints"] == [6, 7, 8, 9, 10, 11]


def test_points_of_some_boxes_go_with_the_boxes_of_their_numbers() -> None:
    boxes = found("cat", "dog", "cat")
    numbered = Boxes(boxes.name, boxes.boxes, boxes.scores, boxes.labels, ids=(0, 4, 7))
    points = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    gathered = Detections(CATEGORIES)
    gathered.take(frame(0, numbered, Keypoints("detections/k", points, ids=(7, 0))))
    first, second, third = gathered.records()
    assert first["keypoints"] == [6, 7, 8, 9, 10, 11]
    assert "keypoints" not in second
    assert third["keypoints"] == [0, 1, 2, 3, 4, 5]


def test_masks_of_a_reduced_picture_are_enlarged() -> None:
    masks = np.zeros((1, 15, 20), np.bool_)
    masks[0, 2:9, 3:11] = True
    gathered = Detections(CATEGORIES)
    gathered.take(frame(0, found("cat"), Masks("detections/m", masks, affine=Affine(2, 3))))
    written = rle.decode(gathered.records()[0]["segmentation"])
    np.testing.assert_array_equal(written, masks[0].repeat(3, 0).repeat(2, 1))
    moved = Detections(CATEGORIES)
    moved.take(frame(0, found("cat"), Masks("detections/m", masks, affine=Affine(1, 1, 5, 0))))
    assert "segmentation" not in moved.records()[0], "nobody knows where the picture ends"


def test_nothing_found_is_an_empty_list_and_no_detector_writes_none(tmp_path: Path) -> None:
    assert written(tmp_path, [frame(0, found())], Detections()) == []
    write_run(tmp_path / "other", [frame(0, Text("a/b", "c"))], {}, detections=Detections())
    assert not (tmp_path / "other" / "detections.coco.json").exists()


@pytest.mark.parametrize(
    ("name", "number"),
    [("000000000139.jpg", 139), ("7.png", 7), ("cat.png", 1), ("", 1), ("²³.png", 1)],
)
def test_the_number_of_a_picture(name: str, number: int) -> None:
    assert picture_number(name) == number
