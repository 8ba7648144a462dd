"""One layer watched live while ResNet-50 runs, against the plain forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.line import Effort, Line
from benchmarks.networks import PREPROCESS, Noise, row
from benchmarks.peers import layer_peers
from benchmarks.stage import stage
from benchmarks.timing import Pairs, clock_name, paired
from explorer.api import prepare

LAYER = "layer3"
BLOCK = 5  # frames a block: about as long as the time between two sweeps of statistics


def measure(effort: Effort) -> Line:
    """Request, network, capture, reduction, mailbox, panel and paint of each frame, fresh data."""
    blocks, peers = effort.count((11, 21), (1, 1))
    block = effort.count(BLOCK, 1)
    clip = Noise(10_000)
    with stage(row("Resnet50"), device=effort.device, points=[LAYER]) as live:
        live.load({"image": clip})
        session: Any = live.runner._session
        network: nn.Module = session.network
        torch.set_num_threads(live.threads)
        place = [0]

        def watched() -> None:
            for _ in range(block):
                place[0] += 1
                live.frame(place[0])

        def plain() -> None:
            for i in range(block):
                forward(network, clip, place[0] + i, effort.device)

        whole = paired(plain, watched, blocks, effort.device)
    others = peer_ratios(network, clip, effort.device, peers)
    return Line(
        "visible-layer", whole.ratio, "× plain forward", "<= 1.05",
        peer={name: pairs.ratio if pairs else None for name, pairs in others.items()},
        detail={
            "layer": LAYER, "plain_ms": round(whole.base_ms / block, 2),
            "live_ms": round(whole.case_ms / block, 2), "clock": clock_name(effort.device),
            "threads": live.threads,
        },
    )  # fmt: skip


@torch.no_grad()
def forward(network: nn.Module, clip: Noise, index: int, device: str) -> Tensor:
    """The bare loop's work for one frame: read, prepare, run."""
    y: Tensor = network(prepare(clip[index], PREPROCESS, device)[0])
    return y


def peer_ratios(
    network: nn.Module, clip: Noise, device: str, count: int
) -> dict[str, Pairs | None]:
    """The same frames through each peer, which shows nothing and hands out the layer's output."""
    results: dict[str, Pairs | None] = {}
    for name, make in layer_peers().items():
        case: Callable[[Tensor], object] | None = make(network, LAYER)
        if case is None:
            results[name] = None
            continue
        at = [0]

        def plain(at: list[int] = at) -> None:
            forward(network, clip, at[0], device)

        def peer(at: list[int] = at, case: Callable[[Tensor], object] = case) -> None:
            at[0] += 1
            with torch.no_grad():
                case(prepare(clip[at[0]], PREPROCESS, device)[0])

        results[name] = paired(plain, peer, count, device)
    return results
