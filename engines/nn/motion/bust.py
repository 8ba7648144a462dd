"""Pose normalisation where no feet are in view: by the shoulders, else by ears or eyes.

"Everybody Dance Now" measures a person from head to toes. A clip of head and shoulders has no toes;
there the median middle and distance of two joints over the whole clip stand for place and size, so
that nods, turns and steps to the side stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.nn.motion.pose_normalisation import Normalised
from engines.nn.motion.posenet import JOINTS
from engines.nn.motion.stick_figures import seventeen

Floats = npt.NDArray[np.float64]

PAIRS = {
    name: (JOINTS.index(f"left {part}"), JOINTS.index(f"right {part}"))
    for name, part in (("shoulders", "shoulder"), ("ears", "ear"), ("eyes", "eye"))
}
SHARE = 0.5  # of the frames: what is seen in fewer measures nobody


@dataclass(frozen=True, slots=True)
class Bust:
    """Where an upper body is in a clip: median middle and distance of two joints, in pixels."""

    x: float
    y: float
    size: float
    by: str


def seen_by(poses: npt.ArrayLike, least: float = 0.0) -> tuple[str, ...]:
    """Which of `PAIRS` are seen in enough frames of (T, 17, 3), the best first."""
    whole = seventeen(poses)
    return tuple(
        name for name, pair in PAIRS.items()
        if len(whole) and (whole[:, pair, 2] > least).all(1).mean() >= SHARE
    )  # fmt: skip


def bust_of(poses: npt.ArrayLike, by: str, least: float = 0.0) -> Bust:
    """Medians over the frames that show both joints of the pair ``by``.

    Raises:
        ValueError: no frame does, or they always lie on each other.
    """
    whole = seventeen(poses)
    left, right = PAIRS[by]
    both = (whole[:, (left, right), 2] > least).all(1)
    if not both.any():
        raise ValueError(f"both {by} are in none of {len(whole)} frames")
    a, b = whole[both, left, :2], whole[both, right, :2]
    x, y = np.median((a + b) / 2, 0)
    size = float(np.median(np.hypot(*(a - b).T)))
    if size <= 0:
        raise ValueError(f"the {by} lie on each other in all frames")
    return Bust(float(x), float(y), size, by)


def seated(poses: npt.ArrayLike, source: Bust, target: Bust, least: float = 0.0) -> Normalised:
    """The source's poses (T, 17, 3) where the target sits: p becomes c_T + s (p - c_S)."""
    whole = seventeen(poses)
    s = target.size / source.size
    out = whole.copy()
    out[..., :2] = np.array([target.x, target.y]) + s * (
        whole[..., :2] - np.array([source.x, source.y])
    )
    seen = whole[..., 2] > least
    out[~seen] = 0
    left, right = PAIRS[source.by]
    count = len(whole)
    good = seen[:, left] & seen[:, right]
    return Normalised(out, np.full(count, s), np.full(count, target.y - source.y), good)
