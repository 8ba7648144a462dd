"""What the engine `ssd` shows and learns: embedded files scored again, matching, default boxes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engines.detect.ssd_training import Lesson
from engines.nn.detection.detector_training import measure
from engines.nn.loading import load_state
from engines.nn.one_stage.ssd import small
from explorer.core.media import image_from_array, sample_inputs
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.core.stores.tensor_files import WeightsError
from explorer.core.weights import WeightStore
from explorer.kinds import Artefact

# AP, AP at 0.5; assets/SOURCES.md
SCORES = {"shapes-ssd": (0.848, 0.999), "shapes-ssd-hard": (0.341, 0.690)}


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    torch.set_num_threads(1)
    made = Session(table()["ssd"], device="cpu")
    made.statistics_every = 0.0
    made.open()
    yield made
    made.close()


def seen(session: Session, pixels: Any = None, **values: Any) -> dict[str, Any]:
    session.set_params(values)
    given = sample_inputs(session.row)
    if pixels is not None:
        given = {"image": image_from_array(pixels, "made")}
    found: dict[str, Artefact] = {
        a.name: a for frame in session.run(given) for a in frame.artefacts
    }
    return found


@pytest.mark.parametrize("name", SCORES)
def test_the_embedded_files_score_as_they_say(name: str) -> None:
    torch.set_num_threads(1)
    network = small().eval()
    tensors = load_file(assets() / "weights" / f"{name}.safetensors")
    load_state(network, {n: t.float() for n, t in tensors.items()}, name)
    found = measure(Lesson(network).detect, hard=name.endswith("hard"), count=300)
    assert (found.mean, found.at(0.5)) == pytest.approx(SCORES[name], abs=0.005)
    if not name.endswith("hard"):
        assert found.at(0.5) >= 0.95


def test_the_objects_of_the_sample_are_found(session: Session) -> None:
    boxes = seen(session)["detections/boxes"]
    notes = json.loads((assets() / "shapes.json").read_text())
    names = {c["id"]: c["name"] for c in notes["categories"]}
    truths = [a for a in notes["annotations"] if a["image_id"] == 1]
    assert sorted(boxes.labels) == sorted(names[a["category_id"]] for a in truths)
    for a in truths:
        x, y, w, h = a["bbox"]
        away = np.abs(boxes.boxes - (x, y, x + w, y + h)).max(1)
        assert boxes.labels[int(away.argmin())] == names[a["category_id"]]
        assert away.min() < 4


def test_a_drawn_box_is_matched_with_three_negatives_for_each_positive(session: Session) -> None:
    # A default box of the map of 8 × 8 itself: the square of 12 px in the cell (3, 4).
    box = (30.0, 22.0, 42.0, 34.0)
    made = seen(session, truth=box)["matching/default boxes"]
    positive = [i for i, s in enumerate(made.state) if s == "positive"]
    # The square of 17 px has IoU 144 / 288 with it, just no match; those of 17 × 8.5 and 8.5 × 17
    # have 12 · 8.5 / (2 · 144 - 12 · 8.5) = 0.55.
    first = (3 * 8 + 4) * 4
    assert [made.sources[i] for i in positive] == [first, first + 2, first + 3]
    assert made.boxes[positive[0]] == pytest.approx(box, abs=1e-4)
    assert list(made.state).count("mined negative") == 9
    mined = [s for i, s in enumerate(made.scores) if made.state[i] == "mined negative"]
    rest = [s for i, s in enumerate(made.scores) if made.state[i] == "below"]
    assert min(mined) >= max(rest)
    made = seen(session, truth=box, negatives=0.0)["matching/default boxes"]
    assert list(made.state).count("mined negative") == 0
    seen(session, truth=None, negatives=3.0)


def test_the_truth_is_that_of_the_annotation_file_or_the_detections(session: Session) -> None:
    made = seen(session)["matching/default boxes"]
    assert made.note.endswith("truth: 3 annotated objects")
    given = {"image": sample_inputs(session.row)["image"]}
    frames = list(session.run(given))
    alone = {a.name: a for frame in frames for a in frame.artefacts}["matching/default boxes"]
    assert "detections; draw a box" in alone.note
    assert "positive" in alone.state


def test_other_shapes_are_drawn_in_the_same_cell(session: Session) -> None:
    own = seen(session, cursor=(36.0, 28.0))["priors/8 × 8"]
    made = seen(session, cursor=(36.0, 28.0), shapes="1, 2, 3", enlarge=2.0)["priors/8 × 8"]
    assert len(made.boxes) == 6
    assert len(made.scores) == 0, "the network has no scores for them"
    assert "the network keeps its own" in made.note
    middles = (made.boxes[:, :2] + made.boxes[:, 2:]) / 2
    assert np.abs(middles - (36, 28)).max() < 1e-4
    sides = made.boxes[:, 2:] - made.boxes[:, :2]
    assert sides[:4] == pytest.approx(2 * (own.boxes[:, 2:] - own.boxes[:, :2]), abs=1e-4)
    assert sides[4] == pytest.approx((24 * 3**0.5, 24 / 3**0.5), abs=1e-4)
    alone = seen(session, shapes="1", enlarge=1.0)["priors/4 × 4"]
    assert alone.boxes.shape == (2, 4)
    seen(session, shapes="trained", cursor=None)


def test_the_normalised_map_is_what_numpy_makes_of_the_one_before(session: Session) -> None:
    made = seen(session)
    before = made["normalisation/before"].maps.astype(np.float64)
    scale = session.network.scale.detach().numpy()[:, None, None]
    norm = np.sqrt((before**2).sum(0))
    assert made["normalisation/norm at each position"].values == pytest.approx(norm, rel=1e-5)
    after = made["normalisation/after"].maps
    assert after == pytest.approx(scale * before / norm, rel=1e-4, abs=1e-5)
    curve = made["normalisation/channels"]
    assert (np.diff(curve.y[0]) <= 0).all(), "strongest first"


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3)])
def test_pictures_of_any_size_and_shape(session: Session, size: tuple[int, int]) -> None:
    made = seen(session, np.full((*size, 3), 30, np.uint8))
    boxes = made["detections/boxes"].boxes
    assert np.isfinite(boxes).all()
    assert (boxes >= 0).all()
    assert (boxes[:, 2:] <= (size[1], size[0])).all()


def test_no_detection_leaves_nothing_to_match(session: Session) -> None:
    made = seen(session, np.full((64, 64, 3), 40, np.uint8), score=0.99)
    assert len(made["detections/boxes"].boxes) == 0
    matching = made["matching/default boxes"]
    assert set(matching.state) == {"below"}
    assert matching.note.startswith("0 positive, 0 mined negatives")
    seen(session, score=0.3)


def test_a_truth_without_area_or_outside_matches_nothing(session: Session) -> None:
    for box in ((20.0, 20.0, 20.0, 20.0), (-90.0, -90.0, -80.0, -80.0)):
        made = seen(session, truth=box)["matching/default boxes"]
        assert "positive" not in made.state, box
    seen(session, truth=None)


def test_weights_of_another_class_count_are_named(tmp_path: Path) -> None:
    row = next(w for w in table()["ssd"].weights if w.name == "ssd300-coco")
    tensors = {name: torch.zeros(shape) for name, shape in row.fingerprint.items()}
    key = "head.classification_head.module_list.0.weight"
    save_file(tensors | {key: torch.zeros(84, 512, 3, 3)}, tmp_path / "voc.safetensors")
    store = WeightStore([row], tmp_path / "cache")
    with pytest.raises(WeightsError, match=r"84 × 512 × 3 × 3, wanted 364 × 512 × 3 × 3"):
        store.import_file("ssd300-coco", tmp_path / "voc.safetensors")


def test_an_annotated_folder_is_evaluated(session: Session, tmp_path: Path) -> None:
    shutil.copy(assets() / "shapes.png", tmp_path)
    notes = json.loads((assets() / "shapes.json").read_text())
    notes["images"] = notes["images"][:1]
    notes["annotations"] = [a for a in notes["annotations"] if a["image_id"] == 1]
    (tmp_path / "annotations.json").write_text(json.dumps(notes))
    figures = session.evaluate(tmp_path)
    assert figures["pictures"] == 1
    assert figures["AP50"] == pytest.approx(1.0)


def test_training_shows_which_default_boxes_of_a_scene_teach(session: Session) -> None:
    made: dict[str, Any] = {}
    for frame in session.train(sample_inputs(session.row), steps=1):
        made |= {a.name: a for a in frame.artefacts}
    assert made["lesson/scene"].image.shape == (64, 64, 3)
    boxes = made["lesson/default boxes"]
    counts = {s: list(boxes.state).count(s) for s in set(boxes.state)}
    assert counts["positive"] >= 1
    assert counts["mined negative"] == 3 * counts["positive"]
    curve = made["training/loss"]
    assert list(curve.series) == ["sum", "confidence", "location"]
    assert curve.y[0] == pytest.approx(curve.y[1] + curve.y[2])
