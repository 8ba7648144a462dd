"""Gram matrices of one layer side by side, and their eigenvalues, for a person to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from explorer.api import Artefact, Curve, Matrix, unit_order

MOST = 64  # units in a spectrum: its cost grows with their cube
FLOOR = 1e-6  # of the style's largest eigenvalue; below it float32 holds only rounding


class GramViews:
    """Matrices and spectra of the canvas beside those of style and content.

    Args:
        style, content: Gram matrices (C, C) by layer, per position.
    """

    def __init__(self, style: Mapping[str, Tensor], content: Mapping[str, Tensor]) -> None:
        self._style, self._content = style, content
        self._units: dict[str, Tensor] = {}
        self._fixed: dict[str, list[Tensor]] = {}
        self._count = 0
        self._scales = {name: _root_mean_square(gram) for name, gram in style.items()}

    def shown(self, canvas: Mapping[str, Tensor], count: int, step: int) -> Iterator[Artefact]:
        """What a step shows of ``count`` units; style and content only when that has changed."""
        fresh = count != self._count
        if fresh:
            self._count = count
            self._units = {name: chosen(gram, count) for name, gram in self._style.items()}
        for name, gram in canvas.items():
            if fresh:
                yield self._matrix(name, "style", self._style[name], step)
            yield self._matrix(name, "canvas", gram, step)
            if fresh:
                yield self._matrix(name, "content", self._content[name], step)
            yield self._matrix(name, "difference", gram - self._style[name], step)
        if fresh:
            self._fixed = {name: self._fixed_spectra(name) for name in self._style}
        for name, gram in canvas.items():
            yield self._spectrum(name, gram, step)

    def _matrix(self, name: str, of: str, values: Tensor, step: int) -> Matrix:
        """In units of the style's root mean square; a difference has a range of its own."""
        units, scale = self._units[name], self._scales[name]
        labels = [str(u) for u in units.tolist()]
        signed = of == "difference" or bool((self._style[name] < 0).any())
        about = f"{len(labels)} of {len(values)} units"
        return Matrix(
            f"gram/{name} {of}", _block(values, units, scale).numpy(),
            rows=labels, columns=labels, step=step, share=name, own_scale=of == "difference",
            scale="diverging" if signed else "sequential",
            note=f"{'canvas - style; ' if of == 'difference' else ''}{about}; "
            f"1 = the style's root mean square, {scale:.3g}",
        )  # fmt: skip

    def _fixed_spectra(self, name: str) -> list[Tensor]:
        return [self._eigenvalues(name, g[name]) for g in (self._style, self._content)]

    def _eigenvalues(self, name: str, gram: Tensor) -> Tensor:
        """Largest first (k,), of the k strongest shown units."""
        units = self._units[name]
        if len(units) > MOST:
            units = self._style[name].diagonal().topk(MOST).indices
        block = _block(gram, units, self._scales[name]).double()
        found: Tensor = torch.linalg.eigvalsh(block).flip(0)
        return found

    def _spectrum(self, name: str, gram: Tensor, step: int) -> Curve:
        style, content = self._fixed[name]
        rows = torch.stack([style, self._eigenvalues(name, gram), content])
        return Curve(
            f"spectrum/{name}", np.arange(1, len(style) + 1),
            rows.clamp_min(FLOOR * float(style[0])).numpy(),
            series=("style", "canvas", "content"), x_label="rank", log=True, step=step,
            note=f"eigenvalues over the {len(style)} strongest units of the style, "
            f"at least {FLOOR:g} of the largest",
        )  # fmt: skip


def chosen(target: Tensor, count: int) -> Tensor:
    """The ``count`` units with most energy in the style, alike ones side by side."""
    units = target.diagonal().topk(min(count, len(target))).indices
    return units[unit_order(target[units][:, units])]


def _block(values: Tensor, units: Tensor, scale: float) -> Tensor:
    return (values[units][:, units] / scale).cpu()


def _root_mean_square(gram: Tensor) -> float:
    return float(gram.square().mean().sqrt().clamp_min(1e-20))
