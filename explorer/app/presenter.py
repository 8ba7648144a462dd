"""Puts whole frames on the screen: each picture to its panel, and how long that took."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimer, Slot

from explorer.app.comparing import SUFFIX

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from explorer.app.runner import Runner
    from explorer.app.window import Window
    from explorer.kinds import Artefact
    from explorer.panels.group import GroupPanel
    from explorer.views import Frame, LayerStatistics

TURN_MS = 1.0  # of drawing in one turn of the event loop; painting comes on top
LISTED_MS = 20  # from a frame to the list of layers
REST_MS = 50.0  # at most, between two frames: as long as the drawing took, for mouse and keys


@contextlib.contextmanager
def going_first(runner: Runner) -> Iterator[None]:
    """While the window draws, an engine at work in Python alone waits when it next pauses."""
    runner.between_turns.clear()
    try:
        yield
    finally:
        runner.between_turns.set()


class Presenter(QObject):
    """Takes the newest frame out of the runner's mailbox and hands its parts to the panels.

    Attributes:
        frame: what is shown now. ``draw_ms``: spent in the panels for it.
        frames: how many were shown, for the rate.
    """

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.groups: dict[str, GroupPanel] = {}
        self.frame: Frame | None = None
        self.draw_ms = 0.0
        self.frames = 0
        self._left: deque[Artefact] = deque()
        self._photo: Any = None  # the Image that lies under fields, and the groups that have it
        self._lain: set[str] = set()
        self._more = False
        self._unpainted: QWidget | None = None  # the window in which a panel has just been filled
        self._turn = QTimer(self)
        self._turn.setSingleShot(True)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._go_on)
        self._begun = 0.0
        self._statistics: Sequence[LayerStatistics] = ()
        self._listing = QTimer(self)  # a while later: every row of the list is painted anew
        self._listing.setSingleShot(True)
        self._listing.setInterval(LISTED_MS)
        self._listing.timeout.connect(self._list_layers)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._rested)

    @Slot()
    def take(self) -> None:
        """The runner has put something into the mailbox; it stays there while one is drawn."""
        window = self._window
        if self._left or self._turn.isActive() or self._rest.isActive():
            self._more = True
            return
        frame = window.runner.take()
        if frame is None or window.closing or window.room.opened is None:
            return  # nothing there, or the last frame of the engine before
        window.note_frame(frame)
        if window.playing.scrubbed is None:
            with going_first(window.runner):
                self.show(frame)

    def show(self, frame: Frame, *, stale: str = "") -> None:
        """Draw a frame; ``stale`` says in the titles which earlier step it is.

        A frame of many panels is drawn and painted in many turns of the event loop, so that a click
        or a key between them need not wait for all.
        """
        begun = self._begun = time.perf_counter()
        window = self._window
        if frame.milliseconds or self.frame is None or frame.artefacts:
            self.frame = frame  # maps drawn anew are no frame of their own
        names = {a.name for a in frame.artefacts}
        late = [a for a in self._left if a.name not in names and not a.name.endswith(SUFFIX)]
        self._left = deque([*late, *frame.artefacts, *window.comparing.beside(frame)])
        self._lay_photo_under(frame)
        window.centre.show_rendered(frame.rendered)
        if frame.statistics:
            self._statistics = frame.statistics
            self._listing.start()
        if frame.rows or frame.differences:
            window.instruments.show_frame(frame)
        self._mark(stale)
        self.frames += 1
        self.draw_ms = 1e3 * (time.perf_counter() - begun)
        self._turn.start()

    @property
    def drawing(self) -> bool:
        """Whether panels still wait for their part of a frame."""
        return bool(self._left) or self._more or self._listing.isActive()

    @Slot()
    def _go_on(self) -> None:
        with going_first(self._window.runner):
            self._take_turn()

    def _take_turn(self) -> None:
        """Give panels their artefacts for one turn's time, or paint those of the turn before.

        Left to itself Qt paints some 5 ms later, and in one piece, all that was filled till then.
        """
        begun = time.perf_counter()
        spent = 0.0
        if self._unpainted is not None:
            QCoreApplication.sendEvent(self._unpainted, QEvent(QEvent.Type.UpdateRequest))
            self._unpainted = None
            spent = TURN_MS
        while self._left and spent < TURN_MS:
            artefact = self._left.popleft()
            panel = self.groups.get(artefact.group)
            if panel is not None:
                self._add(panel, artefact)
                self._unpainted = panel.window() if panel.isVisible() else self._unpainted
            spent = 1e3 * (time.perf_counter() - begun)
        self.draw_ms += 1e3 * (time.perf_counter() - begun)
        if self._left or self._unpainted is not None:
            self._turn.start()
        else:
            if self.frame is not None:
                self._window.show_times(self.frame, self.draw_ms)
            took = 1e3 * (time.perf_counter() - self._begun)
            self._rest.start(round(min(took, REST_MS)))

    @Slot()
    def _list_layers(self) -> None:
        self._window.layers.show_statistics(self._statistics)

    @Slot()
    def _rested(self) -> None:
        if self._more:
            self._more = False
            self.take()

    def fresh(self) -> None:
        """Take the stale look away."""
        self._mark("")

    def forget(self) -> None:
        """The panels of the last engine are gone."""
        self.groups = {}
        self.frame = self._photo = None
        self._left.clear()
        self._listing.stop()
        self._unpainted = None
        self._turn.start()  # whatever waits in the mailbox is taken after it
        self._window.comparing.forget()

    def panels(self) -> list[Any]:
        """Every panel on the screen, for cursors and themes."""
        return [*self._window.centre.panels(), *self.groups.values()]

    def pictures(self) -> list[Any]:
        """The panels that show an input picture, which take marks in input pixels."""
        from explorer.panels.picture import ImagePanel

        panels = (p for group in self.groups.values() for p in group.panels.values())
        return [p for p in panels if isinstance(p, ImagePanel)]

    @Slot()
    def looked_at(self) -> None:
        """A group came into view: its panels are filled with what they were not shown till now."""
        group: Any = self.sender()
        self._left.extendleft(reversed(group.take_unseen()))
        self._turn.start()

    @Slot(object)
    def probed(self, probe: Any) -> None:
        """The mouse is on a value: tell it, and mark the same place everywhere else."""
        self._window.status_bar.show_probe(probe.text if probe is not None else "")
        where = probe.input_xy if probe is not None else None
        self._window.instruments.follow("cursor", where)
        where = self._window.instruments.pinned or where
        sender = self.sender()
        for panel in self.panels():
            if panel is not sender and panel.isVisible():
                panel.show_cursor(where)

    @Slot(object)
    def zoomed(self, region: tuple[float, float, float, float] | None) -> None:
        """A person zoomed or panned one picture: show the same part of the input in all."""
        sender = self.sender()
        for panel in self.panels():
            if panel is not sender:
                panel.show_region(region)

    def _add(self, panel: GroupPanel, artefact: Artefact) -> None:
        try:
            panel.offer(artefact)
        except Exception as error:  # noqa: BLE001 -- one panel must not take the others with it
            self._window.say(f"{artefact.name} cannot be drawn: {type(error).__name__}: {error}")

    def _lay_photo_under(self, frame: Frame) -> None:
        """Fields, boxes, masks and points lie on the picture that the network looks at.

        The group of an instrument may come later than the picture.
        """
        photo = next(
            (a for a in frame.artefacts if a.group == "input" and hasattr(a, "image")), None
        )
        if photo is not None and photo.image.ndim == 3:
            self._photo, self._lain = photo, {"input"}
        if self._photo is None:
            return
        for name in self.groups.keys() - self._lain:
            self.groups[name].set_background(self._photo.image, self._photo.affine)
            self._lain.add(name)

    def _mark(self, stale: str) -> None:
        docks = self._window.engine_docks.docks.values()
        if stale:
            for dock in docks:
                dock.bar.set_state(stale, "clock", hatched=True)
        elif not self._window.playing.frozen:
            for dock in docks:
                dock.bar.set_state("")
        self._window.centre.set_stale(stale)
