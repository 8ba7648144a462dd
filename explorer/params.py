"""Knobs: type, range, unit and effect of an engine's parameters, on dataclass fields."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

Effect = Literal["live", "again", "run", "build"]
KnobKind = Literal[
    "number",
    "integer",
    "choice",
    "switch",
    "text",
    "seed",
    "point",
    "box",
    "points",
    "mask",
    "vector",
]
EFFECTS: tuple[Effect, ...] = ("live", "again", "run", "build")
P = TypeVar("P")


class KnobError(ValueError):
    """A knob's name or value is not accepted; the message says which are."""


@dataclass(frozen=True, slots=True)
class Knob:
    """What the window and the command line know of one parameter.

    Attributes:
        kind: which control to make.
        effect: what a change costs: ``live`` (sent in at every yield), ``again`` (post-processing
            without the network), ``run`` (the frame is run again), ``build`` (a new network).
        low, high, step, unit: of a number; ``log`` asks for a logarithmic slider.
        choices: of a choice.
        when: under which the knob acts: ``training``, ``inputs`` (on inputs that may stay empty),
            or ``other=value|value`` (empty: always).
        length: of a vector; ``basis`` names what its axes are, which are counted from ``first``.
    """

    name: str
    kind: KnobKind
    default: Any
    effect: Effect = "run"
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: tuple[str, ...] = ()
    length: int = 0
    basis: str = ""
    first: int = 1
    unit: str = ""
    when: str = ""
    help: str = ""
    optional: bool = False


def knob(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    log: bool = False,
    choices: Sequence[str] = (),
    kind: KnobKind | None = None,
    basis: str = "",
    first: int = 1,
    unit: str = "",
    effect: Effect = "run",
    when: str = "",
    help: str = "",  # noqa: A002 -- the word that a reader of an engine expects
) -> Any:
    """Declare one parameter of an engine, as the default of a dataclass field.

    A point is ``(x, y)``, a box ``(x1, y1, x2, y2)``, points a tuple of points, a mask a tuple of
    brush dabs ``(x, y, radius, value)``, all in input pixels; a vector is a tuple of floats.
    """
    meta = {
        "low": low, "high": high, "step": step, "log": log, "choices": tuple(choices),
        "kind": kind, "basis": basis, "first": first, "unit": unit, "effect": effect,
        "when": when, "help": help,
    }  # fmt: skip
    return field(default=default, metadata={"knob": meta})


def knobs(cls: type[Any]) -> dict[str, Knob]:
    """The knobs of a Params dataclass by name, in the order of its fields."""
    hints = typing.get_type_hints(cls)
    return {f.name: _knob_of(f, hints[f.name]) for f in fields(cls) if "knob" in f.metadata}


def _knob_of(f: dataclasses.Field[Any], hint: Any) -> Knob:
    meta = dict(f.metadata["knob"])
    optional = f.default is None
    kind = meta.pop("kind") or _kind_of(f.default, hint, meta["choices"])
    length = len(f.default) if kind == "vector" and isinstance(f.default, tuple) else 0
    return Knob(name=f.name, kind=kind, default=f.default, length=length, optional=optional, **meta)


def _kind_of(default: Any, hint: Any, choices: tuple[str, ...]) -> KnobKind:
    if choices:
        return "choice"
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for plain, kind in ((bool, "switch"), (int, "integer"), (float, "number"), (str, "text")):
        if plain in members:
            return typing.cast("KnobKind", kind)
    if isinstance(default, tuple) and all(isinstance(v, (int, float)) for v in default):
        return "vector"
    raise TypeError(f"a knob of type {hint!r} needs kind=...")


def coerce(cls: type[P], values: Mapping[str, Any], *, base: P | None = None) -> P:
    """Make a Params from ``values`` (typed, or text as on the command line) over ``base``.

    Raises:
        KnobError: an unknown name (the near ones are named) or a value out of range or type.
    """
    known = knobs(cls)
    for name in values:
        if name not in known:
            raise KnobError(unknown("knob", name, known))
    checked = {name: check(known[name], value) for name, value in values.items()}
    start = base if base is not None else cls()
    return dataclasses.replace(start, **checked)  # type: ignore[type-var]


def unknown(what: str, name: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    """One line that names the near ones of what is known."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    tail = (
        f"did you mean {', '.join(near)}?"
        if near
        else f"known: {', '.join(list(known)[:12]) or 'none'}"
    )
    return f"unknown {what} {name!r}; {tail}"


def check(knob: Knob, value: Any) -> Any:
    """Return ``value`` in the knob's own type, or raise KnobError."""
    if value is None or (knob.optional and isinstance(value, str) and value in ("", "none")):
        if knob.optional:
            return None
        raise KnobError(f"knob {knob.name!r}: needs a value")
    try:
        return _CHECKS[knob.kind](knob, value)
    except KnobError:
        raise
    except (TypeError, ValueError) as error:
        raise KnobError(f"knob {knob.name!r}: {value!r} is no {knob.kind}") from error


def effect_of(cls: type[Any], old: Any, new: Any) -> Effect | None:
    """The dearest effect among the knobs that differ, or None when all are equal."""
    changed = [
        k.effect for k in knobs(cls).values() if getattr(old, k.name) != getattr(new, k.name)
    ]
    return max(changed, key=EFFECTS.index) if changed else None


def acts(knob: Knob, params: Any, *, training: bool = False) -> bool:
    """Whether a knob does anything with the other knobs as they are."""
    if knob.when in ("", "training", "inputs"):
        return training or knob.when != "training"
    other, _, values = knob.when.partition("=")
    return str(getattr(params, other)) in values.split("|")


def as_dict(params: Any) -> dict[str, Any]:
    """Knob values by name, in plain JSON types."""
    return {f.name: getattr(params, f.name) for f in fields(params)}


def _number(knob: Knob, value: Any) -> float:
    if isinstance(value, bool):
        raise KnobError(f"knob {knob.name!r}: {value!r} is no number")
    number = float(value)
    if not math.isfinite(number):
        raise KnobError(f"knob {knob.name!r}: {value!r} is not finite")
    low = -math.inf if knob.low is None else knob.low
    high = math.inf if knob.high is None else knob.high
    if not low <= number <= high:
        raise KnobError(f"knob {knob.name!r}: {number:g} is outside {low:g} to {high:g}")
    return number


def _integer(knob: Knob, value: Any) -> int:
    number = _number(knob, value)
    if number != int(number):
        raise KnobError(f"knob {knob.name!r}: {value!r} is no whole number")
    return int(number)


def _switch(knob: Knob, value: Any) -> bool:
    words = {"true": True, "1": True, "on": True, "yes": True}
    words |= {"false": False, "0": False, "off": False, "no": False}
    word = str(value).lower()
    if word not in words:
        raise KnobError(f"knob {knob.name!r}: {value!r} is neither on nor off")
    return words[word]


def _choice(knob: Knob, value: Any) -> str:
    if value not in knob.choices:
        raise KnobError(f"knob {knob.name!r}: {unknown('choice', str(value), knob.choices)}")
    return str(value)


def _floats(knob: Knob, value: Any, length: int) -> tuple[float, ...]:
    parts = value.replace(";", ",").split(",") if isinstance(value, str) else list(value)
    numbers = tuple(_number(knob, p) for p in parts)
    if length and len(numbers) != length:
        raise KnobError(f"knob {knob.name!r}: {len(numbers)} numbers, wanted {length}")
    return numbers


def _rows(knob: Knob, value: Any, width: int) -> tuple[tuple[float, ...], ...]:
    rows = value.split(";") if isinstance(value, str) else list(value)
    return tuple(_floats(knob, row, width) for row in rows if len(row))


_CHECKS: dict[str, Any] = {
    "number": _number,
    "integer": _integer,
    "seed": _integer,
    "switch": _switch,
    "choice": _choice,
    "text": lambda knob, value: str(value),
    "point": lambda knob, value: _floats(knob, value, 2),
    "box": lambda knob, value: _floats(knob, value, 4),
    "points": lambda knob, value: _rows(knob, value, 2),
    "mask": lambda knob, value: _rows(knob, value, 4),
    "vector": lambda knob, value: _floats(knob, value, knob.length),
}
