"""The table of engines: rows from entry points, classes on demand, load errors kept and shown."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal

from explorer.kinds import KIND
from explorer.params import unknown

if TYPE_CHECKING:
    from explorer.engine import Engine

GROUP = "explorer.engines"
Area = Literal["left", "centre", "right", "bottom"]
AREAS: tuple[Area, ...] = ("left", "centre", "right", "bottom")
SLOTS = ("image", "clip", "text", "folder", "file")


class UnknownEngine(LookupError):
    """No engine of that name; the message names the near ones."""


class EngineUnavailable(RuntimeError):
    """The engine is in the table but cannot be loaded; the message says why."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One dock of artefacts: their kinds, where the dock stands and what it is called.

    ``when`` is "training" where nothing else fills it: until then it stands behind the others.
    """

    name: str
    kinds: tuple[str, ...]
    area: Area
    title: str
    when: Literal["", "training"] = ""


@dataclass(frozen=True, slots=True)
class WeightsRow:
    """One file of weights; the fields are explained in the built-in catalogue."""

    name: str
    source: str
    sha256: str
    size: int
    licence: str
    provenance: Literal["trained", "trained here", "data"]
    data: str = ""
    reader: str = ""
    fingerprint: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """What a window without torch knows of an engine. ``problem`` says why it cannot run.

    ``optional`` names inputs that may stay empty.
    """

    name: str
    engine: str
    title: str
    family: str
    paper: str = ""
    summary: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    sample: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    groups: Mapping[str, GroupRow] = field(default_factory=dict)
    points: tuple[str, ...] = ()
    layout: str = "units"
    weights: tuple[WeightsRow, ...] = ()
    origin: str = ""
    problem: str = ""


def parse(data: Mapping[str, Any], origin: str) -> Row:
    """Make a Row from a catalogue dict.

    Raises:
        TypeError, ValueError, KeyError: a field is missing, unknown or of the wrong type.
    """
    groups = {}
    for name, group in data.get("groups", {}).items():
        for kind in group["kinds"]:
            if kind not in KIND:
                raise ValueError(f"group {name!r}: {unknown('kind', kind, KIND)}")
        area = group.get("area", "bottom")
        if area not in AREAS:
            raise ValueError(f"group {name!r}: {unknown('area', str(area), AREAS)}")
        title = group.get("title", name.capitalize())
        when = group.get("when", "")
        if when not in ("", "training"):
            raise ValueError(f"group {name!r}: when is {when!r}; known: 'training'")
        groups[name] = GroupRow(name, tuple(group["kinds"]), area, title, when)
    weights = tuple(WeightsRow(**row) for row in data.get("weights", ()))
    points = tuple(data.get("points", ()))
    made = {"groups": groups, "weights": weights, "points": points, "origin": origin}
    row = Row(**{**data, **made, "optional": tuple(data.get("optional", ()))})
    _check(row)
    return row


def is_filled(row: Row, given: Iterable[str]) -> bool:
    """Whether every input that may not stay empty is among ``given``."""
    return set(row.inputs) - set(row.optional) <= set(given)


def _check(row: Row) -> None:
    """Refuse what the window or the command line would stumble over later."""
    for field_ in ("name", "engine", "title", "family", "paper", "summary", "layout"):
        value = getattr(row, field_)
        if not isinstance(value, str):
            raise TypeError(f"{field_} is a {type(value).__name__}, not a text")
    module, colon, cls = row.engine.partition(":")
    if not (row.name and row.title and module and colon and cls):
        raise ValueError("name, title and engine ('module:Class') must be given")
    if not all(isinstance(point, str) for point in row.points):
        raise TypeError("points are names of modules")
    for what in ("inputs", "sample"):
        for slot, value in getattr(row, what).items():
            if not (isinstance(slot, str) and isinstance(value, str)):
                raise TypeError(f"{what}: {slot!r} and {value!r} are not both texts")
    for slot, kind in row.inputs.items():
        if kind.partition(".")[0] not in SLOTS:
            raise ValueError(f"input {slot!r}: {unknown('type', kind, SLOTS)}")
    for what in ("sample", "optional"):
        for slot in getattr(row, what):
            if slot not in row.inputs:
                raise ValueError(f"{what}: {unknown('input', slot, row.inputs)}")


def table(points: Iterable[EntryPoint] | None = None) -> dict[str, Row]:
    """All engines by name, in catalogue order, built-in ones first.

    A distribution whose catalogue cannot be read, and a second engine of one name, become rows
    with a ``problem``; nothing here raises on their account.
    """
    found = list(entry_points(group=GROUP)) if points is None else list(points)
    found.sort(key=lambda p: (p.value != "engines:CATALOG", p.name))
    rows: dict[str, Row] = {}
    for point in found:
        try:
            catalogue = list(point.load())
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- a broken plug-in is a greyed row, whatever it raised
            _place(rows, _broken(point.name, point.value, _why(error)))
            continue
        for data in catalogue:
            _add(rows, data, point.value)
    return rows


def _add(rows: dict[str, Row], data: Any, origin: str) -> None:
    name = str(data.get("name", origin)) if isinstance(data, Mapping) else origin
    try:
        row = parse(data, origin)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        row = _broken(name, origin, f"its catalogue row is wrong: {why}")
    _place(rows, row)


def _place(rows: dict[str, Row], row: Row) -> None:
    """Add a row; the first of a name keeps it, a later one says so under a name of its own."""
    name, count = row.name, 1
    while name in rows:
        count += 1
        name = f"{row.name} ({row.origin})" + (f" {count}" if count > 2 else "")
    if name != row.name:
        why = row.problem or f"the name is taken by {rows[row.name].origin}"
        row = replace(_broken(name, row.origin, why), title=f"{row.title} ({row.origin})")
    rows[name] = row


def _broken(name: str, origin: str, why: str) -> Row:
    return Row(name, "", name, "Cannot run", origin=origin, problem=why)


def _why(error: BaseException) -> str:
    """One line of an error."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def find(name: str, rows: Mapping[str, Row]) -> Row:
    """The row of that name.

    Raises:
        UnknownEngine: with the near names.
    """
    if name not in rows:
        raise UnknownEngine(unknown("engine", name, rows))
    return rows[name]


def load(row: Row) -> type[Engine[Any]]:
    """Import the engine's class.

    Raises:
        EngineUnavailable: the import failed, or the class is not there or no Engine.
    """
    if row.problem:
        raise EngineUnavailable(f"engine {row.name!r} cannot run: {row.problem}")
    from explorer.engine import Engine

    module, _, name = row.engine.partition(":")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:
        raise EngineUnavailable(f"engine {row.name!r} cannot run: {_why(error)}") from error
    if not (isinstance(cls, type) and issubclass(cls, Engine)):
        raise EngineUnavailable(f"engine {row.name!r} cannot run: {row.engine} is no Engine")
    return cls
