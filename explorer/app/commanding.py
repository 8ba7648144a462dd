"""What each command of the action table does, and what the palette and the filled menus list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QInputDialog, QWidget

from explorer.app.actions import LAYOUTS
from explorer.app.docks import Dock
from explorer.app.keys import KeysOverlay
from explorer.app.layouts import PIXEL
from explorer.app.palette import CommandPalette, Entry
from explorer.app.rebinding import Rebinding
from explorer.core.instruments import INSTRUMENTS
from explorer.panels.wording import shape_text

if TYPE_CHECKING:
    from explorer.app.window import Window


class Commanding(QObject):
    """Carries out commands by their id."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self.palette = CommandPalette(window)
        self.keys = KeysOverlay(window, window.commands)
        self.rebinding = Rebinding(window, window.commands, window.settings)
        self.palette.add_source(window.commands.entries)
        for source in (self._layers, self._engines, self._knobs, self._samples, self._recent,
                       self._layouts, self._docks):  # fmt: skip
            self.palette.add_source(source)
        self._does = self._table()
        window.commands.triggered.connect(self.do)

    def _table(self) -> dict[str, Callable[[], object]]:
        w = self._window
        table: dict[str, Callable[[], object]] = {
            "open-file": w.intake.ask_file, "open-folder": w.intake.ask_folder,
            "open-camera": w.intake.toggle_camera, "paste": w.intake.paste, "export": w.saving.ask,
            "quit": w.close, "undo": w.history.undo, "redo": w.history.redo,
            "copy-picture": self._copy, "copy-snippet": w.snippets.copy,
            "reset-knobs": w.knobs.reset_all,
            "play": w.playing.toggle, "freeze": w.playing.toggle_freeze,
            "step-back": partial(w.playing.step, -1), "step-forward": partial(w.playing.step, 1),
            "seek-start": partial(w.playing.to_end, last=False),
            "seek-end": partial(w.playing.to_end, last=True),
            "session-open": w.session_files.ask, "session-save": w.session_files.save,
            "session-save-as": w.session_files.save_as,
            "record": w.looking_back.record, "mark-step": w.looking_back.mark,
            "find-jump": w.looking_back.find_jump,
            "run": w.run_again, "cancel": self._escape, "train": w.train,
            "previous-layer": partial(self._move_layer, -1),
            "next-layer": partial(self._move_layer, 1),
            "previous-unit": partial(w.looking.on_unit_step, -1),
            "next-unit": partial(w.looking.on_unit_step, 1),
            "previous-page": partial(self._turn_page, -1),
            "next-page": partial(self._turn_page, 1),
            "zoom-cycle": self._zoom,
            "next-dock": partial(self._move_dock, forward=True),
            "previous-dock": partial(self._move_dock, forward=False),
            "order": self._order, "scale": self._scale, "zero-unit": self._zero,
            "scale-down": partial(self._scale_unit, 0.5),
            "scale-up": partial(self._scale_unit, 2.0),
            "hold-unit": w.surgery.hold, "edit-type": w.surgery.ask,
            "edits-load": w.surgery.ask_load, "edits-save": w.surgery.ask_save,
            "clear-edits": w.edit_book.clear, "palette": self._palette,
            "hold": w.instruments.toggle_hold, "pin-cursor": w.instruments.pin,
            "theme": w.toggle_theme, "reduced-motion": self._reduce_motion,
            "layout-save": self._ask_layout_name,
            "layout-reset": w.layouts.reset, "tour": w.tour.start, "keys": self.keys.open,
            "change-keys": self.rebinding.open,
        }  # fmt: skip
        for device in ("auto", "cpu", "cuda"):
            table[f"device-{device}"] = partial(w.choose_device, device)
        for row in INSTRUMENTS:
            table[f"inspect-{row.name}"] = partial(w.instruments.toggle, row.name)
        for layout, name in LAYOUTS.items():
            table[name] = partial(w.layouts.task, layout)
        return table

    @Slot(str)
    def do(self, name: str) -> None:
        """Carry out one command."""
        if self.palette.isVisible() and name != "palette":
            self.palette.close_palette()
        self._does[name]()

    def islands(self) -> tuple[QWidget, ...]:
        """What covers the window and keeps Tab to itself."""
        return self.palette, self.keys, self.rebinding

    def offer(self, name: str, does: Callable[[], object]) -> None:
        """Say what a hidden command of the table does; it is seen and can be given from now on."""
        self._does[name] = does
        self._window.commands.reveal(name)

    def knows(self, name: str) -> bool:
        """Whether a command of the table does something."""
        return name in self._does

    def fill_menus(self) -> None:
        """List recent items, samples, layouts and docks as they are now."""
        w = self._window
        recent = [(path, partial(w.intake.take_paths, [path])) for path in w.settings.values.recent]
        w.commands.set_items("recent", recent)
        w.commands.set_items("samples", [(e.title, e.run) for e in self._samples()])
        named = [(name, partial(self._restore_layout, name)) for name in w.layouts.names()]
        w.commands.set_items("layouts", named)
        docks = [*w.fixed_docks(), *w.engine_docks.docks.values()]
        menu = w.commands.menu("docks")
        menu.clear()
        menu.addActions([dock.toggleViewAction() for dock in docks])
        offered = {row.layout for row in w.rows.values() if not row.problem} | {PIXEL}
        for layout, name in LAYOUTS.items():
            w.commands[name].setVisible(layout in offered)

    def _layers(self) -> Iterator[Entry]:
        for layer in self._window.room.layers:
            shape = shape_text(layer.shape, batch=True) if layer.shape else ""
            detail = " · ".join(part for part in (layer.kind, shape) if part)
            yield Entry(
                layer.name, "layer", detail, "", partial(self._window.looking.go_to, layer.name)
            )

    def _engines(self) -> Iterator[Entry]:
        for row in self._window.rows.values():
            if not row.problem:
                run = partial(self._window.room.open, row.name)
                yield Entry(row.title, "engine", f"{row.name} · {row.family}", "", run)

    def _knobs(self) -> Iterator[Entry]:
        for name, row in self._window.knobs.rows.items():
            run = partial(self._focus_knob, name)
            yield Entry(row.title, "knob", row.knob.help, "", run)

    def _samples(self) -> Iterator[Entry]:
        from explorer.core.paths import assets

        folder = assets() / "samples"
        folder = folder if folder.is_dir() else assets()
        kinds = (".png", ".jpg", ".jpeg", ".mp4", ".avi", ".webm")
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in kinds):
            yield Entry(
                path.name, "sample", "", "", partial(self._window.intake.take_paths, [str(path)])
            )

    def _recent(self) -> Iterator[Entry]:
        for path in self._window.settings.values.recent:
            yield Entry(
                path.rpartition("/")[2],
                "recent",
                path,
                "",
                partial(self._window.intake.take_paths, [path]),
            )

    def _layouts(self) -> Iterator[Entry]:
        for name in self._window.layouts.names():
            yield Entry(name, "layout", "Put the docks back as they were kept under this name", "",
                        partial(self._restore_layout, name))  # fmt: skip

    def _docks(self) -> Iterator[Entry]:
        for dock in [*self._window.fixed_docks(), *self._window.engine_docks.docks.values()]:
            shown = "Bring to the front" if dock.isVisible() else "Open again"
            yield Entry(dock.windowTitle(), "dock", shown, "", partial(_bring, dock))

    def _palette(self) -> None:
        self.palette.open()
        self._window.touched("palette")

    def _focus_knob(self, name: str) -> None:
        self._window.knobs_dock.show()
        self._window.knobs_dock.raise_()
        self._window.knobs.focus_knob(name)

    def _copy(self) -> None:
        panel = self._window.looking.panel_in_use()
        if panel is not None:
            QGuiApplication.clipboard().setImage(panel.picture(2))
            self._window.say("Copied the picture")

    def _move_layer(self, by: int) -> None:
        self._window.layers.move_by(by)

    def _move_dock(self, *, forward: bool) -> None:
        self._window.focus.move_dock(forward=forward)

    def _turn_page(self, by: int) -> None:
        panel = self._window.centre.panel()
        if panel is not None:
            panel.turn_page(by)

    def _zoom(self) -> None:
        from explorer.panels.picture_view import PictureView

        panel = self._window.looking.panel_in_use()
        views = [] if panel is None else panel.findChildren(PictureView)
        shown = [view for view in views if view.isVisible()]
        for view in shown:
            view.cycle_zoom()
        if not shown:
            self._window.say("Nothing to zoom: click a picture or a map first")

    def _escape(self) -> None:
        """Put away what lies on top; when nothing does, stop what runs."""
        w = self._window
        panel = w.centre.panel()
        if w.cards.put_away():
            return
        if not w.toast.isHidden():
            w.toast.dismiss()
        elif w.tour.step is not None:
            w.tour.end()
        elif w.is_at_work() and not w.playing.playing:
            w.cancel()
        elif panel is not None and panel.selected is not None:
            panel.select(None)
        elif w.playing.scrubbed is not None:
            w.playing.to_newest()
        elif w.is_at_work():
            w.cancel()
        else:
            w.say("Nothing is running")

    def _reduce_motion(self) -> None:
        self._window.reduce_motion(on=self._window.commands["reduced-motion"].isChecked())

    def _order(self) -> None:
        panel = self._window.centre.panel()
        if panel is not None:
            panel.cycle_order()

    def _scale(self) -> None:
        panel = self._window.centre.panel()
        if panel is not None:
            panel.toggle_range()

    def _selected(self) -> tuple[str, int] | None:
        point = self._window.centre.current
        unit = self._window.looking.selected.get(point)
        if unit is None:
            key = self._window.commands.key_or_title
            self._window.say(
                f"Click a map first: then {key('zero-unit')} sets that unit to zero, "
                f"{key('scale-down')} and {key('scale-up')} scale it"
            )
            return None
        return point, unit

    def _zero(self) -> None:
        chosen = self._selected()
        if chosen is not None:
            self._window.edit_book.toggle_zero(*chosen)

    def _scale_unit(self, factor: float) -> None:
        chosen = self._selected()
        if chosen is not None:
            self._window.edit_book.scale(*chosen, factor)

    def _ask_layout_name(self) -> None:
        dialog = QInputDialog(self._window)
        dialog.setWindowTitle("Save layout")
        dialog.setLabelText("Name of this arrangement")
        dialog.textValueSelected.connect(self._save_layout)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def _save_layout(self, name: str) -> None:
        name = name.strip().replace("@", " ")
        if name:
            self._window.layouts.save(name)
            self.fill_menus()
            self._window.say(f"Layout {name!r} kept; View, Restore layout brings it back")

    def _restore_layout(self, name: str) -> None:
        problem = self._window.layouts.restore(name)
        self._window.say(problem or f"Layout {name!r}")


def _bring(dock: Dock) -> None:
    dock.show()
    dock.raise_()
    dock.setFocus(Qt.FocusReason.ShortcutFocusReason)
