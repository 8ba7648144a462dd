"""What the YOLO detectors show of their grid: the boxes of one cell, maps, the pass-through."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.nn.detection.boxes import clip, moved
from engines.nn.detection.detections import Candidates, DetectionParams, Thinned, shown, thinned
from engines.nn.one_stage.reorg import sources
from engines.nn.one_stage.yolo_boxes import Decoded
from engines.nn.one_stage.yolo_loss import Assigned, v1_assign, v1_loss
from explorer.api import Affine, Artefact, Boxes, FeatureMaps, Field, Masks, Scores

MOST = 400  # boxes that may enter the suppression
FINER = 16  # times the cells, in the picture of their classes
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture's grid and where it lies.

    Attributes:
        decoded: boxes in px of the network's input.
        affine: from there to input pixels. size: (height, width) of the picture.
        names: of the classes. word: what a box of a cell is called, "anchor" or "box".
    """

    decoded: Decoded
    affine: Affine
    size: tuple[int, int]
    names: tuple[str, ...]
    word: str

    def placed(self, boxes: Tensor) -> Tensor:
        """Boxes (N, 4) of the network's input in input pixels."""
        return moved(boxes, self.affine)

    @property
    def grid(self) -> Affine:
        """From cells to input pixels."""
        height, width = self.decoded.cell
        return self.affine.after(Affine(width, height))

    def column(self, only: str) -> Tensor:
        """Scores (R,) of the class named ``only``, of the best class where there is none such."""
        scores = self.decoded.scores()
        return scores[:, self.names.index(only)] if only in self.names else scores.amax(1)


def candidates(seen: Seen, least: float, most: int = MOST) -> Candidates:
    """Every pair of box and class with a score above ``least``, the best ``most`` of all."""
    scores = seen.decoded.scores()
    rows, labels = (scores > least).nonzero(as_tuple=True)
    values, order = scores[rows, labels].sort(descending=True, stable=True)
    rows, labels, values = rows[order[:most]], labels[order[:most]], values[:most]
    decoded = seen.decoded
    return Candidates(
        clip(seen.placed(decoded.boxes[rows]), *seen.size),
        values,
        labels,
        rows,
        seen.placed(decoded.references[rows]),
        torch.zeros_like(labels),
        seen.names,
        (f"{decoded.grid[0]} × {decoded.grid[1]} cells",),
    )


def found_in(seen: Seen, params: DetectionParams) -> Thinned:
    """What the suppression leaves of the boxes above the score."""
    return thinned(candidates(seen, params.score), params)


def views(
    seen: Seen,
    made: Thinned,
    params: DetectionParams,
    point: str = "",
    responsible: Collection[int] = (),
) -> Iterator[Artefact]:
    """Detections with their film, the boxes of one cell, maps over the cells.

    The cell is that under ``params.cursor``; without one, that of the best detection ``made``.
    ``point`` is the capture point that attribution explains, (1, sources, classes); ``responsible``
    are the rows of the boxes that answer for an object.
    """
    yield from shown(made, params, point=point)
    yield from cell_views(seen, *spot(seen, made, params), responsible)
    yield from map_views(seen, params.only)


def spot(seen: Seen, made: Thinned, params: DetectionParams) -> tuple[int, int]:
    """Row and column of the cell that is looked into."""
    if params.cursor is not None:
        return seen.decoded.row(*seen.affine.to_grid(*params.cursor))
    best = made.left().sources
    row = int(best[0]) if len(best) else int(seen.decoded.confidence.argmax())
    return divmod(row // seen.decoded.grid[2], seen.decoded.grid[1])


def cell_views(
    seen: Seen, row: int, column: int, responsible: Collection[int] = ()
) -> Iterator[Artefact]:
    """What one cell starts from and what it says."""
    decoded = seen.decoded
    part = decoded.of_cell(row, column)
    confidence = decoded.confidence[part]
    count = decoded.grid[2]
    where = f"cell in row {row + 1} of {decoded.grid[0]}, column {column + 1} of {decoded.grid[1]}"
    own = moved(torch.tensor([[column, row, column + 1.0, row + 1.0]]), seen.grid)
    if seen.word == "anchor":
        references = decoded.references[part]
        high, wide = decoded.cell
        sides = [
            f"{i + 1}: {(b[2] - b[0]) / wide:.1f} × {(b[3] - b[1]) / high:.1f}"
            for i, b in enumerate(references.tolist())
        ]
        yield Boxes(
            "cell/anchors",
            numpy(torch.cat([own, seen.placed(references).cpu()])),
            labels=["cell", *sides],
            gestures={"pick": "cursor"},
            note=f"{where}: width × height in cells, before the network moves them",
        )
    best = int(confidence.argmax())
    names = [f"{seen.word} {i + 1}: {c:.2f}" for i, c in enumerate(confidence.tolist())]
    answers = [i for i in range(count) if part.start + i in responsible]
    state = ["surest" if i == best else "predicted" for i in range(count)]
    for i in answers:  # one at most: of two objects in a cell the last counts
        names[i], state[i] = f"{names[i]}, responsible", "chosen"
    yield Boxes(
        "cell/boxes",
        numpy(torch.cat([own, seen.placed(decoded.boxes[part]).cpu()])),
        labels=["cell", *names],
        state=["cell", *state],
        widths=numpy(torch.cat([torch.zeros(1), confidence.cpu().clamp(0, 1)])),
        gestures={"pick": "cursor"},
        note=f"line width: confidence{'; marked: responsible' if answers else ''}; {where}",
    )
    if decoded.classes.shape[1]:
        shown = decoded.classes[part][best]
        yield Scores(
            "cell/classes", numpy(shown), seen.names,
            note=f"{where}: class if there is an object, of the surest {seen.word}",
        )  # fmt: skip


def map_views(seen: Seen, only: str) -> Iterator[Artefact]:
    """Confidence of each box of a cell, classes, and their product."""
    decoded = seen.decoded
    count = decoded.grid[2]
    yield FeatureMaps(
        "maps/confidence", numpy(decoded.maps(decoded.confidence)),
        [f"{seen.word} {i + 1}" for i in range(count)], affine=seen.grid,
        note="is there an object, and does the box fit it",
    )  # fmt: skip
    what = f"score of {only}" if only in seen.names else "score of the best class"
    yield Field(
        "maps/best score", numpy(decoded.maps(seen.column(only)).amax(0)), scale="probability",
        affine=seen.grid, gestures={"pick": "cursor"},
        note=f"{what}, the highest of the {count} {seen.word}{'es' if seen.word == 'box' else 's'} "
        "of each cell",
    )  # fmt: skip
    if not decoded.classes.shape[1]:
        return
    cube = torch.stack([decoded.maps(c) for c in decoded.classes.T])  # (C, B, h, w)
    product = torch.stack([decoded.maps(c) for c in decoded.scores().T])
    yield FeatureMaps(
        "maps/class", numpy(cube.amax(1)), seen.names, affine=seen.grid,
        note="class if there is an object" + (
            "" if seen.word == "box" else f", the highest of the {count} anchors"
        ),
    )  # fmt: skip
    yield FeatureMaps(
        "maps/class times confidence", numpy(product.amax(1)), seen.names, affine=seen.grid,
        note=f"the highest of the {count} {seen.word}{'es' if seen.word == 'box' else 's'}",
    )  # fmt: skip


def class_of_cells(seen: Seen) -> Masks:
    """The class of each cell over the picture, v1's picture of its grid."""
    decoded = seen.decoded
    cube = torch.stack([decoded.maps(c)[0] for c in decoded.classes.T])  # (C, h, w)
    winner = cube.argmax(0)
    masks = torch.stack([winner == c for c in range(len(cube))])
    # Drawn finer, with a gap between cells, so that each has its own outline over the picture.
    fine = masks.repeat_interleave(FINER, 1).repeat_interleave(FINER, 2)
    fine[:, ::FINER] = False
    fine[:, :, ::FINER] = False
    some = [c for c in range(len(cube)) if bool(masks[c].any())]
    return Masks(
        "grid/class of each cell",
        numpy(fine[some]),
        [seen.names[c] for c in some],
        affine=seen.grid.after(Affine(1 / FINER, 1 / FINER)),
        note="the likeliest class of each cell, object or not",
    )


def passthrough_views(
    before: Tensor, after: Tensor, place: Affine, coarse: Affine, cell: tuple[int, int]
) -> Iterator[Artefact]:
    """The fine map that is passed through, the four phases it becomes, where one cell reads.

    Args:
        before: (C, H, W). after: (4 C, H / 2, W / 2), by `engines.nn.one_stage.reorg.Reorg`.
        place, coarse: from their cells to input pixels.
        cell: row and column of the coarse map.
    """
    yield FeatureMaps(
        "passthrough/fine map", numpy(before), affine=place,
        note="half the cell size: small objects are still apart here",
    )  # fmt: skip
    count = len(before)
    for phase in range(4):
        part = after[phase * count : (phase + 1) * count]
        yield FeatureMaps(
            f"passthrough/phase {phase + 1} of 4", numpy(part), affine=coarse,
            note="by Darknet's own index rule, which is no space-to-depth: neighbours in the fine "
            "map come to lie in other places",
        )  # fmt: skip
    row, column = min(cell[0], after.shape[1] - 1), min(cell[1], after.shape[2] - 1)
    shape = (len(before), before.shape[1], before.shape[2])
    read = sources(shape, 2, row, column).numpy()
    found = np.zeros(before.shape[1:], np.float32)
    np.add.at(found, (read[:, 1], read[:, 2]), 1.0)
    yield Field(
        "passthrough/where the cell reads", found, affine=place, unit="channels",
        note=f"row {row + 1}, column {column + 1} of the coarse map takes its {len(after)} numbers "
        "from here",
    )  # fmt: skip


def v1_truth_views(
    grid: Tensor,
    seen: Seen,
    answer: Answer,
    note: str,
    *,
    count: int,
    side: tuple[int, int],
    coordinates: float,
    empty: float,
) -> Iterator[Artefact]:
    """Which cell and which of its boxes answer for each object, and the terms of the loss.

    Args:
        grid: (1, 5 B + C, h, w). note: what stands for the truth.
        count: B. side: height and width of the network's input.
    """
    boxes, labels, truth, found, rows = answer
    cells = torch.stack([found.column, found.row, found.column + 1, found.row + 1], 1).float()
    names = [seen.names[i] for i in found.label.tolist()]
    words = [f"cell of {name}" for name in names]
    words += [f"box {b + 1}, IoU {o:.2f}" for b, o in
              zip(found.box.tolist(), found.iou.tolist(), strict=True)]  # fmt: skip
    three = [moved(cells, seen.grid), seen.placed(seen.decoded.boxes[rows])]
    yield Boxes(
        "truth/responsible", numpy(torch.cat([*three, truth[found.truth.to(grid.device)]])),
        labels=[*words, *(f"truth: {name}" for name in names)],
        state=["cell"] * len(names) + ["responsible"] * len(names) + ["below"] * len(names),
        gestures={"box": "truth"},
        note=f"{note} (dashed); of two in one cell the last counts: {len(found.label)} of "
        f"{len(truth)}",
    )  # fmt: skip
    terms = v1_loss(
        grid, [boxes], [labels], count=count, side=side, coordinates=coordinates, empty=empty
    )
    values = [float(v) for v in terms.values()]
    yield Scores(
        "truth/loss", np.array([*values, sum(values)], np.float32), [*terms, "sum"],
        probability=False, note=f"weighted terms of this picture; {note}",
    )  # fmt: skip


class Answer(NamedTuple):
    """Truths (G, 4) in px of the network's input with labels (G,) and in input pixels, which of
    them count, and the rows (A,) of the boxes that answer for those."""

    boxes: Tensor
    labels: Tensor
    truth: Tensor
    found: Assigned
    rows: Tensor


def v1_answer(
    grid: Tensor, seen: Seen, truth: Tensor, labels: Tensor, *, count: int, side: tuple[int, int]
) -> Answer:
    """Who is responsible for each object.

    Args:
        grid: (1, 5 B + C, h, w). truth: (G, 4) in input pixels. labels: (G,), or (0,) for the
            likeliest class of each truth's cell. count: B. side: height and width of the input.
    """
    place = seen.affine
    inverse = Affine(1 / place.sx, 1 / place.sy, -place.tx / place.sx, -place.ty / place.sy)
    truth, labels = truth.to(grid.device), labels.to(grid.device)
    boxes = moved(truth, inverse)
    if len(labels) != len(boxes):
        labels = _likeliest(seen, boxes)
    found = v1_assign(grid, [boxes], [labels], count, side)
    _, width, per_cell = seen.decoded.grid
    rows = (found.row * width + found.column) * per_cell + found.box
    return Answer(boxes, labels, truth, found, rows)


def _likeliest(seen: Seen, boxes: Tensor) -> Tensor:
    """The class (G,) that the cell of each box's centre says; boxes in px of the input."""
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).tolist()
    rows = [seen.decoded.of_cell(*seen.decoded.row(x, y)).start for x, y in centres]
    return seen.decoded.classes[rows].argmax(1)


def numpy(values: Tensor | Sequence[float]) -> npt.NDArray[Any]:
    """As an artefact wants it."""
    made: npt.NDArray[Any] = torch.as_tensor(values).detach().cpu().numpy()
    return made
