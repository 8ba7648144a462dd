"""Engines made for measuring: real networks with random weights, and ones that do little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engines.nn.imagenet import top_scores
from engines.nn.resnet import ResNet
from engines.nn.vgg import VGG
from explorer.api import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Artefact,
    Engine,
    Inputs,
    Preprocess,
    Probe,
    Run,
    Scores,
    Text,
    prepare,
)  # fmt: skip
from explorer.core.registry import Row, parse
from explorer.inputs import ImageInput, Pixels

PREPROCESS = Preprocess(224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
MAPS = (1, 512, 56, 56)


@dataclass(frozen=True, slots=True)
class NoParams:
    """No knobs."""


class Resnet50(Engine[NoParams]):
    """A plain forward of ResNet-50 and the five best classes."""

    Params: ClassVar[type[Any]] = NoParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Scores,)
    provenance = "random"

    def build(self, params: NoParams) -> nn.Module:
        return ResNet(50)

    def run(self, inputs: Inputs, params: NoParams, memory: Any = None) -> Run:
        photo: ImageInput = inputs["image"]
        x, _ = prepare(photo.pixels, PREPROCESS, self.host.device)
        yield top_scores("prediction/top classes", self.network(x)[0])
        return None


class Backward(Engine[NoParams]):
    """VGG-16: a third of the time forward, the rest backward to the picture."""

    Params: ClassVar[type[Any]] = NoParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Scores,)
    provenance = "random"

    def build(self, params: NoParams) -> nn.Module:
        return VGG(16)

    @torch.enable_grad()
    def run(self, inputs: Inputs, params: NoParams, memory: Any = None) -> Run:
        photo: ImageInput = inputs["image"]
        x, _ = prepare(photo.pixels, PREPROCESS, self.host.device)
        logits = self.network(x.requires_grad_())[0]
        torch.autograd.grad(logits[0], x)
        yield top_scores("prediction/top classes", logits.detach())
        return None


class Maps(nn.Module):
    """Lets 512 maps pass, so that they can be captured."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = Probe()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.maps(x)
        return y


class FreshMaps(Engine[NoParams]):
    """New values on 512 maps of 56 x 56 at every frame, ready made."""

    Params: ClassVar[type[Any]] = NoParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Text,)
    provenance = "random"

    def build(self, params: NoParams) -> nn.Module:
        generator = self.host.generator()
        self.pool = [torch.randn(MAPS, generator=generator).to(self.host.device) for _ in range(9)]
        return Maps()

    def run(self, inputs: Inputs, params: NoParams, memory: Any = None) -> Run:
        frame = inputs["image"].frame
        self.network(self.pool[frame % len(self.pool)])
        yield Text("text/frame", str(frame))
        return None


class Quick(Engine[NoParams]):
    """A few hundred frames a second: three small convolutions."""

    Params: ClassVar[type[Any]] = NoParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Scores,)
    provenance = "random"

    def build(self, params: NoParams) -> nn.Module:
        layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(16, 16, 3, 2, 1)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def run(self, inputs: Inputs, params: NoParams, memory: Any = None) -> Run:
        x, _ = prepare(inputs["image"].pixels, Preprocess(32, "stretch"), self.host.device)
        scores = self.network(x)[0].cpu().numpy()
        yield Scores("prediction/sums", scores, labels=tuple(map(str, range(len(scores)))))
        return None


def row(name: str) -> Row:
    """The catalogue row of one of the engines above."""
    data = {
        "name": name.lower(),
        "engine": f"{__name__}:{name}",
        "title": name,
        "family": "Benchmark",
        "inputs": {"image": "image"},
        "groups": {"prediction": {"kinds": ["Scores"]}, "text": {"kinds": ["Text"]}},
    }
    return parse(data, __name__)


class Noise:
    """A clip whose frames (height, width, 3) are made before the clock runs; each differs."""

    name, path, sha256, fps, live = "noise", None, "", 25.0, False

    def __init__(self, length: int, size: tuple[int, int] = (270, 480)) -> None:
        made = np.random.default_rng(0).integers(0, 256, (17, *size, 3), np.uint8)
        self._frames: list[Pixels] = list(made)
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Pixels:
        if not 0 <= index < self._length:
            raise IndexError(index)
        return self._frames[index % len(self._frames)]
