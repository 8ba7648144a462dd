"""Knobs of style transfer."""

from __future__ import annotations

from dataclasses import dataclass

from engines.style.features import FEATURES
from explorer.api import knob

ONE_CANVAS = "reconstruct=both|content|style"


@dataclass(frozen=True, slots=True)
class StyleParams:
    """All but ``features``, ``reconstruct`` and ``halvings`` act while it runs."""

    features: str = knob(
        "auto", choices=FEATURES, effect="build",
        help="auto: VGG-16 convolutions when they are fetched, else the classifier's features",
    )  # fmt: skip
    pooling: str = knob(
        "average", choices=("average", "max"), effect="live",
        when="features=vgg16-hed|vgg16|vgg19|auto", help="in VGG; average is smoother",
    )  # fmt: skip
    size: int = knob(
        192, low=32, high=1024, step=32, unit="px", effect="live", when=ONE_CANVAS,
        help="short side of the canvas",
    )  # fmt: skip
    halvings: int = knob(
        0, low=0, high=5, when=ONE_CANVAS,
        help="coarse to fine: how often the size is halved at first; it doubles over the steps",
    )  # fmt: skip
    start: str = knob(
        "content", choices=("content", "noise", "blend"), effect="live", when=ONE_CANVAS,
        help="the first canvas; another choice begins with it anew",
    )  # fmt: skip
    seed: int = knob(
        0, low=0, high=2**31 - 1, kind="seed", effect="live", when="start=noise|blend",
        help="of the noise",
    )  # fmt: skip
    reconstruct: str = knob(
        "both", choices=("both", "content", "style", "each layer"),
        help="one side alone shows what it keeps; each layer: small canvases of all, from noise",
    )  # fmt: skip
    content: float = knob(
        1.0, low=1e-3, high=1e3, log=True, effect="live", help="weight of content"
    )
    style: float = knob(10.0, low=1e-2, high=1e4, log=True, effect="live", help="weight of style")
    layers: tuple[float, ...] = knob(
        (1.0, 1.0, 1.0, 1.0, 1.0), low=0.0, high=4.0, effect="live",
        basis="style layer, shallow to deep", help="weight of each style layer",
    )  # fmt: skip
    share: float = knob(
        0.0, low=0.0, high=1.0, step=0.01, effect="live", when=ONE_CANVAS,
        help="of the second style; with a mask it has the ground outside to itself",
    )  # fmt: skip
    mask: tuple[tuple[float, float, float, float], ...] = knob(
        (), kind="mask", effect="live", when=ONE_CANVAS,
        help="where the style applies: paint on the content; nothing painted: everywhere",
    )  # fmt: skip
    colours: str = knob(
        "style", choices=("style", "content"), effect="live", when=ONE_CANVAS,
        help="content: the canvas's luminance in the photo's colours, for display and export",
    )  # fmt: skip
    content_block: int = knob(
        4, low=1, high=5, effect="live", when=ONE_CANVAS,
        help="depth at which content is compared",
    )  # fmt: skip
    style_block: int = knob(
        5, low=1, high=5, effect="live", when=ONE_CANVAS,
        help="style layers 1 to this one are compared",
    )  # fmt: skip
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
        48, low=2, high=512, effect="live", when=ONE_CANVAS,
        help="units in the Gram matrices, strongest first",
    )  # fmt: skip
