"""The one thread that runs torch for a window: requests in, whole frames out through a mailbox."""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QThread, Signal

from explorer.app.bell import Bell
from explorer.app.laying import Laying
from explorer.app.mailbox import Mailbox
from explorer.app.reports import Failure, ReadValue, failure_of, opened_of
from explorer.core.registry import is_filled
from explorer.core.timeline import Timeline
from explorer.views import Edit, Frame, Handle, View

if TYPE_CHECKING:
    from explorer.core.registry import Row
    from explorer.core.session import Session
    from explorer.inputs import Inputs


TURN = 0.05  # s that an engine's pause waits for the window, at most
SWITCH = 2e-5  # s that a thread may keep the interpreter while another waits for it


@dataclass(slots=True)
class _Source:
    """What the engine runs on: inputs, and where in a clip we are."""

    inputs: Inputs = field(default_factory=dict)
    position: int = 0
    playing: bool = False
    fresh: bool = True


class Runner(QThread):
    """Owns the Session of the open engine.

    Requests come from the window's thread and change plain fields under one condition; the newest
    of each sort wins. A running generator looks at them between two frames. Only a change of source
    or engine, or `cancel`, stops a run that has delivered nothing yet.
    """

    ready = Signal()
    opened = Signal(object)
    failed = Signal(object)
    progressed = Signal(str, float)
    idle = Signal()
    layers_changed = Signal(object)
    value_read = Signal(object)
    torch_loaded = Signal(str)
    frame_moved = Signal(int)
    source_ended = Signal()
    trained = Signal(str, str)
    weights_ready = Signal(str)
    laid = Signal(object)

    def __init__(self, threads: int | None = None) -> None:
        super().__init__()
        self.timeline = Timeline()
        self.between_turns = threading.Event()  # clear while the window draws
        self.between_turns.set()
        self._threads = threads
        self._wake = threading.Condition()
        self._jobs: deque[Callable[[], None]] = deque()
        self._open_request: tuple[Row, Mapping[str, Any], str, int] | None = None
        self._source = _Source()
        self._due = False
        self._frozen = False
        self._visible: tuple[str, ...] = ()
        self._paused = False
        self._one_step = False
        self._busy = False
        self._stale = False
        self._stopping = False
        self._interrupt = False
        self._last_open: tuple[Row, Mapping[str, Any], str, int] | None = None
        self._fetching = threading.Event()
        self._session: Session | None = None
        self._mailbox = Mailbox()
        self._bell = Bell(self.ready.emit)
        self._views: tuple[View, ...] = ()
        self._edits: tuple[Edit, ...] = ()
        self._laying = Laying()

    # -- requests (any thread)

    def open(
        self, row: Row, values: Mapping[str, Any], device: str = "auto", seed: int = 0
    ) -> None:
        """Open an engine in place of the present one."""
        with self._wake:
            self._open_request = self._last_open = (row, dict(values), device, seed)
            self._source = _Source()
            self._paused = False
            self._due = False
            self._stop_present()
            self._wake.notify()

    def run_inputs(self, inputs: Inputs, *, playing: bool) -> None:
        """Run on new inputs; a clip in an image slot plays, or shows its first frame."""
        with self._wake:
            self._source = _Source(dict(inputs), 0, playing)
            self._paused = False
            self._due = True
            self._stop_present()
            self._wake.notify()

    def run_again(self) -> None:
        """Run the present inputs once more."""
        with self._wake:
            self._due = True
            self._wake.notify()

    def set_knob(self, values: Mapping[str, Any]) -> None:
        """Change knobs; what it costs is decided by their effect."""
        self._ask(lambda: self._change_knobs(values))

    def set_views(self, views: tuple[View, ...]) -> None:
        """Ask for these pictures from the next resumption on.

        What is captured already is drawn anew without the network; else it runs once more.
        """
        with self._wake:
            new = tuple(v for v in views if v not in self._views)
            self._views = views
            if self._session is not None:
                self._session.views = views
            if new and not self._source.playing:
                self._jobs.append(lambda: self._redraw(new))
                self._wake.notify()

    def set_edits(self, edits: tuple[Edit, ...]) -> None:
        """Change the network's outputs from the next run on."""
        with self._wake:
            self._edits = edits
            if self._session is not None:
                self._session.edits = edits
            self._run_soon()

    def set_instrument(self, name: str, values: Mapping[str, Any] | None) -> None:
        """Lay an instrument on whatever engine runs, or change its knobs; None takes it off."""
        if self._laying.ask(name, values):
            self._ask(self._lay)

    def set_visible(self, layers: tuple[str, ...]) -> None:
        """Which layers of the overview are on the screen; they are refreshed first."""
        self._visible = layers
        if self._session is not None:
            self._session.visible = layers

    def study(self, name: str) -> None:
        """Run the passes of an instrument that is laid on, on the present inputs."""
        self._stop_present()
        self._ask(lambda: self._study(name))

    def set_playing(self, playing: bool) -> None:
        """Play or pause the clip, or the steps of a long run."""
        with self._wake:
            self._source.playing = playing
            self._paused = not playing
            self._wake.notify()

    def step(self, by: int) -> None:
        """Go ``by`` frames on (or back) in a clip and stay there; one step on in a paused run."""
        with self._wake:
            self._one_step = True
            self._wake.notify()
        if not self._busy:
            self.seek(self._source.position + by)

    def seek(self, frame: int) -> None:
        """Show one frame of the clip."""
        with self._wake:
            self._source.position = max(0, frame)
            self._source.fresh = True
            self._due = True
            self._wake.notify()

    def freeze(self, on: bool) -> None:
        """Hold the picture while the source goes on."""
        with self._wake:
            self._frozen = on
            self._wake.notify()

    def train(self, inputs: Inputs, out: Path | None = None) -> None:
        """Train the open engine until it ends or is cancelled."""
        self._stop_present()
        self._ask(lambda: self._train(inputs, out))

    def read(self, handle: Handle, unit: int, y: int, x: int) -> None:
        """Ask for one captured value."""
        self._ask(lambda: self._read(handle, unit, y, x))

    def read_array(self, handle: Handle, unit: int | None = None) -> None:
        """Ask for a whole captured tensor or one unit of it."""
        self._ask(lambda: self._read(handle, unit, -1, -1))

    def fetch_weights(self, name: str) -> None:
        """Download weights, then open the present engine again."""
        self._fetching.clear()
        self._ask(lambda: self._bring(name))

    def with_session(self, job: Callable[[Session | None], None]) -> None:
        """Do something that wants torch and the open session, in this thread."""
        self._ask(lambda: job(self._session))

    def import_weights(self, name: str, path: Path) -> None:
        """Take a person's own file for these weights, then open the present engine again."""
        self._ask(lambda: self._bring(name, path))

    def cancel(self) -> None:
        """Stop what is running now; the window need not wait."""
        with self._wake:
            self._source.playing = False
            self._due = False
            self._fetching.set()
            self._stop_present()
            self._wake.notify()

    @property
    def busy(self) -> bool:
        """Whether something runs or is due; a run that was paused does not count."""
        waits = bool(self._due or self._jobs or self._open_request)
        return waits or (self._busy and not self._paused)

    @property
    def dropped(self) -> int:
        """Frames that the window was too slow for."""
        return self._mailbox.dropped

    def take(self) -> Frame | None:
        """The newest whole frame, once."""
        return self._mailbox.take()

    def stop(self, wait_ms: int = 5000) -> bool:
        """End the thread; False when it did not end in time."""
        with self._wake:
            self._stopping = True
            self._fetching.set()
            self._stop_present()
            self._wake.notify()
        return bool(self.wait(wait_ms))

    # -- the thread

    def run(self) -> None:
        """Load torch, then serve requests until asked to stop."""
        # By default each of two threads waits 5 ms for the other's Python, at every operation.
        sys.setswitchinterval(SWITCH)
        try:
            from explorer.core.devices import set_up

            self.torch_loaded.emit(set_up(self._threads))
            while not self._stopping:
                self._serve()
        except Exception as error:  # noqa: BLE001 -- Qt would print and lose it
            self.failed.emit(Failure("The runner stopped", f"{type(error).__name__}: {error}",
                                     "Close and start again.", traceback.format_exc()))  # fmt: skip
        finally:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _serve(self) -> None:
        with self._wake:
            while not (
                self._stopping or self._jobs or self._open_request or self._due or self._plays()
            ):
                self._bell.settle()
                self._wake.wait()
            opening, self._open_request = self._open_request, None
            job = self._jobs.popleft() if self._jobs and opening is None else None
            self._interrupt = False
        if self._stopping:
            return
        if opening is not None or job is not None:
            self._bell.settle()
        if opening is not None:
            self._guarded("open the engine", lambda: self._open(*opening))
        elif job is not None:
            self._guarded("do that", job)
        else:
            self._guarded("run the engine", self._run_source)

    def _plays(self) -> bool:
        return self._source.playing and self._session is not None and not self._frozen

    def _run_soon(self) -> None:
        """Run once more for a changed view, edit or knob, unless a run in progress will see it."""
        if self._session is None or self._source.playing:
            return
        if self._busy:
            self._stale = True
        elif self._source.inputs or is_filled(self._session.row, ()):
            self._due = True
            self._wake.notify()

    def _open(self, row: Row, values: Mapping[str, Any], device: str, seed: int) -> None:
        from explorer.core.devices import settle_memory
        from explorer.core.session import Session
        from explorer.core.weights import WeightStore

        if self._session is not None:
            self._session.close()
            self._session = None
        self.timeline.clear()
        session = Session(
            row, device=device, seed=seed, params=values, store=WeightStore(row.weights)
        )
        session.timeline = self.timeline
        session.on_progress = self._progress
        session.on_pause = partial(self.between_turns.wait, TURN)
        session.on_enter = self._bell.entered
        session.open()
        self._laying.lay_all(session)
        self._session = session
        self._views, self._edits = (), ()
        settle_memory()
        self.opened.emit(opened_of(session))

    def _run_source(self) -> None:
        """One run: a picture, one frame of a clip, or a run of many steps."""
        from explorer.core.streams import clip_of

        # Taken before the source is read: a request that comes in between is served next.
        due, self._due = self._due, False
        session, source = self._session, self._source
        if session is None:
            return
        clip = clip_of(source.inputs)
        session.visible, session.hurried = self._visible, source.playing and clip is not None
        if clip is None:
            source.playing = False
            self._deliver(session, session.run(source.inputs))
            self.idle.emit()
            return
        if source.playing and not due and not source.fresh:
            source.position += 1
        if source.fresh and source.position == 0:
            session.reset_memory()
        source.fresh = False
        self.frame_moved.emit(source.position)
        self._bell.begin()
        try:
            frames = session.at(source.inputs, source.position, held=not source.playing)
            self._deliver(session, frames)
        except IndexError:
            source.playing = False
            source.position = max(0, len(clip) - 1)
            self.source_ended.emit()
            return
        if not source.playing:
            self.idle.emit()

    def _deliver(self, session: Session, frames: Iterator[Frame]) -> None:
        """Put frame after frame into the mailbox; stop between two when something else is due."""
        self._busy, self._stale = True, False
        try:
            with contextlib.closing(frames):  # type: ignore[type-var]
                for frame in frames:
                    self._post(frame)
                    if frame.statistics:
                        self.layers_changed.emit(session.layers())
                    if frame.last or not self._goes_on():
                        break
        finally:
            self._busy = False
        if (self._stale or session.lacking) and not session.engine.optimises:
            self._due = True

    def _goes_on(self) -> bool:
        """Between two steps: serve small requests, wait while paused; False when to stop here."""
        while not self._must_stop():
            if self._jobs:
                self._guarded("do that", self._jobs.popleft())
            elif not self._paused:
                return True
            elif self._one_step:
                self._one_step = False
                return True
            else:
                with self._wake:
                    if self._paused and not (self._jobs or self._one_step or self._must_stop()):
                        self._wake.wait(0.5)
        return False

    def _must_stop(self) -> bool:
        return self._interrupt or self._stopping or self._due or self._open_request is not None

    def _post(self, frame: Frame) -> None:
        self._bell.settle()
        if self._mailbox.post(frame):
            self._bell.posted(more=frame.last and self._plays())

    def _change_knobs(self, values: Mapping[str, Any]) -> None:
        session = self._session
        if session is None:
            return
        effect = session.set_params(values)
        if effect == "build":
            session.rebuild()
            self.opened.emit(opened_of(session, rebuilt=True))
            self._due = True
        elif effect == "again" and not self._busy:
            self._deliver(session, session.again())
        elif effect == "run" and self._busy:
            self._due = True
        elif effect is not None:
            with self._wake:
                self._run_soon()

    def _redraw(self, views: tuple[View, ...]) -> None:
        """Answer changed views from what is captured, else by one more run."""
        wanted = tuple(v for v in views if v in self._views)
        if self._session is None or not wanted:
            return
        self._post_or_run(self._session.redraw(wanted))

    def _lay(self) -> None:
        """Serve what was asked of instruments: from what is captured, else by one more run."""
        session = self._session
        for laid in self._laying.serve(session):
            self.laid.emit(laid)
            if session is not None:
                self._post_or_run(session.look(laid.name))

    def _post_or_run(self, frame: Frame | None) -> None:
        """What could be drawn without the network; else one more run."""
        if frame is not None:
            self._post(frame)
        elif self._busy or len(self.timeline):  # else the first run is still to come, and sees them
            with self._wake:
                self._run_soon()

    def _study(self, name: str) -> None:
        session = self._session
        if session is None or name not in session.instruments:
            return
        if self._due:  # a run that is owed would end the study at its first step
            self._run_source()
        inputs = session.inputs or self._source.inputs
        self._source.playing = False
        self._deliver(session, session.study(name, inputs))
        self.idle.emit()

    def _train(self, inputs: Inputs, out: Path | None) -> None:
        session = self._session
        if session is not None:
            self._source.playing = False
            try:
                self._deliver(session, session.train(inputs, out=out))
            finally:
                kept = out is not None and out.is_file()
                self.trained.emit(str(out) if kept else "", session.provenance)
            self.idle.emit()

    def _read(self, handle: Handle, unit: int | None, y: int, x: int) -> None:
        from explorer.core.session import StaleHandle

        if self._session is None:
            return
        try:
            array = self._session.read(handle, unit)
        except (StaleHandle, IndexError):
            return  # a newer picture has come under the cursor; the next probe reads that
        self.value_read.emit(ReadValue.at(array, handle, unit, y, x))

    def _bring(self, name: str, path: Path | None = None) -> None:
        """Weights by download or from a person's own file; then the engine that wanted them."""
        from explorer.core.weights import whole_store

        if path is None:
            whole_store().fetch(name, self._progress, self._fetching.is_set)
        else:
            whole_store().import_file(name, path)
        self.weights_ready.emit(name)
        if self._last_open is not None and name in {w.name for w in self._last_open[0].weights}:
            self._open_request = self._last_open

    # -- inside

    def _ask(self, job: Callable[[], None]) -> None:
        with self._wake:
            self._jobs.append(job)
            self._wake.notify()

    def _stop_present(self) -> None:
        self._interrupt = True
        if self._session is not None:
            self._session.cancel()

    def _progress(self, text: str, fraction: float | None) -> None:
        self.progressed.emit(text, -1.0 if fraction is None else fraction)

    def _guarded(self, what: str, job: Callable[[], None]) -> None:
        """Run a job; whatever it raises becomes a Failure, as text."""
        from explorer.engine import Cancelled

        try:
            job()
        except Cancelled:
            self.idle.emit()
        except Exception as error:  # noqa: BLE001 -- the thread must live on; the window shows the text
            self._source.playing = False
            self._due = False
            self.failed.emit(failure_of(what, error))
            self.idle.emit()
