"""What the training of the small YOLO networks learns from, and how they are measured."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engines.nn.detection.coco import evaluate_folder
from engines.nn.detection.detections import DetectionParams
from engines.nn.detection.detector_training import Detected, Trained, TrainingParams, train
from engines.nn.detection.nms import batched_nms
from engines.nn.detection.shapes import Target
from engines.nn.one_stage.yolo import SHAPE_ANCHORS, SmallYoloV1, YoloV2, start
from engines.nn.one_stage.yolo_boxes import Decoded, v1_decode, v2_decode
from engines.nn.one_stage.yolo_loss import v1_loss, v2_loss
from engines.nn.one_stage.yolo_views import Seen, found_in
from explorer.api import Artefact, Checkpoint, Host, ImageInput, Training, knob

LEAST = 0.01  # score from which a box counts in the curve of precision over recall
OVERLAP = 0.5
MOST = 100  # boxes of a picture


@dataclass(frozen=True)
class YoloTrainingParams(TrainingParams):
    """Knobs of the training, with defaults that suit these networks."""

    rate: float = knob(
        3e-3, low=1e-6, high=0.1, log=True, effect="live", when="training",
        help="learning rate of Adam at its highest; it falls to 0 along a cosine",
    )  # fmt: skip
    batch: int = knob(32, low=1, high=256, unit="scenes", when="training", help="scenes a step")


def found_of(decoded: Decoded) -> Detected:
    """Boxes after the suppression of each class, at most `MOST`; by falling score."""
    scores = decoded.scores()
    rows, labels = (scores > LEAST).nonzero(as_tuple=True)
    boxes, values = decoded.boxes[rows], scores[rows, labels]
    kept = batched_nms(boxes, values, labels, OVERLAP)[:MOST]
    return Detected(boxes[kept], values[kept], labels[kept])


class V1Training:
    """Loss and detections of a small YOLO v1."""

    def __init__(self, network: SmallYoloV1) -> None:
        self.network = network

    def start(self, generator: torch.Generator) -> None:
        """Fresh weights."""
        start(self.network, generator)

    def loss(self, images: Tensor, targets: list[Target], params: Any) -> dict[str, Tensor]:
        """The five terms with the weights of the knobs."""
        return v1_loss(
            self.network(images), [t.boxes for t in targets], [t.labels for t in targets],
            count=self.network.boxes, side=images.shape[2:],
            coordinates=params.coordinates, empty=params.empty,
        )  # fmt: skip

    def detect(self, images: Tensor) -> list[Detected]:
        """What is found in each picture."""
        height, width = images.shape[2:]
        return [found_of(v1_decode(output, self.network.boxes, height, width))
                for output in self.network(images)]  # fmt: skip


class V2Training:
    """Loss and detections of a small YOLO v2.

    Args:
        scenes: whose anchors the network takes, ``plain`` or ``hard``.
        sizes: sides in px of which one is drawn for each batch, the paper's multi-scale training.
        pulled: for so many pictures all boxes are drawn to their anchors.
        seen: pictures that a resumed training has had.
    """

    def __init__(
        self, network: YoloV2, scenes: str, sizes: tuple[int, ...], pulled: int, seen: int = 0
    ) -> None:
        self.network, self.scenes, self.sizes, self.pulled = network, scenes, sizes, pulled
        self.seen = seen

    def start(self, generator: torch.Generator) -> None:
        """Fresh weights, and the anchors that k-means chose for these scenes."""
        start(self.network, generator)
        self.network.anchors.copy_(torch.tensor(SHAPE_ANCHORS[self.scenes]))

    def loss(self, images: Tensor, targets: list[Target], params: Any) -> dict[str, Tensor]:
        """The terms of the region layer at the size whose turn it is."""
        size = self.sizes[self.seen // len(images) % len(self.sizes)]
        scale = size / images.shape[2]
        if scale != 1:
            images = torch.nn.functional.interpolate(images, (size, size), mode="bilinear")
        terms = v2_loss(
            self.network(images), [t.boxes * scale for t in targets], [t.labels for t in targets],
            anchors=self.network.anchors, stride=self.network.stride,
            pulled=self.seen < self.pulled,
        )  # fmt: skip
        self.seen += len(images)
        return terms

    def detect(self, images: Tensor) -> list[Detected]:
        """What is found in each picture."""
        return [found_of(v2_decode(output, self.network.anchors, self.network.stride))
                for output in self.network(images)]  # fmt: skip


def learn(
    engine: Trained,
    network: nn.Module,
    lesson: V1Training | V2Training,
    params: Any,
    resume: Checkpoint | None,
) -> Training:
    """Train ``network`` on generated scenes; see `engines.nn.detection.detector_training`."""
    yield from train(
        engine, network, lesson.loss, lesson.detect, params, start=lesson.start, resume=resume
    )


def evaluate(
    host: Host,
    folder: Path,
    look: Callable[[ImageInput], Seen],
    params: DetectionParams,
    names: Sequence[str],
) -> Generator[Artefact, Any, Mapping[str, float]]:
    """AP over a folder with annotations in COCO's format, of all boxes from `LEAST` on."""
    low = replace(params, score=LEAST, only="")
    return (
        yield from evaluate_folder(
            host, folder, lambda photo: found_in(look(photo), low).left().told(), names
        )
    )
