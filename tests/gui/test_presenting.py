"""A frame on its way to the screen: painted piece by piece, only where somebody looks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QDockWidget

from explorer.app.presenter import going_first
from explorer.core.media import open_clip
from explorer.core.paths import assets
from explorer.panels.group import GroupPanel

pytestmark = pytest.mark.gui
LONG = 30_000  # ms


class Noted(QObject):
    """What Qt delivers to widgets while it is installed."""

    def __init__(self, events: list[tuple[str, QObject]]) -> None:
        super().__init__()
        self.events = events

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Paint, QEvent.Type.LayoutRequest):
            self.events.append((event.type().name, watched))
        return False


def draw_again(window: Any, qtbot: Any, events: list[tuple[str, QObject]]) -> None:
    """Show the frame of now once more, and note what Qt does for it."""
    qtbot.waitUntil(lambda: not window.runner.busy and not window.presenter.drawing, timeout=LONG)
    qtbot.wait(100)
    noted = Noted(events)
    QApplication.instance().installEventFilter(noted)
    window.presenter.show(window.presenter.frame)
    qtbot.waitUntil(lambda: not window.presenter.drawing, timeout=LONG)
    qtbot.wait(50)
    QApplication.instance().removeEventFilter(noted)


def test_a_frame_of_many_panels_is_painted_while_others_still_wait(
    real_window: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a click need not wait until all of it is on the screen."""
    window = real_window(engine="ssd")
    events: list[tuple[str, Any]] = []
    add = GroupPanel.add

    def added(group: GroupPanel, artefact: Any) -> None:
        events.append(("add", artefact.name))
        add(group, artefact)

    monkeypatch.setattr(GroupPanel, "add", added)
    draw_again(window, qtbot, events)
    kinds = [kind for kind, _ in events]
    last = len(kinds) - 1 - kinds[::-1].index("add")
    between = kinds[kinds.index("add") : last].count("Paint")
    assert kinds.count("add") > 5
    assert between > 2, "painted only at the end"


def test_a_frame_like_the_one_before_does_not_lay_the_docks_out_anew(
    real_window: Any, qtbot: Any
) -> None:
    window = real_window(engine="classify")
    events: list[tuple[str, QObject]] = []
    draw_again(window, qtbot, events)
    asked = Counter(type(w).__name__ for kind, w in events if kind == "LayoutRequest")
    docks = [w for kind, w in events if kind == "LayoutRequest" and isinstance(w, QDockWidget)]
    assert any(kind == "Paint" for kind, _ in events)
    assert not docks, asked


def test_a_clip_that_plays_does_not_lay_the_window_out_anew(real_window: Any, qtbot: Any) -> None:
    """Figures, titles, timeline and layer list change with every frame; the layout stays."""
    window = real_window(engine="classify")
    clip = open_clip(assets() / "bunny.mp4")
    window.runner.run_inputs({"image": clip}, playing=True)
    first = window.presenter.frames
    qtbot.waitUntil(lambda: window.presenter.frames > first + 12, timeout=LONG)  # two digits
    events: list[tuple[str, QObject]] = []
    noted = Noted(events)
    QApplication.instance().installEventFilter(noted)
    qtbot.waitUntil(lambda: window.presenter.frames > first + 30, timeout=LONG)
    QApplication.instance().removeEventFilter(noted)
    window.runner.cancel()
    qtbot.waitUntil(lambda: not window.runner.busy, timeout=LONG)
    clip.close()
    asked = Counter(type(w).__name__ for kind, w in events if kind == "LayoutRequest")
    assert any(kind == "Paint" for kind, _ in events)
    assert asked["Window"] <= 1, asked  # the count of recorded steps may get a digit more


def test_a_dock_behind_another_is_filled_when_it_is_raised(real_window: Any, qtbot: Any) -> None:
    window = real_window(engine="ssd")
    names = {a.group for a in window.presenter.frame.artefacts}
    name = next(n for n in names if not window.presenter.groups[n]._panels)
    group = window.presenter.groups[name]
    assert len(window.tabifiedDockWidgets(window.engine_docks.docks[name])) > 0
    dock = window.engine_docks.docks[name]
    dock.show()
    dock.raise_()
    qtbot.waitUntil(lambda: bool(group._panels), timeout=LONG)
    items = {a.item for a in window.presenter.frame.artefacts if a.group == name}
    qtbot.waitUntil(lambda: not window.presenter.drawing, timeout=LONG)
    assert items <= {*group._panels, *group._laid_over}


def test_an_engine_that_pauses_waits_for_a_turn_of_drawing_and_no_longer(window: Any) -> None:
    runner = window.runner
    with going_first(runner):
        assert not runner.between_turns.is_set()
    assert runner.between_turns.is_set()
    with pytest.raises(ValueError, match="drawing"), going_first(runner):
        raise ValueError("drawing failed")
    assert runner.between_turns.is_set()
