"""ScatterPanel: points in a plane, each class with a colour and a shape, on limits that stay."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from PySide6.QtWidgets import QWidget

from explorer.kinds import Array, Artefact, Scatter
from explorer.panels.panel import Probed
from explorer.panels.plot_panel import PlotPanel, Reading
from explorer.panels.plotting import pg
from explorer.panels.series import marker, series_colour
from explorer.panels.theme import DARK, Theme
from explorer.panels.wording import number_text

CLASSES = 40  # more distinct labels than these are drawn alike, and named by the probe
REACH = 14.0  # px around the mouse in which a point is found

Limits = tuple[float, float, float, float]


def natural(label: str) -> list[tuple[int, str]]:
    """Key that sorts "class 2" before "class 10"."""
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", label)]


class ScatterPanel(PlotPanel):
    """Limits grow with the points of a run and never shrink, so that points do not jump."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self._spots: dict[str, Any] = {}
        self._limits: Limits | None = None
        self._run = -1
        self._ring: Any = None
        super().__init__(parent, theme=theme)
        self.plot.clicked.connect(self._click)

    def facts(self, artefact: Artefact) -> str:
        """How many points, of how many classes."""
        assert isinstance(artefact, Scatter)
        classes = len(set(artefact.labels))
        parts = [f"{len(artefact.points)} points", f"{classes} classes" if classes else ""]
        return " · ".join(part for part in (*parts, artefact.unit) if part)

    def draw(self, artefact: Artefact) -> None:
        """One item a class, kept from frame to frame."""
        assert isinstance(artefact, Scatter)
        points = np.asarray(artefact.points, np.float64)
        whole = np.isfinite(points).all(1)
        labels = np.array(artefact.labels or [""] * len(points), object)
        classes = sorted(set(labels.tolist()), key=natural)  # a class keeps its colour
        if len(classes) > CLASSES:
            labels, classes = np.array([""] * len(points), object), [""]
        if list(self._spots) != classes:
            self.forget()
            self._spots = {name: self._make(i, len(points)) for i, name in enumerate(classes)}
        for i, (name, spots) in enumerate(self._spots.items()):
            mine = whole & (labels == name)
            spots.setData(points[mine, 0], points[mine, 1])
            spots.setVisible(i not in self.hidden)
        self._fit(artefact, points[whole])
        self.plot.say("" if whole.any() else "No points")
        self.show_legend([c for c in classes if c], lines=False)
        names = [*artefact.axes, "x", "y"]
        self.name_axes(names[0], names[1])

    def forget(self) -> None:
        """Make all items anew."""
        for spots in self._spots.values():
            self.plot.drop(spots)
        self._spots = {}
        if self._ring is not None:
            self.plot.drop(self._ring)
            self._ring = None

    def reset_zoom(self) -> None:
        """Fit the points of this moment."""
        self._limits = None
        self.plot.zoomed = False
        if self.artefact is not None:
            self.draw(self.artefact)

    def nearest_point(self, x: float, y: float) -> int:
        """Index of the point nearest on the screen within reach; -1 is none."""
        shown = self.artefact
        if not isinstance(shown, Scatter) or not len(shown.points):
            return -1
        width, height = self.plot.box.viewPixelSize()
        away = (np.asarray(shown.points, np.float64) - (x, y)) / (width, height)
        distance = np.hypot(away[:, 0], away[:, 1])
        for i, name in enumerate(self._spots):
            if i in self.hidden and shown.labels:
                distance[np.array(shown.labels, object) == name] = np.inf
        if not np.isfinite(distance).any():
            return -1
        at = int(np.nanargmin(distance))
        return at if distance[at] <= REACH else -1

    def read(self, x: float, y: float) -> tuple[float, str, list[Reading]] | None:
        """Points are found in the plane, see `_hover`."""
        return None

    def _hover(self, at: tuple[float, float] | None) -> None:
        index = self.nearest_point(*at) if at is not None else -1
        shown = self.artefact
        if index < 0 or not isinstance(shown, Scatter):
            if self._ring is not None:
                self._ring.hide()
            self.plot.end_read_out()
            self.probed.emit(None)
            return
        place = shown.points[index]
        label = shown.labels[index] if shown.labels else ""
        where = f"{shown.axes[0]} {number_text(place[0])}  {shown.axes[1]} {number_text(place[1])}"
        self._show_ring(place)
        words = f"{label}  #{index}".strip()
        self.plot.read_out(float(place[0]), [(None, words), (None, where)])
        self.plot.rule.hide()
        self.probed.emit(Probed(f"{words}  {where}"))

    def _show_ring(self, place: Array) -> None:
        if self._ring is None:
            pen = pg.mkPen(self.theme.colour("selected"), width=2)
            self._ring = pg.ScatterPlotItem(symbol="o", size=14, pen=pen, brush=None)
            self._ring.setZValue(40)
            self.plot.add(self._ring, bounds=False)
        self._ring.setData([float(place[0])], [float(place[1])])
        self._ring.show()

    def _click(self, at: tuple[float, float]) -> None:
        knob = self.artefact.gestures.get("pick") if self.artefact is not None else None
        if knob:
            self.gestured.emit((knob, at))

    def _make(self, index: int, count: int) -> Any:
        colour = series_colour(index, self.theme)
        colour.setAlpha(220 if count < 2000 else 130)
        size = 8 if count < 500 else 6 if count < 5000 else 4
        edge = pg.mkPen(self.theme.colour("canvas", 160), width=0.5)
        spots = pg.ScatterPlotItem(symbol=marker(index), size=size, pen=edge, brush=colour)
        self.plot.add(spots, bounds=False)
        return spots

    def _fit(self, artefact: Scatter, points: Array) -> None:
        if artefact.run != self._run:
            self._run, self._limits = artefact.run, None
        if not len(points):
            return
        (x1, y1), (x2, y2) = points.min(0), points.max(0)
        x_pad, y_pad = (x2 - x1) * 0.08 or 1.0, (y2 - y1) * 0.08 or 1.0
        old = self._limits
        if old is None or x1 < old[0] or x2 > old[1] or y1 < old[2] or y2 > old[3]:
            new = (x1 - x_pad, x2 + x_pad, y1 - y_pad, y2 + y_pad)
            a, b, c, d = old or new
            self._limits = min(a, new[0]), max(b, new[1]), min(c, new[2]), max(d, new[3])
        assert self._limits is not None
        self.plot.fit(x=self._limits[:2], y=self._limits[2:])
