"""VGG-16 and VGG-19: plain depth, layer by layer, with receptive fields and Gram matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engines.nn.imagenet import top_scores
from engines.nn.loading import load_state
from engines.nn.vgg import CONVENTIONS, VGG, initialise, layers, receptive_fields
from explorer.api import (
    Artefact,
    Curve,
    Engine,
    Field,
    Image,
    ImageInput,
    Inputs,
    Matrix,
    Outcome,
    Run,
    Scores,
    Text,
    gram,
    knob,
    prepare,
    unit_order,
    unprepare,
)  # fmt: skip

RANDOM = {"random-16": "vgg16", "random-19": "vgg19"}  # drawn, and fed as the trained one would be
_CONVOLUTIONS = tuple(name for name in layers(16) if name.startswith("conv"))


@dataclass(frozen=True, slots=True)
class VggParams:
    """Knobs of VGG."""

    weights: str = knob(
        "vgg16-hed",
        choices=(*CONVENTIONS, *RANDOM),
        effect="build",
        help="vgg16-hed: 13 trained convolutions without the classifier; the others have one",
    )
    size: int = knob(224, low=32, high=1024, step=32, unit="px", help="short side of the input")
    layer: str = knob(
        "conv3_1", choices=_CONVOLUTIONS, help="whose activations the Gram matrix compares"
    )
    units: int = knob(
        64, low=2, high=512, effect="again", help="units in the Gram matrix, strongest first"
    )
    top: int = knob(
        5,
        low=1,
        high=20,
        effect="again",
        when="weights=random-16|vgg16|vgg19|random-19",
        help="classes in the list",
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """What `again` needs: a Gram matrix (C, C), and logits (1000,), or words why there are none."""

    layer: str
    gram: Tensor
    logits: Tensor | None
    words: str = ""


class Vgg(Engine[VggParams]):
    """VGG on one picture."""

    Params: ClassVar[type[Any]] = VggParams
    layout = "NHWC"
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Scores, Text, Curve, Matrix, Field)

    network: VGG

    def build(self, params: VggParams) -> nn.Module:
        """Load the chosen file; random weights only where the knob says so."""
        depth = 19 if params.weights.endswith("19") else 16
        if params.weights in RANDOM:
            network = VGG(depth)
            initialise(network, self.host.generator())
            return network
        tensors = self.host.weights(params.weights)
        has_edges = any(name.startswith("edges.") for name in tensors)
        network = VGG(depth, head=params.weights != "vgg16-hed", edges=has_edges)
        load_state(network, tensors, params.weights)
        return network

    def run(self, inputs: Inputs, params: VggParams, memory: Any = None) -> Run:
        """One forward pass; the statistics of every ReLU are taken on the way."""
        photo: ImageInput = inputs["image"]
        how = CONVENTIONS[RANDOM.get(params.weights, params.weights)]
        if params.size != how.size:  # only the published size is cut out of the middle
            how = replace(how, size=params.size, fit="short")
        x, affine = prepare(photo.pixels, how, self.host.device)
        seen = Activity(layers(self.network.depth), params.layer)
        out = self.network(x, seen)
        note = f"fed as {how.order}, 0 to {how.scale:g}, mean subtracted"
        yield Image("input/as fed", unprepare(x, how), affine=affine, note=note)
        yield from seen.curves()
        yield field_curve(self.network.depth)
        if self.network.edges is not None:
            edges = self.network.edges(seen.block_ends)[0, 0]
            yield Field(
                "edges/fused", edges.cpu().numpy(), scale="probability", affine=affine,
                note="what these weights were trained for last: edge probability (Xie, Tu 2015)",
            )  # fmt: skip
        headless = self.network.classifier is None
        words = without_classes(out[0], params.weights) if headless else ""
        kept = Kept(params.layer, seen.gram, None if headless else out[0], words)
        yield from self.again(kept, params)
        return Outcome(kept=kept)

    def again(self, kept: Kept, params: VggParams) -> Iterator[Artefact]:
        """The Gram matrix of the strongest units, and the class list when there is a head."""
        values, units = strongest(kept.gram, params.units)
        labels = [str(u) for u in units.tolist()]
        yield Matrix(
            f"gram/{kept.layer}",
            values.cpu().numpy(),
            rows=labels,
            columns=labels,
            scale="sequential",
            own_scale=True,
            note=f"{len(labels)} of {len(kept.gram)} units after ReLU, divided by positions; alike "
            "ones side by side",
        )
        if kept.logits is None:
            yield Text("prediction/top classes", kept.words)
        else:
            note = "random weights: no meaning" if params.weights in RANDOM else ""
            yield top_scores(
                "prediction/top classes", kept.logits, params.top, point="classifier.6", note=note
            )


class Activity:
    """Watches `Features`: how much of each ReLU is active, and the Gram matrix of one of them."""

    def __init__(self, names: dict[str, int], layer: str) -> None:
        self._names = {index: name for name, index in names.items() if name.startswith("relu")}
        self._wanted = names[layer.replace("conv", "relu")]
        self.active: dict[str, float] = {}
        self.mean: dict[str, float] = {}
        self.gram = torch.zeros(0, 0)
        self.block_ends: list[Tensor] = []
        self._ends = {index - 1 for name, index in names.items() if name.startswith("pool")}

    def __call__(self, index: int, x: Tensor) -> None:
        """Note one layer's output."""
        if index not in self._names:
            return
        if index in self._ends:
            self.block_ends.append(x)
        name = self._names[index]
        self.active[name] = float((x > 0).float().mean())
        self.mean[name] = float(x.mean())
        if index == self._wanted:
            self.gram = gram(x.detach()) / (x.shape[2] * x.shape[3])

    def curves(self) -> Iterator[Artefact]:
        """Share of active units and mean activation over depth."""
        depth = np.arange(1, len(self.active) + 1)
        names = f"{next(iter(self.active))} to {list(self.active)[-1]}"
        yield Curve(
            "layers/active share", depth, np.array(list(self.active.values())),
            x_label="convolution", note=f"share of values above 0 after ReLU, {names}",
        )  # fmt: skip
        yield Curve(
            "layers/mean activation", depth, np.array(list(self.mean.values())), log=True,
            x_label="convolution", note=f"after ReLU, {names}",
        )  # fmt: skip


def strongest(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The block (k, k) of the ``count`` units with the largest diagonal, alike ones side by side.

    Returns:
        The block and the units (k,) it shows.
    """
    units = matrix.diagonal().topk(min(count, len(matrix))).indices
    units = units[unit_order(matrix[units][:, units])]
    return matrix[units][:, units], units


def without_classes(features: Tensor, weights: str) -> str:
    """Why there is no class list, and what the network ends in: maps (C, H, W)."""
    count, height, width = features.shape
    means = features.mean(dim=(1, 2))
    unit = int(means.argmax())
    return (
        f"No classes: the weights {weights} have no classifier, they end in {count} units of "
        f"{height} × {width}. The strongest of them here is unit {unit}, mean "
        f"{float(means[unit]):.3g}. Weights with classes: vgg16, vgg19."
    )


def field_curve(depth: int) -> Curve:
    """Receptive field and stride of every convolution."""
    fields = {name: f for name, f in receptive_fields(depth).items() if name.startswith("conv")}
    sides, strides = np.array(list(fields.values())).T
    marks = {name: float(side) for name, (side, _) in fields.items() if name.endswith("_1")}
    return Curve(
        "layers/receptive field", np.arange(1, len(sides) + 1), np.stack([sides, strides]),
        log=True, series=("receptive field", "stride"), x_label="convolution",
        unit="px", marks=marks,
        note="side of the patch of the input that one value depends on",
    )  # fmt: skip
