"""How people are shown: skeletons, boxes with numbers, and how sure each joint is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from engines.nn.motion.posenet import JOINTS, SKELETON
from engines.nn.motion.tracking import SEEN
from explorer.api import Artefact, Boxes, Keypoints, Scores


def people(found: npt.NDArray[np.float64], numbers: Sequence[int]) -> Iterator[Artefact]:
    """Poses (P, 17, 3) in pixels of the picture, in the order of the people's numbers."""
    order = sorted(range(len(numbers)), key=lambda p: numbers[p])
    poses = found[order].astype(np.float32)
    names = [numbers[p] for p in order]
    yield Keypoints(
        "people/skeletons", poses, labels=JOINTS, skeleton=SKELETON, ids=names,
        note="left is the person's left; hollow joints are hardly believed",
    )  # fmt: skip
    yield Boxes(
        "people/boxes", np.array([around(pose) for pose in poses], np.float32).reshape(-1, 4),
        poses[..., 2].mean(1), [f"person {n}" for n in names], ids=names,
        note="around the joints that are seen; the score is the mean of all 17; numbers are kept "
        "from frame to frame",
    )  # fmt: skip
    scores = poses[0, :, 2] if len(poses) else np.zeros(len(JOINTS), np.float32)
    whom = f"person {names[0]}" if names else "nobody is seen"
    yield Scores("joints/scores", scores, JOINTS, note=f"of {whom}")


def around(pose: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The box x1, y1, x2, y2 of the joints that are seen, of all where none is."""
    seen = pose[pose[:, 2] >= SEEN, :2]
    points = seen if len(seen) else pose[:, :2]
    return np.concatenate([points.min(0), points.max(0)])
