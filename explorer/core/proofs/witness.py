"""What a run does with a network: the calls from outside, what enters, what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from explorer.core.capture import first_tensor
from explorer.core.proofs.proof_text import Feed, ProofError
from explorer.core.session import Session
from explorer.editing import Edit
from explorer.engine import prepared_from
from explorer.views import Frame, Rendered

Values = npt.NDArray[Any]


@dataclass(slots=True)
class Call:
    """One call of a module by the engine itself, from outside the network."""

    module: str
    args: tuple[Any, ...]
    keywords: dict[str, Any]


@dataclass(slots=True)
class Witness:
    """What a run did with the network: calls from outside, the picture that entered, axes."""

    network: nn.Module
    depth: int = 0
    call: Call | None = None
    calls: dict[str, Call] = field(default_factory=dict)  # by point that ran within
    behind: dict[str, Call] = field(default_factory=dict)  # the same, behind the pictures taken
    axes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    picture: Any = None
    drawn: dict[int, tuple[Rendered, Values, dict[str, Call]]] = field(default_factory=dict)
    rendered: dict[str, Rendered] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)

    @contextmanager
    def watching(self, session: Session) -> Iterator[None]:
        """Hooks on every module, gone afterwards; the values behind each picture are kept, because
        an engine is one step ahead when a step is handed out."""
        handles = []
        draw = session.capture.rendered

        def drawn(run: int, frame: int, edits: Sequence[Edit]) -> tuple[Rendered, ...]:
            pictures = draw(run, frame, edits)
            for picture in pictures:
                read = session.read(picture.handle)
                self.drawn[id(picture)] = (picture, read, dict(self.calls))
            return pictures

        session.capture.rendered = drawn  # type: ignore[method-assign]
        try:
            for name, module in self.network.named_modules():
                before, after = self._before(name), self._after(name)
                handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
                handles.append(module.register_forward_hook(after, always_call=True))
            yield
        finally:
            session.capture.rendered = draw  # type: ignore[method-assign]
            for handle in handles:
                handle.remove()

    def take(self, frame: Frame) -> None:
        """A step was handed out: its pictures, their values, and the calls behind them."""
        for shown in frame.rendered:
            point = shown.view.point
            taken = self.drawn.pop(id(shown))
            self.rendered[point], self.values[point], self.behind = taken

    def feeds(self, points: Sequence[str]) -> Iterator[tuple[Feed, dict[str, Values]]]:
        """Ways to repeat it: the whole network on the picture, then the engine's own call."""
        if self.picture is not None:
            pixels, how = self.picture
            feed = Feed("", how, pixels.shape[:2], ('prepared(tensor("pixels"))',))
            yield feed, {"pixels": np.array(pixels, order="C")}
        call = self.behind.get(points[0])
        if call is not None and all(self.behind.get(p) is call for p in points):
            arrays: dict[str, Values] = {}
            write = Writer(arrays)
            args = tuple(write(value) for value in call.args)
            keywords = {name: write(value) for name, value in call.keywords.items()}
            yield (
                Feed(call.module, args=args, keywords=keywords, imports=tuple(write.imports)),
                arrays,
            )

    def _before(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, keywords: Any) -> None:
            if self.depth == 0:
                self.call = Call(name, _copied(args), _copied(keywords))
            self.depth += 1
            x = args[0] if args else None
            if isinstance(x, Tensor):
                self.picture = prepared_from(x) or self.picture

        return hook

    def _after(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            self.depth -= 1
            x = first_tensor(out)
            if x is not None and self.call is not None:
                self.calls[name] = self.call
                self.axes[name] = tuple(x.shape)

        return hook


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone(memory_format=torch.preserve_format)
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if type(value) in (tuple, list):
        return tuple(map(_copied, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _copied(getattr(value, f.name)) for f in _given(value)})
    return value


def _given(value: Any) -> list[Any]:
    """Fields that a dataclass takes when it is made."""
    return [f for f in fields(value) if f.init]


class Writer:
    """Arguments as Python; their tensors go into ``arrays``, what they import into ``imports``."""

    def __init__(self, arrays: dict[str, Values]) -> None:
        self.arrays = arrays
        self.imports: dict[str, None] = {}

    def __call__(self, value: Any) -> str:
        """One argument.

        Raises:
            ProofError: it is an object that cannot be written down.
        """
        if isinstance(value, Tensor):
            return self._tensor(value)
        if type(value) in (tuple, list):
            return "(" + "".join(f"{self(part)}, " for part in value) + ")"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k!r}: {self(v)}" for k, v in value.items()) + "}"
        if value is None or isinstance(value, bool | int | float | str):
            return repr(value)
        cls = type(value)
        if is_dataclass(value) and "." not in cls.__qualname__:
            self.imports[f"from {cls.__module__} import {cls.__name__}"] = None
            parts = (f"{f.name}={self(getattr(value, f.name))}" for f in _given(value))
            return f"{cls.__name__}({', '.join(parts)})"
        raise ProofError(f"the network was given a {cls.__name__}, which no program can repeat")

    def _tensor(self, value: Tensor) -> str:
        if value.dtype not in _NUMPY:
            raise ProofError(f"an input of type {value.dtype} has no place in an NPZ")
        name = f"arg{len(self.arrays)}"
        self.arrays[name] = value.cpu().numpy()
        plain = value.is_contiguous() or value.ndim != 4
        return f'tensor("{name}")' + ("" if plain else ".to(memory_format=torch.channels_last)")


_NUMPY = {
    torch.float32, torch.float64, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.complex128,
}  # fmt: skip
