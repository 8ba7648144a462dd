"""Asks for the network of a file that holds nothing but named tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QFileDialog, QLineEdit

from explorer.app.card import Card
from explorer.panels.theme import DARK

WHY = (
    "Named tensors without a network, and no engine here has these names and shapes. "
    "Which network are they of?"
)


class ArchCard(Card):
    """A field for ``module:factory`` or ``file.py:factory``; naming it and *Run it* is the consent.

    Args:
        present: what the field starts with.
        run: called with what was named. ``leave``: what *Do not* does.
    """

    def __init__(
        self, path: Path, present: str, run: Callable[[str], None], leave: Callable[[], None]
    ) -> None:
        super().__init__(path.name, "box", "muted")
        self._run = run
        self._dialog: QFileDialog | None = None
        self.add_text(WHY)
        self.field = QLineEdit(present)
        self.field.setPlaceholderText("module:factory or file.py:factory")
        self.field.setAccessibleName(f"Network of {path.name}")
        self.field.textChanged.connect(self._look)
        self.field.returnPressed.connect(self._go)
        self.body.addWidget(self.field)
        self.add_text(
            "Its code runs with your rights, so name one that you trust. Of the tensors nothing "
            "is run.",
            "warn",
        )
        self.no = self.add_button("Do not", tip="Leave the file alone", slot=leave)
        self.choose = self.add_button("Choose file", tip="A Python file", slot=self._choose)
        self.yes = self.add_button(
            "Run it", tip="Run the code of the network and load the tensors", slot=self._go
        )
        self.close_row()
        self._look(present)
        self.set_theme(DARK)

    @Slot(str)
    def _look(self, text: str) -> None:
        self.yes.setEnabled(bool(text.strip()))

    @Slot()
    def _go(self) -> None:
        if self.field.text().strip():
            self._run(self.field.text().strip())

    def _choose(self) -> None:
        self._dialog = QFileDialog(self, "The Python file of the network")
        self._dialog.setNameFilter("Python (*.py)")
        self._dialog.fileSelected.connect(self.field.setText)
        self._dialog.open()
