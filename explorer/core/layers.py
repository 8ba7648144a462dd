"""The module tree of a network, as the window and `layerscope layers` show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from explorer.core.capture import Seen


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the module tree; shape and called are known after the first run.

    ``runs`` is False of a list of modules, which has no forward of its own: nothing calls it, and
    there is nothing to say about that.
    """

    name: str
    kind: str
    parameters: int
    shape: tuple[int, ...] | None
    depth: int
    leaf: bool
    called: bool | None
    calls: int = 0
    runs: bool = True


def tree_of(modules: Sequence[tuple[str, nn.Module]]) -> list[Layer]:
    """Every module but the root, in order of definition, before the first run."""
    return [
        Layer(
            name, type(module).__name__, sum(p.numel() for p in module.parameters()), None,
            name.count("."), next(module.children(), None) is None, None,
            runs=type(module).forward is not nn.Module.forward or "forward" in vars(module),
        )
        for name, module in modules
        if name
    ]  # fmt: skip


def layers_of(tree: Sequence[Layer], seen: Mapping[str, Seen]) -> list[Layer]:
    """The tree with what a sweep has noted in ``seen``."""
    rows = []
    for row in tree:
        note = seen.get(row.name)
        shape, calls = (note.shape, note.calls) if note else (None, 0)
        called = (note is not None) if seen and row.runs else None
        rows.append(replace(row, shape=shape, called=called, calls=calls))
    return rows
