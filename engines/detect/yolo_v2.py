"""YOLO v2: anchors from k-means, the pass-through, any input size.

Redmon, Farhadi, "YOLO9000: Better, Faster, Stronger", 2016. Small networks trained here on
generated shapes, the paper's network, and a person's own Darknet files.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engines.detect.yolo_training import V2Training, YoloTrainingParams, evaluate, learn
from engines.nn.detection.anchor_views import anchors_artefacts
from engines.nn.detection.box_sizes import read_sizes
from engines.nn.detection.coco_names import CATEGORY_IDS
from engines.nn.detection.detections import DetectionParams
from engines.nn.detection.shapes import NAMES
from engines.nn.loading import load_state
from engines.nn.one_stage.darknet import Darknet
from engines.nn.one_stage.darknet_files import VOC_20, own_network
from engines.nn.one_stage.reorg import Reorg
from engines.nn.one_stage.yolo import SHAPE_ANCHORS, SMALL_SIDE, V2_SIDE, YoloV2, start
from engines.nn.one_stage.yolo_boxes import v2_decode
from engines.nn.one_stage.yolo_views import Seen, found_in, passthrough_views, spot, views
from explorer.api import (
    Affine,
    Artefact,
    Boxes,
    Checkpoint,
    Curve,
    Engine,
    EngineError,
    FeatureMaps,
    Field,
    FileInput,
    Image,
    ImageInput,
    Inputs,
    Outcome,
    Preprocess,
    Run,
    Scatter,
    Scores,
    Text,
    Training,
    knob,
    prepare,
)

PLAIN, HARD, RANDOM = "shapes-yolo-v2", "shapes-yolo-v2-hard", "random-yolo-v2"
PULLED = 640  # pictures that a small training draws all boxes to their anchors
TRAINED_AT = {"one": (64,), "several": (64, 48, 80, 96)}


@dataclass(frozen=True, slots=True)
class YoloV2Params(YoloTrainingParams, DetectionParams):
    """Knobs of YOLO v2."""

    weights: str = knob(
        PLAIN, choices=(PLAIN, RANDOM, HARD), effect="build",
        help="shapes: small networks trained here on scenes of 64 px; random: the paper's network "
        "with its 50,655,389 numbers, untrained",
    )  # fmt: skip
    darknet: str = knob(
        "", effect="build",
        help="your own network in place of that: the path of a cfg with its weights beside it, or "
        "CFG; WEIGHTS; NAMES",
    )  # fmt: skip
    size: int = knob(
        0, low=0, high=608, step=32, unit="px",
        help="side of the network's input, in whole cells; 0: what the network was made for",
    )  # fmt: skip
    k: int = knob(
        3, low=1, high=15, unit="anchors", help="k-means looks for so many in the annotation file"
    )
    sizes: str = knob(
        "one", choices=tuple(TRAINED_AT), when="training",
        help="train at 64 px, or at 48, 64, 80 and 96 px in turn (multi-scale)",
    )  # fmt: skip
    train_steps: int = knob(
        392, low=1, high=100_000, unit="steps", when="training", help="length of the cosine"
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """What `again` needs: what the grid says, and the pass-through (C, 2 h, 2 w), (4 C, h, w)."""

    seen: Seen
    fine: Tensor | None
    phases: Tensor | None


class YoloV2Engine(Engine[YoloV2Params]):
    """YOLO v2 on one picture at any size, and its training on generated scenes."""

    Params: ClassVar[type[Any]] = YoloV2Params
    layout = "NHWC"
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Boxes, Scores, Field, FeatureMaps, Scatter, Curve, Text,
    )  # fmt: skip
    categories = CATEGORY_IDS

    def build(self, params: YoloV2Params) -> nn.Module:
        """Small trained networks, the paper's untrained one, or a person's own."""
        self.provenance = ""
        if params.darknet:
            own = own_network(params.darknet, 2)
            self._names, self._side, self.provenance = own.names, own.network.size, own.words
            self._anchors = torch.tensor(own.head.anchors, device=self.host.device)
            return own.network
        if params.weights == RANDOM:
            network, self._names, side = YoloV2(), VOC_20, V2_SIDE
            start(network, self.host.generator())
            self.provenance = "random weights, nothing learnt"
        else:
            scenes = "hard" if params.weights == HARD else "plain"
            network = YoloV2(len(NAMES), SHAPE_ANCHORS[scenes], small=True)
            self._names, side = NAMES, SMALL_SIDE
            load_state(network, self.host.weights(params.weights), params.weights)
        self._side = (side, side)
        return network

    def described(self) -> Mapping[str, Any]:
        """The layers of the network that was built."""
        if not isinstance(self.network, Darknet):
            return {}
        layers = self.network.layers
        reorg = [i for i, layer in enumerate(layers) if isinstance(layer, Reorg)]
        return {"points": [f"layers.{i}" for i in (len(layers) // 2, *reorg, 0, len(layers) - 2)]}

    def run(self, inputs: Inputs, params: YoloV2Params, memory: Any = None) -> Run:
        """One pass over one picture."""
        photo: ImageInput = inputs["image"]
        params = yield Image("input/picture", photo.pixels, note=photo.name)
        said = self._said(photo, params)
        yield from self.again(said, params)
        annotations: FileInput | None = inputs.get("annotations")
        if annotations is not None:
            yield from anchors_artefacts(
                read_sizes(annotations.path), params.k, grid=said.seen.decoded.grid[:2],
                picture=photo.pixels.shape[:2], film=False,
            )  # fmt: skip
        return Outcome(kept=said)

    def _said(self, photo: ImageInput, params: YoloV2Params) -> Kept:
        network = self.network
        assert isinstance(network, YoloV2 | Darknet)
        stride = network.stride
        side = self._side
        if params.size and not (isinstance(network, Darknet) and network.fixed):
            least = 2 if isinstance(network, YoloV2) else 1
            side = (max(params.size // stride, least) * stride,) * 2
        x, affine = prepare(photo.pixels, Preprocess(side, "letterbox"), self.host.device)
        fine: Tensor | None
        phases: Tensor | None
        if isinstance(network, YoloV2):
            grid, fine, phases = network.stages(x)
            anchors = network.anchors
        else:
            outputs = network.outputs(x)
            at = [i for i, layer in enumerate(network.layers) if isinstance(layer, Reorg)]
            grid, anchors = outputs[-1], self._anchors
            fine = outputs[at[0] - 1] if at else None
            phases = outputs[at[0]] if at else None
        seen = Seen(v2_decode(grid[0], anchors, stride), affine, photo.pixels.shape[:2],
                    self._names, "anchor")  # fmt: skip
        return Kept(seen, None if fine is None else fine[0], None if phases is None else phases[0])

    def again(self, said: Kept, params: YoloV2Params) -> Iterator[Artefact]:
        """Everything that is seen, from what the network said already."""
        made = found_in(said.seen, params)
        point = "scores" if isinstance(self.network, YoloV2) else ""
        yield from views(said.seen, made, params, point)
        if said.fine is not None and said.phases is not None:
            height, width = said.seen.decoded.cell
            place = said.seen.affine.after(Affine(width / 2, height / 2))
            cell = spot(said.seen, made, params)
            yield from passthrough_views(said.fine, said.phases, place, said.seen.grid, cell)

    def train(
        self, inputs: Inputs, params: YoloV2Params, resume: Checkpoint | None = None
    ) -> Training:
        """Train the small network on generated scenes."""
        if not isinstance(self.network, YoloV2) or self.network.classes != len(NAMES):
            raise EngineError(f"only the small networks are trained here: set weights={PLAIN}")
        seen = resume.step * params.batch if resume is not None else 0
        lesson = V2Training(
            self.network, params.scenes, TRAINED_AT[params.sizes], PULLED, seen
        )  # fmt: skip
        yield from learn(self, self.network, lesson, params, resume)

    def evaluate(
        self, folder: Path, params: YoloV2Params
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP over a folder with annotations in COCO's format."""

        def look(photo: ImageInput) -> Seen:
            return self._said(photo, params).seen

        return (yield from evaluate(self.host, folder, look, params, self._names))
