"""Knobs of style transfer."""

from __future__ import annotations

from dataclasses import dataclass

from explorer.api import knob

FEATURES = ("auto", "vgg16-hed", "vgg16", "vgg19", "efficientnet-lite0")
ONE_CANVAS = "reconstruct=both|content|style"


@dataclass(frozen=True, slots=True)
class StyleParams:
    """All but the first six act while it runs."""

    features: str = knob(
        "auto", choices=FEATURES, effect="build",
        help="auto: VGG-16 convolutions when they are fetched, else the classifier's features",
    )  # fmt: skip
    pooling: str = knob(
        "average", choices=("average", "max"), effect="build",
        when="features=vgg16-hed|vgg16|vgg19|auto", help="in VGG; average is smoother",
    )  # fmt: skip
    size: int = knob(
        192, low=32, high=1024, step=32, unit="px", when=ONE_CANVAS, help="short side of the canvas"
    )
    start: str = knob(
        "content", choices=("content", "noise", "blend"), when=ONE_CANVAS, help="the first canvas"
    )
    seed: int = knob(
        0, low=0, high=2**31 - 1, kind="seed", when="start=noise|blend", help="of the noise"
    )
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
