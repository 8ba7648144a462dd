"""Who is who from one frame to the next: poses are matched by how near their joints stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# How far annotators differ on each of COCO's 17 joints, in parts of the body's size: the constants
# of its keypoint similarity (twice the standard deviations of its evaluation code).
SPREADS = 2 * np.array([
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
    0.087, 0.087, 0.089, 0.089,
])  # fmt: skip
NEAR = 0.1  # similarity from which two poses may be the same person's
PATIENCE = 12  # frames that somebody unseen is waited for
SEEN = 0.2  # score from which a joint counts


@dataclass(frozen=True, slots=True)
class Track:
    """One person: number, latest joints (17, 3), frames since."""

    number: int
    joints: Array
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Crowd:
    """All that is known from the frames before."""

    tracks: tuple[Track, ...] = ()
    born: int = 0  # numbers given so far


def similarity(a: Array, b: Array) -> float:
    """COCO's object keypoint similarity in [0, 1] of two poses (17, 3), over joints seen in both.

    The size of the body is the mean of the boxes around both; 0 without a common joint.
    """
    both = (a[:, 2] >= SEEN) & (b[:, 2] >= SEEN)
    if not both.any():
        return 0.0
    area = float(np.mean([np.prod(np.ptp(p[p[:, 2] >= SEEN, :2], axis=0)) for p in (a, b)]))
    away = ((a[both, :2] - b[both, :2]) ** 2).sum(1)
    spread = 2 * max(area, 1.0) * SPREADS[both] ** 2
    return float(np.exp(-away / spread).mean())


def followed(crowd: Crowd, poses: Sequence[Array]) -> tuple[list[int], Crowd]:
    """The number of each pose, and what is known after this frame.

    The most similar pair is matched first; who finds nobody is new.
    """
    pairs = [
        (similarity(track.joints, pose), t, p)
        for t, track in enumerate(crowd.tracks)
        for p, pose in enumerate(poses)
    ]
    of_pose: dict[int, int] = {}
    taken: set[int] = set()
    for near, t, p in sorted(pairs, key=lambda pair: -pair[0]):
        if near >= NEAR and t not in taken and p not in of_pose:
            of_pose[p] = crowd.tracks[t].number
            taken.add(t)
    born = crowd.born
    for p in range(len(poses)):
        if p not in of_pose:
            of_pose[p] = born
            born += 1
    numbers = [of_pose[p] for p in range(len(poses))]
    waiting = [
        Track(track.number, track.joints, track.missed + 1)
        for t, track in enumerate(crowd.tracks)
        if t not in taken and track.missed < PATIENCE
    ]
    here = [Track(number, pose) for number, pose in zip(numbers, poses, strict=True)]
    return numbers, Crowd((*here, *waiting), born)
