"""The losses of YOLO v1 and v2 by hand, and what a moved or missing truth does to them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engines.nn.one_stage.yolo_boxes import (
    v1_boxes,
    v1_decode,
    v1_encode,
    v2_boxes,
    v2_cells,
    v2_decode,
)
from engines.nn.one_stage.yolo_loss import V1_TERMS, V2_TERMS, v1_assign, v1_loss, v2_loss

SIDE = (64, 64)


def v1_of(cells: Tensor, truth: list[list[float]], labels: list[int], count: int = 1,
          **weights: float) -> dict[str, float]:  # fmt: skip
    made = v1_loss(cells, [torch.tensor(truth).reshape(-1, 4)], [torch.tensor(labels).long()],
                   count=count, side=SIDE, **weights)  # fmt: skip
    assert tuple(made) == V1_TERMS
    return {name: float(value) for name, value in made.items()}


def test_the_five_terms_by_hand() -> None:
    """S = 2, B = 1, C = 2; one truth of 16 x 32 px about (40, 16): column 1, row 0."""
    grid = torch.zeros(1, 7, 2, 2)
    # x, y in the cell, roots of w and h, confidence, two classes
    grid[0, :, 0, 1] = torch.tensor([0.5, 0.25, 0.5, 0.5, 0.8, 0.7, 0.1])
    grid[0, 4, 1, 0] = 0.3  # another cell is sure of something
    found = v1_of(grid, [[32.0, 0.0, 48.0, 32.0]], [1])
    # Truth in the cell: x = (40 - 32) / 32, y = 16 / 32; w = 16 / 64, h = 32 / 64 of the picture.
    assert found["centre"] == pytest.approx(5 * ((0.5 - 0.25) ** 2 + (0.25 - 0.5) ** 2), abs=1e-6)
    assert found["size"] == pytest.approx(
        5 * ((0.5 - math.sqrt(0.25)) ** 2 + (0.5 - math.sqrt(0.5)) ** 2), abs=1e-6
    )
    # Predicted: 16 x 16 about (48, 8): x 40 to 56, y 0 to 16; meets the truth in 8 x 16 of it.
    overlap = 8 * 16 / (16 * 16 + 16 * 32 - 8 * 16)
    assert found["object"] == pytest.approx((0.8 - overlap) ** 2, abs=1e-6)
    assert found["no object"] == pytest.approx(0.5 * 0.3**2, abs=1e-6)
    assert found["class"] == pytest.approx(0.7**2 + (0.1 - 1) ** 2, abs=1e-6)


def test_an_empty_picture_has_one_term() -> None:
    grid = torch.rand(2, 13, 4, 4, generator=torch.Generator().manual_seed(0))
    none = [torch.zeros(0, 4)] * 2
    terms = v1_loss(grid, none, [torch.zeros(0).long()] * 2, count=2, side=SIDE)
    confidence = torch.cat([grid[:, 4], grid[:, 9]])
    assert float(terms.pop("no object")) == pytest.approx(
        0.5 * float((confidence**2).sum()) / 2, rel=1e-6
    )
    assert {float(v) for v in terms.values()} == {0.0}


def test_a_truth_that_moves_within_its_cell_changes_the_coordinates_alone() -> None:
    grid = torch.rand(1, 13, 4, 4, generator=torch.Generator().manual_seed(1))
    grid[:, [2, 3, 7, 8]] = 2.0  # boxes about the whole picture: the IoU is that of the areas
    grid[:, [0, 1, 5, 6]] = 0.5
    here = v1_of(grid, [[20.0, 20.0, 26.0, 26.0]], [2], 2)
    there = v1_of(grid, [[23.0, 22.0, 29.0, 28.0]], [2], 2)
    assert here.pop("centre") != pytest.approx(there.pop("centre"), abs=1e-3)
    assert here == pytest.approx(there, abs=1e-6)


def test_the_responsible_box_has_the_highest_iou_and_no_gradient_flows_through_it() -> None:
    grid = torch.zeros(1, 13, 4, 4)
    near, far = [0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.2, 0.2]
    grid[0, :10, 1, 2] = torch.tensor([*far, 0.4, *near, 0.6])
    grid.requires_grad_(True)
    truth, label = torch.tensor([[32.0, 16.0, 48.0, 32.0]]), torch.tensor([0])
    found = v1_assign(grid, [truth], [label], 2, SIDE)
    assert (found.row.tolist(), found.column.tolist(), found.box.tolist()) == ([1], [2], [1])
    assert found.iou.tolist() == pytest.approx([1.0], abs=1e-6)
    loss = v1_loss(grid, [truth], [label], count=2, side=SIDE)
    (gradient,) = torch.autograd.grad(loss["object"], grid)
    assert gradient[0, 9, 1, 2] == pytest.approx(2 * (0.6 - 1.0), abs=1e-6)
    assert int((gradient != 0).sum()) == 1, "the IoU is a number, not a path to the coordinates"
    assert float(loss["no object"].detach()) == pytest.approx(0.5 * 0.4**2, abs=1e-6)


def test_of_two_truths_in_one_cell_the_last_counts() -> None:
    grid = torch.zeros(1, 13, 2, 2)
    truth = torch.tensor([[4.0, 4.0, 20.0, 20.0], [8.0, 8.0, 28.0, 28.0], [40.0, 40, 60, 60]])
    found = v1_assign(grid, [truth], [torch.tensor([0, 1, 2])], 2, SIDE)
    assert found.truth.tolist() == [1, 2]
    assert found.label.tolist() == [1, 2]


boxes = st.tuples(*[st.floats(0.01, 0.98)] * 2, *[st.floats(0.02, 0.9)] * 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(boxes, min_size=1, max_size=5), st.integers(1, 9), st.integers(1, 9))
def test_decoding_undoes_encoding(some: list[tuple[float, ...]], height: int, width: int) -> None:
    centre = torch.tensor(some, dtype=torch.float64)
    shares = torch.cat([centre[:, :2] - centre[:, 2:] / 2, centre[:, :2] + centre[:, 2:] / 2], 1)
    cells, coordinates = v1_encode(shares, height, width)
    assert ((coordinates[:, :2] >= 0) & (coordinates[:, :2] <= 1)).all()
    for box, (row, column), four in zip(shares, cells.tolist(), coordinates, strict=True):
        grid = torch.zeros(1, height, width, 1, 4, dtype=torch.float64)
        grid[0, row, column, 0] = four
        assert torch.allclose(v1_boxes(grid)[0, row, column, 0], box, atol=1e-5)


def test_v1_rows_are_where_they_should_be() -> None:
    grid = torch.zeros(13, 2, 3)
    grid[5:10, 1, 2] = torch.tensor([0.5, 0.5, 0.5, -0.5, 0.9])  # box 2 of row 1, column 2
    grid[10:, 1, 2] = torch.tensor([0.0, 0.2, 0.8])
    found = v1_decode(grid, 2, 40, 90)
    row = found.of_cell(1, 2).start + 1
    assert found.boxes[row].tolist() == pytest.approx([75 - 11.25, 30 - 5, 75 + 11.25, 35.0])
    assert found.references[row].tolist() == pytest.approx([60, 20, 90, 40])
    assert found.scores()[row].tolist() == pytest.approx([0.0, 0.18, 0.72])
    assert found.row(89.0, 39.0) == (1, 2)
    assert found.row(-5.0, 500.0) == (1, 0)
    assert float(found.maps(found.confidence)[1, 1, 2]) == pytest.approx(0.9)


def test_zeros_give_the_anchor_and_centres_stay_in_their_cell() -> None:
    anchors = torch.tensor([[1.0, 2.0], [3.0, 1.5]])
    found = v2_decode(torch.zeros(2 * 8, 4, 5), anchors, 32)
    assert torch.equal(found.boxes, found.references)
    first = found.boxes[found.of_cell(2, 3)]
    middle = torch.tensor([3.5, 2.5]) * 32
    assert torch.allclose(first[:, :2], middle - anchors * 16)
    assert torch.allclose(first[:, 2:], middle + anchors * 16)
    wild = 20 * torch.randn(1, 4, 5, 2, 4, generator=torch.Generator().manual_seed(0))
    made = v2_boxes(wild, anchors)[0]
    centre = (made[..., :2] + made[..., 2:]) / 2
    assert torch.isfinite(made).all()
    corner = torch.stack(torch.meshgrid(torch.arange(5), torch.arange(4), indexing="xy"), -1)
    inside = centre - corner[:, :, None]
    assert ((inside >= -1e-3) & (inside <= 1 + 1e-3)).all()


def test_the_region_loss_by_hand() -> None:
    """One cell column of two, two anchors, two classes; the second anchor has the truth's shape."""
    anchors = torch.tensor([[1.0, 1.0], [1.0, 2.0]])
    grid = torch.zeros(1, 14, 1, 2)
    grid[0, 9 + 2, 0, 0] = 0.7  # anchor 2 of the left cell: to
    grid[0, 9 + 3, 0, 0] = 1.0  # its first class
    truth = torch.tensor([[0.0, -4.0, 8.0, 16.0]])  # 1 x 2.5 cells of 8 px about (0.5, 0.75)
    terms = v2_loss(grid, [truth], [torch.tensor([1])], anchors=anchors, stride=8)
    assert tuple(terms) == V2_TERMS
    weight = 2 - 1.0 * 2.5 / 2  # of the picture of 2 x 1 cells
    sure = 1 / (1 + math.exp(-0.7))
    # The box is 1 x 2 about (0.5, 0.5), the truth reaches from -0.5 to 2: 2 of 2.5 in common.
    met = 2.0 / 2.5
    assert float(terms["centre"]) == pytest.approx(0.5 * weight * 0.25**2, abs=1e-6)
    assert float(terms["size"]) == pytest.approx(0.5 * weight * math.log(2.5 / 2) ** 2, abs=1e-6)
    assert float(terms["object"]) == pytest.approx(2.5 * (sure - met) ** 2, abs=1e-6)
    # Of the three others the first anchor of the left cell meets it in 1 of 2.5: it is told 0.
    assert float(terms["no object"]) == pytest.approx(0.5 * 3 * 0.5**2, abs=1e-6)
    assert float(terms["class"]) == pytest.approx(math.log(math.e + 1), abs=1e-6)
    assert float(terms["anchors"]) == 0.0
    moved = grid.clone()
    moved[0, 7 + 2, 0, 1] = 0.5  # tw of an empty box
    pulled = v2_loss(moved, [truth], [torch.tensor([1])], anchors=anchors, stride=8, pulled=True)
    assert float(pulled["anchors"]) == pytest.approx(0.5 * 0.01 * 0.5**2, abs=1e-7)


def test_a_box_that_fits_well_is_not_told_that_nothing_is_there() -> None:
    anchors = torch.tensor([[1.0, 1.0], [1.0, 1.1]])
    grid = torch.zeros(1, 14, 2, 2)
    truth = torch.tensor([[8.0, 8.0, 16.0, 16.0]])  # the lower right cell, shape of anchor 1
    terms = v2_loss(grid, [truth], [torch.tensor([0])], anchors=anchors, stride=8)
    # 8 boxes: one has the truth, its neighbour meets it by 1 / 1.1 > 0.6 and is left alone.
    assert float(terms["no object"]) == pytest.approx(0.5 * 6 * 0.25, abs=1e-6)
    assert v2_cells(grid, 2).shape == (1, 2, 2, 2, 7)


def test_no_truth_at_all_is_no_error() -> None:
    grid = torch.randn(2, 14, 3, 3, generator=torch.Generator().manual_seed(3), requires_grad=True)
    terms = v2_loss(grid, [torch.zeros(0, 4)] * 2, [torch.zeros(0).long()] * 2,
                    anchors=torch.ones(2, 2), stride=8)  # fmt: skip
    assert [float(terms[n].detach()) for n in ("centre", "size", "object", "class")] == [0.0] * 4
    assert torch.isfinite(torch.autograd.grad(sum(terms.values()), grid)[0]).all()  # type: ignore[arg-type]
