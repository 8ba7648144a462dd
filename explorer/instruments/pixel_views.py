"""How one pixel's place in the layers is put into words and pictures."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from explorer import colours
from explorer.core.geometry import Place
from explorer.core.studies.hypercolumns import Raster, alphas
from explorer.kinds import Array

Maps = dict[str, tuple[Tensor, Place]]


def cell_lines(maps: Maps, x: float, y: float) -> list[str]:
    """Which cells of each layer the pixel reads, with which weights, in words."""
    lines = [f"pixel x {x:.1f}, y {y:.1f} reads"]
    for name, (values, place) in maps.items():
        height, width = int(values.shape[1]), int(values.shape[2])
        rows, columns = alphas(place.affine, (height, width), x, y)
        b, a = float(rows.share), float(columns.share)
        top, left = int(rows.low), int(columns.low)
        weights = [(1 - b) * (1 - a), (1 - b) * a, b * (1 - a), b * a]
        lines.append(
            f"{name} ({len(values)} × {height} × {width}): cells y {top}, {int(rows.high)} · "
            f"x {left}, {int(columns.high)} with α " + " ".join(f"{w:.2f}" for w in weights)
        )
    return lines


def receptive_box(
    maps: Tensor, place: Place, x: float, y: float
) -> tuple[float, float, float, float] | None:
    """What the cells that a pixel reads can see (x1, y1, x2, y2), in input pixels."""
    if place.receptive is None:
        return None
    rows, columns = alphas(place.affine, (int(maps.shape[1]), int(maps.shape[2])), x, y)
    ends = []
    for lerp in (columns, rows):
        share = float(lerp.share)
        ends.append(
            (int(lerp.low if share < 1 else lerp.high), int(lerp.high if share else lerp.low))
        )
    (left, right), (top, bottom) = ends
    x1, y1 = place.affine.to_input(left + 0.5, top + 0.5)
    x2, y2 = place.affine.to_input(right + 0.5, bottom + 0.5)
    half_x, half_y = place.receptive[0] / 2, place.receptive[1] / 2
    return x1 - half_x, y1 - half_y, x2 + half_x, y2 + half_y


def heat_over(values: Array, picture: Array) -> Array:
    """Values (H, W) from 0 to their maximum as magma over a picture (H, W, 3) uint8."""
    top = float(values.max())
    share = np.clip(values / top if top > 0 else np.zeros_like(values), 0, 1)
    magma = colours.table("magma")[colours.index_of(share, 0.0, 1.0)][..., :3]
    alpha = (0.8 * share)[..., None]
    return np.asarray((1 - alpha) * picture + alpha * magma, np.float32).round().astype(np.uint8)


def with_cross(picture: Array, row: int, column: int, arm: int = 9) -> Array:
    """A copy of a picture (H, W, 3) with a white cross on black around a pixel."""
    made = picture.copy()
    offsets = [d for d in range(-arm, arm + 1) if abs(d) > 3]
    for ink, wide in ((0, 1), (255, 0)):
        for d in offsets:
            for side in range(-wide, wide + 1):
                for y, x in ((row + d, column + side), (row + side, column + d)):
                    if 0 <= y < made.shape[0] and 0 <= x < made.shape[1]:
                        made[y, x] = ink
    return made


def cluster_picture(labels: Array) -> Array:
    """Labels (H, W), 0 to 7, in eight colours that stay apart for colour-blind eyes."""
    return np.array(colours.OKABE_ITO, np.uint8)[labels]


def pixels_of(raster: Raster, picture: Array | None) -> Array:
    """The picture (H, W, 3) at the pixels of the raster; mid grey without one."""
    if picture is None:
        return np.full((raster.height, raster.width, 3), 128, np.uint8)
    a = raster.affine
    rows = (a.sy * (np.arange(raster.height) + 0.5) + a.ty).astype(int)
    columns = (a.sx * (np.arange(raster.width) + 0.5) + a.tx).astype(int)
    height, width = picture.shape[:2]
    found: Array = picture[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]
    return found


def numpy_of(values: Tensor) -> Array:
    """A tensor as float32, or as integers where it holds such."""
    found: Array = (values.float() if values.is_floating_point() else values).cpu().numpy()
    return found
