"""YOLO v1: a grid over the picture, two boxes and one class distribution a cell.

Redmon, Divvala, Girshick, Farhadi, "You Only Look Once", 2016. Small networks trained here on
generated shapes, the paper's network, and a person's own Darknet files.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engines.detect.yolo_training import V1Training, YoloTrainingParams, evaluate, learn
from engines.nn.detection.annotated import Annotated, annotated
from engines.nn.detection.coco_names import CATEGORY_IDS
from engines.nn.detection.detections import DetectionParams
from engines.nn.detection.shapes import NAMES
from engines.nn.loading import load_state
from engines.nn.one_stage.darknet import v1_grid
from engines.nn.one_stage.darknet_files import VOC_20, Own, own_network
from engines.nn.one_stage.yolo import SMALL_SIDE, V1_SIDE, SmallYoloV1, YoloV1, start
from engines.nn.one_stage.yolo_boxes import v1_decode
from engines.nn.one_stage.yolo_views import (
    Seen,
    class_of_cells,
    found_in,
    v1_answer,
    v1_truth_views,
    views,
)
from explorer.api import (
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
    Masks,
    Outcome,
    Preprocess,
    Run,
    Scores,
    Text,
    Training,
    knob,
    prepare,
)

PLAIN, HARD, RANDOM = "shapes-yolo-v1", "shapes-yolo-v1-hard", "random-yolo-v1"


@dataclass(frozen=True, slots=True)
class YoloV1Params(YoloTrainingParams, DetectionParams):
    """Knobs of YOLO v1."""

    weights: str = knob(
        PLAIN, choices=(PLAIN, RANDOM, HARD), effect="build",
        help="shapes: small networks trained here on scenes of 64 px; random: the paper's network "
        "with its 271,703,550 numbers, untrained",
    )  # fmt: skip
    darknet: str = knob(
        "", effect="build",
        help="your own network in place of that: the path of a cfg with its weights beside it, or "
        "CFG; WEIGHTS; NAMES",
    )  # fmt: skip
    truth: tuple[float, float, float, float] | None = knob(
        None, kind="box", effect="again",
        help="draw what is to be found; without, the annotations or the detections stand for it",
    )  # fmt: skip
    coordinates: float = knob(
        5.0, low=0.0, high=20.0, step=0.5, effect="again",
        help="weight of the coordinates in the loss, also in training (λ coord)",
    )  # fmt: skip
    empty: float = knob(
        0.5, low=0.0, high=5.0, step=0.05, effect="again",
        help="weight of boxes without an object in the loss, also in training (λ noobj)",
    )  # fmt: skip
    train_steps: int = knob(
        708, low=1, high=100_000, unit="steps", when="training", help="length of the cosine"
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """What `again` needs: the grid (1, 5 B + C, h, w), what it says, the input's height, width.

    ``truth`` is what an annotation file says of the picture, None without one.
    """

    grid: Tensor
    seen: Seen
    side: tuple[int, int]
    truth: Annotated | None = None


class YoloV1Engine(Engine[YoloV1Params]):
    """YOLO v1 on one picture, and its training on generated scenes."""

    Params: ClassVar[type[Any]] = YoloV1Params
    layout = "NHWC"
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Boxes, Scores, Masks, Field, FeatureMaps, Curve, Text,
    )  # fmt: skip
    categories = CATEGORY_IDS

    def build(self, params: YoloV1Params) -> nn.Module:
        """Small trained networks, the paper's untrained one, or a person's own."""
        self._own: Own | None = None
        self._explained = not params.darknet and params.weights != RANDOM
        self.provenance = ""
        if params.darknet:
            own = own_network(params.darknet, 1)
            self._own, self._names, self._count = own, own.names, own.head.boxes
            self._side, self.provenance = own.network.size, own.words
            return own.network
        if params.weights == RANDOM:
            paper = YoloV1()
            start(paper, self.host.generator())
            self._names, self._count, self._side = VOC_20, paper.boxes, (V1_SIDE, V1_SIDE)
            self.provenance = "random weights, nothing learnt"
            return paper
        network = SmallYoloV1()
        load_state(network, self.host.weights(params.weights), params.weights)
        self._names, self._count, self._side = NAMES, network.boxes, (SMALL_SIDE, SMALL_SIDE)
        return network

    def described(self) -> Mapping[str, Any]:
        """The layers of the network that was built."""
        if self._own is not None:
            count = len(self._own.network.layers)
            return {"points": [f"layers.{i}" for i in (count // 2, 0, count - 2)]}
        if isinstance(self.network, YoloV1):
            return {"points": ["trunk.16", "first", "trunk.1", "trunk.10", "last.2", "fc1", "grid"]}
        return {}

    def run(self, inputs: Inputs, params: YoloV1Params, memory: Any = None) -> Run:
        """One pass over one picture."""
        photo: ImageInput = inputs["image"]
        params = yield Image(
            "input/picture", photo.pixels, note=photo.name, gestures={"box": "truth"}
        )
        said = self._said(photo, params)
        annotations: FileInput | None = inputs.get("annotations")
        if annotations is not None:
            said = replace(said, truth=annotated(annotations.path, photo, self._names))
        yield from self.again(said, params)
        return Outcome(kept=said)

    def _said(self, photo: ImageInput, params: YoloV1Params) -> Kept:
        how = Preprocess(self._side, "letterbox")
        x, affine = prepare(photo.pixels, how, self.host.device)
        output = self.network(x)
        grid = output if self._own is None else v1_grid(output, self._own.head)
        decoded = v1_decode(grid[0], self._count, *self._side)
        seen = Seen(decoded, affine, photo.pixels.shape[:2], self._names, "box")
        return Kept(grid, seen, self._side)

    def again(self, said: Kept, params: YoloV1Params) -> Iterator[Artefact]:
        """Everything that is seen, from the grid that is already there."""
        made = found_in(said.seen, params)
        found = made.left()
        truth, labels = found.boxes, found.labels
        note = "the detections stand for the truth"
        if said.truth is not None:
            device = said.grid.device
            truth, labels = said.truth.boxes.to(device), said.truth.labels.to(device)
            note = f"truth from the annotations: {said.truth.words}"
        if params.truth is not None:
            truth = torch.tensor([params.truth], device=said.grid.device)
            note = "the box you drew, as the class that its cell says"
            labels = torch.zeros(0, dtype=torch.long, device=said.grid.device)
        answer = v1_answer(said.grid, said.seen, truth, labels, count=self._count, side=said.side)
        point = "scores" if self._explained else ""
        yield from views(said.seen, made, params, point, answer.rows.tolist())
        yield class_of_cells(said.seen)
        yield from v1_truth_views(
            said.grid, said.seen, answer, note, count=self._count, side=said.side,
            coordinates=params.coordinates, empty=params.empty,
        )  # fmt: skip

    def train(
        self, inputs: Inputs, params: YoloV1Params, resume: Checkpoint | None = None
    ) -> Training:
        """Train the small network on generated scenes."""
        if not isinstance(self.network, SmallYoloV1):
            raise EngineError(f"only the small networks are trained here: set weights={PLAIN}")
        lesson = V1Training(self.network)
        yield from learn(self, self.network, lesson, params, resume)

    def evaluate(
        self, folder: Path, params: YoloV1Params
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP over a folder with annotations in COCO's format."""

        def look(photo: ImageInput) -> Seen:
            return self._said(photo, params).seen

        return (yield from evaluate(self.host, folder, look, params, self._names))
