"""Pasted masks and located keypoints against torchvision's, for boxes of all sorts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engines.nn.keypoint_head import locate
from engines.nn.mask_head import paste_all

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
