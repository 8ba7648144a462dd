"""The overview of all layers of ResNet-50 at its default budget, against the plain forward pass."""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.line import Effort, Line
from benchmarks.networks import PREPROCESS, Noise, row
from benchmarks.peers import all_peers, leaves
from benchmarks.timing import Pairs, clock_name, paired
from benchmarks.visible_layer import forward
from explorer.api import prepare
from explorer.core.session import Session

MAPS, SIDE, BINS = 8, 32, 48


def measure(effort: Effort) -> Line:
    """Every frame differs and goes through the session; thumbnails and numbers are numpy then."""
    count, few = effort.count((21, 5), (1, 1))
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
    clip = Noise(10_000)
    session = Session(row("Resnet50"), device=effort.device)
    session.open()
    network = session.network
    watched = Watched(session, clip)
    for _ in range(effort.count(8, 2)):  # the schedule learns what each layer costs
        watched()
    session.instruments.take_off("overview")
    bare = beside(session, clip, Watched(session, clip, overview=False), effort.device, count)
    watched = Watched(session, clip)
    for _ in range(effort.count(8, 2)):
        watched()
    watched.rows.clear()
    kept = beside(session, clip, watched, effort.device, count)
    all_of_them = beside(session, clip, Watched(session, clip, hurried=False), effort.device, few)
    session.close()
    peers: dict[str, float | None] = {
        "naive thumbnails": against(network, clip, naive(network), effort.device, few).ratio
    }
    make = all_peers()["torchlens"](network)
    lens = against(network, clip, make, effort.device, few) if make else None
    peers["torchlens full trace"] = lens.ratio if lens else None
    layers = len(leaves(network))
    return Line(
        "overview", kept.ratio, "× plain forward", "<= 1.5", peer=peers,
        detail={
            "layers": layers, "plain_ms": kept.base_ms, "overview_ms": kept.case_ms,
            "rows_a_frame": round(sum(watched.rows) / max(1, len(watched.rows)), 1),
            "session_without_it": round(bare.ratio, 3),
            "every_layer_every_frame": round(all_of_them.ratio, 3),
            "clock": clock_name(effort.device), "threads": torch.get_num_threads(),
        },
    )  # fmt: skip


class Watched:
    """One frame of the clip through the session, the overview laid on."""

    def __init__(
        self, session: Session, clip: Noise, *, overview: bool = True, hurried: bool = True
    ) -> None:
        if overview:
            session.instruments.lay_on("overview", {}, session.layers())
        self.rows: list[int] = []
        self._session, self._clip, self._hurried, self._at = session, clip, hurried, 0

    def __call__(self) -> None:
        self._at += 1
        self._session.hurried = self._hurried
        for frame in self._session.at({"image": self._clip}, self._at):
            self.rows.append(len(frame.rows))


def beside(session: Session, clip: Noise, case: Watched, device: str, count: int) -> Pairs:
    """``case`` beside a plain forward of the same network."""
    at = [0]

    def plain() -> None:
        at[0] += 1
        forward(session.network, clip, at[0], device)

    return paired(plain, case, count, device)


def against(network: Any, clip: Noise, case: Any, device: str, count: int) -> Pairs:
    """``case`` of one input beside a plain forward."""
    at = [0]

    def plain() -> None:
        forward(network, clip, at[0], device)

    def other() -> None:
        at[0] += 1
        with torch.no_grad():
            case(prepare(clip[at[0]], PREPROCESS, device)[0])

    return paired(plain, other, count, device)


def naive(network: nn.Module) -> Any:
    """What one writes first: keep every output, then thumbnails and numbers one by one."""

    def case(x: Tensor) -> object:
        kept: dict[str, Tensor] = {}

        def keeper(name: str) -> Any:
            def hook(module: nn.Module, args: Any, out: Tensor) -> None:
                kept[name] = out.detach().clone()

            return hook

        handles = [m.register_forward_hook(keeper(n)) for n, m in leaves(network).items()]
        network(x)
        for handle in handles:
            handle.remove()
        return {name: shown(out) for name, out in kept.items()}

    return case


def shown(out: Tensor) -> tuple[Any, ...]:
    """Thumbnails, histogram, mean, spread, dead units, NaN and range of one output, as numpy."""
    numbers = (out.mean().item(), out.std().item(), out.isnan().sum().item())
    counts = torch.histc(out, BINS).cpu().numpy()
    low, high = out.min().item(), out.max().item()
    if out.ndim != 4:
        return (out.cpu().numpy(), counts, low, high, *numbers)
    best = out[0].amax((1, 2)).topk(min(MAPS, out.shape[1])).indices
    maps = F.adaptive_avg_pool2d(out[0, best], min(SIDE, out.shape[2])).cpu().numpy()
    dead = (out.amax((0, 2, 3)) <= 0).sum().item()
    return (maps, counts, low, high, dead, *numbers)
