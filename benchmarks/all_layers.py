"""Every leaf module of ResNet-50 captured in one pass, against the plain forward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.line import Effort, Line
from benchmarks.networks import PREPROCESS, Noise, row
from benchmarks.peers import all_peers, leaves
from benchmarks.stage import Stage, stage
from benchmarks.timing import Pairs, clock_name, paired
from benchmarks.visible_layer import forward
from explorer.api import prepare
from explorer.core.capture import Capture
from explorer.views import View

TILE = 14  # px: side of a tile when a thousand units share a panel


def measure(effort: Effort) -> Line:
    """The copies alone decide; a picture of every layer at every frame stands in the detail."""
    count, few = effort.count((21, 7), (1, 1))
    clip = Noise(10_000)
    with stage(row("Resnet50"), device=effort.device) as live:
        live.load({"image": clip})
        torch.set_num_threads(live.threads)
        session: Any = live.runner._session
        network = session.network
        views = tuple(View(name, tile=TILE) for name in leaves(network))
        captured = against_plain(live, clip, Copies(network, views), effort.device, count)
        pictures = drawn(live, clip, views, effort.device, effort.count(9, 1))
    peers: dict[str, float | None] = {}
    for name, make in all_peers().items():
        case = make(network)
        found = against_plain(live, clip, case, effort.device, few, network) if case else None
        peers[name] = found.ratio if found else None
    return Line(
        "all-layers", captured.ratio, "× plain forward", "<= 1.35", peer=peers,
        detail={
            "layers": len(views), "plain_ms": captured.base_ms, "captured_ms": captured.case_ms,
            "with_a_picture_of_each": round(pictures.ratio, 3), "clock": clock_name(effort.device),
            "threads": live.threads,
        },
    )  # fmt: skip


class Copies:
    """One pass with the session's own hooks, copying one sample of each view's module."""

    def __init__(self, network: Any, views: tuple[View, ...]) -> None:
        self.network, self._views = network, views
        self._capture = Capture(network, lambda: False)

    def __call__(self, x: Tensor) -> object:
        capture = self._capture
        capture.install(self._views, ())
        capture.start_pass()
        y = self.network(x)
        capture.remove()
        return y


def against_plain(
    live: Stage, clip: Noise, case: Any, device: str, count: int, network: Any = None
) -> Pairs:
    """``case`` on fresh frames, each beside a plain forward."""
    network = network if network is not None else case.network
    at = [0]

    def plain() -> None:
        forward(network, clip, at[0], device)

    def other() -> None:
        at[0] += 1
        with torch.no_grad():
            case(prepare(clip[at[0]], PREPROCESS, device)[0])

    return paired(plain, other, count, device)


def drawn(live: Stage, clip: Noise, views: tuple[View, ...], device: str, count: int) -> Pairs:
    """Through session and mailbox, with a picture of each leaf module at each frame."""
    session: Any = live.runner._session
    painted = live.waiting(live.painted)
    live.runner.set_views(views)
    painted()
    at = [0]

    def plain() -> None:
        forward(session.network, clip, at[0], device)

    def watched() -> None:
        at[0] += 1
        live.frame(at[0])

    return paired(plain, watched, count, device)
