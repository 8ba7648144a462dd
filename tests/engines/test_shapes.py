"""The generated scenes: the same bytes for a seed, boxes that fit masks, limits of card S11."""

from __future__ import annotations

import hashlib
import itertools
import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle
from scipy import ndimage

from engines.nn.detection.shapes import HELD_OUT, NAMES, SQUARE, Scene, batch, scene
from explorer.core.paths import assets

# Made with NumPy 1.24.2 and with 2.4.6.
BYTES = {
    False: "0d1e1ee3a9483da3e3baaa6cd39191404f36c7ddfff0650e0289c41f233ceb55",
    True: "d607afded336d3040a0694ae7bce4b9273e537fcd9bfed321b5bb3d0de49258b",
}


def drawn(*, hard: bool, first: int = 0, count: int = 100) -> list[Scene]:
    return [scene(seed, hard=hard) for seed in range(first, first + count)]


@pytest.mark.parametrize("hard", [False, True])
def test_the_same_seed_gives_the_same_bytes(hard: bool) -> None:
    digest = hashlib.sha256()
    for s in drawn(hard=hard):
        for part in (s.image, s.boxes, s.masks, s.keypoints):
            digest.update(part.tobytes())
    assert digest.hexdigest() == BYTES[hard]


@pytest.mark.parametrize("hard", [False, True])
def test_boxes_are_those_of_the_masks(hard: bool) -> None:
    """pycocotools' own box of a mask, in its x, y, width, height."""
    for s in drawn(hard=hard, first=HELD_OUT):
        for box, mask in zip(s.boxes, s.masks, strict=True):
            x, y, w, h = rle.toBbox(rle.encode(np.asfortranarray(mask.astype(np.uint8))))
            assert box.tolist() == [x, y, x + w, y + h]
        assert (s.masks.sum(0) <= 1).all(), "a pixel belongs to one object"


def test_plain_scenes_keep_to_the_card() -> None:
    scenes = drawn(hard=False, count=300)
    assert {len(s.boxes) for s in scenes} == {1, 2, 3}
    sizes = np.concatenate([(s.boxes[:, 2:] - s.boxes[:, :2]).max(1) for s in scenes])
    assert sizes.min() >= 11
    assert sizes.max() <= 28
    for s in scenes:
        for a, b in itertools.combinations(s.boxes, 2):
            assert (a[2:] < b[:2]).any() or (b[2:] < a[:2]).any(), "disjoint"
        ground = s.image[~s.masks.any(0)].astype(float)
        assert (ground.mean(0) < 95).all()
        unclipped = ground.mean(0) > 40
        assert (np.abs(ground.std(0)[unclipped] - 12) < 1).all()
    labels = np.concatenate([s.labels for s in scenes])
    assert (np.bincount(labels, minlength=len(NAMES)) > len(labels) / 5).all()


def test_hard_scenes_overlap_are_faint_and_cluttered() -> None:
    scenes = drawn(hard=True, count=300)
    assert {len(s.boxes) for s in scenes} == set(range(1, 9))
    sizes = np.concatenate([(s.boxes[:, 2:] - s.boxes[:, :2]).max(1) for s in scenes])
    assert sizes.min() < 7
    assert sizes.max() > 36
    touching = sum(
        bool((np.minimum(a[2:], b[2:]) > np.maximum(a[:2], b[:2])).all())
        for s in scenes
        for a, b in itertools.combinations(s.boxes, 2)
    )
    assert touching > 300
    gaps = []
    for s in scenes:
        for mask in s.masks:
            ring = ndimage.binary_dilation(mask, iterations=2) & ~s.masks.any(0)
            if ring.sum() > 20 and mask.sum() > 60:
                gaps.append(abs(s.image[mask].mean() - s.image[ring].mean()))
    assert min(gaps) < 20
    assert np.median(gaps) > 40


def test_corners_of_squares_go_clockwise_and_lie_on_the_box() -> None:
    for s in drawn(hard=False):
        for label, box, corners in zip(s.labels, s.boxes, s.keypoints, strict=True):
            if label != SQUARE:
                assert not corners.any()
                continue
            x1, y1, x2, y2 = box
            wanted = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
            np.testing.assert_allclose(corners[:, :2], wanted, atol=0.5001)
            assert (corners[:, 2] == 1).all()


def test_a_batch_is_its_scenes_and_a_larger_side_scales() -> None:
    images, targets = batch((3, 4), hard=True)
    assert images.shape == (2, 3, 64, 64)
    for image, target, seed in zip(images, targets, (3, 4), strict=True):
        s = scene(seed, hard=True)
        np.testing.assert_array_equal((image * 255).round().byte().permute(1, 2, 0), s.image)
        np.testing.assert_array_equal(target.boxes, s.boxes)
        np.testing.assert_array_equal(target.masks, s.masks)
    wide = [scene(seed, side=128) for seed in range(50)]
    largest = max(float((s.boxes[:, 2:] - s.boxes[:, :2]).max()) for s in wide)
    assert wide[0].image.shape == (128, 128, 3)
    assert 40 < largest <= 56


def test_the_samples_are_drawn_scenes_with_their_annotations() -> None:
    told = json.loads((assets() / "shapes.json").read_text("utf-8"))
    for image, (seed, hard) in zip(told["images"], ((13, False), (10, True)), strict=True):
        held = scene(HELD_OUT + seed, hard=hard)
        pixels = cv2.imread(str(assets() / image["file_name"]))[..., ::-1]
        np.testing.assert_array_equal(pixels, held.image)
        own = [a for a in told["annotations"] if a["image_id"] == image["id"]]
        corners = [[*a["bbox"][:2], *np.add(a["bbox"][:2], a["bbox"][2:])] for a in own]
        np.testing.assert_array_equal(corners, held.boxes)
        assert [a["category_id"] - 1 for a in own] == held.labels.tolist()
