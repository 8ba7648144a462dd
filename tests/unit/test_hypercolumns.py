"""Hypercolumns against an up-sampled stack of torch and SciPy, NumPy's SVD and SciPy's k-means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.ndimage import map_coordinates
from sklearn.decomposition import PCA
from torch import Tensor, nn

from explorer.core.geometry import Geometry
from explorer.core.studies.colouring import (
    as_colours,
    colour_limits,
    kmeans,
    principal_axes,
    projections,
    spread_centres,
)
from explorer.core.studies.hypercolumns import (
    Hypercolumns,
    Raster,
    alphas,
    even_scales,
    hypercolumn,
    similarity,
)
from explorer.engine import Preprocess, prepare
from explorer.kinds import Affine

SIDE = 48
Layers = Callable[[], tuple[list[Tensor], list[Affine]]]


def made(seed: int = 0) -> tuple[list[Tensor], list[Affine]]:
    """Three layers over a picture of 48 px, 48, 12 and 5 cells wide, signed."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [(4, 48), (6, 12), (9, 5)]
    maps = [torch.randn(c, s, s, generator=generator) for c, s in sizes]
    return maps, [Affine(SIDE / s, SIDE / s) for _, s in sizes]


def shifted(seed: int = 0) -> tuple[list[Tensor], list[Affine]]:
    """Layers that do not line up with the pixels, or see more or less than the picture."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [(3, 61, 70), (5, 11, 9), (4, 1, 1), (7, 3, 2)]
    maps = [torch.randn(*size, generator=generator) for size in sizes]
    return maps, [
        Affine(0.9, 0.8, -3.2, 1.7),
        Affine(4, 4, 1.5, 1.5),
        Affine(48, 48),
        Affine(16, 31, 3, -9),
    ]


def stack(maps: list[Tensor], affines: list[Affine], raster: Raster) -> NDArray[np.float64]:
    """All hypercolumns (H, W, D) by SciPy, edges repeated."""
    found = []
    for values, affine in zip(maps, affines, strict=True):
        x, y = np.meshgrid(np.arange(raster.width) + 0.5, np.arange(raster.height) + 0.5)
        x = (raster.affine.sx * x + raster.affine.tx - affine.tx) / affine.sx - 0.5
        y = (raster.affine.sy * y + raster.affine.ty - affine.ty) / affine.sy - 0.5
        found += [
            map_coordinates(unit, [y, x], order=1, mode="nearest") for unit in values.double()
        ]
    return np.stack(found, -1)


def test_one_pixel_equals_torch_interpolation() -> None:
    maps, affines = made()
    upsampled = torch.cat(
        [
            F.interpolate(m[None], (SIDE, SIDE), mode="bilinear", align_corners=False)[0]
            for m in maps
        ]
    )
    for row, column in [(0, 0), (17, 30), (47, 0), (47, 47), (3, 46)]:
        got = torch.cat(hypercolumn(maps, affines, column + 0.5, row + 0.5))
        np.testing.assert_allclose(got, upsampled[:, row, column], atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.floats(-20, 70), st.floats(-20, 70))
def test_any_place_equals_scipy_through_the_affine(x: float, y: float) -> None:
    maps, affines = shifted()
    spot = Raster(1, 1, Affine(1, 1, x - 0.5, y - 0.5))
    got = torch.cat(hypercolumn(maps, affines, x, y))
    np.testing.assert_allclose(got, stack(maps, affines, spot)[0, 0], atol=1e-6)


@given(st.floats(-50, 100), st.floats(-50, 100))
def test_weights_are_a_partition(x: float, y: float) -> None:
    rows, columns = alphas(Affine(3.1, 2.3, 0.4, -7), (9, 13), x, y)
    for lerp, length in ((rows, 9), (columns, 13)):
        weights = lerp.matrix(length)
        assert weights.sum() == pytest.approx(1)
        assert int((weights > 0).sum()) <= 2
        assert bool((weights >= 0).all())


def test_the_centre_of_a_cell_is_that_cell() -> None:
    maps, affines = made()
    x, y = affines[1].to_input(7.5, 3.5)
    np.testing.assert_allclose(hypercolumn(maps, affines, x, y)[1], maps[1][:, 3, 7], atol=1e-6)


@pytest.mark.parametrize("fit", ["crop", "stretch", "letterbox", "short"])
def test_a_ramp_is_read_where_it_is_through_stride_padding_and_fit(fit: str) -> None:
    """Layers that average what they see keep a linear ramp: the value at x must be x itself."""
    ramp = np.repeat(np.linspace(20, 220, 201)[None, :, None], 151, 0).repeat(3, 2)
    x, affine = prepare(ramp.round().astype(np.uint8), Preprocess(96, fit, scale=255.0))
    layers = [nn.Conv2d(1, 1, 3, 2, 1), nn.AvgPool2d(2), nn.Conv2d(1, 1, 5, padding=0)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 1 / layer.weight.numel())
            nn.init.zeros_(layer.bias)
    geometry, y, maps, places = Geometry(), x[:, :1], [], []
    geometry.enter(y)
    with torch.no_grad():
        for layer in layers:
            before, y = y, layer(y)
            geometry.leave(layer, before, y)
            place = geometry.of(y)
            assert place is not None
            maps.append(y[0])
            places.append(place.under(affine).affine)
    for at in (80.0, 100.25, 121.5):
        # pixel i holds 20 + i, and its centre is at i + 0.5
        for value in hypercolumn(maps, places, at, 75.0):
            assert float(value) == pytest.approx(20 + at - 0.5, abs=0.35)


@pytest.mark.parametrize(("layers", "side"), [(made, SIDE), (shifted, SIDE), (shifted, 20)])
def test_the_implicit_matrix_is_the_stack(layers: Layers, side: int) -> None:
    maps, affines = layers()
    raster = Raster(side, side - 3, Affine(SIDE / side, SIDE / side, 0.3, -0.2))
    scales = [0.5, 2.0, 1.5, 0.7][: len(maps)]
    wide = np.repeat(scales, [len(m) for m in maps])
    oracle = (stack(maps, affines, raster) * wide).reshape(raster.height * raster.width, -1)
    columns = Hypercolumns(maps, affines, raster, scales)
    vectors = torch.randn(oracle.shape[1], 3)
    weights = torch.randn(3, raster.height, raster.width)
    np.testing.assert_allclose(
        columns.dot(vectors).flatten(1).T, oracle @ vectors.numpy(), atol=2e-5
    )
    np.testing.assert_allclose(
        columns.gather(weights), oracle.T @ weights.flatten(1).T.numpy(), atol=2e-4
    )
    np.testing.assert_allclose(columns.squares().flatten(), (oracle**2).sum(1), rtol=1e-4)
    np.testing.assert_allclose(columns.mean(), oracle.mean(0), atol=1e-5)
    np.testing.assert_allclose(
        columns.at(*raster.centre(2 * raster.width + 5)), oracle[2 * raster.width + 5], atol=1e-5
    )


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("layers", [made, shifted])
def test_similarity_is_the_cosine_of_the_whole_stack(layers: Layers, *, centred: bool) -> None:
    maps, affines = layers()
    raster = Raster(30, 40, Affine(1.2, 1.6))
    oracle = stack(maps, affines, raster).reshape(1200, -1)
    columns = Hypercolumns(maps, affines, raster)
    origin = columns.mean() if centred else None
    got = similarity(columns, columns.at(*raster.centre(777)), origin).flatten()
    away = oracle - oracle.mean(0) if centred else oracle
    wanted = away @ away[777] / np.linalg.norm(away, axis=1) / np.linalg.norm(away[777])
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert float(got[777]) == pytest.approx(1, abs=1e-5)


def test_nothing_is_similar_to_nothing() -> None:
    maps, affines = [torch.zeros(3, 4, 4)], [Affine(2, 2)]
    columns = Hypercolumns(maps, affines, Raster(8, 8, Affine()), even_scales(maps))
    assert similarity(columns, columns.at(3, 3)).abs().max() == 0
    axes = principal_axes(columns)
    coordinates = projections(columns, axes)
    assert as_colours(coordinates, colour_limits(coordinates)).unique().tolist() == [128]
    assert kmeans(columns, 2).labels.max() == 0


def test_even_scales_give_every_layer_the_same_weight() -> None:
    maps, _ = made()
    maps[1] *= 1000
    scaled = [s * m for s, m in zip(even_scales(maps), maps, strict=True)]
    for layer in scaled:
        assert float(layer.square().sum(0).mean()) == pytest.approx(1, rel=1e-4)


def test_principal_axes_equal_numpy_svd_and_sklearn() -> None:
    maps, affines = made()
    # A few strong directions, as networks have: white noise has none to find.
    maps[1] = maps[1] * torch.tensor([6.0, 4, 2, 1, 0.5, 0.1])[:, None, None]
    raster = Raster(SIDE, SIDE, Affine())
    oracle = stack(maps, affines, raster).reshape(SIDE * SIDE, -1)
    columns = Hypercolumns(maps, affines, raster)
    axes = principal_axes(columns, 3, within=1e-9, rounds=200)
    away = oracle - oracle.mean(0)
    _, singular, vectors = np.linalg.svd(away, full_matrices=False)
    np.testing.assert_allclose(axes.variances, singular[:3] ** 2 / (len(away) - 1), rtol=1e-5)
    cosines = np.abs((vectors[:3] * axes.axes.T.numpy()).sum(1))
    np.testing.assert_allclose(cosines, 1, atol=1e-5)
    wanted = PCA(3, svd_solver="full").fit(oracle)
    np.testing.assert_allclose(
        projections(columns, axes).flatten(1).T.abs().numpy(),
        np.abs(wanted.transform(oracle)),
        atol=2e-2,
    )
    shares = axes.variances.numpy() / axes.total
    np.testing.assert_allclose(shares, wanted.explained_variance_ratio_, rtol=1e-4)
    again = principal_axes(columns, 3, within=1e-9, rounds=200)
    assert torch.equal(again.axes, axes.axes)
    assert bool((axes.axes.amax(0) >= -axes.axes.amin(0)).all())


def test_kmeans_equals_scipy_from_the_same_start() -> None:
    maps, affines = made()
    raster = Raster(24, 24, Affine(2, 2))
    oracle = stack(maps, affines, raster).reshape(576, -1)
    columns = Hypercolumns(maps, affines, raster)
    start = spread_centres(columns, 4, seed=3)
    got = kmeans(columns, 4, rounds=50, start=start)
    centres, labels = kmeans2(oracle, start.T.double().numpy(), iter=60, minit="matrix")
    order = np.argsort(-np.bincount(labels, minlength=4), kind="stable")
    np.testing.assert_array_equal(got.labels.flatten(), np.argsort(order)[labels])
    np.testing.assert_allclose(got.centres.T, centres[order], atol=1e-4)
    assert got.inertia == pytest.approx(((oracle - centres[labels]) ** 2).sum(1).mean(), rel=1e-4)
    assert torch.equal(kmeans(columns, 4, seed=3, rounds=50).labels, got.labels)


def test_spread_centres_are_pixels_far_apart() -> None:
    """Three flat regions: three centres never share one."""
    regions = torch.arange(3).repeat_interleave(4).repeat(12, 1).float()
    maps = [torch.stack([regions == k for k in range(3)]).float()]
    columns = Hypercolumns(maps, [Affine()], Raster(12, 12, Affine()))
    for seed in range(8):
        assert spread_centres(columns, 3, seed).argmax(0).sort().values.tolist() == [0, 1, 2]


def test_colours_span_from_black_to_full() -> None:
    coordinates = torch.stack([torch.linspace(-3, 9, 100).view(10, 10)] * 3)
    picture = as_colours(coordinates, torch.tensor([[-3.0, 9.0]] * 3))
    assert picture.shape == (10, 10, 3)
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[-1, -1].tolist() == [255, 255, 255]
    two = as_colours(coordinates[:2], colour_limits(coordinates[:2]))
    assert two[..., 2].unique().tolist() == [128]
