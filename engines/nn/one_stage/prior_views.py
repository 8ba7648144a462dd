"""What the one-shot detectors with default boxes show: cells, heat maps, matching, kept per map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engines.nn.detection.boxes import moved
from engines.nn.detection.detections import Candidates, DetectionParams, shown, thinned
from engines.nn.one_stage.prior_detections import Scored
from engines.nn.one_stage.priors import Priors
from engines.nn.one_stage.ssd_loss import Matched
from explorer.api import Affine, Artefact, Boxes, Field, Scores

REST_SHOWN = 40  # other boxes in the matching view: more would be a carpet
Point = tuple[float, float]


def views(
    found: Scored,
    offered: Candidates,
    params: DetectionParams,
    *,
    point: str,
    most: int,
    drawn: Priors | None = None,
) -> Iterator[Artefact]:
    """Detections with their film, boxes kept per map, heat maps, default boxes of one cell.

    The cell is that under ``params.cursor``; without one, that under the best detection.

    Args:
        point: capture point of the scores, for attribution.
        most: detections that may remain, the best.
        drawn: default boxes to draw in place of the network's own.
    """
    made = thinned(offered, params, most=most)
    yield from shown(made, params, point=point)
    left = made.left()
    yield per_map(offered, left)
    best = found.columns(params.only).amax(1)
    what = f"score of {params.only}" if params.only in found.names else "score of the best class"
    yield from heat_views(found, best, what)
    at = found.affine.to_grid(*(params.cursor or middle(found, left)))
    if drawn is None:
        yield from cell_views(found.priors, found.affine, at, best)
    else:
        yield from cell_views(drawn, found.affine, at)


def middle(found: Scored, left: Candidates) -> Point:
    """Centre of the best detection, of the picture where there is none; input pixels."""
    height, width = found.size
    box = left.boxes[0].tolist() if len(left.boxes) else (0, 0, width, height)
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def cell_views(
    priors: Priors, affine: Affine, at: Point, best: Tensor | None = None
) -> Iterator[Artefact]:
    """The default boxes of the cell at a position, one picture a map.

    Args:
        affine: from network to input pixels. at: position in network pixels.
        best: (P,) the score that is written at each box, where they are the network's own.
    """
    boxes = priors.split(priors.boxes)
    scores = priors.split(priors.boxes[:, 0] if best is None else best)
    for level, (row, column) in enumerate(priors.cell_at(*at)):
        shapes = boxes[level][row, column]
        sides = (shapes[:, 2:] - shapes[:, :2]).tolist()
        own = "the network keeps its own, these are drawn only" if best is None else "with scores"
        yield Boxes(
            f"priors/{priors.names[level]}",
            moved(shapes, affine).cpu().numpy(),
            scores[level][row, column][: 0 if best is None else None].cpu().numpy(),
            [f"{width:.0f} × {height:.0f}" for width, height in sides],
            gestures={"pick": "cursor"},
            note=f"{len(sides)} default boxes of the cell in row {row}, column {column}, {own}; "
            f"width × height in pixels of the {priors.side} × {priors.side} input",
        )


def heat_views(found: Scored, best: Tensor, what: str) -> Iterator[Artefact]:
    """How sure each cell of each map is: the largest of ``best`` (P,) among its shapes."""
    priors = found.priors
    for name, part, place in zip(priors.names, priors.split(best), priors.affines(), strict=True):
        yield Field(
            f"heat/{name}",
            part.amax(2).cpu().numpy(),
            scale="probability",
            affine=found.affine.after(place),
            gestures={"pick": "cursor"},
            note=f"{what}, the highest of the {part.shape[2]} default boxes of each cell",
        )


def per_map(offered: Candidates, left: Candidates) -> Scores:
    """How many boxes each map gave, before and after the suppression."""
    count = len(offered.level_names)
    before, after = (c.levels.bincount(minlength=count).tolist() for c in (offered, left))
    return Scores(
        "maps/boxes kept",
        np.array(after),
        [f"{n}: {a} of {b}" for n, a, b in zip(offered.level_names, after, before, strict=True)],
        probability=False,
        unit="boxes",
        note="kept, of all above the score, by the map they come from",
    )


def matching_view(
    name: str, matched: Matched, boxes: Tensor, affine: Affine, note: str, **more: Any
) -> Boxes:
    """Which default boxes teach the network what, with their confidence loss.

    Args:
        matched: of one picture or more; the first is shown.
        boxes: the default boxes (P, 4) in network pixels. affine: from there to input pixels.
        more: step or gestures of the artefact.
    """
    loss, positive, negative = matched.loss[0].detach(), matched.positive[0], matched.negative[0]
    rest = (~(positive | negative)).nonzero()[:, 0]
    shown = rest[loss[rest].argsort(descending=True)][:REST_SHOWN]
    # In the order of the colours: the reddish first, then the green on top of all.
    groups = {"mined negative": negative.nonzero()[:, 0], "rest": shown}
    groups["positive"] = positive.nonzero()[:, 0]
    index = torch.cat(list(groups.values()))
    words = [word for word, part in groups.items() for _ in range(len(part))]
    return Boxes(
        name,
        moved(boxes[index], affine).cpu().numpy(),
        loss[index].cpu().numpy(),
        words,
        sources=index.tolist(),
        state=["below" if word == "rest" else word for word in words],
        unit="nat",
        note=f"{int(positive.sum())} positive, {int(negative.sum())} mined negatives, the "
        f"{len(shown)} hardest of {len(rest)} others dashed; numbers are the confidence loss; "
        f"{note}",
        **more,
    )
