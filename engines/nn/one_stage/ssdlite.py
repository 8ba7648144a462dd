"""SSDlite on MobileNetV3-Large: SSD whose heads are depthwise separable convolutions.

Sandler et al., "MobileNetV2", 2018, section 6.2; Howard et al., "Searching for MobileNetV3", 2019,
section 6.3. Keys are torchvision's, so that ``ssdlite320_mobilenet_v3_large_coco`` loads as it is.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from torch import Tensor, nn

from engines.nn.detection.anchors import PriorGrid
from engines.nn.mobilenet_v3 import InvertedResidual, convolution, features
from engines.nn.one_stage.prior_detections import EvaluationRule
from engines.nn.one_stage.ssd import COCO_CLASSES, SSD
from explorer.api import Preprocess

SIDE = 320
RATIOS = ((2.0, 3.0),) * 6
SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
PREPROCESS = Preprocess(SIDE, "stretch", mean=(0.5,) * 3, std=(0.5,) * 3)
TESTING = EvaluationRule(least=0.001, most=300, overlap=0.55, kept=300)

_CUT = 13  # the block whose expansion (C4, stride 16) the first head reads
_norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)


class Stages(nn.Sequential):
    """Modules one after the other; the output of each is a map that a head reads."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The maps, in order."""
        maps = []
        for stage in self:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


class MobileNetBackbone(nn.Module):
    """MobileNetV3-Large with a halved tail, cut after the expansion of block 13, and four maps.

    320 x 320 gives 20, 10, 5, 3, 2 and 1 cells a side.
    """

    channels = (672, 480, 512, 256, 256, 128)
    grids = (20, 10, 5, 3, 2, 1)
    scale_weight = None

    def __init__(self) -> None:
        super().__init__()
        blocks = features(_norm, halved=True)
        expand, *rest = cast("InvertedResidual", blocks[_CUT]).block.named_children()
        tail = nn.Sequential()
        for name, module in rest:  # under the names they have in their block
            tail.add_module(name, module)
        self.features = Stages(
            nn.Sequential(*blocks[:_CUT], expand[1]),
            nn.Sequential(tail, *blocks[_CUT + 1 :]),
        )
        widths = self.channels[1:]
        self.extra = Stages(*map(_extra, widths[:-1], widths[1:]))

    def forward(self, x: Tensor) -> tuple[None, list[Tensor]]:
        """(N, 3, 320, 320) to six maps; none of them is normalised."""
        maps: tuple[Tensor, ...] = self.features(x)
        return None, [*maps, *self.extra(maps[-1])]


def _extra(inputs: int, outputs: int) -> nn.Sequential:
    """One more map at half the size."""
    middle = outputs // 2
    return nn.Sequential(
        convolution(inputs, middle, 1, _norm, nn.ReLU6),
        convolution(middle, middle, 3, _norm, nn.ReLU6, stride=2, groups=middle),
        convolution(middle, outputs, 1, _norm, nn.ReLU6),
    )


def predictor(inputs: int, outputs: int) -> nn.Module:
    """A depthwise 3x3 convolution with its norm, then a pointwise one."""
    return nn.Sequential(
        convolution(inputs, inputs, 3, _norm, nn.ReLU6, groups=inputs),
        nn.Conv2d(inputs, outputs, 1),
    )


def ssdlite320(classes: int = COCO_CLASSES) -> SSD:
    """torchvision's ``ssdlite320_mobilenet_v3_large``: 3,234 default boxes, six in every cell."""
    return SSD(
        MobileNetBackbone(), PriorGrid.scaled(RATIOS, SCALES), classes=classes, how=PREPROCESS,
        predictor=predictor, testing=TESTING,
    )  # fmt: skip
