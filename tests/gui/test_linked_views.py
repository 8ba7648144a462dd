"""Zoom and pan are linked across panels in input pixels, whatever grid each one draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication

from explorer.kinds import Affine, Field, Image
from explorer.panels.fields import FieldPanel
from explorer.panels.group import GroupPanel
from explorer.panels.linking import region_on
from explorer.panels.picture import ImagePanel
from explorer.panels.picture_view import PictureView
from explorer.panels.unit_detail import UnitDetail

pytestmark = pytest.mark.gui
PHOTO = np.zeros((80, 120, 3), np.uint8)


def wheel(view: PictureView, x: float, y: float) -> None:
    """Turn the wheel towards the picture at a place of it."""
    spot = view.screen(x, y)
    event = QWheelEvent(
        spot, QPointF(view.viewport().mapToGlobal(spot.toPoint())), QPoint(0, 0), QPoint(0, 480),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase,
        False,
    )  # fmt: skip
    QApplication.sendEvent(view.viewport(), event)


def shown_of_input(view: PictureView, place: Affine) -> tuple[float, ...]:
    rect = view.box.viewRect()
    found = region_on(place.to_input, (rect.left(), rect.top(), rect.right(), rect.bottom()))
    assert found is not None
    return found


def laid(qtbot: Any, panel: Any, size: tuple[int, int] = (300, 260)) -> Any:
    qtbot.addWidget(panel)
    panel.resize(*size)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def test_a_zoomed_photo_zooms_a_field_on_another_grid(qtbot: Any) -> None:
    place = Affine(8, 4, 16, -4)
    photo, heat = laid(qtbot, ImagePanel()), laid(qtbot, FieldPanel(), (420, 200))
    photo.show_artefact(Image("input/photo", PHOTO))
    heat.show_artefact(Field("out/heat", np.eye(12), affine=place))
    before = shown_of_input(heat.view, Affine())
    photo.zoomed.connect(heat.show_region)
    wheel(photo.view, 40, 30)
    one, other = (shown_of_input(p.view, Affine()) for p in (photo, heat))
    assert one[2] - one[0] < 120
    assert other != pytest.approx(before)
    # the whole part that one shows is in the other, in its middle and as large as it fits
    assert other[0] <= one[0] + 0.5
    assert other[2] >= one[2] - 0.5
    assert (other[0] + other[2]) / 2 == pytest.approx((one[0] + one[2]) / 2, abs=0.5)
    assert (other[1] + other[3]) / 2 == pytest.approx((one[1] + one[3]) / 2, abs=0.5)
    assert min(other[2] - other[0] - (one[2] - one[0]), other[3] - other[1] - (one[3] - one[1])) < 1


def test_all_is_shown_again_everywhere(qtbot: Any) -> None:
    photo, heat = laid(qtbot, ImagePanel()), laid(qtbot, FieldPanel())
    photo.show_artefact(Image("input/photo", PHOTO))
    heat.show_artefact(Field("out/heat", np.eye(12), affine=Affine(10, 10)))
    whole = heat.view.box.viewRect()
    photo.zoomed.connect(heat.show_region)
    wheel(photo.view, 10, 10)
    assert heat.view.box.viewRect() != whole
    qtbot.mouseDClick(photo.view.viewport(), Qt.MouseButton.LeftButton)
    assert heat.view.box.viewRect() == whole
    assert not heat.view.zoomed


def test_what_follows_does_not_answer(qtbot: Any) -> None:
    """A panel that was told a region does not tell it on: two panels would chase each other."""
    photo = laid(qtbot, ImagePanel())
    photo.show_artefact(Image("input/photo", PHOTO))
    told: list[object] = []
    photo.zoomed.connect(told.append)
    photo.show_region((10, 10, 40, 30))
    photo.show_region(None)
    assert told == []


def test_the_tiles_of_a_batch_stay_as_they_are(qtbot: Any) -> None:
    batch = laid(qtbot, ImagePanel())
    batch.show_artefact(Image("out/samples", np.zeros((4, 8, 8, 3), np.uint8)))
    told: list[object] = []
    batch.zoomed.connect(told.append)
    before = batch.view.box.viewRect()
    batch.show_region((1, 1, 3, 3))
    assert batch.view.box.viewRect() == before
    wheel(batch.view, 4, 4)
    assert told == []
    assert batch.view.box.viewRect() != before


def test_a_picture_of_another_input_takes_no_cursor(qtbot: Any) -> None:
    """A batch of one lies in no input pixels: the linked cursor would mark some other thing."""
    other = laid(qtbot, ImagePanel())
    other.show_artefact(Image("pixel/held", PHOTO[None]))
    other.show_cursor((30.0, 20.0))
    assert other.cursor_mark.at is None
    probed = other.probe(30.0, 20.0)
    assert probed is not None
    assert probed.input_xy is None
    other.show_artefact(Image("input/photo", PHOTO))
    other.show_cursor((30.0, 20.0))
    assert other.cursor_mark.at == (30.0, 20.0)


def test_items_of_a_group_follow_one_another(qtbot: Any) -> None:
    group = laid(qtbot, GroupPanel(), (700, 300))
    group.add(Image("g/photo", PHOTO))
    group.add(Field("g/heat", np.eye(12), affine=Affine(10, 10)))
    told: list[object] = []
    group.zoomed.connect(told.append)
    wheel(group.panels["photo"].view, 60, 40)
    assert len(told) == 1
    assert group.panels["heat"].view.zoomed


@pytest.fixture
def detail(qtbot: Any) -> UnitDetail:
    made: UnitDetail = laid(qtbot, UnitDetail())
    made.place, made.receptive = Affine(8, 8, -2, 6), (24.0, 40.0)
    table = np.zeros((256, 4), np.uint8)
    made.show_map(np.zeros((10, 12), np.uint8), table, (10, 12))
    return made


def test_the_large_map_shows_the_same_part_of_the_input(detail: UnitDetail) -> None:
    told: list[tuple[float, ...]] = []
    detail.zoomed.connect(told.append)
    detail.show_region((30, 22, 46, 38))  # cells 4 to 6 and 2 to 4
    left, top, right, bottom = shown_of_input(detail.view, Affine())
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((5, 3), abs=0.01)
    assert min(right - left, bottom - top) == pytest.approx(2, abs=0.01)
    assert told == []
    wheel(detail.view, 5, 3)
    assert told[0] == pytest.approx(shown_of_input(detail.view, Affine(8, 8, -2, 6)), abs=0.01)


def test_the_cells_that_see_the_pixel_are_framed(detail: UnitDetail) -> None:
    """A field of 24 x 40 px at steps of 8 px: cells up to 1.5 and 2.5 away see the place."""
    detail.show_cursor((5.0, 4.0))
    assert detail.seeing.corners == (3.5, 1.5, 6.5, 6.5)
    detail.show_cursor(None)
    assert detail.seeing.corners is None
