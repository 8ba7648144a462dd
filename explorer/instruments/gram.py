"""Gram matrix of a layer of whatever runs, beside that of another input: Gatys, Ecker, Bethge,
"A Neural Algorithm of Artistic Style", 2015, eq. 3, divided by the positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from explorer.analysis import (
    block_means,
    gram_per_position,
    gram_spectrum,
    row_order,
    unit_rows,
)
from explorer.core.instruments import Instrument, Taken
from explorer.core.layers import Layer
from explorer.instruments.map_layers import chosen_layers, picture_of
from explorer.kinds import Array, Artefact, Curve, Matrix, Text
from explorer.params import knob

WHOLE = 1024  # units up to which every one has a row
FLOOR = 1e-6  # of the largest eigenvalue; below it float32 holds only rounding


@dataclass(frozen=True, slots=True)
class GramParams:
    """Knobs of the gram instrument; none of them but ``layer`` runs the network."""

    layer: str = knob("", help="layer; follows the window. Empty: one from the middle")
    units: int = knob(
        256, low=2, high=WHOLE, log=True, effect="again",
        help="rows shown: the units with most energy in what is held, else in this input",
    )  # fmt: skip
    order: str = knob(
        "alike", choices=("alike", "energy", "index"), effect="again",
        help="alike: units with similar rows side by side",
    )  # fmt: skip
    correlation: bool = knob(
        False, effect="again", help="divide by the units' own sizes: 1 on the diagonal"
    )
    hold: bool = knob(
        False, effect="again", help="keep this input, to compare the next one with it"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Input:
    """Rows (C, P) of one input in one layer, and what the input is called."""

    rows: Tensor
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """Which units are shown, in order; each row stands for the units from one start to the next."""

    units: Tensor
    blocks: int
    labels: tuple[str, ...]


class Gram(Instrument[GramParams]):
    """G_ij = mean over positions of F_i F_j, of this input and of one that is held."""

    name = "gram"
    Params: ClassVar[type[Any]] = GramParams

    def __init__(self) -> None:
        self._held: _Input | None = None
        self._layer = ""
        self._compared = False
        self._chosen: tuple[tuple[Any, ...], _Choice] | None = None

    def points(self, params: GramParams, layers: Sequence[Layer]) -> tuple[str, ...]:
        """The layer that is looked at."""
        return _layer_of(params, layers)

    def look(self, taken: Taken, params: GramParams) -> Iterator[Artefact]:
        """Matrix and spectrum of this input; of the held one and their difference when there is."""
        layer = next(iter(_layer_of(params, taken.layers)), "")
        if layer not in taken.tensors:
            called = {la.name: la.called for la in taken.layers}
            if layer and not called[layer]:
                yield Text("gram/this input", f"{layer} was not called by its parent.")
            return
        if taken.tensors[layer].ndim not in (2, 3, 4):
            shape = " × ".join(map(str, taken.tensors[layer].shape[1:]))
            yield Text("gram/this input", f"{layer} gives {shape}: no maps, tokens or vector.")
            return
        photo = picture_of(taken.inputs)
        here = _Input(unit_rows(taken.tensors[layer]), photo.name if photo is not None else "")
        self._hold(here, layer, params)
        held = self._held
        key = (layer, photo.sha256 if photo is not None else "")
        choice = self._choose(held or here, key, params)
        words = _about(layer, here.rows, choice, params)
        present = _matrix(here.rows, choice, params)
        scale = float((present if held is None else _matrix(held.rows, choice, params)).square()
                      .mean().sqrt().clamp_min(1e-20))  # fmt: skip
        yield _shown("this input", present / scale, choice, f"{here.name} · {words}", scale)
        if held is not None:
            other = _matrix(held.rows, choice, params)
            yield _shown("held input", other / scale, choice, f"{held.name} · held", scale)
            yield _difference(present, other, scale, choice)
        elif self._compared:
            for item in ("held input", "this − held"):
                yield Text(f"gram/{item}", "Nothing is held any more.")
        self._compared = held is not None
        yield _spectra(here, held)

    def _hold(self, here: _Input, layer: str, params: GramParams) -> None:
        """Keep the first input seen while ``hold`` is on; another layer holds anew."""
        if not params.hold:
            self._held = None
        elif self._held is None or layer != self._layer:
            self._held = _Input(here.rows.clone(), here.name)
        self._layer = layer

    def _choose(self, source: _Input, of: tuple[str, str], params: GramParams) -> _Choice:
        """Units and order, kept while layer, source and knobs stay: those of a clip do not jump."""
        held = id(self._held.rows) if self._held is not None else of[1]
        key = (of[0], len(source.rows), params.units, params.order, held)
        if self._chosen is None or self._chosen[0] != key:
            self._chosen = (key, _choice(source.rows, params))
        return self._chosen[1]


def _layer_of(params: GramParams, layers: Sequence[Layer]) -> tuple[str, ...]:
    """The layer asked for, if it is there; else that in the middle of the sizes."""
    asked = chosen_layers(params.layer, 1, layers) if params.layer else ()
    if asked:
        return asked
    sizes = chosen_layers("", 8, layers)
    if sizes:
        return sizes[len(sizes) // 2 : len(sizes) // 2 + 1]
    return tuple(la.name for la in layers if la.called and la.leaf)[-1:]


def _choice(rows: Tensor, params: GramParams) -> _Choice:
    """Up to 1,024 units: the strongest ones, ordered. More: all of them, in blocks of the order."""
    count = len(rows)
    energy = rows.square().sum(1)
    many = count > WHOLE
    units = torch.arange(count, device=rows.device)
    if not many:
        units = energy.topk(min(params.units, count)).indices
    if params.order == "index":
        units = units.sort().values
    elif params.order == "alike":
        units = units[row_order(rows[units])]
    elif many:
        units = energy.argsort(descending=True)
    blocks = min(params.units, count)
    labels = tuple(str(u) for u in units.tolist())
    if many:
        _, starts = block_means(rows[units][:, :1], blocks)
        labels = tuple(f"{labels[s]}…" for s in starts.tolist())
    return _Choice(units, blocks if many else len(units), labels)


def _matrix(rows: Tensor, choice: _Choice, params: GramParams) -> Tensor:
    """The shown part (B, B); with many units each entry is the mean of a block, exactly."""
    shown = rows[choice.units]
    if params.correlation:
        power = shown.square().mean(1, keepdim=True)
        shown = shown * power.clamp_min(1e-20).rsqrt() * (power > 0)
    if choice.blocks < len(shown):
        shown, _ = block_means(shown, choice.blocks)
    return gram_per_position(shown)


def _about(layer: str, rows: Tensor, choice: _Choice, params: GramParams) -> str:
    """Layer, units and order in words."""
    count = len(rows)
    if count > WHOLE:
        size = -(-count // choice.blocks)
        which = f"all {count} units, averaged in blocks of {size} for being more than {WHOLE}"
    else:
        which = (
            f"{count} units"
            if len(choice.units) == count
            else (f"the {len(choice.units)} strongest of {count} units")
        )
    order = {"alike": "alike ones together", "energy": "strongest first", "index": "by index"}
    what = "correlation" if params.correlation else f"mean of {rows.shape[1]} positions"
    return f"{layer}: {which}, {order[params.order]}; {what}"


def _shown(item: str, values: Tensor, choice: _Choice, note: str, scale: float) -> Matrix:
    signed = bool((values < 0).any())
    return Matrix(
        f"gram/{item}", _numpy(values), rows=choice.labels, columns=choice.labels, share="gram",
        scale="diverging" if signed else "sequential",
        note=f"{note.removeprefix(' · ')}; "
        + (f"1 = root mean square {scale:.3g}" if scale > 1e-20 else "all zero"),
    )  # fmt: skip


def _difference(present: Tensor, other: Tensor, scale: float, choice: _Choice) -> Matrix:
    """With the mean squared difference over the mean square of what is held: the style loss."""
    away = present - other
    loss = float(away.square().mean() / other.square().mean().clamp_min(1e-20))
    return Matrix(
        "gram/this − held", _numpy(away / scale), rows=choice.labels, columns=choice.labels,
        own_scale=True, scale="diverging",
        note=f"mean square {loss:.3g} of that of the held one (0: equal)",
    )  # fmt: skip


def _spectra(here: _Input, held: _Input | None) -> Curve:
    """Eigenvalues of all units, not only of those shown."""
    inputs = [here, *([held] if held is not None else [])]
    found = [gram_spectrum(_fewer(each.rows)) for each in inputs]
    length = max(map(len, found))
    values = np.full((len(found), length), np.nan)
    for line, each in zip(values, found, strict=True):
        top = max(float(each[0]), 1e-30)
        line[: len(each)] = each.clamp_min(FLOOR * top).cpu().numpy()
    positions = min(_fewer(each.rows).shape[1] for each in inputs)
    whole = all(len(_fewer(each.rows)[0]) == each.rows.shape[1] for each in inputs)
    part = "" if whole else f", from {positions} positions"
    return Curve(
        "gram/spectrum", np.arange(1, length + 1), values,
        series=("this input", "held input")[: len(found)], x_label="rank", log=True,
        note=f"eigenvalues of all {len(here.rows)} units{part}, at least {FLOOR:g} of the largest",
    )  # fmt: skip


def _fewer(rows: Tensor) -> Tensor:
    """Every n-th position, where both units and positions are too many to be solved live."""
    if len(rows) <= WHOLE or rows.shape[1] <= WHOLE:
        return rows
    return rows[:, :: -(-rows.shape[1] // WHOLE)]


def _numpy(values: Tensor) -> Array:
    found: Array = values.float().cpu().numpy()
    return found
