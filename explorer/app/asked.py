"""What a command line asks of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from explorer.views import Edit


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command line wants beyond engine and inputs; it counts for the first engine opened."""

    knobs: Mapping[str, Any] = field(default_factory=dict)
    points: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()
