"""YOLO v1 and v2: counts of the papers, the publisher's own faces, panels, training, bad input."""

from __future__ import annotations

import collections
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engines.detect.yolo_training import V1Training, V2Training
from engines.nn.detection.detector_training import measure
from engines.nn.one_stage.yolo import (
    SHAPE_ANCHORS,
    Darknet19,
    FaceYolo,
    SmallYoloV1,
    YoloV1,
    YoloV2,
)
from engines.nn.one_stage.yolo_boxes import v2_decode
from engines.nn.readers import eight_bits
from explorer.api import (
    Artefact,
    Boxes,
    EngineError,
    FeatureMaps,
    FileInput,
    ImageInput,
    Masks,
    Scores,
    Text,
)
from explorer.core.media import sample_inputs
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import EngineFailed, Session
from explorer.core.stores.tensor_files import read_tensors

GOLDEN = Path(__file__).parent.parent / "golden"
NAMES = ("yolo-v1", "yolo-v2", "yolo-v2-face")


def opened(name: str, **knobs: Any) -> Session:
    torch.set_num_threads(1)
    made = Session(table()[name], device="cpu", seed=0, params=knobs)
    made.statistics_every = 0.0
    made.open()
    return made


@pytest.fixture(scope="module", params=NAMES)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    made = opened(request.param)
    yield made
    made.close()


def shown(session: Session, inputs: Any = None, **knobs: Any) -> dict[str, Artefact]:
    session.set_params(knobs)
    given = sample_inputs(session.row) if inputs is None else inputs
    return {a.name: a for frame in session.run(given) for a in frame.artefacts}


def again(session: Session, **knobs: Any) -> dict[str, Artefact]:
    session.set_params(knobs)
    return {a.name: a for frame in session.again() for a in frame.artefacts}


def picture(height: int, width: int, value: int | None = None) -> dict[str, ImageInput]:
    draw = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return {"image": ImageInput(draw if value is None else np.full_like(draw, value), "made")}


# -- networks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (YoloV1, 271_703_550),
        (YoloV2, 50_655_389),
        (Darknet19, 20_842_376),
        (SmallYoloV1, 98_525),
        (lambda: YoloV2(3, SHAPE_ANCHORS["plain"], small=True), 118_200),
        (FaceYolo, 193_321),
    ],
)
def test_parameters_are_those_of_the_papers(network: Any, count: int) -> None:
    with torch.device("meta"):
        made = network()
    assert sum(p.numel() for p in made.parameters()) == count


def test_the_pass_through_has_the_papers_channels() -> None:
    with torch.device("meta"):
        network = YoloV2()
    network.to_empty(device="cpu").eval()  # whatever the numbers are: shapes are looked at
    with torch.no_grad():
        stages = network.stages(torch.zeros(1, 3, 64, 96))
    assert stages.fine.shape == (1, 64, 4, 6)
    assert stages.phases.shape == (1, 256, 2, 3)
    assert stages.grid.shape == (1, 125, 2, 3)


def test_faces_are_those_of_the_publishers_own_code() -> None:
    import cv2

    golden = json.loads((GOLDEN / "yolo_face.json").read_text())
    network = FaceYolo().eval()
    network.load_state_dict(eight_bits(assets() / "weights" / "yolo-v2-face.safetensors"))
    crop = cv2.imread(str(assets() / "astronaut.png"))[:416, :416, ::-1].astype(np.float32)
    x = (crop - np.array([117.001, 114.697, 97.404], np.float32)) / np.float32(255)
    with torch.no_grad():
        output = network(torch.from_numpy(x).permute(2, 0, 1)[None])
    wanted = torch.tensor(golden["output"]).view(golden["shape"]).permute(0, 3, 1, 2)
    assert (output - wanted).abs().max() < 1e-3
    found = v2_decode(output[0], network.anchors, 32)
    best = int(found.confidence.argmax())
    ((score, *box),) = golden["detections"]
    assert float(found.confidence[best]) == pytest.approx(score, abs=1e-5)
    assert found.boxes[best].tolist() == pytest.approx(box, abs=1e-2)


# -- what is shown -----------------------------------------------------------------------------


def test_the_face_is_found_and_traced_to_its_anchor() -> None:
    session = opened("yolo-v2-face")
    made = shown(session)
    found = made["detections/boxes"]
    assert isinstance(found, Boxes)
    assert len(found.boxes) == 1
    assert found.scores[0] > 0.9
    assert np.abs(found.boxes[0] - (163, 74, 280, 190)).max() < 6
    anchors, boxes = made["cell/anchors"], made["cell/boxes"]
    assert isinstance(anchors, Boxes)
    assert isinstance(boxes, Boxes)
    best = list(boxes.state).index("surest")
    assert np.abs(boxes.boxes[best] - found.boxes[0]).max() < 1e-3
    assert best == 3, "anchor 3 of the file, after the cell"
    sides = anchors.boxes[1:, 2:] - anchors.boxes[1:, :2]
    # 13 cells over 512 px; the first anchor of the published list
    assert sides[0].tolist() == pytest.approx([1.603231 * 512 / 13, 2.094468 * 512 / 13], rel=1e-4)
    elsewhere = again(session, cursor=(20.0, 500.0))["cell/anchors"]
    assert isinstance(elsewhere, Boxes)
    assert elsewhere.boxes[0].tolist() == pytest.approx([0, 12 * 512 / 13, 512 / 13, 512], abs=1e-2)
    session.close()


def test_boxes_of_a_wide_picture_come_back_through_the_bars() -> None:
    """The same face in a picture with a black half below it: at half the scale."""
    session = opened("yolo-v2-face")
    image = sample_inputs(session.row)["image"]
    assert isinstance(image, ImageInput)
    tall = np.concatenate([image.pixels, np.zeros_like(image.pixels)[:128]])
    found = shown(session, {"image": ImageInput(tall)}, size=512)["detections/boxes"]
    assert isinstance(found, Boxes)
    assert np.abs(found.boxes[0] - (163, 74, 280, 190)).max() < 10
    session.close()


def test_v1_shows_cells_maps_and_the_loss() -> None:
    session = opened("yolo-v1")
    annotated = shown(session)["truth/loss"]
    assert isinstance(annotated, Scores)
    assert "annotations" in annotated.note
    assert 0 < annotated.scores[0] < 1
    made = shown(session, {"image": sample_inputs(session.row)["image"]})
    masks, maps, product = (
        made["grid/class of each cell"], made["maps/class"], made["maps/class times confidence"],
    )  # fmt: skip
    confidence, found = made["maps/confidence"], made["detections/boxes"]
    assert isinstance(masks, Masks)
    assert isinstance(maps, FeatureMaps)
    assert isinstance(product, FeatureMaps)
    assert isinstance(confidence, FeatureMaps)
    assert isinstance(found, Boxes)
    assert sorted(found.labels) == ["disc", "square", "triangle"]
    assert masks.masks.sum(0).max() == 1, "every cell has one class"
    assert np.allclose(product.maps, maps.maps * confidence.maps.max(0), atol=1e-6)
    loss, responsible = made["truth/loss"], made["truth/responsible"]
    assert isinstance(loss, Scores)
    assert isinstance(responsible, Boxes)
    values = dict(zip(loss.labels, loss.scores, strict=True))
    assert values["sum"] == pytest.approx(sum(loss.scores[:-1]), rel=1e-5)
    assert values["centre"] == pytest.approx(0, abs=1e-6), "the detections stand for the truth"
    cell, surest = made["cell/boxes"], int(np.argmax(confidence.maps.max(0)))
    assert isinstance(cell, Boxes)
    row, column = divmod(surest, confidence.maps.shape[2])
    assert f"row {row + 1} of 8, column {column + 1} of 8" in cell.note
    np.testing.assert_allclose(cell.widths, [0, *confidence.maps[:, row, column]], atol=1e-6)
    assert cell.state[1 + int(confidence.maps[:, row, column].argmax())] == "chosen"
    assert sum("responsible" in label for label in cell.labels) == 1
    empty = again(session, cursor=(60.0, 60.0))["cell/boxes"]
    assert isinstance(empty, Boxes)
    assert "chosen" not in empty.state, "no object has its centre there"
    moved = again(session, truth=(5.0, 5.0, 30.0, 60.0))["truth/loss"]
    assert isinstance(moved, Scores)
    assert moved.scores[0] > 0.01
    heavier = again(session, coordinates=10.0)["truth/loss"]
    assert isinstance(heavier, Scores)
    assert heavier.scores[0] == pytest.approx(2 * moved.scores[0], rel=1e-5)
    session.close()


def test_v2_passes_all_numbers_of_the_fine_map_through() -> None:
    session = opened("yolo-v2")
    made = shown(session)
    fine = made["passthrough/fine map"]
    phases = [made[f"passthrough/phase {i} of 4"] for i in range(1, 5)]
    assert isinstance(fine, FeatureMaps)
    assert all(isinstance(p, FeatureMaps) for p in phases)
    every = np.concatenate([p.maps.ravel() for p in phases])  # type: ignore[attr-defined]
    assert np.array_equal(np.sort(every), np.sort(fine.maps.ravel()))
    for size, cells in ((32, 4), (96, 12), (128, 16)):
        other = shown(session, size=size)["maps/confidence"]
        assert isinstance(other, FeatureMaps)
        assert other.maps.shape == (3, cells, cells)
    line = made["anchors/cfg"]
    assert isinstance(line, Text)
    assert line.text.startswith("anchors = ")
    session.close()


@pytest.mark.parametrize(("name", "cfg"), [("yolo-v1", "darknet_v1"), ("yolo-v2", "darknet")])
def test_own_darknet_files_are_run(name: str, cfg: str, tmp_path: Path) -> None:
    for suffix in (".cfg", ".weights"):
        shutil.copy(GOLDEN / (cfg + suffix), tmp_path / f"own{suffix}")
    classes = 3 if name == "yolo-v1" else 2
    (tmp_path / "own.names").write_text("\n".join(f"kind {i}" for i in range(classes)) + "\n")
    session = opened(name, darknet=str(tmp_path / "own.cfg"), score=0.01)
    assert session.provenance.startswith("your own.weights")
    found = shown(session)["detections/boxes"]
    assert isinstance(found, Boxes)
    assert set(found.labels) <= {f"kind {i}" for i in range(classes)}
    assert len(found.boxes)
    session.close()


# -- training ----------------------------------------------------------------------------------


def test_ten_steps_stop_and_ten_more_are_twenty(tmp_path: Path) -> None:
    def trained(steps: int, resume: Path | None = None) -> Path:
        made = opened("yolo-v2", batch=2, train_steps=1000, sizes="several")
        out = tmp_path / f"{steps}-{resume is not None}.safetensors"
        collections.deque(
            made.train(sample_inputs(made.row), out=out, resume=resume, steps=steps), maxlen=0
        )
        made.close()
        return out

    whole = read_tensors(trained(20))
    half = trained(10)
    continued, early = read_tensors(trained(10, half)), read_tensors(half)
    for name, tensor in whole.items():
        assert torch.equal(tensor, continued[name]), name
    assert any(not torch.equal(tensor, early[name]) for name, tensor in whole.items())


@pytest.mark.parametrize("name", ["shapes-yolo-v1", "shapes-yolo-v2"])
@pytest.mark.parametrize("scenes", ["plain", "hard"])
def test_the_embedded_weights_still_score_what_is_recorded(name: str, scenes: str) -> None:
    hard = scenes == "hard"
    path = assets() / "weights" / f"{name}{'-hard' * hard}.safetensors"
    assert path.stat().st_size < 500_000
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    lesson: V1Training | V2Training
    if name.endswith("v1"):
        lesson = V1Training(SmallYoloV1())
    else:
        lesson = V2Training(YoloV2(3, SHAPE_ANCHORS[scenes], small=True), scenes, (64,), 0)
    lesson.network.load_state_dict(load_file(path))
    lesson.network.float().eval()
    found = measure(lesson.detect, hard=hard)
    assert found.at(0.5) == pytest.approx(float(facts["score AP50"]), abs=2e-3)
    assert found.mean == pytest.approx(float(facts["score AP"]), abs=2e-3)
    if not hard:
        assert found.at(0.5) >= 0.95


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 3), (3, 900), (900, 3)])
def test_tiny_and_extreme_pictures_give_right_boxes(
    session: Session, height: int, width: int
) -> None:
    session.set_params({"score": 0.01})
    made = shown(session, picture(height, width))
    found = made["detections/boxes"]
    assert isinstance(found, Boxes)
    assert np.isfinite(found.boxes).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes <= (width, height, width, height)).all()


def test_nothing_in_the_picture_is_an_empty_result(session: Session) -> None:
    made = shown(session, picture(64, 64, 0), score=0.9)
    found = made["detections/boxes"]
    assert isinstance(found, Boxes)
    assert found.boxes.shape == (0, 4)
    assert "cell/boxes" in made, "the surest cell is shown all the same"


def test_a_score_near_zero_is_held_at_a_bounded_film(session: Session) -> None:
    made = shown(session, picture(200, 200), score=0.01)
    film = made["suppression/film"]
    assert isinstance(film, Boxes)
    assert len(film.boxes) <= 400


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("yolo-v2", "{golden}/darknet_v1.cfg", r"line \d+: \[detection\] ends .* no YOLO v2"),
        ("yolo-v1", "{golden}/darknet.cfg", r"\[region\] ends a network that is no YOLO v1"),
        ("yolo-v2", "{folder}/missing.cfg", "missing.cfg is not there"),
        ("yolo-v2", "{folder}/alone.cfg", "alone.cfg needs its weights"),
        ("yolo-v2", "{folder}/unknown.cfg", r"unknown.cfg, line 83: \[yolo\] is a layer that is"),
        ("yolo-v2", "{folder}/more.cfg", "more.weights is .* bytes too short for more.cfg"),
        ("yolo-v2", "{golden}/darknet.cfg; {golden}/darknet.weights; {folder}/three.names",
         "three.names has 3 names, the cfg 2 classes"),
        ("yolo-v2", "a;b;c;d", "names 4 files"),
    ],
)  # fmt: skip
def test_bad_darknet_files_are_one_message(
    name: str, value: str, words: str, tmp_path: Path
) -> None:
    text = (GOLDEN / "darknet.cfg").read_text()
    for stem, changed in (
        ("unknown", text.replace("[region]", "[yolo]")),
        ("more", text.replace("classes=2", "classes=20").replace("filters=21", "filters=75")),
    ):
        (tmp_path / f"{stem}.cfg").write_text(changed)
        shutil.copy(GOLDEN / "darknet.weights", tmp_path / f"{stem}.weights")
    (tmp_path / "three.names").write_text("a\nb\nc\n")
    (tmp_path / "alone.cfg").write_text(text)
    with pytest.raises((EngineError, EngineFailed), match=words) as raised:
        opened(name, darknet=value.format(golden=GOLDEN, folder=tmp_path))
    assert len(str(raised.value).splitlines()) == 1


def test_weights_of_another_class_count_are_named(tmp_path: Path) -> None:
    from engines.nn.loading import load_state

    state = YoloV2(20, SHAPE_ANCHORS["plain"], small=True).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    network = YoloV2(3, SHAPE_ANCHORS["plain"], small=True)
    words = r"head.weight is 75 × 64 × 1 × 1, wanted 24 × 64 × 1 × 1"
    with pytest.raises(EngineError, match=words):
        load_state(network, load_file(tmp_path / "w.safetensors"), "w.safetensors")


def test_annotations_outside_the_picture_are_counted_and_bad_ones_named(tmp_path: Path) -> None:
    session = opened("yolo-v2")
    data = json.loads((GOLDEN / "boxes.json").read_text())
    data["annotations"][0]["bbox"] = [900, 900, 10, 10]
    path = tmp_path / "outside.json"
    path.write_text(json.dumps(data))
    given = dict(sample_inputs(session.row))
    made = shown(session, {**given, "annotations": FileInput(path)})
    assert "1 without area in it left out" in made["anchors/sizes"].note
    data["annotations"][1]["bbox"] = "wide"
    path.write_text(json.dumps(data))
    with pytest.raises((EngineError, EngineFailed), match="annotation 1"):
        shown(session, {**given, "annotations": FileInput(path)})
    session.close()
