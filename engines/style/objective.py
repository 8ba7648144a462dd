"""What a canvas is asked to resemble: content features of one picture, Gram matrices of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from engines.nn.gram import per_position, relative, total_variation
from engines.nn.taps import Taps

Extract = Callable[[Tensor, tuple[str, ...]], dict[str, Tensor]]


class Weights(Protocol):
    """The knobs that the loss reads."""

    @property
    def content(self) -> float:
        """Weight of content."""

    @property
    def style(self) -> float:
        """Weight of style."""

    @property
    def layers(self) -> Sequence[float]:
        """Weight of each style layer."""

    @property
    def content_block(self) -> int:
        """Depth of the content layer, 1 to 5."""

    @property
    def style_block(self) -> int:
        """Depth of the deepest style layer that counts, 1 to 5."""

    @property
    def smooth(self) -> float:
        """Weight of total variation."""

    @property
    def reconstruct(self) -> str:
        """``both``, ``content`` or ``style``."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scalar to minimise, its terms before weighting, and the Gram matrices of the canvas."""

    total: Tensor
    terms: dict[str, float]
    grams: dict[str, Tensor]


class Objective:
    """``content * L_c + style * mean_l(w_l L_l) + smooth * TV``, l from 1 to ``style_block``.

    L_c and L_l are mean squared differences over the target's mean square (`relative`), so that
    layers whose activations differ by orders of magnitude compare; Gram matrices are per position.

    Attributes:
        grams: of the style, by layer. ``content_grams``: of the content, to look at.
        contents: content features at each depth.
    """

    def __init__(self, extract: Extract, taps: Taps, content: Tensor, style: Tensor) -> None:
        self._extract = extract
        self._taps = taps
        with torch.no_grad():
            found = extract(content, (*taps.content, *taps.style))
            self.contents = {name: found[name] for name in taps.content}
            self.content_grams = {name: per_position(found[name]) for name in taps.style}
            features = extract(style, taps.style)
            self.grams = {name: per_position(f) for name, f in features.items()}

    def __call__(self, canvas: Tensor, weights: Weights) -> Evaluation:
        """Evaluate at a canvas (1, 3, H, W) in [0, 1]; differentiable."""
        content_name = self._taps.content[weights.content_block - 1]
        found = self._extract(canvas, (*self._taps.style, content_name))
        content = relative(found[content_name], self.contents[content_name])
        grams = {name: per_position(found[name]) for name in self._taps.style}
        layers = {name: relative(gram, self.grams[name]) for name, gram in grams.items()}
        shares = torch.stack(
            [w * layer for w, layer in zip(weights.layers, layers.values(), strict=True)]
        )[: weights.style_block]
        smooth = total_variation(canvas)
        total = weights.smooth * smooth
        if weights.reconstruct != "style":
            total = total + weights.content * content
        if weights.reconstruct != "content":
            total = total + weights.style * shares.mean()
        terms = {"total": total, "content": content, **layers, "smoothness": smooth}
        return Evaluation(
            total,
            {name: float(value.detach()) for name, value in terms.items()},
            {name: gram.detach() for name, gram in grams.items()},
        )

    def constants(self) -> str:
        """The factor by which each term was divided, for the note below the curves."""
        layers = ", ".join(f"{n} {float(g.square().mean()):.2g}" for n, g in self.grams.items())
        return f"squared differences over the style's mean square: {layers}"
