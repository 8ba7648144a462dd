"""What the window remembers between two starts, in one JSON file of the user's own."""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FORMAT = "layerscope-settings"
VERSION = 1
LAYOUT_VERSION = 1  # raised when docks are renamed; older layouts are then left out
RECENT = 12


def folder() -> Path:
    """Where the settings lie: LAYERSCOPE_HOME, else the user's configuration folder."""
    home = os.environ.get("LAYERSCOPE_HOME")
    if home:
        return Path(home)
    import platformdirs

    return Path(platformdirs.user_config_dir("layerscope", appauthor=False))


@dataclass(frozen=True, slots=True)
class Layout:
    """Docks and window as QMainWindow saves them: ``state`` and ``geometry`` are opaque bytes."""

    state: bytes
    geometry: bytes = b""
    version: int = LAYOUT_VERSION


@dataclass(slots=True)
class Remembered:
    """The values themselves; each has a default that suits a first start.

    Attributes:
        theme: dark or light.
        recent: paths, newest first.
        layouts: by name; the one under an empty name is that of the last close.
        shortcuts: command id to key sequences, "; " between two; empty is none.
        engine: name of the last one. ``sources``: slot to path, ``ticked``: layer names and
            ``knobs``: values, each by engine name. ``layer`` is the one that was shown.
        hint_seen: the first hint has gone. ``torch_threads``: 0 is automatic.
            ``reduced_motion``: nothing moves but the pictures.
    """

    theme: str = "dark"
    recent: list[str] = field(default_factory=list)
    layouts: dict[str, Layout] = field(default_factory=dict)
    shortcuts: dict[str, str] = field(default_factory=dict)
    engine: str = ""
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    ticked: dict[str, list[str]] = field(default_factory=dict)
    layer: dict[str, str] = field(default_factory=dict)
    knobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    hint_seen: bool = False
    device: str = "auto"
    torch_threads: int = 0
    reduced_motion: bool = False


class Settings:
    """Reads the file once, writes it whole.

    A file that cannot be read as ours never stops a start: a copy is kept as ``NAME.broken``,
    defaults are used for what is broken, and ``message`` tells the person so.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else folder() / "settings.json"
        self.message = ""
        self.values = Remembered()
        self._read()

    def add_recent(self, path: str) -> None:
        """Put ``path`` first among the recent items, once."""
        recent = [path, *(other for other in self.values.recent if other != path)]
        self.values.recent = recent[:RECENT]

    def layout(self, name: str) -> Layout | None:
        """A saved layout that this version of the window can restore."""
        found = self.values.layouts.get(name)
        return found if found is not None and found.version == LAYOUT_VERSION else None

    def save(self) -> bool:
        """Write the file, whole or not at all; on failure ``message`` says why."""
        data = {f.name: getattr(self.values, f.name) for f in fields(self.values)}
        data["layouts"] = {name: _packed(layout) for name, layout in self.values.layouts.items()}
        text = json.dumps({"format": FORMAT, "version": VERSION, **data}, indent=1, default=list)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".settings-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(name, self.path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            self.message = f"Settings were not saved: {error.strerror or error} ({self.path})"
            return False
        return True

    def _read(self) -> None:
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(data, dict) or data.get("format") != FORMAT:
                raise ValueError("it is not a settings file of this program")
            version = data.get("version")
            if type(version) is not int or version < 1:
                raise ValueError(f"it has version {version!r}, this is {VERSION}")
        except FileNotFoundError:
            return
        except OSError as error:
            self.message = f"Settings could not be read: {error.strerror or error} ({self.path})"
            return
        except (ValueError, RecursionError) as error:
            why = "it is no JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            self.message = f"Settings start afresh ({why}); {self._keep_aside('broken')}."
            return
        self.values, problems = _remembered(data)
        if version > VERSION:
            kept = self._keep_aside(f"version-{version}")
            self.message = f"Settings of a newer version: what is known here was read; {kept}."
        elif problems:
            self.message = f"Settings: {'; '.join(problems)}; {self._keep_aside('broken')}."

    def _keep_aside(self, suffix: str) -> str:
        """Copy the file before it is written over; returns what became of it."""
        aside = self.path.with_name(f"{self.path.name}.{suffix}")
        try:
            shutil.copyfile(self.path, aside)
        except OSError as trouble:
            return f"the old file could not be kept: {trouble.strerror or trouble}"
        return f"the old file is kept as {aside.name}"


def _remembered(data: dict[str, Any]) -> tuple[Remembered, list[str]]:
    """Values out of a JSON object, and what is wrong with those left at their default.

    Of a mapping, one bad entry (a layout, a key) is left out alone.
    """
    values, problems = Remembered(), list[str]()
    for f in fields(values):
        if f.name not in data:
            continue
        found, default = data[f.name], getattr(values, f.name)
        if type(found) is not type(default):
            problems.append(f"{f.name!r} is no {type(default).__name__}")
            continue
        check = _CHECKED.get(f.name, _unchanged)
        if isinstance(found, dict):
            setattr(values, f.name, _entries(f.name, found, check, problems))
            continue
        try:
            setattr(values, f.name, check(found))
        except ValueError as error:
            problems.append(f"{f.name!r} {error}")
    return values, problems


def _entries(
    member: str, found: dict[str, Any], check: Callable[[Any], Any], problems: list[str]
) -> dict[str, Any]:
    good = {}
    for name, value in found.items():
        try:
            good[name] = check(value)
        except ValueError as error:
            problems.append(f"{name!r} of {member!r} {error}")
    return good


def _unchanged(found: Any) -> Any:
    return found


def _theme(found: str) -> str:
    if found not in ("dark", "light"):
        raise ValueError("is neither dark nor light")
    return found


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise ValueError("is no text")
    return found


def _texts(found: Any) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ValueError("is no list of texts")
    return found


def _text_by_name(found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise ValueError("is no object of texts")
    return found


def _object(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError("is no object")
    return found


def _packed(layout: Layout) -> dict[str, Any]:
    return {
        "state": base64.b64encode(layout.state).decode("ascii"),
        "geometry": base64.b64encode(layout.geometry).decode("ascii"),
        "version": layout.version,
    }


def _unpacked(found: Any) -> Layout:
    try:
        return Layout(
            base64.b64decode(found["state"], validate=True),
            base64.b64decode(found["geometry"], validate=True),
            int(found["version"]),
        )
    except (TypeError, KeyError, ValueError, binascii.Error) as error:
        raise ValueError("is a layout that cannot be read") from error


#: What each member must be: itself, or for a mapping each of its values.
_CHECKED: dict[str, Callable[[Any], Any]] = {
    "theme": _theme,
    "recent": _texts,
    "shortcuts": _text,
    "layer": _text,
    "knobs": _object,
    "sources": _text_by_name,
    "ticked": _texts,
    "layouts": _unpacked,
}
