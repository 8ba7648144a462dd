"""Pose normalisation: the source's poses brought to the size and the floor of the target.

Chan, Ginosar, Zhou, Efros, "Everybody Dance Now", 2019, section 4.4. Poses are COCO's 17 joints
(T, 17, 3): x and y in pixels and confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.nn.motion.posenet import JOINTS
from engines.nn.motion.stick_figures import seventeen
from engines.nn.motion.tracking import Crowd, followed

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NOSE, EARS = JOINTS.index("nose"), (JOINTS.index("left ear"), JOINTS.index("right ear"))
ANKLES = (JOINTS.index("left ankle"), JOINTS.index("right ankle"))
FAR_FRACTION = 0.5  # the far end lies this part of (closest - median) above the median toe row
BAND = 0.15  # of the floor's depth: frames this near one of its ends tell the height there
FLAT = 0.02  # of a person's height: a floor less deep is one row
WINDOW = 7  # frames of the median
FEWEST = 3  # good frames to measure a clip by


@dataclass(frozen=True, slots=True)
class Floor:
    """Where somebody stands and how tall they look there, in pixels of their picture.

    Attributes:
        maxtoe: the lowest toe row, of the frame closest to the camera.
        horizon: the toe row of the far end.
        near, far: height of the tallest frame near either of them.
        width: of the picture.
    """

    maxtoe: float
    horizon: float
    near: float
    far: float
    width: float

    @property
    def flat(self) -> bool:
        """Whether nobody comes closer or goes away: all toe rows are one."""
        return self.maxtoe - self.horizon < FLAT * self.near


@dataclass(frozen=True, slots=True, eq=False)
class Normalised:
    """Poses of the source as the target would stand, and how each frame was changed.

    Attributes:
        poses: (T, 17, 3), in pixels of the target's picture.
        scale, shift: (T,), factor about the toes and rows that they moved.
        good: (T,), frames that were measured; the others repeat the last of these.
    """

    poses: Floats
    scale: Floats
    shift: Floats
    good: Bools


def measured(poses: npt.ArrayLike, least: float = 0.0) -> tuple[Floats, Floats]:
    """Height from nose (from the ears without one) to toes, and lowest toe row: each (T,), pixels.

    NaN in frames where the head or both ankles are missing, which is to say have a confidence of
    at most ``least``; COCO has no toes, so the lower ankle stands for them.
    """
    whole = seventeen(poses)
    rows = np.where(whole[..., 2] > least, whole[..., 1], np.nan)
    ears = _mean(rows[:, EARS])
    head = np.where(np.isnan(rows[:, NOSE]), ears, rows[:, NOSE])
    ankles = rows[:, ANKLES]
    toes = np.where(np.isnan(ankles).all(1), np.nan, np.nan_to_num(ankles, nan=-np.inf).max(1))
    heights = toes - head
    bad = ~(heights > 0)  # upside down, or something is missing
    return np.where(bad, np.nan, heights), np.where(bad, np.nan, toes)


def floor_of(poses: npt.ArrayLike, width: float, least: float = 0.0) -> Floor:
    """The floor that a clip of a picture of ``width`` pixels shows.

    Raises:
        ValueError: no person from head to foot is in it, or in too few frames.
    """
    heights, toes = measured(poses, least)
    good = ~np.isnan(toes)
    if not good.any():
        raise ValueError(
            f"nobody is seen from head to foot in any of {len(toes)} frames; take a clip with the "
            "whole person in view, or lower the confidence from which joints count"
        )
    if good.sum() < FEWEST:
        raise ValueError(
            f"a person from head to foot is in {good.sum()} of {len(toes)} frames; at least "
            f"{FEWEST} are needed to measure the floor"
        )
    heights, toes = heights[good], toes[good]
    maxtoe, median = float(toes.max()), float(np.median(toes))
    horizon = median - FAR_FRACTION * (maxtoe - median)
    band = BAND * (maxtoe - horizon)
    near = _tallest(heights, toes, maxtoe, band)
    return Floor(maxtoe, horizon, near, _tallest(heights, toes, horizon, band), float(width))


def normalise(poses: npt.ArrayLike, source: Floor, target: Floor, least: float = 0.0) -> Normalised:
    """Bring the source's poses to the target's floor.

    For toe row y, u = (y - horizon_S) / (maxtoe_S - horizon_S) says how near the person stands;
    y' = horizon_T + u (maxtoe_T - horizon_T) and s = s_far + u (s_near - s_far), where s_near and
    s_far are the ratios of the heights. A point p becomes s p + c_T - s c_S + (0, y' - y), where c
    is the middle column of the picture and the toe row of the frame. The released code takes the
    row of the first good frame for c; then only that frame's toes come to stand on y'.

    Frames without a measure repeat the scale, shift and row of the last good one, frames before the
    first good one those of the first.
    """
    whole = seventeen(poses)
    _, toes = measured(whole, least)
    good = ~np.isnan(toes)
    if not good.any():
        raise ValueError(f"nobody is seen from head to foot in any of {len(toes)} frames")
    row = toes[_last_good(good)]
    s_near, s_far = target.near / source.near, target.far / source.far
    if source.flat:  # a jump stays a jump: nobody came closer
        scale = np.full(len(row), s_near)
        wanted = target.maxtoe + s_near * (row - source.maxtoe)
    else:
        u = (row - source.horizon) / (source.maxtoe - source.horizon)
        wanted = target.horizon + u * (target.maxtoe - target.horizon)
        scale = s_far + u * (s_near - s_far)
    shift = wanted - row
    out, s = whole.copy(), scale[:, None]
    out[..., 0] = target.width / 2 + s * (whole[..., 0] - source.width / 2)
    out[..., 1] = row[:, None] + s * (whole[..., 1] - row[:, None]) + shift[:, None]
    out[whole[..., 2] <= least] = 0
    return Normalised(out, scale, shift, good)


def median_window(poses: npt.ArrayLike, window: int = WINDOW, least: float = 0.0) -> Floats:
    """The median over ``window`` frames, of each coordinate over the frames in which it is seen.

    A joint is seen after it where it was in more than half of the frames, so one that is lost for a
    moment comes back and one that is invented for a moment goes. Windows are cut at the ends.

    Raises:
        ValueError: a window that is even or below 1.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"the window is {window} frames; it must be odd and at least 1")
    whole = seventeen(poses)
    if window == 1 or not len(whole):
        return whole.copy()
    reach = window // 2
    seen = whole[..., 2] > least
    points = np.where(seen[..., None], whole, np.nan)
    out = np.zeros_like(whole)
    for t in range(len(whole)):
        part = slice(max(t - reach, 0), t + reach + 1)
        kept = 2 * seen[part].sum(0) > len(seen[part])
        out[t, kept] = np.nanmedian(points[part][:, kept], axis=0)
    return out


def one_person(frames: Sequence[npt.ArrayLike]) -> tuple[Floats, int]:
    """Of everybody in a clip, the one who fills most of it: heights added up over all frames.

    Who was away for long comes back under a new number: in frames without the one who was chosen,
    somebody who is alone and never stands beside that person is taken for the same.

    Args:
        frames: of each frame the poses (P, 17, 3) found in it, possibly none.

    Returns:
        Poses (T, 17, 3), with confidence 0 where that person is not seen, and in how many frames
        there was somebody else as well.

    Raises:
        ValueError: nobody is in any frame.
    """
    crowd, of_frames = Crowd(), []
    weight: dict[int, float] = {}
    for frame in frames:
        poses = np.asarray(frame, np.float64).reshape(-1, len(JOINTS), 3)
        numbers, crowd = followed(crowd, list(poses))
        of_frames.append(dict(zip(numbers, poses, strict=True)))
        for number, pose in of_frames[-1].items():
            weight[number] = weight.get(number, 0.0) + float(np.ptp(pose[:, 1]))
    if not weight:
        raise ValueError(f"no person is in any of {len(of_frames)} frames; take another clip")
    chosen = max(weight, key=lambda number: weight[number])
    beside = {other for there in of_frames if chosen in there for other in there}
    found = np.zeros((len(of_frames), len(JOINTS), 3))
    crowded = 0
    for t, there in enumerate(of_frames):
        others = [number for number in there if number not in beside]
        if chosen in there:
            found[t] = there[chosen]
        elif len(there) == len(others) == 1:
            found[t] = there[others[0]]
        crowded += len(there) > bool(found[t].any())
    return found, crowded


def _tallest(heights: Floats, toes: Floats, row: float, band: float) -> float:
    """Height of the tallest of the frames whose toes are near ``row``, or nearest to it."""
    away = np.abs(toes - row)
    return float(heights[away <= away.min() + band].max())


def _last_good(good: Bools) -> npt.NDArray[np.int64]:
    """For each frame the last good one up to it, or the first of all."""
    latest = np.maximum.accumulate(np.where(good, np.arange(len(good)), -1))
    return np.where(latest < 0, int(np.argmax(good)), latest)


def _mean(rows: Floats) -> Floats:
    """Mean (T,) of those of (T, N) that are not NaN, NaN where all are."""
    count = (~np.isnan(rows)).sum(1)
    total = np.nansum(rows, 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
