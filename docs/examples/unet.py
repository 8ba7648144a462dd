"""A small U-Net with random weights: a network that layerscope has never seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Sequential):
    """Two convolutions, each with norm and ReLU."""

    def __init__(self, before: int, after: int) -> None:
        layers: list[nn.Module] = []
        for channels in (before, after):
            layers += [nn.Conv2d(channels, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        super().__init__(*layers)


class UNet(nn.Module):
    """Logits (N, 4, H, W) of four classes, for pictures whose sides are multiples of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.deep = Block(3, 16), Block(16, 32), Block(32, 64)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.mix2, self.mix1 = Block(64 + 32, 32), Block(32 + 16, 16)
        self.head = nn.Sequential(nn.Conv2d(16, 4, 1), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        """A picture (N, 3, H, W) to its logits."""
        fine = self.down1(x)  # (N, 16, H, W)
        coarse = self.down2(self.pool(fine))  # (N, 32, H/2, W/2)
        deep = self.deep(self.pool(coarse))  # (N, 64, H/4, W/4)
        coarse = self.mix2(torch.cat([self.up(deep), coarse], 1))
        fine = self.mix1(torch.cat([self.up(coarse), fine], 1))
        logits: Tensor = self.head(fine)
        return logits


def balanced() -> UNet:
    """The network with norms that fit one batch of coloured clouds: so all classes occur."""
    torch.manual_seed(5)
    network = UNet()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches, which is one
    with torch.no_grad():
        clouds = torch.randn(8, 3, 6, 6) + torch.randn(8, 1, 6, 6)
        network(nn.functional.interpolate(clouds, size=(96, 96), mode="bicubic"))
    return network
