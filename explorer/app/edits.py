"""The edits in force, with undo: an ordered list that is switched, changed, saved and loaded."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, Signal

from explorer.app.history import History, Step
from explorer.core.stores.edit_files import load_edits, save_edits
from explorer.editing import Mask
from explorer.views import Edit

Edits = tuple[Edit, ...]


class EditBook(QObject):
    """The edits in force. Every change is a step of the history; ``changed`` carries them all."""

    changed = Signal(object)  # tuple[Edit, ...]

    def __init__(self, history: History, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._history = history
        self.edits: Edits = ()

    def add(self, edit: Edit) -> None:
        """Put one more at the end of the list."""
        self.put((*self.edits, edit), edit.text())

    def toggle_zero(self, point: str, unit: int) -> None:
        """Set a unit to zero, or let it go when it is."""
        old = self._of(point, unit)
        zero = Edit(point, (unit,))
        rest = tuple(e for e in self.edits if e is not old)
        now = rest if old is not None and old.op == "zero" else (*rest, zero)
        self.put(now, f"{zero.text()}")

    def scale(self, point: str, unit: int, factor: float) -> None:
        """Multiply a unit's scale, from 1 at first; back at 1 the edit is gone."""
        old = self._of(point, unit)
        value = factor * (old.value if old is not None and old.op == "scale" else 1.0)
        rest = tuple(e for e in self.edits if e is not old)
        edit = Edit(point, (unit,), "scale", value)
        self.put(rest if value == 1.0 else (*rest, edit), edit.text())

    def paint(self, point: str, unit: int, cells: npt.NDArray[np.bool_]) -> None:
        """Set painted cells (H, W) of a unit to zero, with those that were painted before."""
        same = [e for e in self.edits if (e.point, e.units, e.op) == (point, (unit,), "zero")]
        old = next((e for e in same if e.mask is not None), None)
        if old is not None and old.mask is not None:
            before = old.mask.array()
            cells = cells | before if before.shape == cells.shape else cells
        if not cells.any():
            return
        edit = Edit(point, (unit,), mask=Mask.of(cells))
        at = self.edits.index(old) if old is not None else len(self.edits)
        self.put((*self.edits[:at], edit, *self.edits[at + 1 :]), edit.text())

    def switch(self, index: int) -> None:
        """Turn one edit off or on."""
        edit = self.edits[index]
        changed = replace(edit, on=not edit.on)
        self.put((*self.edits[:index], changed, *self.edits[index + 1 :]), edit.text())

    def move(self, index: int, by: int) -> None:
        """Change the order, in which edits of one layer act."""
        edits = list(self.edits)
        edit = edits.pop(index)
        edits.insert(max(0, index + by), edit)
        self.put(tuple(edits), f"move {edit.text()}")

    def remove(self, index: int) -> None:
        """Take one edit out of the list."""
        self.put(
            (*self.edits[:index], *self.edits[index + 1 :]), f"remove {self.edits[index].text()}"
        )

    def clear(self) -> None:
        """Take all edits away."""
        self.put((), "clear edits")

    def save(self, path: Path, engine: str) -> None:
        """Write the list to a file; raises OSError."""
        save_edits(path, self.edits, engine)

    def load(self, path: Path) -> None:
        """Take the list of a file in place of this one.

        Raises:
            EditFileError: it is no such file; the list stays.
        """
        self.put(load_edits(path), f"edits of {path.name}")

    def put(self, edits: Edits, label: str) -> None:
        """Replace the edits, as one step that can be taken back."""
        if edits == self.edits:
            return
        before = self.edits
        self._set(edits)
        self._history.seal()
        self._history.add(
            Step(label, partial(self._set, before), partial(self._set, edits), owner=self)
        )

    def forget(self) -> None:
        """Another network: none of the edits fits it."""
        self._history.forget(self)
        self._set(())

    def _set(self, edits: Edits) -> None:
        self.edits = edits
        self.changed.emit(edits)

    def _of(self, point: str, unit: int) -> Edit | None:
        """The whole-map edit of one unit, zero or scale, that keys act on."""
        return next(
            (
                e for e in self.edits
                if (e.point, e.units, e.region, e.mask) == (point, (unit,), None, None)
                and e.op in ("zero", "scale")
            ),
            None,
        )  # fmt: skip
