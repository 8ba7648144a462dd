"""Files that bring a network with them: weights to load into an engine, models that are code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal, Slot

from explorer.core.own_models.model_row import NAME, own_row

if TYPE_CHECKING:
    from explorer.app.window import Window
    from explorer.core.registry import Row


@dataclass(frozen=True, slots=True)
class _Recognised:
    """What a weights file fits: names of weight rows, or why it cannot be read."""

    path: Path
    names: tuple[str, ...]
    about: str = ""
    error: str = ""


class Foreign(QObject):
    """Looks into weights in the reading thread; asks before any code of a model file runs."""

    _recognised = Signal(object)

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._recognised.connect(self._offer, Qt.ConnectionType.QueuedConnection)

    def weights(self, path: Path) -> None:
        """Find out what the tensors of a file fit, then offer to load them there."""
        self._window.say(f"Looking into {path.name} …")
        self._window.sources.later(partial(self._recognise, path))

    def ask_consent(self, path: Path) -> None:
        """A model file is a program: say so, and open it only when told to."""
        self._window.cards.consent(path, partial(self.open_model, path))

    def open_model(self, path: Path, arch: str = "") -> None:
        """Open a model file as an engine of its own, or a file of weights in the network that
        ``arch`` names. Code runs from here on, in the runner's thread."""
        row, knobs = own_row(str(path), arch)
        self._window.rows[row.name] = row
        self._window.engines.set_rows(self._window.rows, {})
        self._window.ask(knobs)
        self._window.room.open(row.name)

    def _recognise(self, path: Path) -> None:
        """In the reading thread."""
        from explorer.core.weights import WeightsError, WeightStore

        rows = [w for row in self._window.rows.values() for w in row.weights]
        try:
            names = WeightStore(rows).recognise(path)
        except WeightsError as error:
            self._recognised.emit(_Recognised(path, (), error=str(error)))
        except OSError as error:
            reason = f"{path.name}: {error.strerror or error}"
            self._recognised.emit(_Recognised(path, (), error=reason))
        else:
            self._recognised.emit(_Recognised(path, tuple(names)))

    @Slot(object)
    def _offer(self, found: _Recognised) -> None:
        if self._window.closing:
            return
        if found.error:
            self._window.cards.input_refused(found.path.name, found.error, None)
            return
        targets = [(row, name) for name in found.names for row in self._users(name)]
        if targets:
            self._window.cards.offer_weights(found.path, targets)
        else:
            self._window.cards.ask_arch(
                found.path, self._present_arch(), partial(self.open_model, found.path)
            )

    def _present_arch(self) -> str:
        """The network that is open now, when it is a person's own: its weights may be meant."""
        if self._window.row.name != NAME:
            return ""
        return str(self._window.knobs.values().get("model", ""))

    def _users(self, name: str) -> list[Row]:
        """Engines that use these weights."""
        rows = self._window.rows.values()
        return [r for r in rows if not r.problem and any(w.name == name for w in r.weights)]

    def load_into(self, path: Path, row: Row, name: str) -> None:
        """Take a person's file for the weights of an engine, and open that engine with it."""
        if row.name != self._window.row.name:
            self._window.room.open(row.name)
        self._window.runner.import_weights(name, path)
