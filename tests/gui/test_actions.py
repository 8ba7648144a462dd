"""The table of commands: keys, menus and palette entries come from one place."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QCheckBox, QLineEdit, QMainWindow, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from explorer.app.actions import ACTIONS, LAYOUTS, Commands
from explorer.app.keys import KeysOverlay
from explorer.panels.icons import icon_names
from explorer.panels.theme import DARK

pytestmark = pytest.mark.gui


@pytest.fixture
def window(qtbot: QtBot) -> QMainWindow:
    made = QMainWindow()
    qtbot.addWidget(made)
    centre = QWidget()
    made.setCentralWidget(centre)
    QVBoxLayout(centre)
    made.resize(900, 600)
    made.show()
    return made


def press(qtbot: QtBot, window: QWidget, keys: str) -> None:
    qtbot.keySequence(window.focusWidget() or window, QKeySequence(keys))


def told(commands: Commands) -> list[str]:
    seen: list[str] = []
    commands.triggered.connect(seen.append)
    return seen


def test_ids_are_unique_and_every_row_can_be_found_by_a_person() -> None:
    ids = [row.id for row in ACTIONS]
    assert len(ids) == len(set(ids))
    for row in ACTIONS:
        assert row.menu, row.id
        assert row.submenu or row.help, row.id
        assert row.icon in icon_names(), row.id
    assert set(LAYOUTS.values()) <= set(ids)


def test_the_table_has_no_two_commands_of_one_key(qtbot: QtBot, window: QMainWindow) -> None:
    assert Commands(window).conflicts == ()


@pytest.mark.parametrize(
    ("keys", "command"),
    [
        ("Ctrl+O", "open-file"), ("C", "open-camera"), ("Ctrl+V", "paste"), ("Ctrl+E", "export"),
        ("Space", "play"), ("F", "freeze"), (",", "step-back"), (".", "step-forward"),
        ("Ctrl+R", "run"), ("F5", "run"), ("Esc", "cancel"), ("Ctrl+Z", "undo"),
        ("Ctrl+Shift+Z", "redo"), ("X", "zero-unit"), ("[", "scale-down"), ("]", "scale-up"),
        ("S", "order"), ("N", "scale"), ("PgDown", "next-layer"), ("Ctrl+K", "palette"),
        ("Ctrl+Shift+P", "palette"), ("Ctrl+1", "layout-units"), ("Ctrl+5", "layout-attention"),
        ("F1", "tour"),
    ],
)  # fmt: skip
def test_a_key_gives_its_command(
    qtbot: QtBot, window: QMainWindow, keys: str, command: str
) -> None:
    commands = Commands(window)
    seen = told(commands)
    press(qtbot, window, keys)
    assert seen == [command]


def test_typing_in_a_field_gives_no_command(qtbot: QtBot, window: QMainWindow) -> None:
    field = QLineEdit()
    window.centralWidget().layout().addWidget(field)
    seen = told(Commands(window))
    field.setFocus()
    qtbot.keyClicks(field, "fx s.")
    assert field.text() == "fx s."
    assert seen == []


def test_space_belongs_to_a_focused_box_and_comes_back(qtbot: QtBot, window: QMainWindow) -> None:
    box, field = QCheckBox("tick"), QLineEdit()
    for widget in (box, field):
        window.centralWidget().layout().addWidget(widget)
    seen = told(Commands(window))
    qtbot.waitUntil(box.isVisible)
    window.activateWindow()
    box.setFocus()
    qtbot.waitUntil(box.hasFocus)
    qtbot.keyClick(box, Qt.Key.Key_Space)
    assert box.isChecked()
    assert seen == []
    field.setFocus()
    box.setEnabled(False)
    window.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    window.setFocus()
    press(qtbot, window, "Space")
    assert seen == ["play"]


def test_keys_are_rebound_and_conflicts_are_told(qtbot: QtBot, window: QMainWindow) -> None:
    rebound = {
        "export": "Ctrl+J", "freeze": "Ctrl+O", "nonsense": "Ctrl+L", "train": "",
        "copy-picture": "Blah+X",
    }  # fmt: skip
    commands = Commands(window, rebound)
    assert any("nonsense" in line for line in commands.conflicts)
    assert any("Ctrl+O" in line and "Open file" in line for line in commands.conflicts)
    assert any("'Blah+X'" in line for line in commands.conflicts)
    assert len(commands.conflicts) == 3
    assert commands.keys("train") == ""
    seen = told(commands)
    for keys in ("Ctrl+J", "Ctrl+E", "Ctrl+O"):
        press(qtbot, window, keys)
    assert seen == ["export", "freeze"]
    assert "Ctrl+J" in commands["export"].toolTip()


def test_menus_hold_every_command_and_empty_ones_say_so(qtbot: QtBot, window: QMainWindow) -> None:
    commands = Commands(window)
    commands.fill(window.menuBar())
    commands.set_theme(DARK)
    for row in ACTIONS:
        if not row.submenu:
            assert commands[row.id] in commands.menu(row.menu).actions(), row.id
    assert [a.text() for a in commands.menu("recent").actions()] == ["None yet"]
    done: list[str] = []
    commands.set_items("recent", [("a & b.png", lambda: done.append("a"))])
    action = commands.menu("recent").actions()[0]
    assert action.text() == "a && b.png"
    action.trigger()
    assert done == ["a"]


def test_devices_exclude_one_another(qtbot: QtBot, window: QMainWindow) -> None:
    commands = Commands(window)
    commands["device-cpu"].trigger()
    commands["device-cuda"].trigger()
    assert not commands["device-cpu"].isChecked()
    assert commands["device-cuda"].isChecked()


def test_entries_leave_out_what_cannot_be_done(qtbot: QtBot, window: QMainWindow) -> None:
    commands = Commands(window)
    commands["train"].setEnabled(False)
    commands["layout-style"].setVisible(False)
    titles = [entry.title for entry in commands.entries()]
    assert "Train" not in titles
    assert "Style" not in titles
    assert "Export" in titles


def test_the_key_list_shows_what_is_bound_now_and_any_key_closes_it(
    qtbot: QtBot, window: QMainWindow
) -> None:
    commands = Commands(window, {"export": "Ctrl+J"})
    seen = told(commands)
    overlay = KeysOverlay(window, commands)
    overlay.open()
    assert overlay.isVisible()
    assert ("File", "Ctrl+J", "Export") in overlay.rows()
    qtbot.keyClick(overlay, Qt.Key.Key_F)
    assert not overlay.isVisible()
    assert seen == []
