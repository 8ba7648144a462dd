"""Drops and pastes as real events: the right slot, or one clear card, and what ran goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dragging import drop, mime_of
from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QGraphicsView, QLabel, QPushButton

from explorer.app.drop import Dropped, fitting, pixels_of, read_mime, wanted
from explorer.core.registry import Row, table

pytestmark = pytest.mark.gui


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture under a name that is not ASCII: red above, blue below."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :, 2] = 255  # cv2 writes BGR
    pixels[20:, :, 0] = 255
    path = tmp_path / "Füße 写真.png"
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for i in range(12):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    return path


def image_of(window: Any) -> Any:
    return window.runner.asked.runs[-1][0]["image"]


def card_text(window: Any) -> str:
    labels = [label for card in window.cards.shown() for label in card.findChildren(QLabel)]
    return " ".join(label.text() for label in labels)


def press(window: Any, text: str) -> None:
    buttons = [b for card in window.cards.shown() for b in card.findChildren(QPushButton)]
    next(b for b in buttons if b.text() == text).click()


def test_a1_1_a_photo_dropped_on_the_maps_runs(window: Any, qtbot: Any, photo: Path) -> None:
    assert drop(window.centre, mime_of(photo))
    qtbot.waitUntil(lambda: image_of(window).name == photo.name)
    assert image_of(window).pixels[5, 5].tolist() == [255, 0, 0]
    row = window.room.slots.rows["image"]
    assert photo.name in row.file.text()
    assert photo.name in window.engine_docks.docks["input"].bar.remark.text()
    assert not window.cards.shown()


@pytest.mark.parametrize("where", ["slot", "dock", "window", "plot"])
def test_a_photo_may_be_dropped_anywhere(window: Any, qtbot: Any, photo: Path, where: str) -> None:
    plots = window.centre.findChildren(QGraphicsView)
    target = {
        "slot": window.room.slots.rows["image"],
        "dock": window.engine_docks.docks["prediction"],
        "window": window,
        "plot": plots[0].viewport(),
    }[where]
    assert drop(target, mime_of(photo))
    qtbot.waitUntil(lambda: image_of(window).name == photo.name)


def test_files_of_the_command_line_fill_the_slots_in_order(
    make_window: Any, qtbot: Any, photo: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes())
    window = make_window(show=False, engine="style", paths=[str(photo), str(other)])
    slots = window.sources
    with qtbot.waitSignal(window.awoken, timeout=60_000):
        window.show()
    qtbot.waitUntil(lambda: slots.place("style") == str(other) and not slots.is_reading())
    assert slots.inputs()["content"].name == photo.name
    assert slots.source("second").origin == "sample"


def test_a_clip_on_an_image_slot_plays(window: Any, qtbot: Any, clip: Path) -> None:
    assert drop(window.centre, mime_of(clip))
    qtbot.waitUntil(lambda: hasattr(image_of(window), "fps"))
    inputs, playing = window.runner.asked.runs[-1]
    assert playing
    assert len(inputs["image"]) == 12
    assert window.transport.slider.isVisible()
    assert window.transport.slider.maximum() == 11


def test_a_folder_on_an_image_slot_is_a_clip_of_its_pictures(
    window: Any, qtbot: Any, photo: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(photo.read_bytes())
    (folder / "notes.txt").write_text("not a picture")
    assert drop(window.centre, mime_of(folder))
    qtbot.waitUntil(lambda: hasattr(image_of(window), "fps"))
    assert len(image_of(window)) == 2
    assert image_of(window)[1].shape == (40, 60, 3)


def test_paste_takes_a_picture_a_file_and_says_when_there_is_nothing(
    window: Any, qtbot: Any, photo: Path
) -> None:
    board = QGuiApplication.clipboard()
    image = QImage(8, 4, QImage.Format.Format_RGB32)
    image.fill(0xFF00FF00)
    board.setImage(image)
    window.intake.paste()
    assert image_of(window).pixels.shape == (4, 8, 3)
    assert image_of(window).pixels[0, 0].tolist() == [0, 255, 0]
    board.setMimeData(mime_of(photo))
    window.intake.paste()
    qtbot.waitUntil(lambda: image_of(window).name == photo.name)
    board.clear()
    window.intake.paste()
    assert "clipboard" in window.status_bar.message.text()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("broken.png", b"\x89PNG\r\n\x1a\n and no more", "broken.png"),
        ("empty.jpg", b"", "empty.jpg"),
        ("notes.xyz", bytes(range(256)), "256 bytes"),
    ],
)
def test_a6_1_a_wrong_file_is_a_card_and_the_view_stays(
    window: Any, qtbot: Any, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    before, runs = image_of(window), len(window.runner.asked.runs)
    assert drop(window.centre, mime_of(path))
    qtbot.waitUntil(lambda: bool(window.cards.shown()))
    assert says in card_text(window)
    assert image_of(window) is before
    assert len(window.runner.asked.runs) == runs
    assert window.centre.panel().isVisible()


def test_a6_1_broken_weights_say_what_they_are(window: Any, qtbot: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(b"x" * 300)
    assert drop(window, mime_of(path))
    qtbot.waitUntil(lambda: bool(window.cards.shown()), timeout=30_000)
    text = card_text(window)
    assert "broken.pt" in text
    assert "300" in text
    assert "safetensors" in text


def test_a6_2_weights_of_an_engine_offer_to_load_into_it(
    window: Any, qtbot: Any, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    row = window.row.weights[0]
    path = tmp_path / "mine.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in row.fingerprint.items()}, path)
    assert drop(window, mime_of(path))
    qtbot.waitUntil(lambda: bool(window.cards.shown()), timeout=30_000)
    assert row.name in card_text(window)
    press(window, f"Load into {window.row.title}")
    assert window.runner.asked.fetched == [f"{row.name} from {path}"]


def test_a_model_file_asks_before_its_code_runs(window: Any, qtbot: Any, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    path = tmp_path / "model.py"
    path.write_text(f"open({str(trace)!r}, 'w').write('x')\n")
    assert drop(window, mime_of(path))
    qtbot.waitUntil(lambda: bool(window.cards.shown()))
    assert "runs its code" in card_text(window)
    assert not trace.exists()
    press(window, "Run it")
    qtbot.waitUntil(lambda: window.runner.asked.opened[-1] == "model", timeout=30_000)
    assert window.runner.asked.values[-1]["model"] == str(path)


def test_a_text_for_a_picture_engine_names_those_that_take_it(window: Any, qtbot: Any) -> None:
    mime = QMimeData()
    mime.setText("a few words")
    assert drop(window.centre, mime)
    text = card_text(window)
    assert "a text" in text
    assert "takes a picture" in text
    assert window.centre.panel().isVisible()


def test_a_web_address_is_not_fetched(window: Any) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl("https://example.org/cat.png")])
    assert drop(window.centre, mime)
    assert "Nothing is downloaded" in card_text(window)


def test_a_file_on_a_slot_goes_to_that_slot() -> None:
    row = Row("two", "m:C", "Two", "F", inputs={"content": "image", "style": "image"})
    thing = Dropped("image", Path("a.png"))
    assert fitting(row, thing) == ["content", "style"]
    assert fitting(row, Dropped("image", Path("a.png"), slot="style")) == ["style"]
    assert fitting(row, Dropped("weights", Path("a.pt"))) == []
    assert wanted(row) == "a picture, a clip or a folder"


def test_what_only_the_training_reads_is_given_on_its_own_slot_alone() -> None:
    row = table()["fast-style"]
    assert fitting(row, Dropped("image", Path("a.png"))) == ["image"]
    assert fitting(row, Dropped("clip", Path("a.mp4"))) == ["image"]
    assert fitting(row, Dropped("folder", Path("a"))) == ["image"]
    assert fitting(row, Dropped("image", Path("a.png"), slot="style")) == ["style"]
    assert fitting(row, Dropped("pixels", slot="style")) == ["style"]
    assert fitting(row, Dropped("folder", Path("a"), slot="folder")) == ["folder"]


def test_a_photo_is_no_candidate_for_a_slot_of_another_suffix() -> None:
    row = table()["ssd"]
    assert row.inputs == {"image": "image", "annotations": "file.json"}
    assert fitting(row, Dropped("image", Path("a.JPG"))) == ["image"]
    assert fitting(row, Dropped("pixels")) == ["image"]
    assert fitting(row, Dropped("text", Path("a.json"))) == ["annotations"]


def test_mime_data_gives_files_before_pictures_before_text(qapp: QApplication, photo: Path) -> None:
    mime = mime_of(photo)
    mime.setText("words")
    assert [t.path for t in read_mime(mime)] == [photo]
    assert read_mime(mime, "style")[0].slot == "style"
    nothing = QMimeData()
    assert read_mime(nothing) == []


def test_transparent_pixels_lie_on_white(qapp: QApplication) -> None:
    image = QImage(2, 1, QImage.Format.Format_ARGB32)
    image.fill(0)
    image.setPixelColor(1, 0, "#FF0000")
    assert pixels_of(image)[0].tolist() == [[255, 255, 255], [255, 0, 0]]
