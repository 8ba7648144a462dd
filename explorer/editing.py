"""Edits: one change to what a module returns, as data, as a person writes it, and as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Op = Literal["zero", "scale", "add", "replace", "clamp", "freeze"]
Region = tuple[int, int, int, int]

END = 2**31 - 1  # the end of a region that reaches to the last row or column
LARGEST_MASK = 2**22  # cells
NUMBERS = {"zero": (), "scale": (1,), "add": (1,), "replace": (1,), "clamp": (2,), "freeze": (0, 1)}
HOW = (
    "write LAYER:UNIT=zero, =scale:2, =add:1, =replace:0.5, =clamp:0,1 or =freeze:FRAME; UNIT is a "
    "number, several with commas, a range 3-9, or *; [y1:y2, x1:x2] after it is a region, [y, x] "
    "one cell, [y, :] a row"
)
_WRITTEN = re.compile(
    r"(?P<point>[^:\[\]=\s]+)"
    r"(?::(?P<units>\*|\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*))?"
    r"(?P<region>\[[^\]]*\])?"
    r"=(?P<op>[a-z]+)(?::(?P<numbers>.+))?"
)
_SPAN = re.compile(r"(?P<one>\d+)|(?P<low>\d*):(?P<high>\d*)")


class EditError(ValueError):
    """An edit is written wrongly; one line of cause and remedy."""


@dataclass(frozen=True, slots=True)
class Mask:
    """Painted cells of a map, hashable: lengths of runs row by row, unpainted first."""

    height: int
    width: int
    runs: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = (self.height, self.width)
        if min(sizes) < 1 or self.height * self.width > LARGEST_MASK:
            raise EditError(f"a mask of {self.height} × {self.width} cells; 1 to {LARGEST_MASK}")
        if any(run < 0 for run in self.runs) or sum(self.runs) != self.height * self.width:
            raise EditError(
                f"the runs of a mask of {self.height} × {self.width} cells add up to "
                f"{sum(self.runs)}, not {self.height * self.width}"
            )

    @classmethod
    def of(cls, painted: npt.NDArray[np.bool_]) -> Mask:
        """From an array (H, W)."""
        flat = np.asarray(painted, bool).reshape(-1)
        edges = np.flatnonzero(np.diff(flat)) + 1
        runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
        first = [0] if flat.size and flat[0] else []
        height, width = painted.shape
        return cls(height, width, (*first, *runs))

    def array(self) -> npt.NDArray[np.bool_]:
        """The painted cells (H, W)."""
        painted = np.arange(len(self.runs)) % 2 == 1
        return np.repeat(painted, self.runs).reshape(self.height, self.width)

    @property
    def count(self) -> int:
        """Painted cells."""
        return sum(self.runs[1::2])


@dataclass(frozen=True, slots=True)
class Edit:
    """One change to what a module returns, applied before it is captured.

    What counts are the maps that the panel of the point shows: of (N, C, H, W) the C maps, of
    attention (N, heads, T, T) the heads, of (N, T, C) one map of tokens by channels, of (N, C) C
    maps of one cell. Every sample of the batch is changed.

    Attributes:
        point: dotted module name. ``units``: which maps (empty: all).
        op: zero, scale (by ``value``), add, replace (with it), clamp (to ``value`` … ``high``), or
            freeze: hold what the module returned at ``moment``.
        region: (y1, y2, x1, x2) in cells, end exclusive; None is the whole map.
        on: switched off edits stay in the list.
        mask: painted cells, stretched to the map where sizes differ; with a region, cells in both.
        moment: frame of the clip that freeze holds, or on a still the call of the module within
            a run, from which on its value stays; -1 is the first one that it meets.
    """

    point: str
    units: tuple[int, ...] = ()
    op: Op = "zero"
    value: float = 0.0
    high: float = 0.0
    region: Region | None = None
    on: bool = True
    mask: Mask | None = None
    moment: int = -1

    def text(self) -> str:
        """As the edit list shows it: ``layer2.3.act3 #137 × 0``."""
        return f"{self.place()} {self.change()}"

    def place(self) -> str:
        """Where it acts: ``layer2.3.act3 #137 [3:9, :] painted 40 cells``."""
        units = "all units" if not self.units else "#" + _listed(self.units)
        parts = [self.point, units]
        if self.region is not None:
            parts.append(_region_text(self.region))
        if self.mask is not None:
            parts.append(f"painted {self.mask.count} cells")
        return " ".join(parts)

    def change(self) -> str:
        """What it does: ``× 0``."""
        return {
            "zero": "× 0", "scale": f"× {self.value:g}", "add": f"+ {self.value:g}",
            "replace": f"= {self.value:g}", "clamp": f"in {self.value:g} … {self.high:g}",
            "freeze": "held" if self.moment < 0 else f"held at {self.moment}",
        }[self.op]  # fmt: skip

    def written(self) -> str:
        """As `edit_of` reads it (a mask has no such form and is left out)."""
        units = _listed(self.units) if self.units else "*"
        region = "" if self.region is None else _region_text(self.region).replace(" ", "")
        numbers = {
            "zero": "", "clamp": f":{self.value!r},{self.high!r}",
            "freeze": "" if self.moment < 0 else f":{self.moment}",
        }.get(self.op, f":{self.value!r}")  # fmt: skip
        return f"{self.point}:{units}{region}={self.op}{numbers}"


def edit_of(text: str) -> Edit:
    """``LAYER:UNITS[REGION]=op:numbers``, such as ``layer3:5,7-9[0:4, :]=scale:2``.

    Raises:
        EditError: it is written otherwise.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is None or not (found["units"] or found["region"]):
        raise EditError(HOW)
    try:
        numbers = [float(n) for n in found["numbers"].split(",")] if found["numbers"] else []
        edit = _made(found["point"], _units(found["units"]), found["op"], numbers, found["region"])
    except ValueError as error:
        raise error if isinstance(error, EditError) else EditError(HOW) from error
    return edit


def _made(
    point: str, units: tuple[int, ...], op: str, numbers: list[float], region: str | None
) -> Edit:
    if op not in NUMBERS or len(numbers) not in (NUMBERS[op] or (0,)):
        raise EditError(HOW)
    where = None if region is None else _region(region)
    moment = -1
    if op == "freeze":
        moment, numbers = (int(numbers[0]) if numbers else -1), []
    value, high = (*numbers, 0.0, 0.0)[:2]
    made = Edit(point, units, op, value, high, where, moment=moment)  # type: ignore[arg-type]
    check(made)
    return made


def check(edit: Edit) -> None:
    """Raise EditError for values that no edit may have."""
    if not (math.isfinite(edit.value) and math.isfinite(edit.high)):
        raise EditError(f"{edit.point}: {edit.op} needs finite numbers")
    if edit.op == "clamp" and edit.high < edit.value:
        raise EditError(f"{edit.point}: clamp:{edit.value:g},{edit.high:g} is the wrong way round")
    if any(unit < 0 for unit in edit.units) or edit.moment < -1:
        raise EditError(f"{edit.point}: units and frames count from 0")
    if edit.region is not None:
        top, bottom, left, right = edit.region
        if min(edit.region) < 0 or top >= bottom or left >= right:
            raise EditError(f"{edit.point}: region {_region_text(edit.region)} holds no cell")


def as_record(edit: Edit) -> dict[str, Any]:
    """JSON's own types; fields at their default are left out."""
    record: dict[str, Any] = {"point": edit.point, "op": edit.op}
    for field in fields(Edit):
        value = getattr(edit, field.name)
        if field.name in record or value == field.default:
            continue
        if isinstance(value, Mask):
            value = {"size": [value.height, value.width], "runs": list(value.runs)}
        record[field.name] = list(value) if isinstance(value, tuple) else value
    return record


def of_record(record: object) -> Edit:
    """Strictly back from `as_record`.

    Raises:
        EditError: an unknown key, a wrong type or an impossible value.
    """
    if not isinstance(record, dict):
        raise EditError(f"an edit is an object, not {type(record).__name__}")
    known = {field.name for field in fields(Edit)}
    if unknown := sorted(set(map(str, record)) - known):
        raise EditError(f"unknown key {unknown[0]!r}; an edit has {', '.join(sorted(known))}")
    if not isinstance(record.get("point"), str) or not record["point"]:
        raise EditError("'point' is missing: the name of a layer")
    values: dict[str, Any] = {name: _VALUES[name](name, v) for name, v in record.items()}
    made = Edit(**values)
    check(made)
    return made


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "text", value)
    return value


def _op(name: str, value: object) -> str:
    if value not in get_args(Op):
        raise _wrong(name, f"one of {', '.join(get_args(Op))}", value)
    return str(value)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, "a number", value)
    try:
        return float(value)
    except OverflowError as error:
        raise _wrong(name, "a number", value) from error


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, "a whole number", value)
    return value


def _switch(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return value


def _integers(name: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise _wrong(name, "a list of whole numbers", value)
    return tuple(_integer(name, item) for item in value)


def _four(name: str, value: object) -> Region | None:
    if value is None:
        return None
    corners = _integers(name, value)
    if len(corners) != 4:
        raise _wrong(name, "four whole numbers y1, y2, x1, x2", value)
    return corners[0], corners[1], corners[2], corners[3]


def _painted(name: str, value: object) -> Mask | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) != {"size", "runs"}:
        raise _wrong(name, "an object with size and runs", value)
    size = _integers(f"{name}.size", value["size"])
    if len(size) != 2:
        raise _wrong(f"{name}.size", "height and width", value["size"])
    return Mask(*size, _integers(f"{name}.runs", value["runs"]))


_VALUES: Mapping[str, Callable[[str, object], object]] = {
    "point": _text, "units": _integers, "op": _op, "value": _number, "high": _number,
    "region": _four, "on": _switch, "mask": _painted, "moment": _integer,
}  # fmt: skip


def _wrong(name: str, wanted: str, value: object) -> EditError:
    shown = repr(value)
    return EditError(f"{name!r} must be {wanted}, not {shown if len(shown) < 40 else '…'}")


def _units(text: str | None) -> tuple[int, ...]:
    if text in (None, "*"):
        return ()
    units: list[int] = []
    for part in str(text).split(","):
        low, _, high = part.partition("-")
        if high and int(high) - int(low) > 65_536:
            raise EditError(f"{part}: more than 65,536 units; write * for all")
        units += range(int(low), int(high or low) + 1)
    return tuple(dict.fromkeys(units))


def _region(text: str) -> Region:
    parts = text.strip("[]").replace(" ", "").split(",")
    spans = [_SPAN.fullmatch(part) for part in parts]
    if len(spans) != 2 or not all(spans):
        raise EditError(HOW)
    ends: list[int] = []
    for span in spans:
        assert span is not None
        if span["one"] is not None:
            ends += [int(span["one"]), int(span["one"]) + 1]
        else:
            ends += [int(span["low"] or 0), int(span["high"] or END)]
    return ends[0], ends[1], ends[2], ends[3]


def _region_text(region: Region) -> str:
    return f"[{_span(*region[:2])}, {_span(*region[2:])}]"


def _span(low: int, high: int) -> str:
    if high == low + 1:
        return str(low)
    if high < END:
        return f"{low}:{high}"
    return f"{low}:" if low else ":"


def _listed(units: tuple[int, ...]) -> str:
    """``5,6,20-25``: three or more in a row as a range."""
    parts: list[str] = []
    at = 0
    while at < len(units):
        end = at
        while end + 1 < len(units) and units[end + 1] == units[end] + 1:
            end += 1
        if end - at >= 2:
            parts.append(f"{units[at]}-{units[end]}")
        else:
            parts += map(str, units[at : end + 1])
        at = end + 1
    return ",".join(parts)
