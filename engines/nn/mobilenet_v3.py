"""MobileNetV3-Large without its classifier: Howard et al., "Searching for MobileNetV3", 2019.

Modules have torchvision's names (``0.0`` the first convolution, ``4.block.1.0`` the depthwise one
of block 4, ``4.block.2.fc1`` its squeeze), so that official checkpoints of what is built on it load
as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

Norm = Callable[[int], nn.Module]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the paper's table 1: one block.

    ``squeeze``: with squeeze-and-excitation. ``hard``: hard swish in place of ReLU.
    """

    inputs: int
    kernel: int
    expanded: int
    outputs: int
    squeeze: bool
    hard: bool
    stride: int


def rows(*, halved: bool = False) -> tuple[Row, ...]:
    """The blocks of table 1.

    Args:
        halved: the last three blocks have half the channels, as detectors want it: section 6.3.
    """
    last, wide = (80, 480) if halved else (160, 960)
    return (
        Row(16, 3, 16, 16, False, False, 1),
        Row(16, 3, 64, 24, False, False, 2),
        Row(24, 3, 72, 24, False, False, 1),
        Row(24, 5, 72, 40, True, False, 2),
        Row(40, 5, 120, 40, True, False, 1),
        Row(40, 5, 120, 40, True, False, 1),
        Row(40, 3, 240, 80, False, True, 2),
        Row(80, 3, 200, 80, False, True, 1),
        Row(80, 3, 184, 80, False, True, 1),
        Row(80, 3, 184, 80, False, True, 1),
        Row(80, 3, 480, 112, True, True, 1),
        Row(112, 3, 672, 112, True, True, 1),
        Row(112, 5, 672, last, True, True, 2),
        Row(last, 5, wide, last, True, True, 1),
        Row(last, 5, wide, last, True, True, 1),
    )


def convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    norm: Norm,
    act: type[nn.Module] | None,
    *,
    stride: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    """A convolution without bias that keeps the size but for its stride, a norm, an activation."""
    padding = kernel // 2
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        norm(outputs),
    ]
    return nn.Sequential(*layers, *([act()] if act is not None else []))


class SqueezeExcitation(nn.Module):
    """Every channel times a gate in [0, 1] that its mean and those of all others decide.

    Hu, Shen, Sun, "Squeeze-and-Excitation Networks", 2018, with a hard sigmoid.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _divisible(channels // 4)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        gate: Tensor = self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x)))))
        return gate * x


def _divisible(channels: int) -> int:
    """The multiple of 8 nearest to ``channels``, not more than a tenth below it."""
    near = max(8, (channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, squeeze, project 1x1; the input is added where shapes allow."""

    def __init__(self, row: Row, norm: Norm) -> None:
        super().__init__()
        act = nn.Hardswish if row.hard else nn.ReLU
        wide = row.expanded
        layers: list[nn.Module] = []
        if wide != row.inputs:
            layers.append(convolution(row.inputs, wide, 1, norm, act))
        layers.append(
            convolution(wide, wide, row.kernel, norm, act, stride=row.stride, groups=wide)
        )
        if row.squeeze:
            layers.append(SqueezeExcitation(wide))
        layers.append(convolution(wide, row.outputs, 1, norm, None))
        self.block = nn.Sequential(*layers)
        self.adds = row.stride == 1 and row.inputs == row.outputs

    def forward(self, x: Tensor) -> Tensor:  # (N, inputs, H, W) -> (N, outputs, H / stride, ...)
        """Apply the block."""
        y: Tensor = self.block(x)
        return y + x if self.adds else y


def features(norm: Norm, *, halved: bool = False) -> list[nn.Module]:
    """A first convolution, 15 blocks, and a last 1x1 convolution to six times the channels.

    Args:
        norm: makes the norm of so many channels. halved: see `rows`.
    """
    table = rows(halved=halved)
    last = table[-1].outputs
    return [
        convolution(3, 16, 3, norm, nn.Hardswish, stride=2),
        *(InvertedResidual(row, norm) for row in table),
        convolution(last, 6 * last, 1, norm, nn.Hardswish),
    ]
