"""The input dock's rows: one a slot, a drop target with name, thumbnail and ways to fill it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from explorer.app.drop import DropZone, for_training
from explorer.inputs import FolderInput, ImageInput, TextInput
from explorer.panels.header import ElidedLabel
from explorer.panels.icons import icon, pixmap
from explorer.panels.theme import DARK

if TYPE_CHECKING:
    from explorer.app.sources import Source
    from explorer.core.registry import Row
    from explorer.inputs import Pixels
    from explorer.panels.theme import Theme

THUMB = 32
ICON = {"image": "image", "text": "type", "clip": "film", "folder": "folder", "file": "file"}


class SlotRow(QFrame):
    """One slot: what is in it, and three ways to change it (drop, open, sample)."""

    dropped = Signal(object)  # list[Dropped]
    wanted = Signal(str, str)  # slot; "open", "sample", "camera", "nothing"
    typed = Signal(str, str)  # slot, text

    def __init__(
        self, slot: str, kind: str, *, sample: bool, optional: bool, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.slot, self.kind = slot, kind.partition(".")[0]
        self._called = f"{slot} · for training" if for_training(kind) else slot
        self._theme = DARK
        self._has_thumb = False
        self.setObjectName("slotrow")
        self.setAccessibleName(f"Input {slot}")
        self.setToolTip(f"Drop {_article(self.kind)} here for '{slot}'")
        zone = DropZone(self, slot)
        zone.dropped.connect(self.dropped)
        zone.entered.connect(self._light)
        self.thumb = QLabel(self)
        self.thumb.setFixedSize(THUMB, THUMB)
        self.thumb.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.name = ElidedLabel("caption", "muted", self)
        self.name.set_text(self._called)
        self.file = ElidedLabel("body", "text", self)
        self._optional = optional
        self.show_empty()
        self.field: QLineEdit | None = None
        self.open_button = self._button("folder", "Open…", "Ctrl+O")
        self.more_button = self._button("chevron-down", "Sample, camera", "")
        self.more_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._fill_menu(sample)
        self._lay_out()

    def _button(self, icon_name: str, tip: str, key: str) -> QToolButton:
        button = QToolButton(self)
        button.setProperty("icon_name", icon_name)
        button.setToolTip(f"{tip} ({key})" if key else tip)
        button.setAccessibleName(f"{tip.rstrip('…')} for {self.slot}")
        button.setIconSize(QSize(16, 16))
        button.setFixedSize(28, 28)
        return button

    def _fill_menu(self, sample: bool) -> None:
        menu = QMenu(self)
        if sample:
            menu.addAction("Sample").triggered.connect(self._want_sample)
        if self.kind == "image":
            menu.addAction("Camera").triggered.connect(self._want_camera)
        if self._optional:
            menu.addAction("Nothing").triggered.connect(self._want_nothing)
        self.more_button.setMenu(menu)
        self.more_button.setVisible(not menu.isEmpty())
        self.open_button.clicked.connect(self._want_open)

    def _lay_out(self) -> None:
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self.name)
        if self.kind == "text":
            self.field = QLineEdit(self)
            self.field.setAccessibleName(f"Text for {self.slot}")
            self.field.setPlaceholderText("Type a text and press Enter")
            self.field.returnPressed.connect(self._enter)
            words.addWidget(self.field)
            self.file.hide()
            self.thumb.hide()
        else:
            words.addWidget(self.file)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 4, 4, 4)
        row.setSpacing(8)
        row.addWidget(self.thumb)
        row.addLayout(words, 1)
        row.addWidget(self.open_button)
        row.addWidget(self.more_button)

    def show_source(self, source: Source) -> None:
        """Show what is in the slot now."""
        value = source.input
        self.name.set_text(" · ".join(filter(None, (self._called, source.note))))
        if self.field is not None and isinstance(value, TextInput):
            if self.field.text() != value.text and not self.field.hasFocus():
                self.field.setText(value.text)
            return
        self.file.set_text(source.title + _about(source))
        self._has_thumb = isinstance(value, ImageInput)
        if isinstance(value, ImageInput):
            self.thumb.setPixmap(thumbnail(value.pixels, THUMB))
        else:
            moving = hasattr(value, "fps")
            self._draw_icon("camera" if source.live else "film" if moving else "")

    def show_empty(self) -> None:
        """Show that nothing is in the slot."""
        self.name.set_text(self.slot)
        may = f"empty: drop {_article(self.kind)} here, or none"
        self.file.set_text(may if self._optional else "empty: drop something here")
        self._has_thumb = False
        self._draw_icon("")

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.name.set_theme(theme)
        self.file.set_theme(theme)
        for button in (self.open_button, self.more_button):
            button.setIcon(icon(str(button.property("icon_name")), theme, 16, "muted"))
        if not self._has_thumb:
            self._draw_icon("")
        self._light(False)

    def _draw_icon(self, name: str) -> None:
        name = name or ICON.get(self.kind, "file")
        self.thumb.setPixmap(pixmap(name, self._theme, 20, "muted", self.devicePixelRatioF()))

    @Slot(bool)
    def _light(self, on: bool) -> None:
        edge = self._theme["accent"] if on else "transparent"
        self.setStyleSheet(f"QFrame#slotrow {{ border: 2px solid {edge}; border-radius: 4px; }}")

    @Slot()
    def _want_open(self) -> None:
        self.wanted.emit(self.slot, "open")

    @Slot()
    def _want_sample(self) -> None:
        self.wanted.emit(self.slot, "sample")

    @Slot()
    def _want_camera(self) -> None:
        self.wanted.emit(self.slot, "camera")

    @Slot()
    def _want_nothing(self) -> None:
        self.wanted.emit(self.slot, "nothing")

    @Slot()
    def _enter(self) -> None:
        if self.field is not None and self.field.text().strip():
            self.typed.emit(self.slot, self.field.text())


class SlotBox(QWidget):
    """All slots of an engine, one below the other; an engine without input says so."""

    dropped = Signal(object)
    wanted = Signal(str, str)
    typed = Signal(str, str)

    def __init__(self, row: Row, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self.rows: dict[str, SlotRow] = {}
        self.set_row(row)

    def set_row(self, row: Row) -> None:
        """Show the slots of an engine in place of those before."""
        while self._column.count():
            item = self._column.takeAt(0)
            old = item.widget() if item is not None else None
            if old is not None:
                old.hide()
                old.deleteLater()
        self.rows = {}
        for slot, kind in row.inputs.items():
            made = SlotRow(
                slot, kind, sample=slot in row.sample, optional=slot in row.optional, parent=self
            )
            made.dropped.connect(self.dropped)
            made.wanted.connect(self.wanted)
            made.typed.connect(self.typed)
            self._column.addWidget(made)
            self.rows[slot] = made
        if not row.inputs:
            label = QLabel("No input: this engine makes its own pictures.\nTurn its knobs.", self)
            label.setProperty("role", "muted")
            label.setContentsMargins(8, 8, 8, 8)
            label.setWordWrap(True)
            self._column.addWidget(label)

    def show_source(self, source: Source) -> None:
        """Show what is in one slot."""
        if source.slot in self.rows:
            self.rows[source.slot].show_source(source)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        for row in self.rows.values():
            row.set_theme(theme)


def thumbnail(pixels: Pixels, side: int) -> QPixmap:
    """A picture (H, W, 3) uint8 within ``side`` x ``side`` pixels."""
    skip = max(1, min(pixels.shape[:2]) // (4 * side))
    small = np.ascontiguousarray(pixels[::skip, ::skip])
    height, width = small.shape[:2]
    image = QImage(small.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image).scaled(
        side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    )


def _about(source: Source) -> str:
    """Size of a picture, length of a clip."""
    value = source.input
    if isinstance(value, ImageInput):
        return f" · {value.pixels.shape[1]} × {value.pixels.shape[0]}"
    if isinstance(value, FolderInput):
        return f" · {counted(len(value.files), 'picture')}"
    if source.live:
        return " · live"
    return f" · {counted(len(value), 'frame')}" if hasattr(value, "fps") else ""  # type: ignore[arg-type]


def counted(number: int, thing: str) -> str:
    """``1 frame``, ``40 frames``."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _article(kind: str) -> str:
    return {"image": "a picture, clip or folder", "text": "a text", "clip": "a clip",
            "folder": "a folder"}.get(kind, "a file")  # fmt: skip
