"""Edits at work: what a module returns is changed in its forward hook, before it is captured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from explorer.editing import Edit, Mask

NOT_FINITE = "that are not finite"


@dataclass(slots=True)
class _Held:
    """What a freeze holds: the module's output at each call of one run of one frame."""

    run: int
    frame: int
    calls: list[Tensor] = field(default_factory=list)


class Surgery:
    """Applies the edits of one session, and keeps what its freezes hold from run to run."""

    def __init__(self) -> None:
        self._held: dict[Edit, _Held] = {}
        self._calls: dict[Edit, int] = {}
        self._notes: dict[str, None] = {}
        self._finite: list[tuple[Edit, Tensor, Tensor]] = []
        self._run, self._frame = 0, -1

    def start_run(self, run: int, frame: int, edits: Sequence[Edit]) -> None:
        """A run begins, on this frame of a clip, or on a still (-1).

        What edits no longer in the list held is forgotten; a switched off one goes on holding.
        """
        self._run, self._frame = run, frame
        self._calls.clear()
        self._notes.clear()
        self._finite.clear()
        listed = {_identity(edit) for edit in edits}
        self._held = {edit: held for edit, held in self._held.items() if edit in listed}

    def lacking(self, edits: Sequence[Edit], frame: int) -> tuple[Edit, ...]:
        """Freezes at another frame than this one of which nothing is known yet."""
        return tuple(
            edit
            for edit in edits
            if edit.on and edit.op == "freeze" and edit.moment >= 0 and edit.moment != frame
            if _identity(edit) not in self._held
        )

    def forget(self) -> None:
        """Let go of what is held: the network is another one."""
        self._held.clear()

    def notes(self) -> tuple[str, ...]:
        """What went wrong with edits in this run, a line each."""
        for edit, after, before in self._finite:
            if not bool(after) and bool(before):
                self._note(edit, f"makes values of {edit.point} {NOT_FINITE}")
        self._finite.clear()
        return tuple(self._notes)

    def edited(
        self, out: Any, x: Tensor, edits: Sequence[Edit], *, channels_last: bool = False
    ) -> Any:
        """What a module returns with the edits applied to its first tensor ``x``; the rest as it
        was. ``channels_last``: ``x`` is (N, H, W, C)."""
        if x.is_quantized:
            for edit in edits:
                self._note(edit, f"changes nothing: {edit.point} gives quantised values")
            return out
        y = x.clone(memory_format=torch.contiguous_format) if x.ndim > 4 else x.clone()
        maps = y.permute(0, 3, 1, 2) if channels_last else maps_of(y)
        before = _finite(x)
        for edit in edits:
            self._apply(maps, edit)
            after = _finite(y)
            self._finite.append((edit, after, before))
            before = after
        return replaced(out, x, y)

    def _apply(self, maps: Tensor, edit: Edit) -> None:
        missing = [unit for unit in edit.units if unit >= maps.shape[1]]
        if missing:
            self._note(edit, f"changes nothing: {edit.point} has {maps.shape[1]} units")
        if edit.region is not None and _outside(edit, maps):
            height, width = maps.shape[2:]
            self._note(edit, f"changes nothing: the map has {height} × {width} cells")
            return
        held = self._holding(edit, maps) if edit.op == "freeze" else None
        if edit.op != "freeze" or held is not None:
            apply_edit(maps, edit, held)

    def _holding(self, edit: Edit, maps: Tensor) -> Tensor | None:
        """What a freeze puts in place of ``maps``; None when this is the moment that it holds."""
        key = _identity(edit)
        call = self._calls[key] = self._calls.get(key, -1) + 1
        held = self._held.get(key)
        now = (self._run, self._frame)
        if self._frame >= 0:  # a clip: one frame is held, call by call
            here = held is not None and (held.run, held.frame) == now
            if edit.moment == self._frame or (edit.moment < 0 and (held is None or here)):
                if held is None or not here:
                    held = self._held[key] = _Held(*now)
                held.calls.append(maps.detach().clone())
                return None
            if held is None:
                self._note(edit, f"changes nothing: frame {edit.moment} has not been seen")
                return None
            return self._fitting(edit, held.calls[min(call, len(held.calls) - 1)], maps)
        if call == edit.moment or (edit.moment < 0 and held is None):
            self._held[key] = _Held(*now, [maps.detach().clone()])
            return None
        if held is None or (call < edit.moment):
            return None
        return self._fitting(edit, held.calls[0], maps)

    def _fitting(self, edit: Edit, held: Tensor, maps: Tensor) -> Tensor | None:
        if held.shape == maps.shape:
            return held
        was, now = (" × ".join(map(str, t.shape)) for t in (held, maps))
        self._note(edit, f"changes nothing: it holds {was}, the output is {now} now")
        return None

    def _note(self, edit: Edit, words: str) -> None:
        self._notes[f"{edit.text()} {words}"] = None


def replaced(out: Any, old: Tensor, new: Tensor) -> Any:
    """What a module returned, with one tensor exchanged at whatever depth it stands."""
    if out is old:
        return new
    if isinstance(out, dict):
        return type(out)({k: replaced(v, old, new) for k, v in out.items()})
    if isinstance(out, tuple) and hasattr(out, "_fields"):
        return type(out)(*(replaced(v, old, new) for v in out))
    if isinstance(out, (tuple, list)):
        return type(out)(replaced(v, old, new) for v in out)
    return out


def maps_of(y: Tensor) -> Tensor:
    """A view (N, C, H, W) of a tensor as `reduction.as_maps` shows it; above four axes ``y`` must
    be contiguous."""
    if y.ndim <= 1:
        return y.view(1, -1, 1, 1)
    if y.ndim == 2:
        return y[:, :, None, None]
    if y.ndim == 3:
        return y[:, None]
    return y if y.ndim == 4 else y.view(len(y), -1, *y.shape[-2:])


def apply_edit(maps: Tensor, edit: Edit, held: Tensor | None = None) -> None:
    """Change maps (N, C, H, W) in place; ``held``, of the same shape, is what a freeze puts in."""
    units: Any = slice(None)
    if edit.units:
        units = [unit for unit in edit.units if unit < maps.shape[1]]
        if not units:
            return
    top, bottom, left, right = edit.region or (0, maps.shape[2], 0, maps.shape[3])
    inside = (slice(None), slice(None), slice(top, bottom), slice(left, right))
    here = maps[inside]
    old = here[:, units]
    if old.requires_grad:
        old = old.clone()  # a view that a gradient needs must not be written over
    new = _changed(old, edit, None if held is None else held[inside][:, units])
    if edit.mask is not None:
        mask = painted(edit.mask, *maps.shape[2:])[top:bottom, left:right].to(maps.device)
        new = torch.where(mask, new, old)
    here[:, units] = new


def _changed(old: Tensor, edit: Edit, held: Tensor | None) -> Tensor:
    if edit.op == "scale":
        return old * edit.value
    if edit.op == "add":
        return old + edit.value
    if edit.op == "clamp":
        return old.clamp(edit.value, edit.high)
    if held is not None:
        return held
    return torch.full_like(old, edit.value if edit.op == "replace" else 0.0)


@lru_cache(maxsize=16)
def painted(mask: Mask, height: int, width: int) -> Tensor:
    """The painted cells (height, width); of another size, the nearest ones."""
    array = torch.from_numpy(mask.array())
    if array.shape == (height, width):
        return array
    rows = torch.arange(height) * mask.height // height
    columns = torch.arange(width) * mask.width // width
    return array[rows][:, columns]


def _finite(x: Tensor) -> Tensor:
    """Whether all values are finite, from the extremes, which not-a-number passes through."""
    if not (x.is_floating_point() and x.numel()):
        return torch.ones((), dtype=torch.bool)
    low, high = x.detach().aminmax()
    return low.isfinite() & high.isfinite()


def _outside(edit: Edit, maps: Tensor) -> bool:
    assert edit.region is not None
    top, _, left, _ = edit.region
    return top >= maps.shape[2] or left >= maps.shape[3]


def _identity(edit: Edit) -> Edit:
    """The edit whether or not it is switched on."""
    return edit if edit.on else replace(edit, on=True)
