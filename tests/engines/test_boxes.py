"""Boxes against torchvision's golden values, and the invariants of their coding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from engines.nn.detection.boxes import (
    area,
    clip,
    decode,
    encode,
    from_centres,
    iou,
    large_enough,
    moved,
    to_centres,
)
from explorer.api import Affine

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "ops-coding.npz")
WEIGHTS = {"rpn": (1.0, 1.0, 1.0, 1.0), "head": (10.0, 10.0, 5.0, 5.0)}


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name])


def corners(rows: np.ndarray) -> Tensor:
    """Boxes with area from numbers in [0, 1]: sides of 1 to 300, somewhere in +-500."""
    low = 1000 * rows[:, :2] - 500
    return torch.from_numpy(np.concatenate([low, low + 1 + 299 * rows[:, 2:]], 1))


SHARES = st.integers(1, 20).flatmap(
    lambda n: hnp.arrays(np.float64, (2, n, 4), elements=st.floats(0, 1))
)


@pytest.mark.parametrize("name", WEIGHTS)
def test_coding_equals_torchvision(name: str) -> None:
    truth, reference = golden("truth"), golden("reference")
    coded = encode(truth, reference, WEIGHTS[name])
    torch.testing.assert_close(coded, golden(f"encoded-{name}"), rtol=1e-5, atol=1e-5)
    decoded = decode(golden("deltas"), reference, WEIGHTS[name])
    torch.testing.assert_close(decoded, golden(f"decoded-{name}"), rtol=1e-5, atol=1e-3)


def test_overlap_area_and_clipping_equal_torchvision() -> None:
    truth = golden("truth")
    torch.testing.assert_close(area(truth), golden("area"), rtol=0, atol=0)
    torch.testing.assert_close(iou(truth, golden("reference")), golden("iou"), rtol=0, atol=0)
    clipped = clip(truth, 80, 90)
    torch.testing.assert_close(clipped, golden("clipped"), rtol=0, atol=0)
    assert torch.nonzero(large_enough(clipped, 12.0))[:, 0].tolist() == golden("large").tolist()


def test_overlap_by_hand() -> None:
    a = torch.tensor([[0.0, 0, 10, 10]])
    b = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 7]])
    torch.testing.assert_close(iou(a, b), torch.tensor([[1.0, 50 / 150, 0.0, 0.1]]))


def test_boxes_without_area_overlap_nothing() -> None:
    bad = torch.tensor([[5.0, 5, 5, 5], [5, 5, 5, 9], [9, 9, 5, 5]])
    assert area(bad).tolist() == [0, 0, 0]
    whole = torch.cat([bad, torch.tensor([[0.0, 0, 10, 10]])])
    found = iou(whole, whole)
    assert found.isfinite().all()
    assert found[:3].sum() == 0
    assert found[3].tolist() == [0, 0, 0, 1]


def test_no_boxes() -> None:
    none, some = torch.zeros(0, 4), torch.ones(3, 4)
    assert iou(none, some).shape == (0, 3)
    assert iou(some, none).shape == (3, 0)
    for made in (encode(none, none), decode(none, none), clip(none, 5, 5), to_centres(none)):
        assert made.shape == (0, 4)
    assert area(none).shape == large_enough(none, 1).shape == (0,)


def test_a_wild_delta_stays_finite() -> None:
    box = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    found = decode(torch.tensor([[0.0, 0.0, 1e30, 50.0]]), box)
    torch.testing.assert_close(to_centres(found)[0, 2:], torch.tensor([1000.0, 1000.0]))


@given(SHARES)
def test_decoding_undoes_encoding(rows: np.ndarray) -> None:
    truth, reference = corners(rows[0]), corners(rows[1])
    for weights in WEIGHTS.values():
        back = decode(encode(truth, reference, weights), reference, weights, limit=100.0)
        torch.testing.assert_close(back, truth, rtol=0, atol=1e-4)
    assert encode(truth, truth).abs().max() == 0


@given(SHARES, st.floats(0.1, 50), st.floats(-300, 300))
def test_coding_knows_no_place_and_no_scale(rows: np.ndarray, scale: float, shift: float) -> None:
    truth, reference = corners(rows[0]), corners(rows[1])
    there = encode(truth * scale + shift, reference * scale + shift)
    torch.testing.assert_close(there, encode(truth, reference), rtol=1e-6, atol=1e-6)


@given(SHARES)
def test_overlap_is_symmetric_in_range_and_one_with_itself(rows: np.ndarray) -> None:
    a, b = corners(rows[0]), corners(rows[1])
    found = iou(a, b)
    torch.testing.assert_close(found, iou(b, a).T)
    assert found.min() >= 0
    assert found.max() <= 1
    torch.testing.assert_close(iou(a, a).diagonal(), torch.ones(len(a), dtype=a.dtype))


@given(SHARES)
def test_centres_there_and_back(rows: np.ndarray) -> None:
    boxes = corners(rows[0])
    torch.testing.assert_close(from_centres(to_centres(boxes)), boxes)


def test_boxes_move_as_points_do() -> None:
    affine = Affine(2.0, 0.5, -3.0, 7.0)
    box = torch.tensor([[1.0, 2.0, 4.0, 8.0]])
    wanted = [*affine.to_input(1, 2), *affine.to_input(4, 8)]
    torch.testing.assert_close(moved(box, affine)[0], torch.tensor(wanted))
