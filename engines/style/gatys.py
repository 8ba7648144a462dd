"""Style transfer on pixels: Gatys, Ecker, Bethge, "A Neural Algorithm of Artistic Style", 2015."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engines.nn.efficientnet import EfficientNetLite0
from engines.nn.loading import load_state
from engines.nn.optical_flow import flow_back, moved_along
from engines.nn.taps import Tapped, convention, feed
from engines.nn.vgg import VGG
from engines.style.canvas import Descent
from engines.style.grams import GramViews
from engines.style.objective import Extract, Objective
from engines.style.params import StyleParams
from engines.style.pictures import Pictures, compared
from engines.style.reconstruction import TILE, Tiles
from explorer.api import (
    Affine,
    Artefact,
    Curve,
    EndOfStep,
    Engine,
    EngineError,
    Field,
    Image,
    ImageInput,
    Inputs,
    Matrix,
    Outcome,
    Preprocess,
    Run,
    place,
    prepare,
)  # fmt: skip

FOLLOWS = "begun from the frame before, moved along the optical flow"
SMALLEST_FLOW = 16  # px a side, below which there is no flow to speak of
_ABOUT = {
    "vgg16-hed": "VGG-16 convolutions of the edge network HED",
    "vgg16": "VGG-16, ImageNet",
    "vgg19": "VGG-19, ImageNet",
    "efficientnet-lite0": "EfficientNet-Lite0, the classifier",
}


class Gatys(Engine[StyleParams]):
    """Content of one picture, style of another."""

    Params: ClassVar[type[Any]] = StyleParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Matrix, Curve, Field)
    optimises: ClassVar[bool] = True

    network: Tapped

    def build(self, params: StyleParams) -> nn.Module:
        """Load the features, frozen."""
        self._weights = self._choose(params.features)
        tensors = self.host.weights(self._weights)
        network: nn.Module
        if self._weights == "efficientnet-lite0":
            network = EfficientNetLite0()
        else:
            pool = "max" if params.pooling == "max" else "average"
            network = VGG(19 if self._weights == "vgg19" else 16, head=False, pool=pool)  # type: ignore[arg-type]
            tensors = {k: v for k, v in tensors.items() if k.startswith("features.")}
        load_state(network, tensors, self._weights)
        return Tapped(network).requires_grad_(False)

    def _choose(self, wanted: str) -> str:
        if wanted != "auto":
            return wanted
        return "vgg16-hed" if self.host.has_weights("vgg16-hed") else "efficientnet-lite0"

    @torch.enable_grad()
    def run(self, inputs: Inputs, params: StyleParams, memory: Any = None) -> Run:
        """Optimise the canvas; a picture every ``show_every`` steps, until ``steps`` or a stop.

        On a clip ``memory`` is the frame before with its canvas, from which this one goes on.
        """
        each = params.reconstruct == "each layer"
        content, affine = self._pixels(inputs["content"], TILE if each else params.size)
        style, _ = self._pixels(inputs["style"], TILE if each else params.size)
        pictures = Pictures(self._about(params), affine)
        objective = Objective(self._features(affine), self.network.taps, content, style)
        params = yield pictures.image("content", content)
        params = yield pictures.image("style", style)
        if each:
            yield from self._each_layer(objective, pictures, affine, content, params)
            return None
        follows = isinstance(memory, Before) and memory.canvas.shape == content.shape
        canvas = (
            carried(memory, content) if follows
            else start(content, params, self.noise(content, params))
        )  # fmt: skip
        descent = Descent(objective, canvas)
        descent.look(params)
        grams = GramViews(objective.grams, objective.content_grams)
        pictures = pictures.saying(FOLLOWS if follows else "")
        words = compared(self.network.taps, params)
        params = yield pictures.image("canvas", descent.canvas, 0, words)
        for artefact in grams.shown(descent.grams, params.units, 0):
            params = yield artefact
        params = yield EndOfStep()
        step = 0
        while step < params.steps:
            step += 1
            descent.step(params)
            if not descent.finite:
                raise EngineError("the loss is no longer finite; lower the rate or the weights")
            self.host.progress(f"step {step} of {params.steps}", step / params.steps)
            if step % params.show_every == 0 or step == params.steps:
                words = compared(self.network.taps, params)
                params = yield pictures.image("canvas", descent.canvas, step, words)
                for artefact in shown(descent, objective, grams, affine, params, step):
                    params = yield artefact
                if step < params.steps:
                    params = yield EndOfStep()
        return Outcome(memory=Before(content, descent.canvas.detach()))

    def _each_layer(
        self, objective: Objective, pictures: Pictures, affine: Affine, content: Tensor,
        params: StyleParams,
    ) -> Run:  # fmt: skip
        """Content layers and sets of style layers, each rebuilt from the same noise."""
        noise = self.noise(content, params)
        tiles = Tiles(self._features(affine), self.network.taps, objective, noise)
        grams = GramViews(objective.grams, objective.content_grams)
        tiles.look(params)
        for artefact in (*tiles.pictures(pictures, 0), *grams.shown(tiles.grams, params.units, 0)):
            params = yield artefact
        params = yield EndOfStep()
        step = 0
        while step < params.steps:
            step += 1
            tiles.step(params, self.host, step)
            if step % params.show_every == 0 or step == params.steps:
                matrices = grams.shown(tiles.grams, params.units, step)
                for artefact in (*tiles.pictures(pictures, step), *tiles.curve(step), *matrices):
                    params = yield artefact
                if step < params.steps:
                    params = yield EndOfStep()
        return None

    def _features(self, affine: Affine) -> Extract:
        how = convention(self._weights)

        def features(x: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
            found: dict[str, Tensor] = self.network(place(feed(x, how), affine), names)
            return found

        return features

    def _pixels(self, photo: ImageInput, side: int) -> tuple[Tensor, Affine]:
        pixels, affine = prepare(photo.pixels, Preprocess(size=side, fit="short"), self.host.device)
        return pixels, affine

    def noise(self, content: Tensor, params: StyleParams) -> Tensor:
        """Uniform noise in [0, 1], drawn on the CPU so that it is the same on every device."""
        generator = torch.Generator().manual_seed(params.seed)
        return torch.rand(content.shape, generator=generator).to(content.device)

    def _about(self, params: StyleParams) -> str:
        chosen = " (auto)" if params.features == "auto" else ""
        text = f"features{chosen}: {_ABOUT[self._weights]}"
        if params.features == "auto" and self._weights == "efficientnet-lite0":
            text += "; better with VGG: layerscope weights fetch vgg16-hed"
        return text


@dataclass(frozen=True, slots=True)
class Before:
    """A clip's frame and what was painted of it, both (1, 3, H, W)."""

    content: Tensor
    canvas: Tensor


def carried(before: Before, content: Tensor) -> Tensor:
    """The canvas of the frame before, moved along with the pixels of the photo."""
    if min(content.shape[2:]) < SMALLEST_FLOW or torch.equal(before.content, content):
        return before.canvas.clone()
    moved = moved_along(before.canvas, flow_back(content, before.content))
    return moved.clone(memory_format=torch.contiguous_format)


def start(content: Tensor, params: StyleParams, noise: Tensor) -> Tensor:
    """The first canvas, contiguous (L-BFGS fails on a permuted one) and apart from the content."""
    if params.start == "content":
        return content.clone(memory_format=torch.contiguous_format)
    return noise if params.start == "noise" else 0.5 * (content + noise)


def shown(
    descent: Descent, objective: Objective, grams: GramViews, affine: Affine, params: StyleParams,
    step: int,
) -> Iterator[Artefact]:  # fmt: skip
    """What a step shows beside the canvas."""
    gradient = descent.gradient.norm(dim=1)[0]
    yield Field(
        "pictures/gradient", gradient.cpu().numpy(), affine=affine, step=step,
        note="where the loss pulls at the canvas",
    )  # fmt: skip
    yield from grams.shown(descent.grams, params.units, step)
    steps = np.arange(1, step + 1)
    names, values = descent.history()
    yield Curve(
        "loss/terms", steps, values, series=names, log=True, step=step, note=objective.constants()
    )
    yield Curve("loss/gradient norm", steps, np.array(descent.norms), log=True, step=step)
