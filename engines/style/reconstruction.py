"""What each layer keeps: one canvas for each content layer and each set of style layers.

Gatys, Ecker, Bethge, 2015, figure 1: content of one layer alone, Gram matrices of layers 1 to l.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from engines.nn.style.gram import per_position, relative, total_variation
from engines.nn.style.taps import Taps
from engines.style.canvas import Descent
from engines.style.objective import Evaluation, Extract, Objective, Weights
from engines.style.params import StyleParams
from engines.style.pictures import Pictures, tile_labels
from explorer.api import Artefact, Curve, EngineError, Host

TILE = 64  # pixels of the short side


class Part:
    """The loss of one tile: features of one layer, or Gram matrices of some, and smoothness.

    Args:
        targets: by layer, features (1, C, H, W) or, with ``style``, Gram matrices (C, C).
        style: which of the two they are.
    """

    def __init__(self, extract: Extract, targets: Mapping[str, Tensor], *, style: bool) -> None:
        self._extract = extract
        self._targets = targets
        self._style = style

    def __call__(self, canvas: Tensor, weights: Weights) -> Evaluation:
        """Evaluate at a canvas (1, 3, H, W) in [0, 1]; runs no layer above the deepest target."""
        found = self._extract(canvas, tuple(self._targets))
        if self._style:
            found = {name: per_position(features) for name, features in found.items()}
        losses = [relative(found[name], target) for name, target in self._targets.items()]
        shares = [
            w * loss if self._style else loss
            for w, loss in zip(weights.layers, losses, strict=False)
        ]
        loss = torch.stack(shares).mean()
        total = (weights.style if self._style else weights.content) * loss
        total = total + weights.smooth * total_variation(canvas)
        terms = {"total": float(total.detach()), "loss": float(loss.detach())}
        grams = {name: gram.detach() for name, gram in found.items()} if self._style else {}
        return Evaluation(total, terms, grams)


class Tiles:
    """A descent for each content layer, then for each set of style layers; all independent."""

    def __init__(self, extract: Extract, taps: Taps, objective: Objective, noise: Tensor) -> None:
        self.descents = [Descent(part, noise.clone()) for part in parts(extract, taps, objective)]
        self._count = len(taps.content)
        self.content_labels = list(taps.content)
        self.style_labels = tile_labels(taps.style)

    def aim(self, extract: Extract, taps: Taps, objective: Objective) -> None:
        """Go on towards other targets, from where each tile is."""
        for descent, part in zip(self.descents, parts(extract, taps, objective), strict=True):
            descent.move(part, descent.canvas)

    def look(self, params: StyleParams) -> None:
        """Evaluate the canvas whose Gram matrices are shown, without moving it."""
        self.descents[-1].look(params)

    def step(self, params: StyleParams, host: Host, step: int) -> None:
        """One iteration of every tile.

        Raises:
            EngineError: a loss is no longer finite.
        """
        for i, descent in enumerate(self.descents):
            done = (step - 1 + i / len(self.descents)) / params.steps
            host.progress(f"step {step} of {params.steps}", done)
            descent.step(params)
            if not descent.finite:
                raise EngineError("a loss is no longer finite; lower the rate or the weights")

    @property
    def grams(self) -> dict[str, Tensor]:
        """Gram matrices of the canvas that is rebuilt from all style layers."""
        return self.descents[-1].grams

    def pictures(self, pictures: Pictures, step: int) -> list[Artefact]:
        """Both rows of tiles."""
        pixels = torch.cat([d.canvas.detach() for d in self.descents])
        n = self._count
        return [
            pictures.tiles("content layers", pixels[:n], self.content_labels, step,
                           "rebuilt from the features of one layer"),
            pictures.tiles("style layers", pixels[n:], self.style_labels, step,
                           f"rebuilt from the Gram matrices of {self.style_labels[0]} to this"),
        ]  # fmt: skip

    def curve(self, step: int) -> list[Artefact]:
        """The relative loss of every tile, one panel a row."""
        y = np.stack([d.history()[1][1] for d in self.descents])
        rows = (("content layers", self.content_labels, y[: self._count]),
                ("style layers", self.style_labels, y[self._count :]))  # fmt: skip
        return [
            Curve(
                f"loss/{item}", np.arange(1, step + 1), values, series=labels, log=True, step=step,
                note="squared difference over the target's mean square",
            )
            for item, labels, values in rows
        ]  # fmt: skip


def parts(extract: Extract, taps: Taps, objective: Objective) -> list[Part]:
    """The loss of every tile: content layers, then sets of style layers."""
    contents = [
        Part(extract, {name: objective.contents[name]}, style=False) for name in taps.content
    ]
    styles = [
        Part(extract, {n: objective.grams[n] for n in taps.style[:depth]}, style=True)
        for depth in range(1, len(taps.style) + 1)
    ]
    return contents + styles
