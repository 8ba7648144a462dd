"""Runner, mailbox and real panels in a small window: a frame's way from request to pixels."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QEventLoop, QObject, QTimer, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QWidget

from explorer.app.reports import Failure
from explorer.app.runner import Runner
from explorer.app.start import application
from explorer.core.registry import Row
from explorer.kinds import Image
from explorer.panels.group import GroupPanel
from explorer.panels.maps import MapsPanel
from explorer.views import Frame, View

SIZE = (800, 560)  # of the maps in a window of 1440 x 900
PATIENCE = 120.0  # s
SETTLED = 150  # ms: three times the wait of a panel before it asks for another size


class StageError(RuntimeError):
    """The engine failed, or nothing came."""


class Stage(QObject):
    """Opens one engine, shows ``points`` in MapsPanels and ``groups`` in GroupPanels.

    Signals:
        painted: Frame; its pixels are in the window.
        played: `play` has come to its end.

    Attributes:
        shown: how many frames were painted.
    """

    painted = Signal(object)
    played = Signal()

    def __init__(
        self,
        row: Row,
        *,
        device: str = "cpu",
        points: Sequence[str] = (),
        groups: Sequence[str] = (),
        values: Mapping[str, Any] | None = None,
        size: tuple[int, int] = SIZE,
    ) -> None:
        self.app = application()
        super().__init__()
        self.shown = 0
        self.failure: Failure | None = None
        self.window = QWidget()
        self.window.resize(size[0] * max(1, len(points)) + 300 * len(groups), size[1])
        across = QHBoxLayout(self.window)
        across.setContentsMargins(0, 0, 0, 0)
        self.maps = {point: MapsPanel() for point in points}
        self.groups = {group: GroupPanel() for group in groups}
        self._views: dict[str, View] = {}
        self._waiting: Frame | None = None
        self._times: list[float] = []
        self._until: int | None = None
        self._unpainted: set[QObject] = set()
        for panel in [*self.maps.values(), *self.groups.values()]:
            across.addWidget(panel, 8 if isinstance(panel, MapsPanel) else 3)
        for point, panel in self.maps.items():
            panel.view_wanted.connect(self._want)
            panel.view.viewport().installEventFilter(self)
            panel.set_point(point)
        self.runner = Runner(self.threads)
        self.runner.ready.connect(self._take)
        self.runner.failed.connect(self._failed)
        self.runner.start()
        self.window.show()
        opened = self.waiting(self.runner.opened)
        self.runner.open(row, dict(values or {}), device)
        opened()
        # Opening forgets the views of the engine before: ask anew, as the window does.
        self.settle()
        self._send()

    def waiting(self, *signals: Any) -> Any:
        """A function that blocks in the event loop until one of ``signals`` has come since now."""
        loop, come = QEventLoop(self), [False]

        def note(*_: object) -> None:
            come[0] = True
            loop.quit()

        for signal in (*signals, self.runner.failed):
            signal.connect(note)
        end = QTimer(loop)
        end.setSingleShot(True)
        end.timeout.connect(loop.quit)

        def wait() -> None:
            end.start(round(1000 * PATIENCE))
            if not come[0]:
                loop.exec()
            for signal in (*signals, self.runner.failed):
                signal.disconnect(note)
            loop.deleteLater()
            if self.failure is not None:
                raise StageError(f"{self.failure.what}: {self.failure.cause}")
            if not come[0]:
                raise StageError(f"nothing came in {PATIENCE:.0f} s")

        return wait

    @property
    def threads(self) -> int:
        """Threads of torch in the runner, which a bare loop must not exceed."""
        return max(1, (os.cpu_count() or 2) - 1)

    def settle(self, milliseconds: int = SETTLED) -> None:
        """Let the event loop run, until the panels have asked for what they want."""
        loop = QEventLoop(self)
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()
        loop.deleteLater()

    def load(self, inputs: Mapping[str, Any]) -> None:
        """Give the engine its inputs, and wait until all panels have what they ask for."""
        rested = self.waiting(self.runner.idle)
        self.runner.run_inputs(inputs, playing=False)
        rested()
        for _ in range(3):
            self.settle()
        blank = [point for point, panel in self.maps.items() if not panel.arrays()]
        if blank:
            raise StageError(f"no picture of {', '.join(blank)}")

    def frame(self, index: int) -> None:
        """Run frame ``index`` of the clip, and return when it is painted."""
        painted = self.waiting(self.painted)
        self.runner.seek(index)
        painted()

    def play(self, clip: Any, until: int) -> tuple[int, float]:
        """Play ``clip`` from the start to the frame ``until``.

        Returns:
            How many frames were painted after the first, and the seconds from that one to the last.
        """
        self._times, self._until = [], until
        played = self.waiting(self.played)
        self.runner.run_inputs({"image": clip}, playing=True)
        played()
        self._until = None
        self.runner.cancel()
        self.settle()
        return len(self._times) - 1, self._times[-1] - self._times[0]

    def close(self) -> None:
        """Stop the runner and let go of the window."""
        self.runner.stop()
        self.window.close()
        self.window.deleteLater()
        self.settle(1)

    @Slot(object)
    def _want(self, view: View) -> None:
        self._views[view.point] = view
        self._send()

    def _send(self) -> None:
        self.runner.set_views(tuple(self._views.values()))

    @Slot()
    def _take(self) -> None:
        frame = self.runner.take()
        if frame is None:
            return
        for artefact in frame.artefacts:
            if artefact.group == "input" and isinstance(artefact, Image):  # below
                for panel in self.groups.values():
                    panel.set_background(artefact.image, artefact.affine)
            if artefact.group in self.groups:
                self.groups[artefact.group].add(artefact)
        for rendered in frame.rendered:
            if rendered.view.point in self.maps:
                panel = self.maps[rendered.view.point]
                panel.show_rendered(rendered)
                self._unpainted.add(panel.view.viewport())
        self._waiting = frame
        if not self._unpainted:
            QTimer.singleShot(0, self._done)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """When the last mosaic has been told to paint, its pixels are there in the next turn."""
        if event.type() == QEvent.Type.Paint and watched in self._unpainted:
            self._unpainted.discard(watched)
            if not self._unpainted:
                QTimer.singleShot(0, self._done)
        return False

    @Slot()
    def _done(self) -> None:
        frame, self._waiting = self._waiting, None
        if frame is not None and not self._unpainted:
            self.shown += 1
            self.painted.emit(frame)
            # Nothing else here at each frame of a clip: its cost would be counted as the window's.
            if self._until is not None:
                self._times.append(time.perf_counter())
                if frame.frame >= self._until:
                    self.played.emit()

    @Slot(object)
    def _failed(self, failure: Failure) -> None:
        self.failure = failure


@contextlib.contextmanager
def stage(*args: Any, **options: Any) -> Iterator[Stage]:
    """A Stage that is closed at the end, whatever happens."""
    made = Stage(*args, **options)
    try:
        yield made
    finally:
        made.close()
