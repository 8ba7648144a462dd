"""Fast R-CNN with selective search: Girshick, 2015; Uijlings et al., 2013.

Regions come from merging alike pixels, not from the network, which runs once over the picture.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.detect.rcnn_models import class_names
from engines.nn.detection.boxes import moved
from engines.nn.detection.coco import evaluate_folder
from engines.nn.detection.coco_names import CATEGORY_IDS
from engines.nn.detection.detections import (
    Candidates,
    DetectionParams,
    chosen,
    kept,
    shown,
    thinned,
)
from engines.nn.detection.detector_training import TrainingParams
from engines.nn.loading import load_state
from engines.nn.two_stage.fast_rcnn import FastRCNN, Shared, official, small_fast, without_proposals
from engines.nn.two_stage.fast_rcnn_training import MOST, OVERLAP, SCALE, train_fast
from engines.nn.two_stage.merge_views import hierarchy_views, stage, to_input
from engines.nn.two_stage.rcnn import Framed, frame, renamed
from engines.nn.two_stage.roi_heads import BoxOutput, class_boxes
from engines.nn.two_stage.roi_pooling import to_network
from engines.nn.two_stage.roi_views import compare
from engines.nn.two_stage.selective_search import SPACES, Hierarchy, proposals, search
from explorer.api import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Affine,
    Artefact,
    Boxes,
    Checkpoint,
    Curve,
    Engine,
    EngineError,
    FeatureMaps,
    Image,
    ImageInput,
    Inputs,
    Matrix,
    Outcome,
    Preprocess,
    Run,
    Scores,
    Text,
    Training,
    knob,
    prepare,
    unprepare,
)  # fmt: skip

OURS = ("shapes-fast-rcnn", "shapes-fast-rcnn-hard")
COCO, UNTRAINED = "fasterrcnn-resnet50-fpn-coco", "shapes-untrained"
MODELS = (*OURS, COCO, UNTRAINED)
FLOOR = 0.01  # scores below are never shown
LEAST = 0.05  # score from which detections count when they are evaluated
CLASSES_SHOWN = 10
PREPROCESS = Preprocess(mean=IMAGENET_MEAN, std=IMAGENET_STD)
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FastRcnnParams(TrainingParams, DetectionParams):
    """Knobs of the search, of the heads and of the training."""

    overlap: float = knob(
        OVERLAP, low=0.0, high=1.0, step=0.05, effect="again", unit="IoU",
        help="a box that overlaps a better one by more than this is removed",
    )  # fmt: skip
    model: str = knob(
        OURS[0], choices=MODELS, effect="build",
        help="shapes-… were trained here on generated scenes; …-coco are official weights of "
        "Faster R-CNN without its proposal network",
    )  # fmt: skip
    space: str = knob("RGB", choices=SPACES, help="colours in which regions are compared")
    scale: float = knob(
        SCALE, low=5.0, high=500.0, log=True,
        help="of the first segmentation: larger ones begin with larger regions",
    )  # fmt: skip
    search_size: int = knob(
        128, low=16, high=640, log=True, unit="px",
        help="longest side that is searched; larger ones find smaller things and take longer",
    )  # fmt: skip
    most: int = knob(MOST, low=1, high=2000, help="proposals that the heads see")
    shown: int = knob(12, low=1, high=1000, effect="again", help="proposals that are drawn")
    left: int = knob(
        8, low=1, high=500, effect="again", unit="regions",
        help="move through the merges: the state with so many regions left",
    )  # fmt: skip
    region: tuple[float, float, float, float] | None = knob(
        None, kind="box", effect="again",
        help="drag a box: it is scored from the same map; empty: the traced proposal",
    )  # fmt: skip
    bins: int = knob(5, low=1, high=14, effect="again", help="bins a side in the drawn comparison")
    unit: int = knob(0, low=0, high=255, effect="again", help="the map that is drawn")
    train_steps: int = knob(
        400, low=1, high=100_000, unit="steps", when="training", help="length of the cosine"
    )
    batch: int = knob(8, low=1, high=256, unit="scenes", when="training", help="scenes a step")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run leaves for thresholds and dragged boxes; boxes in pixels of ``framed.x``.

    Attributes:
        searched: the picture that selective search saw; ``place`` leads from it to input pixels.
        depths: (P,) after how many merges each proposal came up.
    """

    framed: Framed
    shared: Shared
    hierarchy: Hierarchy
    searched: Pixels
    place: Affine
    depths: npt.NDArray[np.int64]


class FastRcnn(Engine[FastRcnnParams]):
    """The network looks once; regions are scored from what it saw."""

    Params: ClassVar[type[Any]] = FastRcnnParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Boxes, Text, Curve, Scores, FeatureMaps, Matrix,
    )  # fmt: skip
    categories = CATEGORY_IDS
    network: FastRCNN

    def build(self, params: FastRcnnParams) -> nn.Module:
        """The chosen network with its weights."""
        self.names = class_names("faster", params.model)
        if params.model == COCO:
            network = official(len(self.names))
            load_state(network, without_proposals(renamed(self.host.weights(COCO))), COCO)
            return network
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.host.seed)
            network = small_fast(len(self.names))
        if params.model in OURS:
            load_state(network, self.host.weights(params.model), params.model)
        return network

    def run(self, inputs: Inputs, params: FastRcnnParams, memory: Any = None) -> Run:
        """Search, one pass over the picture, the heads over all proposals."""
        photo: ImageInput = inputs["image"]
        made = self._look(photo, params)
        height, width = made.framed.size
        params = yield Image(
            "input/as fed", unprepare(made.framed.x[:, :, :height, :width], PREPROCESS),
            affine=made.framed.affine, gestures={"box": "region"},
            note=f"{width} × {height} px; drag a box to score it",
        )  # fmt: skip
        for artefact in self.again(made, params):
            params = yield artefact
        return Outcome(kept=made)

    def again(self, kept: Kept, params: FastRcnnParams) -> Iterator[Artefact]:
        """Everything behind the heads, the merges, and the dragged box."""
        found = self._candidates(kept)
        thin = thinned(found, params)
        yield from shown(thin, params)
        row = chosen(thin, params.cursor)
        traced = None if row is None else int(thin.offered.sources[row])
        yield from _proposals(kept, params.shown, params.cursor)
        yield from hierarchy_views(kept.hierarchy, kept.searched, params.left, kept.place)
        yield from self._region(kept, traced, params)

    def train(
        self, inputs: Inputs, params: FastRcnnParams, resume: Checkpoint | None = None
    ) -> Training:
        """Train the small network from scratch, with proposals of selective search."""
        if params.model == COCO:
            raise EngineError(
                f"model {COCO!r} is not trained here; choose one of {', '.join((*OURS, UNTRAINED))}"
            )
        yield from train_fast(self, self.network, params, resume)

    def evaluate(
        self, folder: Path, params: FastRcnnParams
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP over a folder with annotations in COCO's format."""
        rule = DetectionParams(score=LEAST, overlap=params.overlap)

        def detect(photo: ImageInput) -> Any:
            found = kept(self._candidates(self._look(photo, params)), rule)
            return found.told()

        return (yield from evaluate_folder(self.host, folder, detect, self.names))

    def _look(self, photo: ImageInput, params: FastRcnnParams) -> Kept:
        pixels, place = photo.pixels, Affine()
        if max(pixels.shape) > params.search_size:
            pixels, place = _reduced(pixels, params.search_size)
        hierarchy = search(pixels, params.space, params.scale, pause=self.host.pause)
        boxes, depths = proposals([hierarchy], params.most)
        framed = frame(photo.pixels, self.network.framing, self.host.device)
        inside = torch.from_numpy(to_input(boxes, place)).to(self.host.device)
        shared: Shared = self.network(framed.x, [to_network(inside, framed.affine)])
        return Kept(framed, shared, hierarchy, pixels, place, depths)

    def _candidates(self, made: Kept) -> Candidates:
        """Every class's box of every proposal, in input pixels."""
        output = made.shared.output
        boxes, scores = class_boxes(output, made.framed.size)
        source, labels = torch.where(scores[:, 1:] > FLOOR)
        labels = labels + 1
        affine = made.framed.affine
        return Candidates(
            moved(boxes[source, labels], affine),
            scores[source, labels],
            labels,
            source,
            moved(output.proposals[source], affine),
            self._levels(output.proposals)[source],
            self.names,
            tuple(f"map at stride {stride}" for stride in self.network.strides),
        )

    def _levels(self, boxes: Tensor) -> Tensor:
        return self.network.roi_heads.box_roi_pool.levels(boxes, self.network.strides)

    def _region(self, made: Kept, traced: int | None, params: FastRcnnParams) -> Iterator[Artefact]:
        """One box: its pooled map, its classes, where it moves, and the bins that were read."""
        output, where, row = made.shared.output, "the box that was dragged", 0
        affine = made.framed.affine
        if params.region is not None:
            x1, y1, x2, y2 = params.region
            dragged = output.deltas.new_tensor(
                [[min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]]
            )
            output = self.network.score(made.shared.maps, to_network(dragged, affine))
        elif len(output.proposals):
            row = (
                traced
                if traced is not None
                else int(output.logits.softmax(1)[:, 1:].max(1)[0].argmax())
            )
            where = f"proposal {row}"
        else:
            return
        yield from _scored(output, row, self.names, made.framed, where)
        box = output.proposals[row]
        level = int(self._levels(box[None]))
        features = made.shared.maps[level][0]
        yield from compare(
            "pooling", features, box, 1 / self.network.strides[level], params.bins,
            unit=min(params.unit, len(features) - 1), affine=affine,
        )  # fmt: skip


def _reduced(pixels: Pixels, longest: int) -> tuple[Pixels, Affine]:
    """The picture with so long a side, without the bars, and where it lies."""
    how = Preprocess((longest, longest), "letterbox", fill=0.0)
    x, affine = prepare(pixels, how)
    height, width = pixels.shape[:2]
    left, top = affine.to_grid(0, 0)
    right, bottom = affine.to_grid(width, height)
    columns, rows = slice(round(left), round(right)), slice(round(top), round(bottom))
    inside = unprepare(x, how)[rows, columns]
    return inside, affine.after(Affine(1, 1, round(left), round(top)))


def _proposals(made: Kept, shown: int, cursor: tuple[float, float] | None) -> Iterator[Artefact]:
    """The first proposals, or the first of those around the cursor."""
    boxes = moved(made.shared.output.proposals, made.framed.affine).float().cpu().numpy()
    rows = np.arange(len(boxes))
    if cursor is not None:
        rows = rows[((boxes[:, :2] <= cursor) & (boxes[:, 2:] >= cursor)).all(1)]
    merges, found = len(made.hierarchy.merges), len(rows)
    rows = rows[:shown]
    around = " around the cursor" if cursor is not None else ""
    yield Boxes(
        "proposals/boxes", boxes[rows], ids=rows.tolist(),
        labels=[stage(int(d), merges) for d in made.depths[rows]],
        gestures={"pick": "cursor"},
        note=f"{len(rows)} of {found}{around}, those of late merges first; it began with "
        f"{made.hierarchy.starts} regions",
    )  # fmt: skip


def _scored(
    output: BoxOutput, row: int, names: tuple[str, ...], framed: Framed, where: str
) -> Iterator[Artefact]:
    boxes, scores = class_boxes(output, framed.size)
    best = scores[row].topk(min(CLASSES_SHOWN, len(names))).indices.tolist()
    yield Scores(
        "region/class scores", _array(scores[row, best]), labels=[names[i] for i in best],
        full=_array(scores[row]), classes=names, note=where,
    )  # fmt: skip
    label = int(scores[row, 1:].argmax()) + 1
    box = output.proposals[row]
    way = moved(torch.stack([box, boxes[row, label]]), framed.affine)
    shifts = ", ".join(
        f"{n} {v:+.2f}" for n, v in zip("xywh", output.deltas[row, label].tolist(), strict=True)
    )
    yield Boxes(
        "region/before and after", _array(way),
        np.array([float(scores[row, label])] * 2, np.float32), ("region", names[label]),
        note=f"{where}; shifts of {names[label]}: {shifts}",
    )  # fmt: skip
    pooled = output.pooled[row]
    x1, y1, x2, y2 = box.tolist()
    side = pooled.shape[-1]
    place = framed.affine.after(Affine(max(x2 - x1, 1.0) / side, max(y2 - y1, 1.0) / side, x1, y1))
    yield FeatureMaps("region/pooled", _array(pooled), affine=place, note=f"{where}, all units")


def _array(t: Tensor) -> npt.NDArray[np.float32]:
    return t.detach().float().cpu().numpy()
