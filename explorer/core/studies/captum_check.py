"""The same attributions by Captum, where it is installed, and how far they are from ours."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from explorer.core.attribution import AttributionError, Target, grad_cam, input_gradient
from explorer.core.studies.rectifiers import Rule
from explorer.core.studies.tracing import Pass, module_of, trace

PEERS: dict[Rule, str] = {
    "gradient": "Saliency",
    "guided": "GuidedBackprop",
    "deconvolution": "Deconvolution",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """One method: the largest absolute difference to Captum, beside the largest value."""

    method: str
    peer: str
    difference: float
    largest: float
    note: str = ""


class _Passed(nn.Module):
    """A pass as a module whose input is the picture and whose output (1,) is the target."""

    def __init__(self, network: nn.Module, run: Pass, target: Target) -> None:
        super().__init__()
        self.network = network
        self._run, self._target = run, target

    def forward(self, x: Tensor) -> Tensor:
        def entered(old: Tensor) -> Tensor:
            return x if old.shape == x.shape else old

        value = trace(self.network, self._run, self._target, canvas=entered).value
        assert value is not None  # `trace` raises otherwise
        return value.reshape(1)


def compare_with_captum(
    network: nn.Module, run: Pass, target: Target, layer: str | None = None
) -> list[Compared]:
    """Largest absolute difference to Captum of each method, Grad-CAM at ``layer`` where one is
    given. ReLU6 is left alone in both, as Captum knows no other way.

    Raises:
        AttributionError: Captum is not installed, or there is nothing to explain.
    """
    try:
        attr = importlib.import_module("captum.attr")
    except ImportError as error:
        raise AttributionError(
            "Captum is not installed; `pip install captum` puts it beside layerscope"
        ) from error
    wrapped = _Passed(network, run, target)
    rows = []
    for rule, name in PEERS.items():
        ours = input_gradient(network, run, target, rule, clipped=False)
        options = {"abs": False} if rule == "gradient" else {}
        x = ours.root.x.detach().clone()
        theirs = _asked(getattr(attr, name)(wrapped), x, **options)
        rows.append(_row(rule, name, ours.gradient, theirs))
    if layer is not None:
        cam = grad_cam(network, run, layer, target)
        peer = attr.LayerGradCam(wrapped, module_of(network, layer))
        theirs = _asked(peer, x, relu_attributions=True)
        rows.append(_row("Grad-CAM", "LayerGradCam", cam.map, theirs))
    return rows


def _asked(method: Any, x: Tensor, **options: bool) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Tensor = method.attribute(x, **options)
    return found.detach()


def _row(method: str, peer: str, ours: Tensor, theirs: Tensor) -> Compared:
    if torch.equal(ours, theirs):
        return Compared(method, peer, 0.0, float(ours.abs().max()), "equal bit for bit")
    note = ""
    if method in ("guided", "deconvolution"):
        note = "Captum sees ReLU modules only, and rectifies all that leads to their input"
    difference = float((ours - theirs).abs().max())
    return Compared(method, peer, difference, float(ours.abs().max()), note)
