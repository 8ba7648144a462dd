"""The keyboard's way through the window: an order that can be followed, names, and a ring."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QComboBox,
    QLineEdit,
    QScrollBar,
    QTabBar,
    QWidget,
)

pytestmark = pytest.mark.gui
NAMED = (QAbstractButton, QAbstractItemView, QAbstractSlider, QComboBox, QLineEdit, QTabBar)


def tab(window: Any, key: Qt.Key = Qt.Key.Key_Tab) -> QWidget:
    QTest.keyClick(window.focusWidget() or window, key)
    found: QWidget = window.focusWidget()
    return found


def round_trip(window: Any) -> list[QWidget]:
    window.activateWindow()
    window.setFocus()
    seen = [tab(window)]
    while (stop := tab(window)) is not seen[0]:
        seen.append(stop)
        assert len(seen) < 200
    return seen


def of(widget: QWidget, *parts: QWidget) -> bool:
    return any(part.isAncestorOf(widget) for part in parts)


def place(window: Any, widget: QWidget) -> QRect:
    return QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())


def test_tab_goes_left_centre_bottom_right_and_skips_what_lies_behind(window: Any) -> None:
    stops = round_trip(window)
    docks = window.engine_docks.docks
    order = [
        next(s for s in stops if of(s, part))
        for part in (window.layers_dock, window.centre, docks["prediction"], docks["input"],
                     window.knobs_dock, window.bar)
    ]  # fmt: skip
    assert [stops.index(s) for s in order] == sorted(stops.index(s) for s in order)
    assert not any(of(s, window.engines_dock) for s in stops)  # it is behind the layers
    assert stops.index(window.layers.field) < stops.index(window.layers.tree)
    knobs = [s for s in stops if of(s, window.knobs_dock)]
    assert of(knobs[-1], window.knobs_dock.bar)  # what a dock is for comes before its buttons
    assert all(window.rect().intersects(place(window, s)) for s in stops)


def test_backtab_is_the_same_way_back(window: Any) -> None:
    stops = round_trip(window)
    window.setFocus()
    back = [tab(window, Qt.Key.Key_Backtab) for _ in stops]
    assert back == stops[::-1]


def test_every_control_on_the_screen_has_a_name(window: Any) -> None:
    shown = [w for w in window.findChildren(QWidget) if w.isVisible() and w.window() is window]
    controls = [w for w in shown if isinstance(w, NAMED) and not isinstance(w, QScrollBar)]
    controls += round_trip(window)
    nameless = [
        w for w in controls
        if not w.accessibleName() and not getattr(w, "text", str)()
        and w.objectName() != "qt_spinbox_lineedit"  # named by the box around it
    ]  # fmt: skip
    assert nameless == []


def test_a_ring_lies_around_what_tab_has_come_to_and_the_mouse_takes_it_away(
    window: Any, qtbot: Any
) -> None:
    ring = window.focus.ring
    picture = window.presenter.pictures()[0].view
    window.activateWindow()
    window.setFocus()
    while tab(window) is not picture:
        continue
    assert ring.isVisible()
    around = place(window, picture)
    assert ring.geometry().contains(around)
    assert ring.geometry().width() <= around.width() + 8
    x, y = around.left() - 3, around.center().y()
    accent = window.theme.colour("accent")
    assert window.grab().toImage().pixelColor(x, y).name() == accent.name()
    QTest.mouseClick(window.layers.tree.viewport(), Qt.MouseButton.LeftButton)
    assert not ring.isVisible()
    assert window.grab().toImage().pixelColor(x, y).name() != accent.name()


def test_a_knob_below_the_fold_comes_into_view(window: Any, qtbot: Any) -> None:
    window.resize(1100, 560)
    knob = next(iter(window.knobs.rows.values())).editor.findChild(QAbstractSlider)
    window.setFocus()
    while tab(window) is not knob:
        continue
    assert not knob.visibleRegion().isEmpty()


def test_f6_goes_from_dock_to_dock_and_back(window: Any) -> None:
    window.activateWindow()
    window.setFocus()
    docks = window.engine_docks.docks
    ways = [window.layers_dock, window.centre, docks["prediction"], docks["input"]]
    for part in ways:
        assert of(tab(window, Qt.Key.Key_F6), part)
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_F6, Qt.KeyboardModifier.ShiftModifier)
    assert of(window.focusWidget(), docks["prediction"])


def test_tab_stays_in_a_list_that_covers_the_window(window: Any) -> None:
    window.activateWindow()
    window.commands["change-keys"].trigger()
    covering = window.commanding.rebinding
    seen = {tab(window) for _ in range(12)}
    assert all(of(stop, covering) for stop in seen)
    assert {covering.field, covering.list, covering.change, covering.close_button} <= seen
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Escape)
    assert not of(tab(window), covering)
