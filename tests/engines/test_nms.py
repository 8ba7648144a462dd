"""Suppression: torchvision's and OpenCV's kept indices, a plain loop's causes, its invariants."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engines.nn.detection.boxes import iou
from engines.nn.detection.nms import batched_nms, nms, suppress

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "ops-nms.npz")
KEYS = [key for key in GOLDEN.files if "-nms-" in key or "-batched-" in key]


def random_boxes(count: int, seed: int, side: float = 100.0) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores that differ, and labels of three classes."""
    draw = torch.Generator().manual_seed(seed)
    low = side * torch.rand(count, 2, generator=draw)
    boxes = torch.cat([low, low + 1 + 30 * torch.rand(count, 2, generator=draw)], 1)
    scores = torch.randperm(count, generator=draw) / max(1, count)
    return boxes, scores, torch.randint(0, 3, (count,), generator=draw)


CASES = st.builds(
    random_boxes, st.integers(0, 300), st.integers(0, 10_000), st.sampled_from([5.0, 60.0, 300.0])
)


@pytest.mark.parametrize("key", KEYS)
def test_kept_as_torchvision_keeps(key: str) -> None:
    name, kind, threshold = key.rsplit("-", 2)
    given_ = [torch.from_numpy(GOLDEN[f"{name}-{what}"]) for what in ("boxes", "scores", "labels")]
    if kind == "nms":
        found = nms(*given_[:2], float(threshold))
    else:
        found = batched_nms(*given_, float(threshold))
    assert found.tolist() == GOLDEN[key].tolist()


def test_an_overlap_of_exactly_the_threshold_stays() -> None:
    """The third of two thirds: IoU 0.5 and 0.7 exactly, by torchvision's strict rule."""
    boxes = torch.tensor([[0.0, 0, 30, 10], [0, 0, 15, 10], [0, 0, 21, 10]])
    scores = torch.tensor([3.0, 2.0, 1.0])
    assert nms(boxes[:2], scores[:2], 0.5).tolist() == [0, 1]
    assert nms(boxes[:2], scores[:2], 0.4999).tolist() == [0]
    # 0.7 in single precision is below 0.7: compared as written, it stays
    assert nms(boxes[::2], scores[::2], 0.7).tolist() == [0, 1]


@given(CASES, st.sampled_from([0.1, 0.3, 0.5, 0.7]))
@settings(max_examples=40)
def test_kept_as_opencv_keeps(case: tuple[Tensor, Tensor, Tensor], threshold: float) -> None:
    boxes, scores, _ = case
    if not len(boxes):
        return
    corners = boxes.double().numpy()
    sized = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    wanted = cv2.dnn.NMSBoxes(sized.tolist(), (scores + 1).tolist(), 0.0, threshold)
    assert nms(boxes, scores, threshold).tolist() == list(wanted)


@given(CASES, st.sampled_from([0.0, 0.3, 0.5, 0.9]))
@settings(max_examples=60)
def test_invariants(case: tuple[Tensor, Tensor, Tensor], threshold: float) -> None:
    boxes, scores, _ = case
    kept = nms(boxes, scores, threshold)
    assert (scores[kept].diff() <= 0).all()
    assert len(set(kept.tolist())) == len(kept)
    shares = iou(boxes[kept], boxes[kept]).triu(1)
    assert not (shares > threshold).any()
    assert nms(boxes[kept], scores[kept], threshold).tolist() == list(range(len(kept)))
    shuffled = torch.randperm(len(boxes), generator=torch.Generator().manual_seed(1))
    again = nms(boxes[shuffled], scores[shuffled], threshold)
    assert shuffled[again].tolist() == kept.tolist()
    assert len(nms(boxes, scores, 1.0)) == len(boxes)


@given(CASES, st.sampled_from([0.2, 0.5]), st.booleans())
@settings(max_examples=40)
def test_causes_are_those_of_a_plain_loop(
    case: tuple[Tensor, Tensor, Tensor], threshold: float, by_class: bool
) -> None:
    boxes, scores, labels = case
    found = suppress(boxes, scores, labels if by_class else None, threshold)
    shares = iou(boxes, boxes)
    stayed: list[int] = []
    for i in found.order.tolist():
        rivals = [j for j in stayed if not by_class or labels[i] == labels[j]]
        causes = [j for j in rivals if shares[i, j] > threshold]
        assert found.cause[i] == (causes[0] if causes else -1)
        assert found.overlap[i] == (shares[i, causes[0]] if causes else 0)
        stayed += [] if causes else [i]
    assert found.kept.tolist() == stayed
    assert found.keep.sum() == len(stayed)


def test_classes_do_not_compete() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(4, 1)
    scores = torch.tensor([0.1, 0.9, 0.5, 0.2])
    labels = torch.tensor([7, 7, -1, 2**40])
    assert batched_nms(boxes, scores, labels, 0.5).tolist() == [1, 2, 3]
    assert nms(boxes, scores, 0.5).tolist() == [1]


def test_ten_thousand_boxes_on_one_spot() -> None:
    boxes = torch.tensor([[3.0, 4.0, 9.0, 20.0]]).repeat(10_000, 1)
    found = suppress(boxes, torch.arange(10_000.0), None, 0.5)
    assert found.kept.tolist() == [9999]
    assert found.cause[:9999].eq(9999).all()
    assert found.overlap[:9999].eq(1).all()


def test_a_chain_where_every_second_box_goes() -> None:
    """The longest dependency there is: box k is removed by k - 1 only if that stayed."""
    at = 4.0 * torch.arange(5000.0)
    boxes = torch.stack([at, torch.zeros(5000), at + 10, torch.full((5000,), 10.0)], 1)
    kept = nms(boxes, -at, 0.4)  # neighbours: 6 / 14; the next but one: 2 / 18
    assert kept.tolist() == list(range(0, 5000, 2))


def test_boxes_without_area_or_number_remove_nothing() -> None:
    nan = float("nan")
    boxes = torch.tensor(
        [[5.0, 5, 5, 5], [5, 5, 5, 5], [9, 9, 2, 2], [nan, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 9]]
    )
    assert nms(boxes, -torch.arange(6.0), 0.5).tolist() == [0, 1, 2, 3, 4]


def test_no_boxes_and_unequal_numbers() -> None:
    none = torch.zeros(0)
    assert nms(torch.zeros(0, 4), none, 0.5).tolist() == []
    found = suppress(torch.zeros(0, 4), none, none.long(), 0.5)
    assert found.order.dtype == found.cause.dtype == torch.int64
    assert found.keep.dtype == torch.bool
    with pytest.raises(ValueError, match="one score and label a box"):
        suppress(torch.zeros(3, 4), torch.zeros(3), torch.zeros(2), 0.5)
    with pytest.raises(ValueError, match="one score and label a box"):
        nms(torch.zeros(3, 4), torch.zeros(1), 0.5)
