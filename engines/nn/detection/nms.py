"""Greedy non-maximum suppression: the best box stays, what overlaps it too much goes, and so on.

A box goes when its IoU with a better one that stayed is strictly above the threshold. Exact, and
with the box that removed each of the others. Runs on the CPU, in blocks of boxes by falling score:
within a block it is resolved box by box, then what stays of it clears the boxes behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BLOCK = 128  # boxes that are resolved together
STRIP = 512  # boxes behind a block that are compared with it at once, to stay in the cache


@dataclass(frozen=True, slots=True)
class Suppression:
    """What became of N boxes, and why. All on the device of the boxes.

    Attributes:
        order: (N,) indices by falling score, ties by index.
        keep: (N,) bool, which boxes stayed.
        cause: (N,) index of the best box that stayed and removed this one; -1 if it stayed.
        overlap: (N,) IoU with the cause; 0 if it stayed.
    """

    order: Tensor
    keep: Tensor
    cause: Tensor
    overlap: Tensor

    @property
    def kept(self) -> Tensor:
        """Indices of the boxes that stayed, by falling score."""
        return self.order[self.keep[self.order]]


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Indices of the boxes that stay, by falling score: `suppress` without regard to classes."""
    return suppress(boxes, scores, None, threshold).kept


def batched_nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Indices of the boxes that stay, by falling score; only boxes of one label compete."""
    return suppress(boxes, scores, labels, threshold).kept


def suppress(boxes: Tensor, scores: Tensor, labels: Tensor | None, threshold: float) -> Suppression:
    """Suppress boxes (N, 4) that overlap a better one by more than ``threshold``.

    Args:
        scores: (N,). labels: (N,) integers; only boxes of one label compete. None: all do.
        threshold: IoU in [0, 1]; a box of exactly this IoU stays.

    Raises:
        ValueError: boxes, scores and labels differ in number.
    """
    count = len(boxes)
    numbers = {count, len(scores), count if labels is None else len(labels)}
    if boxes.shape != (count, 4) or len(numbers) > 1:
        raise ValueError(
            f"boxes {tuple(boxes.shape)}, scores {tuple(scores.shape)}, labels "
            f"{None if labels is None else tuple(labels.shape)}: need one score and label a box"
        )
    corners = boxes.detach().float().cpu().numpy()
    falling = -scores.detach().float().cpu().numpy()
    order = np.argsort(falling, kind="stable")
    rank = order
    names = np.zeros(count, np.int64)
    if labels is not None:
        names = labels.detach().cpu().numpy().astype(np.int64)
        rank = order[np.argsort(names[order], kind="stable")]  # one label after the other
    with np.errstate(all="ignore"):  # no area or no number: an IoU that is above nothing
        cause, overlap = _sweep(np.ascontiguousarray(corners[rank].T), names[rank], threshold)
    found = np.full(count, -1, np.int64)
    found[rank] = np.where(cause < 0, -1, rank[cause])
    shares = np.zeros(count, np.float32)
    shares[rank] = overlap
    back = [torch.from_numpy(a).to(boxes.device) for a in (order, found < 0, found, shares)]
    return Suppression(*back)


def _sweep(corners: Floats, names: Ints, threshold: float) -> tuple[Ints, Floats]:
    """Cause (N,) and IoU (N,) of boxes (4, N) that are sorted by label, then by falling score."""
    limit = _rounded_down(threshold)
    areas = (corners[2] - corners[0]) * (corners[3] - corners[1])
    cause = np.full(len(names), -1, np.int64)
    overlap = np.zeros(len(names), np.float32)
    ends = np.searchsorted(names, names, side="right")
    waiting = np.arange(len(names))  # neither resolved nor removed
    while len(waiting):
        block, waiting = waiting[:BLOCK], waiting[BLOCK:]
        shares = _iou(corners, areas, block, block)
        over = np.triu((shares > limit) & (names[block, None] == names[block]), 1)
        stays = _resolved(over)
        _blame(cause, overlap, block, block[stays], shares[stays].T, over[stays].T)
        rivals = block[stays & (names[block] == names[block[-1]])]
        behind = int(np.searchsorted(waiting, ends[block[-1]]))
        if behind and len(rivals):
            for start in range(0, behind, STRIP):
                strip = waiting[start : min(start + STRIP, behind)]
                shares = _iou(corners, areas, strip, rivals)
                _blame(cause, overlap, strip, rivals, shares, shares > limit)
            waiting = waiting[cause[waiting] < 0]
    return cause, overlap


def _iou(corners: Floats, areas: Floats, a: Ints, b: Ints) -> Floats:
    """IoU (A, B) in single precision, operation by operation as the compiled kernels have it."""
    left, top, right, bottom = corners[:, a, None]
    x1, y1, x2, y2 = corners[:, b]
    width = np.minimum(right, x2)
    width -= np.maximum(left, x1)
    np.maximum(width, 0, out=width)
    both: Floats = np.minimum(bottom, y2)
    both -= np.maximum(top, y1)
    np.maximum(both, 0, out=both)
    both *= width
    either = areas[a, None] + areas[b]
    either -= both
    both /= either
    return both


def _resolved(over: Bools) -> Bools:
    """Which boxes of a block stay, where ``over[i, j]`` says that i would remove j, i < j.

    A box is settled once all before it are: every round settles at least one more.
    """
    stays: Bools = np.ones(len(over), np.bool_)
    while True:
        settled: Bools = ~np.any(over[stays], axis=0)
        if np.array_equal(settled, stays):
            return stays
        stays = settled


def _blame(
    cause: Ints, overlap: Floats, boxes: Ints, rivals: Ints, shares: Floats, over: Bools
) -> None:
    """Note the best rival of each box whose IoU is ``over`` (boxes, rivals) the limit."""
    rows = np.flatnonzero(over.any(1))
    first = over[rows].argmax(1)
    cause[boxes[rows]] = rivals[first]
    overlap[boxes[rows]] = shares[rows, first]


def _rounded_down(threshold: float) -> np.float32:
    """The largest single that is not above the threshold, so that ``>`` means what it says."""
    single = np.float32(threshold)
    return single if float(single) <= threshold else np.nextafter(single, np.float32(-np.inf))
