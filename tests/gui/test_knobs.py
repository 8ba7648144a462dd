"""Knobs become controls: what a person does to them is checked, told once, and can be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from explorer.app.bars import VectorBars
from explorer.app.editors import (
    ChoiceEditor,
    NumberEditor,
    OptionalEditor,
    PlaceEditor,
    SeedEditor,
    SwitchEditor,
    TextEditor,
    VectorEditor,
)
from explorer.app.history import History, Step
from explorer.app.knobs import KnobsPanel
from explorer.app.track import Track, nudged, number_text, plain
from explorer.panels.theme import DARK
from explorer.params import Knob, check, knob, knobs

pytestmark = pytest.mark.gui


@dataclass(frozen=True, slots=True)
class Params:
    weight: float = knob(1.0, low=0, high=10, step=0.1, effect="live", help="How much it counts")
    rate: float = knob(1e-3, low=1e-5, high=1.0, log=True)
    steps: int = knob(300, low=1, high=2000, unit="steps")
    free: float = knob(0.5)
    optimiser: str = knob("lbfgs", choices=("lbfgs", "adam"), effect="build")
    edges: bool = knob(True, effect="again")
    words: str = knob("abc")
    seed: int = knob(0, kind="seed")
    pixel: tuple[float, ...] = knob((4.0, 5.0), kind="point", unit="px")
    frame: tuple[float, ...] | None = knob(None, kind="box", unit="px")
    brush: tuple[Any, ...] = knob((), kind="mask")
    heat: float | None = knob(None, low=0, high=2)
    latent: tuple[float, ...] = knob((0.0,) * 100, low=-3, high=3, basis="principal axes")


@pytest.fixture
def panel(qtbot: QtBot) -> KnobsPanel:
    made = KnobsPanel()
    qtbot.addWidget(made)
    made.resize(340, 1400)
    made.set_knobs(knobs(Params))
    made.set_theme(DARK)
    made.show()
    return made


def told(panel: KnobsPanel) -> list[tuple[str, Any]]:
    seen: list[tuple[str, Any]] = []
    panel.changed.connect(lambda name, value: seen.append((name, value)))
    return seen


def editor(panel: KnobsPanel, name: str, kind: type[Any]) -> Any:
    found = panel.rows[name].editor
    assert isinstance(found, kind)
    return found


def test_every_kind_has_its_control_with_name_unit_and_effect(panel: KnobsPanel) -> None:
    assert list(panel.rows) == list(knobs(Params))
    words = {name: row.effect_word.text() for name, row in panel.rows.items()}
    assert words["weight"] == "live"
    assert words["edges"] == "redraw"
    assert words["rate"] == "re-run"
    assert words["optimiser"] == "rebuild"
    assert panel.rows["steps"].unit.text() == "steps"
    assert panel.rows["weight"].label.toolTip() == "How much it counts"
    for row in panel.rows.values():
        for part in row.findChildren(QWidget):
            inner = part.objectName().startswith("qt_") or isinstance(part, QLabel)
            inner = inner or not part.isVisibleTo(row)
            if part.focusPolicy() & Qt.FocusPolicy.TabFocus and not inner:
                assert part.accessibleName(), (row.title, part)
                assert part.toolTip(), (row.title, part)


def test_the_keyboard_moves_a_slider_by_one_step(qtbot: QtBot, panel: KnobsPanel) -> None:
    seen = told(panel)
    slider = editor(panel, "weight", NumberEditor).slider
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert seen == [("weight", 1.1)]
    assert editor(panel, "weight", NumberEditor).box.text() == "1.1"
    assert panel.values()["weight"] == 1.1


def test_a_click_on_the_groove_goes_there_and_a_drag_is_one_undo(
    qtbot: QtBot, panel: KnobsPanel
) -> None:
    slider = editor(panel, "weight", NumberEditor).slider
    seen = told(panel)
    y = slider.height() // 2
    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() // 2, y))
    assert panel.values()["weight"] == pytest.approx(5.0, abs=0.3)
    for x in range(slider.width() // 2, slider.width() - 4, 8):
        qtbot.mouseMove(slider, QPoint(x, y))
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() - 4, y))
    assert len(seen) > 3
    assert panel.values()["weight"] > 9
    assert panel.history.undo()
    assert panel.values()["weight"] == 1.0
    assert seen[-1] == ("weight", 1.0)
    assert not panel.history.undo()
    assert panel.history.redo()
    assert panel.values()["weight"] > 9


def test_a_typed_value_out_of_range_is_told_below_and_changes_nothing(
    qtbot: QtBot, panel: KnobsPanel
) -> None:
    seen = told(panel)
    box = editor(panel, "steps", NumberEditor).box
    for text, part in (("9000", "outside 1 to 2000"), ("1.5", "whole number"), ("x", "is no")):
        box.selectAll()
        qtbot.keyClicks(box, text)
        qtbot.keyClick(box, Qt.Key.Key_Return)
        error = panel.rows["steps"].error
        assert error.isVisible()
        assert part in error.text()
    assert seen == []
    box.selectAll()
    qtbot.keyClicks(box, "42")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert seen == [("steps", 42)]
    assert isinstance(seen[0][1], int)
    assert not panel.rows["steps"].error.isVisible()


def test_a_knob_without_bounds_has_a_field_alone(qtbot: QtBot, panel: KnobsPanel) -> None:
    free = editor(panel, "free", NumberEditor)
    assert free.slider is None
    free.box.selectAll()
    qtbot.keyClicks(free.box, "-1e-7")
    qtbot.keyClick(free.box, Qt.Key.Key_Return)
    assert panel.values()["free"] == -1e-7


def test_choice_switch_text_and_seed(qtbot: QtBot, panel: KnobsPanel) -> None:
    seen = told(panel)
    combo = editor(panel, "optimiser", ChoiceEditor).combo
    qtbot.keyClick(combo, Qt.Key.Key_Down)
    switch = editor(panel, "edges", SwitchEditor).check
    qtbot.keyClick(switch, Qt.Key.Key_Space)
    assert switch.text() == "off"
    line = editor(panel, "words", TextEditor).line
    line.selectAll()
    qtbot.keyClicks(line, "xyz")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert seen == [("optimiser", "adam"), ("edges", False), ("words", "xyz")]
    dice = editor(panel, "seed", SeedEditor).dice
    for _ in range(3):
        qtbot.mouseClick(dice, Qt.MouseButton.LeftButton)
    thrown = [value for name, value in seen if name == "seed"]
    assert len(set(thrown)) > 1
    assert all(isinstance(value, int) for value in thrown)


def test_text_applies_after_a_pause(qtbot: QtBot, panel: KnobsPanel) -> None:
    line = editor(panel, "words", TextEditor).line
    with qtbot.waitSignal(panel.changed, timeout=3000) as got:
        qtbot.keyClicks(line, "d")
        assert panel.values()["words"] == "abc"
    assert got.args == ["words", "abcd"]


def test_a_point_can_be_typed_and_a_box_cleared(qtbot: QtBot, panel: KnobsPanel) -> None:
    seen = told(panel)
    field = editor(panel, "pixel", PlaceEditor).field
    field.selectAll()
    qtbot.keyClicks(field, "7, 8.5")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    panel.set_by_gesture("frame", (1, 2, 30, 40))
    frame = editor(panel, "frame", PlaceEditor)
    assert frame.field.text() == "1, 2, 30, 40"
    qtbot.mouseClick(frame.clear, Qt.MouseButton.LeftButton)
    assert seen == [("pixel", (7.0, 8.5)), ("frame", (1.0, 2.0, 30.0, 40.0)), ("frame", None)]
    assert frame.field.placeholderText() == "not set"
    panel.set_by_gesture("brush", ((1, 1, 4, 1), (2, 2, 4, 1)))
    assert editor(panel, "brush", PlaceEditor).field.text() == "2 dabs"


def test_an_optional_number_is_left_to_the_engine_until_ticked(
    qtbot: QtBot, panel: KnobsPanel
) -> None:
    seen = told(panel)
    heat = editor(panel, "heat", OptionalEditor)
    assert heat.tick.text() == "automatic"
    assert not heat.inner.isVisible()
    qtbot.keyClick(heat.tick, Qt.Key.Key_Space)
    assert heat.inner.isVisible()
    qtbot.keyClick(heat.inner.slider, Qt.Key.Key_End)
    qtbot.keyClick(heat.tick, Qt.Key.Key_Space)
    assert seen == [("heat", 0.0), ("heat", 2.0), ("heat", None)]


def test_a_vector_is_dragged_keyed_zeroed_and_thrown(qtbot: QtBot, panel: KnobsPanel) -> None:
    latent = editor(panel, "latent", VectorEditor)
    bars: VectorBars = latent.bars
    assert latent.basis.text() == "principal axes"
    first, third = bars.cell(0), bars.cell(2)
    qtbot.mousePress(bars, Qt.MouseButton.LeftButton, pos=first.center())
    qtbot.mouseMove(bars, QPoint(third.center().x(), third.top()))
    qtbot.mouseRelease(bars, Qt.MouseButton.LeftButton, pos=QPoint(third.center().x(), third.top()))
    values = panel.values()["latent"]
    assert values[2] == 3.0
    assert len(values) == 100
    assert "3: 3" in latent.readout.text()
    panel.history.undo()
    assert panel.values()["latent"] == (0.0,) * 100
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Up):
        qtbot.keyClick(bars, key)
    assert panel.values()["latent"][3] == pytest.approx(6 / 50)
    qtbot.keyClick(bars, Qt.Key.Key_0)
    assert panel.values()["latent"][3] == 0.0
    qtbot.mouseClick(latent.random, Qt.MouseButton.LeftButton)
    assert len(set(panel.values()["latent"])) > 50
    assert all(-3 <= v <= 3 for v in panel.values()["latent"])
    qtbot.mouseClick(latent.zero, Qt.MouseButton.LeftButton)
    assert panel.values()["latent"] == (0.0,) * 100


def test_setting_values_tells_nothing_and_shows_them(panel: KnobsPanel) -> None:
    seen = told(panel)
    panel.set_values(Params(weight=4.2, optimiser="adam", words="later"))
    assert seen == []
    assert editor(panel, "weight", NumberEditor).box.text() == "4.2"
    assert editor(panel, "optimiser", ChoiceEditor).combo.currentText() == "adam"
    assert editor(panel, "words", TextEditor).text() == "later"
    assert not panel.history.undo()


def test_reset_of_one_and_of_all_are_single_steps(qtbot: QtBot, panel: KnobsPanel) -> None:
    row = panel.rows["weight"]
    assert not row.back.isVisible()
    assert not panel.reset_button.isEnabled()
    panel.set_by_gesture("weight", 9)
    panel.set_by_gesture("steps", 7)
    assert row.back.isVisible()
    assert "Reset to 1" in row.back.toolTip()
    qtbot.mouseClick(row.back, Qt.MouseButton.LeftButton)
    assert panel.values()["weight"] == 1.0
    panel.history.undo()
    qtbot.mouseClick(panel.reset_button, Qt.MouseButton.LeftButton)
    assert panel.values() == {n: k.default for n, k in knobs(Params).items()}
    panel.history.undo()
    assert (panel.values()["weight"], panel.values()["steps"]) == (9.0, 7)


def test_a_refused_value_can_be_told_by_the_session(panel: KnobsPanel) -> None:
    panel.set_error("weight", "Too heavy for this picture")
    assert panel.rows["weight"].error.isVisible()
    panel.set_values({"weight": 2.0})
    assert not panel.rows["weight"].error.isVisible()


def test_the_wheel_scrolls_the_form_and_not_a_control_under_it(panel: KnobsPanel) -> None:
    combo = panel.rows["optimiser"].findChild(QComboBox)
    combo.clearFocus()
    seen = told(panel)
    middle = QPointF(combo.rect().center())
    turn = QWheelEvent(
        middle, combo.mapToGlobal(middle), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(combo, turn)
    assert seen == []
    assert combo.currentText() == "lbfgs"


def test_another_engine_takes_the_old_knobs_and_their_history_along(panel: KnobsPanel) -> None:
    panel.set_by_gesture("weight", 9)
    panel.set_knobs({})
    assert panel.empty.isVisible()
    assert not panel.history.undo()
    panel.set_knobs(knobs(Params), {"weight": 3.0})
    assert panel.values()["weight"] == 3.0
    assert not panel.empty.isVisible()
    assert panel.findChildren(QToolButton)


def test_history_merges_one_key_until_sealed(qtbot: QtBot) -> None:
    values = [0]
    history = History()

    def step(old: int, new: int) -> Step:
        return Step("", lambda: values.append(old), lambda: values.append(new), key="k")

    history.add(step(0, 1))
    history.add(step(1, 2))
    history.seal()
    history.add(step(2, 3))
    history.seal()
    assert history.undo()
    assert values[-1] == 2
    assert history.undo()
    assert values[-1] == 0
    assert not history.undo()
    assert history.redo()
    assert values[-1] == 2


@example(2.2250738585072014e-308, 4.0, True, 500, "number")
@given(
    st.floats(-1e3, 1e3), st.floats(1e-2, 1e3), st.booleans(), st.integers(0, 1000),
    st.sampled_from(["number", "integer"]),
)  # fmt: skip
def test_every_place_of_a_slider_is_a_value_that_check_accepts(
    low: float, span: float, log: bool, share: int, kind: Any
) -> None:
    if kind == "integer":
        low, span = float(round(low)), float(round(span) + 1)
    made = Knob("k", kind, low, low=low, high=low + span, log=log)
    track = Track.of(made)
    if track is None:
        return
    value = track.value(share * track.positions // 1000)
    check(made, value)
    assert track.position(track.low) == 0
    assert track.position(track.high) == track.positions


def test_a_linear_slider_keeps_every_step_and_a_log_one_every_decade() -> None:
    linear = Track.of(Knob("k", "number", 0.0, low=0.0, high=1.0, step=0.1))
    assert linear is not None
    assert [linear.value(p) for p in range(11)] == [i / 10 for i in range(11)]
    log = Track.of(Knob("k", "number", 1.0, low=1e-4, high=1.0, log=True))
    assert log is not None
    assert [log.value(p) for p in (0, 250, 500, 750, 1000)] == [1e-4, 1e-3, 1e-2, 0.1, 1.0]
    assert nudged(0.3, -5, Knob("k", "number", 0.0, low=0.0, high=1.0, step=0.1)) == 0.0


@given(st.floats(-1e12, 1e12))
def test_a_number_is_read_back_as_it_is_shown(value: float) -> None:
    assert float(plain(number_text(value))) == pytest.approx(value, rel=1e-5, abs=1e-300)


def test_without_an_engine_the_knobs_of_the_one_before_are_gone(qtbot: QtBot) -> None:
    panel = KnobsPanel()
    qtbot.addWidget(panel)
    assert "appear when" in panel.empty.text()
    panel.set_knobs(knobs(Params))
    assert panel.rows
    panel.wait()
    assert panel.rows == {}
    assert "appear when" in panel.empty.text()
    panel.set_knobs({})
    assert "no knobs" in panel.empty.text()


def test_the_bars_of_a_mixture_are_counted_as_the_styles_are(qtbot: QtBot) -> None:
    bars = VectorBars(26, 0.0, 1.0, first=0)
    qtbot.addWidget(bars)
    bars.resize(250, 120)
    told: list[str] = []
    bars.pointed.connect(told.append)
    for index in (0, 25):
        qtbot.mouseClick(bars, Qt.MouseButton.LeftButton, pos=bars.cell(index).center())
        assert told[-1].startswith(f"{index}: ")
    assert bars.cell(25).right() < bars.width()
    assert len({bars.cell(i).top() for i in range(26)}) == 2, "two rows"
    assert bars.columns() == 13, "of one length"
