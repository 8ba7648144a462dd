"""Take it away: PNG, SVG, NPZ of the panel in use; MP4 and NPZ of what was recorded of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog, QMenu

from explorer.kinds import Image

if TYPE_CHECKING:
    from explorer.app.window import Window
    from explorer.inputs import Pixels
    from explorer.panels.panel import Panel

SCALES = (1, 2, 3, 4)
FILM_FPS = 10.0  # of steps that have no rate of their own
SPAN = "span"


class Saving(QObject):
    """The export menu. It opens at the panel that has the focus, or at the maps."""

    _written = Signal(str)

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._dialog: QFileDialog | None = None
        self.film: Film | None = None
        self._written.connect(window.say, Qt.ConnectionType.QueuedConnection)

    @Slot()
    def ask(self) -> None:
        """Show what can be saved of the panel in use."""
        menu = self.menu()
        if menu is None:
            self._window.say("Nothing to export yet: run something first")
            return
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self._window.mapToGlobal(self._window.rect().center()))

    def menu(self) -> QMenu | None:
        """The choices for the panel in use; None when nothing is shown."""
        panel = self._window.looking.panel_in_use()
        if panel is None:
            return None
        menu = QMenu(self._window)
        menu.setAccessibleName("Export")
        menu.addSection(panel.accessibleName() or "Panel")
        for scale in SCALES:
            words = f"PNG, {scale}×"
            menu.addAction(words).triggered.connect(partial(self._ask_path, panel, "png", scale))
        menu.addAction("SVG").triggered.connect(partial(self._ask_path, panel, "svg", 1))
        menu.addAction("NPZ, the numbers shown").triggered.connect(
            partial(self._ask_path, panel, "npz", 1)
        )
        count = len(self._window.runner.timeline)
        menu.addSeparator()
        film = menu.addAction(f"MP4, the picture at each of {count} recorded steps")
        film.triggered.connect(partial(self._ask_path, panel, "mp4", 1))
        span = menu.addAction(f"NPZ, the numbers at each of {count} recorded steps")
        span.triggered.connect(partial(self._ask_path, panel, SPAN, 1))
        for action in (film, span):
            action.setEnabled(count > 1)
        return menu

    def save(self, panel: Panel, path: Path, scale: int = 1) -> None:
        """Write one file by its suffix; the outcome is said in the status bar."""
        try:
            if path.suffix == ".mp4" and isinstance(panel.artefact, Image) and panel.artefact.fps:
                self.save_span(panel, path)
                return
            if path.suffix == ".mp4":
                self.film = Film(self._window, panel, path)
                self.film.start()
                return
            if path.suffix == ".png":
                write_png(panel.picture(scale), path)
            else:
                panel.save(path)
        except OSError as error:
            self._window.say(f"Not saved: {error}")
        else:
            self._window.say(f"Wrote {path}")

    def save_span(self, panel: Panel, path: Path) -> None:
        """Write the recorded numbers (or the film) of what a panel shows, off the window's
        thread."""
        from explorer.core.recording import save_artefact_span, save_film, save_layer_span

        point = getattr(panel, "point", "")
        name = panel.artefact.name if panel.artefact is not None else ""
        save, what = (save_layer_span, point) if point else (save_artefact_span, name)
        if path.suffix == ".mp4":
            save = save_film
        frames = self._window.runner.timeline.span()
        self._window.say(f"Writing {path.name} …")

        def work() -> None:
            try:
                self._written.emit(f"Wrote {save(path, frames, what)} steps to {path}")
            except OSError as error:
                self._written.emit(f"Not saved: {error}")

        self._window.sources.later(work)

    def _ask_path(self, panel: Panel, suffix: str, scale: int, checked: bool = False) -> None:
        name = (panel.accessibleName() or "panel").replace("/", " ").strip()
        if suffix == SPAN:
            suffix, scale, name = "npz", 0, f"{name} recorded"
        dialog = QFileDialog(self._window, f"Export {suffix.upper()}")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix)
        dialog.setNameFilter(f"*.{suffix}")
        dialog.selectFile(f"{name}.{suffix}")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(partial(self._chosen, panel, scale))
        dialog.open()

    def _chosen(self, panel: Panel, scale: int, name: str) -> None:
        if scale:
            self.save(panel, Path(name), scale)
        else:
            self.save_span(panel, Path(name))


class Film(QObject):
    """Shows one recorded step after the other in the panel and writes what it shows."""

    def __init__(self, window: Window, panel: Panel, path: Path) -> None:
        super().__init__(window)
        from explorer.core.export import ClipWriter

        self._window, self._panel = window, panel
        self._path = path
        moving = window.sources.moving()
        rate = moving.input.fps if moving is not None else FILM_FPS  # type: ignore[union-attr]
        self._writer: Any = ClipWriter(path, rate)
        self._frames = window.runner.timeline.span()()
        self._count = len(window.runner.timeline)
        self._next = 0
        self._size = panel.size()
        self._running = False

    def start(self) -> None:
        """Begin; the window stays usable meanwhile."""
        self._running = True
        self._window.shown.connect(self._drawn)
        self._show()

    def is_running(self) -> bool:
        """Whether steps are left to write."""
        return self._running

    def stop(self) -> None:
        """Give up and leave no half file."""
        if self._end():
            self._writer.abort()

    @Slot()
    def _show(self) -> None:
        """Draw the next step; a panel may get its part only in a later turn."""
        frame = next(self._frames, None) if self._running else None
        if frame is not None:
            self._window.playing.scrubbed = self._next  # what comes meanwhile is not drawn
            self._window.presenter.show(frame, stale=f"step {self._next + 1} of {self._count}")
        elif self._end():
            try:
                self._writer.close()
            except OSError as error:
                self._window.say(f"Not saved: {error}")
            else:
                self._window.say(f"Wrote {self._path}")

    @Slot(object)
    def _drawn(self, _frame: Any) -> None:
        """All panels show the step: write it, then the next one."""
        for group in self._window.presenter.groups.values():
            if group.isAncestorOf(self._panel):
                group.settle()  # its tab may not be in front
        try:
            picture = self._panel.picture(1)
            if picture.size() != self._size:
                picture = picture.scaled(self._size)
            self._writer.write(pixels_of_picture(picture))
        except (OSError, ValueError, RuntimeError) as error:
            self.stop()
            self._window.say(f"Not saved: {error}")
            return
        self._next += 1
        self._window.say(f"MP4: step {self._next} of {self._count}")
        QTimer.singleShot(0, self, self._show)

    def _end(self) -> bool:
        """Back to the newest step; False when it had ended already."""
        if not self._running:
            return False
        self._running = False
        self._window.shown.disconnect(self._drawn)
        self._window.playing.back_to_now()
        return True


def pixels_of_picture(picture: QImage) -> Pixels:
    """A QImage as (H, W, 3) uint8 with even sides, as video codecs want them."""
    flat = picture.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(flat.constBits(), np.uint8).reshape(flat.height(), flat.bytesPerLine())
    pixels = rows[:, : 3 * flat.width()].reshape(flat.height(), flat.width(), 3)
    return pixels[: flat.height() // 2 * 2, : flat.width() // 2 * 2].copy()


def write_png(picture: QImage, path: Path) -> None:
    """Write a picture whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    from PySide6.QtCore import QIODevice, QSaveFile

    file = QSaveFile(str(path))
    if not file.open(QIODevice.OpenModeFlag.WriteOnly):
        raise OSError(f"cannot write {path}: {file.errorString()}")
    if not (picture.save(file, "PNG") and file.commit()):  # type: ignore[call-overload]
        raise OSError(f"cannot write {path}: {file.errorString()}")
