"""Average precision of detections against truths by the rules of COCO and of Pascal VOC.

COCO: detections in falling order of score take the truth of their class with the highest IoU that
is at least the threshold; the precision envelope is read at 101 recalls; mean over ten thresholds.
Crowds and truths outside the area range can be met without gain or harm. VOC: each detection asks
for the truth that it overlaps most; 11 recalls (2007) or the whole area (from 2010 on).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = 100  # detections of one class in one picture
AREAS: Mapping[str, tuple[float, float]] = {  # pixels, both ends included
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}


@dataclass(frozen=True, slots=True, eq=False)
class Truths:
    """What one picture holds.

    Attributes:
        boxes: (N, 4) as x1, y1, x2, y2. labels: (N,).
        crowd: (N,); a crowd may be met by many detections, none of which counts. Empty: none is.
        areas: (N,) in pixels, for the ranges of `AREAS`. Empty: of the boxes.
        masks: (N, H, W), where masks are compared.
        points: (N, K, 3) as x, y and 0 where a point is not annotated, where these are compared;
            an object without any counts for nothing, and nothing is lost on it.
    """

    boxes: Floats
    labels: Integers
    crowd: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    areas: Floats = field(default_factory=lambda: np.zeros(0))
    masks: Bools | None = None
    points: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a detector says of one picture: boxes (M, 4), scores (M,), labels (M,), masks, and
    points (M, K, 2 or 3)."""

    boxes: Floats
    scores: Floats
    labels: Integers
    masks: Bools | None = None
    points: Floats | None = None


Overlaps = Callable[[Truths, Found], tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True, eq=False)
class AveragePrecision:
    """The figures over a set of pictures; not a number where no truth is in range.

    Attributes:
        precision: (T, 101, K), the envelope at each threshold, recall and class.
        recall: (T, K), the highest recall that was reached.
        classes: the K labels. thresholds: the T thresholds.
    """

    precision: Floats
    recall: Floats
    classes: tuple[int, ...]
    thresholds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """AP over all thresholds and classes, in [0, 1]."""
        return _mean(self.precision)

    def at(self, threshold: float) -> float:
        """AP over all classes at one IoU threshold, in [0, 1]."""
        return _mean(self.precision[self._index(threshold)])

    def of(self, label: int, threshold: float | None = None) -> float:
        """AP of one class over all thresholds, or at one."""
        chosen = self.precision[..., self.classes.index(label)]
        return _mean(chosen if threshold is None else chosen[self._index(threshold)])

    def curve(self, threshold: float) -> Floats:
        """Precision (101,) over `RECALLS` at one threshold, mean of the classes with truths."""
        here = self.precision[self._index(threshold)]
        known = ~np.isnan(here[0])
        return np.asarray(here[:, known].mean(1) if known.any() else np.full(len(here), np.nan))

    @property
    def mean_recall(self) -> float:
        """Average recall: the highest recall, mean over thresholds and classes."""
        return _mean(self.recall)

    def _index(self, threshold: float) -> int:
        return int(np.abs(np.array(self.thresholds) - threshold).argmin())


def average_precision(
    truths: Sequence[Truths],
    found: Sequence[Found],
    *,
    classes: Sequence[int] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    most: int = MOST,
    area: str = "all",
) -> AveragePrecision:
    """The rule of COCO, as pycocotools computes it; masks are compared where the truths have them.

    Args:
        truths: one a picture. found: one a picture, in the same order.
        classes: that count; all that the truths hold if not given.
        most: best detections of a class and picture that count.
        area: a key of `AREAS`.
    """
    if len(truths) != len(found):
        raise ValueError(f"{len(truths)} pictures with truths, {len(found)} with detections")
    if classes is None:
        classes = sorted({int(label) for t in truths for label in t.labels})
    gathered = Gathered(classes, thresholds=thresholds, most=most, areas={area: AREAS[area]})
    for t, f in zip(truths, found, strict=True):
        gathered.add(t, f)
    return gathered.figures(area)


def overlaps_of(truths: Truths, found: Found) -> tuple[Floats, Floats]:
    """IoU (M, N) of masks or boxes, and the sizes (M,) of what was found in pixels."""
    if truths.masks is not None and found.masks is not None:
        iou = mask_iou(found.masks, truths.masks, truths.crowd)
        return iou, found.masks.sum((1, 2)).astype(np.float64)
    return box_iou(found.boxes, truths.boxes, truths.crowd), _areas(found.boxes)


class Gathered:
    """Matches of picture after picture, so that none has to be kept; arguments as above.

    ``areas`` are ranges by name, both ends included; ``overlaps`` says how alike the objects of one
    class in one picture are, (M, N) in [0, 1], and how large the found ones are (M,).
    """

    def __init__(
        self,
        classes: Sequence[int],
        *,
        thresholds: Sequence[float] = THRESHOLDS,
        most: int = MOST,
        areas: Mapping[str, tuple[float, float]] = AREAS,
        overlaps: Overlaps = overlaps_of,
    ) -> None:
        self.classes, self.thresholds, self.most = tuple(classes), tuple(thresholds), most
        self.areas, self._overlaps = areas, overlaps
        self._matched: dict[tuple[int, str], list[_Matched]] = {
            (label, area): [] for label in self.classes for area in areas
        }

    def add(self, truths: Truths, found: Found) -> None:
        """Match one picture."""
        for label in self.classes:
            t, f = _truths_of(truths, label), _found_of(found, label, self.most)
            if not len(t.boxes) and not len(f.boxes):
                continue
            alike, sizes = self._overlaps(t, f)
            for area, limits in self.areas.items():
                made = _match(t, f.scores, alike, sizes, self.thresholds, limits)
                self._matched[label, area].append(made)

    def figures(self, area: str = "all") -> AveragePrecision:
        """Precision and recall over all pictures so far."""
        shape = len(self.thresholds), len(RECALLS), len(self.classes)
        precision, recall = np.full(shape, np.nan), np.full((shape[0], shape[2]), np.nan)
        for k, label in enumerate(self.classes):
            matched = self._matched[label, area]
            count = sum(m.count for m in matched)
            if count:
                precision[..., k], recall[:, k] = _envelope(matched, count)
        return AveragePrecision(precision, recall, self.classes, self.thresholds)


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    """Of one picture and class: scores (M,), hit and ignored (T, M), truths that count."""

    scores: Floats
    hit: Bools
    ignored: Bools
    count: int


def _truths_of(t: Truths, label: int) -> Truths:
    chosen = np.flatnonzero(t.labels == label)
    boxes = np.asarray(t.boxes, np.float64).reshape(-1, 4)[chosen]
    crowd = t.crowd[chosen] if len(t.crowd) else np.zeros(len(chosen), np.bool_)
    areas = t.areas[chosen] if len(t.areas) else _areas(boxes)
    masks = None if t.masks is None else t.masks[chosen]
    points = None if t.points is None else t.points[chosen]
    return Truths(boxes, t.labels[chosen], crowd, areas, masks, points)


def _found_of(f: Found, label: int, most: int) -> Found:
    chosen = np.flatnonzero(f.labels == label)
    scores = np.asarray(f.scores, np.float64)[chosen]
    order = np.argsort(-scores, kind="stable")[:most]
    boxes = np.asarray(f.boxes, np.float64).reshape(-1, 4)[chosen[order]]
    best = chosen[order]
    masks = None if f.masks is None else f.masks[best]
    points = None if f.points is None else f.points[best]
    return Found(boxes, scores[order], f.labels[best], masks, points)


def _match(
    truths: Truths,
    scores: Floats,
    iou: Floats,
    sizes: Floats,
    thresholds: Sequence[float],
    area: tuple[float, float],
) -> _Matched:
    """Greedy matching at every threshold; a truth that counts goes before one that is ignored."""
    outside = (truths.areas < area[0]) | (truths.areas > area[1])
    aside = truths.crowd | outside
    if truths.points is not None:
        aside |= ~(truths.points[..., 2] > 0).any(1)
    least = np.minimum(np.array(thresholds), 1 - 1e-10)[:, None]
    taken = np.zeros((len(thresholds), len(truths.boxes)), np.bool_)
    hit = np.zeros((len(thresholds), len(scores)), np.bool_)
    ignored = hit.copy()
    every = np.arange(len(thresholds))
    for d in range(len(scores)):
        if not len(truths.boxes):
            break
        free = (~taken | truths.crowd) & (iou[d] >= least)
        first = free & ~aside
        usable = np.where(first.any(1, keepdims=True), first, free)
        met = usable.any(1)
        # of equal ones the last, as pycocotools takes it
        best = usable.shape[1] - 1 - np.where(usable, iou[d], -1.0)[:, ::-1].argmax(1)
        taken[every[met], best[met]] = True
        hit[:, d] = met & ~aside[best]
        ignored[:, d] = met & aside[best]
    beyond = (sizes < area[0]) | (sizes > area[1])
    ignored |= ~hit & beyond
    return _Matched(scores, hit, ignored, int((~aside).sum()))


def _envelope(matched: Sequence[_Matched], count: int) -> tuple[Floats, Floats]:
    """Precision (T, 101) at the recalls, and the highest recall (T,)."""
    order = np.argsort(-np.concatenate([m.scores for m in matched]), kind="stable")
    hit = np.concatenate([m.hit for m in matched], 1)[:, order]
    ignored = np.concatenate([m.ignored for m in matched], 1)[:, order]
    right = np.cumsum(hit, 1).astype(np.float64)
    wrong = np.cumsum(~hit & ~ignored, 1).astype(np.float64)
    recall = right / count
    precision = right / (right + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    read = np.zeros((len(hit), len(RECALLS)))
    for t in range(len(hit)):
        at = np.searchsorted(recall[t], RECALLS, side="left")
        inside = at < hit.shape[1]
        read[t, inside] = precision[t, at[inside]]
    return read, recall[:, -1] if hit.shape[1] else np.zeros(len(hit))


def box_iou(found: Floats, truths: Floats, crowd: Bools | None = None) -> Floats:
    """IoU (M, N) of boxes; against a crowd, the share of the detection that lies in it."""
    low = np.maximum(found[:, None, :2], truths[None, :, :2])
    high = np.minimum(found[:, None, 2:], truths[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    own = _areas(found)[:, None]
    return _ratio(shared, own, _areas(truths)[None], crowd)


def mask_iou(found: Bools, truths: Bools, crowd: Bools | None = None) -> Floats:
    """IoU (M, N) of masks (M, H, W) and (N, H, W); against a crowd as in `box_iou`."""
    if not len(found) or not len(truths):
        return np.zeros((len(found), len(truths)))
    a = found.reshape(len(found), -1).astype(np.float32)  # exact below 2**24 pixels
    b = truths.reshape(len(truths), -1).astype(np.float32)
    shared = (a @ b.T).astype(np.float64)
    sizes = found.sum((1, 2)).astype(np.float64), truths.sum((1, 2)).astype(np.float64)
    return _ratio(shared, sizes[0][:, None], sizes[1][None], crowd)


def _ratio(shared: Floats, own: Floats, other: Floats, crowd: Bools | None) -> Floats:
    union = own + other - shared
    if crowd is not None and crowd.any():
        union = np.where(crowd, own, union)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _areas(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def voc_average_precision(
    truths: Sequence[Truths],
    found: Sequence[Found],
    label: int,
    *,
    threshold: float = 0.5,
    rule: Literal["11 points", "all points"] = "all points",
) -> float:
    """AP of one class by the rule of Pascal VOC; a crowd stands for "difficult", which is left out.

    A detection is right when the truth that it overlaps most has an IoU above the threshold and
    was not found before; a second one of the same truth is wrong.
    """
    count = sum(int(((t.labels == label) & ~_crowd(t)).sum()) for t in truths)
    if not count:
        return float("nan")
    told = []  # score, right, left out
    for t, f in zip(truths, found, strict=True):
        told += _voc_picture(_truths_of(t, label), _found_of(f, label, len(f.scores)), threshold)
    told = [entry for entry in told if not entry[2]]
    order = np.argsort([-score for score, _, _ in told], kind="stable")
    hit = np.array([right for _, right, _ in told], np.bool_)[order]
    right, wrong = np.cumsum(hit), np.cumsum(~hit)
    recall, precision = right / count, right / np.maximum(right + wrong, 1)
    if rule == "11 points":
        points = np.linspace(0, 1, 11)
        return float(np.mean([precision[recall >= r].max(initial=0.0) for r in points]))
    recall = np.concatenate([[0.0], recall, [1.0]])
    envelope = np.concatenate([[0.0], precision, [0.0]])
    envelope = np.maximum.accumulate(envelope[::-1])[::-1]
    return float((np.diff(recall) * envelope[1:]).sum())


def _voc_picture(truths: Truths, found: Found, threshold: float) -> list[tuple[float, bool, bool]]:
    taken = np.zeros(len(truths.boxes), np.bool_)
    told = []
    for score, overlaps in zip(found.scores, box_iou(found.boxes, truths.boxes), strict=True):
        best = int(overlaps.argmax()) if len(overlaps) else 0
        met = len(overlaps) > 0 and overlaps[best] > threshold
        told.append((float(score), bool(met and not taken[best]), met and bool(truths.crowd[best])))
        if met:
            taken[best] = True
    return told


def _crowd(t: Truths) -> Bools:
    return t.crowd if len(t.crowd) else np.zeros(len(t.labels), np.bool_)
