"""The engine list: by family, found by words, with weights and reasons in place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFontMetrics
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer.app.engines import EngineList
from explorer.core.registry import Row, WeightsRow
from explorer.panels.theme import DARK, font

pytestmark = pytest.mark.gui


def weights(name: str, size: int = 14_680_064) -> WeightsRow:
    return WeightsRow(name, "asset:x", "0", size, "MIT", "trained", data="research terms")


ROWS = {
    row.name: row
    for row in (
        Row("classify", "m:C", "ImageNet classifier", "Classification", paper="Tan 2019",
            summary="Drop a photo.", inputs={"image": "image"}, weights=(weights("lite0"),)),
        Row("vgg", "m:V", "VGG", "Classification", summary="Walk up the layers.",
            inputs={"image": "image"}, weights=(weights("vgg16"),)),
        Row("memory", "m:M", "Fast weights", "Memory", summary="Type pairs.",
            inputs={"text": "text"}),
        Row("broken", "", "Plug-in", "Cannot run", problem="No module named 'timm'"),
    )
}  # fmt: skip
STATUS = {"lite0": "present", "vgg16": "missing"}


@pytest.fixture
def engines(qtbot: QtBot) -> EngineList:
    made = EngineList(ROWS)
    qtbot.addWidget(made)
    made.set_rows(ROWS, STATUS)
    made.set_theme(DARK)
    made.resize(380, 600)
    made.show()
    return made


def told(signal: Any) -> list[str]:
    seen: list[str] = []
    signal.connect(seen.append)
    return seen


def texts(engines: EngineList) -> list[str]:
    return [engines.model.item(i).text() for i in range(engines.model.rowCount())]


def choose(qtbot: QtBot, engines: EngineList, title: str) -> Any:
    index = engines.model.index(texts(engines).index(title), 0)
    place = engines.list.visualRect(index).center()
    qtbot.mouseClick(engines.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    return place


def near(colour: QColor, want: QColor) -> bool:
    """Text is drawn with soft edges: a pixel counts that comes close."""
    pairs = zip(colour.getRgb()[:3], want.getRgb()[:3], strict=True)
    return sum(abs(a - b) for a, b in pairs) < 90


def test_rows_stand_under_their_families(engines: EngineList) -> None:
    assert texts(engines) == [
        "Classification", "ImageNet classifier", "VGG", "Memory", "Fast weights", "Cannot run",
        "Plug-in",
    ]  # fmt: skip


def test_weights_are_told_in_the_row(engines: EngineList) -> None:
    said = {row.name: engines.weights_text(row) for row in ROWS.values()}
    assert said["classify"] == "trained"
    assert said["vgg"] == "weights to fetch, 14 MiB"
    assert said["memory"] == "needs no weights"
    engines.set_statuses({"lite0": "present", "vgg16": "imported"})
    assert engines.weights_text(ROWS["vgg"]) == "your own weights"


def test_search_finds_by_words_and_enter_opens_the_first(qtbot: QtBot, engines: EngineList) -> None:
    seen = told(engines.chosen)
    qtbot.keyClicks(engines.field, "pairs")
    assert engines.shown() == ["memory"]
    qtbot.keyClick(engines.field, Qt.Key.Key_Return)
    assert seen == ["memory"]
    engines.field.setText("nothing of the kind")
    assert engines.shown() == []
    assert "Clear the field" in texts(engines)[0]
    engines.field.setText("TAN class")
    assert engines.shown() == ["classify"]


def test_double_click_and_enter_open(qtbot: QtBot, engines: EngineList) -> None:
    seen = told(engines.chosen)
    place = choose(qtbot, engines, "VGG")
    qtbot.mouseDClick(engines.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.keyClick(engines.list, Qt.Key.Key_Down)
    qtbot.keyClick(engines.list, Qt.Key.Key_Return)
    assert seen == ["vgg", "memory"]


def test_the_card_shows_paper_terms_and_the_way_to_the_weights(
    qtbot: QtBot, engines: EngineList
) -> None:
    wanted = told(engines.fetch_wanted)
    choose(qtbot, engines, "ImageNet classifier")
    assert "Tan 2019" in engines.needs.text()
    assert "research terms" in engines.needs.text()
    assert not engines.fetch_button.isVisible()
    choose(qtbot, engines, "VGG")
    assert engines.fetch_button.text() == "Fetch vgg16, 14 MiB"
    qtbot.mouseClick(engines.fetch_button, Qt.MouseButton.LeftButton)
    assert wanted == ["vgg16"]


def test_one_that_cannot_run_says_why_in_place_and_does_not_open(
    qtbot: QtBot, engines: EngineList
) -> None:
    seen = told(engines.chosen)
    place = choose(qtbot, engines, "Plug-in")
    qtbot.mouseDClick(engines.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.keyClick(engines.list, Qt.Key.Key_Return)
    assert seen == []
    assert "No module named 'timm'" in engines.about.text()
    assert not engines.open_button.isEnabled()
    choose(qtbot, engines, "VGG")
    QApplication.processEvents()
    index = engines.model.index(texts(engines).index("Plug-in"), 0)
    assert "cannot run: No module" in index.data(Qt.ItemDataRole.AccessibleTextRole)
    row = engines.list.visualRect(index)
    picture = engines.list.viewport().grab().toImage()
    warn = DARK.colour("warn")
    painted = sum(
        near(picture.pixelColor(x, y), warn)
        for x in range(row.left(), row.right(), 1)
        for y in range(row.top() + 20, row.bottom())
    )
    assert painted > 30  # the reason itself is on the screen, not in a tooltip only


def test_the_open_engine_is_marked_without_opening_it(engines: EngineList) -> None:
    seen = told(engines.chosen)
    engines.set_current("memory")
    assert engines.current() == "memory"
    assert seen == []


def test_a_long_reason_is_whole_in_the_row_and_lies_on_no_other(
    qtbot: QtBot, engines: EngineList
) -> None:
    long = "No module named 'torchaudio'; install it with: pip install layerscope[audio], then " * 2
    after = Row("after", "m:A", "After", "Cannot run", summary="It works.")
    rows = {**ROWS, "broken": replace(ROWS["broken"], problem=long), "after": after}
    engines.set_rows(rows, STATUS)
    for width in (280, 380):
        engines.resize(width, 700)
        QApplication.processEvents()
        at = {title: engines.list.visualRect(engines.model.index(i, 0))
              for i, title in enumerate(texts(engines))}  # fmt: skip
        row = at["Plug-in"]
        room = row.adjusted(28, 24, -8, -4)  # beside the sign, below the title
        needed = QFontMetrics(font("caption")).boundingRect(
            QRect(0, 0, room.width(), 1000), Qt.TextFlag.TextWordWrap, f"Cannot run: {long}"
        )
        assert needed.height() <= room.height()
        assert at["After"].top() > row.bottom()
    engines.field.setText("plug-in")
    assert engines.about.text() == f"It cannot run: {long}"
    assert not engines.fetch_button.isVisible()
