"""Paint cells of the large map of a unit: what is painted is set to zero."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, QRectF, Signal, Slot
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QToolButton, QWidget

from explorer.panels.icons import icon
from explorer.panels.maps import MapsPanel
from explorer.panels.theme import DARK, Theme

Cells = npt.NDArray[np.bool_]
TIP = "Paint zeros: drag over the map (again to pan and zoom)"


class Stroke(QGraphicsItem):
    """The cells of a stroke that is not ended yet."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: Cells = np.zeros((1, 1), bool)
        self.theme: Theme = DARK

    def show_cells(self, cells: Cells) -> None:
        """Draw these cells (H, W)."""
        self.prepareGeometryChange()
        self.cells = cells
        self.update()

    def boundingRect(self) -> QRectF:
        """The whole map."""
        return QRectF(0, 0, self.cells.shape[1], self.cells.shape[0])

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        """Fill the cells in the colour of edits."""
        colour = self.theme.colour("edited")
        colour.setAlphaF(0.75)
        for y, x in np.argwhere(self.cells).tolist():
            painter.fillRect(QRectF(x, y, 1, 1), colour)


class Brush(QObject):
    """A button in the header of the large map; while it is down, a drag paints.

    Signals:
        painted: ``(point, unit, cells)`` with cells (H, W) when a stroke ends.
    """

    painted = Signal(object)

    def __init__(self, panel: MapsPanel) -> None:
        super().__init__(panel)
        self._panel = panel
        self._last: tuple[float, float] | None = None
        self.stroke = Stroke()
        detail = panel.detail
        detail.view.add(self.stroke, 40)
        self.button = QToolButton(detail)
        self.button.setCheckable(True)
        self.button.setAccessibleName("Paint zeros")
        self.button.setToolTip(TIP)
        self.button.setIcon(icon("brush", panel.theme, 16))
        self.button.toggled.connect(self._arm)
        detail.header.extra.insertWidget(0, self.button)
        detail.view.dragged.connect(self._drag)

    @Slot(bool)
    def _arm(self, on: bool) -> None:
        self._panel.detail.view.drag_mode = "paint" if on else "pan"
        self.stroke.theme = self._panel.theme
        self.button.setIcon(icon("brush", self._panel.theme, 16, "edited" if on else "text"))

    @Slot(object)
    def _drag(self, drag: tuple[tuple[float, float], tuple[float, float], bool]) -> None:
        start, now, finished = drag
        page, unit = self._panel.page, self._panel.selected
        if page is None or unit is None:
            return
        size = page.rendered.map_size
        fresh = self._last is None or self.stroke.cells.shape != size
        cells = np.zeros(size, bool) if fresh else self.stroke.cells
        self.stroke.show_cells(cells | line(self._last or start, now, size))
        self._last = None if finished else now
        if finished:
            whole = self.stroke.cells
            self.stroke.show_cells(np.zeros(size, bool))
            if whole.any():
                self.painted.emit((self._panel.point, unit, whole))


def line(start: tuple[float, float], end: tuple[float, float], size: tuple[int, int]) -> Cells:
    """Cells (H, W) of a map that a straight stroke between two places (x, y) passes."""
    cells = np.zeros(size, bool)
    length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    count = int(2 * length) + 2
    x = np.floor(np.linspace(start[0], end[0], count)).astype(int)
    y = np.floor(np.linspace(start[1], end[1], count)).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0])
    cells[y[inside], x[inside]] = True
    return cells
