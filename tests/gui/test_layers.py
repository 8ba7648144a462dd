"""The layer tree: stages folded, shapes and live numbers in place, ticks and keys that tell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QFontMetrics
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer.app.layer_model import ACTIVE, KIND, LAYER, MEAN, SHAPE, ZEROS, kind_word
from explorer.app.layers import LayerTree
from explorer.panels.theme import DARK, LIGHT, font
from explorer.views import LayerStatistics

pytestmark = pytest.mark.gui


@dataclass(frozen=True)
class Layer:
    name: str
    kind: str
    parameters: int = 0
    shape: tuple[int, ...] | None = (1, 64, 28, 28)
    depth: int = 0
    leaf: bool = True
    called: bool | None = True


def resnet() -> Iterator[Layer]:
    yield Layer("", "ResNet", leaf=False)
    yield Layer("conv1", "Conv2d", 9408, (1, 64, 112, 112))
    for i in range(1, 5):
        yield Layer(f"layer{i}", "Sequential", leaf=False)
        for b in range(3):
            yield Layer(f"layer{i}.{b}", "Bottleneck", leaf=False)
            for name, kind in (("conv1", "Conv2d"), ("bn1", "BatchNorm2d"), ("act3", "ReLU")):
                yield Layer(f"layer{i}.{b}.{name}", kind, 4096)
            yield Layer(f"layer{i}.{b}.drop", "Dropout", called=False)
    yield Layer("fc", "Linear", 2_049_000, (1, 1000))


@pytest.fixture
def tree(qtbot: QtBot) -> LayerTree:
    made = LayerTree()
    qtbot.addWidget(made)
    made.set_layers(list(resnet()))
    made.set_theme(DARK)
    made.resize(760, 600)
    made.show()
    return made


def visible(tree: LayerTree) -> list[str]:
    names, place = [], tree.shown.index(0, 0)
    while place.isValid():
        names.append(place.data(Qt.ItemDataRole.UserRole).layer.name)
        place = tree.tree.indexBelow(place)
    return names


def cell(tree: LayerTree, name: str, column: int) -> str:
    return str(tree.model.place(name).siblingAtColumn(column).data())


def told(signal: Any) -> list[Any]:
    seen: list[Any] = []
    signal.connect(lambda *args: seen.append(args if len(args) > 1 else args[0]))
    return seen


def rows(**changes: Any) -> list[LayerStatistics]:
    plain = LayerStatistics("", (1, 64, 28, 28), 0.25, 0.43, True, 0.6)
    return [replace(plain, name=layer.name, **changes) for layer in resnet() if layer.name]


def near(colour: QColor, want: QColor) -> bool:
    """Text is drawn with soft edges: a pixel counts that comes close."""
    pairs = zip(colour.getRgb()[:3], want.getRgb()[:3], strict=True)
    return sum(abs(a - b) for a, b in pairs) < 90


def test_it_is_folded_by_stage(tree: LayerTree) -> None:
    assert visible(tree) == ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"]


def test_a_network_of_one_list_is_unfolded(tree: LayerTree) -> None:
    tree.set_layers([Layer("features", "Sequential", leaf=False),
                     *(Layer(f"features.{i}", "Conv2d") for i in range(4))])  # fmt: skip
    assert visible(tree) == ["features", *(f"features.{i}" for i in range(4))]


def test_rows_say_shape_kind_and_what_was_never_called(tree: LayerTree) -> None:
    assert cell(tree, "conv1", SHAPE) == "64 × 112 × 112"
    assert cell(tree, "fc", SHAPE) == "1000"
    assert cell(tree, "layer2.0.bn1", KIND) == "norm"
    assert cell(tree, "layer2", KIND) == "block"
    assert cell(tree, "layer1.0.drop", SHAPE) == "not called"
    place = tree.model.place("layer1.0.drop")
    assert "never calls it" in place.data(Qt.ItemDataRole.ToolTipRole)
    assert not place.flags() & Qt.ItemFlag.ItemIsUserCheckable
    assert "2,049,000 parameters" in tree.model.place("fc").data(Qt.ItemDataRole.ToolTipRole)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("Conv2dStaticSamePadding", "conv"), ("LayerNorm", "norm"), ("ReLU6", "activation"),
        ("MaxPool2d", "pool"), ("MultiheadAttention", "attention"), ("Linear", "linear"),
        ("Dropout", "other"),
    ],
)  # fmt: skip
def test_kinds_are_words_too(kind: str, word: str) -> None:
    assert kind_word(kind) == word


def test_the_filter_shows_matches_with_what_holds_them(qtbot: QtBot, tree: LayerTree) -> None:
    qtbot.keyClicks(tree.field, "LAYER2.1.A")
    assert visible(tree) == ["layer2", "layer2.1", "layer2.1.act3"]
    tree.field.clear()
    assert visible(tree) == ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"]
    qtbot.keyClicks(tree.field, "112 ×")
    assert visible(tree) == ["conv1"]


def test_up_and_down_move_by_layer_and_tell(qtbot: QtBot, tree: LayerTree) -> None:
    tree.set_current("layer2.1.conv1")
    seen = told(tree.current_changed)
    qtbot.keyClick(tree.tree, Qt.Key.Key_Down)
    qtbot.keyClick(tree.tree, Qt.Key.Key_Down)
    qtbot.keyClick(tree.tree, Qt.Key.Key_Up)
    assert seen == ["layer2.1.bn1", "layer2.1.act3", "layer2.1.bn1"]
    tree.move_by(2)
    assert tree.current() == "layer2.1.drop"
    assert "never" in tree.details.text() or "not called" in tree.details.text()


def test_left_and_right_go_by_unit_on_a_layer_and_fold_a_stage(
    qtbot: QtBot, tree: LayerTree
) -> None:
    steps = told(tree.unit_step)
    tree.set_current("conv1")
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left):
        qtbot.keyClick(tree.tree, key)
    assert steps == [1, 1, -1]
    tree.set_current("layer2")
    qtbot.keyClick(tree.tree, Qt.Key.Key_Right)
    assert "layer2.0" in visible(tree)
    assert len(steps) == 3


def test_enter_and_a_click_on_the_box_tick(qtbot: QtBot, tree: LayerTree) -> None:
    ticks, all_of_them = told(tree.ticked), told(tree.ticked_changed)
    tree.set_current("conv1")
    qtbot.keyClick(tree.tree, Qt.Key.Key_Return)
    place = tree.shown.mapFromSource(tree.model.place("fc"))
    box = tree.tree.visualRect(place)
    corner = QPoint(box.left() + 15, box.center().y())
    qtbot.mouseClick(tree.tree.viewport(), Qt.MouseButton.LeftButton, pos=corner)
    assert ticks == [("conv1", True), ("fc", True)]
    assert all_of_them[-1] == ["conv1", "fc"]
    qtbot.mouseClick(tree.tree.viewport(), Qt.MouseButton.LeftButton, pos=corner)
    assert all_of_them[-1] == ["conv1"]
    assert tree.model.place("fc").data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Unchecked


def test_a_layer_that_never_ran_cannot_be_ticked(qtbot: QtBot, tree: LayerTree) -> None:
    seen = told(tree.ticked_changed)
    tree.set_current("layer1.0.drop")
    qtbot.keyClick(tree.tree, Qt.Key.Key_Return)
    assert seen == []


def test_setters_tell_nothing(tree: LayerTree) -> None:
    seen = told(tree.current_changed)
    ticks = told(tree.ticked_changed)
    tree.set_current("layer3.1.act3")
    tree.set_ticked(["conv1", "gone"])
    tree.set_layers(list(resnet()))
    tree.field.setText("conv")
    tree.field.clear()
    assert seen == []
    assert ticks == []
    assert tree.ticked_names() == ["conv1"]
    assert tree.current() == "layer3.1.act3"


def test_live_numbers_are_shown_and_lay_nothing_out_anew(tree: LayerTree) -> None:
    resets = told(tree.model.layoutChanged)
    scroll = tree.tree.verticalScrollBar()
    tree.tree.expandAll()
    scroll.setValue(7)
    tree.show_statistics(rows())
    assert cell(tree, "conv1", MEAN) == "0.250"
    assert cell(tree, "conv1", ZEROS) == "43 %"
    assert cell(tree, "conv1", ACTIVE) == "60 %"
    assert scroll.value() == 7
    assert resets == []


def test_updates_come_four_times_a_second_and_the_newest_counts(
    qtbot: QtBot, tree: LayerTree
) -> None:
    tree.show_statistics(rows())
    for mean in (1.0, 2.0, 3.0):
        tree.show_statistics(rows(mean=mean))
    assert cell(tree, "conv1", MEAN) == "0.250"
    qtbot.waitUntil(lambda: cell(tree, "conv1", MEAN) == "3.000", timeout=2000)
    qtbot.waitUntil(lambda: not tree._live.isActive(), timeout=2000)


def test_nan_is_a_word_in_the_error_colour(qtbot: QtBot, tree: LayerTree) -> None:
    def red() -> int:
        QApplication.processEvents()
        picture = tree.tree.viewport().grab().toImage()
        want = DARK.colour("error")
        place = tree.tree.visualRect(tree.shown.mapFromSource(tree.model.place("conv1")))
        return sum(
            near(picture.pixelColor(x, y), want)
            for x in range(place.left() + 30, place.right())
            for y in range(place.top(), place.bottom())
        )

    assert red() == 0
    tree.show_statistics(rows(finite=False, mean=math.nan))
    assert cell(tree, "conv1", MEAN) == "NaN"
    assert red() > 5
    tree.set_current("conv1")
    assert "NaN" in tree.details.text()
    tree._live.stop()


def test_columns_go_when_there_is_no_room_and_the_name_stays(tree: LayerTree) -> None:
    tree.resize(330, 400)
    QApplication.processEvents()
    assert tree.tree.isColumnHidden(MEAN)
    assert not tree.tree.isColumnHidden(SHAPE)
    assert tree.tree.columnWidth(0) >= 120
    tree.resize(760, 400)
    QApplication.processEvents()
    assert not tree.tree.isColumnHidden(MEAN)


def test_a_thousand_rows_paint_only_what_is_seen(tree: LayerTree) -> None:
    tree.set_layers([Layer("blocks", "Sequential", leaf=False),
                     *(Layer(f"blocks.{i}", "Conv2d") for i in range(1000))])  # fmt: skip
    tree.set_theme(LIGHT)
    painted: list[str] = []
    delegate = tree.tree.itemDelegate()
    before = delegate._paint_name

    def count(painter: Any, option: Any, node: Any, **rest: Any) -> None:
        painted.append(node.layer.name)
        before(painter, option, node, **rest)

    delegate._paint_name = count
    tree.tree.viewport().repaint()
    assert 10 < len(painted) < 40


def test_an_empty_tree_says_what_it_waits_for(tree: LayerTree) -> None:
    tree.set_layers([])
    assert "when the network is loaded" in tree.details.text()


def test_no_shape_is_cut_however_long_and_the_name_keeps_its_room(tree: LayerTree) -> None:
    layers = [
        Layer("main.0", "ConvTranspose2d", shape=(40, 128, 16, 16)),
        Layer("main.1", "BatchNorm2d", shape=(40, 64, 32, 32)),
    ]
    tree.resize(288, 400)
    tree.set_layers(layers)
    header = tree.tree.header()
    metrics = QFontMetrics(font("number"))
    for name in tree.model.nodes:
        text = tree.model.nodes[name].text(SHAPE)
        assert text.startswith("N=40")
        assert metrics.horizontalAdvance(text) + 10 <= header.sectionSize(SHAPE)
    assert header.sectionSize(LAYER) >= 90
    tree.set_layers([replace(layer, shape=(1, 8)) for layer in layers])
    assert header.sectionSize(SHAPE) < 100  # short ones leave the room to the names


def test_a_folded_stage_says_where_in_it_the_first_nan_is(tree: LayerTree) -> None:
    shape = (1, 64, 28, 28)
    bad = ("layer2.1.bn1", "layer3.0.conv1")
    tree.show_statistics(
        [LayerStatistics(name, shape, math.nan, 0.0, False, 0.0) for name in reversed(bad)]
    )
    node = tree.model.nodes
    assert node["layer2"].broken == node["layer2.1"].broken == "layer2.1.bn1"
    assert node["layer3"].broken == "layer3.0.conv1"
    assert node["layer1"].broken == node["layer2.0"].broken == ""
    assert "NaN or ∞ first in layer2.1.bn1" in node["layer2"].sentence()
    tree.field.setText("nan")
    assert set(visible(tree)) == {"layer2", "layer2.1", "layer2.1.bn1",
                                  "layer3", "layer3.0", "layer3.0.conv1"}  # fmt: skip
    tree.field.setText("")
    assert error_pixels(tree, "layer2") > 0
    assert error_pixels(tree, "layer1") == 0
    tree._take_pending()
    tree.model.set_statistics([LayerStatistics(n, shape, 0.0, 0.0, True, 0.0) for n in bad])
    assert node["layer2"].broken == ""


def error_pixels(tree: LayerTree, name: str) -> int:
    """How many pixels of a row have the colour of errors."""
    row = tree.tree.visualRect(tree.shown.mapFromSource(tree.model.place(name)))
    image = tree.tree.viewport().grab(row).toImage()
    wanted = DARK.colour("error").rgb()
    return sum(
        image.pixel(x, y) == wanted for x in range(image.width()) for y in range(image.height())
    )


def test_a_narrow_tree_draws_the_activity_below_the_shape(tree: LayerTree) -> None:
    tree.resize(288, 600)
    QApplication.processEvents()
    assert tree.tree.isColumnHidden(ACTIVE)
    widths = []
    for activity in (0.25, 1.0):
        row = LayerStatistics("conv1", (1, 64, 112, 112), 0.5, 0.1, True, activity)
        tree.model.set_statistics([row])
        place = tree.tree.visualRect(
            tree.shown.mapFromSource(tree.model.place("conv1")).siblingAtColumn(SHAPE)
        )
        image = tree.tree.viewport().grab(place).toImage()
        y, muted = image.height() - 3, DARK.colour("muted")
        widths.append(sum(near(image.pixelColor(x, y), muted) for x in range(image.width())))
    assert widths[1] - widths[0] == 33  # three quarters of the bar
