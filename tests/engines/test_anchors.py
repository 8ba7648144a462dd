"""Anchors and default boxes: torchvision's golden values, published numbers, counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engines.nn.detection.anchors import AnchorGrid, PriorGrid, caffe_anchors, cell_anchors
from engines.nn.detection.boxes import area, to_centres

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "ops-references.npz")
SIZES = [(32,), (64,), (128,), (256,), (512,)]
RATIOS = (0.5, 1.0, 2.0)
PYRAMID = AnchorGrid(SIZES, [RATIOS] * 5)
GRIDS_300 = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]
GRIDS_512 = [(s, s) for s in (64, 32, 16, 8, 4, 2, 1)]
COCO = PriorGrid.scaled(
    [(2,), (2, 3), (2, 3), (2, 3), (2,), (2,)],
    (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
    (8, 16, 32, 64, 100, 300),
)


def same(found: torch.Tensor, key: str) -> None:
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), GOLDEN[key])


def test_anchors_of_a_pyramid_equal_torchvision() -> None:
    grids = [(s, s) for s in (200, 100, 50, 25, 13)]
    found = PYRAMID((800, 800), grids)
    assert len(found) == GOLDEN["pyramid-count"] == 159_882
    same(found[::101], "pyramid")
    assert [level[..., 0].numel() for level in PYRAMID.levels((800, 800), grids)] == [
        120_000, 30_000, 7_500, 1_875, 507,
    ]  # fmt: skip
    same(torch.cat(PYRAMID.cells), "cells")
    same(PYRAMID((96, 160), [(24, 40), (12, 20), (6, 10), (3, 5), (2, 3)]), "odd")


def test_several_sizes_on_one_map_equal_torchvision() -> None:
    grid = AnchorGrid([(16, 48, 100)], [(0.3, 1.0, 1.7)])
    assert grid.per_cell == (9,)
    same(grid((70, 100), [(5, 7)]), "single")


def test_published_anchors() -> None:
    """Card S4. The list in py-faster-rcnn counts pixels from 1, its code and ours from 0."""
    assert cell_anchors([32], RATIOS).tolist() == [
        [-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23],
    ]  # fmt: skip
    published = [
        [-83, -39, 100, 56], [-175, -87, 192, 104], [-359, -183, 376, 200],
        [-55, -55, 72, 72], [-119, -119, 136, 136], [-247, -247, 264, 264],
        [-35, -79, 52, 96], [-79, -167, 96, 184], [-167, -343, 184, 360],
    ]  # fmt: skip
    assert (caffe_anchors() + 1).tolist() == published


def test_default_boxes_equal_torchvision() -> None:
    found = COCO((300, 300), GRIDS_300)
    assert len(found) == 8732
    np.testing.assert_allclose(found.numpy(), GOLDEN["ssd"], rtol=0, atol=1e-4)
    wanted = [
        [-6.5, -6.5, 14.5, 14.5], [-11.370, -11.370, 19.370, 19.370],
        [-10.849, -3.425, 18.849, 11.425], [-3.425, -10.849, 11.425, 18.849],
    ]  # fmt: skip
    torch.testing.assert_close(found[:4], torch.tensor(wanted), rtol=0, atol=1e-3)
    free = PriorGrid.scaled([(2,), (2, 3)], (0.2, 0.6, 1.3), clip=False)
    stepless = free((40, 60), [(4, 6), (3, 2)])
    np.testing.assert_allclose(stepless.numpy(), GOLDEN["stepless"], rtol=0, atol=1e-4)


def test_default_boxes_of_the_published_models() -> None:
    """8,732 and 24,564 boxes; the first are 30 and sqrt(30 60) px around (4, 4)."""
    found = PriorGrid.voc(300)((300, 300), GRIDS_300)
    assert len(found) == 8732
    assert PriorGrid.voc(300).per_cell == (4, 6, 6, 6, 4, 4)
    centres = to_centres(found)
    root = 30 * 2**0.5
    wanted = torch.tensor(
        [[4, 4, 30, 30], [4, 4, root, root], [4, 4, root, root / 2], [4, 4, root / 2, root]]
    )
    torch.testing.assert_close(centres[:4], wanted)
    middle = centres[-4:]  # one cell of 300 px: sizes 264 and sqrt(264 315), nothing clipped
    torch.testing.assert_close(middle[:, :2], torch.full((4, 2), 150.0))
    torch.testing.assert_close(middle[1, 2:], torch.full((2,), (264 * 315) ** 0.5))
    assert middle[2, 2] > 300
    assert len(PriorGrid.voc(512)((512, 512), GRIDS_512)) == 24_564


@given(st.floats(4, 300), st.floats(0.2, 5))
def test_a_ratio_is_height_over_width_and_keeps_the_area(size: float, ratio: float) -> None:
    (box,) = cell_anchors([size], [ratio])
    width, height = (box[2:] - box[:2]).tolist()
    assert width == pytest.approx(size / ratio**0.5, abs=1.01)
    assert height == pytest.approx(size * ratio**0.5, abs=1.01)
    assert (box[:2] == -box[2:]).all()


@given(st.integers(1, 9), st.integers(1, 9), st.floats(0.05, 0.9))
def test_default_boxes_are_centred_in_their_cells(rows: int, columns: int, scale: float) -> None:
    grid = PriorGrid.scaled([(2, 3)], (scale, 1.0), clip=False)
    (level,) = grid.levels((90, 120), [(rows, columns)])
    assert level.shape == (rows, columns, 6, 4)
    centres = to_centres(level)
    wanted = 120 * (torch.arange(columns) + 0.5) / columns
    torch.testing.assert_close(
        centres[..., 0], wanted[None, :, None].expand(rows, -1, 6), rtol=0, atol=1e-3
    )
    areas = area(level)[0, 0]
    torch.testing.assert_close(areas[2:], areas[:1].expand(4))  # all but the second square


def test_wrong_numbers_are_told() -> None:
    with pytest.raises(ValueError, match="2 scales for 2 maps"):
        PriorGrid.scaled([(2,), (2,)], (0.1, 0.2))
    with pytest.raises(ValueError, match="1 steps for 2 maps"):
        PriorGrid.scaled([(2,), (2,)], (0.1, 0.2, 0.3), (8,))
    with pytest.raises(ValueError, match="no VOC sizes for 299 px; there are 300, 512"):
        PriorGrid.voc(299)
