"""Jumps of units against NumPy's own statistics, and spans as NPZ against what was recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from explorer.core.recording import (
    FLOOR,
    decoded,
    jump_sizes,
    jumps,
    save_artefact_span,
    save_layer_span,
)
from explorer.core.reduction import reduce
from explorer.core.writing.clip_writer import ExportError
from explorer.kinds import Curve, Matrix, Text
from explorer.views import Frame, Handle, Rendered, View


def oracle(x: np.ndarray, window: int) -> np.ndarray:
    """The definition, one number after the other, with np.std."""
    sizes = np.zeros(x.shape)
    for t in range(3, len(x)):
        for c in range(x.shape[1]):
            spread = np.std(x[max(0, t - window) : t, c])
            sizes[t, c] = abs(x[t, c] - x[t - 1, c]) / max(spread, FLOOR * np.abs(x).max())
    return sizes


@given(st.integers(0, 60), st.integers(1, 5), st.integers(3, 30), st.integers(0, 2**31))
def test_jump_sizes_are_the_change_over_the_running_deviation(
    steps: int, units: int, window: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(random.normal(0, 10), random.uniform(0.01, 3), (steps, units))
    np.testing.assert_allclose(jump_sizes(x, window), oracle(x, window), rtol=1e-6, atol=1e-9)


@given(st.integers(5, 49), st.integers(0, 11), st.integers(0, 2**31))
def test_a_planted_jump_is_found(at: int, unit: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(1.0, 0.01, (50, 12))
    x[at:, unit] += 3.0
    best = jumps(x)[0]
    assert (best.index, best.unit) == (at, unit)
    assert jumps(x, unit)[0].index == at
    other = (unit + 1) % 12
    assert all(j.unit == other for j in jumps(x, other))


def test_constant_units_and_short_records_have_no_jump() -> None:
    assert jumps(np.ones((50, 4))) == []
    assert jumps(np.random.default_rng(0).random((3, 4))) == []
    assert jumps(np.zeros((0, 0))) == []


def test_rounding_of_a_constant_unit_does_not_win() -> None:
    x = np.random.default_rng(0).normal(5.0, 0.1, (40, 2))
    x[:, 1] = 1.0
    x[30, 1] += 1e-6
    x[20:, 0] += 4.0
    assert (jumps(x)[0].index, jumps(x)[0].unit) == (20, 0)


def picture(maps: torch.Tensor, view: View, frame: int = 0) -> Rendered:
    made = reduce(maps, view)
    return Rendered(
        view, made.index.numpy(), made.limits.numpy(), made.order.numpy(), made.tile, made.columns,
        made.gap, made.reduced, (1, *maps.shape), "float32", "Conv2d", made.statistics,
        Handle(view.point, -1, 0, 1, frame),
    )  # fmt: skip


@pytest.mark.parametrize("view", [View("conv"), View("conv", range="unit", order="max")])
@pytest.mark.parametrize("signed", [False, True])
def test_a_mosaic_decodes_to_the_values_within_half_a_level(view: View, signed: bool) -> None:
    maps = torch.rand(7, 6, 5, generator=torch.Generator().manual_seed(0)) - 0.5 * signed
    shown = picture(maps, view)
    limits = shown.limits.reshape(-1, 2)
    low, high = limits[:, :1, None], limits[:, 1:, None]
    wanted = np.clip(maps.numpy()[shown.order], low, high)
    error = np.abs(decoded(shown) - wanted)
    assert (error <= (high - low) / 253 * 0.5 + 1e-6).all()


def test_a_value_that_is_not_finite_decodes_as_such() -> None:
    maps = torch.rand(3, 4, 4)
    maps[1, 2, 3] = torch.nan
    assert np.argwhere(np.isnan(decoded(picture(maps, View("conv"))))).tolist() == [[1, 2, 3]]


def test_a_layer_s_span_holds_its_maps_statistics_and_times(tmp_path: Path) -> None:
    maps = [torch.rand(5, 6, 6) for _ in range(4)]
    frames = [Frame(i, 10 + i, 0, (), (picture(m, View("conv")),)) for i, m in enumerate(maps)]
    frames.insert(1, Frame(9, 99, 0, (), (picture(torch.rand(5, 3, 3), View("conv")),)))
    frames.insert(0, Frame(8, 98, 0))
    path = tmp_path / "span.npz"
    assert save_layer_span(path, lambda: iter(frames), "conv") == 4
    with np.load(path) as saved:
        assert saved["frame"].tolist() == [10, 11, 12, 13]
        assert saved["values"].shape == (4, 5, 6, 6)
        np.testing.assert_allclose(saved["unit_mean"][2], maps[2].numpy().mean((1, 2)), rtol=1e-5)
        np.testing.assert_array_equal(saved["unit_high"][3], maps[3].numpy().max((1, 2)))
        assert saved["units"].tolist() == [[0, 1, 2, 3, 4]] * 4


def test_an_artefact_s_span_is_exact(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((5, 3, 4))
    frames = [
        Frame(1, 0, step, (Matrix("memory/A", v, step=step), Text("text/t", "a")))
        for step, v in enumerate(values)
    ]
    path = tmp_path / "A.npz"
    assert save_artefact_span(path, lambda: iter(frames), "memory/A") == 5
    with np.load(path) as saved:
        assert np.array_equal(saved["values"], values)
        assert saved["step"].tolist() == [0, 1, 2, 3, 4]


def test_what_has_no_numbers_or_was_never_shown_is_one_line_and_no_file(tmp_path: Path) -> None:
    frames = [Frame(1, 0, 0, (Curve("loss/all", np.arange(3.0), np.arange(3.0)),))]
    for save, name in ((save_layer_span, "conv"), (save_artefact_span, "memory/A")):
        with pytest.raises(ExportError, match=name):
            save(tmp_path / "no.npz", lambda: iter(frames), name)
    assert list(tmp_path.iterdir()) == []
