"""Looks at a running network that no engine knows of: what they may see, and which are laid on.

The table below costs no torch; a class is imported when its instrument is first laid on.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from explorer import params as knobs

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from explorer.core.geometry import Place
    from explorer.core.layers import Layer
    from explorer.core.session import Session
    from explorer.inputs import Inputs
    from explorer.kinds import Artefact

P = TypeVar("P")
PREFIX = "inspect-"  # of the artefact groups of instruments, so that no engine's group is taken


class UnknownInstrument(LookupError):
    """No instrument of that name; the message names the near ones."""


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """What a window without torch knows of an instrument.

    Attributes:
        instrument: ``module:Class``. ``area``: where its dock first stands.
        study: it runs passes of its own, when asked to.
    """

    name: str
    instrument: str
    title: str
    summary: str
    area: str = "right"
    icon: str = "search"
    study: bool = False


INSTRUMENTS: tuple[InstrumentRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """What an instrument sees after a pass.

    Attributes:
        tensors: capture point to the output of its last call, first sample, leading 1 kept; a
            copy of the session's own, detached, on its device.
        places: capture point to where its cells lie in input pixels, for maps whose way is known.
        network: whose modules the points name. ``params``: the engine's knobs in force.
    """

    tensors: Mapping[str, Tensor]
    places: Mapping[str, Place]
    network: nn.Module
    layers: Sequence[Layer]
    inputs: Inputs
    params: Any
    run: int
    frame: int


class Bench:
    """What a study may use: the network, and passes of the engine on the present inputs."""

    def __init__(self, session: Session, inputs: Inputs, memory: Any) -> None:
        self.network = session.network
        self.device: torch.device = session.device
        self.inputs = inputs
        self.seed = session.seed
        self._session = session
        self._memory = memory

    @property
    def layers(self) -> Sequence[Layer]:
        """The module tree, with shapes once the engine ran."""
        return self._session.layers()

    @property
    def params(self) -> Any:
        """The engine's knobs in force."""
        return self._session.params

    def engine_pass(self) -> Iterator[Artefact]:
        """The engine on the present inputs, artefact by artefact; edits and cancel act in it.

        The caller's grad mode holds. The memory between frames is read, never written.
        """
        run = self._session.engine.run(self.inputs, self.params, self._memory)
        try:
            yield from run
        finally:
            run.close()


class Instrument(Generic[P]):
    """One look at the network, for every engine alike.

    Class attributes:
        name: as in the table. ``Params``: the frozen dataclass of its knobs; ones called
            ``cursor`` (a point in input pixels), ``layer`` and ``unit`` follow the window.
    """

    name: ClassVar[str]
    Params: ClassVar[type[Any]]

    def points(self, params: P, layers: Sequence[Layer]) -> tuple[str, ...]:
        """Modules whose outputs it needs; shapes are None before the first run."""
        return ()

    def look(self, taken: Taken, params: P) -> Iterator[Artefact]:
        """Artefacts named ``NAME/item``, after every pass and when a knob of its own changes."""
        return iter(())

    def study(self, bench: Bench, params: P) -> Generator[Artefact, Any, None]:
        """Passes of its own, streamed; cancel acts at the next module."""
        yield from ()


@dataclass(slots=True)
class _Laid:
    instrument: Instrument[Any]
    params: Any
    points: tuple[str, ...] = ()


class Instruments:
    """The instruments that are laid on one session; empty costs nothing."""

    def __init__(self) -> None:
        self.points: tuple[str, ...] = ()
        self._laid: dict[str, _Laid] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._laid

    def __bool__(self) -> bool:
        return bool(self._laid)

    def params(self, name: str) -> Any:
        """The knobs in force of an instrument that is laid on."""
        return self._laid[name].params

    def lay_on(self, name: str, values: Mapping[str, Any], layers: Sequence[Layer]) -> None:
        """Lay an instrument on, or change its knobs.

        Raises:
            UnknownInstrument, KnobError: nothing is changed.
        """
        laid = self._laid.get(name)
        instrument = laid.instrument if laid else load(name)
        base = laid.params if laid else None
        params = knobs.coerce(instrument.Params, values, base=base)
        self._laid[name] = _Laid(instrument, params)
        self.fit(layers)

    def take_off(self, name: str) -> None:
        """Lay an instrument aside; one that is not laid on is no error."""
        self._laid.pop(name, None)
        self._gather()

    def fit(self, layers: Sequence[Layer]) -> bool:
        """Ask again what has to be captured; whether that has changed."""
        before = self.points
        for laid in self._laid.values():
            laid.points = laid.instrument.points(laid.params, layers)
        self._gather()
        return self.points != before

    def _gather(self) -> None:
        self.points = tuple(dict.fromkeys(p for laid in self._laid.values() for p in laid.points))

    def look(self, taken: Taken, only: str = "") -> tuple[list[Artefact], list[str]]:
        """Artefacts of all that are laid on (or of one), and a line for each that failed.

        An instrument that fails takes neither the engine nor the others with it.
        """
        made: list[Artefact] = []
        notes: list[str] = []
        for name, laid in list(self._laid.items()):
            if only and name != only:
                continue
            try:
                made += [named(a) for a in laid.instrument.look(taken, laid.params)]
            except Exception as error:  # noqa: BLE001 -- becomes one clear line
                notes.append(f"{name} cannot be drawn: {type(error).__name__}: {error}")
        return made, notes

    def study(self, name: str, bench: Bench) -> Generator[Artefact, Any, None]:
        """The study of one instrument that is laid on."""
        laid = self._laid[name]
        for artefact in laid.instrument.study(bench, laid.params):
            yield named(artefact)


def load(name: str) -> Instrument[Any]:
    """Import and make an instrument of the table.

    Raises:
        UnknownInstrument: there is none of that name.
    """
    rows = {row.name: row for row in INSTRUMENTS}
    if name not in rows:
        raise UnknownInstrument(knobs.unknown("instrument", name, rows))
    module, _, cls = rows[name].instrument.partition(":")
    made: Instrument[Any] = getattr(importlib.import_module(module), cls)()
    return made


def named(artefact: Artefact) -> Artefact:
    """The artefact in a group that no engine has."""
    own = copy.copy(artefact)
    object.__setattr__(own, "name", PREFIX + artefact.name)
    return own
