"""A runner without torch: answers each request at once with frames made of numpy."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from explorer.app.reports import ReadValue
from explorer.core.timeline import Timeline
from explorer.kinds import Affine, Field, Image, Scores
from explorer.params import knob
from explorer.views import Frame, Handle, LayerStatistics, Rendered, Statistics, View


@dataclass(frozen=True, slots=True)
class FakeParams:
    gain: float = knob(1.0, low=0, high=10, help="scales everything", effect="live")


@dataclass(frozen=True, slots=True)
class FakeLayer:
    name: str
    kind: str
    parameters: int
    shape: tuple[int, ...] | None
    depth: int
    leaf: bool
    called: bool | None
    calls: int = 1


@dataclass(frozen=True, slots=True)
class FakeOpened:
    row: Any
    layers: list[FakeLayer]
    params_type: Any
    params: Any
    provenance: str
    licences: tuple[str, ...]
    device: str
    can_train: bool = False
    rebuilt: bool = False


@dataclass(frozen=True, slots=True)
class FakeFailure:
    what: str
    cause: str
    remedy: str
    details: str
    kind: str
    weights: str = ""


LAYERS = [
    FakeLayer("_conv_stem", "Conv2d", 864, (1, 32, 28, 28), 0, leaf=True, called=True),
    FakeLayer("_blocks", "ModuleList", 3_000_000, None, 0, leaf=False, called=None),
    FakeLayer("_blocks.2", "MBConvBlock", 10_000, (1, 24, 14, 14), 1, leaf=True, called=True),
    FakeLayer("_blocks.7", "MBConvBlock", 40_000, (1, 80, 7, 7), 1, leaf=True, called=True),
    FakeLayer("_conv_head", "Conv2d", 409_600, (1, 1280, 7, 7), 0, leaf=True, called=True),
]


def rendered(view: View, shape: tuple[int, ...], frame: int = 0) -> Rendered:
    """A mosaic with one grey level a unit."""
    count, height, width = shape[1:]
    columns = max(1, int(count**0.5))
    rows = -(-count // columns)
    index = np.full((rows * (height + 1), columns * (width + 1)), 255, np.uint8)
    for unit in range(count):
        row, column = divmod(unit, columns)
        top, left = row * (height + 1), column * (width + 1)
        index[top : top + height, left : left + width] = (unit * 3 + frame) % 254
    ones = np.ones(count, np.float32)
    statistics = Statistics(0.0, 1.0, 0.5, 0.1, 0, 0, 0 * ones, ones, 0.5 * ones)
    return Rendered(
        view=view, index=index, limits=np.array([0, 1], np.float32),
        order=np.arange(count), tile=(height, width), columns=columns, gap=1, reduced=1,
        shape=shape, dtype="float32", kind="Conv2d", statistics=statistics,
        handle=Handle(view.point, -1, 0, 1, frame), affine=Affine(224 / width, 224 / height),
        map_size=(height, width),
    )  # fmt: skip


@dataclass
class Asked:
    """What the window has asked for, in order."""

    opened: list[str] = field(default_factory=list)
    instruments: list[Any] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)
    visible: list[tuple[str, ...]] = field(default_factory=list)
    values: list[dict[str, Any]] = field(default_factory=list)
    runs: list[tuple[dict[str, Any], bool]] = field(default_factory=list)
    knobs: list[dict[str, Any]] = field(default_factory=list)
    views: list[tuple[View, ...]] = field(default_factory=list)
    edits: list[tuple[Any, ...]] = field(default_factory=list)
    playing: list[bool] = field(default_factory=list)
    frozen: list[bool] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    seeks: list[int] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    cancelled: int = 0
    stopped: int = 0


class FakeRunner(QObject):
    """The interface of `explorer.app.runner.Runner`, in the window's own thread."""

    ready = Signal()
    opened = Signal(object)
    failed = Signal(object)
    progressed = Signal(str, float)
    idle = Signal()
    layers_changed = Signal(object)
    value_read = Signal(object)
    torch_loaded = Signal(str)
    frame_moved = Signal(int)
    source_ended = Signal()
    trained = Signal(str, str)
    weights_ready = Signal(str)
    laid = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.asked = Asked()
        self.timeline = Timeline()
        self.between_turns = threading.Event()
        self.dropped = 0
        self.busy = False
        self.fail_open: FakeFailure | None = None
        self.fail_run: FakeFailure | None = None
        self.views: tuple[View, ...] = ()
        self._frame: Frame | None = None
        self._inputs: dict[str, Any] = {}
        self._run = 0
        self._at = (0, 0)

    def start(self) -> None:
        self.torch_loaded.emit("torch 2.13.0 (CPU)")

    def isRunning(self) -> bool:
        return False

    def open(self, row: Any, values: dict[str, Any], device: str = "auto", seed: int = 0) -> None:
        self.asked.opened.append(row.name)
        self.asked.values.append(dict(values))
        if self.fail_open is not None:
            self.failed.emit(self.fail_open)
            return
        params = FakeParams(**{k: v for k, v in values.items() if k == "gain"})
        self.opened.emit(
            FakeOpened(row, LAYERS, FakeParams, params, "trained", ("Apache-2.0",), "cpu")
        )

    def set_instrument(self, name: str, values: dict[str, Any] | None) -> None:
        self.asked.instruments.append((name, values))

    def set_visible(self, layers: tuple[str, ...]) -> None:
        self.asked.visible.append(layers)

    def study(self, name: str) -> None:
        self.asked.studies.append(name)

    def run_inputs(self, inputs: dict[str, Any], *, playing: bool) -> None:
        self.asked.runs.append((inputs, playing))
        self._inputs = inputs
        if self.fail_run is not None:
            self.failed.emit(self.fail_run)
            return
        self._run += 1
        self.layers_changed.emit(LAYERS)
        self.deliver()

    def deliver(self, frame: int = 0, step: int = 0) -> None:
        """Hand out one whole frame."""
        self._at = (frame, step)
        pixels = getattr(self._inputs.get("image"), "pixels", None)
        if pixels is None:
            pixels = np.full((90, 120, 3), 128, np.uint8)
        at = {"frame": frame, "run": self._run, "step": step}
        top = np.array([0.6, 0.2, 0.1, 0.05, 0.01], np.float32)
        artefacts = (
            Image("input/picture", pixels, **at),
            Scores(
                "prediction/top 5",
                top,
                labels=("tabby", "tiger cat", "Egyptian cat", "lynx", "tub"),
                **at,
            ),
            Field("evidence/activation map", np.linspace(0, 1, 49).reshape(7, 7), **at),
        )
        shapes = {layer.name: layer.shape for layer in LAYERS}
        pictures = tuple(
            rendered(v, shapes[v.point] or (1, 4, 4, 4), frame)
            for v in self.views
            if shapes.get(v.point)
        )
        statistics = tuple(
            LayerStatistics(la.name, la.shape, 0.5, 0.1, True, 0.4) for la in LAYERS if la.shape
        )
        times = {"decode": 1.0, "network": 20.0, "capture": 0.4}
        made = Frame(self._run, frame, step, artefacts, pictures, statistics, times, last=True)
        self.timeline.add(made)
        self._frame = made
        self.ready.emit()
        self.idle.emit()

    def run_again(self) -> None:
        self.run_inputs(self._inputs, playing=False)

    def take(self) -> Frame | None:
        frame, self._frame = self._frame, None
        return frame

    def set_views(self, views: tuple[View, ...]) -> None:
        self.asked.views.append(views)
        self.views = views
        if self._run:
            self.deliver(*self._at)  # drawn anew, as it was

    def set_knob(self, values: dict[str, Any]) -> None:
        self.asked.knobs.append(values)

    def set_edits(self, edits: tuple[Any, ...]) -> None:
        self.asked.edits.append(edits)

    def set_playing(self, playing: bool) -> None:
        self.asked.playing.append(playing)

    def freeze(self, on: bool) -> None:
        self.asked.frozen.append(on)

    def step(self, by: int) -> None:
        self.asked.steps.append(by)

    def seek(self, frame: int) -> None:
        self.asked.seeks.append(frame)

    def train(self, inputs: dict[str, Any]) -> None:
        self.asked.runs.append((inputs, True))

    def read(self, handle: Handle, unit: int, y: int, x: int) -> None:
        self.value_read.emit(ReadValue(handle, unit, y, x, 0.5))

    def read_array(self, handle: Handle, unit: int | None = None) -> None:
        values = np.full((7, 7), 0.5, np.float32)
        self.value_read.emit(ReadValue(handle, unit, -1, -1, None, values))

    def with_session(self, job: Any) -> None:
        job(None)

    def import_weights(self, name: str, path: Any) -> None:
        self.asked.fetched.append(f"{name} from {path}")
        self.weights_ready.emit(name)

    def fetch_weights(self, name: str) -> None:
        self.asked.fetched.append(name)

    def cancel(self) -> None:
        self.asked.cancelled += 1

    def stop(self, wait_ms: int = 5000) -> bool:
        self.asked.stopped += 1
        return True
