"""A pool of VGG that averages or takes the largest, as a knob says while it runs."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.vgg import Features


class Pool(nn.AvgPool2d):
    """2 x 2; ``largest`` may change between two passes. Capture points and receptive fields stay.

    An average pool in the eyes of whoever asks for kernel and stride, which both kinds share.
    """

    largest = False

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H / 2, W / 2)."""
        return F.max_pool2d(x, 2) if self.largest else super().forward(x)


def with_pools(features: Features) -> None:
    """Put a `Pool` in the place of each pool."""
    for index, layer in enumerate(features):
        if isinstance(layer, nn.AvgPool2d | nn.MaxPool2d):
            features[index] = Pool()


def choose_pooling(network: nn.Module, kind: str) -> None:
    """Let every `Pool` of the network average (``average``) or take the largest (``max``)."""
    for module in network.modules():
        if isinstance(module, Pool):
            module.largest = kind == "max"
