"""The default boxes of one network, map by map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.nn.detection.boxes import from_centres
from explorer.api import Affine

WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of the box coding: variances 0.1 and 0.2


@dataclass(frozen=True, slots=True)
class Priors:
    """The default boxes of one network.

    Attributes:
        boxes: (P, 4) in network pixels; maps in order, cells row by row, shapes of a cell together.
        grids: (height, width) of every map. per_cell: shapes of every map.
        side: of the network's square input.
    """

    boxes: Tensor
    grids: tuple[tuple[int, int], ...]
    per_cell: tuple[int, ...]
    side: int

    @property
    def counts(self) -> tuple[int, ...]:
        """Priors of every map."""
        return tuple(h * w * a for (h, w), a in zip(self.grids, self.per_cell, strict=True))

    @property
    def names(self) -> tuple[str, ...]:
        """The maps in words: ``38 × 38``."""
        return tuple(f"{height} × {width}" for height, width in self.grids)

    def levels(self) -> Tensor:
        """Index of the map of every prior (P,)."""
        counts = torch.tensor(self.counts, device=self.boxes.device)
        return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)

    def split(self, rows: Tensor) -> list[Tensor]:
        """(P, ...) as one (height, width, shapes, ...) a map."""
        return [
            part.reshape(*grid, count, *rows.shape[1:])
            for part, grid, count in zip(
                torch.split(rows, list(self.counts)), self.grids, self.per_cell, strict=True
            )
        ]

    def centres(self) -> list[Tensor]:
        """Centre x, y of the cells of every map (height, width, 2), network pixels."""
        middles = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
        return [part[:, :, 0] for part in self.split(middles)]

    def affines(self) -> list[Affine]:
        """From the cells of every map to network pixels."""
        found = []
        for centres in self.centres():
            height, width = centres.shape[:2]
            sy = float(centres[1, 0, 1] - centres[0, 0, 1]) if height > 1 else float(self.side)
            sx = float(centres[0, 1, 0] - centres[0, 0, 0]) if width > 1 else float(self.side)
            x, y = centres[0, 0].tolist()
            found.append(Affine(sx, sy, x - sx / 2, y - sy / 2))
        return found

    def reshaped(self, ratios: Sequence[float] | None, enlarge: float) -> Priors:
        """Boxes of other shapes in the same cells: what a network with them would start from.

        Args:
            ratios: each gives a wide and a high box of the first square's area, beside the two
                squares of the map; None keeps the shapes there are.
            enlarge: factor on all sides.
        """
        parts, counts = [], []
        for boxes, centres in zip(self.split(self.boxes), self.centres(), strict=True):
            sides = (boxes[..., 2:] - boxes[..., :2])[0, 0]  # (A, 2), the two squares first
            if ratios is not None:
                roots = [r for ratio in ratios for r in (ratio**0.5, ratio**-0.5)]
                high = sides.new_tensor([[r, 1 / r] for r in roots]).reshape(-1, 2)
                sides = torch.cat([sides[:2], sides[:1] * high])
            middles = centres[:, :, None].expand(-1, -1, len(sides), -1)
            spread = (enlarge * sides).expand_as(middles)
            parts.append(from_centres(torch.cat([middles, spread], -1)).reshape(-1, 4))
            counts.append(len(sides))
        return Priors(torch.cat(parts), self.grids, tuple(counts), self.side)

    def cell_at(self, x: float, y: float) -> list[tuple[int, int]]:
        """(row, column) of the cell of every map whose centre is nearest, network pixels."""
        cells = []
        for centres in self.centres():
            away = (centres - centres.new_tensor((x, y))).square().sum(2)
            cells.append(divmod(int(away.argmin()), centres.shape[1]))
        return cells
