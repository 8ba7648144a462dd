"""Where the ticks of an axis stand, so that their labels never touch, and what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from explorer.panels.wording import MINUS, number_text

MANTISSAS = ((1, 2, 5), (1, 3), (1,))  # of labelled ticks in a decade, densest first
MINORS = 60  # more unlabelled ticks than this are noise


def ticks(low: float, high: float, count: int) -> list[float]:
    """About ``count`` round numbers from low to high, zero among them when it lies inside."""
    step = round_step(low, high, count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def round_step(low: float, high: float, count: int) -> float:
    """1, 2, 2.5 or 5 times a power of ten, the least that makes at most ``count`` steps."""
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)


def labels(places: Sequence[float]) -> list[str]:
    """The places as numbers, all with the same decimals."""
    top = max((abs(v) for v in places), default=0.0)
    step = min((b - a for a, b in pairwise(places)), default=0.0)
    if not 1e-4 <= top < 1e6 or step <= 0:
        return [number_text(v, 4) for v in places]
    decimals = next(
        (d for d in range(8) if abs(step * 10**d - round(step * 10**d)) < 1e-6 * step * 10**d), 8
    )
    return [f"{v + 0.0:.{decimals}f}".replace("-", MINUS) for v in places]


def log_ticks(low: float, high: float, apart: float) -> tuple[list[float], list[float]]:
    """Labelled and bare ticks, in base 10 logarithms; labelled ones are at least ``apart``.

    Within a decade these are round numbers of the values, not of their logarithms.
    """
    if not high > low or high - low > 600 or max(abs(low), abs(high)) > 300:
        return [low], []
    decades = range(math.floor(low), math.ceil(high) + 1)
    choices = [[k + math.log10(m) for k in decades for m in few] for few in MANTISSAS]
    choices += [[float(k) for k in decades if k % n == 0] for n in (2, 3, 5, 10, 20, 50, 100)]
    if high - low < 1.2:  # few of those lie inside
        spans = (ticks(10.0**low, 10.0**high, n) for n in (6, 5, 4, 3, 2, 1))
        choices = [[math.log10(v) for v in span if v > 0] for span in spans] + choices
    inside = [[v for v in choice if low <= v <= high] for choice in choices]
    fit = [c for c in inside if all(b - a >= apart for a, b in pairwise(c))]
    labelled = max(fit, key=len, default=[])
    minor = [k + math.log10(m) for k in decades for m in range(1, 10)]
    minor = [v for v in minor if low <= v <= high and v not in labelled]
    return labelled, minor if len(minor) <= MINORS else []
