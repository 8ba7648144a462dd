"""Where a number lies on a slider, linear or logarithmic, and back, without losing its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from explorer.params import Knob

FINE = 1000
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Track:
    """A slider of ``positions`` + 1 places from ``low`` to ``high``.

    A logarithmic track that starts at 0 or below has ``low`` at its first place and covers four
    decades below ``high`` with the others.
    """

    low: float
    high: float
    step: float
    log: bool
    whole: bool
    positions: int

    @classmethod
    def of(cls, knob: Knob) -> Track | None:
        """The track of a number knob, or None where a bound is missing."""
        if knob.low is None or knob.high is None or knob.high <= knob.low:
            return None
        whole = knob.kind in ("integer", "seed")
        step = knob.step or (1.0 if whole else 0.0)
        span = knob.high - knob.low
        count = round(span / step) if step and not knob.log else FINE
        positions = count if 1 <= count <= MOST else FINE
        return cls(knob.low, knob.high, step, knob.log, whole, positions)

    @property
    def _floor(self) -> float:
        return self.low if self.low > 0 else self.high * 1e-4

    def value(self, position: int) -> float:
        """The number at a place, on a step, inside the bounds."""
        share = position / self.positions
        if position <= 0:
            return self._tidy(self.low)
        if position >= self.positions:
            return self._tidy(self.high)
        if self.log and self.high > 0:
            low, high = math.log(self._floor), math.log(self.high)
            raw = math.exp(low + share * (high - low))
            return self._tidy(raw if self.whole else _significant(raw, 3))
        raw = self.low + share * (self.high - self.low)
        if self.step:
            raw = self.low + round((raw - self.low) / self.step) * self.step
        return self._tidy(raw)

    def position(self, value: float) -> int:
        """The place nearest to ``value``."""
        value = min(max(value, self.low), self.high)
        if self.log and self.high > 0:
            if value <= self._floor:
                return 0
            # Differences of logarithms: the quotient of a tiny floor overflows.
            low, high = math.log(self._floor), math.log(self.high)
            share = (math.log(value) - low) / (high - low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(share * self.positions)

    def _tidy(self, value: float) -> float:
        # 3 * 0.1 would show as 0.30000000000000004; rounding must not leave the bounds.
        tidy = float(round(value)) if self.whole else _significant(value, 10)
        return min(max(tidy, self.low), self.high)


def _significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def nudged(value: float, steps: int, knob: Knob) -> float:
    """``value`` after so many presses of an arrow key, inside the bounds of ``knob``."""
    if knob.kind in ("integer", "seed"):
        moved: float = round(value) + steps * max(1, round(knob.step or 1))
    elif knob.log and value > 0:
        moved = _significant(value * 1.1**steps, 4)
    else:
        span = 1.0 if knob.low is None or knob.high is None else knob.high - knob.low
        moved = _significant(value + steps * (knob.step or span / 100), 10)
    low = -math.inf if knob.low is None else knob.low
    high = math.inf if knob.high is None else knob.high
    return min(max(moved, low), high)


def number_text(value: float) -> str:
    """A number as fields show it: at most six digits that count, a true minus sign."""
    if value == int(value) and abs(value) < 1e15:
        text = str(int(value))
    else:
        text = f"{value:.6g}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def plain(text: str) -> str:
    """What a person typed, as Python reads numbers: the true minus becomes a hyphen."""
    return text.replace("−", "-").strip()
