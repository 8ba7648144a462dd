"""Poses as coloured stick figures, the condition of motion transfer.

Chan, Ginosar, Zhou, Efros, "Everybody Dance Now", 2019: each limb is a filled ellipse in a colour
of its own, blended over the limbs before it. Discs of the joints lie above all limbs, so that every
joint can be read off the picture.
"""

from __future__ import annotations

import colorsys
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from engines.nn.motion.posenet import JOINTS

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

THIRTEEN = (0, *range(5, 17))
"""Which of COCO's 17 joints a body without eyes and ears has."""

LIMBS = (
    (0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (0, 6), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
    (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
"""Pairs of COCO's joints; later limbs lie above earlier ones."""

OVER = 0.6  # share of a limb's colour where it lies over others
HALF_WIDTH = 4 / 512  # of a limb, in heights of the picture
THINNEST = 0.75  # px: below it a limb is lost between the pixels
DISC = 2.0  # radius of a joint's disc in half-widths
PAPER = 255.0


def _wheel(count: int, value: float) -> Floats:
    """Bright colours evenly around the wheel, (count, 3) in [0, 255]."""
    shades = [colorsys.hsv_to_rgb(i / count, 1.0, value) for i in range(count)]
    return np.asarray(np.rint(np.array(shades) * 255))


LIMB_COLOURS = _wheel(len(LIMBS), 1.0)
JOINT_COLOURS = _wheel(len(JOINTS), 0.7)


def seventeen(poses: npt.ArrayLike) -> Floats:
    """Poses (..., 13, 3) or (..., 17, 3) as COCO's 17; joints that are not there get confidence 0.

    Raises:
        ValueError: another number of joints.
    """
    given = np.asarray(poses, np.float64)
    if given.ndim < 2 or given.shape[-2:] not in ((17, 3), (13, 3)):
        raise ValueError(f"poses are {given.shape}; their end must be (13, 3) or (17, 3)")
    if given.shape[-2] == len(JOINTS):
        return given
    whole = np.zeros((*given.shape[:-2], len(JOINTS), 3))
    whole[..., THIRTEEN, :] = given
    return whole


def thickness(height: int) -> float:
    """Half-width of a limb in pixels in a picture of ``height`` rows."""
    return max(HALF_WIDTH * height, THINNEST)


def draw(
    pose: npt.ArrayLike, height: int, width: int, *, half_width: float | None = None,
    least: float = 0.0, without: Collection[int] = (),
) -> Bytes:  # fmt: skip
    """One figure on white, (height, width, 3), RGB.

    Args:
        pose: (13, 3) or (17, 3), x and y in pixels (pixel i spans i to i + 1) and confidence.
        half_width: of a limb in pixels, `thickness` of the height unless given; discs grow with it.
        least: joints with a confidence at or below it, and their limbs, are left out.
        without: numbers of `LIMBS` left out.
    """
    whole = seventeen(pose)
    thick = thickness(height) if half_width is None else half_width
    seen = (whole[:, 2] > least) & np.isfinite(whole).all(1)
    canvas = np.full((height, width, 3), PAPER)
    for number, (a, b) in enumerate(LIMBS):
        if seen[a] and seen[b] and number not in without:
            _ellipse(canvas, whole[a, :2], whole[b, :2], thick, LIMB_COLOURS[number], OVER)
    for joint in np.flatnonzero(seen):
        at = whole[joint, :2]
        _ellipse(canvas, at, at, DISC * thick, JOINT_COLOURS[joint], 1.0)
    return np.asarray(np.rint(canvas), np.uint8)


def draw_all(
    poses: npt.ArrayLike, height: int, width: int, *, half_width: float | None = None,
    least: float = 0.0, without: Collection[int] = (),
) -> Bytes:  # fmt: skip
    """Figures of a clip (T, J, 3), as (T, height, width, 3)."""
    whole = seventeen(poses)
    drawn = [
        draw(pose, height, width, half_width=half_width, least=least, without=without)
        for pose in whole
    ]
    return np.array(drawn, np.uint8).reshape(-1, height, width, 3)


def _ellipse(
    canvas: Floats, a: Floats, b: Floats, half_width: float, colour: Floats, share: float
) -> None:
    """Paint the ellipse with the axis from a to b, with a soft edge about one pixel wide."""
    middle, half = (a + b) / 2, (b - a) / 2
    length = float(np.hypot(*half))
    long = max(length, half_width)
    low = np.clip(np.floor(middle - long - 1), 0, canvas.shape[1::-1]).astype(int)
    high = np.clip(np.ceil(middle + long + 1), 0, canvas.shape[1::-1]).astype(int)
    part = canvas[low[1] : high[1], low[0] : high[0]]
    x = np.arange(low[0], high[0])[None, :] + 0.5 - middle[0]
    y = np.arange(low[1], high[1])[:, None] + 0.5 - middle[1]
    ux, uy = half / length if length > 0 else (1.0, 0.0)
    along, across = (x * ux + y * uy) / long, (y * ux - x * uy) / half_width
    away = np.hypot(along, across)
    # Distance to the edge to first order: the implicit function over the length of its gradient.
    slope = np.hypot(along / long, across / half_width) / np.maximum(away, 1e-9)
    cover = np.clip(0.5 - (away - 1) / np.maximum(slope, 1e-9), 0, 1)
    part += share * cover[..., None] * (colour - part)
