"""A unit: its map over the input, and what it owes to it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from explorer.core.attribution import (
    AttributionError,
    InputGradient,
    Target,
    grad_cam,
    input_gradient,
    signed_sum,
)
from explorer.core.geometry import Place
from explorer.core.instruments import Bench, Instrument, Taken
from explorer.core.layers import Layer
from explorer.core.studies.captum_check import compare_with_captum
from explorer.core.studies.rectifiers import Rule
from explorer.core.studies.tracing import Over, Pass
from explorer.instruments.explained import (
    CLICK,
    before,
    layer_of,
    passes,
    predicted_target,
    unit_target,
)
from explorer.instruments.map_layers import picture_of, placed_maps
from explorer.kinds import Affine, Array, Artefact, Curve, Field, Matrix, Text
from explorer.params import knob

METHODS: dict[str, Rule] = {
    "gradient": "gradient",
    "guided": "guided",
    "deconvolution": "deconvolution",
}
OVERS: dict[str, Over] = {"strongest place": "max", "whole map": "sum"}


@dataclass(frozen=True, slots=True)
class UnitParams:
    """Knobs of the unit's page."""

    layer: str = knob("", effect="again", help="layer of the unit; follows the window")
    unit: int = knob(0, low=0, effect="again", help="which unit; follows the window")
    explain: str = knob(
        "unit", choices=("unit", "prediction"), effect="again",
        help="what gradients start from: the unit, or what the engine predicts (class, box score)",
    )  # fmt: skip
    index: int | None = knob(
        None, kind="integer", low=0, effect="again", when="explain=prediction",
        help="another class or box than the predicted one; none: the prediction",
    )  # fmt: skip
    place: str = knob(
        "strongest place", choices=tuple(OVERS), effect="again", when="explain=unit",
        help="which part of the unit's map is explained",
    )  # fmt: skip
    method: str = knob(
        "all", choices=("all", *METHODS, "Grad-CAM"), effect="again",
        help="how to go back to the input",
    )  # fmt: skip
    cam: str = knob(
        "", effect="again",
        help="layer of the Grad-CAM; empty: for a prediction the unit's layer, else the one before",
    )  # fmt: skip
    captum: bool = knob(
        False, effect="again", help="compare each method with Captum, where it is installed"
    )


class Unit(Instrument[UnitParams]):
    """Shows the map at every frame, and explains when asked to."""

    name = "unit"
    Params: ClassVar[type[Any]] = UnitParams

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}

    def points(self, params: UnitParams, layers: Sequence[Layer]) -> tuple[str, ...]:
        """The unit's layer, and that of the Grad-CAM: to know where its cells lie."""
        layer = layer_of(params.layer, layers)
        wanted = [layer, _cam_layer(params, layer, layers)] if layer else []
        return tuple(dict.fromkeys(name for name in wanted if name))

    def look(self, taken: Taken, params: UnitParams) -> Iterator[Artefact]:
        """The unit's map over the input."""
        self._places |= taken.places
        layer = layer_of(params.layer, taken.layers)
        tensor = taken.tensors.get(layer)
        if tensor is None:
            if any(la.called for la in taken.layers):
                yield Text("unit/map", CLICK)
            return
        photo = picture_of(taken.inputs)
        size = None if photo is None else (photo.pixels.shape[0], photo.pixels.shape[1])
        placed = placed_maps({layer: tensor}, taken.places, size)
        if layer in placed:
            self._places[layer] = placed[layer][1]
        yield _activity(tensor, layer, params.unit, self._places.get(layer))

    def study(self, bench: Bench, params: UnitParams) -> Generator[Artefact, Any, None]:
        """Each method in turn, and the comparison when it is wanted."""
        layer = layer_of(params.layer, bench.layers)
        run = passes(bench)
        if params.explain == "prediction":
            target, words = predicted_target(bench, params.index)
        else:
            target = unit_target(bench, layer, params.unit, OVERS[params.place])
            words = f"{layer} unit {params.unit}, {params.place}"
        step, root = 0, None
        for name, rule in METHODS.items():
            if params.method in ("all", name):
                found = input_gradient(bench.network, run, target, rule)
                root = found.root.affine
                yield _explained(name, found, words, step)
                step += 1
        cam = _cam_layer(params, layer, bench.layers)
        if params.method in ("all", "Grad-CAM"):
            yield self._cam(bench, run, cam, target, words, root, step)
            step += 1
        if params.captum:
            yield _compared(bench, run, target, cam, step)

    def _cam(
        self, bench: Bench, run: Pass, layer: str, target: Target, words: str,
        root: Affine | None, step: int,
    ) -> Artefact:  # fmt: skip
        if not layer:
            return Text("unit/Grad-CAM", f"No layer of maps stands before {target.point}; name one "
                        "in the knob cam.", step=step)  # fmt: skip
        try:
            found = grad_cam(bench.network, run, layer, target)
        except AttributionError as error:
            return Text("unit/Grad-CAM", f"{error}. Name another layer in the knob cam.", step=step)
        note = f"{words}; where {layer} speaks for it"
        values = found.map[0, 0].cpu().numpy()
        if values.ndim == 1:
            return Curve("unit/Grad-CAM", np.arange(len(values)), values, x_label="token",
                         note=note, step=step)  # fmt: skip
        photo = picture_of(bench.inputs)
        place = self._places.get(layer)
        affine = place.affine if place is not None else root
        if place is None and photo is not None:
            height, width = photo.pixels.shape[:2]
            affine = Affine(width / values.shape[1], height / values.shape[0], approximate=True)
        return Field("unit/Grad-CAM", values, affine=affine, note=note, step=step)


def _cam_layer(params: UnitParams, layer: str, layers: Sequence[Layer]) -> str:
    """Where Grad-CAM looks; "" where there is no such layer."""
    if params.cam:
        return params.cam
    if params.explain == "prediction":
        return layer
    try:
        return before(layer, layers)
    except AttributionError:
        return ""


def _activity(tensor: Tensor, layer: str, unit: int, place: Place | None) -> Artefact:
    """A unit's map as a field over the input, its course over tokens, or its value."""
    if tensor.ndim >= 4:
        maps = tensor[0].reshape(-1, *tensor.shape[-2:])
    else:
        maps = tensor[0].T if tensor.ndim == 3 else tensor.reshape(-1, 1)
    if unit >= len(maps):
        return Text("unit/map", f"{layer} has units 0 to {len(maps) - 1}; there is no unit {unit}.")
    values = maps[unit].float().cpu().numpy()
    words = f"{layer} · unit {unit} of {len(maps)}"
    if values.ndim == 2:
        size = " × ".join(map(str, values.shape))
        note = f"{words} · {size} · mean {values.mean():.3g}"
        return Field("unit/map", values, affine=None if place is None else place.affine, note=note)
    if len(values) > 1:
        return Curve("unit/map", np.arange(len(values)), values, x_label="token", note=words)
    rank = int((maps > maps[unit]).sum()) + 1
    return Text("unit/map", f"{words}: {values[0]:.4g}, number {rank} by size")


def _explained(name: str, found: InputGradient, words: str, step: int) -> Artefact:
    """A gradient as a signed field over the input; of tokens or a latent as a matrix."""
    note = f"{words}, which is {found.value:.4g}"
    if name != "gradient":
        note += (
            f"; {found.rectifiers} ReLUs go back by this rule"
            if found.rectifiers
            else "; no ReLU on the way, so this is the plain gradient"
        )
    gradient, affine = found.gradient, found.root.affine
    if gradient.ndim == 4 and min(gradient.shape[2:]) > 1:
        if gradient.shape[1] > 1:
            note += "; colour channels added"
        return Field(f"unit/{name}", _array(signed_sum(gradient)), scale="diverging",
                     affine=affine, over=False, note=note, step=step)  # fmt: skip
    if gradient[0].numel() in gradient.shape:  # a latent or another vector
        values = _array(gradient[0].flatten())
        return Curve(f"unit/{name}", np.arange(len(values)), values, x_label="entry of the input",
                     note=note, step=step)  # fmt: skip
    rows = _array(gradient[0].reshape(-1, gradient.shape[-1]))
    return Matrix(f"unit/{name}", rows, scale="diverging", own_scale=True, note=note, step=step)


def _compared(bench: Bench, run: Pass, target: Target, cam: str, step: int) -> Text:
    lines = []
    for row in compare_with_captum(bench.network, run, target, cam or None):
        note = f" ({row.note})" if row.note else ""
        lines.append(
            f"{row.method} against {row.peer}: largest difference {row.difference:.3g} "
            f"of {row.largest:.3g}{note}"
        )
    return Text("unit/compared with Captum", "\n".join(lines), step=step)


def _array(x: Tensor) -> Array:
    found: Array = x.detach().float().cpu().numpy()
    return found
