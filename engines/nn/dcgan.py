"""The DCGAN generator for 64 px pictures, and the geometry of its latent space.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", 2015; layout of the widely used PyTorch example, keys ``main.0 ... main.12``.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

LATENTS = 100
SIDE = 64


class Generator(nn.Module):
    """z (B, 100, 1, 1) to pictures (B, 3, 64, 64) in [-1, 1]."""

    def __init__(self, latents: int = LATENTS, width: int = 64, channels: int = 3) -> None:
        super().__init__()
        sizes = (8 * width, 4 * width, 2 * width, width)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latents, sizes[0], 4, 1, 0, bias=False),  # (B, 512, 4, 4)
            nn.BatchNorm2d(sizes[0]),
            nn.ReLU(),
        ]
        for before, after in pairwise(sizes):  # 8, 16, 32 px
            layers += [
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        layers += [nn.ConvTranspose2d(sizes[-1], channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.latents = latents
        self.main = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Pictures (B, 3, 64, 64) in [-1, 1] of latents (B, 100, 1, 1)."""
        pictures: Tensor = self.main(z)
        return pictures

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """The paper's random start: N(0, 0.02) for convolutions, N(1, 0.02) for norm scales.

        The running statistics of the norms are measured on 64 latents: with those of a new layer
        (mean 0, variance 1) an untrained network in eval mode gives one flat grey.
        """
        for module in self.main:
            if isinstance(module, nn.ConvTranspose2d):
                module.weight.normal_(0.0, 0.02, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.normal_(1.0, 0.02, generator=generator)
        x = torch.randn(64, self.latents, 1, 1, generator=generator)
        for module in self.main:
            if isinstance(module, nn.BatchNorm2d):
                variance, mean = torch.var_mean(x, (0, 2, 3))
                module.running_mean.copy_(mean)  # type: ignore[union-attr]
                module.running_var.copy_(variance)  # type: ignore[union-attr]
                x = torch.batch_norm(
                    x, module.weight, module.bias, mean, variance, False, 0.0, module.eps, False
                )
            else:
                x = module(x)


def principal_axes(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Latent directions (100, 100), one a column, by how much they move the first layer.

    The responses to z ~ N(0, I) are W^T z with W = ``weight`` (100, C, k, k) flattened to
    (100, C k k), so their principal axes belong to the left singular vectors of W, and the
    variance along each is the square of its singular value. Signs are fixed by making the entry of
    largest size positive.

    Returns:
        The orthonormal axes, most variance first, and the variances (100,).
    """
    flat = weight.detach().double().flatten(1).cpu()
    axes, sizes, _ = torch.linalg.svd(flat, full_matrices=False)
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    return axes * largest.sign(), sizes.square()


def truncated_normal(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    """Normal numbers cut at +-``bound`` (float64), by inverting the distribution function.

    The same generator state gives the same faces, drawn nearer to the mean as ``bound`` shrinks.
    """
    u = torch.rand(shape, generator=generator, dtype=torch.float64)
    low = torch.special.ndtr(torch.tensor(-bound, dtype=torch.float64))
    inside = low + u * (1.0 - 2.0 * low)
    drawn: Tensor = torch.special.ndtri(inside.clamp(1e-12, 1.0 - 1e-12))
    return drawn.clamp(-bound, bound)


def slerp(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """``steps`` points (steps, D) from ``start`` (D,) to ``end`` (D,) along the arc between them.

    The direction turns at constant speed and the length changes linearly, so no point on the way
    lies nearer to the origin than both ends, as the middle of a straight line would.
    """
    t = torch.linspace(0.0, 1.0, steps, dtype=start.dtype, device=start.device).unsqueeze(1)
    lengths = torch.stack([start.norm(), end.norm()])
    if float(lengths.min()) == 0.0:
        return (1.0 - t) * start + t * end
    a, b = start / lengths[0], end / lengths[1]
    across = b - (a @ b) * a
    if float(across.norm()) < 1e-6:
        if float(a @ b) > 0:  # one direction
            return (1.0 - t) * start + t * end
        across = _orthogonal(a)  # opposite ends: every great circle is as short
    across = across / across.norm()
    angle = torch.atan2(across @ b, a @ b)
    arc: Tensor = torch.cos(t * angle) * a + torch.sin(t * angle) * across
    return arc * ((1.0 - t) * lengths[0] + t * lengths[1])


def _orthogonal(a: Tensor) -> Tensor:
    """A direction at right angles to the unit vector ``a``: the axis it leans on least, made so."""
    axis = torch.zeros_like(a)
    axis[a.abs().argmin()] = 1.0
    return axis - (a @ axis) * a


def to_pixels(pictures: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] as uint8 (B, H, W, 3): -1 is 0 and 1 is 255."""
    scaled = (pictures.detach() + 1.0) * 127.5
    return scaled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu()
