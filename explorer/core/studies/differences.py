"""How far two passes are apart, layer by layer, without keeping both of them.

What A returns is kept until B comes by the same layer, up to a cap; layers beyond it are compared
in the next pair of passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from explorer.core.capture import first_tensor
from explorer.core.studies.thumbnails import real
from explorer.views import LayerDifference

CAP = 512 * 2**20  # bytes of the first network's outputs that are kept at a time
Measure = Literal["relative", "largest", "angle"]


@dataclass(frozen=True, slots=True)
class Distance:
    """How far apart two tensors are, in float64.

    Attributes:
        largest: max |a - b|. ``relative``: ||a - b|| / ||a||. ``cosine``: a·b / (||a|| ||b||).
        lonely: places where one is finite and the other is not, or both are not and differ; the
            other numbers leave out what is not finite.
    """

    largest: float
    relative: float
    cosine: float
    lonely: int = 0

    def by(self, measure: Measure) -> float:
        """The number that a threshold is held against; anything lonely is beyond all."""
        if self.lonely:
            return math.inf
        return 1.0 - self.cosine if measure == "angle" else float(getattr(self, measure))


def distance(a: Tensor, b: Tensor) -> Distance:
    """Compare two tensors of one shape; two empty ones are equal.

    Two zeros have relative distance 0 and cosine 1; a zero and something else, infinity and 0.
    """
    a, b = real(a).reshape(-1), real(b).reshape(-1).to(a.device)
    lonely = 0
    if not bool(((a - b).sum()).isfinite()):
        both = a.isfinite() & b.isfinite()
        same = (a == b) | (a.isnan() & b.isnan())
        lonely = int((~both & ~same).sum())
        a, b = a[both], b[both]
    if not a.numel():
        return Distance(0.0, 0.0, 1.0, lonely)
    a, b = a.double(), b.double()
    apart = a - b
    numbers = torch.stack([apart.abs().max(), apart.norm(), a.norm(), b.norm(), a @ b]).tolist()
    largest, norm, norm_a, norm_b, dot = numbers
    relative = norm / norm_a if norm_a else (math.inf if norm else 0.0)
    cosine = dot / (norm_a * norm_b) if norm_a and norm_b else float(norm_a == norm_b)
    return Distance(largest, relative, min(1.0, max(-1.0, cosine)), lonely)


@dataclass(slots=True)
class _Compared:
    """What is known of one layer: how it was in A, and how far B was from it, over all calls."""

    kind: str
    shape: tuple[int, ...]
    calls: int = 0
    found: list[Distance] = field(default_factory=list)
    note: str = ""


class Comparison:
    """Readers for two networks that run one after the other on one frame.

    `begin`, then A's pass through `keep`, then B's pass through `compare`, then `end`; `rows` then
    tells of every layer in the order in which A ran, those of earlier frames included where this
    one had no room for them.
    """

    def __init__(self, cap: int = CAP) -> None:
        self.cap = cap
        self.bytes = 0  # kept now
        self.most = 0  # kept at any time
        self._kept: dict[str, list[Tensor]] = {}
        self._now: dict[str, _Compared] = {}
        self._known: dict[str, _Compared] = {}
        self._late: dict[str, None] = {}  # had no room in this pass
        self._again: dict[
            str, None
        ] = {}  # had none in the pass before: these alone have their turn
        self._next: dict[str, None] = {}
        self._calls: dict[str, int] = {}
        self._tail: dict[str, tuple[str, tuple[int, ...]]] = {}
        self._lonely: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.expected: frozenset[str] = frozenset()  # layers that A has, whether they run or not

    @property
    def waiting(self) -> tuple[str, ...]:
        """Layers for which there was no room: another pair of passes compares them."""
        return tuple(self._next)

    @property
    def names(self) -> tuple[str, ...]:
        """Layers that A has run so far in this pass."""
        return tuple(self._now)

    def begin(self) -> None:
        """Before A's pass."""
        self._kept, self._now, self._calls, self._tail = {}, {}, {}, {}
        self._again, self._late = self._next, {}
        self.bytes = 0

    def keep(self, name: str, module: nn.Module, out: Any) -> None:
        """In A's hook: keep a copy while there is room, or leave the layer for the next time."""
        x = first_tensor(out)
        if x is None:
            return
        noted = self._now.get(name)
        if noted is None:
            noted = self._now[name] = _Compared(type(module).__name__, tuple(x.shape))
        noted.calls += 1
        if self._again and name not in self._again:
            return
        if name in self._late or self.bytes + x.nbytes > max(self.cap, x.nbytes):
            self._late[name] = None
            self._drop(name)
            return
        self._kept.setdefault(name, []).append(x.detach().clone())
        self.bytes += x.nbytes
        self.most = max(self.most, self.bytes)

    def compare(self, name: str, module: nn.Module, out: Any) -> None:
        """In B's hook: compare with what A returned at the same call, and let go of it."""
        x = first_tensor(out)
        if x is None:
            return
        call = self._calls[name] = self._calls.get(name, 0) + 1
        noted = self._now.get(name)
        if noted is None:
            if name in self.expected:  # A took its output from an earlier run
                return
            self._tail[name] = (type(module).__name__, tuple(x.shape))
            return
        waiting = self._kept.get(name)
        if not waiting:
            if name not in self._late and not (self._again and name not in self._again):
                noted.note = f"called {noted.calls} times in the first, more often in the second"
            return
        a = waiting.pop(0)
        self.bytes -= a.nbytes
        if a.shape != x.shape:
            noted.note = f"{_size(a.shape)} and {_size(x.shape)}: no numbers"
        else:
            noted.found.append(distance(a, x))
        if call == noted.calls:
            self._kept.pop(name)

    def end(self) -> None:
        """After B's pass: say what B did not do, and put the new numbers in the old ones' place."""
        for name in self._kept:
            noted = self._now[name]
            times = self._calls.get(name, 0)
            noted.note = noted.note or (
                f"called {noted.calls} times in the first, {times} in the second"
                if times
                else "not in the second"
            )
        self._kept, self.bytes = {}, 0
        for name, noted in self._now.items():
            old = self._known.get(name)
            skipped = name in self._late or (self._again and name not in self._again)
            if skipped and old is not None and (old.found or old.note):
                self._now[name] = old
            elif skipped:
                noted.note = "compared in the next pass"
        self._next = self._late
        self._known, self._lonely = self._now, self._tail
        self._now = {}

    def rows(self, threshold: float, measure: Measure = "relative") -> list[LayerDifference]:
        """Every layer in the order in which A ran, then those that only B has."""
        rows = []
        for name, noted in self._known.items():
            worst = max(noted.found, key=lambda d: d.by(measure), default=None)
            if worst is None:
                nan = math.nan
                rows.append(
                    LayerDifference(name, noted.kind, noted.shape, nan, nan, nan, note=noted.note)
                )
                continue
            note = noted.note or (f"{worst.lonely} not finite in one alone" if worst.lonely else "")
            rows.append(
                LayerDifference(
                    name, noted.kind, noted.shape, worst.largest, worst.relative, worst.cosine,
                    worst.by(measure) > threshold, note,
                )
            )  # fmt: skip
        nan = math.nan
        rows += [
            LayerDifference(name, kind, shape, nan, nan, nan, note="not in the first")
            for name, (kind, shape) in self._lonely.items()
        ]
        return rows

    def _drop(self, name: str) -> None:
        for x in self._kept.pop(name, ()):
            self.bytes -= x.nbytes


def first_parting(rows: Iterable[LayerDifference]) -> LayerDifference | None:
    """The first layer beyond the threshold, in the order of the pass."""
    return next((row for row in rows if row.parted), None)


def _size(shape: Iterable[int]) -> str:
    return " × ".join(map(str, shape))
