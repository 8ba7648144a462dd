"""Clips of one's own, cleaned, split and brought together: by feet, by shoulders, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engines.motion.dance_own_views import Piece, Quality, measured_by, side_by_side
from engines.motion.dance_views import Film
from engines.nn.motion.bust import PAIRS, Bust, bust_of, seated, seen_by
from engines.nn.motion.dance_baselines import mean_frame
from engines.nn.motion.dance_faces import Faces
from engines.nn.motion.dance_training import GAP
from engines.nn.motion.dancers import LENDER, TARGET, joints, motion
from engines.nn.motion.footage import Footage
from engines.nn.motion.own_people import (
    LEAST,
    Cast,
    at_rate,
    brought,
    by_hand,
    cleaned,
    material,
    split,
)
from engines.nn.motion.stick_figures import draw, seventeen
from engines.nn.picture_scores import psnr
from explorer.engine import EngineError

Array = np.ndarray[Any, Any]
ASKED = SimpleNamespace(confidence=0.3, clean="1")


def dancer(count: int = 60, person: Any = TARGET, side: int = 64, seed: int = 0) -> Array:
    return seventeen(joints(person, motion(seed, count), side))


def upper(count: int = 60, seed: int = 0) -> Array:
    """Head and shoulders that wander and nod, in a picture of 96 x 64 pixels."""
    draw = np.random.RandomState(seed)
    made = np.zeros((count, 17, 3))
    at = {0: (48, 24), 1: (52, 20), 2: (44, 20), 3: (57, 22), 4: (39, 22), 5: (68, 48), 6: (28, 48)}
    sway = np.cumsum(draw.normal(0, 0.5, (count, 2)), 0)
    for joint, place in at.items():
        made[:, joint, :2] = np.array(place) + sway + draw.normal(0, 0.3, (count, 2))
        made[:, joint, 2] = 0.9
    return made


def clip(poses: Array, size: tuple[int, int] = (64, 64), fps: float = 25.0) -> Footage:
    frames = np.zeros((len(poses), *size, 3), np.uint8)
    frames += np.arange(len(poses), dtype=np.uint8)[:, None, None, None]
    return Footage("me.mp4", frames, poses, fps, ("two people",))


def whole(poses: Array, size: tuple[int, int] = (64, 64), fps: float = 25.0) -> Cast:
    return cleaned(clip(poses, size, fps), "source", ASKED)


def test_joints_below_the_confidence_go_and_frames_without_anybody_too() -> None:
    poses = dancer(30)
    poses[:, 9, 2] = 0.29
    poses[5:8, :, 2] = 0.1
    made = cleaned(clip(poses), "target", ASKED)
    assert made.lengths == (5, 22)
    assert len(made.frames) == len(made.poses) == 27
    assert made.frames[:, 0, 0, 0].tolist() == [*range(5), *range(8, 30)]
    assert (made.poses[:, 9] == 0).all()
    assert made.remarks == (
        "target: two people", "target: 3 of 30 frames are left out: nobody is sure there",
    )  # fmt: skip


def test_the_median_brings_a_lost_joint_back_and_takes_an_invented_one_away() -> None:
    poses = dancer(20)
    poses[10, 9, 2] = 0
    poses[12, 3] = (60, 60, 0.9)
    made = cleaned(clip(poses), "target", SimpleNamespace(confidence=0.3, clean="5"))
    around = np.median(poses[[8, 9, 11, 12], 9, :2], 0)
    np.testing.assert_allclose(made.poses[10, 9, :2], around)
    assert made.poses[12, 3, 2] == 0


def test_nobody_for_certain_is_told() -> None:
    poses = dancer(20)
    poses[..., 2] *= 0.2
    with pytest.raises(EngineError, match=r"target: me\.mp4: no 3 joints .* confidence of 0\.3"):
        cleaned(clip(poses), "target", ASKED)


def test_time_splits_what_is_learnt_from_what_is_measured() -> None:
    learnt, held = split(cleaned(clip(dancer(100)), "target", ASKED))
    assert len(learnt.frames) == 80 - GAP
    assert held.frames[:, 0, 0, 0].tolist() == list(range(80, 100))
    assert (learnt.lengths, held.lengths) == ((72,), (20,))
    few = cleaned(clip(dancer(LEAST - 1)), "target", ASKED)
    with pytest.raises(EngineError, match=f"in {LEAST - 1} frames; at least {LEAST} are needed"):
        split(few)
    assert split(cleaned(clip(dancer(LEAST)), "target", ASKED))[0].lengths == (LEAST - 6 - GAP,)


def test_parts_of_a_clip_keep_their_gaps() -> None:
    cast = Cast(np.zeros((10, 8, 8, 3), np.uint8), np.zeros((10, 17, 3)), (4, 1, 5), 25.0)
    assert cast.part(range(2, 8)).lengths == (2, 1, 3)
    assert cast.part(range(4, 5)).lengths == (1,)
    broken = Cast(np.zeros((40, 8, 8, 3), np.uint8), np.zeros((40, 17, 3)), (1,) * 40, 25.0)
    with pytest.raises(EngineError, match="in no two that follow one another"):
        split(broken)


def test_material_is_the_clip_and_its_figures() -> None:
    cast = whole(dancer(6))
    made = material(cast)
    np.testing.assert_array_equal(made.figures[3], draw(cast.poses[3], 64, 64))
    np.testing.assert_array_equal(made.frames, cast.frames)


def test_the_same_person_twice_is_left_as_it_is() -> None:
    for poses, by in ((dancer(), "head to feet"), (upper(), "shoulders")):
        way = brought(whole(poses), whole(poses), normalised=True)
        assert way.by == by
        np.testing.assert_allclose(way.made.poses, poses, atol=1e-9)
        np.testing.assert_allclose(way.made.scale, 1, atol=1e-9)
        np.testing.assert_allclose(way.made.shift, 0, atol=1e-9)
        np.testing.assert_allclose(by_hand(way.made.poses, way.anchors, 1.0, 0.0), poses, atol=1e-9)


def test_a_source_of_another_size_and_place_is_undone() -> None:
    """Upper bodies: scaled by k and moved, it comes back to where it was."""
    poses = upper()
    other = poses.copy()
    other[..., :2] = 1.7 * poses[..., :2] + (31, -9)
    other[poses[..., 2] == 0] = 0
    way = brought(whole(other, (128, 192)), whole(poses, (64, 96)), normalised=True)
    np.testing.assert_allclose(way.made.poses, poses, atol=1e-9)
    np.testing.assert_allclose(way.made.scale, 1 / 1.7)


def test_the_other_dancer_comes_to_the_targets_floor_whatever_the_picture() -> None:
    target = whole(dancer(300))
    for side in (64, 160):
        source = whole(dancer(300, LENDER, side, seed=4), (side, side))
        way = brought(source, target, normalised=True)
        toes = way.made.poses[:, 15:, 1].max(1)
        assert toes.max() == pytest.approx(target.poses[:, 15:, 1].max(), abs=1e-6)
        raw = brought(source, target, normalised=False)
        assert raw.by == "nothing"
        np.testing.assert_allclose(
            raw.made.poses[..., :2], source.poses[..., :2] * 64 / side, atol=1e-9
        )


def test_what_is_seen_in_both_decides() -> None:
    target, source = upper(), upper(seed=1)
    source[:, 5:7, 2] = 0  # no shoulders
    way = brought(whole(source), whole(target), normalised=True)
    assert way.by == "ears"
    source[:40, 3:5, 2] = 0  # ears in a third of the frames
    assert brought(whole(source), whole(target), normalised=True).by == "eyes"
    feet = np.zeros_like(source)
    feet[:, 11:] = dancer()[:, 11:]
    with pytest.raises(EngineError, match="nothing in common to measure by: shoulders, ears, eyes"):
        brought(whole(feet), whole(target), normalised=True)


def test_clips_that_cannot_be_measured_are_told() -> None:
    for source, target, words in (
        (dancer(2), dancer(), "in 2 of 2 frames; at least 3"),
        (np.stack([upper(1)[0] * (0, 0, 1)] * 4), upper(), "shoulders lie on each other"),
    ):
        with pytest.raises(EngineError, match=f"cannot be brought together: .*{words}"):
            brought(whole(source), whole(target), normalised=True)


def test_busts_by_hand() -> None:
    poses = np.zeros((3, 17, 3))
    poses[:, 5] = [(10, 20, 1), (12, 20, 1), (99, 99, 0)]
    poses[:, 6] = [(4, 28, 1), (6, 28, 1), (4, 28, 1)]
    assert bust_of(poses, "shoulders") == Bust(8.0, 24.0, 10.0, "shoulders")
    assert seen_by(poses) == ("shoulders",)
    assert set(PAIRS) == {"shoulders", "ears", "eyes"}
    made = seated(poses, Bust(8, 24, 10, "shoulders"), Bust(50, 60, 5, "shoulders"))
    np.testing.assert_allclose(made.poses[0, 5], (51, 58, 1))
    assert (made.poses[2, 5] == 0).all()
    assert made.good.tolist() == [True, True, False]
    with pytest.raises(ValueError, match="both ears are in none of 3 frames"):
        bust_of(poses, "ears")
    poses[:, 6] = poses[:, 5]
    with pytest.raises(ValueError, match="lie on each other"):
        bust_of(poses, "shoulders")


def test_size_and_lift_by_hand_leave_the_anchor_where_it_is() -> None:
    poses = upper(5)
    anchors = np.tile((48.0, 48.0), (5, 1))
    made = by_hand(poses, anchors, 2.0, 3.0)
    np.testing.assert_allclose(made[:, 0, 0], 48 + 2 * (poses[:, 0, 0] - 48))
    np.testing.assert_allclose(made[:, 0, 1], 48 + 2 * (poses[:, 0, 1] - 48) - 3)
    assert (made[:, 9] == 0).all()


@pytest.mark.parametrize(
    ("fps", "wanted"),
    [(25.0, [0, 1, 2, 3, 4, 5]), (50.0, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]), (12.5, [0, 2, 4]),
     (25.1, [0, 1, 2, 3, 4, 5])],
)  # fmt: skip
def test_at_each_moment_the_frame_that_is_shown_then(fps: float, wanted: list[int]) -> None:
    made = at_rate(whole(dancer(6)), fps)
    assert made.frames[:, 0, 0, 0].tolist() == wanted
    told = [r for r in made.remarks if "frames a second" in r]
    assert bool(told) is (len(wanted) != 6)


def test_a_row_is_as_high_as_its_last_picture_and_enlarged() -> None:
    wide = np.full((20, 80, 3), 200, np.uint8)
    last = np.full((64, 64, 3), 50, np.uint8)
    row = side_by_side([wide, last, last])
    assert row.shape == (256, 3 * 256, 3)
    assert (row[:, 256:] == 50).all()
    assert (row[:90, :256] == 0).all()  # bars
    assert abs(int(row[128, 128, 0]) - 200) <= 1
    assert side_by_side([np.zeros((300, 400, 3), np.uint8)]).shape == (300, 400, 3)


def test_figures_of_a_film_by_hand() -> None:
    target = whole(dancer(6))
    truth = np.stack([np.full((64, 64, 3), v, np.uint8) for v in (100, 110)])
    piece = Piece(target, target, truth)
    quality = Quality.of(piece, lambda: None)
    np.testing.assert_array_equal(quality.mean, mean_frame(target.frames))
    where = Faces(np.zeros((2, 2), np.int64), np.ones(2, bool), 8)
    for t, level in enumerate((120, 140)):
        frame = np.full((64, 64, 3), level, np.uint8)
        film = Film(frames=[frame], raw=[torch.zeros(1)])
        quality.add(film, piece, where, target.poses[2], t)
    rows = quality.rows
    last = target.frames[-1]
    assert rows["PSNR"]["last frame"][0] == pytest.approx(psnr(last, truth[0]))
    assert rows["PSNR"]["nearest pose"][1] == pytest.approx(psnr(target.frames[2], truth[1]))
    assert rows["PSNR of the head"]["generated"] == pytest.approx(
        [20 * np.log10(255 / 20), 20 * np.log10(255 / 30)]
    )
    assert rows["frame change"] == {
        "generated": pytest.approx([20 / 255]), "true": pytest.approx([10 / 255]),
    }  # fmt: skip
    curves = {c.name: c for c in quality.curves(np.arange(4, 6), 1)}  # type: ignore[attr-defined]
    assert curves["quality/PSNR"].x.tolist() == [4, 5]
    assert curves["quality/frame change"].x.tolist() == [5]


def test_what_was_measured_by_is_said() -> None:
    poses = upper()
    piece = Piece(whole(poses), whole(poses), None)
    way = brought(piece.source, piece.target, normalised=True)
    assert measured_by(way, piece).startswith("No feet in view: normalised by the shoulders")
    off = brought(piece.source, piece.target, normalised=False)
    assert "not normalised" in measured_by(off, piece)
    tall = Piece(whole(dancer()), whole(dancer()), None)
    way = brought(tall.source, tall.target, normalised=True)
    assert "head to feet" in measured_by(way, tall)
    assert piece.remarks == ("source: two people",)
