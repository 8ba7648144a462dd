"""Fields, vectors and masks as pictures: heat with alpha from the value, hue from direction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from explorer import colours
from explorer.kinds import Array, Field, Masks
from explorer.panels.plotting import cv2

HEAT_ALPHA = 200  # of the strongest heat; the photo stays visible below it
MASK_ALPHA = 120
Picture = npt.NDArray[np.uint8]


def field_limits(field: Field) -> tuple[float, float]:
    """Values at the ends of the colour bar: robust (p1 to p99), symmetric when signed."""
    values = magnitude(field)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    if field.scale == "probability":
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, (1, 99)))
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    if table_name(field) == "diverging":
        reach = max(abs(low), abs(high)) or 1.0
        return -reach, reach
    low = min(0.0, low) if finite.min() < 0 or low < 0.5 * high else low
    return low, high if high > low else low + 1.0


def table_name(field: Field) -> colours.Name:
    """The colour map that fits the sign of the data; diverging only for data that cross zero."""
    values = magnitude(field)
    finite = values[np.isfinite(values)]
    crosses = finite.size > 0 and float(finite.min()) < 0 < float(finite.max())
    if field.scale == "diverging" or (field.scale == "sequential" and crosses):
        return "diverging"
    return "viridis"


def magnitude(field: Field) -> Array:
    """The value (H, W), or the length of the vectors."""
    values = np.asarray(field.values, np.float32)
    return values if values.ndim == 2 else np.hypot(values[..., 0], values[..., 1])


def heat_picture(field: Field) -> Picture:
    """(H, W, 4): magma for magnitudes with alpha from the value, diverging for signed data."""
    values = magnitude(field)
    low, high = field_limits(field)
    name = table_name(field)
    index = colours.index_of(values, low, high)
    picture = colours.table("magma" if name == "viridis" else name)[index]
    reach = max(abs(low), abs(high)) or 1.0
    strength = np.clip(np.abs(np.nan_to_num(values)) / reach, 0, 1)
    picture[..., 3] = np.where(index == 254, 255, HEAT_ALPHA * strength).astype(np.uint8)
    return picture


def flow_picture(field: Field, reach: float) -> Picture:
    """(H, W, 3): hue is the direction of a vector, saturation its length up to ``reach``."""
    x, y = field.values[..., 0].astype(np.float32), field.values[..., 1].astype(np.float32)
    bad = ~(np.isfinite(x) & np.isfinite(y))
    x, y = np.nan_to_num(x), np.nan_to_num(y)
    hsv = np.empty((*x.shape, 3), np.uint8)
    hsv[..., 0] = (np.degrees(np.arctan2(y, x)) % 360 / 2).astype(np.uint8)
    hsv[..., 1] = np.clip(255 * np.hypot(x, y) / max(reach, 1e-9), 0, 255).astype(np.uint8)
    hsv[..., 2] = 255
    picture: Picture = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
    picture[bad] = colours.MAGENTA
    return picture


def masks_picture(masks: Masks) -> Picture:
    """(H, W, 4): each mask in its colour with a solid edge; later masks lie on top."""
    height, width = masks.masks.shape[1:]
    picture = np.zeros((height, width, 4), np.uint8)
    for i, mask in enumerate(masks.masks):
        inside = (mask if mask.dtype == bool else mask >= 0.5).astype(np.uint8)
        colour = colours.OKABE_ITO[i % 7]
        share = np.clip(mask, 0, 1) if mask.dtype.kind == "f" else inside
        picture[inside > 0, :3] = colour
        picture[inside > 0, 3] = (MASK_ALPHA * (0.4 + 0.6 * share[inside > 0])).astype(np.uint8)
        edge = inside - cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=0)
        picture[edge > 0] = (*colour, 255)
    return picture
