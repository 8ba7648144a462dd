"""How the training of a detector went: terms of the loss and AP, as curves of bounded length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from explorer.api import Artefact, Curve

POINTS = 1000  # of a curve of losses; neighbours are averaged beyond


@dataclass(slots=True)
class History:
    """A curve of bounded length; ``values`` are means over ``stride`` steps each."""

    values: list[float] = field(default_factory=list)
    stride: int = 1
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Take in the value of one more step."""
        self.total += value
        self.count += 1
        if self.count == self.stride:
            self.values.append(self.total / self.stride)
            self.total, self.count = 0.0, 0
        if len(self.values) == POINTS:
            pairs = zip(self.values[::2], self.values[1::2], strict=True)
            self.values = [(a + b) / 2 for a, b in pairs]
            self.stride *= 2


@dataclass(slots=True)
class Log:
    """How a training went: every term of the loss, and (step, AP, AP at 0.5, AP at 0.75)."""

    terms: dict[str, History] = field(default_factory=dict)
    measured: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Note the loss of one step."""
        for name, value in terms.items():
            self.terms.setdefault(name, History()).add(float(value.detach()))

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        terms = {
            name: {"values": h.values, "stride": h.stride, "total": h.total, "count": h.count}
            for name, h in self.terms.items()
        }
        return {"terms": terms, "measured": [list(row) for row in self.measured]}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Log:
        """The reverse of `state`."""
        terms = {
            name: History(list(h["values"]), h["stride"], h["total"], h["count"])
            for name, h in state["terms"].items()
        }
        return cls(terms, [tuple(map(float, row)) for row in state["measured"]])

    def curves(self, step: int) -> Iterator[Artefact]:
        """The training so far."""
        lines = [h.values or [h.total / max(h.count, 1)] for h in self.terms.values()]
        stride = next(iter(self.terms.values())).stride
        x = stride * np.arange(1, len(lines[0]) + 1)
        losses = np.array([np.sum(lines, 0), *lines], np.float32)
        yield Curve("training/loss", x, losses, series=("sum", *self.terms), log=True, step=step,
                    note=f"each batch, mean of {stride} steps a point")  # fmt: skip
        if self.measured:
            at, *y = np.array(self.measured, np.float64).T
            yield Curve(
                "training/AP", at, np.nan_to_num(np.stack(y)).astype(np.float32),
                series=("0.5 to 0.95", "at IoU 0.5", "at IoU 0.75"), step=step,
                note=f"held-out scenes, COCO's rule: {y[1][-1]:.3f} at IoU 0.5",
            )  # fmt: skip

    def score(self) -> dict[str, float]:
        """The newest figures by name."""
        if not self.measured:
            return {}
        return dict(zip(("AP", "AP50", "AP75"), self.measured[-1][1:], strict=True))
