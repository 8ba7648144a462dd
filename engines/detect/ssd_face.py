"""Faces by SSD on MobileNetV1: where each box comes from, map by map.

Liu et al., "SSD: Single Shot MultiBox Detector", 2016; weights of the npm package face-api.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from engines.nn.detection.coco import evaluate_folder
from engines.nn.detection.coco_names import CATEGORY_IDS
from engines.nn.detection.detections import DetectionParams
from engines.nn.loading import load_state
from engines.nn.one_stage.prior_detections import EvaluationRule, Scored, candidates, scored, told
from engines.nn.one_stage.prior_views import views
from engines.nn.one_stage.priors import Priors
from engines.nn.one_stage.ssd_mobilenet import GRIDS, PER_CELL, PREPROCESS, SIDE, SsdMobileNet
from explorer.api import (
    Artefact,
    Boxes,
    Engine,
    Field,
    Image,
    ImageInput,
    Inputs,
    Outcome,
    Run,
    Scores,
    Text,
    knob,
    prepare,
)  # fmt: skip

NAMES = ("face",)
TESTING = EvaluationRule()  # but for the IoU, which is the knob's


@dataclass(frozen=True, slots=True)
class SsdFaceParams(DetectionParams):
    """Knobs, with the publisher's defaults: score 0.5, IoU 0.5."""

    score: float = knob(
        0.5, low=0.0, high=1.0, step=0.01, effect="again", help="boxes below it are not shown"
    )
    overlap: float = knob(
        0.5, low=0.0, high=1.0, step=0.05, effect="again", unit="IoU",
        help="a box that overlaps a better one by more than this is removed",
    )  # fmt: skip


class SsdFace(Engine[SsdFaceParams]):
    """Faces in one picture."""

    Params: ClassVar[type[Any]] = SsdFaceParams
    layout = "NHWC"
    fuses = True
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Boxes, Scores, Field, Text)
    categories = CATEGORY_IDS
    network: SsdMobileNet

    def build(self, params: SsdFaceParams) -> nn.Module:
        """The published weights."""
        network = SsdMobileNet()
        load_state(network, self.host.weights("ssd-face"), "ssd-face")
        return network

    def run(self, inputs: Inputs, params: SsdFaceParams, memory: Any = None) -> Run:
        """One pass over one picture."""
        photo: ImageInput = inputs["image"]
        params = yield Image("input/picture", photo.pixels, note=photo.name)
        found = self._scored(photo)
        yield from self.again(found, params)
        return Outcome(kept=found)

    def _scored(self, photo: ImageInput) -> Scored:
        x, affine = prepare(photo.pixels, PREPROCESS, self.host.device)
        output = self.network(x)
        priors = Priors(self.network.priors, tuple((g, g) for g in GRIDS), PER_CELL, SIDE)
        return scored(
            output.logits[0].sigmoid(), output.offsets[0],
            priors, affine, photo.pixels.shape[:2], NAMES,
        )  # fmt: skip

    def again(self, kept: Scored, params: SsdFaceParams) -> Iterator[Artefact]:
        """Everything that is seen, from scores and boxes that are already there."""
        yield from views(
            kept, candidates(kept, params.score, TESTING.most), params, point="scores",
            most=TESTING.kept,
        )  # fmt: skip

    def evaluate(
        self, folder: Path, params: SsdFaceParams
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP over a folder with annotations in COCO's format, category ``face``."""

        def detect(photo: ImageInput) -> Any:
            return told(self._scored(photo), replace(TESTING, overlap=params.overlap))

        return (yield from evaluate_folder(self.host, folder, detect, NAMES))
