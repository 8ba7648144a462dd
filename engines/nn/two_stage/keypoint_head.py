"""Keypoints: He et al., "Mask R-CNN", 2017, section 5, as torchvision builds it.

A map of logits for each point; the softmax over all its places says where the point is. Keys:
``roi_heads.keypoint_head.0.*``, ``roi_heads.keypoint_predictor.kps_score_lowres.*``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.two_stage.mask_head import initialise


@dataclass(frozen=True, slots=True)
class KeypointOutput:
    """Keypoint logits (D, K, m, m) of D regions, and what they were computed from."""

    pooled: Tensor
    logits: Tensor


class KeypointHead(nn.Sequential):
    """3x3 convolutions with ReLU, a region's size unchanged."""

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        super().__init__(*layers)
        initialise(self)


class KeypointPredictor(nn.Module):
    """A transposed convolution that doubles the size; ``enlarge`` doubles it again, bilinearly."""

    def __init__(self, width: int, points: int, *, enlarge: bool = True) -> None:
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(width, points, 4, 2, 1)
        self.enlarge = enlarge
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(D, C, s, s) to logits (D, K, 2 s, 2 s), or 4 s where they are enlarged."""
        y: Tensor = self.kps_score_lowres(x)
        return F.interpolate(y, scale_factor=2.0, mode="bilinear") if self.enlarge else y


def locate(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Where the peaks of the maps lie: points (D, K, 2) as x, y, and their logits (D, K).

    Each map (D, K, m, m) is resized bicubically to its box (D, 4) in whole pixels, rounded up; the
    centre of the best pixel is scaled back to the box.
    """
    points = logits.new_zeros((*logits.shape[:2], 2))
    scores = logits.new_zeros(logits.shape[:2])
    for i, box in enumerate(boxes):
        w, h = (box[2:] - box[:2]).clamp(min=1.0)
        columns, rows = int(w.ceil()), int(h.ceil())
        maps = F.interpolate(logits[i][:, None], (rows, columns), mode="bicubic")[:, 0]
        peaks = maps.flatten(1).argmax(1)
        x, y = peaks % columns, peaks // columns
        points[i, :, 0] = (x + 0.5) * (w / columns) + box[0]
        points[i, :, 1] = (y + 0.5) * (h / rows) + box[1]
        scores[i] = maps[torch.arange(len(maps), device=maps.device), y, x]
    return points, scores
