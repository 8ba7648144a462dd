"""From the request to stop until the runner is idle, while a network runs, learns or optimises."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.line import Effort, Line
from benchmarks.networks import Noise, row
from benchmarks.stage import Stage, stage
from benchmarks.timing import median
from explorer.core.media import sample_inputs
from explorer.core.registry import Row, table

ENDLESS = 1.0  # s: an optimisation is stopped within its first second


@dataclass(frozen=True, slots=True)
class Case:
    """Something long to stop: an engine, its inputs and knobs.

    Attributes:
        between: when it is stopped, in shares of a whole run.
        after_first: counted from its first frame.
    """

    name: str
    engine: Row
    inputs: Mapping[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict)
    between: tuple[float, float] = (0.1, 0.7)
    after_first: bool = False


def measure(effort: Effort) -> Line:
    """The slowest of three medians; the request itself must cost the window nothing."""
    rows = table()
    noise = Noise(1000)
    vgg, style = rows["vgg"], rows["style"]
    cases = [
        Case("forward", vgg, sample_inputs(vgg), {"size": 224}),
        Case("backward", row("Backward"), {"image": noise}, between=(0.5, 0.8)),
        Case("optimisation", style, sample_inputs(style), {"size": 224}, after_first=True),
    ]
    found = {case.name: stop(case, effort) for case in cases}
    return Line(
        "cancel", max(f["idle_s"] for f in found.values()), "s", "<= 0.3",
        detail={**found, "size_px": 224},
    )  # fmt: skip


def stop(case: Case, effort: Effort) -> dict[str, float]:
    """Start, stop at a random moment, wait; medians in s, the request in ms."""
    chance = random.Random(0)
    idle: list[float] = []
    asked: list[float] = []
    count = effort.count(9, 1)
    with stage(case.engine, device=effort.device, values=case.values) as live:
        whole = ENDLESS if case.name == "optimisation" else length(live, case)
        for _ in range(5 * count):
            if len(idle) == count:
                break
            over = start(live, case)
            live.settle(round(1000 * whole * chance.uniform(*case.between)))
            if over():  # quicker than the runs before: nothing to stop
                continue
            rested = live.waiting(live.runner.idle)
            begun = time.perf_counter()
            live.runner.cancel()
            asked.append(1e3 * (time.perf_counter() - begun))
            rested()
            idle.append(time.perf_counter() - begun)
    return {
        "idle_s": round(median(idle), 4),
        "worst_s": round(max(idle), 4),
        "request_ms": round(median(asked), 3),
        "would_have_run_s": round(whole, 2),
    }


def start(live: Stage, case: Case) -> Callable[[], bool]:
    """Begin a run, and wait for its first frame if that is wanted; whether it is over by now."""
    over: list[bool] = []
    connection = live.runner.idle.connect(lambda: over.append(True))
    come = live.waiting(live.painted)
    live.runner.run_inputs(case.inputs, playing=False)
    if case.after_first:
        come()

    def ended() -> bool:
        live.runner.idle.disconnect(connection)
        return bool(over)

    return ended


def length(live: Stage, case: Case) -> float:
    """Seconds that a run takes from where it may be stopped."""
    for _ in range(2):
        rested = live.waiting(live.runner.idle)
        start(live, case)
        begun = time.perf_counter()
        rested()
    return time.perf_counter() - begun
