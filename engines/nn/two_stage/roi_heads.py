"""The second stage: regions pooled from the pyramid, their classes and their boxes.

Girshick, "Fast R-CNN", 2015; Ren et al., "Faster R-CNN", 2015, as torchvision builds it. Keys:
``roi_heads.box_head.fc6.*``, ``roi_heads.box_predictor.cls_score.*``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.nn.detection.boxes import clip, decode, large_enough
from engines.nn.detection.nms import batched_nms
from engines.nn.two_stage.keypoint_head import KeypointHead, KeypointOutput, KeypointPredictor
from engines.nn.two_stage.mask_head import MaskHead, MaskOutput, MaskPredictor
from engines.nn.two_stage.roi import MultiScaleRoIAlign

WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of the box coding in the second stage


class BoxOutput(NamedTuple):
    """What the box head says of the regions of all pictures of a batch, one after the other.

    Attributes:
        logits: (R, K) with class 0 the background. ``deltas``: (R, K, 4), a shift for every class.
        pooled: (R, C, s, s).
        proposals: (R, 4) in pixels of the network's input. ``counts``: regions a picture.
    """

    logits: Tensor
    deltas: Tensor
    pooled: Tensor
    proposals: Tensor
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DetectionRule:
    """Which boxes remain: score above, IoU of the suppression, how many, least side in pixels."""

    score: float = 0.05
    overlap: float = 0.5
    most: int = 100
    smallest: float = 1e-2


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes (D, 4) of one picture in pixels of the network's input, by falling score.

    ``labels`` (D,) from 1; ``sources`` (D,) index of the proposal that each came from.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    sources: Tensor


class BoxHead(nn.Module):
    """Two fully connected layers over a pooled region."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(inputs, width)
        self.relu6 = nn.ReLU()
        self.fc7 = nn.Linear(width, width)
        self.relu7 = nn.ReLU()

    def forward(self, pooled: Tensor) -> Tensor:
        """(R, C, s, s) to (R, width)."""
        x = self.relu6(self.fc6(pooled.flatten(1)))
        y: Tensor = self.relu7(self.fc7(x))
        return y


class ConvBoxHead(nn.Sequential):
    """3x3 convolutions with batch norm, then one fully connected layer: torchvision's second
    version.
    """

    def __init__(self, inputs: int, size: int, layers: int, width: int) -> None:
        blocks = [
            nn.Sequential(
                nn.Conv2d(inputs, inputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(inputs),
                nn.ReLU(),
            )
            for _ in range(layers)
        ]
        super().__init__(*blocks, nn.Flatten(), nn.Linear(inputs * size**2, width), nn.ReLU())


class BoxPredictor(nn.Module):
    """Scores of all classes, and a shift for each of them."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(inputs, classes)
        self.bbox_pred = nn.Linear(inputs, 4 * classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(R, width) to logits (R, K) and deltas (R, K, 4)."""
        return self.cls_score(x), self.bbox_pred(x).unflatten(1, (-1, 4))


class RoIHeads(nn.Module):
    """The heads over pooled regions; masks and keypoints are added by the networks that have them.

    Args:
        pool: regions of the pyramid at one size; it has no parameters.
    """

    mask_head: MaskHead | None
    keypoint_head: KeypointHead | None

    def __init__(self, pool: MultiScaleRoIAlign, head: nn.Module, predictor: BoxPredictor) -> None:
        super().__init__()
        self.box_roi_pool = pool
        self.box_head = head
        self.box_predictor = predictor
        self.mask_head = self.keypoint_head = None

    def add_masks(self, pool: MultiScaleRoIAlign, head: MaskHead, predictor: MaskPredictor) -> None:
        """Give it a mask branch."""
        self.mask_roi_pool = pool
        self.mask_head = head
        self.mask_predictor = predictor

    def add_keypoints(
        self, pool: MultiScaleRoIAlign, head: KeypointHead, predictor: KeypointPredictor
    ) -> None:
        """Give it a keypoint branch."""
        self.keypoint_roi_pool = pool
        self.keypoint_head = head
        self.keypoint_predictor = predictor

    def forward(
        self, levels: Sequence[Tensor], proposals: Sequence[Tensor], strides: Sequence[int]
    ) -> BoxOutput:
        """Classes and boxes of the proposals.

        Args:
            levels: maps (N, C, h, w) without the pooled level.
            proposals: (P, 4) of each picture. ``strides``: of the levels.
        """
        pooled = self.box_roi_pool(list(levels), list(proposals), list(strides))
        logits, deltas = self.box_predictor(self.box_head(pooled))
        counts = tuple(len(p) for p in proposals)
        return BoxOutput(logits, deltas, pooled, torch.cat(list(proposals)), counts)

    def masks(
        self, levels: Sequence[Tensor], boxes: Sequence[Tensor], strides: Sequence[int]
    ) -> MaskOutput:
        """Mask logits of the boxes (D, 4) of each picture."""
        assert self.mask_head is not None
        pooled = self.mask_roi_pool(list(levels), list(boxes), list(strides))
        return MaskOutput(pooled, self.mask_predictor(self.mask_head(pooled)))

    def keypoints(
        self, levels: Sequence[Tensor], boxes: Sequence[Tensor], strides: Sequence[int]
    ) -> KeypointOutput:
        """Keypoint logits of the boxes (D, 4) of each picture."""
        assert self.keypoint_head is not None
        pooled = self.keypoint_roi_pool(list(levels), list(boxes), list(strides))
        return KeypointOutput(pooled, self.keypoint_predictor(self.keypoint_head(pooled)))


def class_boxes(output: BoxOutput, size: tuple[int, int], image: int = 0) -> tuple[Tensor, Tensor]:
    """Every class's box (R, K, 4) of the proposals of one picture, clipped, and scores (R, K)."""
    start = sum(output.counts[:image])
    rows = slice(start, start + output.counts[image])
    deltas, proposals = output.deltas[rows], output.proposals[rows]
    references = proposals[:, None].expand(-1, deltas.shape[1], -1).reshape(-1, 4)
    boxes = clip(decode(deltas.reshape(-1, 4), references, WEIGHTS), *size)
    return boxes.view_as(deltas), output.logits[rows].softmax(1)


def detect(
    output: BoxOutput, size: tuple[int, int], rule: DetectionRule, image: int = 0
) -> Detections:
    """The detections of one picture of the batch.

    Args:
        size: (height, width) of the picture in the network's input, without padding.
    """
    boxes, scores = class_boxes(output, size, image)
    rows, labels = torch.where(scores[:, 1:] > rule.score)
    labels = labels + 1
    boxes, scores = boxes[rows, labels], scores[rows, labels]
    large = large_enough(boxes, rule.smallest)
    boxes, scores, labels, rows = boxes[large], scores[large], labels[large], rows[large]
    keep = batched_nms(boxes, scores, labels, rule.overlap)[: rule.most]
    return Detections(boxes[keep], scores[keep], labels[keep], rows[keep])
