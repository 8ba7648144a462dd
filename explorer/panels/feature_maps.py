"""FeatureMapsPanel: an artefact's maps as the same mosaic, reduced here, not by the session."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtWidgets import QWidget

from explorer import colours
from explorer.kinds import Artefact, FeatureMaps
from explorer.panels.maps import MapsPanel
from explorer.panels.mosaic import Layout, arrange
from explorer.panels.theme import DARK, Theme
from explorer.panels.unit_page import sorted_units
from explorer.views import GAP, Handle, Order, Range, Rendered, Statistics, View, grid_columns

ORDERS_HERE: tuple[Order, ...] = ("index", "max", "mean")


class FeatureMapsPanel(MapsPanel):
    """Maps (C, H, W) of an artefact; order, scale, selection and probe as for a live layer."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self._maps: FeatureMaps | None = None
        super().__init__(parent, theme=theme)
        self.view_wanted.connect(self._answer_view)
        self.value_wanted.connect(self._answer_value)
        self.unit_wanted.connect(self._answer_unit)

    def show_artefact(self, artefact: Artefact) -> None:
        """Show the maps; order and scale stay as they were chosen."""
        assert isinstance(artefact, FeatureMaps)
        self.artefact = self._maps = artefact
        self.point = artefact.name
        self.draw(artefact)

    def title(self) -> str:
        """The item, as every other panel of a group is called; the group stands on the dock."""
        return self._maps.item if self._maps is not None else self.point

    def draw(self, artefact: Artefact) -> None:
        """Reduce and show."""
        assert isinstance(artefact, FeatureMaps)
        self.show_rendered(rendered_from(artefact, self.wanted()))

    def cycle_order(self) -> None:
        """Index, maximum, mean."""
        place = ORDERS_HERE.index(self.order) if self.order in ORDERS_HERE else -1
        self.set_order(ORDERS_HERE[(place + 1) % len(ORDERS_HERE)])

    def _answer_view(self, view: View) -> None:
        if self._maps is not None:
            self.show_rendered(rendered_from(self._maps, view))

    def _answer_value(self, asked: tuple[Handle, int, int, int]) -> None:
        handle, unit, y, x = asked
        if self._maps is not None:
            self.show_value(handle, unit, y, x, float(self._maps.maps[unit, y, x]))

    def _answer_unit(self, asked: tuple[Handle, int]) -> None:
        handle, unit = asked
        if self._maps is not None:
            self.show_unit(handle, unit, self._maps.maps[unit])


def statistics_of(maps: npt.NDArray[np.float32]) -> Statistics:
    """Exact numbers about maps (C, H, W); what is not finite is counted and left out."""
    finite = np.isfinite(maps)
    flat, kept = maps.reshape(len(maps), -1), finite.reshape(len(maps), -1)
    low = np.where(kept, flat, np.inf).min(1)
    high = np.where(kept, flat, -np.inf).max(1)
    low, high = (np.where(np.isfinite(v), v, 0).astype(np.float32) for v in (low, high))
    mean = np.where(kept, flat, 0).sum(1) / np.maximum(kept.sum(1), 1)
    return Statistics(
        low=float(low.min()),
        high=float(high.max()),
        mean=float(mean.mean()),
        zeros=float((flat == 0).mean()),
        not_finite=int(finite.size - finite.sum()),
        dead=int((low == high).sum()) if flat.shape[1] > 1 else 0,
        unit_low=low,
        unit_high=high,
        unit_mean=mean.astype(np.float32),
    )


def rendered_from(artefact: FeatureMaps, view: View) -> Rendered:
    """The maps of an artefact as the session would render them for ``view``."""
    maps = np.asarray(artefact.maps, np.float32)
    numbers = statistics_of(maps)
    order = np.asarray(view.units, np.int64) if view.units else sorted_units(numbers, view.order)
    limits = _limits(maps, order, view.range, view.limits, numbers)
    if limits.ndim == 1:
        index = colours.index_of(maps[order], float(limits[0]), float(limits[1]))
    else:
        each = zip(order, limits.tolist(), strict=True)
        index = np.stack([colours.index_of(maps[u], low, high) for u, (low, high) in each])
    count, (height, width) = len(order), maps.shape[1:]
    columns = view.columns or grid_columns(count, width, height, view.aspect)
    layout = Layout(count, columns, (height, width), (height, width), gap=1)
    return Rendered(
        view=view,
        index=arrange(index, layout, GAP),
        limits=limits,
        order=order,
        tile=(height, width),
        columns=columns,
        gap=1,
        reduced=1,
        shape=(1, *maps.shape),
        dtype=str(artefact.maps.dtype),
        kind=artefact.unit or "maps",
        statistics=numbers,
        handle=Handle(artefact.name, -1, 0, artefact.run, artefact.frame),
        affine=artefact.affine,
        map_size=(height, width),
        notes=(artefact.note,) if artefact.note else (),
    )


def _limits(
    maps: npt.NDArray[np.float32],
    order: npt.NDArray[np.int64],
    span: Range,
    frozen: tuple[float, float],
    numbers: Statistics,
) -> npt.NDArray[np.float32]:
    """(2,) for all, or (N, 2) for each unit shown; from zero, or symmetric when signed."""
    if span == "frozen":
        return np.asarray(frozen, np.float32)
    if span == "unit":
        low, high = numbers.unit_low[order], numbers.unit_high[order]
        reach = np.maximum(np.abs(low), np.abs(high))
        ends = (-reach, reach) if numbers.low < 0 else (np.zeros_like(low), high)
        return np.stack(ends, 1).astype(np.float32)
    finite = maps[np.isfinite(maps)]
    p1, p99 = np.percentile(finite, (1, 99)).tolist() if finite.size else (0.0, 0.0)
    if numbers.low < 0:
        most = max(abs(p1), abs(p99)) or max(-numbers.low, numbers.high)
        return np.asarray((-most, most), np.float32)
    return np.asarray((0.0, p99 or numbers.high), np.float32)
