"""Generated scenes of discs, squares and triangles with boxes, masks and corners, plain and hard.

The same seed gives the same bytes, on every machine and with every version of NumPy: the numbers
come from the frozen `numpy.random.RandomState`. Training draws the seeds from 0 upwards, held-out
scenes those from `HELD_OUT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

NAMES = ("disc", "square", "triangle")
CATEGORIES = {name: number for number, name in enumerate(NAMES, 1)}  # in files of annotations
CORNERS = ("top left", "top right", "bottom right", "bottom left")
SQUARE = NAMES.index("square")
HELD_OUT = 1_000_000  # first seed of the scenes that no training sees
SIDE = 64
NOISE = 12.0  # standard deviation, grey levels
TRIES = 40  # places tried for one object
VISIBLE = 0.5  # least share of an object that later ones may leave to be seen
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One picture and what is in it.

    Attributes:
        image: (side, side, 3) uint8.
        boxes: (N, 4) as x1, y1, x2, y2 in pixels, tight around the visible pixels.
        labels: (N,), an index into `NAMES`.
        masks: (N, side, side), the visible pixels.
        keypoints: (N, 4, 3), x, y and 1 of a square's `CORNERS`; all 0 for the others.
    """

    image: Bytes
    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    masks: Bools
    keypoints: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A `Scene` without its picture, as tensors; same shapes."""

    boxes: Tensor
    labels: Tensor
    masks: Tensor
    keypoints: Tensor


def scene(seed: int, *, hard: bool = False, side: int = SIDE) -> Scene:
    """Draw one scene.

    Plain: 1 to 3 bright objects of half-size 6 to 14 with disjoint boxes on a dark, noisy ground.
    Hard: 1 to 8 objects of half-size 3 to 20 that may cover each other, between 15 and 150 grey
    levels from the ground on either side, a ground that is not even, bars and crosses between them.
    Sizes are for a side of 64 pixels and grow with it.
    """
    draw = np.random.RandomState(seed)
    canvas = np.ones((side, side, 3)) * draw.uniform(0, 90, 3)
    if hard:
        canvas = _clutter(draw, _tilted(draw, canvas))
    masks: list[Bools] = []
    labels: list[int] = []
    circles: list[tuple[float, float, float]] = []
    areas: list[int] = []  # before anything covers them
    for _ in range(draw.randint(1, 9 if hard else 4)):
        label = int(draw.randint(len(NAMES)))
        placed = _place(draw, label, masks, areas, side, hard=hard)
        if placed is None:
            continue
        mask, circle = placed
        canvas[mask] = _colour(draw, canvas[mask].mean(0), hard=hard)
        masks = [m & ~mask for m in masks] + [mask]
        labels.append(label)
        circles.append(circle)
        areas.append(int(mask.sum()))
    canvas += draw.normal(0, NOISE, canvas.shape)
    image = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    return Scene(
        image,
        np.array([_tight(m) for m in masks], np.float32),
        np.array(labels, np.int64),
        np.stack(masks),
        np.stack([_corners(*c, label) for c, label in zip(circles, labels, strict=True)]),
    )


def batch(
    seeds: Sequence[int], *, hard: bool = False, side: int = SIDE
) -> tuple[Tensor, list[Target]]:
    """Scenes as images (B, 3, side, side) in [0, 1] and one `Target` each."""
    scenes = [scene(seed, hard=hard, side=side) for seed in seeds]
    return stacked([s.image for s in scenes]), [target_of(s) for s in scenes]


def stacked(images: Sequence[Bytes]) -> Tensor:
    """Pictures (H, W, 3) of one size as (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255.0


def target_of(drawn: Scene) -> Target:
    """What is in the scene, as tensors."""
    return Target(
        torch.from_numpy(drawn.boxes),
        torch.from_numpy(drawn.labels),
        torch.from_numpy(drawn.masks),
        torch.from_numpy(drawn.keypoints),
    )


def _place(
    draw: np.random.RandomState,
    label: int,
    others: Sequence[Bools],
    areas: Sequence[int],
    side: int,
    *,
    hard: bool,
) -> tuple[Bools, tuple[float, float, float]] | None:
    """A free place: mask and (x, y, half-size). None when every try failed, never for the first."""
    for _ in range(TRIES):
        half = draw.uniform(*((3, 20) if hard else (6, 14))) * side / SIDE
        x, y = draw.uniform(half, side - half, 2)
        mask = _raster(label, x, y, half, side)
        if not hard and any(_meet(mask, other) for other in others):
            continue
        left = [int((m & ~mask).sum()) for m in others]
        if all(seen >= VISIBLE * area for seen, area in zip(left, areas, strict=True)):
            return mask, (x, y, half)
    return None


def _raster(label: int, x: float, y: float, half: float, side: int) -> Bools:
    """The pixels whose centre lies in the shape."""
    at = np.arange(side) + 0.5
    dx, dy = at[None, :] - x, at[:, None] - y
    if NAMES[label] == "disc":
        return np.asarray(dx**2 + dy**2 <= half**2)
    inside = (np.abs(dx) <= half) & (np.abs(dy) <= half)
    if NAMES[label] == "triangle":  # upright, as wide as high
        inside &= np.abs(dx) <= (dy + half) / 2
    return np.asarray(inside)


def _meet(a: Bools, b: Bools) -> bool:
    """Whether two tight boxes share a pixel or an edge."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = _tight(a), _tight(b)
    return ax1 <= bx2 and bx1 <= ax2 and ay1 <= by2 and by1 <= ay2


def _tight(mask: Bools) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _corners(x: float, y: float, half: float, label: int) -> npt.NDArray[np.float32]:
    if label != SQUARE:
        return np.zeros((4, 3), np.float32)
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return np.array([(x + a * half, y + b * half, 1) for a, b in signs], np.float32)


def _colour(draw: np.random.RandomState, ground: Floats, *, hard: bool) -> Floats:
    """A bright colour, or one that differs from the ground by a drawn number of grey levels."""
    if not hard:
        return np.asarray(draw.uniform(130, 255, 3))
    tint = draw.uniform(0.7, 1.3, 3)
    difference = draw.uniform(15, 150) * tint / tint.mean()
    wanted = draw.uniform() < 0.3 or bool((ground + difference > 255).any())
    darker = wanted and bool((ground > difference).all())
    return np.asarray(ground - difference if darker else ground + difference)


def _tilted(draw: np.random.RandomState, canvas: Floats) -> Floats:
    """A ground whose brightness rises along a drawn direction by up to 40 grey levels."""
    angle, rise = draw.uniform(0, 2 * np.pi), draw.uniform(0, 40)
    at = np.linspace(-0.5, 0.5, len(canvas))
    slope = at[None, :] * np.cos(angle) + at[:, None] * np.sin(angle)
    return np.asarray(canvas + rise * (slope[..., None] + 0.5))


def _clutter(draw: np.random.RandomState, canvas: Floats) -> Floats:
    """Up to eight bars and crosses, none of which is an object."""
    side = len(canvas)
    at = np.arange(side) + 0.5
    for _ in range(draw.randint(0, 9)):
        x, y = draw.uniform(0, side, 2)
        angle, length = draw.uniform(0, np.pi), draw.uniform(3, 24) * side / SIDE
        width = draw.uniform(0.6, 1.4) * side / SIDE
        dx, dy = at[None, :] - x, at[:, None] - y
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = dy * np.cos(angle) - dx * np.sin(angle)
        marks = (np.abs(along) <= length / 2) & (np.abs(across) <= width)
        if draw.uniform() < 0.5:
            marks |= (np.abs(across) <= length / 2) & (np.abs(along) <= width)
        canvas[marks] += draw.uniform(15, 120)
    return canvas
