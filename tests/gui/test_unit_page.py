"""The unit page in the window: explain, walk the methods, maximise and stop, crops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.panels.unit_detail import QUESTIONS

pytestmark = pytest.mark.gui
LONG = 120_000  # ms
ITEMS = ["gradient", "guided", "deconvolution", "Grad-CAM"]


@pytest.fixture
def page(real_window: Any, qtbot: Any) -> Any:
    """A real window on the digit network, with unit 3 of layer2 selected."""
    from explorer.app.window import Asked

    window = real_window(rows=table(), engine="resnet", asked=Asked({}, ("layer2",), ()))
    qtbot.waitUntil(lambda: window.centre.panel("layer2") is not None, timeout=LONG)
    panel = window.centre.panel("layer2")
    qtbot.waitUntil(lambda: panel.page is not None, timeout=LONG)
    window.centre.make_current("layer2")
    panel.select(3)
    return window


def ask(window: Any, question: str) -> None:
    button = window.centre.panel("layer2").detail.questions[question]
    assert button.isVisible()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def panels(window: Any, name: str) -> dict[str, Any]:
    dock = window.instruments.docks.get(name)
    return {} if dock is None or dock.group is None else dock.group.panels


def test_explaining_shows_every_way_back_and_a_key_walks_them(page: Any, qtbot: Any) -> None:
    ask(page, "explain")
    qtbot.waitUntil(lambda: {*ITEMS, "map"} <= set(panels(page, "unit")), timeout=LONG)
    found = panels(page, "unit")
    for item in ITEMS:
        assert found[item].artefact.note.startswith("layer2 unit 3, strongest place")
        assert np.abs(found[item].artefact.values).max() > 0
    assert found["gradient"].artefact.scale == "diverging"
    assert found["map"].background is not None
    # The strongest cell of the map, 11.4 here, is what the gradient starts from.
    assert f"{found['map'].artefact.values.max():.4g}" in found["gradient"].artefact.note

    group = page.instruments.docks["unit"].group
    page.setFocus()
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)
    seen = []
    for _ in range(6):
        QTest.keyClick(page, Qt.Key.Key_B)
        seen.append(group.large)
    assert seen == [*ITEMS, None, "gradient"]

    page.centre.panel("layer2").select(5)
    QTest.keyClick(page, Qt.Key.Key_B)  # another unit is explained first
    note = lambda: panels(page, "unit")["Grad-CAM"].artefact.note  # noqa: E731
    qtbot.waitUntil(lambda: note().startswith("layer2 unit 5"), timeout=LONG)
    before = panels(page, "unit")["gradient"].artefact

    photo = assets() / "coffee.png"
    page.intake.take_paths([str(photo)])
    qtbot.waitUntil(lambda: page.sources.source("image").title == photo.name, timeout=LONG)
    QTest.keyClick(page, Qt.Key.Key_B)  # and so is another picture
    qtbot.waitUntil(
        lambda: not np.array_equal(panels(page, "unit")["gradient"].artefact.values, before.values),
        timeout=LONG,
    )


def test_one_command_compares_with_captum(page: Any, qtbot: Any) -> None:
    page.commanding.do("compare-captum")
    qtbot.waitUntil(lambda: "compared with Captum" in panels(page, "unit"), timeout=LONG)
    text = panels(page, "unit")["compared with Captum"].artefact.text
    assert text.count("largest difference 0 of") == text.count("\n") + 1 == 4


def test_an_ascent_streams_and_stops_at_once(page: Any, qtbot: Any) -> None:
    page.instruments.open("maximise", {"steps": 4096, "every": 1})
    ask(page, "maximise")
    curve = lambda: panels(page, "maximise").get("activation")  # noqa: E731
    qtbot.waitUntil(lambda: curve() is not None and len(curve().artefact.y) > 5, timeout=LONG)
    assert panels(page, "maximise")["picture"].artefact.image.shape == (16, 16, 3)
    with qtbot.waitSignal(page.runner.idle, timeout=LONG):
        page.commanding.do("cancel")
    assert len(curve().artefact.y) < 4096
    with qtbot.waitSignal(page.runner.idle, timeout=LONG):
        page.run_inputs()  # and the engine runs on


def test_crops_are_collected_as_pictures_go_by(page: Any, qtbot: Any) -> None:
    ask(page, "exciting")
    qtbot.waitUntil(lambda: "crops" in panels(page, "exciting"), timeout=LONG)
    qtbot.waitUntil(
        lambda: getattr(panels(page, "exciting")["crops"].artefact, "image", None) is not None,
        timeout=LONG,
    )
    shown = panels(page, "exciting")["crops"].artefact
    assert shown.labels[0].endswith("digit.png")
    assert shown.image.shape[1:] == (48, 48, 3)


def test_every_question_has_a_name_and_a_tooltip(window: Any) -> None:
    window.centre.panel().select(1)
    buttons = window.centre.panel().detail.questions
    assert list(buttons) == [name for name, *_ in QUESTIONS]
    for button in buttons.values():
        assert button.accessibleName()
        assert button.toolTip()
        assert not button.icon().isNull()
        assert min(button.width(), button.height()) >= 24
