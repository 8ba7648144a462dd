"""An engine on a clip in the window and without one, against the loop that one would write."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.clip import in_plain_layout, live_rate, settle_record
from benchmarks.line import Effort
from benchmarks.stage import stage
from benchmarks.timing import median, paired
from explorer.api import ImageInput
from explorer.core.media import open_clip
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session

FRAMES = 48
PLAYS = 5
Once = Callable[[Session, ImageInput], object]


def against(name: str, group: str, once: Once, effort: Effort) -> dict[str, Any]:
    """Rates of an engine on the sample clip, one group and one layer shown.

    Args:
        once: the loop's body: run on one picture, and read what is wanted of it.

    Returns:
        ``ratio`` of wall time in the window, ``ratio_without_window`` of the session alone,
        ``of_plain`` in the window against the loop over the network in torch's own layout of maps,
        and frames a second of the three.
    """
    rates = played(name, group, once, effort)
    return {
        "ratio": round(median([live / bare for live, bare, _ in rates]), 3),
        "ratio_without_window": round(unseen(name, once, effort), 3),
        "of_plain": round(median([live / plain for live, _, plain in rates]), 3),
        "live_fps": round(median([live for live, _, _ in rates]), 1),
        "bare_fps": round(median([bare for _, bare, _ in rates]), 1),
        "plain_fps": round(median([plain for _, _, plain in rates]), 1),
    }


def unseen(name: str, once: Once, effort: Effort) -> float:
    """The ratio of the session alone, which makes every panel's artefacts; nobody looks."""
    session = Session(table()[name], device=effort.device)
    session.open()
    path = assets() / "bunny.mp4"
    frames = effort.count(FRAMES, 4)
    torch.set_num_threads(1)

    def play() -> None:
        clip = open_clip(path)
        for _ in session.play({"image": clip}, frames=frames + 1):
            pass
        clip.close()

    pairs = paired(
        play,
        lambda: bare_rate(session, once, path, frames),
        effort.count(PLAYS, 1),
        effort.device,
    )
    session.close()
    return pairs.ratio


def played(name: str, group: str, once: Once, effort: Effort) -> list[tuple[float, float, float]]:
    """Live rate, and right before it the bare one and that of the plain layout, a few times."""
    row = table()[name]
    path = assets() / "bunny.mp4"
    frames = effort.count(FRAMES, 4)
    made = []
    with stage(row, device=effort.device, points=row.points[:1], groups=[group]) as live:
        live.load({"image": open_clip(path)})
        session: Any = live.runner._session
        torch.set_num_threads(live.threads)
        settle_record(live, path, effort)
        for _ in range(effort.count(PLAYS, 1)):
            with in_plain_layout(session):
                plain = bare_rate(session, once, path, frames)
            bare = bare_rate(session, once, path, frames)
            made.append((live_rate(live, path, frames), bare, plain))
    return made


@torch.no_grad()
def bare_rate(session: Session, once: Once, path: Path, frames: int) -> float:
    """Frames a second of the loop: decode, then ``once``; the first frame is not counted."""
    clip = open_clip(path)
    begun = 0.0
    for i in range(frames + 1):
        once(session, ImageInput(clip[i]))
        begun = begun or time.perf_counter()
    rate = frames / (time.perf_counter() - begun)
    clip.close()
    return rate
