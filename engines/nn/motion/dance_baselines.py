"""What a generator of frames must beat: mean frame, last frame, frame of the nearest pose."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.nn.motion.stick_figures import seventeen

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


def mean_frame(training: Bytes) -> Bytes:
    """Mean (H, W, 3) of the training frames (T, H, W, 3)."""
    return np.asarray(np.rint(training.mean(0, dtype=np.float64)), np.uint8)


def baselines(
    training: Bytes, poses: npt.ArrayLike, driving: npt.ArrayLike, least: float = 0.0
) -> dict[str, Bytes]:
    """Frames (N, H, W, 3) that need no learning, for each of the N driving poses.

    Args:
        training: (T, H, W, 3). ``poses``: those of its frames, (T, J, 3).
        driving: (N, J, 3), brought to the target's floor.
    """
    nearest, _ = nearest_pose(driving, poses, least)
    count = len(nearest)
    return {
        "mean frame": np.repeat(mean_frame(training)[None], count, 0),
        "last frame": np.repeat(training[-1:], count, 0),
        "nearest pose": training[nearest],
    }


def nearest_pose(
    driving: npt.ArrayLike, poses: npt.ArrayLike, least: float = 0.0
) -> tuple[npt.NDArray[np.int64], Floats]:
    """For each driving pose (N, J, 3) the nearest training pose (T, J, 3) and how far it is.

    The distance is the mean over the joints seen in both, in pixels; infinite, and the first frame,
    where no training pose shares a joint.

    Raises:
        ValueError: no training poses.
    """
    one, many = seventeen(driving), seventeen(poses)
    if not len(many):
        raise ValueError("there are no training poses to compare with")
    nearest, distance = np.zeros(len(one), np.int64), np.full(len(one), np.inf)
    for n, pose in enumerate(one):
        both = (pose[:, 2] > least) & (many[..., 2] > least)  # (T, 17)
        away = np.hypot(*np.moveaxis(many[..., :2] - pose[:, :2], -1, 0))
        count = both.sum(1)
        mean = np.where(count > 0, np.where(both, away, 0).sum(1) / np.maximum(count, 1), np.inf)
        nearest[n], distance[n] = int(mean.argmin()), float(mean.min())
    return nearest, distance


def restlessness(clip: Bytes) -> Floats:
    """Mean absolute difference of each frame (T, H, W, 3) to the one before, of 1: (T - 1,)."""
    away = np.abs(np.diff(clip.astype(np.float64), axis=0)) / 255
    return np.asarray(away.mean((1, 2, 3)))
