"""Proportions: one's own change nothing, another's become the target's, gaps stay gaps."""

from __future__ import annotations

import numpy as np
import pytest

from engines.nn.motion.dancers import LENDER, TARGET, joints, motion
from engines.nn.motion.limb_lengths import OUTWARDS, proportioned
from engines.nn.motion.pose_normalisation import floor_of, normalise
from engines.nn.motion.stick_figures import THIRTEEN, seventeen

SIDE = 64


def clip(body: object, seed: int = 0, frames: int = 120) -> np.ndarray:
    return seventeen(joints(body, motion(seed, frames), SIDE))


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of the joints in pixels."""
    gaps = np.linalg.norm(one[:, THIRTEEN, :2] - other[:, THIRTEEN, :2], axis=-1)
    return float(gaps.mean())


def test_own_proportions_change_nothing() -> None:
    poses = clip(TARGET)
    np.testing.assert_allclose(proportioned(poses, poses), poses, rtol=0, atol=1e-9)
    np.testing.assert_allclose(proportioned(poses, 3 * poses), poses, rtol=0, atol=1e-9)


def test_another_body_in_the_same_motion_becomes_the_target() -> None:
    training, source = clip(TARGET, seed=3), clip(LENDER)
    floors = [floor_of(poses, SIDE) for poses in (source, training)]
    by_size = normalise(source, *floors).poses
    own = proportioned(source, training)
    by_limbs = normalise(own, floor_of(own, SIDE), floors[1]).poses
    truth = clip(TARGET)
    assert apart(by_size, truth) > 3 * apart(by_limbs, truth)


def test_limbs_keep_their_directions_and_the_lower_foot_its_row() -> None:
    source = clip(LENDER)
    made = proportioned(source, clip(TARGET))
    for joint, parent in ((7, 5), (10, 8), (13, 11), (16, 14)):
        before, after = (p[:, joint, :2] - p[:, parent, :2] for p in (source, made))
        turned = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
        np.testing.assert_allclose(turned, 0, atol=1e-9)
    np.testing.assert_allclose(made[:, 15:, 1].max(1), source[:, 15:, 1].max(1), atol=1e-9)
    np.testing.assert_allclose(made[:, 11:13, 0].mean(1), source[:, 11:13, 0].mean(1), atol=1e-9)


@pytest.mark.parametrize("lost", [[15, 16], [11, 12, 13, 14, 15, 16], [5, 6], [7], list(range(17))])
def test_joints_that_are_not_seen_stay_so(lost: list[int]) -> None:
    source, target = clip(LENDER), clip(TARGET)
    source[::2, lost] = 0
    made = proportioned(source, target)
    assert np.isfinite(made).all()
    assert np.array_equal(made[..., 2], source[..., 2])
    assert not made[::2, lost].any()


def test_joints_that_are_never_seen_leave_the_others_their_lengths() -> None:
    source, target = clip(LENDER), clip(TARGET)
    source[:, 11:] = 0
    made = proportioned(source, target)
    assert np.isfinite(made).all()
    assert not made[:, 11:].any()
    assert np.array_equal(made[..., 2], source[..., 2])


def test_clips_without_a_limb_in_common_change_nothing() -> None:
    source, target = clip(LENDER), clip(TARGET)
    source[:, 11:], target[:, :11] = 0, 0
    assert np.array_equal(proportioned(source, target), source)


def test_every_joint_hangs_on_one_before_it() -> None:
    known: set[int] = set()
    for joints_, parents in OUTWARDS:
        assert joints_ == parents or set(parents) <= known
        known |= set(joints_)
    assert known == set(range(17))
