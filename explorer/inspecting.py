"""Instruments on the command line: ``--inspect NAME`` and ``--set NAME.knob=value``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from explorer.core.instruments import INSTRUMENTS, UnknownInstrument
from explorer.params import unknown

if TYPE_CHECKING:
    from explorer.core.session import Session
    from explorer.inputs import Inputs
    from explorer.views import Frame

Asked = dict[str, dict[str, str]]  # instrument to its knobs


def split(names: Sequence[str], values: Mapping[str, str]) -> tuple[Asked, dict[str, str]]:
    """The knobs of each instrument asked for, and those of the engine.

    A knob of an instrument is written ``NAME.knob``, which also asks for the instrument.

    Raises:
        UnknownInstrument: there is none of that name; the near ones are named.
    """
    rows = {row.name: row for row in INSTRUMENTS}
    asked: Asked = {name: {} for name in names}
    own: dict[str, str] = {}
    for knob, value in values.items():
        name, dot, of = knob.partition(".")
        if dot:
            asked.setdefault(name, {})[of] = value
        else:
            own[knob] = value
    for name in asked:
        if name not in rows:
            raise UnknownInstrument(unknown("instrument", name, rows))
    return asked, own


def lay_on(session: Session, asked: Asked, inputs: Inputs) -> None:
    """Lay the instruments on; what they need is known after a first pass, which is made here.

    Raises:
        KnobError: a knob of theirs is unknown or out of range.
    """
    for name, values in asked.items():
        session.instruments.lay_on(name, values, session.layers())
    if asked:
        for _ in itertools.islice(session.play(inputs, frames=1), 1):
            continue
        session.reset_memory()


def with_studies(session: Session, frames: Iterator[Frame], asked: Asked) -> Iterator[Frame]:
    """The frames of the run, then those of the instruments that run passes of their own."""
    yield from frames
    studies = [row.name for row in INSTRUMENTS if row.study and row.name in asked]
    for name in studies:
        yield from session.study(name, session.inputs)
