"""The list of edits: a line each to switch, order and remove, a field to type one, and what they
changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QSize, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QToolButton, QVBoxLayout, QWidget

from explorer.app.edits import EditBook, Edits
from explorer.editing import EditError, edit_of
from explorer.panels.header import ElidedLabel
from explorer.panels.icons import icon, pixmap
from explorer.panels.theme import DARK, Theme
from explorer.views import Edit

HINT = "LAYER:UNIT=zero, scale:2, clamp:0,1, freeze …"


class EditList(QWidget):
    """One line an edit: scissors, ``layer2.3.act3 #137 × 0``, and its buttons.

    Signals:
        typed: an Edit. refused: a line that cannot be read as one, with how to write it.
        save_wanted, load_wanted: to or from a file.
        beside_wanted: whether pictures from before the edits are to be shown.
    """

    typed = Signal(object)
    refused = Signal(str)
    save_wanted = Signal()
    load_wanted = Signal()
    beside_wanted = Signal(bool)

    def __init__(self, book: EditBook, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Edits")
        self._book = book
        self._theme: Theme = DARK
        self._asked = False
        self._buttons: dict[QToolButton, str] = {}
        self.field = QLineEdit(self)
        self.field.setPlaceholderText(HINT)
        self.field.setAccessibleName("Type an edit")
        self.field.setToolTip(
            "A layer, its units, a region if need be, and what happens: layer3:5,7-9=scale:2 · "
            "layer3:5[0:4, :]=zero · attention:2[4, 7]=replace:0.5 · layer3:*=freeze:12"
        )
        self.field.returnPressed.connect(self._typed)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(8, 4, 8, 8)
        self._column.setSpacing(0)
        self._column.addLayout(self._head())
        self._rows: list[QWidget] = []
        self._changes: list[ElidedLabel] = []
        book.changed.connect(self.show_edits)
        self.hide()

    def texts(self) -> list[str]:
        """The lines as shown."""
        return [label.text() for row in self._rows for label in row.findChildren(ElidedLabel)]

    def changes(self) -> list[str]:
        """What the edits came to, as shown."""
        return [label.text() for label in self._changes]

    def ask(self) -> None:
        """Show the field, and put the cursor into it."""
        self._asked = True
        self.show()
        self.field.setFocus()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        for button, glyph in self._buttons.items():
            button.setIcon(icon(glyph, theme, 14, "muted"))
        self.show_edits(self._book.edits)
        for label in self._changes:
            label.set_theme(theme)

    @Slot(object)
    def show_edits(self, edits: Edits) -> None:
        """Make the lines anew."""
        for row in self._rows:
            row.hide()
            row.setParent(None)
            row.deleteLater()
        self._rows = [self._row(index, edit, len(edits)) for index, edit in enumerate(edits)]
        for place, row in enumerate(self._rows):
            self._column.insertWidget(1 + place, row)
        self.setVisible(bool(edits) or self._asked)

    @Slot(object)
    def show_changes(self, lines: Sequence[str]) -> None:
        """What the edits came to: ``top classes: tiger cat 0.62 → 0.11``."""
        while len(self._changes) > len(lines):
            label = self._changes.pop()
            label.hide()
            label.setParent(None)
            label.deleteLater()
        while len(self._changes) < len(lines):
            label = ElidedLabel("caption", "text", self)
            label.set_theme(self._theme)
            self._column.addWidget(label)
            self._changes.append(label)
        for label, line in zip(self._changes, lines, strict=True):
            label.set_text(line)
            label.setToolTip(line)

    def _head(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.field, 1)
        beside = self._tool("image", "Show pictures from before the edits beside them")
        beside.setCheckable(True)
        beside.setChecked(True)
        beside.toggled.connect(self.beside_wanted)
        load = self._tool("folder", "Load edits from a file")
        load.clicked.connect(self.load_wanted)
        save = self._tool("download", "Save these edits to a file")
        save.clicked.connect(self.save_wanted)
        for button in (beside, load, save):
            line.addWidget(button)
        return line

    def _tool(self, glyph: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setIconSize(QSize(14, 14))
        button.setFixedSize(24, 24)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setIcon(icon(glyph, self._theme, 14, "muted"))
        self._buttons[button] = glyph
        return button

    def _row(self, index: int, edit: Edit, count: int) -> QWidget:
        row = QWidget(self)
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        glyph = QLabel(row)
        glyph.setPixmap(pixmap("scissors", self._theme, 14, "edited" if edit.on else "disabled"))
        text = ElidedLabel("number", "edited" if edit.on else "muted", row)
        text.set_theme(self._theme)
        text.set_text(edit.text() if edit.on else f"{edit.text()} (off)")
        text.setToolTip(edit.text())
        line.addWidget(glyph)
        line.addWidget(text, 1)
        acts: list[tuple[str, str, Callable[[], None]]] = [
            ("eye" if edit.on else "eye-off", "On or off", partial(self._book.switch, index)),
            ("x", "Remove this edit (Ctrl+Z undoes)", partial(self._book.remove, index)),
        ]
        if index > 0:
            up = partial(self._book.move, index, -1)
            acts.insert(0, ("chevron-up", "Act before the one above", up))
        if index + 1 < count:
            down = partial(self._book.move, index, 1)
            acts.insert(-2, ("chevron-down", "Act after the one below", down))
        for name, tip, act in acts:
            line.addWidget(self._button(row, name, tip, edit, act))
        return row

    def _button(
        self, row: QWidget, glyph: str, tip: str, edit: Edit, act: Callable[[], None]
    ) -> QToolButton:
        button = QToolButton(row)
        button.setIcon(icon(glyph, self._theme, 14, "muted"))
        button.setIconSize(QSize(14, 14))
        button.setFixedSize(24, 24)
        button.setToolTip(tip)
        button.setAccessibleName(f"{tip}: {edit.text()}")
        button.clicked.connect(lambda _checked=False: act())
        return button

    @Slot()
    def _typed(self) -> None:
        try:
            edit = edit_of(self.field.text())
        except EditError as error:
            self.refused.emit(str(error))
            return
        self.field.clear()
        self.typed.emit(edit)
