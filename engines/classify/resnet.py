"""Residual networks: what the shortcut carries, what the branch adds, what depth does without."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engines.classify import digits
from engines.classify.depth import Degradation, Depth
from engines.nn.imagenet import top_scores
from engines.nn.loading import load_state
from engines.nn.resnet import Block, DigitNet, ResNet, blocks
from explorer.api import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Affine,
    Artefact,
    Checkpoint,
    Curve,
    Engine,
    EngineError,
    FeatureMaps,
    Image,
    ImageInput,
    Inputs,
    Matrix,
    Preprocess,
    Run,
    Scores,
    Training,
    knob,
    place,
    prepare,
    unprepare,
)  # fmt: skip

DIGITS = tuple(f"{kind}-{depth}" for depth in (8, 20, 44) for kind in ("plain", "residual"))
IMAGENET = ("resnet18", "resnet34", "resnet50", "resnet101")
PREPROCESS = Preprocess(size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)


@dataclass(frozen=True, slots=True)
class ResNetParams:
    """Knobs of the residual networks."""

    network: str = knob(
        "residual-44", choices=(*DIGITS, *IMAGENET), effect="build",
        help="plain-… and residual-… read digits and were trained here; resnet… classify photos",
    )  # fmt: skip
    block: int = knob(1, low=1, high=33, help="which block's identity and residual are shown")
    bypass: tuple[tuple[float, float], ...] = knob(
        (), kind="points",
        help="cells switched off, as block,path: path 0 is the identity, 1 the residual",
    )  # fmt: skip
    alpha: float = knob(1.0, low=0.0, high=2.0, step=0.05, help="scales F(x) in every block")
    ink: str = knob(
        "auto", choices=("auto", "bright", "dark"), help="of a digit, against its paper"
    )
    rate: float = knob(
        0.1,
        low=1e-4,
        high=1.0,
        log=True,
        effect="live",
        when="training",
        help="learning rate",
    )


class ResNets(Engine[ResNetParams]):
    """A residual or plain network on one picture."""

    Params: ClassVar[type[Any]] = ResNetParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Scores, FeatureMaps, Curve, Matrix)
    replays: ClassVar[bool] = False  # the paths of each block are measured while it runs

    network: DigitNet | ResNet

    def build(self, params: ResNetParams) -> nn.Module:
        """Load the chosen network; the digit networks bring the records of their training."""
        self._degradation = None
        if params.network in IMAGENET:
            network: nn.Module = ResNet(int(params.network.removeprefix("resnet")))
            load_state(network, self.host.weights(params.network), params.network)
            return network
        files = {name: self.host.weights(f"digits-{name}") for name in DIGITS}
        self._degradation = Degradation(files)
        network = digit_net(params.network)
        load_state(network, parameters(files[params.network]), params.network)
        return network

    def run(self, inputs: Inputs, params: ResNetParams, memory: Any = None) -> Run:
        """Run the whole network, and once more with the switches when any is off."""
        photo: ImageInput = inputs["image"]
        x, affine, note = self._input(photo, params)
        yield self._fed(x, affine, note)
        names = [name for name, _ in blocks(self.network)]
        shown = min(params.block, len(names)) - 1
        depth = Depth(names, shown)
        off = switched_off(params.bypass, len(names))
        plain = isinstance(self.network, DigitNet) and self.network.plain
        whole = self.network(x)[0] if off or params.alpha != 1.0 else None
        with switches(self.network, off, params.alpha, depth):
            switched = self.network(x)[0]
        cell = Affine(x.shape[3] / depth.size[1], x.shape[2] / depth.size[0], approximate=True)
        yield from depth.block(affine.after(cell))
        yield depth.norms()
        yield depth.switches(plain=plain)
        if self._degradation is not None:
            yield from self._degradation.artefacts()
        before = switched if whole is None else whole
        yield prediction("before", before, "the whole network")
        yield prediction("after", switched, describe(off, params.alpha, names))
        return None

    def train(
        self, inputs: Inputs, params: ResNetParams, resume: Checkpoint | None = None
    ) -> Training:
        """Train the chosen digit network from scratch; ends after `digits.STEPS` steps."""
        if not isinstance(self.network, DigitNet):
            raise EngineError(
                f"network {params.network!r} is not trained here; choose one of {', '.join(DIGITS)}"
            )
        yield from digits.train(self.network, self.host, params.rate, resume)

    def _input(self, photo: ImageInput, params: ResNetParams) -> tuple[Tensor, Affine, str]:
        if isinstance(self.network, ResNet):
            x, affine = prepare(photo.pixels, PREPROCESS, self.host.device)
            return x, affine, "224 px centre crop"
        x, affine = digits.picture(photo.pixels, params.ink)
        note = "reduced to 8x8 in 17 greys and enlarged to 16x16, as the network was trained"
        return place(x.to(self.host.device), affine), affine, note

    def _fed(self, x: Tensor, affine: Affine, note: str) -> Image:
        if isinstance(self.network, ResNet):
            return Image("input/as fed", unprepare(x, PREPROCESS), affine=affine, note=note)
        pixels = (x[0, 0] * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        return Image("input/as fed", pixels[..., None].repeat(3, 2), affine=affine, note=note)


def prediction(item: str, logits: Tensor, note: str) -> Scores:
    """All ten digits in their order, or the best five classes."""
    if len(logits) != 10:
        return top_scores(f"prediction/{item}", logits, point="fc", note=note)
    best = int(logits.argmax())
    labels = [str(digit) for digit in range(10)]
    return Scores(
        f"prediction/{item}",
        logits.softmax(0).cpu().numpy(),
        labels,
        target=("fc", best),
        note=f"{note}: reads {best}",
    )


def digit_net(name: str) -> DigitNet:
    """The network of a name such as ``plain-20``."""
    kind, _, depth = name.partition("-")
    return DigitNet(int(depth), plain=kind == "plain")


def parameters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What belongs into the network, without the record of its training."""
    return {name: t for name, t in tensors.items() if not name.startswith(digits.RECORD)}


def switched_off(cells: tuple[tuple[float, float], ...], count: int) -> frozenset[tuple[int, int]]:
    """Cells (block, path) that occur an odd number of times: each click toggles.

    Raises:
        EngineError: a block or path that is not there.
    """
    times = Counter((int(block), int(path)) for block, path in cells)
    for block, path in times:
        if not (0 <= block < count and path in (0, 1)):
            raise EngineError(
                f"bypass {block},{path}: this network has blocks 0 to {count - 1} and paths 0 "
                "(identity) and 1 (residual)"
            )
    return frozenset(cell for cell, n in times.items() if n % 2)


@contextlib.contextmanager
def switches(
    network: nn.Module, off: frozenset[tuple[int, int]], alpha: float, depth: Depth
) -> Iterator[None]:
    """Scale the two paths of every block, and watch them; all is as before afterwards."""
    every: list[Block] = [block for _, block in blocks(network)]
    try:
        for i, block in enumerate(every):
            block.identity_scale = 0.0 if (i, 0) in off else 1.0
            block.residual_scale = 0.0 if (i, 1) in off else alpha
            block.watch = depth
        yield
    finally:
        for block in every:
            block.identity_scale = block.residual_scale = 1.0
            block.watch = None


def describe(off: frozenset[tuple[int, int]], alpha: float, names: list[str]) -> str:
    """In words, what the switches change."""
    parts = [f"{names[block]} without {('x', 'F(x)')[path]}" for block, path in sorted(off)]
    if alpha != 1.0:
        parts.append(f"F(x) × {alpha:g}")
    return ", ".join(parts) or "nothing switched off; click a cell of the switches"
