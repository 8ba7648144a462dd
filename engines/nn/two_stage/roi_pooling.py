"""How a network's heads take regions out of the pyramid, changed from outside; and the boxes of a
detector in the network's own pixels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from engines.nn.detection.boxes import moved
from engines.nn.two_stage.rcnn import RCNN
from engines.nn.two_stage.roi import MultiScaleRoIAlign
from explorer.api import Affine


def pool_by(network: RCNN, pooling: Literal["align", "pool"], ratio: int, *, aligned: bool) -> None:
    """Let every head pool this way from now on; see `MultiScaleRoIAlign`."""
    for module in network.roi_heads.modules():
        if isinstance(module, MultiScaleRoIAlign):
            module.pooling, module.ratio, module.aligned = pooling, ratio, aligned


def to_network(boxes: Tensor, affine: Affine) -> Tensor:
    """Boxes (N, 4) in input pixels as pixels of the network's input, from which ``affine`` leads
    back."""
    return moved(
        boxes, Affine(1 / affine.sx, 1 / affine.sy, -affine.tx / affine.sx, -affine.ty / affine.sy)
    )


def first_rows(preferred: Tensor, scores: Tensor, most: int) -> Tensor:
    """At most ``most`` rows: the preferred ones, then those of the best scores."""
    bonus = torch.zeros_like(scores)
    bonus[preferred] = 2.0
    return (scores + bonus).argsort(descending=True, stable=True)[:most]
