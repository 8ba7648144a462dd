"""What a dancer has learnt, in figures: transfer, faces, and how restless a film is.

The rendered target dances the other person's motion, so that every frame of a transfer has a truth.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from engines.nn.motion.dance_baselines import baselines, restlessness
from engines.nn.motion.dance_clips import drive, training_clip
from engines.nn.motion.dance_faces import face_side, faces_of
from engines.nn.motion.dance_learning import boxes_of, faced, made, scores
from engines.nn.motion.dance_network import Dancer
from engines.nn.motion.dancers import FRAMES, SOURCE, TARGET, motion, painted
from engines.nn.motion.limb_lengths import proportioned
from engines.nn.motion.pose_normalisation import floor_of, normalise
from engines.nn.motion.stick_figures import THIRTEEN, draw_all

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Pair = tuple[float, float]  # PSNR in dB and SSIM


def driving_poses() -> dict[str, Floats]:
    """The other dancer's motion (T, 17, 3) as it is, normalised as in the paper, with the target's
    proportions before that, and in the target's own joints."""
    driven, training = drive("other dancer"), training_clip()
    source, width = driven.source.poses, training.frames.shape[2]
    goal = floor_of(training.poses, width)
    own = proportioned(source, training.poses)
    return {
        "raw": source,
        "normalised": normalise(source, floor_of(source, width), goal).poses,
        "normalised with limbs": normalise(own, floor_of(own, width), goal).poses,
        "own skeleton": driven.truth.poses,
    }


def quality(network: Dancer, frames: int = FRAMES) -> dict[str, Pair]:
    """PSNR and SSIM of whole frames with corrected faces, by what drives, and of the baselines.

    "held-out motion" is another motion of the target, driven by its own joints. "painted without
    error" is what the renderer makes of joints that are not the target's own: bodies differ.
    """
    training, truth = training_clip(), drive("other dancer").truth.frames[:frames]
    poses = {name: clip[:frames] for name, clip in driving_poses().items()}
    found = {name: scores(film_of(network, clip)[1], truth) for name, clip in poses.items()}
    held = drive("own skeleton").truth
    film = film_of(network, held.poses[:frames])[1]
    found["held-out motion"] = scores(film, held.frames[:frames])
    danced = motion(SOURCE)
    for name in ("raw", "normalised", "normalised with limbs"):
        by_rule = painted(TARGET, driving_poses()[name][:, THIRTEEN], danced)[:frames]
        found[f"{name}, painted without error"] = scores(by_rule, truth)
    cheap = baselines(training.frames, training.poses, poses["normalised"])
    return found | {name: scores(film, truth) for name, film in cheap.items()}


def face_quality(network: Dancer, frames: int = FRAMES) -> dict[str, Pair]:
    """PSNR and SSIM inside the face box of the held-out motion, before and after the residual."""
    held = drive("own skeleton").truth
    poses, truth = held.poses[:frames], held.frames[:frames]
    height, width = truth.shape[1:3]
    where = faces_of(poses, height, width, _side())
    films = zip(("before", "after"), film_of(network, poses), strict=True)
    return {name: scores(boxes_of(film, where), boxes_of(truth, where)) for name, film in films}


def unrest(network: Dancer, jitter: float = 0.0, frames: int = FRAMES) -> dict[str, float]:
    """Mean absolute change from frame to frame of the held-out motion, colours in [0, 1].

    Args:
        jitter: standard deviation of noise on the joints, in pixels.
    """
    held = drive("own skeleton").truth
    poses = held.poses[:frames].copy()
    noise = np.random.RandomState(0).normal(0, jitter, poses[..., :2].shape)
    poses[..., :2] += noise * (poses[..., 2:] > 0)
    films = {
        "with feedback": film_of(network, poses)[0],
        "without feedback": film_of(network, poses, feedback=False)[0],
        "true": held.frames[:frames],
    }
    return {name: float(restlessness(film).mean()) for name, film in films.items()}


def film_of(network: Dancer, poses: Floats, *, feedback: bool = True) -> tuple[Bytes, Bytes]:
    """The films (T, H, W, 3) that poses (T, 17, 3) drive, before and after the residual."""
    height, width = training_clip().frames.shape[1:3]
    device = next(network.parameters()).device
    figures = draw_all(poses, height, width)
    with torch.no_grad():
        film = made(network.generator, figures, device, feedback=feedback)
        where = faces_of(poses, height, width, _side())
        return film, faced(network.face, figures, film, where, device)


def _side() -> int:
    clip = training_clip()
    return face_side(clip.poses, *clip.frames.shape[1:3])
