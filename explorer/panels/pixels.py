"""Pictures as Qt draws them at once: 32 bits a pixel.

Any other format Qt converts at each painting, in threads of its own, at the network's cost.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QImage

from explorer.panels.plotting import cv2

Words = npt.NDArray[np.uint32]  # a colour each, as Qt has it: alpha, red, green, blue


def words_of(table: npt.NDArray[np.uint8]) -> Words:
    """The colours of a table (256, 3) RGB or (256, 4) RGBA, multiplied by their alpha."""
    entries = table.astype(np.uint32)
    alpha = entries[:, 3] if table.shape[1] == 4 else np.full(len(table), 255, np.uint32)
    red, green, blue = ((entries[:, i] * alpha + 127) // 255 for i in range(3))
    return (alpha << 24 | red << 16 | green << 8 | blue).astype(np.uint32)


def of_indices(picture: npt.NDArray[np.uint8], words: Words) -> QImage:
    """A picture of indices (H, W) through a table of colours."""
    opaque = bool((words >> 24 == 255).all())
    form = QImage.Format.Format_RGB32 if opaque else QImage.Format.Format_ARGB32_Premultiplied
    return _held(words.take(picture, mode="clip"), form)  # clip: no look at each index


def of_photo(picture: npt.NDArray[np.uint8]) -> QImage:
    """A picture (H, W, 3) sRGB."""
    wide = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGRA)
    return _held(np.asarray(wide, np.uint8).view(np.uint32)[..., 0], QImage.Format.Format_RGB32)


def _held(pixels: Words, form: QImage.Format) -> QImage:
    height, width = pixels.shape
    image = QImage(pixels.data, width, height, 4 * width, form)
    image.pixels = pixels  # type: ignore[attr-defined]  # the memory must not go before the image
    return image
