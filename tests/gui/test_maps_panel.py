"""The live mosaic: where tiles stand, what is said of them, what clicks, keys and the mouse do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication
from skimage import color

from explorer import colours
from explorer.kinds import Affine, FeatureMaps
from explorer.panels.feature_maps import FeatureMapsPanel, rendered_from
from explorer.panels.maps import MapsPanel
from explorer.panels.mosaic import Layout, arrange, plan, resized, tiles_of
from explorer.panels.series import contrast
from explorer.panels.theme import DARK, LIGHT
from explorer.panels.unit_page import UnitPage
from explorer.views import GAP, NOT_FINITE, Handle, Rendered, View

pytestmark = pytest.mark.gui
POINT = "layer2.3.act3"


def ramp(count: int, height: int = 6, width: int = 8) -> np.ndarray:
    """Maps whose values name their place: unit + row / 10 + column / 100."""
    unit, row, column = np.mgrid[:count, :height, :width]
    return (unit + row / 10 + column / 100).astype(np.float32)


def rendered(maps: np.ndarray, view: View | None = None, **changes: Any) -> Rendered:
    """What the session answers for ``maps``."""
    view = view or View(POINT)
    made = rendered_from(FeatureMaps(f"x/{POINT}", maps, affine=Affine(4, 4)), view)
    made = replace(made, kind="ReLU", handle=Handle(POINT, -1, 0, 1, 0), notes=())
    return replace(made, **changes)


@pytest.fixture
def panel(qtbot: Any) -> MapsPanel:
    made = MapsPanel()
    qtbot.addWidget(made)
    made.resize(700, 500)
    with qtbot.waitExposed(made):
        made.show()
    return made


def live(panel: MapsPanel, maps: np.ndarray, **changes: Any) -> list[View]:
    """Answer every view of the panel from ``maps``, as a running session does."""
    asked: list[View] = []

    def answer(view: View) -> None:
        asked.append(view)
        panel.show_rendered(rendered(maps, view, **changes))

    panel.view_wanted.connect(answer)
    panel.set_point(POINT)
    panel.show_rendered(rendered(maps, **changes))
    return asked


def spot_of(panel: MapsPanel, unit: int, x: float = 0.5, y: float = 0.5) -> QPointF:
    """Viewport position of a place (share of width and height) on the tile of ``unit``."""
    assert panel.page is not None
    assert panel.view.layout_now is not None
    position = panel.page.position_of(unit)
    assert position is not None
    x1, y1, x2, y2 = panel.view.layout_now.corners(position)
    return panel.view.screen(x1 + x * (x2 - x1), y1 + y * (y2 - y1))


def click(qtbot: Any, panel: MapsPanel, unit: int) -> None:
    spot = spot_of(panel, unit).toPoint()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=spot)


def send_move(widget: Any, spot: QPointF, held: Any = Qt.MouseButton.NoButton) -> None:
    event = QMouseEvent(
        QEvent.Type.MouseMove, spot, widget.mapToGlobal(spot), Qt.MouseButton.NoButton, held,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


def hover(panel: MapsPanel, spot: QPointF) -> None:
    send_move(panel.view.viewport(), QPointF(spot.toPoint()))


# -- the grid ------------------------------------------------------------------------------------


def test_512_maps_of_28_fill_the_panel_of_the_rule() -> None:
    """UX rule 4: 29 columns x 18 rows in 1100 x 700; without a last gap even 36 px fit, not 35."""
    layout = plan(512, (28, 28), 1100, 700)
    assert (layout.columns, layout.rows, layout.side) == (29, 18, 36)


@given(
    st.integers(1, 1024), st.integers(1, 64), st.integers(1, 64), st.integers(80, 1600),
    st.integers(80, 1200),
)  # fmt: skip
def test_a_layout_holds_all_tiles_within_the_panel(
    count: int, height: int, width: int, across: int, down: int
) -> None:
    layout = plan(count, (height, width), across, down)
    assert layout.columns * layout.rows >= count
    if min(layout.drawn) > 1:
        assert layout.size[1] <= across
        assert layout.size[0] <= down
    if layout.drawn[1] >= 2 * width and layout.drawn[0] >= 2 * height:
        assert layout.drawn[1] % width == 0
        assert layout.drawn[0] == layout.drawn[1] // width * height


@given(st.integers(1, 300), st.integers(1, 20), st.integers(1, 20), st.data())
def test_a_place_on_a_tile_is_found_again(count: int, h: int, w: int, data: Any) -> None:
    layout = plan(count, (h, w), 800, 600)
    position = data.draw(st.integers(0, count - 1))
    row, column = data.draw(st.integers(0, h - 1)), data.draw(st.integers(0, w - 1))
    x1, y1, x2, y2 = layout.corners(position)
    x = x1 + (column + 0.5) / w * (x2 - x1)
    y = y1 + (row + 0.5) / h * (y2 - y1)
    found = layout.locate(x, y)
    assert found is not None
    assert (found[0], int(found[1]), int(found[2])) == (position, column, row)


def test_gaps_belong_to_no_tile() -> None:
    layout = Layout(4, 2, (3, 3), (30, 30), gap=2, label=16)
    assert layout.locate(31, 20) is None
    assert layout.locate(5, 5) is None  # the row of the label
    assert layout.locate(-1, 20) is None


def test_tiles_come_back_from_a_mosaic_of_any_columns() -> None:
    maps = ramp(7)
    expected = np.clip(np.rint(maps / maps.max() * 253), 0, 253).astype(np.uint8)
    for columns in (1, 3, 7):
        view = View(POINT, columns=columns, range="frozen", limits=(0.0, float(maps.max())))
        assert np.array_equal(tiles_of(rendered(maps, view)), expected)


def test_arranging_keeps_the_tiles_and_fills_the_rest() -> None:
    tiles = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((5, 2, 3), np.uint8)
    layout = Layout(5, 3, (2, 3), (4, 6), gap=2, label=1)
    picture = arrange(tiles, layout)
    assert picture.shape == layout.size
    for i in range(5):
        x1, y1, x2, y2 = layout.corners(i)
        assert np.all(picture[y1:y2, x1:x2] == i)
    assert picture[0, 0] == GAP  # label row
    assert picture[-1, -1] == GAP  # the sixth place


def test_smaller_tiles_average_within_themselves() -> None:
    """Black and white tiles in turn stay black and white when they shrink: nothing leaks."""
    tiles = np.zeros((6, 56, 56), np.uint8)
    tiles[::2] = 253
    for size in ((36, 36), (20, 20), (28, 28)):
        small = resized(tiles, size)
        assert np.all(small[::2] == 253)
        assert np.all(small[1::2] == 0)
    checker = np.indices((1, 8, 8)).sum(0).astype(np.uint8) % 2 * 200
    assert np.all(resized(checker, (4, 4)) == 100)
    assert set(np.unique(resized(checker, (4, 4), average=False))) <= {0, 200}


# -- what is said --------------------------------------------------------------------------------


def test_header_says_what_the_layer_is(panel: MapsPanel) -> None:
    """UX A1.3."""
    maps = np.zeros((512, 28, 28), np.float32)
    maps[:476] = np.linspace(0, 0.95, 28)
    live(panel, maps)
    wanted = "layer2.3.act3 · ReLU · 512 units · 28×28 · float32 · 0 … 0.95 · 7 % dead"
    assert panel.header.text().startswith(wanted)
    assert "by index · layer scale" in panel.header.text()
    assert panel.colour_bar.text().startswith("0 … ")


def test_empty_and_waiting_states_teach_and_can_be_left(qtbot: Any, panel: MapsPanel) -> None:
    assert panel.body.currentWidget() is panel.body.empty
    assert panel.body.empty.title.text() == "No layer chosen"
    panel.set_point("fc")
    assert panel.body.currentWidget() is panel.body.loading
    assert panel.body.loading.words.text().startswith("Waiting for fc")
    qtbot.waitUntil(lambda: panel.body.loading.cancel.isVisible())
    with qtbot.waitSignal(panel.cancel_wanted):
        panel.body.loading.cancel.click()
    panel.set_point("")
    assert panel.body.currentWidget() is panel.body.empty


def test_values_that_are_not_finite_are_counted_and_drawn(panel: MapsPanel) -> None:
    maps = ramp(4, 40, 40)
    maps[1, 3, :5] = np.nan
    live(panel, maps)
    assert "5 not finite" in panel.header.text()
    assert not panel.header.warning.isHidden()
    assert (panel.view.image.image == NOT_FINITE).any()


def test_signed_data_get_the_diverging_map_and_others_do_not(panel: MapsPanel) -> None:
    live(panel, ramp(4))
    low_end = panel._table()[0, :3].tolist()
    panel.set_point("bn")
    panel.show_rendered(rendered(ramp(4) - 2, View("bn")))
    table = panel._table()
    assert low_end == [68, 1, 84]  # viridis begins in dark purple
    assert table[126, :3].tolist() == [255, 255, 255]  # zero is white
    low, high = panel._limits_shown()
    assert low == -high


def test_dead_units_are_hatched_and_say_so(qtbot: Any, panel: MapsPanel) -> None:
    maps = ramp(6) + 1
    maps[4] = 0
    live(panel, maps)
    assert panel.page is not None
    assert panel.page.dead() == [4]
    assert list(panel.view.tile_marks.dead) == [4]
    with qtbot.waitSignal(panel.probed) as caught:
        hover(panel, spot_of(panel, 4))
    assert "constant 0" in caught.args[0].text
    assert "constant 0" in panel.view.toolTip()


def test_a_stale_and_a_frozen_panel_say_so(panel: MapsPanel) -> None:
    live(panel, ramp(4))
    panel.set_stale("frame 12 of 40")
    panel.set_frozen(frozen=True)
    assert panel.header.stale.text() == "frame 12 of 40"
    assert panel.header.frozen_icon.isVisible()
    panel.set_stale("")
    panel.set_frozen(frozen=False)
    assert not panel.header.stale.isVisible()
    assert not panel.header.frozen_icon.isVisible()


def test_words_change_four_times_a_second_at_most(
    panel: MapsPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(panel, ramp(4))
    now = [1000.0]
    monkeypatch.setattr("explorer.panels.maps.time.monotonic", lambda: now[0])
    panel._renew_numbers()
    renewed: list[float] = []
    renew = panel._renew_numbers

    def counted() -> None:
        renewed.append(now[0])
        renew()

    monkeypatch.setattr(panel, "_renew_numbers", counted)
    for frame in range(60):
        now[0] = 1000.0 + frame / 100
        panel.show_rendered(rendered(ramp(4)))
    assert renewed == [1000.25, 1000.5]


# -- selecting and walking -----------------------------------------------------------------------


def test_click_selects_marks_and_opens_the_unit(qtbot: Any, panel: MapsPanel) -> None:
    live(panel, ramp(12))
    with qtbot.waitSignal(panel.unit_selected) as caught:
        click(qtbot, panel, 7)
    assert caught.args[0] == (POINT, 7)
    assert panel.detail.isVisible()
    assert panel.detail.header.text().startswith("unit 7 of 12 · mean 7.")
    assert panel.view.layout_now is not None
    assert panel.view.selection.selected == panel.view.layout_now.corners(7)


def test_the_exact_map_replaces_the_picture_of_it(qtbot: Any, panel: MapsPanel) -> None:
    maps = ramp(3)
    maps[1, 0, :4] = 0.0
    live(panel, maps)
    wanted: list[Any] = []
    panel.unit_wanted.connect(wanted.append)
    panel.select(1)
    handle, unit = wanted[-1]
    panel.show_unit(handle, unit, maps[1])
    panel.detail.header.flush()
    assert " 8 % zero" in panel.detail.header.text()  # 4 of 48
    assert "≈" not in panel.detail.header.text()
    assert np.array_equal(panel.arrays()["selected"], maps[1])
    panel.show_unit(handle, 2, maps[2])  # an answer that comes too late
    assert np.array_equal(panel.arrays()["selected"], maps[1])


def test_arrows_walk_by_one_and_by_a_row(qtbot: Any, panel: MapsPanel) -> None:
    live(panel, ramp(40))
    panel.view.setFocus()
    columns = panel.view.layout_now.columns  # type: ignore[union-attr]
    for key, unit in (
        (Qt.Key.Key_Right, 0), (Qt.Key.Key_Right, 1), (Qt.Key.Key_Left, 0), (Qt.Key.Key_Left, 0),
    ):  # fmt: skip
        qtbot.keyClick(panel.view, key)
        assert panel.selected == unit
    columns = panel.view.layout_now.columns  # type: ignore[union-attr]
    qtbot.keyClick(panel.view, Qt.Key.Key_Down)
    assert panel.selected == columns
    qtbot.keyClick(panel.view, Qt.Key.Key_Up)
    assert panel.selected == 0
    qtbot.keyClick(panel.view, Qt.Key.Key_Escape)
    assert panel.selected is None
    assert not panel.detail.isVisible()


def test_s_cycles_the_order_and_the_header_says_which(qtbot: Any, panel: MapsPanel) -> None:
    asked = live(panel, ramp(12))
    panel.view.setFocus()
    qtbot.keyClick(panel.view, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: bool(asked) and asked[-1].order == "max")
    assert panel.page is not None
    assert panel.page.units.tolist() == list(range(11, -1, -1))
    assert "by maximum" in panel.header.text()
    click(qtbot, panel, 3)  # the tile at place 8 is unit 3
    assert panel.selected == 3
    for order in ("mean", "change", "similarity", "index"):
        qtbot.keyClick(panel.view, Qt.Key.Key_S)
        assert panel.order == order


def test_n_switches_between_layer_and_own_scale(qtbot: Any, panel: MapsPanel) -> None:
    asked = live(panel, ramp(5) + 1)
    panel.view.setFocus()
    qtbot.keyClick(panel.view, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: bool(asked) and asked[-1].range == "unit")
    assert "own scale" in panel.header.text()
    assert panel.page is not None
    assert panel.page.high.tolist() == pytest.approx((ramp(5) + 1).max((1, 2)).tolist())
    qtbot.keyClick(panel.view, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: asked[-1].range == "layer")
    assert "layer scale" in panel.header.text()


def test_a_frozen_scale_keeps_its_limits(qtbot: Any, panel: MapsPanel) -> None:
    asked = live(panel, ramp(5))
    before = panel._limits_shown()
    panel.freeze_range()
    qtbot.waitUntil(lambda: bool(asked) and asked[-1].range == "frozen")
    panel.show_rendered(rendered(ramp(5) * 9, asked[-1]))
    assert panel._limits_shown() == pytest.approx(before)


# -- probing -------------------------------------------------------------------------------------


def test_hover_asks_for_the_value_and_tells_the_place(qtbot: Any, panel: MapsPanel) -> None:
    maps = ramp(9)
    live(panel, maps)
    asked: list[Any] = []
    told: list[Any] = []
    panel.value_wanted.connect(asked.append)
    panel.probed.connect(told.append)
    hover(panel, spot_of(panel, 5, x=3.5 / 8, y=2.5 / 6))
    handle, unit, y, x = asked[-1]
    assert (unit, y, x) == (5, 2, 3)
    assert told[-1].input_xy == pytest.approx((3.5 * 4, 2.5 * 4), abs=0.3)
    assert "unit 5 of 9  y 2  x 3  ≈" in told[-1].text
    panel.show_value(handle, unit, y, x, float(maps[unit, y, x]))
    assert told[-1].text.endswith("5.23")
    count = len(told)
    panel.show_value(handle, 1, 0, 0, 1.0)  # the mouse has gone on
    assert len(told) == count
    QApplication.sendEvent(panel.view, QEvent(QEvent.Type.Leave))
    assert told[-1] is None


def test_cells_of_averaged_maps_are_those_of_the_full_map(panel: MapsPanel) -> None:
    half = rendered(ramp(3), reduced=2, map_size=(12, 16), tile=(6, 8))
    page = UnitPage.of(half, 0)
    assert page.cell(3.5, 2.5) == (5, 7)
    assert page.on_input(3.5, 2.5) == (28.0, 20.0)


def test_the_receptive_field_is_centred_on_the_cell(qtbot: Any, panel: MapsPanel) -> None:
    live(panel, ramp(9), receptive=(11.0, 7.0))
    marked: list[Any] = []
    panel.field_marked.connect(marked.append)
    click(qtbot, panel, 4)
    x1, y1, x2, y2 = marked[-1]
    assert (x2 - x1, y2 - y1) == (11.0, 7.0)
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    assert middle_x % 4 == pytest.approx(2)  # centre of a cell of 4 input pixels
    assert middle_y % 4 == pytest.approx(2)


def test_the_linked_cursor_stands_on_the_selected_tile(panel: MapsPanel) -> None:
    live(panel, ramp(9))
    panel.select(4)
    panel.show_cursor((16.0, 12.0))  # cell (4, 3) of 8 x 6: the middle
    assert panel.view.layout_now is not None
    x1, y1, x2, y2 = panel.view.layout_now.corners(4)
    assert panel.view.cursor_mark.at == pytest.approx(((x1 + x2) / 2, (y1 + y2) / 2))
    assert panel.detail.cursor_mark.at == pytest.approx((4.0, 3.0))
    panel.show_cursor(None)
    assert panel.view.cursor_mark.at is None


def test_zooming_in_brings_up_the_pixels_of_the_map(panel: MapsPanel) -> None:
    maps = np.zeros((256, 64, 64), np.float32)
    maps[:, :, ::2] = 1.0  # stripes of one pixel: grey when averaged
    live(panel, maps)
    assert not (panel.view.image.image == 253).any()
    panel.view.zoomed = True
    panel.view.box.scaleBy((0.1, 0.1))
    assert set(np.unique(panel.view.image.image)) == {0, 253, GAP}


# -- views ---------------------------------------------------------------------------------------


def test_the_whole_mosaic_is_in_view_after_the_panel_changed_its_shape(
    qtbot: Any, panel: MapsPanel
) -> None:
    """The first picture brings caption and colour bar, which take room from the mosaic again."""
    panel.set_point(POINT)
    panel.show_rendered(rendered(ramp(1000, 1, 1), unit="value"))
    for width, height in ((700, 500), (460, 620), (1000, 400)):
        panel.resize(width, height)
        qtbot.wait(60)
        assert panel.view.layout_now is not None
        seen, (tall, wide) = panel.view.box.viewRect(), panel.view.layout_now.size
        assert seen.left() <= 0
        assert seen.top() <= 0
        assert seen.right() >= wide
        assert seen.bottom() >= tall
        assert seen.width() == pytest.approx(panel.view.viewport().width())
        assert -seen.top() == pytest.approx(seen.bottom() - tall, abs=2)  # in the middle


def test_one_view_for_many_changes(qtbot: Any, panel: MapsPanel) -> None:
    views: list[View] = []
    panel.view_wanted.connect(views.append)
    panel.set_point(POINT)
    panel.set_sample(2)
    panel.set_order("max")
    qtbot.waitUntil(lambda: len(views) == 1)
    assert (views[0].point, views[0].sample, views[0].order) == (POINT, 2, "max")
    qtbot.wait(120)
    assert len(views) == 1


def test_the_view_asks_for_tiles_as_large_as_they_are_shown(qtbot: Any, panel: MapsPanel) -> None:
    asked = live(panel, ramp(256, 64, 64))
    qtbot.waitUntil(lambda: bool(asked) and asked[-1].tile > 0)
    assert panel.view.layout_now is not None
    assert asked[-1].tile == max(panel.view.layout_now.drawn)
    assert asked[-1].columns == panel.view.layout_now.columns
    before = asked[-1].tile
    panel.resize(350, 300)
    qtbot.waitUntil(lambda: asked[-1].tile < before)


def test_a_picture_of_another_point_is_left_alone(panel: MapsPanel) -> None:
    live(panel, ramp(4))
    panel.show_rendered(rendered(ramp(99), View("other")))
    assert panel.page is not None
    assert panel.page.count == 4


def test_above_1024_units_there_are_pages_and_a_strip(qtbot: Any, panel: MapsPanel) -> None:
    asked = live(panel, ramp(2500, 2, 2))
    qtbot.waitUntil(lambda: bool(asked) and len(asked[-1].units) == 1024)
    assert panel.strip.isVisible()
    assert "page 1 of 3" in panel.header.text()
    panel.view.setFocus()
    qtbot.keyClick(panel.view, Qt.Key.Key_PageDown)
    qtbot.waitUntil(lambda: asked[-1].units[:1] == (1024,))
    strip = panel.strip
    at = int((2300 + 0.5) / 2500 * strip.width())
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=strip.rect().center().__class__(at, 9))
    assert panel.selected == pytest.approx(2300, abs=4)
    qtbot.waitUntil(lambda: asked[-1].units[:1] == (2048,))
    assert "page 3 of 3" in panel.header.text()


def test_the_brush_is_dragged_over_the_strip(qtbot: Any, panel: MapsPanel) -> None:
    asked = live(panel, ramp(4096, 2, 2))
    qtbot.waitUntil(lambda: bool(asked) and len(asked[-1].units) == 1024)
    strip = panel.strip
    panel.resize(1024 + panel.width() - strip.width(), 500)  # four units a pixel
    qtbot.waitUntil(lambda: strip.width() == 1024)
    assert strip.brush().getRect()[::2] == pytest.approx((0, 256))
    left = Qt.MouseButton.LeftButton
    qtbot.mousePress(strip, left, pos=QPoint(100, 9))
    for x in (120, 200, 275):
        send_move(strip, QPointF(x, 9), left)
    qtbot.mouseRelease(strip, left, pos=QPoint(275, 9))
    qtbot.waitUntil(lambda: asked[-1].units[:1] == (4 * 175,))
    assert len(asked[-1].units) == 1024
    assert panel.selected is None  # a drag is no click
    panel._renew_numbers()
    assert "700 … 1723 of 4096" in panel.header.text()
    assert strip.brush().left() == pytest.approx(700 / 4096 * strip.width())
    qtbot.mousePress(strip, left, pos=QPoint(900, 9))  # beside the brush: it comes to the mouse
    send_move(strip, QPointF(2000, 9), left)
    qtbot.mouseRelease(strip, left, pos=QPoint(2000, 9))
    qtbot.waitUntil(lambda: asked[-1].units[:1] == (3072,))  # and stays inside


def test_the_strip_follows_the_order_of_the_mosaic(qtbot: Any, panel: MapsPanel) -> None:
    asked = live(panel, ramp(4096, 2, 2))
    qtbot.waitUntil(lambda: bool(asked) and len(asked[-1].units) == 1024)
    panel.set_order("max")  # the last unit of a ramp is the largest
    qtbot.waitUntil(lambda: asked[-1].units[:1] == (4095,))
    panel._renew_numbers()
    assert panel.strip.unit_at(0) == 4095
    assert panel.strip.hint(0).startswith("unit 4095: max 4095")
    assert panel.strip.brush().left() == 0


def test_things_without_place_have_numbers_but_no_large_map(qtbot: Any, panel: MapsPanel) -> None:
    values = np.linspace(-3, 3, 1000, dtype=np.float32).reshape(1000, 1, 1)
    live(panel, values, unit="value", affine=None)
    assert "1000 values" in panel.header.text()
    assert "dead" not in panel.header.text()
    assert panel.view.layout_now is not None
    assert panel.view.layout_now.side >= 10
    with qtbot.waitSignal(panel.probed) as caught:
        hover(panel, spot_of(panel, 285))
    assert "value 285 of 1000" in caught.args[0].text
    click(qtbot, panel, 285)
    assert panel.selected == 285
    assert not panel.detail.isVisible()


def test_tokens_and_channels_keep_their_names(qtbot: Any, panel: MapsPanel) -> None:
    live(panel, ramp(1, 20, 30), unit="token × channel", affine=None)
    assert "20 tokens × 30 channels" in panel.header.text()
    with qtbot.waitSignal(panel.probed) as caught:
        hover(panel, spot_of(panel, 0, x=12.5 / 30, y=7.5 / 20))
    assert "token 7  channel 12" in caught.args[0].text


def test_values_as_drawn_are_exported(panel: MapsPanel) -> None:
    maps = ramp(4)
    live(panel, maps)
    arrays = panel.arrays()
    low, high = panel._limits_shown()
    assert np.allclose(arrays["maps"], np.clip(maps, low, high), atol=(high - low) / 253)
    assert arrays["units"].tolist() == [0, 1, 2, 3]


def test_feature_maps_of_an_artefact_look_and_act_the_same(qtbot: Any) -> None:
    panel = FeatureMapsPanel()
    qtbot.addWidget(panel)
    panel.resize(600, 400)
    with qtbot.waitExposed(panel):
        panel.show()
    maps = ramp(9)
    panel.show_artefact(FeatureMaps("hidden/h(t)", maps))
    assert "9 units · 6×8" in panel.header.text()
    told: list[Any] = []
    panel.probed.connect(told.append)
    hover(panel, spot_of(panel, 5, x=3.5 / 8, y=2.5 / 6))
    assert told[-1].text.endswith("5.23")
    panel.view.setFocus()
    qtbot.keyClick(panel.view, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: panel.page is not None and panel.page.units[0] == 8)


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda t: t.name)
@pytest.mark.parametrize("name", colours.NAMES)
def test_gaps_are_told_from_every_colour_of_the_map(
    panel: MapsPanel, theme: Any, name: str
) -> None:
    live(panel, ramp(9) + 1 - (9 if name == "diverging" else 0))
    panel.set_theme(theme)
    if name != "diverging":
        panel.set_unsigned_map(name)
    assert panel.view.layout_now is not None
    _, _, x2, y2 = panel.view.layout_now.corners(0)
    shot = panel.view.viewport().grab().toImage()
    gap = shot.pixelColor(panel.view.screen(x2 + 1, y2 - 5).toPoint())
    assert gap == shot.pixelColor(1, 1)  # what is round the tiles is no tile either
    lab = [color.rgb2lab(np.array(c, float)[None] / 255) for c in
           (colours.table(name)[:254, :3], [[gap.red(), gap.green(), gap.blue()]])]  # fmt: skip
    assert color.deltaE_ciede2000(lab[0], lab[1]).min() >= 20  # 2 is just seen
    ink = panel.view.tile_marks.ink()
    assert contrast(ink, gap) >= 4.5
