"""One layer watched live while ResNet-50 runs, against the plain forward pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.line import Effort, Line
from benchmarks.networks import PREPROCESS, Noise, row
from benchmarks.peers import layer_peers
from benchmarks.stage import Stage, stage
from benchmarks.timing import Pairs, clock_name, median, paired
from explorer.api import prepare

LAYER = "layer3"
BLOCK = 5  # frames a block: about as long as the time between two sweeps of statistics


def measure(effort: Effort) -> Line:
    """Request, network, capture, reduction, mailbox, panel and paint of each frame, fresh data.

    The ratio is of the time between two painted frames while the clip plays: the window draws one
    frame while the network runs on the next. ``one_at_a_time`` waits for each frame's pixels before
    it asks for the next.
    """
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
        playing = [against_playing(live, network, block, effort.device) for _ in range(blocks)]
    others = peer_ratios(network, clip, effort.device, peers)
    plain_ms, live_ms = (1e3 * median([pair[i] for pair in playing]) for i in (0, 1))
    return Line(
        "visible-layer", median([case / base for base, case in playing]), "× plain forward",
        "<= 1.05",
        peer={name: pairs.ratio if pairs else None for name, pairs in others.items()},
        detail={
            "layer": LAYER, "plain_ms": round(plain_ms, 2), "live_ms": round(live_ms, 2),
            "clock": "wall", "one_at_a_time": round(whole.ratio, 3),
            "clock_one_at_a_time": clock_name(effort.device),
            "threads": live.threads,
        },
    )  # fmt: skip


def against_playing(
    live: Stage, network: nn.Module, frames: int, device: str
) -> tuple[float, float]:
    """Seconds a frame of the bare loop, and between painted frames while as many are played."""
    clip = Noise(10_000)
    begun = time.perf_counter()
    for i in range(frames):
        y = forward(network, clip, i, device)
    y.sum().item()  # a device that runs behind has to be waited for
    bare = (time.perf_counter() - begun) / frames
    shown, seconds = live.play(clip, frames)
    return bare, seconds / shown


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
