"""RoIPool and RoIAlign: torchvision's golden values, hand cases, invariants, bad regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch import Tensor

from engines.nn.two_stage import roi
from engines.nn.two_stage.roi import (
    MultiScaleRoIAlign,
    align_points,
    batch_rois,
    bilinear_weights,
    level_of,
    pool_bins,
    roi_align,
    roi_pool,
)

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "ops-pooling.npz")
PYRAMID = np.load(Path(__file__).parents[1] / "golden" / "ops-pyramid.npz")
CASES = [key for key in GOLDEN.files if key.startswith(("pool-", "align-"))]
RAMP = (8 * torch.arange(8.0)[:, None] + torch.arange(8.0))[None, None]
BOX = torch.tensor([1.3, 0.6, 6.1, 5.2])
ROI = torch.cat([torch.zeros(1), BOX])[None]


def pooled(key: str, maps: Tensor, rois: Tensor) -> Tensor:
    """What a golden file's key describes: ``align-RATIO-ALIGNED-SIZE-SCALE``."""
    kind, *rest, size, scale = key.split("-")
    if kind == "pool":
        return roi_pool(maps, rois, int(size), float(scale))
    ratio, aligned = rest
    return roi_align(maps, rois, int(size), float(scale), int(ratio), aligned=aligned == "True")


def golden_maps(key: str) -> Tensor:
    return torch.from_numpy(GOLDEN["-".join(["maps", *key.split("-")[-2:]])])


@pytest.mark.parametrize("key", CASES)
def test_equals_torchvision(key: str) -> None:
    found = pooled(key, golden_maps(key), torch.from_numpy(GOLDEN["rois"]))
    error = 0 if key.startswith("pool") else 1e-5
    torch.testing.assert_close(found, torch.from_numpy(GOLDEN[key]), rtol=0, atol=error)


@pytest.mark.parametrize("key", [k for k in GOLDEN.files if k.startswith("gradient-")])
def test_gradient_equals_torchvision(key: str) -> None:
    maps = golden_maps(key).requires_grad_()
    found = pooled(key.removeprefix("gradient-"), maps, torch.from_numpy(GOLDEN["rois"]))
    (found * torch.linspace(-1, 1, found.numel()).view_as(found)).sum().backward()
    torch.testing.assert_close(maps.grad, torch.from_numpy(GOLDEN[key]), rtol=1e-4, atol=1e-4)


def test_by_hand() -> None:
    """Card S5: aligned or not is half a cell, 4.5 on this ramp."""
    cases = {
        (True, False): [12.0, 14.4, 30.4, 32.8],
        (False, False): [16.5, 18.9, 34.9, 37.3],
        (False, True): [27.0, 30.0, 43.0, 46.0],
    }
    for (aligned, rounded), wanted in cases.items():
        found = (
            roi_pool(RAMP, ROI, 2, 1.0)
            if rounded
            else roi_align(RAMP, ROI, 2, 1.0, 2, aligned=aligned)
        )
        torch.testing.assert_close(found.flatten(), torch.tensor(wanted))


def test_bins_by_hand() -> None:
    """1.3 to 6.1 becomes cells 1 to 6, six of them, three a bin."""
    bins = pool_bins(BOX, 2, 1.0, 8, 8)
    assert bins.tolist() == [[[1, 1, 4, 4], [4, 1, 7, 4]], [[1, 3, 4, 6], [4, 3, 7, 6]]]


@given(st.lists(st.floats(-20, 90), min_size=4, max_size=4), st.integers(1, 9))
@settings(max_examples=60)
def test_bins_are_the_cells_that_are_pooled(corners: list[float], size: int) -> None:
    """A direct loop over `pool_bins` gives what `roi_pool` gives."""
    maps = torch.rand(1, 2, 9, 11, generator=torch.Generator().manual_seed(1)) - 0.5
    box = torch.tensor(corners)
    found = roi_pool(maps, torch.cat([torch.zeros(1), box])[None], size, 0.125)[0]
    bins = pool_bins(box, size, 0.125, 9, 11)
    for i in range(size):
        for j in range(size):
            x1, y1, x2, y2 = bins[i, j].tolist()
            cells = maps[0, :, y1:y2, x1:x2].flatten(1)
            wanted = cells.amax(1) if cells.shape[1] else torch.zeros(2)
            assert torch.equal(found[:, i, j], wanted)


@given(
    st.lists(st.floats(-20, 90), min_size=4, max_size=4), st.integers(1, 5), st.integers(0, 3),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=60)
def test_points_are_those_that_are_averaged(
    corners: list[float], size: int, ratio: int, aligned: bool
) -> None:
    """SciPy's linear interpolation at `align_points`, where all are inside, gives `roi_align`."""
    maps = torch.rand(1, 1, 9, 11, generator=torch.Generator().manual_seed(1))
    box = torch.tensor(corners)
    points = align_points(box, size, 0.125, ratio, aligned=aligned)
    x, y = points.numpy().reshape(size, size, -1, 2).transpose(3, 0, 1, 2)
    if not x.size or x.min() < 0 or y.min() < 0 or x.max() > 10 or y.max() > 8:
        return
    wanted = map_coordinates(maps[0, 0].numpy(), [y, x], order=1, mode="nearest").mean(-1)
    rois = torch.cat([torch.zeros(1), box])[None]
    found = roi_align(maps, rois, size, 0.125, ratio, aligned=aligned)[0, 0]
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


INSIDE = st.tuples(
    st.floats(1, 40), st.floats(1, 40), st.floats(4, 20), st.floats(4, 20)
).map(lambda b: torch.tensor([[0.0, b[0], b[1], b[0] + b[2], b[1] + b[3]]]))  # fmt: skip


@given(INSIDE, st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=40)
def test_exact_on_a_ramp(rois: Tensor, size: int, ratio: int) -> None:
    """The mean of a linear function over a bin is its value in the middle of the bin."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    found = roi_align((3 * x - 2 * y + 5)[None, None], rois, size, 1.0, ratio, aligned=True)
    low, sides = rois[0, 1:3], rois[0, 3:] - rois[0, 1:3]
    middles = low[:, None] - 0.5 + sides[:, None] * (torch.arange(size) + 0.5) / size
    wanted = 3 * middles[0][None] - 2 * middles[1][:, None] + 5
    torch.testing.assert_close(found[0, 0], wanted, rtol=0, atol=2e-3)


@given(INSIDE, st.booleans(), st.integers(0, 3))
@settings(max_examples=40)
def test_constant_shift_and_mirror(rois: Tensor, aligned: bool, ratio: int) -> None:
    maps = torch.rand(1, 2, 64, 64, generator=torch.Generator().manual_seed(3))
    constant = roi_align(torch.full_like(maps, 1.5), rois, 3, 1.0, ratio, aligned=aligned)
    torch.testing.assert_close(constant, torch.full_like(constant, 1.5))
    found = roi_align(maps, rois, 3, 1.0, ratio, aligned=aligned)
    there = roi_align(
        maps.roll((3, 2), (2, 3)), rois + torch.tensor([0.0, 2, 3, 2, 3]), 3, 1.0, ratio,
        aligned=aligned,
    )  # fmt: skip
    torch.testing.assert_close(there, found, rtol=0, atol=1e-4)
    if aligned:  # only then is the middle of the map the middle of the picture
        mirrored = rois.clone()
        mirrored[:, 1], mirrored[:, 3] = 64 - rois[:, 3], 64 - rois[:, 1]
        back = roi_align(maps.flip(3), mirrored, 3, 1.0, ratio, aligned=True).flip(3)
        torch.testing.assert_close(back, found, rtol=0, atol=1e-4)


@given(INSIDE, st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=30)
def test_gradient_sums_to_the_number_of_bins(rois: Tensor, size: int, ratio: int) -> None:
    maps = torch.zeros(1, 1, 64, 64, requires_grad=True)
    (roi_align(maps, rois, size, 1.0, ratio) + roi_pool(maps, rois, size, 1.0)).sum().backward()
    assert maps.grad is not None
    assert float(maps.grad.sum()) == pytest.approx(2 * size**2, rel=1e-4)


def test_weights_of_the_four_cells() -> None:
    index, weight = bilinear_weights(torch.tensor([1.25, -0.5, 3.0, -1.5]), torch.tensor(2.5), 4, 5)
    assert index.shape == weight.shape == (4, 4)
    assert index[0].tolist() == [7, 8, 12, 13]
    assert weight[0].tolist() == [0.375, 0.375, 0.125, 0.125]
    assert weight[1].tolist() == [0.5, 0.5, 0, 0]  # half a cell outside: the border's value
    assert index[2].tolist() == [17, 18, 17, 18]
    assert weight[3].sum() == 0  # more than a cell outside: nothing


def test_a_region_beyond_the_map_is_zero() -> None:
    rois = torch.tensor([[0.0, 400, 400, 420, 430], [0.0, -99, -99, -40, -40]])
    for found in (roi_align(RAMP + 1, rois, 3, 1.0), roi_pool(RAMP + 1, rois, 3, 1.0)):
        assert found.abs().sum() == 0


def test_a_region_that_is_no_number_is_zero() -> None:
    rois = torch.tensor([[0.0, float("nan"), 1, 5, 5], [0.0, *4 * [float("nan")]]])
    assert roi_align(RAMP + 1, rois, 3, 1.0).abs().sum() == 0
    assert roi_pool(RAMP + 1, rois, 3, 1.0).isfinite().all()


def test_no_regions() -> None:
    none = torch.zeros(0, 5)
    assert roi_align(RAMP, none, 7, 1.0).shape == (0, 1, 7, 7)
    assert roi_align(RAMP, none, 7, 1.0, 0).shape == (0, 1, 7, 7)
    assert roi_pool(RAMP, none, 7, 1.0).shape == (0, 1, 7, 7)
    pool = MultiScaleRoIAlign(7)
    assert pool([RAMP, RAMP], [none[:, 1:]] * 2, [4, 8]).shape == (0, 1, 7, 7)


def test_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The regions of one part do not see those of another."""
    maps, rois = golden_maps("pool-7-0.25"), torch.from_numpy(GOLDEN["rois"])
    keys = ("pool-7-0.25", "align-2-False-7-0.25", "align-0-True-7-0.25")
    whole = [pooled(key, maps, rois) for key in keys]
    monkeypatch.setattr(roi, "CACHED", 100)
    for key, wanted in zip(keys, whole, strict=True):
        torch.testing.assert_close(pooled(key, maps, rois), wanted, rtol=0, atol=1e-6)


def test_level_of_a_box() -> None:
    """Card 5, 6; torchvision 0.14.1 counts 223.9999 as 224, and 223.999 not."""
    sides = torch.tensor([10.0, 56, 112, 223.999, 223.9999, 224, 448, 1000, 0])
    boxes = torch.stack([0 * sides, 0 * sides, sides, sides], 1)
    assert level_of(boxes, 2, 5).tolist() == [2, 2, 3, 3, 4, 4, 5, 5, 2]


@pytest.mark.parametrize("name", ["7-224", "5-60"])
def test_pyramid_equals_torchvision(name: str) -> None:
    size, canonical = map(int, name.split("-"))
    boxes = [torch.from_numpy(PYRAMID[key]) for key in ("first", "second")]
    levels = [torch.from_numpy(PYRAMID[f"whole{i}"]) for i in range(4)]
    pool = MultiScaleRoIAlign(size, 2, canonical=canonical, level={224: 4, 60: 3}[canonical])
    strides = (4, 8, 16, 32)
    chosen = pool.levels(torch.cat(boxes), strides) + 2
    area = np.prod(np.concatenate([b[:, 2:] - b[:, :2] for b in boxes]), axis=1)
    assert chosen[area > 0].tolist() == PYRAMID[f"levels-{name}"][area > 0].tolist()
    found = pool(levels, boxes, strides)
    wanted = torch.from_numpy(PYRAMID[f"pooled-{name}"])
    torch.testing.assert_close(found[area >= 0], wanted[area >= 0], rtol=0, atol=1e-5)


def test_pooling_may_be_exchanged() -> None:
    """The same regions of the same levels, by their rounded bins."""
    boxes = [torch.tensor([[3.0, 4, 30, 33], [1, 1, 60, 50]])]
    maps = [torch.rand(1, 3, 16, 16), torch.rand(1, 3, 8, 8)]
    pool = MultiScaleRoIAlign(5, 2, canonical=40, level=3, pooling="pool")
    found = pool(maps, boxes, (4, 8))
    assert pool.levels(boxes[0], (4, 8)).tolist() == [0, 1]
    for row, stride in enumerate((4, 8)):
        wanted = roi_pool(maps[row], batch_rois(boxes)[row : row + 1], 5, 1 / stride)
        assert torch.equal(found[row], wanted[0])
