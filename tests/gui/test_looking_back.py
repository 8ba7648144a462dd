"""The time machine in the window: marks, jumps, films and spans, while the ring goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction

from explorer.kinds import Affine, Image
from explorer.views import Frame

pytestmark = pytest.mark.gui


@pytest.fixture
def window(make_window: Any, qtbot: Any) -> Any:
    """A window whose panels have their size and have been given what they asked for since."""
    made = make_window()
    recorded = -1
    while recorded != len(made.runner.timeline):  # each answer is a frame that is recorded
        recorded = len(made.runner.timeline)
        qtbot.wait(400)
    return made


def command(window: Any, name: str) -> None:
    window.commands[name].trigger()


def play(window: Any, count: int, jump: int = -1, unit: int = 5) -> None:
    """Record frames of a clip in which one unit of the layer jumps."""
    random = np.random.default_rng(0)
    for frame in range(count):
        window.runner.deliver(frame=frame)
        made: Frame = window.runner.timeline._entries[-1].frame
        pictures = []
        for shown in made.rendered:
            means = 1 + 0.01 * random.standard_normal(shown.shape[1]).astype(np.float32)
            if 0 <= jump <= frame:
                means[unit] += 2
            numbers = replace(shown.statistics, unit_mean=means)
            pictures.append(replace(shown, statistics=numbers))
        window.runner.timeline._entries[-1].frame = replace(
            made, run=100 + frame, rendered=tuple(pictures)
        )


def test_a_single_step_is_the_newest_and_stands_at_the_right(window: Any) -> None:
    window.runner.timeline.clear()
    window.runner.deliver()
    window._grow_timeline()
    track = window.timeline.track
    assert len(track.steps) == 1
    assert track.x_of(0) > track.width() - 20
    assert window.timeline.is_live()


def test_m_marks_the_step_that_is_shown(window: Any, qtbot: Any) -> None:
    play(window, 6)
    window.playing.scrub(2)
    qtbot.keyClick(window, Qt.Key.Key_M)
    assert window.runner.timeline.marks() == (2,)
    qtbot.keyClick(window, Qt.Key.Key_M)
    assert window.runner.timeline.marks() == ()


def test_a_jump_is_found_for_any_unit_and_for_the_selected_one(window: Any) -> None:
    window.runner.timeline.clear()
    play(window, 30, jump=17)
    command(window, "find-jump")
    assert window.playing.scrubbed == 17
    window._grow_timeline()
    assert window.timeline.words() == "step 18 of 30"
    assert "Unit 5 jumped" in window.status_bar.message.text()
    assert window.centre.panel().selected == 5
    command(window, "find-jump")
    assert window.playing.scrubbed != 17  # the next largest, of any unit still
    window.centre.panel().select(6)
    command(window, "find-jump")
    assert "Unit 6 jumped" in window.status_bar.message.text()
    window.centre.panel().select(5)
    command(window, "find-jump")
    assert window.playing.scrubbed == 17


def test_too_few_steps_for_a_jump_are_said(window: Any) -> None:
    window.runner.timeline.clear()
    play(window, 2)
    command(window, "find-jump")
    assert "2 recorded steps of _blocks.7 are too few" in window.status_bar.message.text()
    assert window.playing.scrubbed is None


def test_the_step_looked_at_is_followed_while_the_oldest_go(window: Any, qtbot: Any) -> None:
    timeline = window.runner.timeline
    play(window, 12)
    timeline.cap = timeline.bytes  # full: from here on each new frame lets the oldest go
    window.playing.scrub(8)
    looked_at = timeline.at(8).frame
    for frame in range(12, 16):
        window.runner._run += 1
        window.runner.deliver(frame=frame)
    qtbot.waitUntil(lambda: window.playing.scrubbed != 8)
    assert timeline.at(window.playing.scrubbed).frame == looked_at
    assert window.presenter.frame.frame == looked_at
    command(window, "mark-step")
    assert [timeline.at(i).frame for i in timeline.marks()] == [looked_at]


def test_recording_can_be_switched_off_and_the_timeline_says_so(window: Any) -> None:
    play(window, 3)
    length = len(window.runner.timeline)
    assert window.commands["record"].isChecked()
    command(window, "record")
    window.runner.deliver(frame=4)
    assert len(window.runner.timeline) == length
    window.runner.timeline.clear()
    window._grow_timeline()
    assert window.timeline.words() == "not recording"
    command(window, "record")
    window.runner.deliver(frame=5)
    assert len(window.runner.timeline) == 1


def test_a_film_of_the_input_shows_each_recorded_frame_in_turn(
    window: Any, qtbot: Any, tmp_path: Path
) -> None:
    timeline = window.runner.timeline
    timeline.clear()
    levels = [20, 220, 60, 180, 100]
    for run, level in enumerate(levels):
        pixels = np.full((90, 120, 3), level, np.uint8)
        photo = Image("input/photo", pixels, affine=Affine())
        timeline.add(Frame(run, run, 0, (photo,), milliseconds={"network": 1.0}))
    window.playing.scrub(0)
    qtbot.waitUntil(lambda: not window.presenter.drawing)
    panel = next(p for p in window.presenter.pictures() if p.artefact.name == "input/photo")
    path = tmp_path / "film.mp4"
    window.saving.save(panel, path)
    qtbot.waitUntil(lambda: not window.saving.film.is_running(), timeout=20_000)
    film = cv2.VideoCapture(str(path))
    seen = []
    while True:
        done, picture = film.read()
        if not done:
            break
        seen.append(int(picture[picture.shape[0] // 2, picture.shape[1] // 2].mean()))
    film.release()
    assert len(seen) == len(levels)
    assert np.abs(np.array(seen) - levels).max() < 12
    assert window.playing.scrubbed is None


def test_a_film_of_a_panel_whose_tab_is_put_behind_goes_on(
    window: Any, qtbot: Any, tmp_path: Path
) -> None:
    timeline = window.runner.timeline
    timeline.clear()
    levels = [20, 220, 60, 180]
    for run, level in enumerate(levels):
        photo = Image("input/photo", np.full((90, 120, 3), level, np.uint8), affine=Affine())
        timeline.add(Frame(run, run, 0, (photo,), milliseconds={"network": 1.0}))
    window.playing.scrub(0)
    qtbot.waitUntil(lambda: not window.presenter.drawing)
    panel = next(p for p in window.presenter.pictures() if p.artefact.name == "input/photo")
    window.presenter.groups["input"].set_in_front(False)
    path = tmp_path / "film.mp4"
    window.saving.save(panel, path)
    qtbot.waitUntil(lambda: not window.saving.film.is_running(), timeout=20_000)
    film = cv2.VideoCapture(str(path))
    seen = []
    while (read := film.read())[0]:
        seen.append(int(read[1][read[1].shape[0] // 2, read[1].shape[1] // 2].mean()))
    film.release()
    assert np.abs(np.array(seen) - levels).max() < 12


@pytest.mark.parametrize("what", ["maps", "scores"])
def test_the_recorded_numbers_are_written(
    window: Any, qtbot: Any, tmp_path: Path, what: str
) -> None:
    window.runner.timeline.clear()
    play(window, 7)
    panel = window.centre.panel()
    if what == "scores":
        from explorer.panels.scores import ScoresPanel

        panel = window.presenter.groups["prediction"].findChildren(ScoresPanel)[0]
    path = tmp_path / "span.npz"
    window.saving.save_span(panel, path)
    qtbot.waitUntil(lambda: "Wrote" in window.status_bar.message.text())
    with np.load(path) as saved:
        assert saved["frame"].tolist() == list(range(7))
        if what == "maps":
            assert saved["values"].shape == (7, 80, 7, 7)
        else:
            assert np.array_equal(
                saved["scores"][3], window.runner.timeline.at(3).artefacts[1].scores
            )


def test_the_export_menu_offers_the_record(window: Any) -> None:
    play(window, 3)
    menu = window.saving.menu()
    words = [a.text() for a in menu.actions() if isinstance(a, QAction)]
    count = len(window.runner.timeline)
    assert f"MP4, the picture at each of {count} recorded steps" in words
    assert f"NPZ, the numbers at each of {count} recorded steps" in words
    menu.deleteLater()


class Bar:
    """A camera on a standing bar that falls over."""

    name, path, sha256, fps, live = "bar", None, "", 25.0, True
    at = 12

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._random = np.random.default_rng(0)

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> np.ndarray:
        self.seen.append(index)
        picture = self._random.integers(0, 6, (48, 48, 3)).astype(np.uint8)
        bar = (slice(18, 30), slice(6, 42)) if index >= self.at else (slice(6, 42), slice(18, 30))
        picture[bar] += 200
        return picture

    def close(self) -> None:
        """Nothing is held open."""


def test_a_camera_is_recorded_scrubbed_and_searched(real_window: Any, qtbot: Any) -> None:
    from explorer.app.sources import Source

    window = real_window(engine="resnet")
    window.looking.show(["layer1.0.conv1"], "layer1.0.conv1")
    qtbot.waitUntil(lambda: bool(window.centre.panel("layer1.0.conv1").arrays()), timeout=60_000)
    camera = Bar()
    window.sources._put(Source("image", camera, "camera:0"))
    qtbot.waitUntil(lambda: max(camera.seen, default=0) >= 25, timeout=60_000)
    window.playing.set_playing(playing=False)
    qtbot.waitUntil(lambda: not window.runner.busy)
    command(window, "find-jump")
    timeline = window.runner.timeline
    assert timeline.at(window.playing.scrubbed).frame == Bar.at, window.status_bar.message.text()

    def lying() -> bool:
        shown = next(a for a in window.presenter.frame.artefacts if a.group == "input").image
        middle = shown.shape[0] // 2
        return bool(shown[middle].mean() > shown[:, middle].mean())

    assert lying()
    window.playing.step(-1)
    assert not lying()
    assert window.engine_docks.docks["prediction"].bar.state.text().startswith("step ")


def test_a_picture_of_the_window_looking_back(tmp_path: Path, monkeypatch: Any, qapp: Any) -> None:
    from explorer.app.playing import Playing
    from explorer.app.shot import shot

    gone: list[int] = []
    scrub = Playing.scrub

    def noted(self: Playing, position: int) -> None:
        gone.append(position)
        scrub(self, position)

    monkeypatch.setattr(Playing, "scrub", noted)
    shot(tmp_path / "a.png", engine="fast-weights", size=(900, 600), scrub=3, device="cpu")
    assert gone == [2]
    assert cv2.imread(str(tmp_path / "a.png")).shape == (600, 900, 3)
