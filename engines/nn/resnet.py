"""Residual networks: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015.

Keys are torchvision's (``layer2.0.conv1.weight``), so official checkpoints load as they are. Both
sides of each sum pass through a `Probe`: ``layer2.0.identity`` and ``layer2.0.residual`` can be
captured, and each block scales or drops either of them without touching a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from explorer.api import Probe

DEPTHS: dict[int, tuple[bool, tuple[int, int, int, int]]] = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
}


Watch = Callable[["Block", Tensor | None, Tensor, Tensor], None]


class Block(nn.Module):
    """``y = relu(a x + b F(x))`` with a = b = 1 in the paper; a plain block is ``relu(b F(x))``.

    Attributes:
        identity_scale: a; 0 cuts the shortcut.
        residual_scale: b; 0 bypasses the block.
        plain: the network was built and trained without shortcuts.
        watch: called with a x (None in a plain block), b F(x) and y.
    """

    expansion = 1

    def __init__(self, shortcut: nn.Module | None, *, plain: bool = False) -> None:
        super().__init__()
        self.downsample = shortcut
        self.plain = plain
        self.identity = Probe()
        self.residual = Probe()
        self.relu = nn.ReLU()  # after the addition; never in place, a captured sum would change
        self.identity_scale = 1.0
        self.residual_scale = 1.0
        self.watch: Watch | None = None

    def branch(self, x: Tensor) -> Tensor:
        """F(x), without the last ReLU."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        kept: Tensor | None = None
        added = _scaled(self.residual(self.branch(x)), self.residual_scale)
        total = added
        if not self.plain:
            shortcut = x if self.downsample is None else self.downsample(x)
            kept = _scaled(self.identity(shortcut), self.identity_scale)
            total = kept + added
        y: Tensor = self.relu(total)
        if self.watch is not None:
            self.watch(self, kept, added, y)
        return y


def _scaled(x: Tensor, by: float) -> Tensor:
    return x if by == 1.0 else x * by


class BasicBlock(Block):
    """Two 3x3 convolutions; the stride is in the first."""

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int = 1,
        shortcut: nn.Module | None = None,
        *,
        plain: bool = False,
    ) -> None:
        super().__init__(shortcut, plain=plain)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def branch(self, x: Tensor) -> Tensor:
        """F(x) = bn(conv(relu(bn(conv(x)))))."""
        x = self.relu1(self.bn1(self.conv1(x)))
        return cast("Tensor", self.bn2(self.conv2(x)))


class Bottleneck(Block):
    """1x1, 3x3, 1x1 with four times the channels at the end; the stride is in the 3x3."""

    expansion = 4

    def __init__(
        self, inputs: int, width: int, stride: int = 1, shortcut: nn.Module | None = None
    ) -> None:
        super().__init__(shortcut)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)

    def branch(self, x: Tensor) -> Tensor:
        """F(x), three convolutions deep."""
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        return cast("Tensor", self.bn3(self.conv3(x)))


class ResNet(nn.Module):
    """ResNet-18, 34, 50 or 101 for ImageNet: (N, 3, 224, 224) to logits (N, 1000)."""

    def __init__(self, depth: int = 50, classes: int = 1000) -> None:
        super().__init__()
        bottleneck, counts = DEPTHS[depth]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        stages = []
        for stage, count in enumerate(counts):
            width, stride = 64 * 2**stage, 1 if stage == 0 else 2
            blocks = []
            for i in range(count):
                blocks.append(_imagenet_block(channels, width, stride if i == 0 else 1, bottleneck))
                channels = width * blocks[-1].expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of normalised RGB pictures."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (N, 64, 56, 56)
        x = self.layer2(self.layer1(x))  # (N, 128 e, 28, 28)
        x = self.layer4(self.layer3(x))  # (N, 512 e, 7, 7)
        return cast("Tensor", self.fc(self.avgpool(x).flatten(1)))


def _imagenet_block(inputs: int, width: int, stride: int, bottleneck: bool) -> Block:
    kind: Callable[..., Block] = Bottleneck if bottleneck else BasicBlock
    outputs = width * (4 if bottleneck else 1)
    projection = None
    if stride != 1 or inputs != outputs:  # option B of the paper
        projection = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )
    return kind(inputs, width, stride, projection)


class DigitNet(nn.Module):
    """The paper's CIFAR layout for grey digits: (N, 1, 16, 16) to logits (N, 10).

    Depth 6 n + 2: a 3x3 convolution, three stages of n two-layer blocks at 16, 8 and 4 pixels, all
    ``width`` channels wide, average, linear. With one width the shortcut needs no parameter where
    the size halves either (option A): plain and residual networks have equal parameters.
    """

    def __init__(self, depth: int, *, plain: bool, width: int = 16, classes: int = 10) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth {depth}: wanted 6 n + 2, such as 8, 20 or 44")
        self.plain = plain
        self.conv1 = nn.Conv2d(1, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        stages = []
        for stage in range(3):
            first = 1 if stage == 0 else 2
            # A 1x1 max pool with stride 2 takes every second pixel: option A without padding.
            halve = None if stage == 0 or plain else nn.MaxPool2d(1, 2)
            stages.append(
                nn.Sequential(
                    BasicBlock(width, width, first, halve, plain=plain),
                    *(BasicBlock(width, width, plain=plain) for _ in range(blocks - 1)),
                )
            )
        self.layer1, self.layer2, self.layer3 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of grey pictures in [0, 1]."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))  # (N, width, 4, 4)
        return cast("Tensor", self.fc(self.avgpool(x).flatten(1)))


def blocks(network: nn.Module) -> Iterator[tuple[str, Block]]:
    """The blocks in order of depth, by dotted name."""
    for name, module in network.named_modules():
        if isinstance(module, Block):
            yield name, module


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """He initialisation of convolutions (fan out), as in the paper; batch norms to identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.zeros_(module.bias)
