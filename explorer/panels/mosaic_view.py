"""MosaicView: one image item that fills its room with tiles, marks above, cells under the mouse."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QWidget

from explorer.panels.mosaic import Layout, arrange, plan
from explorer.panels.overlays import CursorOverlay
from explorer.panels.picture_view import PictureView
from explorer.panels.theme import Theme
from explorer.panels.tile_marks import SelectionMarks, TileMarks
from explorer.panels.unit_page import UnitPage, checkered
from explorer.panels.wording import number_text
from explorer.views import GAP


class MosaicView(PictureView):
    """The tiles of a `UnitPage`.

    Signals:
        pointed: ``(position, x, y)`` of the tile under the mouse in tile pixels, or None.
        picked: the same, of a click on a tile.
    """

    pointed = Signal(object)
    picked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        self.tile_marks, self.selection = TileMarks(), SelectionMarks()
        self.cursor_mark = CursorOverlay(arm=7)
        self.page: UnitPage | None = None
        self.layout_now: Layout | None = None
        self.edited_units: tuple[int, ...] = ()
        self._density = 1
        super().__init__(parent)
        self.setAccessibleName("Mosaic of units")
        for z, mark in enumerate((self.tile_marks, self.selection, self.cursor_mark), start=10):
            self.add(mark, z)
        self.box.sigRangeChanged.connect(self._on_range)
        self.hovered.connect(self._on_hover)
        self.clicked.connect(self._on_click)

    def show_page(self, page: UnitPage, table: npt.NDArray[np.uint8]) -> bool:
        """Draw the tiles; True when they stand elsewhere than before."""
        layout = self.plan_for(len(page.tiles), page.tiles.shape[1:3])
        changed = layout != self.layout_now or self.page is None
        self.page, self.layout_now = page, layout
        if table is not self.image.lut:
            paper = QColor(*(int(v) for v in table[GAP][:3]))
            self.setBackground(paper)
            self.tile_marks.paper = paper
        height, width = layout.size
        self.show_picture(self._picture(), QRectF(0, 0, width, height), table)
        if changed:
            self.set_home(QRectF(0, 0, width, height), 1.0)
        return changed

    def _picture(self) -> npt.NDArray[np.uint8]:
        """The index picture, with all pixels of the maps when the screen can show them."""
        page, layout = self.page, self.layout_now
        assert page is not None
        assert layout is not None
        self._density = self._wanted_density(layout)
        bad = page.numbers.not_finite > 0
        index = arrange(page.tiles, layout.denser(self._density), average=not bad)
        return checkered(index) if bad else index

    def _wanted_density(self, layout: Layout) -> int:
        """Mosaic pixels of the picture for one of the layout; more where maps are shrunk."""
        wanted: float = self.devicePixelRatioF() * (self.magnified() if self.zoomed else 1.0)
        return max(1, math.ceil(min(wanted, layout.shrunk)))

    def _on_range(self) -> None:
        """Draw again when the person zooms to where the picture has too few pixels."""
        layout = self.layout_now
        if self.page is not None and layout is not None:
            height, width = layout.size
            if self._wanted_density(layout) != self._density:
                self.show_picture(self._picture(), QRectF(0, 0, width, height))

    def plan_for(self, count: int, tile: tuple[int, ...]) -> Layout:
        """The layout of ``count`` tiles (height, width) in the room there is."""
        size = self.viewport().size()
        return plan(max(count, 1), (tile[0], tile[1]), size.width(), size.height())

    def show_marks(self) -> None:
        """Hatch dead units, write labels, mark edits."""
        page = self.page
        if page is None or self.layout_now is None:
            return
        self.tile_marks.show_tiles(
            self.layout_now,
            page.dead(),
            [p for p in map(page.position_of, self.edited_units) if p is not None],
            lambda i: str(page.units[i]),
            lambda i: number_text(float(page.numbers.unit_high[page.units[i]])),
        )

    def mark(self, selected: int | None, hovered: int | None) -> None:
        """Outline the selected and the hovered unit."""
        if self.page is None or self.layout_now is None:
            return
        places = [self.page.position_of(unit) for unit in (selected, hovered)]
        corners = [None if p is None else self.layout_now.corners(p) for p in places]
        self.selection.mark(corners[0], corners[1])

    def show_cursor(self, unit: int | None, cell: tuple[float, float] | None) -> None:
        """Cross at a place (x, y) of the full map, on the tile of ``unit``."""
        position = self.page.position_of(unit) if self.page is not None else None
        if cell is None or position is None or self.page is None or self.layout_now is None:
            self.cursor_mark.show_at(None)
            return
        x1, y1, x2, y2 = self.layout_now.corners(position)
        height, width = self.page.rendered.map_size
        self.cursor_mark.show_at(
            (x1 + cell[0] / width * (x2 - x1), y1 + cell[1] / height * (y2 - y1))
        )

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        for mark in (self.tile_marks, self.selection, self.cursor_mark):
            mark.set_theme(theme)

    def _located(self, at: tuple[float, float] | None) -> tuple[int, float, float] | None:
        return self.layout_now.locate(*at) if at is not None and self.layout_now else None

    def _on_hover(self, at: tuple[float, float] | None) -> None:
        self.pointed.emit(self._located(at))

    def _on_click(self, at: tuple[float, float]) -> None:
        found = self._located(at)
        if found is not None:
            self.picked.emit(found)
