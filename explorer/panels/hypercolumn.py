"""HypercolumnPanel: the values of all layers at one pixel, each layer a named band."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QTransform
from PySide6.QtWidgets import QMenu, QWidget

from explorer.kinds import Artefact, Hypercolumn
from explorer.panels.overlays import Overlay
from explorer.panels.panel import Probed
from explorer.panels.plot_panel import PlotPanel, Reading, logged
from explorer.panels.plotting import pg
from explorer.panels.series import series_colour
from explorer.panels.theme import DARK, Theme, font
from explorer.panels.wording import number_text

Band = tuple[str, int, int, float, float]  # name, first and last + 1 value, left and right on x


class Bands(Overlay):
    """Alternating grounds with the layer's name at the top of each band."""

    def __init__(self) -> None:
        super().__init__()
        self.bands: list[Band] = []
        self.box: Any = None

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """Fill every second band; write the names that fit, cut with an ellipsis, or upright."""
        area = self.box.sceneBoundingRect()
        face = font("caption")
        metrics = QFontMetrics(face)
        painter.setFont(face)
        for i, (name, _, _, left, right) in enumerate(self.bands):
            x1, x2 = (to_screen.map(QPointF(x, 0)).x() for x in (left, right))
            band = QRectF(x1, area.top(), x2 - x1, area.height()) & area
            if band.isEmpty():
                continue
            if i % 2:
                painter.fillRect(band, self.theme.colour("raised", 140))
            painter.setPen(self.theme.colour("hairline"))
            painter.drawLine(band.topLeft(), band.bottomLeft())
            painter.setPen(self.theme.colour("text"))
            wide = metrics.horizontalAdvance(name) + 6
            if wide <= band.width() or band.width() > 60:
                words = metrics.elidedText(
                    name, Qt.TextElideMode.ElideMiddle, int(band.width()) - 6
                )
                painter.drawText(band.adjusted(3, 1, -3, 0), Qt.AlignmentFlag.AlignHCenter, words)
            elif band.width() >= 14:
                painter.save()
                painter.translate(band.center().x() + 8, band.top() + 3)
                painter.rotate(90)
                room = int(band.height() * 0.45)
                words = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, room)
                painter.drawText(QRectF(0, 0, room, 16), Qt.AlignmentFlag.AlignVCenter, words)
                painter.restore()


class HypercolumnPanel(PlotPanel):
    """One step line; bands are as wide as their layer, or all the same, at a choice."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.even: bool | None = None
        self._line: Any = None
        self._bands = Bands()
        super().__init__(parent, theme=theme)
        self._bands.box = self.plot.box
        self._bands.setZValue(-50)
        self.plot.add(self._bands, bounds=False)

    def facts(self, artefact: Artefact) -> str:
        """Length, layers, and at which input pixel."""
        assert isinstance(artefact, Hypercolumn)
        x, y = artefact.at
        where = f"at x {number_text(x, 4)}, y {number_text(y, 4)}"
        parts = [f"{len(artefact.values)} values", where]
        if artefact.layers:
            parts.insert(1, f"{len(artefact.layers)} layers")
        return " · ".join(part for part in (*parts, artefact.unit) if part)

    def bands(self, artefact: Hypercolumn) -> list[Band]:
        """Where each layer lies: by its length, or all of the same width."""
        layers = artefact.layers or [(artefact.item, len(artefact.values))]
        total, first, made = len(artefact.values), 0, []
        even = self.is_even(artefact)
        for i, (name, length) in enumerate(layers):
            left = i * total / len(layers) if even else first
            right = (i + 1) * total / len(layers) if even else first + length
            made.append((name, first, first + length, float(left), float(right)))
            first += length
        return made

    def is_even(self, artefact: Hypercolumn) -> bool:
        """Equal bands when a person says so, or when the shortest layer would be too thin."""
        if self.even is not None:
            return self.even
        lengths = [n for _, n in artefact.layers]
        return bool(lengths) and min(lengths) * 40 < sum(lengths)

    def draw(self, artefact: Artefact) -> None:
        """Move the line; the bands stand behind it."""
        assert isinstance(artefact, Hypercolumn)
        if self._line is None:
            self._line = pg.PlotCurveItem(pen=pg.mkPen(series_colour(0, self.theme), width=1))
            fill = series_colour(0, self.theme)
            fill.setAlpha(130)
            self._line.setBrush(fill)
            self._line.setFillLevel(0.0)
            self.plot.add(self._line)
        self._bands.bands = self.bands(artefact)
        self._bands.theme = self.theme
        self._bands.update()
        values = logged(artefact.values, log=False)
        edges = np.concatenate(
            [np.linspace(left, right, n - first, endpoint=False)
             for _, first, n, left, right in self._bands.bands] + [[float(len(values))]]
        )  # fmt: skip
        self._line.setVisible(bool(len(values)))
        if len(values):
            self._line.setData(edges, np.nan_to_num(values), stepMode="center")
        self._edges = edges
        self.plot.say("" if len(values) else "No values yet: pick a pixel on the picture")
        finite = values[np.isfinite(values)]
        low, high = (min(finite.min(), 0.0), max(finite.max(), 0.0)) if finite.size else (0.0, 1.0)
        share = 0.2 if len(self._bands.bands) < 9 else 0.5  # for the names, level or upright
        headroom = (high - low or 1.0) * share
        self.plot.fit(x=(0.0, float(max(1, len(values)))), y=(low, high + headroom))
        self.plot.bottom.setTicks([[]] if self.is_even(artefact) else None)
        self.name_axes("unit, layer by layer", artefact.unit or "activation")

    def forget(self) -> None:
        """Make the line anew."""
        if self._line is not None:
            self.plot.drop(self._line)
            self._line = None

    def add_actions(self, menu: QMenu) -> None:
        """Width of the bands."""
        action = menu.addAction("Equal width for all layers")
        action.setCheckable(True)
        shown = self.artefact
        action.setChecked(isinstance(shown, Hypercolumn) and self.is_even(shown))
        action.toggled.connect(lambda on: self.set_even(even=on))

    def set_even(self, *, even: bool) -> None:
        """Give all layers the same width, or each as much as it has values."""
        self.even = even
        if self.artefact is not None:
            self.draw(self.artefact)

    def read(self, x: float, y: float) -> tuple[float, str, list[Reading]] | None:
        """Layer, unit and value at x."""
        column = self.artefact
        assert isinstance(column, Hypercolumn)
        at = int(np.searchsorted(self._edges, x, side="right")) - 1
        if not 0 <= at < len(column.values):
            return None
        name, first, end = next(b[:3] for b in self._bands.bands if b[1] <= at < b[2])
        value = float(column.values[at])
        words = f"unit {at - first} of {end - first}: {number_text(value, 4)}"
        return float(self._edges[at : at + 2].mean()), name, [(0, words, value)]

    def _hover(self, at: tuple[float, float] | None) -> None:
        super()._hover(at)
        column = self.artefact
        found = self.read(*at) if at is not None and column is not None else None
        if found is not None and isinstance(column, Hypercolumn):
            words = f"{found[1]}  {found[2][0][1]}"
            self.probed.emit(Probed(words, column.at))
