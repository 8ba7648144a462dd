"""The overview and the table of two worlds: what is painted, told and chosen, and in the window."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFileDialog
from safetensors.numpy import save_file

from explorer.app.drop import Dropped
from explorer.panels.overview import OverviewPanel
from explorer.panels.overview_rows import Columns, dead_text, image_of, saturated_text, tip_of
from explorer.panels.theme import DARK, LIGHT
from explorer.panels.worlds import WorldsPanel, bar_share
from explorer.views import GAP, Frame, LayerDifference, LayerRow

pytestmark = pytest.mark.gui


def _row(i: int, **changed: Any) -> LayerRow:
    strip = np.full((32, 65), GAP, np.uint8)
    strip[:, :32], strip[:, 33:] = i % 250, 253
    row = LayerRow(
        f"block{i}.relu", "ReLU", (1, 64, 28, 28), "float32", strip, "maps", (3, 9), (0.0, 2.0),
        np.arange(48), 0.0, 2.5, 0.5, 0.25, 64, i % 7, None, 0, 3, (0.4, 0.3), 0.1,
    )  # fmt: skip
    return replace(row, **changed)


@pytest.fixture
def panel(qtbot: Any) -> OverviewPanel:
    made = OverviewPanel()
    qtbot.addWidget(made)
    made.resize(900, 500)
    with qtbot.waitExposed(made):
        made.show()
    return made


def test_of_five_hundred_layers_only_the_visible_ones_are_painted(
    panel: OverviewPanel, qtbot: Any
) -> None:
    with qtbot.waitSignal(panel.visible_changed) as told:
        panel.show_rows([_row(i) for i in range(500)])
    seen = told.args[0]
    assert seen[0] == "block0.relu"
    assert 5 < len(seen) < 20
    panel.delegate.painted = 0
    panel.view.viewport().repaint()
    assert len(seen) - 2 <= panel.delegate.painted <= len(seen) + 2
    panel.delegate.painted = 0
    panel.show_rows([_row(400)])  # below the fold
    panel.view.viewport().repaint()
    assert panel.delegate.painted <= len(seen) + 2
    with qtbot.waitSignal(panel.visible_changed) as told:
        panel.view.verticalScrollBar().setValue(panel.view.verticalScrollBar().maximum())
    assert told.args[0][-1] == "block499.relu"


def test_a_click_names_the_layer_and_enter_does_too(panel: OverviewPanel, qtbot: Any) -> None:
    panel.show_rows([_row(i) for i in range(30)])
    place = panel.view.visualRect(panel.model.index(2)).center()
    with qtbot.waitSignal(panel.chosen) as told:
        qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert told.args == ["block2.relu"]
    with qtbot.waitSignal(panel.chosen) as told:
        qtbot.keyClick(panel.view, Qt.Key.Key_Down)
        qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    assert told.args == ["block3.relu"]
    panel.set_current("block7.relu")
    assert panel.view.currentIndex().row() == 7


def test_a_newer_row_takes_the_place_of_the_older_one(panel: OverviewPanel) -> None:
    panel.show_rows([_row(i) for i in range(5)])
    panel.show_rows([_row(3, mean=7.0, not_finite=4), _row(9)])
    assert [row.name for row in panel.model.rows()] == [
        f"block{i}.relu" for i in (0, 1, 2, 3, 4, 9)
    ]
    assert panel.arrays()["mean"][3] == 7.0
    assert panel.arrays()["histogram"].shape == (6, 48)
    assert panel.header.warning.text() == "1 layer with NaN"
    panel.clear()
    assert panel.arrays() == {}
    assert panel.empty.isVisible()


def test_a_click_on_a_title_sorts_and_the_next_one_sorts_by_something_else(
    panel: OverviewPanel, qtbot: Any
) -> None:
    panel.show_rows([_row(i, saturated=i / 20) for i in range(10)])
    (left, width) = Columns.within(panel.view.viewport().width()).places[4] or (0, 0)
    where = QPoint(left + width // 2, 8)
    qtbot.mouseClick(panel.titles, Qt.MouseButton.LeftButton, pos=where)
    dead = [row.dead for row in panel.model.rows()]
    assert dead == sorted(dead, reverse=True)
    qtbot.mouseClick(panel.titles, Qt.MouseButton.LeftButton, pos=where)
    assert next(row.name for row in panel.model.rows()) == "block9.relu"
    assert panel.model.place("block9.relu") == 0
    qtbot.mouseClick(panel.titles, Qt.MouseButton.LeftButton, pos=where)
    assert [row.name for row in panel.model.rows()] == [f"block{i}.relu" for i in range(10)]
    assert {"Most dead units", "Largest change"} <= {a.text() for a in panel.menu().actions()}


@pytest.mark.parametrize("width", [260, 330, 480, 620, 900, 1600])
def test_columns_never_overlap_and_leave_the_pictures_room(width: int) -> None:
    places = [place for place in Columns.within(width).places if place is not None]
    for (left, size), (after, _) in itertools.pairwise(places):
        assert left + size == after
    assert places[0][0] == 0
    assert sum(places[-1]) == width
    if width >= 330:
        assert places[1][1] >= 120


def test_the_strip_has_the_colours_of_the_data_and_of_the_canvas() -> None:
    for theme in (DARK, LIGHT):
        picture = image_of(_row(0), theme)
        canvas = theme.colour("canvas")
        assert picture.pixelColor(32, 0) == canvas
        assert picture.pixelColor(0, 0).name() == "#440154"  # viridis begins here
        assert picture.pixelColor(64, 0).name() == "#fde725"
        signed = image_of(_row(126, limits=(-1.0, 1.0)), theme)
        assert signed.pixelColor(0, 0).name() == "#ffffff"


def test_words_say_what_the_numbers_are() -> None:
    assert dead_text(_row(3)) == "3 of 64 dead"
    assert dead_text(_row(3, kind="Conv2d")) == "3 of 64 never above 0"
    assert saturated_text(_row(0)) == ""
    assert saturated_text(_row(0, saturated=0.125)) == "12 % saturated"
    tip = tip_of(_row(2, not_finite=5, calls=4))
    for part in ("64 × 28 × 28", "0 … 2.5", "5 values are not finite", "4 calls", "units 3, 9"):
        assert part in tip


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_every_sort_of_row_can_be_painted(panel: OverviewPanel, theme: Any, tmp_path: Any) -> None:
    panel.set_theme(theme)
    tall = np.zeros((64, 300), np.uint8)
    panel.show_rows([
        _row(0, strip=tall), _row(1, picture="values", strip=np.zeros((1, 500), np.uint8)),
        _row(2, picture="tokens", strip=np.zeros((12, 90), np.uint8)), _row(3, not_finite=9),
        _row(4, counts=np.zeros(48, np.int64), low=-1.0, saturated=0.0),
    ])  # fmt: skip
    panel.save(tmp_path / "rows.png")
    panel.save(tmp_path / "rows.npz")
    assert (tmp_path / "rows.png").stat().st_size > 2000
    with np.load(tmp_path / "rows.npz") as made:
        assert made["layers"].tolist() == [f"block{i}.relu" for i in range(5)]
    assert panel.view.sizeHintForRow(0) >= 64


# -- two worlds


def _apart(i: int, relative: float, *, parted: bool) -> LayerDifference:
    return LayerDifference(f"l{i}", "Conv2d", (1, 8, 4, 4), relative, relative, 1.0, parted)


def test_the_table_marks_the_first_layer_apart(qtbot: Any) -> None:
    panel = WorldsPanel()
    qtbot.addWidget(panel)
    panel.resize(500, 400)
    with qtbot.waitExposed(panel):
        panel.show()
    rows = tuple(_apart(i, 10.0 ** (i - 6), parted=i >= 4) for i in range(8))
    gone = LayerDifference("gone", "ReLU", (1,), math.nan, math.nan, math.nan, note="not there")
    panel.show_frame(Frame(1, 0, 0, differences=(*rows, gone)))
    assert panel.model.first == 4
    panel.header.flush()
    assert "first apart at l4" in panel.header.text()
    place = panel.view.visualRect(panel.model.index(5)).center()
    with qtbot.waitSignal(panel.chosen) as told:
        qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert told.args == ["l5"]
    assert panel.arrays()["parted"].tolist() == [False] * 4 + [True] * 4 + [False]
    panel.show_frame(Frame(2, 0, 0))  # a frame without a comparison changes nothing
    assert panel.model.rowCount() == 9
    panel.clear()
    assert panel.model.rowCount() == 0


def test_the_list_goes_to_where_both_part(qtbot: Any) -> None:
    panel = WorldsPanel()
    qtbot.addWidget(panel)
    panel.resize(500, 400)
    with qtbot.waitExposed(panel):
        panel.show()

    def seen(i: int) -> bool:
        area = panel.view.viewport().rect()
        return area.contains(panel.view.visualRect(panel.model.index(i)))

    def rows(first: int) -> tuple[LayerDifference, ...]:
        return tuple(_apart(i, 1e-3, parted=i >= first) for i in range(100))

    panel.show_frame(Frame(1, 0, 0, differences=rows(80)))
    qtbot.waitUntil(lambda: seen(80))
    panel.view.scrollToTop()
    panel.show_frame(Frame(2, 0, 0, differences=rows(80)))  # the same: the list stays
    assert seen(0)
    panel.show_frame(Frame(3, 0, 0, differences=rows(50)))
    qtbot.waitUntil(lambda: seen(50))


def test_the_bar_is_logarithmic() -> None:
    assert bar_share(0.0) == bar_share(1e-9) == bar_share(math.nan) == 0.0
    assert bar_share(1e-4) == pytest.approx(0.5)
    assert bar_share(1.0) == bar_share(7.0) == bar_share(math.inf) == 1.0


# -- in the window


def test_the_overview_fills_and_leads_to_its_layers(real_window: Any, qtbot: Any) -> None:
    window = real_window(engine="resnet")
    window.commands["inspect-overview"].trigger()
    dock = window.instruments.docks["overview"]
    layers = [la for la in window.room.layers if la.leaf and la.called]
    qtbot.waitUntil(lambda: len(dock.rows.model) == len(layers), timeout=30_000)
    dock.rows.chosen.emit("layer2.3.relu")
    qtbot.waitUntil(lambda: window.centre.current == "layer2.3.relu")
    qtbot.waitUntil(lambda: bool(dock.rows.visible()))
    qtbot.waitUntil(lambda: tuple(window.runner._visible) == dock.rows.visible())
    dock.close()
    qtbot.waitUntil(lambda: "overview" not in window.runner._session.instruments)


def test_a_file_chosen_or_dropped_becomes_the_second_world(
    window: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite(str(tmp_path / "other.png"), np.zeros((8, 8, 3), np.uint8))
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "later.safetensors")
    (tmp_path / "net.py").write_text("raise SystemExit")
    window.instruments.open("worlds")
    dock, asked = window.instruments.docks["worlds"], window.runner.asked

    def choose(name: str) -> None:
        picked = (str(tmp_path / name), "")
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: picked)
        dock.choose.click()

    choose("other.png")
    assert asked.instruments[-1] == ("worlds", {"picture": str(tmp_path / "other.png")})
    choose("later.safetensors")
    assert asked.instruments[-1] == ("worlds", {"weights": str(tmp_path / "later.safetensors")})
    count, runs = len(asked.instruments), len(asked.runs)
    choose("net.py")  # code is not run for being chosen: a model goes by its name
    assert len(asked.instruments) == count
    assert "wanted a picture" in window.status_bar.message.text()
    dock.dropped.emit([Dropped("image", tmp_path / "other.png")])
    assert asked.instruments[-1] == ("worlds", {"picture": str(tmp_path / "other.png")})
    assert len(asked.runs) == runs  # the first world keeps its own picture


def test_two_worlds_in_the_window(real_window: Any, qtbot: Any) -> None:
    window = real_window(engine="resnet")
    window.instruments.open("worlds", {"precision": "bfloat16", "threshold": 1e-4})
    dock = window.instruments.docks["worlds"]
    qtbot.waitUntil(lambda: dock.rows.model.rowCount() > 100, timeout=30_000)
    assert dock.rows.model.rows[dock.rows.model.first].name == "conv1"
    dock.rows.chosen.emit("layer1.1.relu")
    from explorer.panels.feature_maps import FeatureMapsPanel

    def maps() -> list[Any]:
        return [p for p in dock.group.findChildren(FeatureMapsPanel) if p.artefact is not None]

    wanted = {(item, "layer1.1.relu") for item in ("first", "second", "difference")}
    qtbot.waitUntil(
        lambda: {(p.artefact.item, p.artefact.note) for p in maps()} == wanted, timeout=30_000
    )
    assert len({p.artefact.affine for p in maps()}) == 1  # one place on the photo for all
