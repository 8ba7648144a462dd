"""A second world beside the one that runs: another model, checkpoint, precision or input."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from explorer import params as knobs
from explorer.core.geometry import Place
from explorer.core.instruments import Instrument, Reader, Scene, Taken
from explorer.core.layers import innermost
from explorer.core.media import read_input
from explorer.core.own_models.model_row import is_own, own_row
from explorer.core.registry import Row, find, table
from explorer.core.session import Session
from explorer.core.stores.tensor_files import WeightsError, read_tensors
from explorer.core.streams import clip_of, with_frame
from explorer.core.studies.differences import CAP, Comparison, Measure, first_parting
from explorer.core.studies.precision import lower
from explorer.engine import EngineError
from explorer.inputs import Inputs
from explorer.kinds import Artefact
from explorer.views import Frame, LayerDifference


@dataclass(frozen=True, slots=True)
class World:
    """How the second world differs from the first; what is empty is the same.

    Attributes:
        model: an engine's name, ``module:factory``, ``file.py:factory`` or a model file.
        weights: a file of weights for the network, read as tensors only.
        precision: one of `explorer.core.studies.precision.PRECISIONS`.
        inputs: slot to the path of another input.
    """

    model: str = ""
    weights: str = ""
    precision: str = ""
    inputs: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """In words, for headings."""
        parts = (self.model, Path(self.weights).name, self.precision,
                 *(Path(path).name for _, path in self.inputs))  # fmt: skip
        return ", ".join(filter(None, parts)) or "the same once more"


def open_world(first: Scene, world: World) -> Session:
    """A session of the second world, open; of the first one's engine, with its knobs.

    Raises:
        UnknownEngine, EngineUnavailable, EngineError, WeightsMissing, WeightsError, EngineFailed
    """
    row, values = _row(first, world)
    second = Session(row, device=str(first.device), seed=first.seed, params=values)
    second.statistics_every = 0.0
    second.open()
    if world.weights:
        load_weights(second.network, Path(world.weights))
    if world.precision:
        lower(second.network, world.precision)
    return second


def _row(first: Scene, world: World) -> tuple[Row, dict[str, Any]]:
    if not world.model or world.model == first.row.name:
        return first.row, knobs.as_dict(first.params)
    if is_own(world.model):
        return own_row(world.model)
    return find(world.model, table()), {}


def load_weights(network: nn.Module, path: Path) -> None:
    """Put the tensors of a file in place of the network's; by name, all of them.

    Raises:
        WeightsError: the file cannot be read, or its tensors do not fit; they are named.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file")
    tensors = read_tensors(path)
    own = network.state_dict()
    wrong = [f"{name} is not in the file" for name in own if name not in tensors]
    wrong += [f"{name} is not in the network" for name in tensors if name not in own]
    wrong += [
        f"{name} is {tuple(tensors[name].shape)}, wanted {tuple(value.shape)}"
        for name, value in own.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise WeightsError(f"{path.name} does not fit: {'; '.join(wrong[:3])}{more}")
    network.load_state_dict(tensors)


class Pair:
    """Two sessions in step: after each step of the first, the second is taken one step on.

    The first one's instrument hands `readers` to its session and calls `step` after each step.
    """

    def __init__(self, world: World, cap: int = CAP) -> None:
        self.world = world
        self.comparison = Comparison(cap)
        self.second: Session | None = None
        self.frame: Frame | None = None
        self.shown = _Second(self.comparison)
        self._scene: Scene | None = None
        self._frames: Iterator[Frame] | None = None
        self._run = self._begun = -1
        self._inputs: dict[str, Any] = {}

    def readers(self, scene: Scene) -> Mapping[str, Reader]:
        """Keep what every layer of the first returns, while there is room."""
        self._scene = scene
        if scene.run != self._begun:  # whatever an earlier run left half done
            self._begun = scene.run
            self.comparison.begin()
        found = readers_of(scene, self.comparison.keep)
        self.comparison.expected = frozenset(found)
        return found

    def choose(self, layer: str) -> None:
        """Keep the output of this layer in the second world."""
        if layer != self.shown.layer:
            self.shown.layer, self.shown.tensor = layer, None
            if self.second is not None:
                self.second.instruments.fit(self.second.layers())

    def step(self, inputs: Inputs, run: int, frame: int) -> None:
        """Take the second world one step on, comparing on the way.

        Raises:
            as `open_world`; MediaError, EngineFailed.
        """
        if self.second is None:
            if self._scene is None:
                return
            self.second = open_world(self._scene, self.world)
            self._inputs = {
                slot: read_input(self.second.row.inputs[slot], path)
                for slot, path in _slots(self.second.row, self.world.inputs)
            }
            self.second.instruments.put(self.shown, _NoParams(), self.second.layers())
        if self._frames is None or run != self._run:
            self._stop()
            self._run = run
            self._follow(self._scene)
            self._frames = self.second.run(self._inputs_of(inputs, frame), frame=frame)
        self.frame = next(self._frames, None)
        self.comparison.end()
        self.comparison.begin()

    def close(self) -> None:
        """Let go of the second world."""
        self._stop()
        if self.second is not None:
            self.second.close()
            self.second = None

    def _follow(self, first: Scene | None) -> None:
        """Take over the knobs of the first, where both are the same engine."""
        if first is None or self.second is None or self.second.row is not first.row:
            return
        if self.second.set_params(knobs.as_dict(first.params)) == "build":
            self.second.close()
            self.second = open_world(first, self.world)
            self.second.instruments.put(self.shown, _NoParams(), self.second.layers())

    def _stop(self) -> None:
        if self._frames is not None:
            with contextlib.closing(self._frames):  # type: ignore[type-var]
                self._frames = None

    def _inputs_of(self, inputs: Inputs, frame: int) -> dict[str, Any]:
        """The first one's inputs with the other ones in their place, a clip at the same frame."""
        assert self.second is not None
        slots = self.second.row.inputs
        lacking = [slot for slot in slots if slot not in {**inputs, **self._inputs}]
        if lacking:
            raise EngineError(
                f"{self.second.row.title} takes {', '.join(slots)}, and there is no {lacking[0]}"
            )
        own = dict(self._inputs)
        clip = clip_of(own)
        if clip is not None:
            at = frame % len(clip)
            own = with_frame(own, clip[at], at)
        return {slot: own.get(slot, inputs.get(slot)) for slot in slots}


def _slots(row: Row, wanted: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Slot and path; a path without a slot goes to the first one."""
    found = []
    for slot, path in wanted:
        if slot and slot not in row.inputs:
            raise EngineError(knobs.unknown("input", slot, row.inputs))
        found.append((slot or next(iter(row.inputs), ""), path))
    return [(slot, path) for slot, path in found if slot]


def readers_of(scene: Scene, read: Any) -> dict[str, Reader]:
    """``read(name, module, out)`` for every module in which no other runs."""

    def reader(name: str) -> Reader:
        return lambda module, out: read(name, module, out)

    return {la.name: reader(la.name) for la in innermost(scene.layers)}


@dataclass(frozen=True, slots=True)
class _NoParams:
    """No knobs."""


class _Second(Instrument[_NoParams]):
    """Lies on the second session: compares in its hooks, and keeps the chosen layer."""

    name = "second"
    Params: ClassVar[type[Any]] = _NoParams
    reads = True

    def __init__(self, comparison: Comparison) -> None:
        self.layer = ""
        self.tensor: Tensor | None = None
        self.place: Place | None = None
        self._comparison = comparison

    def readers(self, params: _NoParams, scene: Scene) -> Mapping[str, Reader]:
        """Every layer of A's that is here by the same name, whether it has children here or not."""
        found = readers_of(scene, self._comparison.compare)
        names = {la.name for la in scene.layers}
        missing = [n for n in self._comparison.names if n in names and n not in found]

        def reader(name: str) -> Reader:
            return lambda module, out: self._comparison.compare(name, module, out)

        return {**found, **{name: reader(name) for name in missing}}

    def points(self, params: _NoParams, layers: Any) -> tuple[str, ...]:
        """The chosen layer."""
        return tuple(la.name for la in layers if la.name == self.layer)

    def look(self, taken: Taken, params: _NoParams) -> Iterator[Artefact]:
        """Hand the chosen layer over."""
        self.tensor = taken.tensors.get(self.layer)
        self.place = taken.places.get(self.layer)
        return iter(())


def compare(
    first: Session, inputs: Inputs, world: World, *, cap: int = CAP, steps: int = 1
) -> Pair:
    """Both worlds on the same inputs, pair of passes after pair, until every layer is compared.

    Args:
        steps: of the engine that are compared; of an engine of many, the last one counts.

    Raises:
        as `open_world`; EngineFailed when one of both cannot run.
    """
    if not first.capture.seen:  # which layers there are, only a run tells
        for _ in first.run(inputs, steps=1):
            continue
    pair = Pair(world, cap)
    watch = _First(pair)
    first.instruments.put(watch, _NoParams(), first.layers())
    try:
        while True:
            for _ in first.run(inputs, steps=steps):
                pair.step(first.inputs, watch.run, 0)
            if not pair.comparison.waiting:
                return pair
    finally:
        first.instruments.take_off(watch.name)


class _First(_Second):
    """Lies on the first session: keeps what its layers return."""

    name = "first"

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair.comparison)
        self.run = 0
        self._pair = pair

    def readers(self, params: _NoParams, scene: Scene) -> Mapping[str, Reader]:
        """Every layer."""
        return self._pair.readers(scene)

    def look(self, taken: Taken, params: _NoParams) -> Iterator[Artefact]:
        """Note which run it is."""
        self.run = taken.run
        return super().look(taken, params)


def table_of(rows: list[LayerDifference], threshold: float, measure: Measure) -> str:
    """The comparison as lines of text, the parting layer marked."""
    width = max((len(row.name) for row in rows), default=5)
    lines = [f"  {'layer':{width}}  {'largest':>10}  {'relative':>10}  {'cosine':>10}"]
    parting = first_parting(rows)
    for row in rows:
        mark = ">" if row is parting else "*" if row.parted else " "
        numbers = (
            f"{row.largest:10.3g}  {row.relative:10.3g}  {row.cosine:10.6f}"
            if row.largest == row.largest
            else f"{'':34}"
        )
        lines.append(f"{mark} {row.name:{width}}  {numbers}  {row.note}".rstrip())
    return "\n".join([*lines, f"{verdict(rows)} ({measure} > {threshold:g})"])


def verdict(rows: Sequence[LayerDifference]) -> str:
    """In words, where both part."""
    if all(math.isnan(row.relative) for row in rows):
        return "no layer of the first is in the second with the same shape"
    first = first_parting(rows)
    return f"first apart at {first.name}" if first else "nowhere apart"
