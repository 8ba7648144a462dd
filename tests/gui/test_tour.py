"""The tour points at real controls, goes on when the person does it, and blocks nothing."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QPushButton, QSizePolicy, QWidget
from pytestqt.qtbot import QtBot

from explorer.app.tour import STEPS, Tour
from explorer.panels.theme import DARK

pytestmark = pytest.mark.gui


class Window(QMainWindow):
    def __init__(self) -> None:
        super().__init__()
        centre = QWidget()
        self.setCentralWidget(centre)
        row = QHBoxLayout(centre)
        names = ("layers", "maps", "input", "engines", "status")
        self.parts = {name: QPushButton(name) for name in names}
        for part in self.parts.values():
            part.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
            row.addWidget(part)
        self.resize(1200, 700)


@pytest.fixture
def window(qtbot: QtBot) -> Window:
    made = Window()
    qtbot.addWidget(made)
    made.show()
    return made


def start(window: Window) -> Tour:
    tour = Tour(window, window.parts.get)
    tour.set_theme(DARK)
    tour.start()
    return tour


def test_six_steps_with_next_and_done(qtbot: QtBot, window: Window) -> None:
    tour = start(window)
    seen = []
    while tour.bubble is not None:
        seen.append(tour.bubble.count.text())
        last = tour.bubble.next.text() == "Done"
        qtbot.mouseClick(tour.bubble.next, Qt.MouseButton.LeftButton)
        assert last == (tour.bubble is None)
    assert seen == [f"{n} / 6" for n in range(1, 7)]
    assert len(STEPS) == 6


def test_skip_ends_it(qtbot: QtBot, window: Window) -> None:
    tour = start(window)
    bubble = tour.bubble
    assert bubble is not None
    with qtbot.waitSignal(tour.ended):
        qtbot.mouseClick(bubble.skip, Qt.MouseButton.LeftButton)
    assert tour.step is None
    assert not bubble.isVisible()


def test_a_step_ends_when_the_person_does_it(window: Window) -> None:
    tour = start(window)
    tour.did("layer")
    assert tour.step is STEPS[0]
    for step in STEPS:
        assert tour.step is step
        tour.did(step.event)
    assert tour.step is None
    tour.did("source")
    assert tour.bubble is None


def test_the_arrow_touches_the_side_of_its_control(window: Window) -> None:
    tour = start(window)
    for step in STEPS:
        assert tour.bubble is not None
        target = window.parts[step.target]
        place = QRect(target.mapTo(window, QPoint()), target.size())
        tip = tour.bubble.mapTo(window, tour.bubble.arrow()[0].toPoint())
        assert place.adjusted(-16, -16, 16, 16).contains(tip), (step.target, place, tip)
        assert window.rect().contains(tour.bubble.geometry())
        tour.advance()


def test_it_never_blocks_input(qtbot: QtBot, window: Window) -> None:
    tour = start(window)
    pressed: list[str] = []
    for name, part in window.parts.items():
        part.clicked.connect(lambda _=False, name=name: pressed.append(name))
        beside = QPoint(8, 8)
        under = window.childAt(part.mapTo(window, beside))
        assert under is part
        qtbot.mouseClick(under, Qt.MouseButton.LeftButton, pos=beside)
    assert pressed == list(window.parts)
    assert tour.step is STEPS[0]


def test_it_follows_the_window_and_survives_a_missing_control(window: Window) -> None:
    tour = Tour(window, lambda name: None)
    tour.start()
    assert tour.bubble is not None
    window.resize(700, 500)
    assert window.rect().contains(tour.bubble.geometry())
    tour.end()
    tour.start()
    assert tour.step is STEPS[0]
    tour.end()
