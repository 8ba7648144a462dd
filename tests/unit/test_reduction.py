"""The mosaic shows the right value in the right place, whatever the shape and the data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.core.reduction import as_maps, planar, reduce, statistics
from explorer.views import GAP, NOT_FINITE, TOP, View, grid_columns


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.floats(0.3, 3.0))
def test_every_value_lies_in_its_tile(count: int, height: int, width: int, aspect: float) -> None:
    maps = torch.rand(count, height, width, generator=torch.Generator().manual_seed(count))
    mosaic = reduce(maps, View("x", aspect=aspect, range="frozen", limits=(0.0, 1.0)))
    h, w = mosaic.tile[0] + mosaic.gap, mosaic.tile[1] + mosaic.gap
    wanted = (maps * TOP + 0.5).clamp(0, TOP).to(torch.uint8)
    for unit in range(count):
        y, x = divmod(unit, mosaic.columns)
        tile = mosaic.index[y * h : y * h + height, x * w : x * w + width]
        assert torch.equal(tile, wanted[unit])
    shown = count * height * width
    assert int((mosaic.index != GAP).sum()) == shown


def test_relu_data_start_at_zero_and_signed_data_are_symmetric() -> None:
    data = torch.randn(8, 16, 16, generator=torch.Generator().manual_seed(0))
    positive = reduce(data.relu(), View("x")).limits.tolist()
    signed = reduce(data, View("x")).limits.tolist()
    assert positive[0] == 0.0
    assert positive[1] == pytest.approx(float(np.quantile(data.relu().numpy(), 0.99)), rel=0.1)
    assert signed[0] == -signed[1]


@pytest.mark.parametrize("shape", [(1, 70, 9, 8), (3, 5, 4, 6), (1, 1, 4, 4), (1, 6, 1, 1)])
def test_maps_of_a_network_that_runs_channels_last_are_the_same_maps(
    shape: tuple[int, ...],
) -> None:
    plain = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    last = plain.to(memory_format=torch.channels_last)
    for batch, maps in ((last, plain), (last[-1], plain[-1])):
        made = planar(batch)
        assert made.is_contiguous()
        assert torch.equal(made, maps)
    one, other = reduce(last[0], View("x")), reduce(plain[0], View("x"))
    assert torch.equal(one.index, other.index)
    assert torch.equal(one.limits, other.limits)


def test_statistics_against_numpy() -> None:
    data = torch.randn(5, 7, 11, generator=torch.Generator().manual_seed(3)).relu()
    data[2] = 4.0
    numbers = statistics(data)
    flat = data.numpy().reshape(5, -1)
    np.testing.assert_allclose(numbers.unit_high, flat.max(1))
    np.testing.assert_allclose(numbers.unit_mean, flat.mean(1), rtol=1e-6)
    assert numbers.high == flat.max()
    assert numbers.dead == 1
    assert numbers.zeros == pytest.approx((flat == 0).mean(), abs=0.01)


def test_not_finite_values_are_marked_and_counted() -> None:
    data = torch.rand(3, 4, 4)
    data[1, 2, 3], data[0, 0, 0], data[2, 1, 1] = float("nan"), float("inf"), -float("inf")
    mosaic = reduce(data, View("x"))
    assert mosaic.statistics.not_finite == 3
    assert int((mosaic.index == NOT_FINITE).sum()) == 3
    assert np.isfinite([mosaic.statistics.low, mosaic.statistics.high]).all()


def test_constant_and_all_nan_maps_give_a_picture() -> None:
    for value in (0.0, 3.0, -2.0, float("nan")):
        mosaic = reduce(torch.full((2, 5, 5), value), View("x", range="unit"))
        assert mosaic.index.shape[0] >= 5


def test_own_scale_stretches_every_unit_to_its_own_maximum() -> None:
    data = torch.stack([torch.linspace(0, m, 16).view(4, 4) for m in (1.0, 10.0, 100.0)])
    mosaic = reduce(data, View("x", range="unit", columns=3))
    for unit in range(3):
        assert int(mosaic.index[:4, unit * 5 : unit * 5 + 4].max()) == TOP


def test_orders() -> None:
    data = torch.zeros(4, 5, 5)
    for unit, value in enumerate((3.0, 1.0, 4.0, 2.0)):
        data[unit] = value
    assert reduce(data, View("x", order="max")).order.tolist() == [2, 0, 3, 1]
    change = torch.tensor([3.0, 0.0, 4.0, 9.0])
    assert reduce(data, View("x", order="change"), change).order.tolist()[0] == 3
    near = torch.randn(4, 5, 5)
    near[3] = near[1] * 2
    assert reduce(near, View("x", order="similarity", selected=1)).order.tolist()[:2] == [1, 3]
    assert reduce(data, View("x", units=(2, 0))).order.tolist() == [2, 0]


def test_large_maps_are_averaged_down_and_it_says_so() -> None:
    data = torch.arange(64.0).view(1, 8, 8)
    mosaic = reduce(data, View("x", tile=4, range="frozen", limits=(0.0, 63.0)))
    assert (mosaic.reduced, mosaic.tile) == (2, (4, 4))
    mean = data[0, :2, :2].mean() / 63 * TOP
    assert int(mosaic.index[0, 0]) == int(mean + 0.5)


def test_any_shape_becomes_maps() -> None:
    assert as_maps(torch.zeros(2, 6, 4, 4), 1)[0].shape == (6, 4, 4)
    assert as_maps(torch.zeros(2, 7, 9))[0].shape == (1, 7, 9)
    assert as_maps(torch.zeros(2, 10))[0].shape == (10, 1, 1)
    assert as_maps(torch.zeros(3))[0].shape == (3, 1, 1)
    assert as_maps(torch.zeros(1, 2, 3, 4, 5))[0].shape == (6, 4, 5)


def test_the_grid_of_the_visual_language() -> None:
    assert grid_columns(512, 28, 28, 1100 / 700) == 29
