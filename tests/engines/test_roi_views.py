"""The two poolings as shown: the hand case of card S5, places in input pixels, bad boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engines.nn.two_stage.roi_views import ALIGN, POOL, compare
from explorer.api import Affine, Artefact, Boxes, Image, Matrix

RAMP = (8 * torch.arange(8.0)[:, None] + torch.arange(8.0))[None]
BOX = torch.tensor([1.3, 0.6, 6.1, 5.2])
FED = Affine(0.5, 2.0, 3.0, -1.0)  # how the picture was resized


def shown(
    box: torch.Tensor, *, size: int = 2, ratio: int = 2, aligned: bool = False, scale: float = 0.25
) -> dict[str, Artefact]:
    """The artefacts by item; the box is given in cells."""
    maps = torch.cat([RAMP, -RAMP])
    found = compare(
        "roi", maps, box / scale, scale, size, ratio, aligned=aligned, affine=FED
    )  # fmt: skip
    return {a.item: a for a in found}


@pytest.mark.parametrize(
    ("aligned", "wanted"),
    [(True, [[12.0, 14.4], [30.4, 32.8]]), (False, [[16.5, 18.9], [34.9, 37.3]])],
)
def test_values_by_hand(aligned: bool, wanted: list[list[float]]) -> None:
    found = shown(BOX, aligned=aligned)
    pool, align, apart = (found[n] for n in ("RoIPool", "RoIAlign", "difference"))
    assert isinstance(pool, Matrix)
    assert isinstance(align, Matrix)
    assert isinstance(apart, Matrix)
    np.testing.assert_allclose(pool.values, [[27, 30], [43, 46]])
    np.testing.assert_allclose(align.values, wanted, rtol=1e-6)
    np.testing.assert_allclose(apart.values, np.array(wanted) - [[27, 30], [43, 46]], rtol=1e-5)
    assert f"mean size {np.abs(apart.values).mean():.3g}" in apart.note
    assert pool.share == align.share  # one colour scale for both


def test_bins_are_in_input_pixels() -> None:
    bins = shown(BOX)["bins of RoIPool"]
    assert isinstance(bins, Boxes)
    assert bins.labels[:2] == ("box", "rounded to cells")
    cells = np.array(
        [[1.3, 0.6, 6.1, 5.2], [1, 1, 7, 6], [1, 1, 4, 4], [4, 1, 7, 4], [1, 3, 4, 6], [4, 3, 7, 6]]
    )
    wanted = [(*FED.to_input(4 * a, 4 * b), *FED.to_input(4 * c, 4 * d)) for a, b, c, d in cells]
    np.testing.assert_allclose(bins.boxes, wanted, rtol=1e-5)


def test_drawings_lie_where_the_map_lies() -> None:
    """A point of RoIAlign is blue at its place; the largest cell of a bin has an orange dot."""
    found = shown(BOX, size=1, ratio=1, aligned=True)
    for name, cell, colour in (
        ("RoIAlign reads", (3.7, 2.9), ALIGN),  # the middle of the box
        ("RoIPool reads", (6.5, 5.5), POOL),  # the last of its cells: the ramp rises
    ):
        image = found[name]
        assert isinstance(image, Image)
        assert image.affine is not None
        x, y = image.affine.to_grid(*FED.to_input(4 * cell[0], 4 * cell[1]))
        assert tuple(image.image[int(y), int(x)]) == colour


def test_points_lie_half_a_cell_off_without_aligned() -> None:
    image = shown(BOX, size=1, ratio=1)["RoIAlign reads"]
    assert isinstance(image, Image)
    assert image.affine is not None
    x, y = image.affine.to_grid(*FED.to_input(4 * 4.2, 4 * 3.4))
    assert tuple(image.image[int(y), int(x)]) == ALIGN
    assert "half a cell" in image.note
    assert "half a cell" not in shown(BOX, aligned=True)["RoIAlign reads"].note


@pytest.mark.parametrize(
    "corners",
    [
        (20, 20, 30, 30),
        (-9, -9, -5, -5),
        (3, 3, 3, 3),
        (6, 6, 2, 2),
        (-5, -5, 20, 20),
        (7.9, 7.9, 8, 8),
    ],
)
@pytest.mark.parametrize("ratio", [0, 2])
def test_odd_boxes_are_shown_too(corners: tuple[float, ...], ratio: int) -> None:
    """Beyond the map, without area, swapped, larger than the map."""
    found = shown(torch.tensor(corners, dtype=torch.float32), size=3, ratio=ratio, aligned=True)
    assert len(found) == 6
    pool, align = found["RoIPool"], found["RoIAlign"]
    assert isinstance(pool, Matrix)
    assert isinstance(align, Matrix)
    assert np.isfinite(pool.values).all()
    assert np.isfinite(align.values).all()
    beyond = corners[0] > 9 or corners[2] < -1
    if beyond:
        assert not pool.values.any()
        assert not align.values.any()
        assert "0 of 9 bins" in found["bins of RoIPool"].note


def test_a_map_without_numbers_is_shown() -> None:
    maps = torch.full((1, 4, 4), math.nan)
    found = list(compare("roi", maps, torch.tensor([1.0, 1, 3, 3]), 1.0, 2))
    assert len(found) == 6
