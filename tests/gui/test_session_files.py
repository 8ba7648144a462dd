"""Sessions in the window: saved, opened again, refused, asked for; and offered after a crash."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtWidgets import QLabel, QPushButton

from explorer.app.drop import read_mime
from explorer.app.settings import Settings
from explorer.core.stores.session_file import SavedInput, SavedSession, read, write
from explorer.editing import Edit

pytestmark = pytest.mark.gui
EDITS = (Edit("_blocks.7", (3,)), Edit("_conv_stem", (1,), "scale", 2.0, on=False))


def command(window: Any, name: str) -> None:
    window.commands[name].trigger()


def card_text(window: Any) -> str:
    labels = [label for card in window.cards.shown() for label in card.findChildren(QLabel)]
    return " ".join(label.text() for label in labels)


def press(window: Any, words: str) -> None:
    found = [b for card in window.cards.shown() for b in card.findChildren(QPushButton)]
    next(b for b in found if b.text() == words).click()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "süßes Bild.png"
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


def set_up(window: Any, qtbot: Any, photo: Path) -> None:
    """As a person would leave it: own photo, two layers, a unit, edits, a knob."""
    window.intake.take_paths([str(photo)])
    qtbot.waitUntil(lambda: window.sources.source("image").origin == "user")
    window.looking.show(["_blocks.7", "_conv_stem"], "_conv_stem")
    qtbot.waitUntil(lambda: bool(window.centre.panel("_conv_stem").arrays()))
    window.centre.panel("_conv_stem").select(5)
    window.edit_book.put(EDITS, "edits")
    window.knobs.set_by_gesture("gain", 3.0)


def spoil(window: Any, qtbot: Any) -> None:
    """Something else is open now."""
    window.edit_book.clear()
    window.knobs.set_by_gesture("gain", 1.0)
    window.looking.show(["_conv_head"], "_conv_head")
    window.sources.give_sample("image")
    qtbot.waitUntil(lambda: window.sources.source("image").origin == "sample")


def test_a_session_comes_back_as_it_was(
    window: Any, qtbot: Any, photo: Path, tmp_path: Path
) -> None:
    set_up(window, qtbot, photo)
    path = tmp_path / "mine.layerscope"
    assert window.session_files.write(path)
    saved = read(path)
    assert saved.inputs["image"].where == str(photo)
    assert saved.inputs["image"].sha256 == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert saved.edits == EDITS
    spoil(window, qtbot)
    window.intake.take_paths([str(path)])
    qtbot.waitUntil(lambda: window.sources.source("image") is not None)
    qtbot.waitUntil(lambda: window.edit_book.edits == EDITS)
    assert window.sources.source("image").where == str(photo)
    assert window.centre.points() == ("_blocks.7", "_conv_stem")
    assert window.centre.current == "_conv_stem"
    assert window.knobs.values()["gain"] == 3.0
    assert window.runner.asked.values[-1]["gain"] == 3.0
    qtbot.waitUntil(lambda: window.looking.selected.get("_conv_stem") == 5)
    assert not window.cards.shown()
    qtbot.waitUntil(lambda: not window.session_files._units)
    again = window.session_files.gather()
    assert (again.inputs, again.knobs, again.layers, again.edits, again.units) == (
        saved.inputs, saved.knobs, saved.layers, saved.edits, saved.units,
    )  # fmt: skip


def test_ctrl_s_asks_once_and_then_writes_the_same_file(window: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.layerscope"
    window.session_files._save_chosen(str(path))
    window.looking.show(["_conv_head"], "_conv_head")
    command(window, "session-save")
    assert read(path).layers == ("_conv_head",)
    assert str(path) in window.settings.values.recent


def test_a_dropped_session_is_opened(window: Any, qtbot: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.layerscope"
    write(SavedSession("resnet"), path)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    window.intake.take(read_mime(mime))
    qtbot.waitUntil(lambda: window.runner.asked.opened[-1] == "resnet")
    assert window.row.name == "resnet"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ('{"format": "layerscope-session", "version": 99}', "version 99"),
        ('{"format": "layerscope-session", "version": 1, "engine": "tardis"}', "not installed"),
        ('{"format": "layerscope-session", "version": 1, "engine": "model"}', "names no file"),
    ],
)
def test_a_bad_session_is_one_card_and_nothing_changes(
    window: Any, qtbot: Any, photo: Path, tmp_path: Path, text: str, says: str
) -> None:
    set_up(window, qtbot, photo)
    before = window.session_files.gather()
    path = tmp_path / "bad.layerscope"
    path.write_text(text)
    opened = list(window.runner.asked.opened)
    window.session_files.open(path)
    assert says in card_text(window)
    assert window.runner.asked.opened == opened
    assert window.session_files.path is None
    window.cards.clear()
    after = window.session_files.gather()
    assert (after.inputs, after.knobs, after.layers, after.edits) == (
        before.inputs, before.knobs, before.layers, before.edits,
    )  # fmt: skip


def test_a_missing_input_is_asked_for_and_a_changed_one_is_said(
    window: Any, qtbot: Any, photo: Path, tmp_path: Path
) -> None:
    set_up(window, qtbot, photo)
    path = tmp_path / "mine.layerscope"
    window.session_files.write(path)
    moved = photo.rename(tmp_path / "moved.png")
    window.session_files.open(path)
    qtbot.waitUntil(lambda: "is not at" in card_text(window))
    assert "Open another" in [
        b.text() for card in window.cards.shown() for b in card.findChildren(QPushButton)
    ]
    window.intake.take_paths([str(moved)])
    qtbot.waitUntil(lambda: window.sources.place("image") == str(moved))
    assert window.toast.isHidden()  # it is the very file
    photo.write_bytes(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes())
    window.session_files.open(path)
    qtbot.waitUntil(lambda: "has changed since" in window.toast.text.text())


def test_code_of_a_session_is_asked_for_again(window: Any, qtbot: Any, tmp_path: Path) -> None:
    model = tmp_path / "net.py"
    model.write_text("raise SystemExit\n")
    path = tmp_path / "mine.layerscope"
    write(SavedSession("model", model=f"{model}:make"), path)
    opened = list(window.runner.asked.opened)
    window.session_files.open(path)
    assert "Run the code in net.py:make?" in card_text(window)
    assert window.runner.asked.opened == opened
    press(window, "Do not")
    assert window.runner.asked.opened == opened
    window.session_files.open(path)
    press(window, "Run it")
    qtbot.waitUntil(lambda: window.runner.asked.opened[-1] == "model")
    assert window.runner.asked.values[-1]["model"] == f"{model}:make"


def test_code_of_an_instrument_is_asked_for_too(window: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.layerscope"
    worlds = {"worlds": {"model": f"{tmp_path}/evil.py:make"}}
    write(SavedSession("resnet", instruments=worlds), path)
    window.session_files.open(path)
    assert "Run the code in evil.py:make?" in card_text(window)
    assert window.row.name == "classify"
    assert window.instruments.names() == ()
    press(window, "Do not")
    assert window.row.name == "classify"


def test_a_pasted_picture_has_no_place_in_a_session_and_that_is_said(
    window: Any, tmp_path: Path
) -> None:
    window.sources.give_pixels("image", np.zeros((8, 8, 3), np.uint8), "mine")
    path = tmp_path / "mine.layerscope"
    window.session_files.write(path)
    assert "pasted image" in window.status_bar.message.text()
    assert read(path).inputs == {}


def test_a_text_and_the_sample_are_saved_as_such(window: Any, qtbot: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.layerscope"
    window.session_files.write(path)
    assert read(path).inputs == {"image": SavedInput("sample")}
    window.room.open("fast-weights")
    slot = next(iter(window.row.inputs))
    qtbot.waitUntil(lambda: window.sources.source(slot) is not None)
    window.sources.give(slot, "a1b2??a")
    window.session_files.write(path)
    assert read(path).inputs[slot] == SavedInput("text", "a1b2??a")
    window.sources.give(slot, "c3??c")
    window.session_files.open(path)
    qtbot.waitUntil(
        lambda: (s := window.sources.source(slot)) is not None and s.input.text == "a1b2??a"
    )


# -- after a crash


def crashed(home: Path, saved: SavedSession) -> Path:
    """What a process leaves that wrote its state, held its lock, and died."""
    folder = home / "recovery"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "1-abc.layerscope"
    write(saved, path)
    code = (
        "import os, sys; from PySide6.QtCore import QLockFile\n"
        "lock = QLockFile(sys.argv[1]); lock.setStaleLockTime(0)\n"
        "assert lock.tryLock(0); os._exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", code, f"{path}.lock"], check=False)
    assert done.returncode == 1
    assert Path(f"{path}.lock").exists()
    return path


def test_after_a_crash_the_last_state_is_offered_once(
    make_window: Any, qtbot: Any, home: Path, photo: Path
) -> None:
    left = SavedSession(
        "classify", inputs={"image": SavedInput("file", str(photo))}, layers=("_conv_head",),
        layer="_conv_head", edits=EDITS,
    )  # fmt: skip
    path = crashed(home, left)
    window = make_window()
    window.autosave.begin()
    strip = window.autosave.strip
    assert strip is not None
    assert strip.isVisible()
    assert strip.text.text() == (
        f"layerscope did not close properly. Restore classify on {photo.name}, 2 edits?"
    )
    assert not path.exists()  # once
    assert window.edit_book.edits == ()  # nobody is asked for anything before a click
    strip.restore.click()
    qtbot.waitUntil(lambda: window.edit_book.edits == EDITS)
    assert strip.isHidden()
    assert window.centre.points() == ("_conv_head",)
    window.close()
    other = make_window()
    other.autosave.begin()
    assert other.autosave.strip is None


def test_discard_forgets_and_a_clean_exit_leaves_nothing(
    make_window: Any, home: Path, qtbot: Any
) -> None:
    crashed(home, SavedSession("vgg"))
    window = make_window()
    window.autosave.begin()
    window.autosave.strip.discard.click()
    assert window.autosave.strip.isHidden()
    window.edit_book.put(EDITS, "edits")
    assert window.autosave._soon.isActive()  # a change is saved soon
    window.autosave.save()
    assert read(window.autosave.path).edits == EDITS
    stamp = os.stat(window.autosave.path).st_mtime_ns
    window.autosave.save()
    assert os.stat(window.autosave.path).st_mtime_ns == stamp  # nothing new, nothing written
    window.close()
    assert list((home / "recovery").iterdir()) == []


def test_a_window_that_went_down_before_it_saved_leaves_no_litter(
    make_window: Any, home: Path
) -> None:
    crashed(home, SavedSession("vgg")).unlink()
    window = make_window()
    window.autosave.begin()
    assert window.autosave.strip is None
    assert [p.name for p in (home / "recovery").iterdir()] == [f"{window.autosave.path.name}.lock"]


def test_the_state_of_a_window_that_is_still_open_is_left_alone(
    make_window: Any, home: Path
) -> None:
    first = make_window()
    first.autosave.begin()
    first.autosave.save()
    second = make_window()
    second.autosave.begin()
    assert second.autosave.strip is None
    assert first.autosave.path.exists()


def test_a_state_that_cannot_be_read_is_no_obstacle(make_window: Any, home: Path) -> None:
    folder = home / "recovery"
    folder.mkdir(parents=True)
    (folder / "9-x.layerscope").write_text(json.dumps({"format": "else"}))
    window = make_window()
    window.autosave.begin()
    assert window.autosave.strip is None
    assert "cannot be read" in window.status_bar.message.text()
    assert not (folder / "9-x.layerscope").exists()


def test_a_home_that_cannot_be_written_is_said_and_no_more(make_window: Any, home: Path) -> None:
    (home / "recovery").write_text("a file where the folder should be")
    window = make_window()
    window.autosave.begin()
    assert "Nothing is saved against a crash" in window.status_bar.message.text()
    assert window.centre.isVisible()


# -- the real thing


def test_a_session_with_the_real_runner(
    real_window: Any, qtbot: Any, tmp_path: Path, photo: Path
) -> None:
    path = tmp_path / "mine.layerscope"
    saved = SavedSession(
        "resnet", inputs={"image": SavedInput("file", str(photo))}, knobs={"block": 2},
        layers=("layer2.0.conv1",), layer="layer2.0.conv1", units={"layer2.0.conv1": 4},
        edits=(Edit("layer2.0.conv1", (4,)),),
    )  # fmt: skip
    write(saved, path)
    window = real_window(settings=Settings())
    window.session_files.open(path)
    qtbot.waitUntil(
        lambda: (p := window.centre.panel("layer2.0.conv1")) is not None and bool(p.arrays()),
        timeout=60_000,
    )
    panel = window.centre.panel("layer2.0.conv1")
    qtbot.waitUntil(lambda: panel.selected == 4, timeout=20_000)
    # Shown values are read off the picture, where 0 lies between two levels: all alike is zero.
    qtbot.waitUntil(lambda: float(np.ptp(panel.arrays()["maps"][4])) == 0, timeout=20_000)
    assert float(np.ptp(panel.arrays()["maps"][5])) > 0
    assert window.knobs.values()["block"] == 2
