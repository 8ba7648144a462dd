"""What is said while things go well (status bar) and when they do not (cards, strips)."""

from __future__ import annotations

import mmap

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QApplication, QLineEdit, QMainWindow, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from explorer.app.card import Card, ConsentCard, EmptyCard, ErrorCard, HintStrip, Toast
from explorer.app.status import FIELDS, StatusBar, resident_bytes
from explorer.panels.theme import DARK, font, style_sheet

pytestmark = pytest.mark.gui


def button(card: QWidget, text: str) -> QPushButton:
    return next(b for b in card.findChildren(QPushButton) if b.text() == text)


@pytest.fixture
def bar(qtbot: QtBot) -> StatusBar:
    window = QMainWindow()
    qtbot.addWidget(window)
    made = StatusBar(window)
    window.setStatusBar(made)
    window.setStyleSheet(style_sheet(DARK))
    made.set_theme(DARK)
    window.resize(1440, 300)
    window.show()
    made.window_kept = window  # type: ignore[attr-defined]
    return made


def stop(bar: StatusBar) -> None:
    for timer in (bar._every, bar._patience, bar._forget):
        timer.stop()


def test_figures_come_at_4_hz_as_means(qtbot: QtBot, bar: StatusBar) -> None:
    for network in (30.0, 40.0):
        bar.note_frame({"decode": 1.25, "network": network, "capture": 2.0}, 3.0)
    bar.note_dropped(12)
    assert bar.fields["network"].text() == ""
    qtbot.waitUntil(lambda: bar.fields["network"].text() != "", timeout=2000)
    assert bar.fields["network"].text() == "net  35.0 ms"
    assert bar.fields["draw"].text() == "draw   3.0 ms"
    assert bar.fields["dropped"].text() == "drop 12"
    assert bar.fields["fps"].text().startswith("fps ")
    stop(bar)


def test_numbers_never_jump(qtbot: QtBot, bar: StatusBar) -> None:
    QApplication.processEvents()
    before = [(f.x(), f.width()) for f in bar.fields.values()]
    bar.show_device("cuda:0")
    for value in (0.1, 9999.9):
        bar.note_frame(
            dict.fromkeys(("decode", "network", "capture"), min(value, 999.9)), value / 10
        )
        bar._refresh()
        QApplication.processEvents()
        assert [(f.x(), f.width()) for f in bar.fields.values()] == before
    for name, widest, _ in FIELDS:
        field = bar.fields[name]
        field.set_text(widest)
        assert field.shown() == widest, name
    stop(bar)


def test_the_probe_stands_at_the_left_end(bar: StatusBar) -> None:
    bar.show_probe("y 3 x 4 = 0.5")
    QApplication.processEvents()
    others = [bar.message, bar.pill, *bar.fields.values()]
    assert all(bar.probe.x() < other.x() for other in others if other.isVisible())


def test_a_narrow_window_keeps_device_and_rate(bar: StatusBar) -> None:
    bar.window().resize(800, 300)
    QApplication.processEvents()
    assert bar.fields["device"].isVisible()
    assert bar.fields["fps"].isVisible()
    assert not bar.fields["dropped"].isVisible()


def test_progress_waits_then_shows_words_and_cancel(qtbot: QtBot, bar: StatusBar) -> None:
    cancels: list[bool] = []
    bar.cancel_wanted.connect(lambda: cancels.append(True))
    bar.show_progress("Fetching weights", 0.25)
    assert not bar.progress.isVisible()
    qtbot.waitUntil(bar.progress.isVisible, timeout=2000)
    assert bar.progress.text.text() == "Fetching weights… 0 s"
    assert bar.progress.bar.value() == 250
    qtbot.mouseClick(bar.progress.cancel, Qt.MouseButton.LeftButton)
    assert cancels == [True]
    bar.clear_progress()
    assert not bar.progress.isVisible()
    stop(bar)


def test_short_work_shows_no_progress(qtbot: QtBot, bar: StatusBar) -> None:
    bar.show_progress("Reading")
    bar.clear_progress()
    qtbot.wait(350)
    assert not bar.progress.isVisible()


def test_pill_and_memory(bar: StatusBar) -> None:
    assert not bar.pill.isVisible()
    bar.show_provenance("trained here", ("MIT",))
    assert bar.pill.text() == "trained here"
    assert "MIT" in bar.pill.toolTip()
    held = resident_bytes()
    block = mmap.mmap(-1, 64 * 2**20)  # new pages, whatever the process has free
    block.write(b"x" * len(block))
    assert resident_bytes() - held > 32 * 2**20
    assert bar.fields["memory"].text().startswith("mem ")


def test_an_error_says_cause_and_remedy_and_copies_all(qtbot: QtBot) -> None:
    tried: list[str] = []
    card = ErrorCard(
        "broken.pt", "broken.pt: 300 bytes, not a zip or pickle archive",
        "Weights are safetensors or torch files.", "Traceback: line 1",
        again=lambda: tried.append("again"), another=lambda: tried.append("another"),
    )  # fmt: skip
    qtbot.addWidget(card)
    card.resize(480, 420)
    card.show()
    assert card.title.text() == "Error: broken.pt"
    assert card.mark.isVisible()
    assert not card.mark.pixmap().isNull()
    assert not card.details.isVisible()
    for text in ("Try again", "Open another", "Details", "Copy"):
        qtbot.mouseClick(button(card, text), Qt.MouseButton.LeftButton)
    assert tried == ["again", "another"]
    assert card.details.isVisible()
    assert card.details.toPlainText() == "Traceback: line 1"
    copied = QApplication.clipboard().text()
    for part in ("300 bytes", "safetensors", "Traceback"):
        assert part in copied
    qtbot.mouseClick(button(card, "Hide details"), Qt.MouseButton.LeftButton)
    assert not card.details.isVisible()


def test_an_empty_state_teaches_in_neutral_colour(qtbot: QtBot) -> None:
    used: list[int] = []
    card = EmptyCard(
        "No input yet", "Drop a photo here.", (("Ctrl+O", "Open a file"),), "Use the sample",
        lambda: used.append(1),
    )  # fmt: skip
    qtbot.addWidget(card)
    card.setStyleSheet(style_sheet(DARK))
    card.set_theme(DARK)
    card.resize(420, 320)
    card.show()
    picture = card.grab().toImage()
    red = DARK.colour("error").rgb()
    assert not any(
        picture.pixelColor(x, y).rgb() == red
        for x in range(0, picture.width(), 2)
        for y in range(0, picture.height(), 2)
    )
    qtbot.mouseClick(button(card, "Use the sample"), Qt.MouseButton.LeftButton)
    assert used == [1]


def test_consent_names_the_file_and_the_harmless_button_has_the_focus(qtbot: QtBot) -> None:
    said: list[str] = []
    card = ConsentCard("model.py", "It is a program.", lambda: said.append("run"),
                       lambda: said.append("leave"))  # fmt: skip
    qtbot.addWidget(card)
    card.show()
    assert "model.py" in card.title.text()
    card.activateWindow()
    card.setFocus()
    qtbot.waitUntil(card.no.hasFocus)
    qtbot.keyClick(card.no, Qt.Key.Key_Space)
    qtbot.mouseClick(card.yes, Qt.MouseButton.LeftButton)
    assert said == ["leave", "run"]


def test_pressed_tells_the_button(qtbot: QtBot) -> None:
    card = Card("What is it?")
    qtbot.addWidget(card)
    made = card.add_button("ResNet-50", primary=True)
    card.show()
    with qtbot.waitSignal(card.pressed) as got:
        qtbot.mouseClick(made, Qt.MouseButton.LeftButton)
    assert got.args == ["ResNet-50"]


def test_the_hint_goes_once_and_is_not_shown_to_who_has_seen_it(qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    hint, later = HintStrip(window, seen=False), HintStrip(window, seen=True)
    hint.set_theme(DARK)
    window.show()
    assert hint.isVisible()
    assert not later.isVisible()
    assert "Drop a photo" in hint.text.text()
    gone: list[int] = []
    hint.dismissed.connect(lambda: gone.append(1))
    hint.dismiss()
    hint.dismiss()
    assert gone == [1]
    assert not hint.isVisible()


def test_a_toast_takes_no_focus_and_an_error_stays(qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    field = QLineEdit()
    window.setCentralWidget(field)
    window.resize(700, 400)
    window.show()
    window.activateWindow()
    field.setFocus()
    toast = Toast(window)
    toast.show_text("The camera went away.", "error")
    assert toast.isVisible()
    assert toast.text.text() == "Error: The camera went away."
    assert window.focusWidget() is field
    assert not toast._leave.isActive()
    assert window.rect().contains(toast.geometry())
    toast._leave.setInterval(1)
    toast.show_text("Saved.", "ok")
    qtbot.waitUntil(lambda: not toast.isVisible(), timeout=2000)


def test_what_the_mouse_points_at_is_whole_and_the_window_can_be_small(
    qtbot: QtBot, bar: StatusBar
) -> None:
    window = bar.window()
    bar.show_provenance("trained")
    words = "_blocks.9  unit 19 of 112  y 8  x 4  12.386"
    for width in (1440, 1000):
        window.resize(width, 600)
        qtbot.waitUntil(lambda width=width: bar.width() == width)
        bar.show_message("a line of some length that the program has to say about something")
        bar.show_probe(words)
        QApplication.processEvents()
        needed = QFontMetrics(font("number")).horizontalAdvance(words)
        assert bar.probe.width() >= needed
        shown = [f for f in bar.fields.values() if f.isVisible()]
        assert shown
        assert all(f.mapTo(bar, f.rect().bottomRight()).x() <= width for f in shown)
    stop(bar)


def test_dropped_pictures_are_counted_for_what_moves_only(qtbot: QtBot, bar: StatusBar) -> None:
    window = bar.window()
    window.resize(1600, 600)
    bar.note_dropped(9)
    qtbot.waitUntil(lambda: bar.width() == 1600)
    assert not bar.fields["dropped"].isVisible()
    bar.show_moving(moving=True)
    assert bar.fields["dropped"].isVisible()
    bar.show_moving(moving=False)
    assert not bar.fields["dropped"].isVisible()
    stop(bar)


def test_without_motion_work_of_unknown_length_has_no_moving_bar(
    qtbot: QtBot, bar: StatusBar
) -> None:
    bar.set_still(still=True)
    bar.show_progress("Loading")
    qtbot.waitUntil(bar.progress.isVisible)
    assert not bar.progress.bar.isVisible()
    assert "Loading" in bar.progress.text.text()
    bar.show_progress("Fetching", 0.5)
    assert bar.progress.bar.isVisible()  # how far it is may be shown
    bar.clear_progress()
    stop(bar)
