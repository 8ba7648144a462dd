"""Mask R-CNN: a mask of each class for every detection, pooled without rounding.

He, Gkioxari, Dollár, Girshick, "Mask R-CNN", 2017. The official weights for COCO, or small networks
that were trained here on generated scenes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

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
from engines.nn.detection.coco import evaluate_folder
from engines.nn.detection.coco_names import CATEGORY_IDS
from engines.nn.detection.detections import Candidates, DetectionParams, chosen, shown, thinned
from engines.nn.detection.detector_training import TrainingParams
from engines.nn.two_stage import mask_views
from engines.nn.two_stage.mask_head import MaskOutput, paste_all
from engines.nn.two_stage.rcnn import RCNN, small
from engines.nn.two_stage.rcnn_stages import Look
from engines.nn.two_stage.rcnn_training import AGNOSTIC, train_small
from engines.nn.two_stage.roi_pooling import first_rows, pool_by, to_network
from engines.nn.two_stage.rpn_views import levels_of
from explorer.api import (
    Affine,
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
    Masks,
    Matrix,
    Outcome,
    Run,
    Scores,
    Text,
    Training,
    knob,
)  # fmt: skip

MODELS = models("mask")
_COCO = tuple(name for name in MODELS if name.endswith("-coco"))
_OURS = "|".join(name for name in MODELS if name not in _COCO)
PIXELS = 60_000_000  # of all masks together, at the size of the picture
MASKED = 200  # candidates that get masks in a run, so that the score can be moved afterwards


@dataclass(frozen=True, slots=True)
class MaskRcnnParams(PoolingParams, TrainingParams, DetectionParams):
    """Knobs of Mask R-CNN; those of the masks act without the network."""

    score: float = knob(
        0.5, low=0.0, high=1.0, step=0.01, effect="again", help="boxes below it are not shown"
    )
    model: str = knob(
        MODELS[0], choices=MODELS, effect="build",
        help="shapes-… were trained here on generated scenes; …-coco are the official weights",
    )  # fmt: skip
    threshold: float = knob(
        0.5, low=0.0, high=1.0, step=0.01, effect="again",
        help="a pixel belongs to the mask above this probability",
    )  # fmt: skip
    agnostic: bool = knob(
        False, effect="again", when=f"model={_OURS}",
        help="paste the map that was trained on objects of every class, not that of the class",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Masked:
    """What a run leaves: both stages, candidates, and the masks of some of them.

    ``row`` (N,) is each candidate's row in ``masks``, -1 for none; ``size`` the picture's height
    and width.
    """

    look: Look
    found: Candidates
    masks: MaskOutput
    row: Tensor
    size: tuple[int, ...]


class MaskRcnn(Engine[MaskRcnnParams]):
    """Detections, each with a mask."""

    Params: ClassVar[type[Any]] = MaskRcnnParams
    layout = "NHWC"
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Boxes, Text, Masks, FeatureMaps, Field, Scores, Matrix, Curve,
    )  # fmt: skip
    replays: ClassVar[bool] = False  # how regions are pooled is set from outside
    categories = CATEGORY_IDS
    network: RCNN

    def build(self, params: MaskRcnnParams) -> nn.Module:
        """The chosen network with its weights."""
        self.names = class_names("mask", params.model)
        network = build("mask", params.model, self.host)
        self.levels = levels_of(network)
        return network

    def run(self, inputs: Inputs, params: MaskRcnnParams, memory: Any = None) -> Run:
        """Both stages on one picture, then the masks of the best candidates."""
        photo: ImageInput = inputs["image"]
        kept = self._seen(photo, params, MASKED)
        yield as_fed(kept.look)
        yield from self.again(kept, params)
        return Outcome(kept=kept)

    def again(self, kept: Masked, params: MaskRcnnParams) -> Iterator[Artefact]:
        """Everything behind the heads, under other thresholds."""
        made = thinned(kept.found, params, most=MOST)
        yield from shown(made, params)
        yield self._masks(kept, made.left_rows(), params)
        traced = chosen(made, params.cursor)
        if traced is not None:
            yield from self._instance(kept, int(made.rows[traced]), params)
        box = None if traced is None else made.offered.boxes[traced]
        yield from pooled_both_ways(
            kept.look, box, params, self.network.roi_heads.mask_roi_pool, self.network.strides
        )

    def _seen(self, photo: ImageInput, params: MaskRcnnParams, masked: int) -> Masked:
        """Both stages, and masks of the detections and of other good candidates."""
        pool_by(self.network, self._trained(params), params.ratio, aligned=params.aligned)
        made, found, best = seen(
            self.network, photo, params, self.names, self.levels.names, self.host.device
        )
        rows = first_rows(best, found.scores, masked)
        boxes = to_network(found.boxes[rows], made.framed.affine)
        masks = self.network.roi_heads.masks(made.pyramid.heads, [boxes], self.network.strides)
        row = torch.full_like(found.labels, -1)
        row[rows] = torch.arange(len(rows), device=row.device)
        return Masked(made, found, masks, row, photo.pixels.shape[:2])

    def _masks(self, kept: Masked, rows: Tensor, params: MaskRcnnParams) -> Masks:
        """The masks of all detections over the picture itself, unless that is too much to hold."""
        there = rows[kept.row[rows] >= 0]
        found, framed = kept.found.at(there), kept.look.framed
        whole = len(there) * kept.size[0] * kept.size[1] <= PIXELS
        size, affine = (kept.size, Affine()) if whole else (framed.size, framed.affine)
        return mask_views.instances(
            self._pasted(kept, there, params, size) > params.threshold,
            found.classes(), found.scores, affine,
            params.threshold, missing=len(rows) - len(there),
        )  # fmt: skip

    def _pasted(
        self, kept: Masked, rows: Tensor, params: MaskRcnnParams, size: tuple[int, ...]
    ) -> Tensor:
        """Probabilities (D, height, width) of candidates that have masks, at this size."""
        found, at = kept.found.at(rows), kept.row[rows]
        own = self._map(found.labels, params)
        maps = kept.masks.logits[at, own].sigmoid()
        scale = kept.size[1] / size[1], kept.size[0] / size[0]
        return paste_all(maps, to_network(found.boxes, Affine(*scale)), size[0], size[1])

    def _map(self, labels: Tensor, params: MaskRcnnParams) -> Tensor:
        """Which of the maps is pasted for each label."""
        agnostic = params.agnostic and params.model not in _COCO
        return torch.full_like(labels, AGNOSTIC) if agnostic else labels

    def _instance(self, kept: Masked, row: int, params: MaskRcnnParams) -> Iterator[Artefact]:
        if kept.row[row] < 0:
            return
        label = kept.found.labels[row]
        framed = kept.look.framed
        names = ("any class" if params.model not in _COCO else "background", *self.names[1:])
        yield from mask_views.instance(
            kept.masks.logits[kept.row[row]], int(label), int(self._map(label, params)), names,
            to_network(kept.found.boxes[row][None], framed.affine)[0], params.threshold,
            framed.affine, framed.size,
        )  # fmt: skip

    def _trained(self, params: MaskRcnnParams) -> Literal["align", "pool"]:
        return pooling(params, trained="pool" if params.model.endswith("-pool") else "align")

    def evaluate(
        self, folder: Path, params: MaskRcnnParams
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP of boxes and masks over a folder with annotations in COCO's format."""
        low = replace(params, score=LEAST, only="")

        def detect(photo: ImageInput) -> Any:
            kept = self._seen(photo, low, MOST)
            made = thinned(kept.found, low, most=MOST)
            masks = self._pasted(kept, made.left_rows(), low, kept.size) > low.threshold
            return *made.left().told(), masks

        return (yield from evaluate_folder(self.host, folder, detect, self.names[1:], masks=True))

    def train(
        self, inputs: Inputs, params: MaskRcnnParams, resume: Checkpoint | None = None
    ) -> Training:
        """Train the small network on generated scenes from fresh weights.

        Raises:
            EngineError: the network is not the small one.
        """
        check_trainable(params.model)
        pool_by(self.network, self._trained(params), params.ratio, aligned=params.aligned)
        yield from train_small(self, self.network, lambda: small("mask"), params, resume)
