"""One proposal on its way through the second stage, as artefacts in input pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.nn.detection.boxes import moved
from engines.nn.two_stage.rcnn_stages import Look
from engines.nn.two_stage.roi_heads import class_boxes
from engines.nn.two_stage.rpn_views import Levels, shape_words
from explorer.api import Affine, Artefact, Boxes, FeatureMaps, Scores

SHOWN = 10  # classes with the best scores


def region(
    look: Look, candidate: int, level: int, names: tuple[str, ...], levels: Levels
) -> Iterator[Artefact]:
    """What was pooled of a proposal, its classes, and how its box moves.

    Args:
        candidate: one that the second stage saw. level: from which it was pooled, from 0.
        names: of the classes, the background first.
    """
    row = int(look.row[candidate])
    box, affine = look.candidates.boxes[candidate], look.framed.affine
    pooled = look.output.pooled[row]
    side = pooled.shape[-1]
    x1, y1, x2, y2 = box.tolist()
    place = affine.after(Affine(max(x2 - x1, 1.0) / side, max(y2 - y1, 1.0) / side, x1, y1))
    where = f"proposal {candidate}, pooled from {levels.names[level]}"
    yield FeatureMaps("region/pooled", _array(pooled), affine=place, note=where)
    boxes, scores = class_boxes(look.output, look.framed.size)
    best = scores[row].topk(min(SHOWN, len(names))).indices.tolist()
    yield Scores(
        "region/class scores", _array(scores[row, best]), labels=[names[i] for i in best],
        full=_array(scores[row]), classes=names, note=where,
    )  # fmt: skip
    label = int(scores[row, 1:].argmax()) + 1
    source = int(look.candidates.sources[candidate])
    anchor = look.rpn.anchors[source]
    way = torch.stack([anchor, box, boxes[row, label]])
    logit = float(look.rpn.objectness()[0, source].sigmoid())
    yield Boxes(
        "region/from anchor to box", _array(moved(way, affine)),
        scores=np.array([logit, logit, float(scores[row, label])], np.float32),
        sources=[source, candidate, row],
        labels=(f"anchor {_words(look, source, levels)}", "proposal", names[label]),
        note=f"{where}; shifts of {names[label]}: {_shift(look.output.deltas[row, label])}",
    )  # fmt: skip


def _words(look: Look, anchor: int, levels: Levels) -> str:
    level = int(look.rpn.levels()[anchor])
    shapes = levels.shapes[level]
    shape = (anchor - sum(look.rpn.counts[:level])) % len(shapes)
    return f"{levels.names[level]} {shape_words(*shapes[shape])}"


def _shift(deltas: Tensor) -> str:
    """The four coded numbers of a box."""
    return ", ".join(f"{n} {v:+.2f}" for n, v in zip("xywh", deltas.tolist(), strict=True))


def _array(t: Tensor) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = t.detach().to("cpu", torch.float32).numpy()
    return values
