"""pix2pixHD: coarse-to-fine generators and discriminators at several scales, the authors' keys.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs",
2018. Instance norms have neither parameters nor running statistics: training and use agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]


def shrink() -> nn.AvgPool2d:
    """Half the size, as inputs of the coarser scales are made; padding does not count."""
    return nn.AvgPool2d(3, 2, padding=1, count_include_pad=False)


class ResidualBlock(nn.Module):
    """Two reflected 3x3 convolutions beside the identity."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), norm(channels), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), norm(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        y: Tensor = x + self.conv_block(x)
        return y


def entrance(inputs: int, width: int, norm: Norm) -> list[nn.Module]:
    """Reflected 7x7 convolution, norm, ReLU."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7), norm(width), nn.ReLU()]


def halving(width: int, norm: Norm) -> list[nn.Module]:
    """Twice the channels at half the size."""
    return [nn.Conv2d(width, 2 * width, 3, 2, padding=1), norm(2 * width), nn.ReLU()]


def doubling(width: int, norm: Norm) -> list[nn.Module]:
    """Half the channels at twice the size."""
    up = nn.ConvTranspose2d(width, width // 2, 3, 2, padding=1, output_padding=1)
    return [up, norm(width // 2), nn.ReLU()]


def leave(width: int, outputs: int) -> list[nn.Module]:
    """Reflected 7x7 convolution to the picture, in [-1, 1]."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh()]


class GlobalGenerator(nn.Module):
    """Down, residual blocks, up. Keys ``model.N``.

    Args:
        inputs: channels of the condition. ``width``: channels at full size.
        downs: halvings; sides of the input are multiples of 2 to this power.
    """

    def __init__(
        self, inputs: int, outputs: int = 3, width: int = 64, downs: int = 4, blocks: int = 9,
        norm: Norm = nn.InstanceNorm2d,
    ) -> None:  # fmt: skip
        super().__init__()
        layers = entrance(inputs, width, norm)
        for i in range(downs):
            layers += halving(width * 2**i, norm)
        layers += [ResidualBlock(width * 2**downs, norm) for _ in range(blocks)]
        for i in range(downs, 0, -1):
            layers += doubling(width * 2**i, norm)
        self.model = nn.Sequential(*layers, *leave(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Condition (N, inputs, H, W) to pictures (N, outputs, H, W) in [-1, 1]."""
        y: Tensor = self.model(x)
        return y


class LocalEnhancer(nn.Module):
    """A global generator at half the size, whose last features join those of a finer network.

    Keys ``model`` (the global one without its last three modules), ``model1_1``, ``model1_2``.
    """

    def __init__(
        self, inputs: int, outputs: int = 3, width: int = 32, downs: int = 4, blocks: int = 9,
        local_blocks: int = 3, norm: Norm = nn.InstanceNorm2d,
    ) -> None:  # fmt: skip
        super().__init__()
        whole = GlobalGenerator(inputs, outputs, 2 * width, downs, blocks, norm).model
        self.model = nn.Sequential(*list(whole)[:-3])
        self.model1_1 = nn.Sequential(*entrance(inputs, width, norm), *halving(width, norm))
        self.model1_2 = nn.Sequential(
            *(ResidualBlock(2 * width, norm) for _ in range(local_blocks)),
            *doubling(2 * width, norm), *leave(width, outputs),
        )  # fmt: skip
        self.downsample = shrink()

    def forward(self, x: Tensor) -> Tensor:
        """Condition (N, inputs, H, W), sides multiples of 2 ** (downs + 1), to pictures."""
        coarse = self.model(self.downsample(x))
        y: Tensor = self.model1_2(self.model1_1(x) + coarse)
        return y


def patch_layers(inputs: int, width: int, layers: int, norm: Norm) -> list[nn.Sequential]:
    """The parts of one PatchGAN, each ending where its features are compared."""

    def part(a: int, b: int, stride: int, *after: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(a, b, 4, stride, padding=2), *after)

    made = [part(inputs, width, 2, nn.LeakyReLU(0.2))]
    for _ in range(1, layers):
        wider = min(2 * width, 512)
        made.append(part(width, wider, 2, norm(wider), nn.LeakyReLU(0.2)))
        width = wider
    wider = min(2 * width, 512)
    made.append(part(width, wider, 1, norm(wider), nn.LeakyReLU(0.2)))
    made.append(part(wider, 1, 1))
    return made


class MultiscaleDiscriminator(nn.Module):
    """The same PatchGAN on the picture and on smaller ones. Keys ``scaleS_layerL``.

    The authors count scales backwards: the highest number sees the full size. `forward` hands them
    out from the full size down.
    """

    def __init__(
        self, inputs: int, width: int = 64, layers: int = 3, scales: int = 2,
        norm: Norm = nn.InstanceNorm2d,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scales, self.layers = scales, layers + 2
        for scale in range(scales):
            for i, part in enumerate(patch_layers(inputs, width, layers, norm)):
                self.add_module(f"scale{scale}_layer{i}", part)
        self.downsample = shrink()

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Of each scale, the features of every part; the last is the score map (N, 1, h, w)."""
        found = []
        for scale in reversed(range(self.scales)):
            y, features = x, []
            for i in range(self.layers):
                y = self.get_submodule(f"scale{scale}_layer{i}")(y)
                features.append(y)
            found.append(features)
            x = self.downsample(x)
        return found


def adversarial(scores: Iterable[list[Tensor]], *, real: bool) -> Tensor:
    """Least-squares GAN loss summed over the scales: mean of (score - 1)² or score²."""
    goal = 1.0 if real else 0.0
    return torch.stack([(parts[-1] - goal).square().mean() for parts in scores]).sum()


def feature_matching(fake: list[list[Tensor]], real: list[list[Tensor]]) -> Tensor:
    """Mean absolute differences (scales, layers) of all features but the score, weighted.

    Each is multiplied by 4 / (layers of a PatchGAN) / (scales), as the authors do; ``real`` gets no
    gradient.
    """
    rows = [
        torch.stack([(f - r.detach()).abs().mean() for f, r in zip(a[:-1], b[:-1], strict=True)])
        for a, b in zip(fake, real, strict=True)
    ]
    table = torch.stack(rows)
    return table * (4.0 / table.shape[1] / table.shape[0])


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Convolutions from N(0, 0.02), biases 0, as the authors begin."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            _fill(module, generator)


def _fill(module: Any, generator: torch.Generator) -> None:
    with torch.no_grad():
        draw = torch.randn(module.weight.shape, generator=generator)
        module.weight.copy_(0.02 * draw)
        if module.bias is not None:
            module.bias.zero_()
