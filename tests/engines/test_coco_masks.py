"""Masks in COCO's forms against pycocotools, to the pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as rle

from engines.nn.detection.coco_masks import from_polygon, mask_of
from explorer.coco_results import encoded_mask, runs


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_runs_and_packed_runs(seed: int, height: int, width: int, share: float) -> None:
    mask = np.random.default_rng(seed).uniform(size=(height, width)) < share
    ours, theirs = encoded_mask(mask), rle.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert ours["counts"] == theirs["counts"].decode()
    assert ours["size"] == list(theirs["size"])
    np.testing.assert_array_equal(mask_of(ours, height, width), mask)
    plain = {"size": [height, width], "counts": runs(mask).tolist()}
    np.testing.assert_array_equal(mask_of(plain, height, width), mask)


@given(st.integers(0, 10**6), st.integers(3, 12))
def test_polygons(seed: int, corners: int) -> None:
    """Also those that cross themselves or leave the picture."""
    polygon = np.random.default_rng(seed).uniform(-10, 60, 2 * corners).round(2)
    theirs = rle.decode(rle.frPyObjects([polygon.tolist()], 40, 50))[..., 0]
    np.testing.assert_array_equal(from_polygon(polygon, 40, 50), theirs.astype(bool))


def test_two_polygons_are_one_mask() -> None:
    parts = [[0, 0, 10, 0, 10, 10, 0, 10], [20, 20, 30, 20, 30, 30, 20, 30]]
    theirs = rle.decode(rle.merge(rle.frPyObjects(parts, 40, 40))).astype(bool)
    np.testing.assert_array_equal(mask_of(parts, 40, 40), theirs)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([[1, 2, 3]], "three or more"),
        ([[1, 2, 3, 4, float("nan"), 5]], "finite"),
        ({"size": [4, 4], "counts": [3, 2]}, "add up to 4 × 4"),
        ({"size": [5, 4], "counts": [20]}, "for size"),
        ({"size": [4, 4], "counts": "é"}, "letters"),
        ({"size": [4, 4], "counts": "`"}, "break off"),
        (7, "neither polygons nor runs"),
        ("text", "neither polygons nor runs"),
    ],
)
def test_wrong_segmentations_are_told(wrong: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        mask_of(wrong, 4, 4)
