"""What is said while something loads and when it went wrong: which card, where, which buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Slot

from explorer.app.arch_card import ArchCard
from explorer.app.card import Card, ConsentCard, ErrorCard
from explorer.app.docks import Dock
from explorer.panels.wording import bytes_text

if TYPE_CHECKING:
    from explorer.app.drop import Dropped
    from explorer.app.reports import Failure
    from explorer.app.window import Window
    from explorer.core.registry import Row, WeightsRow
    from explorer.panels.theme import Theme

Act = Callable[[], None]
Button = tuple[str, Act]


class Cards(QObject):
    """Shows cards in the dock concerned. Whatever a card says, what ran before goes on."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.refusal = ""  # the last thing that was refused, in one line

    # -- what takes time

    def loading_torch(self) -> None:
        """torch is being imported in the runner's thread."""
        try:
            number = version("torch").partition("+")[0].rsplit(".", 1)[0]
        except PackageNotFoundError:
            number = ""
        where = "CUDA" if self._window.device.startswith("cuda") else "CPU"
        self._window.status_bar.show_progress(f"Loading torch {number} ({where})")

    @Slot(str)
    def on_torch(self, text: str) -> None:
        """torch is there."""
        self._window.status_bar.clear_progress()
        self._window.say(text)

    def running(self) -> None:
        """A run was asked for; a clip that plays needs no progress."""
        if not self._window.playing.playing:
            self._window.status_bar.show_progress("Running")

    @Slot(str, float)
    def on_progress(self, text: str, fraction: float) -> None:
        """The runner says what it is at; -1 is an unknown share."""
        self._window.status_bar.show_progress(text, fraction if fraction >= 0 else None)

    def opened(self, opened: Any) -> None:
        """The engine is ready: its provenance and device."""
        self.clear()
        bar = self._window.status_bar
        bar.show_provenance(opened.provenance, tuple(opened.licences))
        bar.show_device(opened.device)

    def idle(self) -> None:
        """Nothing runs any more."""
        self._window.status_bar.clear_progress()

    # -- what went wrong

    @Slot(object)
    def on_failed(self, failure: Failure) -> None:
        """The runner could not do something."""
        self._window.status_bar.clear_progress()
        if failure.kind == "weights" and failure.weights:
            self.missing_weights(failure)
        elif failure.kind == "knob":
            words = " ".join(filter(None, (failure.cause, failure.remedy)))
            if self._window.room.opened is None and self._window.room.start_with_defaults():
                self._window.toast.show_text(f"{words}. Opened with its defaults", "warning")
            else:
                self._window.say(words)
        elif failure.kind == "input":
            again = self._window.run_inputs
            self.input_refused(failure.what, failure.cause, again, failure.remedy, failure.details)
        else:
            self._engine_failed(failure)

    def _engine_failed(self, failure: Failure) -> None:
        more: list[Button] = []
        if failure.kind == "memory" and not self._window.device.startswith("cpu"):
            more.append(("Use the CPU", partial(self._window.choose_device, "cpu")))
        card = ErrorCard(
            failure.what, failure.cause, failure.remedy, failure.details,
            again=self._again, more=more,
        )  # fmt: skip
        self._show(self._window.centre, card)

    def missing_weights(self, failure: Failure) -> None:
        """Licence, data terms and size first; then they may be fetched."""
        row = self._weights_row(failure.weights)
        card = Card("These weights are not here yet", "download", "muted")
        size = bytes_text(row.size) if row is not None and row.size else "size not known"
        card.add_text(f"{failure.weights}, {size}")
        if row is not None:
            card.add_text(f"Licence: {row.licence}", "muted")
            card.add_text(f"Training data: {row.data or 'no terms known'}", "muted")
        card.add_text(failure.remedy or failure.cause, "caption")
        card.add_button("Fetch", primary=True, slot=partial(self.fetch, failure.weights))
        card.add_button("Use own file", slot=self._window.intake.ask_file)
        card.close_row()
        self._show(self._window.centre, card)

    @Slot(str)
    def fetch(self, name: str) -> None:
        """Download weights; progress and Cancel stand in the status bar."""
        self.clear()
        self._window.status_bar.show_progress(f"Fetching {name}", 0.0)
        self._window.runner.fetch_weights(name)

    @Slot(str)
    def on_weights(self, name: str) -> None:
        """Weights have come."""
        self._window.status_bar.clear_progress()
        self._window.say(f"Weights {name} are here")
        self._window.sources.later(self._window.look_at_weights)

    @Slot(str, str)
    def on_trained(self, path: str, provenance: str) -> None:
        """A training has ended or was stopped: what the weights are now and where they are kept."""
        kept = f"Its weights are kept in {path}"
        self._window.status_bar.show_provenance(provenance, (kept,) if path else ())
        self._window.say(f"Training has ended{f'. {kept}' if path else ''}")

    def input_refused(
        self, name: str, message: str, again: Act | None, remedy: str = "", details: str = ""
    ) -> None:
        """Something that came in cannot be used."""
        self._window.status_bar.clear_progress()
        cause = message.removeprefix(f"{name}: ")
        if not remedy and "; " in cause:
            cause, _, remedy = cause.partition("; ")
            remedy = remedy[:1].upper() + remedy[1:]
        self.refusal = f"{name}: {cause}"
        card = ErrorCard(
            name, cause, remedy, details,
            again=again, another=self._window.intake.ask_file,
        )  # fmt: skip
        self._show(self._input_dock(), card)

    def wrong_engine(self, thing: Dropped, message: str, others: Sequence[Row]) -> None:
        """The open engine takes no such thing; others do."""
        self.refusal = f"{thing.name}: {message}"
        card = Card(thing.name, "info", "muted")
        card.add_text(message)
        for row in others:
            switch = partial(self._switch, row.name, thing)
            card.body.addWidget(card.add_button(f"Open in {row.title}", slot=switch))
        self._show(self._input_dock(), card)

    def offer_weights(self, path: Path, targets: Sequence[tuple[Row, str]]) -> None:
        """A weights file fits these engines."""
        card = Card(path.name, "box", "muted")
        names = ", ".join(dict.fromkeys(name for _, name in targets))
        card.add_text(f"Its tensors look like {names}.")
        for row, name in targets[:4]:
            load = partial(self._load, path, row, name)
            card.body.addWidget(card.add_button(f"Load into {row.title}", slot=load))
        self._show(self._input_dock(), card)

    def ask_arch(self, path: Path, present: str, run: Callable[[str], None]) -> None:
        """Named tensors that fit no engine: whose are they?"""

        def load(arch: str) -> None:
            self.clear_input()
            run(arch)

        card = ArchCard(path, present, load, self.clear_input)
        self._show(self._input_dock(), card)
        card.field.setFocus()

    def consent(self, path: Path, run: Act) -> None:
        """A model file is a program."""
        why = f"{path} is a program: opening it runs its code with your rights."
        card = ConsentCard(path.name, why, partial(self._run_model, run), self.clear_input)
        self._show(self._input_dock(), card)
        card.no.setFocus()

    # -- where

    def clear(self) -> None:
        """Take all cards away."""
        for dock in self._docks():
            dock.clear_card()
        self._window.centre.clear_card()

    def put_away(self) -> bool:
        """Take away what covers something, as Esc does; False when nothing did."""
        covered = bool(self.shown())
        self.clear()
        return covered

    def clear_input(self) -> None:
        """Take the card on the inputs away."""
        self._input_dock().clear_card()

    def shown(self) -> list[Any]:
        """The cards on the screen."""
        found = [dock.card() for dock in self._docks()] + [self._window.centre.card()]
        return [card for card in found if card is not None]

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        for card in self.shown():
            card.set_theme(theme)

    def _docks(self) -> list[Dock]:
        return [*self._window.fixed_docks(), *self._window.engine_docks.docks.values()]

    def _input_dock(self) -> Dock:
        return self._window.engine_docks.docks["input"]

    def _show(self, place: Any, card: Card) -> None:
        card.set_theme(self._window.theme)
        self._window.say("")  # whatever was being looked into is known now
        place.show_card(card)

    def _run_model(self, run: Act) -> None:
        self.clear_input()
        run()

    def _load(self, path: Path, row: Row, name: str) -> None:
        self.clear_input()
        self._window.foreign.load_into(path, row, name)

    def _again(self) -> None:
        self.clear()
        if self._window.room.opened is None:
            self._window.room.start()
        else:
            self._window.run_inputs()

    def _switch(self, name: str, thing: Dropped) -> None:
        self._window.room.open(name)
        self._window.intake.take([thing])

    def _weights_row(self, name: str) -> WeightsRow | None:
        rows = (w for row in self._window.rows.values() for w in row.weights)
        return next((w for w in rows if w.name == name), None)
