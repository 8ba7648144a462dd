"""What every panel offers: export of what is shown, zoom and its reset, a probe; over all kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QWidget

from explorer.kinds import (
    KIND,
    Artefact,
    Boxes,
    Curve,
    FeatureMaps,
    Field,
    Graph,
    Histogram,
    Hypercolumn,
    Image,
    Keypoints,
    Masks,
    Matrix,
    Scatter,
    Scores,
    Text,
)  # fmt: skip
from explorer.panels import PANEL_FOR
from explorer.panels.group import GroupPanel
from explorer.panels.panel import Panel

pytestmark = pytest.mark.gui
RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 255, (60, 80, 3), dtype=np.uint8)

SAMPLES: dict[str, tuple[Artefact, set[str]]] = {
    "Image": (Image("g/photo", PHOTO), {"image"}),
    "Boxes": (
        Boxes("g/found", [[5, 5, 70, 50]], scores=[0.9], labels=["cat"]),
        {"boxes", "scores", "labels"},
    ),
    "Masks": (Masks("g/masks", np.ones((1, 60, 80), bool), labels=["cat"]), {"masks"}),
    "Keypoints": (
        Keypoints("g/people", [[[20, 20, 1], [40, 30, 1], [60, 40, 1]]]),
        {"points"},
    ),
    "Field": (Field("g/depth", RNG.random((60, 80)), unit="m"), {"values"}),
    "FeatureMaps": (FeatureMaps("g/maps", RNG.random((9, 6, 8))), {"maps"}),
    "Hypercolumn": (
        Hypercolumn("g/column", RNG.random(20), [("conv1", 8), ("conv2", 12)]),
        {"values", "layers"},
    ),
    "Matrix": (
        Matrix("g/matrix", RNG.random((3, 4)), rows=list("abc"), columns=list("wxyz"), unit="s"),
        {"values", "rows", "columns"},
    ),
    "Scores": (Scores("g/scores", [0.7, 0.3], labels=["cat", "dog"]), {"scores", "labels"}),
    "Histogram": (Histogram("g/values", [0, 1, 2], [3, 4], unit="m"), {"edges", "counts"}),
    "Scatter": (
        Scatter("g/points", RNG.random((200, 2)), labels=["a", "b"] * 100),
        {"points", "labels"},
    ),
    "Curve": (Curve("g/loss", [1, 2, 3], [3.0, 2.0, 1.0], unit="nat"), {"x", "y"}),
    "Graph": (Graph("g/graph", ["in", "out"], [[0, 1]]), {"nodes", "edges"}),
    "Text": (Text("g/text", "two words", ["two", "words"], [0.2, 0.8]), {"text", "tokens"}),
}
Filled = Callable[[Artefact], tuple[GroupPanel, Panel]]
every_kind = pytest.mark.parametrize("kind", sorted(SAMPLES))


@pytest.fixture
def filled(qtbot: Any) -> Filled:
    def made(artefact: Artefact) -> tuple[GroupPanel, Panel]:
        group = GroupPanel()
        qtbot.addWidget(group)
        group.resize(460, 380)
        group.add(artefact)
        with qtbot.waitExposed(group):
            group.show()
        return group, group.panels[artefact.item]

    return made


def lines(menu: QMenu) -> dict[str, Any]:
    return {action.text(): action for action in menu.actions() if action.text()}


def test_the_samples_cover_the_closed_set() -> None:
    assert set(SAMPLES) == set(KIND) == set(PANEL_FOR)


@every_kind
def test_the_menu_of_every_panel_exports_what_is_shown(
    filled: Filled, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact, keys = SAMPLES[kind]
    group, panel = filled(artefact)
    said: list[str] = []
    group.said.connect(said.append)
    menu = group.item_menu(artefact.item)
    assert lines(menu).keys() >= {"Hide", "Reset zoom", "Copy picture", "Export the whole group…"}
    for suffix in ("png", "svg", "npz"):
        path = tmp_path / f"shown.{suffix}"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, p=path: (str(p), ""))
        lines(menu)[f"Export {suffix.upper()}…"].trigger()
        assert said[-1] == f"Wrote {path}"
    picture = cv2.imread(str(tmp_path / "shown.png"))
    assert picture.shape[:2] == (2 * panel.height(), 2 * panel.width())
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 8  # something is drawn
    root = ElementTree.parse(tmp_path / "shown.svg").getroot()
    assert root.tag.endswith("svg")
    assert artefact.item in (tmp_path / "shown.svg").read_text(encoding="utf-8")
    with np.load(tmp_path / "shown.npz", allow_pickle=False) as stored:
        assert set(stored) >= keys
        for name in keys & artefact.arrays().keys():
            if kind != "FeatureMaps":  # as drawn, good to 1/253 of the range
                assert np.array_equal(stored[name], artefact.arrays()[name])


@every_kind
def test_every_panel_reads_out_what_is_under_the_mouse(filled: Filled, kind: str) -> None:
    _, panel = filled(SAMPLES[kind][0])
    if kind in ("Boxes", "Masks", "Keypoints"):
        panel.set_background(PHOTO)
    panel.grab()
    heard: list[str] = []
    panel.probed.connect(lambda probe: heard.append(probe.text) if probe else None)
    for y in range(50, panel.height() - 30, 17):
        for x in range(20, panel.width() - 20, 23):
            target = panel.childAt(x, y)
            if isinstance(target, QWidget):
                move(target, QPointF(target.mapFrom(panel, QPointF(x, y))))
    told = [words for words in heard if any(c.isdigit() for c in words)]
    assert told, kind  # a value, and where it is
    assert len(set(told)) > 1 or kind == "Graph"


@every_kind
def test_reset_zoom_brings_the_first_picture_back(filled: Filled, kind: str, qtbot: Any) -> None:
    _, panel = filled(SAMPLES[kind][0])
    QApplication.processEvents()
    before = panel.grab().toImage()
    zoom(panel)
    QApplication.processEvents()
    if kind != "Scores":  # a list scrolls
        assert panel.grab().toImage() != before
    lines(panel.menu())["Reset zoom"].trigger()
    for widget in panel.findChildren(QWidget):
        QApplication.sendEvent(widget, QEvent(QEvent.Type.Leave))
    qtbot.waitUntil(lambda: panel.grab().toImage() == before)


def move(widget: QWidget, at: QPointF) -> None:
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, at, widget.mapToGlobal(at), none, none,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


def zoom(panel: Panel) -> None:
    """Turn the wheel over the middle of the body, with Ctrl where text has it."""
    at = QPointF(panel.width() / 2, panel.height() / 2)
    target = panel.childAt(at.toPoint())
    assert target is not None
    keys = Qt.KeyboardModifier.NoModifier
    if type(panel.artefact) is Text:
        keys = Qt.KeyboardModifier.ControlModifier
    place = target.mapFrom(panel, at)
    event = QWheelEvent(
        place, target.mapToGlobal(place), QPoint(), QPoint(0, 360), Qt.MouseButton.NoButton, keys,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(target, event)
