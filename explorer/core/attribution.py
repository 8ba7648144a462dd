"""What a unit owes to its input: gradient, guided backpropagation, deconvolution, Grad-CAM.

Pure functions of a network and a pass; nothing of either is changed. Equal bit for bit to Captum's
`Saliency`, `NeuronGradient`, `GuidedBackprop`, `Deconvolution` and `LayerGradCam`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.studies.rectifiers import Rectified, Rule
from explorer.core.studies.tracing import AttributionError as AttributionError
from explorer.core.studies.tracing import Pass, Root, trace
from explorer.core.studies.tracing import Target as Target


@dataclass(frozen=True, slots=True, eq=False)
class InputGradient:
    """Gradient of a unit to the tensor that entered the network.

    Attributes:
        gradient: of the shape of ``root.x``, in units of the target per unit of the input.
        value: of the target.
        rectifiers: ReLUs that the chosen rule acted on; 0 leaves the plain gradient.
        clipped: how many of them were ReLU6.
    """

    gradient: Tensor
    root: Root
    value: float
    rectifiers: int = 0
    clipped: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class GradCam:
    """``map`` (N, 1, h, w): the layer's maps (N, C, h, w), weighted by their mean gradient."""

    map: Tensor
    layer: Tensor
    value: float


def input_gradient(
    network: nn.Module, run: Pass, target: Target, rule: Rule = "gradient", *, clipped: bool = True
) -> InputGradient:
    """Gradient of ``target`` to the input; ``rule`` says how it passes a ReLU.

    ReLUs are found whether a module or a function computes them. The gradient that leaves a ReLU
    is rectified, and not what other ways add to it (where a ReLU's input is used elsewhere too,
    Captum rectifies their sum).

    Args:
        clipped: ReLU6 goes back by the rule too; Captum leaves it alone.

    Raises:
        AttributionError: no such unit, or it does not depend on the input by a gradient.
    """
    if rule != "gradient" and any(isinstance(m, torch.jit.ScriptModule) for m in network.modules()):
        raise AttributionError(
            "TorchScript computes its ReLUs out of sight; the plain gradient is what can be had"
        )
    mode = Rectified(rule, clipped=clipped)
    with mode:
        found = trace(network, run, target)
    value = _differentiable(found.value, target)
    gradients = torch.autograd.grad(value, [r.x for r in found.roots], allow_unused=True)
    reached = [(r, g) for r, g in zip(found.roots, gradients, strict=True) if g is not None]
    if not reached:
        raise AttributionError(
            f"{target.point or 'the output'!r} does not depend on the input by a gradient"
        )
    root, gradient = next((rg for rg in reached if rg[0].affine is not None), reached[0])
    return InputGradient(gradient, root, float(value.detach()), mode.count, mode.clipped_count)


def grad_cam(
    network: nn.Module, run: Pass, layer: str, target: Target, *, rectify: bool = True
) -> GradCam:
    """Where in ``layer`` the evidence for ``target`` lies.

    Selvaraju et al., "Grad-CAM", 2017, equations 1 and 2: the weight of a map is the mean of its
    gradient over positions; ``rectify`` keeps only what speaks for the target. Tokens (N, T, C)
    give (N, 1, T). Backward runs from the target to the layer alone.

    Raises:
        AttributionError: no such layer or unit, or the layer has no part in it.
    """
    found = trace(network, run, target, layer=layer)
    kept = found.kept
    if kept is None:
        raise AttributionError(f"{layer!r} was not called before {target.point!r}")
    value = _differentiable(found.value, target, f"the output of {layer!r}")
    (gradient,) = torch.autograd.grad(value, kept, allow_unused=True)
    if gradient is None:
        raise AttributionError(f"{target.point!r} does not depend on the output of {layer!r}")
    cam = weighted(kept.detach(), gradient)
    return GradCam(F.relu(cam) if rectify else cam, kept.detach(), float(value.detach()))


def weighted(maps: Tensor, gradient: Tensor) -> Tensor:
    """Sum over channels of maps times the mean gradient of each; the channel axis stays, as 1."""
    if maps.ndim == 3:
        return (gradient.mean(1, keepdim=True) * maps).sum(2).unsqueeze(1)
    axes = tuple(range(2, maps.ndim))
    weights = gradient.mean(axes, keepdim=True) if axes else gradient
    return (weights * maps).sum(1, keepdim=True)


def signed_sum(gradient: Tensor) -> Tensor:
    """One signed number a pixel: (N, C, H, W) to (H, W) of the first sample, channels added."""
    return gradient[0].sum(0)


def _differentiable(value: Tensor | None, target: Target, source: str = "the input") -> Tensor:
    assert value is not None  # `trace` raises otherwise
    if not value.requires_grad:
        raise AttributionError(
            f"no gradient leads from {target.point or 'the output'!r} to {source}: it does not "
            "depend on it, or the engine computes it without gradients"
        )
    return value
