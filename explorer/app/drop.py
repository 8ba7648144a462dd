"""Drops and pastes: what was dropped, which slot takes it, and what to say when none does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PySide6.QtCore import QEvent, QMimeData, QObject, Signal
from PySide6.QtGui import QDragMoveEvent, QDropEvent, QImage
from PySide6.QtWidgets import QAbstractScrollArea, QLineEdit, QPlainTextEdit, QWidget

if TYPE_CHECKING:
    from explorer.core.registry import Row
    from explorer.inputs import Pixels

What = Literal[
    "image",
    "clip",
    "text",
    "folder",
    "weights",
    "model",
    "unknown",
    "pixels",
    "address",
    "session",
]
WORDS = {
    "image": "a picture", "clip": "a clip", "text": "a text", "folder": "a folder",
    "weights": "a weights file", "model": "a model", "pixels": "a picture", "unknown": "a file",
    "address": "a web address", "file": "a file",
}  # fmt: skip
TRAINING = ".training"


@dataclass(frozen=True, slots=True, eq=False)
class Dropped:
    """One thing that was dropped or pasted, and the slot it was dropped on ("" anywhere)."""

    what: What
    path: Path | None = None
    text: str = ""
    pixels: Pixels | None = None
    slot: str = ""

    @property
    def name(self) -> str:
        """How messages call it."""
        if self.path is not None:
            return self.path.name
        return "the pasted picture" if self.what == "pixels" else self.text[:40]


def carries(mime: QMimeData) -> bool:
    """Whether there is anything in it that could be opened."""
    return mime.hasUrls() or mime.hasImage() or mime.hasText()


def read_mime(mime: QMimeData | None, slot: str = "") -> list[Dropped]:
    """What the data holds: files first, else a picture, else a text; nothing when empty.

    A file that is not there is a Dropped of kind ``unknown``; a web address is ``address``.
    """
    if mime is None:  # an empty clipboard
        return []
    if mime.hasUrls() and mime.urls():
        local = [Path(u.toLocalFile()) for u in mime.urls() if u.isLocalFile()]
        if local:
            return [Dropped(kind_of_file(path), path, slot=slot) for path in local]
    if mime.hasImage():
        image = QImage(mime.imageData())
        if not image.isNull():
            return [Dropped("pixels", pixels=pixels_of(image), slot=slot)]
    if mime.hasUrls() and mime.urls():
        return [Dropped("address", text=mime.urls()[0].toString(), slot=slot)]
    text = mime.text()
    if text.strip():
        path = Path(text.strip()) if "\n" not in text.strip() and len(text) < 1000 else None
        if path is not None and path.is_absolute() and path.exists():
            return [Dropped(kind_of_file(path), path, slot=slot)]
        return [Dropped("text", text=text, slot=slot)]
    return []


def kind_of_file(path: Path) -> What:
    """What a file is, by content; cv2 is imported with it, so never before the first paint."""
    from explorer.core.media import sniff
    from explorer.core.stores.session_file import SUFFIX

    if path.suffix.lower() == SUFFIX:
        return "session"
    return sniff(path) if path.exists() else "unknown"


def pixels_of(image: QImage) -> Pixels:
    """A QImage as (H, W, 3) uint8 sRGB; transparency lies on white."""
    flat = QImage(image.size(), QImage.Format.Format_RGB888)
    flat.fill(0xFFFFFF)
    from PySide6.QtGui import QPainter

    painter = QPainter(flat)
    painter.drawImage(0, 0, image)
    painter.end()
    rows = np.frombuffer(flat.constBits(), np.uint8).reshape(flat.height(), flat.bytesPerLine())
    return rows[:, : 3 * flat.width()].reshape(flat.height(), flat.width(), 3).copy()


def fitting(row: Row, thing: Dropped) -> list[str]:
    """Slots of an engine that take the thing; only the one it was dropped on when that fits."""
    from explorer.core.media import fits

    found = "image" if thing.what == "pixels" else thing.what
    slots = [
        s for s, kind in row.inputs.items()
        if _takes(kind, found, thing, fits) and (s == thing.slot or not for_training(kind))
    ]  # fmt: skip
    return [thing.slot] if thing.slot in slots else slots


def for_training(kind: str) -> bool:
    """Whether a slot of this type is read by the training alone: nothing goes there unasked."""
    return kind.endswith(TRAINING)


def _takes(kind: str, found: str, thing: Dropped, fits: object) -> bool:
    if kind.startswith("image") and found == "folder":
        return True  # its pictures become a clip
    if kind.startswith("text") and thing.path is None and found == "text":
        return True
    # Of "file.json": a photo is no candidate for it.
    suffix = kind.removesuffix(TRAINING).partition(".")[2]
    if suffix and (thing.path is None or thing.path.suffix.lower() != f".{suffix}"):
        return False
    return bool(fits(kind, found)) if callable(fits) else False


def takers(rows: Sequence[Row], thing: Dropped) -> list[Row]:
    """Engines that could take the thing."""
    return [row for row in rows if not row.problem and fitting(row, thing)]


def wanted(row: Row) -> str:
    """What an engine takes, in words: ``a picture or a clip``."""
    words: list[str] = []
    for kind in row.inputs.values():
        base = kind.partition(".")[0]
        found = ["a picture", "a clip", "a folder"] if base == "image" else [WORDS.get(base, base)]
        words += [w for w in found if w not in words]
    if not words:
        return "no input"
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


class DropZone(QObject):
    """Makes a widget and all inside it a drop target: `dropped` carries a list of Dropped.

    Views below it would swallow drops, so they give them up; text fields keep plain text.
    """

    entered = Signal(bool)
    dropped = Signal(object)

    def __init__(self, widget: QWidget, slot: str = "") -> None:
        super().__init__(widget)
        self.slot = slot
        widget.setAcceptDrops(True)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Accept what can be opened, and read it at the drop."""
        kind = event.type()
        if kind in (QEvent.Type.DragEnter, QEvent.Type.DragMove):
            assert isinstance(event, QDragMoveEvent)
            if not carries(event.mimeData()):
                return False
            event.acceptProposedAction()
            if kind == QEvent.Type.DragEnter:
                self.entered.emit(True)
            return True
        if kind == QEvent.Type.DragLeave:
            self.entered.emit(False)
        if kind == QEvent.Type.Drop:
            assert isinstance(event, QDropEvent)
            self.entered.emit(False)
            things = read_mime(event.mimeData(), self.slot)
            event.acceptProposedAction()
            if things:
                self.dropped.emit(things)
            return True
        return False


def yield_drops(widget: QWidget) -> None:
    """Let drops on scroll areas and plots inside a panel through to the panel's dock."""
    for view in widget.findChildren(QAbstractScrollArea):
        if not isinstance(view, QPlainTextEdit):
            view.setAcceptDrops(False)
            view.viewport().setAcceptDrops(False)
    for child in widget.findChildren(QWidget):
        if child.acceptDrops() and not isinstance(child, (QLineEdit, QPlainTextEdit)):
            child.setAcceptDrops(False)
