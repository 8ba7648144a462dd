"""A network in another precision, whose modules keep their names, so that hooks fire as before."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from explorer.engine import EngineError

PRECISIONS = ("float32", "bfloat16", "float16", "float64", "int8 dynamic")


def lower(network: nn.Module, precision: str) -> None:
    """Have ``network`` compute in another precision, in place.

    Each module computes in it, with its weights rounded to it; what passes from one to the next is
    float32 again, and so is what an engine itself reads of the weights, so that its own arithmetic
    goes on unchanged, as it does under autocast. With "int8 dynamic" Linear and recurrent modules
    compute as PyTorch's dynamically quantised ones do.

    Raises:
        EngineError: the precision is unknown, or nothing in the network can have it.
    """
    if precision == "int8 dynamic":
        _quantise(network)
    elif precision in PRECISIONS:
        dtype: torch.dtype = getattr(torch, precision)
        for unit in units(network):
            weights = _Weights(unit, dtype)
            unit.register_forward_pre_hook(weights.enter, with_kwargs=True)
            unit.register_forward_hook(weights.leave)
    else:
        raise EngineError(f"no precision {precision!r}; there are {', '.join(PRECISIONS)}")


def units(module: nn.Module) -> Iterator[nn.Module]:
    """The largest modules that own parameters or have no children: each computes as a whole.

    MultiheadAttention, for one, uses its children's weights without calling them.
    """
    own = next(module.parameters(recurse=False), None) is not None
    if own or next(module.children(), None) is None:
        yield module
        return
    for child in module.children():
        yield from units(child)


class _Weights:
    """Parameters and floating buffers of one unit in two forms: computed with, and looked at."""

    def __init__(self, unit: nn.Module, dtype: torch.dtype) -> None:
        self.dtype = dtype
        tensors = [*unit.parameters(), *unit.buffers()]
        self._tensors = [t for t in tensors if t.is_floating_point()]
        self._low = [t.data.to(dtype) for t in self._tensors]
        self._wide = [low.to(torch.float32) for low in self._low]
        self._put(self._wide)

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> Any:
        """Before its forward: weights and inputs in the precision."""
        self._put(self._low)
        return _cast(args, self.dtype), _cast(kwargs, self.dtype)

    def leave(self, module: nn.Module, args: Any, out: Any) -> Any:
        """After it: both as everybody else knows them."""
        self._put(self._wide)
        return _cast(out, torch.float32)

    def _put(self, values: list[Tensor]) -> None:
        for tensor, value in zip(self._tensors, values, strict=True):
            tensor.data = value


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Every floating tensor in a tensor, tuple, list or dict, in ``dtype``."""
    if isinstance(value, Tensor):
        if value.dtype == dtype or value.is_quantized or not value.is_floating_point():
            return value
        made = value.to(dtype)
        made.__dict__.update(value.__dict__)  # where it lies in the picture
        return made
    if isinstance(value, dict):
        return {key: _cast(v, dtype) for key, v in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_cast(v, dtype) for v in value)
    return value


def _quantise(network: nn.Module) -> None:
    kinds = {nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell}
    found = [module for module in network.modules() if type(module) in kinds]
    if not found:
        raise EngineError(
            "int8 dynamic changes Linear and recurrent layers, and this network has none; "
            "try bfloat16"
        )
    quantise: Any = torch.ao.quantization.quantize_dynamic
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        for module in found:
            try:
                low = quantise(nn.Sequential(copy.deepcopy(module)), kinds, torch.qint8)[0]
            except (RuntimeError, NotImplementedError) as error:
                raise EngineError(
                    f"int8 dynamic does not run here: {str(error).splitlines()[0]}; try bfloat16"
                ) from error
            # The module stays, with its name, and computes as the quantised one does.
            module.forward = low.forward
            if isinstance(module, nn.Linear):
                module.weight.data = low.weight().dequantize()
