"""The main window: puts the parts together and says who tells whom; the parts do the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent, QKeyEvent, QPaintEvent, QShowEvent
from PySide6.QtWidgets import (
    QApplication,
    QMainWindow,
    QMenuBar,
    QTabWidget,
    QToolBar,
    QWidget,
)

from explorer.app.actions import Commands
from explorer.app.asked import Asked as Asked
from explorer.app.autosave import Autosave
from explorer.app.card import HintStrip, Toast
from explorer.app.cards import Cards
from explorer.app.centre import Centre
from explorer.app.commanding import Commanding
from explorer.app.comparing import Comparing
from explorer.app.docks import Dock, EngineDocks, TabWatcher
from explorer.app.drop import DropZone
from explorer.app.edit_list import EditList
from explorer.app.edits import EditBook
from explorer.app.engine_room import EngineRoom
from explorer.app.engines import EngineList
from explorer.app.explaining import Explaining
from explorer.app.focus import Focus
from explorer.app.foreign import Foreign
from explorer.app.headline import Headline, stacked
from explorer.app.history import History
from explorer.app.instruments import Instruments
from explorer.app.intake import Intake
from explorer.app.knobs import KnobsPanel
from explorer.app.layers import LayerTree
from explorer.app.layouts import Layouts
from explorer.app.looking import Looking
from explorer.app.looking_back import LookingBack
from explorer.app.playing import Playing
from explorer.app.presenter import Presenter
from explorer.app.saving import Saving
from explorer.app.session_files import SessionFiles
from explorer.app.settings import Settings
from explorer.app.snippet import Snippets
from explorer.app.sources import Source, Sources
from explorer.app.status import StatusBar
from explorer.app.surgery import Surgery
from explorer.app.tour import Tour
from explorer.app.transport import Transport
from explorer.core import paths
from explorer.core.registry import Row, table
from explorer.panels.theme import THEMES, style_sheet

if TYPE_CHECKING:
    from explorer.views import Frame

DEFAULT = "classify"
SIZE = (1440, 900)
STOP_MS = 5000
LAST_MS = 60_000
TIMELINE_MS = 250
LEFT, RIGHT = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
EFFECTS = (
    Qt.UIEffect.UI_AnimateMenu,
    Qt.UIEffect.UI_FadeMenu,
    Qt.UIEffect.UI_AnimateCombo,
    Qt.UIEffect.UI_AnimateTooltip,
    Qt.UIEffect.UI_FadeTooltip,
    Qt.UIEffect.UI_AnimateToolBox,
)
TOP, BOTTOM = Qt.DockWidgetArea.TopDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea


class Window(QMainWindow):
    """Everything a person sees. torch, pyqtgraph and cv2 are imported after the first paint."""

    painted = Signal()  # the first picture of the window is on the screen
    awoken = Signal()  # pyqtgraph and cv2 are imported, panels stand in the docks
    shown = Signal(object)  # Frame: it is on the screen
    idle = Signal()  # the runner has nothing more to do for what was asked
    _loaded = Signal()
    _statuses = Signal(object)  # weights name to present, imported or missing

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        rows: Mapping[str, Row] | None = None,
        runner: Any = None,
        engine: str = "",
        paths: Sequence[str] = (),
        device: str = "",
        seed: int = 0,
        asked: Asked | None = None,
    ) -> None:
        super().__init__()
        self.setObjectName("layerscope")
        self.settings = settings if settings is not None else Settings()
        self.rows = dict(rows) if rows is not None else table()
        self.theme = THEMES[self.settings.values.theme]
        self.device = device or self.settings.values.device
        self.seed = seed
        self.runner = runner if runner is not None else self._own_runner()
        self.asked = asked if asked is not None else Asked()
        self.closing = self.awake = self.arranged = False
        self.row = self._first_row(engine)
        self._paths = list(paths)
        self._first_paint = True
        self._notes: tuple[str, ...] = ()  # of the newest frame
        self.setAnimated(False)
        self.setDockNestingEnabled(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.resize(*SIZE)
        self._make_parts()
        self._make_bars()
        self._connect()
        self.room.set_up(self.row)
        self.set_theme(self.theme.name)
        self.reduce_motion(on=self.settings.values.reduced_motion)
        self.layouts.restore_geometry()

    # -- assembly

    def _own_runner(self) -> Any:
        from explorer.app.runner import Runner

        return Runner(self.settings.values.torch_threads or None)

    def _first_row(self, engine: str) -> Row:
        wanted = (engine, self.settings.values.engine, DEFAULT, *self.rows)
        usable = (n for n in wanted if n in self.rows and not self.rows[n].problem)
        name = next(usable, None)
        return self.rows[name] if name is not None else Row("none", "", "No engine", "Cannot run")

    def _make_parts(self) -> None:
        self.history = History(self)
        self.commands = Commands(self, self.settings.values.shortcuts)
        self.sources = Sources(self)
        self.edit_book = EditBook(self.history, self)
        self.layers, self.engines = LayerTree(), EngineList(self.rows)
        self.knobs, self.edit_list = KnobsPanel(self.history), EditList(self.edit_book)
        self.centre = Centre(self)
        self.hint = HintStrip(self, seen=self.settings.values.hint_seen)
        self.setCentralWidget(self.centre)
        self.transport = Transport(self.commands)
        self.timeline: Any = None  # made when pyqtgraph is there
        self._growing = QTimer(self)
        self._growing.setSingleShot(True)
        self._growing.timeout.connect(self._grow_timeline)
        self.status_bar = StatusBar(self)
        self.setStatusBar(self.status_bar)
        self.toast = Toast(self)
        self.layers_dock = self._dock("layers", "Layers", self.layers)
        self.engines_dock = self._dock("engines", "Engines", self.engines)
        self.knobs_dock = self._dock("knobs", "Knobs", self.knobs, self.edit_list)
        self.engine_docks = EngineDocks(self)
        self.tabs = TabWatcher(self)
        self.tabs.watch(self.fixed_docks())
        self.layouts = Layouts(self)
        self.presenter, self.cards = Presenter(self), Cards(self)
        self.comparing = Comparing(self)
        self.surgery = Surgery(self)
        self.intake, self.foreign = Intake(self), Foreign(self)
        self.looking, self.playing = Looking(self), Playing(self)
        self.looking_back, self.snippets = LookingBack(self), Snippets(self)
        self.session_files, self.autosave = SessionFiles(self), Autosave(self)
        self.saving, self.room = Saving(self), EngineRoom(self)
        self.instruments = Instruments(self)
        self.tour = Tour(self, self.find_part, keys=self.commands.key_or_title)
        self.commanding = Commanding(self)
        self.explaining = Explaining(self)
        self.focus = Focus(self, self.commanding.islands)

    def _dock(self, name: str, title: str, first: QWidget, *others: QWidget) -> Dock:
        dock = Dock(name, title, self)
        dock.add(first, 1)
        for widget in others:
            dock.add(widget)
        return dock

    def _make_bars(self) -> None:
        menus = QMenuBar()
        self.commands.fill(menus)
        self.headline = Headline(menus)
        self.setMenuWidget(stacked(self.headline, self.hint))
        self.bar = QToolBar("Timeline", self)
        self.bar.setObjectName("timeline")
        self.bar.setMovable(False)
        self.bar.addWidget(self.transport)
        self.addToolBar(Qt.ToolBarArea.BottomToolBarArea, self.bar)
        self.setCorner(Qt.Corner.TopLeftCorner, LEFT)
        self.setCorner(Qt.Corner.BottomLeftCorner, LEFT)
        self.setCorner(Qt.Corner.TopRightCorner, RIGHT)
        self.setCorner(Qt.Corner.BottomRightCorner, RIGHT)
        for area in (LEFT, RIGHT, TOP, BOTTOM):
            self.setTabPosition(area, QTabWidget.TabPosition.North)

    def _connect(self) -> None:
        queued = Qt.ConnectionType.QueuedConnection
        runner = self.runner
        runner.ready.connect(self.presenter.take, queued)
        runner.opened.connect(self.room.on_opened, queued)
        runner.failed.connect(self.cards.on_failed, queued)
        runner.progressed.connect(self.cards.on_progress, queued)
        runner.idle.connect(self._on_idle, queued)
        runner.layers_changed.connect(self.room.on_layers, queued)
        runner.value_read.connect(self.looking.on_value, queued)
        runner.torch_loaded.connect(self.cards.on_torch, queued)
        runner.frame_moved.connect(self.transport.show_frame, queued)
        runner.source_ended.connect(self.playing.on_end, queued)
        runner.weights_ready.connect(self.cards.on_weights, queued)
        runner.trained.connect(self.cards.on_trained, queued)
        self._loaded.connect(self._on_loaded, queued)
        self._statuses.connect(self.engines.set_statuses, queued)
        self.sources.changed.connect(self._on_source)
        self.sources.complete.connect(self.run_inputs)
        self.hint.dismissed.connect(self._hint_seen)
        self.engines.chosen.connect(self._on_engine)
        self.engines.fetch_wanted.connect(self.cards.fetch)
        self.status_bar.cancel_wanted.connect(self.cancel)
        self.edit_book.changed.connect(self.looking.on_edits)
        self.knobs.changed.connect(self._on_knob)
        self.centre.dropped.connect(self.intake.take)
        self.centre.find_wanted.connect(self.commands["palette"].trigger)
        for dock in self.fixed_docks():
            dock.dropped.connect(self.intake.take)
        DropZone(self).dropped.connect(self.intake.take)

    def fixed_docks(self) -> list[Dock]:
        """The docks that every engine has."""
        return [self.layers_dock, self.engines_dock, self.knobs_dock]

    # -- the first second

    def showEvent(self, event: QShowEvent) -> None:
        """Docks take their places when the window is shown: before, Qt forgets their widths."""
        super().showEvent(event)
        if not self.arranged:
            self.arranged = True
            self.layouts.restore_last()
            self.setFocus()  # no control is lit before a person goes to one
            problems = (self.settings.message, *self.commands.conflicts)
            if any(problems):
                self.toast.show_text(" · ".join(filter(None, problems)), "warning")

    def paintEvent(self, event: QPaintEvent) -> None:
        """After the first one, load what is heavy."""
        super().paintEvent(event)
        if self._first_paint:
            self._first_paint = False
            QTimer.singleShot(0, self._wake)

    @Slot()
    def _wake(self) -> None:
        self.painted.emit()
        if not self.closing:
            self.cards.loading_torch()
            self.runner.start()
            self.sources.later(self._load)

    def _load(self) -> None:
        """In the reading thread: import what panels and media need."""
        import explorer.core.media
        import explorer.panels.group
        import explorer.panels.maps
        import explorer.panels.timeline  # noqa: F401

        self._loaded.emit()
        self.look_at_weights()

    def look_at_weights(self) -> None:
        """In the reading thread: which weights are here, for the list of engines."""
        from explorer.core.weights import WeightStore

        store = WeightStore([w for row in self.rows.values() for w in row.weights])
        self._statuses.emit({name: store.status(name) for name in store.rows})

    @Slot()
    def _on_loaded(self) -> None:
        if self.closing:
            return
        from explorer.panels.maps import MapsPanel
        from explorer.panels.timeline import TimelineBar

        self.timeline = TimelineBar(self.bar)
        self.timeline.scrubbed.connect(self.playing.scrub)
        self.timeline.mark_toggled.connect(self.playing.toggle_mark)
        self.timeline.set_theme(self.theme)
        self.bar.addWidget(self.timeline)
        self.awake = True
        self.centre.enable(lambda: MapsPanel(theme=self.theme))
        self.room.fill()
        self.commanding.fill_menus()
        self.room.start()
        self.awoken.emit()
        if self._paths:
            self.intake.take_paths(self._paths, in_order=True)

    # -- running

    @Slot()
    def run_inputs(self) -> None:
        """Run on what is in the slots, as soon as engine and inputs are both there."""
        if self.room.opened is None or not self.sources.is_complete():
            return
        self.playing.source_changed()
        self.cards.running()
        self.runner.run_inputs(self.sources.inputs(), playing=self.playing.playing)

    def ask(self, knobs: Mapping[str, Any]) -> None:
        """Open the next engine with these knobs, whatever they were last time."""
        self.asked = Asked(dict(knobs))

    def run_again(self) -> None:
        """Run the same inputs once more."""
        self.playing.back_to_now()
        self.runner.run_again()

    def cancel(self) -> None:
        """Stop what runs; the window answers at once."""
        if self.saving.film is not None:
            self.saving.film.stop()
        self.runner.cancel()
        self.playing.set_playing(playing=False)
        self.say("Cancelled")

    def is_at_work(self) -> bool:
        """Whether there is something to cancel: a run, a clip that plays, a film being written."""
        film = self.saving.film is not None and self.saving.film.is_running()
        return film or self.playing.playing or self.runner.busy

    def train(self) -> None:
        """Train the open engine and watch it learn."""
        if self.room.opened is not None and self.room.opened.can_train:
            self.runner.train(self.sources.inputs(), paths.training(self.row.name))
            self.engine_docks.show_learning()
        else:
            self.say(f"{self.row.title} has no training of its own")

    def choose_device(self, device: str) -> None:
        """Open the engine again on another device."""
        self.device = self.settings.values.device = device
        self.room.open(self.row.name)

    @Slot(str, object)
    def _on_knob(self, name: str, value: Any) -> None:
        self.touched()
        self.playing.back_to_now()
        self.runner.set_knob({name: value})

    @Slot(str)
    def _on_engine(self, name: str) -> None:
        self.touched("engine")
        self.room.open(name)

    @Slot(object)
    def _on_source(self, source: Source) -> None:
        if self.room.slots is not None:
            self.room.slots.show_source(source)
        self.engine_docks.docks["input"].bar.remark.setText(source.title)
        if source.note:
            self.say(f"{source.title}: {source.note}")
        self.commanding.fill_menus()

    @Slot()
    def _on_idle(self) -> None:
        self.cards.idle()
        self.idle.emit()

    # -- looks

    def set_theme(self, name: str) -> None:
        """Dark or light, everywhere."""
        self.theme = THEMES[name]
        self.settings.values.theme = name
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.setStyleSheet(style_sheet(self.theme))
        docks = [*self.fixed_docks(), *self.engine_docks.docks.values()]
        parts: list[Any] = [
            *docks, self.commands, self.layers, self.engines, self.knobs, self.edit_list,
            self.transport, self.centre, self.status_bar, self.room.slots, self.cards,
            self.commanding.palette, self.commanding.keys, self.commanding.rebinding,
            self.focus.ring, self.timeline, self.hint, self.tour, self.headline, self.toast,
            self.instruments, self.autosave,
            *self.presenter.groups.values(),
        ]  # fmt: skip
        for part in parts:
            if part is not None:
                part.set_theme(self.theme)

    def reduce_motion(self, *, on: bool) -> None:
        """Let nothing move but the pictures, or let it again."""
        self.settings.values.reduced_motion = on
        self.commands["reduced-motion"].setChecked(on)
        self.status_bar.set_still(still=on)
        if on:
            QApplication.setCursorFlashTime(0)
            for effect in EFFECTS:
                QApplication.setEffectEnabled(effect, False)

    def toggle_theme(self) -> None:
        """The other theme."""
        self.set_theme("light" if self.theme.name == "dark" else "dark")

    def say(self, text: str) -> None:
        """One line in the status bar."""
        self.status_bar.show_message(text)

    def touched(self, event: str = "") -> None:
        """Something was done: the hint goes for good, and the tour may go on."""
        self.hint.dismiss()
        self.tour.did(event)

    @Slot()
    def _hint_seen(self) -> None:
        self.settings.values.hint_seen = True

    def find_part(self, name: str) -> QWidget | None:
        """The control that the tour calls by this name."""
        parts: dict[str, QWidget] = {
            "input": self.engine_docks.docks["input"], "layers": self.layers_dock,
            "maps": self.centre, "engines": self.engines_dock, "status": self.status_bar,
        }  # fmt: skip
        part = parts.get(name)
        if isinstance(part, Dock):
            part.show()
            part.raise_()
        return part

    def note_frame(self, frame: Frame) -> None:
        """A frame has come: the timeline grows, seen at 4 Hz."""
        if not self._growing.isActive():
            self._growing.start(TIMELINE_MS)
        if frame.notes != self._notes:
            self._notes = frame.notes
            self.say(" · ".join(frame.notes))

    @Slot()
    def _grow_timeline(self) -> None:
        if self.timeline is not None:
            recorded = self.runner.timeline
            self.timeline.set_steps(recorded.steps(), recorded.marks())
            self.looking_back.follow()

    def show_times(self, frame: Frame, draw_ms: float) -> None:
        """Milliseconds of the frame on the screen, for the status bar."""
        if frame.milliseconds:  # a picture drawn anew from what is captured is no new frame
            self.status_bar.note_frame(frame.milliseconds, draw_ms)
        self.status_bar.note_dropped(self.runner.dropped)
        self.shown.emit(frame)

    def later(self, work: Callable[[], None]) -> None:
        """Do something when the events at hand are done."""
        QTimer.singleShot(0, self, work)

    def watch_docks(self, docks: Iterable[Dock]) -> None:
        """Keep the titles of new docks right."""
        self.tabs.watch(docks)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes through the window as it is read."""
        return self.focus.move(forward=forward)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows and the like that nothing under the focus wanted belong to the commands."""
        if not self.commands.take_back(event):
            super().keyPressEvent(event)

    # -- the end

    def closeEvent(self, event: QCloseEvent) -> None:
        """Keep what is open for the next time, then stop the runner, with a limit."""
        if not self.closing:
            self.autosave.end()
            self.closing = True
            self.room.remember()
            self.settings.save()
            if self.saving.film is not None:
                self.saving.film.stop()
            self.tour.end()
            if not self.runner.stop(STOP_MS):
                self.hide()  # the import of torch cannot be interrupted: let it end unseen
                self.runner.stop(LAST_MS)
            self.sources.close()
        super().closeEvent(event)
