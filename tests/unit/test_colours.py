"""Colour tables against pyqtgraph's copies of the published maps, and the rule that chooses one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import colours


def luminance(lut: np.ndarray) -> np.ndarray:
    """Relative luminance (WCAG) of (N, 3) uint8 sRGB."""
    linear = np.where(lut <= 10, lut / 255 / 12.92, ((lut / 255 + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("name", ["viridis", "magma"])
def test_table_is_within_two_steps_of_the_published_map(name: str) -> None:
    pg = pytest.importorskip("pyqtgraph")
    spots = np.linspace(0, 1, 254)
    wanted = pg.colormap.get(name).map(spots, mode="byte")[:, :3].astype(int)
    assert np.abs(colours.table(name)[:254, :3].astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("name", ["viridis", "magma", "grey"])
def test_sequential_maps_get_brighter_all_the_way(name: str) -> None:
    rising = luminance(colours.table(name)[:254, :3])
    # One step of rounding in one channel is the only dip allowed.
    assert np.diff(rising).min() > -0.001
    assert rising[-1] - rising[0] > 0.5


def test_diverging_is_white_exactly_at_zero_and_falls_off_to_both_sides() -> None:
    lut = colours.table("diverging")
    for zero in colours.index_of(np.array([0.0, -0.0, 1e-9, -1e-9]), -3.0, 3.0):
        assert tuple(lut[zero]) == (255, 255, 255, 255)
    bright = luminance(lut[:254, :3])
    assert np.diff(bright[:127]).min() >= 0
    assert np.diff(bright[127:]).max() <= 0
    assert lut[0, 2] > lut[0, 0]
    assert lut[253, 0] > lut[253, 2]


def test_special_entries() -> None:
    lut = colours.table("viridis", gap=(1, 2, 3))
    assert lut.shape == (256, 4)
    assert lut.dtype == np.uint8
    assert tuple(lut[254]) == (255, 0, 255, 255)
    assert tuple(lut[255]) == (1, 2, 3, 255)
    with pytest.raises(KeyError):
        colours.table("jet")


@pytest.mark.parametrize(
    ("low", "high", "scale", "name", "limits"),
    [
        (0.0, 5.0, None, "viridis", (0.0, 5.0)),
        (2.0, 5.0, None, "viridis", (0.0, 5.0)),
        (-1.0, 5.0, None, "diverging", (-5.0, 5.0)),
        (-7.0, 5.0, "diverging", "diverging", (-7.0, 7.0)),
        (-7.0, 5.0, "sequential", "viridis", (-7.0, 5.0)),
        (0.2, 0.3, "probability", "viridis", (0.0, 1.0)),
        (0.0, 0.0, None, "viridis", (0.0, 1.0)),
        (0.0, 0.0, "diverging", "diverging", (-1.0, 1.0)),
    ],
)
def test_map_follows_the_sign_of_the_data(
    low: float, high: float, scale: str | None, name: str, limits: tuple[float, float]
) -> None:
    assert colours.map_for(low, high, scale) == name
    assert colours.limits_for(low, high, scale) == limits


def test_quantiser_ends_middle_and_not_finite() -> None:
    values = np.array([[-2.0, -1.0, 1.0, 3.0], [np.nan, np.inf, -np.inf, 0.0]])
    got = colours.index_of(values, -1.0, 1.0)
    assert got.tolist() == [[0, 0, 253, 253], [254, 254, 254, 126]]
    assert colours.index_of(np.full(3, 7.0), 7.0, 7.0).tolist() == [0, 0, 0]


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=20), st.floats(-1e6, 1e6))
def test_quantiser_is_within_half_a_step_and_keeps_order(values: list[float], low: float) -> None:
    array = np.sort(np.array(values, np.float32))
    high = low + 10.0
    index = colours.index_of(array, low, high).astype(int)
    assert np.all(np.diff(index) >= 0)
    assert index.max() <= 253
    inside = (array >= low) & (array <= high)
    back = low + index[inside] * (10.0 / 253)
    assert np.all(np.abs(back - array[inside]) <= 10.0 / 506 + 0.13)


def test_robust_range_leaves_one_hundredth_out_at_each_end() -> None:
    values = np.arange(-500.0, 1501.0).reshape(3, 667)
    assert colours.robust_range(values) == pytest.approx((-480.0, 1480.0))
    values[0, 0], values[2, 666], values[1, 1] = -1e5, 1e5, np.nan
    low, high = colours.robust_range(values)
    assert low == pytest.approx(-480.0, abs=2)
    assert high == pytest.approx(1480.0, abs=2)


def test_robust_range_shows_all_of_few_values_and_of_lone_spikes() -> None:
    assert colours.robust_range(np.array([1.0, 2.0, 900.0])) == (1.0, 900.0)
    spikes = np.zeros((100, 100))
    spikes[3, 4] = 7.0
    assert colours.robust_range(spikes) == (0.0, 7.0)
    assert colours.robust_range(np.full((50, 50), np.nan)) == (0.0, 1.0)
