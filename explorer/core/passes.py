"""A run, and where edits are in force the same run without them: the part above them once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from explorer.core.baseline import Baseline
from explorer.core.instruments import PREFIX
from explorer.core.resume import Recording, Resume
from explorer.engine import Outcome
from explorer.inputs import Inputs
from explorer.kinds import Artefact
from explorer.views import Frame

if TYPE_CHECKING:
    from explorer.core.session import Session

Frames = Generator[Frame, Any, None]


@dataclass(slots=True)
class Past:
    """Memory from before and after a frame, so that a paused frame feeds back once.

    ``plain_`` is what it would be had there been no edits.
    """

    frame: int
    before: Any = None
    after: Any = None
    plain_before: Any = None
    plain_after: Any = None

    def next(self, frame: int) -> Past:
        """For this frame again, or for the one that follows it."""
        if frame == self.frame:
            return Past(frame, self.before, None, self.plain_before)
        return Past(frame, self.after, None, self.plain_after)


Ended = Callable[[Past, Any], None]  # the memory, and what the engine kept


class Passes:
    """Runs of one open network; keeps the newest one without edits, to replay its upper part."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._below = Resume(session.network)

    def forget(self) -> None:
        """Let go of what is kept."""
        self._below.forget()

    def run(
        self, inputs: Inputs, past: Past, steps: int | None, ended: Ended, *, still: bool
    ) -> Frames:
        """One run with the edits in force; ``ended`` is told when the engine has come to its end.

        Only that of a ``still`` is noted when nothing is edited, for an edit may follow.
        """
        session = self._session
        params, optimises = session.params, session.engine.optimises
        key = None if optimises else _key(inputs, past.frame, params, past.plain_before)
        session.driver.fuses = False  # what is replayed stands where fused modules would
        if any(edit.on for edit in session.edits):
            return self._edited(inputs, past, steps, ended, key)
        if not still:
            self._below.forget()  # the frames of a clip do not come back
        session.driver.fuses = not still and self._learnt(inputs, past)
        return self._unedited(inputs, past, steps, ended, key if still else None)

    def _learnt(self, inputs: Inputs, past: Past) -> bool:
        """Whether it is known what of the network may run as one: from the second frame on."""
        session, driver = self._session, self._session.driver
        fusing = session.capture.fusing
        if session.engine.fuses and driver.swept and fusing.chains is None:
            generator = session.engine.run(inputs, session.params, past.before)
            fusing.learn(lambda: driver.quietly(generator, past.frame))
        return bool(fusing.chains)

    def _edited(
        self, inputs: Inputs, past: Past, steps: int | None, ended: Ended, key: Hashable
    ) -> Frames:
        session, driver = self._session, self._session.driver
        plain = None
        if key is not None and session.compares:
            plain = self._below.known(key) or self._without_edits(inputs, past, key)
        driver.baseline = Baseline(plain.artefacts if plain else ())

        def done(outcome: Outcome | None) -> None:
            _end(past, ended, outcome)
            if plain is not None:
                past.plain_after = plain.memory

        points = (*(v.point for v in session.views), *session.instruments.points)
        # The first sweep of all modules wants them all to run.
        may = session.engine.replays and driver.swept and past.plain_before is past.before
        same = key if may else None
        generator = session.engine.run(inputs, session.params, past.before)
        with self._below.replayed(same, session.edits, points) as driver.replayed:
            yield from driver.drive(generator, past.frame, steps, done)

    def _without_edits(self, inputs: Inputs, past: Past, key: Hashable) -> Recording:
        """The same run without the edits, unseen."""
        session = self._session
        with self._below.recorded(key) as made:
            generator = session.engine.run(inputs, session.params, past.plain_before)
            artefacts, outcome = session.driver.quietly(generator, past.frame)
        self._below.keep(made, artefacts, (outcome or Outcome()).memory)
        return made

    def _unedited(
        self, inputs: Inputs, past: Past, steps: int | None, ended: Ended, key: Hashable
    ) -> Frames:
        session, driver = self._session, self._session.driver
        driver.baseline, driver.replayed = Baseline(), ()
        generator = session.engine.run(inputs, session.params, past.before)
        frames = driver.drive(generator, past.frame, steps, partial(_end, past, ended))
        if key is None or self._below.known(key) is not None:
            yield from frames
            return
        artefacts: list[Artefact] = []
        with self._below.recorded(key) as made:
            for frame in frames:
                artefacts += [a for a in frame.artefacts if not a.group.startswith(PREFIX)]
                if frame.last:  # before it is handed out: who has it may want no more
                    self._below.keep(made, artefacts, past.after)
                yield frame


def _end(past: Past, ended: Ended, outcome: Outcome | None) -> None:
    outcome = outcome or Outcome()
    past.after = past.plain_after = outcome.memory
    ended(past, outcome.kept)


class _Same:
    """Stands for one object in a key, and keeps it, so that no other takes over its identity."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def _key(inputs: Inputs, frame: int, params: Any, memory: Any) -> Hashable:
    """All that a run of this network depends on."""
    pixels = tuple((slot, _Same(getattr(v, "pixels", v))) for slot, v in inputs.items())
    return pixels, frame, params, _Same(memory)
