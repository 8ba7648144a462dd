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


def innermost(layers: Sequence[Layer]) -> list[Layer]:
    """Modules that ran (or may run) and inside which no other did: what a pass is made of.

    Attention modules, for one, use their children's weights and never call them.
    """
    running = {layer.name for layer in layers if layer.called is not False}
    outer = {
        name.rsplit(".", depth)[0] for name in running for depth in range(1, name.count(".") + 1)
    }
    return [layer for layer in layers if layer.name in running - outer]
