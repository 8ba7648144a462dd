"""A sampler of synthetic faces: a grid of samples, one face to move, and the arc between two.

Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines import DCGAN_FACES
from engines.nn.dcgan import (
    LATENTS,
    Generator,
    principal_axes,
    slerp,
    to_pixels,
    truncated_normal,
)
from engines.nn.loading import load_state
from explorer.api import Artefact, Curve, Engine, Image, Inputs, Outcome, Run, Scatter, knob

WEIGHTS = "dcgan-faces"
TERMS = f"{DCGAN_FACES['licence']}; data: {DCGAN_FACES['data']}"
WALK = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DcganParams:
    """Knobs. The latents are coordinates on the principal axes of the first layer's responses."""

    latent: tuple[float, ...] = knob(
        (0.0,) * LATENTS, low=-6, high=6, step=0.1, basis="principal axes of main.0, largest first",
        help="move the face along each axis, in standard deviations",
    )  # fmt: skip
    start: str = knob(
        "first tile", choices=("first tile", "origin"),
        help="where the latents start from; the origin is the mean of all latents",
    )  # fmt: skip
    axis: int = knob(1, low=1, high=LATENTS, help="the principal axis that the walk shows")
    seed: int = knob(0, low=0, high=2**31 - 1, kind="seed", help="of the grid of samples")
    truncation: float = knob(
        3.0, low=0.1, high=4.0, step=0.05, unit="sd",
        help="latents are drawn within this; small means ordinary faces, large means varied ones",
    )  # fmt: skip
    count: int = knob(24, low=2, high=64, unit="tiles", help="samples in the grid")
    first: int = knob(0, low=0, high=63, help="tile where the path starts; click one to set it")
    second: int = knob(9, low=0, high=63, help="tile where the path ends; every other click")
    steps: int = knob(8, low=2, high=32, unit="tiles", help="pictures on the path, ends included")
    weights: str = knob(
        "trained", choices=("trained", "random"), effect="build",
        help="random weights have learnt nothing",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Latents:
    """All latents of one run, rows of 100: one forward pass draws them in this order."""

    face: Tensor
    walk: Tensor
    path: Tensor
    grid: Tensor
    first: int
    second: int

    def batch(self) -> Tensor:
        """(B, 100, 1, 1), the face first, so that sample 0 of a captured layer is the face's."""
        rows = torch.cat([self.face.unsqueeze(0), self.walk, self.path, self.grid])
        return rows.float()[:, :, None, None]


class Dcgan(Engine[DcganParams]):
    """Needs no input: every picture comes from the knobs."""

    Params: ClassVar[type[Any]] = DcganParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Curve, Scatter)
    network: Generator

    def build(self, params: DcganParams) -> nn.Module:
        """The published generator, or one that has learnt nothing and says so."""
        network = Generator()
        if params.weights == "trained":
            load_state(network, self.host.weights(WEIGHTS), WEIGHTS)
        else:
            network.start(self.host.generator())
        self.axes, self.variances = principal_axes(network.main[0].weight)  # type: ignore[arg-type]
        self._ends: tuple[int, int] | None = None
        self._next = "first"
        return network

    def run(self, inputs: Inputs, params: DcganParams, memory: Any = None) -> Run:
        """One forward pass over all pictures."""
        latents = self._latents(params)
        batch = latents.batch().to(next(self.network.parameters()).device)
        pixels = to_pixels(self.network(batch)).numpy()
        for artefact in self._pictures(latents, pixels, params):
            params = yield artefact
        return Outcome()

    def _latents(self, params: DcganParams) -> Latents:
        draw = torch.Generator().manual_seed(params.seed)
        grid = truncated_normal((params.count, LATENTS), params.truncation, draw)
        first, second = min(params.first, params.count - 1), min(params.second, params.count - 1)
        origin = grid[first] if params.start == "first tile" else torch.zeros_like(grid[0])
        face = origin + self.axes @ torch.tensor(params.latent, dtype=torch.float64)
        across = face @ self.axes
        walk = across.repeat(len(WALK), 1)
        walk[:, params.axis - 1] = torch.tensor(WALK, dtype=torch.float64)
        path = slerp(grid[first], grid[second], params.steps)
        return Latents(face, walk @ self.axes.T, path, grid, first, second)

    def _turn(self, params: DcganParams) -> str:
        """The knob that the next click on the grid sets: the end that was not set last."""
        ends = (params.first, params.second)
        if self._ends is not None and ends != self._ends:
            self._next = "second" if ends[0] != self._ends[0] else "first"
        self._ends = ends
        return self._next

    def _pictures(
        self, latents: Latents, pixels: Pixels, params: DcganParams
    ) -> Iterator[Artefact]:
        terms = TERMS if params.weights == "trained" else "random weights, nothing learnt"
        sizes = (1, len(latents.walk), len(latents.path), len(latents.grid))
        face, walk, path, grid = np.split(pixels, np.cumsum(sizes)[:-1])
        turn = self._turn(params)
        yield Image(
            "samples/grid", grid, labels=_tile_names(latents), gestures={"pick": turn},
            note=f"click sets the {turn} end of the path; {terms}",
        )  # fmt: skip
        length = float(latents.face.norm())
        since = f"tile {latents.first}" if params.start == "first tile" else "the origin"
        moved = sum(v != 0 for v in params.latent)
        where = f"{since}, {moved} axes moved" if moved else since
        yield Image("face/current", face[0], note=f"{where}; |z| = {length:.1f}; {terms}")
        yield Image(
            "face/walk along an axis", walk, labels=[f"{v:+g}" for v in WALK],
            note=f"axis {params.axis} at −3 … 3; {terms}",
        )  # fmt: skip
        shares = np.linspace(0, 1, params.steps)
        yield Image(
            "path/interpolation", path, labels=[f"{share:.2f}" for share in shares],
            note=f"arc from tile {latents.first} to tile {latents.second}; {terms}",
        )  # fmt: skip
        yield from self._charts(latents)

    def _charts(self, latents: Latents) -> Iterator[Artefact]:
        x = np.arange(1, LATENTS + 1)
        ends = latents.grid[[latents.first, latents.second]]
        rows = torch.cat([latents.face.unsqueeze(0), ends]) @ self.axes
        yield Curve(
            "latent/coordinates", x, _array(rows), x_label="principal axis", unit="sd",
            series=("face", f"tile {latents.first}", f"tile {latents.second}"),
        )  # fmt: skip
        share = 100.0 * self.variances / self.variances.sum()
        yield Curve(
            "latent/share of variance", x, _array(share), x_label="principal axis", unit="%",
            note="of the first layer's responses to normal latents",
        )  # fmt: skip
        plane = self.axes[:, :2]
        grid, path, face = latents.grid @ plane, latents.path @ plane, latents.face @ plane
        names = ["sample"] * len(grid)
        names[latents.first], names[latents.second] = "path end", "path end"
        names += ["path"] * len(path) + ["face"]
        yield Scatter(
            "latent/first two axes", _array(torch.cat([grid, path, face.unsqueeze(0)])),
            labels=names, axes=("axis 1", "axis 2"), unit="sd",
        )  # fmt: skip


def _tile_names(latents: Latents) -> list[str]:
    names = [str(i) for i in range(len(latents.grid))]
    names[latents.first] += " first"
    names[latents.second] += " second"
    return names


def _array(t: Tensor) -> npt.NDArray[np.float32]:
    return t.to(torch.float32).numpy()
