"""Five depths of a classifier at which style and content are compared, for VGG and EfficientNet."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from engines.nn.efficientnet import EfficientNetLite0
from engines.nn.vgg import CONVENTIONS, VGG, layers
from explorer.api import Preprocess, Probe

EFFICIENTNET_BLOCKS = (0, 2, 4, 10, 15)  # last block at each of the strides 2, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class Taps:
    """Features by name, shallow to deep: five for style, five for content (they may coincide)."""

    style: tuple[str, ...]
    content: tuple[str, ...]


def taps(network: nn.Module) -> Taps:
    """Gatys' layers for VGG, after ReLU; stem and end of each resolution for EfficientNet."""
    if isinstance(network, VGG):
        blocks = range(1, 6)
        return Taps(tuple(f"conv{b}_1" for b in blocks), tuple(f"conv{b}_2" for b in blocks))
    names = tuple(f"_blocks.{b}" for b in EFFICIENTNET_BLOCKS)
    return Taps(("_act0", *names[1:]), names)


class Tapped(nn.Module):
    """A backbone whose taps pass through capture points of the same names for every backbone.

    ``style1`` to ``style5`` and ``content1`` to ``content5``, shallow to deep.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.taps = taps(backbone)
        for depth in range(1, 6):
            self.add_module(f"style{depth}", Probe())
            self.add_module(f"content{depth}", Probe())

    def forward(self, x: Tensor, wanted: tuple[str, ...]) -> dict[str, Tensor]:
        """Outputs of the wanted taps (1, C, H, W)."""
        found = extract(self.backbone, x, wanted)
        for side, names in (("style", self.taps.style), ("content", self.taps.content)):
            for depth, name in enumerate(names, start=1):
                if name in found:
                    found[name] = self.get_submodule(f"{side}{depth}")(found[name])
        return found


def extract(network: nn.Module, x: Tensor, wanted: tuple[str, ...]) -> dict[str, Tensor]:
    """Outputs (1, C, H, W) of the wanted taps; nothing above the deepest one is run."""
    if isinstance(network, VGG):
        return _vgg(network, x, wanted)
    if isinstance(network, EfficientNetLite0):
        return _efficientnet(network, x, wanted)
    raise TypeError(f"no taps are known for {type(network).__name__}")


def _vgg(network: VGG, x: Tensor, wanted: tuple[str, ...]) -> dict[str, Tensor]:
    index = layers(network.depth)
    at = {index[name.replace("conv", "relu")]: name for name in wanted}
    found: dict[str, Tensor] = {}

    def watch(i: int, y: Tensor) -> None:
        if i in at:
            found[at[i]] = y

    network.features(x, watch, max(at))
    return found


def _efficientnet(
    network: EfficientNetLite0, x: Tensor, wanted: tuple[str, ...]
) -> dict[str, Tensor]:
    x = network._act0(network._bn0(network._conv_stem(network._pad(x))))
    found = {"_act0": x} if "_act0" in wanted else {}
    for i, block in enumerate(network._blocks):
        x = block(x)
        if f"_blocks.{i}" in wanted:
            found[f"_blocks.{i}"] = x
        if len(found) == len(set(wanted)):
            break
    return found


def convention(weights: str) -> Preprocess:
    """How these weights want their pixels."""
    if weights == "efficientnet-lite0":
        return Preprocess(mean=(0.498,) * 3, std=(0.502,) * 3)
    return CONVENTIONS[weights]


def feed(pixels: Tensor, how: Preprocess) -> Tensor:
    """Pixels (1, 3, H, W) RGB in [0, 1] as the network wants them, differentiable."""
    x = pixels.flip(1) if how.order == "BGR" else pixels
    mean, std = (x.new_tensor(v).view(1, 3, 1, 1) for v in (how.mean, how.std))
    return (x * how.scale - mean) / std
