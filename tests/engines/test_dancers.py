"""Rendered dancers: bones keep their lengths, feet stand, the same seed gives the same bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from engines.nn.motion.dancers import (
    ANGLES,
    HELD_OUT,
    JOINTS,
    LENDER,
    SOURCE,
    STEP_BACK,
    TARGET,
    TRAINING,
    Motion,
    Person,
    joints,
    motion,
    render,
    room,
    transferred,
)

BONES = [
    ("upper_arm", "shoulder", "elbow"), ("forearm", "elbow", "wrist"), ("thigh", "hip", "knee"),
    ("shin", "knee", "ankle"),
]  # fmt: skip


@pytest.mark.parametrize("person", [TARGET, LENDER])
def test_bones_keep_their_lengths_and_the_lower_foot_stands(person: Person) -> None:
    danced = motion(SOURCE, 50)
    found = dict(zip(JOINTS, joints(person, danced, 100)[..., :2].transpose(1, 0, 2), strict=True))
    size = 100 * person.place.size * (STEP_BACK + (1 - STEP_BACK) * danced.nearness)
    for name, a, b in BONES:
        for side in ("left", "right"):
            length = np.linalg.norm(found[f"{side} {a}"] - found[f"{side} {b}"], axis=1)
            np.testing.assert_allclose(length, getattr(person.body, name) * size, rtol=1e-12)
    row = person.place.far + (person.place.near - person.place.far) * danced.nearness
    lower = np.maximum(found["left ankle"], found["right ankle"])[:, 1]
    np.testing.assert_allclose(lower, 100 * row, rtol=1e-12)


def test_hand_made_pose() -> None:
    # Upright, arms spread level, the left forearm upwards; legs straight.
    angles = np.zeros((1, len(ANGLES)))
    for name in ("left arm", "right arm", "left elbow"):
        angles[0, ANGLES.index(name)] = np.pi / 2
    pose = joints(TARGET, Motion(angles, np.zeros(1), np.ones(1)), 100)[0]
    at = dict(zip(JOINTS, pose[:, :2], strict=True))
    body, size = TARGET.body, 100 * TARGET.place.size
    assert at["nose"][0] == pytest.approx(50)
    np.testing.assert_allclose(
        at["left elbow"] - at["left shoulder"], (body.upper_arm * size, 0), atol=1e-9
    )
    np.testing.assert_allclose(
        at["right wrist"] - at["right elbow"], (-body.forearm * size, 0), atol=1e-9
    )
    np.testing.assert_allclose(
        at["left wrist"] - at["left elbow"], (0, -body.forearm * size), atol=1e-9
    )
    legs = (body.thigh + body.shin) * size
    np.testing.assert_allclose(at["left ankle"] - at["left hip"], (0, legs), atol=1e-9)
    assert (pose[:, 2] == 1).all()


def test_same_seed_same_bytes_and_other_seeds_differ() -> None:
    seeds = (*TRAINING, HELD_OUT, SOURCE)
    one = [hashlib.sha256(render(TARGET, motion(s, 6)).tobytes()).hexdigest() for s in seeds]
    two = [hashlib.sha256(render(TARGET, motion(s, 6)).tobytes()).hexdigest() for s in seeds]
    assert one == two
    assert len(set(one)) == len(seeds)
    np.testing.assert_array_equal(motion(1, 300).angles[:6], motion(1, 6).angles)


def test_truth_is_the_target_in_the_sources_motion() -> None:
    danced = motion(SOURCE, 4)
    truth = transferred(frames=4)
    np.testing.assert_array_equal(truth, render(TARGET, danced))
    assert np.abs(truth.astype(int) - render(LENDER, danced)).mean() > 10
    # The same angles: a bone points the same way in both, whatever its length.
    a, b = joints(TARGET, danced)[..., :2], joints(LENDER, danced)[..., :2]
    elbow, wrist = JOINTS.index("left elbow"), JOINTS.index("left wrist")
    bones = [p[:, wrist] - p[:, elbow] for p in (a, b)]
    ways = [bone / np.linalg.norm(bone, axis=1, keepdims=True) for bone in bones]
    np.testing.assert_allclose(ways[0], ways[1], atol=1e-12)


def test_clothes_are_where_the_joints_are() -> None:
    danced = motion(0, 30)
    frames, poses = render(TARGET, danced, 128), joints(TARGET, danced, 128)
    head = poses[:, JOINTS.index("nose"), :2].astype(int)
    shoe = poses[:, JOINTS.index("left ankle"), :2].astype(int)
    seen = frames[np.arange(30), head[:, 1], head[:, 0]].astype(int)
    body = TARGET.body
    # A raised arm may hide the head for some frames, never the shoes.
    assert np.median(np.abs(seen - body.skin).max(1)) == 0
    assert (
        np.abs(frames[np.arange(30), shoe[:, 1], shoe[:, 0]].astype(int) - body.shoes) < 2
    ).all()


def test_everybody_stays_in_the_picture() -> None:
    for person in (TARGET, LENDER):
        for seed in range(5):
            poses = joints(person, motion(seed))[..., :2]
            assert poses.min() > 1
            assert poses.max() < 63


def test_somebody_far_outside_leaves_the_room_empty() -> None:
    away = replace(motion(0, 2), sway=np.array([9.0, -9.0]))
    empty = np.rint(room(TARGET.place)).astype(np.uint8)
    np.testing.assert_array_equal(render(TARGET, away), np.stack([empty, empty]))
