"""Darknet's reorganisation: a fine map as several coarse ones, by its own index rule."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn


@cache
def reorg_index(channels: int, height: int, width: int, stride: int) -> Tensor:
    """Where each value of the reorganised map comes from: flat indices (C H W,).

    Darknet calls its kernel with the arguments of the small map, and what comes of it is no
    space-to-depth (`torch.nn.functional.pixel_unshuffle`): with OC = C / s^2,
    ``out[i + W (j + H k)] = in[i s + o mod s + W s (j s + floor(o / s) + H s (k mod OC))]`` where
    o = floor(k / OC) and the input is read as if it were (OC, H s, W s). Weights depend on it.

    Raises:
        ValueError: the channels are no multiple of s^2.
    """
    inner = channels // stride**2
    if inner * stride**2 != channels:
        raise ValueError(f"reorg of stride {stride} wants a multiple of {stride**2} channels, "
                         f"not {channels}")  # fmt: skip
    k = torch.arange(channels)[:, None, None]
    j = torch.arange(height)[None, :, None]
    i = torch.arange(width)[None, None, :]
    offset = k // inner
    column = i * stride + offset % stride
    row = j * stride + offset // stride
    return (column + width * stride * (row + height * stride * (k % inner))).flatten()


class Reorg(nn.Module):
    """(N, C, H, W) to (N, C s^2, H / s, W / s), as Darknet does it."""

    def __init__(self, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """A permutation of the values."""
        n, channels, height, width = x.shape
        if height % self.stride or width % self.stride:
            raise ValueError(f"reorg of stride {self.stride} on a map of {height} x {width}")
        index = reorg_index(channels, height, width, self.stride).to(x.device)
        small = (n, channels * self.stride**2, height // self.stride, width // self.stride)
        return x.flatten(1)[:, index].view(small)


def sources(shape: tuple[int, int, int], stride: int, row: int, column: int) -> Tensor:
    """Channel, y and x in the fine map (C s^2, 3) of what one cell of the coarse maps holds.

    Args:
        shape: of the fine map (C, H, W).
    """
    channels, height, width = shape
    index = reorg_index(channels, height, width, stride)
    cells = index.view(channels * stride**2, height // stride, width // stride)[:, row, column]
    inside = cells % (height * width)
    return torch.stack([cells // (height * width), inside // width, inside % width], 1)
