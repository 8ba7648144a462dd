"""The 80 classes of COCO by NanoDet, live: no anchors, a distribution for each side of a box.

Lyu, "NanoDet", 2020; Li et al., "Generalized Focal Loss", 2020.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engines.nn.detection.boxes import clip, moved
from engines.nn.detection.coco import evaluate_folder
from engines.nn.detection.coco_names import CATEGORY_IDS, COCO_80
from engines.nn.detection.detections import Candidates, DetectionParams, kept, shown, thinned, under
from engines.nn.loading import load_state
from engines.nn.one_stage.nanodet import BINS, STRIDES, Cells, NanoDet, boxes_of, centres
from explorer.api import (
    Affine,
    Artefact,
    Boxes,
    Engine,
    Field,
    Image,
    ImageInput,
    Inputs,
    Matrix,
    Outcome,
    Preprocess,
    Run,
    Scores,
    Text,
    knob,
    prepare,
)  # fmt: skip

WEIGHTS = "nanodet"
MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # blue, green, red, of 0 to 255
LEVELS = tuple(f"stride {stride}" for stride in STRIDES)
SIDES = ("left", "top", "right", "bottom")
TOP = 5
MOST = 300  # cells of each class that enter the suppression, the best; more would be all of them
LEAST = 0.05  # score from which a box counts when it is evaluated, as its publisher does


@dataclass(frozen=True, slots=True)
class NanoDetParams(DetectionParams):
    """Knobs; score and IoU are the publisher's for pictures."""

    score: float = knob(
        0.4, low=0.0, high=1.0, step=0.01, effect="again", help="boxes below it are not shown"
    )
    overlap: float = knob(
        0.6, low=0.0, high=1.0, step=0.05, effect="again", unit="IoU",
        help="a box that overlaps a better one by more than this is removed",
    )  # fmt: skip
    agnostic: bool = knob(
        False, effect="again", help="boxes of different classes suppress one another too"
    )
    size: int = knob(416, low=96, high=1280, step=32, unit="px", help="long side of the input")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the knobs after the network need; boxes (P, 4) in input pixels."""

    cells: Cells
    scores: Tensor
    boxes: Tensor
    affine: Affine


class NanoDetector(Engine[NanoDetParams]):
    """One pass over one picture."""

    Params: ClassVar[type[Any]] = NanoDetParams
    layout = "NHWC"
    fuses = True
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Boxes, Field, Matrix, Scores, Text)

    categories = CATEGORY_IDS
    network: NanoDet

    def build(self, params: NanoDetParams) -> nn.Module:
        """The published weights."""
        network = NanoDet()
        load_state(network, self.host.weights(WEIGHTS), WEIGHTS)
        return network

    def run(self, inputs: Inputs, params: NanoDetParams, memory: Any = None) -> Run:
        """Detect in one picture."""
        photo: ImageInput = inputs["image"]
        params = yield Image("input/picture", photo.pixels, note=photo.name)
        found = self._pass(photo, params.size)
        yield from self.again(found, params)
        return Outcome(kept=found)

    def _pass(self, photo: ImageInput, size: int) -> Kept:
        height, width = photo.pixels.shape[:2]
        x, affine = prepare(photo.pixels, framing(height, width, size), self.host.device)
        cells = self.network(x)
        boxes = clip(moved(boxes_of(cells), affine), height, width)
        return Kept(cells, cells.logits.sigmoid(), boxes, affine)

    def again(self, kept: Kept, params: NanoDetParams) -> Iterator[Artefact]:
        """Everything that is seen, from what the cells have said."""
        offered = candidates(kept, params.score)
        made = thinned(offered, params, agnostic=params.agnostic)
        yield from shown(made, params, agnostic=params.agnostic)
        yield from heat(kept, params.only)
        row = under(made, params.cursor)
        cell = int(made.offered.sources[row]) if row is not None else best_cell(kept, params.cursor)
        yield from cell_views(kept, cell)
        if params.cursor is not None:
            yield cells_of_levels(kept, *params.cursor, "the cells under the cursor")
        else:
            points, _, _ = centres(kept.cells.sizes)
            x, y = kept.affine.to_input(*points[cell].tolist())
            yield cells_of_levels(kept, x, y, "the cell that found the box, and those around it")

    def evaluate(
        self, folder: Path, params: NanoDetParams
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP over a folder with annotations in COCO's format."""

        low = replace(params, score=LEAST, only="")

        def detect(photo: ImageInput) -> Any:
            offered = candidates(self._pass(photo, low.size), low.score)
            found = kept(offered, low, agnostic=low.agnostic)
            return found.boxes, found.scores, [found.names[i] for i in found.labels.tolist()]

        return (yield from evaluate_folder(self.host, folder, detect, COCO_80))


def framing(height: int, width: int, size: int) -> Preprocess:
    """The picture's long side becomes ``size``; bars make both sides multiples of 32."""
    ratio = size / max(height, width)
    sides = tuple(max(1, -(-round(side * ratio) // STRIDES[-1])) * STRIDES[-1]
                  for side in (height, width))  # fmt: skip
    return Preprocess(
        size=(sides[0], sides[1]), fit="letterbox", mean=MEAN, std=STD, order="BGR", scale=255.0
    )


def candidates(kept: Kept, score: float) -> Candidates:
    """Every class of every cell that reaches ``score``, the best `MOST` cells of a class."""
    enough = kept.scores >= score
    if int(enough.count_nonzero()) > MOST and len(kept.scores) > MOST:
        enough &= kept.scores >= kept.scores.topk(MOST, dim=0).values[-1]
    rows, labels = enough.nonzero(as_tuple=True)
    points, strides, levels = centres(kept.cells.sizes)
    half = strides[:, None] / 2
    squares = torch.cat([points - half, points + half], 1).to(kept.boxes)
    return Candidates(
        kept.boxes[rows], kept.scores[rows, labels], labels, rows,
        moved(squares[rows], kept.affine), levels.to(rows.device)[rows], COCO_80, LEVELS,
    )  # fmt: skip


def best_cell(kept: Kept, cursor: tuple[float, float] | None) -> int:
    """The cell that is surest of a class: of those in which the cursor lies, or of all."""
    best = kept.scores.amax(1)
    if cursor is not None:
        points, strides, _ = (t.to(best.device) for t in centres(kept.cells.sizes))
        away = (points - points.new_tensor(kept.affine.to_grid(*cursor))).abs().amax(1)
        best = torch.where(away <= strides / 2, best, -1.0)
    return int(best.argmax())


def heat(kept: Kept, only: str) -> Iterator[Field]:
    """The best class's score of each cell, or one class's, a picture a level."""
    index = COCO_80.index(only) if only in COCO_80 else None
    best = kept.scores.amax(1) if index is None else kept.scores[:, index]
    start = 0
    for (height, width), stride, name in zip(kept.cells.sizes, STRIDES, LEVELS, strict=True):
        values = best[start : start + height * width].reshape(height, width)
        start += height * width
        yield Field(
            f"heat/{name}", values.cpu().numpy(), scale="probability",
            affine=kept.affine.after(Affine(stride, stride)), unit="p",
            note=only if index is not None else "the best class of each cell",
        )  # fmt: skip


def cell_views(kept: Kept, cell: int) -> Iterator[Artefact]:
    """What one cell says: its classes, and where it believes each side to lie."""
    _, strides, levels = centres(kept.cells.sizes)
    stride, level = int(strides[cell]), LEVELS[int(levels[cell])]
    scores = kept.scores[cell]
    top = scores.topk(TOP)
    yield Scores(
        "cell/classes", top.values.cpu().numpy(), [COCO_80[i] for i in top.indices.tolist()],
        note=f"cell {cell} on {level}; classes do not compete (sigmoid)",
    )  # fmt: skip
    bins = kept.cells.sides[cell].softmax(-1)
    scale = stride * kept.affine.sx
    mean = (bins * torch.arange(BINS, device=bins.device)).sum(-1) * scale
    words = ", ".join(f"{s} {m:.0f}" for s, m in zip(SIDES, mean.tolist(), strict=True))
    yield Matrix(
        "cell/distance of each side", bins.cpu().numpy(), scale="probability", rows=SIDES,
        columns=[f"{i * scale:.0f}" for i in range(BINS)], unit="p",
        note=f"columns: distance from the cell's middle in px; mean {words}",
    )  # fmt: skip


def cells_of_levels(kept: Kept, x: float, y: float, note: str) -> Boxes:
    """The cell of each level around a place in the picture, with what it is surest of."""
    column, row = kept.affine.to_grid(x, y)
    squares, names, start = [], [], 0
    for (height, width), stride, level in zip(kept.cells.sizes, STRIDES, LEVELS, strict=True):
        i = min(max(int(row // stride), 0), height - 1)
        j = min(max(int(column // stride), 0), width - 1)
        squares.append([j * stride, i * stride, (j + 1) * stride, (i + 1) * stride])
        best = kept.scores[start + i * width + j].max(0)
        names.append(f"{level}: {COCO_80[int(best.indices)]} {float(best.values):.2f}")
        start += height * width
    return Boxes(
        "cell/on each level", moved(torch.tensor(squares).float(), kept.affine).numpy(),
        labels=names, gestures={"pick": "cursor"}, note=note,
    )  # fmt: skip
