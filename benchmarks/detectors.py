"""Three detectors on a clip in the window, against the bare loop over its frames."""

from __future__ import annotations

import time
from typing import Any

import torch

from benchmarks.clip import live_rate
from benchmarks.line import Effort, Line
from benchmarks.stage import stage
from benchmarks.timing import clock_name, median, paired
from engines.detect import nanodet, ssd_face
from engines.nn import prior_detections, yolo_views
from engines.nn.detections import Candidates, kept
from explorer.api import ImageInput
from explorer.core.media import open_clip
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.session import Session

NAMES = ("nanodet", "yolo-v2-face", "ssd-face")
FRAMES = 24
PLAYS = 3


def measure(effort: Effort) -> Line:
    """Frames on the screen a second of wall time; the least of the three ratios."""
    ratios: list[float] = []
    detail: dict[str, Any] = {"clock": "wall"}
    for name in NAMES:
        rates = played(name, effort)
        ratios.append(median([live / bare for live, bare in rates]))
        detail[name] = {
            "ratio": round(ratios[-1], 3),
            "ratio_without_window": round(unseen(name, effort), 3),
            "live_fps": round(median([live for live, _ in rates]), 1),
            "bare_fps": round(median([bare for _, bare in rates]), 1),
        }
    detail["clock_without_window"] = clock_name(effort.device)
    return Line("detectors", min(ratios), "× bare frames/s", ">= 0.9", detail=detail)


def unseen(name: str, effort: Effort) -> float:
    """The same ratio of the session alone, which makes every panel's artefacts; nobody looks."""
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
        lambda: bare_rate(session.engine, session.params, path, frames),
        effort.count(PLAYS, 1),
        effort.device,
    )
    session.close()
    return pairs.ratio


def played(name: str, effort: Effort) -> list[tuple[float, float]]:
    """Live rate with detections and one layer shown, and bare rate right before, a few times."""
    row = table()[name]
    path = assets() / "bunny.mp4"
    frames = effort.count(FRAMES, 4)
    made = []
    with stage(row, device=effort.device, points=row.points[:1], groups=["detections"]) as live:
        live.load({"image": open_clip(path)})
        session: Any = live.runner._session
        torch.set_num_threads(live.threads)
        for _ in range(effort.count(PLAYS, 1)):
            bare = bare_rate(session.engine, session.params, path, frames)
            made.append((live_rate(live, path, frames), bare))
    return made


@torch.no_grad()
def bare_rate(engine: Any, params: Any, path: Any, frames: int) -> float:
    """The loop that one would write: decode, prepare, run, suppress; the boxes are read."""
    clip = open_clip(path)
    begun = 0.0
    for i in range(frames + 1):
        kept(candidates(engine, ImageInput(clip[i]), params), params).boxes.tolist()
        begun = begun or time.perf_counter()
    rate = frames / (time.perf_counter() - begun)
    clip.close()
    return rate


def candidates(engine: Any, photo: ImageInput, params: Any) -> Candidates:
    """What the heads propose for a picture, and nothing that is only looked at."""
    if isinstance(engine, nanodet.NanoDetector):
        return nanodet.candidates(engine._pass(photo, params.size), params.score)
    if isinstance(engine, ssd_face.SsdFace):
        return prior_detections.candidates(engine._scored(photo), params.score, ssd_face.MOST)
    return yolo_views.candidates(engine._seen(photo, params), params.score)
