"""Gram matrices and what is read from them, against NumPy and hand-made blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from explorer.analysis import (
    block_means,
    gram,
    gram_per_position,
    gram_spectrum,
    row_order,
    unit_order,
    unit_rows,
)


def rows(units: int, positions: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(units, positions, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("shape", "wanted"), [((1, 5, 3, 4), (5, 12)), ((1, 7, 5), (5, 7)), ((1, 5), (5, 1))]
)
def test_units_are_rows_whatever_the_shape(shape: tuple[int, ...], wanted: tuple[int, int]) -> None:
    x = torch.arange(float(np.prod(shape))).reshape(shape)
    made = unit_rows(x)
    assert tuple(made.shape) == wanted
    units_first = x[0].T if x.ndim == 3 else x[0]
    assert torch.equal(made[2], units_first[2].flatten())


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="5 axes"):
        unit_rows(torch.zeros(1, 2, 3, 4, 5))


def test_gram_per_position_is_the_mean_product_over_positions() -> None:
    f = rows(6, 40)
    oracle = np.einsum("ip,jp->ij", f.double().numpy(), f.double().numpy()) / 40
    np.testing.assert_allclose(gram_per_position(f), oracle, atol=1e-6)
    np.testing.assert_allclose(gram_per_position(f), gram(f.view(6, 5, 8)) / 40, atol=1e-6)


@given(st.integers(1, 12), st.integers(1, 12))
def test_the_spectrum_is_that_of_numpy(units: int, positions: int) -> None:
    f = rows(units, positions)
    wide = f.double().numpy()
    oracle = np.sort(np.linalg.eigvalsh(wide @ wide.T / positions))[::-1]
    got = gram_spectrum(f)
    assert len(got) == min(units, positions)
    np.testing.assert_allclose(got, oracle[: len(got)], atol=1e-9)
    np.testing.assert_allclose(oracle[len(got) :], 0, atol=1e-9)


@given(st.integers(1, 40), st.integers(1, 12))
def test_the_gram_of_block_means_is_the_block_mean_of_the_gram(units: int, blocks: int) -> None:
    f = rows(units, 9)
    means, starts = block_means(f, blocks)
    whole = (f.double() @ f.double().T).numpy()
    parts = np.split(np.arange(units), starts[1:].numpy())
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    oracle = [[whole[np.ix_(a, b)].mean() for b in parts] for a in parts]
    np.testing.assert_allclose(means @ means.T, oracle, atol=1e-4)


@pytest.mark.parametrize("most", [1024, 20])
def test_alike_units_stand_side_by_side(most: int) -> None:
    """Three kinds of units in a shuffled order: the order brings each kind together."""
    kinds = torch.arange(30)[torch.randperm(30, generator=torch.Generator().manual_seed(1))] % 3
    f = rows(3, 50, seed=4)[kinds] + 0.05 * rows(30, 50, seed=5)
    found = kinds[row_order(f, most)]
    assert int((found.diff() != 0).sum()) <= 3  # two borders, one more as angles go round
    assert sorted(row_order(f, most).tolist()) == list(range(30))


def test_the_order_is_the_one_of_the_matrix() -> None:
    f = rows(12, 30)
    assert torch.equal(row_order(f), unit_order(f @ f.T))
    few, many = row_order(f, 12), row_order(f, 11)  # the second through every third position
    assert sorted(few.tolist()) == sorted(many.tolist())
