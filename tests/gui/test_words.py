"""Every word on the screen can be read: characters have glyphs, what is cut is told whole."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QFont, QTextLayout
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QLabel,
    QTabBar,
    QToolButton,
    QTreeView,
    QWidget,
)

from explorer.panels.header import ElidedLabel
from explorer.panels.theme import TYPE_SCALE, font

pytestmark = pytest.mark.gui
ROOT = Path(__file__).parents[2]
PACKAGES = ("explorer", "engines")
ENGINES = ("classify", "resnet", "style", "fast-weights")  # they need no download
LONG = 120_000  # ms


def words_of(path: Path) -> Iterator[str]:
    """The strings of a module that are no docstrings, f-strings in pieces."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def lacks_glyph(character: str, face: QFont) -> bool:
    """Whether Qt would draw a box: none of the fonts that it falls back to has the character."""
    layout = QTextLayout(character, face)
    layout.beginLayout()
    layout.createLine()
    layout.endLayout()
    return any(0 in run.glyphIndexes() for run in layout.glyphRuns())


def test_every_character_of_the_program_has_a_glyph(qapp: object) -> None:
    used: dict[str, str] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for text in words_of(path):
                used |= {c: f"{path.name}: {text[:60]!r}" for c in text if c.isprintable()}
    assert {"×", "·", "…", "−"} <= used.keys()
    assert not {"\u2329", "\u232a"} & used.keys()
    for role in TYPE_SCALE:
        assert lacks_glyph("\ue123", font(role))  # a character that no font has
        missing = {c: where for c, where in used.items() if lacks_glyph(c, font(role))}
        assert not missing, role


def plain(text: str) -> str:
    return text.replace("&", "").strip()


def told(widget: QWidget, text: str) -> bool:
    """Whether the tooltip over a widget has the whole text."""
    at: QWidget | None = widget
    while at is not None:
        if at.toolTip():
            return plain(text) in plain(at.toolTip())
        at = at.parentWidget()
    return False


def cut(widget: QWidget) -> str:
    """The text of a widget for which it has too little room; "" when all is seen."""
    metrics = widget.fontMetrics()
    if isinstance(widget, ElidedLabel):
        return widget.text() if widget.shown() != widget.text() else ""
    if isinstance(widget, QLabel):
        text = widget.text()
        one_line = text and not widget.wordWrap() and not text.startswith("<")
        wide = metrics.horizontalAdvance(text) if one_line else 0
        return text if wide > widget.contentsRect().width() + 1 else ""
    if isinstance(widget, QComboBox):
        text = widget.currentText()
        return text if metrics.horizontalAdvance(text) > widget.width() - 28 else ""
    if isinstance(widget, QAbstractButton):
        icons_only = isinstance(widget, QToolButton) and (
            widget.toolButtonStyle() is Qt.ToolButtonStyle.ToolButtonIconOnly
            and not widget.icon().isNull()
        )
        wide = 0 if icons_only else metrics.horizontalAdvance(plain(widget.text()))
        return widget.text() if wide > widget.width() else ""
    return ""


def cut_in_tree(tree: QTreeView) -> list[str]:
    """Texts of visible rows that are cut and told by no tooltip."""
    model, found = tree.model(), []
    index: QModelIndex = tree.indexAt(tree.viewport().rect().topLeft())
    while index.isValid() and tree.visualRect(index).top() < tree.viewport().height():
        for column in range(model.columnCount()):
            cell = index.siblingAtColumn(column)
            text = str(cell.data(Qt.ItemDataRole.DisplayRole) or "")
            room = tree.visualRect(cell).width()
            if room and tree.fontMetrics().horizontalAdvance(text) > room:
                tip = str(cell.data(Qt.ItemDataRole.ToolTipRole) or "")
                found += [] if text in tip else [text]
        index = tree.indexBelow(index)
    return found


def untold(window: QWidget) -> list[str]:
    """All texts in a window that are cut and told by no tooltip."""
    found = []
    for widget in window.findChildren(QWidget):
        if not widget.isVisible() or widget.visibleRegion().isEmpty():
            continue
        if isinstance(widget, QTreeView):
            found += [f"tree: {text}" for text in cut_in_tree(widget)]
        elif isinstance(widget, QTabBar):
            metrics = widget.fontMetrics()
            found += [
                f"tab: {widget.tabText(i)}" for i in range(widget.count())
                if metrics.horizontalAdvance(widget.tabText(i)) > widget.tabRect(i).width()
                and widget.tabText(i) not in widget.tabToolTip(i)
            ]  # fmt: skip
        elif (text := cut(widget)) and not told(widget, text):
            found.append(f"{type(widget).__name__}: {text}")
    return found


def test_a_cut_text_is_found_and_a_told_one_is_not(qtbot: Any) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(300, 100)
    label, title = QLabel("a rather long text", window), ElidedLabel("title", "text", window)
    label.setGeometry(0, 0, 30, 20)
    title.setGeometry(0, 30, 30, 20)
    title.set_text("another rather long text")
    window.show()
    assert untold(window) == ["QLabel: a rather long text"]
    label.setToolTip("whole: a rather long text")
    assert untold(window) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_cut_in_the_first_layout_is_told_whole(
    real_window: Any, qtbot: Any, engine: str
) -> None:
    window = real_window(engine=engine)
    window.resize(1440, 900)
    groups = window.presenter.groups
    qtbot.waitUntil(lambda: sum(len(g.panels) for g in groups.values()) > 2, timeout=LONG)
    qtbot.waitUntil(lambda: not window.presenter.drawing, timeout=LONG)
    window.playing.set_playing(playing=False)
    window.grab()
    assert window.size().toTuple() == (1440, 900)
    assert len([w for w in window.findChildren(QLabel) if w.isVisible()]) > 8
    assert not untold(window)
