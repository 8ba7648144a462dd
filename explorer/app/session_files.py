"""Session files in the window: save what is shown, open it again, and offer it after a crash."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QByteArray, QObject, Qt, Slot
from PySide6.QtWidgets import QFileDialog

from explorer.app.asked import Asked
from explorer.app.settings import LAYOUT_VERSION, Layout
from explorer.core.own_models.model_row import NAME, own_row
from explorer.core.stores.session_file import (
    SUFFIX,
    SavedInput,
    SavedSession,
    SessionFileError,
    read,
    write,
)
from explorer.inputs import TextInput

if TYPE_CHECKING:
    from explorer.app.sources import Source
    from explorer.app.window import Window

CODE = ("model", "weights")  # knobs of a person's own model, which name files to run and read


class SessionFiles(QObject):
    """Gathers a session from the parts of the window, and gives one back to them.

    Attributes:
        path: the file that *Save session* writes, once one was saved or opened.
    """

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.path: Path | None = None
        self._expected: dict[str, str] = {}  # slot to the sha256 that the session names
        self._units: dict[str, int] = {}  # layer to unit, to select when its maps are there
        self._missing: dict[str, str] = {}  # slot to path, to ask for when the engine stands
        window.sources.changed.connect(self._on_source)
        window.shown.connect(self._on_shown)
        window.runner.opened.connect(self._on_opened, Qt.ConnectionType.QueuedConnection)

    # -- save

    def gather(self) -> SavedSession:
        """What the window shows now."""
        window = self._window
        row, knobs = window.row, window.room.changed_knobs()
        own = {name: str(knobs.pop(name, "")) for name in CODE} if row.name == NAME else {}
        points = window.centre.points()
        return SavedSession(
            engine=row.name,
            seed=window.seed,
            inputs=self._inputs(),
            knobs=knobs,
            layers=tuple(points),
            layer=window.centre.current,
            units={p: u for p, u in window.looking.selected.items() if p in points},
            edits=window.edit_book.edits,
            instruments={n: window.instruments.values(n) for n in window.instruments.names()},
            state=bytes(window.saveState(LAYOUT_VERSION).data()),
            geometry=bytes(window.saveGeometry().data()),
            **own,
        )

    def _inputs(self) -> dict[str, SavedInput]:
        sources = ((slot, self._window.sources.source(slot)) for slot in self._window.row.inputs)
        return {slot: saved for slot, s in sources if s is not None and (saved := _saved(s))}

    def save(self) -> None:
        """Write the session's file; ask for one the first time."""
        if self.path is None:
            self.save_as()
        else:
            self.write(self.path)

    def save_as(self) -> None:
        """Ask for a file, then write it."""
        dialog = self._dialog("Save session", QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile(f"{self._window.row.name}{SUFFIX}")
        dialog.fileSelected.connect(self._save_chosen)
        dialog.open()

    def write(self, path: Path) -> bool:
        """Write one file; the outcome is said in the status bar."""
        try:
            write(self.gather(), path)
        except SessionFileError as error:
            self._window.say(f"Not saved: {error}")
            return False
        self.path = path
        self._window.settings.add_recent(str(path))
        self._window.commanding.fill_menus()
        given = [s for s in self._window.row.inputs if self._window.sources.source(s) is not None]
        pasted = [s for s in given if s not in self._inputs()]
        more = f"; the pasted {pasted[0]} has no file and is not in it" if pasted else ""
        self._window.say(f"Saved {path}{more}")
        return True

    @Slot(str)
    def _save_chosen(self, name: str) -> None:
        self.write(Path(name))

    # -- open

    def ask(self) -> None:
        """Choose a session file to open."""
        dialog = self._dialog("Open session", QFileDialog.AcceptMode.AcceptOpen)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self._open_chosen)
        dialog.open()

    @Slot(str)
    def _open_chosen(self, name: str) -> None:
        self.open(Path(name))

    def open(self, path: Path) -> None:
        """Open a session file; a card says why when it cannot be, and nothing changes."""
        try:
            saved = read(path)
            self._check(saved)
        except SessionFileError as error:
            self._window.cards.input_refused(path.name, str(error), None)
            return
        self._with_consent(saved, path)

    def restore(self, saved: SavedSession) -> None:
        """Open what an earlier window was showing when it went down."""
        try:
            self._check(saved)
        except SessionFileError as error:
            self._window.say(f"Not restored: {error}")
        else:
            self._with_consent(saved, None)

    def _with_consent(self, saved: SavedSession, path: Path | None) -> None:
        """A session file may come from a stranger: its code is asked for again, whoever made it."""
        self._ask_for(list(saved.code()), partial(self._apply, saved, path))

    def _ask_for(self, code: list[str], done: Callable[[], None]) -> None:
        """One question after the other for each program, then go on."""
        if code:
            more = partial(self._ask_for, code[1:], done)
            self._window.cards.consent(Path(code[0]), more)
        else:
            done()

    def _check(self, saved: SavedSession) -> None:
        """Raise SessionFileError for an engine that is not here."""
        rows = self._window.rows
        if saved.engine == NAME and saved.model:
            return
        if saved.engine == NAME:
            raise SessionFileError("names no file of the model that it shows")
        if saved.engine not in rows:
            raise SessionFileError(
                f"is of engine {saved.engine!r}, which is not installed here; "
                f"there are {', '.join(n for n, r in rows.items() if not r.problem)}"
            )
        if rows[saved.engine].problem:
            raise SessionFileError(
                f"engine {saved.engine!r} cannot run: {rows[saved.engine].problem}"
            )

    def _apply(self, saved: SavedSession, path: Path | None) -> None:
        """Show it: what is open now is kept as if its engine had been left."""
        window = self._window
        code: dict[str, Any] = {}
        if saved.model:
            row, code = (
                own_row(saved.weights, saved.model) if saved.weights else own_row(saved.model)
            )
            window.rows[row.name] = row
            window.engines.set_rows(window.rows, {})
        window.room.remember()
        missing = self._keep(saved)
        window.seed = saved.seed
        window.sources.clear()
        window.asked = Asked(code, (), saved.edits)
        self._units = dict(saved.units)
        self._expected = {s: i.sha256 for s, i in saved.inputs.items() if i.sha256}
        window.room.enter(saved.engine)
        if saved.geometry:
            window.restoreGeometry(QByteArray(saved.geometry))
        strangers = self._lay_on(saved)
        self.path = path
        if path is not None:
            window.settings.add_recent(str(path))
            window.say(f"Opened {path.name}")
        if strangers:
            window.say(f"No instrument {', '.join(strangers)} here; the rest is open")
        self._missing = missing

    def _keep(self, saved: SavedSession) -> dict[str, str]:
        """Put what is remembered of the engine in the place of its last time.

        Returns:
            slot to path of the inputs that are not there.
        """
        values, name = self._window.settings.values, saved.engine
        files = {s: i.where for s, i in saved.inputs.items() if i.kind == "file"}
        missing = {slot: where for slot, where in files.items() if not Path(where).exists()}
        values.sources[name] = {
            slot: i.where
            for slot, i in saved.inputs.items()
            if i.kind != "sample" and slot not in missing
        }
        values.knobs[name] = dict(saved.knobs)
        values.ticked[name] = list(saved.layers)
        values.layer[name] = saved.layer
        if saved.state:
            values.layouts[f"@{name}"] = Layout(saved.state, saved.geometry)
        return missing

    def _lay_on(self, saved: SavedSession) -> list[str]:
        """Open the session's instruments and close the others; names that nobody knows here."""
        instruments = self._window.instruments
        for name in instruments.names():
            if name not in saved.instruments:
                instruments.close(name)
        known = instruments.known()
        for name, knobs in saved.instruments.items():
            if name in known:
                instruments.open(name, dict(knobs))
        return [name for name in saved.instruments if name not in known]

    # -- when it has come

    @Slot(object)
    def _on_source(self, source: Source) -> None:
        """Tell whether the file is still the one that was saved."""
        wanted = self._expected.get(source.slot)
        if wanted is None or source.origin == "sample":
            return
        found = str(getattr(source.input, "sha256", "")) if not source.moving else ""
        if found and found != wanted:
            self._window.toast.show_text(
                f"{source.title} has changed since the session was saved", "warning"
            )
        if found:
            del self._expected[source.slot]

    @Slot(object)
    def _on_opened(self, _opened: Any) -> None:
        """An engine that opens puts cards away: ask after that."""
        self._window.later(self._ask_for_missing)

    def _ask_for_missing(self) -> None:
        missing, self._missing = self._missing, {}
        for slot, where in missing.items():
            self._window.cards.input_refused(
                Path(where).name,
                f"the session's {slot} is not at {where} any more. "
                "Open another shows where it is now; until then the sample is used",
                None,
            )

    @Slot(object)
    def _on_shown(self, _frame: Any) -> None:
        """Select the units again, once their maps are drawn."""
        for point in list(self._units):
            panel = self._window.centre.panel(point)
            if panel is not None and panel.arrays():
                panel.select(self._units.pop(point))

    def _dialog(self, title: str, mode: QFileDialog.AcceptMode) -> QFileDialog:
        dialog = QFileDialog(self._window, title)
        dialog.setAcceptMode(mode)
        dialog.setDefaultSuffix(SUFFIX.removeprefix("."))
        dialog.setNameFilter(f"Sessions (*{SUFFIX})")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return dialog


def _saved(source: Source) -> SavedInput | None:
    """Where an input can be had again; None for a paste, which has no place."""
    if source.origin == "sample":
        return SavedInput("sample")
    if not source.where:
        return None
    if source.live:
        return SavedInput("camera", source.where)
    if isinstance(source.input, TextInput) and source.where == source.input.text:
        return SavedInput("text", source.where)
    # The hash of a clip is taken from its whole file: not in the window's thread.
    sha256 = "" if source.moving else str(getattr(source.input, "sha256", ""))
    return SavedInput("file", str(Path(source.where).absolute()), sha256)
