"""Matching, sampling and losses of the R-CNN line against torchvision's and against hand cases."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engines.nn.detection.boxes import iou
from engines.nn.detection.matching import IGNORED, NEGATIVE, Matcher, Sampler
from engines.nn.two_stage.rcnn_losses import (
    ANCHOR_MATCH,
    Truth,
    box_losses,
    draw_regions,
    keypoint_loss,
    keypoint_targets,
    mask_loss,
    mask_targets,
    rpn_losses,
)
from engines.nn.two_stage.roi_heads import BoxOutput
from engines.nn.two_stage.rpn import RpnOutput

FILE = Path(__file__).parents[1] / "golden" / "rcnn_losses.npz"
CELLS = 14  # of the maps of masks and keypoints in it
EVERYTHING = Sampler(10_000, 1.0)


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    stored = np.load(FILE)
    return {k: torch.from_numpy(stored[k]) for k in stored.files if stored[k].dtype.kind != "U"}


def truths(golden: dict[str, Tensor]) -> list[Truth]:
    return [
        Truth(*(golden[f"{name}{i}"] for name in ("truth", "labels", "masks", "points")))
        for i in range(2)
    ]


def positive_regions(golden: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Boxes and the truths they answer for, of both pictures."""
    found = []
    for i, truth in enumerate(truths(golden)):
        boxes = golden[f"regions{i}"][golden[f"region_labels{i}"] > 0]
        found.append((boxes, iou(truth.boxes, boxes).argmax(0)))
    return found


def test_matches_by_hand() -> None:
    overlap = torch.tensor([[0.9, 0.5, 0.2, 0.1, 0.0], [0.1, 0.6, 0.25, 0.28, 0.0]])
    assert Matcher(0.7, 0.3)(overlap).tolist() == [0, IGNORED, NEGATIVE, NEGATIVE, NEGATIVE]
    # Reference 1 is the best of truth 1, though below 0.7.
    best = Matcher(0.7, 0.3, best=True)(overlap)
    assert best.tolist() == [0, 1, NEGATIVE, NEGATIVE, NEGATIVE]
    assert Matcher(0.7, 0.3)(torch.tensor([[0.7, 0.3]])).tolist() == [0, IGNORED]


def test_ties_and_truths_that_nothing_touches() -> None:
    tied = torch.tensor([[0.4, 0.4, 0.1], [0.0, 0.0, 0.0]])
    assert Matcher(0.7, 0.3, best=True)(tied).tolist() == [0, 0, NEGATIVE]
    assert Matcher(0.7, 0.3, best=True)(torch.zeros(0, 3)).tolist() == [NEGATIVE] * 3
    assert Matcher(0.5, 0.5)(torch.zeros(2, 0)).tolist() == []


def test_anchors_are_matched_as_in_torchvision(golden: dict[str, Tensor]) -> None:
    for i in range(2):
        matches = ANCHOR_MATCH(iou(golden[f"truth{i}"], golden["anchors"]))
        ours = torch.where(matches >= 0, 1.0, torch.where(matches == NEGATIVE, 0.0, -1.0))
        assert torch.equal(ours, golden[f"anchor_labels{i}"])


def test_the_sample_is_balanced_and_seeded() -> None:
    matches = torch.tensor([0] * 40 + [IGNORED] * 10 + [NEGATIVE] * 200)

    def drawn(seed: int, count: int, share: float) -> tuple[Tensor, Tensor]:
        return Sampler(count, share)(matches, torch.Generator().manual_seed(seed))

    positives, negatives = drawn(1, 64, 0.25)
    assert (len(positives), len(negatives)) == (16, 48)
    assert len(set(positives.tolist()) | set(negatives.tolist())) == 64
    assert bool((matches[positives] == 0).all())
    assert bool((matches[negatives] == NEGATIVE).all())
    again = drawn(1, 64, 0.25)
    assert torch.equal(again[0], positives)
    assert torch.equal(again[1], negatives)
    assert not torch.equal(drawn(2, 64, 0.25)[0], positives)
    positives, negatives = drawn(1, 256, 0.5)  # 40 positives: negatives fill the rest
    assert (len(positives), len(negatives)) == (40, 200)


def test_every_reference_is_drawn_alike_often() -> None:
    matches = torch.full((10,), NEGATIVE)
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(10)
    for _ in range(4000):
        counts[Sampler(3, 0.5)(matches, generator)[1]] += 1
    deviation = math.sqrt(4000 * 0.3 * 0.7)
    assert float((counts - 1200).abs().max()) < 4 * deviation


def test_rpn_losses_are_torchvision_s(golden: dict[str, Tensor]) -> None:
    shifts, logits = golden["shifts"], golden["objectness"]
    count = len(golden["anchors"])
    output = RpnOutput(
        (logits.view(2, 1, count, 1),),
        (shifts.permute(0, 2, 1).reshape(2, 4, count, 1),),
        golden["anchors"],
        (count,),
    )
    objectness, far = rpn_losses(output, truths(golden), EVERYTHING)
    assert float(objectness) == pytest.approx(float(golden["objectness_loss"]), abs=1e-6)
    assert float(far) == pytest.approx(float(golden["anchor_loss"]), abs=1e-6)


def test_regions_and_box_losses_are_torchvision_s(golden: dict[str, Tensor]) -> None:
    regions = [
        draw_regions(golden[f"proposals{i}"], truth, EVERYTHING)
        for i, truth in enumerate(truths(golden))
    ]
    for i, region in enumerate(regions):
        assert torch.equal(region.boxes, golden[f"regions{i}"])
        assert torch.equal(region.labels, golden[f"region_labels{i}"])
        assert torch.allclose(region.shifts, golden[f"region_shifts{i}"], atol=1e-4)
    said = golden["class_shifts"].unflatten(1, (-1, 4))
    boxes = torch.cat([r.boxes for r in regions])
    output = BoxOutput(golden["class_logits"], said, torch.zeros(0), boxes, (len(boxes),))
    classes, far = box_losses(
        output, torch.cat([r.labels for r in regions]), torch.cat([r.shifts for r in regions])
    )
    assert float(classes) == pytest.approx(float(golden["class_loss"]), abs=1e-6)
    assert float(far) == pytest.approx(float(golden["box_loss"]), abs=1e-5)


def test_mask_targets_and_loss_are_torchvision_s(golden: dict[str, Tensor]) -> None:
    targets, labels = [], []
    for (boxes, which), truth in zip(positive_regions(golden), truths(golden), strict=True):
        assert truth.masks is not None
        targets.append(mask_targets(truth.masks, boxes, which, CELLS))
        labels.append(truth.labels[which])
    assert torch.allclose(targets[0], golden["mask_targets0"], atol=1e-5)
    loss = mask_loss(golden["mask_logits"], torch.cat(labels), torch.cat(targets))
    assert float(loss) == pytest.approx(float(golden["mask_loss"]), abs=1e-6)


def test_only_the_map_of_the_true_class_learns() -> None:
    logits = torch.zeros(2, 3, 2, 2, requires_grad=True)
    targets = torch.tensor([[[1.0, 0.0], [0.5, 1.0]]] * 2)
    loss = mask_loss(logits, torch.tensor([1, 2]), targets)
    assert float(loss.detach()) == pytest.approx(math.log(2))
    loss.backward()
    assert logits.grad is not None
    touched = logits.grad.abs().sum((2, 3)) > 0
    assert touched.tolist() == [[False, True, False], [False, False, True]]


def test_a_box_around_a_whole_mask_has_a_target_of_ones() -> None:
    masks = torch.zeros(1, 32, 32, dtype=torch.bool)
    masks[0, 8:24, 4:28] = True
    # RoIAlign without its half pixel reads half a pixel to the right and below.
    box = torch.tensor([[4.0, 8.0, 27.0, 23.0]])
    target = mask_targets(masks, box, torch.tensor([0]), 7)
    assert torch.allclose(target, torch.ones(1, 7, 7), atol=1e-6)


def test_keypoint_loss_is_torchvision_s(golden: dict[str, Tensor]) -> None:
    boxes, points = [], []
    for (inside, which), truth in zip(positive_regions(golden), truths(golden), strict=True):
        assert truth.points is not None
        boxes.append(inside)
        points.append(truth.points[which])
    targets, valid = keypoint_targets(torch.cat(points), torch.cat(boxes), CELLS)
    loss = keypoint_loss(golden["point_logits"], targets, valid)
    assert float(loss) == pytest.approx(float(golden["keypoint_loss"]), abs=1e-5)


def test_keypoint_cells_by_hand() -> None:
    box = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    points = torch.tensor(
        [
            [
                [10.0, 20.0, 1.0],  # the first cell
                [30.0, 60.0, 1.0],  # on the far corner: the last one
                [20.0, 20.0, 1.0],  # half way across, first row: x does not become y
                [20.0, 20.0, 0.0],  # hidden
                [31.0, 40.0, 1.0],  # outside
            ]
        ]
    )
    cells, valid = keypoint_targets(points, box, 4)
    assert cells.tolist() == [[0, 15, 2, 0, 0]]
    assert valid.tolist() == [[True, True, True, False, False]]


def test_a_right_peak_costs_nothing_and_a_flat_map_the_logarithm_of_its_places() -> None:
    targets, valid = torch.tensor([[5, 3]]), torch.tensor([[True, False]])
    flat = torch.zeros(1, 2, 4, 4)
    assert float(keypoint_loss(flat, targets, valid)) == pytest.approx(math.log(16))
    peak = flat.clone()
    peak[0, 0, 1, 1] = 50.0  # place 5 = row 1, column 1
    peak[0, 1, 2, 2] = 50.0  # of a hidden point: of no consequence
    assert float(keypoint_loss(peak, targets, valid)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("heads", [0, 1])
def test_a_picture_without_objects_is_all_background(heads: int) -> None:
    empty = Truth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    region = draw_regions(torch.tensor([[1.0, 1.0, 9.0, 9.0]] * 5), empty, Sampler(4, 0.25))
    assert region.labels.tolist() == [0, 0, 0, 0]
    output = BoxOutput(torch.zeros(4, 3), torch.zeros(4, 3, 4), torch.zeros(0), region.boxes, (4,))
    classes, far = box_losses(output, region.labels, region.shifts)
    assert float(classes) == pytest.approx(float(F.cross_entropy(output.logits, region.labels)))
    assert float(far) == 0.0
    nothing: Any = torch.zeros(0, 3, 4, 4, requires_grad=True)
    rows = torch.zeros(0, dtype=torch.int64)
    loss = (
        mask_loss(nothing, rows, torch.zeros(0, 4, 4))
        if heads
        else keypoint_loss(
            nothing, torch.zeros(0, 3, dtype=torch.int64), torch.zeros(0, 3, dtype=torch.bool)
        )
    )
    assert float(loss.detach()) == 0.0
