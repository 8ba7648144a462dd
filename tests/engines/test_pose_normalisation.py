"""Pose normalisation: closed forms of the card, cleaning, and what clips have wrong with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import median_filter

from engines.nn.motion.dancers import LENDER, SOURCE, TARGET, TRAINING, joints, motion
from engines.nn.motion.pose_normalisation import (
    ANKLES,
    FAR_FRACTION,
    Floor,
    floor_of,
    measured,
    median_window,
    normalise,
    one_person,
)
from engines.nn.motion.stick_figures import THIRTEEN, seventeen


def clip(seed: int = 0, frames: int = 120, side: int = 64) -> np.ndarray:
    return seventeen(joints(TARGET, motion(seed, frames), side))


def standing(toes: list[float], heights: list[float]) -> np.ndarray:
    """Figures of which only the nose and the ankles are seen."""
    poses = np.zeros((len(toes), 17, 3))
    poses[:, ANKLES, 2] = poses[:, 0, 2] = 1
    poses[:, ANKLES[0], 1], poses[:, ANKLES[1], 1] = toes, np.array(toes) - 3
    poses[:, 0, 1] = np.array(toes) - heights
    return poses


def test_source_as_target_changes_nothing() -> None:
    poses = clip()
    floor = floor_of(poses, 64)
    made = normalise(poses, floor, floor)
    seen = poses[..., 2] > 0
    np.testing.assert_allclose(made.poses[seen], poses[seen], rtol=0, atol=1e-9)
    np.testing.assert_allclose(made.scale, 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(made.shift, 0, rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", [0.5, 1.7])
def test_scaling_about_the_toes_is_undone(k: float) -> None:
    target = clip()
    _, toes = measured(target)
    source = target.copy()
    source[..., 0] = 32 + k * (target[..., 0] - 32)
    source[..., 1] = toes[:, None] + k * (target[..., 1] - toes[:, None])
    made = normalise(source, floor_of(source, 64), floor_of(target, 64))
    seen = target[..., 2] > 0
    np.testing.assert_allclose(made.poses[seen], target[seen], rtol=0, atol=1e-9)
    np.testing.assert_allclose(made.scale, 1 / k, rtol=1e-12)


def test_another_size_of_picture_is_undone() -> None:
    target = clip()
    source = target * np.array([2.5, 2.5, 1])  # the same clip at 160 px
    made = normalise(source, floor_of(source, 160), floor_of(target, 64))
    np.testing.assert_allclose(made.poses[:, THIRTEEN], target[:, THIRTEEN], rtol=0, atol=1e-9)


def test_closest_toes_come_to_the_targets_closest_row() -> None:
    target, source = clip(0), seventeen(joints(LENDER, motion(SOURCE, 90), 64))
    floor = floor_of(target, 64)
    made = normalise(source, floor_of(source, 64), floor)
    _, before = measured(source)
    _, after = measured(made.poses)
    closest = int(before.argmax())
    assert after[closest] == pytest.approx(floor.maxtoe, abs=1e-9)
    assert int(after.argmax()) == closest


def test_the_order_of_joints_is_kept() -> None:
    source = seventeen(joints(LENDER, motion(SOURCE, 90), 64))
    made = normalise(source, floor_of(source, 64), floor_of(clip(), 64))
    for axis in (0, 1):
        a, b = source[:, THIRTEEN, axis], made.poses[:, THIRTEEN, axis]
        np.testing.assert_array_equal(
            a.argsort(1, kind="stable")[np.diff(np.sort(a)).min(1) > 1e-6],
            b.argsort(1, kind="stable")[np.diff(np.sort(a)).min(1) > 1e-6],
        )


def test_rows_of_the_floor_by_hand() -> None:
    # Median 100, closest 120: the far end lies at 100 - 0.5 * 20; its tallest is 50, not 90.
    floor = floor_of(standing([90, 91, 100, 110, 120], [48, 50, 90, 70, 80]), 200)
    assert floor == Floor(120, 100 - FAR_FRACTION * 20, 80, 50, 200)
    # A source half as tall whose floor is rows 40 to 60; at row 50 u is 1/2.
    source = Floor(60, 40, 20, 10, 100)
    poses = standing([50, 60, 40], [15, 20, 10])
    poses[0, 5] = (70, 30, 1)
    made = normalise(poses, source, floor)
    np.testing.assert_allclose(made.scale, [4.5, 4, 5])
    np.testing.assert_allclose(made.shift, [105 - 50, 120 - 60, 90 - 40])
    # s p + (c - s c) + (0, shift), c = middle column and toe row, and the middle of the target.
    np.testing.assert_allclose(made.poses[0, 5], [100 + 4.5 * 20, 50 - 4.5 * 20 + 55, 1])


def test_normalised_dancer_stands_where_the_target_would() -> None:
    # Ground truth: the target with the source's angles. Left over are the limbs' own lengths.
    training = np.concatenate([joints(TARGET, motion(seed), 64) for seed in TRAINING])
    source = joints(LENDER, motion(SOURCE), 64)
    truth = joints(TARGET, motion(SOURCE), 64)
    made = normalise(source, floor_of(source, 64), floor_of(training, 64))
    away = np.linalg.norm(made.poses[:, THIRTEEN, :2] - truth[..., :2], axis=2).mean()
    raw = np.linalg.norm((source - truth)[..., :2], axis=2).mean()
    assert raw > 7
    assert away < 1.5


def test_a_flat_floor_keeps_jumps() -> None:
    poses = standing([100.0, 100.3, 99.8, 100.1], [60, 60, 60, 60])
    floor = floor_of(poses, 100)
    assert floor.flat
    made = normalise(poses, floor, replace(floor, maxtoe=50.0, near=30.0, far=30.0))
    np.testing.assert_allclose(made.scale, 0.5)
    _, toes = measured(made.poses)
    np.testing.assert_allclose(toes, 50 + 0.5 * (np.array([100.0, 100.3, 99.8, 100.1]) - 100.3))


def test_height_without_nose_is_from_the_ears() -> None:
    poses = standing([100], [60])
    poses[0, 0, 2] = 0
    poses[0, 3], poses[0, 4] = (0, 42, 0.9), (0, 46, 0.9)
    heights, toes = measured(poses)
    assert heights[0] == 56
    assert toes[0] == 100
    poses[0, ANKLES[0], 2] = 0.2  # the lower ankle is not believed
    assert measured(poses, least=0.3)[1][0] == 97
    poses[0, 3:5, 2] = 0
    assert np.isnan(measured(poses)).all()


def test_bad_frames_repeat_the_last_good_change() -> None:
    poses, target = clip(frames=40), floor_of(clip(1), 64)
    source = floor_of(poses, 64)
    whole = normalise(poses, source, target)
    hidden = poses.copy()
    hidden[[0, 1, 20, 21, 22], 15:, 2] = 0  # no ankles; the person leaves upwards
    made = normalise(hidden, source, target)
    assert not made.good[[0, 1, 20, 21, 22]].any()
    assert made.good.sum() == 35
    np.testing.assert_allclose(made.scale[20:23], whole.scale[19])
    np.testing.assert_allclose(made.shift[20:23], whole.shift[19])
    np.testing.assert_allclose(made.scale[:2], whole.scale[2])
    np.testing.assert_allclose(made.poses[made.good][:, :15], whole.poses[made.good][:, :15])
    assert (made.poses[20, 15:] == 0).all()
    assert np.isfinite(made.poses).all()


def test_median_is_scipys() -> None:
    poses = clip(frames=30) + np.random.RandomState(0).normal(0, 1, (30, 17, 3))
    poses[..., 2] = 0.9
    wanted = median_filter(poses, size=(7, 1, 1))
    np.testing.assert_allclose(median_window(poses, 7)[3:-3], wanted[3:-3])
    np.testing.assert_array_equal(median_window(poses, 1), poses)


def test_lost_joints_come_back_and_invented_ones_go() -> None:
    poses = np.tile(clip(frames=1), (15, 1, 1))
    poses[:, 1:5, 2] = 0
    lost, invented = poses.copy(), poses.copy()
    lost[6:8, 9] = 0
    invented[7, 1] = (500, 500, 1)
    jumped = poses.copy()
    jumped[4, 9, :2] += 40
    for spoilt in (lost, invented, jumped):
        made = median_window(spoilt, 7)
        np.testing.assert_allclose(made[:, THIRTEEN], poses[:, THIRTEEN])
        assert (made[:, 1:5] == 0).all()
    unsure = poses.copy()
    unsure[:, 9, 2] = 0.2
    assert (median_window(unsure, 7, least=0.3)[:, 9] == 0).all()
    with pytest.raises(ValueError, match="must be odd"):
        median_window(poses, 4)
    assert median_window(np.zeros((0, 17, 3))).shape == (0, 17, 3)


def test_nobody_and_too_few_frames_are_told() -> None:
    with pytest.raises(ValueError, match="nobody is seen from head to foot in any of 5 frames"):
        floor_of(np.zeros((5, 17, 3)), 64)
    few = np.zeros((9, 17, 3))
    few[:2] = clip(frames=2)
    with pytest.raises(ValueError, match="in 2 of 9 frames; at least 3"):
        floor_of(few, 64)
    floor = floor_of(clip(), 64)
    with pytest.raises(ValueError, match="nobody is seen"):
        normalise(np.zeros((5, 17, 3)), floor, floor)
    with pytest.raises(ValueError, match="no person is in any of 2 frames"):
        one_person([np.zeros((0, 17, 3)), []])


def test_of_two_people_the_one_who_stays_is_kept() -> None:
    stays = clip(frames=20, side=200)
    passes = stays * np.array([0.5, 0.5, 1]) + np.array([120, 0, 0])
    passes[..., 2] = stays[..., 2]
    frames = [
        np.stack([passes[t], stays[t]] if t % 2 else [stays[t], passes[t]])
        if 5 <= t < 12 else stays[t : t + 1]
        for t in range(20)
    ]  # fmt: skip
    frames[16] = np.zeros((0, 17, 3))  # out of the picture for a moment
    found, crowded = one_person(frames)
    np.testing.assert_array_equal(np.delete(found, 16, 0), np.delete(stays, 16, 0))
    assert (found[16] == 0).all()
    assert crowded == 7
