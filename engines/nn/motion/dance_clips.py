"""The rendered dancers as clips for motion transfer: what is learnt from, and what drives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from engines.nn.motion.dancers import (
    HELD_OUT,
    LENDER,
    SIDE,
    SOURCE,
    TARGET,
    TRAINING,
    joints,
    motion,
    render,
)
from engines.nn.motion.stick_figures import draw_all, seventeen

DRIVES = ("other dancer", "own skeleton")


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Somebody dancing: poses (T, 17, 3) in pixels and frames (T, H, W, 3), read-only."""

    poses: npt.NDArray[np.float64]
    frames: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """What drives the target, and how the target truly looks in that motion."""

    source: Clip
    truth: Clip


@cache
def training_clip() -> Clip:
    """The target in the training motions, one behind the other; each has `FRAMES` frames."""
    dances = [motion(seed) for seed in TRAINING]
    poses = np.concatenate([joints(TARGET, dance) for dance in dances])
    return _clip(poses, np.concatenate([render(TARGET, dance) for dance in dances]))


@cache
def training_figures() -> npt.NDArray[np.uint8]:
    """Stick figures (T, H, W, 3) of `training_clip`, read-only."""
    figures = draw_all(training_clip().poses, SIDE, SIDE)
    figures.flags.writeable = False
    return figures


@cache
def drive(name: str) -> Drive:
    """One of `DRIVES`: another person in a motion of their own, or the target in a held-out one."""
    if name not in DRIVES:
        raise ValueError(f"the drive is {name!r}; it is one of {', '.join(DRIVES)}")
    if name == "own skeleton":
        dance = motion(HELD_OUT)
        own = _clip(joints(TARGET, dance), render(TARGET, dance))
        return Drive(own, own)
    dance = motion(SOURCE)
    source = _clip(joints(LENDER, dance), render(LENDER, dance))
    return Drive(source, _clip(joints(TARGET, dance), render(TARGET, dance)))


def _clip(poses: npt.NDArray[np.float64], frames: npt.NDArray[np.uint8]) -> Clip:
    whole = seventeen(poses)
    for array in (whole, frames):
        array.flags.writeable = False
    return Clip(whole, frames)
