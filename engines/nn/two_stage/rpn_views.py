"""What a region proposal network looks at, says, and proposes, as artefacts in input pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.nn.detection.boxes import iou, moved
from engines.nn.detection.matching import IGNORED, Matcher
from engines.nn.two_stage.rcnn import RCNN, Framed
from engines.nn.two_stage.rcnn_backbone import numbers
from engines.nn.two_stage.rcnn_stages import Chosen, Look
from explorer.api import Affine, Artefact, Boxes, Curve, FeatureMaps, Field, Matrix, Scores

STATES = ("matched", "ignored", "negative")


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of a pyramid, fine to coarse: names, strides, anchor shapes (size, height/width).

    ``heads`` is how many of them regions are pooled from.
    """

    names: tuple[str, ...]
    strides: tuple[int, ...]
    shapes: tuple[tuple[tuple[float, float], ...], ...]
    heads: int


def levels_of(network: RCNN) -> Levels:
    """The levels that the proposal network looks at; P5 has stride 32, as P5a and P5b have."""
    strides = network.backbone.strides
    names = tuple(f"P{number}" for number in numbers(strides))
    return Levels(names, strides, network.rpn.shapes, len(network.strides))


def shape_words(size: float, ratio: float) -> str:
    """An anchor shape: size is the root of its area, the ratio is height over width."""
    looks = (
        "square" if ratio == 1 else f"{'tall' if ratio > 1 else 'wide'} {max(ratio, 1 / ratio):g}:1"
    )
    return f"{size:g} px {looks}"


def cells(framed: Framed, tensor: Tensor) -> tuple[Tensor, Affine]:
    """The cells (C, h, w) of one picture's map that hold a part of it, and where they lie.

    What padding added on the right and below is cut off.
    """
    sy, sx = framed.padded[0] / tensor.shape[-2], framed.padded[1] / tensor.shape[-1]
    rows, columns = math.ceil(framed.size[0] / sy), math.ceil(framed.size[1] / sx)
    return tensor[0, :, :rows, :columns], framed.affine.after(Affine(sx, sy))


def objectness(look: Look, levels: Levels, *, every: bool = True) -> Iterator[Artefact]:
    """The proposal head's map of each level: the best shape of a cell, and every shape alone."""
    for name, shapes, logits in zip(levels.names, levels.shapes, look.rpn.logits, strict=True):
        maps, affine = cells(look.framed, logits.sigmoid())
        values = _array(maps)
        words = [shape_words(size, ratio) for size, ratio in shapes]
        yield Field(
            f"objectness/{name}", values.max(0), scale="probability", affine=affine,
            note="the best anchor shape of each cell",
        )  # fmt: skip
        if every:
            yield FeatureMaps(f"objectness/{name} by shape", values, labels=words, affine=affine)


def cell_anchors_at(
    look: Look, levels: Levels, cursor: tuple[float, float], truth: Tensor, matcher: Matcher
) -> Iterator[Artefact]:
    """The anchors of the cell under the cursor on every level, and what became of each.

    Args:
        cursor: x, y in input pixels. truth: (T, 4) in pixels of the network's input.
    """
    chosen = _under(look, cursor)
    anchors = look.rpn.anchors
    rivals = torch.cat([chosen, *(_around(look, box) for box in truth)])
    overlap = iou(truth, anchors[rivals])  # (T, the cell's anchors, then those that may be best)
    matches = matcher(overlap)[: len(chosen)]
    overlap = overlap[:, : len(chosen)]
    overlap = overlap.max(0).values if len(truth) else overlap.new_zeros(len(chosen))
    state = [STATES[0] if m >= 0 else STATES[1 if m == IGNORED else 2] for m in matches.tolist()]
    words = [
        f"{levels.names[level]} {shape_words(*shape)}"
        for level in range(len(levels.names))
        for shape in levels.shapes[level]
    ]
    said = look.rpn.objectness()[0, chosen].sigmoid()
    yield Boxes(
        "anchors/under the cursor", _array(moved(anchors[chosen], look.framed.affine)),
        scores=_array(overlap), labels=state, ids=chosen.tolist(), sources=chosen.tolist(),
        gestures={"pick": "cursor"}, unit="IoU",
        note=f"of {len(truth)} boxes found: matched from IoU {matcher.high:g} or as the best of a "
        f"box, negative below {matcher.low:g}",
    )  # fmt: skip
    table = torch.stack([said.cpu(), overlap.cpu()], 1)
    yield Matrix(
        "anchors/what was said of them", _array(table), rows=words, columns=("object", "IoU"),
        scale="probability", note="objectness of each anchor of the cell, and its best IoU",
    )  # fmt: skip


def _under(look: Look, cursor: tuple[float, float]) -> Tensor:
    """Indices of the anchors of the cells under an input position, level by level."""
    x, y = look.framed.affine.to_grid(*cursor)
    return _anchors_of(look, (x, y), reach=(0,))


def _around(look: Look, box: Tensor) -> Tensor:
    """The anchors among which the best of a box is: of one shape, IoU falls with the distance of
    the middles, and anchors have theirs on the corners of the cells."""
    x1, y1, x2, y2 = box.tolist()
    return _anchors_of(look, ((x1 + x2) / 2, (y1 + y2) / 2), reach=(0, 1))


def _anchors_of(look: Look, at: tuple[float, float], reach: Sequence[int]) -> Tensor:
    """Indices of the anchors of the cells at a position on the network's input, on every level.

    Args:
        reach: how many cells further right and down there are others.
    """
    found: list[int] = []
    start = 0
    height, width = look.framed.padded
    for logits, count in zip(look.rpn.logits, look.rpn.counts, strict=True):
        shapes, h, w = logits.shape[1:]
        cells_at = {
            (_within(at[1] * h / height + down, h), _within(at[0] * w / width + right, w))
            for down in reach
            for right in reach
        }
        for row, column in sorted(cells_at):
            first = start + (row * w + column) * shapes
            found += range(first, first + shapes)
        start += count
    return torch.tensor(found, dtype=torch.int64, device=look.rpn.anchors.device)


def _within(at: float, count: int) -> int:
    return min(max(math.floor(at), 0), count - 1)


def proposals(
    look: Look, chosen: Chosen, levels: Levels, shown: int, *, foreign: bool = False
) -> Iterator[Artefact]:
    """The best candidates as anchors, regressed, and what suppression left of them.

    Args:
        foreign: the anchors are not those of the training, which is said.
    """
    warning = "; not the anchors of the training: the heads do not fit them" if foreign else ""
    candidates, affine = look.candidates, look.framed.affine
    best = chosen.suppression.order[:shown]
    names = [levels.names[level] for level in candidates.levels[best].tolist()]
    scores, sources = _array(candidates.scores[best]), candidates.sources[best].tolist()
    anchors = look.rpn.anchors[candidates.sources[best]]
    total = len(candidates.boxes)
    yield Boxes(
        "proposals/before regression", _array(moved(anchors, affine)), scores=scores, labels=names,
        sources=sources, note=f"anchors of the best {len(best)} of {total} candidates{warning}",
    )  # fmt: skip
    made = chosen.suppression
    place = {int(i): n for n, i in enumerate(best.tolist())}
    cause = [place.get(int(c), -1) for c in made.cause[best].tolist()]
    yield Boxes(
        "proposals/before suppression", _array(moved(candidates.boxes[best], affine)),
        scores=scores, labels=names, ids=list(range(len(best))), sources=sources,
        state=["kept" if k else "removed" for k in made.keep[best].tolist()], cause_id=cause,
        cause_iou=made.overlap[best].tolist(), note=f"the same {len(best)}, regressed and clipped",
    )  # fmt: skip
    kept = chosen.kept[:shown]
    unseen = f"; {chosen.unseen} were not scored in this run" if chosen.unseen else ""
    yield Boxes(
        "proposals/after suppression", _array(moved(candidates.boxes[kept], affine)),
        scores=_array(candidates.scores[kept]),
        labels=[levels.names[i] for i in candidates.levels[kept].tolist()],
        sources=candidates.sources[kept].tolist(),
        note=f"{len(kept)} of {len(chosen.kept)} that go on to the second stage{unseen}",
    )  # fmt: skip


def recall(look: Look, kept: Tensor, truth: Tensor) -> Curve:
    """Share of the boxes (T, 4) that the best n proposals cover at IoU 0.5 and 0.75."""
    overlap = iou(look.candidates.boxes[kept], truth)
    best = overlap.cummax(0).values if overlap.numel() else overlap.new_zeros((len(kept), 1))
    y = torch.stack([(best >= t).float().mean(1) for t in (0.5, 0.75)])
    return Curve(
        "proposals/recall", np.arange(1, len(kept) + 1), _array(y), x_label="proposals",
        series=("IoU 0.5", "IoU 0.75"), note=f"of the {len(truth)} boxes found",
    )  # fmt: skip


def assignment(
    boxes: Tensor,
    scores: Tensor,
    pooled_from: Tensor,
    affine: Affine,
    names: Sequence[str],
    shown: int,
) -> Iterator[Artefact]:
    """Which level each proposal (P, 4) is pooled from: as boxes, and how many a level.

    Args:
        boxes: in pixels of the network's input. pooled_from: (P,) level, from 0.
        names: of the levels that regions are pooled from.
    """
    best = slice(0, shown)
    yield Boxes(
        "levels/of each proposal", _array(moved(boxes[best], affine)), scores=_array(scores[best]),
        labels=[names[i] for i in pooled_from[best].tolist()],
        note=f"the best {min(shown, len(boxes))} of {len(boxes)} proposals",
    )  # fmt: skip
    counts = torch.bincount(pooled_from.cpu(), minlength=len(names)).float()
    yield Scores(
        "levels/proposals", _array(counts), labels=tuple(names), probability=False,
        unit="proposals", note="how many are pooled from each level",
    )  # fmt: skip


def _array(t: Tensor) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = t.detach().to("cpu", torch.float32).numpy()
    return values
