"""Panel: what every picture of an artefact shares: header, body, colour bar, probe, export."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QByteArray, QIODevice, QPoint, QSaveFile, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QContextMenuEvent,
    QGuiApplication,
    QImage,
    QImageWriter,
    QPainter,
    QPalette,
)
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from explorer.coco_results import named_records, numbered
from explorer.kinds import Affine, Array, Artefact, Boxes, named_arrays
from explorer.panels.colour_bar import ColourBar
from explorer.panels.header import Header
from explorer.panels.theme import DARK, SPACE_M, SPACE_S, Theme
from explorer.panels.wording import shape_text

FORMATS = {"PNG": "Picture (*.png)", "SVG": "Vector picture (*.svg)", "NPZ": "Arrays (*.npz)"}
RESULTS = {"JSON": "Results in COCO's format (*.json)"}  # of boxes


@dataclass(frozen=True, slots=True)
class Probed:
    """What lies under the mouse: one line for the status bar, and where on the input (pixels)."""

    text: str
    input_xy: tuple[float, float] | None = None


class Panel(QWidget):
    """A view of one artefact.

    A subclass puts its widget in with `set_body` and overrides `draw`; `facts` when shape and unit
    do not say enough; `show_cursor`, `reset_zoom` and `add_actions` where they apply.

    Signals:
        gestured: ``(knob name, value)``, the value in input pixels.
        probed: `Probed`, or None when the mouse leaves.
        said: one line for the status bar (what was exported, why it failed).
        zoomed: a person zoomed or panned: what is shown of the input (x1, y1, x2, y2), None: all.
    """

    gestured = Signal(object)
    probed = Signal(object)
    said = Signal(str)
    zoomed = Signal(object)

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        super().__init__(parent)
        self.theme = theme
        self.artefact: Artefact | None = None
        self._body: QWidget | None = None
        self.add_group_lines: Callable[[QMenu], None] | None = None  # set by the group around it
        self.header = Header(self)
        self.colour_bar = ColourBar(self)
        self.colour_bar.hide()
        self.footer = QHBoxLayout()
        self.footer.setSpacing(SPACE_M)
        self.footer.addStretch(1)
        self.footer.addWidget(self.colour_bar)
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(SPACE_M, SPACE_M, SPACE_M, SPACE_M)
        self._rows.setSpacing(SPACE_S)
        self._rows.addWidget(self.header)
        self._rows.addLayout(self.footer)
        self.setAutoFillBackground(True)
        self.setMinimumSize(160, 120)
        self.set_theme(theme)

    # -- for subclasses ------------------------------------------------------------------------

    def set_body(self, widget: QWidget) -> None:
        """Put ``widget`` between header and footer; it takes all the room that is left."""
        self._rows.insertWidget(1, widget, 1)
        self._body = widget

    def draw(self, artefact: Artefact) -> None:
        """Draw ``artefact`` in the body; every panel overrides this."""
        raise NotImplementedError(f"{type(self).__name__} does not draw {type(artefact).__name__}")

    def facts(self, artefact: Artefact) -> str:
        """The line beside the title: shape of the main array, and its unit."""
        arrays = artefact.arrays()
        shape = shape_text(next(iter(arrays.values())).shape) if arrays else ""
        return " · ".join(part for part in (shape, artefact.unit) if part)

    def caption(self, artefact: Artefact) -> str:
        """The line below the title."""
        return artefact.note

    def warning(self, artefact: Artefact) -> str:
        """What is wrong with the numbers: how many are not finite."""
        numbers = [a for a in artefact.arrays().values() if a.dtype.kind == "f"]
        bad = sum(a.size - np.count_nonzero(np.isfinite(a)) for a in numbers)
        return f"{bad} not finite" if bad else ""

    def reset_zoom(self) -> None:
        """Show all again."""

    def add_actions(self, menu: QMenu) -> None:
        """Add the panel's own lines to its context menu."""

    # -- what the application calls ------------------------------------------------------------

    def show_artefact(self, artefact: Artefact) -> None:
        """Show ``artefact`` in place of the one before."""
        self.artefact = artefact
        name = f"{type(artefact).__name__} {artefact.name}"
        if name != self.accessibleName():
            self.setAccessibleName(name)
        if self._body is not None and not self._body.accessibleName():
            self._body.setAccessibleName(self.accessibleName())
        self.draw(artefact)
        self.say_lines()

    def say_lines(self) -> None:
        """Renew the lines of the header."""
        shown = self.artefact
        if shown is not None:
            lines = (self.facts(shown), self.caption(shown), self.warning(shown))
            self.header.show_lines(shown.item, *lines)

    def show_cursor(self, input_xy: tuple[float, float] | None) -> None:
        """Mark the place on the input that another panel's mouse is on; None removes the mark."""

    @Slot(str, object)
    def show_knob(self, name: str, value: Any) -> None:
        """A knob has this value now, set, undone or redone; panels that show it override this."""

    def show_region(self, region: tuple[float, float, float, float] | None) -> None:
        """Show this part of the input, as another panel does; None shows all."""

    def set_background(self, image: Array | None, place: Affine | None = None) -> None:
        """Take the picture (H, W, 3) uint8 that the network looks at, and where it lies in input
        pixels, before the artefact over it is shown; panels that draw over it override this.
        """

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.theme = theme
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Window, theme.colour("panel"))
        palette.setColor(QPalette.ColorRole.WindowText, theme.colour("text"))
        self.setPalette(palette)
        self.header.set_theme(theme)
        self.colour_bar.set_theme(theme)

    # -- export --------------------------------------------------------------------------------

    def picture(self, scale: float = 1) -> QImage:
        """What is shown, with title and colour bar, ``scale`` times as dense as the screen."""
        self._settle()
        made = QImage(self.size() * scale, QImage.Format.Format_ARGB32_Premultiplied)
        made.setDevicePixelRatio(scale)
        made.fill(self.theme.colour("panel"))
        self.render(made, QPoint())
        return made

    def _settle(self) -> None:
        """Bring words and places up to date before the panel is drawn into a file."""
        self.header.flush()
        for widget in (self, self.header):
            layout = widget.layout()
            if layout is not None:
                layout.activate()

    def svg(self, path: str | Path) -> bool:
        """Write what is shown as SVG: text and lines as vectors, pictures as embedded pixels."""
        file = QSaveFile(str(path))
        if not file.open(QIODevice.OpenModeFlag.WriteOnly):
            return False
        self._settle()
        generator = QSvgGenerator()
        generator.setOutputDevice(file)
        generator.setSize(QSize(self.width(), self.height()))
        generator.setViewBox(self.rect())
        generator.setTitle(self.header.text())
        painter = QPainter(generator)
        painter.fillRect(self.rect(), self.theme.colour("panel"))
        self.render(painter, QPoint())
        painter.end()
        return file.commit()

    def arrays(self) -> dict[str, Array]:
        """The numbers that are shown and their labels, by field name."""
        return {} if self.artefact is None else named_arrays(self.artefact)

    def save(self, path: str | Path) -> None:
        """Write PNG, SVG, NPZ or, of boxes, JSON by the suffix; whole or not at all.

        Raises:
            OSError: the suffix is none of these, or the file cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".svg":
            if not self.svg(path):
                raise OSError(f"cannot write {path}")
            return
        boxes = self.artefact
        if suffix == ".json" and isinstance(boxes, Boxes):
            rows = named_records(1, boxes.boxes, boxes.scores, boxes.labels)
            write_whole(path, json.dumps(numbered(rows), ensure_ascii=False))
            return
        if suffix not in (".png", ".npz"):
            raise OSError(f"cannot write {path.name}: use .png, .svg or .npz")
        write_whole(path, self.picture(2) if suffix == ".png" else self.arrays())

    def formats(self) -> dict[str, str]:
        """The formats it can be written in, with the words of the file dialog."""
        return FORMATS | RESULTS if isinstance(self.artefact, Boxes) else FORMATS

    def copy(self) -> None:
        """Put the picture on the clipboard."""
        QGuiApplication.clipboard().setImage(self.picture(2))
        self.said.emit(f"Copied a picture of {self.header.name()}")

    # -- context menu --------------------------------------------------------------------------

    def menu(self) -> QMenu:
        """The context menu, made anew each time."""
        menu = QMenu(self)
        for add in (self.add_group_lines, self.add_actions):
            if add is not None:
                add(menu)
            if not menu.isEmpty():
                menu.addSeparator()
        menu.addAction("Reset zoom", self.reset_zoom)
        menu.addSeparator()
        menu.addAction("Copy picture", self.copy)
        for name in self.formats():
            action = menu.addAction(f"Export {name}…")
            action.setData(name)
            action.triggered.connect(lambda _=False, name=name: self._ask_and_save(name))
        return menu

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Open the menu at the mouse, or in the middle when a key asked for it."""
        by_key = event.reason() is QContextMenuEvent.Reason.Keyboard
        where = self.mapToGlobal(self.rect().center()) if by_key else event.globalPos()
        menu = self.menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(where)
        event.accept()

    def _ask_and_save(self, format_name: str) -> None:
        stem = self.header.name().replace("/", "-") or "panel"
        suggested = f"{stem}.{format_name.lower()}"
        path, _ = QFileDialog.getSaveFileName(
            self, "Export", suggested, self.formats()[format_name]
        )
        if not path:
            return
        try:
            self.save(path if Path(path).suffix else f"{path}.{format_name.lower()}")
        except OSError as error:
            self.said.emit(str(error))
        else:
            self.said.emit(f"Wrote {path}")


def write_whole(path: Path, shown: QImage | Mapping[str, Array] | str) -> None:
    """Write a picture as PNG, arrays as NPZ or a text; the file is there whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    file = QSaveFile(str(path))
    if not file.open(QIODevice.OpenModeFlag.WriteOnly):
        raise OSError(f"cannot write {path}: {file.errorString()}")
    if isinstance(shown, QImage):
        written = QImageWriter(file, QByteArray(b"png")).write(shown)
    elif isinstance(shown, str):
        text = f"{shown}\n".encode()
        written = file.write(text) == len(text)
    else:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **shown)
        written = file.write(buffer.getvalue()) == buffer.tell()
    if not (written and file.commit()):
        raise OSError(f"cannot write {path}: {file.errorString()}")
