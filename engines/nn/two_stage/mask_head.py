"""Masks: He et al., "Mask R-CNN", 2017, section 3, as torchvision builds it.

One map of logits for each class and region; classes do not compete, each passes a sigmoid alone.
Keys: ``roi_heads.mask_head.0.0.*``, ``roi_heads.mask_predictor.conv5_mask.*``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class MaskOutput:
    """Mask logits (D, K, m, m) of D regions, and what they were computed from, (D, C, s, s)."""

    pooled: Tensor
    logits: Tensor

    def chosen(self, labels: Tensor) -> Tensor:
        """Probabilities (D, m, m) of each region's own class."""
        return self.logits[torch.arange(len(labels), device=labels.device), labels].sigmoid()


class MaskHead(nn.Sequential):
    """3x3 convolutions with ReLU, a region's size unchanged; ``norm``: and batch norm, no bias."""

    def __init__(self, inputs: int, width: int, layers: int, *, norm: bool = False) -> None:
        def block(channels: int) -> nn.Sequential:
            layer = nn.Conv2d(channels, width, 3, padding=1, bias=not norm)
            middle = [nn.BatchNorm2d(width)] if norm else []
            return nn.Sequential(layer, *middle, nn.ReLU())

        super().__init__(*(block(inputs if k == 0 else width) for k in range(layers)))
        initialise(self)


class MaskPredictor(nn.Module):
    """A transposed convolution that doubles the size, then a map for each class."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.conv5_mask = nn.ConvTranspose2d(width, width, 2, 2)
        self.relu = nn.ReLU()
        self.mask_fcn_logits = nn.Conv2d(width, classes, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(D, C, s, s) to logits (D, K, 2 s, 2 s)."""
        y: Tensor = self.mask_fcn_logits(self.relu(self.conv5_mask(x)))
        return y


def initialise(module: nn.Module) -> None:
    """Draw the weights of all convolutions as torchvision draws those of its heads."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def paste(mask: Tensor, box: Tensor, height: int, width: int) -> Tensor:
    """Put the mask (m, m) of a box (4,) into an empty picture (height, width).

    The map gets a border of one cell of zeros and the box grows alike; then it is resized to the
    box in whole pixels. The values stay probabilities: the threshold comes last.
    """
    cells = mask.shape[-1]
    x1, y1, x2, y2 = _enlarged(box, (cells + 2) / cells)
    size = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
    grown = F.interpolate(F.pad(mask, (1, 1, 1, 1))[None, None], size, mode="bilinear")[0, 0]
    picture = mask.new_zeros((height, width))
    top, left = max(y1, 0), max(x1, 0)
    bottom, right = min(y2 + 1, height), min(x2 + 1, width)
    if bottom > top and right > left:
        picture[top:bottom, left:right] = grown[top - y1 : bottom - y1, left - x1 : right - x1]
    return picture


def _enlarged(box: Tensor, factor: float) -> tuple[int, int, int, int]:
    """Corners around the same centre, cut to whole pixels towards zero."""
    centre = (box[:2] + box[2:]) * 0.5
    half = (box[2:] - box[:2]) * 0.5 * factor
    x1, y1, x2, y2 = torch.cat([centre - half, centre + half]).to(torch.int64).tolist()
    return x1, y1, x2, y2


def paste_all(masks: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
    """Masks (D, m, m) of boxes (D, 4) in a picture, (D, height, width)."""
    if not len(masks):
        return masks.new_zeros((0, height, width))
    return torch.stack([paste(m, b, height, width) for m, b in zip(masks, boxes, strict=True)])
