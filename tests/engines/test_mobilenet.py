"""The detectors on MobileNetV3 against torchvision, by golden files that its own program wrote."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from golden import mobilenet as golden
from torch import nn

from engines.nn.detection.detections import DetectionParams, kept
from engines.nn.one_stage.prior_detections import candidates, scored
from engines.nn.one_stage.ssd import SSD
from engines.nn.one_stage.ssdlite import ssdlite320
from engines.nn.two_stage import rcnn
from engines.nn.two_stage.rcnn_backbone import numbers
from engines.nn.two_stage.roi_heads import DetectionRule

PARAMETERS = {"ssdlite320": 3_440_060, "fpn": 19_386_354, "320_fpn": 19_386_354}  # published
TWO_STAGES = ("fpn", "320_fpn")


def build(name: str) -> nn.Module:
    if name == "ssdlite320":
        return ssdlite320()
    small = rcnn.Framing(golden.SMALLER["min_size"], golden.SMALLER["max_size"])
    return rcnn.mobilenet_v3_fpn(low=name == "320_fpn", framing=small if name == "fpn" else None)


class Case:
    """One of our networks with the golden weights, what its layers said, what torchvision's did."""

    def __init__(self, name: str) -> None:
        torch.set_num_threads(1)
        with np.load(golden.file(name)) as stored:
            self.golden = dict(stored)
        self.network: Any = build(name).eval()
        state = self.network.state_dict()
        self.keys = sorted(state)
        self.network.load_state_dict(
            {n: torch.from_numpy(golden.filled(n, tuple(v.shape))) for n, v in state.items()}
        )
        self.nodes: dict[str, np.ndarray] = {}
        for layer, module in self.network.named_modules():
            if not list(module.children()):
                module.register_forward_hook(functools.partial(self._note, layer))
        with torch.no_grad():
            self.seen = self._passed(golden.picture(name))

    def _passed(self, picture: np.ndarray) -> Any:
        if isinstance(self.network, SSD):
            self.x, self.affine = self.network.frame(picture)
            return self.network(self.x)
        framed = rcnn.frame(picture, self.network.framing)
        self.x, self.affine = framed.x, framed.affine
        most = golden.SMALLER["box_detections_per_img"] if len(self.golden["boxes"]) < 100 else 100
        return self.network(self.x, framed.size, None, DetectionRule(most=most))

    def _note(self, layer: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            self.nodes[layer] = golden.sampled(output.numpy())

    def in_input(self, boxes: torch.Tensor) -> np.ndarray:
        return (boxes * torch.tensor([self.affine.sx, self.affine.sy] * 2)).numpy()


@functools.cache
def case(name: str) -> Case:
    return Case(name)


@pytest.mark.parametrize("name", golden.NAMES)
def test_names_and_parameters_are_the_published_ones(name: str) -> None:
    made = case(name)
    assert made.keys == made.golden["keys"].tolist()
    count = sum(p.numel() for p in made.network.parameters())
    assert count == int(made.golden["parameters"]) == PARAMETERS[name]


@pytest.mark.parametrize("name", golden.NAMES)
def test_every_layer_says_what_torchvisions_says(name: str) -> None:
    """Convolutions, norms, activations and gates one by one: the same names, the same values."""
    made = case(name)
    fed = made.x[0, :, ::9, ::9].numpy()
    np.testing.assert_allclose(fed, made.golden["fed"], rtol=0, atol=1e-5)
    names = made.golden["nodes"].tolist()
    assert len(names) > 150
    ours = np.stack([made.nodes[layer] for layer in names])
    np.testing.assert_allclose(ours, made.golden["node_values"], rtol=1e-4, atol=1e-4)


def test_default_boxes_and_heads_of_ssdlite_are_torchvisions() -> None:
    made = case("ssdlite320")
    every, output = golden.SAMPLED, made.seen
    assert made.network.priors.counts == (2400, 600, 150, 54, 24, 6)
    assert output.logits.shape == (1, 3234, 91)
    np.testing.assert_allclose(made.network.boxes.numpy(), made.golden["priors"], atol=1e-4)
    for ours, theirs in ((output.logits, "logits"), (output.offsets, "offsets")):
        np.testing.assert_allclose(ours[0, ::every].numpy(), made.golden[theirs], atol=1e-4)
    assert output.before is None, "no map of it is normalised"


def test_what_ssdlite_finds_by_its_own_rule_is_what_torchvision_finds() -> None:
    """Score 0.001, the best 300 of a class, IoU 0.55, 300 in all, in pixels of the picture."""
    made, rule = case("ssdlite320"), case("ssdlite320").network.testing
    height, width = golden.PICTURES["ssdlite320"]
    found = scored(
        made.seen.logits[0].softmax(1)[:, 1:], made.seen.offsets[0], made.network.priors,
        made.affine, (height, width), tuple(map(str, range(1, 91))),
    )  # fmt: skip
    params = DetectionParams(score=rule.least, overlap=rule.overlap)
    left = kept(candidates(found, rule.least, rule.most), params, most=rule.kept)
    same(left.boxes.numpy(), left.scores.numpy(), (left.labels + 1).tolist(), made.golden)


def same(boxes: np.ndarray, scores: np.ndarray, labels: list[int], told: dict[str, Any]) -> None:
    """The same detections; two whose scores differ by less than 1e-6 may stand either way."""
    assert len(boxes) == len(told["boxes"])
    np.testing.assert_allclose(scores, told["scores"], rtol=0, atol=1e-5)
    ours = np.column_stack([boxes, 1e4 * np.array(labels)])
    theirs = np.column_stack([told["boxes"], 1e4 * told["labels"]])
    apart = np.abs(ours[:, None] - theirs[None]).max(2)
    assert sorted(apart.argmin(1)) == list(range(len(boxes)))
    assert apart.min(1).max() < 1e-3
    assert np.abs(scores - told["scores"][apart.argmin(1)]).max() < 1e-5


@pytest.mark.parametrize("name", TWO_STAGES)
def test_levels_logits_and_anchors_are_torchvisions(name: str) -> None:
    seen, told = case(name).seen, case(name).golden
    assert len(seen.pyramid.levels) == 3
    for i, level in enumerate(seen.pyramid.levels):
        kept_channels = level[0, :: golden.EVERY].numpy()
        np.testing.assert_allclose(kept_channels, told[f"level{i}"], rtol=1e-4, atol=1e-4)
        ours = seen.rpn.logits[i][0].numpy()
        assert ours.shape[0] == 15, "five sizes in three shapes"
        np.testing.assert_allclose(ours, told[f"logits{i}"], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(seen.rpn.anchors[::7].numpy(), told["anchors"])


@pytest.mark.parametrize("name", TWO_STAGES)
def test_proposals_and_boxes_are_torchvisions(name: str) -> None:
    made, told = case(name), case(name).golden
    ours, theirs = made.seen.proposals.kept.numpy(), told["proposals"]
    assert len(ours) == len(theirs)
    apart = np.abs(ours[:, None] - theirs[None]).max(2)
    assert max(apart.min(0).max(), apart.min(1).max()) < 1e-3
    assert float(made.seen.proposals.scores.min()) >= 0.05
    assert float(made.seen.rpn.objectness().sigmoid().min()) < 0.05, "some were left out"
    found = made.seen.found
    same(made.in_input(found.boxes), found.scores.numpy(), found.labels.tolist(), told)


def test_levels_of_one_stride_have_names_of_their_own() -> None:
    assert numbers((4, 8, 16, 32, 64)) == ("2", "3", "4", "5", "6")
    assert numbers((32, 32, 64)) == ("5a", "5b", "6")
    assert case("fpn").network.backbone.names == ("c5a", "c5b")
