"""A sheet of styles: like ones side by side, and what lies between them is a mixture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

COLUMNS = 7
EMPTY = 24  # grey level of a place without a style


class Sheet:
    """Tiles (S, 3, h, w) in [0, 1], arranged by the two main axes of the styles' signatures.

    Args:
        names: of the styles, ``style 3`` or another word.

    Attributes:
        pixels: the picture (H, W, 3) uint8. ``order``: style at each place, row by row.
        apart: `distances` of the signatures.
    """

    TILE: ClassVar[int] = 48  # px of the short side when it is painted
    SHOWN: ClassVar[int] = 96  # px of the square that is cut out of it

    def __init__(self, tiles: Tensor, signatures: Tensor, names: Sequence[str]) -> None:
        self._labels = [name.removeprefix("style ") for name in names]
        self.order = arranged(signatures)
        self.apart = distances(signatures)
        self.count = len(self.order)
        side = min(tiles.shape[2:])
        top, left = ((length - side) // 2 for length in tiles.shape[2:])
        square = tiles[:, :, top : top + side, left : left + side]
        large = F.interpolate(square, (self.SHOWN, self.SHOWN), mode="bilinear", antialias=True)
        values = (large.detach().clamp(0, 1) * 255).round().to(torch.uint8)
        self.pixels = self._laid(values.permute(0, 2, 3, 1).cpu().numpy())

    def _laid(self, tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        rows = -(-self.count // COLUMNS)
        sheet = np.full((rows * self.SHOWN, COLUMNS * self.SHOWN, 3), EMPTY, np.uint8)
        for place, style in enumerate(self.order):
            y, x = (self.SHOWN * i for i in divmod(place, COLUMNS))
            tile = np.ascontiguousarray(tiles[style])
            for ink, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
                cv2.putText(tile, self._labels[style], (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42,
                            ink, width, cv2.LINE_AA)  # fmt: skip
            sheet[y : y + self.SHOWN, x : x + self.SHOWN] = tile
        return sheet

    def mix(self, x: float, y: float) -> Tensor:
        """Shares (S,), adding up to 1, at a place in pixels of the sheet: bilinear between the
        middles of the four tiles around it."""
        rows = -(-self.count // COLUMNS)
        column = min(max(x / self.SHOWN - 0.5, 0.0), COLUMNS - 1.0)
        row = min(max(y / self.SHOWN - 0.5, 0.0), rows - 1.0)
        left, top = int(column), int(row)
        shares = torch.zeros(self.count)
        for r, c in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            place = r * COLUMNS + c
            if c < COLUMNS and place < self.count:
                share = (1 - abs(row - r)) * (1 - abs(column - c))
                shares[self.order[place]] += max(0.0, share)
        if float(shares.sum()) == 0.0:  # in the middle of an empty place: the last style
            shares[self.order[-1]] = 1.0
        return shares / shares.sum()


def distances(signatures: Tensor) -> Tensor:
    """Euclidean, (S, S), between styles (S, D)."""
    return torch.cdist(signatures, signatures, compute_mode="donot_use_mm_for_euclid_dist")


def arranged(signatures: Tensor) -> list[int]:
    """Styles (S, D) in an order that puts like ones near each other in rows of `COLUMNS`.

    Sorted into rows along the first principal axis, within a row along the second.
    """
    centred: Any = (signatures - signatures.mean(0)).double().cpu()
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
    # The sign of an axis is arbitrary: the style that lies farthest out is on the positive side.
    along = centred @ axes.T
    farthest = along.gather(0, along.abs().argmax(0, keepdim=True))[0]
    along = along * farthest.sign()
    by_first = along[:, 0].argsort(stable=True).tolist()
    rows = [by_first[i : i + COLUMNS] for i in range(0, len(by_first), COLUMNS)]
    return [style for row in rows for style in sorted(row, key=lambda s: float(along[s, 1]))]
