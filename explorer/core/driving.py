"""Drives an engine's generator: grad mode, hooks, pictures and notes of each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from explorer.core.baseline import Baseline, not_finite
from explorer.core.devices import Turn
from explorer.core.failures import EngineFailed, failure_of
from explorer.core.framing import Batch, render_artefact, sealed
from explorer.core.instruments import Scene, Taken
from explorer.core.surgery import NOT_FINITE
from explorer.engine import Cancelled, EndOfStep
from explorer.kinds import Artefact, FeatureMaps
from explorer.views import Edit, Frame, LayerDifference, LayerRow, LayerStatistics, Rendered

if TYPE_CHECKING:
    from explorer.core.session import Session

Running = Generator[Artefact | EndOfStep, Any, Any]


SELDOM = 250  # times what a sweep takes lie between two: 0.4 % of the time


@dataclass(frozen=True, slots=True)
class Manner:
    """How a generator is driven: with gradients on, and whether what passes is captured.

    A study is not captured: what was captured of the engine's own run stays.
    """

    grad: bool = False
    study: bool = False


RUN, STUDY, TRAINING = Manner(), Manner(study=True), Manner(grad=True)


class Driver:
    """What one session keeps from resumption to resumption.

    Attributes:
        run: number of the run that goes on. ``shown``: frame and step of the newest Frame.
        lacking: an instrument needs what has not been captured.
        replayed: blocks above the edits whose output is taken from an earlier run.
        baseline: the artefacts of this run without the edits.
        fuses: in this run, what nobody looks into may run as one.
    """

    def __init__(self, session: Session) -> None:
        self.run = 0
        self.shown = (0, 0)
        self.lacking = False
        self.replayed: tuple[str, ...] = ()
        self.baseline = Baseline()
        self.fuses = False
        self.swept = 0.0
        self.turn = Turn(session.device, session.seed)
        self.continued: Tensor | None = None
        self._session = session
        self._stepping = False

    def drive(
        self,
        generator: Running,
        frame: int,
        steps: int | None = None,
        done: Callable[[Any], None] | None = None,
        manner: Manner = RUN,
    ) -> Iterator[Frame]:
        """Resume the engine until it ends; hand out one Frame for each step.

        A step has ended when the engine says so, or when an artefact of another step has come.
        """
        session = self._session
        batch = Batch(self.run, frame)
        begun_steps = 0
        started = self._stepping = False
        self.turn.random, self.continued = self.continued, None
        try:
            while True:
                try:
                    # A sweep begun in the middle of a step would miss half the network.
                    young = not started or (begun_steps > 0 and len(batch.artefacts) <= 1)
                    made, rendered, spent = self._resume(
                        generator, frame, started=started, may_sweep=young, manner=manner
                    )
                except StopIteration as stop:
                    if done is not None:
                        done(stop.value)
                    batch.add(None, self._late(frame), {})
                    batch.rows |= {row.name: row for row in self._rows(manner)}
                    break
                started = True
                new = None if isinstance(made, EndOfStep) else made
                ended = bool(batch.artefacts) if new is None else batch.ends_with(new)
                rows = {row.name: row for row in self._rows(manner)}
                if new is None:
                    batch.add(None, rendered, spent)
                    batch.rows |= rows
                if ended:
                    yield self._finish(batch, last=False, manner=manner)
                    begun_steps += 1
                    self._stepping = True
                    batch = Batch(self.run, frame, batch.step)
                    if steps is not None and begun_steps >= steps:
                        return
                if new is not None:
                    batch.add(new, (*rendered, *self._drawn(new)), spent)
                    batch.rows |= rows
            yield self._finish(batch, last=True, manner=manner)
        finally:
            generator.close()
            session.capture.remove()
            session.instruments.detach()

    def quietly(
        self, generator: Running, frame: int, edits: Sequence[Edit] = ()
    ) -> tuple[list[Artefact], Any]:
        """Run to the end with these edits and nobody looking: its artefacts and its outcome.

        The random numbers are those that a run begins with.
        """
        session, capture = self._session, self._session.capture
        made: list[Artefact] = []
        started = False
        self.turn.random = None
        try:
            while True:
                with self.turn(), torch.no_grad():
                    capture.install((), edits, forget=False)
                    capture.start_pass()
                    part = generator.send(session.params) if started else next(generator)
                    started = True
                    if isinstance(part, Artefact):
                        made.append(sealed(part, self.run, frame))
        except StopIteration as stop:
            return made, stop.value
        except Exception as error:  # noqa: BLE001 -- whatever an engine raises becomes one clear error
            raise self._failed(error) from None
        finally:
            generator.close()
            capture.remove()

    def taken(self) -> Taken:
        """What the instruments see of what is captured."""
        session = self._session
        tensors, places = session.capture.taken(session.instruments.points)
        return Taken(tensors, places, session.network, session.layers(), session.inputs,
                     session.params, self.run, self.shown[0])  # fmt: skip

    def _resume(
        self, generator: Running, frame: int, *, started: bool, may_sweep: bool, manner: Manner
    ) -> tuple[Artefact | EndOfStep, tuple[Rendered, ...], dict[str, float]]:
        """One resumption: hooks in, network, pictures out, under the lock of the device."""
        session, capture = self._session, self._session.capture
        begun = time.perf_counter()
        try:
            with self.turn(), torch.set_grad_enabled(manner.grad):
                if manner.study:
                    capture.install((), session.edits, forget=False)
                else:
                    points = session.instruments.points
                    fuse = self.fuses and not session.instruments.reading()
                    capture.install(session.views, session.edits, points, fuse=fuse)
                    if session.instruments:
                        session.instruments.attach(self._scene())
                capture.start_pass()
                if may_sweep and not manner.study and self._sweep_due():
                    capture.sweep(on=True)
                made = generator.send(session.params) if started else next(generator)
                if not isinstance(made, EndOfStep):
                    made = sealed(made, self.run, frame)
                rendered = capture.rendered(self.run, frame, session.edits)
        except (StopIteration, Cancelled):
            raise
        except Exception as error:  # noqa: BLE001 -- whatever an engine raises becomes one clear error
            raise self._failed(error) from None
        total = time.perf_counter() - begun
        spent = {"network": 1e3 * (total - capture.seconds), "capture": 1e3 * capture.seconds}
        return made, rendered, spent

    def _failed(self, error: Exception) -> Exception:
        """The error as one line; edits in force are named, for they may have caused it."""
        session = self._session
        failure = failure_of(error, session.row.name, session.device, session.capture)
        edits = [edit.text() for edit in session.edits if edit.on]
        if not edits or not isinstance(failure, EngineFailed):
            return failure
        words = f"{failure}; with the edit {edits[-1]} in force: switch it off"
        far = next((n for n in session.capture.edit_notes() if n.endswith(NOT_FINITE)), "")
        if far and not failure.memory:
            words = f"{session.row.name}: {far}, and it cannot go on with them; switch the edit off"
        return EngineFailed(words, failure.traceback, memory=failure.memory)

    def _late(self, frame: int) -> tuple[Rendered, ...]:
        """Pictures of what ran after the last yield."""
        with torch.no_grad():
            return self._session.capture.rendered(self.run, frame, self._session.edits)

    def _drawn(self, artefact: Artefact) -> tuple[Rendered, ...]:
        """Pictures of a FeatureMaps artefact for the views that name it."""
        if not isinstance(artefact, FeatureMaps):
            return ()
        views = [v for v in self._session.views if v.point == artefact.name]
        return tuple(render_artefact(artefact, v) for v in views)

    def _finish(self, batch: Batch, *, last: bool, manner: Manner) -> Frame:
        session, capture = self._session, self._session.capture
        statistics = self._statistics()
        notes = tuple(f"{name} was not called in this pass" for name in capture.uncalled())
        notes += self._edit_notes(batch.artefacts)
        differences: tuple[LayerDifference, ...] = ()
        shown, before = self.baseline.beside(batch.artefacts)
        if not manner.study:
            self.shown = (batch.frame, batch.step)
        if session.instruments and not manner.study:
            seen, failed = self._looked()
            shown += tuple(seen)
            notes += (*failed, *session.instruments.failures())
            differences = tuple(session.instruments.differences())
            self.lacking |= session.instruments.lacking()
        frame = Frame(
            batch.run, batch.frame, batch.step, shown, tuple(batch.rendered.values()), statistics,
            batch.milliseconds, last, notes if last else (), before=before,
        )  # fmt: skip
        if shown or frame.rendered:
            # Without the overview, which shows what is and what was so far.
            session.timeline.add(frame)
        return replace(frame, rows=tuple(batch.rows.values()), differences=differences)

    def _statistics(self) -> tuple[LayerStatistics, ...]:
        """The rows of a sweep that has come to its end, if there was one."""
        session, capture = self._session, self._session.capture
        if not (capture.sweeping and capture.seen):
            return ()
        statistics = capture.statistics()
        capture.sweep(on=False)
        self.swept = time.monotonic()
        self.lacking |= session.instruments.fit(session.layers())
        return statistics

    def _edit_notes(self, artefacts: Sequence[Artefact]) -> tuple[str, ...]:
        """What the edits in force came to, where it is not what they say."""
        if not any(edit.on for edit in self._session.edits):
            return ()
        bad = not_finite(artefacts)
        notes = self._session.capture.edit_notes()
        return (*notes, *(f"{name} has values that are not finite, by the edits" for name in bad))

    def _scene(self) -> Scene:
        session = self._session
        hurried = session.hurried or self._stepping
        visible = frozenset(session.visible)
        return Scene(
            session.network, session.layers(), session.row, session.params, session.device,
            session.seed, visible, hurried, self.run,
        )  # fmt: skip

    def _rows(self, manner: Manner) -> list[LayerRow]:
        """Rows of the overview of what ran in the latest resumption."""
        if manner.study or not self._session.instruments:
            return []
        with torch.no_grad():
            return self._session.instruments.rows()

    def _looked(self) -> tuple[list[Artefact], tuple[str, ...]]:
        """What the instruments see in the step that has just ended."""
        with torch.no_grad():
            made, notes = self._session.instruments.look(self.taken())
        return [sealed(a, self.run, self.shown[0]) for a in made], tuple(notes)

    def _sweep_due(self) -> bool:
        session, capture = self._session, self._session.capture
        if capture.sweeping or self.replayed:
            return False
        if not self.swept:
            return True
        # Seldom enough, too, that sweeps take no time to speak of where a pass is slow.
        wait = max(session.statistics_every, SELDOM * capture.sweep_seconds)
        return bool(session.statistics_every) and time.monotonic() - self.swept >= wait
