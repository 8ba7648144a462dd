"""Whose features pictures are compared with: VGG's where they are, else the classifier's."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from engines.nn.efficientnet import EfficientNetLite0
from engines.nn.loading import load_state
from engines.nn.style.taps import Tapped
from engines.nn.vgg import VGG
from engines.style.pooling import with_pools
from explorer.api import Host

FEATURES = ("auto", "vgg16-hed", "vgg16", "vgg19", "efficientnet-lite0")
_ABOUT = {
    "vgg16-hed": "VGG-16 convolutions of the edge network HED",
    "vgg16": "VGG-16, ImageNet",
    "vgg19": "VGG-19, ImageNet",
    "efficientnet-lite0": "EfficientNet-Lite0, the classifier",
}


@dataclass(frozen=True, slots=True)
class Features:
    """A frozen network with its taps; ``weights`` names its file, ``auto`` was not asked for."""

    network: Tapped
    weights: str
    auto: bool

    @property
    def about(self) -> str:
        """Which these are, and how to get better ones."""
        text = f"features{' (auto)' if self.auto else ''}: {_ABOUT[self.weights]}"
        if self.auto and self.weights == "efficientnet-lite0":
            text += "; better with VGG: layerscope weights fetch vgg16-hed"
        return text


def chosen(host: Host, wanted: str) -> Features:
    """Load features by the name of their weights; ``auto`` takes VGG's convolutions when fetched.

    Raises:
        WeightsMissing: those that were asked for are not here.
    """
    name = wanted
    if wanted == "auto":
        name = "vgg16-hed" if host.has_weights("vgg16-hed") else "efficientnet-lite0"
    tensors = host.weights(name)
    network: nn.Module
    if name == "efficientnet-lite0":
        network = EfficientNetLite0()
    else:
        network = VGG(19 if name == "vgg19" else 16, head=False)
        with_pools(network.features)
        tensors = {k: v for k, v in tensors.items() if k.startswith("features.")}
    load_state(network, tensors, name)
    return Features(Tapped(network).requires_grad_(False), name, wanted == "auto")
