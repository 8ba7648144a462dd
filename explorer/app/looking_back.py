"""The record as a time machine: marks, whether it records, and the step at which a unit jumped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

if TYPE_CHECKING:
    from explorer.app.window import Window


class LookingBack(QObject):
    """Acts on the runner's timeline. While a person looks back, the ring goes on underneath."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._serial: int | None = None  # of the step that is looked at
        self._asked: tuple[str, int | None] = ("", None)
        self._found: int | None = None  # the unit of the jump that is shown
        self._tried: set[int] = set()  # serials of jumps that were shown already
        window.commands["record"].setChecked(True)

    def mark(self) -> None:
        """Keep the step that is shown however long the run, or let it go again."""
        length = len(self._window.runner.timeline)
        if length:
            scrubbed = self._window.playing.scrubbed
            self._window.playing.toggle_mark(length - 1 if scrubbed is None else scrubbed)
        else:
            self._window.say("Nothing is recorded yet")

    def record(self) -> None:
        """Record, or leave what comes unrecorded."""
        on = self._window.commands["record"].isChecked()
        self._window.runner.timeline.on = on
        if self._window.timeline is not None:
            self._window.timeline.set_recording(on=on)
        self._window.say("Recording" if on else "Not recording: what comes cannot be scrubbed")

    def find_jump(self) -> None:
        """Go to the step at which the selected unit, or any of the layer, jumped most; the same
        command again goes to the next largest."""
        from explorer.core.recording import jumps

        window = self._window
        point = window.centre.current
        unit = window.looking.selected.get(point)
        if self._asked == (point, None) and unit == self._found:
            unit = None  # it was not chosen by a person, but found here
        if (point, unit) != self._asked:
            self._asked, self._tried = (point, unit), set()
        timeline = window.runner.timeline
        serials, means = timeline.unit_means(point)
        found = jumps(means, unit if unit is not None and unit < means.shape[1] else None)
        left = [j for j in found if int(serials[j.index]) not in self._tried]
        if not left:
            self._tried.clear()
            window.say(_nothing(point, len(means), more=bool(found)))
            return
        best = left[0]
        self._tried.add(int(serials[best.index]))
        position = timeline.position(int(serials[best.index]))
        window.playing.scrub(position)
        self._found = best.unit
        panel = window.centre.panel(point)
        if panel is not None:
            panel.select(best.unit)
        window.say(  # which step it is, the track says
            f"Unit {best.unit} jumped {best.size:.1f} × its spread "
            f"({len(self._tried)} of {len(found)})"
        )

    def looked_at(self, position: int) -> None:
        """A person went to a recorded step."""
        self._serial = self._window.runner.timeline.serial(position)

    def follow(self) -> None:
        """The oldest steps may have gone: the step that is looked at has another place now."""
        playing, timeline = self._window.playing, self._window.runner.timeline
        if playing.scrubbed is not None and self._serial is not None and len(timeline):
            playing.scrubbed = timeline.position(self._serial)
            self._window.timeline.show_position(playing.scrubbed)


def _nothing(point: str, steps: int, *, more: bool) -> str:
    if more:
        return f"No further jump in {point}; the next search begins at the largest again"
    if steps < 5:
        return f"{steps} recorded steps of {point} are too few to find a jump in; play a clip"
    return f"No unit of {point} changed in the {steps} recorded steps"
