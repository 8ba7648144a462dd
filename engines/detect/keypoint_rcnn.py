"""Keypoint R-CNN: a heat map of each point for every detection.

He, Gkioxari, Dollár, Girshick, "Mask R-CNN", 2017, section 5. The official weights for people in
COCO, or small networks trained here that find the corners of squares in generated scenes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engines.detect.rcnn_models import build, check_trainable, class_names, models
from engines.detect.roi_choice import (
    LEAST,
    MOST,
    PoolingParams,
    as_fed,
    pooled_both_ways,
    pooling,
    seen,
)
from engines.nn.detection.boxes import moved
from engines.nn.detection.coco import PointRule, evaluate_folder
from engines.nn.detection.coco_names import CATEGORY_IDS
from engines.nn.detection.detections import Candidates, DetectionParams, chosen, shown, thinned
from engines.nn.detection.detector_training import TrainingParams
from engines.nn.detection.keypoint_similarity import COCO_SIGMAS, SHAPE_SIGMA
from engines.nn.detection.shapes import SQUARE
from engines.nn.two_stage import keypoint_views
from engines.nn.two_stage.keypoint_head import KeypointOutput, locate
from engines.nn.two_stage.rcnn import RCNN, small
from engines.nn.two_stage.rcnn_stages import Look
from engines.nn.two_stage.rcnn_training import train_small
from engines.nn.two_stage.roi_pooling import first_rows, pool_by, to_network
from engines.nn.two_stage.rpn_views import levels_of
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
    Keypoints,
    Matrix,
    Outcome,
    Run,
    Scores,
    Text,
    Training,
    knob,
)  # fmt: skip

MODELS = models("keypoint")
_COCO = MODELS[-2]
POINTED = 100  # candidates that get keypoints in a run, so that the score can be moved afterwards


@dataclass(frozen=True, slots=True)
class KeypointRcnnParams(PoolingParams, TrainingParams, DetectionParams):
    """Knobs of Keypoint R-CNN; those of the points act without the network."""

    score: float = knob(
        0.5, low=0.0, high=1.0, step=0.01, effect="again", help="boxes below it are not shown"
    )
    model: str = knob(
        MODELS[0], choices=MODELS, effect="build",
        help="shapes-… were trained here and know corners of squares; …-coco knows people",
    )  # fmt: skip
    threshold: float = knob(
        0.0, low=-20.0, high=40.0, step=0.5, effect="again", unit="logit",
        help="points whose peak is lower are drawn hollow",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pointed:
    """What a run leaves: both stages, candidates, and the maps of some of them.

    ``row`` (N,) is each candidate's row in ``maps``, ``points`` and ``peaks``, -1 for none.
    ``points`` (D, K, 2) are in input pixels, ``peaks`` (D, K) logits.
    """

    look: Look
    found: Candidates
    maps: KeypointOutput
    points: Tensor
    peaks: Tensor
    row: Tensor


class KeypointRcnn(Engine[KeypointRcnnParams]):
    """Detections, each with points."""

    Params: ClassVar[type[Any]] = KeypointRcnnParams
    layout = "NHWC"
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Boxes, Text, Keypoints, FeatureMaps, Field, Matrix, Scores, Curve,
    )  # fmt: skip
    replays: ClassVar[bool] = False  # how regions are pooled is set from outside
    categories = CATEGORY_IDS
    network: RCNN

    def build(self, params: KeypointRcnnParams) -> nn.Module:
        """The chosen network with its weights."""
        self.names = class_names("keypoint", params.model)
        people = params.model == _COCO
        self.points = keypoint_views.COCO_POINTS if people else keypoint_views.SQUARE_POINTS
        self.bones = keypoint_views.COCO_BONES if people else keypoint_views.SQUARE_BONES
        self.label = 1 if people else SQUARE + 1  # the class that has points
        network = build("keypoint", params.model, self.host)
        self.levels = levels_of(network)
        return network

    def run(self, inputs: Inputs, params: KeypointRcnnParams, memory: Any = None) -> Run:
        """Both stages on one picture, then the points of the best candidates."""
        photo: ImageInput = inputs["image"]
        kept = self._seen(photo, params)
        yield as_fed(kept.look)
        yield from self.again(kept, params)
        return Outcome(kept=kept)

    def again(self, kept: Pointed, params: KeypointRcnnParams) -> Iterator[Artefact]:
        """Everything behind the heads, under other thresholds."""
        made = thinned(kept.found, params, most=MOST)
        yield from shown(made, params)
        at = kept.row[made.left_rows()]
        ids, at = made.kept[at >= 0].tolist(), at[at >= 0]
        yield keypoint_views.skeletons(
            kept.points[at], kept.peaks[at], self.points, self.bones, params.threshold, ids
        )
        traced = chosen(made, params.cursor)
        row = -1 if traced is None else int(kept.row[made.rows[traced]])
        if row < 0 and len(at):
            row = int(at[0])  # the traced one has no points: those of the best that has
        if row >= 0:
            yield from self._instance(kept, row, params)
        box = None if traced is None else made.offered.boxes[traced]
        yield from pooled_both_ways(
            kept.look, box, params, self.network.roi_heads.keypoint_roi_pool, self.network.strides
        )

    def _seen(self, photo: ImageInput, params: KeypointRcnnParams) -> Pointed:
        """Both stages, and points of the detections and of other good candidates."""
        pool_by(self.network, pooling(params), params.ratio, aligned=params.aligned)
        made, found, best = seen(
            self.network, photo, params, self.names, self.levels.names, self.host.device
        )
        affine = made.framed.affine
        order = first_rows(best, found.scores, len(found))
        rows = order[found.labels[order] == self.label][:POINTED]
        boxes = to_network(found.boxes[rows], affine)
        maps = self.network.roi_heads.keypoints(made.pyramid.heads, [boxes], self.network.strides)
        places, peaks = locate(maps.logits, boxes)
        corners = moved(places.repeat(1, 1, 2).flatten(0, 1), affine)
        row = torch.full_like(found.labels, -1)
        row[rows] = torch.arange(len(rows), device=row.device)
        return Pointed(made, found, maps, corners[:, :2].view_as(places), peaks, row)

    def _instance(self, kept: Pointed, row: int, params: KeypointRcnnParams) -> Iterator[Artefact]:
        framed = kept.look.framed
        box = kept.found.boxes[kept.row == row]
        yield from keypoint_views.instance(
            kept.maps.logits[row], to_network(box, framed.affine)[0], kept.peaks[row],
            self.points, framed.affine, framed.size, params.threshold,
        )  # fmt: skip

    def evaluate(
        self, folder: Path, params: KeypointRcnnParams
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP of boxes and keypoints over a folder with annotations in COCO's format."""
        low = replace(params, score=LEAST, only="")
        sigmas = COCO_SIGMAS if params.model == _COCO else (SHAPE_SIGMA,) * len(self.points)
        rule = PointRule(self.names[self.label], sigmas)

        def detect(photo: ImageInput) -> Any:
            kept = self._seen(photo, low)
            made = thinned(kept.found, low, most=MOST)
            at = kept.row[made.left_rows()]
            points = kept.points.new_full((len(at), len(self.points), 3), torch.nan)
            points[at >= 0, :, :2] = kept.points[at[at >= 0]]
            points[at >= 0, :, 2] = kept.peaks[at[at >= 0]]
            return *made.left().told(), points

        return (yield from evaluate_folder(self.host, folder, detect, self.names[1:], points=rule))

    def train(
        self, inputs: Inputs, params: KeypointRcnnParams, resume: Checkpoint | None = None
    ) -> Training:
        """Train the small network on generated scenes from fresh weights.

        Raises:
            EngineError: the network is not the small one.
        """
        check_trainable(params.model)
        pool_by(self.network, pooling(params), params.ratio, aligned=params.aligned)
        yield from train_small(self, self.network, lambda: small("keypoint"), params, resume)
