"""The slider of a film: how many of the decisions about boxes, one after another, are shown."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QSlider, QWidget

from explorer.panels.header import ElidedLabel
from explorer.panels.theme import SPACE_S, Theme, font

WIDTH = 120  # px of the slider at most; the legend stands beside it


class FilmBar(QWidget):
    """A slider over the decisions and ``3 of 14`` beside it.

    Signals:
        moved: decisions to show, from 1; 0 for all.
    """

    moved = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Decisions shown")
        self.slider.setToolTip("Decision by decision, best box first (Left, Right)")
        self.slider.setMinimumWidth(48)
        self.slider.setMaximumWidth(WIDTH)
        self.label = ElidedLabel("caption", "muted", still=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACE_S)
        row.addWidget(self.slider)
        row.addWidget(self.label)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.slider.valueChanged.connect(self._on_value)
        self._said = (-1, -1)

    def show_decided(self, seen: int, count: int) -> None:
        """Stand at ``seen`` of ``count``; the hand that drags the slider is not pulled away."""
        if (seen, count) == self._said:  # as with most frames of a clip
            return
        if not self.slider.isSliderDown():
            self.slider.blockSignals(True)
            self.slider.setRange(min(1, count), count)
            self.slider.setPageStep(max(1, count // 10))
            self.slider.setValue(seen)
            self.slider.blockSignals(False)
        self._say()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.label.set_theme(theme)

    @Slot(int)
    def _on_value(self, value: int) -> None:
        self._say()
        self.moved.emit(0 if value == self.slider.maximum() else value)

    def _say(self) -> None:
        most = self.slider.maximum()
        widest = QFontMetrics(font("caption")).horizontalAdvance(f"{most} of {most}")
        self.label.set_room(widest + 2)
        self.label.set_text(f"{self.slider.value()} of {most}")
        self._said = (self.slider.value(), most)
