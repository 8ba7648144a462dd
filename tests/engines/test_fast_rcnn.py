"""Fast R-CNN: one pass for all regions, boxes scored from a map that is there, its file again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from engines.nn.detection import detector_training
from engines.nn.detection.boxes import iou
from engines.nn.detection.coco import annotations_of
from engines.nn.detection.detector_training import measure
from engines.nn.detection.matching import Sampler
from engines.nn.detection.shapes import HELD_OUT, NAMES, scene
from engines.nn.two_stage.fast_rcnn import draw, official, small_fast, without_proposals
from engines.nn.two_stage.fast_rcnn_training import Proposer, detector
from engines.nn.two_stage.rcnn import RCNN, Framing, frame, resnet50_fpn
from explorer.core.media import sample_inputs
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.engine import Cancelled
from explorer.inputs import ImageInput
from explorer.kinds import Artefact

FILE = assets() / "weights" / "shapes-fast-rcnn.safetensors"
BOXES = torch.tensor([[3.0, 4, 30, 28], [20, 10, 60, 62], [0, 0, 64, 64], [40.5, 2.5, 47, 9]])


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    torch.set_num_threads(1)
    made = Session(table()["fast-rcnn"], device="cpu", seed=3)
    made.statistics_every = 0.0
    made.open()
    yield made
    made.close()


def shown(session: Session, photo: Any = None, **values: Any) -> dict[str, Artefact]:
    session.set_params({"region": None, "cursor": None, **values})
    given = sample_inputs(session.row) if photo is None else {"image": ImageInput(photo, "x")}
    return {a.name: a for frame in session.run(given) for a in frame.artefacts}


@torch.no_grad()
def test_one_box_alone_is_one_box_of_many() -> None:
    torch.manual_seed(0)
    network = small_fast().eval()
    x = torch.randn(1, 3, 64, 64)
    shared = network(x, [BOXES])
    for i in range(len(BOXES)):
        alone = network.score(shared.maps, BOXES[i : i + 1])
        torch.testing.assert_close(alone.logits[0], shared.output.logits[i], rtol=0, atol=1e-5)
        torch.testing.assert_close(alone.deltas[0], shared.output.deltas[i], rtol=0, atol=1e-5)
    turned = network(x, [BOXES.flip(0)]).output
    torch.testing.assert_close(turned.logits.flip(0), shared.output.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(turned.deltas.flip(0), shared.output.deltas, rtol=0, atol=1e-5)


@torch.no_grad()
def test_official_weights_of_faster_rcnn_score_regions_as_their_own_second_stage() -> None:
    """The second stage of `RCNN` is checked against torchvision's elsewhere."""
    torch.manual_seed(1)
    whole: RCNN = resnet50_fpn("faster", 7, framing=Framing(96, 128)).eval()
    network = official(7).eval()
    network.load_state_dict(without_proposals(whole.state_dict()))
    framed = frame(scene(3).image, whole.framing)
    boxes = BOXES * 1.5
    pyramid = whole.backbone(framed.x)
    wanted = whole.roi_heads(pyramid.heads, [boxes], whole.strides)
    shared = network(framed.x, [boxes])
    assert torch.equal(shared.output.logits, wanted.logits)
    again = network.score(shared.maps, boxes)
    torch.testing.assert_close(again.deltas, wanted.deltas, rtol=0, atol=1e-5)


def test_objects_and_hard_background_are_drawn() -> None:
    truth = torch.tensor([[10.0, 10, 30, 30]])
    offered = torch.tensor(
        [[10.0, 10, 30, 24], [10, 10, 30, 19], [40, 40, 60, 60], [10, 10, 30, 11.5]]
    )  # IoU 0.7, 0.45, 0, 0.075
    drawn = draw(offered, truth, torch.tensor([2]), Sampler(8, 0.5))
    rows = {tuple(box.tolist()): int(label) for box, label in zip(*drawn_pairs(drawn), strict=True)}
    assert rows == {(10, 10, 30, 24): 2, (10, 10, 30, 30): 2, (10, 10, 30, 19): 0}
    own = drawn.shifts[(drawn.boxes == truth[0]).all(1)]
    assert torch.equal(own, torch.zeros(1, 4))


def drawn_pairs(drawn: Any) -> tuple[Any, Any]:
    return drawn.boxes, drawn.labels


@pytest.mark.parametrize(("suffix", "half", "tight"), [("", 0.95, 0.85), ("-hard", 0.55, 0.35)])
def test_the_files_score_what_they_say(suffix: str, half: float, tight: float) -> None:
    """Of all 300 scenes: 1.000 and 0.975; hard 0.653 and 0.463."""
    torch.set_num_threads(1)
    network = small_fast()
    network.load_state_dict(load_file(FILE.with_stem(FILE.stem + suffix)))
    told = measure(detector(network.eval(), Proposer()), hard=bool(suffix), count=50)
    assert told.at(0.5) >= half
    assert told.at(0.75) >= tight


def test_the_network_looks_once_and_boxes_fit_the_scene(session: Session) -> None:
    calls: list[int] = []
    handle = session.network.backbone.body.stem.register_forward_hook(lambda *_: calls.append(1))
    made = shown(session)
    handle.remove()
    assert calls == [1]
    held = scene(HELD_OUT + 13)
    found = made["detections/boxes"]
    overlap = iou(torch.from_numpy(held.boxes), torch.from_numpy(np.array(found.boxes)))
    assert (overlap.max(1).values > 0.6).all()
    words = [found.labels[int(i)] for i in overlap.argmax(1)]
    assert words == [NAMES[label] for label in held.labels]
    assert (found.boxes >= 0).all()
    assert (found.boxes <= 64).all()


def test_a_dragged_box_is_scored_without_a_pass(session: Session) -> None:
    shown(session)
    calls: list[int] = []
    handles = [
        m.register_forward_hook(lambda *_: calls.append(1)) for m in session.network.modules()
    ]
    held = scene(HELD_OUT + 13)
    for box, label in zip(held.boxes, held.labels, strict=True):
        session.set_params({"region": tuple((box + np.array([-2, 1, 1, -1])).tolist())})
        made = {a.name: a for frame in session.again() for a in frame.artefacts}
        scores = made["region/class scores"]
        assert scores.labels[0] == NAMES[label]
        before, after = made["region/before and after"].boxes
        truth = torch.from_numpy(box)[None]
        near = iou(truth, torch.from_numpy(np.stack([before, after])))[0]
        assert near[1] > 0.6
    for handle in handles:
        handle.remove()
    assert calls == []


def test_a_click_shows_the_proposals_around_it(session: Session) -> None:
    everywhere = shown(session, shown=1000)["proposals/boxes"]
    here = shown(session, shown=1000, cursor=(60.0, 40.0))["proposals/boxes"]
    inside = [
        i
        for i, (x1, y1, x2, y2) in zip(everywhere.ids, everywhere.boxes.tolist(), strict=True)
        if x1 <= 60 <= x2 and y1 <= 40 <= y2
    ]
    assert list(here.ids) == inside
    assert 0 < len(inside) < len(everywhere.ids)


def test_the_merges_are_a_slider(session: Session) -> None:
    counts = {}
    for left in (1, 4, 500):
        made = shown(session, left=left)
        counts[left] = len(made["hierarchy/boxes"].boxes)
        assert f"{counts[left]} of " in made["hierarchy/regions"].note
    assert counts[1] == 1
    assert counts[4] == 4
    assert counts[500] > 10
    assert made["hierarchy/similarity"].y.shape == (4, counts[500] - 1)


@pytest.mark.parametrize("shape", [(1, 1), (2, 90), (500, 7), (300, 200)])
def test_odd_pictures_give_right_empty_results(session: Session, shape: tuple[int, int]) -> None:
    made = shown(session, np.full((*shape, 3), 60, np.uint8))
    boxes = made["proposals/boxes"].boxes
    assert (boxes[:, 2:] <= np.array([shape[1], shape[0]]) + 1e-3).all()
    assert made["detections/boxes"].boxes.shape[1] == 4


def test_a_large_picture_is_searched_small_and_boxes_are_in_its_pixels(session: Session) -> None:
    held = scene(HELD_OUT + 13)
    large = cv2.resize(held.image, (640, 640), interpolation=cv2.INTER_NEAREST)
    made = shown(session, large)
    assert made["hierarchy/regions"].image.shape == (128, 128, 3)
    offered = torch.from_numpy(np.array(shown(session, large, shown=1000)["proposals/boxes"].boxes))
    near = iou(torch.from_numpy(held.boxes) * 10, offered).max(1).values
    assert (near > 0.8).all()


def test_a_cancel_takes_effect_within_the_search(session: Session) -> None:
    pauses: list[None] = []

    def on_pause() -> None:
        pauses.append(None)
        if len(pauses) == 5:
            session.cancel()

    session.on_pause = on_pause
    try:
        with pytest.raises(Cancelled):
            shown(session, scene(HELD_OUT + 13).image)
    finally:
        session.on_pause = None
    assert len(pauses) == 5
    assert shown(session), "ready again"


def test_evaluate_over_an_annotated_folder(session: Session, tmp_path: Path) -> None:
    scenes = {f"{i}.png": scene(HELD_OUT + i) for i in range(6)}
    for file, held in scenes.items():
        cv2.imwrite(str(tmp_path / file), held.image[..., ::-1])
    (tmp_path / "a.json").write_text(json.dumps(annotations_of(scenes, NAMES)))
    session.set_params({"region": None})
    figures = session.evaluate(tmp_path)
    assert figures["pictures"] == 6
    assert figures["AP50"] > 0.9


def test_two_and_two_steps_equal_four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVERY", "HELD", "FINAL", "SHOWN"):
        monkeypatch.setattr(detector_training, name, 2)
    row = table()["fast-rcnn"]

    def go(name: str, steps: int, resume: Path | None = None) -> dict[str, torch.Tensor]:
        values = {"model": "shapes-untrained", "batch": 2, "train_steps": 4}
        session = Session(row, device="cpu", seed=2, params=values)
        session.open()
        for _ in session.train({}, out=tmp_path / name, resume=resume, steps=steps):
            continue
        session.close()
        return load_file(tmp_path / name)

    whole = go("whole.safetensors", 4)
    half = go("half.safetensors", 2)
    rest = go("rest.safetensors", 2, tmp_path / "half.safetensors")
    assert not all(torch.equal(value, half[name]) for name, value in whole.items())
    assert all(torch.equal(value, rest[name]) for name, value in whole.items())
