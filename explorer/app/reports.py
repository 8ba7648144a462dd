"""What the runner tells the window: an engine is open, something failed, a value was read."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from explorer.core.instruments import PREFIX
from explorer.views import Frame, Handle

if TYPE_CHECKING:
    from explorer.core.registry import Row
    from explorer.core.session import Session

FailureKind = Literal["input", "weights", "engine", "memory", "knob"]


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine is ready: its module tree, knobs and the origin of its weights."""

    row: Row
    layers: list[Any]
    params_type: type[Any]
    params: Any
    provenance: str
    licences: tuple[str, ...]
    device: str
    can_train: bool
    rebuilt: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, in words; ``details`` is a traceback as text, never an exception."""

    what: str
    cause: str
    remedy: str = ""
    details: str = ""
    kind: FailureKind = "engine"
    weights: str = ""


@dataclass(frozen=True, slots=True)
class Laid:
    """An instrument lies on the open engine, with these knobs."""

    name: str
    params_type: type[Any]
    params: Any


@dataclass(frozen=True, slots=True)
class ReadValue:
    """The answer to a probe or to a request for a whole captured tensor."""

    handle: Handle
    unit: int | None
    y: int
    x: int
    value: float | None
    array: Any = None

    @classmethod
    def at(cls, array: Any, handle: Handle, unit: int | None, y: int, x: int) -> ReadValue:
        """The value at a place of ``array`` (..., H, W), or all of it for a place outside."""
        inside = 0 <= y < array.shape[-2] and 0 <= x < array.shape[-1]
        value = float(array[..., y, x]) if unit is not None and inside else None
        return cls(handle, unit, y, x, value, None if inside else array)


def merged(waiting: Frame, newer: Frame) -> Frame:
    """The newer frame, with what a waiting one of the same run showed and the newer does not.

    A step may yield some artefacts only (the style picture at step 0, the canvas at each): a
    window that was too slow for the first must see it all the same. Rows of the overview come in
    turns, so those of an earlier run are kept until a newer one comes; and so is what a study found
    when a run follows at once.
    """
    fresh = {row.name for row in newer.rows}
    rows = (*(row for row in waiting.rows if row.name not in fresh), *newer.rows)
    names = {a.name for a in newer.artefacts}
    if waiting.run != newer.run:
        found = (a for a in waiting.artefacts if a.group.startswith(PREFIX) and a.name not in names)
        return replace(newer, rows=rows, artefacts=(*found, *newer.artefacts))
    views = {r.view for r in newer.rendered}
    return replace(
        newer,
        artefacts=(*(a for a in waiting.artefacts if a.name not in names), *newer.artefacts),
        rendered=(*(r for r in waiting.rendered if r.view not in views), *newer.rendered),
        statistics=newer.statistics or waiting.statistics,
        milliseconds=newer.milliseconds or waiting.milliseconds,
        rows=rows,
        differences=newer.differences or waiting.differences,
        before=(*(a for a in waiting.before if a.name not in names), *newer.before),
    )


def opened_of(session: Session, *, rebuilt: bool = False) -> Opened:
    """What the window is told of a session that has just been opened or built anew."""
    from explorer.engine import Engine

    trains = type(session.engine).train is not Engine.train
    return Opened(
        session.row, session.layers(), type(session.params), session.params, session.provenance,
        session.licences, str(session.device), trains, rebuilt,
    )  # fmt: skip


def failure_of(what: str, error: Exception) -> Failure:
    """An exception in words, with a remedy; nothing of the exception itself is kept."""
    from explorer.core.media import MediaError
    from explorer.core.session import EngineFailed
    from explorer.core.weights import WeightsError
    from explorer.engine import WeightsMissing
    from explorer.params import KnobError

    text, _, remedy = str(error).partition("; ")
    remedy = remedy[:1].upper() + remedy[1:]
    details = "".join(traceback.format_exception(error))
    if isinstance(error, EngineFailed):
        kind: FailureKind = "memory" if error.memory else "engine"
        return Failure(f"Could not {what}", text, remedy, error.traceback or details, kind)
    if isinstance(error, WeightsMissing):
        return Failure("Weights are missing", text, remedy, details, "weights", error.name)
    if isinstance(error, KnobError):
        return Failure("That value does not fit", text, remedy, details, "knob")
    if isinstance(error, (MediaError, WeightsError)):
        return Failure("Cannot read that", text, remedy, details, "input")
    return Failure(f"Could not {what}", f"{text}", remedy, details)
