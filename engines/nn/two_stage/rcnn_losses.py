"""What Faster, Mask and Keypoint R-CNN learn from: five losses, as torchvision writes them.

Ren et al., "Faster R-CNN", 2015, section 3.1.2; He et al., "Mask R-CNN", 2017, section 3. Truths
are in pixels of the network's input, their labels from 1: class 0 is the background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.nn.detection.boxes import encode, iou
from engines.nn.detection.matching import Matcher, Sampler
from engines.nn.two_stage.rcnn import RCNN
from engines.nn.two_stage.roi import roi_align
from engines.nn.two_stage.roi_heads import WEIGHTS, BoxOutput
from engines.nn.two_stage.rpn import ProposalRule, RpnOutput, propose

BETA = 1 / 9  # where the smooth L1 loss of a shift turns from a parabola into a line
ANCHOR_MATCH = Matcher(0.7, 0.3, best=True)
REGION_MATCH = Matcher(0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is in one picture.

    Attributes:
        boxes: (T, 4). ``labels``: (T,) from 1.
        masks: (T, H, W) bool, or None. ``points``: (T, K, 3) as x, y and 1 where visible, or None.
    """

    boxes: Tensor
    labels: Tensor
    masks: Tensor | None = None
    points: Tensor | None = None


@dataclass(frozen=True, slots=True)
class LearningRule:
    """Which anchors and regions a training looks at.

    Attributes:
        anchors, regions: how many of each picture, and the share that may be positive; torchvision
            takes 256, half of them positive, and 512, a quarter of them.
        proposals: which of them the second stage may draw from.
    """

    anchors: Sampler
    regions: Sampler
    proposals: ProposalRule


SMALL_RULE = LearningRule(Sampler(128, 0.5), Sampler(64, 0.25), ProposalRule(before=150, after=100))


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one picture that the second stage is trained on.

    Attributes:
        boxes: (R, 4). ``labels``: (R,), 0 for the background.
        truth: (R,) index of the truth that each answers for; 0 where it is background.
        shifts: (R, 4) from the region to its truth, coded; 0 where the picture has no truth.
    """

    boxes: Tensor
    labels: Tensor
    truth: Tensor
    shifts: Tensor

    def positive(self) -> Tensor:
        """Indices of the regions that hold an object."""
        return torch.where(self.labels > 0)[0]


def rpn_losses(
    output: RpnOutput,
    truths: Sequence[Truth],
    sampler: Sampler,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Objectness and shift of the drawn anchors of all pictures; both means over all of them."""
    picked, wanted, shifts = [], [], []
    for i, truth in enumerate(truths):
        matches = ANCHOR_MATCH(iou(truth.boxes, output.anchors))
        positives, negatives = sampler(matches, generator)
        first = i * len(output.anchors)
        picked.append((positives + first, negatives + first))
        wanted.append(encode(truth.boxes[matches[positives]], output.anchors[positives]))
        shifts.append(output.shifts()[i, positives])
    positives, negatives = (torch.cat(part) for part in zip(*picked, strict=True))
    logits = output.objectness().flatten()[torch.cat([positives, negatives])]
    labels = torch.zeros_like(logits)
    labels[: len(positives)] = 1.0
    objectness = F.binary_cross_entropy_with_logits(logits, labels)
    far = F.smooth_l1_loss(torch.cat(shifts), torch.cat(wanted), beta=BETA, reduction="sum")
    return objectness, far / len(logits)


def draw_regions(
    proposals: Tensor, truth: Truth, sampler: Sampler, generator: torch.Generator | None = None
) -> Regions:
    """Regions among the proposals (P, 4) of one picture and its true boxes.

    The true boxes are proposals as well, so that there are good ones from the first step on.
    """
    boxes = torch.cat([proposals, truth.boxes])
    matches = REGION_MATCH(iou(truth.boxes, boxes))
    picked = torch.cat(sampler(matches, generator)).sort().values
    boxes, matches = boxes[picked], matches[picked]
    if not len(truth.boxes):
        nothing = torch.zeros_like(matches)
        return Regions(boxes, nothing, nothing, torch.zeros_like(boxes))
    nearest = matches.clamp(min=0)
    labels = torch.where(matches >= 0, truth.labels[nearest], 0)
    return Regions(boxes, labels, nearest, encode(truth.boxes[nearest], boxes, WEIGHTS))


def box_losses(output: BoxOutput, labels: Tensor, shifts: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the classes, and the shift of the true class over all regions.

    Args:
        labels: (R,) with 0 for the background. ``shifts``: (R, 4), coded.
    """
    classes = F.cross_entropy(output.logits, labels)
    rows = torch.where(labels > 0)[0]
    said = output.deltas[rows, labels[rows]]
    far = F.smooth_l1_loss(said, shifts[rows], beta=BETA, reduction="sum")
    return classes, far / max(1, len(labels))


def mask_targets(masks: Tensor, boxes: Tensor, truth: Tensor, cells: int) -> Tensor:
    """The true masks (T, H, W) inside boxes (R, 4) as maps (R, cells, cells) in [0, 1].

    RoIAlign takes them out, with as many points a cell as it has pixels; fractions stay, as in
    torchvision (Detectron cuts them at 0.5).

    Args:
        truth: (R,), which mask belongs to each box.
    """
    rois = torch.cat([truth[:, None].to(boxes), boxes], 1)
    return roi_align(masks[:, None].to(boxes), rois, cells, 1.0, ratio=0)[:, 0]


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross-entropy over the map of the true class; all other maps are left alone.

    Args:
        logits: (R, K, m, m) of regions that hold an object. ``labels``: (R,), which of the K maps.
        targets: (R, m, m) in [0, 1].
    """
    if not len(labels):
        return logits.sum() * 0
    own = logits[torch.arange(len(labels), device=labels.device), labels]
    return F.binary_cross_entropy_with_logits(own, targets)


def keypoint_targets(points: Tensor, boxes: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """The cell (R, K) of each point (R, K, 3) in a grid of cells x cells over its box (R, 4).

    Cells count row by row; a point on the right or lower edge lies in the last one.

    Returns:
        The cells, 0 where there is none, and whether there is one (R, K): visible and in the box.
    """
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    at = ((points[..., :2] - low) * (cells / (high - low))).floor().long()
    at = torch.where(points[..., :2] == high, cells - 1, at)
    inside = ((at >= 0) & (at < cells)).all(2) & (points[..., 2] > 0)
    return (at[..., 1] * cells + at[..., 0]) * inside, inside


def keypoint_loss(logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Cross-entropy over the places of a map, mean over the points that are to be seen.

    Args:
        logits: (R, K, m, m). ``targets``, ``valid``: (R, K) of `keypoint_targets`.
    """
    if not valid.any():
        return logits.sum() * 0
    return F.cross_entropy(logits.flatten(2)[valid], targets[valid])


def losses(
    network: RCNN,
    x: Tensor,
    truths: Sequence[Truth],
    rule: LearningRule,
    generator: torch.Generator | None = None,
    *,
    agnostic: bool = False,
) -> dict[str, Tensor]:
    """All losses of a batch (N, 3, H, W) of normalised pictures, by name; their sum is learnt.

    Args:
        agnostic: the mask branch also learns its map 0, which no class uses, on every object.
    """
    size = (x.shape[2], x.shape[3])
    pyramid = network.backbone(x)
    rpn: RpnOutput = network.rpn(pyramid.levels, size)
    objectness, anchors = rpn_losses(rpn, truths, rule.anchors, generator)
    regions = [
        draw_regions(propose(rpn, size, rule.proposals, i).kept, truth, rule.regions, generator)
        for i, truth in enumerate(truths)
    ]
    output = network.roi_heads(pyramid.heads, [r.boxes for r in regions], network.strides)
    classes, boxes = box_losses(
        output, torch.cat([r.labels for r in regions]), torch.cat([r.shifts for r in regions])
    )
    found = {"objectness": objectness, "anchors": anchors, "classes": classes, "boxes": boxes}
    if network.roi_heads.mask_head is not None:
        found["masks"] = _masks(network, pyramid.heads, regions, truths, agnostic=agnostic)
    if network.roi_heads.keypoint_head is not None:
        found["keypoints"] = _keypoints(network, pyramid.heads, regions, truths)
    return found


def _masks(
    network: RCNN,
    levels: Sequence[Tensor],
    regions: Sequence[Regions],
    truths: Sequence[Truth],
    *,
    agnostic: bool,
) -> Tensor:
    held = [r.positive() for r in regions]
    boxes = [r.boxes[rows] for r, rows in zip(regions, held, strict=True)]
    logits = network.roi_heads.masks(levels, boxes, network.strides).logits
    targets = []
    for region, rows, inside, truth in zip(regions, held, boxes, truths, strict=True):
        if truth.masks is None:
            raise ValueError("the mask branch learns from masks, and a truth has none")
        targets.append(mask_targets(truth.masks, inside, region.truth[rows], logits.shape[-1]))
    labels = torch.cat([r.labels[rows] for r, rows in zip(regions, held, strict=True)])
    wanted = torch.cat(targets)
    own = mask_loss(logits, labels, wanted)
    return own + mask_loss(logits, torch.zeros_like(labels), wanted) if agnostic else own


def _keypoints(
    network: RCNN, levels: Sequence[Tensor], regions: Sequence[Regions], truths: Sequence[Truth]
) -> Tensor:
    boxes, points = [], []
    for region, truth in zip(regions, truths, strict=True):
        if truth.points is None:
            raise ValueError("the keypoint branch learns from points, and a truth has none")
        held = region.positive()
        wanted = truth.points[region.truth[held]]
        pointed = (wanted[..., 2] > 0).any(1)  # the others would add nothing to the loss
        boxes.append(region.boxes[held[pointed]])
        points.append(wanted[pointed])
    logits = network.roi_heads.keypoints(levels, boxes, network.strides).logits
    targets, valid = keypoint_targets(torch.cat(points), torch.cat(boxes), logits.shape[-1])
    return keypoint_loss(logits, targets, valid)
