"""When the window is told of a frame."""

from __future__ import annotations

import pytest

from explorer.app import bell
from explorer.app.bell import Bell

Times = list[float]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Times:
    now = [0.0]
    monkeypatch.setattr(bell.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def rung(now: Times) -> tuple[Bell, Times]:
    rung: Times = []
    return Bell(lambda: rung.append(now[0])), rung


def run(made: Bell, now: Times, start: float, entry: float | None, *, more: bool) -> None:
    """A run of 1 s whose picture enters the network ``entry`` s after its beginning."""
    now[0] = start
    made.begin()
    if entry is not None:
        now[0] = start + entry
        made.entered()
    now[0] = start + 1
    made.settle()
    made.posted(more=more)


def test_a_frame_of_a_clip_is_told_once_the_next_is_in_the_network(
    rung: tuple[Bell, Times], now: Times
) -> None:
    made, times = rung
    run(made, now, 0, 0.002, more=True)
    assert times == []
    run(made, now, 1, 0.003, more=True)
    assert times == [1.003]
    run(made, now, 2, 0.004, more=False)  # the last one
    assert times == [1.003, 2.004, 3]


def test_what_comes_in_between_settles_it(rung: tuple[Bell, Times], now: Times) -> None:
    made, times = rung
    run(made, now, 0, 0.002, more=True)
    now[0] = 1.5
    made.settle()  # a pause, or a knob
    made.settle()
    assert times == [1.5]


@pytest.mark.parametrize("entry", [None, 0.2], ids=["no network", "work of its own before it"])
def test_where_the_network_is_not_near_it_is_told_at_once(
    rung: tuple[Bell, Times], now: Times, entry: float | None
) -> None:
    made, times = rung
    run(made, now, 0, entry, more=True)
    run(made, now, 1, entry, more=True)
    assert times == [1, 2]


def test_a_second_entry_of_a_run_changes_nothing(rung: tuple[Bell, Times], now: Times) -> None:
    made, times = rung
    made.begin()
    now[0] = 0.002
    made.entered()
    now[0] = 0.9
    made.entered()
    made.posted(more=True)
    assert times == []
