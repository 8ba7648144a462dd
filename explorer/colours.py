"""256-entry colour tables for index pictures: numpy only, shared by panels, export and benchmarks.

A picture is (H, W) uint8: 0 to 253 span the range, 254 is not finite, 255 is the gap between tiles.
Viridis and magma (Nathaniel Smith, Stefan van der Walt and Eric Firing, CC0) are kept as every
fifth of their 256 published colours, the diverging table as the eleven colours of ColorBrewer's
RdBu (Cynthia Brewer, Apache-2.0) with the middle one set to exact white.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from explorer.kinds import Scale
from explorer.views import GAP, NOT_FINITE, TOP

Name = Literal["viridis", "magma", "grey", "diverging"]
Colour = tuple[int, int, int]
Table = npt.NDArray[np.uint8]

NAMES: tuple[Name, ...] = ("viridis", "magma", "grey", "diverging")
ROBUST_FROM = 1024  # values; fewer are all shown
SAMPLE = 4096  # values that a robust range is estimated from
MAGENTA: Colour = (255, 0, 255)
CANVAS: Colour = (14, 15, 18)

OKABE_ITO: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
    (0, 114, 178), (213, 94, 0), (204, 121, 167), (0, 0, 0),
)  # fmt: skip
"""Eight colours for classes and masks that stay apart for colour-blind eyes."""

_VIRIDIS = (
    "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b"
    "38598c355e8d33638d31688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b"
    "1e9c891fa18821a58524aa8328ae802eb37c35b7793dbc7446c06f50c46a5ac86465cb5e70cf577cd250"
    "89d54895d840a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725"
)
_MAGMA = (
    "00000402020b0504160907200e0b2b140e361a104221114e29115a311165390f6e420f754a107952137c"
    "5a167e6219806a1c81721f81792282812581892881912b81992d80a1307eaa337db2357bba3878c23b75"
    "ca3e72d2426fd9466be04c67e75263ec5860f1605df4695cf7725cf97b5dfb8560fc8e64fd9869fea16e"
    "feaa74feb47bfebd82fec68afecf92fed89afde2a3fdebacfcf4b6fcfdbf"
)
# From blue (lowest) through white to red (highest).
_RDBU = "0530612166ac4393c392c5ded1e5f0fffffffddbc7f4a582d6604db2182b67001f"
_ANCHORS = {"viridis": _VIRIDIS, "magma": _MAGMA, "grey": "000000ffffff", "diverging": _RDBU}


@lru_cache(maxsize=32)
def table(name: str, gap: Colour = CANVAS, not_finite: Colour = MAGENTA) -> Table:
    """The table (256, 4) uint8 RGBA, opaque, of a map; made once, so it cannot be written to.

    Args:
        name: one of `NAMES`. The two middle entries of ``diverging``, 126 and 127, are exact white.
        gap: colour of entry 255, usually the canvas of the theme.
        not_finite: colour of entry 254.

    Raises:
        KeyError: there is no map of that name.
    """
    lut = np.full((256, 4), 255, np.uint8)
    # The data entries are symmetric about 126.5, so white has to cover both neighbours of zero.
    spots = np.linspace(0.0, 1.0, TOP + 1)
    if name == "diverging":
        spots[[126, 127]] = 0.5
    lut[: TOP + 1, :3] = colours_at(name, spots)
    lut[NOT_FINITE, :3] = not_finite
    lut[GAP, :3] = gap
    lut.flags.writeable = False
    return lut


def colours_at(name: str, spots: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Colours (..., 3) uint8 of a map at positions (...) in [0, 1], clipped."""
    anchors = np.frombuffer(bytes.fromhex(_ANCHORS[name]), np.uint8).reshape(-1, 3)
    where = np.linspace(0.0, 1.0, len(anchors))
    channels = [np.interp(spots, where, anchors[:, c]) for c in range(3)]
    found: Table = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return found


def map_for(low: float, high: float, scale: Scale | None = None) -> Name:
    """The map that fits data of this range: diverging when they are signed, else viridis.

    A declared ``scale`` decides first. Diverging is never chosen for data that do not cross zero
    unless the artefact asks for it.
    """
    if scale is not None:
        return "diverging" if scale == "diverging" else "viridis"
    return "diverging" if low < 0 else "viridis"


def limits_for(low: float, high: float, scale: Scale | None = None) -> tuple[float, float]:
    """The values at both ends of the map: symmetric, from zero, or [0, 1] for probabilities.

    Constant data get a range of some width too.
    """
    if scale == "probability":
        return 0.0, 1.0
    if map_for(low, high, scale) == "diverging":
        reach = max(abs(low), abs(high)) or 1.0
        return -reach, reach
    bottom = min(low, 0.0)
    return bottom, high if high > bottom else bottom + 1.0


def robust_range(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Where most of the values lie: 1st to 99th percentile of many, else least and greatest.

    Estimated from a few thousand of them. 0 and 1 when none is finite.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if finite.size < ROBUST_FROM:
        return low, high
    inner = np.percentile(finite[:: max(1, finite.size // SAMPLE)], (1, 99))
    # What is empty but for a few values would be drawn as one flat colour.
    narrow = float(inner[1] - inner[0]) <= 1e-3 * (high - low)
    return (low, high) if narrow else (float(inner[0]), float(inner[1]))


def index_of(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Quantise values to indices, uint8 of the same shape: 0 to 253 span [low, high], clipped.

    Not-a-number and both infinities become 254. A range of width zero puts everything at 0.
    """
    values = np.asarray(values, np.float32)
    width = np.float64(high) - np.float64(low)
    with np.errstate(all="ignore"):
        if 1e-30 < width < 1e30 and np.isfinite(values.sum()):
            return _index_of_finite(values, np.float32(low), np.float32(TOP / width))
    finite = np.isfinite(values)
    factor = TOP / width if width > 0 else 0.0
    scaled = (np.where(finite, values, low) - low) * factor
    index = np.clip(np.rint(scaled), 0, TOP).astype(np.uint8)
    index[~finite] = NOT_FINITE
    return index


def _index_of_finite(
    values: npt.NDArray[np.float32], low: np.float32, factor: np.float32
) -> npt.NDArray[np.uint8]:
    """The same with one buffer in place of six, for values that are all finite."""
    scaled = np.asarray(values - low)
    scaled *= factor
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, TOP, out=scaled)
    return scaled.astype(np.uint8)
