"""Whole R-CNN networks against torchvision, by golden files that its own program wrote."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from engines.nn.two_stage import rcnn
from engines.nn.two_stage.keypoint_head import locate
from engines.nn.two_stage.mask_head import paste_all
from engines.nn.two_stage.roi_heads import DetectionRule
from engines.nn.two_stage.rpn import ProposalRule

PARAMETERS = {  # published
    "faster": 41_755_286,
    "mask": 44_401_393,
    "keypoint": 59_137_258,
    "faster_v2": 43_712_278,
    "mask_v2": 46_359_409,
}
KINDS = tuple(PARAMETERS)


def script() -> ModuleType:
    path = Path(__file__).parents[1] / "golden" / "rcnn.py"
    spec = importlib.util.spec_from_file_location("golden_rcnn", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


GOLDEN = script()


def build(kind: str) -> rcnn.RCNN:
    framing = rcnn.Framing(shortest=GOLDEN.SHORTEST, longest=GOLDEN.LONGEST)
    name, _, second = kind.partition("_")
    return rcnn.resnet50_fpn(
        name,  # type: ignore[arg-type]
        2 if kind == "keypoint" else 91,
        framing=framing,
        version=2 if second else 1,
    ).eval()


class Case:
    """What our network with the golden weights saw, and what torchvision's saw."""

    def __init__(self, kind: str) -> None:
        torch.set_num_threads(1)
        self.golden = np.load(GOLDEN.file(kind))
        network = build(kind)
        state = network.state_dict()
        self.keys = sorted(state)
        self.parameters = sum(p.numel() for p in network.parameters())
        self.neck = sum(p.numel() for p in network.backbone.fpn.parameters())
        filled = {n: torch.from_numpy(GOLDEN.filled(n, tuple(v.shape))) for n, v in state.items()}
        rcnn.load(network, filled, "golden")
        self.framed = rcnn.frame(GOLDEN.picture(), network.framing)
        proposing = ProposalRule(before=GOLDEN.BEFORE, after=GOLDEN.AFTER)
        with torch.no_grad():
            self.seen = network(
                self.framed.x, self.framed.size, proposing, DetectionRule(most=GOLDEN.MOST)
            )

    def in_input(self, boxes: torch.Tensor) -> np.ndarray:
        scale = torch.tensor([self.framed.affine.sx, self.framed.affine.sy] * 2)
        return (boxes * scale).numpy()


@functools.cache
def case(kind: str) -> Case:
    return Case(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_parameters_are_the_published_ones(kind: str) -> None:
    made = case(kind)
    # 256 (256 + 512 + 1024 + 2048) and 4 * 9 * 256^2 weights; a bias, or gain and bias, of each.
    weights, rows = 256 * 3840 + 4 * 9 * 256**2, 8 * 256
    assert made.neck == weights + (2 * rows if kind.endswith("_v2") else rows)
    assert kind.endswith("_v2") or made.neck == 3_344_384
    assert made.keys == made.golden["keys"].tolist()
    assert made.parameters == int(made.golden["parameters"]) == PARAMETERS[kind]


def test_files_of_2019_are_loaded_under_their_older_names() -> None:
    """The official files: one name less in the proposal head and the pyramid, masks from 1."""
    network = rcnn.small("mask")
    new = {name: value + 1 for name, value in network.state_dict().items()}
    older = {}
    for name, value in new.items():
        name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        for block in ("inner_blocks", "layer_blocks"):
            for k in range(2):
                name = name.replace(f"{block}.{k}.0.", f"{block}.{k}.")
        for k in range(2):
            name = name.replace(f"mask_head.{k}.0.", f"mask_head.mask_fcn{k + 1}.")
        older[name] = value
    assert len(set(older) - set(new)) == 2 + 8 + 4
    older["backbone.body.bn1.num_batches_tracked"] = torch.tensor(3)
    rcnn.load(network, older, "older")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, new[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("size", "expected"),  # as torchvision 0.14.1 answers, but for the last, where it fails
    [
        ((480, 640), (800, 1066)),
        ((100, 400), (333, 1332)),
        ((1, 1), (800, 800)),
        ((375, 500), (799, 1066)),
        ((427, 640), (799, 1199)),
        ((333, 1000), (443, 1333)),
        ((2000, 3001), (800, 1200)),
        ((2, 4000), (1, 1333)),
    ],
)
def test_the_short_side_becomes_800_unless_the_long_one_passes_1333(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert rcnn.Framing().resized(*size) == expected
    framed = rcnn.frame(np.zeros((*size, 3), np.uint8), rcnn.Framing(64, 107))
    assert framed.x.shape[2] % 32 == framed.x.shape[3] % 32 == 0
    right, below = framed.affine.to_input(framed.size[1], framed.size[0])
    assert (below, right) == pytest.approx(size)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_scores_and_labels_are_torchvisions(kind: str) -> None:
    made = case(kind)
    found, golden = made.seen.found, made.golden
    assert found.labels.tolist() == golden["labels"].tolist()
    np.testing.assert_allclose(made.in_input(found.boxes), golden["boxes"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found.scores.numpy(), golden["scores"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["faster", "faster_v2"])
def test_levels_and_what_the_proposal_head_says_are_torchvisions(kind: str) -> None:
    seen, golden = case(kind).seen, case(kind).golden
    for i, level in enumerate(seen.pyramid.levels):
        kept = level[0, :: GOLDEN.EVERY].numpy()
        np.testing.assert_allclose(kept, golden[f"level{i}"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            seen.rpn.logits[i][0].numpy(), golden[f"logits{i}"], rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(
            seen.rpn.deltas[i][0, ::3].numpy(), golden[f"deltas{i}"], rtol=1e-5, atol=1e-5
        )
    np.testing.assert_array_equal(seen.rpn.anchors[::7].numpy(), golden["anchors"])


@pytest.mark.parametrize("kind", ["faster", "faster_v2"])
def test_proposals_are_torchvisions_as_a_set_and_so_is_what_the_box_head_says_of_them(
    kind: str,
) -> None:
    seen, golden = case(kind).seen, case(kind).golden
    boxes = seen.proposals.kept.numpy()
    apart = np.abs(boxes[:, None] - golden["proposals"][None]).max(2)
    assert apart.shape == (GOLDEN.AFTER, GOLDEN.AFTER)
    partner = apart.argmin(1)  # two that fill the picture are the same, and so is what is said
    assert max(apart.min(0).max(), apart.min(1).max()) < 1e-3
    logits, deltas = golden["class_logits"][partner], golden["class_deltas"][partner]
    np.testing.assert_allclose(seen.output.logits.numpy(), logits, rtol=1e-4, atol=1e-4)
    ours = seen.output.deltas.flatten(1)[:, ::5].numpy()
    np.testing.assert_allclose(ours, deltas, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["mask", "mask_v2"])
def test_masks_are_torchvisions(kind: str) -> None:
    made = case(kind)
    found = made.seen.found
    assert made.seen.masks is not None
    boxes = torch.from_numpy(made.in_input(found.boxes))
    masks = paste_all(made.seen.masks.chosen(found.labels), boxes, *GOLDEN.picture().shape[:2])
    np.testing.assert_allclose(
        masks[: GOLDEN.PASTED].numpy(), made.golden["masks"], rtol=0, atol=1e-4
    )
    np.testing.assert_allclose(masks.sum((1, 2)).numpy(), made.golden["areas"], rtol=1e-4)


def test_keypoints_are_torchvisions() -> None:
    made = case("keypoint")
    assert made.seen.keypoints is not None
    points, scores = locate(made.seen.keypoints.logits, made.seen.found.boxes)
    scale = torch.tensor([made.framed.affine.sx, made.framed.affine.sy])
    golden = made.golden
    np.testing.assert_allclose(
        (points * scale).numpy(), golden["keypoints"][..., :2], rtol=0, atol=1e-3
    )
    np.testing.assert_allclose(scores.numpy(), golden["keypoints_scores"], rtol=1e-4, atol=1e-4)
