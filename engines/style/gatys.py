"""Style transfer on pixels: Gatys, Ecker, Bethge, "A Neural Algorithm of Artistic Style", 2015."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engines.nn.efficientnet import EfficientNetLite0
from engines.nn.loading import load_state
from engines.nn.taps import Tapped, convention, feed
from engines.nn.vgg import VGG
from engines.style.canvas import Descent
from engines.style.objective import Objective
from explorer.api import (
    Affine,
    Artefact,
    Curve,
    Engine,
    EngineError,
    Field,
    Image,
    ImageInput,
    Inputs,
    Matrix,
    Preprocess,
    Run,
    knob,
    place,
    prepare,
    unit_order,
)  # fmt: skip

FEATURES = ("auto", "vgg16-hed", "vgg16", "vgg19", "efficientnet-lite0")
_ABOUT = {
    "vgg16-hed": "VGG-16 convolutions of the edge network HED",
    "vgg16": "VGG-16, ImageNet",
    "vgg19": "VGG-19, ImageNet",
    "efficientnet-lite0": "EfficientNet-Lite0, the classifier",
}


@dataclass(frozen=True, slots=True)
class StyleParams:
    """Knobs of style transfer; all but the first six act while it runs."""

    features: str = knob(
        "auto", choices=FEATURES, effect="build",
        help="auto: VGG-16 convolutions when they are fetched, else the classifier's features",
    )  # fmt: skip
    pooling: str = knob(
        "average",
        choices=("average", "max"),
        effect="build",
        when="features=vgg16-hed|vgg16|vgg19|auto",
        help="in VGG; average is smoother",
    )
    size: int = knob(192, low=32, high=1024, step=32, unit="px", help="short side of the canvas")
    start: str = knob("content", choices=("content", "noise", "blend"), help="the first canvas")
    seed: int = knob(
        0, low=0, high=2**31 - 1, kind="seed", when="start=noise|blend", help="of the noise"
    )
    reconstruct: str = knob(
        "both",
        choices=("both", "content", "style"),
        help="one side alone shows what it keeps",
    )
    content: float = knob(
        1.0, low=1e-3, high=1e3, log=True, effect="live", help="weight of content"
    )
    style: float = knob(10.0, low=1e-2, high=1e4, log=True, effect="live", help="weight of style")
    layers: tuple[float, ...] = knob(
        (1.0, 1.0, 1.0, 1.0, 1.0), low=0.0, high=4.0, effect="live",
        basis="style layer, shallow to deep", help="weight of each style layer",
    )  # fmt: skip
    content_block: int = knob(
        4, low=1, high=5, effect="live", help="depth at which content is compared"
    )
    smooth: float = knob(0.05, low=0.0, high=10.0, effect="live", help="weight of total variation")
    optimiser: str = knob("L-BFGS", choices=("L-BFGS", "Adam"), effect="live")
    rate: float = knob(
        0.02, low=1e-4, high=1.0, log=True, effect="live", when="optimiser=Adam",
        help="learning rate of Adam; L-BFGS searches its step along the line",
    )  # fmt: skip
    steps: int = knob(150, low=1, high=5000, unit="steps", effect="live", help="when to end")
    show_every: int = knob(
        1, low=1, high=100, unit="steps", effect="live", help="steps per picture"
    )
    units: int = knob(
        48,
        low=2,
        high=512,
        effect="live",
        help="units in the Gram matrices, strongest first",
    )


class Gatys(Engine[StyleParams]):
    """Content of one picture, style of another."""

    Params: ClassVar[type[Any]] = StyleParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Matrix, Curve, Field)
    optimises: ClassVar[bool] = True

    network: Tapped

    def build(self, params: StyleParams) -> nn.Module:
        """Load the features, frozen."""
        self._weights = self._choose(params.features)
        tensors = self.host.weights(self._weights)
        network: nn.Module
        if self._weights == "efficientnet-lite0":
            network = EfficientNetLite0()
        else:
            pool = "max" if params.pooling == "max" else "average"
            network = VGG(19 if self._weights == "vgg19" else 16, head=False, pool=pool)  # type: ignore[arg-type]
            tensors = {k: v for k, v in tensors.items() if k.startswith("features.")}
        load_state(network, tensors, self._weights)
        return Tapped(network).requires_grad_(False)

    def _choose(self, wanted: str) -> str:
        if wanted != "auto":
            return wanted
        return "vgg16-hed" if self.host.has_weights("vgg16-hed") else "efficientnet-lite0"

    @torch.enable_grad()
    def run(self, inputs: Inputs, params: StyleParams, memory: Any = None) -> Run:
        """Optimise the canvas; a picture every ``show_every`` steps, until ``steps`` or a stop."""
        how = convention(self._weights)
        content, affine = self._pixels(inputs["content"], params)
        style, _ = self._pixels(inputs["style"], params)
        pictures = Pictures(self._about(params), affine)

        def features(x: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
            found: dict[str, Tensor] = self.network(place(feed(x, how), affine), names)
            return found

        objective = Objective(features, self.network.taps, content, style)
        descent = Descent(objective, start(content, params, self.noise(content, params)))
        params = yield pictures.image("content", content)
        params = yield pictures.image("style", style)
        for matrix in style_grams(objective, params):
            params = yield matrix
        params = yield pictures.image("canvas", descent.canvas)
        step = 0
        while step < params.steps:
            step += 1
            descent.step(params)
            if not descent.finite:
                raise EngineError("the loss is no longer finite; lower the rate or the weights")
            self.host.progress(f"step {step} of {params.steps}", step / params.steps)
            if step % params.show_every == 0 or step == params.steps:
                for artefact in shown(descent, objective, pictures, params, step):
                    params = yield artefact
        return None

    def _pixels(self, photo: ImageInput, params: StyleParams) -> tuple[Tensor, Affine]:
        how = Preprocess(size=params.size, fit="short")
        pixels, affine = prepare(photo.pixels, how, self.host.device)
        return pixels, affine

    def noise(self, content: Tensor, params: StyleParams) -> Tensor:
        """Uniform noise in [0, 1], drawn on the CPU so that it is the same on every device."""
        generator = torch.Generator().manual_seed(params.seed)
        return torch.rand(content.shape, generator=generator).to(content.device)

    def _about(self, params: StyleParams) -> str:
        text = f"features: {_ABOUT[self._weights]}"
        if params.features == "auto" and self._weights == "efficientnet-lite0":
            text += "; better with VGG: layerscope weights fetch vgg16-hed"
        return text


def start(content: Tensor, params: StyleParams, noise: Tensor) -> Tensor:
    """The first canvas, contiguous (L-BFGS fails on a permuted one) and apart from the content."""
    if params.start == "content":
        return content.clone(memory_format=torch.contiguous_format)
    return noise if params.start == "noise" else 0.5 * (content + noise)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Makes the Image artefacts of a run."""

    about: str
    affine: Affine

    def image(self, item: str, pixels: Tensor, step: int = 0) -> Image:
        """Pixels (1, 3, H, W) in [0, 1], clamped for display only."""
        shown = (pixels.detach()[0].clamp(0, 1) * 255).round().to(torch.uint8)
        return Image(
            f"pictures/{item}", shown.permute(1, 2, 0).cpu().numpy(), step=step,
            affine=None if item == "style" else self.affine, note=self.about,
        )  # fmt: skip


def chosen(target: Tensor, count: int) -> Tensor:
    """The ``count`` units with most energy in the style, alike ones side by side."""
    units = target.diagonal().topk(min(count, len(target))).indices
    return units[unit_order(target[units][:, units])]


def style_grams(objective: Objective, params: StyleParams, step: int = 0) -> Iterator[Matrix]:
    """Gram matrix of the style at every layer, in units of its own root mean square."""
    for name, target in objective.grams.items():
        units = chosen(target, params.units)
        yield _matrix(f"{name} style", target, units, target, step)


def _matrix(item: str, values: Tensor, units: Tensor, target: Tensor, step: int) -> Matrix:
    scale = float(target.square().mean().sqrt().clamp_min(1e-20))
    labels = [str(u) for u in units.tolist()]
    block = (values[units][:, units] / scale).cpu().numpy()
    return Matrix(
        f"gram/{item}", block, rows=labels, columns=labels, step=step,
        scale="diverging" if block.min() < 0 else "sequential",
        note=f"{len(labels)} of {len(values)} units; 1 = the style's root mean square, {scale:.3g}",
    )  # fmt: skip


def shown(
    descent: Descent, objective: Objective, pictures: Pictures, params: StyleParams, step: int
) -> Iterator[Artefact]:
    """The artefacts of one step."""
    yield pictures.image("canvas", descent.canvas, step)
    gradient = descent.gradient.norm(dim=1)[0]
    yield Field(
        "pictures/gradient", gradient.cpu().numpy(), affine=pictures.affine, step=step,
        note="where the loss pulls at the canvas",
    )  # fmt: skip
    for name, gram in descent.grams.items():
        target = objective.grams[name]
        units = chosen(target, params.units)
        yield _matrix(f"{name} canvas", gram, units, target, step)
        yield _matrix(f"{name} difference", gram - target, units, target, step)
    steps = np.arange(1, step + 1)
    names, values = descent.history()
    yield Curve(
        "loss/terms", steps, values, series=names, log=True, step=step, note=objective.constants()
    )
    yield Curve("loss/gradient norm", steps, np.array(descent.norms), log=True, step=step)
