"""Faces by Tiny YOLOv2: the five anchors of each cell, and what becomes of them.

Redmon, Farhadi, "YOLO9000: Better, Faster, Stronger", 2016; weights of the npm package face-api.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from engines.detect.yolo_training import evaluate
from engines.nn.detection.coco_names import CATEGORY_IDS
from engines.nn.detection.detections import DetectionParams
from engines.nn.loading import load_state
from engines.nn.one_stage.yolo import FACE_PREPROCESS, FaceYolo
from engines.nn.one_stage.yolo_boxes import v2_decode
from engines.nn.one_stage.yolo_views import Seen, found_in, views
from explorer.api import (
    Artefact,
    Boxes,
    Engine,
    FeatureMaps,
    Field,
    Image,
    ImageInput,
    Inputs,
    Outcome,
    Run,
    Text,
    knob,
    prepare,
)  # fmt: skip

WEIGHTS = "yolo-v2-face"


@dataclass(frozen=True, slots=True)
class YoloV2FaceParams(DetectionParams):
    """Knobs, with the publisher's defaults: score 0.5, IoU 0.4."""

    score: float = knob(
        0.5, low=0.0, high=1.0, step=0.01, effect="again", help="boxes below it are not shown"
    )
    overlap: float = knob(
        0.4, low=0.0, high=1.0, step=0.05, effect="again", unit="IoU",
        help="a box that overlaps a better one by more than this is removed",
    )  # fmt: skip
    size: int = knob(
        416, low=96, high=800, step=32, unit="px",
        help="side of the network's input, in steps of 32; larger finds smaller faces, slower",
    )  # fmt: skip


class YoloV2Face(Engine[YoloV2FaceParams]):
    """Faces in one picture, at any input size."""

    Params: ClassVar[type[Any]] = YoloV2FaceParams
    layout = "NHWC"
    fuses = True
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Boxes, FeatureMaps, Field, Text)
    categories = CATEGORY_IDS
    network: FaceYolo

    def build(self, params: YoloV2FaceParams) -> nn.Module:
        """The published weights."""
        network = FaceYolo()
        load_state(network, self.host.weights(WEIGHTS), WEIGHTS)
        return network

    def run(self, inputs: Inputs, params: YoloV2FaceParams, memory: Any = None) -> Run:
        """One pass over one picture."""
        photo: ImageInput = inputs["image"]
        params = yield Image("input/picture", photo.pixels, note=photo.name)
        seen = self._seen(photo, params)
        yield from self.again(seen, params)
        return Outcome(kept=seen)

    def _seen(self, photo: ImageInput, params: YoloV2FaceParams) -> Seen:
        stride = self.network.stride
        how = replace(FACE_PREPROCESS, size=max(params.size // stride, 1) * stride)
        x, affine = prepare(photo.pixels, how, self.host.device)
        decoded = v2_decode(self.network(x)[0], self.network.anchors, stride)
        return Seen(decoded, affine, photo.pixels.shape[:2], ("face",), "anchor")

    def again(self, kept: Seen, params: YoloV2FaceParams) -> Iterator[Artefact]:
        """Everything that is seen, from the grid that is already there."""
        yield from views(kept, found_in(kept, params), params, "scores")

    def evaluate(
        self, folder: Path, params: YoloV2FaceParams
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP over a folder with annotations in COCO's format, category ``face``."""

        def look(photo: ImageInput) -> Seen:
            return self._seen(photo, params)

        return (yield from evaluate(self.host, folder, look, params, ("face",)))
