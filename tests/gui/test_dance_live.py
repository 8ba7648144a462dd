"""A joint of the stick figure is dragged by mouse: the dancer follows at once, then the film."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

pytestmark = [pytest.mark.gui, pytest.mark.slow]
LONG = 120_000  # ms


def item(window: Any, group: str, name: str) -> Any:
    """The panel of an item; None before there is one."""
    groups = window.presenter.groups
    return groups[group].panels.get(name) if group in groups else None


def picture(window: Any, group: str, name: str) -> Any:
    return item(window, group, name).artefact.image


def move(qtbot: Any, panel: Any, way: list[tuple[float, float]]) -> None:
    """Press at the first place, go to each of the others, let go at the last."""
    viewport = panel.view.viewport()
    spots: list[QPoint] = [panel.view.screen(*at).toPoint() for at in way]
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=spots[0])
    for spot in spots[1:]:
        qtbot.mouseMove(viewport, spot)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=spots[-1])


def test_a_dragged_wrist_moves_the_dancer_the_film_and_comes_back(
    real_window: Any, qtbot: Any
) -> None:
    window = real_window(engine="dance")
    window.knobs.set_by_gesture("frames", 3)

    def film_is_made() -> bool:
        at_rest = not window.runner.busy and not window.presenter.drawing
        return item(window, "quality", "frame change") is not None and at_rest

    qtbot.waitUntil(film_is_made, timeout=LONG)
    figure, frame = picture(window, "hand", "figure"), picture(window, "hand", "generated")
    last = picture(window, "frames", "4 generated")
    wrist, goal = (51.0, 22.0), (44.0, 6.0)
    panel = item(window, "hand", "figure")
    qtbot.waitUntil(lambda: panel.isVisible() and panel.view.width() > 60, timeout=LONG)
    move(qtbot, panel, [wrist, (48.0, 15.0), goal])
    qtbot.waitUntil(
        lambda: not np.array_equal(picture(window, "hand", "generated"), frame), timeout=LONG
    )
    qtbot.waitUntil(
        lambda: (
            window.runner._session.params.moved == window.knobs.values()["moved"] and film_is_made()
        ),
        timeout=LONG,
    )
    start, end = window.knobs.values()["moved"]
    assert start == pytest.approx(wrist, abs=0.5)
    assert end == pytest.approx(goal, abs=0.5)
    drawn = picture(window, "hand", "figure")
    assert (drawn[5:8, 43:46] != 255).any(), "the joint is where the mouse let go"
    assert not np.array_equal(picture(window, "frames", "4 generated"), last)
    assert "WARNING" in item(window, "light", "driving pose").artefact.text
    assert window.knobs.history.undo()
    assert window.knobs.values()["moved"] == ()
    qtbot.waitUntil(lambda: np.array_equal(picture(window, "hand", "figure"), figure), timeout=LONG)
    qtbot.waitUntil(
        lambda: np.array_equal(picture(window, "hand", "generated"), frame), timeout=LONG
    )
