"""Poses of several people by PoseNet: where each joint is believed, and how they are joined.

Papandreou et al., "PersonLab", 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import nn

from engines.motion.people import people
from engines.nn.loading import load_state
from engines.nn.motion.pose_decoding import Grids, grids, several, single
from engines.nn.motion.posenet import CHAIN, JOINTS, STRIDE, PoseNet
from engines.nn.motion.tracking import Crowd, followed
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

WEIGHTS = "posenet"
EDGES = tuple(f"{JOINTS[a]} to {JOINTS[b]}" for a, b in CHAIN)


@dataclass(frozen=True, slots=True)
class PoseNetParams:
    """Knobs; all but the first act on what the network has said already."""

    size: int = knob(385, low=129, high=1025, step=64, unit="px", help="side of the square input")
    decoding: str = knob(
        "several people", choices=("several people", "one person"), effect="again",
        help="one person: the strongest cell of each joint, whoever it belongs to",
    )  # fmt: skip
    score: float = knob(
        0.5, low=0.05, high=1.0, step=0.01, effect="again", when="decoding=several people",
        help="of the joint that a pose begins with",
    )  # fmt: skip
    pose: float = knob(
        0.15, low=0.01, high=0.95, step=0.01, effect="again", when="decoding=several people",
        help="mean score of a pose's joints, those left out that a better pose has already",
    )  # fmt: skip
    most: int = knob(
        5, low=1, high=20, effect="again", when="decoding=several people", help="people at most"
    )
    joint: str = knob("nose", choices=JOINTS, effect="again", help="whose heat map is shown")
    edge: str = knob(EDGES[0], choices=EDGES, effect="again", help="whose displacement is shown")


@dataclass(frozen=True, slots=True)
class Kept:
    """The maps of one picture, where they lie, and who was there before."""

    maps: Grids
    affine: Affine
    crowd: Crowd


class PoseNets(Engine[PoseNetParams]):
    """One pass over one picture."""

    Params: ClassVar[type[Any]] = PoseNetParams
    layout = "NHWC"
    fuses = True
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Keypoints, Boxes, Field, Scores)
    warm_up: ClassVar[int] = 1

    network: PoseNet

    def build(self, params: PoseNetParams) -> nn.Module:
        """The published weights."""
        network = PoseNet()
        load_state(network, self.host.weights(WEIGHTS), WEIGHTS)
        return network

    def run(self, inputs: Inputs, params: PoseNetParams, memory: Any = None) -> Run:
        """Poses of one picture. On a clip ``memory`` is who was there in the frames before."""
        photo: ImageInput = inputs["image"]
        params = yield Image("input/picture", photo.pixels, note=photo.name)
        side = params.size - (params.size - 1) % STRIDE  # the published padding wants 16 k + 1
        how = Preprocess(size=side, fit="letterbox", mean=(0.5,) * 3, std=(0.5,) * 3, fill=0.0)
        x, affine = prepare(photo.pixels, how, self.host.device)
        kept = Kept(grids(self.network(x)), affine, memory or Crowd())
        found = poses(kept, params)
        numbers, crowd = followed(kept.crowd, list(found))
        yield from people(found, numbers)
        yield from maps(kept, params)
        return Outcome(memory=crowd, kept=kept)

    def again(self, kept: Kept, params: PoseNetParams) -> Iterator[Artefact]:
        """People, and the maps that they were found in."""
        found = poses(kept, params)
        numbers, _ = followed(kept.crowd, list(found))
        yield from people(found, numbers)
        yield from maps(kept, params)


def maps(kept: Kept, params: PoseNetParams) -> Iterator[Artefact]:
    """Heat and offsets of one joint, displacements along one edge."""
    joint, edge = JOINTS.index(params.joint), EDGES.index(params.edge)
    # Cell i stands for the point 16 i of the input, whose pixel has its middle half a px on.
    cells = kept.affine.after(Affine(STRIDE, STRIDE, (1 - STRIDE) / 2, (1 - STRIDE) / 2))
    yield Field(
        "maps/heat", kept.maps.heat[joint].astype(np.float32), scale="probability",
        affine=cells, unit="p", note=f"that the {params.joint} lies near the cell",
    )  # fmt: skip
    to_px = np.array([kept.affine.sx, kept.affine.sy])
    for name, field, words in (
        ("offset", kept.maps.offset[joint], f"from the cell to the {params.joint}"),
        ("displacement forward", kept.maps.forward[edge], f"from {params.edge}"),
        ("displacement backward", kept.maps.backward[edge], f"back along {params.edge}"),
    ):
        yield Field(
            f"maps/{name}", xy(field) * to_px.astype(np.float32), affine=cells, unit="px",
            note=f"{words}; arrows count where the heat is high",
        )  # fmt: skip


def poses(kept: Kept, params: PoseNetParams) -> npt.NDArray[np.float64]:
    """People (P, 17, 3) as x, y, score, in pixels of the picture."""
    if params.decoding == "one person":
        found = single(kept.maps)[None]
    else:
        found = several(
            kept.maps, threshold=params.score, most=params.most, pose_threshold=params.pose
        )
    placed: npt.NDArray[np.float64] = found.copy()
    a = kept.affine
    # The network counts from the middle of the first pixel, the explorer from its corner.
    placed[..., 0] = a.sx * (found[..., 0] + 0.5) + a.tx
    placed[..., 1] = a.sy * (found[..., 1] + 0.5) + a.ty
    return placed


def xy(field: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """(2, H, W) as y, x to (H, W, 2) as x, y."""
    turned: npt.NDArray[np.float32] = field[::-1].transpose(1, 2, 0).astype(np.float32)
    return turned
