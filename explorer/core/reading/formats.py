"""What a file is, told from its first bytes and then from its suffix; nothing is decoded here."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Literal

Found = Literal["image", "clip", "text", "folder", "weights", "model", "unknown"]

IMAGE_SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif", ".ppm",
    ".pgm", ".pbm",
)  # fmt: skip
CLIP_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv",
    ".3gp", ".mts", ".m2ts",
)  # fmt: skip
TEXT_SUFFIXES = (".txt", ".md", ".csv", ".tsv", ".json", ".log", ".rst")
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".h5")
MODEL_SUFFIXES = (".py", ".pt2")

PICTURES = "Drop a PNG, JPEG, BMP, GIF, WebP, TIFF, AVIF or PNM picture"
CLIPS = "Drop an MP4, MOV, AVI, MKV or WebM clip"

HEAD = 4096
"""How many bytes of a file tell what it is."""

_IMAGE_MAGIC = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"
    rb"|RIFF.{4}WEBP|II[\x2a\x2b]\0|MM\0[\x2a\x2b]|P[1-6]\s"
    rb"|.{4}ftyp(?:avif|avis|heic|heix|hevc|mif1|msf1)",
    re.DOTALL,
)
_DOCUMENTS = (b"%PDF-", b"%!PS", b"{\\rtf")  # letters, but no text that one could read
_CLIP_MAGIC = re.compile(
    rb"RIFF.{4}AVI |.{4}(?:ftyp|moov|mdat|wide)|\x1a\x45\xdf\xa3|OggS|FLV\x01"
    rb"|\0\0\x01[\xba\xb3]|\x30\x26\xb2\x75|\x47.{187}\x47|.{4}\x47.{191}\x47",
    re.DOTALL,
)
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF"
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b")) + b"\x7f"


class MediaError(ValueError):
    """A file, clip or camera cannot be used; one line with name, size, cause and remedy."""


def sniff(path: Path | str) -> Found:
    """Tell what ``path`` is, by content first, then by suffix; "unknown" when it is not there.

    A text by the name of a picture, clip or model counts as that: its reader says what is wrong.
    """
    path = Path(path)
    found = content(path)
    if found not in ("unknown", "text") or not _is_file(path):
        return found
    return _by_suffix(path, otherwise=found)


def content(path: Path) -> Found:
    """What the bytes of ``path`` tell, whatever its name."""
    try:
        if path.is_dir():
            return "folder"
        if not path.is_file():
            return "unknown"
        with path.open("rb") as file:
            head = file.read(HEAD)
            size = file.seek(0, io.SEEK_END)
    except (OSError, ValueError):  # not readable, or a name with a NUL in it
        return "unknown"
    if _IMAGE_MAGIC.match(head):
        return "image"
    if _CLIP_MAGIC.match(head):
        return "clip"
    if head.startswith(_DOCUMENTS):
        return "unknown"
    if head.startswith(b"PK\x03\x04"):
        return _by_members(path)
    if head.startswith((b"\x89HDF\r\n\x1a\n", _LEGACY_TORCH)) or _is_safetensors(head, size):
        return "weights"
    return "text" if is_text(head) else "unknown"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _by_members(path: Path) -> Found:
    """A zip archive: torch weights, a TorchScript or exported program, or something else."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return "unknown"
    inner = {name.partition("/")[2] for name in names}
    if "archive_format" in inner | set(names) or any(n.startswith("code/") for n in inner):
        return "model"
    return "weights" if "data.pkl" in inner else "unknown"


def _is_safetensors(head: bytes, size: int) -> bool:
    return len(head) > 8 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") < size


def is_text(head: bytes) -> bool:
    """Whether the first `HEAD` bytes of a file are UTF-8 or UTF-16 text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if not head or any(byte in _CONTROL for byte in head):
        return False
    for cut in range(4):  # the head may end inside a character
        try:
            head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return True
    return False


def _by_suffix(path: Path, otherwise: Found) -> Found:
    tables: tuple[tuple[Found, tuple[str, ...]], ...] = (
        ("image", IMAGE_SUFFIXES), ("clip", CLIP_SUFFIXES), ("text", TEXT_SUFFIXES),
        ("weights", WEIGHTS_SUFFIXES), ("model", MODEL_SUFFIXES),
    )  # fmt: skip
    suffix = path.suffix.lower()
    return next((found for found, suffixes in tables if suffix in suffixes), otherwise)


def shown(path: Path | str) -> str:
    """The file's name as one printable line of at most 80 characters, without control marks."""
    name = Path(path).name or str(path)
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return line if len(line) <= 80 else f"{line[:60]}…{line[-19:]}"


def amount(size: int) -> str:
    """A number of bytes with its unit, three digits."""
    if size < 1000:
        return f"{size} bytes" if size != 1 else "1 byte"
    step = 1 if size < 999_500 else 2 if size < 999_500_000 else 3
    return f"{size / 1000**step:.3g} {('kB', 'MB', 'GB')[step - 1]}"


def trouble(path: Path | str, cause: str, remedy: str) -> MediaError:
    """A MediaError that says file name, size where there is one, cause and remedy in one line."""
    try:
        file = Path(path)
        size = f"{amount(file.stat().st_size)}, " if file.is_file() else ""
    except (OSError, ValueError):
        size = ""
    return MediaError(f"{shown(path)}: {size}{cause}. {remedy}.")


def require_file(path: Path, what: str) -> int:
    """The size of a file that must be there, ordinary, and hold something.

    Raises:
        MediaError: it is not there, a folder or device, or empty.
    """
    try:
        if path.is_file():
            if size := path.stat().st_size:
                return size
            raise trouble(path, "empty", "Copy or download it again")
        there = path.exists()
        kind = "a folder" if path.is_dir() else "not an ordinary file"
    except OSError as error:
        raise unreadable(path, error) from error
    if there:
        raise trouble(path, f"{kind}, not {what}", "Choose a file")
    raise trouble(path, "no such file", "Check the name, or drop the file on the window")


def whole_file(path: Path, *, limit: int, what: str) -> bytes:
    """Read a file that must be there, readable, not empty and at most ``limit`` bytes.

    Raises:
        MediaError: it is not.
    """
    if require_file(path, what) > limit:
        raise trouble(path, f"larger than {amount(limit)}", "Use a smaller file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> MediaError:
    """What the system said when a file was opened, as a MediaError."""
    return trouble(path, f"cannot be read: {error.strerror or error}", "Check its permissions")
