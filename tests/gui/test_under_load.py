"""What a hasty person does to a window whose network is at work; the real runner, real networks."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from explorer.app.drop import Dropped

pytestmark = pytest.mark.gui
LONG = 40_000  # ms: for a busy machine; nothing here waits so long when all is well


def start_style(window: Any, qtbot: Any) -> None:
    """Open style transfer and wait until its canvas has changed twice."""
    window.ask({"size": 96, "features": "efficientnet-lite0"})
    window.room.open("style")
    qtbot.waitUntil(
        lambda: (
            window.row.name == "style"
            and window.presenter.frame is not None
            and window.presenter.frame.step >= 2
        ),
        timeout=LONG,
    )


def test_closing_while_a_style_transfer_runs_leaves_no_thread(real_window: Any, qtbot: Any) -> None:
    window = real_window()
    start_style(window, qtbot)
    window.close()
    assert not window.runner.isRunning()
    assert not [t for t in threading.enumerate() if t.name.startswith("layerscope")]


def test_another_engine_while_a_style_transfer_runs(real_window: Any, qtbot: Any) -> None:
    window = real_window()
    start_style(window, qtbot)
    window.room.open("classify")
    qtbot.waitUntil(
        lambda: (
            window.presenter.frame is not None
            and "prediction" in {a.group for a in window.presenter.frame.artefacts}
        ),
        timeout=LONG,
    )
    assert window.room.opened.row.name == "classify"
    assert not window.cards.shown()


def test_a_live_knob_acts_while_the_canvas_changes(real_window: Any, qtbot: Any) -> None:
    window = real_window()
    start_style(window, qtbot)
    step = window.presenter.frame.step
    window.knobs.set_by_gesture("style", 50.0)
    qtbot.waitUntil(lambda: window.presenter.frame.step > step + 1, timeout=LONG)
    assert window.presenter.frame.run == 1  # the same run goes on
    assert not window.cards.shown()


def test_of_ten_files_dropped_quickly_the_last_is_shown(
    real_window: Any, qtbot: Any, tmp_path: Path
) -> None:
    window = real_window()
    for i in range(10):
        path = tmp_path / f"{i}.png"
        grey = np.full((32, 40 + i, 3), 20 * i, np.uint8)
        path.write_bytes(cv2.imencode(".png", grey)[1].tobytes())
        window.intake.take([Dropped("image", path)])

    def shown() -> tuple[int, ...]:
        pictures = [a for a in window.presenter.frame.artefacts if a.group == "input"]
        return pictures[0].image.shape if pictures else ()

    qtbot.waitUntil(lambda: shown() == (32, 49, 3), timeout=LONG)
    assert "9.png" in window.room.slots.rows["image"].file.text()


def test_esc_stops_a_long_forward_and_the_next_run_is_whole(real_window: Any, qtbot: Any) -> None:
    window = real_window()
    window.ask({"weights": "random-16", "size": 512})
    window.room.open("vgg")
    qtbot.waitUntil(
        lambda: window.room.opened is not None and window.row.name == "vgg", timeout=LONG
    )
    with qtbot.waitSignal(window.runner.idle, timeout=LONG):
        QTest.keyClick(window, Qt.Key.Key_Escape)
    assert "Cancelled" in window.status_bar.message.text()
    window.knobs.set_by_gesture("size", 64)
    window.run_again()
    qtbot.waitUntil(lambda: window.presenter.frame is not None, timeout=LONG)
    assert not window.cards.shown()
