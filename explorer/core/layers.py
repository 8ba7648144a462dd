"""The module tree of a network, as the window and `layerscope layers` show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from explorer.core.capture import Seen


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the module tree; shape and called are known after the first run."""

    name: str
    kind: str
    parameters: int
    shape: tuple[int, ...] | None
    depth: int
    leaf: bool
    called: bool | None
    calls: int = 0


def tree_of(modules: Sequence[tuple[str, nn.Module]]) -> list[Layer]:
    """Every module but the root, in order of definition, before the first run."""
    return [
        Layer(
            name, type(module).__name__, sum(p.numel() for p in module.parameters()), None,
            name.count("."), next(module.children(), None) is None, None,
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
        called = (note is not None) if seen else None
        rows.append(
            Layer(row.name, row.kind, row.parameters, shape, row.depth, row.leaf, called, calls)
        )
    return rows
