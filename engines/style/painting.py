"""One canvas that is being painted: its resolution, its first pixels, and what a step shows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.nn.style.optical_flow import flow_back, moved_along
from engines.nn.style.taps import Taps
from engines.style.canvas import Descent
from engines.style.grams import GramViews
from engines.style.objective import Aim, Objective
from engines.style.params import StyleParams
from engines.style.pictures import Pictures, compared, in_colours_of, spotlit
from explorer.api import Artefact, Curve, Field, Image

FOLLOWS = "begun from the frame before, moved along the optical flow"
PAINT = "paint here to say where the style applies"
SMALLEST_FLOW = 16  # px a side, below which there is no flow to speak of
COARSEST = 16  # px of the short side: the deepest layers still have a position
Noise = Callable[[Tensor, StyleParams], Tensor]
Shown = Generator[Artefact, StyleParams, StyleParams]


@dataclass(frozen=True, slots=True)
class Before:
    """A clip's frame and what was painted of it, both (1, 3, H, W)."""

    content: Tensor
    canvas: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """What one resolution and one kind of pooling fix; pixels (1, 3, H, W) in [0, 1]."""

    side: int
    pooling: str
    content: Tensor
    style: Tensor
    second: Tensor | None
    objective: Objective
    pictures: Pictures


class Painting:
    """A canvas under knobs that may change everything about it but its history.

    Args:
        make: the level of a short side and a kind of pooling.
        noise: what a canvas of the content's shape may begin with.
        before: the frame before of a clip and its canvas, which this one follows in shape.
    """

    def __init__(
        self, make: Callable[[int, str], Level], taps: Taps, noise: Noise, params: StyleParams,
        before: Before | None = None,
    ) -> None:  # fmt: skip
        self._make, self._taps, self._noise = make, taps, noise
        self._halvings = self._begun_with = 0 if before else params.halvings
        self._beginning = beginning(params)
        self._follows = FOLLOWS if before else ""
        self._fresh, self._masked = True, params.mask
        self._views: tuple[Aim, GramViews] | None = None
        self.level = make(side(params.size, self._halvings), params.pooling)
        content = self.level.content
        first = carried(before, content) if before else start(content, params, noise)
        self.descent = Descent(self.level.objective, first)
        self.descent.look(params)

    def step(self, params: StyleParams, step: int) -> None:
        """One iteration, number ``step`` from 1, after what the knobs have changed."""
        # A step that was raised later must not shrink the canvas again.
        left = halvings_left(self._begun_with, step, params.steps)
        self._halvings = min(self._halvings, left)
        wanted = side(params.size, self._halvings), params.pooling
        if wanted != (self.level.side, self.level.pooling):
            self._enter(*wanted)
        if beginning(params) != self._beginning:
            self._beginning, self._follows = beginning(params), ""
            first = start(self.level.content, params, self._noise)
            self.descent.move(self.level.objective, first)
        self.descent.step(params)

    def _enter(self, short: int, pooling: str) -> None:
        self.level = self._make(short, pooling)
        canvas = resized(self.descent.canvas.detach(), self.level.content)
        self.descent.move(self.level.objective, canvas)
        self._fresh = True

    def shown(self, params: StyleParams, step: int) -> Shown:
        """What a step shows, each under the knobs as they are then; returns the latest.

        The first step of a level begins with the pictures that it compares.
        """
        level = self.level
        aim = level.objective.aim(params)
        turned = self._views is None or self._views[0] is not aim
        if self._fresh or params.mask != self._masked:
            self._masked = params.mask
            lit = spotlit(level.content, aim.inside)
            params = yield level.pictures.image("content", lit, step, PAINT)
        if self._fresh:
            params = yield level.pictures.image("style", level.style, step)
        if level.second is not None and params.share and (self._fresh or turned):
            params = yield level.pictures.image("second style", level.second, step)
        self._fresh = False
        params = yield self._canvas(params, aim, step)
        if step:
            params = yield self._gradient(step)
        for matrix in self._grams(aim).shown(self.descent.grams, params.units, step):
            params = yield matrix
        if step:
            for curve in self._curves(params, step):
                params = yield curve
        return params

    def _canvas(self, params: StyleParams, aim: Aim, step: int) -> Image:
        canvas = self.descent.canvas.detach()
        if params.colours == "content":
            canvas = in_colours_of(canvas, self.level.content)
        words = [compared(self._taps, params), mixed(params, self.level, aim)]
        pictures = self.level.pictures.saying(self._follows)
        return pictures.image("canvas", canvas, step, "; ".join(filter(None, words)))

    def _grams(self, aim: Aim) -> GramViews:
        """The views of the targets in force: others show style and content again."""
        if self._views is None or self._views[0] is not aim:
            self._views = aim, GramViews(aim.style, aim.content)
        return self._views[1]

    def _gradient(self, step: int) -> Field:
        length = self.descent.gradient[0].square().sum(0).sqrt()  # norm over channels is slow
        return Field(
            "pictures/gradient", length.cpu().numpy(), affine=self.level.pictures.affine,
            step=step, note="where the loss pulls at the canvas",
        )  # fmt: skip

    def _curves(self, params: StyleParams, step: int) -> Iterator[Curve]:
        steps = np.arange(1, step + 1)
        names, values = self.descent.history()
        note = self.level.objective.constants(params)
        yield Curve("loss/terms", steps, values, series=names, log=True, step=step, note=note)
        yield Curve(
            "loss/gradient norm", steps, np.array(self.descent.norms), log=True, step=step
        )  # fmt: skip


def side(size: int, halvings: int) -> int:
    """The short side in pixels after so many halvings."""
    return max(COARSEST, round(size / (1 << halvings)))


def halvings_left(halvings: int, step: int, steps: int) -> int:
    """Of ``halvings`` at step 1, in equal shares of the steps, none in the last."""
    return max(0, halvings - (step - 1) * (halvings + 1) // steps)


def beginning(params: StyleParams) -> tuple[str, int]:
    """What decides the first canvas."""
    return params.start, params.seed if params.start != "content" else 0


def start(content: Tensor, params: StyleParams, noise: Noise) -> Tensor:
    """The first canvas, contiguous (L-BFGS fails on a permuted one) and apart from the content."""
    if params.start == "content":
        return content.clone(memory_format=torch.contiguous_format)
    drawn = noise(content, params)
    return drawn if params.start == "noise" else 0.5 * (content + drawn)


def carried(before: Before, content: Tensor) -> Tensor:
    """The canvas of the frame before, moved along with the pixels of the photo."""
    if min(content.shape[2:]) < SMALLEST_FLOW or torch.equal(before.content, content):
        return before.canvas.clone()
    moved = moved_along(before.canvas, flow_back(content, before.content))
    return moved.clone(memory_format=torch.contiguous_format)


def resized(canvas: Tensor, like: Tensor) -> Tensor:
    """The canvas (1, 3, H, W) at the size of another tensor."""
    if canvas.shape == like.shape:
        return canvas.clone()
    made = F.interpolate(canvas, like.shape[2:], mode="bilinear", antialias=True)
    return made.clone(memory_format=torch.contiguous_format)


def mixed(params: StyleParams, level: Level, aim: Aim) -> str:
    """Which styles apply where, where it is not the first one everywhere."""
    share = round(100 * params.share) if level.second is not None else 0
    if aim.inside is None:
        return f"{share} % second style" if share else ""
    inside = f"style on {100 * float(aim.inside.mean()):.0f} % of the picture"
    return f"{inside}, the second outside, weighed {share} %" if share else inside
