"""The grid of a group: items, scale, difference, overlays, one item large; and the timeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QApplication

from explorer.kinds import Boxes, Curve, Field, Image, Matrix, Scores, Text
from explorer.panels.group import GroupPanel
from explorer.panels.header import NARROW
from explorer.panels.marks import BoxesPanel
from explorer.panels.matrix import MatrixPanel
from explorer.panels.panel import Probed
from explorer.panels.theme import LIGHT
from explorer.panels.timeline import TimelineBar

pytestmark = pytest.mark.gui
PHOTO = np.full((40, 60, 3), 90, np.uint8)


@pytest.fixture
def group(qtbot: Any) -> GroupPanel:
    """An empty group on the screen."""
    made = GroupPanel()
    qtbot.addWidget(made)
    made.resize(900, 600)
    with qtbot.waitExposed(made):
        made.show()
    return made


def matrix(item: str, high: float, *, own: bool = False, size: int = 4) -> Matrix:
    values = np.zeros((size, size), np.float32)
    values[0, 0] = high
    return Matrix(f"gram/{item}", values, scale="sequential", own_scale=own)


def shown(group: GroupPanel) -> list[str]:
    return [item for item, panel in group.panels.items() if panel.isVisible()]


def test_an_empty_group_says_what_will_be_there(group: GroupPanel) -> None:
    assert group._empty.isVisible()
    group.add(Text("a/words", "hello"))
    assert not group._empty.isVisible()


def test_items_are_updated_in_place_and_replaced_when_the_kind_changes(group: GroupPanel) -> None:
    for item in ("a", "b", "c"):
        group.add(Curve(f"g/{item}", [0, 1], [0.0, 1.0]))
    first = group.panels["a"]
    group.add(Curve("g/a", [0, 1, 2], [0.0, 1.0, 2.0]))
    assert group.panels["a"] is first
    assert first.arrays()["y"].shape == (3,)
    group.add(Scores("g/a", [1.0], ["x"]))
    assert group.panels["a"] is not first
    assert list(group.panels) == ["a", "b", "c"]  # in its old place


def test_the_grid_fills_the_dock(group: GroupPanel) -> None:
    for i in range(5):
        group.add(Curve(f"g/{i}", [0, 1], [0.0, 1.0]))
    QApplication.processEvents()
    boxes = [panel.geometry() for panel in group.panels.values()]
    covered = sum(box.width() * box.height() for box in boxes)
    assert covered > 0.95 * group.width() * group.height()
    assert not any(a.intersects(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_like_matrices_share_a_range_and_one_may_have_its_own(group: GroupPanel) -> None:
    for item, high in (("a", 1.0), ("b", 8.0)):
        group.add(matrix(item, high))
    group.add(matrix("c", 100.0, own=True))
    group.share_scale()
    bars = {item: panel.colour_bar.text() for item, panel in group.panels.items()}
    assert bars == {"a": "0 … 8", "b": "0 … 8", "c": "0 … 100"}
    panel = group.panels["a"]
    assert isinstance(panel, MatrixPanel)
    assert "shared scale" in panel.header.text()
    panel.set_own(own=True)
    assert panel.colour_bar.text() == "0 … 1"
    assert "own scale" in panel.header.text()


def test_the_range_follows_the_next_frame_without_being_asked(
    group: GroupPanel, qtbot: Any
) -> None:
    for high in (1.0, 5.0):
        group.add(matrix("a", high))
        group.add(matrix("b", high / 2))
        qtbot.waitUntil(lambda: not group._sharing.isActive())
        assert group.panels["b"].colour_bar.text() == f"0 … {high:g}"


def test_the_difference_of_two_matrices_follows_both(group: GroupPanel) -> None:
    group.add(matrix("a", 3.0))
    group.add(matrix("b", 1.0))
    group.add(matrix("other shape", 1.0, size=5))
    menu = group.item_menu("a")
    minus = next(a.menu() for a in menu.actions() if a.text() == "Difference with")
    assert [action.text() for action in minus.actions()] == ["b"]
    minus.actions()[0].trigger()
    name = "a − b"
    assert group.panels[name].arrays()["values"][0, 0] == 2
    assert group.panels[name].artefact.scale == "diverging"  # type: ignore[union-attr]
    group.add(matrix("b", 5.0))
    assert group.panels[name].arrays()["values"][0, 0] == -2
    with pytest.raises(ValueError, match="5"):
        group.show_difference("a", "other shape")
    group.remove(name)
    assert name not in group.panels
    group.add(matrix("b", 7.0))
    assert name not in group.panels


def test_boxes_lie_on_the_picture_of_the_group(group: GroupPanel) -> None:
    boxes = Boxes("r/boxes", [[5, 5, 30, 30.0]], [0.9], ["cat"])
    group.add(boxes)
    assert isinstance(group.panels["boxes"], BoxesPanel)  # no picture yet: a place of their own
    group.add(Image("r/photo", PHOTO))
    assert list(group.panels) == ["photo"]
    plain = group.panels["photo"].picture()
    group.add(Boxes("r/boxes", np.zeros((0, 4))))
    assert group.panels["photo"].picture() != plain
    assert "boxes.boxes" in group.arrays()


def test_double_click_on_a_title_enlarges_and_brings_back(group: GroupPanel, qtbot: Any) -> None:
    for item in ("a", "b", "c"):
        group.add(Curve(f"g/{item}", [0, 1], [0.0, 1.0]))
    QApplication.processEvents()
    header = group.panels["b"].header
    qtbot.mouseDClick(header, Qt.MouseButton.LeftButton)
    assert shown(group) == ["b"]
    QApplication.processEvents()
    assert group.panels["b"].width() > 0.9 * group.width()
    group.add(Curve("g/new", [0, 1], [0.0, 1.0]))
    assert shown(group) == ["b"]  # what comes does not push it away
    qtbot.mouseDClick(header, Qt.MouseButton.LeftButton)
    assert shown(group) == ["a", "b", "c", "new"]


def test_items_are_hidden_and_come_back(group: GroupPanel, qtbot: Any) -> None:
    for item in ("a", "b"):
        group.add(Curve(f"g/{item}", [0, 1], [0.0, 1.0]))
    next(a for a in group.item_menu("a").actions() if a.text() == "Hide").trigger()
    assert shown(group) == ["b"]
    assert group.unhide.text() == "1 hidden: show all"
    group.hide_item("b")
    assert group._empty.title.text() == "All items are hidden"
    qtbot.mouseClick(group.unhide, Qt.MouseButton.LeftButton)
    assert shown(group) == ["a", "b"]


def test_probes_gestures_cursor_background_and_theme_reach_the_right_items(
    group: GroupPanel,
) -> None:
    group.add(Field("g/heat", np.ones((4, 6))))
    group.add(Curve("g/loss", [0, 1], [0.0, 1.0]))
    probes: list[Any] = []
    knobs: list[Any] = []
    group.probed.connect(probes.append)
    group.gestured.connect(knobs.append)
    group.panels["loss"].probed.emit(Probed("x", (1.0, 2.0)))
    group.panels["heat"].gestured.emit(("at", (1, 2)))
    assert [p.text for p in probes] == ["x"]
    assert knobs == [("at", (1, 2))]
    group.set_background(PHOTO)
    group.show_cursor((3.0, 3.0))
    group.set_theme(LIGHT)
    assert {panel.theme.name for panel in group.panels.values()} == {"light"}


def test_the_whole_group_is_exported(group: GroupPanel, tmp_path: Path) -> None:
    group.add(Curve("g/loss", [0, 1], [0.0, 1.0]))
    group.add(Scores("g/top", [0.5], ["cat"]))
    group.save(tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as saved:
        assert {"loss.x", "loss.y", "top.scores"} <= set(saved.files)
    group.save(tmp_path / "all.png")
    from PySide6.QtGui import QImage

    assert QImage(str(tmp_path / "all.png")).width() == 2 * group.width()
    with pytest.raises(OSError, match="cannot write all"):
        group.save(tmp_path / "all.txt")


# -- timeline ----------------------------------------------------------------------------------

STEPS = [(run, 0, step) for run in range(4) for step in range(10)]


@pytest.fixture
def bar(qtbot: Any) -> TimelineBar:
    """A timeline of four runs on the screen."""
    made = TimelineBar()
    qtbot.addWidget(made)
    made.resize(700, 32)
    made.set_steps(STEPS, marks=(4,))
    with qtbot.waitExposed(made):
        made.show()
    return made


def press(bar: TimelineBar, qtbot: Any, position: int) -> None:
    at = QPointF(bar.track.x_of(position), bar.track.height() / 2).toPoint()
    qtbot.mouseClick(bar.track, Qt.MouseButton.LeftButton, pos=at)


def test_a_click_on_the_track_goes_to_that_step(bar: TimelineBar, qtbot: Any) -> None:
    gone: list[int] = []
    bar.scrubbed.connect(gone.append)
    for position in (12, 12, 0, 39):
        press(bar, qtbot, position)
    assert gone == [12, 0, 39]  # the same step twice is told once
    assert bar.is_live()


def test_looking_back_is_said_and_led_out_of(bar: TimelineBar, qtbot: Any) -> None:
    assert (bar.words(), bar.live.text()) == ("step 40 of 40", "Live")
    press(bar, qtbot, 11)
    assert (bar.words(), bar.live.text()) == ("step 12 of 40", "Back to live")
    assert bar.track.stale
    bar.set_steps([*STEPS, (4, 0, 0)])
    assert bar.words() == "step 12 of 41"  # new steps do not pull the view along
    with qtbot.waitSignals([bar.live_wanted, bar.scrubbed]):
        qtbot.mouseClick(bar.live, Qt.MouseButton.LeftButton)
    assert bar.is_live()
    bar.set_steps([*STEPS, (4, 0, 0), (4, 0, 1)])
    assert bar.words() == "step 42 of 42"


def test_timeline_by_keyboard(bar: TimelineBar, qtbot: Any) -> None:
    gone: list[int] = []
    bar.scrubbed.connect(gone.append)
    for key in (Qt.Key.Key_Comma, Qt.Key.Key_Left, Qt.Key.Key_Period, Qt.Key.Key_PageUp,
                Qt.Key.Key_PageUp, Qt.Key.Key_Home, Qt.Key.Key_Left, Qt.Key.Key_End):  # fmt: skip
        qtbot.keyClick(bar.track, key)
    assert gone == [38, 37, 38, 30, 20, 0, 39]


def test_marks_are_asked_for_and_shown(bar: TimelineBar, qtbot: Any) -> None:
    asked: list[int] = []
    bar.mark_toggled.connect(asked.append)
    press(bar, qtbot, 4)
    assert bar.mark.isChecked()  # this step is marked
    press(bar, qtbot, 20)
    assert not bar.mark.isChecked()
    qtbot.mouseClick(bar.mark, Qt.MouseButton.LeftButton)
    qtbot.keyClick(bar.track, Qt.Key.Key_M)
    assert asked == [20, 20]
    assert not bar.mark.isChecked()  # not before the record says so
    before = bar.track.grab().toImage()
    bar.set_marks((4, 20))
    assert bar.mark.isChecked()
    assert bar.track.grab().toImage() != before


def test_an_empty_timeline(bar: TimelineBar, qtbot: Any) -> None:
    bar.set_steps([], marks=())
    assert bar.words() == "nothing recorded"
    assert not bar.mark.isEnabled()
    asked: list[int] = []
    bar.scrubbed.connect(asked.append)
    bar.mark_toggled.connect(asked.append)
    for key in (Qt.Key.Key_Left, Qt.Key.Key_End, Qt.Key.Key_M):
        qtbot.keyClick(bar.track, key)
    assert asked == []


def test_titles_of_a_row_take_two_lines_where_one_of_them_has_to(qtbot: Any) -> None:
    group = GroupPanel()
    qtbot.addWidget(group)
    group.resize(240, 500)
    group.show()
    values = np.eye(4, dtype=np.float32)
    for item in ("conv a", "conv b", "conv c", "conv d", "conv e"):
        group.add(Matrix(f"gram/{item}", values))
    first = group.panels["conv a"].header
    qtbot.waitUntil(lambda: 0 < first.width() < NARROW)
    assert first.title.text() == "conv a"
    group.add(Matrix("gram/conv of a far longer name", values))
    qtbot.waitUntil(lambda: first.title.text() == "conv")
    assert first.caption.text() == "a"
    group.hide_item("conv of a far longer name")
    group.level_titles()
    assert first.title.text() == "conv a"


def test_nothing_is_drawn_in_a_hidden_tab_until_somebody_looks(
    group: GroupPanel, qtbot: Any
) -> None:
    group.hide()
    asked: list[str] = []
    group.looked_at.connect(lambda: asked.extend(a.name for a in group.take_unseen()))
    for high in (1.0, 2.0):
        group.offer(matrix("a", high))
    group.offer(matrix("b", 3.0))
    assert not group.findChildren(MatrixPanel)
    group.show()
    assert asked == ["gram/a", "gram/b"], "the newest of each, once"
    group.offer(matrix("c", 1.0))
    assert len(group.findChildren(MatrixPanel)) == 1, "what is seen is drawn at once"
    group.hide()
    group.offer(matrix("d", 4.0))
    assert group.arrays()["d.values"].max() == 4.0, "an export has all"


def test_a_field_lies_on_the_photo_it_belongs_to(group: GroupPanel) -> None:
    """A new photo waits for the field of its own run."""
    group.set_background(PHOTO)
    group.add(Field("g/heat", np.ones((40, 60)), over=True))
    panel = group.panels["heat"]
    other = np.full((40, 60, 3), 10, np.uint8)
    group.set_background(other)
    assert panel.background is PHOTO
    group.add(Field("g/heat", np.zeros((40, 60)), over=True))
    assert panel.background is other
