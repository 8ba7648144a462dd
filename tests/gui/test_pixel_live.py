"""The pixel and Gram instruments in the window: they follow the mouse, hold, and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from explorer.app.drop import Dropped
from explorer.kinds import Matrix

pytestmark = [pytest.mark.gui, pytest.mark.slow]
ASSETS = Path(__file__).parents[2] / "assets"
LONG = 120_000  # ms


def hover(view: Any, x: float, y: float) -> None:
    spot = QPointF(view.screen(x, y).toPoint())
    none = Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(
        QEvent.Type.MouseMove, spot, view.viewport().mapToGlobal(spot),
        Qt.MouseButton.NoButton, Qt.MouseButton.NoButton, none,
    )  # fmt: skip
    QApplication.sendEvent(view.viewport(), event)


def shown(window: Any, name: str, item: str) -> Any:
    """The artefact of an item of an instrument; None before there is one."""
    group = window.instruments.docks[name].group
    panel = group.panels.get(item) if group is not None else None
    return panel.artefact if panel is not None else None


def test_the_mouse_moves_the_hypercolumn_and_a_dropped_picture_is_compared(
    real_window: Any, qtbot: Any
) -> None:
    window = real_window(engine="resnet")
    window.instruments.open("pixel", {"alike": False})
    window.instruments.open("gram", {"layer": "layer2"})
    qtbot.waitUntil(lambda: shown(window, "pixel", "hypercolumn") is not None, timeout=LONG)
    qtbot.waitUntil(lambda: isinstance(shown(window, "gram", "this input"), Matrix), timeout=LONG)
    qtbot.waitUntil(lambda: not window.runner.busy, timeout=LONG)

    runs: list[object] = []
    session = window.runner._session
    handle = session.network.register_forward_pre_hook(lambda *_: runs.append(1))
    photo = next(p for p in window.presenter.pictures() if p.isVisible())
    columns = []
    for x, y in ((20.0, 30.0), (90.0, 80.0)):
        hover(photo.view, x, y)

        def followed(x: float = x, y: float = y) -> bool:
            at = shown(window, "pixel", "hypercolumn").at
            return bool(np.hypot(at[0] - x, at[1] - y) < 2)  # the mouse is on a screen pixel near

        qtbot.waitUntil(followed, timeout=LONG)
        columns.append(shown(window, "pixel", "hypercolumn").values)
    assert not np.allclose(*columns)
    at = shown(window, "pixel", "hypercolumn").at
    window.commands["pin-cursor"].trigger()
    hover(photo.view, 30.0, 90.0)
    assert window.instruments.pinned == at
    assert window.commands["pin-cursor"].isChecked()
    assert window.instruments._followed["cursor"] == at
    window.commands["pin-cursor"].trigger()
    hover(photo.view, 31.0, 91.0)
    qtbot.waitUntil(lambda: shown(window, "pixel", "hypercolumn").at != at, timeout=LONG)
    assert not runs
    handle.remove()

    before = shown(window, "gram", "this input").values
    dock = window.instruments.docks["gram"]
    assert not dock.hold.isChecked()
    dock.dropped.emit([Dropped("image", ASSETS / "coffee.png")])
    qtbot.waitUntil(lambda: isinstance(shown(window, "gram", "held input"), Matrix), timeout=LONG)
    qtbot.waitUntil(lambda: "coffee" in shown(window, "gram", "this input").note, timeout=LONG)
    assert dock.hold.isChecked()
    held = shown(window, "gram", "held input")
    np.testing.assert_allclose(held.values, before, atol=1e-5)
    qtbot.waitUntil(lambda: shown(window, "gram", "this − held") is not None, timeout=LONG)
    qtbot.waitUntil(lambda: bool(shown(window, "gram", "this − held").values.any()), timeout=LONG)
    assert not window.instruments.docks["pixel"].hold.isChecked()


def test_the_key_holds_in_all_instruments_that_compare(real_window: Any, qtbot: Any) -> None:
    window = real_window(engine="resnet")
    said: list[str] = []
    window.say = said.append
    window.instruments.toggle_hold()
    assert "open Pixel or Gram matrix" in said[-1]
    for name in ("pixel", "gram", "overview"):
        window.instruments.open(name)
    docks = [window.instruments.docks[name] for name in ("pixel", "gram")]
    qtbot.waitUntil(lambda: all(not dock.hold.isHidden() for dock in docks), timeout=LONG)
    assert window.instruments.docks["overview"].hold.isHidden()
    window.commands["hold"].trigger()
    assert all(dock.hold.isChecked() for dock in docks)
    qtbot.waitUntil(lambda: isinstance(shown(window, "gram", "held input"), Matrix), timeout=LONG)
    window.commands["hold"].trigger()
    assert not any(dock.hold.isChecked() for dock in docks)
