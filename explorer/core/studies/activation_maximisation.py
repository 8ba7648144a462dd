"""Activation maximisation: the picture that a unit likes best, by gradient ascent.

Erhan et al., "Visualizing Higher-Layer Features of a Deep Network", 2009; jitter and the Fourier
basis after Olah, Mordvintsev, Schubert, "Feature Visualization", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Basis = Literal["fourier", "pixels"]
Objective = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Ascent:
    """How to climb.

    Attributes:
        steps: of Adam, at learning rate ``rate``.
        jitter: the picture is moved by up to so many pixels at each step.
        variation: weight of the total variation, against the objective's relative growth.
        decay: weight of the squared distance from mid grey.
        scale: the least value of the objective that growth is related to.
    """

    basis: Basis = "fourier"
    steps: int = 128
    rate: float = 0.05
    jitter: int = 4
    variation: float = 2.0
    decay: float = 0.1
    scale: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Climbed:
    """One step: the picture (1, C, H, W) in [0, 1] and what the objective gave on it, jittered."""

    step: int
    picture: Tensor
    value: float


class Canvas:
    """A picture in [0, 1] with its parameters: pixels, or the spectrum with steps of equal energy.

    In the Fourier basis each frequency is scaled by 1 / f, as natural pictures are; plain pixels
    climb into high frequencies first. ``colours`` (C, C) mixes the channels, see `colours_of`.
    """

    def __init__(
        self, shape: tuple[int, int, int], basis: Basis, generator: torch.Generator,
        *, colours: Tensor | None = None, device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        channels, height, width = shape
        self.shape = shape
        self._colours = None if colours is None else colours.to(device)
        self._weights: Tensor | None = None
        if basis == "pixels":
            start = torch.randn(1, channels, height, width, generator=generator)
        else:
            start = torch.randn(1, channels, height, width // 2 + 1, 2, generator=generator)
            f = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
            self._weights = (1 / f.clamp_min(1 / max(height, width))).to(device)
        self.parameter = (0.01 * start).to(device).requires_grad_()

    def picture(self) -> Tensor:
        """The picture (1, C, H, W), with its graph."""
        drawn = self.parameter
        if self._weights is not None:
            spectrum = torch.view_as_complex(drawn) * self._weights
            drawn = torch.fft.irfft2(spectrum, s=self.shape[1:], norm="ortho")
        if self._colours is not None:
            drawn = torch.einsum("ij,njhw->nihw", self._colours, drawn)
        return drawn.sigmoid()


def colours_of(picture: Tensor) -> Tensor:
    """The symmetric root (C, C) of the channels' covariance in a picture (1, C, H, W), largest
    row of length 1: steps along it have the picture's own colours, where free channels go to the
    corners of the colour cube.
    """
    values = picture.detach()[0].flatten(1).double().cpu()
    spread, axes = torch.linalg.eigh(values.cov().reshape(len(values), -1))
    # A grey picture would forbid all colours: a tenth of the largest spread is left to each axis.
    spread = spread.clamp_min(0.01 * float(spread.max().clamp_min(1e-6)))
    root = (axes * spread.sqrt()) @ axes.T
    found: Tensor = root / root.norm(dim=1).max()
    return found.float()


def climb(
    objective: Objective,
    canvas: Canvas,
    how: Ascent,
    generator: torch.Generator,
    opening: Objective | None = None,
) -> Iterator[Climbed]:
    """Climb step by step; the same generator state gives the same pictures.

    Args:
        objective: a picture (1, C, H, W) in [0, 1] to the number that shall grow, with its graph.
        opening: asked instead where the objective has no slope at all, as behind a shut ReLU.
    """
    adam = torch.optim.Adam([canvas.parameter], lr=how.rate, maximize=True)
    for step in range(how.steps):
        shift = _shift(how.jitter, generator)
        with torch.enable_grad():
            picture = canvas.picture()
            value, slope = _slope(objective, picture, shift)
            if opening is not None and not slope.any():
                slope = _slope(opening, picture, shift)[1]
            (back,) = torch.autograd.grad(penalty(picture, how), picture, retain_graph=True)
            # Relative growth, so that the penalties weigh the same for every unit all the way.
            upwards = slope / max(how.scale, abs(value)) - back
            (canvas.parameter.grad,) = torch.autograd.grad(picture, canvas.parameter, upwards)
        yield Climbed(step, picture.detach(), value)
        adam.step()


def _slope(objective: Objective, picture: Tensor, shift: tuple[int, int]) -> tuple[float, Tensor]:
    value = objective(picture.roll(shift, (2, 3)) if any(shift) else picture)
    (slope,) = torch.autograd.grad(value, picture, retain_graph=True)
    return float(value.detach()), slope


def _shift(jitter: int, generator: torch.Generator) -> tuple[int, int]:
    dy, dx = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
    return dy, dx


def penalty(picture: Tensor, how: Ascent) -> Tensor:
    """Weighted total variation and distance from mid grey.

    Variation is the mean absolute change over 1/128 of the larger side, whatever the size.
    """
    side = max(picture.shape[2:]) / 128
    variation = side * (picture.diff(dim=2).abs().mean() + picture.diff(dim=3).abs().mean())
    return how.variation * variation + how.decay * (picture - 0.5).square().mean()
