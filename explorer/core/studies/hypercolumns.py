"""The values of all layers at one pixel: Hariharan et al., "Hypercolumns for Object Segmentation
and Fine-Grained Localization", 2015.

``f_i = sum_k alpha_ik F_k``: bilinear weights at the pixel's true place in each map, half-pixel
centres (align_corners False); beyond the outermost centres the outermost cells count alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from explorer.kinds import Affine

FINER = 4  # cells a pixel, from which on sampling a layer first is cheaper than its products


@dataclass(frozen=True, slots=True)
class Raster:
    """A grid of ``height`` x ``width`` pixels; ``affine`` leads from them to input pixels."""

    height: int
    width: int
    affine: Affine

    def centre(self, index: int) -> tuple[float, float]:
        """Input position of a pixel, counted row by row."""
        row, column = divmod(index, self.width)
        return self.affine.to_input(column + 0.5, row + 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Lerp:
    """Linear interpolation along one axis: position n is ``(1 - share) low + share high``."""

    low: Tensor
    high: Tensor
    share: Tensor

    @classmethod
    def at(cls, positions: Tensor, length: int) -> Lerp:
        """Of positions (N,) in continuous cells (cell i spans i to i + 1) on ``length`` cells."""
        u = (positions.double() - 0.5).clamp(0, length - 1)
        u = torch.where((u - u.round()).abs() < 1e-9, u.round(), u)  # rounding of the affine
        low = u.floor().clamp(max=max(0, length - 2)).long()
        return cls(low, (low + 1).clamp(max=length - 1), (u - low).float())

    @property
    def direct(self) -> bool:
        """Whether position n is cell n."""
        cells = torch.arange(len(self.low), device=self.low.device)
        return bool(((self.low == cells) | (self.high == cells)).all()) and bool(
            (torch.where(self.low == cells, self.share, 1 - self.share) == 0).all()
        )

    def along(self, x: Tensor, axis: int) -> Tensor:
        """Interpolate ``x`` along ``axis``."""
        shape = [1] * x.ndim
        shape[axis] = -1
        share = self.share.to(x.dtype).view(shape)
        low, high = x.index_select(axis, self.low), x.index_select(axis, self.high)
        return low + share * (high - low)

    def matrix(self, length: int) -> Tensor:
        """(N, length): the weights of each position."""
        return self._filled(length, 1 - self.share, self.share)

    def squared(self, length: int) -> Tensor:
        """(N, length): the squares of the weights."""
        return self._filled(length, (1 - self.share).square(), self.share.square())

    def crossed(self, length: int) -> Tensor:
        """(N, length - 1): twice the product of both weights, at the lower cell."""
        if length == 1:
            return self.share.new_zeros(len(self.share), 0)
        made = self.share.new_zeros(len(self.share), length - 1)
        rows = torch.arange(len(made), device=made.device)
        made[rows, self.low] = 2 * self.share * (1 - self.share)
        return made

    def _filled(self, length: int, low: Tensor, high: Tensor) -> Tensor:
        made = self.share.new_zeros(len(self.share), length)
        made.scatter_add_(1, self.low[:, None], low[:, None])
        return made.scatter_add_(1, self.high[:, None], high[:, None])


def alphas(affine: Affine, size: tuple[int, int], x: float, y: float) -> tuple[Lerp, Lerp]:
    """Rows and columns, one each, of the cells that an input pixel reads of a map (h, w)."""
    column, row = affine.to_grid(x, y)
    rows = Lerp.at(torch.tensor([row], dtype=torch.float64), size[0])
    return rows, Lerp.at(torch.tensor([column], dtype=torch.float64), size[1])


def hypercolumn(
    maps: Sequence[Tensor], affines: Sequence[Affine], x: float, y: float
) -> list[Tensor]:
    """The values (C,) of each layer's maps (C, h, w) at an input position, of 4 cells a map."""
    found = []
    for values, affine in zip(maps, affines, strict=True):
        rows, columns = alphas(affine, (values.shape[1], values.shape[2]), x, y)
        top, bottom, b = int(rows.low), int(rows.high), float(rows.share)
        left, right, a = int(columns.low), int(columns.high), float(columns.share)
        upper = torch.lerp(values[:, top, left].float(), values[:, top, right].float(), a)
        lower = torch.lerp(values[:, bottom, left].float(), values[:, bottom, right].float(), a)
        found.append(torch.lerp(upper, lower, b))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """One layer over a raster: ``cells`` (C, h, w), to be interpolated unless they are pixels."""

    cells: Tensor
    rows: Lerp
    columns: Lerp
    direct: bool
    down: Tensor  # (H, h)
    across: Tensor  # (W, w)

    @classmethod
    def over(cls, maps: Tensor, affine: Affine, raster: Raster) -> _Layer:
        rows, columns = _places(affine, maps.shape, raster, maps.device)
        cells = maps.detach().float()
        direct = maps.shape[1:] == (raster.height, raster.width) and rows.direct and columns.direct
        if not direct and cells[0].numel() > FINER * raster.height * raster.width:
            cells, direct = columns.along(rows.along(cells, 1), 2), True
        none = cells.new_zeros(0, 0)
        return cls(
            cells.contiguous(), rows, columns, direct,
            none if direct else rows.matrix(cells.shape[1]),
            none if direct else columns.matrix(cells.shape[2]),
        )  # fmt: skip

    def dot(self, vectors: Tensor) -> Tensor:
        """(C, k) to (k, H, W). Interpolation is linear: products first, on the few cells."""
        units, height, width = self.cells.shape
        products = (vectors.T @ self.cells.view(units, -1)).view(-1, height, width)
        return products if self.direct else self.down @ products @ self.across.T

    def gather(self, weights: Tensor) -> Tensor:
        """(k, H, W) to (C, k): the transpose of `dot`."""
        folded = weights if self.direct else self.down.T @ weights @ self.across
        return self.cells.flatten(1) @ folded.flatten(1).T

    def squares(self) -> Tensor:
        """Squared length (H, W) of the interpolated vectors, from products of neighbour cells."""
        f = self.cells
        alone = _products(f, f)
        if self.direct:
            return alone
        right = _products(f[:, :, :-1], f[:, :, 1:])
        below = _products(f[:, :-1], f[:, 1:])
        falling = _products(f[:, :-1, :-1], f[:, 1:, 1:])
        rising = _products(f[:, :-1, 1:], f[:, 1:, :-1])
        height, width = f.shape[1:]
        rows, rows_crossed = self.rows.squared(height), self.rows.crossed(height)
        columns, columns_crossed = self.columns.squared(width), self.columns.crossed(width)
        return (
            rows @ (alone @ columns.T + right @ columns_crossed.T)
            + rows_crossed @ (below @ columns.T + 0.5 * (falling + rising) @ columns_crossed.T)
        )  # fmt: skip


class Hypercolumns:
    """The hypercolumns (D,) of all pixels of a raster, as a matrix (N, D) that is never built.

    Whatever is linear in them is computed on each layer's own cells and only then interpolated:
    exact, at the cost of the layers' values instead of N * D. A layer with many more cells than
    the raster has pixels is sampled at the pixels once.

    Args:
        maps: (C, h, w) of each layer. ``affines``: from their cells to input pixels.
        scales: factor of each layer; 1 when left out.
    """

    def __init__(
        self,
        maps: Sequence[Tensor],
        affines: Sequence[Affine],
        raster: Raster,
        scales: Sequence[float] | None = None,
    ) -> None:
        self.raster = raster
        self.maps, self.affines = tuple(maps), tuple(affines)
        self.lengths = [len(m) for m in maps]
        self.scales = tuple(scales) if scales is not None else (1.0,) * len(self.maps)
        self._layers = [_Layer.over(*pair, raster) for pair in zip(maps, affines, strict=True)]
        self._squares: Tensor | None = None
        self._mean: Tensor | None = None

    @property
    def count(self) -> int:
        """Pixels of the raster."""
        return self.raster.height * self.raster.width

    def at(self, x: float, y: float) -> Tensor:
        """The hypercolumn (D,) of an input position, scaled."""
        parts = hypercolumn(self.maps, self.affines, x, y)
        return torch.cat([s * part for s, part in zip(self.scales, parts, strict=True)])

    def dot(self, vectors: Tensor) -> Tensor:
        """Inner products (k, H, W) of all hypercolumns with vectors (D, k)."""
        parts = torch.split(vectors, self.lengths)
        made = [
            layer.dot(scale * part)
            for layer, part, scale in zip(self._layers, parts, self.scales, strict=True)
        ]
        return torch.stack(made).sum(0)

    def gather(self, weights: Tensor) -> Tensor:
        """Weighted sums (D, k) of all hypercolumns; weights (k, H, W)."""
        pairs = zip(self._layers, self.scales, strict=True)
        return torch.cat([scale * layer.gather(weights) for layer, scale in pairs])

    def squares(self) -> Tensor:
        """Squared lengths (H, W); computed once."""
        if self._squares is None:
            pairs = zip(self._layers, self.scales, strict=True)
            parts = [scale**2 * layer.squares() for layer, scale in pairs]
            self._squares = torch.stack(parts).sum(0).clamp_min(0)
        return self._squares

    def mean(self) -> Tensor:
        """Mean hypercolumn (D,); computed once."""
        if self._mean is None:
            one = self.maps[0].new_ones(1, self.raster.height, self.raster.width).float()
            self._mean = self.gather(one)[:, 0] / self.count
        return self._mean


def similarity(columns: Hypercolumns, vector: Tensor, origin: Tensor | None = None) -> Tensor:
    """Cosine (H, W) of the angle between ``vector`` (D,) and each hypercolumn, as seen from
    ``origin`` (D,; zero when left out). 0 where either has no length.
    """
    squares = columns.squares()
    if origin is None:
        products = columns.dot(vector[:, None])[0]
        own = vector.double().square().sum()
    else:
        # <v - m, h - m> and |h - m|^2 from products with h, so that no stack is built.
        away = vector - origin
        both = columns.dot(torch.stack([away, origin], 1))
        products = both[0] - away @ origin
        squares = (squares - 2 * both[1] + origin @ origin).clamp_min(0)
        own = away.double().square().sum()
    length = squares.double().sqrt() * own.sqrt()
    cosine = torch.where(length > 0, products / length.clamp_min(1e-30), 0.0)
    return cosine.clamp(-1, 1).float()


def even_scales(maps: Sequence[Tensor]) -> list[float]:
    """1 over the root mean square length of each layer's vectors, so that none drowns the others;
    0 for a layer of zeros.
    """
    powers = [float(m.float().square().sum() / max(1, m[0].numel())) for m in maps]
    return [power**-0.5 if 0 < power < float("inf") else 0.0 for power in powers]


def _places(
    affine: Affine, shape: Sequence[int], raster: Raster, device: torch.device
) -> tuple[Lerp, Lerp]:
    """How the raster's rows and columns lie in a map (C, h, w)."""
    x = torch.arange(raster.width, dtype=torch.float64, device=device) + 0.5
    y = torch.arange(raster.height, dtype=torch.float64, device=device) + 0.5
    x = (raster.affine.sx * x + raster.affine.tx - affine.tx) / affine.sx
    y = (raster.affine.sy * y + raster.affine.ty - affine.ty) / affine.sy
    return Lerp.at(y, shape[1]), Lerp.at(x, shape[2])


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Inner products (h, w) over the units of (C, h, w)."""
    found: Tensor = torch.linalg.vecdot(a, b, dim=0)
    return found
