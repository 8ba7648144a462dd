"""How other libraries look at activations; a peer that is not installed is None.

Each is imported when it is measured and not before: TorchLens replaces functions of torch.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

Case = Callable[[Tensor], object]


def installed(name: str) -> Any:
    """The module, or None when it cannot be imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def leaves(network: nn.Module) -> dict[str, nn.Module]:
    """Modules without children, by name."""
    return {n: m for n, m in network.named_modules() if n and next(m.children(), None) is None}


def layer_peers() -> dict[str, Callable[[nn.Module, str], Case | None]]:
    """One layer's output: name to a maker of the call that yields it."""
    return {"nnsight": _nnsight, "captum": _captum}


def all_peers() -> dict[str, Callable[[nn.Module], Case | None]]:
    """Every leaf module's output."""
    return {"naive hooks": _naive, "captum": _captum_all, "torchlens": _torchlens}


def _nnsight(network: nn.Module, layer: str) -> Case | None:
    nnsight = installed("nnsight")
    if nnsight is None:
        return None
    traced = nnsight.NNsight(network)

    def case(x: Tensor) -> object:
        with traced.trace(x):
            kept = traced.get(layer).output.save()
        return kept  # noqa: RET504 -- nnsight rewrites the body of its `with`

    return case


def _captum(network: nn.Module, layer: str) -> Case | None:
    attr = installed("captum.attr")
    if attr is None:
        return None
    activation = attr.LayerActivation(network, network.get_submodule(layer))
    return lambda x: activation.attribute(x)


def _captum_all(network: nn.Module) -> Case | None:
    attr = installed("captum.attr")
    if attr is None:
        return None
    activation = attr.LayerActivation(network, list(leaves(network).values()))
    return lambda x: activation.attribute(x)


def _torchlens(network: nn.Module) -> Case | None:
    torchlens = installed("torchlens")
    if torchlens is None:
        return None
    return lambda x: torchlens.trace(network, x)


def _naive(network: nn.Module) -> Case:
    """What one writes first: a hook on each leaf that keeps a clone."""

    def case(x: Tensor) -> object:
        kept: dict[str, Tensor] = {}

        def keeper(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, args: Sequence[Any], out: Tensor) -> None:
                kept[name] = out.detach().clone()

            return hook

        handles = [m.register_forward_hook(keeper(n)) for n, m in leaves(network).items()]
        network(x)
        for handle in handles:
            handle.remove()
        return kept

    return case
