"""Play, pause, step, freeze and seek: the controls of a clip, left of the timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from explorer.panels.icons import icon
from explorer.panels.theme import font

if TYPE_CHECKING:
    from explorer.app.actions import Commands
    from explorer.app.sources import Source
    from explorer.panels.theme import Theme

BUTTONS = ("step-back", "play", "step-forward", "freeze")
ICONS = {"step-back": "rewind", "play": "play", "step-forward": "step", "freeze": "snowflake"}


class Transport(QWidget):
    """Buttons that stand for commands, a seek slider and ``12 / 40`` while a clip is open."""

    sought = Signal(int)

    def __init__(self, commands: Commands, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._commands = commands
        self._theme: Theme | None = None
        self._playing = False
        self.buttons: dict[str, QToolButton] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(4)
        for name in BUTTONS:
            row.addWidget(self._button(name))
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setAccessibleName("Frame of the clip")
        self.slider.setToolTip("Drag to seek in the clip (, and . step by one frame)")
        self.slider.setMinimumWidth(140)
        self.slider.valueChanged.connect(self._move)
        self.where = QLabel("", self)
        self.where.setFont(font("number"))
        self.where.setMinimumWidth(96)
        row.addWidget(self.slider)
        row.addWidget(self.where)
        self.show_source(None)

    def _button(self, name: str) -> QToolButton:
        action = self._commands[name]
        button = QToolButton(self)
        button.setCheckable(action.isCheckable())
        button.setAccessibleName(action.text())
        button.setToolTip(action.toolTip())
        button.setIconSize(QSize(16, 16))
        button.setFixedSize(28, 28)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(action.trigger)
        action.changed.connect(lambda: button.setToolTip(action.toolTip()))  # rebound
        if action.isCheckable():
            action.toggled.connect(button.setChecked)
        self.buttons[name] = button
        return button

    def show_source(self, source: Source | None) -> None:
        """Show what suits a picture (nothing to seek), a clip or a camera."""
        clip = source is not None and source.moving and not source.live
        length = len(source.input) if clip and source is not None else 0  # type: ignore[arg-type]
        self.slider.setVisible(clip)
        self.where.setVisible(source is not None and source.moving)
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, max(0, length - 1))
            self.slider.setValue(0)
        for name in ("play", "freeze"):
            self.buttons[name].setEnabled(source is not None and source.moving)
        self.show_frame(0)

    def show_frame(self, frame: int) -> None:
        """Show where the clip stands; a camera counts its frames."""
        if not self.slider.isSliderDown():
            with QSignalBlocker(self.slider):
                self.slider.setValue(frame)
        last = self.slider.maximum()
        if self.slider.isVisibleTo(self):
            frame = min(frame, last)  # a clip may end earlier than its header says
        digits = len(str(last + 1))
        text = (
            f"{frame + 1:>{digits}} / {last + 1}"
            if self.slider.isVisibleTo(self)
            else str(frame + 1)
        )
        self.where.setText(text)

    def show_playing(self, *, playing: bool) -> None:
        """The first button is pause while the clip plays."""
        self._playing = playing
        self._tint()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self._tint()

    def _tint(self) -> None:
        if self._theme is None:
            return
        for name, button in self.buttons.items():
            shown = "pause" if name == "play" and self._playing else ICONS[name]
            button.setIcon(icon(shown, self._theme, 16))

    @Slot(int)
    def _move(self, frame: int) -> None:
        self.sought.emit(frame)
