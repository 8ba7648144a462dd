"""The source's poses with the proportions of the target's body.

A step before the global normalisation of `pose_normalisation`, which moves and scales a whole
person and leaves a long leg long: each limb keeps its direction and takes the target's length.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.nn.motion.pose_normalisation import ANKLES, FEWEST
from engines.nn.motion.stick_figures import seventeen

Floats = npt.NDArray[np.float64]

SHOULDERS, HIPS = (5, 6), (11, 12)
TORSO = (SHOULDERS, HIPS)
OUTWARDS = (
    (HIPS, HIPS), (SHOULDERS, SHOULDERS), ((0, 0), SHOULDERS), ((1, 2), (0, 0)), ((3, 4), (1, 2)),
    ((7, 8), SHOULDERS), ((9, 10), (7, 8)), ((13, 14), HIPS), ((15, 16), (13, 14)),
)  # fmt: skip
"""Joints, left and right, and those that they hang on. Hips and shoulders hang on their own middle,
the nose on that of the shoulders, the shoulders' middle on that of the hips."""


def proportioned(poses: npt.ArrayLike, target: npt.ArrayLike, least: float = 0.0) -> Floats:
    """Poses (T, 17, 3) in which every limb is as long against the others as in ``target``.

    Lengths are medians over the frames in which both ends are seen, of left and right together; a
    limb that is hardly ever seen keeps its length. The lower foot stays in its row, the middle of
    the hips in its column, and the size of the person about what it was.
    """
    whole = seventeen(poses)
    seen = whole[..., 2] > least
    old = np.where(seen[..., None], whole[..., :2], np.nan)
    factors = _lengths(seventeen(target), least) / _lengths(whole, least)
    if np.isnan(factors).all():  # no limb is seen in both
        return whole.copy()
    factors = np.nan_to_num(factors / np.nanmedian(factors), nan=1.0)
    new = np.full_like(old, np.nan)
    neck, hip = (_middle(old, pair) for pair in TORSO)
    roots = {HIPS: hip, SHOULDERS: np.where(np.isnan(hip), neck, hip + factors[0] * (neck - hip))}
    for factor, (joints, parents) in zip(factors[1:], OUTWARDS, strict=True):
        for joint, parent in zip(joints, parents, strict=True):
            middle = _on_middle(joints, parents)
            before = _middle(old, parents) if middle else old[:, parent]
            after = roots[parents] if middle else new[:, parent]
            moved = after + factor * (old[:, joint] - before)
            new[:, joint] = np.where(np.isnan(moved), old[:, joint], moved)
    out = whole.copy()
    down = _lowest(old) - _lowest(new)
    new[..., 1] += np.nan_to_num(down)[:, None]
    out[..., :2] = np.where(seen[..., None], new, 0)
    out[~seen] = 0
    return out


def _lengths(poses: Floats, least: float) -> Floats:
    """Median length of the torso and of each pair of limbs in `OUTWARDS`, NaN where unseen."""
    points = np.where(poses[..., 2:] > least, poses[..., :2], np.nan)
    neck, hip = (_middle(points, pair) for pair in TORSO)
    limbs = [neck - hip]
    for joints, parents in OUTWARDS:
        ends = points[:, list(joints)]
        middle = _on_middle(joints, parents)
        starts = _middle(points, parents)[:, None] if middle else points[:, list(parents)]
        limbs.append((ends - starts).reshape(-1, 2))
    return np.array([_median(np.hypot(*limb.T)) for limb in limbs])


def _on_middle(joints: tuple[int, int], parents: tuple[int, int]) -> bool:
    return joints in (parents, (0, 0))


def _median(lengths: Floats) -> float:
    there = lengths[lengths > 0]  # NaN is not
    return float(np.median(there)) if len(there) >= FEWEST else np.nan


def _middle(points: Floats, pair: tuple[int, int]) -> Floats:
    """Middle (T, 2) of two joints, NaN where either is unseen."""
    middle: Floats = points[:, list(pair)].mean(1)
    return middle


def _lowest(points: Floats) -> Floats:
    """Row (T,) of the lower ankle, NaN where none is seen."""
    rows = points[:, list(ANKLES), 1]
    return np.where(np.isnan(rows).all(1), np.nan, np.nan_to_num(rows, nan=-np.inf).max(1))
