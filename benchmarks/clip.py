"""A clip through the classifier with two panels open, against the bare loop over its frames."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from benchmarks.line import Effort, Line
from benchmarks.stage import Stage, stage
from benchmarks.timing import median
from engines.classify.efficientnet import PREPROCESS
from explorer.api import prepare
from explorer.core.media import open_clip
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session

POINT = "_blocks.7"  # what the catalogue shows first
FRAMES = 120
RECORD = 64 * 2**20  # bytes


def measure(effort: Effort) -> Line:
    """Frames painted a second of wall time; decoding, preprocessing and network are the same.

    ``of_plain`` is against the same loop over the network in torch's own layout of maps.
    """
    frames = effort.count(FRAMES, 4)
    row = table()["classify"]
    rates: list[tuple[float, float, float]] = []
    path = assets() / "bunny.mp4"
    with stage(row, device=effort.device, points=[POINT], groups=["prediction"]) as live:
        live.load({"image": open_clip(path)})
        session: Any = live.runner._session
        torch.set_num_threads(live.threads)
        settle_record(live, path, effort)
        for _ in range(effort.count(5, 1)):
            with in_plain_layout(session) as plain:
                own = bare_rate(plain, path, frames, effort.device)
            bare = bare_rate(session.network, path, frames, effort.device)
            rates.append((live_rate(live, path, frames), bare, own))
        dropped = live.runner.dropped
        torch.set_num_threads(os.cpu_count() or 1)
        everything = bare_rate(session.network, path, frames, effort.device)
    return Line(
        "clip", median([live / bare for live, bare, _ in rates]), "× bare frames/s", ">= 0.9",
        detail={
            "of_plain": round(median([live / own for live, _, own in rates]), 3),
            "live_fps": round(median([live for live, _, _ in rates]), 1),
            "bare_fps": round(median([bare for _, bare, _ in rates]), 1),
            "plain_fps": round(median([own for _, _, own in rates]), 1),
            "bare_fps_on_all_cores": round(everything, 1), "dropped": dropped,
            "threads": live.threads, "clock": "wall",
        },
    )  # fmt: skip


def settle_record(live: Stage, path: Any, effort: Effort) -> None:
    """Play until the record is full, as one of 512 MiB is after half a minute: from then on it
    takes no memory that nothing has touched before."""
    live.runner.timeline.cap = RECORD
    live_rate(live, path, effort.count(FRAMES, 4))


def live_rate(live: Stage, path: Any, frames: int) -> float:
    """Play from the start; the rate between the first painted frame and the last."""
    clip = open_clip(path)
    shown, seconds = live.play(clip, frames)
    clip.close()
    return shown / seconds


@contextlib.contextmanager
def in_plain_layout(session: Session) -> Iterator[nn.Module]:
    """The session's network while its maps lie as torch lays them by default, (N, C, H, W)."""
    network: Any = session.network
    network.to(memory_format=torch.contiguous_format)
    yield network
    if session.engine.layout == "NHWC" and session.device.type == "cpu":
        network.to(memory_format=torch.channels_last)


@torch.no_grad()
def bare_rate(network: Any, path: Any, frames: int, device: str) -> float:
    """The loop that one would write: decode, prepare, run; the answer is read each time."""
    clip = open_clip(path)
    begun = 0.0
    for i in range(frames + 1):
        x, _ = prepare(clip[i], PREPROCESS, device)
        network(x)[0].topk(5).values.tolist()
        begun = begun or time.perf_counter()
    rate = frames / (time.perf_counter() - begun)
    clip.close()
    return rate
