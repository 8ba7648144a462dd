"""A field for any number and a slider that goes where it is clicked."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QMouseEvent, QValidator
from PySide6.QtWidgets import QAbstractSpinBox, QSlider, QStyle

from explorer.app.track import nudged, number_text, plain
from explorer.panels.theme import font
from explorer.params import Knob


class NumberBox(QAbstractSpinBox):
    """A number field: arrows step, anything can be typed, and a misfit is told, not changed."""

    typed = Signal(str)
    stepped = Signal(float)

    def __init__(self, knob: Knob) -> None:
        super().__init__()
        self._knob = knob
        self._value = 0.0
        self.lineEdit().setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setFont(font("number"))
        self.setFixedWidth(92)
        self.editingFinished.connect(self._done)

    def show_value(self, value: float) -> None:
        """Show ``value`` without telling."""
        self._value = value
        self.lineEdit().setText(number_text(value))

    def stepBy(self, steps: int) -> None:
        """Move by so many steps and tell."""
        self.stepped.emit(nudged(self._value, steps, self._knob))

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        """Both ways; the bounds are kept by `nudged`."""
        return self.StepEnabledFlag.StepUpEnabled | self.StepEnabledFlag.StepDownEnabled

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Anything may be typed: what is wrong with it stands below the knob."""
        return (QValidator.State.Acceptable, text, position)

    @Slot()
    def _done(self) -> None:
        text = self.lineEdit().text()
        if text != number_text(self._value):
            self.typed.emit(plain(text))


class JumpSlider(QSlider):
    """A slider whose handle goes to where it is clicked."""

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go there first; the handle then lies under the mouse and can be dragged."""
        if event.button() == Qt.MouseButton.LeftButton:
            handle = self.style().pixelMetric(QStyle.PixelMetric.PM_SliderLength, None, self)
            place = QStyle.sliderValueFromPosition(
                self.minimum(),
                self.maximum(),
                round(event.position().x()) - handle // 2,
                max(1, self.width() - handle),
            )
            self.setValue(place)
        super().mousePressEvent(event)
