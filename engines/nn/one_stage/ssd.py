"""SSD: default boxes of several shapes on several maps, scored and moved by 3x3 convolutions.

Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg, "SSD: Single Shot MultiBox Detector", 2016. Keys are
torchvision's (``backbone.features.N``, ``backbone.extra.K``, ``backbone.scale_weight``,
``head.classification_head.module_list.K``, ``head.regression_head.module_list.K``), so that its
file ``ssd300_vgg16_coco`` loads as it is. Class 0 is the background. SSDlite: `ssdlite`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.detection.anchors import PriorGrid
from engines.nn.one_stage.prior_detections import EvaluationRule
from engines.nn.one_stage.priors import Priors
from engines.nn.vgg import CONVOLUTIONS, initialise
from engines.nn.vgg import WIDTHS as VGG_WIDTHS
from explorer.api import Affine, Preprocess, Probe, place, prepare

SCALE = 20.0  # where the scale of the L2 normalisation starts (paper, section 3.1)
COCO_CLASSES = 91
RATIOS = ((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,))
SCALES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
STEPS = (8, 16, 32, 64, 100, 300)
_MEAN = (0.48235, 0.45882, 0.40784)

PREPROCESS = Preprocess(300, "stretch", mean=_MEAN, std=(1 / 255,) * 3)
PREPROCESS_SMALL = Preprocess(64, "stretch", mean=(0.5,) * 3, std=(0.25,) * 3)


@dataclass(frozen=True, slots=True)
class SsdOutput:
    """One pass; P priors: maps in order, cells row by row, shapes of a cell together.

    Attributes:
        logits: (N, P, K), class 0 the background.
        offsets: (N, P, 4) as dx, dy, dw, dh, coded with the weights 10, 10, 5, 5.
        before, after: the first map (N, C, H, W) before and after its L2 normalisation; ``before``
            is None in a network without one.
    """

    logits: Tensor
    offsets: Tensor
    before: Tensor | None
    after: Tensor


class L2Norm(nn.Module):
    """Divides by the norm over the channels: Liu, Rabinovich, Berg, "ParseNet", 2015.

    A module of its own, without the learned scale (that stays where torchvision's file has it), so
    that the map before and after it can be looked at.
    """

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        """Vectors of length 1 at every position."""
        return F.normalize(x, dim=1)


class Backbone(Protocol):
    """What an `SSD` asks of the network below its heads."""

    channels: tuple[int, ...]
    grids: tuple[int, ...]  # cells a side of every map
    scale_weight: nn.Parameter | None  # None: no map is normalised

    def __call__(self, x: Tensor) -> tuple[Tensor | None, list[Tensor]]:
        """The first map before its normalisation, if any, and the maps that the heads read."""


def _vgg_convolutions(inputs: int, block: int) -> list[nn.Module]:
    """The convolutions of one block of VGG-16, the first of which takes ``inputs`` channels."""
    layers: list[nn.Module] = []
    for _ in range(CONVOLUTIONS[16][block]):
        layers += [nn.Conv2d(inputs, VGG_WIDTHS[block], 3, padding=1), nn.ReLU()]
        inputs = VGG_WIDTHS[block]
    return layers


def _extra(inputs: int, middle: int, outputs: int, stride: int) -> nn.Sequential:
    padding = 1 if stride == 2 else 0  # the last two maps shrink by the border alone
    return nn.Sequential(
        nn.Conv2d(inputs, middle, 1), nn.ReLU(),
        nn.Conv2d(middle, outputs, 3, stride, padding), nn.ReLU(),
    )  # fmt: skip


class VggBackbone(nn.Module):
    """VGG-16 to conv4_3, then to conv5_3 with fc6 and fc7 as convolutions, then four more maps.

    300 x 300 gives 38, 19, 10, 5, 3 and 1 cells a side; pool3 rounds up (75 to 38).
    """

    channels = (512, 1024, 512, 256, 256, 256)
    grids = (38, 19, 10, 5, 3, 1)

    def __init__(self) -> None:
        super().__init__()
        self.scale_weight = nn.Parameter(torch.full((512,), SCALE))
        widths = (3, *VGG_WIDTHS)
        layers: list[nn.Module] = []
        for block in range(4):
            layers += _vgg_convolutions(widths[block], block)
            if block < 3:
                layers.append(nn.MaxPool2d(2, ceil_mode=block == 2))
        self.features = nn.Sequential(*layers)  # until conv4_3
        fully = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU(),  # fc6
            nn.Conv2d(1024, 1024, 1), nn.ReLU(),  # fc7
        )  # fmt: skip
        self.extra = nn.ModuleList([
            nn.Sequential(nn.MaxPool2d(2), *_vgg_convolutions(512, 4), fully),
            _extra(1024, 256, 512, 2),
            _extra(512, 128, 256, 2),
            _extra(256, 128, 256, 1),
            _extra(256, 128, 256, 1),
        ])  # fmt: skip
        self.l2norm = L2Norm()
        self.rescaled = Probe()

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 3, 300, 300) to conv4_3 as it was, and six maps."""
        x = before = self.features(x)
        maps = [self.rescaled(self.l2norm(x) * self.scale_weight.view(1, -1, 1, 1))]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return before, maps


class SmallBackbone(nn.Module):
    """For pictures of 64 x 64: a map of 8 x 8, normalised as conv4_3 is, and one of 4 x 4."""

    channels = (64, 64)
    grids = (8, 4)

    def __init__(self) -> None:
        super().__init__()
        self.scale_weight = nn.Parameter(torch.full((self.channels[0],), SCALE))
        self.features = nn.Sequential(_stage(3, 16), _stage(16, 32), _stage(32, 64))
        self.extra = nn.ModuleList([_stage(64, 64)])
        self.l2norm = L2Norm()
        self.rescaled = Probe()

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 3, 64, 64) to the 8 x 8 map as it was, and two maps."""
        before = self.features(x)
        maps = [self.rescaled(self.l2norm(before) * self.scale_weight.view(1, -1, 1, 1))]
        maps.append(self.extra[0](before))
        return before, maps


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2),
    )  # fmt: skip


Predictor = Callable[[int, int], nn.Module]


def _predictor(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Rows(nn.Module):
    """One predictor a map; its channels are ``per_cell`` groups of ``columns``."""

    def __init__(
        self,
        channels: Sequence[int],
        per_cell: Sequence[int],
        columns: int,
        predictor: Predictor,
    ) -> None:
        super().__init__()
        self.columns = columns
        self.module_list = nn.ModuleList(
            predictor(width, count * columns)
            for width, count in zip(channels, per_cell, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(N, P, columns): channels A * K of a cell become A rows, cells row by row."""
        rows = []
        for predict, x in zip(self.module_list, maps, strict=True):
            y = predict(x)  # (N, A K, H, W)
            rows.append(y.permute(0, 2, 3, 1).reshape(len(y), -1, self.columns))
        return torch.cat(rows, 1)


class Head(nn.Module):
    """Scores and offsets of every prior."""

    def __init__(
        self, channels: Sequence[int], per_cell: Sequence[int], classes: int, predictor: Predictor
    ) -> None:
        super().__init__()
        self.classification_head = Rows(channels, per_cell, classes, predictor)
        self.regression_head = Rows(channels, per_cell, 4, predictor)


class SSD(nn.Module):
    """The detector: ``backbone`` (a `Backbone` that is a module), heads and default boxes.

    Args:
        classes: with the background.
        how: how it wants its pictures; their size is the side of the square input.
        smooth: a larger picture is smoothed when it is made smaller; torchvision does not.
        predictor: makes the last layers over a map, of so many channels to so many.
        testing: which boxes remain when it is evaluated.
    """

    boxes: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        grid: PriorGrid,
        *,
        classes: int,
        how: Preprocess,
        smooth: bool = False,
        predictor: Predictor = _predictor,
        testing: EvaluationRule | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.smooth = backbone, smooth
        self.testing = testing or EvaluationRule()
        below = cast("Backbone", backbone)
        self.head = Head(below.channels, grid.per_cell, classes, predictor)
        self.scores = Probe()  # logits (N, P, K - 1) of the classes, without the background
        self.classes, self.preprocess = classes, how
        side = cast("int", how.size)
        grids = tuple((cells, cells) for cells in below.grids)
        self.register_buffer("boxes", grid((side, side), grids), persistent=False)
        self._layout = grids, grid.per_cell, side

    @property
    def scale(self) -> nn.Parameter | None:
        """The learned factor (C,) of every channel of the normalised map, if one is."""
        return cast("Backbone", self.backbone).scale_weight

    @property
    def priors(self) -> Priors:
        """The default boxes, on the network's device."""
        return Priors(self.boxes, *self._layout)

    def frame(
        self, pixels: npt.NDArray[np.uint8], device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Affine]:
        """A picture (H, W, 3) as it wants it, (1, 3, side, side), and from there to the picture."""
        how = self.preprocess
        side, (height, width) = cast("int", how.size), pixels.shape[:2]
        if self.smooth or (height, width) == (side, side):
            return prepare(pixels, how, device)
        rgb = torch.from_numpy(np.array(pixels, order="C")).to(device).permute(2, 0, 1)[None]
        mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (how.mean, how.std))
        # torchvision normalises first; this way round it is done for the few pixels that are left.
        x = (F.interpolate(rgb.float(), (side, side), mode="bilinear") / 255.0 - mean) / std
        affine = Affine(width / side, height / side)
        return place(x, affine), affine

    def forward(self, x: Tensor) -> SsdOutput:  # (N, 3, side, side)
        """Scores and offsets of every default box."""
        before, maps = cast("Backbone", self.backbone)(x)
        logits = self.head.classification_head(maps)
        logits = torch.cat([logits[..., :1], self.scores(logits[..., 1:])], -1)
        return SsdOutput(logits, self.head.regression_head(maps), before, maps[0])


def ssd300(classes: int = COCO_CLASSES) -> SSD:
    """The paper's network with torchvision's scales for COCO: 8,732 default boxes."""
    grid = PriorGrid.scaled(RATIOS, SCALES, STEPS)
    return SSD(VggBackbone(), grid, classes=classes, how=PREPROCESS)


def small(classes: int = 4) -> SSD:
    """For shapes in 64 x 64: 320 default boxes of 12 and 24 px, their means, and 2:1 and 1:2."""
    grid = PriorGrid.scaled(((2.0,), (2.0,)), (12 / 64, 24 / 64, 48 / 64))
    return SSD(SmallBackbone(), grid, classes=classes, how=PREPROCESS_SMALL, smooth=True)


def start(network: SSD, generator: torch.Generator) -> None:
    """Fresh weights: He for the backbone, Glorot for the heads, 20 for the normalised map."""
    initialise(network.backbone, generator)
    first = next(m for m in network.backbone.modules() if isinstance(m, nn.Conv2d))
    with torch.no_grad():  # as if pixels, whose standard deviation is near 1/4, came in with 1
        first.weight.mul_(4 * network.preprocess.std[0])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    for module in network.head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if network.scale is not None:
        nn.init.constant_(network.scale, SCALE)
