"""What every detector shows: its boxes, how they were thinned out, and where one came from.

Nothing here runs a network: thresholds, the film of the suppression and the box under the cursor
are found in what the heads have said already.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from engines.nn.detection.boxes import iou
from engines.nn.detection.nms import Suppression, suppress
from explorer.api import Artefact, Boxes, Text, knob

FILM_MOST = 400  # candidates in the film, best first: more would be a carpet
CLOSE = 0.1  # IoU with the chosen box from which a neighbour is shown beside it


@dataclass(frozen=True, slots=True)
class DetectionParams:
    """Knobs that all detectors share; each sets its own defaults. None runs the network again."""

    score: float = knob(
        0.3, low=0.0, high=1.0, step=0.01, effect="again", help="boxes below it are not shown"
    )
    overlap: float = knob(
        0.5, low=0.0, high=1.0, step=0.05, effect="again", unit="IoU",
        help="a box that overlaps a better one by more than this is removed",
    )  # fmt: skip
    cursor: tuple[float, float] | None = knob(
        None, kind="point", effect="again", help="the box here is traced to where it came from"
    )
    decisions: int = knob(
        0, low=0, high=FILM_MOST, effect="again",
        help="stop the film of the suppression after so many boxes; 0: at its end",
    )  # fmt: skip
    only: str = knob("", effect="again", help="show this class alone; empty: all")


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes that the heads propose, before any is suppressed; all in input pixels.

    Attributes:
        boxes: (N, 4). ``scores``: (N,) in [0, 1]. ``labels``: (N,) indices into ``names``.
        sources: (N,) index of the anchor, prior, cell or proposal that each came from.
        references: (N, 4), those anchors, priors, cells or proposals themselves.
        levels: (N,) indices into ``level_names``.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    sources: Tensor
    references: Tensor
    levels: Tensor
    names: tuple[str, ...]
    level_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def at(self, rows: Tensor) -> Candidates:
        """The candidates of these rows (indices or a mask), in their order."""
        tensors = {
            f.name: getattr(self, f.name)[rows.to(self.boxes.device)]
            for f in fields(self)
            if isinstance(getattr(self, f.name), Tensor)
        }
        return replace(self, **tensors)

    def classes(self) -> list[str]:
        """Names of the classes, one a box."""
        return [self.names[label] for label in self.labels.tolist()]

    def told(self) -> tuple[Tensor, Tensor, list[str]]:
        """Boxes, scores and class names, as they are evaluated."""
        return self.boxes, self.scores, self.classes()

    def words(self, i: int) -> str:
        """Its class and score: ``cat 0.93``."""
        return f"{self.names[int(self.labels[i])]} {float(self.scores[i]):.2f}"


@dataclass(frozen=True, slots=True)
class Thinned:
    """Candidates above the score, best first, and what the suppression made of them.

    Attributes:
        offered: sorted by falling score. ``rows``: of each among the candidates that were given.
        suppression: of ``offered``. ``kept``: rows of ``offered`` that stayed, best first.
    """

    offered: Candidates
    rows: Tensor
    suppression: Suppression
    kept: Tensor

    def left(self) -> Candidates:
        """What remains, best first."""
        return self.offered.at(self.kept)

    def left_rows(self) -> Tensor:
        """The rows of what remains among the candidates that were given, best first."""
        return self.rows[self.kept.to(self.rows.device)]


def thinned(
    candidates: Candidates, params: DetectionParams, *, agnostic: bool = False, most: int = 100
) -> Thinned:
    """Those above ``params.score`` and of the class ``params.only``, suppressed class by class.

    Args:
        agnostic: boxes of different classes compete too.
        most: how many may stay, the best.
    """
    wanted = candidates.scores >= params.score
    if params.only:
        known = params.only in candidates.names
        index = candidates.names.index(params.only) if known else -1
        wanted = wanted & (candidates.labels == index)
    rows = torch.where(wanted)[0]
    rows = rows[candidates.scores[rows].argsort(descending=True, stable=True)]
    offered = candidates.at(rows)
    labels = None if agnostic else offered.labels
    made = suppress(offered.boxes, offered.scores, labels, params.overlap)
    return Thinned(offered, rows, made, made.kept[:most])


def kept(
    candidates: Candidates, params: DetectionParams, *, agnostic: bool = False, most: int = 100
) -> Candidates:
    """What remains, best first."""
    return thinned(candidates, params, agnostic=agnostic, most=most).left()


def artefacts(
    candidates: Candidates,
    params: DetectionParams,
    *,
    agnostic: bool = False,
    most: int = 100,
    point: str = "",
) -> Iterator[Artefact]:
    """The detections, the film of the suppression, and the history of the box under the cursor.

    Args:
        agnostic, most: as in `thinned`.
        point: capture point whose output attribution explains, (1, sources, classes) or (sources,
            classes), where the classes are those of the labels.
    """
    made = thinned(candidates, params, agnostic=agnostic, most=most)
    yield from shown(made, params, agnostic=agnostic, point=point)


def shown(
    made: Thinned, params: DetectionParams, *, agnostic: bool = False, point: str = ""
) -> Iterator[Artefact]:
    """`artefacts` of what has been thinned out already, for those who need that too."""
    yield _detections(made, point, agnostic=agnostic)
    yield _film(made, params)
    yield from _origin(made, params)


def under(made: Thinned, cursor: tuple[float, float] | None) -> int | None:
    """The row of ``offered`` of the smallest detection that stayed around the cursor, if any."""
    if cursor is None:
        return None
    x, y = cursor
    boxes = made.offered.boxes[made.kept]
    inside = (boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3])
    rows = torch.where(inside)[0]
    if not len(rows):
        return None
    sides = (boxes[rows, 2:] - boxes[rows, :2]).clamp(min=0)
    return int(made.kept[rows[int(sides.prod(1).argmin())]])


def chosen(made: Thinned, cursor: tuple[float, float] | None) -> int | None:
    """The row of ``offered`` of the detection that is traced: that `under` the cursor, else the
    best of all; None when nothing was found."""
    row = under(made, cursor)
    return row if row is not None or not len(made.kept) else int(made.kept[0])


def _detections(made: Thinned, point: str, *, agnostic: bool) -> Boxes:
    found = made.offered.at(made.kept)
    removed = int((~made.suppression.keep).sum())
    rule = "any class" if agnostic else "their class"
    words = f"{len(made.offered)} above the score, {removed} removed by a better one of {rule}"
    cut = int(made.suppression.keep.sum()) - len(made.kept)
    if cut:
        words += f", {cut} more than are shown"
    target = (point, int(found.labels[0])) if point and len(found) else None
    return Boxes(
        "detections/boxes",
        _array(found.boxes),
        _array(found.scores),
        found.classes(),
        ids=made.kept.tolist(),
        sources=found.sources.tolist(),
        gestures={"pick": "cursor"},
        target=target,
        note=f"{words}; click a box to trace it" if len(found) else words,
    )


def _film(made: Thinned, params: DetectionParams) -> Boxes:
    """The first boxes by score; those after ``decisions`` still wait."""
    offered = made.offered.at(torch.arange(min(len(made.offered), FILM_MOST)))
    count = len(offered)
    seen = min(params.decisions or count, count)
    keep = made.suppression.keep[:count].tolist()
    states = ["kept" if k else "removed" for k in keep]
    states = [s if i < seen else "waiting" for i, s in enumerate(states)]
    cause = [c if i < seen else -1 for i, c in enumerate(made.suppression.cause[:count].tolist())]
    shares = made.suppression.overlap[:count].tolist()
    overlap = [share if i < seen else 0.0 for i, share in enumerate(shares)]
    words = "best first"
    if seen:
        words = f"{seen} of {count} decided, best first; last: {_verdict(made, seen - 1, params)}"
    more = len(made.offered) - count
    return Boxes(
        "suppression/film",
        _array(offered.boxes),
        _array(offered.scores),
        offered.classes(),
        ids=range(count),
        sources=offered.sources.tolist(),
        state=states,
        cause_id=cause,
        cause_iou=overlap,
        gestures={"pick": "cursor", "type": "decisions"},
        note=words + (f"; {more} more candidates are not drawn" if more else ""),
    )


def _verdict(made: Thinned, i: int, params: DetectionParams) -> str:
    name = f"{i} ({made.offered.words(i)})"
    if bool(made.suppression.keep[i]):
        return f"box {name} stays"
    cause, share = int(made.suppression.cause[i]), float(made.suppression.overlap[i])
    return f"box {name} goes, IoU {share:.2f} > {params.overlap:.2f} with box {cause}"


def _origin(made: Thinned, params: DetectionParams) -> Iterator[Artefact]:
    """From the reference to the box, and who competed with it."""
    i = chosen(made, params.cursor)
    if i is None:
        none = torch.zeros(0, 4)
        yield Boxes("origin/box", none.numpy(), note="no box stayed")
        yield Boxes("origin/rivals", none.numpy(), note="no box stayed")
        yield Text("origin/history", "No box stayed: lower the score to see the weaker ones.")
        return
    offered, level = made.offered, made.offered.level_names[int(made.offered.levels[i])]
    pair = torch.stack([offered.references[i], offered.boxes[i]])
    yield Boxes(
        "origin/box",
        _array(pair),
        labels=["started from", offered.words(i)],
        gestures={"pick": "cursor"},
        note=f"on {level}, number {int(offered.sources[i])}",
    )
    rows, shares = _rivals(made, i)
    states = ["chosen", *(_fate(made, int(r), i) for r in rows)]
    chosen_and_rivals = torch.cat([torch.tensor([i]), rows])
    yield Boxes(
        "origin/rivals",
        _array(offered.boxes[chosen_and_rivals]),
        _array(offered.scores[chosen_and_rivals]),
        [offered.names[n] for n in offered.labels[chosen_and_rivals].tolist()],
        ids=chosen_and_rivals.tolist(),
        state=states,
        cause_id=[-1, *(int(made.suppression.cause[r]) for r in rows)],
        cause_iou=[0.0, *(float(made.suppression.overlap[r]) for r in rows)],
        gestures={"pick": "cursor"},
        note=f"{len(rows)} candidate{'s' * (len(rows) != 1)} overlapping it by more than {CLOSE}",
    )
    yield Text("origin/history", _history(made, i, rows, shares, params, level))


def _rivals(made: Thinned, i: int) -> tuple[Tensor, Tensor]:
    """Rows of other candidates that overlap row ``i``, nearest first, and their IoU with it."""
    shares = iou(made.offered.boxes, made.offered.boxes[i : i + 1])[:, 0].cpu()
    shares[i] = 0.0
    rows = torch.where(shares > CLOSE)[0]
    order = shares[rows].argsort(descending=True, stable=True)
    return rows[order], shares[rows[order]]


def _fate(made: Thinned, row: int, i: int) -> str:
    if bool(made.suppression.keep[row]):
        return "kept"
    return "removed by it" if int(made.suppression.cause[row]) == i else "removed"


def _history(
    made: Thinned, i: int, rows: Tensor, shares: Tensor, params: DetectionParams, level: str
) -> str:
    """The box's way in words, a line a stage."""
    offered = made.offered
    start, end = offered.references[i].tolist(), offered.boxes[i].tolist()
    (sx, sy), (ex, ey) = ((b[2] - b[0], b[3] - b[1]) for b in (start, end))
    dx, dy = (end[a] + end[a + 2] - start[a] - start[a + 2] for a in (0, 1))
    gone = [int(r) for r in rows if _fate(made, int(r), i) == "removed by it"]
    lines = [
        f"{offered.words(i)}: rank {i + 1} of {len(offered)} above {params.score:.2f}",
        f"Level: {level}, number {int(offered.sources[i])} there",
        f"Started from: {sx:.0f} × {sy:.0f} px at {start[0]:.0f}, {start[1]:.0f}",
        f"Became: {ex:.0f} × {ey:.0f} px at {end[0]:.0f}, {end[1]:.0f} "
        f"(centre moved by {round(dx / 2):+d}, {round(dy / 2):+d})",
        f"Removed {len(gone)} as overlapping it by more than {params.overlap:.2f}",
    ]
    lines += [
        f"  box {r} ({offered.words(r)}) at IoU {float(made.suppression.overlap[r]):.2f}"
        for r in gone[:5]
    ]
    spared = [(int(r), float(s)) for r, s in zip(rows, shares, strict=True) if int(r) < i]
    better = [(r, s) for r, s in spared if bool(made.suppression.keep[r])]
    if better:
        r, share = better[0]
        why = "another class" if share > params.overlap else "not above the threshold"
        lines.append(f"Survived box {r} ({offered.words(r)}): IoU {share:.2f}, {why}")
    return "\n".join(lines)


def _array(t: Tensor) -> Any:
    return t.detach().float().cpu().numpy()
