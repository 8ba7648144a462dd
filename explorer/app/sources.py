"""What the engine looks at: one input a slot, read off the window's thread; latest wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PySide6.QtCore import QObject, Qt, Signal, Slot

from explorer.inputs import FolderInput, ImageInput, TextInput

if TYPE_CHECKING:
    from explorer.core.registry import Row
    from explorer.inputs import Input, Pixels

CAMERA = "camera:"
Origin = Literal["sample", "user", "remembered"]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What fills one slot.

    Attributes:
        where: a path, ``camera:0`` or the text itself: enough to open it again.
        origin: the engine's own sample, what a person gave, or what was open last time.
    """

    slot: str
    input: Input
    where: str
    origin: Origin = "user"

    @property
    def moving(self) -> bool:
        """Whether it has frames to play one by one: a clip, a camera, or a folder of pictures."""
        return hasattr(self.input, "fps") and not getattr(self.input, "whole", False)

    @property
    def live(self) -> bool:
        """Whether it is a camera."""
        return bool(getattr(self.input, "live", False))

    @property
    def title(self) -> str:
        """File name, or the start of a text."""
        if isinstance(self.input, TextInput):
            return self.input.name or self.input.text[:40]
        if isinstance(self.input, FolderInput):
            return self.input.path.name
        return str(getattr(self.input, "name", "")) or Path(self.where).name

    @property
    def note(self) -> str:
        """What is not as one would expect: cut off, reduced, the first of many, files left out."""
        skipped = getattr(self.input, "skipped", ())
        if skipped:
            more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
            return f"left out: {', '.join(skipped[:3])}{more}"
        return str(getattr(self.input, "note", ""))


@dataclass(frozen=True, slots=True)
class Refusal:
    """An input that could not be opened: one line with cause and remedy."""

    slot: str
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class _Read:
    ticket: int
    slot: str
    where: str
    origin: Origin
    input: Any = None
    error: str = ""


class FolderClip:
    """The pictures of a folder as a clip, for a slot that takes one picture; two a second."""

    fps = 2.0
    live = False

    def __init__(self, folder: FolderInput) -> None:
        self.path: Path | None = folder.path
        self.name = folder.path.name
        self.sha256 = ""
        self.skipped = folder.skipped
        self._files = folder.files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Pixels:
        from explorer.core.media import read_image

        return read_image(self._files[index]).pixels

    def close(self) -> None:
        """Nothing is held open."""


class Sources(QObject):
    """The inputs of the engine in use, by slot. Reading happens in one worker thread."""

    changed = Signal(object)  # Source
    refused = Signal(object)  # Refusal
    complete = Signal()  # every slot is filled, after a change
    _read = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._row: Row | None = None
        self._sources: dict[str, Source] = {}
        self._tickets: dict[str, int] = {}
        self._count = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sources")
        self._closed = False
        self._read.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def use(self, row: Row, remembered: Mapping[str, str] | None = None) -> None:
        """Fill the slots of an engine: what was open before where it fits, else its own sample."""
        before = [s for s in self._sources.values() if s.origin != "sample"]
        self._row, self._tickets = row, {}
        kept: dict[str, Source] = {}
        for source in before:
            slot = self._slot_for(source, taken=kept)
            if slot is not None:
                kept[slot] = replace(source, slot=slot)
                if hasattr(source.input, "whole"):
                    source.input.whole = row.inputs[slot].startswith("clip")
        self._close_all(but=kept.values())
        self._sources = kept
        for slot in row.inputs:
            if slot in kept:
                self.changed.emit(kept[slot])
            elif remembered and slot in remembered:
                self.give(slot, remembered[slot], origin="remembered")
            elif slot in row.sample:
                self.give_sample(slot)
        if self.is_complete():
            self.complete.emit()

    def clear(self) -> None:
        """Let everything go, before a session brings its own."""
        self._tickets = {}
        self._close_all()
        self._sources = {}

    def give_sample(self, slot: str) -> None:
        """Open the engine's own sample in a slot."""
        row = self._known()
        self.give(slot, row.sample[slot], origin="sample")

    def give(self, slot: str, where: str | Path, *, origin: Origin = "user") -> None:
        """Open a path, ``camera:N`` or a text in a slot; `changed` or `refused` follows."""
        slot_type = self._known().inputs[slot]
        where = str(where)
        if where.startswith(CAMERA):
            self._start(slot, where, origin, partial(_open_camera, where))
        elif slot_type.startswith("text") and origin == "user" and not _is_file(where):
            self._put(Source(slot, TextInput(where), where, origin))
        else:
            self._start(slot, where, origin, partial(_open, slot_type, where, origin))

    def give_pixels(self, slot: str, pixels: Pixels, name: str) -> None:
        """Put a picture (H, W, 3) uint8 that has no file (a paste) in a slot."""
        image = ImageInput(np.ascontiguousarray(pixels), name=name)
        self._put(Source(slot, image, "", "user"))

    def empty(self, slot: str) -> None:
        """Let go of what is in a slot that may stay empty."""
        self._tickets.pop(slot, None)
        old = self._sources.pop(slot, None)
        if self.is_complete() and not self._tickets:
            self.complete.emit()
        if old is not None:
            _close(old.input)

    def source(self, slot: str) -> Source | None:
        """What is in a slot."""
        return self._sources.get(slot)

    def place(self, slot: str) -> str:
        """Where what is in a slot can be opened again: a path or the text; "" when nowhere."""
        source = self._sources.get(slot)
        if source is None or source.origin != "sample" or isinstance(source.input, TextInput):
            return source.where if source is not None else ""
        from explorer.core.paths import assets

        return str(assets() / source.where)

    def inputs(self) -> dict[str, Input]:
        """What is in all slots."""
        return {slot: source.input for slot, source in self._sources.items()}

    def moving(self) -> Source | None:
        """The first slot with frames to play, if any."""
        return next((s for s in self._sources.values() if s.moving), None)

    def is_complete(self) -> bool:
        """Whether every slot of the engine is filled that must be."""
        from explorer.core.registry import is_filled

        return self._row is not None and is_filled(self._row, self._sources)

    def is_reading(self) -> bool:
        """Whether something is being opened."""
        return bool(self._tickets)

    def remember(self) -> dict[str, str]:
        """Slot to place of what a person opened, to open it again at the next start."""
        return {s.slot: s.where for s in self._sources.values() if s.origin != "sample" and s.where}

    def close(self) -> None:
        """Close files and cameras and end the reading thread."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._close_all()
        self._sources = {}

    def later(self, work: Callable[[], object]) -> None:
        """Do something in the reading thread that would hold up the window (a first import)."""
        self._pool.submit(work)

    def _known(self) -> Row:
        if self._row is None:
            raise RuntimeError("no engine is chosen yet: call use(row) first")
        return self._row

    def _start(self, slot: str, where: str, origin: Origin, work: Callable[[], Any]) -> None:
        self._count += 1
        self._tickets[slot] = self._count
        future = self._pool.submit(work)
        future.add_done_callback(partial(self._deliver, self._count, slot, where, origin))

    def _deliver(
        self, ticket: int, slot: str, where: str, origin: Origin, future: Future[Any]
    ) -> None:
        if self._closed or future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._read.emit(_Read(ticket, slot, where, origin, future.result()))
        else:
            cause = str(error) or type(error).__name__
            self._read.emit(_Read(ticket, slot, where, origin, error=cause))

    @Slot(object)
    def _take(self, read: _Read) -> None:
        if self._closed or self._tickets.get(read.slot) != read.ticket:
            _close(read.input)
            return
        del self._tickets[read.slot]
        if read.error:
            self.refused.emit(Refusal(read.slot, read.where, read.error))
            empty = read.slot not in self._sources and read.slot in self._known().sample
            if empty and read.origin != "sample":  # the file of last time has gone
                self.give_sample(read.slot)
            return
        self._put(Source(read.slot, read.input, read.where, read.origin))

    def _put(self, source: Source) -> None:
        old = self._sources.get(source.slot)
        self._tickets.pop(source.slot, None)
        self._sources[source.slot] = source
        self.changed.emit(source)
        if self.is_complete() and not self._tickets:
            self.complete.emit()
        if old is not None and old.input is not source.input:
            _close(old.input)

    def _slot_for(self, source: Source, taken: Mapping[str, Source]) -> str | None:
        from explorer.core.media import fits

        kind, row = kind_of(source.input), self._known()
        free = [s for s in row.inputs if s not in taken and s not in row.optional]
        fitting = [s for s in free if fits(self._known().inputs[s], kind)]
        return source.slot if source.slot in fitting else next(iter(fitting), None)

    def _close_all(self, but: Any = ()) -> None:
        kept = {id(s.input) for s in but}
        for source in self._sources.values():
            if id(source.input) not in kept:
                _close(source.input)


def kind_of(value: Input) -> str:
    """The word of `core.media.sniff` for an opened input."""
    if isinstance(value, ImageInput):
        return "image"
    if isinstance(value, TextInput):
        return "text"
    if isinstance(value, FolderInput):
        return "folder"
    return "clip" if hasattr(value, "fps") else "file"


def _is_file(where: str) -> bool:
    try:
        return "\n" not in where and Path(where).is_file()
    except OSError:  # longer than a path may be: it is a text
        return False


def _open(slot_type: str, where: str, origin: Origin) -> Any:
    from explorer.core import media

    if origin == "sample":
        if slot_type.startswith("text"):
            return TextInput(where)
        return media.read_input(slot_type, media.assets() / where)
    if slot_type.startswith("image") and Path(where).is_dir():
        return FolderClip(media.read_folder(Path(where)))
    return media.read_input(slot_type, where)


def _open_camera(where: str) -> Any:
    from explorer.core.media import open_camera

    return open_camera(int(where.removeprefix(CAMERA) or 0))


def _close(value: Any) -> None:
    if hasattr(value, "close"):
        value.close()
