"""What bad input gets in the window: the right picture or one message, and the program goes on.

Each sort comes in by a drop and through the dialog of Ctrl+O; afterwards a good photo still runs.
"""

from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dragging import drop, mime_of
from PySide6.QtWidgets import QLabel

from explorer.core.paths import assets

pytestmark = pytest.mark.gui
LONG = 30_000  # ms: weights are looked into with torch


def png(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


def white_png(width: int, height: int) -> bytes:
    """A picture of one bit a pixel whose file is small however large it is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    packer = zlib.compressobj(1)
    row = b"\0" + b"\xff" * (-(-width // 8))
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows)
            + chunk(b"IEND", b""))  # fmt: skip


class Code:
    """Unpickling it would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.target), "w")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def clip_cut_off(folder: Path) -> Path:
    clip = next(assets().rglob("*.mp4"))
    return written(folder / "cut.mp4", clip.read_bytes()[:20_000])


def empty_folder(folder: Path) -> Path:
    (folder / "void").mkdir()
    return folder / "void"


REFUSED: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "empty": (lambda f: written(f / "empty.png", b""), ("0 bytes", "again")),
    "no picture": (lambda f: written(f / "noise.png", b"\x07\x91" * 900), ("not a picture", "PNG")),
    "words as a picture": (lambda f: written(f / "w.jpg", b"words " * 60), ("not a picture",)),
    "huge": (
        lambda f: written(f / "huge.png", white_png(20_000, 20_000)),
        ("20,000 × 20,000", "Scale it"),
    ),
    "zero-sized": (lambda f: written(f / "zero.png", white_png(0, 0)), ("zero.png",)),
    "a clip cut off": (clip_cut_off, ("end is missing", "MP4")),
    "a folder without pictures": (empty_folder, ("no picture in this folder", "Choose")),
    "a document": (
        lambda f: written(f / "p.pdf", b"%PDF-1.4\n" * 9),
        ("no kind known", "Accepted"),
    ),
    "what is not there": (lambda f: f / "gone.png", ("no such file", "Accepted")),
    "damaged weights": (lambda f: written(f / "b.pt", b"x" * 300), ("300 bytes", "safetensors")),
    "damaged safetensors": (
        lambda f: written(f / "b.safetensors", struct.pack("<Q", 16) + b"{no json"),
        ("damaged", "again"),
    ),
    "a pickle with code": (
        lambda f: written(f / "evil.pt", pickle.dumps(Code(f / "ran"), protocol=2)),
        ("evil.pt",),
    ),
    "a model": (
        lambda f: written(f / "m.py", f"open({str(f / 'ran')!r}, 'w')".encode()),
        ("Run the code in m.py?", "Run it only if you trust it"),
    ),
    "a text for a picture engine": (
        lambda f: written(f / "notes.txt", "Grüße".encode()),
        ("takes a picture",),
    ),
}


def said(window: Any) -> str:
    labels = [label for card in window.cards.shown() for label in card.findChildren(QLabel)]
    return " ".join(label.text() for label in labels)


def bring(window: Any, path: Path, way: str) -> None:
    if way == "drop":
        assert drop(window.centre, mime_of(path))
    else:
        window.intake.ask_file()
        window.intake._dialog.fileSelected.emit(str(path))
        window.intake._dialog.close()


@pytest.mark.parametrize("way", ["drop", "open"])
@pytest.mark.parametrize("sort", REFUSED)
def test_one_message_and_the_program_goes_on(
    window: Any, qtbot: Any, tmp_path: Path, sort: str, way: str
) -> None:
    make, words = REFUSED[sort]
    before, runs = window.sources.source("image"), len(window.runner.asked.runs)
    bring(window, make(tmp_path), way)
    qtbot.waitUntil(lambda: bool(window.cards.shown()), timeout=LONG)
    assert len(window.cards.shown()) == 1
    for word in words:
        assert word in said(window)
    assert "Traceback" not in said(window)
    assert window.status_bar.message.text() == ""  # it is said once
    assert window.sources.source("image") is before
    assert len(window.runner.asked.runs) == runs
    good = written(tmp_path / "good.png", png(np.full((20, 30, 3), 90, np.uint8)))
    bring(window, good, way)
    qtbot.waitUntil(lambda: len(window.runner.asked.runs) == runs + 1)
    assert window.sources.source("image").title == "good.png"
    assert not window.cards.shown()
    assert not (tmp_path / "ran").exists()


def cut(folder: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    whole = png(noise)
    return written(folder / "cut.png", whole[: len(whole) // 2])


def mixed(folder: Path) -> Path:
    made = folder / "mixed"
    made.mkdir()
    written(made / "a.png", png(np.full((20, 30, 3), 90, np.uint8)))
    written(made / "b.txt", b"words")
    written(made / "c.png", b"no picture")
    return made


SHOWN: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "cut off": (cut, ("cut off", "missing")),
    "mixed folder": (mixed, ("left out", "b.txt", "c.png")),
    "16-bit": (
        lambda f: written(f / "deep.png", png(np.full((30, 40, 3), 40_000, np.uint16))),
        (),
    ),
    "alpha": (
        lambda f: written(f / "alpha.png", png(np.full((30, 40, 4), 9, np.uint8))),
        ("over white",),
    ),
    "1x1": (lambda f: written(f / "one.png", png(np.zeros((1, 1, 3), np.uint8))), ()),
}


@pytest.mark.parametrize("sort", SHOWN)
def test_an_odd_picture_is_shown_and_what_was_done_to_it_is_said(
    window: Any, qtbot: Any, tmp_path: Path, sort: str
) -> None:
    make, words = SHOWN[sort]
    path = make(tmp_path)
    bring(window, path, "drop")
    qtbot.waitUntil(lambda: window.sources.source("image").title == path.name)
    assert not window.cards.shown()
    row = window.room.slots.rows["image"].name.text()
    for word in words:
        assert word in row
        assert word in window.status_bar.message.text()


def test_a_clip_shorter_than_it_says_never_counts_past_its_end(window: Any) -> None:
    class Short:
        fps, live, name = 2.0, False, "short"

        def __len__(self) -> int:
            return 1

    from explorer.app.sources import Source

    window.transport.show_source(Source("image", Short(), "short.mp4"))
    window.transport.show_frame(1)
    assert window.transport.where.text() == "1 / 1"


def test_what_a_frame_has_to_say_is_in_the_status_bar(window: Any) -> None:
    from dataclasses import replace

    frame = replace(window.presenter.frame, notes=("fc #9 × 0: the layer was not called",))
    window.note_frame(frame)
    assert "fc #9" in window.status_bar.message.text()
    window.say("something else")
    window.note_frame(frame)
    assert window.status_bar.message.text() == "something else"  # said once
