"""Fields, vectors and masks as pictures: heat with alpha from the value, hue from direction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from explorer import colours
from explorer.kinds import Array, Field, Masks
from explorer.panels.plotting import cv2
from explorer.views import NOT_FINITE, TOP

HEAT_ALPHA = 200  # of the strongest heat; the photo stays visible below it
GROUND = 0.75  # of the brightness of the photo below heat, which is grey: data have the colour
HEAT_POWER = 0.6  # of the alpha; weak heat would else be seen on white alone
HEAT_FROM = 0.3  # of magma; what is darker cannot be told from a dark photo
# Ends of the range of heat that stays below 1; few, so that a clip's colours hardly ever jump.
TOPS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
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


def heat_limits(field: Field, *, whole: bool = False) -> tuple[float, float]:
    """Values at the ends of the colour bar where a field lies over a photo.

    A probability that stays low has an end of its own, the next of `TOPS`, unless the ``whole``
    range up to 1 is asked for.
    """
    low, high = field_limits(field)
    if field.scale != "probability" or whole:
        return low, high
    values = magnitude(field)
    most = float(values[np.isfinite(values)].max(initial=0.0))
    return low, next((top for top in TOPS if most <= top + 1e-6), high)


def heat_table(field: Field) -> colours.Table:
    """The colours (256, 4) of heat: the bright part of magma, or those of signed data."""
    name = table_name(field)
    if name == "diverging":
        return colours.table(name)
    lut = colours.table("magma").copy()
    lut[: TOP + 1, :3] = colours.colours_at("magma", np.linspace(HEAT_FROM, 1, TOP + 1))
    return lut


def ground(photo: Array) -> Picture:
    """The photo (H, W, 3) as it lies below heat: grey and a little dark."""
    grey = cv2.cvtColor(np.ascontiguousarray(photo), cv2.COLOR_RGB2GRAY)
    dim = (grey * np.float32(GROUND)).astype(np.uint8)
    return np.repeat(dim[..., None], 3, axis=2)


def heat_picture(field: Field, *, whole: bool = False) -> Picture:
    """(H, W, 4) with alpha from the value; ``whole`` as in `heat_limits`."""
    values = magnitude(field)
    low, high = heat_limits(field, whole=whole)
    index = colours.index_of(values, low, high)
    picture = heat_table(field)[index]
    reach = max(abs(low), abs(high)) or 1.0
    strength = np.clip(np.abs(np.nan_to_num(values)) / reach, 0, 1) ** HEAT_POWER
    picture[..., 3] = np.where(index == NOT_FINITE, 255, HEAT_ALPHA * strength).astype(np.uint8)
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
    pixels = picture.view(np.uint32)[..., 0]  # one number a pixel: written at once, through a mask
    for i, mask in enumerate(masks.masks):
        whole = (mask if mask.dtype == bool else mask >= 0.5).view(np.uint8)
        x, y, w, h = cv2.boundingRect(whole)
        if not w:
            continue
        around = slice(y, y + h), slice(x, x + w)
        inside = whole[around]
        tint = np.empty((h, w, 4), np.uint8)
        tint[..., :3] = colours.OKABE_ITO[i % 7]
        share = np.clip(mask[around], 0, 1) if mask.dtype.kind == "f" else 1
        tint[..., 3] = MASK_ALPHA * (0.4 + 0.6 * share)
        edge = inside - cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=0)
        tint[edge > 0, 3] = 255
        np.copyto(pixels[around], tint.view(np.uint32)[..., 0], where=inside > 0)
    return picture
