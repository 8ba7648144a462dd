"""Runs an engine as a generator of frames: grad mode, seed, cancel, capture and timeline."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from explorer import params as knobs
from explorer.core import registry
from explorer.core.capture import Capture
from explorer.core.devices import Turn, choose_device
from explorer.core.failures import EngineFailed as EngineFailed  # who runs a session catches it
from explorer.core.failures import failure_of
from explorer.core.framing import Batch, render_artefact, sealed
from explorer.core.host import SessionHost
from explorer.core.instruments import Bench, Instruments, Scene, Taken
from explorer.core.layers import Layer, layers_of, tree_of
from explorer.core.reduction import as_maps
from explorer.core.registry import Row
from explorer.core.resume import Resume
from explorer.core.streams import clip_of, with_frame
from explorer.core.timeline import Timeline
from explorer.core.training import Trainer, training_run
from explorer.core.weights import WeightStore
from explorer.engine import Cancelled, Engine, EngineError, Outcome
from explorer.inputs import Inputs
from explorer.kinds import Artefact, FeatureMaps
from explorer.views import (
    Edit,
    Frame,
    Handle,
    LayerDifference,
    LayerRow,
    LayerStatistics,
    Rendered,
    View,
)


class StaleHandle(LookupError):
    """The captured values of a picture have been replaced by those of a newer frame."""


@dataclass(slots=True)
class _Past:
    """Memory from before and after the latest frame, so that a paused frame feeds back once."""

    frame: int
    before: Any
    after: Any


class Session:
    """One engine, opened. Everything but ``set_params``, ``cancel`` and the plain attributes below
    belongs to one thread.

    Attributes:
        views, edits: may be assigned at any time from any thread; read at each resumption.
        inputs: of the latest run, with the picture in place of its clip.
        instruments: what is laid on the network; `lacking` says that one of them needs a run.
        visible: layers whose rows of the overview are on the screen. ``hurried``: frames follow one
            another, so that what has a budget keeps it.
        replayed: blocks above the edits whose output the latest run took from an earlier one.
        statistics_every: seconds between sweeps over all modules; 0 is never (after the first).
    """

    def __init__(
        self,
        row: Row,
        *,
        device: str = "auto",
        seed: int = 0,
        params: Mapping[str, Any] | None = None,
        store: WeightStore | None = None,
    ) -> None:
        self.row = row
        self.seed = seed
        self.device = choose_device(device)
        self.views: tuple[View, ...] = ()
        self.edits: tuple[Edit, ...] = ()
        self.visible: tuple[str, ...] = ()
        self.hurried = False
        self._stepping = False
        self.statistics_every = 0.5
        self.timeline = Timeline()
        self.instruments = Instruments()
        self.on_progress: Callable[[str, float | None], None] | None = None
        self.params: Any = None
        self.engine: Engine[Any]
        self.network: nn.Module
        self.host = SessionHost(self, store or WeightStore(row.weights))
        self._asked = dict(params or {})
        self._cancel = threading.Event()
        self._params_lock = threading.Lock()
        self._capture: Capture | None = None
        self._past: _Past | None = None
        self._kept: tuple[int, int, Any] | None = None
        self._turn = Turn(self.device, seed)
        self._continued: Tensor | None = None
        self._runs = 0
        self._shown = (0, 0)
        self.inputs: Inputs = {}
        self._tree: tuple[list[tuple[str, nn.Module]], list[Layer]] | None = None
        self.lacking = False
        self.replayed: tuple[str, ...] = ()
        self._swept = 0.0
        self._stride = 1
        self._inputs_used: dict[str, str] = {}

    # -- opening

    def open(self) -> None:
        """Import the engine, build its network, load its weights.

        Raises:
            EngineUnavailable, WeightsMissing, EngineError, KnobError, EngineFailed, Cancelled
        """
        self._cancel.clear()
        cls = registry.load(self.row)
        self.params = knobs.coerce(cls.Params, self._asked, base=self.params)
        self.engine = cls()
        self.engine.host = self.host
        self.host.forget()
        self._forget_run()
        try:
            with self._turn(), torch.no_grad():
                torch.manual_seed(self.seed)
                network = self.engine.build(self.params)
            self.network = network.to(self.device).eval().requires_grad_(False)
        except Exception as error:  # noqa: BLE001 -- whatever an engine raises becomes one clear error
            raise failure_of(error, self.row.name, self.device, self._capture) from None
        self.engine.network = self.network
        self.row = replace(self.row, **self.engine.described())
        self._capture = Capture(self.network, self._cancel.is_set)
        self._below = Resume(self.network)
        self._swept, self._tree = 0.0, None
        self.instruments.fit(self.layers())

    def close(self) -> None:
        """Let go of the network and everything captured."""
        if self._capture is not None:
            self._capture.remove()
            self._capture.clear()
            self._below.forget()
        self._forget_run()

    @property
    def capture(self) -> Capture:
        """The hooks of the open network.

        Raises:
            EngineError: the session is not open.
        """
        if self._capture is None:
            raise EngineError(f"engine {self.row.name!r} is not open yet; call open() first")
        return self._capture

    @property
    def provenance(self) -> str:
        """Where the weights come from: "trained", "trained here", "random", "none", a file."""
        if self.engine.provenance:
            return self.engine.provenance
        if self.host.sources:
            return " + ".join(dict.fromkeys(w.provenance for w in self.host.sources.values()))
        has_any = any(True for _ in self.network.parameters())
        return "random" if has_any else "none"

    @property
    def licences(self) -> tuple[str, ...]:
        """Licence and data terms of each weight file in use, in words."""
        return tuple(
            f"{name}: {w.licence}" + (f"; data: {w.data}" if w.data else "")
            for name, w in self.host.sources.items()
        )

    # -- knobs

    def set_params(self, values: Mapping[str, Any]) -> knobs.Effect | None:
        """Change knobs; the answer says what the caller must do (again, run, build) or None.

        Live knobs act at the next yield by themselves.

        Raises:
            KnobError: an unknown name or a value out of range; nothing is changed.
        """
        with self._params_lock:
            new = knobs.coerce(type(self.params), values, base=self.params)
            effect = knobs.effect_of(type(new), self.params, new)
            self.params = new
        return effect

    def rebuild(self) -> None:
        """Build the network anew with the knobs in force."""
        self._asked = {}
        self.close()
        self.open()

    # -- running

    def run(self, inputs: Inputs, *, frame: int = 0, steps: int | None = None) -> Iterator[Frame]:
        """Run the engine once; one Frame for each step, the last one marked.

        Raises:
            Cancelled: `cancel` was called. EngineFailed, EngineError: the engine could not go on.
        """
        self._cancel.clear()
        memory = self._memory_for(frame)
        self._note_inputs(inputs)

        def done(outcome: Outcome | None) -> None:
            outcome = outcome or Outcome()
            self._past = _Past(frame, memory, outcome.memory)
            self._kept = (self._runs, frame, outcome.kept)

        self._runs += 1
        self.lacking = False
        generator = self.engine.run(inputs, self.params, memory)
        with self._resuming(inputs, frame, memory):
            yield from self._drive(generator, frame, steps, done)

    @contextlib.contextmanager
    def _resuming(self, inputs: Inputs, frame: int, memory: Any) -> Iterator[None]:
        """On a still, run only what lies below an edit; elsewhere everything, and note nothing."""
        moving = memory is not None or any(getattr(v, "frame", 0) for v in inputs.values())
        self.replayed = ()
        if self.engine.optimises or moving:
            yield
            return
        pixels = tuple((slot, id(getattr(v, "pixels", v))) for slot, v in inputs.items())
        with self._below.over((pixels, frame, self.params), self.edits, self.views) as names:
            self.replayed = names
            yield

    def play(
        self, inputs: Inputs, *, start: int = 0, frames: int | None = None, every: int = 1
    ) -> Iterator[Frame]:
        """Run on frame after frame of the clip in ``inputs``, carrying memory; else once."""
        clip = clip_of(inputs)
        if clip is None:
            yield from self.run(inputs)
            return
        self.reset_memory()
        self._stride = every
        self.hurried = True
        index, done = start, 0
        while frames is None or done < frames:
            try:
                yield from self.at(inputs, index)
            except IndexError:
                return
            index, done = index + every, done + 1

    def at(self, inputs: Inputs, index: int) -> Iterator[Frame]:
        """Run on one frame of the clip; after a seek the frames before it fill the memory again.

        Raises:
            IndexError: the clip has no such frame.
        """
        clip = clip_of(inputs)
        if clip is None:
            raise IndexError("there is no clip among the inputs")
        if not self._follows(index) and not clip.live:
            self._past = None
            for earlier in range(max(0, index - self.engine.warm_up), index):
                for _ in self.run(with_frame(inputs, clip[earlier], earlier), frame=earlier):
                    continue
        begun = time.perf_counter()
        pixels = clip[index]
        decode = 1e3 * (time.perf_counter() - begun)
        for made in self.run(with_frame(inputs, pixels, index), frame=index):
            yield replace(made, milliseconds={**made.milliseconds, "decode": decode})

    def redraw(self, views: tuple[View, ...]) -> Frame | None:
        """Pictures for views of what is captured already, without the network; else None."""
        with torch.no_grad():
            frame, step = self._shown
            rendered = self.capture.redraw(views, self._runs, frame, self.edits)
        if len(rendered) < len(views):
            return None
        return Frame(self._runs, frame, step, rendered=rendered, last=True)

    def look(self, name: str = "") -> Frame | None:
        """What the instruments (or one) see in what is captured already, without the network.

        None when something they need was not captured: then a run is needed.
        """
        if self.instruments.reading(name):
            return None
        taken = self._taken()
        called = [p for p in self.instruments.points if p in self.capture.seen]
        if not self.instruments or not self.capture.seen or set(called) - set(taken.tensors):
            return None
        with torch.no_grad():
            made, notes = self.instruments.look(taken, name)
        frame, step = self._shown
        artefacts = tuple(sealed(a, self._runs, frame) for a in made)
        return Frame(self._runs, frame, step, artefacts, last=True, notes=tuple(notes))

    def study(self, name: str, inputs: Inputs) -> Iterator[Frame]:
        """An instrument's own passes on ``inputs``, streamed; it must be laid on.

        Raises:
            Cancelled, EngineFailed, EngineError: as `run`.
        """
        self._cancel.clear()
        self._runs += 1
        memory = None if self._past is None else self._past.before
        bench = Bench(self, inputs, memory)
        yield from self._drive(self.instruments.study(name, bench), 0, None, None, study=True)

    def again(self) -> Iterator[Frame]:
        """Post-process what the last run kept, without the network; nothing kept gives nothing."""
        if self._kept is None or self._kept[2] is None:
            return
        self._cancel.clear()
        _, frame, kept = self._kept
        self._runs += 1
        yield from self._drive(_as_run(self.engine.again(kept, self.params)), frame, None, None)

    def train(
        self,
        inputs: Inputs,
        *,
        out: Path | None = None,
        resume: Path | None = None,
        steps: int | None = None,
    ) -> Iterator[Frame]:
        """Train the network; frames as in `run`. The newest checkpoint goes to ``out`` every minute
        and at the end, also when stopped or cancelled.
        """
        self._cancel.clear()
        self._note_inputs(inputs)
        trainer = Trainer(self, out, steps)
        checkpoint = trainer.resume(resume) if resume else None
        self._runs += 1
        self.network.train().requires_grad_(True)
        generator = self.engine.train(inputs, self.params, checkpoint)
        try:
            yield from self._drive(training_run(generator, trainer), 0, None, None, grad=True)
        finally:
            self.network.eval().requires_grad_(False)
            trainer.save()

    def evaluate(self, folder: Path) -> dict[str, float]:
        """The field's metric over an annotated folder.

        Raises:
            EngineError: the engine has none, or the folder does not fit.
        """
        self._cancel.clear()
        if type(self.engine).evaluate is Engine.evaluate:
            raise EngineError(f"engine {self.row.name!r} has no metric over a folder")
        result: dict[str, float] = {}

        def run() -> Generator[Artefact, Any, None]:
            result.update((yield from self.engine.evaluate(folder, self.params)))

        self._runs += 1
        for _ in self._drive(run(), 0, None, None):
            continue
        return result

    def cancel(self) -> None:
        """Stop the running generator at the next module, forward or backward; any thread."""
        self._cancel.set()

    @property
    def cancelled(self) -> bool:
        """Whether a cancel was asked for since the current request began."""
        return self._cancel.is_set()

    def continue_with(self, random: Tensor, values: Mapping[str, Any]) -> None:
        """Go on as a stopped training: its random state, and its knobs unless asked for."""
        self._continued = random
        known = knobs.knobs(type(self.params))
        self.set_params({k: v for k, v in values.items() if k in known and k not in self._asked})

    def reset_memory(self) -> None:
        """Forget what the engine carried from frame to frame."""
        self._past = None
        self._stride = 1

    # -- looking

    def read(self, handle: Handle, unit: int | None = None) -> np.ndarray[Any, np.dtype[Any]]:
        """Captured values behind a picture: (C, H, W), or (H, W) of one unit.

        Raises:
            StaleHandle: a newer frame has replaced them.
        """
        kept = self.capture.tensor(handle)
        if kept is None:
            raise StaleHandle(f"{handle.point} is not captured any more; tick it again")
        maps, _ = as_maps(kept.tensor.unsqueeze(0))
        values = maps if unit is None else maps[unit]
        return np.array(values.float().cpu().numpy())

    def layers(self) -> list[Layer]:
        """Every module of the network, in order of definition."""
        modules = self.capture.modules
        if self._tree is None or self._tree[0] is not modules:
            self._tree = (modules, tree_of(modules))
        return layers_of(self._tree[1], self.capture.seen)

    def record(self) -> dict[str, Any]:
        """Facts for run.json: engine, knobs, seed, device, versions, hashes, provenance."""
        return {
            "engine": self.row.name,
            "knobs": knobs.as_dict(self.params),
            "seed": self.seed,
            "device": str(self.device),
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "weights": {
                name: {"sha256": w.sha256, "provenance": w.provenance, "licence": w.licence}
                for name, w in self.host.sources.items()
            },
            "provenance": self.provenance,
            "inputs": dict(self._inputs_used),
            "edits": [e.text() for e in self.edits if e.on],
        }

    # -- inside

    def _drive(
        self,
        generator: Generator[Artefact, Any, Any],
        frame: int,
        steps: int | None,
        done: Callable[[Any], None] | None,
        *,
        grad: bool = False,
        study: bool = False,
    ) -> Iterator[Frame]:
        """Resume the engine until it ends; hand out one Frame whenever its step changes.

        A ``study`` is not captured: what was captured of the engine's own run stays.
        """
        batch = Batch(self._runs, frame)
        begun_steps = 0
        self._stepping = False
        self._turn.random, self._continued = self._continued, None
        started = False
        try:
            while True:
                try:
                    # A sweep begun in the middle of a step would miss half the network.
                    young = not started or (begun_steps > 0 and len(batch.artefacts) <= 1)
                    artefact, rendered, spent = self._resume(
                        generator, frame, started=started, may_sweep=young, grad=grad, study=study
                    )
                except StopIteration as stop:
                    if done is not None:
                        done(stop.value)
                    batch.add(None, self._late(frame), {})
                    batch.rows |= {row.name: row for row in self._rows(study=study)}
                    break
                started = True
                if batch.ends_with(artefact):
                    yield self._finish(batch, last=False, study=study)
                    begun_steps += 1
                    self._stepping = True
                    batch = Batch(self._runs, frame)
                    if steps is not None and begun_steps >= steps:
                        return
                batch.add(artefact, (*rendered, *self._drawn(artefact)), spent)
                batch.rows |= {row.name: row for row in self._rows(study=study)}
            yield self._finish(batch, last=True, study=study)
        finally:
            generator.close()
            self.capture.remove()
            self.instruments.detach()

    def _resume(
        self,
        generator: Generator[Artefact, Any, Any],
        frame: int,
        *,
        started: bool,
        may_sweep: bool,
        grad: bool,
        study: bool,
    ) -> tuple[Artefact, tuple[Rendered, ...], dict[str, float]]:
        """One resumption: hooks in, network, pictures out, under the lock of the device."""
        capture = self.capture
        begun = time.perf_counter()
        try:
            with self._turn(), torch.set_grad_enabled(grad):
                if study:
                    capture.install((), self.edits, forget=False)
                else:
                    capture.install(self.views, self.edits, self.instruments.points)
                    if self.instruments:
                        self.instruments.attach(self._scene())
                capture.start_pass()
                if may_sweep and not study and self._sweep_due():
                    capture.sweep(on=True)
                artefact = generator.send(self.params) if started else next(generator)
                artefact = sealed(artefact, self._runs, frame)
                rendered = capture.rendered(self._runs, frame, self.edits)
        except (StopIteration, Cancelled):
            raise
        except Exception as error:  # noqa: BLE001 -- whatever an engine raises becomes one clear error
            raise failure_of(error, self.row.name, self.device, self._capture) from None
        total = time.perf_counter() - begun
        spent = {"network": 1e3 * (total - capture.seconds), "capture": 1e3 * capture.seconds}
        return artefact, rendered, spent

    def _late(self, frame: int) -> tuple[Rendered, ...]:
        """Pictures of what ran after the last yield."""
        with torch.no_grad():
            return self.capture.rendered(self._runs, frame, self.edits)

    def _drawn(self, artefact: Artefact) -> tuple[Rendered, ...]:
        """Pictures of a FeatureMaps artefact for the views that name it."""
        if not isinstance(artefact, FeatureMaps):
            return ()
        return tuple(render_artefact(artefact, v) for v in self.views if v.point == artefact.name)

    def _finish(self, batch: Batch, *, last: bool, study: bool) -> Frame:
        statistics: tuple[LayerStatistics, ...] = ()
        if self.capture.sweeping and self.capture.seen:
            statistics = self.capture.statistics()
            self.capture.sweep(on=False)
            self._swept = time.monotonic()
            self.lacking |= self.instruments.fit(self.layers())
        notes = tuple(f"{name} was not called in this pass" for name in self.capture.uncalled())
        notes += self.capture.edit_notes()
        differences: tuple[LayerDifference, ...] = ()
        if not study:
            self._shown = (batch.frame, batch.step)
        if self.instruments and not study:
            seen, failed = self._looked()
            batch.artefacts += seen
            notes += (*failed, *self.instruments.failures())
            differences = tuple(self.instruments.differences())
        frame = Frame(
            batch.run, batch.frame, batch.step, tuple(batch.artefacts),
            tuple(batch.rendered.values()), statistics, batch.milliseconds, last,
            notes if last else (),
        )  # fmt: skip
        self.timeline.add(frame)  # without the overview, which shows what is and what was so far
        return replace(frame, rows=tuple(batch.rows.values()), differences=differences)

    def _scene(self) -> Scene:
        hurried = self.hurried or self._stepping
        return Scene(self.network, self.layers(), frozenset(self.visible), hurried)

    def _rows(self, *, study: bool) -> list[LayerRow]:
        """Rows of the overview of what ran in the latest resumption."""
        if study or not self.instruments:
            return []
        with torch.no_grad():
            return self.instruments.rows()

    def _taken(self) -> Taken:
        tensors, places = self.capture.taken(self.instruments.points)
        return Taken(tensors, places, self.network, self.layers(), self.inputs, self.params,
                     self._runs, self._shown[0])  # fmt: skip

    def _looked(self) -> tuple[list[Artefact], tuple[str, ...]]:
        """What the instruments see in the step that has just ended."""
        with torch.no_grad():
            made, notes = self.instruments.look(self._taken())
        return [sealed(a, self._runs, self._shown[0]) for a in made], tuple(notes)

    def _sweep_due(self) -> bool:
        if self.capture.sweeping or self.replayed:
            return False
        if not self._swept:
            return True
        # Seldom enough, too, that sweeps take a hundredth of the time where a pass is slow.
        wait = max(self.statistics_every, 100 * self.capture.sweep_seconds)
        return bool(self.statistics_every) and time.monotonic() - self._swept >= wait

    def _follows(self, frame: int) -> bool:
        """Whether memory of the latest frame serves this one: the same again, or the next."""
        return self._past is not None and 0 <= frame - self._past.frame <= self._stride

    def _memory_for(self, frame: int) -> Any:
        """Memory from before ``frame``: the same one's, or carried on to the next, else none."""
        if self._past is None or not self._follows(frame):
            return None
        return self._past.before if frame == self._past.frame else self._past.after

    def _note_inputs(self, inputs: Inputs) -> None:
        self.inputs = inputs  # alive, so that no other input takes over an identity
        self._inputs_used = {
            slot: str(getattr(value, "sha256", "")) for slot, value in inputs.items()
        }

    def _forget_run(self) -> None:
        self._past = None
        self._kept = None
        self._turn.random = None


def _as_run(artefacts: Iterator[Artefact]) -> Generator[Artefact, Any, None]:
    yield from artefacts
