"""How pixels move between two frames, and a picture moved along with them.

Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016, as OpenCV has it.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def flow_back(now: Tensor, before: Tensor) -> Tensor:
    """Where each pixel of ``now`` was in ``before``: (2, H, W), x and y to add, in pixels.

    Args:
        now, before: (1, 3, H, W) in [0, 1], of one size, at least 12 pixels a side.
    """
    greys = []
    for picture in (now, before):
        values = (picture[0].mean(0).clamp(0, 1) * 255).round().to(torch.uint8)
        greys.append(np.ascontiguousarray(values.cpu().numpy()))
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = finder.calc(greys[0], greys[1], np.zeros((*greys[0].shape, 2), np.float32))
    return torch.from_numpy(found).permute(2, 0, 1).to(now)


def moved_along(picture: Tensor, flow: Tensor) -> Tensor:
    """The picture (1, C, H, W) of the frame before, where its pixels are now: bilinear, edges
    repeated."""
    height, width = picture.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=picture.device), torch.arange(width, device=picture.device),
        indexing="ij",
    )  # fmt: skip
    # Pixel i has its middle at i + 0.5 of the grid's [0, size), which grid_sample calls [-1, 1].
    across = (x + flow[0] + 0.5) * (2.0 / width) - 1.0
    down = (y + flow[1] + 0.5) * (2.0 / height) - 1.0
    grid = torch.stack([across, down], -1).unsqueeze(0).to(picture.dtype)
    return F.grid_sample(picture, grid, padding_mode="border", align_corners=False)
