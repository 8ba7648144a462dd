"""FaceGAN: what the crop around the face lacks, learnt with a critic of its own.

Chan, Ginosar, Zhou, Efros, "Everybody Dance Now", 2019, section 3.4: the residual of the crops of
figure and made frame is added to the crop, while the generator of frames stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call

from engines.nn.motion.dance_network import Dancer
from engines.nn.motion.dance_training import BETAS, RATE, Pairs, descend, two_frames
from engines.nn.motion.pose_normalisation import measured
from engines.nn.motion.posenet import JOINTS
from engines.nn.translation.pix2pixhd import adversarial

EARS = (JOINTS.index("left ear"), JOINTS.index("right ear"))
HEAD = tuple(range(5))  # nose, eyes, ears
OF_EARS, OF_HEIGHT = 2.2, 0.3  # side of the crop in distances of the ears, or in heights
MULTIPLE = 8  # of the crop's side
ABSOLUTE = 50.0  # weight of the L1 distance, which stands for the perceptual one; 10 over-fits
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Where the face is in each frame of a clip.

    Attributes:
        corners: (T, 2), column and row of the crop's upper left pixel.
        seen: (T,), whether a joint of the head is there.
        side: of the crop in pixels.
    """

    corners: Ints
    seen: Bools
    side: int


def face_side(poses: npt.ArrayLike, height: int, width: int) -> int:
    """Side of the crop, one for a clip of poses (T, 17, 3): a multiple of 8 that fits the picture.

    2.2 times the median distance of the ears, where both are seen, else 0.3 of the median height
    from nose to toes, else a quarter of the picture.
    """
    whole = np.asarray(poses, np.float64)
    both = (whole[:, EARS, 2] > 0).all(1)
    heights, _ = measured(whole)
    if both.any():
        apart = whole[both][:, EARS[0], :2] - whole[both][:, EARS[1], :2]
        wanted = OF_EARS * float(np.median(np.hypot(*apart.T)))
    elif not np.isnan(heights).all():
        wanted = OF_HEIGHT * float(np.nanmedian(heights))
    else:
        wanted = height / 4
    most = min(height, width) // MULTIPLE * MULTIPLE
    return int(np.clip(np.ceil(wanted / MULTIPLE) * MULTIPLE, MULTIPLE, most))


def faces_of(poses: npt.ArrayLike, height: int, width: int, side: int) -> Faces:
    """Crops around the mean of nose, eyes and ears, as far as seen, moved into the picture.

    Args:
        poses: (T, 17, 3) in pixels of the target's picture: normalised, when another drives.
    """
    whole = np.asarray(poses, np.float64)
    head = whole[:, HEAD]
    there = (head[..., 2] > 0) & np.isfinite(head).all(2)
    count = there.sum(1)
    centre = np.where(there[..., None], head[..., :2], 0).sum(1) / np.maximum(count, 1)[:, None]
    corners = np.rint(centre - side / 2)
    corners = np.clip(corners, 0, (width - side, height - side)).astype(np.int64)
    return Faces(corners, count > 0, side)


def cropped(frames: Tensor, corners: npt.ArrayLike, side: int) -> Tensor:
    """Crops (N, C, side, side) of frames (N, C, H, W), a corner each."""
    at = np.asarray(corners, np.int64)
    parts = [f[:, y : y + side, x : x + side] for f, (x, y) in zip(frames, at, strict=True)]
    return torch.stack(parts)


def corrected(crop: Tensor, residual: Tensor) -> Tensor:
    """The crop with what it lacks, back within [-1, 1]."""
    return (crop + residual).clamp(-1, 1)


def with_face(
    face: nn.Module, figure: Tensor, frame: Tensor, corner: npt.ArrayLike, side: int
) -> tuple[Tensor, Tensor]:
    """One frame (1, 3, H, W) with its face corrected, and the residual (1, 3, side, side).

    Not a pixel outside the crop changes.
    """
    x, y = (int(v) for v in np.asarray(corner))
    crop = cropped(frame, [(x, y)], side)
    residual: Tensor = face(torch.cat([cropped(figure, [(x, y)], side), crop], 1))
    whole = frame.clone()
    whole[:, :, y : y + side, x : x + side] = corrected(crop, residual)
    return whole, residual


@dataclass(slots=True)
class FaceLesson:
    """The face networks of a dancer whose other networks stay as they are."""

    dancer: Dancer
    rate: float = RATE
    feedback: bool = True
    for_face: torch.optim.Adam = field(init=False)
    for_critic: torch.optim.Adam = field(init=False)
    steps: int = 0

    def __post_init__(self) -> None:
        self.for_face = torch.optim.Adam(self.dancer.face.parameters(), self.rate, BETAS)
        critic = self.dancer.face_discriminator.parameters()
        self.for_critic = torch.optim.Adam(critic, self.rate, BETAS)

    @torch.enable_grad()
    def step(self, pairs: Pairs, corners: npt.NDArray[np.int64], side: int) -> dict[str, float]:
        """One update of the critic, then one of the residual; returns every term.

        Args:
            corners: (2, N, 2), of the first and of the second frame of each pair.
        """
        with torch.no_grad():
            made = two_frames(self.dancer.generator, pairs.x0, pairs.x1, feedback=self.feedback)
        at = np.concatenate(list(corners))
        figure, crop, true = (
            cropped(torch.cat(list(both)), at, side)
            for both in ((pairs.x0, pairs.x1), made, (pairs.y0, pairs.y1))
        )
        after = corrected(crop, self.dancer.face(torch.cat([figure, crop], 1)))
        against = critic_terms(self.dancer.face_discriminator, figure, true, after)
        descend(self.for_critic, against, self.rate)
        terms = face_terms(self.dancer.face_discriminator, figure, true, after)
        descend(self.for_face, terms, self.rate)
        self.steps += 1
        return {name: float(value.detach()) for name, value in (terms | against).items()}

    def state(self) -> dict[str, Any]:
        """What is needed to go on from here, beside the networks."""
        return {
            "for face": self.for_face.state_dict(),
            "for critic": self.for_critic.state_dict(),
            "steps": self.steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """The reverse of `state`."""
        self.for_face.load_state_dict(state["for face"])
        self.for_critic.load_state_dict(state["for critic"])
        self.steps = int(state["steps"])


def critic_terms(
    critic: nn.Module, figure: Tensor, true: Tensor, after: Tensor
) -> dict[str, Tensor]:
    """Half the least-squares losses on true and on corrected crops; the face gets no gradient."""
    real = adversarial(critic(torch.cat([figure, true], 1)), real=True)
    fake = adversarial(critic(torch.cat([figure, after.detach()], 1)), real=False)
    return {"D true face": 0.5 * real, "D made face": 0.5 * fake}


def face_terms(critic: nn.Module, figure: Tensor, true: Tensor, after: Tensor) -> dict[str, Tensor]:
    """Least squares and 50 x L1 of the crops; the critic gets no gradient."""
    frozen = {name: value.detach() for name, value in critic.named_parameters()}
    judged = functional_call(critic, frozen, (torch.cat([figure, after], 1),))
    return {
        "face, adversarial": adversarial(judged, real=True),
        "face, L1": ABSOLUTE * (after - true).abs().mean(),
    }
