"""What a canvas is asked to resemble: content features of one picture, Gram matrices of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from engines.nn.style.gram import per_position, relative, total_variation
from engines.nn.style.taps import Taps
from engines.style.guidance import Dabs, guided, painted
from explorer.api import Affine

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

    @property
    def share(self) -> float:
        """Of the second style, 0 to 1."""

    @property
    def mask(self) -> Dabs:
        """Dabs on the photo: where the style applies; without any, everywhere."""


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """Gram matrices that the canvas is compared with, and those of the content, by layer.

    Attributes:
        outside: of the second style, where it has the ground outside the mask to itself.
        inside: the mask (1, 1, H, W), None for everywhere.
    """

    style: dict[str, Tensor]
    content: dict[str, Tensor]
    outside: dict[str, Tensor]
    inside: Tensor | None = None


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
    Of two styles the Gram matrices are mixed. With a mask the style applies inside it, the second
    one outside: ``L_l = (1 - share) * inside + share * outside``.

    Args:
        second: pixels of a second style, whose features are computed when it has a share.
        affine: from canvas to photo pixels, for the mask.

    Attributes:
        grams: of the style, by layer. ``content_grams``: of the content, to look at.
        contents: content features at each depth.
    """

    def __init__(
        self, extract: Extract, taps: Taps, content: Tensor, style: Tensor,
        second: Tensor | None = None, affine: Affine | None = None,
    ) -> None:  # fmt: skip
        self._extract = extract
        self._taps = taps
        self._content, self._second = content, second
        self._affine = affine or Affine()
        self._aimed: tuple[tuple[float, Dabs], Aim] | None = None
        self._second_grams: dict[str, Tensor] = {}
        with torch.no_grad():
            found = extract(content, (*taps.content, *taps.style))
            self.contents = {name: found[name] for name in taps.content}
            self.content_grams = {name: per_position(found[name]) for name in taps.style}
            self.grams = self._grams(style)

    def __call__(self, canvas: Tensor, weights: Weights) -> Evaluation:
        """Evaluate at a canvas (1, 3, H, W) in [0, 1]; differentiable."""
        content_name = self._taps.content[weights.content_block - 1]
        found = self._extract(canvas, (*self._taps.style, content_name))
        content = relative(found[content_name], self.contents[content_name])
        aim = self.aim(weights)
        grams = {name: _gram(found[name], aim.inside) for name in self._taps.style}
        layers = {name: relative(gram, aim.style[name]) for name, gram in grams.items()}
        if aim.outside and aim.inside is not None:
            layers = {
                name: (1 - weights.share) * layer
                + weights.share * relative(guided(found[name], 1 - aim.inside), aim.outside[name])
                for name, layer in layers.items()
            }
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

    def aim(self, weights: Weights) -> Aim:
        """The targets under these knobs; the same object while share and mask stay."""
        key = (weights.share if self._second is not None else 0.0, weights.mask)
        if self._aimed is None or self._aimed[0] != key:
            self._aimed = key, self._made(*key)
        return self._aimed[1]

    def _made(self, share: float, mask: Dabs) -> Aim:
        second = self._seconds() if share else {}
        if not mask:
            mixed = {n: torch.lerp(g, second[n], share) if second else g
                     for n, g in self.grams.items()}  # fmt: skip
            return Aim(mixed, self.content_grams, {})
        inside = painted(mask, self._affine, *self._content.shape[2:]).to(self._content)
        with torch.no_grad():
            content = self._extract(self._content, self._taps.style)
            return Aim(self.grams, {n: guided(f, inside) for n, f in content.items()}, second,
                       inside)  # fmt: skip

    def _seconds(self) -> dict[str, Tensor]:
        if not self._second_grams and self._second is not None:
            self._second_grams = self._grams(self._second)
        return self._second_grams

    def _grams(self, pixels: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            found = self._extract(pixels, self._taps.style)
            return {name: per_position(features) for name, features in found.items()}

    def constants(self, weights: Weights) -> str:
        """The factor by which each term was divided, for the note below the curves."""
        style = self.aim(weights).style
        layers = ", ".join(f"{n} {float(g.square().mean()):.2g}" for n, g in style.items())
        return f"squared differences over the style's mean square: {layers}"


def _gram(features: Tensor, inside: Tensor | None) -> Tensor:
    return per_position(features) if inside is None else guided(features, inside)
