"""Style transfer in the window with all its panels, against bare passes through the same layers."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.clip import in_plain_layout
from benchmarks.line import Effort, Line
from benchmarks.stage import stage
from benchmarks.timing import clock, clock_name, median
from explorer.core.media import sample_inputs
from explorer.core.registry import table

SIDES = {256: 16, 512: 6}  # px of the short side: iterations that count
WARM = 1  # iterations before the first that counts: panels are made, memory is found
TARGETS = 3  # passes before the first iteration: content, style, the first canvas
DEPTH = 3  # index of the content layer, as the knob is set


def measure(effort: Effort) -> Line:
    """Milliseconds of an iteration, over as many bare passes as its line search took.

    ``of_plain`` is against passes of the network in torch's own layout of maps.
    """
    sides = effort.count(SIDES, {48: 2})
    found = {f"{side}_px": one(side, count, effort) for side, count in sides.items()}
    worst = max(each["ratio"] for each in found.values())
    detail = {**found, "clock": clock_name(effort.device)}
    return Line("gatys", worst, "× forward and backward", "<= 1.15", detail=detail)


def one(side: int, count: int, effort: Effort) -> dict[str, Any]:
    """One size: bare passes, a run in the window, bare passes again."""
    row = table()["style"]
    now = clock(effort.device)
    begun: list[float] = []  # of each pass
    painted: list[float] = []  # of each frame
    with stage(
        row, device=effort.device, groups=list(row.groups),
        values={"size": side, "steps": WARM + count},
    ) as live:  # fmt: skip
        session: Any = live.runner._session
        torch.set_num_threads(live.threads)
        inputs = sample_inputs(row)
        bare = Bare(session.engine, inputs, side)
        bare.seconds(1, now)
        base = [bare.seconds(count // 2, now)]
        hook = session.network.register_forward_pre_hook(lambda *_: begun.append(now()))
        live.painted.connect(lambda _: painted.append(now()))
        live.load(inputs)
        hook.remove()
        base.append(bare.seconds(count // 2, now))
        with in_plain_layout(session):
            plain = bare.seconds(count // 2, now)
    first = TARGETS + WARM
    counted = len(begun) - first
    apiece = (painted[-1] - begun[first]) / counted
    passes = (len(begun) - TARGETS) / (WARM + count)
    return {
        "iterations": count,
        "ratio": round(apiece / median(base), 3),
        "of_plain": round(apiece / plain, 3),
        "iteration_ms": round(1e3 * apiece * passes, 1),
        "passes_an_iteration": round(passes, 2),
        "bare_pass_ms": round(1e3 * median(base), 1),
        "bare_ms_before_and_after": [round(1e3 * b, 1) for b in base],
    }


class Bare:
    """Forward and backward through the layers that are compared, and nothing else."""

    def __init__(self, engine: Any, inputs: Any, side: int) -> None:
        content, affine = engine._pixels(inputs["content"], side)
        taps = engine.network.taps
        self._names = (*taps.style, taps.content[DEPTH])
        self._features = engine._features(affine)
        self._canvas = content.clone().requires_grad_(True)

    def seconds(self, count: int, now: Any) -> float:
        """Of one pass, over ``count`` of them."""
        begun = now()
        for _ in range(max(1, count)):
            found = self._features(self._canvas, self._names)
            loss = torch.stack([f.mean() for f in found.values()]).sum()
            torch.autograd.grad(loss, self._canvas)
        return float(now() - begun) / max(1, count)
