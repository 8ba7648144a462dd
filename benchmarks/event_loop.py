"""How late the window's event loop is while each engine runs in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PySide6.QtCore import QEventLoop, Qt, QTimer

from benchmarks.line import Effort, Line
from benchmarks.timing import quantile
from explorer.app.settings import Settings
from explorer.app.start import application
from explorer.app.window import Window
from explorer.core.media import read_input
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.weights import WeightStore

TICK = 0.005  # s
TRIED = 3  # engines, where only the parts are tried
WARM = 0.25  # of the time that is measured
RUN_UP = 3.0  # times as long as is measured, at most
PATIENCE = 120.0  # s


class Lateness:
    """A precise timer that fires every 5 ms, and how late each call of it was."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._due = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(round(1000 * TICK))
        self._timer.timeout.connect(self._tick)

    def watch(self, seconds: float) -> list[float]:
        """Let the event loop run for so long; lateness in ms, at each 5 ms that passed."""
        self.late = []
        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        self._due = time.perf_counter() + TICK
        self._timer.start()
        loop.exec()
        self._timer.stop()
        return self.late

    def _tick(self) -> None:
        now = time.perf_counter()
        late = max(0.0, now - self._due)
        # A stall of 50 ms makes ten ticks late, by 50, 45, 40 ... ms, not one.
        while late > 0:
            self.late.append(1e3 * late)
            late -= TICK
        if now <= self._due:
            self.late.append(0.0)
        self._due = now + TICK


def measure(effort: Effort) -> Line:
    """99th percentile while an engine runs, less that of the idle window just before it."""
    seconds = effort.count(6.0, 0.4)
    above: dict[str, Any] = {}
    idle: list[float] = []
    application()
    store = WeightStore([w for row in table().values() for w in row.weights])
    names = [name for name in table() if usable(name, store)]
    names = names[: effort.count(len(names), TRIED)]
    with TemporaryDirectory() as home:
        for name in names:
            rest, busy = one(name, seconds, effort.device, Path(home) / "settings.json")
            idle.append(quantile(rest, 0.99))
            above[name] = {
                "idle_p99_ms": round(quantile(rest, 0.99), 2),
                "p99_ms": round(quantile(busy, 0.99), 2),
                "worst_ms": round(max(busy), 1),
            }
    worst = max(v["p99_ms"] - v["idle_p99_ms"] for v in above.values())
    left_out = [name for name in table() if not usable(name, store)]
    return Line(
        "event-loop", worst, "ms above idle", "<= 16",
        detail={**above, "without_weights": left_out, "seconds_each": seconds},
    )  # fmt: skip


def usable(name: str, store: WeightStore) -> bool:
    """Whether the engine can run: the faces have to be fetched first, others bring their own."""
    return name != "dcgan" or store.status("dcgan-faces") != "missing"


def one(name: str, seconds: float, device: str, settings: Path) -> tuple[list[float], list[float]]:
    """The real window with one engine: idle, then busy without a pause."""
    window = Window(settings=Settings(settings), engine=name, device=device)
    lateness = Lateness()
    try:
        opened = until(window.runner.opened)
        window.resize(1440, 900)
        window.show()
        opened()
        calm(window)
        rest = lateness.watch(seconds)
        run_up(window, seconds)
        lateness.watch(WARM * seconds)
        busy = lateness.watch(seconds)
    finally:
        window.close()
        window.deleteLater()
    return rest, busy


def run_up(window: Any, seconds: float) -> None:
    """Keep it busy once its first run, which makes the panels, is over and drawn.

    A run that takes long is waited for ``RUN_UP`` times as long as is measured. Of a clip, which is
    played again and again, each frame is a run.
    """
    shown, over = window.presenter.frames, []
    window.runner.idle.connect(lambda: over.append(True))
    until_then = time.perf_counter() + RUN_UP * seconds
    if "image" not in window.row.inputs:
        window.runner.run_again()
        while time.perf_counter() < until_then and (not over or window.presenter.drawing):
            Lateness().watch(TICK)
    keep_busy(window)
    while window.presenter.frames == shown and time.perf_counter() < until_then:
        Lateness().watch(TICK)


def calm(window: Any) -> None:
    """Stop what the first start runs by itself, and let the last pictures be drawn."""
    for _ in range(3):
        window.runner.cancel()
        Lateness().watch(0.5)


def keep_busy(window: Any) -> None:
    """A clip where the engine takes one picture; the same run again and again elsewhere."""
    row = window.row
    if "image" in row.inputs:
        inputs = {"image": read_input("image", assets() / "bunny.mp4")}
        play = partial(window.runner.run_inputs, inputs, playing=True)
        window.runner.source_ended.connect(lambda: play())
        play()
    else:
        window.runner.idle.connect(window.runner.run_again)
        window.runner.run_again()


def until(signal: Any) -> Callable[[], None]:
    """A function that blocks in the event loop until ``signal`` has come since now."""
    loop, come = QEventLoop(), [False]

    def note(*_: object) -> None:
        come[0] = True
        loop.quit()

    signal.connect(note)

    def wait() -> None:
        QTimer.singleShot(round(1000 * PATIENCE), loop.quit)
        if not come[0]:
            loop.exec()
        if not come[0]:
            raise RuntimeError(f"nothing came in {PATIENCE:.0f} s")

    return wait
