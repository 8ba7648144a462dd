"""Which module's output goes into which other module alone: watched while a network runs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle


@dataclasses.dataclass(slots=True)
class _Note:
    """One output of a module: who returned it, which modules and how many functions took it."""

    name: str
    names: set[str]
    fed: list[str] = dataclasses.field(default_factory=list)
    uses: int = 0


class Follower(TorchFunctionMode):
    """While it is on, follows outputs of modules of a network through all that takes them.

    Args:
        kinds: of the modules whose outputs are followed; they return a tensor of their own.
    """

    def __init__(self, network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> None:
        super().__init__()
        self._network = network
        self._kinds = kinds
        self._notes: dict[str, list[_Note]] = {}
        self._calls: Counter[str] = Counter()
        self._handles: list[RemovableHandle] = []

    @property
    def names(self) -> dict[str, set[str]]:
        """Of each module all those that return the very same output."""
        return {name: set().union(*(m.names for m in made)) for name, made in self._notes.items()}

    def edges(self) -> Iterator[tuple[str, str]]:
        """(module, the one that its outputs go into, and which gets nothing else)."""
        for name, made in self._notes.items():
            fed = {m.fed[0] if len(m.fed) == m.uses == 1 else "" for m in made}
            after = fed.pop()
            if after and not fed and self._calls[after] == len(made):
                yield name, after

    def __enter__(self) -> Follower:
        for name, module in self._network.named_modules():
            if "forward" not in vars(module):
                before, after = partial(self._before, name), partial(self._after, name)
                self._handles.append(module.register_forward_pre_hook(before))
                self._handles.append(module.register_forward_hook(after))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Count a use of each tensor that is followed."""
        if func not in _HARMLESS:
            for made in _notes_on([*args, *(kwargs or {}).values()]):
                made.uses += 1
        return func(*args, **(kwargs or {}))

    def _before(self, name: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._calls[name] += 1
        if len(args) == 1 and not module._modules:
            for made in _notes_on(args[0]):
                made.fed.append(name)

    def _after(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            for made in _notes_on(output):
                made.uses += 1  # who gets it may keep it
        elif isinstance(module, self._kinds):
            made = _Note(name, {name})
            self._notes.setdefault(name, []).append(made)
            output.layerscope_note = made  # type: ignore[attr-defined]
        elif not module._modules:  # what worked in place has made something else of it
            output.layerscope_note = None  # type: ignore[attr-defined]
        else:
            for made in _notes_on(output):
                made.names.add(name)


def _notes_on(value: Any) -> Iterator[_Note]:
    """The notes on the tensors that a value is or holds, in sequences, mappings and dataclasses."""
    if isinstance(value, Tensor):
        made: _Note | None = getattr(value, "layerscope_note", None)
        if made is not None:
            yield made
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _notes_on(each)
    elif isinstance(value, Mapping):
        yield from _notes_on(list(value.values()))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _notes_on([getattr(value, field.name) for field in dataclasses.fields(value)])


_TOLD = ("shape", "device", "dtype", "ndim", "requires_grad")  # without a look at the values
_HARMLESS = {Tensor.size, Tensor.dim, *(getattr(Tensor, name).__get__ for name in _TOLD)}
