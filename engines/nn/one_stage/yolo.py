"""The YOLO networks: one pass from a picture to a grid of boxes and classes.

Redmon, Divvala, Girshick, Farhadi, "You Only Look Once", 2016; Redmon, Farhadi, "YOLO9000: Better,
Faster, Stronger", 2016, whose trunk is Darknet-19. A small relative of each is for pictures of
64 px; `FaceYolo` is the separable Tiny YOLOv2 of @vladmandic/face-api.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.one_stage.reorg import Reorg
from engines.nn.one_stage.yolo_boxes import v1_scores, v2_scores
from explorer.api import Preprocess, Probe

SLOPE = 0.1
POOL = "pool"
Plan = tuple[tuple[int, int] | str, ...]  # (channels, kernel) of a convolution, or POOL

# Darknet-19 until the map that is passed through, and from there to its end.
DARKNET19_EARLY: Plan = (
    (32, 3), POOL, (64, 3), POOL, (128, 3), (64, 1), (128, 3), POOL, (256, 3), (128, 1), (256, 3),
    POOL, (512, 3), (256, 1), (512, 3), (256, 1), (512, 3),
)  # fmt: skip
DARKNET19_LATE: Plan = (POOL, (1024, 3), (512, 1), (1024, 3), (512, 1), (1024, 3))

# Anchors are (width, height) in cells.
VOC_ANCHORS = (
    (1.3221, 1.73145), (3.19275, 4.00944), (5.05587, 8.09892), (9.47112, 4.84053),
    (11.2364, 10.0071),
)  # fmt: skip
COCO_ANCHORS = (
    (0.57273, 0.677385), (1.87446, 2.06253), (3.33843, 5.47434), (7.88282, 3.52778),
    (9.77052, 9.16828),
)  # fmt: skip
# By `detection.anchor_clustering` over the boxes of the scenes 0 to 1,499 of `detection.shapes`.
SHAPE_ANCHORS = {
    "plain": ((1.7, 1.71), (2.25, 2.25), (3.01, 3.01)),
    "hard": ((1.08, 1.07), (2.04, 2.03), (3.59, 3.61)),
}
FACE_ANCHORS = (
    (1.603231, 2.094468), (6.041143, 7.080126), (2.882459, 3.518061), (4.266906, 5.178857),
    (9.041765, 10.66308),
)  # fmt: skip

V1_SIDE, V1_CELLS, V2_SIDE, STRIDE, SMALL_SIDE, SMALL_STRIDE = 448, 7, 416, 32, 64, 8
FACE_PREPROCESS = Preprocess(
    V2_SIDE, "letterbox", mean=(117.001 / 255, 114.697 / 255, 97.404 / 255), fill=0.0
)


class Convolution(nn.Sequential):
    """A convolution that keeps the size, batch norm where wanted, and a leaky ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, norm: bool = True
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not norm)
        ]
        if norm:
            layers.append(nn.BatchNorm2d(outputs))
        super().__init__(*layers, nn.LeakyReLU(SLOPE))


def stack(plan: Plan, inputs: int, *, norm: bool = True) -> nn.Sequential:
    """The layers of a plan, one after another."""
    layers: list[nn.Module] = []
    for item in plan:
        if isinstance(item, str):
            layers.append(nn.MaxPool2d(2))
        else:
            layers.append(Convolution(inputs, item[0], item[1], norm=norm))
            inputs = item[0]
    return nn.Sequential(*layers)


def start(network: nn.Module, generator: torch.Generator) -> None:
    """Kaiming's normal weights from ``generator``; biases 0, norms at 1 and 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = torch.empty(module.weight.shape)
            nn.init.kaiming_normal_(weight, SLOPE, generator=generator)
            module.weight.data.copy_(weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.reset_parameters()


class YoloV1(nn.Module):
    """24 convolutions and two fully connected layers, as in figure 3 of the paper.

    271,703,550 parameters for 7 x 7 cells, 2 boxes and 20 classes.

    Args:
        classes: C. boxes: B, of each cell.
    """

    cells = V1_CELLS

    def __init__(self, classes: int = 20, boxes: int = 2) -> None:
        super().__init__()
        self.classes, self.boxes = classes, boxes
        middle = ((256, 1), (512, 3)) * 4
        plan: Plan = (
            POOL, (192, 3), POOL, (128, 1), (256, 3), (256, 1), (512, 3), POOL,
            *middle, (512, 1), (1024, 3), POOL, *((512, 1), (1024, 3)) * 2, (1024, 3),
        )  # fmt: skip
        self.first = Convolution(3, 64, 7, stride=2, norm=False)
        self.trunk = stack(plan, 64, norm=False)
        self.last = nn.Sequential(
            Convolution(1024, 1024, 3, stride=2, norm=False),
            Convolution(1024, 1024, 3, norm=False),
            Convolution(1024, 1024, 3, norm=False),
        )
        self.fc1 = nn.Linear(1024 * self.cells**2, 4096)
        self.fc2 = nn.Linear(4096, self.cells**2 * (5 * boxes + classes))
        self.grid = Probe()

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, 448, 448)
        """The grid (N, 5 B + C, 7, 7): x, y, root of w, root of h, confidence of each box; classes.

        x and y count from the corner of the cell in cells, w and h in pictures; linear.
        """
        x = self.last(self.trunk(self.first(x)))  # (N, 1024, 7, 7)
        x = F.dropout(F.leaky_relu(self.fc1(x.flatten(1)), SLOPE), 0.5, self.training)
        y: Tensor = self.grid(self.fc2(x).view(len(x), -1, self.cells, self.cells))
        return y


class SmallYoloV1(nn.Module):
    """The same head over 8 x 8 cells of a picture of 64 px; all convolutions, 98,525 parameters.

    Being convolutional it takes other sizes, too: one cell for every 8 px.
    """

    def __init__(self, classes: int = 3, boxes: int = 2) -> None:
        super().__init__()
        self.classes, self.boxes = classes, boxes
        plan: Plan = ((16, 3), POOL, (32, 3), POOL, (64, 3), POOL, (64, 3), (64, 3))
        self.trunk = stack(plan, 3)
        self.head = nn.Conv2d(64, 5 * boxes + classes, 1)
        self.scores = Probe()  # only to be explained

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, 64, 64)
        """The grid (N, 5 B + C, 8, 8), as `YoloV1` gives it."""
        y: Tensor = self.head(self.trunk(x))
        self.scores(v1_scores(y, self.boxes))
        return y


class Stages(NamedTuple):
    """What `YoloV2` gives: grid, fine map (N, C, 2 h, 2 w), the same as (N, 4 C, h, w)."""

    grid: Tensor
    fine: Tensor
    phases: Tensor


class YoloV2(nn.Module):
    """Darknet-19, two more convolutions, the pass-through and the head: 50,655,389 parameters.

    Args:
        classes: C. anchors: (A, 2) width and height in cells.
        small: the network for 64 px, with 8 px a cell instead of 32.
    """

    anchors: Tensor

    def __init__(
        self,
        classes: int = 20,
        anchors: tuple[tuple[float, float], ...] = VOC_ANCHORS,
        *,
        small: bool = False,
    ) -> None:
        super().__init__()
        early: Plan = ((16, 3), POOL, (32, 3), POOL, (64, 3)) if small else DARKNET19_EARLY
        late: Plan = (POOL, (64, 3)) if small else (*DARKNET19_LATE, (1024, 3), (1024, 3))
        wide, narrow, passed = (64, 64, 8) if small else (512, 1024, 64)
        self.stride = SMALL_STRIDE if small else STRIDE
        self.classes = classes
        self.register_buffer("anchors", torch.tensor(anchors, dtype=torch.float32))
        self.early = stack(early, 3)
        self.late = stack(late, wide)
        self.narrowed = Convolution(wide, passed, 1)
        self.reorg = Reorg(2)
        self.joined = Probe()
        self.mix = Convolution(narrow + 4 * passed, narrow, 3)
        self.head = nn.Conv2d(narrow, len(anchors) * (5 + classes), 1)
        self.scores = Probe()  # only to be explained

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, H, W), sides multiples of the stride
        """The grid (N, A (5 + C), h, w): of each anchor tx, ty, tw, th, to and class logits."""
        return self.stages(x).grid

    def stages(self, x: Tensor) -> Stages:
        """The grid, and the map that is passed through before and after its reorganisation."""
        early = self.early(x)
        fine = self.narrowed(early)
        phases = self.reorg(fine)  # half the size, four times the channels
        joined = self.joined(torch.cat([phases, self.late(early)], 1))
        grid = self.head(self.mix(joined))
        self.scores(v2_scores(grid, len(self.anchors)))
        return Stages(grid, fine, phases)


class Darknet19(nn.Module):
    """The classifier: its trunk, a 1x1 convolution to the classes, the mean over the map."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.trunk = stack((*DARKNET19_EARLY, *DARKNET19_LATE), 3)
        self.head = nn.Conv2d(1024, classes, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, 224, 224)
        """Logits (N, C)."""
        y: Tensor = self.head(self.trunk(x)).mean((2, 3))
        return y


class Separable(nn.Module):
    """A 3x3 convolution of each channel, then a 1x1 over them, and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.act = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """Same size, other channels."""
        y: Tensor = self.act(self.pointwise(self.depthwise(x)))
        return y


class FaceYolo(nn.Module):
    """Tiny YOLOv2 with separable convolutions for one class, so that no class is predicted.

    The first convolution has no border, and pools round up; the last moves by one cell and looks
    beyond the right and the bottom edge.
    """

    anchors: Tensor
    stride, classes = STRIDE, 0

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("anchors", torch.tensor(FACE_ANCHORS), persistent=False)
        self.conv0 = nn.Conv2d(3, 16, 3)
        self.act0 = nn.LeakyReLU(SLOPE)
        for i in range(1, 6):
            setattr(self, f"conv{i}", Separable(2 ** (3 + i), 2 ** (4 + i)))
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.conv8 = nn.Conv2d(512, len(FACE_ANCHORS) * 5, 1)
        self.scores = Probe()  # only to be explained

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, H, W), sides multiples of 32
        """The grid (N, 25, h, w): of each anchor tx, ty, tw, th, to."""
        x = self.act0(self.conv0(x))
        for i in range(1, 6):
            x = getattr(self, f"conv{i}")(self.pool(x))
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 2, 1)
        y: Tensor = self.conv8(x)
        self.scores(v2_scores(y, len(self.anchors)))
        return y
