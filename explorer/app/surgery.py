"""Edits by mouse and key: the menu of a panel of maps, the brush, holding a frame, files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QFileDialog, QMenu

from explorer.core.stores.edit_files import SUFFIX, EditFileError
from explorer.params import unknown
from explorer.views import Edit

if TYPE_CHECKING:
    from explorer.app.window import Window
    from explorer.panels.maps import MapsPanel

KINDS = f"Edits (*{SUFFIX})"


class Surgery(QObject):
    """Turns gestures into edits of the book."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._dialog: QFileDialog | None = None
        edits = window.edit_list
        edits.typed.connect(self.add)
        edits.refused.connect(window.say)
        edits.save_wanted.connect(self.ask_save)
        edits.load_wanted.connect(self.ask_load)
        edits.beside_wanted.connect(self._beside)
        window.comparing.changed.connect(edits.show_changes)
        window.centre.panel_made.connect(self.equip)

    @Slot(object)
    def equip(self, panel: MapsPanel) -> None:
        """Give a panel of maps its brush and its lines in the menu."""
        from explorer.panels.brush import Brush

        brush = Brush(panel)
        brush.painted.connect(self._painted)
        panel.add_group_lines = partial(self._lines, panel)

    @Slot(object)
    def add(self, edit: Edit) -> None:
        """Put an edit into force, if its layer is there."""
        names = [layer.name for layer in self._window.room.layers]
        if edit.point not in names:
            self._window.say(unknown("layer", edit.point, names))
            return
        self._window.edit_book.add(edit)

    def ask(self) -> None:
        """Let the person type an edit."""
        self._window.knobs_dock.show()
        self._window.knobs_dock.raise_()
        self._window.edit_list.ask()

    def hold(self) -> None:
        """Hold the selected unit at the frame that is shown, while the rest goes on."""
        point = self._window.centre.current
        unit = self._window.looking.selected.get(point)
        if unit is None:
            self._window.say("Click a map first: then it can be held while the rest goes on")
            return
        self.add(Edit(point, (unit,), "freeze", moment=self.moment()))

    def moment(self) -> int:
        """The frame of a clip that is shown; -1 on a still or a camera, which cannot go back."""
        source, frame = self._window.sources.moving(), self._window.presenter.frame
        return -1 if source is None or source.live or frame is None else int(frame.frame)

    def ask_save(self) -> None:
        """Choose where to keep the edits."""
        if not self._window.edit_book.edits:
            self._window.say("There are no edits to save: press X on a selected map for one")
            return
        dialog = self._asking("Save edits", QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(self.save)
        dialog.open()

    def ask_load(self) -> None:
        """Choose a file of edits."""
        dialog = self._asking("Load edits", QFileDialog.AcceptMode.AcceptOpen)
        dialog.fileSelected.connect(self.load)
        dialog.open()

    @Slot(str)
    def save(self, name: str) -> None:
        """Write the edits to a file."""
        try:
            self._window.edit_book.save(Path(name), self._window.row.name)
        except OSError as error:
            self._window.say(f"Not saved: {error.strerror or error}; choose another folder")
            return
        self._window.say(f"Saved the edits to {Path(name).name}")

    @Slot(str)
    def load(self, name: str) -> None:
        """Take the edits of a file; a wrong file changes nothing and says why."""
        try:
            self._window.edit_book.load(Path(name))
        except EditFileError as error:
            self._window.say(str(error))
            return
        self._window.say(f"Edits of {Path(name).name}; Ctrl+Z takes them back")

    def _asking(self, title: str, mode: QFileDialog.AcceptMode) -> QFileDialog:
        if self._dialog is not None:
            self._dialog.deleteLater()
        self._dialog = QFileDialog(self._window, title)
        self._dialog.setAcceptMode(mode)
        self._dialog.setNameFilter(KINDS)
        self._dialog.setDefaultSuffix(SUFFIX.removeprefix("."))
        return self._dialog

    @Slot(object)
    def _painted(self, stroke: tuple[str, int, Any]) -> None:
        self._window.edit_book.paint(*stroke)

    @Slot(bool)
    def _beside(self, on: bool) -> None:
        self._window.comparing.set_side_by_side(on=on)

    def _lines(self, panel: MapsPanel, menu: QMenu) -> None:
        """What can be done to the selected unit, and to the layer."""
        book, point, unit = self._window.edit_book, panel.point, panel.selected
        if not point or "/" in point:
            return
        one = menu.addMenu(f"Edit unit {unit}" if unit is not None else "Edit a unit: select one")
        one.setEnabled(unit is not None)
        if unit is not None:
            one.addAction("Zero (X)", partial(book.toggle_zero, point, unit))
            one.addAction("Halve ([)", partial(book.scale, point, unit, 0.5))
            one.addAction("Double (])", partial(book.scale, point, unit, 2.0))
            held = Edit(point, (unit,), "freeze", moment=self.moment())
            one.addAction("Hold while the rest goes on (Shift+F)", partial(self.add, held))
            count = panel.page.count if panel.page is not None else 0
            others = tuple(u for u in range(count) if u != unit)
            if others:
                one.addAction("Zero all others", partial(self.add, Edit(point, others)))
        whole = menu.addMenu("Edit the layer")
        whole.addAction("Zero", partial(self.add, Edit(point)))
        held = Edit(point, (), "freeze", moment=self.moment())
        whole.addAction("Hold while the rest goes on", partial(self.add, held))
        menu.addAction("Type an edit…", self.ask)
