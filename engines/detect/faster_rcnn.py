"""Faster R-CNN, stage by stage: Ren, He, Girshick, Sun, 2015, on a feature pyramid.

The official weights for COCO, or a small network that was trained here on generated scenes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import nn

from engines.detect.rcnn_models import MOBILE, build, check_trainable, class_names, models
from engines.nn.detection.coco import evaluate_folder
from engines.nn.detection.coco_names import CATEGORY_IDS
from engines.nn.detection.detections import DetectionParams, Thinned, shown, thinned
from engines.nn.detection.detections import chosen as picked
from engines.nn.detection.detector_training import TrainingParams
from engines.nn.detection.matching import Matcher
from engines.nn.two_stage.rcnn import RCNN, frame, small
from engines.nn.two_stage.rcnn_stages import (
    Chosen,
    Laps,
    Look,
    as_fed,
    choose,
    found_in,
    look,
    to_candidates,
)
from engines.nn.two_stage.rcnn_training import train_small
from engines.nn.two_stage.roi_pooling import to_network
from engines.nn.two_stage.roi_region import region
from engines.nn.two_stage.rpn import ProposalRule
from engines.nn.two_stage.rpn_views import (
    assignment,
    cell_anchors_at,
    levels_of,
    objectness,
    proposals,
    recall,
)
from explorer.api import (
    Artefact,
    Boxes,
    Checkpoint,
    Curve,
    Engine,
    FeatureMaps,
    Field,
    Image,
    ImageInput,
    Inputs,
    Matrix,
    Outcome,
    Run,
    Scores,
    Text,
    Training,
    knob,
)  # fmt: skip

MODELS = (*models("faster")[:-1], *MOBILE, models("faster")[-1])


@dataclass(frozen=True, slots=True)
class FasterRcnnParams(TrainingParams, DetectionParams):
    """Knobs of both stages; those after the heads act without the network."""

    model: str = knob(
        MODELS[0], choices=MODELS, effect="build",
        help="shapes-… were trained here on generated scenes; …-coco are the official weights",
    )  # fmt: skip
    candidates: int = knob(
        0, low=0, high=2000,
        help="best anchors of each level that become candidates; 0: as many as in its training",
    )  # fmt: skip
    proposal_overlap: float = knob(
        0.7, low=0.0, high=1.0, step=0.01, effect="again",
        help="IoU above which the weaker of two proposals of one level goes",
    )  # fmt: skip
    proposals: int = knob(
        0, low=0, high=2000, effect="again",
        help="proposals that the second stage gets; 0: as many as in its training",
    )  # fmt: skip
    shown: int = knob(30, low=1, high=1000, effect="again", help="best proposals that are drawn")
    positive: float = knob(
        0.7, low=0.0, high=1.0, step=0.01, effect="again", help="IoU from which an anchor matches"
    )
    negative: float = knob(
        0.3, low=0.0, high=1.0, step=0.01, effect="again", help="IoU below which it does not"
    )
    anchor_size: float = knob(
        1.0, low=0.25, high=4.0, step=0.05, log=True,
        help="factor on all anchors; the heads were trained with 1 and know of no other",
    )  # fmt: skip
    anchor_shape: float = knob(
        1.0, low=0.25, high=4.0, step=0.05, log=True,
        help="factor on height over width of all anchors; trained with 1",
    )  # fmt: skip
    timing: bool = knob(False, help="measure how long each stage takes")


class FasterRcnn(Engine[FasterRcnnParams]):
    """Two stages: anchors become proposals, proposals become detections."""

    Params: ClassVar[type[Any]] = FasterRcnnParams
    layout = "NHWC"
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Boxes, Scores, Text, Field, FeatureMaps, Matrix, Curve,
    )  # fmt: skip
    categories = CATEGORY_IDS
    network: RCNN

    def build(self, params: FasterRcnnParams) -> nn.Module:
        """The chosen network with its weights."""
        self.names = class_names("faster", params.model)
        network = build("faster", params.model, self.host)
        self.levels = levels_of(network)
        return network

    def run(self, inputs: Inputs, params: FasterRcnnParams, memory: Any = None) -> Run:
        """Both stages on one picture."""
        photo: ImageInput = inputs["image"]
        laps = Laps(self.host.device) if params.timing else None
        framed = frame(photo.pixels, self.network.framing, self.host.device)
        rule = self._rule(params)
        more = {"lap": laps} if laps is not None else {}
        made = look(
            self.network, framed, rule, grow=params.anchor_size, stretch=params.anchor_shape, **more
        )
        yield as_fed(made)
        if laps is not None:
            yield timing(laps)
        yield from objectness(made, self.levels)
        yield from self._after(made, params)
        return Outcome(kept=made)

    def again(self, kept: Look, params: FasterRcnnParams) -> Iterator[Artefact]:
        """Everything behind the heads, under other thresholds."""
        yield from self._after(kept, params)

    def train(
        self, inputs: Inputs, params: FasterRcnnParams, resume: Checkpoint | None = None
    ) -> Training:
        """Train the small network from scratch on generated scenes."""
        check_trainable(params.model)
        yield from train_small(self, self.network, small, params, resume)

    def evaluate(
        self, folder: Path, params: FasterRcnnParams
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP over a folder with annotations in COCO's format."""

        def detect(photo: ImageInput) -> Any:
            return found_in(self.network, photo, self.names, params.overlap, self.host.device)

        return (yield from evaluate_folder(self.host, folder, detect, self.names))

    def _after(self, made: Look, params: FasterRcnnParams) -> Iterator[Artefact]:
        rule = self._rule(params)
        chosen = choose(made, rule.overlap, rule.after)
        candidates = to_candidates(made, chosen.kept, self.names, self.levels.names)
        found = thinned(candidates, params)
        yield from shown(found, params)
        row = picked(found, params.cursor)
        truth = to_network(found.offered.at(found.kept).boxes, made.framed.affine)
        matcher = Matcher(params.positive, min(params.negative, params.positive), best=True)
        at = place(found, row, params.cursor, made)
        yield from cell_anchors_at(made, self.levels, at, truth, matcher)
        foreign = (params.anchor_size, params.anchor_shape) != (1.0, 1.0)
        yield from proposals(made, chosen, self.levels, params.shown, foreign=foreign)
        yield recall(made, chosen.kept, truth)
        yield from self._regions(made, chosen, found, row, params)

    def _rule(self, params: FasterRcnnParams) -> ProposalRule:
        own = self.network.proposing
        before, after = params.candidates or own.before, params.proposals or own.after
        return replace(own, before=before, after=after, overlap=params.proposal_overlap)

    def _regions(
        self, made: Look, chosen: Chosen, found: Thinned, row: int | None, params: FasterRcnnParams
    ) -> Iterator[Artefact]:
        boxes, scores = made.candidates.boxes, made.candidates.scores
        levels = self.network.roi_heads.box_roi_pool.levels(boxes, self.network.strides)
        kept, names = chosen.kept, self.levels.names[: self.levels.heads]
        yield from assignment(
            boxes[kept], scores[kept], levels[kept], made.framed.affine, names, params.shown
        )
        seen = kept[made.row[kept] >= 0]
        if row is None and not len(seen):
            return
        candidate = int(seen[0]) if row is None else int(found.offered.sources[row])
        yield from region(made, candidate, int(levels[candidate]), self.names, self.levels)


def timing(laps: Laps) -> Scores:
    """Milliseconds of each stage."""
    names, values = zip(*laps.milliseconds.items(), strict=True)
    return Scores(
        "timing/stages", np.asarray(values, np.float32), labels=names, probability=False, unit="ms"
    )


def place(
    found: Thinned, row: int | None, at: tuple[float, float] | None, look: Look
) -> tuple[float, float]:
    """Where a person clicked; else the middle of the best detection, else that of the picture."""
    if at is not None:
        return at
    if row is not None:
        x1, y1, x2, y2 = found.offered.boxes[row].tolist()
        return (x1 + x2) / 2, (y1 + y2) / 2
    height, width = look.framed.size
    return look.framed.affine.to_input(width / 2, height / 2)
