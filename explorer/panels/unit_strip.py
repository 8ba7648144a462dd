"""The strip under a layer of more than 1,024 units: one bar a unit, and which of them are shown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer.panels.theme import DARK, Theme


class UnitStrip(QWidget):
    """Bars as high as each unit's maximum, by index; a click chooses the unit.

    Where there are more units than pixels, a bar stands for the largest of its neighbours.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._values: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        self._shown: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._selected: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("One bar a unit, as high as its maximum. Click to go there.")
        self.setMouseTracking(True)

    def show_units(
        self,
        values: npt.NDArray[np.float32],
        shown: npt.NDArray[np.int64],
        selected: int | None,
    ) -> None:
        """Show the maximum of each unit (C,), mark those on the page and the selected one."""
        self._values = np.maximum(np.nan_to_num(values), 0)
        self._shown = np.zeros(len(values), np.bool_)
        self._shown[shown] = True
        self._selected = selected
        self.setAccessibleName(f"strip of {len(values)} units, {len(shown)} of them shown")
        self.update()

    def unit_at(self, x: float) -> int:
        """The unit at a horizontal position; the largest where several share a pixel."""
        count, width = len(self._values), max(self.width(), 1)
        first = min(int(x / width * count), count - 1)
        last = max(first + 1, min(count, int((x + 1) / width * count)))
        return first + int(self._values[first:last].argmax())

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """40 px high."""
        return QSize(200, 40)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the unit under the mouse."""
        if event.button() is Qt.MouseButton.LeftButton and len(self._values):
            self.chosen.emit(self.unit_at(event.position().x()))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bars: bright on the page, dim elsewhere; the selected one in its colour."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colour("canvas"))
        count, width, height = len(self._values), self.width(), self.height()
        top = float(self._values.max()) if count else 0.0
        bars = min(count, width)
        edges = np.linspace(0, count, bars + 1).astype(int)
        step = width / max(bars, 1)
        page, rest = self._theme.colour("accent"), self._theme.colour("disabled")
        for i in range(bars):
            span = slice(edges[i], edges[i + 1])
            tall = float(self._values[span].max()) / top * (height - 4) if top else 0.0
            ink = page if bool(self._shown[span].any()) else rest
            bar = QRectF(i * step, height - max(tall, 1), max(step * 0.9, 1), max(tall, 1))
            painter.fillRect(bar, ink)
        if self._selected is not None and count:
            x = (self._selected + 0.5) / count * width
            painter.fillRect(QRectF(x - 2, 0, 4, height), Qt.GlobalColor.black)
            painter.fillRect(QRectF(x - 1, 0, 2, height), self._theme.colour("selected"))
        painter.end()
