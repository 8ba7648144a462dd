"""Everything that comes in (drops, pastes, file dialogs, the camera) and where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Slot
from PySide6.QtGui import QCursor, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu

from explorer.app.drop import WORDS, Dropped, fitting, read_mime, takers, wanted
from explorer.app.sources import CAMERA
from explorer.inputs import ImageInput

if TYPE_CHECKING:
    from explorer.app.sources import Refusal, Source
    from explorer.app.window import Window


class Intake(QObject):
    """Sends each thing to the slot that takes it, or says why none does."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._dialog: QFileDialog | None = None
        self._slot = ""
        self._before: Source | None = None  # what the camera took the place of
        window.sources.refused.connect(self.refused)

    @Slot(object)
    def take(self, things: Sequence[Dropped]) -> None:
        """Open what was dropped or pasted; of several things for one slot the last stays."""
        self._window.touched("source")
        for thing in things:
            self._one(thing)

    def take_paths(self, paths: Sequence[str], *, in_order: bool = False) -> None:
        """Files as if dropped; ``in_order`` each goes to the next slot that takes it, unasked."""
        from explorer.app.drop import kind_of_file

        things = [Dropped(kind_of_file(Path(p)), Path(p)) for p in paths]
        taken: set[str] = set()
        for i, thing in enumerate(things if in_order else ()):
            free = [slot for slot in fitting(self._window.row, thing) if slot not in taken]
            taken |= set(free[:1])
            things[i] = replace(thing, slot="".join(free[:1]))
        self.take(things)

    @Slot()
    def paste(self) -> None:
        """Open what is on the clipboard."""
        things = read_mime(QGuiApplication.clipboard().mimeData())
        if things:
            self.take(things)
        else:
            self._window.say("The clipboard has no picture, file or text")

    @Slot()
    def toggle_camera(self) -> None:
        """Open the first camera in the first slot that takes a picture, or go back to the file.

        A camera that went away is opened again, as its card says.
        """
        self._window.touched("source")
        row, sources = self._window.row, self._window.sources
        slot = next((s for s, kind in row.inputs.items() if kind.startswith("image")), None)
        if slot is None:
            self._window.say(f"{row.title} takes {wanted(row)}, no camera")
            return
        now = sources.source(slot)
        self._window.cards.clear_input()
        gone = now is not None and getattr(now.input, "gone", False)
        if now is not None and now.live and not gone:
            self._back_to_file(slot)
        else:
            self._before = self._before if gone else now
            sources.give(slot, f"{CAMERA}0")

    def _back_to_file(self, slot: str) -> None:
        """What was in a slot before the camera, else the engine's sample."""
        before, sources = self._before, self._window.sources
        if before is not None and before.origin != "sample" and before.where:
            sources.give(slot, before.where)
        elif before is not None and isinstance(before.input, ImageInput) and not before.where:
            sources.give_pixels(slot, before.input.pixels, before.title)
        else:
            sources.give_sample(slot)

    def ask_file(self, slot: str = "") -> None:
        """Choose a file; the dialog is modeless, the window goes on."""
        self._ask(
            slot, QFileDialog.FileMode.ExistingFile, "Open a picture, clip, text, weights or model"
        )

    def ask_folder(self, slot: str = "") -> None:
        """Choose a folder of pictures."""
        self._ask(slot, QFileDialog.FileMode.Directory, "Open a folder of pictures")

    def _ask(self, slot: str, mode: QFileDialog.FileMode, title: str) -> None:
        if self._dialog is not None:
            self._dialog.deleteLater()
        self._slot = slot
        self._dialog = QFileDialog(self._window, title)
        self._dialog.setFileMode(mode)
        recent = self._window.settings.values.recent
        if recent:
            self._dialog.setDirectory(str(Path(recent[0]).parent))
        self._dialog.fileSelected.connect(self._chosen)
        self._dialog.open()

    @Slot(str)
    def _chosen(self, name: str) -> None:
        from explorer.app.drop import kind_of_file

        self.take([Dropped(kind_of_file(Path(name)), Path(name), slot=self._slot)])

    @Slot(str, str)
    def slot_wants(self, slot: str, what: str) -> None:
        """A button of a slot's row."""
        if what == "sample":
            self._window.touched("source")
            self._window.sources.give_sample(slot)
        elif what == "nothing":
            self._window.touched("source")
            self._window.sources.empty(slot)
            if self._window.room.slots is not None:
                self._window.room.slots.rows[slot].show_empty()
        elif what == "camera":
            self._window.touched("source")
            self._window.sources.give(slot, f"{CAMERA}0")
        elif self._window.row.inputs[slot].startswith("folder"):
            self.ask_folder(slot)
        else:
            self.ask_file(slot)

    @Slot(str, str)
    def typed(self, slot: str, text: str) -> None:
        """A text slot's field."""
        self._window.touched("source")
        self._window.sources.give(slot, text)

    @Slot(object)
    def refused(self, refusal: Refusal) -> None:
        """A file could not be opened: say so in the input dock; what ran goes on."""
        name = Path(refusal.where).name if refusal.where else "Input"
        if refusal.where.startswith(CAMERA):
            name = refusal.where.replace(":", " ")
        self._window.cards.input_refused(name, refusal.message, self._again(refusal))

    def _again(self, refusal: Refusal) -> partial[None]:
        return partial(self._window.sources.give, refusal.slot, refusal.where)

    def _one(self, thing: Dropped) -> None:
        if thing.path is not None:
            self._window.settings.add_recent(str(thing.path))
        if thing.what == "session" and thing.path is not None:
            self._window.session_files.open(thing.path)
        elif thing.what == "weights" and thing.path is not None:
            self._window.foreign.weights(thing.path)
        elif thing.what == "model" and thing.path is not None:
            self._window.foreign.ask_consent(thing.path)
        elif thing.what == "address":
            self._window.cards.input_refused(
                thing.name,
                "a web address; nothing is downloaded here. Save the file, then drop it.",
                None,
            )
        else:
            self._to_slot(thing)

    def _to_slot(self, thing: Dropped) -> None:
        slots = fitting(self._window.row, thing)
        if len(slots) > 1:
            self._choose(thing, slots)
        elif slots:
            self.give(thing, slots[0])
        else:
            self._misfit(thing)

    def give(self, thing: Dropped, slot: str) -> None:
        """Put a thing in a slot."""
        self._window.cards.clear_input()
        if thing.pixels is not None:
            self._window.sources.give_pixels(slot, thing.pixels, thing.name)
        else:
            self._window.sources.give(slot, thing.path if thing.path is not None else thing.text)

    def _choose(self, thing: Dropped, slots: Sequence[str]) -> None:
        menu = QMenu(self._window)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setAccessibleName(f"Which input takes {thing.name}")
        menu.addSection(f"{thing.name} as")
        for slot in slots:
            menu.addAction(slot).triggered.connect(partial(self._give_chosen, thing, slot))
        menu.popup(QCursor.pos())

    def _give_chosen(self, thing: Dropped, slot: str, checked: bool = False) -> None:
        self.give(thing, slot)

    def _misfit(self, thing: Dropped) -> None:
        row = self._window.row
        if thing.what == "unknown":
            self._window.cards.input_refused(thing.name, describe(thing.path), None)
            return
        others = takers(list(self._window.rows.values()), thing)
        message = f"{WORDS[thing.what]}; {row.title} takes {wanted(row)}."
        self._window.cards.wrong_engine(thing, message, others[:3])


def describe(path: Path | None) -> str:
    """What a file that nothing here can open is, and what is accepted."""
    accepted = (
        "Accepted: pictures, clips, folders, texts, weights (.safetensors, .pt) "
        "and models (.py, .pt2, TorchScript)."
    )
    if path is None or not path.exists():
        return f"there is no such file. {accepted}"
    size = path.stat().st_size
    if size == 0:
        return f"0 bytes, an empty file. {accepted}"
    return f"{size} bytes of no kind known here. {accepted}"
