"""Giving commands other keys: by pressing them, with conflicts, resets, and broken entries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QScrollArea

from explorer.app.actions import ACTIONS
from explorer.app.settings import Settings

pytestmark = pytest.mark.gui
CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def dialog(window: Any) -> Any:
    """The list of keys, opened by its command."""
    window.activateWindow()
    window.commands["change-keys"].trigger()
    return window.commanding.rebinding


def saved(window: Any) -> dict[str, str]:
    found: dict[str, str] = json.loads(window.settings.path.read_text("utf-8"))["shortcuts"]
    return found


def test_every_command_is_in_the_list_and_search_finds_name_and_key(
    window: Any, dialog: Any
) -> None:
    commands = [row.id for row in ACTIONS if not row.submenu]
    assert list(dialog.rows()) == [name for name in commands if window.commands[name].isVisible()]
    assert {"quit", "zero-unit", "next-unit", "keys", "change-keys"} <= set(dialog.rows())
    QTest.keyClicks(dialog.field, "freeze")
    assert dialog.rows() == {"freeze": ("F", "F")}
    dialog.field.setText("ctrl+e")
    assert "export" in dialog.rows()


def test_a_pressed_key_is_in_force_at_once_and_kept(window: Any, dialog: Any) -> None:
    dialog.field.setText("freeze")
    QTest.keyClick(dialog.field, Qt.Key.Key_Return)
    assert "Press the new key" in dialog.said.text()
    QTest.keyClick(dialog.list, Qt.Key.Key_J, CONTROL)
    assert dialog.rows()["freeze"] == ("Ctrl+J", "F")
    assert saved(window) == {"freeze": "Ctrl+J"}
    QTest.keyClick(dialog.list, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    window.setFocus()
    QTest.keyClick(window, Qt.Key.Key_F)
    assert not window.playing.frozen
    QTest.keyClick(window, Qt.Key.Key_J, CONTROL)
    assert window.playing.frozen
    assert "Ctrl+J" in window.transport.buttons["freeze"].toolTip()
    assert ("Run", "Ctrl+J", "Freeze") in window.commanding.keys.rows()


def test_a_taken_key_says_whose_it_is_and_is_taken_at_the_second_press(
    window: Any, dialog: Any
) -> None:
    dialog.choose("freeze")
    dialog.ask()
    QTest.keyClick(dialog.list, Qt.Key.Key_X)
    assert "Zero unit" in dialog.said.text()
    assert window.commands.keys("zero-unit") == "X"
    QTest.keyClick(dialog.list, Qt.Key.Key_X)
    assert window.commands.keys("freeze") == "X"
    assert window.commands.keys("zero-unit") == ""
    assert "has lost it" in dialog.said.text()
    assert saved(window) == {"freeze": "X", "zero-unit": ""}
    dialog.choose("zero-unit")
    dialog.reset.click()
    assert window.commands.keys("zero-unit") == "X"
    assert window.commands.keys("freeze") == ""
    dialog.reset_all.click()
    assert window.commands.keys("freeze") == "F"
    assert saved(window) == {}
    assert window.commands.conflicts == ()


def test_escape_gives_up_and_delete_takes_a_key_away(window: Any, dialog: Any) -> None:
    dialog.choose("order")
    dialog.ask()
    QTest.keyClick(dialog.list, Qt.Key.Key_Escape)
    assert dialog.isVisible()
    assert window.commands.keys("order") == "S"
    QTest.keyClick(dialog.list, Qt.Key.Key_Delete)
    assert window.commands.keys("order") == ""
    assert saved(window) == {"order": ""}


def test_while_the_list_is_open_no_key_gives_a_command(window: Any, dialog: Any) -> None:
    QTest.keyClick(dialog.list, Qt.Key.Key_F)
    QTest.keyClick(dialog.close_button, Qt.Key.Key_X)
    assert not window.playing.frozen
    assert window.edit_book.edits == ()


def test_two_keys_of_one_command_are_one_entry(make_window: Any, home: Path) -> None:
    settings = Settings()
    settings.values.shortcuts = {"freeze": "Ctrl+J; F9", "step-back": ","}
    window = make_window(settings=settings)
    assert window.commands.conflicts == ()
    assert window.commands.all_keys("freeze") == "Ctrl+J, F9"
    assert window.commands.keys("step-back") == ","


def test_a_broken_entry_never_stops_the_start(make_window: Any, home: Path) -> None:
    settings = Settings()
    settings.values.shortcuts = {"freeze": "No such key", "gone": "Ctrl+J", "order": "Ctrl+O"}
    window = make_window(settings=settings)
    assert "Warning" in window.toast.text.text()
    assert window.commands.keys("freeze") == "F"
    assert window.commands.keys("order") == "Ctrl+O"
    assert window.commands.keys("open-file") == ""
    window.commands["change-keys"].trigger()
    window.commanding.rebinding.reset_all.click()
    assert window.commands.keys("freeze") == "F"
    assert window.commands.keys("open-file") == "Ctrl+O"


@pytest.mark.parametrize("width", [1100, 1280, 1440])
def test_the_list_of_keys_needs_no_scrolling_across(window: Any, width: int) -> None:
    window.resize(width, 760)
    window.commands["keys"].trigger()
    overlay = window.commanding.keys
    scroll = overlay.findChild(QScrollArea)
    QApplication.processEvents()
    assert scroll.widget().minimumSizeHint().width() <= scroll.viewport().width()
    assert window.rect().contains(overlay.geometry())
