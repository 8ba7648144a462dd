"""Activation maximisation as a study: the picture that a unit likes best, while it is made."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from explorer.core.instruments import Bench, Instrument
from explorer.core.own_models.input_scale import InputScale
from explorer.core.studies.activation_maximisation import Ascent, Basis, Canvas, climb, colours_of
from explorer.core.studies.rectifiers import Rectified
from explorer.core.studies.tracing import AttributionError, Over, Root, Target, trace
from explorer.instruments.explained import layer_of, passes, unit_target
from explorer.instruments.map_layers import picture_of
from explorer.kinds import Artefact, Curve, Image
from explorer.params import knob

OVERS: dict[str, Over] = {"whole map": "mean", "one place": "max"}


@dataclass(frozen=True, slots=True)
class MaximiseParams:
    """Knobs of the ascent."""

    layer: str = knob("", effect="again", help="layer of the unit; follows the window")
    unit: int = knob(0, low=0, effect="again", help="which unit; follows the window")
    goal: str = knob(
        "whole map", choices=tuple(OVERS), effect="again",
        help="raise the mean of the unit's map, or its strongest place",
    )  # fmt: skip
    steps: int = knob(128, low=1, high=4096, unit="steps", effect="again", help="of ascent")
    size: int = knob(
        96, low=16, high=512, step=8, unit="px", effect="again",
        help="side of the picture; never more than the network's input has",
    )  # fmt: skip
    basis: str = knob(
        "fourier", choices=("fourier", "pixels"), effect="again",
        help="what is changed: frequencies scaled as in natural pictures, or pixels",
    )  # fmt: skip
    rate: float = knob(0.05, low=1e-4, high=1.0, log=True, effect="again", help="learning rate")
    jitter: int = knob(
        4, low=0, high=32, unit="px", effect="again", help="the picture is moved at each step"
    )
    variation: float = knob(
        2.0, low=0.0, high=50.0, effect="again", help="against noise: weight of total variation"
    )
    decay: float = knob(
        0.1, low=0.0, high=10.0, effect="again", help="against glare: weight of distance from grey"
    )
    colours: str = knob(
        "of the picture", choices=("of the picture", "free"), effect="again",
        help="let colours vary together as in the present picture, or each channel alone",
    )  # fmt: skip
    seed: int = knob(0, kind="seed", low=0, high=2**31, effect="again")
    every: int = knob(4, low=1, high=64, unit="steps", effect="again", help="steps between views")


class Maximise(Instrument[MaximiseParams]):
    """Climbs when asked to; the network sees the canvas wherever the picture would enter it."""

    name = "maximise"
    Params: ClassVar[type[Any]] = MaximiseParams

    def study(self, bench: Bench, params: MaximiseParams) -> Generator[Artefact, Any, None]:
        """The picture and the unit's activation at it, step by step."""
        layer = layer_of(params.layer, bench.layers)
        target = unit_target(bench, layer, params.unit, OVERS[params.goal])
        run = passes(bench)
        found = trace(bench.network, run, target)
        root = _picture_root(found.roots)
        at_photo = float(cast("Tensor", found.value).detach())
        photo = picture_of(bench.inputs)
        scale = InputScale.of(root.x, photo.pixels if photo else None, root.affine)

        def objective(picture: Tensor) -> Tensor:
            canvas = scale.to_input(picture)
            value = trace(bench.network, run, target, canvas=lambda x: _fitting(x, canvas)).value
            assert value is not None  # `trace` raises otherwise
            return value

        def opening(picture: Tensor) -> Tensor:
            with Rectified("redirected"):
                return objective(picture)

        how = Ascent(
            cast("Basis", params.basis), params.steps, params.rate, params.jitter,
            params.variation, params.decay, max(abs(at_photo), 1e-3),
        )  # fmt: skip
        generator = torch.Generator().manual_seed(params.seed)
        canvas = _canvas(root, scale, target, bench, params, generator)
        heights: list[float] = []
        words = f"{layer} unit {params.unit}, {params.goal}"
        for climbed in climb(objective, canvas, how, generator, opening):
            heights.append(climbed.value)
            last = climbed.step == how.steps - 1
            if climbed.step % params.every and not last:
                continue
            yield Image(
                "maximise/picture", scale.to_pixels(climbed.picture), step=climbed.step,
                note=f"{words}: {climbed.value:.4g}; the present picture gives {at_photo:.4g}"
                + ("" if scale.measured else "; black and white are those of the present input"),
            )  # fmt: skip
            yield Curve(
                "maximise/activation", np.arange(len(heights)), np.array(heights),
                marks={"present picture": at_photo}, step=climbed.step, note=words,
            )  # fmt: skip


def _picture_root(roots: list[Root]) -> Root:
    """The picture among what entered the network.

    Raises:
        AttributionError: none did.
    """
    for root in sorted(roots, key=lambda r: r.affine is None):
        if root.x.ndim == 4 and min(root.x.shape[2:]) > 1:
            return root
    raise AttributionError("no picture enters this network before the unit; there is none to climb")


def _canvas(
    root: Root, scale: InputScale, target: Target, bench: Bench, params: MaximiseParams,
    generator: torch.Generator,
) -> Canvas:  # fmt: skip
    """As large as asked for, where the unit has a map; a vector's network wants its own size."""
    height, width = root.x.shape[2:]
    shape = next((la.shape for la in bench.layers if la.name == target.point), None)
    if shape is not None and len(shape) == 4 and min(shape[2:]) > 1:
        height, width = (min(side, params.size) for side in (height, width))
    shown = (root.x.detach() - scale.to_input(torch.zeros_like(root.x))) / root.x.new_tensor(
        scale.gain
    ).view(1, -1, 1, 1)
    channels = root.x.shape[1]
    mixed = params.colours == "of the picture" and channels > 1
    return Canvas(
        (channels, height, width), cast("Basis", params.basis), generator,
        colours=colours_of(shown) if mixed else None, device=root.x.device,
    )  # fmt: skip


def _fitting(x: Tensor, canvas: Tensor) -> Tensor:
    """The canvas for a picture of as many channels; whatever else enters stays."""
    fits = x.ndim == 4 and x.shape[1] == canvas.shape[1]
    return canvas.expand(len(x), -1, -1, -1) if fits else x
