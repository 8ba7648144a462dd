"""Small maps side by side with their names, one of them framed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from explorer.api import Image

LEAST = 112  # px of a tile at least: its name has to fit below
FRAME = (255, 210, 63)


def tiles(
    name: str,
    maps: npt.NDArray[np.float32],
    labels: Sequence[str],
    chosen: int | None = None,
    *,
    note: str = "",
) -> Image:
    """Maps (N, m, m) in [0, 1] as grey tiles, each cell enlarged to whole pixels.

    Args:
        chosen: the tile with a frame, whose label says so too.
    """
    factor = -(-LEAST // maps.shape[-1])
    grey = np.rint(255 * maps.clip(0, 1)).astype(np.uint8).repeat(factor, 1).repeat(factor, 2)
    picture = np.repeat(grey[..., None], 3, 3)
    words = list(labels)
    if chosen is not None:
        tile = picture[chosen]
        edge = max(2, LEAST // 28)
        tile[:edge] = tile[-edge:] = FRAME
        tile[:, :edge] = tile[:, -edge:] = FRAME
        words[chosen] += " · chosen"
    return Image(name, picture, labels=words, note=note)
