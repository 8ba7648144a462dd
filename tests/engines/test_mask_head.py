"""Masks and keypoints on their way into the picture: hand cases and closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engines.nn.two_stage import keypoint_views, mask_views
from engines.nn.two_stage.keypoint_head import locate
from engines.nn.two_stage.mask_head import MaskOutput, paste
from engines.nn.two_stage.rcnn import small
from engines.nn.two_stage.roi import roi_align
from explorer.api import Affine, Artefact, Masks, Scores

HEIGHT, WIDTH = 120, 140


@pytest.mark.parametrize("box", [(20, 30, 76, 86), (20, 30, 48, 58), (20, 30, 120, 86)])
def test_ones_cover_the_box_and_at_most_a_pixel_more(box: tuple[int, int, int, int]) -> None:
    # As torchvision 0.14.1 does: the enlarged box is counted with its last pixel, so that ones in
    # (20, 30, 76, 86) reach to 77 and 87. The golden masks of test_rcnn hold it to that.
    x1, y1, x2, y2 = box
    covered = paste(torch.ones(28, 28), torch.tensor(box, dtype=torch.float), 120, 140) > 0.5
    assert bool(covered[y1:y2, x1:x2].all())
    covered[y1 : y2 + 1, x1 : x2 + 1] = False
    assert not bool(covered.any())


def test_a_pasted_disc_has_the_area_of_a_disc() -> None:
    at = (torch.arange(28) + 0.5) / 28 - 0.5
    disc = ((at[:, None] ** 2 + at[None] ** 2).sqrt() < 0.4).float()
    pasted = paste(disc, torch.tensor([10.0, 10.0, 110.0, 110.0]), HEIGHT, WIDTH)
    assert float((pasted > 0.5).sum()) == pytest.approx(math.pi * 40.0**2, rel=0.02)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-30, 150), min_size=4, max_size=4), st.integers(0, 999))
def test_masks_lie_in_their_boxes(corners: list[float], seed: int) -> None:
    x1, x2 = sorted(corners[:2])
    y1, y2 = sorted(corners[2:])
    maps = torch.rand(14, 14, generator=torch.Generator().manual_seed(seed))
    pasted = paste(maps, torch.tensor([x1, y1, x2, y2]), HEIGHT, WIDTH)
    assert pasted.shape == (HEIGHT, WIDTH)
    assert 0 <= float(pasted.min()) <= float(pasted.max()) <= 1
    rows, columns = torch.where(pasted > 0.5)
    if len(rows):  # one pixel more on each side than the box touches, as it is cut to whole ones
        assert y1 - 2 <= int(rows.min()) <= int(rows.max()) <= y2 + 1
        assert x1 - 2 <= int(columns.min()) <= int(columns.max()) <= x2 + 1


@pytest.mark.parametrize(("u", "v"), [(0, 0), (13, 5), (27, 27)])
def test_a_single_hot_place_is_found_in_its_middle(u: int, v: int) -> None:
    logits = torch.zeros(1, 1, 28, 28)
    logits[0, 0, v, u] = 1.0
    points, peaks = locate(logits, torch.tensor([[40.0, 10.0, 68.0, 38.0]]))
    assert points[0, 0].tolist() == [40.0 + u + 0.5, 10.0 + v + 0.5]
    assert float(peaks) == pytest.approx(1.0)


def test_x_and_y_of_a_point_are_not_swapped_in_a_wide_box() -> None:
    logits = torch.zeros(1, 1, 14, 14)
    logits[0, 0, 3, 10] = 1.0  # row 3, column 10
    points, _ = locate(logits, torch.tensor([[0.0, 0.0, 140.0, 14.0]]))
    assert points[0, 0].tolist() == pytest.approx([105.0, 3.5], abs=5.0)
    assert float(points[0, 0, 1]) == pytest.approx(3.5, abs=0.5)


def shown(logits: Tensor, used: int) -> dict[str, Artefact]:
    made = mask_views.instance(
        logits, used, used, ("none", "disc", "square"), torch.tensor([4.0, 4.0, 30.0, 26.0]), 0.5,
        Affine(), (40, 40),
    )  # fmt: skip
    return {artefact.name: artefact for artefact in made}


def test_another_class_changes_nothing_as_classes_do_not_compete() -> None:
    logits = torch.randn(3, 14, 14, generator=torch.Generator().manual_seed(4))
    louder = logits.clone()
    louder[2] += 5
    before, after = shown(logits, 1), shown(louder, 1)
    for name in ("pasted/probability", "pasted/after the threshold"):
        for field, array in before[name].arrays().items():
            assert np.array_equal(array, after[name].arrays()[field]), name
    shares = [made["classes/cells above the threshold"] for made in (before, after)]
    assert isinstance(shares[0], Scores)
    assert isinstance(shares[1], Scores)
    assert shares[0].scores[1] == shares[1].scores[1]
    assert shares[0].scores[2] < shares[1].scores[2]
    own = MaskOutput(torch.zeros(0), logits[None]).chosen(torch.tensor([1]))
    assert torch.equal(own, MaskOutput(torch.zeros(0), louder[None]).chosen(torch.tensor([1])))
    assert torch.allclose(own[0], 1 / (1 + (-logits[1]).exp()))
    # The wrong activation would let them compete.
    assert not torch.allclose(logits.softmax(0)[1], louder.softmax(0)[1])


def test_the_threshold_comes_after_the_resizing() -> None:
    logits = torch.full((2, 4, 4), -3.0)
    logits[1, :, 2:] = 3.0  # probabilities 0.05 and 0.95, cells of ten pixels
    edges = [left_edge(logits, threshold) for threshold in (0.1, 0.3, 0.5, 0.7, 0.9)]
    # Cut before it is resized, the map would have the same edge for all of them.
    assert all(a < b for a, b in itertools.pairwise(edges)), edges
    assert edges[2] == pytest.approx(20, abs=1)


def left_edge(logits: Tensor, threshold: float) -> int:
    """The first column of the pasted mask."""
    made = mask_views.instance(
        logits, 1, 1, ("none", "disc"), torch.tensor([0.0, 0.0, 40.0, 40.0]), threshold, Affine(),
        (40, 40),
    )  # fmt: skip
    (mask,) = (artefact for artefact in made if isinstance(artefact, Masks))
    return int(np.flatnonzero(mask.masks[0, 20])[0])


def test_the_heat_of_points_stands_in_its_box_and_adds_up() -> None:
    logits = torch.randn(4, 14, 14, generator=torch.Generator().manual_seed(2))
    likely = keypoint_views.chances(logits)
    assert torch.allclose(likely.sum((1, 2)), torch.ones(4))
    assert torch.allclose(likely[0].flatten(), logits[0].flatten().softmax(0))
    heat = keypoint_views.spread(likely, torch.tensor([5.0, 9.0, 19.0, 23.0]), (40, 30))
    assert heat.shape == (40, 30)
    assert float(heat.sum()) == pytest.approx(4.0, abs=1e-5)  # one place a pixel here
    assert torch.allclose(heat[9:23, 5:19], likely.sum(0))
    small = keypoint_views.spread(likely, torch.tensor([5.5, 9.2, 8.9, 11.0]), (40, 30))
    assert float(small.max()) == pytest.approx(float(likely.sum(0).max()), abs=1e-6)
    assert small.count_nonzero() <= 4 * 3, "inside the box"


def test_points_below_the_threshold_are_drawn_hollow() -> None:
    made = keypoint_views.skeletons(
        torch.zeros(1, 3, 2), torch.tensor([[2.0, 1.0, -4.0]]), ("a", "b", "c"), ((0, 1),), 1.0, [7]
    )
    assert list(made.ids) == [7]
    scores = made.points[0, :, 2]
    assert scores[1] == pytest.approx(0.5)
    assert scores[0] > scores[1] > scores[2] == 0.0


def test_mirrored_maps_and_boxes_give_mirrored_regions() -> None:
    maps = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(3))
    rois = torch.tensor([[0.0, 3.2, 4.1, 11.7, 12.4]])
    flipped = torch.tensor([[0.0, 16 - 11.7, 4.1, 16 - 3.2, 12.4]])
    there = roi_align(maps, rois, 7, 1.0, aligned=True)
    back = roi_align(maps.flip(3), flipped, 7, 1.0, aligned=True).flip(3)
    assert torch.allclose(there, back, atol=1e-5)


def test_the_mask_branch_changes_no_box() -> None:
    torch.manual_seed(0)
    network = small("mask").eval()
    x = torch.rand(1, 3, 64, 64)
    before = network(x, (64, 64)).found
    with torch.no_grad():
        for p in network.roi_heads.mask_predictor.parameters():
            p.mul_(-3)
    after = network(x, (64, 64)).found
    assert torch.equal(before.boxes, after.boxes)
    assert torch.equal(before.scores, after.scores)


def test_poolings_differ_and_the_weights_fit_both() -> None:
    torch.manual_seed(0)
    align = small("mask").eval()
    pool = small("mask", pooling="pool").eval()
    pool.load_state_dict(align.state_dict())
    x = torch.rand(1, 3, 64, 64)
    regions = [torch.tensor([[10.3, 12.1, 30.2, 33.3]])]
    with torch.no_grad():
        levels = align.backbone(x).heads
        one = align.roi_heads.masks(levels, regions, align.strides).pooled
        other = pool.roi_heads.masks(levels, regions, pool.strides).pooled
    assert one.shape == other.shape
    assert float((one - other).abs().max()) > 1e-3
