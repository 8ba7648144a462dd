"""The runner with a real engine: mailbox, latest wins, cancel, errors, a clean end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QObject, Qt, Slot
from pytestqt.qtbot import QtBot
from safetensors import safe_open

from explorer.app.runner import Runner
from explorer.core.media import open_clip, read_image, sample_inputs
from explorer.core.paths import assets
from explorer.core.registry import Row, table
from explorer.views import Edit, Frame, View

pytestmark = pytest.mark.gui
WAIT = 60_000


class Watch(QObject):
    """Collects what a runner says, in the window's thread."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self.runner = runner
        self.frames: list[Frame] = []
        self.failures: list[Any] = []
        self.opened: list[Any] = []
        self.layers: list[Any] = []
        self.values: list[Any] = []
        self.idle = 0
        self.slow = False
        queued = Qt.ConnectionType.QueuedConnection
        runner.ready.connect(self.on_ready, queued)
        runner.failed.connect(self.on_failed, queued)
        runner.opened.connect(self.on_opened, queued)
        runner.layers_changed.connect(self.on_layers, queued)
        runner.value_read.connect(self.on_value, queued)
        runner.idle.connect(self.on_idle, queued)

    @Slot()
    def on_ready(self) -> None:
        frame = self.runner.take()
        if frame is not None:
            self.frames.append(frame)
        if self.slow:
            from PySide6.QtCore import QThread

            QThread.msleep(30)

    @Slot(object)
    def on_failed(self, failure: Any) -> None:
        self.failures.append(failure)

    @Slot(object)
    def on_opened(self, opened: Any) -> None:
        self.opened.append(opened)

    @Slot(object)
    def on_layers(self, layers: Any) -> None:
        self.layers.append(layers)

    @Slot(object)
    def on_value(self, value: Any) -> None:
        self.values.append(value)

    @Slot()
    def on_idle(self) -> None:
        self.idle += 1


@pytest.fixture
def runner(qtbot: QtBot) -> Iterator[Runner]:
    made = Runner()
    made.start()
    yield made
    assert made.stop(20_000), "the thread did not end"


def opened(qtbot: QtBot, runner: Runner, name: str, **values: Any) -> Watch:
    watch = Watch(runner)
    runner.open(table()[name], values)
    qtbot.waitUntil(lambda: bool(watch.opened or watch.failures), timeout=WAIT)
    assert not watch.failures, watch.failures
    return watch


def test_a_photo_gives_one_whole_frame_and_the_module_tree(qtbot: QtBot, runner: Runner) -> None:
    watch = opened(qtbot, runner, "classify")
    runner.set_views((View("_blocks.7"),))
    runner.run_inputs(sample_inputs(table()["classify"]), playing=False)
    qtbot.waitUntil(lambda: bool(watch.frames and watch.layers and watch.idle), timeout=WAIT)
    frame = watch.frames[-1]
    assert {a.group for a in frame.artefacts} == {"input", "prediction", "evidence"}
    assert [r.view.point for r in frame.rendered] == ["_blocks.7"]
    assert frame.artefacts[1].labels[:3] == ("tiger cat", "Egyptian cat", "tabby")
    assert all(layer.called for layer in watch.layers[-1])


def test_a_changed_view_is_answered_without_another_run(qtbot: QtBot, runner: Runner) -> None:
    watch = opened(qtbot, runner, "classify")
    runner.set_views((View("_blocks.7"),))
    runner.run_inputs(sample_inputs(table()["classify"]), playing=False)
    qtbot.waitUntil(lambda: bool(watch.frames and watch.idle), timeout=WAIT)
    run = watch.frames[-1].run
    runner.set_views((View("_blocks.7", order="max"),))
    qtbot.waitUntil(lambda: watch.frames[-1].rendered[0].view.order == "max", timeout=WAIT)
    assert watch.frames[-1].run == run
    assert len(runner.timeline) == 1


def test_a_slow_window_gets_the_newest_frame_and_nothing_queues(
    qtbot: QtBot, runner: Runner
) -> None:
    watch = opened(qtbot, runner, "fast-weights")
    watch.slow = True
    runner.run_inputs(sample_inputs(table()["fast-weights"]), playing=False)
    qtbot.waitUntil(lambda: any(f.last for f in watch.frames), timeout=WAIT)
    assert len(watch.frames) + runner.dropped == len(runner.timeline)
    names = {a.name for f in watch.frames for a in f.artefacts}
    recorded = {
        a.name for i in range(len(runner.timeline)) for a in runner.timeline.at(i).artefacts
    }
    assert names == recorded, "a dropped step must not take its own pictures with it"


def test_a_clip_plays_pauses_steps_and_seeks(qtbot: QtBot, runner: Runner) -> None:
    watch = opened(qtbot, runner, "classify")
    with_clip = open_clip(assets() / "drift.mp4")
    try:
        runner.run_inputs({"image": with_clip}, playing=True)
        qtbot.waitUntil(lambda: len(watch.frames) >= 3, timeout=WAIT)
        runner.set_playing(False)
        qtbot.waitUntil(lambda: watch.idle > 0, timeout=WAIT)
        newest = runner.timeline.at(len(runner.timeline) - 1).frame
        qtbot.waitUntil(lambda: watch.frames[-1].frame == newest, timeout=WAIT)
        before = watch.frames[-1].frame
        runner.step(1)
        qtbot.waitUntil(lambda: watch.frames[-1].frame == before + 1, timeout=WAIT)
        runner.seek(2)
        qtbot.waitUntil(lambda: watch.frames[-1].frame == 2, timeout=WAIT)
        truth = with_clip[2]
        shown = watch.frames[-1].artefacts[0].image
        assert np.array_equal(shown, truth)
    finally:
        runner.cancel()
        qtbot.wait(50)
        with_clip.close()


def test_a_clip_that_ends_stops_at_its_last_frame(qtbot: QtBot, runner: Runner) -> None:
    watch = opened(qtbot, runner, "classify", size=64)
    clip = open_clip(assets() / "drift.mp4")
    try:
        runner.run_inputs({"image": clip}, playing=True)
        qtbot.waitUntil(lambda: bool(watch.frames), timeout=WAIT)
        runner.seek(len(clip) - 2)
        with qtbot.waitSignal(runner.source_ended, timeout=WAIT):
            pass
        # No run follows whose network the window could wait for.
        qtbot.waitUntil(lambda: watch.frames[-1].frame == len(clip) - 1, timeout=WAIT)
        assert not watch.failures
    finally:
        runner.cancel()
        qtbot.wait(50)
        clip.close()


def test_an_optimisation_goes_on_under_a_live_knob_and_ends_on_cancel(
    qtbot: QtBot, runner: Runner
) -> None:
    values = {"features": "efficientnet-lite0", "size": 64, "steps": 5000}
    watch = opened(qtbot, runner, "style", **values)
    runner.run_inputs(sample_inputs(table()["style"]), playing=False)
    qtbot.waitUntil(lambda: any(f.step >= 3 for f in watch.frames), timeout=WAIT)
    runner.set_knob({"style": 500.0})
    step = watch.frames[-1].step
    qtbot.waitUntil(lambda: watch.frames[-1].step > step + 2, timeout=WAIT)
    assert {f.run for f in watch.frames} == {watch.frames[0].run}, "a live knob must not restart"
    runner.set_playing(False)
    qtbot.wait(300)
    paused = len(runner.timeline)
    qtbot.wait(300)
    assert len(runner.timeline) - paused <= 1
    runner.step(1)
    qtbot.waitUntil(lambda: len(runner.timeline) > paused, timeout=WAIT)
    idle = watch.idle
    runner.cancel()
    qtbot.waitUntil(lambda: watch.idle > idle, timeout=WAIT)
    assert not watch.failures


def test_a_training_that_is_stopped_is_kept_and_named_until_the_network_is_built_anew(
    qtbot: QtBot, runner: Runner, tmp_path: Path
) -> None:
    watch = opened(qtbot, runner, "fast-weights")
    assert watch.opened[0].provenance == "trained here"
    said: list[tuple[str, str]] = []
    runner.trained.connect(lambda *words: said.append(words), Qt.ConnectionType.QueuedConnection)
    out = tmp_path / "not there yet" / "mine.safetensors"
    runner.train(sample_inputs(table()["fast-weights"]), out)
    qtbot.waitUntil(lambda: len(watch.frames) >= 3, timeout=WAIT)
    runner.cancel()
    qtbot.waitUntil(lambda: bool(said), timeout=WAIT)
    assert not watch.failures
    assert said[0][0] == str(out)
    steps = safetensors_facts(out)["steps"]
    assert said[0][1] == f"trained in this session, {steps} steps"
    runner.open(table()["fast-weights"], {})
    qtbot.waitUntil(lambda: len(watch.opened) == 2, timeout=WAIT)
    assert watch.opened[1].provenance == "trained here"


def safetensors_facts(path: Path) -> dict[str, str]:
    with safe_open(path, "np") as file:
        facts: dict[str, str] = file.metadata()
    return facts


def test_another_engine_takes_over_in_the_middle_of_an_optimisation(
    qtbot: QtBot, runner: Runner
) -> None:
    watch = opened(qtbot, runner, "style", features="efficientnet-lite0", size=64, steps=5000)
    runner.run_inputs(sample_inputs(table()["style"]), playing=False)
    qtbot.waitUntil(lambda: bool(watch.frames), timeout=WAIT)
    runner.open(table()["fast-weights"], {})
    qtbot.waitUntil(lambda: len(watch.opened) == 2, timeout=WAIT)
    runner.run_inputs(sample_inputs(table()["fast-weights"]), playing=False)
    qtbot.waitUntil(lambda: watch.frames[-1].artefacts[-1].group in ("prediction", "dynamics",
        "memory", "states", "string"), timeout=WAIT)  # fmt: skip
    assert not watch.failures


def test_an_error_is_told_in_words_and_the_runner_is_ready_again(
    qtbot: QtBot, runner: Runner
) -> None:
    from explorer.inputs import TextInput

    watch = opened(qtbot, runner, "fast-weights")
    runner.run_inputs({"string": TextInput("")}, playing=False)
    qtbot.waitUntil(lambda: bool(watch.failures), timeout=WAIT)
    failure = watch.failures[0]
    assert failure.cause
    assert not isinstance(failure.details, BaseException)
    runner.run_inputs(sample_inputs(table()["fast-weights"]), playing=False)
    qtbot.waitUntil(lambda: bool(watch.frames), timeout=WAIT)


def test_missing_weights_name_what_to_fetch(qtbot: QtBot, runner: Runner, home: Path) -> None:
    watch = Watch(runner)
    runner.open(table()["vgg"], {"weights": "vgg19"})
    qtbot.waitUntil(lambda: bool(watch.failures), timeout=WAIT)
    assert (watch.failures[0].kind, watch.failures[0].weights) == ("weights", "vgg19")


def test_an_engine_that_cannot_be_imported_is_a_message(qtbot: QtBot, runner: Runner) -> None:
    watch = Watch(runner)
    runner.open(Row("gone", "no.such.module:Class", "Gone", "Tests"), {})
    qtbot.waitUntil(lambda: bool(watch.failures), timeout=WAIT)
    assert "no.such" in watch.failures[0].cause or "No module" in watch.failures[0].cause


def test_a_probe_reads_the_captured_value(qtbot: QtBot, runner: Runner) -> None:
    watch = opened(qtbot, runner, "classify")
    runner.set_views((View("_conv_stem"),))
    photo = read_image(assets() / "chelsea.png")
    runner.run_inputs({"image": photo}, playing=False)
    qtbot.waitUntil(lambda: bool(watch.frames and watch.frames[-1].rendered), timeout=WAIT)
    handle = watch.frames[-1].rendered[0].handle
    runner.read_array(handle)
    runner.read(handle, 5, 10, 20)
    qtbot.waitUntil(lambda: len(watch.values) == 2, timeout=WAIT)
    whole, one = watch.values
    assert whole.array.shape == (32, 112, 112)
    assert one.value == pytest.approx(float(whole.array[5, 10, 20]), abs=0)


def test_an_edit_changes_the_prediction_and_taking_it_away_restores_it(
    qtbot: QtBot, runner: Runner
) -> None:
    watch = opened(qtbot, runner, "classify")
    runner.run_inputs(sample_inputs(table()["classify"]), playing=False)
    qtbot.waitUntil(lambda: bool(watch.frames and watch.idle), timeout=WAIT)
    before = watch.frames[-1].artefacts[1]
    runner.set_edits((Edit("_conv_stem", op="zero"),))
    qtbot.waitUntil(lambda: watch.frames[-1].artefacts[1].labels != before.labels, timeout=WAIT)
    runner.set_edits(())
    qtbot.waitUntil(lambda: watch.frames[-1].artefacts[1].labels == before.labels, timeout=WAIT)
    assert np.array_equal(watch.frames[-1].artefacts[1].scores, before.scores)
