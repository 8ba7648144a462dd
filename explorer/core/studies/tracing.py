"""One pass of a network, watched from the tensors that enter it to the unit that is explained."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from explorer.core.capture import first_tensor
from explorer.core.surgery import replaced
from explorer.engine import EngineError, place, placed
from explorer.kinds import Affine
from explorer.params import unknown

Pass = Callable[[], object]
Over = Literal["sum", "mean", "max"]


class AttributionError(EngineError):
    """A unit cannot be explained; the message says why and what would help."""


class _Reached(BaseException):
    """The unit is computed: the rest of the pass has no part in it."""


@dataclass(frozen=True, slots=True)
class Target:
    """The number that is explained: one unit of what a module returns.

    Attributes:
        point: dotted module name; "" is the whole network.
        unit: channel of maps (N, C, ...), entry of a vector (N, C), feature of tokens (N, T, C).
        at: position within the map, (y, x) or (token,); None takes all of it, ``over`` says how.
        row: which sample of the batch: a picture, a box, a token sequence.
        call: which call of the module in the pass; -1 is the last, for which all of it runs.
    """

    point: str
    unit: int
    at: tuple[int, ...] | None = None
    over: Over = "sum"
    row: int = 0
    call: int = -1

    def value(self, out: Any) -> Tensor:
        """The number, as a tensor without axes.

        Raises:
            AttributionError: the output has no such row, unit or position.
        """
        x = first_tensor(out)
        if x is None or not x.is_floating_point() or x.ndim == 0:
            raise AttributionError(f"{self.point or 'the network'} returns no numbers to explain")
        x = x.unsqueeze(0) if x.ndim == 1 else x
        x = self._pick(x, 0, self.row, "sample")
        # A copy: what follows may work in place on what the module returned.
        values = self._pick(x, -1 if x.ndim == 2 else 0, self.unit, "unit").clone()
        if self.at is None or values.ndim == 0:
            return values if values.ndim == 0 else _OVER[self.over](values)
        if len(self.at) != values.ndim:
            raise AttributionError(
                f"{self.point} has maps of {values.ndim} axes; position {self.at} does not fit"
            )
        for index in self.at:
            values = self._pick(values, 0, index, "position")
        return values

    def _pick(self, x: Tensor, axis: int, index: int, what: str) -> Tensor:
        if not 0 <= index < x.shape[axis]:
            raise AttributionError(
                f"{self.point or 'the network'} has no {what} {index}; "
                f"there are 0 to {x.shape[axis] - 1}"
            )
        return x.select(axis, index)


_OVER: Mapping[Over, Callable[[Tensor], Tensor]] = {
    "sum": torch.sum,
    "mean": torch.mean,
    "max": torch.amax,
}


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """A tensor that entered the network, as a leaf of the graph; where its pixels lie, if known."""

    x: Tensor
    affine: Affine | None


class Trace:
    """What a pass left: ``roots`` in order of entry, the target's ``value``, a layer's ``kept``."""

    def __init__(self) -> None:
        self.roots: list[Root] = []
        self.value: Tensor | None = None
        self.kept: Tensor | None = None


def module_of(network: nn.Module, name: str) -> nn.Module:
    """The module of a dotted name.

    Raises:
        AttributionError: there is none; the near ones are named.
    """
    modules: dict[str, nn.Module] = dict(network.named_modules())
    if name not in modules:
        raise AttributionError(unknown("layer", name, list(modules)))
    return modules[name]


def trace(
    network: nn.Module,
    run: Pass,
    target: Target,
    *,
    layer: str | None = None,
    canvas: Callable[[Tensor], Tensor] | None = None,
) -> Trace:
    """Run once with gradients, and stop where the target is known.

    Roots are the tensors that `explorer.engine.place` has marked as pictures; where there is none,
    the first tensor of real numbers that enters a module. They are followed whichever module the
    pass calls, so engines need not call the network as a whole. Calls that an engine makes without
    gradients (style transfer, of what it aims at) are passed over.

    Args:
        run: makes the pass, for example ``lambda: network(x)``.
        layer: a module whose output becomes a leaf of the graph; the input then is none.
        canvas: what takes the place of a picture (N, C, H, W) that enters, with its graph.

    Raises:
        AttributionError: no such module, never called, or no number of that index.
    """
    found = Trace()
    watched = _watched(network, target, layer, canvas, found)
    with watched, torch.enable_grad(), contextlib.suppress(_Reached):
        run()
    if found.value is None:
        raise AttributionError(f"{target.point!r} was not called with gradients in this pass")
    return found


@contextlib.contextmanager
def _watched(
    network: nn.Module,
    target: Target,
    layer: str | None,
    canvas: Callable[[Tensor], Tensor] | None,
    found: Trace,
) -> Iterator[None]:
    """Hooks for one pass, always removed.

    Weights that want a gradient are left so: frozen, attention would choose another kernel and
    round otherwise.
    """
    handles: list[RemovableHandle] = []
    seen = 0

    def keep(module: nn.Module, args: Any, out: Any) -> Any:
        x = first_tensor(out)
        if x is None or not torch.is_grad_enabled():
            return None
        # A copy to differentiate by, and one to go on with: an in-place ReLU may follow.
        found.kept = (x if x.requires_grad else x.detach().clone()).requires_grad_()
        return replaced(out, x, found.kept.clone())

    def reach(module: nn.Module, args: Any, out: Any) -> None:
        nonlocal seen
        if not torch.is_grad_enabled():
            return
        if target.call in (-1, seen):
            found.value = target.value(out)
        seen += 1
        if target.call == seen - 1:
            raise _Reached

    try:
        if layer is not None:
            handles.append(module_of(network, layer).register_forward_hook(keep))
        else:
            entry = _Entry(found, canvas)
            handles += [
                m.register_forward_pre_hook(entry, with_kwargs=True) for m in network.modules()
            ]
        handles.append(module_of(network, target.point).register_forward_hook(reach))
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Entry:
    """Pre-hook that turns the tensors that enter the network into roots."""

    def __init__(self, found: Trace, canvas: Callable[[Tensor], Tensor] | None) -> None:
        self._found = found
        self._canvas = canvas
        self._known: dict[int, tuple[Tensor, Tensor]] = {}
        self._own: set[int] = set()

    def __call__(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not torch.is_grad_enabled():
            return None
        changed = False

        def enter(value: Any) -> Any:
            nonlocal changed
            if type(value) in (list, tuple):
                return type(value)([enter(v) for v in value])
            if not isinstance(value, Tensor) or not self._enters(value):
                return value
            changed = True
            return self._root(value)

        new_args = tuple(enter(v) for v in args)
        new_kwargs = {k: enter(v) for k, v in kwargs.items()}
        return (new_args, new_kwargs) if changed else None

    def _enters(self, x: Tensor) -> bool:
        if id(x) in self._own or not x.is_floating_point():
            return False
        return placed(x) is not None or id(x) in self._known or not self._found.roots

    def _root(self, x: Tensor) -> Tensor:
        if id(x) in self._known:
            return self._known[id(x)][1]
        affine = placed(x)
        root = x.detach().clone().requires_grad_() if self._canvas is None else self._canvas(x)
        if affine is not None:
            place(root, affine)
        self._known[id(x)] = (x, root)  # holds both, so that no other tensor takes an identity
        self._own.add(id(root))
        self._found.roots.append(Root(root, affine))
        return root
