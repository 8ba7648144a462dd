"""Edits of the network: zero or scale a unit, with undo, and the list of what is in force."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSize, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from explorer.app.history import History, Step
from explorer.panels.header import ElidedLabel
from explorer.panels.icons import icon, pixmap
from explorer.panels.theme import DARK
from explorer.views import Edit

if TYPE_CHECKING:
    from explorer.panels.theme import Theme

Edits = tuple[Edit, ...]


class EditBook(QObject):
    """The edits in force. Every change is a step of the history; ``changed`` carries them all."""

    changed = Signal(object)  # tuple[Edit, ...]

    def __init__(self, history: History, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._history = history
        self.edits: Edits = ()

    def toggle_zero(self, point: str, unit: int) -> None:
        """Set a unit to zero, or let it go when it is."""
        old = self._of(point, unit)
        zero = Edit(point, (unit,))
        rest = tuple(e for e in self.edits if e is not old)
        now = rest if old is not None and old.op == "zero" else (*rest, zero)
        self.put(now, f"{zero.text()}")

    def scale(self, point: str, unit: int, factor: float) -> None:
        """Multiply a unit's scale, from 1 at first; back at 1 the edit is gone."""
        old = self._of(point, unit)
        value = factor * (old.value if old is not None and old.op == "scale" else 1.0)
        rest = tuple(e for e in self.edits if e is not old)
        edit = Edit(point, (unit,), "scale", value)
        self.put(rest if value == 1.0 else (*rest, edit), edit.text())

    def switch(self, index: int) -> None:
        """Turn one edit off or on."""
        edit = self.edits[index]
        changed = replace(edit, on=not edit.on)
        self.put((*self.edits[:index], changed, *self.edits[index + 1 :]), edit.text())

    def remove(self, index: int) -> None:
        """Take one edit out of the list."""
        self.put(
            (*self.edits[:index], *self.edits[index + 1 :]), f"remove {self.edits[index].text()}"
        )

    def clear(self) -> None:
        """Take all edits away."""
        self.put((), "clear edits")

    def put(self, edits: Edits, label: str) -> None:
        """Replace the edits, as one step that can be taken back."""
        if edits == self.edits:
            return
        before = self.edits
        self._set(edits)
        self._history.seal()
        self._history.add(
            Step(label, partial(self._set, before), partial(self._set, edits), owner=self)
        )

    def forget(self) -> None:
        """Another network: none of the edits fits it."""
        self._history.forget(self)
        self._set(())

    def _set(self, edits: Edits) -> None:
        self.edits = edits
        self.changed.emit(edits)

    def _of(self, point: str, unit: int) -> Edit | None:
        return next((e for e in self.edits if e.point == point and e.units == (unit,)), None)


class EditList(QWidget):
    """One line an edit: scissors, ``layer2.3.act3 #137 × 0``, and two buttons."""

    def __init__(self, book: EditBook, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Edits")
        self._book = book
        self._theme: Theme = DARK
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(8, 4, 8, 8)
        self._column.setSpacing(0)
        self._rows: list[QWidget] = []
        book.changed.connect(self.show_edits)
        self.hide()

    def texts(self) -> list[str]:
        """The lines as shown."""
        return [label.text() for row in self._rows for label in row.findChildren(ElidedLabel)]

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.show_edits(self._book.edits)

    def show_edits(self, edits: Edits) -> None:
        """Make the lines anew."""
        for row in self._rows:
            row.hide()
            row.setParent(None)
            row.deleteLater()
        self._rows = [self._row(index, edit) for index, edit in enumerate(edits)]
        for row in self._rows:
            self._column.addWidget(row)
        self.setVisible(bool(edits))

    def _row(self, index: int, edit: Edit) -> QWidget:
        row = QWidget(self)
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(8)
        glyph = QLabel(row)
        glyph.setPixmap(pixmap("scissors", self._theme, 14, "edited" if edit.on else "disabled"))
        text = ElidedLabel("number", "edited" if edit.on else "muted", row)
        text.set_theme(self._theme)
        text.set_text(edit.text() if edit.on else f"{edit.text()} (off)")
        line.addWidget(glyph)
        line.addWidget(text, 1)
        line.addWidget(
            self._button(
                row, "eye" if edit.on else "eye-off", "On or off", index, self._book.switch
            )
        )
        line.addWidget(
            self._button(row, "x", "Remove this edit (Ctrl+Z undoes)", index, self._book.remove)
        )
        return row

    def _button(self, row: QWidget, glyph: str, tip: str, index: int, act: object) -> QToolButton:
        button = QToolButton(row)
        button.setIcon(icon(glyph, self._theme, 14, "muted"))
        button.setIconSize(QSize(14, 14))
        button.setFixedSize(24, 24)
        button.setToolTip(tip)
        button.setAccessibleName(f"{tip}: {self._book.edits[index].text()}")
        assert callable(act)
        button.clicked.connect(lambda _checked=False: act(index))
        return button
