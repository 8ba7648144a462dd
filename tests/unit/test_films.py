"""Films: whole or not there, also where the disk fills; steps of a run that are a film's frames."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from explorer.core.export import write_run
from explorer.core.recording import save_film
from explorer.core.writing import clip_writer
from explorer.core.writing.clip_writer import ClipWriter, ExportError, is_whole
from explorer.kinds import Curve, Image
from explorer.views import Frame

Usage = namedtuple("Usage", "total used free")
LIMITED = """
import resource, sys
import numpy as np
from pathlib import Path
from explorer.core.writing.clip_writer import ClipWriter, ExportError
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
draw = np.random.default_rng(0)
try:
    with ClipWriter(Path(sys.argv[1]), 25) as film:
        for _ in range(60):
            film.write(draw.integers(0, 255, (64, 64, 3)).astype(np.uint8))
except ExportError as error:
    print(error)
"""


def grey(level: int, height: int = 32, width: int = 48) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((height, width, 3), level, np.uint8)


def levels(path: Path) -> list[float]:
    """Mean of each frame as OpenCV reads them."""
    capture, found = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = capture.read()
        if not there:
            return found
        found.append(float(frame.mean()))


def test_a_file_that_the_system_cuts_short_is_not_kept(tmp_path: Path) -> None:
    """The encoder reports no failed write: the kernel refuses bytes beyond 60,000."""
    path = tmp_path / "cut.mp4"
    made = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True
    )
    assert made.stdout.startswith("cut.mp4: the disk took no more"), made.stdout + made.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_stops_the_film_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = ClipWriter(tmp_path / "a.mp4", 25)
    film.write(grey(9))
    monkeypatch.setattr(clip_writer.shutil, "disk_usage", lambda _: Usage(100, 100, 0))
    with pytest.raises(ExportError, match=r"a\.mp4: the disk took no more, 0 MiB are free"):
        film.write(grey(9))
    film.abort()
    assert list(tmp_path.iterdir()) == []


def test_whole_files_are_told_from_cut_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with ClipWriter(path, 25) as film:
        for level in range(0, 200, 10):
            film.write(grey(level))
    assert is_whole(path)
    data = path.read_bytes()
    for name, cut in {
        "half": data[: len(data) // 2], "last byte": data[:-1], "empty": b"",
        "no index": data[: data.rindex(b"moov") - 4], "zeros": bytes(64),
    }.items():  # fmt: skip
        path.write_bytes(cut)
        assert not is_whole(path), name


def run(count: int, fps: float = 12.5) -> Iterator[Frame]:
    """A run of ``count`` steps: a film, a picture that is none, a curve."""
    for step in range(count):
        picture = grey(20 * step + 10)
        yield Frame(1, 0, step, (
            Image("film/row", picture, step=step, fps=fps),
            Image("input/still", picture, step=step),
            Curve("quality/PSNR", np.arange(2.0), np.ones(2), step=step),
        ), last=step == count - 1)  # fmt: skip


def test_steps_of_a_film_become_an_mp4(tmp_path: Path) -> None:
    record = write_run(tmp_path / "out", run(8), {})
    files = {e["name"]: e["files"] for e in record["artefacts"]}
    assert files["film/row"] == ["film_row.png", "film_row.npz", "film_row.mp4"]
    assert all("mp4" not in name for e in ("input/still", "quality/PSNR") for name in files[e])
    np.testing.assert_allclose(
        levels(tmp_path / "out/film_row.mp4"), np.arange(8) * 20 + 10, atol=5
    )
    capture = cv2.VideoCapture(str(tmp_path / "out/film_row.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == 12.5


def test_one_step_is_no_film(tmp_path: Path) -> None:
    write_run(tmp_path / "out", run(1), {})
    assert not list((tmp_path / "out").glob("*.mp4"))
    write_run(tmp_path / "none", run(3, fps=0), {})
    assert not list((tmp_path / "none").glob("*.mp4"))


@pytest.mark.parametrize("at", [0, 3])
def test_an_error_midway_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    written = 0

    def write(self: ClipWriter, pixels: object) -> None:
        nonlocal written
        if written == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        written += 1

    monkeypatch.setattr(ClipWriter, "write", write)
    with pytest.raises(ExportError, match="No space left on device; choose another folder"):
        write_run(tmp_path / "out", run(8), {})
    assert list(tmp_path.iterdir()) == []


def test_a_recorded_film_is_written_frame_by_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.mp4"
    assert save_film(path, lambda: run(6), "film/row") == 6
    assert len(levels(path)) == 6

    def again() -> Iterator[Frame]:
        yield from run(6)
        for frame in run(3, fps=5):
            yield replace(frame, artefacts=tuple(replace(a, run=7) for a in frame.artefacts))

    assert save_film(path, again, "film/row") == 3
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 5
    for name in ("input/still", "film/other"):
        with pytest.raises(ExportError, match="is no film of its steps"):
            save_film(tmp_path / "none.mp4", lambda: run(3), name)

    def full(self: ClipWriter, pixels: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ClipWriter, "write", full)
    with pytest.raises(OSError, match="No space left"):
        save_film(tmp_path / "late.mp4", lambda: run(6), "film/row")
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]
