"""Matrices of one group: who shares a range with whom, and how their rows stand."""

from __future__ import annotations

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from explorer.kinds import Matrix
from explorer.panels.group import LEAST, GroupPanel, whole_rows
from explorer.panels.matrix import MatrixPanel

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
    group = GroupPanel()
    qtbot.addWidget(group)
    group.resize(2 * LEAST[0] + 30, 320)
    for i in range(20):
        group.add(matrix(f"item {i}", 1))
    group.show()
    qtbot.waitExposed(group)
    assert all(panel.height() >= LEAST[1] for panel in group.panels.values())
    assert len({panel.x() for panel in group.panels.values()}) == 2
    assert group._scroll.verticalScrollBar().maximum() > 0
