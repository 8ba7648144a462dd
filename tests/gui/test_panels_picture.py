"""Pictures and what lies over them: placed where the input has it, read out, gestured, exported."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPixmap

from explorer.kinds import Affine, Boxes, Field, Image, Keypoints, Masks
from explorer.panels import PANEL_FOR, panel_class
from explorer.panels.fields import FieldPanel
from explorer.panels.group import GroupPanel
from explorer.panels.heat import (
    field_limits,
    flow_picture,
    heat_limits,
    heat_picture,
    masks_picture,
    table_name,
)
from explorer.panels.marks import BoxesPanel, KeypointsPanel, MasksPanel
from explorer.panels.panel import Panel
from explorer.panels.picture import ImagePanel, PicturePanel
from explorer.panels.theme import DARK, LIGHT

pytestmark = pytest.mark.gui


def shown(qtbot: Any, panel: Panel, width: int = 400, height: int = 320) -> Any:
    qtbot.addWidget(panel)
    panel.resize(width, height)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


def grabbed(panel: Any) -> QImage:
    return panel.view.viewport().grab().toImage()


def colour_at(panel: Any, x: float, y: float) -> tuple[int, int, int]:
    """Colour on the screen of a position in input pixels."""
    picture = grabbed(panel)
    spot = panel.view.screen(x, y).toPoint()
    ratio = picture.devicePixelRatio()
    colour = picture.pixelColor(int(spot.x() * ratio), int(spot.y() * ratio))
    return colour.red(), colour.green(), colour.blue()


def hover(panel: Any, x: float, y: float) -> None:
    """Move the mouse to an input position, as Qt tells the view."""
    from PySide6.QtCore import QEvent, QPointF
    from PySide6.QtGui import QMouseEvent
    from PySide6.QtWidgets import QApplication

    spot = QPointF(panel.view.screen(x, y).toPoint())
    none = Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(
        QEvent.Type.MouseMove, spot, panel.view.viewport().mapToGlobal(spot),
        Qt.MouseButton.NoButton, Qt.MouseButton.NoButton, none,
    )  # fmt: skip
    QApplication.sendEvent(panel.view.viewport(), event)


def click(qtbot: Any, panel: Any, x: float, y: float) -> None:
    spot = panel.view.screen(x, y).toPoint()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=spot)


def drag(qtbot: Any, panel: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    viewport, left = panel.view.viewport(), Qt.MouseButton.LeftButton
    a, b = panel.view.screen(*start).toPoint(), panel.view.screen(*end).toPoint()
    qtbot.mousePress(viewport, left, pos=a)
    qtbot.mouseMove(viewport, pos=(a + b) / 2)
    qtbot.mouseMove(viewport, pos=b)
    qtbot.mouseRelease(viewport, left, pos=b)


@pytest.mark.parametrize("corner", [(0, 0), (0, 9), (7, 0), (7, 9)])
def test_a_white_corner_pixel_stays_in_its_corner(qtbot: Any, corner: tuple[int, int]) -> None:
    image = np.zeros((8, 10, 3), np.uint8)
    image[corner] = 255
    panel = shown(qtbot, ImagePanel())
    panel.show_artefact(Image("input/photo", image))
    for row in (0, 7):
        for column in (0, 9):
            wanted = (255,) * 3 if (row, column) == corner else (0,) * 3
            assert colour_at(panel, column + 0.5, row + 0.5) == wanted


def test_overlays_lie_on_the_pixels_they_mean(qtbot: Any) -> None:
    """A mask and a field at half resolution cover the input pixels that their affine names."""
    photo = np.zeros((40, 60, 3), np.uint8)
    mask = np.zeros((1, 20, 30), bool)
    mask[0, 5:10, 10:20] = True  # rows 10 to 20, columns 20 to 40 of the input
    panel = shown(qtbot, MasksPanel())
    panel.set_background(photo)
    panel.show_artefact(Masks("out/masks", mask, affine=Affine(2, 2)))
    assert colour_at(panel, 30, 15) != (0, 0, 0)
    for x, y in ((19, 15), (41, 15), (30, 9), (30, 21)):
        assert colour_at(panel, x, y) == (0, 0, 0)


def test_a_cropped_photo_lies_below_a_field_where_it_was_cut_out(qtbot: Any) -> None:
    """What a network is fed may be a part of the picture, made smaller; a field covers all."""
    fed = np.zeros((10, 10, 3), np.uint8)
    fed[2, 3] = (10, 200, 30)
    panel = shown(qtbot, FieldPanel())
    panel.set_background(fed, Affine(2, 2, 20, 10))
    panel.show_artefact(Field("out/heat", np.zeros((40, 60))))
    # at 20 + 2 * 3.5, 10 + 2 * 2.5; its luminance 0.299 R + 0.587 G + 0.114 B, a quarter darker
    luminance = 0.75 * (0.299 * 10 + 0.587 * 200 + 0.114 * 30)
    assert colour_at(panel, 27, 15) == pytest.approx((luminance,) * 3, abs=1)
    assert colour_at(panel, 27, 19) == (0, 0, 0)
    panel.artefact = None
    base = PicturePanel.probe(panel, 27, 15)
    assert base is not None
    assert "RGB 10 200 30" in base.text


def test_the_probe_reads_pixel_and_colour(qtbot: Any) -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[7, 12] = (10, 20, 30)
    panel = shown(qtbot, ImagePanel())
    panel.show_artefact(Image("input/photo", image))
    with qtbot.waitSignal(panel.probed) as caught:
        hover(panel, 12.5, 7.5)
    probed = caught.args[0]
    assert "RGB 10 20 30" in probed.text
    assert (int(probed.input_xy[0]), int(probed.input_xy[1])) == (12, 7)


def test_gestures_set_their_knobs_in_input_pixels(qtbot: Any) -> None:
    image = np.zeros((50, 80, 3), np.uint8)
    panel = shown(qtbot, ImagePanel())
    values: list[tuple[str, Any]] = []
    panel.gestured.connect(values.append)
    panel.show_artefact(Image("input/photo", image, gestures={"pick": "at"}))
    click(qtbot, panel, 40, 25)
    knob, at = values[-1]
    assert knob == "at"
    assert at == pytest.approx((40, 25), abs=0.5)
    panel.show_artefact(Image("input/photo", image, gestures={"box": "region"}))
    drag(qtbot, panel, (60, 40), (20, 10))
    knob, corners = values[-1]
    assert knob == "region"
    assert corners == pytest.approx((20, 10, 60, 40), abs=0.5)
    panel.show_artefact(Image("input/photo", image, gestures={"paint": "mask"}))
    drag(qtbot, panel, (10, 10), (30, 10))
    knob, dabs = values[-1]
    assert knob == "mask"
    assert len(dabs) >= 2
    assert dabs[-1][:2] == pytest.approx((30, 10), abs=0.5)


def test_a_drag_sets_a_point_or_adds_from_and_to(qtbot: Any) -> None:
    image = np.zeros((50, 80, 3), np.uint8)
    panel = shown(qtbot, ImagePanel())
    values: list[tuple[str, Any]] = []
    panel.gestured.connect(values.append)
    panel.gestured.connect(lambda told: panel.show_knob(*told))  # as the window does
    panel.show_artefact(Image("input/photo", image, gestures={"drag": "spot"}))
    drag(qtbot, panel, (10, 10), (30, 20))
    assert values[-1][0] == "spot"
    assert values[-1][1] == pytest.approx((30, 20), abs=0.5)
    panel.show_artefact(Image("input/photo", image, gestures={"drag": "moved+"}))
    for start, end in (((10, 10), (30, 20)), ((60, 40), (50, 5))):
        drag(qtbot, panel, start, end)
    assert {name for name, _ in values[2:]} <= {"moved", "spot"}
    knob, places = values[-1]
    assert knob == "moved"
    assert np.array(places) == pytest.approx(
        np.array([(10, 10), (30, 20), (60, 40), (50, 5)]), abs=0.5
    )
    count = len(values)
    drag(qtbot, panel, (40, 40), (40, 40))  # a click drags nothing
    assert len(values) == count


def test_a_brush_may_have_a_value_and_a_radius_of_its_own(qtbot: Any) -> None:
    panel = shown(qtbot, ImagePanel())
    values: list[tuple[str, Any]] = []
    panel.gestured.connect(values.append)
    image = np.zeros((50, 80, 3), np.uint8)
    panel.show_artefact(Image("input/map", image, gestures={"paint": "mask=2,3.5"}))
    drag(qtbot, panel, (10, 10), (30, 10))
    panel.show_artefact(Image("input/map", image, gestures={"paint": "mask=0,6"}))
    drag(qtbot, panel, (30, 30), (50, 30))
    assert {knob for knob, _ in values} == {"mask"}
    dabs = values[-1][1]
    assert {(radius, value) for _, _, radius, value in dabs} == {(3.5, 2.0), (6.0, 0.0)}
    assert dabs[0][2:] == (3.5, 2.0), "the first stroke stays"


def test_an_undone_stroke_is_gone_and_stays_gone(qtbot: Any) -> None:
    group = GroupPanel()
    qtbot.addWidget(group)
    group.resize(400, 300)
    group.show_knob("mask", ())
    image = np.zeros((50, 80, 3), np.uint8)
    group.add(Image("input/photo", image, gestures={"paint": "mask"}))
    with qtbot.waitExposed(group):
        group.show()
    panel = group.panels["photo"]
    assert isinstance(panel, ImagePanel)
    values: list[tuple[str, Any]] = []
    group.gestured.connect(values.append)

    def ink() -> Any:
        spot = panel.view.screen(20, 10).toPoint()
        return panel.view.viewport().grab().toImage().pixelColor(spot).name()

    assert ink() == "#000000"
    drag(qtbot, panel, (10, 10), (30, 10))
    first = values[-1][1]
    assert ink() != "#000000"
    group.show_knob("mask", ())  # undone
    assert ink() == "#000000"
    drag(qtbot, panel, (50, 40), (70, 40))
    second = values[-1][1]
    assert not set(first) & set(second)
    group.show_knob("mask", first)  # redone, then painted on
    drag(qtbot, panel, (50, 40), (70, 40))
    assert set(first) < set(values[-1][1])


def test_without_a_gesture_a_click_sets_nothing(qtbot: Any) -> None:
    panel = shown(qtbot, ImagePanel())
    panel.show_artefact(Image("input/photo", np.zeros((9, 9, 3), np.uint8)))
    with qtbot.assertNotEmitted(panel.gestured):
        click(qtbot, panel, 4, 4)


def test_a_click_in_a_batch_picks_the_tile(qtbot: Any) -> None:
    batch = np.stack([np.full((16, 16, 3), 20 * i, np.uint8) for i in range(9)])
    labels = [f"seed {i}" for i in range(9)]
    panel = shown(qtbot, ImagePanel())
    panel.show_artefact(Image("out/samples", batch, labels=labels, gestures={"pick": "tile"}))
    assert "9 pictures" in panel.header.text()
    x1, y1, x2, y2 = panel._layout.corners(5)
    assert colour_at(panel, (x1 + x2) / 2, (y1 + y2) / 2) == (100, 100, 100)
    with qtbot.waitSignal(panel.gestured) as caught:
        click(qtbot, panel, (x1 + x2) / 2, (y1 + y2) / 2)
    assert caught.args[0] == ("tile", 5)
    with qtbot.waitSignal(panel.probed) as caught:
        hover(panel, (x1 + x2) / 2, (y1 + y2) / 2)
    assert "seed 5" in caught.args[0].text


def test_boxes_that_wait_are_faint_and_the_chosen_one_is_marked(qtbot: Any) -> None:
    boxes = Boxes(
        "origin/rivals", np.array([[10, 10, 60, 60], [12, 12, 62, 62], [20, 20, 50, 50]]),
        [0.9, 0.8, 0.7], ["cat"] * 3, state=["waiting", "chosen", "removed by it"],
    )  # fmt: skip
    made = shown(qtbot, BoxesPanel())
    made.show_artefact(boxes)
    assert [m.faint for m in made.marks.marks] == [True, False, False]
    assert [m.dashed for m in made.marks.marks] == [False, False, True]
    assert made.marks.selected == 1


def test_the_width_of_a_line_is_that_of_the_boxes(qtbot: Any, tmp_path: Path) -> None:
    """From 1 to 6 px; the chosen one keeps its width below the marking; SVG has the same pens."""
    rows = [[20, 20 + 60 * i, 180, 60 + 60 * i] for i in range(3)]
    boxes = Boxes("cell/boxes", np.array(rows), widths=np.array([0.0, 0.4, 1.0]))
    made = shown(qtbot, BoxesPanel())
    made.set_background(np.zeros((200, 200, 3), np.uint8))
    made.show_artefact(boxes)
    assert [m.width for m in made.marks.marks] == pytest.approx([1.0, 3.0, 6.0])
    picture = grabbed(made)
    colour = made.marks.marks[0].colour

    def thick(row: int) -> int:
        """Pixels of the colour across the left edge of a box."""
        edge, middle = made.view.screen(20, row), range(-12, 13)
        ratio = picture.devicePixelRatio()
        across = [
            picture.pixelColor(int((edge.x() + d) * ratio), int(edge.y() * ratio)) for d in middle
        ]
        return sum(c == colour for c in across)

    assert [thick(r) for r in (40, 100, 160)] == [1, 3, 6]
    made.save(tmp_path / "a.svg")
    widths = {e.get("stroke-width") for e in ET.parse(tmp_path / "a.svg").getroot().iter()}
    assert {"3", "6"} <= widths
    usual = Boxes("cell/boxes", np.array(rows))
    made.show_artefact(usual)
    assert [m.width for m in made.marks.marks] == [None] * 3


def film(decided: int) -> Boxes:
    """Three boxes, the second removed by the first, of which ``decided`` are decided."""
    states = ["kept", "removed", "kept"][:decided] + ["waiting"] * (3 - decided)
    return Boxes(
        "suppression/film", np.array([[10, 10, 60, 60], [12, 12, 58, 58], [70, 70, 90, 90]]),
        [0.9, 0.8, 0.7], ["cat"] * 3, ids=[0, 1, 2], state=states,
        cause_id=[-1, 0 if decided > 1 else -1, -1], cause_iou=[0.0, 0.85, 0.0],
        gestures={"pick": "cursor", "type": "decisions"},
    )  # fmt: skip


def test_the_slider_of_a_film_sets_how_many_decisions_are_shown(qtbot: Any) -> None:
    panel = shown(qtbot, BoxesPanel())
    panel.show_artefact(film(3))
    slider = panel.film.slider
    assert panel.film.isVisible()
    assert (slider.minimum(), slider.value(), slider.maximum()) == (1, 3, 3)
    said: list[Any] = []
    panel.gestured.connect(said.append)
    qtbot.keyClick(slider, Qt.Key.Key_Left)
    assert said == [("decisions", 2)]
    panel.show_artefact(film(2))
    assert said == [("decisions", 2)], "what an engine gives back is not a move of the hand"
    assert panel.film.label.text() == "2 of 3"
    assert panel.marks.selected == 1, "the box that was decided on last"
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert said[-1] == ("decisions", 0), "the end, however many there are in the next frame"


def test_boxes_that_are_no_film_have_no_slider(qtbot: Any) -> None:
    panel = shown(qtbot, BoxesPanel())
    panel.show_artefact(Boxes("detections/boxes", [[1, 1, 9, 9]], gestures={"pick": "cursor"}))
    assert not panel.film.isVisible()


def test_the_mouse_over_a_removed_box_points_out_its_cause(qtbot: Any) -> None:
    panel = shown(qtbot, BoxesPanel())
    panel.show_artefact(film(3))
    with qtbot.waitSignal(panel.probed) as caught:
        hover(panel, 30, 30)
    assert "removed · by box 0 at IoU 0.85" in caught.args[0].text
    assert panel.marks.cause == 0
    before = grabbed(panel)
    hover(panel, 80, 80)
    assert panel.marks.cause is None
    assert grabbed(panel) != before


def test_the_box_under_the_picked_place_stays_marked_from_frame_to_frame(qtbot: Any) -> None:
    panel = shown(qtbot, BoxesPanel())
    gestures = {"pick": "cursor"}
    first = np.array([[10, 10, 60, 60], [70, 70, 90, 90]])
    panel.show_artefact(Boxes("detections/boxes", first, gestures=gestures))
    panel.show_knob("cursor", (80.0, 80.0))
    assert panel.marks.selected == 1
    panel.show_artefact(Boxes("detections/boxes", first[::-1], gestures=gestures))
    assert panel.marks.selected == 0, "the same place, another number"
    panel.show_knob("cursor", None)
    assert panel.marks.selected is None


def test_a_legend_that_has_no_room_counts_the_rest_and_cuts_no_word(qtbot: Any) -> None:
    names = ["potted plant", "dining table", "traffic light", "teddy bear"]
    boxes = Boxes("detections/boxes", np.tile([[10.0, 40, 60, 90]], (4, 1)), np.ones(4), names)
    panel = shown(qtbot, BoxesPanel(), 240, 300)
    panel.show_artefact(boxes)

    def words() -> list[str]:
        return [words for _, words in panel.legend.shown()]

    qtbot.waitUntil(lambda: words() == ["potted plant", "and 3 more"])
    assert panel.legend.toolTip() == ", ".join(names)
    panel.resize(900, 300)
    qtbot.waitUntil(lambda: words() == names)
    assert not panel.legend.toolTip()


def test_the_name_of_a_box_at_the_edge_is_not_cut(qtbot: Any) -> None:
    panel = shown(qtbot, BoxesPanel())
    painter = QPainter(pixels := QPixmap(200, 200))
    panel.show_artefact(Boxes("d/b", [[180, 0, 200, 9], [0, 230, 9, 240]], [], ["elephant"] * 2))
    taken: list[QRectF] = []
    for corners in ((190, 5, 199, 40), (5, 230, 40, 260)):
        box = QRectF(QPoint(*corners[:2]), QPoint(*corners[2:]))
        panel.marks._label(painter, box, panel.marks.marks[0], taken)
    painter.end()
    assert len(taken) == 1, "the box below the view has no name in it"
    assert QRectF(pixels.rect()).contains(taken[0])


def test_words_without_a_free_place_are_left_out(qtbot: Any) -> None:
    """Of many boxes in one spot the best are named, and no two names lie over one another."""
    boxes = Boxes(
        "detections/boxes", np.tile([[10.0, 40, 60, 90]], (60, 1)), np.ones(60), ["a"] * 60
    )
    made = shown(qtbot, BoxesPanel())
    made.show_artefact(boxes)
    overlay, taken = made.marks, list[QRectF]()
    painter = QPainter(pixels := QPixmap(200, 200))
    for mark in overlay.marks:
        overlay._label(painter, QRectF(10, 40, 50, 50), mark, taken)
    painter.end()
    assert pixels.width() == 200
    assert 1 < len(taken) < 60
    assert not any(a.intersects(b) for i, a in enumerate(taken) for b in taken[:i])


def test_boxes_are_read_out_and_the_removed_one_says_by_whom(qtbot: Any) -> None:
    boxes = Boxes(
        "out/boxes", [[10, 10, 90, 90], [12, 14, 60, 60]], [0.9, 0.4], ["cat", "cat"],
        ids=[4, 7], state=["kept", "removed"], cause_id=[-1, 4], cause_iou=[0.0, 0.61],
    )  # fmt: skip
    panel = shown(qtbot, BoxesPanel())
    panel.set_background(np.zeros((100, 100, 3), np.uint8))
    panel.show_artefact(boxes)
    assert "2 boxes · score 0.40 … 0.90 · 1 kept · 1 removed" in panel.header.text()
    assert panel.legend.words() == ["cat"]
    with qtbot.waitSignal(panel.probed) as caught:
        hover(panel, 30, 30)
    assert "cat 0.40" in caught.args[0].text
    assert "box 7, one of 2" in caught.args[0].text
    assert "removed · by box 4 at IoU 0.61" in caught.args[0].text
    click(qtbot, panel, 80, 80)
    assert panel.marks.selected == 0


def test_keypoints_name_the_nearest_point(qtbot: Any) -> None:
    points = Keypoints(
        "out/pose", [[[20, 20, 0.9], [70, 70, 0.1]]], labels=["nose", "tail"], skeleton=[(0, 1)]
    )
    panel = shown(qtbot, KeypointsPanel())
    panel.set_background(np.zeros((100, 100, 3), np.uint8))
    panel.show_artefact(points)
    with qtbot.waitSignal(panel.probed) as caught:
        hover(panel, 70, 69)
    assert "tail · score 0.10" in caught.args[0].text


def test_masks_are_named_with_their_probability(qtbot: Any) -> None:
    masks = Masks("out/masks", np.full((1, 10, 10), 0.75, np.float32), labels=["sky"])
    panel = shown(qtbot, MasksPanel())
    panel.show_artefact(masks)
    with qtbot.waitSignal(panel.probed) as caught:
        hover(panel, 5, 5)
    assert "sky · p 0.75" in caught.args[0].text


def test_mask_picture_has_solid_edges_and_a_see_through_inside() -> None:
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 2:7, 2:7] = True
    picture = masks_picture(Masks("a/b", mask))
    assert picture[2, 2, 3] == 255
    assert 0 < picture[4, 4, 3] < 255
    assert picture[0, 0, 3] == 0


@pytest.mark.parametrize(
    ("values", "scale", "name"),
    [
        (np.linspace(0, 3, 12), "sequential", "viridis"),
        (np.linspace(2, 3, 12), "sequential", "viridis"),
        (np.linspace(-1, 3, 12), "sequential", "diverging"),
        (np.linspace(-1, 3, 12), "diverging", "diverging"),
        (np.linspace(0, 1, 12), "probability", "viridis"),
    ],
)
def test_the_colour_map_follows_the_sign(values: Any, scale: Any, name: str) -> None:
    field = Field("a/b", values.reshape(3, 4), scale=scale)
    assert table_name(field) == name
    low, high = field_limits(field)
    if name == "diverging":
        assert low == -high
    if scale == "probability":
        assert (low, high) == (0.0, 1.0)


def test_heat_is_clear_where_there_is_none() -> None:
    values = np.zeros((5, 5), np.float32)
    values[2, 2] = 1.0
    picture = heat_picture(Field("a/b", values))
    assert picture[0, 0, 3] == 0
    assert picture[2, 2, 3] > 150


@pytest.mark.parametrize(
    ("most", "top"), [(0.01, 0.05), (0.05, 0.05), (0.17, 0.2), (0.29, 0.3), (0.6, 0.7), (0.9, 1)]
)
def test_weak_heat_has_a_range_of_its_own(most: float, top: float) -> None:
    values = np.array([[0.0, most / 2], [most, 0.0]], np.float32)
    weak = Field("a/b", values, scale="probability")
    assert heat_limits(weak) == (0.0, top)
    assert heat_limits(weak, whole=True) == (0.0, 1.0)
    assert heat_limits(Field("a/b", values)) == field_limits(Field("a/b", values))
    assert heat_limits(Field("a/b", np.full((2, 2), np.nan), scale="probability"))[0] == 0


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("grey", [20, 128, 240])
def test_heat_below_a_third_is_seen_over_dark_and_bright_photos(
    qtbot: Any, theme: Any, grey: int
) -> None:
    """Half of a maximum of 0.28 differs by 30 of 255 or more from no heat beside it."""
    values = np.zeros((3, 3), np.float32)
    values[1, 1], values[0, 0] = 0.14, 0.28
    panel = shown(qtbot, FieldPanel(theme=theme))
    panel.set_background(np.full((90, 90, 3), grey, np.uint8))
    panel.show_artefact(Field("a/heat", values, scale="probability", affine=Affine(30, 30)))
    assert "0.3" in panel.colour_bar.text()
    cold, hot = colour_at(panel, 75, 75), colour_at(panel, 45, 45)
    assert max(abs(a - b) for a, b in zip(cold, hot, strict=True)) >= 30
    action = next(a for a in panel.menu().actions() if a.text() == "Colours from 0 to 1")
    assert not action.isChecked()
    action.trigger()
    assert panel.colour_bar.text() == "0 … 1"
    action.trigger()
    panel.set_over_picture(False)
    assert panel.colour_bar.text() == "0 … 1", "alone it has the whole range"
    assert "Colours from 0 to 1" not in [a.text() for a in panel.menu().actions()]


def test_flow_hue_is_the_direction() -> None:
    """Right is red (hue 0), down is 90 degrees, left is cyan, as on the wheel."""
    vectors = np.array([[[1, 0], [0, 1], [-1, 0], [0, 0]]], np.float32)
    right, down, left, still = flow_picture(Field("a/b", vectors), 1.0)[0].tolist()
    assert right == [255, 0, 0]
    assert QColor(*down).hue() == pytest.approx(90, abs=2)
    assert left == [0, 255, 255]
    assert still == [255, 255, 255]


def test_a_field_is_probed_through_its_affine(qtbot: Any) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    panel = shown(qtbot, FieldPanel())
    panel.show_artefact(Field("a/depth", values, affine=Affine(10, 10), unit="m"))
    assert "m" in panel.colour_bar.text()
    with qtbot.waitSignal(panel.probed) as caught:
        hover(panel, 25, 15)  # column 2, row 1
    assert "6 m" in caught.args[0].text


def test_clipping_and_missing_values_are_said(qtbot: Any) -> None:
    values = np.zeros((40, 40), np.float32)
    values[:, 1:] = np.linspace(0, 1, 39)
    values[0, 0], values[0, 1] = np.nan, 100.0
    panel = shown(qtbot, FieldPanel())
    panel.show_artefact(Field("a/heat", values))
    assert "1 not finite" in panel.header.text()
    assert "▸" in panel.colour_bar.text()


def test_double_click_shows_all_again(qtbot: Any) -> None:
    panel = shown(qtbot, ImagePanel())
    panel.show_artefact(Image("input/photo", np.zeros((40, 60, 3), np.uint8)))
    before = panel.view.box.viewRect()
    panel.view.box.scaleBy((0.2, 0.2))
    panel.view.zoomed = True
    assert panel.view.box.viewRect().width() < before.width()
    middle = panel.view.viewport().rect().center()
    qtbot.mouseDClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    assert panel.view.box.viewRect().width() == pytest.approx(before.width(), rel=1e-6)


def test_the_linked_cursor_and_the_receptive_field_are_drawn(qtbot: Any) -> None:
    panel = shown(qtbot, ImagePanel())
    panel.show_artefact(Image("input/photo", np.full((100, 100, 3), 90, np.uint8)))
    bare = grabbed(panel)
    panel.show_cursor((20, 20))
    panel.set_receptive_field((40, 40, 80, 80))
    assert grabbed(panel) != bare
    panel.show_cursor(None)
    panel.set_receptive_field(None)
    assert grabbed(panel) == bare


def test_export_writes_what_is_shown(qtbot: Any, tmp_path: Path) -> None:
    panel = shown(qtbot, FieldPanel())
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    panel.show_artefact(Field("a/heat", values))
    for suffix in ("png", "svg", "npz"):
        panel.save(tmp_path / f"heat.{suffix}")
    assert QImage(str(tmp_path / "heat.png")).width() == 2 * panel.width()
    svg = (tmp_path / "heat.svg").read_text(encoding="utf-8")
    assert ">heat</text>" in svg
    assert np.array_equal(np.load(tmp_path / "heat.npz")["values"], values)
    with pytest.raises(OSError, match=r"\.png"):
        panel.save(tmp_path / "heat.bmp")
    with pytest.raises(OSError, match="cannot write"):
        panel.save(tmp_path / "no" / "folder" / "heat.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["heat.npz", "heat.png", "heat.svg"]


def test_the_menu_offers_export_and_zoom(qtbot: Any) -> None:
    panel = shown(qtbot, ImagePanel())
    words = [action.text() for action in panel.menu().actions()]
    for wanted in ("Reset zoom", "Copy picture", "Export PNG…", "Export SVG…", "Export NPZ…"):
        assert wanted in words


def test_a_theme_reaches_the_canvas(qtbot: Any) -> None:
    panel = shown(qtbot, ImagePanel(), 400, 200)
    panel.show_artefact(Image("input/photo", np.zeros((50, 50, 3), np.uint8)))
    for theme in (LIGHT, DARK):
        panel.set_theme(theme)
        assert grabbed(panel).pixelColor(QPoint(2, 2)) == theme.colour("canvas")


def test_each_kind_has_a_panel(qapp: Any) -> None:
    from explorer.kinds import KINDS

    assert sorted(PANEL_FOR) == sorted(kind.__name__ for kind in KINDS)
    for name in PANEL_FOR:
        assert issubclass(panel_class(name), Panel)
    with pytest.raises(KeyError, match="Matrix"):
        panel_class("Matrx")
