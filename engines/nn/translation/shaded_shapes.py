"""Generated label maps and the shaded, textured pictures that a renderer makes of them.

The picture is a function of the map alone, so that every map has a ground truth, a painted one too.
The same seed gives the same bytes: textures and light use no function that libraries round
differently. Seeds as in `engines.nn.detection.shapes`.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.nn.detection.shapes import NAMES, SIDE, scene

CLASSES = ("ground", *NAMES)
# Of the label maps, colours that are told apart with any sight (Okabe, Ito).
PALETTE = np.array([(60, 64, 72), (230, 159, 0), (86, 180, 233), (0, 158, 115)], np.uint8)
LIGHT = np.array([-0.48, -0.6, 0.64])  # towards the light: left, up, to the viewer
AMBIENT = 0.3
SHADOW = 4  # pixels to the right and down
SHADED = 0.5  # of the light is left in a shadow
DOME, BEVEL = 10.0, 3.0  # pixels from the edge of a disc or a square until it is flat
ALBEDO = np.array([(196, 186, 160), (236, 104, 84), (112, 156, 236), (142, 214, 104)], np.float64)
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def label_map(seed: int, side: int = SIDE) -> Bytes:
    """The classes (side, side) of a hard scene, indices into `CLASSES`; later objects cover."""
    drawn = scene(seed, hard=True, side=side)
    labels = np.zeros((side, side), np.uint8)
    for mask, label in zip(drawn.masks, drawn.labels, strict=True):
        labels[mask] = label + 1
    return labels


def coloured(labels: Bytes) -> Bytes:
    """A label map (H, W) as a picture (H, W, 3)."""
    return np.asarray(PALETTE[labels], np.uint8)


def render(labels: Bytes) -> Bytes:
    """The picture (H, W, 3) of a label map (H, W).

    Discs are domes with rings, squares blocks of bricks with a bevel, triangles roofs with stripes,
    the ground is tiled; light comes from the upper left, and everything throws a shadow.
    """
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    light = np.full(labels.shape, 0.8)
    light[_shadow(labels > 0)] *= SHADED
    tint = np.where((x % 8 == 0) | (y % 8 == 0), 0.75, 1.0)
    for label in range(1, len(CLASSES)):
        inside = labels == label
        if inside.any():
            depth = depth_inside(inside)
            light = np.where(inside, _lambert(_height(label, depth)), light)
            tint = np.where(inside, _texture(label, depth, x, y), tint)
    picture = ALBEDO[labels] * (tint * light)[..., None]
    pixels: Bytes = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return pixels


def depth_inside(mask: Bools) -> Floats:
    """Distance in pixels of each pixel of a mask (H, W) to the nearest one outside it.

    Beyond the border nothing is outside: what the border cuts goes on.
    """
    if mask.all():
        return np.full(mask.shape, float(max(mask.shape)))
    found = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.rint(np.asarray(found, np.float64) * 1024) / 1024


def batch(seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Scenes as one-hot maps (B, 4, side, side) and pictures (B, 3, side, side) in [-1, 1]."""
    maps = [label_map(seed) for seed in seeds]
    return one_hot(np.stack(maps)), to_tanh(np.stack([render(m) for m in maps]))


def one_hot(labels: Bytes) -> Tensor:
    """Label maps (B, H, W) as (B, 4, H, W)."""
    return F.one_hot(torch.from_numpy(labels).long(), len(CLASSES)).permute(0, 3, 1, 2).float()


def to_tanh(pictures: Bytes) -> Tensor:
    """Pictures (B, H, W, 3) as (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def from_tanh(values: Tensor) -> Bytes:
    """The reverse of `to_tanh`."""
    scaled = ((values.detach().float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: Bytes = scaled.permute(0, 2, 3, 1).cpu().numpy()
    return pixels


def _shadow(objects: Bools) -> Bools:
    """Ground that an object up to `SHADOW` pixels to the left and above takes the light from."""
    dark = np.zeros_like(objects)
    for by in range(1, SHADOW + 1):
        dark[by:, by:] |= objects[:-by, :-by]
    return np.asarray(dark & ~objects)


def _height(label: int, depth: Floats) -> Floats:
    if CLASSES[label] == "disc":
        left = 1 - np.minimum(depth, DOME) / DOME
        return np.asarray(DOME * np.sqrt(1 - left * left))
    if CLASSES[label] == "square":
        return np.asarray(np.minimum(depth, BEVEL))
    return 0.8 * depth


def _lambert(height: Floats) -> Floats:
    """Light that a surface of this height (H, W) sends back, in [AMBIENT, 1]."""
    down, right = np.gradient(height)
    facing = LIGHT[2] - LIGHT[0] * right - LIGHT[1] * down
    facing = facing / np.sqrt(1 + right * right + down * down)
    return np.asarray(AMBIENT + (1 - AMBIENT) * np.clip(facing, 0, 1))


def _texture(
    label: int, depth: Floats, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]
) -> Floats:
    if CLASSES[label] == "disc":
        return np.where(depth % 5 < 2, 0.7, 1.0)
    if CLASSES[label] == "square":
        odd = (y // 4) % 2
        return np.where((y % 4 == 0) | ((x + 4 * odd) % 8 == 0), 0.6, 1.0)
    return np.where((x + y) % 8 < 3, 0.65, 1.0)
