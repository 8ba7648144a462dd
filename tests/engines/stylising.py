"""Small features, pictures and a host for the tests of style transfer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engines.nn.efficientnet import EfficientNetLite0
from engines.nn.style.taps import Taps
from engines.nn.vgg import VGG, initialise
from engines.style.canvas import Descent
from engines.style.gatys import Gatys
from engines.style.objective import Objective
from engines.style.params import StyleParams
from explorer.api import EndOfStep, ImageInput

LAYERS = ("a", "b", "c", "d", "e")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def features(units: int = 7, positions: int = 12, seed: int = 0) -> Tensor:
    return torch.randn(units, positions, generator=seeded(seed), dtype=torch.float64)


def tiny(seed: int = 1) -> Callable[[Tensor, tuple[str, ...]], dict[str, Tensor]]:
    """Five smooth random layers in float64, so that gradients can be checked to many digits."""
    widths = [3, 4, 5, 4, 3, 4]
    kernels = [
        torch.randn(o, i, 3, 3, generator=seeded(seed + k), dtype=torch.float64) / 3
        for k, (i, o) in enumerate(itertools.pairwise(widths))
    ]

    def run(x: Tensor, wanted: tuple[str, ...]) -> dict[str, Tensor]:
        found = {}
        for name, kernel in zip(LAYERS, kernels, strict=True):
            x = nn.functional.softplus(nn.functional.conv2d(x, kernel, padding=1))
            if name in wanted:
                found[name] = x
        return found

    return run


def pixels(seed: int, side: int = 6) -> Tensor:
    return torch.rand(1, 3, side, side, generator=seeded(seed), dtype=torch.float64)


def an_objective(style_seed: int = 3, side: int = 6) -> Objective:
    return Objective(tiny(), Taps(LAYERS, LAYERS), pixels(2, side), pixels(style_seed, side))


def descend(steps: int, knobs: StyleParams) -> Descent:
    descent = Descent(an_objective(), pixels(4))
    for _ in range(steps):
        descent.step(knobs)
    return descent


class Host:
    """As little of a session as the engine needs; the weights are random."""

    device = torch.device("cpu")
    seed = 0

    def __init__(self, *present: str) -> None:
        self.present = present
        self.asked: list[str] = []

    def weights(self, name: str) -> dict[str, Tensor]:
        self.asked.append(name)
        network: nn.Module
        if name == "efficientnet-lite0":
            torch.manual_seed(0)
            return EfficientNetLite0().state_dict()
        network = VGG(16, head=False)
        initialise(network, seeded())
        head = {"classifier.0.weight": torch.zeros(2, 2)} if name == "vgg16" else {}
        return network.state_dict() | head

    def has_weights(self, name: str) -> bool:
        return name in self.present

    def progress(self, text: str, fraction: float | None = None) -> None:
        assert fraction is not None
        assert 0 <= fraction <= 1

    def generator(self) -> torch.Generator:
        return seeded()


def a_photo(seed: int) -> ImageInput:
    values = torch.rand(5, 6, 3, generator=seeded(seed)).numpy()
    smooth = np.kron(values, np.ones((8, 8, 1)))
    return ImageInput((255 * smooth).astype(np.uint8), f"photo {seed}")


INPUTS = {"content": a_photo(1), "style": a_photo(2)}


def an_engine(params: StyleParams, host: Host | None = None) -> Gatys:
    engine = Gatys()
    engine.host = host or Host("vgg16-hed")
    engine.network = engine.build(params).eval()  # type: ignore[assignment]
    return engine


def drive(
    engine: Gatys,
    params: StyleParams,
    change: Callable[[int, StyleParams], StyleParams] | None = None,
    inputs: dict[str, ImageInput] | None = None,
) -> list[Any]:
    """All artefacts, with the knobs sent in at every yield as the session does, without grad."""
    artefacts = []
    with torch.no_grad():
        run = engine.run(inputs or INPUTS, params)
        made = next(run)
        while True:
            if not isinstance(made, EndOfStep):
                artefacts.append(made)
                if change is not None:
                    params = change(made.step, params)
            try:
                made = run.send(params)
            except StopIteration:
                return artefacts


SMALL = StyleParams(size=32, steps=4)


def losses(artefacts: list[Any]) -> np.ndarray[Any, Any]:
    return [a for a in artefacts if a.name == "loss/terms"][-1].y[0]
