"""Pictures in 32 bits a pixel have the colours that Qt makes of the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtGui import QImage, qRgba

from explorer.panels.pixels import Canvas, words_of

NOISE = np.random.default_rng(0)


def colours(image: QImage) -> np.ndarray:
    """(H, W, 4), straight alpha."""
    plain = image.convertToFormat(QImage.Format.Format_RGBA8888)
    return np.array(plain.constBits()).reshape(image.height(), image.width(), 4)


@pytest.mark.parametrize("alpha", [255, None], ids=["opaque", "with alpha"])
def test_indices_through_a_table(alpha: int | None) -> None:
    table = NOISE.integers(0, 256, (256, 4)).astype(np.uint8)
    table[:, 3] = alpha or np.arange(256)
    picture = NOISE.integers(0, 256, (13, 8)).astype(np.uint8)
    wanted = QImage(picture.data, 8, 13, 8, QImage.Format.Format_Indexed8)
    wanted.setColorTable([qRgba(*entry) for entry in table.tolist()])
    premultiplied = wanted.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
    made = Canvas().of_indices(picture, words_of(table))
    got = made.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
    shape = (13, 8, 4)
    apart = np.array(got.constBits()).reshape(shape).astype(int) - np.array(
        premultiplied.constBits()
    ).reshape(shape)
    assert np.abs(apart).max() <= (0 if alpha else 1)


def test_photos_of_changing_sizes() -> None:
    canvas = Canvas()
    for height, width in ((5, 7), (5, 7), (9, 4)):
        photo = NOISE.integers(0, 256, (height, width, 3)).astype(np.uint8)
        shown = colours(canvas.of_photo(photo))
        assert np.array_equal(shown[..., :3], photo)
        assert (shown[..., 3] == 255).all()
