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


class Canvas:
    """Makes one picture after the other, in the same memory while they are of one size.

    Memory that is fresh costs more to touch than to fill.
    """

    def __init__(self) -> None:
        self._words: Words = np.empty((0, 0), np.uint32)

    def of_indices(self, picture: npt.NDArray[np.uint8], words: Words) -> QImage:
        """A picture of indices (H, W) through a table of 256 colours; good until the next one."""
        if self._words.shape != picture.shape:
            self._words = np.empty(picture.shape, np.uint32)
        # An index of a byte is always one of the 256: "wrap" spares the look at each of them.
        np.take(words, picture, out=self._words, mode="wrap")
        opaque = bool((words >> 24 == 255).all())
        form = QImage.Format.Format_RGB32 if opaque else QImage.Format.Format_ARGB32_Premultiplied
        return _image(self._words, form)

    def of_photo(self, picture: npt.NDArray[np.uint8]) -> QImage:
        """A picture (H, W, 3) sRGB; good until the next one."""
        known = self._words.view(np.uint8).reshape(*self._words.shape, 4)
        wide = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGRA, known)
        self._words = np.asarray(wide).view(np.uint32)[..., 0]
        return _image(self._words, QImage.Format.Format_RGB32)


def _image(pixels: Words, form: QImage.Format) -> QImage:
    height, width = pixels.shape
    image = QImage(pixels.data, width, height, 4 * width, form)
    image.pixels = pixels  # type: ignore[attr-defined]  # the memory must not go before the image
    return image
