"""Stick figures: joints and limbs are found again by the centroids of their colours."""

from __future__ import annotations

import numpy as np
import pytest

from engines.nn.motion.dancers import LENDER, TARGET, Person, joints, motion
from engines.nn.motion.stick_figures import (
    DISC,
    JOINT_COLOURS,
    LIMB_COLOURS,
    LIMBS,
    OVER,
    THIRTEEN,
    draw,
    draw_all,
    seventeen,
    thickness,
)

# Nobody's joint hides another's.
SPREAD = np.array([
    (50, 12), (54, 8), (46, 8), (60, 11), (40, 11), (62, 26), (38, 26), (74, 36), (26, 36),
    (86, 28), (14, 28), (58, 56), (42, 56), (62, 74), (38, 74), (66, 92), (30, 92),
], np.float64)  # fmt: skip


def figure(scale: float = 4.0) -> np.ndarray:
    return np.concatenate([SPREAD * scale + 0.3, np.ones((17, 1))], 1)


def centroid(picture: np.ndarray, colour: np.ndarray, near: float = 1.0) -> np.ndarray:
    """Mean position of the pixels of a colour; pixel i has its middle at i + 0.5."""
    rows, columns = np.nonzero((np.abs(picture.astype(float) - colour) <= near).all(2))
    assert len(rows), "the colour is not there"
    return np.array([columns.mean(), rows.mean()]) + 0.5


def test_every_joint_is_found_within_a_pixel() -> None:
    pose = figure()
    picture = draw(pose, 400, 400)
    for joint in range(17):
        away = centroid(picture, JOINT_COLOURS[joint]) - pose[joint, :2]
        assert np.abs(away).max() < 1.0


@pytest.mark.parametrize("person", [TARGET, LENDER])
def test_a_dancers_joints_are_found_within_a_pixel(person: Person) -> None:
    pose = joints(person, motion(4, 60), 512)[40]
    picture = draw(pose, 512, 512)
    for i, joint in enumerate(THIRTEEN):
        assert np.abs(centroid(picture, JOINT_COLOURS[joint]) - pose[i, :2]).max() < 1.0


@pytest.mark.parametrize("number", range(len(LIMBS)))
def test_a_limb_lies_between_its_joints_in_its_colour(number: int) -> None:
    pose = figure()
    a, b = LIMBS[number]
    others = [n for n in range(len(LIMBS)) if n != number]
    pose[[j for j in range(17) if j not in (a, b)], 2] = 0
    picture = draw(pose, 400, 400, without=others)
    blended = OVER * LIMB_COLOURS[number] + (1 - OVER) * 255
    middle = (pose[a, :2] + pose[b, :2]) / 2
    assert np.abs(centroid(picture, blended) - middle).max() < 1.0


def test_half_width_and_disc_grow_with_the_picture() -> None:
    # At 1024 rows a limb is 16 px across and a disc has a radius of 16 px.
    assert thickness(512) == 4.0
    assert thickness(1024) == 8.0
    pose = np.zeros((17, 3))
    pose[5], pose[7] = (200, 300, 1), (800, 300, 1)
    picture = draw(pose, 1024, 1024)
    column = (picture[:, 500] != 255).any(1)
    assert column.sum() == pytest.approx(16, abs=2)
    disc = (picture == JOINT_COLOURS[5]).all(2).sum()
    assert disc == pytest.approx(np.pi * (DISC * 8) ** 2, rel=0.15)


def test_ellipse_has_its_closed_form_area() -> None:
    pose = np.zeros((17, 3))
    pose[5], pose[7] = (100, 100, 1), (180, 160, 1)  # 100 px apart
    bare = 255.0 - draw(pose, 256, 256, half_width=6, without=range(len(LIMBS)))
    painted = 255.0 - draw(pose, 256, 256, half_width=6)
    beside = (bare == 0).all(2)
    ink = OVER * (255 - LIMB_COLOURS[LIMBS.index((5, 7))]).sum()
    area = painted[beside].sum() / ink
    whole = np.pi * 50 * 6
    assert whole * 0.75 < area < whole * 1.02  # the discs hide its two tips


def test_unsure_and_missing_joints_are_left_out() -> None:
    pose = figure()
    pose[9, 2], pose[10, :2] = 0.2, np.nan
    picture = draw(pose, 400, 400, least=0.3)
    for joint in (9, 10):
        assert not (picture == JOINT_COLOURS[joint]).all(2).any()
    assert (picture == JOINT_COLOURS[7]).all(2).any()
    pose[:, 2] = 0
    assert (draw(pose, 40, 60) == 255).all()
    assert draw(pose, 40, 60).shape == (40, 60, 3)


def test_later_limbs_are_blended_over_earlier_ones() -> None:
    pose = np.zeros((17, 3))
    pose[5], pose[12] = (10, 50, 1), (90, 50, 1)  # left shoulder, right hip
    pose[6], pose[11] = (50, 10, 1), (50, 90, 1)
    pose[7], pose[8] = (90, 50.0, 1), (50, 90, 1)  # upper arms cross in the middle
    kept = [LIMBS.index((5, 7)), LIMBS.index((6, 8))]
    dropped = [n for n in range(len(LIMBS)) if n not in kept]
    under, over = LIMB_COLOURS[kept[0]], LIMB_COLOURS[kept[1]]
    wanted = 0.4 * (0.4 * 255 + 0.6 * under) + 0.6 * over
    crossing = draw(pose, 100, 100, half_width=4, without=dropped)[50, 50]
    np.testing.assert_allclose(crossing, wanted, atol=1)


def test_thirteen_joints_and_seventeen_draw_alike() -> None:
    whole = figure()
    whole[1:5, 2] = 0
    np.testing.assert_array_equal(draw(whole, 400, 400), draw(whole[list(THIRTEEN)], 400, 400))
    clip = draw_all(np.stack([whole, whole])[:, THIRTEEN, :], 100, 80)
    assert clip.shape == (2, 100, 80, 3)
    assert draw_all(np.zeros((0, 17, 3)), 10, 10).shape == (0, 10, 10, 3)
    with pytest.raises(ValueError, match="their end must be"):
        seventeen(np.zeros((25, 3)))


def test_a_joint_outside_the_picture_is_cut_off() -> None:
    pose = figure()
    pose[9, :2] = (1e4, -50)
    picture = draw(pose, 400, 400)
    assert not (picture == JOINT_COLOURS[9]).all(2).any()
    assert len(np.unique(LIMB_COLOURS, axis=0)) == len(LIMBS)
