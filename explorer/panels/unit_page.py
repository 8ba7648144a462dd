"""UnitPage: the tiles of a rendered layer shown at once, and what can be read from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explorer.kinds import Array
from explorer.panels.mosaic import tiles_of
from explorer.panels.unit_detail import UnitNumbers
from explorer.panels.wording import number_text
from explorer.views import GAP, NOT_FINITE, TOP, Order, Rendered, Statistics

PAGE = 1024  # units shown at once

Receptive = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class UnitPage:
    """Tiles (N, h, w) of ``units`` (N,); index 0 stands for ``low`` (N,), 253 for ``high``."""

    rendered: Rendered
    tiles: npt.NDArray[np.uint8]
    units: npt.NDArray[np.int64]
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]

    @classmethod
    def of(cls, rendered: Rendered, number: int) -> UnitPage:
        """Page ``number`` of a layer; all of it when it fits, or when it came as one page."""
        tiles, units, limits = tiles_of(rendered), rendered.order, rendered.limits
        if limits.ndim == 1:
            limits = np.broadcast_to(limits, (len(units), 2))
        if len(units) > PAGE:
            part = slice(number * PAGE, (number + 1) * PAGE)
            tiles, units, limits = tiles[part], units[part], limits[part]
        return cls(rendered, tiles, units, limits[:, 0], limits[:, 1])

    @property
    def numbers(self) -> Statistics:
        """Statistics of the whole layer."""
        return self.rendered.statistics

    @property
    def count(self) -> int:
        """Units of the whole layer."""
        return len(self.rendered.statistics.unit_high)

    @property
    def pages(self) -> int:
        """Pages of the whole layer."""
        return max(1, math.ceil(self.count / PAGE))

    @property
    def is_map(self) -> bool:
        """A tile is the map of a unit, with a place to look at; not a number, not a matrix."""
        return self.rendered.unit == "unit" and max(self.rendered.map_size) > 1

    def position_of(self, unit: int | None) -> int | None:
        """Where a unit stands among the tiles."""
        if unit is None:
            return None
        found = np.flatnonzero(self.units == unit)
        return int(found[0]) if len(found) else None

    def constant(self, unit: int) -> bool:
        """The map has one value everywhere."""
        numbers = self.numbers
        return self.is_map and bool(numbers.unit_low[unit] == numbers.unit_high[unit])

    def dead(self) -> list[int]:
        """Positions of constant units."""
        if not self.is_map:
            return []
        flat = self.numbers.unit_low == self.numbers.unit_high
        return [int(i) for i in np.flatnonzero(flat[self.units])]

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """(y, x) of the cell under a tile position, in the full map."""
        height, width = self.rendered.map_size
        step = self.rendered.reduced
        return min(int(y * step), height - 1), min(int(x * step), width - 1)

    def on_input(self, x: float, y: float) -> tuple[float, float] | None:
        """Input position of a tile position."""
        affine, step = self.rendered.affine, self.rendered.reduced
        return affine.to_input(x * step, y * step) if affine is not None else None

    def receptive(self, x: float, y: float) -> Receptive | None:
        """(x1, y1, x2, y2) in input pixels that the cell under a tile position sees."""
        rendered = self.rendered
        if rendered.affine is None or rendered.receptive is None:
            return None
        row, column = self.cell(x, y)
        middle_x, middle_y = rendered.affine.to_input(column + 0.5, row + 0.5)
        width, height = rendered.receptive
        left, top = middle_x - width / 2, middle_y - height / 2
        return left, top, left + width, top + height

    def about(self, position: int, y: float, x: float) -> str:
        """The value as the picture has it, good to 1/253 of the range."""
        index = int(self.tiles[position, int(y), int(x)])
        if index == NOT_FINITE:
            return "not finite"
        low, high = float(self.low[position]), float(self.high[position])
        sign = "≥" if index == TOP else "≤" if index == 0 and low < 0 else "≈"
        return f"{sign} {number_text(low + index / TOP * (high - low))}"

    def probe_words(self, unit: int, y: int, x: int, value: str) -> str:
        """One line for the status bar."""
        point = self.rendered.view.point
        if self.rendered.unit == "token × channel":
            return f"{point}  token {y}  channel {x}  {value}"
        if self.rendered.unit == "value":
            return f"{point}  value {unit} of {self.count}  {value}"
        if self.constant(unit):
            value = f"constant {number_text(float(self.numbers.unit_high[unit]))}"
        return f"{point}  unit {unit} of {self.count}  y {y}  x {x}  {value}"

    def unit_numbers(self, position: int, exact: Array | None) -> UnitNumbers:
        """What the large view writes about the unit at ``position``."""
        unit, numbers = int(self.units[position]), self.numbers
        if exact is not None:
            zeros = float((exact == 0).mean())
        else:
            zero = -self.low[position] / max(self.high[position] - self.low[position], 1e-30) * TOP
            zeros = float((np.abs(self.tiles[position] - float(zero)) <= 0.5).mean())
        return UnitNumbers(
            unit,
            self.count,
            float(numbers.unit_mean[unit]),
            float(numbers.unit_low[unit]),
            float(numbers.unit_high[unit]),
            zeros,
            exact is not None,
            self.rendered.reduced,
        )

    def values(self) -> npt.NDArray[np.float32]:
        """The tiles as values (N, h, w), NaN where they are not finite."""
        span = (self.high - self.low)[:, None, None]
        values = self.low[:, None, None] + self.tiles / np.float32(TOP) * span
        return np.where(self.tiles == NOT_FINITE, np.nan, values).astype(np.float32)


def sorted_units(numbers: Statistics, order: Order) -> npt.NDArray[np.int64]:
    """All units in an order that their statistics decide; others are by index."""
    if order == "max":
        return np.argsort(-numbers.unit_high, kind="stable")
    if order == "mean":
        return np.argsort(-numbers.unit_mean, kind="stable")
    return np.arange(len(numbers.unit_high))


def checkered(index: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Every second pixel of what is not finite in the colour of the gap: a checker, not a flat."""
    found = index.copy()
    rows, columns = np.nonzero(index == NOT_FINITE)
    odd = (rows + columns) % 2 == 1
    found[rows[odd], columns[odd]] = GAP
    return found
