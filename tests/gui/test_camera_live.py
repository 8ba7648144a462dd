"""Detectors on a camera: what is drawn belongs to its own frame; it stops, goes on, goes away."""

from __future__ import annotations

import threading
import time
from typing import Any

import cv2
import numpy as np
import pytest
from PySide6.QtWidgets import QLabel

from engines.nn.detection.shapes import HELD_OUT, scene
from explorer.core.media import image_from_array, read_image
from explorer.core.paths import assets
from explorer.core.reading.cameras import Camera
from explorer.core.registry import table
from explorer.core.session import Session

pytestmark = [pytest.mark.gui, pytest.mark.slow]
LONG = 120_000  # ms
COUNT = 4  # pictures that the camera shows in turn
QUICK: dict[str, dict[str, Any]] = {"nanodet": {"size": 224}, "yolo-v2-face": {"size": 224}}


class Reel:
    """A capture device that shows a few pictures in turn, and can be unplugged."""

    def __init__(self, pictures: list[np.ndarray]) -> None:
        self.pictures, self.plugged, self.reads = pictures, True, 0
        self.released = threading.Event()

    def get(self, prop: int) -> float:
        return 60.0 if prop == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.plugged:
            return False, None
        time.sleep(1 / 60)
        self.reads += 1
        return True, np.ascontiguousarray(self.pictures[self.reads % COUNT][..., ::-1])

    def release(self) -> None:
        self.released.set()


def pictures_for(engine: str) -> list[np.ndarray]:
    """Generated scenes for the small network; else a face or a dog that wanders."""
    if engine == "faster-rcnn":
        return [scene(HELD_OUT + n).image for n in range(COUNT)]
    name = "astronaut.png" if engine == "yolo-v2-face" else "chelsea.png"
    whole = cv2.resize(read_image(assets() / name).pixels, (256, 256))
    return [np.ascontiguousarray(whole[:200, 14 * n : 14 * n + 200]) for n in range(COUNT)]


def expected(engine: str, pictures: list[np.ndarray]) -> list[Any]:
    """The boxes of each picture when it is dropped as a still."""
    session = Session(table()[engine], device="cpu", params=QUICK.get(engine, {}))
    session.statistics_every = 0.0
    session.open()
    told = []
    for pixels in pictures:
        frames = session.run({"image": image_from_array(pixels, "still")})
        found = {a.name: a for frame in frames for a in frame.artefacts}
        told.append(found["detections/boxes"])
    session.close()
    return told


def drawn(window: Any, group: str, item: str) -> Any:
    """What a panel shows now."""
    return window.presenter.groups[group].panels[item].artefact


def picture(window: Any) -> np.ndarray:
    """The frame that is shown now."""
    shown: np.ndarray = next(
        a.image for a in window.presenter.frame.artefacts if a.group == "input"
    )
    return shown


def number_of(picture: np.ndarray, pictures: list[np.ndarray]) -> int:
    """Which of the pictures is shown; all have the size of the network's own view, or their own."""
    away = [np.abs(p.astype(int) - picture.astype(int)).mean() for p in pictures]
    assert min(away) < 1, "the frame is none of the camera's"
    return int(np.argmin(away))


@pytest.mark.parametrize("engine", ["nanodet", "yolo-v2-face", "faster-rcnn"])
def test_boxes_lie_on_their_own_frame_of_a_camera_that_stops_goes_on_and_goes_away(
    real_window: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    pictures = pictures_for(engine)
    reels = [Reel(pictures), Reel(pictures)]
    waiting = iter(reels)
    monkeypatch.setattr(
        "explorer.core.media.open_camera", lambda index: Camera(next(waiting), f"camera {index}")
    )
    told = expected(engine, pictures)
    assert len({t.boxes.tobytes() for t in told}) > 1, "the camera's pictures are alike"
    assert any(len(t.boxes) for t in told)
    window = real_window(engine=engine)
    for name, value in QUICK.get(engine, {}).items():
        window.knobs.set_by_gesture(name, value)
    window.commands["open-camera"].trigger()
    qtbot.waitUntil(lambda: (window.presenter.frame.frame or 0) >= 3, timeout=LONG)

    seen: set[int] = set()
    frames: set[int] = set()

    def look() -> bool:
        """Every frame that is drawn has the boxes of its own picture, and no other's."""
        made = {a.name: a for a in window.presenter.frame.artefacts}
        boxes = made["detections/boxes"]
        number = number_of(next(a.image for a in made.values() if a.group == "input"), pictures)
        np.testing.assert_allclose(boxes.boxes, told[number].boxes, atol=1e-3)
        assert boxes.labels == told[number].labels
        seen.add(number)
        frames.add(window.presenter.frame.frame)
        return len(seen) >= 2 and len(frames) >= 4

    qtbot.waitUntil(look, timeout=LONG)

    window.commands["play"].trigger()
    assert not window.playing.playing
    stood = (-1, 0)

    def rests() -> bool:
        """The frame that was on its way has come, and none after it in 60 of the camera's."""
        nonlocal stood
        frame = window.presenter.frame.frame
        if frame != stood[0]:
            stood = frame, reels[0].reads
        return reels[0].reads > stood[1] + 60

    qtbot.waitUntil(rests, timeout=LONG)
    still, shown = stood[0], number_of(picture(window), pictures)
    before = drawn(window, "detections", "boxes")
    window.knobs.set_by_gesture("score", 0.9)  # redrawn on the frame that stands
    qtbot.waitUntil(lambda: drawn(window, "detections", "boxes") is not before, timeout=LONG)
    after = drawn(window, "detections", "boxes")
    assert after.boxes.tolist() == before.boxes[before.scores >= 0.9].tolist()
    assert after.frame == before.frame == still
    for size in (256, 224) if engine in QUICK else ():  # the network runs anew on what stands
        frame = window.presenter.frame
        window.knobs.set_by_gesture("size", size)
        qtbot.waitUntil(lambda frame=frame: window.presenter.frame is not frame, timeout=LONG)
        assert window.presenter.frame.frame == still
        assert number_of(picture(window), pictures) == shown
    window.commands["play"].trigger()
    qtbot.waitUntil(lambda: window.presenter.frame.frame > still + 2, timeout=LONG)

    reels[0].plugged = False
    qtbot.waitUntil(lambda: bool(window.cards.shown()), timeout=LONG)
    labels = [label for card in window.cards.shown() for label in card.findChildren(QLabel)]
    words = " ".join(label.text() for label in labels)
    assert "camera 0: the camera went away" in words
    assert reels[0].released.wait(5)

    last = window.presenter.frame
    window.commands["open-camera"].trigger()  # plugged in again, as the card says
    qtbot.waitUntil(lambda: window.presenter.frame is not last, timeout=LONG)
    assert reels[1].reads > 0
    assert not window.cards.shown()
    window.commands["open-camera"].trigger()  # back to what was there before
    qtbot.waitUntil(lambda: not window.sources.source("image").live, timeout=LONG)
    assert reels[1].released.wait(5)
