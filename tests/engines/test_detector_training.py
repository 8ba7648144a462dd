"""The training of small detectors, on a grid of a few numbers that learns in seconds."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from engines.nn.detection import detector_training
from engines.nn.detection.detector_training import (
    Detected,
    TrainingParams,
    measure,
    schedule,
    train,
)
from engines.nn.detection.shapes import HELD_OUT, NAMES, batch, scene
from engines.rows import TRAINING_GROUPS
from explorer.api import Artefact, Boxes, Checkpoint, Curve, Engine, Image, Inputs, Training
from explorer.core.registry import parse
from explorer.core.session import Session
from explorer.views import Frame

CELLS, CELL = 8, 8


class Grid(nn.Module):
    """For each of 8 x 8 cells: how likely a centre lies there, its class, and its box."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 32)
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Conv2d(32, 1 + len(NAMES) + 4, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 8, 8, 8), last: objectness, classes, left, top, right, bottom in cells."""
        out: Tensor = self.net(x - 0.3)
        return out.permute(0, 2, 3, 1)


class GridEngine(Engine[TrainingParams]):
    Params: ClassVar[type[Any]] = TrainingParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Curve, Image, Boxes)
    network: Grid

    def build(self, params: TrainingParams) -> nn.Module:
        return Grid()

    def start(self, generator: torch.Generator) -> None:
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.05, generator=generator)
                nn.init.zeros_(module.bias)

    def loss(self, images: Tensor, targets: list[Any], params: Any) -> dict[str, Tensor]:
        out = self.network(images)
        there = torch.zeros_like(out[..., 0])
        rows = []
        for i, target in enumerate(targets):
            for box, label in zip(target.boxes, target.labels, strict=True):
                x, y = ((box[:2] + box[2:]) / 2 / CELL).long().clamp(max=CELLS - 1).tolist()
                there[i, y, x] = 1
                rows.append((i, y, x, int(label), box / CELL))
        i, y, x, label = (torch.tensor([r[k] for r in rows]) for k in range(4))
        at = out[i, y, x]
        middle = torch.stack([x, y, x, y], 1) + 0.5
        boxes = at[:, 4:] * 2 + middle
        jitter = 0.0 * torch.rand(())  # trainings draw from the global generator too
        return {
            "centre": F.binary_cross_entropy_with_logits(out[..., 0], there) * 10 + jitter,
            "class": F.cross_entropy(at[:, 1:4], label),
            "box": F.smooth_l1_loss(boxes, torch.stack([r[4] for r in rows])),
        }

    def detect(self, images: Tensor) -> list[Detected]:
        found = []
        for out in self.network(images):
            y, x = torch.meshgrid(torch.arange(CELLS), torch.arange(CELLS), indexing="ij")
            middle = torch.stack([x, y, x, y], -1) + 0.5
            peak = out[..., 0] == F.max_pool2d(out[None, ..., 0], 3, 1, 1)[0]
            score, label = out[..., 1:4].softmax(-1).max(-1)
            boxes = (out[..., 4:] * 2 + middle) * CELL
            score = score * out[..., 0].sigmoid()
            found.append(Detected(boxes[peak], score[peak], label[peak]))
        return found

    def train(
        self, inputs: Inputs, params: TrainingParams, resume: Checkpoint | None = None
    ) -> Training:
        yield from train(
            self, self.network, self.loss, self.detect, params, start=self.start, resume=resume
        )


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setitem(sys.modules, "grid_engine", sys.modules[__name__])
    row = parse(
        {
            "name": "grid",
            "engine": "grid_engine:GridEngine",
            "title": "Grid",
            "family": "Tests",
            "paper": "none",
            "summary": "none",
            "inputs": {},
            "sample": {},
            "groups": TRAINING_GROUPS,
            "points": [],
        },
        "tests",
    )
    torch.set_num_threads(1)
    made = Session(row, device="cpu", seed=5, params={"train_steps": 20, "batch": 4})
    made.open()
    yield made
    made.close()


def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements of a few scenes, and often."""
    for name, value in {"EVERY": 5, "HELD": 10, "FINAL": 10}.items():
        monkeypatch.setattr(detector_training, name, value)


def trained(session: Session, out: Path, steps: int, resume: Path | None = None) -> list[Frame]:
    return list(session.train({}, out=out, resume=resume, steps=steps))


def test_ten_and_ten_steps_equal_twenty(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch)
    whole = trained(session, tmp_path / "whole.safetensors", 20)
    session.set_params({"train_steps": 20})
    trained(session, tmp_path / "half.safetensors", 10)
    with torch.no_grad():
        for p in session.network.parameters():
            p.zero_()  # the process was killed: nothing of it may matter
    half = tmp_path / "half.safetensors"
    resumed = trained(session, tmp_path / "rest.safetensors", 10, half)
    first, second = (load_file(tmp_path / f"{n}.safetensors") for n in ("whole", "rest"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    last = [{a.name: a for a in made[-1].artefacts} for made in (whole, resumed)]
    for name in ("training/loss", "training/AP"):
        np.testing.assert_array_equal(last[0][name].y, last[1][name].y)
    assert last[0]["training/loss"].y.shape == (4, 20)


def test_it_learns_and_what_ships_scores_as_recorded(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector_training, "FINAL", 50)
    session.set_params({"train_steps": 150, "batch": 16, "rate": 1e-2})
    made = trained(session, tmp_path / "out.safetensors", 150)
    curves = [a for frame in made for a in frame.artefacts if a.name == "training/AP"]
    assert curves[-1].x.tolist() == [50, 100, 150]
    assert curves[-1].y[1, -1] > 0.3, "AP at 0.5 climbs"
    network = Grid()
    network.load_state_dict(load_file(tmp_path / "out.safetensors"))
    engine = GridEngine()
    engine.network = network.eval()
    again = measure(engine.detect, hard=False, count=50)
    assert again.at(0.5) == pytest.approx(float(curves[-1].y[1, -1]), abs=1e-6)


def test_a_live_rate_acts_in_the_next_step(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch)
    running = session.train({}, steps=20)
    for _ in range(12):
        next(running)
    session.set_params({"rate": 1e-6})
    before = session.network.net[0].weight.detach().clone()
    next(running)
    slow = float((session.network.net[0].weight.detach() - before).abs().max())
    session.set_params({"rate": 0.1})
    before = session.network.net[0].weight.detach().clone()
    next(running)
    fast = float((session.network.net[0].weight.detach() - before).abs().max())
    running.close()
    assert slow < 1e-5
    assert fast > 1e-2


def test_held_out_scenes_show_what_was_found_and_what_was_missed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch)
    made = [a for frame in session.train({}, steps=1) for a in frame.artefacts]
    picture = next(a for a in made if a.name == "held-out/scenes")
    boxes = next(a for a in made if a.name == "held-out/found")
    assert isinstance(picture, Image)
    assert isinstance(boxes, Boxes)
    assert picture.image.shape == (128, 256, 3)
    np.testing.assert_array_equal(picture.image[64:, 192:], scene(HELD_OUT + 7).image)
    missed = boxes.boxes[[s == "below" for s in boxes.state]]
    corner = scene(HELD_OUT + 7).boxes + np.array([192, 64, 192, 64])
    assert {tuple(b) for b in corner.tolist()} <= {tuple(b) for b in missed.tolist()}


def test_a_perfect_detector_measures_one_and_masks_are_asked_for() -> None:
    known = {s.image.tobytes(): s for s in (scene(HELD_OUT + i, hard=True) for i in range(20))}

    def perfect(images: Tensor) -> Sequence[Any]:
        told = []
        for image in (images * 255).round().byte().permute(0, 2, 3, 1).numpy():
            held = known[image.tobytes()]
            ones = torch.ones(len(held.boxes))
            boxes, labels = torch.from_numpy(held.boxes), torch.from_numpy(held.labels)
            told.append((boxes, ones, labels, torch.from_numpy(held.masks)))
        return told

    assert measure(perfect, hard=True, count=20).mean == pytest.approx(1.0)
    assert measure(perfect, hard=True, count=20, masks=True).mean == pytest.approx(1.0)
    boxless = [d[:3] for d in perfect(batch([HELD_OUT], hard=True)[0])]
    with pytest.raises(ValueError, match="no masks"):
        measure(lambda images: boxless, hard=True, count=1, masks=True)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    shares = [schedule(step, 200) for step in range(1, 201)]
    assert shares.index(max(shares)) in (19, 20)
    assert max(shares) == pytest.approx(1.0, abs=1e-3)
    assert shares[-1] < 1e-3
    assert all(a > b for a, b in itertools.pairwise(shares[20:]))
    assert schedule(1, 1) == 1.0
