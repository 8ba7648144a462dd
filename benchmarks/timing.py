"""Clocks and paired medians: the machine may be shared, so each case stands beside its baseline."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Pairs:
    """Seconds of a baseline and of a case, measured one right after the other, again and again."""

    base: tuple[float, ...]
    case: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median of the ratios case / base."""
        return statistics.median(c / b for b, c in zip(self.base, self.case, strict=True))

    @property
    def base_ms(self) -> float:
        """Median of the baseline, ms."""
        return round(1e3 * statistics.median(self.base), 2)

    @property
    def case_ms(self) -> float:
        """Median of the case, ms."""
        return round(1e3 * statistics.median(self.case), 2)


def clock(device: str) -> Callable[[], float]:
    """Seconds of CPU of all threads of this process; on a GPU, of the wall once it is done."""
    if device.startswith("cuda"):

        def now() -> float:
            torch.cuda.synchronize(device)
            return time.perf_counter()

        return now
    return time.process_time


def clock_name(device: str) -> str:
    """What `clock` counts there."""
    return "wall" if device.startswith("cuda") else "CPU of all threads"


def paired(
    base: Callable[[], object], case: Callable[[], object], count: int, device: str = "cpu"
) -> Pairs:
    """Run base and case ``count`` times in turn, after one of each to warm up."""
    now = clock(device)
    base()
    case()
    pairs = []
    for _ in range(count):
        gc.collect()
        begun = now()
        base()
        middle = now()
        case()
        pairs.append((middle - begun, now() - middle))
    return Pairs(tuple(b for b, _ in pairs), tuple(c for _, c in pairs))


def median(values: Sequence[float]) -> float:
    """The median."""
    return float(statistics.median(values))


def quantile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all lie at or below."""
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])
