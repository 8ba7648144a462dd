"""The small R-CNN networks: they learn, resume exactly, and their files score as recorded."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from engines.nn.detection import detector_training
from engines.nn.detection.detector_training import TrainingParams, measure
from engines.nn.detection.shapes import HELD_OUT, SQUARE, batch, scene, stacked
from engines.nn.two_stage.keypoint_head import locate
from engines.nn.two_stage.mask_head import paste_all
from engines.nn.two_stage.rcnn import RCNN, Kind, normalise, small
from engines.nn.two_stage.rcnn_losses import SMALL_RULE, losses
from engines.nn.two_stage.rcnn_training import detector, train_small, truths
from engines.rows.rcnn import SHAPES
from explorer.api import Checkpoint
from explorer.core.paths import assets
from explorer.core.registry import table

FILES = [assets() / f"weights/{name}.safetensors" for name in SHAPES]
SCENES = 40
KINDS: tuple[Kind, ...] = ("faster", "mask", "keypoint")


def kind_of(name: str) -> Kind:
    if name.startswith("shapes-fpn-"):
        return "faster"
    return next(kind for kind in KINDS if name.startswith(f"shapes-{kind}-"))


def loaded(name: str) -> RCNN:
    network = small(kind_of(name), pooling="pool" if name.endswith("-pool") else "align")
    network.backbone.fpn.without_top_down = (0,) if name.endswith("-lateral") else ()
    tensors = load_file(assets() / f"weights/{name}.safetensors")
    network.load_state_dict({key: value.float() for key, value in tensors.items()})
    return network.eval()


class Host:
    """As much of a session as a training asks for."""

    device, seed = torch.device("cpu"), 0

    def progress(self, text: str, fraction: float | None = None) -> None:
        self.last = text, fraction

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)


@dataclasses.dataclass
class Trainee:
    host: Any


def checkpoints(
    kind: Kind, network: RCNN, params: TrainingParams, resume: Checkpoint | None = None
) -> Iterator[Checkpoint]:
    run = train_small(Trainee(Host()), network, lambda: small(kind), params, resume)
    made = next(run)
    while True:
        if isinstance(made, Checkpoint):
            yield made
        try:
            made = run.send(params)
        except StopIteration:
            return


def test_every_file_has_a_row_and_a_recorded_score() -> None:
    rows = {w.name for row in table().values() for w in row.weights}
    assert {path.stem for path in FILES} <= rows
    assert {kind_of(path.stem) for path in FILES} == set(KINDS)
    for path in FILES:
        with safe_open(path, "pt") as file:
            about = file.metadata()
        if "-hard" not in path.stem:
            assert float(about["score AP50"]) >= 0.95, path.name
        assert about["engine"] in (f"{kind_of(path.stem)}-rcnn", "fpn")


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_file_scores_as_recorded(path: Path) -> None:
    network = loaded(path.stem)
    hard = "-hard" in path.stem
    with safe_open(path, "pt") as file:
        recorded = float(file.metadata()["score AP50"])
    ours = measure(detector(network), hard=hard, count=SCENES).at(0.5)
    assert ours == pytest.approx(recorded, abs=0.08 if hard else 0.03)
    if not hard:
        assert ours >= 0.95


def test_masks_fit_the_objects() -> None:
    network = loaded("shapes-mask-rcnn")
    with torch.no_grad():
        boxes = measure(detector(network, masks=True), hard=False, count=SCENES, masks=True)
        anyone = measure(
            detector(network, masks=True, agnostic=True), hard=False, count=SCENES, masks=True
        )
    assert boxes.at(0.5) >= 0.95
    assert boxes.at(0.75) >= 0.9
    assert anyone.at(0.75) >= 0.9, "the map of no class has learnt all of them"


def test_true_boxes_get_the_true_masks() -> None:
    """Mean IoU of the masks that the branch gives for the true boxes (card: 0.94)."""
    network = loaded("shapes-mask-rcnn")
    shares = []
    for i in range(20):
        held = scene(HELD_OUT + i)
        with torch.no_grad():
            levels = network.backbone(normalise(stacked([held.image]))).heads
            boxes = torch.from_numpy(held.boxes)
            made = network.roi_heads.masks(levels, [boxes], network.strides)
            maps = made.chosen(torch.from_numpy(held.labels) + 1)
        pasted = (paste_all(maps, boxes, 64, 64) > 0.5).numpy()
        both, either = (pasted & held.masks).sum((1, 2)), (pasted | held.masks).sum((1, 2))
        shares += (both / either).tolist()
    assert np.mean(shares) > 0.88


def test_corners_of_squares_are_found() -> None:
    network = loaded("shapes-keypoint-rcnn")
    errors = []
    for i in range(40):
        held = scene(HELD_OUT + i)
        rows = np.flatnonzero(held.labels == SQUARE)
        if not len(rows):
            continue
        boxes = torch.from_numpy(held.boxes[rows])
        with torch.no_grad():
            levels = network.backbone(normalise(stacked([held.image]))).heads
            made = network.roi_heads.keypoints(levels, [boxes], network.strides)
        points, _ = locate(made.logits, boxes)
        away = points.numpy() - held.keypoints[rows, :, :2]
        errors += np.sqrt((away**2).sum(2)).flatten().tolist()
    assert len(errors) > 40
    assert np.mean(errors) < 1.5  # pixels; the target of the card


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two held-out scenes are enough where no score is looked at."""
    for name in ("FINAL", "SHOWN"):
        monkeypatch.setattr(detector_training, name, 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("few")
def test_a_resumed_training_is_the_unbroken_one(kind: Kind) -> None:
    params = TrainingParams(train_steps=4, batch=2)
    whole, resumed = small(kind), small(kind)
    torch.manual_seed(5)  # anchors and regions are drawn with the state that a session keeps
    steps = checkpoints(kind, whole, params)
    for made in steps:
        if made.step == 2:
            kept = Checkpoint(2, {}, copy.deepcopy(dict(made.state)))
            random = torch.get_rng_state()
    unbroken = made
    torch.set_rng_state(random)
    last = list(checkpoints(kind, resumed, params, kept))[-1]
    assert last.step == unbroken.step == 4
    for name, value in unbroken.weights.items():
        assert torch.equal(value, last.weights[name]), name


@pytest.mark.usefixtures("few")
def test_a_training_learns() -> None:
    params = TrainingParams(train_steps=12, batch=4, rate=3e-3)
    torch.manual_seed(0)
    totals = []
    for made in checkpoints("mask", small("mask"), params):
        terms = made.state["log"]["terms"]
        totals.append(sum(term["values"][-1] for term in terms.values()))
    assert set(terms) == {"objectness", "anchors", "classes", "boxes", "masks"}
    assert np.mean(totals[-3:]) < 0.7 * np.mean(totals[:2])


def test_the_map_of_no_class_learns_from_all_objects() -> None:
    torch.manual_seed(0)
    network = small("mask")
    images, targets = batch(range(2))
    plain = losses(network, normalise(images), truths(targets), SMALL_RULE)["masks"]
    torch.autograd.backward(plain)
    bias = network.roi_heads.mask_predictor.mask_fcn_logits.bias
    assert bias.grad is not None
    assert float(bias.grad[0]) == 0.0
    found = losses(network, normalise(images), truths(targets), SMALL_RULE, agnostic=True)
    torch.autograd.backward(found["masks"])
    assert float(bias.grad[0]) != 0.0
