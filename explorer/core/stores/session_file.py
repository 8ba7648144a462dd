"""Session files: what a window shows, as one JSON file, read strictly; nothing is opened here."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from explorer.core.own_models.model_row import is_own
from explorer.core.stores.atomic import atomic
from explorer.editing import Edit, EditError, as_record, of_record
from explorer.params import unknown

SUFFIX = ".layerscope"
FORMAT, VERSION = "layerscope-session", 1
LARGEST = 8 * 2**20  # bytes of a file; painted edits and a layout need a few hundred KiB
LONGEST = 4096  # characters of a path
MOST = 1000  # entries of any list or object
Kind = Literal["file", "text", "camera", "sample"]
DEVICES = ("/dev/", "/proc/", "/sys/")


class SessionFileError(ValueError):
    """A session file cannot be used: one line of cause and remedy; nothing was changed."""


@dataclass(frozen=True, slots=True)
class SavedInput:
    """What was in a slot: ``where`` is a path, a text, ``camera:N``, or "" for the sample."""

    kind: Kind
    where: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class SavedSession:
    """All that makes a window show the same again.

    Attributes:
        engine: name in the catalogue, or "model" for a person's own; then ``model`` names its
            code, which is never run without being asked for, and ``weights`` a file for it.
        inputs: by slot. ``knobs``: those that differ from their defaults.
        layers: that are looked at; ``layer`` is the large one; ``units``: selected, by layer.
        instruments: that are open, with their knobs.
        state, geometry: of the docks and the window, opaque bytes.
    """

    engine: str
    model: str = ""
    weights: str = ""
    seed: int = 0
    inputs: Mapping[str, SavedInput] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    layer: str = ""
    units: Mapping[str, int] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    instruments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    state: bytes = b""
    geometry: bytes = b""

    def code(self) -> tuple[str, ...]:
        """Whatever it names that would run as a program: its model, and those of instruments."""
        others = (str(knobs.get("model") or "") for knobs in self.instruments.values())
        named = [self.model, *(name for name in others if is_own(name))]  # else it is an engine
        return tuple(dict.fromkeys(name for name in named if name))

    def words(self) -> str:
        """``classify on photo.jpg, 3 edits``, for a question."""
        name = Path(self.model.rpartition(":")[0] or self.model).name if self.model else self.engine
        shown = [i.where for i in self.inputs.values() if i.where]
        what = Path(shown[0]).name[:40] if shown else ""
        count = len(self.edits)
        edits = f", {count} edit{'s' if count > 1 else ''}" if count else ""
        return f"{name}{f' on {what}' if what else ''}{edits}"


def as_json(session: SavedSession) -> str:
    """The file's text; equal sessions give equal texts."""
    plain: dict[str, Any] = {f.name: getattr(session, f.name) for f in fields(session)}
    plain["inputs"] = {
        slot: {"kind": i.kind, "where": i.where, "sha256": i.sha256}
        for slot, i in session.inputs.items()
    }
    plain["edits"] = [as_record(edit) for edit in session.edits]
    plain["state"] = base64.b64encode(session.state).decode("ascii")
    plain["geometry"] = base64.b64encode(session.geometry).decode("ascii")
    whole = {"format": FORMAT, "version": VERSION, **plain}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False, default=list) + "\n"


def write(session: SavedSession, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        SessionFileError: the folder cannot be written, or a knob is no number or text.
    """
    try:
        text = as_json(session)
        with atomic(Path(path)) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SessionFileError(
            f"cannot write {path}: {error.strerror or error}; choose another folder"
        ) from error
    except (TypeError, ValueError) as error:
        raise SessionFileError(f"cannot write {path}: {error}") from error


def read(path: Path) -> SavedSession:
    """Read a session file. Paths in it are resolved against its folder and looked at by nobody.

    Raises:
        SessionFileError: one line: what is wrong, and what is accepted.
    """
    path = Path(path)
    try:
        return _parsed(_text(path), path.parent)
    except SessionFileError as error:
        raise SessionFileError(f"{path.name}: {error}") from error


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise SessionFileError("there is no such file" if not path.exists() else "is no file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise SessionFileError(f"cannot be read: {error.strerror or error}") from error
    if len(data) > LARGEST:
        raise SessionFileError(
            f"over {LARGEST // 2**20} MiB, far more than a session; it was not read"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SessionFileError("no UTF-8 text, so no session file") from error


def _parsed(text: str, folder: Path) -> SavedSession:
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise SessionFileError("no JSON, so no session file; save one with Ctrl+S") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise SessionFileError("JSON, but no session file of layerscope")
    version = data.get("version")
    if type(version) is not int or version != VERSION:
        raise SessionFileError(
            f"has version {version!r}; this layerscope reads {VERSION}. A newer one may read it"
        )
    values = {k: v for k, v in data.items() if k not in ("format", "version")}
    known = {f.name for f in fields(SavedSession)}
    for name in values:
        if name not in known:
            raise SessionFileError(unknown("entry", str(name)[:60], sorted(known)))
    checked = {name: _READERS[name](name, value) for name, value in values.items()}
    if not checked.get("engine"):
        raise SessionFileError("names no engine")
    return _placed(SavedSession(**checked), folder)


def _placed(session: SavedSession, folder: Path) -> SavedSession:
    """The same with paths that do not depend on where we are."""
    inputs = {
        slot: replace(i, where=_path(f"inputs.{slot}", i.where, folder)) if i.kind == "file" else i
        for slot, i in session.inputs.items()
    }
    return replace(session, inputs=inputs)


def _path(name: str, where: str, folder: Path) -> str:
    """An absolute path on this computer.

    A session file may come from a stranger: it must not make us read devices, or make Windows log
    in at another computer.
    """
    if not where or len(where) > LONGEST or re.search(r"[\x00-\x1f]", where):
        raise SessionFileError(f"{name}: {where[:60]!r} is no path")
    if re.match(r"(?i)[a-z][a-z0-9+.-]+://", where) or where.startswith(("\\\\", "//")):
        raise SessionFileError(
            f"{name}: {where[:60]!r} is on another computer; copy the file here and open it"
        )
    path = Path(where)
    if not path.is_absolute():
        if ".." in path.parts:
            raise SessionFileError(f"{name}: {where[:60]!r} leads out of the session's folder")
        path = folder.absolute() / path
    if str(path).startswith(DEVICES) or ".." in path.parts:
        raise SessionFileError(f"{name}: {where[:60]!r} is no picture, clip, text or folder")
    return str(path)


# -- one reader an entry


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _words(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise _wrong(name, "a text", value)
    return value


def _name(name: str, value: Any) -> str:
    if re.search(r"[\x00-\x1f]", _words(name, value)):
        raise _wrong(name, "a name", value)
    return str(value)


def _whole(name: str, value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise _wrong(name, "a whole number", value)
    return value


def _names(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST:
        raise _wrong(name, "a list of names", value)
    return tuple(_name(name, item) for item in value)


def _object(name: str, value: Any, read_one: Callable[[str, Any], Any]) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MOST:
        raise _wrong(name, "an object", value)
    return {_name(name, key): read_one(f"{name}.{key}", item) for key, item in value.items()}


def _units(name: str, value: Any) -> dict[str, int]:
    return _object(name, value, _whole)


def _knob(name: str, value: Any, depth: int = 0) -> Any:
    """A number, text, switch, or lists of them; the engine checks ranges when it opens."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and abs(value) < 1e308 and math.isfinite(value):
        return value
    if isinstance(value, list) and len(value) <= 100_000 and depth < 4:
        return tuple(_knob(name, item, depth + 1) for item in value)
    raise _wrong(name, "a number, a text or a list of them", value)


def _knobs(name: str, value: Any) -> dict[str, Any]:
    return _object(name, value, _knob)


def _instruments(name: str, value: Any) -> dict[str, dict[str, Any]]:
    return _object(name, value, _knobs)


def _inputs(name: str, value: Any) -> dict[str, SavedInput]:
    return _object(name, value, _input)


def _input(name: str, value: Any) -> SavedInput:
    if not isinstance(value, dict) or not {"kind"} <= set(value) <= {"kind", "where", "sha256"}:
        raise _wrong(name, "an object with kind, where and sha256", value)
    kind, where, sha256 = value["kind"], value.get("where", ""), value.get("sha256", "")
    if kind not in get_args(Kind):
        raise _wrong(f"{name}.kind", f"one of {', '.join(get_args(Kind))}", kind)
    if not isinstance(where, str) or len(where) > 2**20:
        raise _wrong(f"{name}.where", "a text", where)
    if kind == "camera" and not re.fullmatch(r"camera:\d{0,3}", where):
        raise _wrong(f"{name}.where", "a camera such as camera:0", where)
    if not isinstance(sha256, str) or not re.fullmatch(r"(?:[0-9a-f]{64})?", sha256):
        raise _wrong(f"{name}.sha256", "64 hexadecimal digits", sha256)
    return SavedInput(kind, where, sha256)


def _edits(name: str, value: Any) -> tuple[Edit, ...]:
    if not isinstance(value, list) or len(value) > MOST:
        raise _wrong(name, "a list of edits", value)
    try:
        return tuple(of_record(item) for item in value)
    except EditError as error:
        raise SessionFileError(f"{name}: {error}") from error


def _bytes(name: str, value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise _wrong(name, "base64", value) from error


def _wrong(name: str, wanted: str, value: Any) -> SessionFileError:
    shown = repr(value)
    return SessionFileError(f"{name!r} must be {wanted}, not {shown if len(shown) < 60 else '…'}")


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "engine": _name, "model": _name, "weights": _name, "seed": _whole, "inputs": _inputs,
    "knobs": _knobs, "layers": _names, "layer": _name, "units": _units, "edits": _edits,
    "instruments": _instruments, "state": _bytes, "geometry": _bytes,
}  # fmt: skip
