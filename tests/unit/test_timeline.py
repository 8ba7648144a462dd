"""The timeline is bounded, and keeps the first, the last and what was marked."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.core.timeline import Timeline
from explorer.kinds import Matrix
from explorer.views import Frame


def frame(step: int, side: int = 64) -> Frame:
    return Frame(1, 0, step, (Matrix("a/b", np.full((side, side), float(step)), step=step),))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.sets(st.integers(0, 60), max_size=3))
def test_bounded_with_first_last_and_marks(count: int, marked: set[int]) -> None:
    size = frame(0).nbytes()
    timeline = Timeline(cap=size * 20)
    for step in range(count):
        timeline.add(frame(step))
        if step in marked and step < count:
            timeline.mark(len(timeline) - 1)
    kept = [step for _, _, step in timeline.steps()]
    assert timeline.bytes <= timeline.cap
    assert timeline.bytes == size * len(timeline)
    assert kept == sorted(kept)
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert {m for m in marked if m < count} <= set(kept)


def test_the_array_at_a_step_is_that_step_s() -> None:
    timeline = Timeline()
    for step in range(5):
        timeline.add(frame(step))
    shown = timeline.at(2).artefacts[0]
    assert float(shown.values.mean()) == 2.0


def test_an_item_too_large_is_kept_small_and_says_so() -> None:
    timeline = Timeline(cap=64 * 2**10)
    timeline.add(frame(0, side=256))
    assert len(timeline) == 1
    assert timeline.at(0).artefacts == ()
    assert "not recorded" in timeline.at(0).notes[-1]
