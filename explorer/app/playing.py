"""Play, pause, freeze, step, seek, and scrubbing back through what was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

if TYPE_CHECKING:
    from explorer.app.window import Window


class Playing(QObject):
    """What moves: the clip, and the place in the timeline.

    While a person looks at an earlier step (``scrubbed``), new frames are recorded but not drawn.
    """

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.playing = False
        self.frozen = False
        self.scrubbed: int | None = None
        window.transport.sought.connect(self.seek)

    def source_changed(self) -> None:
        """A new picture stands still; a clip or a camera plays at once."""
        source = self._window.sources.moving()
        self.playing = source is not None
        self.scrubbed = None
        self.set_frozen(frozen=False)
        self._window.transport.show_source(source)
        self._window.status_bar.show_moving(moving=source is not None)
        self._window.transport.show_playing(playing=self.playing)

    def toggle(self) -> None:
        """Play or pause."""
        if self._window.sources.moving() is None:
            self._window.say("Nothing to play: drop a clip, or press C for the camera")
            return
        self.set_playing(playing=not self.playing)

    def set_playing(self, *, playing: bool) -> None:
        """Play, or stop at the current frame."""
        self.playing = playing
        if playing:
            self.back_to_now()
        self._window.transport.show_playing(playing=playing)
        self._window.runner.set_playing(playing)

    def toggle_freeze(self) -> None:
        """Hold the picture, or go on."""
        self.set_frozen(frozen=not self.frozen)

    def set_frozen(self, *, frozen: bool) -> None:
        """Hold the picture while the source goes on; a blue frame and a snowflake say so."""
        if frozen != self.frozen:
            self.frozen = frozen
            self._window.runner.freeze(frozen)
        action = self._window.commands["freeze"]
        if action.isChecked() != frozen:
            action.setChecked(frozen)
        for dock in self._window.engine_docks.docks.values():
            dock.set_frozen(self._window.theme, frozen=frozen)
        self._window.centre.set_frozen(frozen=frozen)

    def step(self, by: int) -> None:
        """One frame of a clip on or back; of a recorded run, one step."""
        source = self._window.sources.moving()
        if source is not None and not source.live:
            self.set_playing(playing=False)
            self._window.runner.step(by)
            return
        length = len(self._window.runner.timeline)
        here = length - 1 if self.scrubbed is None else self.scrubbed
        if 0 <= here + by < length:
            self.scrub(here + by)

    def to_end(self, last: bool) -> None:
        """The first or last frame of the clip, or step of the record."""
        source = self._window.sources.moving()
        if source is not None and not source.live:
            self.set_playing(playing=False)
            self.seek(len(source.input) - 1 if last else 0)  # type: ignore[arg-type]
        elif len(self._window.runner.timeline):
            self.scrub(len(self._window.runner.timeline) - 1 if last else 0)

    @Slot(int)
    def seek(self, frame: int) -> None:
        """Go to a frame of the clip."""
        self.back_to_now()
        self._window.runner.seek(frame)

    @Slot(int)
    def scrub(self, position: int) -> None:
        """Show a recorded step in all panels, marked as stale unless it is the newest."""
        timeline = self._window.runner.timeline
        length = len(timeline)
        if not 0 <= position < length:
            return
        newest = position == length - 1
        self.scrubbed = None if newest else position
        self._window.looking_back.looked_at(position)
        self._window.presenter.show(
            timeline.at(position), stale="" if newest else stale(position, length)
        )
        if self._window.timeline is not None:
            self._window.timeline.show_position(position)

    @Slot(int)
    def toggle_mark(self, position: int) -> None:
        """Keep a recorded step however long the run, or let it go with the others."""
        timeline = self._window.runner.timeline
        if 0 <= position < len(timeline):
            timeline.mark(position, on=position not in timeline.marks())
            self._window.timeline.set_marks(timeline.marks())

    @Slot()
    def on_end(self) -> None:
        """The clip is over."""
        self.playing = False
        self._window.transport.show_playing(playing=False)
        self._window.say("The clip has ended; Home goes back to its start")

    def to_newest(self) -> None:
        """Leave the record for the newest step."""
        self.scrub(len(self._window.runner.timeline) - 1)

    def back_to_now(self) -> None:
        """Leave the record and show what comes."""
        if self.scrubbed is not None:
            self.scrubbed = None
            self._window.presenter.fresh()


def stale(position: int, length: int) -> str:
    """What a stale title says: ``step 12 of 40``."""
    return f"step {position + 1} of {length}"
