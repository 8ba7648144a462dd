"""Looks at a running network that no engine knows of: what they may see, and which are laid on.

The table below costs no torch; a class is imported when its instrument is first laid on.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from explorer import params as knobs
from explorer.kinds import Artefact

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.utils.hooks import RemovableHandle

    from explorer.core.geometry import Place
    from explorer.core.layers import Layer
    from explorer.core.registry import Row
    from explorer.core.session import Session
    from explorer.inputs import Inputs
    from explorer.views import LayerDifference, LayerRow

Reader = Callable[["nn.Module", Any], None]  # module and its output, inside the pass
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
        panel: ``module:Class`` of what shows its rows. ``groups``: it yields artefacts, too, which
            go to panels of their kinds. ``unfolded``: its knobs are shown from the start.
        takes: sorts of files that may be dropped on it, each with the knob that names the file.
    """

    name: str
    instrument: str
    title: str
    summary: str
    area: str = "right"
    icon: str = "search"
    study: bool = False
    panel: str = ""
    groups: bool = True
    unfolded: bool = False
    takes: tuple[tuple[str, str], ...] = ()


INSTRUMENTS: tuple[InstrumentRow, ...] = (
    InstrumentRow(
        "overview", "explorer.instruments.overview:Overview", "All layers",
        "Every layer with a few small maps, its histogram, dead units and saturation",
        area="left", icon="layers", panel="explorer.panels.overview:OverviewPanel",
        groups=False,
    ),
    InstrumentRow(
        "worlds", "explorer.instruments.worlds:Worlds", "Compare with…",
        "Another precision, checkpoint, model or input in step, and the first layer that differs",
        area="bottom", icon="branch", panel="explorer.panels.worlds:WorldsPanel",
        unfolded=True,
        takes=(("image", "picture"), ("clip", "picture"), ("weights", "weights")),
    ),
    InstrumentRow(
        "unit", "explorer.instruments.unit:Unit", "A unit",
        "The chosen unit over the input; Run goes back to the input: gradients, Grad-CAM",
        area="bottom", icon="zap", study=True,
    ),
    InstrumentRow(
        "maximise", "explorer.instruments.maximise:Maximise", "Maximise a unit",
        "Run makes the picture that the chosen unit likes best, step by step",
        area="bottom", icon="sparkles", study=True,
    ),
    InstrumentRow(
        "exciting", "explorer.instruments.exciting:WhatExcites", "What excites a unit",
        "The crops of all pictures and frames so far that excited the chosen unit most",
        area="bottom", icon="image", study=True,
    ),
    InstrumentRow(
        "pixel", "explorer.instruments.pixel:Pixel", "Pixel",
        "The pixel under the mouse in every layer, what it sees, and which pixels are like it",
        area="bottom", icon="crosshair",
    ),
    InstrumentRow(
        "gram", "explorer.instruments.gram:Gram", "Gram matrix",
        "Which units of a layer are active together, beside those of another input",
        area="bottom", icon="grid",
    ),
)  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class Scene:
    """What an instrument knows before a pass.

    Attributes:
        row, params, device, seed: of the session, with which another like it can be opened.
        visible: layers whose rows are on the screen. ``hurried``: frames follow one another, so
            that budgets count. ``run``: number of the run that goes on.
    """

    network: nn.Module
    layers: Sequence[Layer]
    row: Row
    params: Any
    device: torch.device
    seed: int
    visible: frozenset[str] = frozenset()
    hurried: bool = False
    run: int = 0


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
            made = next(run)
            while True:
                if isinstance(made, Artefact):
                    yield made
                made = run.send(self.params)  # an engine asks for its knobs at every yield
        except StopIteration:
            return
        finally:
            run.close()


class Instrument(Generic[P]):
    """One look at the network, for every engine alike.

    Class attributes:
        name: as in the table. ``Params``: the frozen dataclass of its knobs; ones called
            ``cursor`` (a point in input pixels), ``layer`` and ``unit`` follow the window.
        reads: it has `readers`, so that a change of its knobs needs a run.
    """

    name: ClassVar[str]
    Params: ClassVar[type[Any]]
    reads: ClassVar[bool] = False

    def points(self, params: P, layers: Sequence[Layer]) -> tuple[str, ...]:
        """Modules whose outputs it needs; shapes are None before the first run."""
        return ()

    def readers(self, params: P, scene: Scene) -> Mapping[str, Reader]:
        """What reads module outputs inside the next pass, after edits: for instruments that look at
        more layers than could be kept. A reader must not keep or change what it is given."""
        return {}

    def rows(self, params: P) -> Iterator[LayerRow]:
        """Rows of the overview, from what was read since the last call."""
        return iter(())

    def differences(self, params: P) -> Iterator[LayerDifference]:
        """How far apart the layers are, after `look`."""
        return iter(())

    def lacking(self) -> bool:
        """Whether it has not seen all yet, so that a still is worth another run."""
        return False

    def close(self) -> None:
        """Let go of what it holds: it is laid aside, or the network goes."""

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
        self._handles: list[RemovableHandle] = []
        self._failed: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._laid

    def __bool__(self) -> bool:
        return bool(self._laid)

    def params(self, name: str) -> Any:
        """The knobs in force of an instrument that is laid on."""
        return self._laid[name].params

    def lacking(self) -> bool:
        """Whether any has not seen all yet."""
        return any(laid.instrument.lacking() for laid in self._laid.values())

    def reading(self, only: str = "") -> bool:
        """Whether any (or this one) of those laid on sees nothing without a run."""
        return any(la.instrument.reads for n, la in self._laid.items() if only in ("", n))

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

    def put(self, instrument: Instrument[Any], params: Any, layers: Sequence[Layer]) -> None:
        """Lay an instrument on that is in no table."""
        self._laid[instrument.name] = _Laid(instrument, params)
        self.fit(layers)

    def take_off(self, name: str) -> None:
        """Lay an instrument aside; one that is not laid on is no error."""
        laid = self._laid.pop(name, None)
        if laid is not None:
            laid.instrument.close()
        self._gather()

    def close(self) -> None:
        """Have all let go of what they hold; they stay laid on."""
        for laid in self._laid.values():
            laid.instrument.close()

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

    def attach(self, scene: Scene) -> None:
        """Hook the readers of the next pass in; hooks that came before see the output first."""
        self.detach()
        for name, laid in self._laid.items():
            for point, reader in laid.instrument.readers(laid.params, scene).items():
                hook = self._guarded(name, point, reader)
                module = scene.network.get_submodule(point)
                self._handles.append(module.register_forward_hook(hook))

    def detach(self) -> None:
        """Take every reader away."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def rows(self) -> list[LayerRow]:
        """Rows of the overview, of what was read since the last call."""
        return [row for laid in self._laid.values() for row in laid.instrument.rows(laid.params)]

    def differences(self) -> list[LayerDifference]:
        """Rows of two worlds, after a look."""
        return [d for laid in self._laid.values() for d in laid.instrument.differences(laid.params)]

    def failures(self) -> list[str]:
        """A line for each layer that could not be read since the last call."""
        found, self._failed = list(self._failed.values()), {}
        return found

    def _guarded(self, name: str, point: str, reader: Reader) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            try:
                reader(module, out)
            except Exception as error:  # noqa: BLE001 -- becomes one clear line, the pass goes on
                self._failed[point] = f"{name} cannot read {point}: {type(error).__name__}: {error}"

        return hook

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
