"""Style transfer on pixels: Gatys, Ecker, Bethge, "A Neural Algorithm of Artistic Style", 2015."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engines.nn.style.taps import Tapped, convention, feed
from engines.style.features import chosen
from engines.style.grams import GramViews
from engines.style.objective import Extract, Objective
from engines.style.painting import Before, Level, Painting
from engines.style.params import StyleParams
from engines.style.pictures import Pictures
from engines.style.pooling import choose_pooling
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

SECOND = "second"  # slot of another style


class Gatys(Engine[StyleParams]):
    """Content of one picture, style of another."""

    Params: ClassVar[type[Any]] = StyleParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Matrix, Curve, Field)
    optimises: ClassVar[bool] = True
    layout = "NHWC"

    network: Tapped

    def build(self, params: StyleParams) -> nn.Module:
        """Load the features, frozen."""
        self._chosen = chosen(self.host, params.features)
        return self._chosen.network

    @torch.enable_grad()
    def run(self, inputs: Inputs, params: StyleParams, memory: Any = None) -> Run:
        """Optimise the canvas; a picture every ``show_every`` steps, until ``steps`` or a stop.

        On a clip ``memory`` is the frame before with its canvas, from which this one goes on.
        """
        make = partial(self._level, inputs)
        if params.reconstruct == "each layer":
            yield from self._each_layer(make, params)
            return None
        content, _ = self._pixels(inputs["content"], params.size)
        follows = isinstance(memory, Before) and memory.canvas.shape == content.shape
        painting = Painting(
            make, self.network.taps, self.noise, params, memory if follows else None
        )  # fmt: skip
        params = yield from painting.shown(params, 0)
        params = yield EndOfStep()
        step = 0
        while step < params.steps:
            step += 1
            painting.step(params, step)
            if not painting.descent.finite:
                raise EngineError("the loss is no longer finite; lower the rate or the weights")
            self.host.progress(f"step {step} of {params.steps}", step / params.steps)
            if step % params.show_every == 0 or step == params.steps:
                params = yield from painting.shown(params, step)
                if step < params.steps:
                    params = yield EndOfStep()
        return Outcome(memory=Before(painting.level.content, painting.descent.canvas.detach()))

    def _each_layer(self, make: Callable[[int, str], Level], params: StyleParams) -> Run:
        """Content layers and sets of style layers, each rebuilt from the same noise."""
        level = make(TILE, params.pooling)
        features = self._features(level.pictures.affine)
        params = yield level.pictures.image("content", level.content)
        params = yield level.pictures.image("style", level.style)
        noise = self.noise(level.content, params)
        tiles = Tiles(features, self.network.taps, level.objective, noise)
        grams = GramViews(level.objective.grams, level.objective.content_grams)
        tiles.look(params)
        shown = grams.shown(tiles.grams, params.units, 0)
        for artefact in (*tiles.pictures(level.pictures, 0), *shown):
            params = yield artefact
        params = yield EndOfStep()
        step = 0
        while step < params.steps:
            step += 1
            if params.pooling != level.pooling:
                level = make(TILE, params.pooling)
                tiles.aim(features, self.network.taps, level.objective)
                grams = GramViews(level.objective.grams, level.objective.content_grams)
            tiles.step(params, self.host, step)
            if step % params.show_every == 0 or step == params.steps:
                shown = grams.shown(tiles.grams, params.units, step)
                for artefact in (*tiles.pictures(level.pictures, step), *tiles.curve(step), *shown):
                    params = yield artefact
                if step < params.steps:
                    params = yield EndOfStep()
        return None

    def _level(self, inputs: Inputs, side: int, pooling: str) -> Level:
        """Pictures, targets and pools of one short side in pixels and one kind of pooling."""
        choose_pooling(self.network, pooling)
        content, affine = self._pixels(inputs["content"], side)
        style, _ = self._pixels(inputs["style"], side)
        second = self._pixels(inputs[SECOND], side)[0] if SECOND in inputs else None
        objective = Objective(
            self._features(affine), self.network.taps, content, style, second, affine
        )  # fmt: skip
        pictures = Pictures(self._chosen.about, affine)
        return Level(side, pooling, content, style, second, objective, pictures)

    def _features(self, affine: Affine) -> Extract:
        how = convention(self._chosen.weights)

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
