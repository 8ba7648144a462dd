"""AP over annotated folders against pycocotools, results that it loads, and wrong files."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from engines.nn.detection.coco import PointRule, annotations_of, evaluate_folder
from engines.nn.detection.shapes import CATEGORIES, HELD_OUT, NAMES, scene
from explorer.api import Artefact, Boxes, EngineError, ImageInput, Text
from explorer.cli import main
from explorer.core.media import read_image

SCENES = {f"{i:012d}.png": scene(HELD_OUT + i, hard=True) for i in range(12)}


class Reader:
    """What `evaluate_folder` asks of a host."""

    def progress(self, text: str, fraction: float | None = None) -> None:
        """Nobody looks."""

    def read_image(self, path: Path) -> ImageInput:
        return read_image(path)


def guess(photo: ImageInput) -> tuple[Any, Any, list[str], Any]:
    """The truth, displaced, some of it named wrongly."""
    held = SCENES[photo.name]
    draw = np.random.default_rng(int(photo.name[:12]))
    boxes = held.boxes + draw.normal(0, 1, held.boxes.shape)
    words = [NAMES[label] if draw.uniform() < 0.8 else "disc" for label in held.labels]
    masks = np.stack([np.roll(m, draw.integers(-1, 2, 2), (0, 1)) for m in held.masks])
    return boxes, draw.uniform(0.2, 1, len(boxes)).round(3), words, masks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file, held in SCENES.items():
        cv2.imwrite(str(tmp_path / file), held.image[..., ::-1])
    (tmp_path / "truth.json").write_text(json.dumps(annotations_of(SCENES, NAMES)))
    return tmp_path


def evaluated(folder: Path, detect: Any = guess, **more: Any) -> tuple[dict[str, float], list[Any]]:
    made: list[Artefact] = []
    running = evaluate_folder(Reader(), folder, detect, **more)
    while True:
        try:
            made.append(next(running))
        except StopIteration as end:
            return dict(end.value), made


def spoiled(folder: Path, change: Any) -> None:
    data = json.loads((folder / "truth.json").read_text())
    change(data)
    (folder / "truth.json").write_text(json.dumps(data))


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_figures_and_results_agree_with_pycocotools(folder: Path, kind: str) -> None:
    figures, made = evaluated(folder, masks=True)
    told = next(a for a in made if isinstance(a, Text))
    records = json.loads(told.text)
    if kind == "segm":  # beside a box pycocotools would take its area for the mask's
        records = [{k: v for k, v in record.items() if k != "bbox"} for record in records]
    (folder / "results.out").write_text(json.dumps(records))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "truth.json"))
        truth.dataset.setdefault("info", {})
        evaluation = COCOeval(truth, truth.loadRes(str(folder / "results.out")), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    before = "mask " if kind == "segm" else ""
    names = ["AP", "AP50", "AP75", "AP small", "AP medium"]
    for name, wanted in zip(names, evaluation.stats, strict=False):
        # the records are rounded to a thousandth of a pixel
        assert figures[before + name] == pytest.approx(float(wanted), abs=2e-3), name
    assert figures[before + "AR100"] == pytest.approx(float(evaluation.stats[8]), abs=2e-3)
    assert 0.3 < figures["AP50"] < 1
    assert figures["pictures"] == len(SCENES)
    boxes = [a for a in made if isinstance(a, Boxes)]
    assert [a.item for a in boxes] == list(SCENES)


CORNER_SIGMAS = (0.05, 0.05, 0.04, 0.06)


def pointed(photo: ImageInput) -> tuple[Any, Any, list[str], Any]:
    """As `guess`, with the corners of squares displaced; other classes have none."""
    boxes, scores, words, _ = guess(photo)
    draw = np.random.default_rng(int(photo.name[:12]) + 100)
    points = SCENES[photo.name].keypoints.astype(np.float64)
    points[..., :2] += draw.normal(0, 1, points[..., :2].shape)
    points[[word != "square" for word in words]] = np.nan
    return boxes, scores, words, points


def test_keypoints_agree_with_pycocotools(folder: Path) -> None:
    figures, made = evaluated(folder, pointed, points=PointRule("square", CORNER_SIGMAS))
    records = json.loads(next(a for a in made if isinstance(a, Text)).text)
    assert {r["category_id"] for r in records if "keypoints" in r} == {CATEGORIES["square"]}
    assert {r["category_id"] for r in records if "keypoints" not in r} == {1, 3}
    # beside a box pycocotools would take its area for that of the points
    posed = [
        {k: v for k, v in record.items() if k != "bbox"}
        for record in records if "keypoints" in record
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "truth.json"))
        truth.dataset.setdefault("info", {})
        evaluation = COCOeval(truth, truth.loadRes(posed), "keypoints")
        evaluation.params.catIds = [CATEGORIES["square"]]
        evaluation.params.kpt_oks_sigmas = np.array(CORNER_SIGMAS)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    for name, wanted in zip(["AP", "AP50", "AP75"], evaluation.stats, strict=False):
        # the records are rounded to a thousandth of a pixel
        assert figures[f"keypoint {name}"] == pytest.approx(float(wanted), abs=2e-3), name
    assert figures["keypoint AR20"] == pytest.approx(float(evaluation.stats[5]), abs=2e-3)
    assert not {"keypoint AP medium", "keypoint AP large"} & set(figures), "no square is"
    assert 0.2 < figures["keypoint AP"] < 0.95, "a case that says something"
    boxes = evaluated(folder)[0]
    assert {n: v for n, v in figures.items() if not n.startswith("keypoint")} == boxes


def test_objects_whose_points_nobody_annotated_do_not_count(folder: Path) -> None:
    rule = PointRule("square", CORNER_SIGMAS)

    def change(data: dict[str, Any]) -> None:
        for one in data["annotations"]:
            del one["keypoints"], one["num_keypoints"]

    spoiled(folder, change)
    figures, _ = evaluated(folder, pointed, points=rule)
    assert not [name for name in figures if name.startswith("keypoint")]
    assert figures["AP"] > 0.2


def _both(photo: ImageInput) -> Any:
    return *guess(photo), pointed(photo)[3]


def test_thirds_of_the_objects_by_area(folder: Path) -> None:
    figures, _ = evaluated(folder, thirds=True)
    areas = np.sort([int(m.sum()) for held in SCENES.values() for m in held.masks])
    first, second = (figures[f"{name} third, area up to"] for name in ("smallest", "middle"))
    count = len(areas)
    assert abs((areas <= first).sum() - count / 3) <= 1.5
    assert abs((areas <= second).sum() - 2 * count / 3) <= 1.5
    assert all(0 <= figures[f"AP {name} third"] <= 1 for name in ("smallest", "middle", "largest"))

    def large_only(photo: ImageInput) -> Any:
        held = SCENES[photo.name]
        large = held.masks.sum((1, 2)) > second
        words = [NAMES[i] for i in held.labels[large]]
        return held.boxes[large], np.ones(len(words)), words

    figures, _ = evaluated(folder, large_only, thirds=True)
    assert figures["AP largest third"] == pytest.approx(1.0)
    assert figures["AP middle third"] == figures["AP smallest third"] == 0.0


def test_the_truth_itself_scores_one(folder: Path) -> None:
    def know(photo: ImageInput) -> Any:
        held = SCENES[photo.name]
        words = [NAMES[i] for i in held.labels]
        return held.boxes, np.ones(len(words)), words, held.masks

    figures, _ = evaluated(folder, know, masks=True)
    assert figures["AP"] == figures["mask AP"] == pytest.approx(1.0)
    assert figures["AP of disc"] == pytest.approx(1.0)


def test_nothing_found_is_zero(folder: Path) -> None:
    figures, made = evaluated(folder, lambda photo: (np.zeros((0, 4)), np.zeros(0), []))
    assert figures["AP"] == 0.0
    assert next(a for a in made if isinstance(a, Text)).text == "[]"


def test_faults_of_the_folder_are_counted(folder: Path) -> None:
    whole, _ = evaluated(folder)
    (folder / "000000000003.png").unlink()
    (folder / "000000000004.png").write_bytes(b"no picture")
    (folder / "sub").mkdir()
    (folder / "000000000005.png").rename(folder / "sub" / "000000000005.png")

    def change(data: dict[str, Any]) -> None:
        data["annotations"] += [
            {"id": 900, "image_id": 1, "category_id": 1, "bbox": [200, 5, 10, 10]},
            {"id": 901, "image_id": 1, "category_id": 1, "bbox": [5, 5, 0, 10]},
            {"id": 902, "image_id": 1, "category_id": 2, "bbox": [50, 50, 40, 40], "iscrowd": 1},
            {"id": 903, "image_id": 1, "category_id": 9, "bbox": [5, 5, 9, 10]},
        ]
        data["categories"].append({"id": 9, "name": "zebra"})

    spoiled(folder, change)
    figures, _ = evaluated(folder, names=NAMES)
    assert figures["pictures"] == len(SCENES) - 2
    assert figures["pictures missing"] == 1
    assert figures["pictures unreadable"] == 1
    assert figures["boxes left out (empty or outside)"] == 2
    assert figures["boxes cut to the picture"] == 1
    assert figures["classes left out (unknown to one side)"] == 1
    assert abs(figures["AP"] - whole["AP"]) < 0.15


def test_detections_of_classes_without_truths_are_counted(folder: Path) -> None:
    def other(photo: ImageInput) -> Any:
        boxes, scores, words, _ = guess(photo)
        return np.vstack([boxes, boxes[:1]]), [*scores, 0.9], [*words, "zebra"]

    figures, _ = evaluated(folder, other)
    assert figures["detections of other classes"] == len(SCENES)
    assert figures["AP"] == pytest.approx(evaluated(folder)[0]["AP"])


def _no_box(data: dict[str, Any]) -> None:
    data["annotations"][3]["bbox"] = [1, 2, "three", 4]


def _infinite(data: dict[str, Any]) -> None:
    data["annotations"][3]["bbox"] = [1, 2, float("inf"), 4]


def _no_image(data: dict[str, Any]) -> None:
    data["annotations"][2]["image_id"] = 77


def _no_category(data: dict[str, Any]) -> None:
    data["annotations"][2]["category_id"] = 8


def _text_id(data: dict[str, Any]) -> None:
    data["images"][1]["id"] = "two"


def _twice(data: dict[str, Any]) -> None:
    data["images"][1]["id"] = 1


def _nameless(data: dict[str, Any]) -> None:
    del data["images"][0]["file_name"]


def _no_list(data: dict[str, Any]) -> None:
    data["annotations"] = {"a": 1}


def _no_object(data: dict[str, Any]) -> None:
    data["annotations"][0] = 5


def _empty(data: dict[str, Any]) -> None:
    data["images"], data["annotations"] = [], []


def _size(data: dict[str, Any]) -> None:
    data["images"][0]["width"] = 640


def _points(data: dict[str, Any]) -> None:
    next(a for a in data["annotations"] if a["category_id"] == 2)["keypoints"] = [1, 2, 2]


def _mask(data: dict[str, Any]) -> None:
    data["annotations"][0]["segmentation"] = {"size": [64, 64], "counts": [5, 5]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_no_box, "annotation 3: bbox is .*wanted four numbers"),
        (_infinite, "annotation 3: bbox is .*wanted four numbers"),
        (_no_image, "annotation 2: image_id 77 is none of the images"),
        (_no_category, "annotation 2: category_id 8 is none"),
        (_text_id, "image 1: id is 'two', wanted a whole number"),
        (_twice, "image 1: id 1 comes twice"),
        (_nameless, "image 0 has no 'file_name'"),
        (_no_list, "needs the lists images, annotations, categories"),
        (_no_object, "annotation 0 is int, wanted an object"),
        (_empty, "no images; mend the file"),
        (_size, "is 64 × 64 pixels, the annotations say 640 × 64"),
        (_points, r"annotation with id \d+: keypoints are 3, wanted 12 numbers"),
        (_mask, "annotation with id 1: the runs of its mask do not add up"),
    ],
)
def test_wrong_files_are_told_in_one_line(folder: Path, change: Any, said: str) -> None:
    spoiled(folder, change)
    with pytest.raises(EngineError, match=said) as error:
        evaluated(folder, _both, masks=True, points=PointRule("square", CORNER_SIGMAS))
    assert "\n" not in str(error.value)


def test_no_file_several_files_no_json_no_pictures_no_class(folder: Path) -> None:
    with pytest.raises(EngineError, match="no class in common; the detector knows cat; the file"):
        evaluated(folder, names=("cat",))
    (folder / "other.json").write_text("{}")
    assert evaluated(folder)[0]["pictures"] == len(SCENES), "only one is an annotation file"
    (folder / "other.json").write_text((folder / "truth.json").read_text())
    with pytest.raises(EngineError, match=r"2 annotation files \(other.json, truth.json\)"):
        evaluated(folder)
    (folder / "other.json").unlink()
    for path in folder.glob("*.png"):
        path.unlink()
    with pytest.raises(EngineError, match="none of the 12 pictures"):
        evaluated(folder)
    (folder / "truth.json").write_text("{ no json")
    with pytest.raises(EngineError, match="not readable as JSON"):
        evaluated(folder)
    (folder / "truth.json").unlink()
    with pytest.raises(EngineError, match="it has no JSON file"):
        evaluated(folder)


def test_a_path_that_leaves_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    (folder / "truth.json").rename(inner / "truth.json")
    for path in list(folder.glob("*.png"))[1:]:
        path.rename(inner / path.name)
    spoiled(
        inner, lambda data: [i.update(file_name=f"../{i['file_name']}") for i in data["images"]]
    )
    figures, _ = evaluated(inner)
    assert figures["pictures missing"] == 1


def test_categories_of_the_annotations_are_those_of_the_scenes() -> None:
    data: Mapping[str, Any] = annotations_of(SCENES, NAMES)
    assert {c["name"]: c["id"] for c in data["categories"]} == CATEGORIES
    squares: Iterator[Any] = (a for a in data["annotations"] if a["category_id"] == 2)
    for one in squares:
        assert one["num_keypoints"] == 4
        assert one["keypoints"][2::3] == [2, 2, 2, 2]


def test_the_command_writes_figures_and_results(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a person runs it; pycocotools loads what it wrote, with the same figures."""
    out, results = tmp_path / "out" / "scores.json", tmp_path / "out" / "found.json"
    out.parent.mkdir()
    words = ["evaluate", "yolo-v1", str(folder), "--out", str(out), "--results", str(results)]
    assert main([*words, "--device", "cpu"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == figures
    assert figures["pictures"] == len(SCENES)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "truth.json"))
        truth.dataset.setdefault("info", {})
        evaluation = COCOeval(truth, truth.loadRes(str(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert figures["AP"] == pytest.approx(float(evaluation.stats[0]), abs=2e-3)
    assert figures["AP"] > 0.01, "a case that says something"


def test_the_command_tells_a_wrong_file_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled(folder, _no_box)
    assert main(["evaluate", "yolo-v1", str(folder), "--device", "cpu"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "annotation 3: bbox is" in said.err
    assert said.out == ""
