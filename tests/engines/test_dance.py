"""Motion transfer on rendered dancers, run and trained in a session as a window would."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.motion.dance import dragged
from engines.motion.dance_views import filled, light, usual_among, warning_curve
from engines.nn.motion.dance_baselines import nearest_pose
from engines.nn.motion.dance_clips import drive, training_clip
from explorer import params as knobs
from explorer.core.registry import load, table
from explorer.core.session import Session
from explorer.kinds import Artefact

ROW = table()["dance"]


@pytest.fixture(scope="module")
def session() -> Any:
    torch.set_num_threads(1)
    made = Session(ROW, device="cpu", seed=3, params={"frames": 3, "weights": "random"})
    made.open()
    yield made
    made.close()


def shown(session: Session, **values: Any) -> list[Artefact]:
    plain = knobs.as_dict(load(ROW).Params()) | {"frames": 3, "weights": "random"}
    session.set_params(plain | values)
    return [a for frame in session.run({}) for a in frame.artefacts]


def last(made: list[Artefact], name: str) -> Any:
    return [a for a in made if a.name == name][-1]


def test_a_row_of_five_a_frame_and_curves_at_the_end(session: Session) -> None:
    made = shown(session)
    frames = [a for a in made if a.name.startswith("frames/")]
    assert [a.step for a in frames] == [t for t in range(3) for _ in range(6)]
    truth = drive("other dancer").truth.frames
    pictures = [a.image for a in made if a.name == "frames/5 true"]
    np.testing.assert_array_equal(np.stack(pictures), truth[:3])
    quality = last(made, "quality/PSNR")
    assert quality.series == ("generated", "mean frame", "last frame", "nearest pose")
    assert last(made, "normalisation/scale").y.shape == (300,)
    assert all(np.isfinite(x).all() for a in made for x in a.arrays().values())
    assert last(made, "input/generated").note == "untrained"
    joints = last(made, "frames/1 source's joints")
    assert joints.points.shape == (1, 13, 3)  # nobody has eyes or ears
    assert (joints.labels[0], len(joints.skeleton)) == ("nose", 12)


def test_normalised_toes_run_along_the_targets_floor(session: Session) -> None:
    rows = last(shown(session), "normalisation/toe row")
    source, normalised, _ = rows.y
    assert normalised.max() == pytest.approx(rows.marks["closest, target"], abs=1e-3)
    assert source.max() == pytest.approx(rows.marks["closest, source"], abs=1e-3)
    raw = last(shown(session, normalise=False), "normalisation/toe row")
    np.testing.assert_allclose(raw.y[1], raw.y[0], atol=1e-4)


def test_the_frame_before_is_what_was_generated(session: Session) -> None:
    made = shown(session, faces=False)  # the corrected face is not fed back
    generated = [a.image for a in made if a.name == "frames/4 generated"]
    before = [a.image for a in made if a.name == "memory/frame before"]
    np.testing.assert_array_equal(before[1], generated[0])
    np.testing.assert_array_equal(before[2], generated[1])
    assert (before[0] == 128).all()
    changes = [a.image for a in made if a.name == "memory/change"]
    assert not changes[0].any()
    apart = np.abs(generated[2].astype(int) - generated[1])
    np.testing.assert_array_equal(changes[2], np.minimum(4 * apart, 255))
    without = shown(session, feedback=False)
    assert all((a.image == 128).all() for a in without if a.name == "memory/frame before")


def test_both_ways_about_feedback_are_compared_whichever_is_shown(session: Session) -> None:
    name = "quality/frame change"
    fed, unfed = (last(shown(session, feedback=on), name) for on in (True, False))
    assert fed.series == ("with feedback", "without feedback", "true")
    np.testing.assert_allclose(fed.y, unfed.y, atol=1e-5)
    assert np.abs(fed.y[0] - fed.y[1]).max() > 1e-4
    frames = drive("other dancer").truth.frames[:3].astype(float) / 255
    np.testing.assert_allclose(fed.y[2], np.abs(np.diff(frames, axis=0)).mean((1, 2, 3)))


def test_a_dragged_joint_moves_the_figure_and_the_frame(session: Session) -> None:
    plain = shown(session)
    name = "frames/3 drives"
    assert last(plain, "hand/figure").gestures == {"drag": "moved+"}
    assert (last(plain, "hand/figure").image[3:7, 58:62] == 255).all()
    held = shown(session, moved=((50.0, 16.0), (60.0, 5.0)))
    assert (last(held, "hand/figure").image[4:6, 59:61] != 255).any()
    for name in ("hand/generated", "frames/4 generated"):
        assert not np.array_equal(last(plain, name).image, last(held, name).image)
    far = "quality/pose distance"
    assert last(held, far).y.mean() > last(plain, far).y.mean()
    assert last(held, far).note.startswith("WARNING: 3 of 3")
    assert last(held, "light/driving pose").text.startswith("WARNING: frame 2:")


def test_drags_take_the_nearest_joint_from_where_it_is_by_then() -> None:
    pose = np.zeros((17, 3))
    pose[[0, 9, 10], 2] = 1
    pose[[0, 9, 10], 0] = (10, 20, 30)
    pose[3, :2] = 29, 1  # not seen
    way = dragged(pose, ((29, 1), (40, 8)))
    assert way[10].tolist() == [10, 8]
    assert np.count_nonzero(way) == 2
    again = dragged(pose, ((29, 1), (40, 8), (41, 8), (0, 0)))
    assert again[10].tolist() == [-30, 0]
    assert dragged(pose, ((13, 0),))[0].tolist() == [3, 0], "a lone place draws the nearest joint"
    assert not dragged(pose, ()).any()
    assert not dragged(np.zeros((17, 3)), ((1, 1), (2, 2))).any()


def test_every_knob_of_a_run_acts(session: Session) -> None:
    plain = shown(session)
    for name, value in {
        "motion": "own skeleton", "first": 9, "size": 1.2, "lift": 3.0, "jitter": 1.0,
        "moved": ((1.0, 1.0), (30.0, 30.0)), "window": "7", "thick": 2.0,
        "drop": "left shoulder to left elbow", "limbs": True,
    }.items():  # fmt: skip
        other = shown(session, **{name: value})
        now = [a.image for a in other if a.name == "frames/3 drives"]
        then = [a.image for a in plain if a.name == "frames/3 drives"]
        assert not np.array_equal(now, then), name
    assert len([a for a in shown(session, frames=2) if a.name == "frames/5 true"]) == 2


def test_far_poses_are_told_and_usual_ones_are_not() -> None:
    poses = training_clip().poses
    usual = usual_among(poses, 300)
    assert 1 < usual < 6
    near = warning_curve(nearest_pose(poses[:5], poses)[1], usual, 0, 0)
    assert near.y.max() == 0
    assert near.note.startswith("fine: ")
    flipped = poses[:5].copy()
    flipped[..., 1] = 64 - flipped[..., 1]  # upside down
    away = nearest_pose(flipped, poses)[1]
    far = warning_curve(away, usual, 7, 0)
    assert far.note.startswith("WARNING: 5 of 5 frames")
    assert far.x.tolist() == [7, 8, 9, 10, 11]
    assert light(7, away[0], usual, 0).text.startswith("WARNING: frame 7")
    assert light(7, usual, usual, 0).text.startswith("Fine: frame 7")


def test_usual_distance_by_hand() -> None:
    clips = np.ones((60, 17, 3))
    clips[:, :, 0] = np.repeat([0.0, 4.0, 4.0], 20)[:, None]
    # The first clip is 4 px from both others; those two are alike.
    assert usual_among(clips, 20) == pytest.approx(4)


def test_gaps_of_a_curve_are_bridged() -> None:
    nan = np.nan
    np.testing.assert_allclose(filled(np.array([nan, 1, nan, nan, 4, nan])), [1, 1, 2, 3, 4, 4])


def trained(session: Session, steps: int, **given: Any) -> list[Artefact]:
    frames = session.train({}, steps=steps, **given)
    return [a for frame in frames for a in frame.artefacts]


def opened(seed: int) -> Session:
    small = {"batch": 1, "frames": 2, "weights": "random", "train_steps": 2, "face_steps": 1}
    made = Session(ROW, device="cpu", seed=seed, params=small)
    made.open()
    return made


def test_training_shows_its_course_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.nn.motion.dance_learning.HELD", 6)
    one = opened(3)
    made = trained(one, 3)
    losses = last(made, "training/loss")
    assert losses.series == ("adversarial", "feature matching", "L1", "D real", "D made")
    assert losses.y.shape == (5, 2)
    of_faces = last(made, "training/face loss")
    assert of_faces.series == ("face, adversarial", "face, L1", "D true face", "D made face")
    assert of_faces.y.shape == (4, 1)
    assert last(made, "held-out/figure, generated, true").image.shape == (3 * 64, 6 * 64, 3)
    crops = last(made, "held-out/face: figure, generated, corrected, true")
    assert crops.image.shape == (4 * 16, 6 * 16, 3)
    assert last(made, "training/PSNR").y.shape == (2,)  # the first step and the last of the frames
    assert last(made, "training/face SSIM").marks.keys() == {"without the correction"}
    assert one.engine.provenance == "trained here, 3 steps"
    assert last(shown_by(one), "input/generated").note == "trained here, 3 steps"
    whole = one.network.state_dict()

    half, again = opened(3), opened(8)
    out = tmp_path / "half.safetensors"
    trained(half, 1, out=out)
    trained(again, 2, resume=out)  # two more: the last of the frames, the first of the faces
    for name, value in again.network.state_dict().items():
        torch.testing.assert_close(value, whole[name], rtol=0, atol=0)
    for session in (one, half, again):
        session.close()


def shown_by(session: Session) -> list[Artefact]:
    return [a for frame in session.run({}) for a in frame.artefacts]


def test_nothing_that_is_measured_was_trained_on() -> None:
    training = {frame.tobytes() for frame in training_clip().frames}
    for name in ("other dancer", "own skeleton"):
        assert not training & {frame.tobytes() for frame in drive(name).truth.frames}
    with pytest.raises(ValueError, match="the drive is"):
        drive("nobody")
    assert dataclasses.is_dataclass(load(ROW).Params)
