"""The palette finds anything by typing: one key, some letters, Enter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QMainWindow
from pytestqt.qtbot import QtBot

from explorer.app.actions import Commands
from explorer.app.palette import CommandPalette, Entry, rank, score
from explorer.panels.theme import LIGHT

pytestmark = pytest.mark.gui
LAYERS = ["conv1", "layer1", "layer1.0.conv1", "layer2", "layer2.0", "layer2.3.act3", "fc"]


def entries(done: list[str]) -> list[Entry]:
    layers = [
        Entry(name, "layer", "Conv2d · 512 × 28 × 28", "", lambda name=name: done.append(name))
        for name in LAYERS
    ]
    return [
        *layers,
        Entry("Play or pause", "command", "the clip", "Space", lambda: done.append("play")),
        Entry("Style transfer", "engine", "Gatys", "", lambda: done.append("style")),
    ]


@pytest.fixture
def window(qtbot: QtBot) -> QMainWindow:
    made = QMainWindow()
    qtbot.addWidget(made)
    made.setCentralWidget(QLineEdit())
    made.resize(900, 600)
    made.show()
    return made


def test_layer2_and_enter_goes_to_layer2(qtbot: QtBot, window: QMainWindow) -> None:
    done: list[str] = []
    palette = CommandPalette(window)
    palette.add_source(lambda: entries(done))
    palette.set_theme(LIGHT)
    palette.open()
    qtbot.keyClicks(palette.field, "layer2")
    assert [entry.title for entry in palette.shown()] == ["layer2", "layer2.0", "layer2.3.act3"]
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert done == ["layer2"]
    assert not palette.isVisible()


def test_arrows_choose_and_escape_closes(qtbot: QtBot, window: QMainWindow) -> None:
    done: list[str] = []
    palette = CommandPalette(window)
    palette.add_source(lambda: entries(done))
    window.centralWidget().setFocus()
    palette.open()
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible()
    assert window.focusWidget() is window.centralWidget()
    palette.open("layer")
    shown = palette.shown()
    for _ in range(3):
        qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    qtbot.keyClick(palette.field, Qt.Key.Key_Up)
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert done == [shown[2].title]


def test_a_click_does_the_entry(qtbot: QtBot, window: QMainWindow) -> None:
    done: list[str] = []
    palette = CommandPalette(window)
    palette.add_source(lambda: entries(done))
    palette.open("style")
    place = palette.list.visualItemRect(palette.list.item(0)).center()
    qtbot.mouseClick(palette.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert done == ["style"]


def test_entries_are_asked_for_at_every_opening(qtbot: QtBot, window: QMainWindow) -> None:
    names = ["one"]
    palette = CommandPalette(window)
    palette.add_source(lambda: [Entry(n, "layer", "", "", lambda: None) for n in names])
    palette.open()
    palette.close_palette()
    names.append("two")
    palette.open()
    assert [entry.title for entry in palette.shown()] == ["one", "two"]


def test_no_match_says_so_and_enter_does_nothing(qtbot: QtBot, window: QMainWindow) -> None:
    done: list[str] = []
    palette = CommandPalette(window)
    palette.add_source(lambda: entries(done))
    palette.open("qqqq")
    assert palette.empty.isVisible()
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert done == []
    assert palette.isVisible()


def test_keys_typed_here_give_no_command(qtbot: QtBot, window: QMainWindow) -> None:
    commands = Commands(window)
    seen: list[str] = []
    commands.triggered.connect(seen.append)
    palette = CommandPalette(window)
    palette.add_source(commands.entries)
    palette.open()
    qtbot.keyClicks(palette.field, "freeze")
    qtbot.keyClick(palette.field, Qt.Key.Key_PageDown)
    assert seen == []
    assert palette.shown()[0].title == "Freeze"
    assert palette.shown()[0].shortcut == "F"
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert seen == ["freeze"]


def test_a_kind_or_a_shape_is_found_too() -> None:
    found = rank("512", entries([]))
    assert {entry.title for entry in found} == set(LAYERS)
    assert rank("engine", entries([]))[0].title == "Style transfer"


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        ("layer2", "layer2", "layer2.0.conv1"),
        ("conv", "conv1", "layer1.conv1"),
        ("act3", "layer2.3.act3", "layer2.3.react30"),
        ("pp", "play paper", "purple hope"),
    ],
)
def test_the_closer_match_comes_first(query: str, better: str, worse: str) -> None:
    assert score(query, better) > score(query, worse)


@given(st.text(max_size=12), st.text(max_size=30))
def test_nothing_is_found_that_lacks_a_letter(query: str, text: str) -> None:
    if score(query, text) > 0:
        letters = iter(text.casefold())
        assert all(letter in letters for letter in query.casefold().replace(" ", ""))


@given(st.text(min_size=1, max_size=20))
def test_a_text_finds_itself(text: str) -> None:
    assert score(text, text) > 0
