"""The detectors on MobileNetV3 in their engines: their panels, in pixels of the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden import mobilenet as golden

from engines.nn.one_stage.prior_detections import EvaluationRule
from engines.nn.one_stage.ssdlite import ssdlite320
from engines.nn.two_stage import rcnn
from explorer.core.media import image_from_array
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.core.stores.tensor_files import WeightsError
from explorer.core.weights import WeightStore

MOBILE = "fasterrcnn-mobilenet-v3-large-320-fpn-coco"


def drawn(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    return {n: torch.from_numpy(golden.filled(n, tuple(v.shape))) for n, v in state.items()}


def as_published(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Under the names that the files of 2021 have, with the counters that frozen norms drop."""
    older = {}
    for name, value in tensors.items():
        parts = name.split(".")
        if parts[:3] == ["rpn", "head", "conv"]:
            name = ".".join([*parts[:3], parts[-1]])
        elif parts[:2] == ["backbone", "fpn"]:
            name = ".".join([*parts[:4], parts[-1]])
        older[name] = value
    older["backbone.body.0.1.num_batches_tracked"] = torch.tensor(7)
    return older


def opened(engine: str, name: str, file: Path, **knobs: Any) -> Session:
    """A session of an engine whose official weights are a file of one's own."""
    torch.set_num_threads(1)
    WeightStore(table()[engine].weights).import_file(name, file)
    made = Session(table()[engine], device="cpu", params=knobs)
    made.statistics_every = 0.0
    made.open()
    return made


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("mobilenet")
        patch.setenv("LAYERSCOPE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def faster(own_home: Path) -> Iterator[Session]:
    file = own_home / "official.pth"
    torch.save(as_published(drawn(rcnn.mobilenet_v3_fpn(low=True))), file)
    made = opened("faster-rcnn", MOBILE, file, model=MOBILE, score=0.1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def ssd(own_home: Path) -> Iterator[Session]:
    file = own_home / "ssdlite.pth"
    torch.save(drawn(ssdlite320()), file)
    made = opened("ssd", "ssdlite320-coco", file, weights="ssdlite320-coco", overlap=0.55)
    yield made
    made.close()


def seen(session: Session, pixels: np.ndarray, **knobs: Any) -> dict[str, Any]:
    session.set_params(knobs)
    frames = session.run({"image": image_from_array(pixels, "made")})
    return {a.name: a for frame in frames for a in frame.artefacts}


@pytest.mark.parametrize("name", ["ssdlite320", "320_fpn"])
def test_the_engine_finds_what_torchvision_finds(name: str, request: pytest.FixtureRequest) -> None:
    """Through the window's own path: in pixels of the picture, names of the classes of COCO."""
    made = request.getfixturevalue("ssd" if name == "ssdlite320" else "faster")
    boxes = seen(made, golden.picture(name))["detections/boxes"]
    with np.load(golden.file(name)) as told:
        ours, theirs = np.array(boxes.boxes), told["boxes"]
        assert len(ours) == len(theirs)
        apart = np.abs(ours[:, None] - theirs[None]).max(2)
        partner = apart.argmin(1)
        assert apart.min(1).max() < 1e-3
        np.testing.assert_allclose(boxes.scores, told["scores"][partner], atol=1e-5)
        classes = made.engine.names if name == "320_fpn" else ("", *made.engine._names)
        assert list(boxes.labels) == [classes[k] for k in told["labels"][partner]]


def test_each_level_of_the_two_stages_has_its_maps_and_anchors(faster: Session) -> None:
    made = seen(faster, golden.picture("320_fpn"), cursor=(100.0, 50.0))
    # 160 x 200 becomes 320 x 400, padded to 320 x 416: 10 x 13 cells, and every second of those.
    for name, shape in (("P5a", (10, 13)), ("P5b", (10, 13)), ("P6", (5, 7))):
        assert made[f"objectness/{name}"].values.shape == shape
        assert made[f"objectness/{name} by shape"].maps.shape == (15, *shape)
    assert made["objectness/P5a by shape"].labels[:6] == (
        "32 px wide 2:1", "64 px wide 2:1", "128 px wide 2:1", "256 px wide 2:1",
        "512 px wide 2:1", "32 px square",
    )  # fmt: skip
    anchors = made["anchors/under the cursor"].boxes
    assert len(anchors) == 45
    # (100, 50) lies in the cell whose corner is (192, 96) of the input, (96, 48) of the picture;
    # on P6 in that at (3 * 59, 64), as the compiled anchors have it: 416 // 7 = 59.
    for centre, side in (((96, 48), 32), ((88.5, 32), 128)):
        square = [centre[0] - side / 2, centre[1] - side / 2]
        square += [centre[0] + side / 2, centre[1] + side / 2]
        assert np.abs(anchors - square).max(1).min() < 1e-3
    rows = made["anchors/what was said of them"].rows
    assert [rows[0], rows[20], rows[-1]] == [
        "P5a 32 px wide 2:1", "P5b 32 px square", "P6 512 px tall 2:1"
    ]  # fmt: skip


def test_all_regions_are_pooled_from_the_first_level_and_traced_to_theirs(faster: Session) -> None:
    made = seen(faster, golden.picture("320_fpn"), cursor=None, shown=150)
    pooled = made["levels/proposals"]
    assert list(pooled.labels) == ["P5a", "P5b"]
    assert pooled.scores.tolist() == [150, 0]
    assert set(made["proposals/after suppression"].labels) == {"P5a", "P5b", "P6"}
    words = made["origin/history"].text
    best = made["detections/boxes"]
    assert words.startswith(f"{best.labels[0]} {best.scores[0]:.2f}: rank 1 of ")
    assert any(f"Level: {name}, number" in words for name in ("P5a", "P5b", "P6"))
    way = made["region/from anchor to box"]
    assert way.boxes[2] == pytest.approx(best.boxes[0], abs=1e-3)
    film = made["suppression/film"]
    assert set(film.state) == {"kept", "removed"}


def test_a_picture_without_proposals_gives_a_right_empty_result(faster: Session) -> None:
    """The least objectness of a proposal is 0.05: in a dull picture there may be none."""
    network: Any = faster.network
    rule = network.proposing
    network.proposing = replace(rule, score=1.1)
    try:
        made = seen(faster, golden.picture("320_fpn"))
    finally:
        network.proposing = rule
    assert len(made["detections/boxes"].boxes) == 0
    assert made["origin/history"].text.startswith("No box stayed")
    assert made["levels/proposals"].scores.tolist() == [0, 0]


def test_default_boxes_and_scores_of_ssdlite_lie_over_the_picture(ssd: Session) -> None:
    made = seen(ssd, golden.picture("ssdlite320"), cursor=(205.0, 125.0))
    sides = (20, 10, 5, 3, 2, 1)
    for side in sides:
        heat = made[f"heat/{side} × {side}"]
        assert heat.values.shape == (side, side)
        right, below = heat.affine.to_input(side, side)
        assert (right, below) == pytest.approx((410, 250), abs=1e-3)
        assert len(made[f"priors/{side} × {side}"].boxes) == 6
    # Scales 0.5 and 0.65 of the 320 px on the map of 5 x 5, whose middle cell is the third.
    middle = made["priors/5 × 5"]
    assert list(middle.labels)[:2] == ["160 × 160", "182 × 182"]
    assert middle.boxes[0] == pytest.approx((102.5, 62.5, 307.5, 187.5), abs=1e-3)
    assert sum(made["maps/boxes kept"].scores) == len(made["detections/boxes"].boxes) == 300
    assert "positive" in made["matching/default boxes"].state
    assert not any(name.startswith("normalisation/") for name in made)


def test_ssdlite_is_evaluated_by_its_own_rule_unless_a_knob_was_moved(
    ssd: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[EvaluationRule] = []
    monkeypatch.setattr("engines.detect.ssd.told", lambda found, rule: told.append(rule))
    photo = image_from_array(golden.picture("ssdlite320"), "made")

    def evaluate(host: Any, folder: Any, detect: Any, names: Any) -> Iterator[None]:
        detect(photo)
        yield None

    monkeypatch.setattr("engines.detect.ssd.evaluate_folder", evaluate)
    with torch.no_grad():
        for overlap, most in ((0.45, 0), (0.3, 50)):
            params = replace(ssd.params, overlap=overlap, most=most)
            list(ssd.engine.evaluate(Path(), params))
    assert told == [EvaluationRule(0.001, 300, 0.55, 300), EvaluationRule(0.001, 50, 0.3, 300)]


@pytest.mark.parametrize(
    ("weights", "wrong", "words"),
    [
        ("ssdlite320-coco", {"0.1.weight": (126, 672, 1, 1)}, "wanted 546 × 672 × 1 × 1"),
        ("ssdlite320-coco", "ssd300-coco", "it looks like ssd300-coco"),
        (MOBILE, {"cls_score.weight": (5, 1024)}, "is 5 × 1024, wanted 91 × 1024"),
        (MOBILE, "fasterrcnn-resnet50-fpn-coco", "it looks like fasterrcnn-resnet50-fpn-coco"),
    ],
    ids=["another class count", "SSD300", "another class count of two stages", "a ResNet"],
)
def test_weights_of_another_class_count_or_network_are_named_in_one_line(
    tmp_path: Path, weights: str, wrong: Any, words: str
) -> None:
    rows = {row.name: row for row in table()["ssd" if "ssd" in weights else "faster-rcnn"].weights}
    shapes = dict(rows[wrong if isinstance(wrong, str) else weights].fingerprint)
    for end, shape in ({} if isinstance(wrong, str) else wrong).items():
        shapes |= {key: shape for key in shapes if key.endswith(end)}
    file = tmp_path / "other.pth"
    torch.save({n: torch.zeros(s) for n, s in shapes.items() if not n.startswith("!")}, file)
    store = WeightStore(rows.values(), tmp_path / "cache")
    with pytest.raises(WeightsError) as error:
        store.import_file(weights, file)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
