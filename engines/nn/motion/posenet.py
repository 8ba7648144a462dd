"""PoseNet: part heat maps, offsets within a cell, and displacements from joint to joint.

Papandreou et al., "PersonLab: Person Pose Estimation and Instance Segmentation with a Bottom-Up,
Part-Based, Geometric Embedding Model", 2018; trunk: Howard et al., "MobileNets", 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

STRIDE = 16
JOINTS = (
    "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder",
    "left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee",
    "right knee", "left ankle", "right ankle",
)  # fmt: skip
"""The 17 key points of COCO, in its order; left is the person's left."""

CHAIN = (
    (0, 1), (1, 3), (0, 2), (2, 4), (0, 5), (5, 7), (7, 9), (5, 11), (11, 13), (13, 15), (0, 6),
    (6, 8), (8, 10), (6, 12), (12, 14), (14, 16),
)  # fmt: skip
"""Edges parent to child of the tree along which a pose is followed; channel i of a displacement."""

SKELETON = (
    (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12),
    (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
"""Bones to draw."""

# Outputs and stride of each separable convolution of the trunk, width multiplier 0.75.
_TRUNK = (
    (48, 1), (96, 2), (96, 1), (192, 2), (192, 1), (384, 2), (384, 1), (384, 1), (384, 1),
    (384, 1), (384, 1), (384, 1), (384, 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PoseMaps:
    """What the heads say of one picture, on a grid of cells 16 px apart; offsets in input px.

    Attributes:
        heat: logits (17, h, w) that a joint lies near the cell.
        offset: (17, 2, h, w), from the cell's point to the joint, (y, x).
        forward, backward: (16, 2, h, w) along each edge of `CHAIN`, parent to child and back.
    """

    heat: Tensor
    offset: Tensor
    forward: Tensor
    backward: Tensor


class Separable(nn.Module):
    """Depthwise 3x3, then 1x1, each with bias and ReLU6; batch norm is folded in."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs)
        self.first = nn.ReLU6()
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.second = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        y: Tensor = self.second(self.pointwise(self.first(self.depthwise(x))))
        return y


class PoseNet(nn.Module):
    """MobileNet of width 0.75 to stride 16, and four 1x1 heads; 1,258,195 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, 2, padding=1), nn.ReLU6())
        widths = [24, *(width for width, _ in _TRUNK)]
        self.trunk = nn.Sequential(
            *(Separable(w, out, s) for w, (out, s) in zip(widths, _TRUNK, strict=False))
        )
        self.heat = nn.Conv2d(384, len(JOINTS), 1)
        self.offset = nn.Conv2d(384, 2 * len(JOINTS), 1)
        self.displacement_forward = nn.Conv2d(384, 2 * len(CHAIN), 1)
        self.displacement_backward = nn.Conv2d(384, 2 * len(CHAIN), 1)

    def forward(self, x: Tensor) -> PoseMaps:
        """Maps of one picture (1, 3, H, W) in [-1, 1], RGB; H and W are 16 k + 1.

        Raises:
            ValueError: another size, for which the published padding would not be symmetric.
        """
        if any(side % STRIDE != 1 for side in x.shape[2:]):
            raise ValueError(
                f"sides are {tuple(x.shape[2:])}; PoseNet wants multiples of 16 plus 1"
            )
        maps = self.trunk(self.stem(x))
        pair = (2, -1, *maps.shape[2:])  # all y come first, then all x
        return PoseMaps(
            self.heat(maps)[0],
            self.offset(maps)[0].reshape(pair).transpose(0, 1),
            self.displacement_forward(maps)[0].reshape(pair).transpose(0, 1),
            self.displacement_backward(maps)[0].reshape(pair).transpose(0, 1),
        )
