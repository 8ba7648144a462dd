"""A picture is dropped on a detector, a box is clicked: the window says where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dragging import drop, mime_of
from PySide6.QtCore import QPoint, Qt

pytestmark = [pytest.mark.gui, pytest.mark.slow]
ASSETS = Path(__file__).parents[2] / "assets"
LONG = 120_000  # ms


def shown(window: Any, group: str, item: str) -> Any:
    """The artefact of an item; None before there is one."""
    panels = window.presenter.groups[group].panels if group in window.presenter.groups else {}
    return panels[item].artefact if item in panels else None


def click(qtbot: Any, panel: Any, x: float, y: float) -> None:
    spot: QPoint = panel.view.screen(x, y).toPoint()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=spot)


def test_a_clicked_box_is_traced_on_a_picture_and_while_a_clip_plays(
    real_window: Any, qtbot: Any
) -> None:
    window = real_window(engine="nanodet")
    assert drop(window.centre, mime_of(ASSETS / "coffee.png"))
    qtbot.waitUntil(
        lambda: "dining table" in getattr(shown(window, "detections", "boxes"), "labels", ()),
        timeout=LONG,
    )
    runs: list[object] = []
    handle = window.runner._session.network.register_forward_pre_hook(lambda *_: runs.append(1))
    window.knobs.set_by_gesture("score", 0.2)
    found = shown(window, "detections", "boxes")
    qtbot.waitUntil(
        lambda: len(shown(window, "detections", "boxes").boxes) > len(found.boxes), timeout=LONG
    )
    found = shown(window, "detections", "boxes")
    areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1)
    small = int(areas.argmin())
    x, y = (float(v) for v in (found.boxes[small, :2] + found.boxes[small, 2:]) / 2)
    panel = window.presenter.groups["detections"].panels["boxes"]
    click(qtbot, panel, x, y)
    words = f"{found.labels[small]} {found.scores[small]:.2f}"
    qtbot.waitUntil(lambda: shown(window, "origin", "history").text.startswith(words), timeout=LONG)
    assert shown(window, "origin", "box").labels[1] == words
    assert panel.marks.selected == small
    slider = window.presenter.groups["suppression"].panels["film"].film.slider
    slider.setValue(1)
    qtbot.waitUntil(
        lambda: list(shown(window, "suppression", "film").state)[:2] == ["kept", "waiting"],
        timeout=LONG,
    )
    assert window.knobs.values()["decisions"] == 1
    assert not runs, "no knob of a detector runs the network again"
    handle.remove()

    window.knobs.set_by_gesture("score", 0.1)
    assert drop(window.centre, mime_of(ASSETS / "bunny.mp4"))
    qtbot.waitUntil(lambda: (window.presenter.frame.frame or 0) > 2, timeout=LONG)
    click(qtbot, panel, 150.0, 130.0)
    qtbot.waitUntil(
        lambda: window.knobs.values()["cursor"] == pytest.approx((150, 130), abs=2), timeout=LONG
    )
    frame = window.presenter.frame.frame
    qtbot.waitUntil(lambda: window.presenter.frame.frame > frame + 2, timeout=LONG)
    # The docks are drawn in several turns: both have to show one frame, made since the click.
    qtbot.waitUntil(
        lambda: (
            frame + 2
            < shown(window, "origin", "box").frame
            == shown(window, "detections", "boxes").frame
        ),
        timeout=LONG,
    )
    traced = shown(window, "origin", "box").boxes[1]
    found = shown(window, "detections", "boxes").boxes
    x, y = window.knobs.values()["cursor"]
    around = [b for b in found if b[0] <= x <= b[2] and b[1] <= y <= b[3]]
    assert len(found)
    # In a frame where nothing lies under the cursor the best box of all is traced.
    areas = [float((b[2] - b[0]) * (b[3] - b[1])) for b in around]
    wanted = around[areas.index(min(areas))] if around else found[0]
    assert traced.tolist() == wanted.tolist()
