"""Two worlds, one cursor: a second model, checkpoint, precision or input in step with the first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from explorer.core.geometry import Place
from explorer.core.instruments import Instrument, Reader, Scene, Taken
from explorer.core.layers import Layer
from explorer.core.reduction import as_maps
from explorer.core.studies.differences import Measure
from explorer.core.studies.precision import PRECISIONS
from explorer.core.studies.worlds import Pair, World, verdict
from explorer.kinds import Artefact, Curve, FeatureMaps, Matrix, Scores, Text
from explorer.params import knob
from explorer.views import LayerDifference

SAME = "same"
MEASURES: Mapping[str, Measure] = {
    "relative L2": "relative",
    "largest difference": "largest",
    "1 − cosine": "angle",
}
LEAST = 1e-12  # drawn on a logarithmic axis in the place of no difference at all


@dataclass(frozen=True, slots=True)
class WorldsParams:
    """What the second world is, and from where on both count as apart."""

    precision: str = knob(SAME, choices=(SAME, *PRECISIONS), help="precision of the second network")
    weights: str = knob("", help="file of weights for the second network; empty: the same")
    model: str = knob(
        "", help="engine, module:factory or model file in place of the first; empty: the same"
    )
    picture: str = knob("", help="file that the second one sees; empty: the same input")
    threshold: float = knob(
        1e-2, low=1e-8, high=10.0, log=True, help="beyond it a layer counts as apart"
    )
    measure: str = knob(
        "relative L2", choices=tuple(MEASURES), help="what is held against the threshold"
    )
    layer: str = knob("", help="layer whose maps are shown side by side")
    units: int = knob(16, low=1, high=64, help="units shown, those that differ most first")

    @property
    def world(self) -> World:
        """The second world."""
        inputs = (("", self.picture),) if self.picture else ()
        precision = "" if self.precision == SAME else self.precision
        return World(self.model, self.weights, precision, inputs)


class Worlds(Instrument[WorldsParams]):
    """Runs a second session in step with the window's, and compares layer by layer as it runs."""

    name = "worlds"
    Params: ClassVar[type[Any]] = WorldsParams
    reads = True

    def __init__(self) -> None:
        self._pair: Pair | None = None
        self._rows: list[LayerDifference] = []
        self._refused: tuple[World, str] | None = None  # it cannot be opened: not tried again

    def points(self, params: WorldsParams, layers: Sequence[Layer]) -> tuple[str, ...]:
        """The layer that is shown side by side."""
        return tuple(la.name for la in layers if la.name == params.layer)

    def readers(self, params: WorldsParams, scene: Scene) -> Mapping[str, Reader]:
        """What the first network's layers return, for the second to be compared with."""
        if self._refused is not None:
            if self._refused[0] == params.world:
                return {}
            self._refused = None
        if self._pair is None or self._pair.world != params.world:
            self.close()
            self._pair = Pair(params.world)
        return self._pair.readers(scene)

    def look(self, taken: Taken, params: WorldsParams) -> Iterator[Artefact]:
        """Take the second world one step on; then curve, maps and the second one's answers."""
        pair = self._pair
        if self._refused is not None:
            yield Text("worlds/both", self._refused[1])
        if pair is None or not pair.comparison.names:
            return
        chosen = params.layer
        try:
            pair.choose(chosen)
            pair.step(taken.inputs, taken.run, taken.frame)
        except (LookupError, OSError, ValueError, RuntimeError) as error:
            told = f"{params.world.title} cannot run: {error}"
            if pair.second is None:
                self._refused = (params.world, told)
            self._pair = None
            pair.close()
            yield Text("worlds/both", told)
            return
        measure = MEASURES[params.measure]
        self._rows = pair.comparison.rows(params.threshold, measure)
        yield Text("worlds/both", said(params, self._rows))
        yield curve_of(self._rows, params)
        if pair.frame is not None:
            for scores in (a for a in pair.frame.artefacts if isinstance(a, Scores)):
                yield Scores(
                    f"worlds/second: {scores.item}", scores.scores, scores.labels,
                    scores.probability, note=scores.note, unit=scores.unit,
                )  # fmt: skip
        first, second = taken.tensors.get(chosen), pair.shown.tensor
        if first is not None and second is not None:
            places = (taken.places.get(chosen), pair.shown.place)
            yield from side_by_side(chosen, first, second, places, params.units)

    def differences(self, params: WorldsParams) -> Iterator[LayerDifference]:
        """A row for each layer."""
        rows, self._rows = self._rows, []
        return iter(rows)

    def lacking(self) -> bool:
        """Whether layers wait for a further pair of passes, for want of room."""
        return self._pair is not None and bool(self._pair.comparison.waiting)

    def close(self) -> None:
        """Let go of the second network."""
        self._refused = None
        if self._pair is not None:
            self._pair.close()
            self._pair = None


def said(params: WorldsParams, rows: Sequence[LayerDifference]) -> str:
    """One sentence: what is compared, and where both part."""
    limit = f"{params.measure} > {params.threshold:g}"
    return f"{params.world.title}: {verdict(rows)} ({limit})"


def curve_of(rows: Sequence[LayerDifference], params: WorldsParams) -> Curve:
    """All three measures over the layers, in the order in which they ran; logarithmic."""
    kept = [row for row in rows if not math.isnan(row.relative)]
    y = np.array([[r.relative, r.largest, 1.0 - r.cosine] for r in kept], np.float32).reshape(-1, 3)
    y = np.where(np.isfinite(y), np.maximum(y, LEAST), np.nan)
    return Curve(
        "worlds/by layer", np.arange(len(kept)), y.T.copy(), tuple(MEASURES),
        x_label="layer", log=True, marks={"threshold": params.threshold},
    )  # fmt: skip


def side_by_side(
    name: str,
    first: Tensor,
    second: Tensor,
    places: tuple[Place | None, Place | None],
    units: int,
) -> Iterator[Artefact]:
    """The units (1, C, ...) that differ most, in both worlds, and their difference."""
    if first.shape != second.shape:
        return
    a, kind = as_maps(first)
    b, _ = as_maps(second)
    a, b = a.float(), b.float().to(a.device)
    if kind != "unit":
        flat = {"first": a, "second": b, "difference": b - a}
        for world, values in flat.items():
            shown = values.reshape(values.shape[-2:] if kind != "value" else (1, -1))
            yield Matrix(f"worlds/{world}", shown.cpu().numpy(), note=name, own_scale=True)
        return
    apart = (b - a).nan_to_num(0.0).flatten(1)
    order = torch.linalg.vector_norm(apart, dim=1).argsort(descending=True, stable=True)[:units]
    labels = [f"#{unit}" for unit in order.tolist()]
    for world, values, place in (
        ("first", a, places[0]), ("second", b, places[1]), ("difference", b - a, places[0]),
    ):  # fmt: skip
        yield FeatureMaps(
            f"worlds/{world}", values[order].cpu().numpy(), labels,
            None if place is None else place.affine, note=name,
        )  # fmt: skip
