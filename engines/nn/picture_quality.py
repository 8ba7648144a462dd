"""How near a picture comes to the true one: PSNR and SSIM, and how restless a clip is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 7  # side of SSIM's uniform window, pixels


def psnr(made: Tensor, true: Tensor) -> Tensor:
    """Peak signal to noise ratio in dB of pictures (N, C, H, W) in [0, 1], each: (N,).

    Equal pictures give infinity.
    """
    error = (made.double() - true.double()).square().flatten(1).mean(1)
    return -10 * torch.log10(error)


def ssim(made: Tensor, true: Tensor) -> Tensor:
    """Structural similarity of pictures (N, C, H, W) in [0, 1], each: (N,), at most 1.

    Wang, Bovik, Sheikh, Simoncelli, 2004, with a uniform window of `WINDOW` pixels and sample
    covariances; the mean over all windows that lie inside, and over the channels.

    Raises:
        ValueError: a side below the window's.
    """
    if min(made.shape[2:]) < WINDOW:
        raise ValueError(f"sides are {tuple(made.shape[2:])}; SSIM wants at least {WINDOW}")
    x, y = made.double(), true.double()
    count = WINDOW * WINDOW

    def window(a: Tensor) -> Tensor:
        return F.avg_pool2d(a, WINDOW, 1)

    mx, my = window(x), window(y)
    vx, vy, cov = (
        (window(a * b) - ma * mb) * count / (count - 1)
        for a, b, ma, mb in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my))
    )
    c1, c2 = 0.01**2, 0.03**2
    alike = (2 * mx * my + c1) * (2 * cov + c2)
    whole = (mx * mx + my * my + c1) * (vx + vy + c2)
    return (alike / whole).flatten(1).mean(1)


def restlessness(clip: Tensor) -> Tensor:
    """Mean absolute difference of each frame (T, C, H, W) to the one before: (T - 1,)."""
    return (clip[1:] - clip[:-1]).abs().flatten(1).mean(1)
