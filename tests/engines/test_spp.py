"""Spatial pyramid pooling against torch's adaptive pooling and the figures of the paper."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from engines.nn.two_stage.spp import SpatialPyramidPooling, SppDigits, bins, pyramid, spans
from explorer.api import EngineError


def maps(seed: int, channels: int = 3, height: int = 13, width: int = 13) -> torch.Tensor:
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("count", "window", "stride"), [(1, 13, 13), (2, 7, 6), (3, 5, 4), (6, 3, 2)]
)
def test_the_papers_windows_on_thirteen_cells(count: int, window: int, stride: int) -> None:
    """He et al., table of the pooling parameters; there both rules coincide."""
    found = spans(13, count, "paper")
    assert all(end - start == window for start, end in found)
    assert [start for start, _ in found] == [i * stride for i in range(count)]
    values = pyramid(maps(0), (count,), "paper").values.reshape(1, 3, count, count)
    assert torch.equal(values, F.adaptive_max_pool2d(maps(0), count))


def test_where_the_rules_differ() -> None:
    assert spans(10, 4, "paper") == [(0, 3), (2, 5), (4, 7), (6, 9)], "cell 9 is in no bin"
    assert spans(10, 4) == [(0, 3), (2, 5), (5, 8), (7, 10)]


@given(st.integers(0, 10**6), st.integers(6, 20), st.integers(6, 20))
def test_equal_to_adaptive_pooling_and_of_one_length(seed: int, height: int, width: int) -> None:
    levels = (1, 2, 3, 6)
    x = maps(seed, 2, height, width)
    layer = SpatialPyramidPooling(levels)
    made = pyramid(x, levels)
    wanted = torch.cat([F.adaptive_max_pool2d(x, n).flatten(1) for n in levels], 1)
    assert layer(x).shape == (1, 2 * 50)
    assert torch.equal(layer(x), wanted)
    assert torch.equal(made.vector(), wanted)
    assert torch.equal(made.values[..., 0], x.amax((2, 3))), "level 1 is the global maximum"
    for level in levels:
        at = [i for i, one in enumerate(made.levels) if one == level]
        assert torch.equal(made.values[..., at].amax(-1), x.amax((2, 3)))
    assert torch.allclose(pyramid(x + 3, levels).values, made.values + 3)
    assert torch.equal(x.flatten(2).gather(2, made.cells), made.values), "the cells that won"


@given(st.integers(0, 10**6), st.integers(8, 16), st.integers(0, 4), st.integers(0, 3))
def test_a_region_is_its_crop(seed: int, size: int, left: int, top: int) -> None:
    x = maps(seed, 2, 24, 30)
    region = (left, top, left + size, top + size + 1)
    crop = x[:, :, top : top + size + 1, left : left + size]
    whole, part = pyramid(x, (1, 2, 4), region=region), pyramid(crop, (1, 2, 4))
    assert torch.equal(whole.values, part.values)
    assert torch.equal(whole.cells % 30 - left, part.cells % size)


def test_permuting_inside_a_bin_changes_nothing() -> None:
    x = maps(1, 1, 8, 8)
    y = x.clone()
    y[..., 2:4, 4:6] = y[..., 2:4, 4:6].flip(2, 3)  # within one bin of levels 1, 2 and 4
    assert torch.equal(pyramid(x, (1, 2, 4)).values, pyramid(y, (1, 2, 4)).values)


def test_the_seeds_example_has_5376_numbers() -> None:
    assert SpatialPyramidPooling((1, 2, 4)).bins == 21
    assert SpatialPyramidPooling((1, 2, 4))(maps(0, 256)).shape == (1, 5376)
    assert SpatialPyramidPooling((6, 3, 2, 1), "paper")(maps(0, 256)).shape == (1, 12800)


def test_gradients_of_overlapping_bins_add_up() -> None:
    x = torch.zeros(1, 1, 5, 5, requires_grad=True)
    with torch.no_grad():
        x[0, 0, 2, 2] = 1.0  # in all four bins of level 2, and in that of level 1
    pyramid(x, (1, 2)).values.sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0, 2, 2] == 5


def test_a_map_with_fewer_cells_than_bins_is_told() -> None:
    with pytest.raises(EngineError, match="3 × 5 cells, fewer than the 4 bins a side"):
        SpatialPyramidPooling((1, 2, 4))(maps(0, 1, 5, 3))
    with pytest.raises(ValueError, match=r"3 × 5 cells is too small for 4 × 4 bins"):
        bins(5, 3, 4)


def test_the_digit_network_takes_every_size() -> None:
    network = SppDigits()
    network.start(torch.Generator().manual_seed(0))
    assert network.classifier.in_features == 672
    for height, width in ((8, 8), (16, 16), (28, 70), (96, 31)):
        assert network(torch.rand(2, 1, height, width)).shape == (2, 10)
    with pytest.raises(EngineError, match="choose a larger size"):
        network(torch.rand(1, 1, 6, 20))
