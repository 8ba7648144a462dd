"""SSD on MobileNetV1 for faces: the network that the npm package face-api publishes.

Liu et al., "SSD: Single Shot MultiBox Detector", 2016; Howard et al., "MobileNets", 2017. Input
512 x 512 in [-1, 1]; six maps of 32, 16, 8, 4, 2 and 1 cells a side; 3 priors a cell on the first,
6 on the others, 5,118 in all, which lie in the weights file.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.nn.efficientnet import SamePad
from explorer.api import Preprocess, Probe

SIDE = 512
GRIDS = (32, 16, 8, 4, 2, 1)
PER_CELL = (3, 6, 6, 6, 6, 6)
PRIORS = sum(per * grid * grid for per, grid in zip(PER_CELL, GRIDS, strict=True))
COLUMNS = 3  # scores of one prior: background, face, and a column that nothing uses
FACE = 1

# The short side is filled with black, as the publisher's canvas does.
PREPROCESS = Preprocess(SIDE, "letterbox", mean=(0.5,) * 3, std=(0.5,) * 3, fill=0.0)

WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
HALVES = (2, 4, 6, 12)  # the separable convolutions with stride 2
TAPPED = 11  # the one whose map the first predictor reads
EXTRAS = ((1024, 256, 512), (512, 128, 256), (256, 128, 256), (256, 64, 128))


class Separable(nn.Sequential):
    """A depthwise 3x3 with batch norm, then a pointwise 1x1 whose norm is folded in; ReLU6."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.pad = SamePad(3, stride)
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False)
        self.norm = nn.BatchNorm2d(inputs, eps=1e-3)
        self.act = nn.ReLU6()
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.act2 = nn.ReLU6()


class Extra(nn.Sequential):
    """One more map at half the size: 1x1 to fewer channels, then 3x3 with stride 2."""

    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(inputs, middle, 1)
        self.act = nn.ReLU6()
        self.pad = SamePad(3, 2)
        self.conv = nn.Conv2d(middle, outputs, 3, 2)
        self.act2 = nn.ReLU6()


class Predictor(nn.Module):
    """1x1 convolutions to the scores and offsets of every prior of a cell."""

    def __init__(self, inputs: int, per_cell: int) -> None:
        super().__init__()
        self.scores = nn.Conv2d(inputs, per_cell * COLUMNS, 1)
        self.offsets = nn.Conv2d(inputs, per_cell * 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to logits (N, H W A, 3) and offsets (N, H W A, 4), cells row by row."""
        return _rows(self.scores(x), COLUMNS), _rows(self.offsets(x), 4)


def _rows(x: Tensor, columns: int) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, columns)


@dataclass(frozen=True, slots=True)
class FaceOutput:
    """What the heads say of all priors, maps in order, cells row by row, priors of a cell together.

    Attributes:
        logits: of a face (N, P, 1); the sigmoid is the score.
        offsets: (N, P, 4) as dx, dy, dw, dh, coded with the weights 10, 10, 5, 5.
    """

    logits: Tensor
    offsets: Tensor


class SsdMobileNet(nn.Module):
    """The face detector; ``priors`` (5118, 4) are x1, y1, x2, y2 in pixels of the 512 x 512 input.

    They are those of the published file: up to 1e-5 of the side away from the closed form.
    """

    priors: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SamePad(3, 2), nn.Conv2d(3, WIDTHS[0], 3, 2), nn.ReLU6())
        self.trunk = nn.ModuleList(
            Separable(WIDTHS[i - 1], WIDTHS[i], 2 if i in HALVES else 1)
            for i in range(1, len(WIDTHS))
        )
        self.extra = nn.ModuleList(Extra(*widths) for widths in EXTRAS)
        channels = (WIDTHS[TAPPED], WIDTHS[-1], *(widths[-1] for widths in EXTRAS))
        self.predictors = nn.ModuleList(map(Predictor, channels, PER_CELL))
        self.scores = Probe()
        self.register_buffer("priors", torch.zeros(PRIORS, 4))

    def forward(self, x: Tensor) -> FaceOutput:  # (N, 3, 512, 512) in [-1, 1]
        """Run trunk, extra maps and predictors."""
        x = self.stem(x)
        maps: list[Tensor] = []
        for i, block in enumerate(self.trunk, start=1):
            x = block(x)
            if i == TAPPED:
                maps.append(x)
        maps.append(x)
        for block in self.extra:
            x = block(x)
            maps.append(x)
        pairs = [predict(one) for predict, one in zip(self.predictors, maps, strict=True)]
        logits = self.scores(torch.cat([scores for scores, _ in pairs], 1)[..., FACE : FACE + 1])
        return FaceOutput(logits, torch.cat([offsets for _, offsets in pairs], 1))
