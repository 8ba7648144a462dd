"""A unit set to zero at the end of each stage of ResNet-50, against a full forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.line import Effort, Line
from benchmarks.networks import PREPROCESS, Noise, row
from benchmarks.peers import installed
from benchmarks.stage import Stage, stage
from benchmarks.timing import Pairs, clock_name, paired
from explorer.api import prepare
from explorer.inputs import ImageInput, Pixels
from explorer.views import Edit

STAGES = ("layer1", "layer2", "layer3", "layer4")
GOAL = "layer3"


def measure(effort: Effort) -> Line:
    """Request, network, mailbox, scores with their hollow bars, another unit each time."""
    blocks = effort.count(15, 1)
    pixels = Noise(1)[0]
    with stage(row("Resnet50"), device=effort.device, groups=["prediction"]) as live:
        live.load({"image": ImageInput(pixels)})
        session: Any = live.runner._session
        network: nn.Module = session.network
        torch.set_num_threads(live.threads)
        ours = {
            point: paired(
                lambda: forward(network, pixels, effort.device), ablation(live, point), blocks,
                effort.device,
            )
            for point in STAGES
        }  # fmt: skip
    peer = nnsight_ratio(network, pixels, effort.device, blocks)
    return Line(
        "edit", ours[GOAL].ratio, "× plain forward", "<= 0.3",
        peer={"nnsight": peer.ratio if peer else None},
        detail={
            **{f"{point}_ratio": round(pairs.ratio, 3) for point, pairs in ours.items()},
            "plain_ms": ours[GOAL].base_ms, "edit_ms": ours[GOAL].case_ms,
            "clock": clock_name(effort.device), "threads": live.threads,
        },
    )  # fmt: skip


@torch.no_grad()
def forward(network: nn.Module, pixels: Pixels, device: str) -> Tensor:
    """The whole pass: prepare, run."""
    y: Tensor = network(prepare(pixels, PREPROCESS, device)[0])
    return y


def ablation(live: Stage, point: str) -> Callable[[], None]:
    """Set the next unit of a layer to zero, and wait until its scores are painted."""
    unit = [0]

    def case() -> None:
        unit[0] += 1
        painted, rested = live.waiting(live.painted), live.waiting(live.runner.idle)
        live.runner.set_edits((Edit(point, (unit[0],)),))
        painted()
        rested()  # the network is whole again

    return case


def nnsight_ratio(network: nn.Module, pixels: Pixels, device: str, count: int) -> Pairs | None:
    """The same ablation by nnsight, which hands out the logits; None where it is not installed."""
    nnsight = installed("nnsight")
    if nnsight is None:
        return None
    traced = nnsight.NNsight(network)
    unit = [0]

    def case() -> object:
        unit[0] += 1
        x, _ = prepare(pixels, PREPROCESS, device)
        with torch.no_grad(), traced.trace(x):
            traced.get(GOAL).output[:, unit[0]] = 0
            logits = traced.output.save()
        return logits  # noqa: RET504 -- nnsight rewrites the body of its `with`

    return paired(lambda: forward(network, pixels, device), case, count, device)
