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
from engines.nn.motion.movenet import STRIDE, MoveNet
from engines.nn.motion.movenet_reading import Kept, around, looked, placed, pose
from engines.nn.motion.posenet import JOINTS, SKELETON
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
    Run,
    Scores,
    knob,
)  # fmt: skip

WEIGHTS = "movenet-lightning"


@dataclass(frozen=True, slots=True)
class MoveNetParams:
    """Knobs."""

    follow: bool = knob(
        True, effect="again",
        help="on a clip, look only around where the person was in the frame before",
    )  # fmt: skip
    joint: str = knob("nose", choices=JOINTS, effect="again", help="whose maps are shown")


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
        before = memory if params.follow else None
        kept = looked(self.network, photo.pixels, before, self.host.device)
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


def array(t: Tensor) -> npt.NDArray[np.float32]:
    """On the CPU in single precision."""
    found: npt.NDArray[np.float32] = t.float().numpy(force=True)
    return found
