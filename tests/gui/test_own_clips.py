"""Clips of one's own in the window: optional slots, whole clips, the film as MP4, back to none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from explorer.app.sources import Sources
from explorer.core.media import assets
from explorer.core.registry import find, parse, table
from explorer.core.writing.clip_writer import ClipWriter

pytestmark = [pytest.mark.gui, pytest.mark.slow]
LONG = 120_000  # ms
FRAMES = 32
PLAIN = {"engine": "a:B", "title": "T", "family": "F"}
OWN = parse(
    {**PLAIN, "name": "own", "inputs": {"target": "clip", "source": "clip"},
     "optional": ["target", "source"]}, "tests",
)  # fmt: skip
PHOTO = parse({**PLAIN, "name": "photo", "inputs": {"image": "image"}}, "tests")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "me.mp4"
    photo = cv2.imread(str(assets() / "astronaut.png"))[:, :, ::-1]
    photo = cv2.resize(photo, (160, 160), interpolation=cv2.INTER_AREA)
    with ClipWriter(path, 20) as film:
        for t in range(FRAMES):
            film.write(np.roll(photo, int(6 * np.sin(t / 4)), 1))
    return path


def test_slots_that_may_stay_empty_do_not_hold_up_the_engine(qtbot: Any, clip: Path) -> None:
    sources = Sources()
    with qtbot.waitSignal(sources.complete):
        sources.use(OWN)
    with qtbot.waitSignal(sources.complete, timeout=LONG):
        sources.give("target", clip)
    given = sources.source("target")
    assert given is not None
    assert given.input.whole  # type: ignore[union-attr]
    assert not given.moving  # the engine takes it whole: there is nothing to play
    assert sources.moving() is None
    with qtbot.waitSignal(sources.complete):
        sources.empty("target")
    assert sources.inputs() == {}
    sources.close()


def test_a_clip_streams_or_is_whole_as_the_slot_says(qtbot: Any, clip: Path) -> None:
    sources = Sources()
    sources.use(PHOTO)
    assert not sources.is_complete()
    with qtbot.waitSignal(sources.complete, timeout=LONG):
        sources.give("image", clip)
    assert sources.moving() is not None
    sources.use(OWN)  # a clip is not taken along into a slot that may stay empty
    assert sources.inputs() == {}
    with qtbot.waitSignal(sources.complete, timeout=LONG):
        sources.give("source", clip)
    sources.use(PHOTO)
    moving = sources.moving()
    assert moving is not None
    assert not moving.input.whole  # type: ignore[union-attr]
    sources.close()


def test_a_clip_is_dropped_driven_exported_and_let_go(
    real_window: Any, qtbot: Any, clip: Path, tmp_path: Path
) -> None:
    assert find("dance", table()).optional == ("target", "source")
    window = real_window(engine="dance")
    for name, value in (("frames", 3), ("side", 64)):
        window.knobs.set_by_gesture(name, value)
    groups = window.presenter.groups

    def shown(group: str, name: str) -> Any:
        panel = groups[group].panels.get(name) if group in groups else None
        return panel.artefact if panel is not None else None

    def rests(words: str) -> bool:
        return window.presenter.frame.last and not window.runner.busy and words in (
            getattr(shown("light", "clips"), "text", "")
        )  # fmt: skip

    window.sources.give("target", clip)
    qtbot.waitUntil(lambda: rests("The target's own frames drive"), timeout=LONG)
    assert window.room.slots.rows["target"].file.text().endswith(f"{FRAMES} frames")
    assert "not learnt" in shown("frames", "4 generated").note
    assert not window.playing.playing
    path = tmp_path / "film.mp4"
    window.saving.save(groups["film"].panels["side by side"], path)
    qtbot.waitUntil(
        lambda: window.status_bar.message.text() == f"Wrote 3 steps to {path}", timeout=LONG
    )
    film = cv2.VideoCapture(str(path))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert film.get(cv2.CAP_PROP_FPS) == 20
    assert film.get(cv2.CAP_PROP_FRAME_WIDTH) == 3 * 256
    window.saving.save(groups["film"].panels["side by side"], tmp_path / "none" / "film.mp4")
    window.intake.slot_wants("target", "nothing")
    qtbot.waitUntil(
        lambda: (
            shown("frames", "5 true").note == "never trained on"
            and shown("film", "side by side").image.shape[1] == 4 * 256
            and window.presenter.frame.last
        ),
        timeout=LONG,
    )
    assert window.room.slots.rows["target"].file.text().startswith("empty")
