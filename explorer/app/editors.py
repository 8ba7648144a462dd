"""One editor for each kind of knob; it hands on what the person did, unchecked."""

from __future__ import annotations

import random
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.app.bars import VectorBars, VectorScroll
from explorer.app.marked import ArrowBox, TickBox
from explorer.app.number import JumpSlider, NumberBox
from explorer.app.track import Track, number_text, plain
from explorer.panels.header import ElidedLabel
from explorer.panels.icons import icon
from explorer.panels.theme import Theme, font
from explorer.params import Knob

TYPING_MS = 400
PICKS = {
    "point": "Click on the picture to set it",
    "box": "Drag on the picture to set it",
    "points": "Click on the picture to add one",
    "mask": "Paint on the picture",
}


class Editor(QWidget):
    """The control of one knob.

    ``edited`` carries a value (or text) that `explorer.params.check` has yet to accept;
    ``finished`` ends a drag. `show_value` never emits either.
    """

    edited = Signal(object)
    finished = Signal()

    def __init__(self, knob: Knob, title: str) -> None:
        super().__init__()
        self.knob = knob
        self.title = title
        self._quiet = WheelGuard(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        self.row = row

    def show_value(self, value: Any) -> None:
        """Show ``value``, which is the knob's own now."""
        raise NotImplementedError

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme`` where the style sheet does not reach."""

    @Slot(str)
    @Slot(float)
    @Slot(object)
    def tell(self, value: Any) -> None:
        """Hand on what a part of this editor was given."""
        self.edited.emit(value)

    def name(self, widget: QWidget, hint: str = "", suffix: str = "") -> None:
        """Give a part of this editor its accessible name, tooltip and calm wheel."""
        widget.setAccessibleName(f"{self.title} {suffix}".strip())
        tip = f"{self.knob.help or self.title}. {hint}" if hint else self.knob.help
        widget.setToolTip(tip)
        widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        widget.installEventFilter(self._quiet)


class WheelGuard(QObject):
    """Lets the wheel scroll the form, unless the control under it has the focus."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Hand a wheel turn over an unfocused control on to the form."""
        if (
            event.type() == QEvent.Type.Wheel
            and isinstance(watched, QWidget)
            and not watched.hasFocus()
        ):
            event.ignore()
            return True
        return super().eventFilter(watched, event)


class NumberEditor(Editor):
    """A slider, where the knob has two bounds, beside a field and the unit."""

    def __init__(self, knob: Knob, title: str) -> None:
        super().__init__(knob, title)
        self.track = Track.of(knob)
        self.slider = JumpSlider(Qt.Orientation.Horizontal) if self.track else None
        self.box = NumberBox(knob)
        if self.slider is not None and self.track is not None:
            self.slider.setRange(0, self.track.positions)
            self.slider.setPageStep(max(1, self.track.positions // 10))
            self.slider.setMinimumWidth(56)
            self.name(self.slider, "Arrow keys step, Page keys leap.", "slider")
            self.slider.valueChanged.connect(self._slid)
            self.slider.sliderReleased.connect(self.finished)
            self.row.addWidget(self.slider, 1)
        self.name(self.box, "Type a number and press Enter; Up and Down step.")
        self.box.typed.connect(self.tell)
        self.box.stepped.connect(self.tell)
        self.row.addWidget(self.box)
        if self.slider is None:
            self.row.addStretch(1)

    def show_value(self, value: Any) -> None:
        """Show ``value``."""
        number = 0.0 if value is None else float(value)
        self.box.show_value(number)
        if self.slider is not None and self.track is not None and not self.slider.isSliderDown():
            self.slider.blockSignals(True)
            self.slider.setValue(self.track.position(number))
            self.slider.blockSignals(False)

    @Slot(int)
    def _slid(self, position: int) -> None:
        if self.track is not None:
            self.edited.emit(self.track.value(position))


class SeedEditor(Editor):
    """A whole number and a die that throws another one."""

    def __init__(self, knob: Knob, title: str) -> None:
        super().__init__(knob, title)
        self.box = NumberBox(knob)
        self.name(self.box, "Type a whole number and press Enter.")
        self.box.typed.connect(self.tell)
        self.box.stepped.connect(self.tell)
        self.dice = QToolButton()
        self.dice.setText("Throw")
        self.name(self.dice, "Throw another seed.", "throw another")
        self.dice.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.dice.clicked.connect(self._throw)
        self.row.addWidget(self.box)
        self.row.addWidget(self.dice)
        self.row.addStretch(1)

    def show_value(self, value: Any) -> None:
        """Show ``value``."""
        self.box.show_value(float(value or 0))

    def set_theme(self, theme: Theme) -> None:
        """Tint what the style sheet does not reach."""
        self.dice.setIcon(icon("sparkles", theme, 16))

    @Slot()
    def _throw(self) -> None:
        low = 0 if self.knob.low is None else int(self.knob.low)
        high = 99_999 if self.knob.high is None else int(self.knob.high)
        self.edited.emit(random.randint(low, high))
        self.finished.emit()


class ChoiceEditor(Editor):
    """A list to choose from."""

    def __init__(self, knob: Knob, title: str) -> None:
        super().__init__(knob, title)
        self.combo = ArrowBox()
        self.combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.combo.setMinimumContentsLength(8)
        self.combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.combo.addItems(list(knob.choices))
        self.name(self.combo, "Up and Down choose.")
        self.combo.textActivated.connect(self.tell)
        self.row.addWidget(self.combo, 1)

    def show_value(self, value: Any) -> None:
        """Show ``value``."""
        self.combo.setCurrentText(str(value))

    def set_theme(self, theme: Theme) -> None:
        """Tint the arrow."""
        self.combo.theme = theme
        self.combo.update()


class SwitchEditor(Editor):
    """A box to tick, with its state as a word."""

    def __init__(self, knob: Knob, title: str) -> None:
        super().__init__(knob, title)
        self.check = TickBox()
        self.name(self.check, "Space switches.")
        self.check.clicked.connect(self._clicked)
        self.row.addWidget(self.check)
        self.row.addStretch(1)

    def show_value(self, value: Any) -> None:
        """Show ``value``."""
        self.check.setChecked(bool(value))
        self.check.setText("on" if value else "off")

    def set_theme(self, theme: Theme) -> None:
        """Tint the tick."""
        self.check.theme = theme
        self.check.update()

    @Slot(bool)
    def _clicked(self, on: bool) -> None:
        self.edited.emit(on)


class TextEditor(Editor):
    """A line, or a few when the default is long; told at Enter or when typing pauses."""

    def __init__(self, knob: Knob, title: str) -> None:
        super().__init__(knob, title)
        long = len(str(knob.default or "")) > 60 or "\n" in str(knob.default or "")
        self.line = None if long else QLineEdit()
        self.lines = QPlainTextEdit() if long else None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(TYPING_MS)
        self._pause.timeout.connect(self._tell)
        if self.line is not None:
            self.name(self.line, "Enter applies, as does a pause.")
            self.line.textEdited.connect(self._wait)
            self.line.returnPressed.connect(self._tell)
            self.row.addWidget(self.line, 1)
        if self.lines is not None:
            self.lines.setTabChangesFocus(True)
            self.lines.setFixedHeight(72)
            self.name(self.lines, "A pause in typing applies.")
            self.lines.textChanged.connect(self._wait)
            self.row.addWidget(self.lines, 1)

    def text(self) -> str:
        """What stands in the field."""
        if self.line is not None:
            return self.line.text()
        return self.lines.toPlainText() if self.lines is not None else ""

    def show_value(self, value: Any) -> None:
        """Show ``value``."""
        text = "" if value is None else str(value)
        if text == self.text():
            return
        if self.line is not None:
            self.line.setText(text)
        if self.lines is not None:
            self.lines.blockSignals(True)
            self.lines.setPlainText(text)
            self.lines.moveCursor(QTextCursor.MoveOperation.End)
            self.lines.blockSignals(False)

    @Slot()
    def _wait(self) -> None:
        self._pause.start()

    @Slot()
    def _tell(self) -> None:
        self._pause.stop()
        self.edited.emit(self.text())
        self.finished.emit()


class PlaceEditor(Editor):
    """A place in the picture, set there by a gesture or typed here in input pixels."""

    def __init__(self, knob: Knob, title: str) -> None:
        super().__init__(knob, title)
        column = QVBoxLayout()
        column.setSpacing(2)
        self.field = QLineEdit()
        self.field.setFont(font("number"))
        self.field.setPlaceholderText("not set")
        self.name(self.field, "Input pixels; Enter applies.")
        self.field.returnPressed.connect(self._typed)
        self.hint = QLabel(PICKS[knob.kind])
        self.hint.setProperty("role", "caption")
        column.addWidget(self.field)
        column.addWidget(self.hint)
        self.clear = QToolButton()
        self.name(self.clear, "Clear it.", "clear")
        self.clear.setText("Clear")
        self.clear.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.clear.clicked.connect(self._clear)
        # A point that must be somewhere has nothing to clear to; its reset does that.
        self.clear.setVisible(knob.optional or knob.kind in ("points", "mask"))
        self.row.addLayout(column, 1)
        self.row.addWidget(self.clear, 0, Qt.AlignmentFlag.AlignTop)

    def show_value(self, value: Any) -> None:
        """Show ``value``."""
        if self.knob.kind == "mask" and value:
            text = f"{len(value)} dab{'s' if len(value) != 1 else ''}"
        elif self.knob.kind == "points":
            text = "; ".join(_coordinates(point) for point in value or ())
        else:
            text = _coordinates(value or ())
        self.field.setReadOnly(self.knob.kind == "mask")
        self.field.setText(text)
        self.field.setCursorPosition(0)
        self.clear.setEnabled(bool(value))

    def set_theme(self, theme: Theme) -> None:
        """Tint what the style sheet does not reach."""
        self.clear.setIcon(icon("x", theme, 16))

    @Slot()
    def _typed(self) -> None:
        self.edited.emit(plain(self.field.text()))
        self.finished.emit()

    @Slot()
    def _clear(self) -> None:
        self.edited.emit(None if self.knob.optional else ())
        self.finished.emit()


class VectorEditor(Editor):
    """A bar for each component, with the name of the basis, zero and random."""

    def __init__(self, knob: Knob, title: str) -> None:
        super().__init__(knob, title)
        self.bars = VectorBars(
            knob.length,
            -3.0 if knob.low is None else knob.low,
            3.0 if knob.high is None else knob.high,
            knob.first,
        )
        self.name(self.bars, "Drag across the bars; arrow keys choose and change, 0 clears one.")
        self.readout = QLabel()
        self.readout.setFont(font("number"))
        self.basis = ElidedLabel("caption", "muted")
        self.basis.set_text(knob.basis or f"{knob.length} components")
        self.basis.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.zero, self.random = QToolButton(), QToolButton()
        for button, text in ((self.zero, "Zero"), (self.random, "Random")):
            button.setText(text)
            self.name(button, f"{text} every component.", text.lower())
        head = QHBoxLayout()
        head.addWidget(self.basis, 1)
        for widget in (self.readout, self.zero, self.random):
            head.addWidget(widget)
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(VectorScroll(self.bars))
        self.row.addLayout(column, 1)
        self.bars.edited.connect(self.tell)
        self.bars.finished.connect(self.finished)
        self.bars.pointed.connect(self.readout.setText)
        self.zero.clicked.connect(self._zero)
        self.random.clicked.connect(self._random)

    def show_value(self, value: Any) -> None:
        """Show ``value``."""
        self.bars.show_values(tuple(value or ()))

    def set_theme(self, theme: Theme) -> None:
        """Tint what the style sheet does not reach."""
        self.bars.set_theme(theme)
        self.basis.set_theme(theme)

    @Slot()
    def _zero(self) -> None:
        self._set([0.0] * self.knob.length)

    @Slot()
    def _random(self) -> None:
        centred = self.bars.low < 0
        self._set(
            random.gauss(0.0, 1.0) if centred else random.uniform(self.bars.low, self.bars.high)
            for _ in range(self.knob.length)
        )

    def _set(self, values: Any) -> None:
        low, high = self.bars.low, self.bars.high
        self.edited.emit(tuple(round(min(max(v, low), high), 4) for v in values))
        self.finished.emit()


class OptionalEditor(Editor):
    """A number or choice that may be left to the engine: a tick says whether it is set."""

    def __init__(self, knob: Knob, title: str) -> None:
        super().__init__(knob, title)
        self.tick = TickBox("set")
        self.name(self.tick, "Without the tick the engine decides.", "is set")
        self.inner: Editor = EDITORS[knob.kind](knob, title)
        self.inner.edited.connect(self.tell)
        self.inner.finished.connect(self.finished)
        self.tick.clicked.connect(self._ticked)
        self.row.addWidget(self.tick)
        self.row.addWidget(self.inner, 1)

    def show_value(self, value: Any) -> None:
        """Show ``value``."""
        self.tick.setChecked(value is not None)
        self.tick.setText("set" if value is not None else "automatic")
        self.inner.setVisible(value is not None)
        if value is not None:
            self.inner.show_value(value)

    def set_theme(self, theme: Theme) -> None:
        """Tint what the style sheet does not reach."""
        self.tick.theme = theme
        self.inner.set_theme(theme)

    @Slot(bool)
    def _ticked(self, on: bool) -> None:
        first = self.knob.choices[0] if self.knob.choices else max(0.0, self.knob.low or 0.0)
        self.edited.emit(first if on else None)
        self.finished.emit()


EDITORS: dict[str, type[Editor]] = {
    "number": NumberEditor,
    "integer": NumberEditor,
    "seed": SeedEditor,
    "choice": ChoiceEditor,
    "switch": SwitchEditor,
    "text": TextEditor,
    "point": PlaceEditor,
    "box": PlaceEditor,
    "points": PlaceEditor,
    "mask": PlaceEditor,
    "vector": VectorEditor,
}


def editor_for(knob: Knob, title: str) -> Editor:
    """The editor that suits ``knob``."""
    if knob.optional and knob.kind in ("number", "integer", "seed", "choice", "switch"):
        return OptionalEditor(knob, title)
    return EDITORS[knob.kind](knob, title)


def _coordinates(values: Any) -> str:
    return ", ".join(number_text(round(float(v), 1)) for v in values)
