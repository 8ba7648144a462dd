"""A picture of the real window without a display, as `layerscope shot` takes it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QEventLoop, QObject, QTimer, Slot

from explorer.core.own_models.model_row import chosen
from explorer.core.registry import table
from explorer.params import unknown

if TYPE_CHECKING:
    from explorer.app.reports import Failure
    from explorer.app.window import Asked, Window
    from explorer.views import Edit

QUIET_MS = 500  # nothing came for so long after the run had ended: all is on the screen
PATIENCE = 180.0  # s
LONG_RUN_MS = 20_000  # a run without --steps that takes longer is pictured as far as it has come


class ShotFailed(RuntimeError):
    """No picture was taken; ``kind`` is that of the runner's failure, or "input"."""

    def __init__(self, message: str, kind: str = "input", details: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.details = details


def shot(
    out: Path,
    paths: Sequence[str] = (),
    *,
    engine: str = "",
    arch: str = "",
    size: tuple[int, int] = (1440, 900),
    theme: str = "dark",
    layout: str = "",
    values: Mapping[str, Any] | None = None,
    capture: Sequence[str] = (),
    edits: Sequence[Edit] = (),
    steps: int = 0,
    frame: int | None = None,
    scrub: int | None = None,
    commands: Sequence[str] = (),
    slots: Mapping[str, str] | None = None,
    instruments: Mapping[str, Mapping[str, Any]] | None = None,
    device: str = "auto",
    seed: int = 0,
    patience: float = PATIENCE,
) -> None:
    """Open the window offscreen, wait until its run has come to rest, and save what it shows.

    Args:
        out: a PNG; written whole or not at all.
        paths: dropped on the window. Without one the engine's own sample runs.
        engine: its name, or a model of one's own; ``arch`` is the network of a file of weights.
        layout: a named arrangement that was saved in the window.
        values: knobs by name, typed or as text. ``capture``: layers to tick.
        steps: stop after so many steps of a run (0: when it ends, or after 20 s).
        frame: of a clip; without one, the first.
        scrub: recorded step to look back at, counted from 1.
        commands: of the window, by their ids ("keys", "palette"), given when all is at rest.
        instruments: docks to open, with their knobs; those with passes of their own are run.
        slots: what goes into a slot by its name: a path, or the text of a text slot.
        patience: seconds until it gives up.

    Raises:
        UnknownEngine: no engine of that name; the near ones are named.
        ShotFailed: the engine, an input or a layer's name was no good, or it took too long.
        OSError: the picture cannot be written.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from explorer.app.saving import write_png
    from explorer.app.settings import Settings
    from explorer.app.start import application
    from explorer.app.window import Asked, Window

    app = application(theme)
    with tempfile.TemporaryDirectory() as scratch:
        settings = Settings(Path(scratch) / "settings.json")  # the user's own stay as they are
        settings.values.layouts = dict(Settings().values.layouts)
        settings.values.theme, settings.values.hint_seen = theme, True
        rows = table()
        engine, paths, knobs = chosen(engine, arch, paths, rows)
        asked = Asked({**knobs, **(values or {})}, tuple(capture), tuple(edits))
        window = Window(
            settings=settings,
            rows=rows,
            engine=engine,
            paths=paths,
            device=device,
            seed=seed,
            asked=asked,
        )
        window.resize(*size)
        window.show()
        waiting = _Waiting(window, asked, steps, frame, layout, slots or {}, instruments or {})
        try:
            waiting.scrub = scrub
            waiting.commands = [_known(window, name) for name in commands]
            waiting.wait(patience)
            app.processEvents()
            write_png(window.grab().toImage(), out)
        finally:
            window.close()
            for thing in (waiting, window):
                thing.deleteLater()
            app.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def _known(window: Window, name: str) -> str:
    ids = window.commands.ids()
    if name not in ids:
        raise ShotFailed(unknown("command", name, ids))
    return name


class _Waiting(QObject):
    """Runs the event loop until the window is at rest, something failed, or patience is over."""

    def __init__(
        self, window: Window, asked: Asked, steps: int, frame: int | None, layout: str,
        slots: Mapping[str, str], instruments: Mapping[str, Mapping[str, Any]],
    ) -> None:  # fmt: skip
        super().__init__()
        self._window, self._asked = window, asked
        self._steps, self._frame, self._layout, self._slots = steps, frame, layout, slots
        self._instruments = dict(instruments)
        self._studies = [name for name in instruments if window.instruments.has_study(name)]
        self.scrub: int | None = None
        self.commands: list[str] = []
        self._failure: Failure | None = None
        self._refusal = ""
        self._idle = False
        self._late = False
        self._loop = QEventLoop()
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(QUIET_MS)
        self._quiet.timeout.connect(self._rested)
        self._enough = QTimer(self)
        self._enough.setSingleShot(True)
        self._enough.setInterval(LONG_RUN_MS)
        self._enough.timeout.connect(self._interrupt)
        window.shown.connect(self._shown)
        window.idle.connect(self._ended)
        window.runner.failed.connect(self._failed)
        window.runner.opened.connect(self._opened)
        window.sources.refused.connect(self._refused)
        window.awoken.connect(self._arranged)

    def wait(self, patience: float) -> None:
        """Return when the window is at rest."""
        end = QTimer(self)
        end.setSingleShot(True)
        end.timeout.connect(self._give_up)
        end.start(int(1000 * patience))
        begun = time.monotonic()
        self._loop.exec()
        end.stop()
        if self._failure is not None:
            failure = self._failure
            line = ". ".join(filter(None, (failure.cause.rstrip("."), failure.remedy)))
            raise ShotFailed(line, failure.kind, failure.details)
        if self._refusal:
            raise ShotFailed(self._refusal)
        if self._late:
            waited = time.monotonic() - begun
            raise ShotFailed(f"nothing at rest after {waited:.0f} s; try fewer --steps", "engine")

    @Slot()
    def _arranged(self) -> None:
        if self._layout:
            problem = self._window.layouts.restore(self._layout)
            if problem:
                self._refusal = problem
                self._loop.quit()
        for slot, value in self._slots.items():
            self._window.sources.give(slot, value)

    @Slot(object)
    def _opened(self, opened: Any) -> None:
        names = [layer.name for layer in opened.layers]
        points = [*self._asked.points, *(edit.point for edit in self._asked.edits)]
        wrong = [p for p in points if p not in names and "/" not in p]
        if wrong:
            self._refusal = unknown("layer", wrong[0], names)
            self._loop.quit()

    @Slot(object)
    def _shown(self, frame: Any) -> None:
        self._quiet.stop()
        enough = self._steps and frame.step + 1 >= self._steps
        if self._window.playing.playing:  # a clip, which begins again at its end
            self._window.playing.set_playing(playing=False)
            self._window.playing.seek(self._frame or 0)
        elif enough:
            self._window.playing.set_playing(playing=False)
            self._idle = True
        elif not self._steps and not frame.last and not self._enough.isActive():
            self._enough.start()
        if self._idle:
            self._quiet.start()

    @Slot()
    def _ended(self) -> None:
        self._idle = True
        self._quiet.start()

    @Slot()
    def _interrupt(self) -> None:
        self._window.playing.set_playing(playing=False)
        self._idle = True
        self._quiet.start()

    @Slot()
    def _rested(self) -> None:
        self._refusal = self._refusal or self._window.cards.refusal
        unfinished = self._window.runner.busy or self._window.presenter.drawing
        if unfinished and not self._refusal:
            self._quiet.start()
            return
        if self._refusal:
            self._loop.quit()
        elif self._instruments:  # once the engine ran, when layers and shapes are known
            for name, values in self._instruments.items():
                self._window.instruments.open(name, dict(values))
            self._instruments = {}
            self._quiet.start()
        elif self._studies:
            self._window.runner.study(self._studies.pop(0))
            self._quiet.start()
        elif self.scrub is not None:
            self._window.playing.scrub(self.scrub - 1)
            self.scrub = None
            self._quiet.start()
        elif self.commands:
            self._window.commands[self.commands.pop(0)].trigger()
            self._quiet.start()
        elif self._window.presenter.frame is not None:
            self._loop.quit()

    @Slot(object)
    def _failed(self, failure: Failure) -> None:
        self._failure = failure
        self._loop.quit()

    @Slot(object)
    def _refused(self, refusal: Any) -> None:
        self._refusal = refusal.message
        self._loop.quit()

    @Slot()
    def _give_up(self) -> None:
        self._late = True
        self._loop.quit()
