"""Descent on pixels with L-BFGS or Adam, under weights that may change at every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.style.objective import Evaluation, Weights

LINE_SEARCH = 25  # evaluations; with max_iter=1 the default of 1 would silently run no line search


class Settings(Weights, Protocol):
    """The knobs that the descent reads."""

    @property
    def optimiser(self) -> str:
        """``L-BFGS`` or ``Adam``."""

    @property
    def rate(self) -> float:
        """Learning rate of Adam."""


class Descent:
    """A canvas, its optimiser and its history.

    The canvas is never clamped between the steps: that would break the curvature pairs of L-BFGS.

    Attributes:
        canvas: (1, 3, H, W), RGB, [0, 1] for what can be displayed.
        gradient: at the canvas. ``grams``: of the canvas by layer. ``norms``: of each gradient.
        evaluations: forward and backward passes so far.
    """

    def __init__(self, objective: Callable[[Tensor, Settings], Evaluation], canvas: Tensor) -> None:
        self._objective = objective
        self.canvas = canvas.requires_grad_(True)
        self.gradient = torch.zeros_like(canvas)
        self.grams: dict[str, Tensor] = {}
        self.norms: list[float] = []
        self.evaluations = 0
        self._terms: list[dict[str, float]] = []
        self._key: tuple[Any, ...] = ()
        self._optimiser: torch.optim.Optimizer
        self._seen: list[tuple[Tensor, Tensor, Evaluation]] = []

    @property
    def finite(self) -> bool:
        """Whether the last loss was a number."""
        return math.isfinite(self._terms[-1]["total"])

    def look(self, knobs: Settings) -> None:
        """Evaluate the first canvas without moving it; the first step need not do so again."""
        self._follow(knobs)
        self.grams = self._evaluate(knobs).grams

    def move(self, objective: Callable[[Tensor, Settings], Evaluation], canvas: Tensor) -> None:
        """Go on with another loss from another canvas, whose size may differ.

        The history goes on; the optimiser begins anew, as its memory has the old shape.
        """
        self._objective = objective
        self.canvas = canvas.detach().requires_grad_(True)
        self._key = ()

    def step(self, knobs: Settings) -> None:
        """One iteration; a changed objective gets a new optimiser, as old curvature misleads it."""
        self._follow(knobs)
        if knobs.optimiser == "Adam":
            self._optimiser.param_groups[0]["lr"] = knobs.rate
        self._optimiser.step(lambda: float(self._evaluate(knobs).total))
        # Once more at the accepted canvas: for L-BFGS a look-up, as for its next first evaluation.
        evaluation = self._evaluate(knobs)
        assert self.canvas.grad is not None
        self.gradient = self.canvas.grad.clone()
        self._terms.append(evaluation.terms)
        self.norms.append(float(self.gradient.norm()))
        self.grams = evaluation.grams
        self._seen = self._seen[-1:]

    def history(self) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Names of the terms and their values (terms, steps)."""
        names = list(self._terms[-1])
        return names, np.array([[terms.get(n, np.nan) for terms in self._terms] for n in names])

    def _follow(self, knobs: Settings) -> None:
        key = (
            knobs.content, knobs.style, knobs.layers, knobs.content_block, knobs.style_block,
            knobs.smooth, knobs.reconstruct, knobs.optimiser, knobs.share, knobs.mask,
        )  # fmt: skip
        if key != self._key:
            self._key, self._seen = key, []
            self._optimiser = self._made(knobs)

    def _made(self, knobs: Settings) -> torch.optim.Optimizer:
        if knobs.optimiser == "Adam":
            return torch.optim.Adam([self.canvas], knobs.rate)
        return torch.optim.LBFGS(
            [self.canvas], max_iter=1, max_eval=LINE_SEARCH, history_size=30,
            tolerance_grad=0.0, tolerance_change=0.0, line_search_fn="strong_wolfe",
        )  # fmt: skip

    def _evaluate(self, knobs: Settings) -> Evaluation:
        """Loss and gradient at the canvas; remembered, as L-BFGS asks again where it stopped."""
        for at, gradient, evaluation in self._seen:
            if torch.equal(at, self.canvas):
                self.canvas.grad = gradient.clone()
                self._seen.append((at, gradient, evaluation))
                return evaluation
        evaluation = self._objective(self.canvas, knobs)
        (gradient,) = torch.autograd.grad(evaluation.total, self.canvas)
        self.evaluations += 1
        self.canvas.grad = gradient
        done = Evaluation(evaluation.total.detach(), evaluation.terms, evaluation.grams)
        self._seen.append((self.canvas.detach().clone(), gradient.clone(), done))
        return done
