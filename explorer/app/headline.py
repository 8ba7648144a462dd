"""Beside the menus: the engine that is open, and the one sentence that says what to do first."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QMenuBar, QSizePolicy, QVBoxLayout, QWidget

from explorer.panels.header import ElidedLabel
from explorer.panels.theme import Theme


class Headline(QWidget):
    """One line that takes the room right of the menu bar, so that it costs none of the maps'."""

    def __init__(self, menus: QMenuBar) -> None:
        super().__init__()
        self.engine = ElidedLabel("title", "text", self)
        self.summary = ElidedLabel("body", "muted", self)
        menus.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 12, 0)
        row.setSpacing(12)
        row.addWidget(menus)
        row.addStretch(1)
        row.addWidget(self.engine, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.summary, 0, Qt.AlignmentFlag.AlignVCenter)

    def show_engine(self, title: str, summary: str) -> None:
        """Name the engine and say what to do first."""
        self.engine.set_text(title)
        self.summary.set_text(summary)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.engine.set_theme(theme)
        self.summary.set_theme(theme)


def stacked(above: QWidget, below: QWidget) -> QWidget:
    """Two widgets one above the other, at the top of the window."""
    whole = QWidget()
    column = QVBoxLayout(whole)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(above)
    column.addWidget(below)
    return whole
