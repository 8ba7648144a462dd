"""The parts of a MapsPanel and how they stand: mosaic beside large map, strip below, or a state."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from explorer.panels.mosaic_view import MosaicView
from explorer.panels.states import EmptyState, LoadingState
from explorer.panels.theme import SPACE_S, Theme
from explorer.panels.unit_detail import UnitDetail
from explorer.panels.unit_strip import UnitStrip

SIDE_BY_SIDE_FROM = 560  # px of width from which the large map stands beside the mosaic
KEYS = (
    ("Ctrl+K", "go to a layer by name"),
    ("← →", "walk through the units"),
    ("S", "order of the units"),
    ("N", "one scale for the layer, or one a unit"),
)


class MapsBody(QStackedWidget):
    """Shows one of: the empty state, the loading state, the maps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view, self.detail, self.strip = MosaicView(), UnitDetail(), UnitStrip()
        self.empty = EmptyState(
            "No layer chosen",
            "Tick a layer in the tree and its units appear here, live, while the network runs.",
            KEYS,
        )
        self.loading = LoadingState()
        self.content = QWidget()
        rows = QVBoxLayout(self.content)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(SPACE_S)
        self._splitter = QSplitter(Qt.Orientation.Horizontal)
        for part in (self.view, self.detail):
            self._splitter.addWidget(part)
        self._splitter.setSizes([700, 300])
        self._splitter.setStretchFactor(0, 7)
        self._splitter.setStretchFactor(1, 3)
        self._splitter.setCollapsible(0, False)
        rows.addWidget(self._splitter, 1)
        rows.addWidget(self.strip)
        for page in (self.empty, self.loading, self.content):
            self.addWidget(page)
        self.detail.hide()
        self.strip.hide()

    def fit_width(self, width: int) -> None:
        """Large map beside the mosaic where there is room, below it where there is not."""
        across = width >= SIDE_BY_SIDE_FROM
        way = Qt.Orientation.Horizontal if across else Qt.Orientation.Vertical
        if way != self._splitter.orientation():
            self._splitter.setOrientation(way)
            self._splitter.setSizes([700, 300] if across else [500, 500])

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        for part in (self.view, self.detail, self.strip, self.empty, self.loading):
            part.set_theme(theme)
