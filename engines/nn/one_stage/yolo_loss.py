"""The losses of YOLO v1 (five sums of squares) and of v2 as Darknet's region layer has it.

Truth is a list with boxes (G, 4) as x1, y1, x2, y2 in pixels of the input and labels (G,) for each
picture. Terms are summed over cells, divided by the number of pictures, and already weighted: their
sum is the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.nn.detection.boxes import iou
from engines.nn.one_stage.yolo_boxes import v1_boxes, v1_cells, v1_encode, v2_boxes, v2_cells

V1_TERMS = ("centre", "size", "object", "no object", "class")
V2_TERMS = ("centre", "size", "object", "no object", "class", "anchors")
IGNORED = 0.6  # v2: a box that meets a truth by more than this is not told that nothing is there
PULL = 0.01


@dataclass(frozen=True, slots=True)
class Assigned:
    """Which box of which cell answers for which truth; M of them.

    Attributes:
        image, row, column, box: (M,) indices; ``box`` is the responsible box or best anchor.
        target: (M, 4) coordinates as the network should give them.
        label: (M,) class. truth: (M,) index of the truth in its picture.
        iou: (M,) of the responsible box with its truth, without gradient.
    """

    image: Tensor
    row: Tensor
    column: Tensor
    box: Tensor
    target: Tensor
    label: Tensor
    truth: Tensor
    iou: Tensor

    @property
    def cells(self) -> tuple[Tensor, Tensor, Tensor]:
        """Index into (N, h, w, ...)."""
        return self.image, self.row, self.column

    @property
    def at(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Index into (N, h, w, B, ...)."""
        return self.image, self.row, self.column, self.box


def pairs(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes (..., 4) with boxes of the same shape, pair by pair."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    inside = (high - low).clamp(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - inside
    return inside / union.clamp(min=1e-12)


def _last(keys: list[tuple[int, ...]]) -> list[int]:
    """Of equal keys the last: a cell (and box) can answer for one truth only."""
    return sorted({key: i for i, key in enumerate(keys)}.values())


def v1_assign(
    output: Tensor,
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    count: int,
    side: Sequence[int],
) -> Assigned:
    """The cell of each truth's centre, and in it the box with the highest IoU.

    Where no box of the cell meets the truth at all, the one whose coordinates are nearest, as in
    Darknet. Of two truths with their centres in one cell the last stays.

    Args:
        output: grid (N, 5 B + C, h, w). count: B. side: height, width of the input in px.
    """
    height, width = output.shape[2:]
    scale = output.new_tensor([side[1], side[0], side[1], side[0]])
    rows: list[tuple[int, ...]] = []
    coordinates, shares, classes = [], [], []
    for number, (some, label) in enumerate(zip(boxes, labels, strict=True)):
        share = some.to(output) / scale
        cells, target = v1_encode(share, height, width)
        rows += [(number, int(r), int(c)) for r, c in cells.tolist()]
        coordinates.append(target)
        shares.append(share)
        classes.append(label.to(output.device))
    kept = _last(rows)
    truth = torch.tensor(_truths([len(b) for b in boxes]), dtype=torch.long)
    index = torch.tensor([rows[i] for i in kept], device=output.device, dtype=torch.long)
    image, row, column = index.reshape(-1, 3).unbind(1)
    target = torch.cat([*coordinates, output.new_zeros(0, 4)])[kept]
    share = torch.cat([*shares, output.new_zeros(0, 4)])[kept]
    predicted, _, _ = v1_cells(output.detach(), count)
    found = v1_boxes(predicted)[image, row, column]  # (M, B, 4)
    overlap = pairs(found, share[:, None])
    distance = (found - share[:, None]).square().sum(-1)
    best = torch.where(overlap.amax(1, keepdim=True) > 0, overlap, -distance).argmax(1)
    label = torch.cat([*classes, torch.zeros(0, dtype=torch.long, device=output.device)])[kept]
    return Assigned(
        image, row, column, best, target, label, truth[kept],
        overlap.gather(1, best[:, None])[:, 0],
    )  # fmt: skip


def _truths(counts: list[int]) -> list[int]:
    return [i for count in counts for i in range(count)]


def v1_loss(
    output: Tensor,
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    *,
    count: int,
    side: Sequence[int],
    coordinates: float = 5.0,
    empty: float = 0.5,
) -> dict[str, Tensor]:
    """The five terms of the paper's equation 3 by `V1_TERMS`.

    The confidence of a responsible box should be its IoU with the truth, through which no gradient
    flows; all other boxes, those of a full cell too, should have confidence 0.
    """
    found = v1_assign(output, boxes, labels, count, side)
    predicted, confidence, classes = v1_cells(output, count)
    error = (predicted[found.at] - found.target).square()
    empty_cells = torch.ones_like(confidence)
    empty_cells[found.at] = 0.0
    wanted = F.one_hot(found.label, classes.shape[-1]).to(output)
    terms = (
        coordinates * error[:, :2].sum(),
        coordinates * error[:, 2:].sum(),
        (confidence[found.at] - found.iou).square().sum(),
        empty * (confidence.square() * empty_cells).sum(),
        (classes[found.cells] - wanted).square().sum(),
    )
    return {name: term / len(output) for name, term in zip(V1_TERMS, terms, strict=True)}


def v2_assign(
    cells: Tensor,
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    anchors: Tensor,
    stride: int,
) -> tuple[Assigned, Tensor]:
    """The cell of each truth's centre and the anchor whose shape is most like it.

    Args:
        cells: (N, h, w, A, 5 + C). anchors: (A, 2) in cells. stride: px of a cell.

    Returns:
        The truths that count, and (N, h, w, A) the highest IoU of each predicted box with a truth.
    """
    _, height, width, count, _ = cells.shape
    predicted = v2_boxes(cells.detach()[..., :4], anchors)
    nearest = torch.zeros_like(predicted[..., 0])
    rows: list[tuple[int, ...]] = []
    targets, overlaps, classes = [], [], []
    limit = torch.tensor([width - 1, height - 1], device=cells.device)
    for number, (some, label) in enumerate(zip(boxes, labels, strict=True)):
        if not len(some):
            continue
        truth = some.to(cells) / stride
        met = iou(predicted[number].reshape(-1, 4), truth)
        nearest[number] = met.amax(1).view(height, width, count)
        centre, sides = (truth[:, :2] + truth[:, 2:]) / 2, truth[:, 2:] - truth[:, :2]
        at = torch.minimum(centre.long().clamp(min=0), limit)
        inside = torch.minimum(sides[:, None], anchors).prod(-1)
        shape = inside / (sides.prod(-1)[:, None] + anchors.prod(-1) - inside)
        best = shape.argmax(1)
        rows += [(number, int(y), int(x), int(b)) for (x, y), b in
                 zip(at.tolist(), best.tolist(), strict=True)]  # fmt: skip
        targets.append(torch.cat([centre - at, (sides / anchors[best]).log()], 1))
        overlaps.append(pairs(predicted[number, at[:, 1], at[:, 0], best], truth))
        classes.append(label.to(cells.device))
    kept = _last(rows)
    index = torch.tensor([rows[i] for i in kept], device=cells.device, dtype=torch.long)
    image, row, column, box = index.reshape(-1, 4).unbind(1)
    return Assigned(
        image, row, column, box,
        torch.cat([*targets, cells.new_zeros(0, 4)])[kept],
        torch.cat([*classes, torch.zeros(0, dtype=torch.long, device=cells.device)])[kept],
        torch.tensor(_truths([len(b) for b in boxes]), dtype=torch.long)[kept],
        torch.cat([*overlaps, cells.new_zeros(0)])[kept],
    ), nearest  # fmt: skip


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="sum")


def v2_loss(
    output: Tensor,
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    *,
    anchors: Tensor,
    stride: int,
    pulled: bool = False,
    classify: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """The terms of Darknet's region layer by `V2_TERMS`, as its gradients define them.

    Object 5, no object 1, class 1 (cross-entropy of the softmax), coordinates 1 times 2 - w h of
    the truth as shares of the picture; the confidence of a full box should be its IoU.

    Args:
        pulled: draw all boxes to their anchors, as Darknet does for the first 12,800 pictures.
        classify: the loss of class logits (M, C) against labels (M,), summed; cross-entropy
            unless there is a tree.
    """
    cells = v2_cells(output, len(anchors))
    found, nearest = v2_assign(cells, boxes, labels, anchors, stride)
    confidence = cells[..., 4].sigmoid()
    empty = nearest <= IGNORED
    empty[found.at] = False
    own = cells[found.at]
    centre = (own[:, :2].sigmoid() - found.target[:, :2]).square().sum(1)
    size = (own[:, 2:4] - found.target[:, 2:]).square().sum(1)
    height, width = cells.shape[1:3]
    share = (found.target[:, 2:].exp() * anchors[found.box]).prod(1) / (height * width)
    weight = 2.0 - share
    drawn = output.new_zeros(())
    if pulled:
        drawn = (cells[..., :2].sigmoid() - 0.5).square().sum() + cells[..., 2:4].square().sum()
    terms = (
        0.5 * (weight * centre).sum(),
        0.5 * (weight * size).sum(),
        2.5 * (confidence[found.at] - found.iou).square().sum(),
        0.5 * (confidence.square() * empty).sum(),
        (classify or _cross_entropy)(own[:, 5:], found.label),
        0.5 * PULL * drawn,
    )
    return {name: term / len(output) for name, term in zip(V2_TERMS, terms, strict=True)}
