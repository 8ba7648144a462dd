"""Other ways back through a ReLU: guided backpropagation, deconvolution, and one to start with.

Springenberg et al., "Striving for Simplicity", 2015; Zeiler, Fergus, "Visualizing and Understanding
Convolutional Networks", 2014.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Rule = Literal["gradient", "guided", "deconvolution", "redirected"]
RULES: tuple[Rule, ...] = ("gradient", "guided", "deconvolution")

_aten = torch.ops.aten
# Every name under which a ReLU is called, by a module or not, to whether it works in place.
_RELU: Mapping[Any, bool] = {
    torch.relu: False, Tensor.relu: False, _aten.relu.default: False,
    torch.relu_: True, Tensor.relu_: True, _aten.relu_.default: True,
}  # fmt: skip


class _Rectifier(torch.autograd.Function):
    """``min(max(x, 0), ceiling)``; backward lets positive gradients through alone.

    Guided backpropagation keeps the mask of the ReLU itself, deconvolution does without it. The
    redirected gradient is the plain one, but a ReLU that is shut can be told to open: else a unit
    that is silent at the start of an ascent never hears of it. Where the ceiling cuts, nothing
    comes back in any of them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rule: Rule, ceiling: float | None, in_place: bool) -> Tensor:
        if in_place:
            ctx.mark_dirty(x)
            y = torch.relu_(x) if ceiling is None else F.hardtanh_(x, 0.0, ceiling)
        else:
            y = torch.relu(x) if ceiling is None else F.hardtanh(x, 0.0, ceiling)
        ctx.rule = rule
        ctx.save_for_backward(
            y > 0 if rule != "deconvolution" else None, y < ceiling if ceiling is not None else None
        )
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0]
        above, below = ctx.saved_tensors
        if below is not None:
            gradient = gradient.masked_fill(~below, 0.0)
        if ctx.rule == "redirected":
            return torch.where(above, gradient, F.relu(gradient)), None, None, None
        if above is not None:
            gradient = gradient.masked_fill(~above, 0.0)
        return F.relu(gradient), None, None, None


class Rectified(TorchFunctionMode):
    """Within it, whatever passes a ReLU goes back by ``rule``, modules and functions alike.

    ReLU6 counts as a ReLU unless ``clipped`` is off. No hook is used. After a pass, ``count`` says
    how many rectifiers were met, and ``clipped_count`` how many of them had a ceiling.
    """

    def __init__(self, rule: Rule, *, clipped: bool = True) -> None:
        super().__init__()
        self._rule = rule
        self._clipped = clipped
        self.count = 0
        self.clipped_count = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        met = None if self._rule == "gradient" else _rectifier(func, args, kwargs)
        if met is None:
            return func(*args, **kwargs)
        x, ceiling, in_place = met
        if not (x.requires_grad and torch.is_grad_enabled()):
            return func(*args, **kwargs)
        if ceiling is not None:
            if not self._clipped:
                return func(*args, **kwargs)
            self.clipped_count += 1
        self.count += 1
        return cast("Any", _Rectifier.apply)(x, self._rule, ceiling, in_place)


def _rectifier(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Tensor, float | None, bool] | None:
    """Input, ceiling and whether it is in place, of a call that is a ReLU or a ReLU6."""
    if func in _RELU:
        return _first(args, kwargs), None, _RELU[func]
    if func is F.relu:
        return _first(args, kwargs), None, _argument(args, kwargs, 1, "inplace", default=False)
    if func is F.relu6:
        return _first(args, kwargs), 6.0, _argument(args, kwargs, 1, "inplace", default=False)
    if func is F.hardtanh and _argument(args, kwargs, 1, "min_val", default=-1.0) == 0:
        ceiling = float(_argument(args, kwargs, 2, "max_val", default=1.0))
        return _first(args, kwargs), ceiling, _argument(args, kwargs, 3, "inplace", default=False)
    return None


def _first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    found: Tensor = args[0] if args else next(iter(kwargs.values()))
    return found


def _argument(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], place: int, name: str, *, default: Any
) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


class Readable(TorchFunctionMode):
    """Within it, numpy takes tensors that carry a gradient: engines hand out arrays as they do
    without one.
    """

    _READERS = (Tensor.numpy, Tensor.__array__, Tensor.__float__, Tensor.item)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in self._READERS:
            args = (args[0].detach(), *args[1:])
        return func(*args, **(kwargs or {}))
