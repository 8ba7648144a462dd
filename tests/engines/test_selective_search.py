"""Selective search: its start against scikit-image, its colours too, merges and recall."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import color, measure
from skimage.segmentation import felzenszwalb as oracle

from engines.nn.detection.average_precision import box_iou
from engines.nn.detection.shapes import HELD_OUT, scene
from engines.nn.two_stage.fast_rcnn_training import regions_of
from engines.nn.two_stage.segmentation_start import felzenszwalb, gaussian
from engines.nn.two_stage.selective_search import (
    Region,
    converted,
    gradients,
    proposals,
    search,
    similarities,
)


def picture(seed: int, *, hard: bool = True) -> np.ndarray:
    return scene(HELD_OUT + seed, hard=hard).image


def alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two labellings are the same partition."""
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    return len(pairs) == len(np.unique(a)) == len(np.unique(b))


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(
    ("scale", "sigma", "smallest"), [(100, 0.8, 20), (30, 0.5, 5), (300, 1, 1)]
)
def test_the_start_is_scikit_images(hard: bool, scale: float, sigma: float, smallest: int) -> None:
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(0, 1e-4, (64, 64, 3))  # no two edges alike
        image = picture(seed, hard=hard) / 255.0 + noise
        wanted = oracle(image, scale=scale, sigma=sigma, min_size=smallest)
        made = felzenszwalb(image, scale, sigma, smallest)
        assert alike(made, wanted)
        assert np.unique(made).tolist() == list(range(made.max() + 1))


def test_smoothing_and_derivatives_are_scipys() -> None:
    image = picture(3) / 255.0
    np.testing.assert_allclose(
        gaussian(image, 0.8), ndimage.gaussian_filter(image, (0.8, 0.8, 0)), atol=1e-12
    )
    dx = ndimage.gaussian_filter(image, (1, 1, 0), order=(0, 1, 0))
    dy = ndimage.gaussian_filter(image, (1, 1, 0), order=(1, 0, 0))
    parts = [np.clip(np.cos(a) * dx + np.sin(a) * dy, 0, None) for a in np.arange(8) * np.pi / 4]
    wanted = np.concatenate(parts, -1)
    # SciPy's sampled derivative has slightly other taps at the rim
    np.testing.assert_allclose(gradients(image), wanted / wanted.max(), atol=2e-3)


def test_colours_are_scikit_images() -> None:
    pixels = picture(1)
    np.testing.assert_allclose(converted(pixels, "HSV"), color.rgb2hsv(pixels), atol=1e-9)
    lab = converted(pixels, "Lab") * [100, 255, 255] - [0, 128, 128]
    np.testing.assert_allclose(lab, color.rgb2lab(pixels), atol=1e-3)


def test_similarities_by_hand() -> None:
    """Two strips of 2 x 4 that touch, in a picture of 40 pixels; half of the colours shared."""
    a = Region(8, (0, 0, 4, 2), np.array([0.5, 0.5, 0.0]), np.array([1.0, 0.0]))
    b = Region(8, (0, 2, 4, 4), np.array([0.0, 0.5, 0.5]), np.array([0.25, 0.75]))
    assert similarities(a, [b], 40)[0] == pytest.approx((0.5, 0.25, 1 - 16 / 40, 1.0))
    far = Region(8, (4, 4, 8, 6), b.colour, b.texture)
    assert similarities(a, [b, far], 100)[1][3] == pytest.approx(1 - (48 - 16) / 100)


@settings(max_examples=15)
@given(st.integers(0, 500), st.sampled_from(["RGB", "HSV", "Lab"]))
def test_the_hierarchy(seed: int, space: str) -> None:
    made = search(picture(seed), space, 60.0)
    assert len(made.merges) == made.starts - 1
    assert made.regions[-1].size == 64 * 64
    assert made.regions[-1].box == (0, 0, 64, 64)
    assert sum(r.size for r in made.regions[: made.starts]) == 64 * 64
    merged = [i for m in made.merges for i in (m.first, m.second)]
    assert sorted(merged) == list(range(len(made.regions) - 1)), "each is merged once"
    for region in made.regions:
        assert region.colour.sum() == pytest.approx(1)
        assert region.texture.sum() == pytest.approx(1)
    for done in (0, len(made.merges) // 2, len(made.merges)):
        parts = made.partition(done)
        assert len(np.unique(parts)) == made.starts - done
        for label in np.unique(parts):
            x1, y1, x2, y2 = made.regions[label].box
            rows, columns = np.nonzero(parts == label)
            assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (
                x1,
                y1,
                x2,
                y2,
            )
            assert measure.label(parts == label, connectivity=2).max() == 1, "one piece"


@pytest.mark.parametrize("seed", [2, 9])
def test_of_all_that_touch_the_most_similar_two_are_merged(seed: int) -> None:
    made = search(picture(seed), "RGB", 60.0)
    assert made.starts > 8
    for done, merge in enumerate(made.merges):
        touching = pairs_that_touch(made.partition(done))
        totals = {
            (a, b): sum(similarities(made.regions[a], [made.regions[b]], 64 * 64)[0])
            for a, b in touching
        }
        assert (merge.first, merge.second) in touching
        assert merge.total == pytest.approx(max(totals.values()), abs=1e-12)


def pairs_that_touch(labels: np.ndarray) -> set[tuple[int, int]]:
    """By the growth of each region over its eight neighbours."""
    found = set()
    for label in np.unique(labels).tolist():
        around = ndimage.binary_dilation(labels == label, np.ones((3, 3)))
        found |= {(label, other) for other in np.unique(labels[around]).tolist() if other > label}
    return found


def test_merged_histograms_are_those_of_the_pixels() -> None:
    made = search(picture(7), "RGB", 60.0)
    image = converted(picture(7), "RGB")
    parts = made.partition(len(made.merges) - 2)
    for label in np.unique(parts):
        inside = image[parts == label]
        counts = [np.histogram(inside[:, c], 25, (0, 1))[0] for c in range(3)]
        wanted = np.concatenate(counts) / (3 * len(inside))
        np.testing.assert_allclose(made.regions[label].colour, wanted, atol=1e-12)


@pytest.mark.parametrize(("hard", "floor"), [(False, 0.99), (True, 0.85)])
def test_recall_with_at_most_a_hundred_boxes(hard: bool, floor: float) -> None:
    met = []
    for seed in range(20):
        held = scene(HELD_OUT + 5000 + seed, hard=hard)
        boxes = regions_of(held.image)
        assert len(boxes) <= 100
        assert len(np.unique(boxes, axis=0)) == len(boxes)
        met += (box_iou(held.boxes.astype(float), boxes).max(1) >= 0.5).tolist()
    assert np.mean(met) >= floor


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (3, 2, 3), (64, 64, 3)])
def test_tiny_and_even_pictures(shape: tuple[int, int, int]) -> None:
    made = search(np.full(shape, 90, np.uint8))
    assert len(made.regions) == 1
    boxes, depths = proposals([made], 10, smallest=1)
    assert boxes.tolist() == [[0, 0, shape[1], shape[0]]]
    assert depths.tolist() == [0]
    if min(shape[:2]) < 3:
        assert len(proposals([made], 10)[0]) == 0


def test_the_search_pauses_all_along_and_can_be_ended_there() -> None:
    calls: list[None] = []
    made = search(picture(4), "RGB", 30.0, pause=lambda: calls.append(None))
    assert len(calls) > 2 * len(made.merges)

    def leave() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(picture(4), "RGB", 30.0, pause=leave)
