"""One person's pose by MoveNet Lightning: centre, first guess, and each joint put right.

Google, "MoveNet", 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.motion.people import people
from engines.nn.loading import load_state
from engines.nn.motion.movenet import SIDE, STRIDE, Joints, MoveNet
from engines.nn.motion.posenet import JOINTS, SKELETON
from engines.nn.motion.tracking import SEEN
from explorer.api import (
    Affine,
    Artefact,
    Boxes,
    Engine,
    Field,
    Image,
    ImageInput,
    Inputs,
    Keypoints,
    Outcome,
    Preprocess,
    Run,
    Scores,
    knob,
    prepare,
)  # fmt: skip

WEIGHTS = "movenet-lightning"
PREPROCESS = Preprocess(size=SIDE, fit="letterbox", mean=(0.5,) * 3, std=(0.5,) * 3, fill=0.0)
MARGIN = 0.25  # of the pose's larger side, around it on each side, when it is followed


@dataclass(frozen=True, slots=True)
class MoveNetParams:
    """Knobs."""

    follow: bool = knob(
        True, effect="again",
        help="on a clip, look only around where the person was in the frame before",
    )  # fmt: skip
    joint: str = knob("nose", choices=JOINTS, effect="again", help="whose maps are shown")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the heads said, and where the network's 192 px lie in the picture."""

    joints: Joints
    affine: Affine
    size: tuple[int, int]
    window: tuple[int, int, int, int] | None


class MoveNets(Engine[MoveNetParams]):
    """One pass over one picture."""

    Params: ClassVar[type[Any]] = MoveNetParams
    layout = "NHWC"
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Keypoints, Boxes, Field, Scores)
    warm_up: ClassVar[int] = 1

    network: MoveNet

    def build(self, params: MoveNetParams) -> nn.Module:
        """The published weights."""
        network = MoveNet()
        load_state(network, self.host.weights(WEIGHTS), WEIGHTS)
        return network

    def run(self, inputs: Inputs, params: MoveNetParams, memory: Any = None) -> Run:
        """The pose in one picture. On a clip ``memory`` is the pose of the frame before."""
        photo: ImageInput = inputs["image"]
        params = yield Image("input/picture", photo.pixels, note=photo.name)
        window = around(memory, photo.pixels.shape[:2]) if params.follow else None
        cut, shift = (photo.pixels, Affine()) if window is None else cropped(photo.pixels, window)
        x, affine = prepare(cut, PREPROCESS, self.host.device)
        kept = Kept(self.network(x), shift.after(affine), photo.pixels.shape[:2], window)
        yield from self.again(kept, params)
        return Outcome(memory=pose(kept), kept=kept)

    def again(self, kept: Kept, params: MoveNetParams) -> Iterator[Artefact]:
        """The person, and the maps of one joint."""
        yield from people(pose(kept)[None], [0])
        yield windows(kept, params)
        guess = placed(kept.joints.first, kept)
        scores = torch.ones(len(JOINTS), 1, dtype=guess.dtype)
        yield Keypoints(
            "people/first guess", torch.cat([guess, scores], 1).numpy(force=True)[None],
            labels=JOINTS, skeleton=SKELETON, note="from the person's centre alone",
        )  # fmt: skip
        k, made = JOINTS.index(params.joint), kept.joints
        cells = kept.affine.after(Affine(STRIDE, STRIDE))
        row, column = (int(v) for v in made.start)
        yield Field(
            "maps/centre", array(made.centre), affine=cells, unit="p",
            note=f"that a person's centre is here, less far from the middle; chosen: row {row}, "
            f"column {column}",
        )  # fmt: skip
        yield Field(
            "maps/heat", array(made.heat[k]), scale="probability", affine=cells, unit="p",
            note=f"that the {params.joint} of anybody is here",
        )  # fmt: skip
        yield Field(
            "maps/heat near the guess", array(made.ranked[k]), affine=cells, unit="p / cell",
            note=f"heat over the distance from the guess: the {params.joint} is at its peak",
        )  # fmt: skip
        for name, field, words in (
            ("guess", made.guess[:, :, k], f"from a person's centre here to the {params.joint}"),
            ("offset", made.offset[:, :, k], f"from the cell to the {params.joint}"),
        ):
            scale = field.new_tensor([kept.affine.sx * STRIDE, kept.affine.sy * STRIDE])
            yield Field(
                f"maps/{name}", array(field.flip(-1) * scale), affine=cells, unit="px", note=words
            )


def windows(kept: Kept, params: MoveNetParams) -> Boxes:
    """Where the network looked, and where it will look in a clip's next frame."""
    height, width = kept.size
    following = around(pose(kept), kept.size) if params.follow else None
    whole = (0, 0, width, height)
    return Boxes(
        "people/window", np.array([kept.window or whole, following or whole], np.float32),
        labels=["looked at", "in the next frame"],
        note="around the person" if following else "the whole picture",
    )  # fmt: skip


def pose(kept: Kept) -> npt.NDArray[np.float64]:
    """The person (17, 3) as x, y, score, in pixels of the picture."""
    made = torch.cat([placed(kept.joints.points, kept), kept.joints.scores[:, None]], 1)
    found: npt.NDArray[np.float64] = made.double().numpy(force=True)
    return found


def placed(points: Tensor, kept: Kept) -> Tensor:
    """Places (17, 2) as y, x in cells, to x, y in pixels of the picture."""
    a = kept.affine
    scale = points.new_tensor([a.sx * STRIDE, a.sy * STRIDE])
    return points.flip(-1) * scale + points.new_tensor([a.tx, a.ty])


def around(
    before: npt.NDArray[np.float64] | None, size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """A square window x1, y1, x2, y2 around the pose of the frame before; None: the whole picture.

    So as in the publisher's use on video; it may reach beyond the picture. It wants shoulders or
    hips, or else the person may be no person.
    """
    if before is None or before[[5, 6, 11, 12], 2].max() < SEEN:
        return None
    seen = before[before[:, 2] >= SEEN, :2]
    low, high = seen.min(0), seen.max(0)
    middle = (low + high) / 2
    half = float((high - low).max()) * (0.5 + MARGIN)
    if 2 * half >= max(size) or half < 8:
        return None
    x1, y1, x2, y2 = (round(float(v)) for v in (*(middle - half), *(middle + half)))
    return x1, y1, x2, y2


def cropped(
    pixels: npt.NDArray[np.uint8], window: tuple[int, int, int, int]
) -> tuple[npt.NDArray[np.uint8], Affine]:
    """The window of a picture, black beyond its edges, and where it lies."""
    x1, y1, x2, y2 = window
    height, width = pixels.shape[:2]
    made = np.zeros((y2 - y1, x2 - x1, 3), np.uint8)
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    made[top - y1 : bottom - y1, left - x1 : right - x1] = pixels[top:bottom, left:right]
    return made, Affine(tx=float(x1), ty=float(y1))


def array(t: Tensor) -> npt.NDArray[np.float32]:
    """On the CPU in single precision."""
    found: npt.NDArray[np.float32] = t.float().numpy(force=True)
    return found
