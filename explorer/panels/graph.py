"""GraphPanel: a directed graph in layers; values colour the nodes, weights thicken the edges."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QWidget

from explorer import colours
from explorer.kinds import Artefact, Graph
from explorer.panels.graph_view import Drawing, GraphView
from explorer.panels.matrix import extremes
from explorer.panels.panel import Panel, Probed
from explorer.panels.theme import DARK, Theme
from explorer.panels.wording import MINUS, number_text

THIN, THICK = 1.0, 6.0


def brief(value: float) -> str:
    """Two places after the point for numbers that are near 1, so that they stand alike."""
    if abs(value) >= 100:
        return number_text(value, 2)
    return f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS)  # and no minus before 0.00


class GraphPanel(Panel):
    """The places of the nodes stay while the graph is the same, so that only numbers move."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.view = GraphView()
        super().__init__(parent, theme=theme)
        self.set_body(self.view)
        self.view.hovered.connect(self._hover)
        self.view.clicked.connect(self._click)

    def facts(self, artefact: Artefact) -> str:
        """How many nodes and edges."""
        assert isinstance(artefact, Graph)
        parts = (f"{len(artefact.nodes)} nodes", f"{len(artefact.edges)} edges", artefact.unit)
        return " · ".join(part for part in parts if part)

    def draw(self, artefact: Artefact) -> None:
        """Colour the nodes by value, size the edges by weight; both are written where they fit."""
        assert isinstance(artefact, Graph)
        weights = np.nan_to_num(np.asarray(artefact.weights, np.float64))
        top = float(np.abs(weights).max()) if weights.size else 0.0
        widths = THIN + (THICK - THIN) * np.abs(weights) / (top or 1.0)
        self.view.show_drawing(
            Drawing(
                tuple(artefact.nodes),
                artefact.edges,
                tuple(widths.tolist()),
                tuple((weights < 0).tolist()),
                self._fills(artefact),
                frozenset(artefact.chosen),
                tuple(map(brief, artefact.values.tolist())),
                tuple(map(brief, artefact.weights.tolist())),
            )
        )

    def reset_zoom(self) -> None:
        """Show all."""
        self.view.reset_zoom()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.view.set_theme(theme)
        if self.artefact is not None:
            self.draw(self.artefact)

    def _fills(self, artefact: Graph) -> tuple[QColor, ...]:
        values = artefact.values
        self.colour_bar.setVisible(len(values) > 0)
        if not len(values):
            return ()
        found = extremes(values)
        low, high = colours.limits_for(*found)
        table = colours.table(colours.map_for(*found))
        self.colour_bar.show_range(table, low, high, unit=artefact.unit, data=found)
        index = colours.index_of(values, low, high)
        return tuple(QColor(*(int(v) for v in table[i][:3])) for i in index)

    def _words(self, found: tuple[str, int]) -> str:
        graph = self.artefact
        assert isinstance(graph, Graph)
        kind, index = found
        if kind == "edge":
            a, b = (graph.nodes[int(n)] for n in graph.edges[index])
            weight = (
                f": {number_text(float(graph.weights[index]), 4)}" if len(graph.weights) else ""
            )
            return f"{a} → {b}{weight}"
        value = f": {number_text(float(graph.values[index]), 4)}" if len(graph.values) else ""
        into, out = (int((graph.edges[:, side] == index).sum()) for side in (1, 0))
        return f"{graph.nodes[index]}{value} · {into} in, {out} out"

    def _hover(self, found: tuple[str, int] | None) -> None:
        self.view.words = self._words(found) if found is not None else ""
        self.probed.emit(Probed(self.view.words) if found is not None else None)

    def _click(self, node: int) -> None:
        knob = self.artefact.gestures.get("pick") if self.artefact is not None else None
        if knob:
            self.gestured.emit((knob, node))
