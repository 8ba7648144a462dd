"""Blocks that nobody looks into, as TorchScript graphs: a clip plays without Python between layers.

A block is a module with others inside, none of which is captured, edited or watched. Its graph runs
the same operations on the same weights, but holds the interpreter's lock for none of them, so that
the window draws meanwhile. What cannot be traced faithfully runs as it is.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explorer.core.capture import Capture

CALM = 3  # frames with the same knobs before a block is traced: a slider may be on its way
MOST = 4  # sizes of input of one block; of more, later ones run as they are
SLOW = 0.1  # s; a longer frame gains nothing, and tracing, three times as long, cannot be stopped
# What tracing says of sizes that become numbers; a graph is for inputs of one size anyway.
SIZES = re.compile("Using len to get tensor shape|Iterating over a tensor")
TRACER: type[Warning] = getattr(torch.jit, "TracerWarning", Warning)  # without it: any warning
TORCH = Path(torch.__file__).parent

Signature = tuple[Any, ...]
Forward = Callable[..., Any]
Tensors = tuple[Tensor, ...]


class Scripted:
    """The graphs of one network's blocks; between `enter` and `leave` they stand in for them."""

    def __init__(self, capture: Capture) -> None:
        self.failed: dict[str, str] = {}  # why a block is not traced, by its name
        self._capture = capture
        self._graphs: dict[tuple[str, Signature], Callable[..., Tensor]] = {}
        self._params: Any = None
        self._calm = 0
        self._hooked: list[bool] = []
        self._watched: tuple[Any, list[Mapping[int, Any]]] = (None, [])
        self._chosen: dict[nn.Module, Forward] = {}
        self._entered: dict[nn.Module, Forward] = {}
        self._begun = 0.0
        self._next: tuple[str, Tensors] | None = None

    @property
    def blocks(self) -> tuple[str, ...]:
        """Blocks that run as a graph, by name."""
        return tuple(dict.fromkeys(name for name, _ in self._graphs))

    def enter(self, params: Any, *, looked_into: bool = True) -> None:
        """Before a resumption, with all hooks in: put the graphs into their places.

        ``looked_into`` is False when no hook has come in since the last call.
        """
        if not looked_into and params is self._params:
            return
        self._begun = self._begun or time.perf_counter()
        if params is not self._params:  # a knob may change what a module does
            self._params, self._calm = params, 0
            self._graphs.clear()
            self.failed.clear()
            self._hooked = []
        hooked = self._hooks()
        if hooked != self._hooked:
            self._hooked = hooked
            self._chosen = self._choose()
        if self._entered is not self._chosen:
            self._restore()
            for module, forward in self._chosen.items():
                module.__dict__["forward"] = forward
            self._entered = self._chosen

    def leave(self) -> None:
        """After a frame, with all hooks out: the blocks' own forwards are back."""
        self._restore()
        self._calm += 1
        if time.perf_counter() - self._begun > SLOW:
            self._next = None
        self._begun = 0.0

    def learn(self) -> None:
        """Between two frames, with the device held: one block that had no graph gets it."""
        if self._next is not None:
            (name, given), self._next = self._next, None
            self._trace(name, given)

    def _restore(self) -> None:
        for module in self._entered:
            module.__dict__.pop("forward", None)
        self._entered = {}

    def _hooks(self) -> list[bool]:
        """Which modules have hooks, kind after kind. Before a leaf there are always some."""
        known, tables = self._watched
        modules = self._capture.modules
        if known is not modules:
            kinds = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
            tables = [getattr(module, kind) for kind in kinds for _, module in modules]
            self._watched = modules, tables
        return list(map(bool, tables))

    def _choose(self) -> dict[nn.Module, Forward]:
        """The outermost blocks that ran, that nobody looks into and that can be traced."""
        names = [name for name, _ in self._capture.modules]
        hooked = {name for name, on in zip(names * 3, self._hooked, strict=True) if on and name}
        inside = {name.rsplit(".", n)[0] for name in hooked for n in range(1, name.count(".") + 1)}
        if hooked:
            inside.add("")
        chosen: dict[nn.Module, Forward] = {}
        parents: list[str] = []
        for name, module in self._capture.modules:
            if any(name.startswith(parent) for parent in parents):
                continue
            if name in self._capture.seen and name not in inside and self._may(name, module):
                chosen[module] = self._player(name, module)
                parents.append(f"{name}." if name else "")
        return chosen

    def _may(self, name: str, module: nn.Module) -> bool:
        return (
            name not in self.failed
            and "forward" not in vars(module)
            and next(module.children(), None) is not None
            and not any(isinstance(m, torch.jit.ScriptModule) for m in module.modules())
        )

    def _player(self, name: str, module: nn.Module) -> Forward:
        own = module.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            if kwargs or not all(isinstance(x, Tensor) and not x.requires_grad for x in args):
                return own(*args, **kwargs)
            graph = self._graphs.get((name, _signature(args)))
            if graph is None:
                if self._next is None and self._calm >= CALM and self._sizes(name) < MOST:
                    self._next = name, _copies(args)
                return own(*args)
            self._capture.enter(module, args)
            return graph(*args)

        return forward

    def _sizes(self, name: str) -> int:
        return sum(known == name for known, _ in self._graphs)

    def _trace(self, name: str, given: Tensors) -> None:
        """Make the graph, if it is sure to do what the block does."""
        module = self._capture.network.get_submodule(name)
        try:
            graph = _graph_of(module, given)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the block runs as it is
            self.failed[name] = f"{type(error).__name__}: {error}"
            self._hooked = []  # its children may be blocks
            return
        self._graphs[(name, _signature(given))] = graph


def _graph_of(module: nn.Module, given: Tensors) -> Callable[..., Tensor]:
    """The block as a graph.

    Raises:
        TypeError: it keeps something, branches by values, or gives other than one tensor.
        ValueError: it is random, or the graph is wrong.
    """
    with (
        torch.no_grad(),
        torch.random.fork_rng(()),
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always")
        before = list(_state(module))
        expected = module(*_copies(given))
        if not isinstance(expected, Tensor):
            raise TypeError("it returns more than one tensor")
        if list(_state(module)) != before:
            raise TypeError("it keeps something from call to call")
        graph: Callable[..., Tensor] = torch.jit.trace(  # type: ignore[no-untyped-call]
            module, _copies(given), check_trace=False
        )
        for warning in told:
            if issubclass(warning.category, TRACER) and not _of_sizes(warning):
                raise TypeError(f"it branches by values: {warning.message}")
        if not torch.equal(graph(*_copies(given)), expected):
            raise ValueError("its graph computes something else")
    return graph


def _of_sizes(warning: warnings.WarningMessage) -> bool:
    """Whether tracing doubts only what is fixed by the sizes; torch's own checks are of no more."""
    lies_in_torch = Path(warning.filename).is_relative_to(TORCH)
    return lies_in_torch or SIZES.match(str(warning.message)) is not None


def _copies(given: Tensors) -> Tensors:
    """What a block may write into."""
    return tuple(x.detach().clone() for x in given)


def _signature(given: Tensors) -> Signature:
    """All of the inputs but their values: a graph holds for these sizes only."""
    return tuple((x.shape, x.stride(), x.dtype, x.device) for x in given)


def _state(module: nn.Module) -> Iterator[tuple[Any, ...]]:
    """What a call might leave behind in a module: attributes, lengths of lists, writes in place."""
    for part in module.modules():
        for key, value in vars(part).items():
            grows = isinstance(value, Sized) and not isinstance(value, Tensor)
            yield id(value), key, len(value) if grows else 0
        for tensor in (*part._parameters.values(), *part._buffers.values()):
            if tensor is not None:
                yield id(tensor), tensor._version
