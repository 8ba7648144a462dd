"""All layers at once: each with a few small maps and its numbers, as far as the budget goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from explorer.colours import index_of, limits_for
from explorer.core.capture import first_tensor
from explorer.core.instruments import Instrument, Reader, Scene
from explorer.core.layers import Layer, innermost
from explorer.core.studies.schedule import Schedule
from explorer.core.studies.thumbnails import (
    Reduced,
    channels_of,
    histogram,
    pooled,
    reduce_layer,
    transfer,
)
from explorer.params import knob
from explorer.views import GAP, LayerRow

BINS = 48
SHARE = 1 / 4  # of the pass, when no budget is set
ROBUST = (0.01, 0.99)  # quantiles of the sample that the colours span


@dataclass(frozen=True, slots=True)
class OverviewParams:
    """What may be spent on the overview of a moving picture, and what it shows."""

    milliseconds: float = knob(
        0.0, low=0.0, high=200.0, step=1.0, unit="ms",
        help="time a frame for the overview; 0 takes a quarter of the pass itself",
    )  # fmt: skip
    fps: float = knob(
        0.0, low=0.0, high=60.0, step=1.0, unit="frames/s",
        help="take what is left at this rate instead; 0 goes by the time above",
    )  # fmt: skip
    units: int = knob(8, low=1, high=32, help="maps of each layer, the strongest ones")
    side: int = knob(32, low=16, high=64, step=8, unit="px", help="side of a small map")
    layers: str = knob(
        "leaves", choices=("leaves", "all"), help="modules in which no other runs, or blocks too"
    )


@dataclass(slots=True)
class _Note:
    """One reading, before it is brought over."""

    made: Reduced
    shape: tuple[int, ...]
    dtype: str
    kind: str
    calls: int


@dataclass(slots=True)
class Running:
    """What the frames so far have shown of one layer.

    Attributes:
        units: shown in the strip, chosen at the first look and kept, so that none jumps.
        count, mean, square: of all finite values: how many, their mean, the sum of squares of
            their distances from it (Chan, Golub and LeVeque, 1979).
    """

    channels: int
    units: Tensor | None = None
    ever: npt.NDArray[np.float32] | None = None
    before: npt.NDArray[np.float32] | None = None
    frames: int = 0
    count: float = 0.0
    mean: float = 0.0
    square: float = 0.0

    def add(self, count: float, mean: float, variance: float) -> None:
        """Take in the moments of one more frame."""
        self.frames += 1
        if not count:
            return
        total = self.count + count
        apart = mean - self.mean
        self.square += variance * count + apart * apart * self.count * count / total
        self.mean += apart * count / total
        self.count = total

    @property
    def over(self) -> tuple[float, float]:
        """Mean and standard deviation of all values of all frames."""
        return self.mean, (self.square / self.count) ** 0.5 if self.count else 0.0

    def dead(self, high: npt.NDArray[np.float32]) -> int:
        """Units that were never above 0 so far, with this frame's highest values (U,)."""
        self.ever = high if self.ever is None else np.maximum(self.ever, high)
        return int((self.ever <= 0).sum())

    def change(self, means: npt.NDArray[np.float32]) -> float:
        """How far the units' means (U,) moved since the look before, relative to their size."""
        before, self.before = self.before, means
        if before is None:
            return float("nan")
        return float(np.abs(means - before).sum() / (np.abs(before).sum() + 1e-12))


@dataclass(slots=True)
class _Pass:
    """The pass at hand: when it began, what reading has cost in it."""

    begun: float = 0.0
    spent: float = 0.0
    read: dict[str, _Note] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)


class Overview(Instrument[OverviewParams]):
    """Reads module outputs inside the pass and keeps nothing of them but thumbnails and numbers.

    A still picture shows every layer at once; while frames follow one another, each takes as many
    layers as the budget allows, by `Schedule`.
    """

    name = "overview"
    Params: ClassVar[type[Any]] = OverviewParams
    reads = True

    def __init__(self) -> None:
        self.schedule = Schedule()
        self._running: dict[str, Running] = {}
        self._pass = _Pass()
        self._network: nn.Module | None = None
        self._layers: Sequence[Layer] | None = None
        self._which = ""
        self._expected: dict[str, int] = {}
        self._cost: dict[str, float] = {}  # ms in the hook, by layer
        self._own = 0.0  # ms that the network took of the latest pass

    def readers(self, params: OverviewParams, scene: Scene) -> Mapping[str, Reader]:
        """Hooks for the layers whose turn it is."""
        self._fit(params, scene)
        budget = self.budget(params) if scene.hurried and self._running else None
        chosen = self.schedule.choose(budget, scene.visible)
        self._pass = _Pass(time.perf_counter())
        return {name: partial(self._read, params, name) for name in chosen}

    def budget(self, params: OverviewParams) -> float:
        """Milliseconds for the next pass: what the person set, or a share of the pass itself."""
        if params.fps:
            return max(0.0, 1000.0 / params.fps - self._own)
        return params.milliseconds or SHARE * self._own

    def rows(self, params: OverviewParams) -> Iterator[LayerRow]:
        """Rows of what was read since `readers`."""
        seen, self._pass.read = self._pass.read, {}
        self._expected |= self._pass.calls  # where they were fewer, the next last call is earlier
        if not seen:
            return
        begun = time.perf_counter()
        self._own = 1e3 * (begun - self._pass.begun) - self._pass.spent
        arrays = transfer([note.made for note in seen.values()])
        rows = [self._row(n, note, a) for (n, note), a in zip(seen.items(), arrays, strict=True)]
        each = 1e3 * (time.perf_counter() - begun) / len(rows)
        for row in rows:
            self.schedule.read(row.name, each + self._cost.pop(row.name, 0.0), row.change)
        yield from rows

    def _fit(self, params: OverviewParams, scene: Scene) -> None:
        """Take the layers of this network; another one begins anew."""
        if scene.network is not self._network:
            self._network, self._running = scene.network, {}
            self.schedule, self._own = Schedule(), 0.0
        elif scene.layers is self._layers and params.layers == self._which:
            return
        self._layers, self._which = scene.layers, params.layers
        called = [la for la in scene.layers if la.called is not False]
        wanted = called if params.layers == "all" else innermost(scene.layers)
        self._expected = {la.name: la.calls for la in wanted}
        self.schedule.fit(self._expected)

    def _read(self, params: OverviewParams, name: str, module: nn.Module, out: Any) -> None:
        """In the hook: reduce the output of the last call of this pass."""
        x = first_tensor(out)
        calls = self._pass.calls[name] = self._pass.calls.get(name, 0) + 1
        if x is None or not x.numel() or calls < self._expected.get(name, 0):
            return
        begun = time.perf_counter()
        channels = channels_of(x, module)
        running = self._running.get(name)
        if running is None or running.channels != channels:
            running = self._running[name] = Running(channels)
        units = running.units
        if units is not None and len(units) != min(params.units, channels):
            units = None
        with torch.no_grad():
            made = reduce_layer(
                x, module, side=params.side, width=params.units * (params.side + 1) - 1,
                units=units, count=params.units,
            )  # fmt: skip
        dtype = str(x.dtype).removeprefix("torch.")
        self._pass.read[name] = _Note(made, tuple(x.shape), dtype, type(module).__name__, calls)
        running.units = made.units
        self._cost[name] = 1e3 * (time.perf_counter() - begun)
        self._pass.spent += self._cost[name]

    def _row(self, name: str, note: _Note, made: dict[str, Any]) -> LayerRow:
        running = self._running[name]
        count, mean, variance = pooled(made)
        running.add(count, mean, variance)
        low, high = float(made["low"].min()), float(made["high"].max())
        low, high = (v if np.isfinite(v) else 0.0 for v in (low, high))
        limits = _limits(made["sample"], low, high)
        saturated = float(made["saturated"])
        maps = len(note.shape) >= 4
        return LayerRow(
            name, note.kind, note.shape, note.dtype, strip_of(made["tiles"], limits),
            "maps" if maps else "tokens" if made["tiles"].shape[1] > 1 else "values",
            tuple(made["units"].astype(int).tolist()) if maps else (), limits,
            histogram(made["sample"], low, high, BINS), low, high, mean, variance**0.5,
            len(made["high"]), running.dead(made["high"]),
            None if np.isnan(saturated) else saturated, int(made["bad"]), running.frames,
            running.over, running.change(made["mean"]), note.calls,
        )  # fmt: skip


def strip_of(
    tiles: npt.NDArray[np.float32], limits: tuple[float, float], gap: int = 1
) -> npt.NDArray[np.uint8]:
    """Tiles (N, h, w) side by side as one index picture (h, N (w + gap) - gap)."""
    index = index_of(tiles, *limits)
    count, height, width = index.shape
    strip = np.full((height, count, width + gap), GAP, np.uint8)
    strip[:, :, :width] = index.swapaxes(0, 1)
    return strip.reshape(height, -1)[:, : count * (width + gap) - gap]


def _limits(sample: npt.NDArray[np.float32], low: float, high: float) -> tuple[float, float]:
    """A robust range, from zero or symmetric about it; all of it when the robust one is empty."""
    kept = np.sort(sample[np.isfinite(sample)])
    if not kept.size:
        return 0.0, 1.0
    first, last = (float(kept[round(q * (kept.size - 1))]) for q in ROBUST)
    if low >= 0:
        return 0.0, last or high or 1.0
    return limits_for(*((first, last) if first < min(last, 0.0) else (low, high)))
