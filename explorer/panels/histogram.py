"""HistogramPanel: counts between edges, as filled steps, one outline a series."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtWidgets import QMenu, QWidget

from explorer.kinds import Artefact, Histogram
from explorer.panels.plot_panel import PlotPanel, Reading, logged, set_log
from explorer.panels.plotting import pg
from explorer.panels.series import series_colour, series_pen
from explorer.panels.theme import DARK, Theme
from explorer.panels.wording import number_text

LOWEST = 0.5  # where bars stand on a log axis, so that a count of one has a height


class HistogramPanel(PlotPanel):
    """The first series is filled, the others are outlines with a light fill."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.log = False
        self._steps: list[Any] = []
        super().__init__(parent, theme=theme)

    def facts(self, artefact: Artefact) -> str:
        """How many values in how many bins, and their range."""
        assert isinstance(artefact, Histogram)
        counts = np.atleast_2d(artefact.counts)
        total = f"{number_text(float(np.nansum(counts[0])), 6)} values" if len(counts) == 1 else ""
        series = f"{len(counts)} series" if len(counts) > 1 else ""
        bins = f"{counts.shape[1]} bins"
        return " · ".join(part for part in (total, series, bins, artefact.unit) if part)

    def draw(self, artefact: Artefact) -> None:
        """Move the steps that there are."""
        assert isinstance(artefact, Histogram)
        rows = np.atleast_2d(artefact.counts)
        log = self.log and bool((rows > 0).any())
        set_log(self.plot, log=log)
        self._match(len(rows))
        edges = np.asarray(artefact.edges, np.float64)
        usable = rows.shape[1] > 0 and bool(np.isfinite(edges).all())
        for i, row in enumerate(rows):
            steps = self._steps[i]
            steps.setVisible(usable and i not in self.hidden)
            if not usable:
                continue
            shown = np.nan_to_num(logged(row, log=log), nan=np.log10(LOWEST) if log else 0.0)
            steps.setFillLevel(np.log10(LOWEST) if log else 0.0)
            steps.setData(edges, shown, stepMode="center")
        self.plot.say("" if usable else "No bins")
        self.show_legend(tuple(artefact.series) if len(rows) > 1 else (), markers=False)
        self.name_axes(artefact.unit or "value", "count, log scale" if log else "count")

    def forget(self) -> None:
        """Make all steps anew."""
        self._match(0)

    def add_actions(self, menu: QMenu) -> None:
        """Logarithmic counts."""
        action = menu.addAction("Logarithmic counts")
        action.setCheckable(True)
        action.setChecked(self.log)
        action.toggled.connect(lambda on: self.set_log(log=on))

    def set_log(self, *, log: bool) -> None:
        """Logarithmic or linear counts."""
        self.log = log
        if self.artefact is not None:
            self.draw(self.artefact)

    def read(self, x: float, y: float) -> tuple[float, str, list[Reading]] | None:
        """The bin at x and its counts."""
        shown = self.artefact
        assert isinstance(shown, Histogram)
        edges = np.asarray(shown.edges, np.float64)
        at = int(np.searchsorted(edges, x, side="right")) - 1
        if not 0 <= at < shown.counts.shape[-1]:
            return None
        rows = np.atleast_2d(shown.counts)
        labels = shown.series or [f"series {i}" if len(rows) > 1 else "count" for i in range(99)]
        readings: list[Reading] = [
            (i, f"{labels[i]} {number_text(float(row[at]), 6)}", float(row[at]))
            for i, row in enumerate(rows)
            if i not in self.hidden
        ]
        head = f"{number_text(edges[at])} … {number_text(edges[at + 1])} {shown.unit}".rstrip()
        return float(edges[at] + edges[at + 1]) / 2, head, readings

    def _match(self, count: int) -> None:
        while len(self._steps) > count:
            self.plot.drop(self._steps.pop())
        while len(self._steps) < count:
            i = len(self._steps)
            fill = series_colour(i, self.theme)
            fill.setAlpha(150 if i == 0 else 50)
            steps = pg.PlotCurveItem(pen=series_pen(i, self.theme), brush=fill)
            self.plot.add(steps)
            self._steps.append(steps)
