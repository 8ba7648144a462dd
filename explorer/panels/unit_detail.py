"""The selected unit, large: its map, its own numbers, its colour bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF, QSize, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from explorer.kinds import Affine
from explorer.panels.colour_bar import ColourBar
from explorer.panels.header import Header
from explorer.panels.icons import icon
from explorer.panels.linking import Region, region_on
from explorer.panels.overlays import CursorOverlay, RectOverlay
from explorer.panels.picture_view import PictureView
from explorer.panels.theme import DARK, SPACE_S, Theme
from explorer.panels.wording import number_text, percent_text

# What can be asked about a unit: name, words, icon, tooltip.
QUESTIONS = (
    ("explain", "Explain the unit", "zap", "gradients and Grad-CAM over the input (B)"),
    ("maximise", "Maximise the unit", "sparkles", "make the picture it likes best (Shift+M)"),
    ("exciting", "What excites it", "grid", "crops of all pictures and frames so far"),
)


@dataclass(frozen=True, slots=True)
class UnitNumbers:
    """What the pane writes about a unit; ``zeros`` is a share, ``exact`` says from all values."""

    unit: int
    count: int
    mean: float
    low: float
    high: float
    zeros: float
    exact: bool
    reduced: int = 1

    @property
    def dead(self) -> bool:
        """The unit has one value everywhere."""
        return self.low == self.high

    def text(self) -> str:
        """``mean 0.06 · max 0.95 · 45 % zero``, with the minimum when it is negative."""
        if self.dead:
            return f"constant {number_text(self.high)}"
        parts = [f"mean {number_text(self.mean)}", f"max {number_text(self.high)}"]
        if self.low < 0:
            parts.insert(1, f"min {number_text(self.low)}")
        parts.append(f"{'' if self.exact else '≈ '}{percent_text(self.zeros)} zero")
        if not self.exact and self.reduced > 1:
            parts.append(f"averaged {self.reduced}×")
        return " · ".join(parts)


class UnitDetail(QWidget):
    """One map with a header ``unit 137 of 512``, statistics, colour bar and questions.

    Signals:
        asked: the name of a question, see `QUESTIONS`.
        zoomed: a person zoomed or panned: what is shown of the input (x1, y1, x2, y2), None: all.

    Attributes:
        place: from cells to input pixels. ``receptive``: (width, height) of a cell's field there.
    """

    closed = Signal()
    zoomed = Signal(object)
    asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._size = DARK, (1, 1)
        self.header = Header(self)
        self.view = PictureView(self)
        self.colour_bar = ColourBar(self)
        self.cursor_mark = CursorOverlay(arm=12)
        self.seeing = RectOverlay(dashed=True)  # all cells that see the pixel under the cursor
        self.place: Affine | None = None
        self.receptive: tuple[float, float] | None = None
        self.view.add(self.cursor_mark, 50)
        self.view.add(self.seeing, 40)
        self.view.zoom_changed.connect(self._on_zoom)
        self.close_button = QToolButton(self)
        self.close_button.setAccessibleName("Close the large map")
        self.close_button.setToolTip("Close the large map (Esc)")
        self.close_button.clicked.connect(self.closed)
        self.questions = {name: self._question(name, words, tip)
                          for name, words, _, tip in QUESTIONS}  # fmt: skip
        self.header.extra.addWidget(self.close_button)
        foot = QHBoxLayout()
        foot.setSpacing(0)
        for button in self.questions.values():
            button.setFixedSize(26, 24)
            foot.addWidget(button)
        foot.addStretch(1)
        foot.addWidget(self.colour_bar)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(SPACE_S, 0, 0, 0)
        rows.setSpacing(SPACE_S)
        rows.addWidget(self.header)
        rows.addWidget(self.view, 1)
        rows.addLayout(foot)
        rows.addStretch(0)
        self.view.setMinimumHeight(30)
        self.setMinimumSize(230, 116)  # header, a little map and the foot stay in a low panel

    def show_map(
        self, index: npt.NDArray[np.uint8], table: npt.NDArray[np.uint8], size: tuple[int, int]
    ) -> None:
        """Show a map as indices; ``size`` is (height, width) of the whole map in cells."""
        if size != self._size:
            self._size = size
            self._fit_height()
        rect = QRectF(0, 0, size[1], size[0])
        self.view.show_picture(index, rect, table)
        self.view.set_home(rect)

    def show_cursor(self, cell: tuple[float, float] | None) -> None:
        """Mark a place (x, y) in cells, and the cells whose receptive fields it lies in."""
        self.cursor_mark.show_at(cell)
        corners = None
        if cell is not None and self.place is not None and self.receptive is not None:
            wide = self.receptive[0] / abs(self.place.sx) / 2
            high = self.receptive[1] / abs(self.place.sy) / 2
            corners = (cell[0] - wide, cell[1] - high, cell[0] + wide, cell[1] + high)
        self.seeing.show_corners(corners)

    def show_region(self, region: Region | None) -> None:
        """Show this part of the input (x1, y1, x2, y2), None all of it."""
        if self.place is not None:
            self.view.show_region(region_on(self.place.to_grid, region))

    @Slot(object)
    def _on_zoom(self, region: Region | None) -> None:
        if self.place is not None:
            self.zoomed.emit(region_on(self.place.to_input, region))

    def show_numbers(
        self,
        numbers: UnitNumbers,
        table: npt.NDArray[np.uint8],
        limits: tuple[float, float],
        what: str = "unit",
    ) -> None:
        """Renew header and colour bar."""
        self.header.show_lines(f"{what} {numbers.unit} of {numbers.count}", "", numbers.text())
        self.colour_bar.show_range(table, *limits, data=(numbers.low, numbers.high))

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        for part in (self.header, self.view, self.colour_bar, self.cursor_mark, self.seeing):
            part.set_theme(theme)
        self.close_button.setIcon(icon("x", theme, 16))
        for name, _, glyph, _ in QUESTIONS:
            self.questions[name].setIcon(icon(glyph, theme, 16))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the picture the height of its shape, so that the numbers stand right below it."""
        super().resizeEvent(event)
        self._fit_height()

    def _question(self, name: str, words: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setAccessibleName(words)
        button.setToolTip(f"{words}: {tip}")
        button.clicked.connect(lambda: self.asked.emit(name))
        return button

    def _fit_height(self) -> None:
        height, width = self._size
        self.view.setMaximumHeight(max(60, round((self.width() - SPACE_S) * height / width)))

    def sizeHint(self) -> QSize:
        """A third of a panel."""
        return QSize(300, 300)
