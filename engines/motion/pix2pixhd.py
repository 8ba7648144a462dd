"""pix2pixHD: a label map painted by hand becomes a picture at once, and two scales judge it.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs",
2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.nn.detection.shapes import HELD_OUT, SIDE
from engines.nn.loading import load_state
from engines.nn.picture_scores import psnr, ssim
from engines.nn.translation.label2city import NAME as CITY_WEIGHTS
from engines.nn.translation.label2city import SIDE as CITY_SIDE
from engines.nn.translation.label2city import City, city_input, enhancer
from engines.nn.translation.pix2pixhd import (
    GlobalGenerator,
    LocalEnhancer,
    ResidualBlock,
    feature_matching,
)
from engines.nn.translation.pix2pixhd_training import BLOCKS, SCALES, Pair, train
from engines.nn.translation.shaded_shapes import (
    CLASSES,
    coloured,
    from_tanh,
    label_map,
    one_hot,
    render,
    to_tanh,
)
from explorer.api import (
    Affine,
    Artefact,
    Checkpoint,
    Curve,
    Engine,
    EngineError,
    Field,
    Histogram,
    Image,
    Inputs,
    Matrix,
    Outcome,
    Run,
    Scores,
    Training,
    knob,
)  # fmt: skip

WEIGHTS = "shapes-pix2pixhd"
BOUNDS = (0.5, 0.9, 0.99)  # of |output|
SCALE_NAMES = ("full size", "half size")
Bytes = npt.NDArray[np.uint8]
Dab = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Pix2PixHDParams:
    """Knobs of the painting, the network and its training."""

    seed: int = knob(
        4, low=0, high=2**31 - 1, kind="seed", help="of the scene, which no training saw"
    )
    brush: str = knob("disc", choices=CLASSES, help="the class that the mouse paints")
    radius: float = knob(5.0, low=1, high=20, step=0.5, unit="px", help="of the brush")
    painted: tuple[Dab, ...] = knob(
        (), kind="mask", help="what is painted over the scene; its value is the class, from 0"
    )
    bypass: int = knob(
        0, low=0, high=BLOCKS, help="residual block that is skipped: only its identity; 0: none"
    )
    noise: float = knob(
        0.0, low=0, high=2, step=0.05, help="standard deviation of noise on the one-hot map"
    )
    weights: str = knob(
        "trained here", choices=("trained here", "random", CITY_WEIGHTS), effect="build",
        help="random: nothing learnt; label2city: the authors' street scenes, from your own file",
    )  # fmt: skip
    rate: float = knob(
        5e-4, low=1e-6, high=0.1, log=True, effect="live", when="training",
        help="learning rate of both Adams; it falls to 0 over the second half",
    )  # fmt: skip
    matching: float = knob(
        10.0, low=0, high=100, effect="live", when="training", help="weight of feature matching"
    )
    pixels: float = knob(
        10.0, low=0, high=100, effect="live", when="training",
        help="weight of the mean absolute difference from the truth",
    )  # fmt: skip
    train_steps: int = knob(
        1500, low=1, high=100_000, unit="steps", when="training", help="length of the training"
    )
    batch: int = knob(4, low=1, high=64, unit="scenes", when="training", help="scenes a step")


class Pix2PixHD(Engine[Pix2PixHDParams]):
    """Needs no input: the scene comes from a seed and from the hand."""

    Params: ClassVar[type[Any]] = Pix2PixHDParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Field, Matrix, Histogram, Scores, Curve)
    network: Pair | City

    def build(self, params: Pix2PixHDParams) -> nn.Module:
        """The pair that was trained here, or one that has learnt nothing and says so."""
        if params.weights == CITY_WEIGHTS:
            return City(enhancer(self.host.weights(CITY_WEIGHTS)))
        network = Pair()
        if params.weights == "random":
            network.start(self.host.generator())
        else:
            load_state(network, self.host.weights(WEIGHTS), WEIGHTS)
        return network

    def run(self, inputs: Inputs, params: Pix2PixHDParams, memory: Any = None) -> Run:
        """Paint one map, and have it and the truth judged in one pass."""
        network = self.network
        side = CITY_SIDE if isinstance(network, City) else SIDE
        labels = dabbed(label_map(HELD_OUT + params.seed, side), params.painted)
        device = next(network.parameters()).device
        if isinstance(network, City):
            maps = city_input(labels, channels(network.generator)).to(device)
        else:
            maps = one_hot(labels[None]).to(device)
        draw = torch.Generator().manual_seed(params.seed)
        grain = torch.randn(maps.shape, generator=draw).to(device)
        values = without(network.generator, params.bypass, maps + params.noise * grain)
        truth, judged = None, None
        if not isinstance(network, City):
            truth = render(labels)
            pictures = torch.cat([values, to_tanh(truth[None]).to(device)])
            judged = network.judged(maps.expand(2, -1, -1, -1), pictures)
        for artefact in _pictures(labels, truth, values, params):
            params = yield artefact
        for artefact in _verdicts(judged) if judged is not None else ():
            params = yield artefact
        return Outcome()

    def train(
        self, inputs: Inputs, params: Pix2PixHDParams, resume: Checkpoint | None = None
    ) -> Training:
        """Train generator and discriminators on fresh scenes."""
        if isinstance(self.network, City):
            raise EngineError(
                "label2city has no discriminators to train against; choose weights='random'"
            )
        yield from train(self.network, self.host, params, resume)


def _pictures(
    labels: Bytes, truth: Bytes | None, values: Tensor, params: Pix2PixHDParams
) -> Iterator[Artefact]:
    found = from_tanh(values)[0]
    note = "the authors' street scenes: no truth, no discriminator"
    if truth is not None:
        yield Image("input/ground truth", truth, note="rendered from the label map, painted or not")
        note = f"PSNR {psnr(found, truth):.1f} dB, SSIM {ssim(found, truth):.3f} to the truth"
    code = CLASSES.index(params.brush)
    yield Image(
        "painting/label map", coloured(labels), note=f"drag to paint: {params.brush}",
        gestures={"paint": f"painted={code},{params.radius:g}"},
    )  # fmt: skip
    skipped = f"; block {params.bypass} skipped" if params.bypass else ""
    yield Image("painting/output", found, note=note + skipped)
    y = values[0].detach().float().cpu().numpy()
    shares = [float((np.abs(y) > bound).mean()) for bound in BOUNDS]
    yield Scores(
        "range/saturated", np.array(shares, np.float32), [f"> {b:g}" for b in BOUNDS],
        note="share of |output|; above 0.99 tanh is spent and patches turn flat",
    )  # fmt: skip
    counts = np.stack([np.histogram(c, 40, (-1.0, 1.0))[0] for c in y])
    yield Histogram(
        "range/output", np.linspace(-1, 1, 41), counts, series=("red", "green", "blue"),
        note="before it becomes colours",
    )  # fmt: skip


def _verdicts(judged: list[list[Tensor]]) -> Iterator[Artefact]:
    """Score maps of both scales for output and truth, and how far their features differ."""
    for name, features, affine in zip(SCALE_NAMES, judged, score_places(), strict=True):
        for i, whose in enumerate(("output", "truth")):
            score = features[-1][i, 0].detach().float().cpu().numpy()
            yield Field(
                f"critic/{whose}, {name}", score, scale="diverging", affine=affine,
                note=f"mean {score.mean():.2f}; real 1, painted 0",
            )  # fmt: skip
    parts = [[[f[i : i + 1] for f in scale] for scale in judged] for i in range(2)]
    table = feature_matching(*parts).detach().float().cpu().numpy()
    yield Matrix(
        "matching/features", table, rows=SCALE_NAMES, scale="sequential",
        columns=[f"layer {i}" for i in range(table.shape[1])],
        note=f"weighted mean |output − truth|; sum {table.sum():.3f}",
    )  # fmt: skip


def dabbed(labels: Bytes, dabs: tuple[Dab, ...]) -> Bytes:
    """The map (H, W) with dabs (x, y, radius, class) over it, in order; classes are clamped.

    A pixel belongs to a dab when its centre does.
    """
    made = labels.copy()
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]] + 0.5
    for at_x, at_y, radius, value in dabs:
        inside = (x - at_x) ** 2 + (y - at_y) ** 2 <= radius * radius
        made[inside] = min(max(round(value), 0), len(CLASSES) - 1)
    return made


def channels(generator: GlobalGenerator | LocalEnhancer) -> int:
    """Channels of the condition."""
    return next(m.in_channels for m in generator.modules() if isinstance(m, nn.Conv2d))


def without(generator: GlobalGenerator | LocalEnhancer, block: int, x: Tensor) -> Tensor:
    """What the generator makes of ``x`` when a residual block, from 1, only hands on its input.

    Blocks of a local enhancer are those at its finer size.
    """
    if block == 0:
        y: Tensor = generator(x)
        return y
    parts: nn.Module = generator.model
    if isinstance(generator, LocalEnhancer):
        x = generator.model1_1(x) + generator.model(generator.downsample(x))
        parts = generator.model1_2
    seen = 0
    for module in parts.children():
        seen += isinstance(module, ResidualBlock)
        if not (isinstance(module, ResidualBlock) and seen == block):
            x = module(x)
    return x


def score_places() -> Iterator[Affine]:
    """Where the middle of what each score sees lies, from the full size down.

    Each 4 x 4 convolution, padded by 2, looks half a pixel to the upper left; three of five halve.
    """
    for scale in range(SCALES):
        step = 8 * 2**scale
        middle = -11.5 * 2**scale + 0.5  # of the first score
        yield Affine(step, step, middle - step / 2, middle - step / 2)
