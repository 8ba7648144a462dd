"""Grad-CAM of a ResNet-50's stage, against one forward pass and one backward pass to that stage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.line import Effort, Line
from benchmarks.networks import PREPROCESS, Noise
from benchmarks.peers import installed
from benchmarks.timing import clock_name, paired
from engines.nn.resnet import ResNet
from explorer.api import prepare
from explorer.core.attribution import Target, grad_cam
from explorer.core.studies.exciting import Exciting, strongest

LAYER = "layer4"
CLASS = 282


def measure(effort: Effort) -> Line:
    """Ours and Captum's in one run, both beside the same bare loop, and whether they are equal."""
    torch.set_num_threads(1)
    count = effort.count(15, 1)
    network = ResNet(50).eval().requires_grad_(False).to(effort.device)
    x = prepare(Noise(1)[0], PREPROCESS, effort.device)[0]

    def ours() -> Tensor:
        return grad_cam(network, lambda: network(x), LAYER, Target("", CLASS)).map

    def bare() -> Tensor:
        return forward_and_backward(network, x)

    own = paired(bare, ours, count, effort.device)
    peer = captum(network, x)
    theirs = paired(bare, peer, count, effort.device) if peer else None
    return Line(
        "grad-cam", own.ratio, "× forward and backward to the layer", "<= 1.15",
        peer={"captum": theirs.ratio if theirs else None},
        detail={
            "layer": LAYER, "bare_ms": own.base_ms, "ours_ms": own.case_ms,
            "equal_to_captum_bit_for_bit": bool(torch.equal(ours(), peer())) if peer else None,
            "collecting_crops_of_forward": collecting(network, effort),
            "clock": clock_name(effort.device), "threads": 1,
        },
    )  # fmt: skip


def forward_and_backward(network: nn.Module, x: Tensor) -> Tensor:
    """What it takes by hand: the stage's maps as a leaf, the rest, the gradient to the leaf."""
    kept: list[Tensor] = []

    def leaf(module: nn.Module, args: object, out: Tensor) -> Tensor:
        kept.append(out.detach().requires_grad_())
        return kept[0]

    handle = network.get_submodule(LAYER).register_forward_hook(leaf)
    try:
        (gradient,) = torch.autograd.grad(network(x)[0, CLASS], kept)
    finally:
        handle.remove()
    return gradient


def captum(network: nn.Module, x: Tensor) -> Callable[[], Tensor] | None:
    """The same by Captum, or None where it is not installed."""
    attr = installed("captum.attr")
    if attr is None:
        return None
    method = attr.LayerGradCam(network, network.get_submodule(LAYER))

    def case() -> Tensor:
        cam: Tensor = method.attribute(x, target=CLASS, relu_attributions=True)
        return cam.detach()

    return case


@torch.no_grad()
def collecting(network: nn.Module, effort: Effort) -> float:
    """A forward pass that also keeps what excited the 1,024 units of layer3 most, over a bare one.

    Pictures are noise, so that records come as seldom as they do in a long clip: the count of
    frames that were looked at before is 200.
    """
    clip = Noise(10_000)
    kept = Exciting("layer3", 1024)
    seen: list[Tensor] = []
    cells = np.zeros((1024, 2), np.int64)
    random = np.random.default_rng(0)
    for i in range(effort.count(200, 2)):
        kept.add(
            random.normal(size=1024).astype(np.float32), cells, clip[0], None, "before", 99 * i
        )
    kept.values -= 1e-3
    place = [0]

    def bare() -> None:
        network(prepare(clip[place[0]], PREPROCESS, effort.device)[0])

    def collect() -> None:
        place[0] += 1
        handle = network.get_submodule("layer3").register_forward_hook(
            lambda module, args, out: seen.__setitem__(slice(None), [out])
        )
        network(prepare(clip[place[0]], PREPROCESS, effort.device)[0])
        handle.remove()
        best, where = strongest(seen[0])
        best = random.normal(size=1024).astype(np.float32)  # as seldom a record as in a clip
        kept.add(best, where, clip[place[0]], None, "clip", 99 * place[0])

    return round(paired(bare, collect, effort.count(15, 1), effort.device).ratio, 3)
