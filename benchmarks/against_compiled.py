"""An operation of ours beside torchvision's compiled one, on the same arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.compiled import ABSENT, compiled, median_seconds
from benchmarks.line import Effort, Line


@dataclass(frozen=True, slots=True)
class Case:
    """What is given to torchvision's ``operation``, and the same call of ours."""

    name: str
    operation: str
    given: Mapping[str, np.ndarray]
    ours: Callable[[], Tensor]


def compare(
    name: str, cases: Iterable[Case], effort: Effort, *, tolerance: float, repeats: int
) -> Line:
    """The worst ratio of all cases, 0 where nothing compiled is there to compare with.

    Raises:
        ValueError: the two do not give the same, to ``tolerance``.
    """
    torch.set_num_threads(1)
    detail: dict[str, Any] = {"clock": "CPU", "threads": 1}
    ratios: list[float] = []
    for case in cases:
        with torch.no_grad():
            seconds = median_seconds(case.ours, effort.count(repeats, 1))
            found = case.ours().numpy()
        entry = {"ours_ms": round(1e3 * seconds, 3)}
        theirs = compiled(case.operation, case.given, effort.count(repeats, 1))
        if theirs:
            if found.shape != theirs.found.shape or np.abs(found - theirs.found).max() > tolerance:
                raise ValueError(f"{name}, {case.name}: not what torchvision gives")
            ratios.append(seconds / theirs.seconds)
            entry |= {
                "compiled_ms": round(1e3 * theirs.seconds, 3), "ratio": round(ratios[-1], 2),
            }  # fmt: skip
            detail["torchvision"] = theirs.version
        detail[case.name] = entry
    if not ratios:
        detail = {"not_compared": ABSENT, **detail}
    return Line(
        name, max(ratios, default=0.0), "× torchvision's compiled kernel, the worst case", "<= 3",
        peer={"torchvision": 1.0 if ratios else None}, detail=detail,
    )  # fmt: skip
