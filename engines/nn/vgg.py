"""VGG-16 and VGG-19: Simonyan, Zisserman, "Very Deep Convolutional Networks", 2014, D and E.

Keys are torchvision's (``features.N``, ``classifier.N``), so official checkpoints load as they are.
ReLUs are not in place: a captured convolution stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.api import IMAGENET_MEAN, IMAGENET_STD, Preprocess

CONVOLUTIONS: dict[int, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)

# How each file of weights wants its pictures. The edge network was trained the Caffe way.
CONVENTIONS: dict[str, Preprocess] = {
    "vgg16-hed": Preprocess(
        size=224, fit="short", order="BGR", scale=255.0, mean=(104.007, 116.669, 122.679)
    ),
    "vgg16": Preprocess(size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "vgg19": Preprocess(size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD),
}

Pool = Literal["max", "average"]
Watch = Callable[[int, Tensor], None]


class Features(nn.Sequential):
    """The convolutions, told apart by index; a caller may watch each output and stop early."""

    def forward(self, x: Tensor, watch: Watch | None = None, until: int | None = None) -> Tensor:
        """Run the layers up to and including ``until``; ``watch(index, output)`` after each."""
        for index, layer in enumerate(self):
            x = layer(x)
            if watch is not None:
                watch(index, x)
            if index == until:
                break
        return x


class EdgeHead(nn.Module):
    """Edge probability from the last ReLU of each block: Xie, Tu 2015, HED."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in WIDTHS)
        self.fuse = nn.Conv2d(len(WIDTHS), 1, 1)

    def forward(self, blocks: Sequence[Tensor]) -> Tensor:
        """Five (N, C, H / j, W / j) to (N, 1, H, W) in [0, 1]."""
        size = blocks[0].shape[2:]
        sides = [
            F.interpolate(side(x), size, mode="bilinear")
            for side, x in zip(self.sides, blocks, strict=True)
        ]
        return cast("Tensor", self.fuse(torch.cat(sides, 1)).sigmoid())


class VGG(nn.Module):
    """VGG of 16 or 19 layers with max or average pooling, with or without its ImageNet head.

    Args:
        depth: 16 or 19.
        head: with the three fully connected layers; without, ``forward`` gives the last pool.
        pool: average is smoother for style transfer (Gatys 2015, section 2).
        edges: with the edge network's side convolutions, as ``edges``.
    """

    def __init__(
        self,
        depth: int = 16,
        *,
        head: bool = True,
        pool: Pool = "max",
        edges: bool = False,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for count, width in zip(CONVOLUTIONS[depth], WIDTHS, strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2))
        self.depth = depth
        self.features = Features(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7) if head else None
        self.classifier = _head(classes) if head else None
        self.edges = EdgeHead() if edges else None

    def forward(self, x: Tensor, watch: Watch | None = None) -> Tensor:
        """(N, 3, H, W) to logits (N, classes), or to (N, 512, H / 32, W / 32) without a head."""
        x = self.features(x, watch)
        if self.avgpool is None or self.classifier is None:
            return x
        return cast("Tensor", self.classifier(self.avgpool(x).flatten(1)))


def _head(classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(512 * 7 * 7, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, classes),
    )


def layers(depth: int) -> dict[str, int]:
    """Index in ``features`` by the paper's names: conv1_1, relu1_1, ..., pool1, ..., pool5."""
    names: dict[str, int] = {}
    for block, count in enumerate(CONVOLUTIONS[depth], start=1):
        for i in range(1, count + 1):
            names[f"conv{block}_{i}"] = len(names)
            names[f"relu{block}_{i}"] = len(names)
        names[f"pool{block}"] = len(names)
    return names


def receptive_fields(depth: int) -> dict[str, tuple[int, int]]:
    """Side of the receptive field and stride, both in input pixels, by layer name.

    r grows by (k - 1) j at a layer of kernel k, where j is the product of the strides below it.
    """
    side, stride = 1, 1
    fields: dict[str, tuple[int, int]] = {}
    for name in layers(depth):
        if name.startswith("conv"):
            side += 2 * stride
        elif name.startswith("pool"):
            side += stride
            stride *= 2
        fields[name] = side, stride
    return fields


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """He initialisation, for the networks that say they are random."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
