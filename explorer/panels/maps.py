"""MapsPanel: all units of one capture point as one mosaic, live, with the selected one large."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QMenu, QWidget

from explorer import colours
from explorer.kinds import Array
from explorer.panels.map_words import caption_of, facts_of, warning_of
from explorer.panels.maps_body import MapsBody
from explorer.panels.mosaic import HOVER_FROM
from explorer.panels.panel import Panel, Probed
from explorer.panels.theme import DARK, Theme, gap_colour
from explorer.panels.unit_page import PAGE, UnitPage, sorted_units
from explorer.panels.wording import number_text
from explorer.views import Handle, Order, Range, Rendered, View

ORDERS: tuple[Order, ...] = ("index", "max", "mean", "change", "similarity")
NUMBERS_EVERY = 0.25  # seconds between renewals of words and marks while only values change
DEBOUNCE = 50  # ms
XY = tuple[float, float]


class MapsPanel(Panel):
    """The mosaic of one capture point.

    Signals:
        view_wanted: the `View` to capture from now on.
        unit_selected: ``(point, unit)``; unit None when nothing is selected any more.
        value_wanted: ``(Handle, unit, y, x)``, answered by `show_value`.
        unit_wanted: ``(Handle, unit)``, answered by `show_unit` with the exact map (H, W).
        field_marked: receptive field (x1, y1, x2, y2) of the clicked cell in input px, or None.
        cancel_wanted: the person does not want to wait any longer.
    """

    view_wanted = Signal(object)
    unit_selected = Signal(object)
    value_wanted = Signal(object)
    unit_wanted = Signal(object)
    field_marked = Signal(object)
    cancel_wanted = Signal()

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.body = MapsBody()
        self.view, self.detail, self.strip = self.body.view, self.body.detail, self.body.strip
        self.point, self.sample, self.call = "", 0, -1
        self.order: Order = "index"
        self.range: Range = "layer"
        self.frozen_limits = (0.0, 1.0)
        self.unsigned_map = "viridis"
        self.first = 0  # place in the order of the first unit shown, of a layer in pages
        self.selected: int | None = None
        self.page: UnitPage | None = None
        self._hovered: tuple[int, int, int] | None = None  # unit, y, x
        self._at: XY | None = None  # the same on the input
        self._exact: tuple[int, Array] | None = None  # a unit and its map
        self._asked: View | None = None
        self._numbers_at = 0.0
        self._frozen = False
        self._tables: dict[str, npt.NDArray[np.uint8]] = {}
        super().__init__(parent, theme=theme)
        self.set_body(self.body)
        self.setFocusProxy(self.view)
        self.header.show_lines("Maps")
        self.footer.addStretch(1)
        self.footer.takeAt(0)  # the bar stands under the mosaic, not under the large map
        self._connect()

    # -- what the application calls ------------------------------------------------------------

    def set_point(self, name: str) -> None:
        """Show the capture point ``name`` from now on; "" shows the empty state."""
        if name == self.point:
            return
        self.point, self.first, self.page = name, 0, None
        self.select(None)
        self.colour_bar.hide()
        self.strip.hide()
        self.header.show_lines(name or "Maps")
        if not name:
            self.body.setCurrentWidget(self.body.empty)
            return
        self.body.loading.wait_for(f"Waiting for {name}")
        self.body.setCurrentWidget(self.body.loading)
        self._want()

    def title(self) -> str:
        """What the header calls the maps: the layer's name."""
        return self.point

    def set_sample(self, sample: int) -> None:
        """Show sample ``sample`` of the batch."""
        self.sample = sample
        self._want()

    def set_call(self, call: int) -> None:
        """Show call ``call`` of a module that runs several times; -1 is the last."""
        self.call = call
        self._want()

    def show_rendered(self, rendered: Rendered) -> None:
        """Show a new picture of this panel's point; one of another point is left alone."""
        if self.point and rendered.view.point != self.point:
            return
        old = self.page.rendered if self.page is not None else None
        first = old is None or (old.shape, old.kind) != (rendered.shape, rendered.kind)
        self.point = rendered.view.point
        self.page = UnitPage.of(rendered, self.first // PAGE)
        again = first or old is None or old.view != rendered.view
        if self.body.currentWidget() is not self.body.content:
            self.body.setCurrentWidget(self.body.content)
        self._draw(first=again)
        if first:
            self._want()

    def show_value(self, handle: Handle, unit: int, y: int, x: int, value: float) -> None:
        """The exact value under the mouse, when the mouse is still there."""
        if self._hovered == (unit, y, x) and self.page and handle.point == self.point:
            words = self.page.probe_words(unit, y, x, number_text(value, 5))
            self.probed.emit(Probed(words, self._at))

    def show_unit(self, handle: Handle, unit: int, values: Array) -> None:
        """The exact map (H, W) of the selected unit, for the large view and its numbers."""
        if unit == self.selected and handle.point == self.point:
            self._exact = (unit, np.atleast_2d(np.asarray(values, np.float32)))
            self._draw_detail(numbers=True)

    def show_cursor(self, input_xy: XY | None) -> None:
        """Mark the place on the selected tile and on the large map."""
        affine = self.page.rendered.affine if self.page else None
        cell = affine.to_grid(*input_xy) if affine is not None and input_xy is not None else None
        self.view.show_cursor(self.selected, cell)
        self.detail.show_cursor(cell)

    def show_region(self, region: tuple[float, float, float, float] | None) -> None:
        """Show the same part of the input on the large map; the mosaic stays whole."""
        self.detail.show_region(region)

    def set_stale(self, words: str) -> None:
        """Say that the picture is older than the rest ("frame 12 of 40"); "" ends that."""
        self.header.set_stale(words)

    def set_frozen(self, *, frozen: bool) -> None:
        """Frame the panel and show the snowflake while the picture stands still."""
        self._frozen = frozen
        self.header.set_frozen(frozen=frozen)
        self.update()

    def set_edited(self, units: tuple[int, ...]) -> None:
        """Mark these units as edited."""
        self.view.edited_units = units
        self.view.show_marks()

    def arrays(self) -> dict[str, Array]:
        """Values as drawn (N, h, w), the unit of each tile, and the exact map of the selected."""
        if self.page is None:
            return super().arrays()
        found: dict[str, Array] = {"maps": self.page.values(), "units": self.page.units}
        if self._exact is not None:
            found["selected"] = self._exact[1]
        return found

    # -- choices of the person -----------------------------------------------------------------

    def select(self, unit: int | None) -> None:
        """Select a unit (None: nothing), bring its page up, and open it large."""
        if unit is not None and self.page is not None:
            unit = max(0, min(unit, self.page.count - 1))
            if self.page.position_of(unit) is None:
                place = int(np.flatnonzero(sorted_units(self.page.numbers, self.order) == unit)[0])
                self.show_from(place // PAGE * PAGE)
        changed, self.selected = unit != self.selected, unit
        if changed:
            self._exact = None
            self.field_marked.emit(None)
        self.detail.setVisible(unit is not None and self.page is not None and self.page.is_map)
        self.view.show_cursor(None, None)
        if self.page is not None:
            self._mark()
            self._renew_numbers()
            self._draw_detail(numbers=True)
        if changed:
            self.unit_selected.emit((self.point, unit))
            self._want()

    def walk(self, by: int) -> None:
        """Select the tile ``by`` places on; the first one when none is selected."""
        if self.page is None:
            return
        position = self.page.position_of(self.selected)
        wanted = 0 if position is None else position + by
        if 0 <= wanted < len(self.page.units):
            self.select(int(self.page.units[wanted]))

    def cycle_order(self) -> None:
        """Next order of the units; a layer in pages goes by index, maximum or mean."""
        paged = self.page is not None and self.page.pages > 1
        orders = ORDERS[:3] if paged else ORDERS if self.selected is not None else ORDERS[:4]
        place = orders.index(self.order) if self.order in orders else -1
        self.set_order(orders[(place + 1) % len(orders)])

    def set_order(self, order: Order) -> None:
        """Order the units."""
        self.order, self.first = order, 0
        self._want()

    def toggle_range(self) -> None:
        """One scale for the layer, or one a unit."""
        self.range = "unit" if self.range == "layer" else "layer"
        self._want()

    def freeze_range(self) -> None:
        """Keep the limits that are in force now."""
        if self.page is not None:
            self.frozen_limits = self._limits_shown()
            self.range = "frozen"
            self._want()

    def turn_page(self, by: int) -> None:
        """Go ``by`` pages on."""
        if self.page is not None and by:
            self.show_from((self.first // PAGE + by) % self.page.pages * PAGE)

    @Slot(int)
    def show_from(self, first: int) -> None:
        """Show a page from this place in the order on."""
        if self.page is not None and first != self.first:
            self.first = first
            if len(self.page.rendered.order) > PAGE:
                self.page = UnitPage.of(self.page.rendered, first // PAGE)
                self._draw(first=True)
            self._want()

    def set_unsigned_map(self, name: str) -> None:
        """Colour map of data that do not cross zero: viridis, magma or grey."""
        self.unsigned_map = name
        self._draw(first=True)

    def reset_zoom(self) -> None:
        """Show all tiles and the whole large map."""
        self.view.reset_zoom()
        self.detail.view.reset_zoom()

    def add_actions(self, menu: QMenu) -> None:
        """Order, scale and colour map."""
        orders = menu.addMenu("Order (S)")
        for order in ORDERS:
            action = orders.addAction(order)
            action.setCheckable(True)
            action.setChecked(order == self.order)
            action.triggered.connect(lambda _=False, order=order: self.set_order(order))
        menu.addAction("Layer scale or own scale (N)", self.toggle_range)
        menu.addAction("Freeze the scale", self.freeze_range)
        maps = menu.addMenu("Colours of unsigned data")
        for name in ("viridis", "magma", "grey"):
            maps.addAction(name, lambda name=name: self.set_unsigned_map(name))

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self._tables.clear()
        self.body.set_theme(theme)
        self._draw(first=True)

    # -- drawing -------------------------------------------------------------------------------

    def _draw(self, *, first: bool = False) -> None:
        if self.page is None:
            return
        moved = self.view.show_page(self.page, self._table())
        now = time.monotonic()
        numbers = first or moved or now - self._numbers_at >= NUMBERS_EVERY
        if numbers:
            self._renew_numbers()
        elif not self._numbers.isActive():
            self._numbers.start()
        self._mark()
        self._draw_detail(numbers=numbers)

    def _renew_numbers(self) -> None:
        """Words, bars and marks: four times a second is as fast as anyone reads."""
        page = self.page
        if page is None:
            return
        self._numbers.stop()
        self._numbers_at = time.monotonic()
        caption = caption_of(page.rendered, self.order, pages=page.pages, first=self.first)
        warning = warning_of(page.rendered)
        self.header.show_lines(self.title(), facts_of(page.rendered), caption, warning)
        self.setAccessibleName(f"Maps of {self.header.text()}")
        low, high = self._limits_shown()
        data = (page.numbers.low, page.numbers.high)
        self.colour_bar.show_range(self._table(), low, high, data=data)
        self.colour_bar.show()
        self.strip.setVisible(page.pages > 1)
        if page.pages > 1:
            order = sorted_units(page.numbers, self.order)
            self.strip.show_units(page.numbers.unit_high, page.units, self.selected, order)
        self.view.show_marks()
        if self.selected is not None and page.is_map:
            self.unit_wanted.emit((page.rendered.handle, self.selected))

    def _draw_detail(self, *, numbers: bool) -> None:
        page = self.page
        position = page.position_of(self.selected) if page is not None else None
        if page is None or position is None or not page.is_map:
            return
        limits = float(page.low[position]), float(page.high[position])
        exact = self._exact[1] if self._exact is not None else None
        index = page.tiles[position] if exact is None else colours.index_of(exact, *limits)
        self.detail.place, self.detail.receptive = page.rendered.affine, page.rendered.receptive
        self.detail.show_map(index, self._table(), page.rendered.map_size)
        if numbers:
            about = page.unit_numbers(position, exact)
            self.detail.show_numbers(about, self._table(), limits)

    def _mark(self) -> None:
        self.view.mark(self.selected, self._hovered[0] if self._hovered else None)

    def _table(self) -> npt.NDArray[np.uint8]:
        signed = self.page is not None and self.page.rendered.signed
        name = "diverging" if signed else self.unsigned_map
        if name not in self._tables:
            gap = gap_colour(self.theme, name)
            self._tables[name] = colours.table(name, gap=(gap.red(), gap.green(), gap.blue()))
        return self._tables[name]

    def _limits_shown(self) -> tuple[float, float]:
        """At the ends of the colour bar: those of the selected unit, else of all tiles."""
        page = cast("UnitPage", self.page)
        position = page.position_of(self.selected)
        if position is not None:
            return float(page.low[position]), float(page.high[position])
        return float(page.low.min()), float(page.high.max())

    def paintEvent(self, event: QPaintEvent) -> None:
        """A frame while frozen, a ring around the mosaic while it has the keyboard."""
        super().paintEvent(event)
        painter = QPainter(self)
        if self._frozen:
            painter.setPen(QPen(self.theme.colour("accent"), 4))
            painter.drawRect(self.rect())
        if self.view.hasFocus():
            ring = self.body.geometry().adjusted(-4, -3, 3, 3)
            painter.setPen(QPen(self.theme.colour("accent"), 2))
            painter.drawRect(ring)
        painter.end()

    # -- mouse and keys ------------------------------------------------------------------------

    def _on_picked(self, found: tuple[int, float, float]) -> None:
        if self.page is not None:
            position, x, y = found
            self.select(int(self.page.units[position]))
            self.field_marked.emit(self.page.receptive(x, y))

    def _on_pointed(self, found: tuple[int, float, float] | None) -> None:
        page = self.page
        if found is None or page is None:
            self._hovered = None
            self._mark()
            self.probed.emit(None)
            return
        position, x, y = found
        cell_y, cell_x = page.cell(x, y)
        cell = int(page.units[position]), cell_y, cell_x
        self._point_at(cell, page.on_input(x, y), page.about(position, y, x))

    def _on_detail_hover(self, at: XY | None) -> None:
        page = self.page
        height, width = page.rendered.map_size if page else (0, 0)
        inside = at is not None and 0 <= at[0] < width and 0 <= at[1] < height
        if page is None or at is None or not inside or self.selected is None:
            self._hovered = None
            self.probed.emit(None)
            return
        affine, x, y = page.rendered.affine, int(at[0]), int(at[1])
        value = "…" if self._exact is None else number_text(float(self._exact[1][y, x]), 5)
        self._point_at((self.selected, y, x), affine.to_input(*at) if affine else None, value)

    def _point_at(self, cell: tuple[int, int, int], on_input: XY | None, about: str) -> None:
        """Tell what the picture knows of (unit, y, x), and ask for the exact value."""
        page, (unit, y, x) = cast("UnitPage", self.page), cell
        moved, self._hovered, self._at = self._hovered != cell, cell, on_input
        self._mark()
        self._offer_tooltip(unit)
        self.probed.emit(Probed(page.probe_words(unit, y, x, about), on_input))
        if moved:
            self.value_wanted.emit((page.rendered.handle, unit, y, x))

    def _offer_tooltip(self, unit: int) -> None:
        """The index where tiles are too small to carry it, and why a tile is hatched."""
        page = cast("UnitPage", self.page)
        side = self.view.layout_now.side if self.view.layout_now else 0.0
        words = f"unit {unit} of {page.count}" if side >= HOVER_FROM else ""
        if page.constant(unit):
            value = number_text(float(page.numbers.unit_high[unit]))
            words = f"unit {unit} of {page.count}: constant {value}"
        self.view.setToolTip(words)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows walk, S orders, N scales, Page turns, Escape lets go."""
        columns = self.view.layout_now.columns if self.view.layout_now else 1
        doings: dict[Qt.Key, Callable[[], None]] = {
            Qt.Key.Key_Left: lambda: self.walk(-1),
            Qt.Key.Key_Right: lambda: self.walk(1),
            Qt.Key.Key_Up: lambda: self.walk(-columns),
            Qt.Key.Key_Down: lambda: self.walk(columns),
            Qt.Key.Key_S: self.cycle_order,
            Qt.Key.Key_N: self.toggle_range,
            Qt.Key.Key_PageUp: lambda: self.turn_page(-1),
            Qt.Key.Key_PageDown: lambda: self.turn_page(1),
        }
        if self.selected is not None:
            doings[Qt.Key.Key_Escape] = lambda: self.select(None)
        keypad, none = Qt.KeyboardModifier.KeypadModifier, Qt.KeyboardModifier.NoModifier
        doing = doings.get(Qt.Key(event.key()))
        if doing is None or self.page is None or event.modifiers() not in (none, keypad):
            super().keyPressEvent(event)
        else:
            doing()

    # -- asking --------------------------------------------------------------------------------

    def wanted(self) -> View:
        """The view that fits point, size, order, scale and page as they are now."""
        size, page = self.view.viewport().size(), self.page
        tile, columns, units = 0, 0, ()
        if page is not None:
            count = min(page.count if page.is_map else len(page.units), PAGE)
            layout = self.view.plan_for(count, page.rendered.map_size)
            columns = layout.columns
            tile = max(layout.drawn)
            if page.pages > 1:
                part = slice(self.first, self.first + PAGE)
                units = tuple(sorted_units(page.numbers, self.order)[part].tolist())
        return View(
            point=self.point,
            call=self.call,
            sample=self.sample,
            units=units,
            tile=tile,
            columns=columns,
            aspect=round(max(size.width(), 1) / max(size.height(), 1), 2),
            range=self.range,
            limits=self.frozen_limits if self.range == "frozen" else (0.0, 1.0),
            order=self.order,
            selected=(self.selected or 0) if self.order == "similarity" else 0,
        )

    def _want(self) -> None:
        if self.point and not self._ask.isActive():
            self._ask.start()

    def _emit_view(self) -> None:
        view = self.wanted()
        if self.point and view != self._asked:
            self._asked = view
            self.view_wanted.emit(view)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Turn the large map below the mosaic where the panel is narrow."""
        self.body.fit_width(event.size().width())
        super().resizeEvent(event)

    def _on_resize(self) -> None:
        """Fill the new room. Nothing here may change the layout: Qt loses a resize in a resize."""
        if self.page is not None:
            self.view.show_page(self.page, self._table())
            self.view.show_marks()
            self._mark()
            self._numbers.start()
        self._want()

    def _connect(self) -> None:
        self._ask, self._numbers = QTimer(self), QTimer(self)
        for timer, wait in ((self._ask, DEBOUNCE), (self._numbers, round(1000 * NUMBERS_EVERY))):
            timer.setSingleShot(True)
            timer.setInterval(wait)
        self._ask.timeout.connect(self._emit_view)
        self._numbers.timeout.connect(self._renew_numbers)
        self.view.pointed.connect(self._on_pointed)
        self.view.picked.connect(self._on_picked)
        self.view.resized.connect(self._on_resize)
        self.view.focus_changed.connect(self.update)
        self.detail.view.hovered.connect(self._on_detail_hover)
        self.detail.zoomed.connect(self.zoomed)
        self.detail.closed.connect(lambda: self.select(None))
        self.strip.chosen.connect(self.select)
        self.strip.brushed.connect(self.show_from)
        self.body.loading.cancelled.connect(self.cancel_wanted)
