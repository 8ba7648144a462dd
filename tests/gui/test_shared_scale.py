"""Matrices of one group: who shares a range with whom, and how their rows stand."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtGui import QFontMetrics
from pytestqt.qtbot import QtBot

from explorer import colours
from explorer.kinds import Matrix, Scores
from explorer.panels.colour_bar import ColourBar
from explorer.panels.group import GroupPanel
from explorer.panels.group_grid import columns_for, least_size, whole_rows
from explorer.panels.header import NARROW, Header
from explorer.panels.matrix import MatrixPanel
from explorer.panels.scores import ScoresPanel
from explorer.panels.theme import font

pytestmark = pytest.mark.gui


def matrix(item: str, top: float, share: str = "", *, own: bool = False) -> Matrix:
    values = np.linspace(0.0, top, 12).reshape(3, 4)
    return Matrix(f"gram/{item}", values, scale="sequential", share=share, own_scale=own)


def limits(group: GroupPanel, item: str) -> tuple[float, float]:
    panel = group.panels[item]
    assert isinstance(panel, MatrixPanel)
    assert isinstance(panel.artefact, Matrix)
    return panel.limits(panel.artefact)


def filled(qtbot: QtBot, *matrices: Matrix) -> GroupPanel:
    group = GroupPanel()
    qtbot.addWidget(group)
    group.resize(800, 300)
    for made in matrices:
        group.add(made)
    group.share_scale()
    return group


def test_matrices_of_one_key_share_a_range_and_others_do_not(qtbot: QtBot) -> None:
    group = filled(
        qtbot, matrix("1 style", 2, "1"), matrix("1 canvas", 5, "1"), matrix("2 style", 90, "2"),
        matrix("2 canvas", 30, "2"), matrix("2 apart", 7, "2", own=True), matrix("3", 4, "3"),
    )  # fmt: skip
    assert limits(group, "1 style") == limits(group, "1 canvas") == (0, 5)
    assert limits(group, "2 style") == limits(group, "2 canvas") == (0, 90)
    assert limits(group, "2 apart") == (0, 7)
    assert limits(group, "3") == (0, 4)


def test_matrices_without_a_key_share_one_range_of_the_group(qtbot: QtBot) -> None:
    group = filled(qtbot, matrix("a", 2), matrix("b", 5), matrix("c", 90, "c"))
    assert limits(group, "a") == limits(group, "b") == (0, 5)


def test_a_new_range_reaches_all_that_share_it(qtbot: QtBot) -> None:
    group = filled(qtbot, matrix("a", 2, "1"), matrix("b", 5, "1"))
    group.add(matrix("b", 11, "1"))
    group.share_scale()
    assert limits(group, "a") == (0, 11)


def test_rows_hold_all_that_share_a_range() -> None:
    shown = [matrix(f"{layer} {k}", 1, str(layer)) for layer in range(5) for k in range(4)]
    assert [whole_rows(list(shown), n) for n in (1, 2, 3, 4, 7, 9)] == [1, 2, 2, 4, 4, 8]
    assert whole_rows([*shown, matrix("lone", 1)], 7) == 7
    assert whole_rows([], 3) == 3


def test_items_keep_a_size_that_can_be_read_and_the_group_scrolls(qtbot: QtBot) -> None:
    wide, tall = least_size(matrix("item", 1))
    group = GroupPanel()
    qtbot.addWidget(group)
    group.resize(2 * wide + 30, 320)
    for i in range(20):
        group.add(matrix(f"item {i}", 1))
    group.show()
    qtbot.waitExposed(group)
    assert all(panel.height() >= tall for panel in group.panels.values())
    assert len({panel.x() for panel in group.panels.values()}) == 2
    assert group._scroll.verticalScrollBar().maximum() > 0


def test_a_row_of_four_stays_whole_in_a_narrow_dock() -> None:
    grams = [
        Matrix(f"gram/{layer} {k}", np.eye(48), share=str(layer)) for layer in range(5)
        for k in ("style", "canvas", "content", "difference")
    ]  # fmt: skip
    assert columns_for(grams, 390, 380) == 4
    assert columns_for(grams, 340, 380) == 2


def test_items_stand_side_by_side_before_they_scroll() -> None:
    scores = [Scores(f"g/{name}", np.zeros(10, np.float32)) for name in ("before", "after")]
    assert columns_for(scores, 380, 250) == 2  # one above the other, each would need 184 px
    assert columns_for(scores, 380, 500) == 1
    assert columns_for(scores, 200, 250) == 1  # no room beside: the group scrolls


def test_ten_scores_are_all_seen_in_a_low_dock(qtbot: QtBot) -> None:
    group = GroupPanel()
    qtbot.addWidget(group)
    scores = Scores("g/digits", np.linspace(0, 1, 10), labels=list("0123456789"))
    group.resize(380, least_size(scores)[1])
    group.add(scores)
    group.show()
    qtbot.waitExposed(group)
    panel = group.panels["digits"]
    assert isinstance(panel, ScoresPanel)
    assert panel._scroll.verticalScrollBar().maximum() == 0
    assert panel.bars.pitch * 10 <= panel.bars.height()
    assert panel.bars.pitch >= QFontMetrics(font("caption")).capHeight() + 2
    assert group._scroll.verticalScrollBar().maximum() == 0


def test_a_title_is_never_cut_off_and_always_told_whole(qtbot: QtBot) -> None:
    group = GroupPanel()
    qtbot.addWidget(group)
    group.resize(390, 320)
    for layer in "12345":
        for k in ("style", "canvas", "content", "difference"):
            about = {"share": layer, "note": "48 of 64 units"}
            group.add(Matrix(f"gram/conv{layer}_1 {k}", np.eye(48), **about))
    group.show()
    qtbot.waitExposed(group)
    for item, panel in group.panels.items():
        assert panel.width() < NARROW
        first, second = panel.header.title, panel.header.caption
        qtbot.waitUntil(lambda a=first, b=second, i=item: f"{a.shown()} {b.shown()}" == i)
        assert item in first.toolTip()
        assert "48 of 64 units" in first.toolTip()


@pytest.mark.parametrize("unit", ["", "logit"])
def test_a_narrow_colour_bar_keeps_both_numbers(qtbot: QtBot, unit: str) -> None:
    bar = ColourBar()
    qtbot.addWidget(bar)
    bar.show_range(colours.table("diverging"), -4.6412, 4.6412, unit=unit)
    bar.resize(300, 16)
    bar.show()
    side_by_side = bar.strip_place()
    assert bar.sizeHint().height() == 16
    bar.resize(78, 28)
    assert bar.sizeHint().height() == 28
    metrics = QFontMetrics(font("caption"))
    low, high = bar._ends(metrics, 78 - 8)
    assert low.startswith("−4.6")
    assert high.startswith("4.6")
    assert metrics.horizontalAdvance(low) + metrics.horizontalAdvance(high) <= 70
    assert bar.strip_place().width() > 50
    bar.resize(300, 16)
    assert bar.strip_place() == side_by_side


def test_a_long_title_is_cut_in_the_middle(qtbot: QtBot) -> None:
    header = Header()
    qtbot.addWidget(header)
    header.resize(150, 40)
    header.show_lines("layer4.0.downsample.residual", "512 units")
    header.show()
    qtbot.waitExposed(header)
    shown = header.title.shown()
    head, _, tail = shown.partition("…")
    assert QFontMetrics(header.title._face()).horizontalAdvance(shown) <= header.title.width()
    assert "layer4.0.downsample.residual".startswith(head)
    assert "layer4.0.downsample.residual".endswith(tail)
    assert min(len(head), len(tail)) > 2
    assert "layer4.0.downsample.residual · 512 units" in header.title.toolTip()
