"""The first five minutes of UX.md, line by line, each test named after its line's id.

A0.2 and A5.3 run the real runner with the real network; the others look at what the window does,
on a runner of numpy. A6.1 and A6.2 are in test_drop.py, A0.1's imports in test_startup.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from explorer.app.card import HintStrip
from explorer.app.settings import Settings

pytestmark = pytest.mark.gui
LONG = 120_000  # ms: the first import of torch on a busy machine


def dock_sizes(window: Any) -> dict[str, tuple[int, int]]:
    docks = [*window.fixed_docks(), *window.engine_docks.docks.values()]
    return {d.objectName(): (d.width(), d.height()) for d in docks}


def test_a0_1_final_layout_before_anything_is_loaded(make_window: Any, qtbot: Any) -> None:
    window = make_window(show=False)
    with qtbot.waitSignal(window.painted):
        window.show()
    before = dock_sizes(window)
    assert "Loading torch" in window.status_bar.progress.text.text()
    with qtbot.waitSignal(window.awoken, timeout=LONG):
        pass
    after = dock_sizes(window)
    moves = {n: np.abs(np.subtract(before[n], after[n])).max() for n in before}
    assert max(moves.values()) <= 8, moves


def test_a0_2_the_sample_runs_by_itself(real_window: Any, home: Path) -> None:
    window = real_window()
    assert window.row.name == "classify"
    kinds = {a.group: a for a in window.presenter.frame.artefacts}
    top = kinds["prediction"]
    assert {"tabby", "tiger cat", "Egyptian cat"} & set(top.labels[:3])
    assert window.engine_docks.docks["input"].isVisible()
    assert window.centre.panel().arrays()["maps"].shape[0] == 80  # every unit of the layer
    assert window.status_bar.pill.text() == "trained"
    assert window.status_bar.pill.isVisible()


def test_a0_3_one_hint_that_goes_for_good(make_window: Any, home: Path) -> None:
    window = make_window(settings=Settings())
    assert window.hint.isVisible()
    assert window.hint.text.text() == HintStrip.WORDS
    window.centre.panel().select(1)
    assert not window.hint.isVisible()
    window.close()
    again = make_window(settings=Settings())
    assert not again.hint.isVisible()


def test_a1_1_the_file_name_shows_and_maps_follow(window: Any, qtbot: Any) -> None:
    runs = len(window.runner.asked.runs)
    window.sources.give_pixels("image", np.zeros((9, 9, 3), np.uint8), "мой кот.png")
    assert len(window.runner.asked.runs) == runs + 1
    assert "мой кот.png" in window.room.slots.rows["image"].file.text()


def test_a1_1_a_camera_that_is_not_there_is_a_card(window: Any, qtbot: Any) -> None:
    before = window.sources.source("image")
    window.commands["open-camera"].trigger()
    qtbot.waitUntil(lambda: bool(window.cards.shown()), timeout=30_000)
    assert window.sources.source("image") is before


def test_a1_2_any_layer_by_typing(window: Any, qtbot: Any) -> None:
    QTest.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    field = window.commanding.palette.field
    qtbot.waitUntil(field.hasFocus)
    QTest.keyClicks(field, "conv_head")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert window.centre.current == "_conv_head"
    qtbot.waitUntil(lambda: bool(window.centre.panel().arrays()))


def test_a1_1_a_picture_is_pasted_with_ctrl_v(window: Any, qtbot: Any) -> None:
    picture = QImage(30, 20, QImage.Format.Format_RGB888)
    picture.fill(QColor(10, 200, 30))
    QGuiApplication.clipboard().setImage(picture)
    window.activateWindow()
    window.setFocus()
    QTest.keyClick(window, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    shown = window.runner.asked.runs[-1][0]["image"].pixels
    assert shown.shape == (20, 30, 3)
    assert shown[3, 4].tolist() == [10, 200, 30]


def test_a1_2_each_row_says_name_kind_shape_and_activity(window: Any) -> None:
    from explorer.app.layer_model import ACTIVE, SHAPE

    tree = window.layers.tree
    assert not tree.isColumnHidden(SHAPE)
    assert tree.isColumnHidden(ACTIVE) == tree.itemDelegate().bars  # then it is below the shape
    node = window.layers.model.nodes["_conv_stem"]
    assert (node.tail, node.text(SHAPE)) == ("_conv_stem", "32 × 28 × 28")
    assert node.statistics.activity == 0.4


def test_a1_2_left_and_right_go_by_unit_and_the_wheel_zooms(window: Any, qtbot: Any) -> None:
    window.activateWindow()
    window.setFocus()
    for key, unit in ((Qt.Key.Key_Right, 0), (Qt.Key.Key_Right, 1), (Qt.Key.Key_Left, 0)):
        QTest.keyClick(window, key)
        assert window.looking.selected == {"_blocks.7": unit}
    view = window.centre.panel().view
    before = view.box.viewRect().width()
    middle = QPointF(view.viewport().rect().center())
    none = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    over = view.viewport().mapToGlobal(middle)
    turn = QWheelEvent(
        middle, over, QPoint(), QPoint(0, 120), *none, Qt.ScrollPhase.NoScrollPhase, False
    )
    QApplication.sendEvent(view.viewport(), turn)
    assert view.box.viewRect().width() < before


def test_a1_2_down_moves_by_layer(window: Any) -> None:
    window.layers.tree.setFocus()
    before = window.centre.current
    QTest.keyClick(window.layers.tree, Qt.Key.Key_Down)
    assert window.centre.current != before
    assert window.centre.current == window.layers.current()


def test_a1_3_the_header_says_what_the_layer_is(window: Any) -> None:
    header = window.centre.panel().header.text()
    for part in ("_blocks.7", "Conv2d", "80 units", "7×7", "float32", "0 … 1", "% dead"):
        assert part in header


def test_a2_1_a_clicked_unit_is_selected_and_its_field_is_on_the_photo(
    window: Any, qtbot: Any
) -> None:
    panel = window.centre.panel()
    fields: list[Any] = []
    panel.field_marked.connect(fields.append)
    panel.select(5)
    assert window.looking.selected == {"_blocks.7": 5}
    panel.field_marked.emit((1.0, 2.0, 30.0, 40.0))
    pictures = window.presenter.pictures()
    assert pictures
    assert all(p._field.corners == (1.0, 2.0, 30.0, 40.0) for p in pictures)


def test_a2_2_s_and_n_change_order_and_scale_and_the_header_says_so(
    window: Any, qtbot: Any
) -> None:
    panel = window.centre.panel()
    window.commands["order"].trigger()
    assert panel.order == "max"
    window.commands["scale"].trigger()
    assert panel.range == "unit"
    qtbot.waitUntil(lambda: window.runner.asked.views[-1][0].range == "unit")
    assert window.runner.asked.views[-1][0].order == "max"


def test_a3_1_x_ablates_the_unit_and_ctrl_z_undoes(window: Any) -> None:
    window.centre.panel().select(7)
    window.commands["zero-unit"].trigger()
    assert window.edit_list.texts() == ["_blocks.7 #7 × 0"]
    window.commands["undo"].trigger()
    assert window.edit_list.texts() == []
    assert window.runner.asked.edits[-1] == ()


def test_a3_1_hollow_bars_are_the_scores_before_the_edit(real_window: Any, qtbot: Any) -> None:
    window = real_window()
    bars = window.presenter.groups["prediction"].panels["top classes"].bars
    before = dict(zip(bars.labels, bars.scores.tolist(), strict=True))
    assert bars.before == {}
    panel = window.centre.panel()
    panel.select(3)
    window.commands["zero-unit"].trigger()
    qtbot.waitUntil(lambda: bars.scores.tolist() != list(before.values()), timeout=LONG)
    assert set(bars.before) == set(bars.labels), "also of classes that are new in the list"
    assert {k: v for k, v in bars.before.items() if k in before} == pytest.approx(
        {k: v for k, v in before.items() if k in bars.before}
    )
    assert panel.view.edited_units == (3,)
    window.commands["undo"].trigger()
    qtbot.waitUntil(lambda: bars.scores.tolist() == list(before.values()), timeout=LONG)
    assert bars.before == {}
    assert panel.view.edited_units == ()


def test_a3_1_hollow_bars_are_those_of_the_input_at_hand(real_window: Any, qtbot: Any) -> None:
    window = real_window()
    bars = window.presenter.groups["prediction"].panels["top classes"].bars
    window.centre.panel().select(3)
    window.commands["zero-unit"].trigger()
    qtbot.waitUntil(lambda: bool(bars.before), timeout=LONG)
    cat = set(bars.labels)
    window.sources.give_pixels("image", np.full((40, 40, 3), 200, np.uint8), "grey")
    qtbot.waitUntil(lambda: not cat & set(bars.labels), timeout=LONG)
    shown = dict(bars.before)
    assert set(shown) == set(bars.labels)
    window.commands["undo"].trigger()
    qtbot.waitUntil(lambda: not bars.before, timeout=LONG)
    now = dict(zip(bars.labels, bars.scores.tolist(), strict=True))
    both = set(now) & set(shown)
    assert both
    assert {k: shown[k] for k in both} == pytest.approx({k: now[k] for k in both})


def test_a0_2_the_first_photo_is_one_step_of_the_timeline(real_window: Any, qtbot: Any) -> None:
    window = real_window()
    qtbot.wait(400)  # whatever a second run would have added
    assert len(window.runner.timeline) == 1


def test_a3_2_the_strip_of_figures_is_in_the_status_bar(window: Any, qtbot: Any) -> None:
    window.runner.deliver()
    fields = window.status_bar.fields
    qtbot.waitUntil(lambda: "20.0 ms" in fields["network"].text())
    assert fields["device"].text() == "CPU"
    assert "MiB" in fields["memory"].text() or "GiB" in fields["memory"].text()


def test_a4_1_task_layouts_are_offered_when_an_engine_has_them(window: Any, qtbot: Any) -> None:
    offered = {row.layout for row in window.rows.values() if not row.problem}
    offered.add("pixel")  # the instrument of that name works for every engine
    for layout in ("units", "detector", "style", "pixel", "attention"):
        assert window.commands[f"layout-{layout}"].isVisible() == (layout in offered)
    window.commands["layout-style"].trigger()
    assert window.row.layout == "style"
    assert window.row.summary  # one sentence that says what to do first
    assert window.headline.summary.text() == window.row.summary
    qtbot.waitUntil(lambda: window.headline.summary.toolTip() == "")  # whole: nothing is cut


def test_a4_2_freeze_play_and_the_past(window: Any, qtbot: Any) -> None:
    for step in range(1, 4):
        window.runner.deliver(step=step)
    window.commands["seek-start"].trigger()
    assert window.presenter.frame.step == 0
    window.commands["step-forward"].trigger()
    assert window.presenter.frame is window.runner.timeline.at(1)
    window.commands["freeze"].trigger()
    assert window.playing.frozen
    window.commands["freeze"].trigger()


def test_a5_1_the_export_menu_offers_all_forms(window: Any) -> None:
    window.runner.deliver(step=1)
    words = [a.text() for a in window.saving.menu().actions() if not a.isSeparator()]
    assert [w for w in words if w.startswith("PNG")] == [f"PNG, {n}×" for n in (1, 2, 3, 4)]
    assert any(w.startswith("SVG") for w in words)
    assert any(w.startswith("NPZ") for w in words)
    assert any(w.startswith("MP4") for w in words)


def test_a5_1_the_copied_program_runs_alone(real_window: Any, qtbot: Any, tmp_path: Path) -> None:
    window = real_window()
    QGuiApplication.clipboard().clear()
    window.commands["copy-snippet"].trigger()
    qtbot.waitUntil(lambda: bool(QGuiApplication.clipboard().text()), timeout=60_000)
    program = tmp_path / "program.py"
    program.write_text(QGuiApplication.clipboard().text(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("_blocks.7 (80, 14, 14)")
    assert done.stdout.rstrip().endswith("equal")


def test_a5_2_the_tour_points_at_real_controls_and_never_blocks(window: Any) -> None:
    window.commands["tour"].trigger()
    assert window.tour.bubble.count.text() == "1 / 6"
    window.sources.give_pixels("image", np.zeros((9, 9, 3), np.uint8), "mine")
    window.touched("source")
    assert window.tour.bubble.count.text() == "2 / 6"
    window.looking.go_to("_conv_stem")
    assert window.tour.bubble.count.text() == "3 / 6"
    for step in window.tour._steps:
        assert window.find_part(step.target) is not None
    window.tour.bubble.skip.click()
    assert window.tour.step is None


def test_a5_3_close_and_reopen(make_window: Any, qtbot: Any, home: Path, tmp_path: Path) -> None:
    import cv2

    photo = tmp_path / "mein Foto.png"
    photo.write_bytes(cv2.imencode(".png", np.full((20, 30, 3), 90, np.uint8))[1].tobytes())
    window = make_window(settings=Settings())
    window.sources.give("image", photo)
    qtbot.waitUntil(lambda: window.sources.source("image").title == photo.name)
    window.looking.on_ticked(["_blocks.7", "_conv_stem"])
    window.knobs.set_by_gesture("gain", 4.0)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, window.knobs_dock)
    window.commands["theme"].trigger()
    window.close()
    again = make_window(settings=Settings())
    qtbot.waitUntil(lambda: again.sources.source("image").title == photo.name)
    assert again.theme.name == "light"
    assert set(again.centre.points()) == {"_blocks.7", "_conv_stem"}
    assert again.centre.current == "_conv_stem"
    assert again.knobs.values()["gain"] == 4.0
    assert again.dockWidgetArea(again.knobs_dock) == Qt.DockWidgetArea.LeftDockWidgetArea
