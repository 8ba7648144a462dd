"""Surgery by mouse and key: the brush, held frames, typed edits, order, files, before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from explorer.app.change_words import change
from explorer.app.comparing import SUFFIX
from explorer.core.stores.edit_files import save_edits
from explorer.editing import Edit, Mask
from explorer.kinds import Artefact, Curve, Field, Image, Matrix, Scores, Text
from explorer.panels.brush import Brush, line
from explorer.views import Frame

pytestmark = pytest.mark.gui
LONG = 120_000  # ms: the first import of torch on a busy machine
POINT = "_blocks.7"


def type_edit(window: Any, text: str) -> None:
    window.commands["edit-type"].trigger()
    window.edit_list.field.setText(text)
    QTest.keyClick(window.edit_list.field, Qt.Key.Key_Return)


def test_a_typed_edit_is_in_force(window: Any) -> None:
    type_edit(window, f"{POINT}:3,5-7[0:4, :]=scale:2")
    assert window.edit_list.texts() == [f"{POINT} #3,5-7 [0:4, :] × 2"]
    assert window.runner.asked.edits[-1] == (
        Edit(POINT, (3, 5, 6, 7), "scale", 2.0, region=(0, 4, 0, 2**31 - 1)),
    )
    assert window.edit_list.field.text() == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [(f"{POINT}:3", "write LAYER:UNIT=zero"), ("_blocks.77:3=zero", "did you mean _blocks.7")],
)
def test_an_edit_typed_wrongly_says_so_and_changes_nothing(
    window: Any, text: str, says: str
) -> None:
    type_edit(window, text)
    assert says in window.status_bar.message.text() or says in window.status_bar.message.toolTip()
    assert window.edit_book.edits == ()


def test_edits_are_ordered_switched_and_each_step_undone(window: Any) -> None:
    book = window.edit_book
    first, second = Edit(POINT, (1,), "add", 1.0), Edit(POINT, (1,), "scale", 3.0)
    book.add(first)
    book.add(second)
    book.move(1, -1)
    assert window.runner.asked.edits[-1] == (second, first)
    book.switch(0)
    assert window.edit_list.texts()[0] == f"{POINT} #1 × 3 (off)"
    for wanted in ((second, first), (first, second), (first,), ()):
        window.commands["undo"].trigger()
        assert book.edits == wanted


def test_edits_are_saved_and_loaded_as_one_step(window: Any, tmp_path: Path) -> None:
    book, path = window.edit_book, tmp_path / "mine.json"
    book.add(Edit(POINT, (1,), "clamp", 0.0, 1.0))
    kept = book.edits
    window.surgery.save(str(path))
    book.clear()
    window.surgery.load(str(path))
    assert book.edits == kept
    window.commands["undo"].trigger()
    assert book.edits == ()


def test_a_wrong_file_of_edits_changes_nothing(window: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"layerscope": "edits 1", "edits": [{"point": 3}]}', encoding="utf-8")
    window.edit_book.add(Edit(POINT, (1,)))
    window.surgery.load(str(path))
    assert len(window.edit_book.edits) == 1
    assert "bad.json" in window.status_bar.message.text()


def test_x_leaves_painted_and_regional_edits_alone(window: Any) -> None:
    book = window.edit_book
    book.paint(POINT, 3, np.eye(5, dtype=bool))
    book.toggle_zero(POINT, 3)
    assert [e.mask is None for e in book.edits] == [False, True]
    book.toggle_zero(POINT, 3)
    assert [e.mask is None for e in book.edits] == [False]


def test_strokes_on_one_unit_add_up(window: Any) -> None:
    cells = np.zeros((4, 4), bool)
    cells[1, 1] = True
    window.edit_book.paint(POINT, 3, cells)
    window.edit_book.paint(POINT, 3, cells.T[::-1])
    (edit,) = window.edit_book.edits
    assert edit.mask is not None
    assert (edit.mask.array() == (cells | cells.T[::-1])).all()
    window.commands["undo"].trigger()
    assert window.edit_book.edits[0].mask == Mask.of(cells)


def test_a_stroke_passes_every_cell_on_its_way() -> None:
    assert (line((0.5, 0.5), (3.5, 3.5), (5, 5)) == np.diag([1, 1, 1, 1, 0])).all()
    assert line((-2.0, 1.5), (9.0, 1.5), (3, 4)).sum(1).tolist() == [0, 4, 0]
    assert line((1.2, 2.7), (1.2, 2.7), (3, 4)).nonzero() == (2, 1)


def test_a_drag_with_the_brush_paints_zeros(window: Any, qtbot: Any) -> None:
    panel = window.centre.panel()
    panel.select(4)
    (brush,) = panel.findChildren(Brush)
    brush.button.click()
    view = panel.detail.view
    qtbot.waitUntil(lambda: view.viewport().width() > 20)
    height, width = panel.page.rendered.map_size
    start, end = view.screen(0.5, height - 0.5), view.screen(width - 0.5, height - 0.5)
    port = view.viewport()
    QTest.mousePress(port, Qt.MouseButton.LeftButton, pos=start.toPoint())
    QTest.mouseMove(port, start.toPoint() + QPoint(3, 0))
    QTest.mouseMove(port, end.toPoint())
    assert brush.stroke.cells.any(), "the stroke is seen before it ends"
    QTest.mouseRelease(port, Qt.MouseButton.LeftButton, pos=end.toPoint())
    assert not brush.stroke.cells.any()
    (edit,) = window.edit_book.edits
    assert (edit.point, edit.units, edit.op) == (panel.point, (4,), "zero")
    assert edit.mask is not None
    wanted = np.zeros((height, width), bool)
    wanted[-1] = True
    assert (edit.mask.array() == wanted).all()
    brush.button.click()
    assert view.drag_mode == "pan"


def test_hold_needs_a_unit_and_on_a_still_holds_what_comes_first(window: Any) -> None:
    window.commands["hold-unit"].trigger()
    assert window.edit_book.edits == ()
    window.centre.panel().select(2)
    window.commands["hold-unit"].trigger()
    assert window.edit_book.edits == (Edit(window.centre.current, (2,), "freeze"),)


def test_the_menu_of_a_panel_acts_on_its_selected_unit(window: Any) -> None:
    panel = window.centre.panel()
    panel.select(2)
    menu = panel.menu()
    one = next(a.menu() for a in menu.actions() if a.text() == "Edit unit 2")
    words = {a.text(): a for a in one.actions()}
    words["Zero all others"].trigger()
    (edit,) = window.edit_book.edits
    assert edit.op == "zero"
    assert set(edit.units) == set(range(panel.page.count)) - {2}
    menu.deleteLater()


def before_after(*pairs: tuple[Artefact, Artefact | None]) -> Frame:
    now = tuple(after for after, _ in pairs)
    return Frame(9, 0, 0, now, last=True, before=tuple(was for _, was in pairs if was is not None))


def test_pictures_from_before_stand_beside_and_go_with_the_edit(window: Any, qtbot: Any) -> None:
    dark, light = (np.full((8, 8, 3), v, np.uint8) for v in (0, 51))
    name = "input/photo"
    window.presenter.show(before_after((Image(name, light), Image(name, dark))))
    panels = window.presenter.groups["input"].panels
    qtbot.waitUntil(lambda: f"photo{SUFFIX}" in panels)
    assert (panels[f"photo{SUFFIX}"].artefact.image == dark).all()
    assert window.edit_list.changes() == ["photo: 51 of 255 on average"]
    window.edit_list.beside_wanted.emit(False)
    assert f"photo{SUFFIX}" not in panels
    window.edit_list.beside_wanted.emit(True)
    qtbot.waitUntil(lambda: f"photo{SUFFIX}" in panels)
    window.presenter.show(before_after((Image(name, dark), None)))
    assert f"photo{SUFFIX}" not in panels
    assert window.edit_list.changes() == []


def scored(*values: float) -> Scores:
    return Scores("p/top", np.array(values), ("cat", "dog", "emu"))


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        (scored(0.62, 0.3, 0.08), scored(0.11, 0.3, 0.59), "cat 0.62 → 0.11, now emu 0.59"),
        (scored(0.62, 0.3, 0.08), scored(0.5, 0.3, 0.2), "cat 0.62 → 0.5"),
        (scored(0.62, 0.3, 0.08), scored(np.nan, 0.3, 0.2), "cat 0.62 → NaN, now dog 0.3"),
        (scored(0.6, 0.3, 0.1), Scores("p/top", np.array([0.9]), ("dog",)),
         "cat 0.6 → not listed, now dog 0.9"),
        (Field("p/f", np.array([[3.0, 4.0]])), Field("p/f", np.array([[3.0, 3.0]])),
         "moved by 20 %"),
        (Matrix("p/m", np.zeros((2, 2))), Matrix("p/m", np.ones((2, 2))), "was zero"),
        (Matrix("p/m", np.zeros((2, 2))), Matrix("p/m", np.ones((3, 2))), "another shape"),
        (Matrix("p/m", np.ones((2, 2))), Matrix("p/m", np.full((2, 2), np.inf)),
         "no longer finite"),
        (Curve("p/c", np.arange(2), np.array([3.0, 4])),
         Curve("p/c", np.arange(2), np.array([3.0, 3])), "moved by 20 %"),
        (Text("p/t", "says 4"), Text("p/t", "says 7"), "“says 4” → “says 7”"),
    ],
)  # fmt: skip
def test_a_change_is_one_number_or_two(was: Artefact, now: Artefact, words: str) -> None:
    assert change(was, now) == words


def test_a_real_network_on_a_clip_shows_both_worlds(
    real_window: Any, qtbot: Any, tmp_path: Path
) -> None:
    from explorer.core.paths import assets

    path = tmp_path / "edits.json"
    save_edits(path, (Edit(POINT, mask=Mask.of(np.ones((1, 1), bool))),))
    window = real_window()
    window.intake.take_paths([str(assets() / "bunny.mp4")])
    qtbot.waitUntil(lambda: window.presenter.frame.frame > 0, timeout=LONG)
    window.surgery.load(str(path))
    bars = window.presenter.groups["prediction"].panels["top classes"].bars
    qtbot.waitUntil(lambda: len(bars.before) == len(bars.labels), timeout=LONG)
    qtbot.waitUntil(lambda: bool(window.edit_list.changes()), timeout=LONG)
    assert window.edit_list.changes()[0].startswith("top classes: ")
    first = window.presenter.frame.frame
    qtbot.waitUntil(lambda: window.presenter.frame.frame > first, timeout=LONG)
    assert window.presenter.frame.before
    window.playing.set_playing(playing=False)
    window.commands["undo"].trigger()
    qtbot.waitUntil(lambda: not bars.before, timeout=LONG)
    assert window.edit_list.changes() == []
