"""Backbones of the R-CNN line: feature maps C of several strides, and a pyramid P over them.

Keys are torchvision's: ``backbone.body.layer1.0.conv1.weight``, ``backbone.fpn.inner_blocks.0...``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.mobilenet_v3 import features
from engines.nn.resnet import ResNet
from engines.nn.two_stage.fpn import FeaturePyramid
from explorer.api import Probe


class Pyramid(NamedTuple):
    """What a backbone gives: ``body`` C (N, C, h, w), fine to coarse, and ``levels`` P over them.

    ``levels`` may have one more, pooled from the last, that only the proposals use.
    """

    body: tuple[Tensor, ...]
    levels: tuple[Tensor, ...]

    @property
    def heads(self) -> tuple[Tensor, ...]:
        """The levels that regions are pooled from: those with a map of the body below them."""
        return self.levels[: len(self.body)]

    def sizes(self) -> list[tuple[int, int]]:
        """(height, width) of every level."""
        return [(level.shape[2], level.shape[3]) for level in self.levels]


class FrozenBatchNorm2d(nn.Module):
    """Batch norm whose statistics and gains are constants: ``y = w (x - m) / sqrt(v + eps) + b``.

    The official detectors were trained with it, and with ``eps`` 0.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 0.0) -> None:
        super().__init__()
        self.eps = eps
        for name, start in (("weight", 1.0), ("bias", 0.0)):
            self.register_buffer(name, torch.full((channels,), start))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same shape."""
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def freeze_norms(module: nn.Module) -> None:
    """Replace every batch norm below ``module`` by one that is frozen."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features))
        else:
            freeze_norms(child)


class ResNetBody(nn.Module):
    """A residual network without its classifier: C2 to C5 at strides 4, 8, 16 and 32."""

    strides = (4, 8, 16, 32)

    def __init__(self, depth: int = 50, *, frozen: bool = True) -> None:
        super().__init__()
        trunk = ResNet(depth, classes=1)
        self.channels = tuple(trunk.fc.in_features // 2**k for k in (3, 2, 1, 0))
        self.conv1, self.bn1, self.relu = trunk.conv1, trunk.bn1, trunk.relu
        self.maxpool = trunk.maxpool
        self.layer1, self.layer2 = trunk.layer1, trunk.layer2
        self.layer3, self.layer4 = trunk.layer3, trunk.layer4
        if frozen:
            freeze_norms(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Normalised RGB (N, 3, H, W) to four maps of 256, 512, 1024 and 2048 channels."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        c2 = self.layer1(x)
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        return c2, c3, c4, self.layer4(c4)


class MobileNetBody(nn.Sequential):
    """MobileNetV3-Large without its classifier: the maps after block 13 and after the last
    convolution, both at stride 32. Names are ``0`` to ``16``.

    The official detectors have frozen norms with the usual ``eps``, unlike those on a ResNet.
    """

    strides = (32, 32)
    channels = (160, 960)
    _taken = (13, 16)

    def __init__(self) -> None:
        super().__init__(*features(lambda channels: FrozenBatchNorm2d(channels, eps=1e-5)))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Normalised RGB (N, 3, H, W) to maps of 160 and 960 channels."""
        maps = []
        for place, block in enumerate(self):
            x = block(x)
            if place in self._taken:
                maps.append(x)
        return tuple(maps)


class SmallBody(nn.Module):
    """Five 3x3 convolutions for generated scenes of 64 px: maps at strides 4 and 8."""

    strides = (4, 8)
    channels = (32, 48)

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, 16, 2)
        self.stage1 = nn.Sequential(_convolution(16, 32, 2), _convolution(32, 32, 1))
        self.stage2 = nn.Sequential(_convolution(32, 48, 2), _convolution(48, 48, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Normalised RGB (N, 3, H, W) to maps of 32 and 48 channels."""
        first = self.stage1(self.stem(x))
        return first, self.stage2(first)


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Group norm: the same in training as in use, whatever the batch."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.GroupNorm(8, outputs),
        nn.ReLU(),
    )


def numbers(strides: Sequence[int]) -> tuple[str, ...]:
    """What levels are called by their strides: 4 is "2", 32 is "5"; of one stride "5a", "5b"."""
    named = [str(stride.bit_length() - 1) for stride in strides]
    return tuple(
        name if named.count(name) == 1 else name + "abcdef"[named[:k].count(name)]
        for k, name in enumerate(named)
    )


class Backbone(nn.Module):
    """A body and the pyramid over it; probes ``c2``, ``c3``, ... name the maps of the body."""

    def __init__(
        self,
        body: ResNetBody | MobileNetBody | SmallBody,
        channels: int,
        *,
        pool: bool,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramid(body.channels, channels, pool=pool, norm=norm)
        self.names = tuple(f"c{number}" for number in numbers(body.strides))
        for name in self.names:
            self.add_module(name, Probe())

    @property
    def strides(self) -> tuple[int, ...]:
        """Of every level, the pooled one included."""
        strides: Sequence[int] = self.body.strides
        return (*strides, strides[-1] * 2) if self.fpn.pool else tuple(strides)

    def forward(self, x: Tensor) -> Pyramid:
        """(N, 3, H, W), sides a multiple of the largest stride of the body."""
        maps = self.body(x)
        maps = tuple(self.get_submodule(n)(m) for n, m in zip(self.names, maps, strict=True))
        return Pyramid(maps, tuple(self.fpn(maps)))
