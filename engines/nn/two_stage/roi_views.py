"""RoIPool's rounded bins beside RoIAlign's sampling points for one box, and what both pool.

He et al., "Mask R-CNN", 2017, section 3 and figure 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.nn.detection.boxes import moved
from engines.nn.two_stage.roi import align_points, pool_bins, roi_align, roi_pool
from explorer.api import Affine, Artefact, Boxes, Image, Matrix

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Colour = tuple[int, int, int]

DRAWN = 560  # side in pixels of the drawn part of the map
BOX: Colour = (255, 255, 255)
POOL: Colour = (230, 159, 0)
ALIGN: Colour = (86, 180, 233)


@dataclass(frozen=True, slots=True)
class _Region:
    """One box on one map: ``features`` (C, h, w), ``box`` (4,) in the network's pixels."""

    features: Tensor
    box: Tensor
    scale: float
    size: int
    ratio: int
    aligned: bool
    unit: int
    affine: Affine

    @property
    def grid(self) -> Affine:
        """From map cells, whose edges are whole numbers, to input pixels."""
        return self.affine.after(Affine(1 / self.scale, 1 / self.scale))

    def points(self) -> Tensor:
        """Sampling points (s, s, r_y, r_x, 2) in cells whose edges are whole numbers."""
        box, aligned = self.box, self.aligned
        return align_points(box, self.size, self.scale, self.ratio, aligned=aligned) + 0.5

    def bin_edges(self) -> tuple[list[float], list[float]]:
        """Edges x and y (s + 1) of the bins of RoIAlign, which are as wide as its points reach."""
        low, high = (self.box * self.scale + (0.0 if self.aligned else 0.5)).view(2, 2)
        sides = (high - low) if self.aligned else (high - low).clamp(min=1)
        parts = torch.arange(self.size + 1, device=low.device)[:, None] / self.size
        x, y = (low + parts * sides).T.tolist()
        return x, y

    def bins(self) -> Tensor:
        """Cells of the bins of RoIPool (s, s, 4)."""
        height, width = self.features.shape[-2:]
        return pool_bins(self.box, self.size, self.scale, height, width)

    def pooled(self) -> tuple[Tensor, Tensor]:
        """RoIPool and RoIAlign of all units, (C, s, s) each."""
        maps = self.features[None]
        roi = torch.cat([self.box.new_zeros(1), self.box])[None]
        aligned = roi_align(
            maps, roi, self.size, self.scale, self.ratio, aligned=self.aligned
        )  # fmt: skip
        return roi_pool(maps, roi, self.size, self.scale)[0], aligned[0]

    def window(self) -> tuple[int, int, int, int]:
        """The cells x1, y1, x2, y2 that are drawn: all that are read and one more around; beyond
        the map no more than that one."""
        height, width = self.features.shape[-2:]
        seen = torch.cat([self.points().reshape(-1, 2), (self.box * self.scale).view(2, 2)])
        low = torch.cat([seen, self.bins()[..., :2].reshape(-1, 2)]).amin(0).floor().nan_to_num()
        high = torch.cat([seen, self.bins()[..., 2:].reshape(-1, 2)]).amax(0).ceil().nan_to_num()
        ends = torch.tensor([width, height], device=low.device)
        low = (low - 1).clamp(min=-1).minimum(ends - 1)
        high = torch.maximum((high + 1).clamp(min=1).minimum(ends + 1), low + 1)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def compare(
    prefix: str,
    features: Tensor,
    box: Tensor,
    scale: float,
    size: int,
    ratio: int = 2,
    *,
    aligned: bool = False,
    unit: int = 0,
    affine: Affine | None = None,
) -> Iterator[Artefact]:
    """Where both poolings read a map for one box, and what they make of it.

    Args:
        prefix: group of the artefacts.
        features: the map (C, h, w). scale: its cells a pixel of the network's input.
        box: (4,) in pixels of the network's input.
        size, ratio, aligned: as in `roi_align`.
        unit: the channel whose values are shown.
        affine: from pixels of the network's input to input pixels.

    Yields:
        The part of the map around the box twice, with the bins of RoIPool (`Boxes`, in input
        pixels) and with the points of RoIAlign; the values of both and their difference.
    """
    region = _Region(
        features.detach(), box.detach().float().nan_to_num(), scale, size, ratio, aligned, unit,
        affine or Affine(),
    )  # fmt: skip
    yield from _drawn(prefix, region)
    yield _bins(prefix, region)
    yield from _values(prefix, region)


def _drawn(prefix: str, region: _Region) -> Iterator[Artefact]:
    """The part of the map around the box, one cell a square, with what both take of it."""
    x1, y1, x2, y2 = region.window()
    side = max(3, DRAWN // max(x2 - x1, y2 - y1))
    place = region.grid.after(Affine(1 / side, 1 / side, x1, y1))
    whole = np.pad(
        _array(region.features[region.unit]).astype(np.float64), 1, constant_values=np.inf
    )
    cells = whole[y1 + 1 : y2 + 1, x1 + 1 : x2 + 1]
    pool, align = (_Canvas(cells, side, (x1, y1)) for _ in range(2))
    for row in region.bins().flatten(0, 1).tolist():
        pool.peak(row, POOL)
    yield Image(
        f"{prefix}/RoIPool reads", pool.picture, affine=place,
        note="each square is a cell of the map, black is beyond it; dots: the largest of each bin",
    )  # fmt: skip
    align.rectangle((region.box * region.scale).tolist(), BOX)
    points = region.points()
    x, y = region.bin_edges()
    align.lattice(x, y, ALIGN)
    apart = abs(x[-1] - x[0]) / max(1, region.size * points.shape[3])
    for point in points.reshape(-1, 2).tolist():
        align.dot(point, ALIGN, most=apart / 4)
    count = points.shape[2] * points.shape[3]
    shift = "" if region.aligned else "; they lie half a cell off, as without 'aligned'"
    yield Image(
        f"{prefix}/RoIAlign reads", align.picture, affine=place,
        note=f"blue: bins and points, {count} in each of the {region.size}², a point is the mean "
        f"of the four cells around it by distance; white: the box{shift}",
    )  # fmt: skip


def _bins(prefix: str, region: _Region) -> Boxes:
    """The box, what RoIPool makes of it, and its bins, in input pixels."""
    bins = region.bins().flatten(0, 1)
    filled = bins[(bins[:, 2:] > bins[:, :2]).all(1)].to(region.box)
    rows, labels = [(region.box * region.scale)[None], filled], ["box", *[""] * len(filled)]
    if len(filled):
        rows.insert(1, torch.cat([filled[:, :2].amin(0), filled[:, 2:].amax(0)])[None])
        labels.insert(1, "rounded to cells")
    return Boxes(
        f"{prefix}/bins of RoIPool", _array(moved(torch.cat(rows), region.grid)), labels=labels,
        note=f"cells of each bin, which may share a row or a column; {len(filled)} of {len(bins)} "
        "bins have cells of the map",
    )  # fmt: skip


def _values(prefix: str, region: _Region) -> Iterator[Artefact]:
    """What both make of the unit, and how much they differ."""
    pool, align = region.pooled()
    of_unit = f"unit {region.unit}, bins from the upper left"
    for name, values in (("RoIPool", pool), ("RoIAlign", align)):
        yield Matrix(
            f"{prefix}/{name}", _array(values[region.unit]), scale="sequential", share="pooled",
            note=f"{'maximum' if name == 'RoIPool' else 'mean'} of each bin; {of_unit}",
        )  # fmt: skip
    apart = align - pool
    size = float(align.abs().mean())
    mean = float(apart.abs().mean())
    share = f", {mean / size:.0%} of the mean of RoIAlign" if size > 0 else ""
    own = float(apart[region.unit].abs().mean())
    yield Matrix(
        f"{prefix}/difference", _array(apart[region.unit]), own_scale=True,
        note=f"RoIAlign less RoIPool; {of_unit}; mean size {own:.3g}, "
        f"of all {len(apart)} units {mean:.3g}{share}",
    )  # fmt: skip


class _Canvas:
    """Cells (h, w) as grey squares of ``side`` pixels, on which positions in cells are drawn.

    Infinite cells are beyond the map and black.
    """

    def __init__(self, cells: npt.NDArray[np.float64], side: int, origin: tuple[int, int]) -> None:
        self.cells, self.side, self.origin = np.nan_to_num(cells, posinf=0.0), side, origin
        beyond = np.isposinf(cells)
        seen = self.cells[~beyond]
        low, high = (seen.min(), seen.max()) if seen.size else (0.0, 1.0)
        grey = 25 + 150 * np.clip((self.cells - low) / max(high - low, 1e-12), 0, 1)
        grey[beyond] = 0
        squares = np.kron(grey.astype(np.uint8), np.ones((side, side), np.uint8))
        if side > 5:
            squares[::side] = squares[:, ::side] = 12
        self.picture: Picture = np.ascontiguousarray(np.repeat(squares[..., None], 3, 2))

    def _pixel(self, x: float, y: float) -> tuple[int, int]:
        """Beyond the picture it is cut: no position is too far for the drawing."""
        spot = [self.side * (v - o) for v, o in zip((x, y), self.origin, strict=True)]
        across, down = np.nan_to_num(np.clip(spot, -1e4, 1e4)).round().astype(int).tolist()
        return across, down

    def rectangle(self, corners: list[float], colour: Colour) -> None:
        """Outline of x1, y1, x2, y2; nothing where they have no area."""
        low, high = self._pixel(*corners[:2]), self._pixel(*corners[2:])
        if high[0] > low[0] and high[1] > low[1]:
            cv2.rectangle(self.picture, low, high, colour, 2)

    def lattice(self, x: list[float], y: list[float], colour: Colour) -> None:
        """Thin lines at every x and every y."""
        for at in x:
            ends = self._pixel(at, y[0]), self._pixel(at, y[-1])
            cv2.line(self.picture, *ends, colour, 1, cv2.LINE_AA)
        for at in y:
            ends = self._pixel(x[0], at), self._pixel(x[-1], at)
            cv2.line(self.picture, *ends, colour, 1, cv2.LINE_AA)

    def peak(self, cells: list[int], colour: Colour) -> None:
        """A dot in the largest of the cells x1, y1, x2, y2."""
        x, y = self.origin
        part = self.cells[cells[1] - y : cells[3] - y, cells[0] - x : cells[2] - x]
        if part.size:
            row, column = divmod(int(part.argmax()), part.shape[1])
            self.dot((cells[0] + column + 0.5, cells[1] + row + 0.5), colour)

    def dot(
        self, at: tuple[float, float] | list[float], colour: Colour, *, most: float = 1.0
    ) -> None:
        """A disc with a dark edge, of a radius of at most ``most`` cells."""
        radius = max(1, min(5, self.side // 8, round(most * self.side)))
        cv2.circle(self.picture, self._pixel(*at), radius + 1, (0, 0, 0), -1, cv2.LINE_AA)
        cv2.circle(self.picture, self._pixel(*at), radius, colour, -1, cv2.LINE_AA)


def _array(values: Tensor) -> Floats:
    found: Floats = values.detach().float().cpu().numpy()
    return found
