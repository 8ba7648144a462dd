"""GroupPanel: all items of one artefact group in a grid, each in the panel of its kind."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from explorer.kinds import Array, Artefact, Matrix
from explorer.panels import panel_class
from explorer.panels.matrix import extremes
from explorer.panels.panel import Panel
from explorer.panels.picture import PicturePanel
from explorer.panels.theme import DARK, SPACE_M, SPACE_XS, Theme
from explorer.views import grid_columns

CELL = (4, 3)  # width to height that items are best seen at
LEAST = (200, 150)  # px: smaller items are scrolled instead


class GroupPanel(QWidget):
    """Items stand in the order in which they came; the grid fills the dock.

    Signals:
        gestured, probed, said: those of the items, see `Panel`.
    """

    gestured = Signal(object)
    probed = Signal(object)
    said = Signal(str)

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        super().__init__(parent)
        self.theme = theme
        self.panels: dict[str, Panel] = {}
        self._kinds: dict[str, type[Artefact]] = {}
        self._background: Array | None = None
        self._columns = 0
        self._hovered: Panel | None = None
        content = QWidget()
        self._grid = QGridLayout(content)
        self._scroll = QScrollArea(self)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(content)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._scroll)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(SPACE_XS)
        self._empty = QLabel("Nothing yet: results appear here while the network runs.", self)
        self._empty.setProperty("role", "muted")
        self._empty.setWordWrap(True)
        self._empty.setContentsMargins(SPACE_M, SPACE_M, SPACE_M, SPACE_M)
        self._grid.addWidget(self._empty, 0, 0)

    def add(self, artefact: Artefact) -> None:
        """Show an artefact in its item's panel; a new item, or another kind, gets a new one."""
        panel = self.panels.get(artefact.item)
        if panel is None or self._kinds[artefact.item] is not type(artefact):
            panel = self._replace(artefact)
        panel.show_artefact(artefact)
        if isinstance(artefact, Matrix):
            self._share_scale()

    def _share_scale(self) -> None:
        """One range for all matrices of the group that do not ask for their own."""
        shown = [p for p in self.panels.values() if isinstance(p.artefact, Matrix)]
        for scale in ("sequential", "diverging"):
            alike = [p for p in shown if getattr(p.artefact, "scale", "") == scale]
            ranges = [
                extremes(p.arrays()["values"])
                for p in alike
                if not getattr(p.artefact, "own_scale", True)
            ]
            if len(ranges) > 1:
                limits = min(low for low, _ in ranges), max(high for _, high in ranges)
                for panel in alike:
                    panel.set_shared(limits)  # type: ignore[attr-defined]

    def show_cursor(self, input_xy: tuple[float, float] | None) -> None:
        """Show the linked cursor in every item but the one that the mouse is on."""
        for panel in self.panels.values():
            if panel is not self._hovered:
                panel.show_cursor(input_xy)

    def set_background(self, image: Array | None) -> None:
        """The input picture (H, W, 3) that fields, boxes, masks and points lie on."""
        self._background = image
        for item, panel in self.panels.items():
            self._lay_under(item, panel)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.theme = theme
        for panel in self.panels.values():
            panel.set_theme(theme)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Choose the columns anew."""
        super().resizeEvent(event)
        self._arrange()

    def _replace(self, artefact: Artefact) -> Panel:
        old = self.panels.get(artefact.item)
        if old is not None:
            old.hide()
            old.setParent(None)
            old.deleteLater()
        panel = panel_class(type(artefact).__name__)(self, theme=self.theme)
        panel.setMinimumSize(120, LEAST[1])
        panel.gestured.connect(self.gestured)
        panel.probed.connect(self._probed)
        panel.said.connect(self.said)
        self.panels[artefact.item] = panel
        self._kinds[artefact.item] = type(artefact)
        self._lay_under(artefact.item, panel)
        self._columns = 0
        self._arrange()
        panel.show()
        return panel

    def _lay_under(self, item: str, panel: Panel) -> None:
        if isinstance(panel, PicturePanel) and self._kinds[item].__name__ != "Image":
            panel.set_background(self._background)

    def _arrange(self) -> None:
        self._empty.setVisible(not self.panels)
        if not self.panels:
            return
        aspect = self.width() / max(1, self.height())
        fitting = max(1, self.width() // LEAST[0])
        columns = min(fitting, grid_columns(len(self.panels), *CELL, aspect))
        if columns == self._columns:
            return
        self._columns = columns
        for place, panel in enumerate(self.panels.values()):
            self._grid.addWidget(panel, place // columns, place % columns)
        rows = -(-len(self.panels) // columns)
        for i in range(max(self._grid.columnCount(), self._grid.rowCount())):
            self._grid.setColumnStretch(i, 1 if i < columns else 0)
            self._grid.setRowStretch(i, 1 if i < rows else 0)

    @Slot(object)
    def _probed(self, probe: Any) -> None:
        sender = self.sender()
        self._hovered = sender if isinstance(sender, Panel) and probe is not None else None
        self.probed.emit(probe)
        if probe is not None:
            self.show_cursor(probe.input_xy)
