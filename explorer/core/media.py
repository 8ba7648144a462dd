"""Everything untrusted enters here: pictures, clips, cameras, folders, texts and files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from explorer.core.paths import assets
from explorer.core.reading.cameras import Camera, open_camera
from explorer.core.reading.clips import Clip, open_clip
from explorer.core.reading.formats import (
    CLIP_SUFFIXES,
    IMAGE_SUFFIXES,
    MODEL_SUFFIXES,
    PICTURES,
    TEXT_SUFFIXES,
    WEIGHTS_SUFFIXES,
    MediaError,
    content,
    require_file,
    shown,
    sniff,
    trouble,
    unreadable,
    whole_file,
)
from explorer.core.reading.pictures import MAX_PIXELS, image_from_array, read_image
from explorer.core.registry import Row
from explorer.inputs import FileInput, FolderInput, Input, TextInput

__all__ = [
    "CLIP_SUFFIXES", "IMAGE_SUFFIXES", "MAX_PIXELS", "MODEL_SUFFIXES", "TEXT_SUFFIXES",
    "WEIGHTS_SUFFIXES", "Camera", "Clip", "MediaError", "assets", "fits", "image_from_array",
    "natural", "open_camera", "open_clip", "read_file", "read_folder", "read_image", "read_input",
    "read_text", "sample_inputs", "shown", "sniff",
]  # fmt: skip

TEXT_BYTES = 1_000_000
MAX_FILES = 100_000

_CAMERA = re.compile(r"camera(?::(\d{1,3}))?")
_TAKES: dict[str, tuple[str, ...]] = {
    "image": ("image", "clip"),
    "clip": ("clip",),
    "text": ("text",),
    "folder": ("folder",),
    "file": ("image", "clip", "text", "weights", "model", "unknown"),
}


def fits(slot_type: str, found: str) -> bool:
    """Whether what `sniff` found may be dropped on a slot; file.SUFFIX counts as file."""
    return found in _TAKES.get(slot_type.partition(".")[0], ())


def read_input(slot_type: str, value: str | Path) -> Input:
    """Open what a slot was given: a path, "camera" or "camera:1", or for a text slot the text.

    A clip in an image slot is opened as a clip, whose frames are run one by one; in a clip slot the
    engine takes it whole.

    Raises:
        MediaError: it is not there, of the wrong kind, or cannot be read.
    """
    kind, _, suffix = slot_type.partition(".")
    if kind not in _TAKES:
        raise MediaError(f"slot type {slot_type!r} is unknown. Known: {', '.join(_TAKES)}.")
    if kind == "text":
        if isinstance(value, Path) or _is_file(value):
            return read_text(value)
        return _typed(value)
    camera = _CAMERA.fullmatch(str(value)) if kind in ("image", "clip") else None
    if camera and not _is_file(value):
        return open_camera(int(camera[1] or 0))
    path = Path(value)
    if kind == "folder":
        return read_folder(path)
    if kind == "file":
        return read_file(path, (f".{suffix}",) if suffix else ())
    if kind == "clip":
        clip = open_clip(path)
        clip.whole = True
        return clip
    return _picture_or_clip(path)


def _picture_or_clip(path: Path) -> Input:
    found = sniff(path)
    if found == "clip":
        return open_clip(path)
    if found in ("folder", "weights", "model"):
        article = {"folder": "a folder", "weights": "a file of weights", "model": "a model"}
        raise trouble(path, f"{article[found]}, not a picture or clip", PICTURES)
    return read_image(path)


def sample_inputs(row: Row) -> dict[str, Input]:
    """The engine's own sample, slot by slot; a slot without one is left out.

    Raises:
        MediaError: a sample is not where the row says.
    """
    inputs: dict[str, Input] = {}
    for slot, sample in row.sample.items():
        file = assets() / sample if len(sample) < 256 and "\0" not in sample else None
        value = file if file is not None and file.exists() else sample
        inputs[slot] = read_input(row.inputs.get(slot, "image"), value)
    return inputs


def read_folder(path: Path | str) -> FolderInput:
    """All pictures in a folder and the folders below it, in natural order; the rest is named.

    Hidden files are passed over; links to folders are not followed.

    Raises:
        MediaError: no folder, not readable, no picture in it, or more than `MAX_FILES` files.
    """
    path = Path(path)
    if not path.is_dir():
        what = "not a folder" if path.exists() else "no such folder"
        raise trouble(path, what, "Drop a folder of pictures")
    pictures, skipped = [], []
    for count, file in enumerate(_files(path)):
        if count >= MAX_FILES:
            raise trouble(path, f"more than {MAX_FILES:,} files", "Choose a smaller folder")
        if content(file) == "image":
            pictures.append(file)
        else:
            skipped.append(shown(file))
    if not pictures:
        others = f"{len(skipped)} other file{'s' * (len(skipped) > 1)}"
        here = others if skipped else "nothing"
        raise trouble(path, f"no picture in this folder, {here}", "Choose a folder of pictures")
    pictures.sort(key=lambda file: natural(str(file.relative_to(path))))
    return FolderInput(path, tuple(pictures), tuple(sorted(skipped, key=natural)))


def _files(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise trouble(folder, f"cannot be read: {error.strerror}", "Check its permissions")

    for place, below, names in os.walk(folder, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        yield from (Path(place, name) for name in names if not name.startswith("."))


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key by which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(p), p) if p.isdecimal() and p.isascii() else (1, 0, p) for p in parts]


def read_text(path: Path | str) -> TextInput:
    """A text file of at most 1 MB: UTF-8, UTF-16 with its mark, else Windows-1252.

    Raises:
        MediaError: not there, too large, empty, or not a text.
    """
    path = Path(path)
    data = whole_file(path, limit=TEXT_BYTES, what="a text")
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            lines = text.replace("\r\n", "\n").replace("\r", "\n")
            return TextInput(lines, shown(path), hashlib.sha256(data).hexdigest())
    raise trouble(path, "not a text", "Drop a plain text file, or type the text")


def _typed(text: str) -> TextInput:
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > TEXT_BYTES:
        raise MediaError(f"a text of {len(data):,} bytes is too long. Keep it under 1 MB.")
    return TextInput(text, "", hashlib.sha256(data).hexdigest())


def read_file(path: Path | str, suffixes: Sequence[str] = ()) -> FileInput:
    """Any file, if its suffix is one of ``suffixes`` (none: any suffix).

    Raises:
        MediaError: not there, empty, not readable or of another suffix.
    """
    path = Path(path)
    accepted = [suffix.lower() for suffix in suffixes]
    if accepted and path.suffix.lower() not in accepted:
        raise trouble(path, "of the wrong type", f"Drop a file of type {', '.join(accepted)}")
    require_file(path, "a file")
    try:
        with path.open("rb") as file:
            return FileInput(path, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise unreadable(path, error) from error


def _is_file(value: str | Path) -> bool:
    try:
        return Path(value).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL in it: not a file
        return False
