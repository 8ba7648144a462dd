"""What a benchmark is told and what it says: one line of JSON."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
HOLDS: Mapping[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure, and where.

    Attributes:
        device: cpu or cuda[:n].
        tiny: just enough to see that all parts work; the figures mean nothing.
    """

    device: str = "cpu"
    tiny: bool = False

    def count(self, full: T, tiny: T) -> T:
        """``full``, or ``tiny`` when only the parts are tried."""
        return tiny if self.tiny else full


@dataclass(frozen=True, slots=True)
class Line:
    """One result.

    Attributes:
        goal: such as "<= 1.05", in ``unit``.
        peer: what others need for the same work in the same run; None for one that is not there.
        detail: further figures of the run, each named with its unit.
    """

    name: str
    value: float
    unit: str
    goal: str
    peer: Mapping[str, float | None] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """Peers that could not be measured."""
        return [name for name, value in self.peer.items() if value is None]

    @property
    def holds(self) -> bool:
        """Whether the goal is reached, with every peer measured."""
        sign, _, limit = self.goal.partition(" ")
        return HOLDS[sign](self.value, float(limit)) and not self.missing

    def json(self) -> str:
        """The line as it is printed."""
        record: dict[str, Any] = {
            "name": self.name,
            "value": rounded(self.value),
            "unit": self.unit,
            "goal": self.goal,
            "holds": self.holds,
        }
        if self.peer:
            record["peer"] = {k: None if v is None else rounded(v) for k, v in self.peer.items()}
        if self.missing:
            record["missing"] = self.missing
        if self.detail:
            record["detail"] = dict(self.detail)
        return json.dumps(record, ensure_ascii=False)


def rounded(value: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{value:.4g}")
