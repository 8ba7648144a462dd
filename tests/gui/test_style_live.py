"""Style transfer in the real runner: knobs that act while it runs, pause, single steps, cancel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from explorer.app.runner import Failure, Runner
from explorer.core.media import sample_inputs
from explorer.core.registry import table

pytestmark = pytest.mark.gui
WAIT = 60_000
ROW = table()["style"]
KNOBS: dict[str, Any] = {
    "features": "efficientnet-lite0", "size": 32, "steps": 200, "optimiser": "Adam", "rate": 0.02,
}  # fmt: skip
CHANGES: dict[str, tuple[Any, Any]] = {
    "content": (1.0, 60.0), "style": (10.0, 600.0), "smooth": (0.05, 6.0),
    "layers": ((1.0,) * 5, (0.0, 0.0, 4.0, 0.0, 0.0)), "content_block": (4, 1),
    "style_block": (5, 1), "optimiser": ("Adam", "L-BFGS"), "rate": (0.02, 0.2),
}  # fmt: skip


@pytest.fixture
def runner(qtbot: QtBot) -> Iterator[Runner]:
    made = Runner(threads=1)
    failures: list[Failure] = []
    made.failed.connect(failures.append)
    made.start()
    with qtbot.waitSignal(made.opened, timeout=WAIT):
        made.open(ROW, KNOBS)
    yield made
    made.cancel()
    assert made.stop(20_000), "the thread did not end"
    assert not failures


def latest(runner: Runner) -> tuple[int, int]:
    """Run and step of what was recorded last."""
    if not len(runner.timeline):
        return -1, -1
    frame = runner.timeline.at(len(runner.timeline) - 1)
    return frame.run, frame.step


def totals(runner: Runner) -> list[float]:
    """The loss of every step of the latest run, as its curve has it."""
    artefacts = runner.timeline.at(len(runner.timeline) - 1).artefacts
    return [float(v) for v in next(a for a in artefacts if a.name == "loss/terms").y[0]]


def begin_paused(qtbot: QtBot, runner: Runner) -> int:
    """Start a run that is paused before its first step, and take two; where it stands."""
    run = latest(runner)[0]
    runner.run_inputs(sample_inputs(ROW), playing=False)
    runner.set_playing(False)
    qtbot.waitUntil(lambda: latest(runner)[0] > run, timeout=WAIT)
    step(qtbot, runner)
    return step(qtbot, runner)


def settled(qtbot: QtBot, runner: Runner) -> int:
    seen = [-2, -1]
    while seen[-1] != seen[-2]:
        qtbot.wait(150)
        seen.append(latest(runner)[1])
    return seen[-1]


def step(qtbot: QtBot, runner: Runner) -> int:
    """One single step of a paused run."""
    before = latest(runner)[1]
    runner.step(1)
    qtbot.waitUntil(lambda: latest(runner)[1] > before, timeout=WAIT)
    return latest(runner)[1]


def test_a_paused_run_takes_single_steps_and_goes_on(qtbot: QtBot, runner: Runner) -> None:
    at = begin_paused(qtbot, runner)
    run = latest(runner)[0]
    step(qtbot, runner)
    assert settled(qtbot, runner) == at + 1
    step(qtbot, runner)
    assert settled(qtbot, runner) == at + 2
    runner.set_playing(True)
    qtbot.waitUntil(lambda: latest(runner)[1] >= at + 5, timeout=WAIT)
    assert latest(runner)[0] == run


def test_a_cancel_ends_the_run_and_the_next_one_begins_anew(qtbot: QtBot, runner: Runner) -> None:
    begin_paused(qtbot, runner)
    runner.set_playing(True)
    with qtbot.waitSignal(runner.idle, timeout=WAIT):
        runner.cancel()
    at = settled(qtbot, runner)
    assert at < KNOBS["steps"]
    first = totals(runner)[0]
    begin_paused(qtbot, runner)
    assert totals(runner)[0] == pytest.approx(first, rel=1e-6)


def test_every_live_knob_bends_the_run_that_is_going_on(qtbot: QtBot, runner: Runner) -> None:
    begin_paused(qtbot, runner)
    for _ in range(4):
        step(qtbot, runner)
    calm = totals(runner)
    for name, (usual, other) in CHANGES.items():
        at = begin_paused(qtbot, runner)
        run = latest(runner)[0]
        runner.set_knob({name: other})
        for _ in range(3):
            step(qtbot, runner)
        assert latest(runner)[0] == run, name
        bent = totals(runner)
        # The step after a pause is under way already: what it was given, it keeps.
        assert bent[:at] == pytest.approx(calm[:at], rel=1e-5), name
        assert bent[at + 2] != pytest.approx(calm[at + 2], rel=1e-4), name
        runner.set_knob({name: usual})
