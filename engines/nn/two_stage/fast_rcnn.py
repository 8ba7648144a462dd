"""Fast R-CNN: one pass over the picture, then classes and boxes of regions that came from outside.

Girshick, "Fast R-CNN", 2015. The small network pools from one map with RoIPool; the one with the
official weights of Faster R-CNN pools from its pyramid and leaves the proposal network out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.detection.boxes import encode, iou
from engines.nn.detection.matching import Sampler
from engines.nn.two_stage.rcnn import Framing
from engines.nn.two_stage.rcnn_backbone import Backbone, ResNetBody, SmallBody
from engines.nn.two_stage.rcnn_losses import box_losses
from engines.nn.two_stage.roi import MultiScaleRoIAlign
from engines.nn.two_stage.roi_heads import WEIGHTS, BoxHead, BoxOutput, BoxPredictor, RoIHeads

POSITIVE, NEGATIVE = 0.5, (0.1, 0.5)  # IoU of objects, and of background: hard ones only
REGIONS = Sampler(32, 0.25)


class Shared(NamedTuple):
    """The maps (N, C, h, w) that all regions are pooled from, and the output for the regions."""

    maps: tuple[Tensor, ...]
    output: BoxOutput


class FastRCNN(nn.Module):
    """A backbone that runs once, and heads over regions.

    Attributes:
        strides: pixels a cell of the maps that regions are pooled from.
        framing: how it wants its pictures. classes: the background included.
    """

    def __init__(
        self, backbone: Backbone, heads: RoIHeads, levels: int, framing: Framing, classes: int
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.roi_heads = heads
        self.strides: tuple[int, ...] = tuple(backbone.body.strides[:levels])
        self.framing, self.classes = framing, classes

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Of normalised pictures (N, 3, H, W), the maps that regions are pooled from."""
        levels: tuple[Tensor, ...] = self.backbone(x).heads
        return levels[: len(self.strides)]

    def forward(self, x: Tensor, regions: Sequence[Tensor]) -> Shared:
        """Classes and boxes of the regions (R, 4) of each picture, in its pixels."""
        maps = self.maps(x)
        output: BoxOutput = self.roi_heads(maps, regions, self.strides)
        return Shared(maps, output)

    def score(self, maps: Sequence[Tensor], boxes: Tensor) -> BoxOutput:
        """The same for boxes (R, 4) of the first picture, from maps that are there."""
        heads = self.roi_heads
        pooled = heads.box_roi_pool.forward(list(maps), [boxes], list(self.strides))
        x = pooled.flatten(1)
        for layer in (heads.box_head.fc6, heads.box_head.fc7):
            assert isinstance(layer, nn.Linear)
            x = F.relu(F.linear(x, layer.weight, layer.bias))
        head = heads.box_predictor
        logits = F.linear(x, head.cls_score.weight, head.cls_score.bias)
        deltas = F.linear(x, head.bbox_pred.weight, head.bbox_pred.bias)
        deltas = deltas.reshape(len(deltas), -1, 4)
        return BoxOutput(logits, deltas, pooled, boxes, (len(boxes),))


def small_fast(classes: int = 4) -> FastRCNN:
    """For generated scenes of 64 px: one map of 48 channels at stride 4, RoIPool 5 x 5."""
    heads = RoIHeads(
        MultiScaleRoIAlign(5, pooling="pool"), BoxHead(48 * 5 * 5, 96), BoxPredictor(96, classes)
    )
    backbone = Backbone(SmallBody(), 48, pool=False)
    framing = Framing(shortest=64, longest=128, multiple=8)
    return FastRCNN(backbone, heads, 1, framing, classes)


def official(classes: int = 91) -> FastRCNN:
    """The body and the heads of torchvision's fasterrcnn_resnet50_fpn, which pool with RoIAlign."""
    heads = RoIHeads(
        MultiScaleRoIAlign(7, 2), BoxHead(256 * 7 * 7, 1024), BoxPredictor(1024, classes)
    )
    return FastRCNN(Backbone(ResNetBody(50), 256, pool=True), heads, 4, Framing(), classes)


def without_proposals(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a Faster R-CNN less those of its proposal network."""
    return {name: value for name, value in tensors.items() if not name.startswith("rpn.")}


@dataclass(frozen=True, slots=True)
class Drawn:
    """Regions (R, 4) of one picture to learn from, their classes (R,) and coded shifts (R, 4)."""

    boxes: Tensor
    labels: Tensor
    shifts: Tensor


def draw(proposals: Tensor, truth: Tensor, labels: Tensor, sampler: Sampler = REGIONS) -> Drawn:
    """Objects have an IoU of 0.5 or more with a truth; background is what has 0.1 to 0.5.

    Args:
        proposals: (P, 4); the true boxes (T, 4) are added to them.
        labels: (T,) from 1; 0 is the background.
    """
    boxes = torch.cat([proposals, truth])
    overlap, nearest = iou(truth, boxes).max(0)
    matches = torch.full_like(nearest, -2)  # neither: too near an object, or too far from all
    matches[(overlap >= NEGATIVE[0]) & (overlap < NEGATIVE[1])] = -1
    positive = overlap >= POSITIVE
    matches[positive] = nearest[positive]
    rows = torch.cat(sampler(matches))
    boxes, nearest, held = boxes[rows], nearest[rows], matches[rows] >= 0
    found = torch.where(held, labels[nearest], 0)
    return Drawn(boxes, found, encode(truth[nearest], boxes, WEIGHTS))


def losses(network: FastRCNN, x: Tensor, drawn: Sequence[Drawn]) -> dict[str, Tensor]:
    """Cross-entropy of the classes, and smooth L1 of the true class's shift, of a batch."""
    output = network(x, [d.boxes for d in drawn]).output
    labels, shifts = (torch.cat([getattr(d, part) for d in drawn]) for part in ("labels", "shifts"))
    classes, boxes = box_losses(output, labels, shifts)
    return {"classes": classes, "boxes": boxes}
