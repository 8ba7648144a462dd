"""What a run will need, from a rehearsal with shapes alone: no values, no memory, no waiting.

The network's copy has fake parameters, so that a rehearsal changes nothing in the network itself.
"""

from __future__ import annotations

import copy
import logging
import textwrap
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    UnsupportedFakeTensorException,
)
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import FlopCounterMode

from explorer.core.stores.tensor_files import size_text
from explorer.core.studies.capacity import Speed

_VALUES_MATTER = (
    DataDependentOutputException, DynamicOutputShapeException, UnsupportedFakeTensorException,
    NotImplementedError,
)  # fmt: skip


class Unpredictable(RuntimeError):
    """Shapes alone do not tell: which part of the network, and why."""


class Misfit(RuntimeError):
    """The network refuses inputs of these shapes; what it said, and where."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What one pass takes.

    Attributes:
        parameters: bytes of parameters and buffers.
        activations: bytes of the most that intermediate results take at one time, inputs included.
        flops: floating-point operations (2 a multiplication and addition), by torch's own formulas.
        moved: bytes that operations read and write. ``operations``: how many there are.
        unknown: the part that could not be predicted, and why; the figures end before it.
    """

    parameters: int
    activations: int = 0
    flops: int = 0
    moved: int = 0
    operations: int = 0
    unknown: str = ""

    @property
    def memory(self) -> int:
        """Bytes in all."""
        return self.parameters + self.activations

    def text(self, speed: Speed) -> str:
        """One line for a person: ``needs about 98.1 MiB, about 0.04 s a frame (8.2 GFLOP)``."""
        if self.unknown:
            return f"needs more than {size_text(self.memory)}; {self.unknown}"
        seconds = speed.seconds(self.flops, self.moved, self.operations)
        return (
            f"needs about {size_text(self.memory)}, about {_seconds(seconds)} a frame "
            f"({_flops(self.flops)})"
        )


def _seconds(value: float) -> str:
    return f"{1e3 * value:.2g} ms" if value < 0.0995 else f"{value:.2g} s"


def _flops(count: int) -> str:
    value = float(count)
    for unit in ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"):
        if value < 1000 or unit == "TFLOP":
            return f"{value:.3g} {unit}"
        value /= 1000
    return ""


class Rehearsal:
    """A copy of a network whose tensors have shapes and no values.

    Args:
        network: any module, in the mode in which it will run; it is not changed.
        pause: called before every module of the copy; may raise to stop a rehearsal.

    Raises:
        Unpredictable: the network cannot be copied so.
    """

    def __init__(self, network: nn.Module, pause: Callable[[], object] = lambda: None) -> None:
        self.parameters = bytes_of(network)
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._inside: list[str] = []
        self.whole = False  # the last pass came to its end
        self.called: dict[
            str, int
        ] = {}  # modules in the order of their first call, in the last pass
        memo: dict[int, Any] = {}
        try:
            for module in network.modules():
                for owned in (module._parameters, module._buffers, vars(module)):
                    for value in owned.values():
                        if isinstance(value, Tensor):
                            memo.setdefault(id(value), self._fake(value))
            kept = list(memo.values())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of graphs that hold fake tensors themselves
                self._copy = copy.deepcopy(network, memo)
        except Exception as error:
            why = textwrap.shorten(line_of(error), 100, placeholder=" …")
            raise Unpredictable(f"it cannot be copied ({why})") from error
        self._known = {t.untyped_storage()._cdata for t in kept}
        for name, module in self._copy.named_modules():
            module.register_forward_pre_hook(self._entering(name, pause))
            module.register_forward_hook(self._leaving)

    def _fake(self, value: Tensor) -> Tensor:
        fake: Tensor = self._mode.from_tensor(value.detach().cpu())
        return nn.Parameter(fake, requires_grad=False) if isinstance(value, nn.Parameter) else fake

    def _entering(self, name: str, pause: Callable[[], object]) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any) -> None:
            pause()
            self._inside.append(name)
            self.called[name] = self.called.get(name, 0) + 1

        return hook

    def _leaving(self, module: nn.Module, args: Any, out: Any) -> None:
        self._inside.pop()

    def _where(self) -> str:
        """The innermost module that had been entered and not left."""
        return (self._inside[-1] if self._inside else "") or "the network itself"

    def __call__(
        self, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
    ) -> tuple[Any, Needs]:
        """What comes out, as fake tensors, and what the pass needs.

        Where values would matter, the figures are of what came before, and nothing comes out.

        Raises:
            Misfit: the network raised; these are not the shapes that it takes.
        """
        counter = FlopCounterMode(display=False)
        ledger = _Ledger(self._known)
        out, unknown, self.whole = None, "", False
        self._inside.clear()
        self.called.clear()
        try:
            with torch.no_grad(), _rehearsing(), self._mode, counter, ledger:
                given = tree_map(_shape_only, (list(args), dict(kwargs or {})))
                out = self._copy(*given[0], **given[1])
            self.whole = True
        except _VALUES_MATTER as error:
            unknown = f"{self._where()} could not be predicted: {_why(error)}"
        except Exception as error:
            if isinstance(error.__cause__, _VALUES_MATTER) or "FakeTensor" in str(error):
                unknown = f"{self._where()} could not be predicted: {line_of(error)}"
            else:
                raise Misfit(f"{self._where()}: {line_of(error)}") from error
        return out, Needs(
            self.parameters, ledger.peak, counter.get_total_flops(), ledger.moved,
            ledger.operations, unknown,
        )  # fmt: skip


@contextmanager
def _rehearsing() -> Iterator[None]:
    """Shapes that do not fit are an answer here, though torch would log a traceback of each; and
    attention goes step by step, because torch counts no operations of its fused form."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    level, fused = logger.level, torch.backends.mha.get_fastpath_enabled()
    logger.setLevel(logging.CRITICAL + 1)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        logger.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(fused)


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes that live and bytes that move, operation by operation."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self.moved = self.operations = 0
        self._live = 0
        self._known = known  # storages of parameters: counted already
        self._users: dict[int, int] = {}
        self._alive: dict[int, weakref.ref[Tensor]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        made = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
        taken = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        old = {_storage(t) for t in taken}
        if made and not func.is_view:
            self.operations += 1
            self.moved += sum(t.numel() * t.element_size() for t in (*taken, *made))
        for tensor in made:
            if _storage(tensor) not in old or _storage(tensor) in self._users:
                self._take(tensor)
        return out

    def _take(self, tensor: Tensor) -> None:
        key, me = _storage(tensor), id(tensor)
        if key in self._known or me in self._alive:
            return
        size = tensor.untyped_storage().nbytes()
        if not self._users.get(key):
            self._live += size
            self.peak = max(self.peak, self._live)
        self._users[key] = self._users.get(key, 0) + 1

        def gone(_: object) -> None:
            self._alive.pop(me, None)
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                self._live -= size

        self._alive[me] = weakref.ref(tensor, gone)


def bytes_of(network: nn.Module) -> int:
    """Bytes of all parameters and buffers, shared ones once."""
    tensors = {id(t): t for t in (*network.parameters(), *network.buffers())}
    return sum(t.numel() * t.element_size() for t in tensors.values() if not is_lazy(t))


def is_lazy(tensor: Tensor) -> bool:
    """Whether a parameter gets its shape only from the first input."""
    return isinstance(tensor, (UninitializedParameter, UninitializedBuffer))


def _shape_only(value: Any) -> Any:
    """A tensor's shape and type, inside the fake mode; anything else as it is."""
    return torch.empty(value.shape, dtype=value.dtype) if isinstance(value, Tensor) else value


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _why(error: Exception) -> str:
    if isinstance(error, UnsupportedFakeTensorException):
        return f"it has no shapes to go by ({line_of(error)})"
    return f"what it does depends on values ({line_of(error)})"


def line_of(error: BaseException) -> str:
    """The line of an exception that says most: of TorchScript's the last, else the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = bool(lines) and "TorchScript interpreter" in lines[0]
    return (lines or [type(error).__name__])[-1 if last else 0][:240]
