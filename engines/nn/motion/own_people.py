"""Target and source of motion transfer from clips: cleaned, split, brought together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.nn.motion.bust import PAIRS, SHARE, Bust, bust_of, seated, seen_by
from engines.nn.motion.dance_learning import Material
from engines.nn.motion.dance_training import split_by_time
from engines.nn.motion.footage import Footage, filed, parts
from engines.nn.motion.pose_normalisation import (
    Floor,
    Normalised,
    floor_of,
    measured,
    median_window,
    normalise,
)
from engines.nn.motion.stick_figures import draw
from explorer.api import EngineError

FEWEST = 3  # joints without which nobody is in a frame
LEAST = 30  # frames that a clip to learn from must have
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """Somebody's clip with cleaned poses; frames without that person are gone.

    Attributes:
        frames: (T, H, W, 3). ``poses``: (T, 17, 3).
        lengths: of the parts in which frame follows frame.
        fps: frames a second.
        remarks: what a person should know of it.
    """

    frames: Bytes
    poses: Floats
    lengths: tuple[int, ...]
    fps: float
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        return self.frames.shape[1], self.frames.shape[2]

    def part(self, which: range) -> Cast:
        """Some frames that follow one another here."""
        ends = np.cumsum(self.lengths)
        spans = [range(int(b) - n, int(b)) for n, b in zip(self.lengths, ends, strict=True)]
        cut = (range(max(s.start, which.start), min(s.stop, which.stop)) for s in spans)
        at = slice(which.start, which.stop)
        lengths = tuple(len(s) for s in cut if len(s))
        return Cast(self.frames[at], self.poses[at], lengths, self.fps, self.remarks)


def cleaned(clip: Footage, slot: str, params: Any) -> Cast:
    """Joints that are not believed go, the others are smoothed, and empty frames are left out.

    Args:
        slot: which input it is, for messages.
        params: with ``confidence`` and ``clean``, frames of the median.

    Raises:
        EngineError: nobody is seen for certain.
    """
    poses = clip.poses.copy()
    poses[poses[..., 2] < params.confidence] = 0
    poses = median_window(poses, int(params.clean))
    good = (poses[..., 2] > 0).sum(1) >= FEWEST
    if not good.any():
        raise EngineError(
            f"{slot}: {clip.name}: no {FEWEST} joints of anybody reach a confidence of "
            f"{params.confidence:g} in any of {len(good)} frames; lower it, or take a clip with "
            "the person larger and in light"
        )
    remarks = [f"{slot}: {remark}" for remark in clip.remarks]
    frames = clip.frames
    if not good.all():
        lost = int((~good).sum())
        remarks.append(f"{slot}: {lost} of {len(good)} frames are left out: nobody is sure there")
        kept = np.flatnonzero(good)
        frames, poses = filed(frames[i] for i in kept), poses[kept]
    lengths = tuple(len(p) for p in parts(good))
    return Cast(frames, poses, lengths, clip.fps, tuple(remarks))


def shaken(poses: Floats, jitter: float, seed: int) -> Floats:
    """Poses (T, 17, 3) with noise of ``jitter`` pixels on the joints that are seen."""
    made = poses.copy()
    noise = np.random.RandomState(seed % 2**32).normal(0, 1, poses[..., :2].shape)
    made[..., :2] += jitter * noise * (poses[..., 2:] > 0)
    return made


def split(target: Cast) -> tuple[Cast, Cast]:
    """What is learnt from and, after a gap, what is only measured.

    Raises:
        EngineError: too few frames.
    """
    count = len(target.frames)
    if count < LEAST:
        raise EngineError(
            f"target: the person is in {count} frames; at least {LEAST} are needed to learn from "
            "some and to measure on others, and a minute serves far better"
        )
    training, held = split_by_time(count)
    learnt = target.part(training)
    if max(learnt.lengths) < 2:
        raise EngineError(
            f"target: the person is in {count} frames, but in no two that follow one another; take "
            "a clip with the person in view throughout"
        )
    return learnt, target.part(held)


def material(cast: Cast) -> Material:
    """The clip with its stick figures, for `dance_learning.learnt`."""
    height, width = cast.size
    figures = filed(draw(pose, height, width) for pose in cast.poses)
    return Material(figures, cast.frames, cast.poses)


@dataclass(frozen=True, slots=True, eq=False)
class Brought:
    """The source's poses where the target would be.

    Attributes:
        made: in pixels of the target's frames.
        by: what both were measured by: "head to feet", one of `bust.PAIRS`, or "nothing".
        anchors: (T, 2), what a change of size by hand keeps in place.
        source, target: the measures themselves.
    """

    made: Normalised
    by: str
    anchors: Floats
    source: Floor | Bust | None = None
    target: Floor | Bust | None = None


def brought(source: Cast, target: Cast, *, normalised: bool) -> Brought:
    """Normalise by the floor where both are seen from head to feet, else by the upper body.

    Without ``normalised`` poses keep their place and size in parts of the picture's height.

    Raises:
        EngineError: nothing is seen in both clips that could be measured by.
    """
    if not normalised:
        return _as_they_lie(source, target)
    try:
        return _measured(source, target)
    except ValueError as error:
        raise EngineError(
            f"source and target cannot be brought together: {error}; or switch off normalise"
        ) from error


def _measured(source: Cast, target: Cast) -> Brought:
    if all(_whole(cast.poses) for cast in (source, target)):
        ours, theirs = (floor_of(c.poses, c.size[1]) for c in (source, target))
        made = normalise(source.poses, ours, theirs)
        _, toes = measured(made.poses)
        rows = np.where(np.isnan(toes), theirs.maxtoe, toes)
        anchors = np.stack([np.full(len(rows), theirs.width / 2), rows], 1)
        return Brought(made, "head to feet", anchors, ours, theirs)
    there = seen_by(target.poses)
    both = [name for name in seen_by(source.poses) if name in there]
    if not both:
        raise EngineError(
            f"source and target have nothing in common to measure by: {', '.join(PAIRS)} or head "
            f"and feet must be in at least {SHARE:.0%} of the frames of both. Take clips that show "
            "the same part of the body, lower the confidence, or switch off normalise"
        )
    bust, seat = bust_of(source.poses, both[0]), bust_of(target.poses, both[0])
    anchors = np.tile((seat.x, seat.y), (len(source.poses), 1))
    return Brought(seated(source.poses, bust, seat), both[0], anchors, bust, seat)


def by_hand(poses: Floats, anchors: Floats, size: float, lift: float) -> Floats:
    """Poses (T, 17, 3) ``size`` times as large about the anchors (T, 2), ``lift`` rows higher."""
    made = poses.copy()
    seen = poses[..., 2] > 0
    made[..., :2] = anchors[:, None] + size * (poses[..., :2] - anchors[:, None]) - (0, lift)
    made[~seen] = 0
    return made


def at_rate(cast: Cast, fps: float) -> Cast:
    """The clip at another rate: at each moment the frame that is shown then.

    The generator has learnt what a frame of the target's rate changes.
    """
    if abs(cast.fps / fps - 1) < 0.01:
        return cast
    count = max(2, round(len(cast.frames) * fps / cast.fps))
    at = np.minimum((np.arange(count) * cast.fps / fps).astype(int), len(cast.frames) - 1)
    remark = f"source: {cast.fps:.4g} frames a second, shown at the target's {fps:.4g}"
    frames = filed(cast.frames[i] for i in at)
    return Cast(frames, cast.poses[at], (count,), fps, (*cast.remarks, remark))


def _whole(poses: Floats) -> bool:
    """Whether head and feet are seen in enough frames."""
    return bool((~np.isnan(measured(poses)[1])).mean() >= SHARE)


def _as_they_lie(source: Cast, target: Cast) -> Brought:
    s = target.size[0] / source.size[0]
    poses = source.poses.copy()
    poses[..., 0] = target.size[1] / 2 + s * (poses[..., 0] - source.size[1] / 2)
    poses[..., 1] *= s
    seen = source.poses[..., 2] > 0
    poses[~seen] = 0
    count = len(poses)
    middle = np.tile((target.size[1] / 2, target.size[0] / 2), (count, 1))
    made = Normalised(poses, np.full(count, s), np.zeros(count), np.ones(count, bool))
    return Brought(made, "nothing", middle)
