"""A list and what belongs to it: side by side where there is room, else one above the other."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

WIDE = 640  # px: from here on both stand side by side
LIST = 340  # px of the list beside the rest
KNOBS = 132  # px: two knobs, the others by scrolling


class Sides(QSplitter):
    """Knobs above a list, and panels beside or below both."""

    def __init__(self, above: QWidget, rows: QWidget, panels: QWidget) -> None:
        super().__init__(Qt.Orientation.Vertical)
        self.setChildrenCollapsible(False)
        first = QWidget()
        column = QVBoxLayout(first)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        above.setMinimumHeight(KNOBS)
        column.addWidget(above)
        column.addWidget(rows, 1)
        self.addWidget(first)
        self.addWidget(panels)
        self.setStretchFactor(1, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Turn when the width asks for it."""
        across = self.width() >= WIDE
        wanted = Qt.Orientation.Horizontal if across else Qt.Orientation.Vertical
        if wanted != self.orientation():
            self.setOrientation(wanted)
            room = self.width() if across else self.height()
            first = LIST if across else room // 2
            self.setSizes([first, room - first])
        super().resizeEvent(event)
