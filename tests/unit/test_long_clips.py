"""A clip of ten minutes is read and written as a stream: memory does not grow with its length."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explorer import cli
from explorer.core import registry
from explorer.core.export import write_run
from explorer.core.media import open_clip
from explorer.core.registry import parse
from explorer.core.session import Session
from explorer.core.writing.clip_writer import ClipWriter
from explorer.engine import Engine, Inputs, Outcome, Run
from explorer.kinds import Artefact, Image
from explorer.params import knob
from explorer.views import Frame

FRAMES, HEIGHT, WIDTH, FPS = 15_000, 48, 64, 25.0  # ten minutes
RAW = FRAMES * HEIGHT * WIDTH * 3  # 138 MB
BOUND = RAW // 4
EVERY = 4  # frames of the clip for one of the film


@dataclass(frozen=True, slots=True)
class NegativeParams:
    level: float = knob(255.0, low=0.0, high=255.0)


class Negative(Engine[NegativeParams]):
    """One module, one picture a frame; carries the frame before along."""

    Params: ClassVar[type[Any]] = NegativeParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image,)

    def build(self, params: NegativeParams) -> nn.Module:
        return nn.Threshold(-1.0, 0.0)

    def run(self, inputs: Inputs, params: NegativeParams, memory: Any = None) -> Run:
        x = torch.from_numpy(np.array(inputs["image"].pixels)).float()
        made: Tensor = self.network(params.level - x)
        yield Image("out/negative", made.byte().numpy())
        return Outcome(memory=made)


ROW = parse(
    {
        "name": "negative", "engine": "negative:Negative", "title": "Negative", "family": "Tests",
        "inputs": {"image": "image"}, "groups": {"out": {"kinds": ["Image"]}},
    },
    "tests",
)  # fmt: skip


def resident() -> int:
    """Bytes of this process that are in memory now; where that is not known, their peak."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


@pytest.fixture(scope="module")
def ten_minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    shades = [np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in range(0, 250, 10)]
    with ClipWriter(path, FPS) as film:
        for i in range(FRAMES):
            film.write(shades[i // 600])
    return path


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(registry, "load", lambda row: Negative)
    made = Session(ROW, device="cpu")
    made.open()
    made.statistics_every = 0.0
    yield made
    made.close()


def grown(frames: Iterator[Frame], sizes: list[int]) -> Iterator[Frame]:
    """The frames; from the 500th on, how much memory there is at each 500th."""
    for i, frame in enumerate(frames):
        if i and i % 500 == 0:
            sizes.append(resident())
        yield frame


def test_a_long_clip_streams_through_an_engine_into_a_film(
    ten_minutes: Path, session: Session, tmp_path: Path
) -> None:
    session.timeline.on = False  # as the command line has it
    clip = open_clip(ten_minutes)
    sizes: list[int] = []
    frames = session.play({"image": clip}, every=EVERY)
    write_run(tmp_path / "out", grown(frames, sizes), {}, fps=clip.fps / EVERY)
    clip.close()
    assert len(sizes) == FRAMES // EVERY // 500
    assert max(sizes) - sizes[0] < BOUND
    film = cv2.VideoCapture(str(tmp_path / "out/out_negative.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES // EVERY
    assert film.get(cv2.CAP_PROP_FPS) == FPS / EVERY
    assert abs(float(film.read()[1].mean()) - 255) < 12


def test_the_window_keeps_no_more_than_its_cap(ten_minutes: Path, session: Session) -> None:
    """As the player plays it: every frame goes to the record, which lets old ones go."""
    session.timeline.cap = 4 * 2**20
    clip = open_clip(ten_minutes)
    sizes: list[int] = []
    for _ in grown(session.play({"image": clip}, frames=2000), sizes):
        assert session.timeline.bytes <= session.timeline.cap
    clip.close()
    assert len(session.timeline) > 100
    assert max(sizes) - sizes[0] < BOUND


def test_the_command_line_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mp4"
    with ClipWriter(path, FPS) as film:
        for level in range(0, 200, 10):
            film.write(np.full((HEIGHT, WIDTH, 3), level, np.uint8))
    seen: list[Session] = []
    monkeypatch.setattr(registry, "load", lambda row: Negative)
    monkeypatch.setattr(registry, "table", lambda: {"negative": ROW})
    opened = Session.open
    monkeypatch.setattr(Session, "open", lambda self: (seen.append(self), opened(self))[1])
    assert cli.main(["run", "negative", str(path), "--out", str(tmp_path / "out")]) == 0
    assert len(seen[0].timeline) == 0
    assert (tmp_path / "out/out_negative.mp4").is_file()
    assert "out/negative" in capsys.readouterr().out
