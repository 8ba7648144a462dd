"""Programs in place of Python: exported ones are unflattened, scripted ones give outputs alone,
compiled ones run uncompiled, so that their layers can be seen."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explorer.engine import EngineError


@dataclass(frozen=True, slots=True)
class Signature:
    """One input after the other: name, shape (None: any), type, whether it is passed by name, and
    how many token ids there are (0: not known, or no tokens); shapes may be unknown."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int | None, ...] | None, ...]
    dtypes: tuple[torch.dtype | None, ...]
    keywords: tuple[bool, ...]
    ids: tuple[int, ...]


def opened_program(path: Path) -> nn.Module:
    """The modules of a torch.export program, with the names that they had.

    Old archives hold pickles that torch reads freely: opening one is running it.

    Raises:
        EngineError: it is no such program.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(path)
            network: nn.Module = torch.export.unflatten(program)
    except Exception as error:
        line = (str(error).splitlines() or [""])[0][:200]
        raise EngineError(
            f"{path.name} is no torch.export program ({type(error).__name__}: {line}); "
            "save one with torch.export.save(torch.export.export(model, (x,)), path)"
        ) from error
    vars(network)["layerscope_signature"] = _exported(program)
    # An unflattened program has no train or eval of its own; it is what it was when exported.
    vars(network)["train"] = lambda mode=True: network
    return network


def _exported(program: Any) -> Signature:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    names = [n for n in program.graph_signature.user_inputs if isinstance(n, str)]
    found = [values.get(name) for name in names]
    # The tree of the call: ((positional, ...), {keyword: ...}).
    keywords = tuple(program.call_spec.in_spec.child(1).context or ())
    first = len(names) - len(keywords)
    return Signature(
        tuple(keywords[i - first] if i >= first else name for i, name in enumerate(names)),
        tuple(_shape_of(v) for v in found),
        tuple(v.dtype if isinstance(v, Tensor) else None for v in found),
        tuple(i >= first for i in range(len(names))),
        tuple(_vocabulary(program, name) for name in names),
    )


def _vocabulary(program: Any, name: str) -> int:
    """Rows of the smallest table in which an input is looked up."""
    rows = [
        node.args[0].meta["val"].shape[0]
        for node in program.graph.nodes
        if node.target is torch.ops.aten.embedding.default and node.args[1].name == name
    ]
    return int(min(rows, default=0))


def _shape_of(value: Any) -> tuple[int | None, ...] | None:
    """Shape of an exported input; None for a size that may be any."""
    if not isinstance(value, Tensor):
        return None
    return tuple(n if isinstance(n, int) else None for n in value.shape)


class Opaque(nn.Module):
    """A module that no hook reaches, as one layer: its output can be seen and edited, no more."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        vars(self)["inside"] = (program,)  # in a tuple: no child, so nothing tries to hook it

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the program returns."""
        return self.inside[0](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattr__(name)
        return getattr(vars(self)["inside"][0], name)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self.inside[0]._apply(fn)
        return self

    def train(self, mode: bool = True) -> Any:
        """Also the program's mode; one that was frozen stays as it is."""
        with contextlib.suppress(RuntimeError, AttributeError):
            self.inside[0].train(mode)
        self.training = mode
        return self

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """Those of the program, so that they are counted."""
        found: Iterator[tuple[str, nn.Parameter]] = self.inside[0].named_parameters()
        return found

    def named_buffers(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Tensor]]:
        """Those of the program."""
        found: Iterator[tuple[str, Tensor]] = self.inside[0].named_buffers()
        return found


class Script(nn.Module):
    """A scripted or traced program: outputs only."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = Opaque(program)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the program returns."""
        return self.program(*args, **kwargs)


def opened_script(path: Path) -> nn.Module:
    """A TorchScript program. Its code is no Python, but it can read and write files: it is code.

    Raises:
        EngineError: it is damaged, or of a newer torch.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
            return Script(program)
    except Exception as error:
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise EngineError(
            f"{path.name} is a damaged TorchScript program ({line[:200]}); save it again with "
            "torch.jit.save"
        ) from error


def hookable(network: nn.Module) -> tuple[nn.Module, list[str]]:
    """The network in a form that can be hooked where there is one, and what to say of it."""
    remarks: list[str] = []
    if _is_script(network):
        network = Script(network)
    if isinstance(network, Script):
        remarks.append(
            "A TorchScript program cannot be hooked: its outputs are shown, its layers are not. "
            "Open the Python network, or a torch.export program (.pt2), to see them"
        )
        return network, remarks
    inner = getattr(network, "_orig_mod", None)
    compiled = isinstance(inner, nn.Module)
    if isinstance(inner, nn.Module):
        network = inner
    sealed = []
    for name, module in list(network.named_modules()):
        if vars(module).get("_compiled_call_impl") is not None:
            vars(module)["_compiled_call_impl"] = None
            compiled = True
        for child_name, child in list(module.named_children()):
            original = getattr(child, "_orig_mod", None)
            if isinstance(original, nn.Module):
                setattr(module, child_name, original)
                compiled = True
            elif _is_script(child) and not isinstance(module, torch.jit.ScriptModule):
                setattr(module, child_name, Opaque(child))
                sealed.append(f"{name}.{child_name}".lstrip("."))
    if compiled:
        remarks.append("Compiled with torch.compile: it runs uncompiled, so that hooks see layers")
    if sealed:
        remarks.append(
            f"{', '.join(sealed[:4])} {'is' if len(sealed) == 1 else 'are'} TorchScript and cannot "
            "be hooked: what comes out is shown, what is inside is not"
        )
    kinds = {type(m).__module__ for m in network.modules()}
    if any(".quantized" in kind for kind in kinds):
        remarks.append(
            "Quantised layers: their outputs are shown as the numbers they stand for; gradients "
            "do not pass them"
        )
    return network, remarks


def _is_script(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule)
