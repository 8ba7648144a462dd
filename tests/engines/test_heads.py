"""Pasted masks and located keypoints against torchvision's, for boxes of all sorts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engines.nn.two_stage.keypoint_head import locate
from engines.nn.two_stage.mask_head import paste_all
from engines.nn.two_stage.rcnn import Kind, frame, small
from engines.nn.two_stage.roi_heads import DetectionRule
from engines.nn.two_stage.rpn import ProposalRule

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "ops-heads.npz")
BOXES = torch.from_numpy(GOLDEN["boxes"])


@pytest.mark.parametrize("side", [14, 28])
def test_masks_are_pasted_as_torchvision_pastes_them(side: int) -> None:
    """Fractions of pixels, boxes at the edge of the picture, thinner and smaller than a pixel."""
    masks = torch.from_numpy(GOLDEN[f"masks-{side}"])[:, 0]
    found = paste_all(masks, BOXES, 70, 95)
    np.testing.assert_allclose(found.numpy(), GOLDEN[f"pasted-{side}"], rtol=0, atol=1e-5)


def test_keypoints_are_located_as_torchvision_locates_them() -> None:
    points, scores = locate(torch.from_numpy(GOLDEN["logits"]), BOXES)
    np.testing.assert_allclose(points.numpy(), GOLDEN["points"][..., :2], rtol=0, atol=1e-4)
    np.testing.assert_allclose(scores.numpy(), GOLDEN["scores"], rtol=1e-5, atol=1e-5)


def test_no_boxes() -> None:
    assert paste_all(torch.zeros(0, 14, 14), BOXES[:0], 70, 95).shape == (0, 70, 95)
    points, scores = locate(torch.zeros(0, 4, 28, 28), BOXES[:0])
    assert points.shape == (0, 4, 2)
    assert scores.shape == (0, 4)


@pytest.mark.parametrize("kind", ["faster", "mask", "keypoint"])
@pytest.mark.parametrize("sides", [(1, 1), (3, 200), (500, 2)])
def test_pictures_thinner_than_a_cell_and_no_detection(kind: Kind, sides: tuple[int, int]) -> None:
    """Neither a picture below a stride, nor no detection, nor no proposal stops a network."""
    network = small(kind).eval()
    framed = frame(np.full((*sides, 3), 90, np.uint8), network.framing)
    with torch.no_grad():
        usual = network(framed.x, framed.size, detecting=DetectionRule(score=0.0))
        strict = network(framed.x, framed.size, detecting=DetectionRule(score=1.0))
        none = network(framed.x, framed.size, ProposalRule(smallest=1e6))
    height, width = framed.size
    assert len(usual.found.boxes)
    assert (usual.found.boxes >= 0).all()
    assert (usual.found.boxes <= torch.tensor([width, height, width, height])).all()
    for seen in (strict, none):
        assert seen.found.boxes.shape == (0, 4)
        for branch in (seen.masks, seen.keypoints):
            assert branch is None or len(branch.logits) == 0
