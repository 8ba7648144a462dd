"""The module tree of a network, as the window and `layerscope layers` show it."""

from __future__ import annotations

from collections.abc import Mapping
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


def layers_of(network: nn.Module, seen: Mapping[str, Seen]) -> list[Layer]:
    """Every module but the root, in order of definition; ``seen`` is what a sweep noted."""
    rows = []
    for name, module in network.named_modules():
        if not name:
            continue
        note = seen.get(name)
        rows.append(
            Layer(
                name,
                type(module).__name__,
                sum(p.numel() for p in module.parameters()),
                note.shape if note else None,
                name.count("."),
                next(module.children(), None) is None,
                (note is not None) if seen else None,
                note.calls if note else 0,
            )
        )
    return rows
