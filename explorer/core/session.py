"""Runs an engine as a generator of frames: grad mode, seed, cancel, capture and timeline."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from explorer import params as knobs
from explorer.core import registry
from explorer.core.capture import Capture
from explorer.core.devices import choose_device
from explorer.core.driving import STUDY, TRAINING, Driver
from explorer.core.failures import EngineFailed as EngineFailed  # who runs a session catches it
from explorer.core.failures import failure_of
from explorer.core.framing import sealed
from explorer.core.host import SessionHost
from explorer.core.instruments import Bench, Instruments
from explorer.core.layers import Layer, layers_of, tree_of
from explorer.core.passes import Passes, Past
from explorer.core.reduction import as_maps
from explorer.core.registry import Row
from explorer.core.streams import clip_of, with_frame
from explorer.core.timeline import Timeline
from explorer.core.training import Trainer, training_run
from explorer.core.weights import WeightStore
from explorer.engine import Engine, EngineError
from explorer.inputs import ClipInput, Inputs, Pixels
from explorer.kinds import Artefact
from explorer.views import Edit, Frame, Handle, View


class StaleHandle(LookupError):
    """The captured values of a picture have been replaced by those of a newer frame."""


class Session:
    """One engine, opened. Everything but ``set_params``, ``cancel`` and the plain attributes below
    belongs to one thread.

    Attributes:
        views, edits: may be assigned at any time from any thread; read at each resumption.
        inputs: of the latest run, with the picture in place of its clip.
        compares: run without the edits as well, for `Frame.before` and the scores' ``before``.
        instruments: what is laid on the network.
        visible: layers whose rows of the overview are on the screen. ``hurried``: frames follow one
            another, so that what has a budget keeps it.
        statistics_every: seconds between sweeps over all modules; 0 is never (after the first).
        on_enter: called when a picture enters the network.
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
        self.compares = True
        self.visible: tuple[str, ...] = ()
        self.hurried = False
        self.statistics_every = 0.5
        self.timeline = Timeline()
        self.instruments = Instruments()
        self.on_progress: Callable[[str, float | None], None] | None = None
        self.on_pause: Callable[[], Any] | None = None
        self.on_enter: Callable[[], Any] | None = None
        self.params: Any = None
        self.engine: Engine[Any]
        self.network: nn.Module
        self.host = SessionHost(self, store or WeightStore(row.weights))
        self._asked = dict(params or {})
        self._cancel = threading.Event()
        self._params_lock = threading.Lock()
        self._capture: Capture | None = None
        self._past: Past | None = None
        self._kept: tuple[int, Any] | None = None
        self.driver = Driver(self)
        self._decoded: tuple[Any, int, Pixels] = (None, -1, np.zeros((1, 1, 3), np.uint8))
        self.inputs: Inputs = {}
        self._tree: tuple[list[tuple[str, nn.Module]], list[Layer]] | None = None
        self._stride = 1
        self._inputs_used: dict[str, str] = {}
        self._taught = 0  # steps of the newest training of the network that is open

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
        self._taught = 0
        self._forget_run()
        try:
            with self.driver.turn(), torch.no_grad():
                torch.manual_seed(self.seed)
                network = self.engine.build(self.params)
            self.network = network.to(self.device).eval().requires_grad_(False)
        except Exception as error:  # noqa: BLE001 -- whatever an engine raises becomes one clear error
            raise failure_of(error, self.row.name, self.device, self._capture) from None
        if self.engine.layout == "NHWC" and self.device.type == "cpu":
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.engine.network = self.network
        self.row = replace(self.row, **self.engine.described())
        self._capture = Capture(self.network, self._cancel.is_set, self._entered)
        self._capture.channels_last = self.engine.channels_last
        self._passes = Passes(self)
        self.driver.swept, self._tree = 0.0, None
        self.instruments.fit(self.layers())

    def close(self) -> None:
        """Let go of the network and everything captured."""
        if self._capture is not None:
            self._capture.remove()
            self._capture.clear()
            self._passes.forget()
        self.instruments.close()
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
        """Where the weights come from: "trained", "trained here", "random", "none", a file, or a
        training of this session."""
        if self._taught:
            return f"trained in this session, {self._taught} step{'s' * (self._taught != 1)}"
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
        yield from self._run(inputs, frame, steps)

    def _run(
        self, inputs: Inputs, frame: int, steps: int | None = None, moment: int = -1
    ) -> Iterator[Frame]:
        """A run on a still, or on the frame ``moment`` of a clip."""
        self._cancel.clear()
        self._note_inputs(inputs)
        self.driver.run += 1
        self.driver.lacking = False
        self.capture.surgery.start_run(self.driver.run, moment, self.edits)
        frames = self._passes.run(
            inputs, self._past_of(frame), steps, self._ended, still=moment < 0
        )
        with contextlib.closing(frames):
            yield from frames

    def _entered(self) -> None:
        if self.on_enter is not None:
            self.on_enter()

    def _ended(self, past: Past, kept: Any) -> None:
        self._past = past
        self._kept = (past.frame, kept)

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

    def at(self, inputs: Inputs, index: int, *, held: bool = False) -> Iterator[Frame]:
        """Run on one frame of the clip; after a seek the frames before it fill the memory again.

        Args:
            held: of a camera, the frame that was read last, when that was ``index``.

        Raises:
            IndexError: the clip has no such frame.
        """
        clip = clip_of(inputs)
        if clip is None:
            raise IndexError("there is no clip among the inputs")
        if not self._follows(index) and not clip.live:
            self._past = None
            for earlier in range(max(0, index - self.engine.warm_up), index):
                for _ in self._run(
                    with_frame(inputs, clip[earlier], earlier), earlier, None, earlier
                ):
                    continue
        self._see_held_frames(inputs, clip, index)
        begun = time.perf_counter()
        pixels = self._decode(clip, index, held=held)
        decode = 1e3 * (time.perf_counter() - begun)
        for made in self._run(with_frame(inputs, pixels, index), index, moment=index):
            yield replace(made, milliseconds={**made.milliseconds, "decode": decode})

    def _decode(self, clip: ClipInput, index: int, *, held: bool) -> Pixels:
        """The pixels of a frame; of the one before last asked for, the very same array."""
        known, at, pixels = self._decoded
        if (clip.live and not held) or known is not clip or at != index:
            pixels = clip[index]
            self._decoded = (clip, index, pixels)
        return pixels

    def _see_held_frames(self, inputs: Inputs, clip: ClipInput, index: int) -> None:
        """Run on the frames that freezes hold and that have not been seen, without memory."""
        surgery = self.capture.surgery
        for edit in () if clip.live else surgery.lacking(self.edits, index):
            if edit.moment < len(clip) or not len(clip):
                surgery.start_run(self.driver.run, edit.moment, self.edits)
                shown = with_frame(inputs, clip[edit.moment], edit.moment)
                generator = self.engine.run(shown, self.params, None)
                self.driver.quietly(generator, edit.moment, [e for e in self.edits if e.on])

    def redraw(self, views: tuple[View, ...]) -> Frame | None:
        """Pictures for views of what is captured already, without the network; else None."""
        with torch.no_grad():
            frame, step = self.driver.shown
            rendered = self.capture.redraw(views, self.driver.run, frame, self.edits)
        if len(rendered) < len(views):
            return None
        return Frame(self.driver.run, frame, step, rendered=rendered, last=True)

    def look(self, name: str = "") -> Frame | None:
        """What the instruments (or one) see in what is captured already, without the network.

        None when something they need was not captured: then a run is needed.
        """
        if self.instruments.reading(name):
            return None
        taken = self.driver.taken()
        called = [p for p in self.instruments.points if p in self.capture.seen]
        if not self.instruments or not self.capture.seen or set(called) - set(taken.tensors):
            return None
        with torch.no_grad():
            made, notes = self.instruments.look(taken, name)
        frame, step = self.driver.shown
        artefacts = tuple(sealed(a, self.driver.run, frame) for a in made)
        return Frame(self.driver.run, frame, step, artefacts, last=True, notes=tuple(notes))

    def study(self, name: str, inputs: Inputs) -> Iterator[Frame]:
        """An instrument's own passes on ``inputs``, streamed; it must be laid on.

        Raises:
            Cancelled, EngineFailed, EngineError: as `run`.
        """
        self._cancel.clear()
        self.driver.run += 1
        memory = None if self._past is None else self._past.before
        bench = Bench(self, inputs, memory)
        generator = self.instruments.study(name, bench)
        yield from self.driver.drive(generator, 0, manner=STUDY)

    def again(self) -> Iterator[Frame]:
        """Post-process what the last run kept, without the network; nothing kept gives nothing."""
        if self._kept is None or self._kept[1] is None:
            return
        self._cancel.clear()
        frame, kept = self._kept
        self.driver.run += 1
        self.driver.baseline = self.driver.baseline.scores()
        yield from self.driver.drive(_as_run(self.engine.again(kept, self.params)), frame)

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
        self.driver.run += 1
        self.network.train().requires_grad_(True)
        generator = self.engine.train(inputs, self.params, checkpoint)
        told = self.engine.provenance
        try:
            running = training_run(generator, trainer)
            yield from self.driver.drive(running, 0, manner=TRAINING)
        finally:
            self.network.eval().requires_grad_(False)
            if trainer.latest is not None and self.engine.provenance == told:
                self._taught = trainer.latest.step  # else the engine has said so itself
            trainer.save()

    def evaluate(
        self, folder: Path, taken: Callable[[Artefact], None] | None = None
    ) -> dict[str, float]:
        """The field's metric over an annotated folder; ``taken`` is given what the engine yields.

        Raises:
            EngineError: the engine has none, or the folder does not fit.
        """
        self._cancel.clear()
        if type(self.engine).evaluate is Engine.evaluate:
            raise EngineError(f"engine {self.row.name!r} has no metric over a folder")
        result: dict[str, float] = {}

        def run() -> Generator[Artefact, Any, None]:
            result.update((yield from self.engine.evaluate(folder, self.params)))

        self.driver.run += 1
        for frame in self.driver.drive(run(), 0):
            if taken is not None:
                for artefact in frame.artefacts:
                    taken(artefact)
        return result

    @property
    def replayed(self) -> tuple[str, ...]:
        """Blocks above the edits whose output the latest run took from an earlier one."""
        return self.driver.replayed

    @property
    def lacking(self) -> bool:
        """Whether an instrument needs what the latest run has not captured."""
        return self.driver.lacking

    def cancel(self) -> None:
        """Stop the running generator at the next module, forward or backward; any thread."""
        self._cancel.set()

    @property
    def cancelled(self) -> bool:
        """Whether a cancel was asked for since the current request began."""
        return self._cancel.is_set()

    def continue_with(self, random: Tensor, values: Mapping[str, Any]) -> None:
        """Go on as a stopped training: its random state, and its knobs unless asked for."""
        self.driver.continued = random
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
                name: {
                    "sha256": w.sha256,
                    "provenance": w.provenance,
                    "licence": w.licence,
                    "data": w.data,
                }
                for name, w in self.host.sources.items()
            },
            "provenance": self.provenance,
            "inputs": dict(self._inputs_used),
            "edits": [e.text() for e in self.edits if e.on],
        }

    # -- inside

    def _follows(self, frame: int) -> bool:
        """Whether memory of the latest frame serves this one: the same again, or the next."""
        return self._past is not None and 0 <= frame - self._past.frame <= self._stride

    def _past_of(self, frame: int) -> Past:
        """Memory from before ``frame``: the same one's, or carried on to the next, else none."""
        past = self._past
        return Past(frame) if past is None or not self._follows(frame) else past.next(frame)

    def _note_inputs(self, inputs: Inputs) -> None:
        self.inputs = inputs  # alive, so that no other input takes over an identity
        self._inputs_used = {
            slot: str(getattr(value, "sha256", "")) for slot, value in inputs.items()
        }

    def _forget_run(self) -> None:
        self._past = None
        self._kept = None
        self.driver.turn.random = None


def _as_run(artefacts: Iterator[Artefact]) -> Generator[Artefact, Any, None]:
    yield from artefacts
