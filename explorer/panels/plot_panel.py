"""PlotPanel: axes, legend, zoom and a crosshair that reads the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPicture,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QGraphicsItem, QWidget

from explorer.kinds import Array
from explorer.panels.axis_ticks import labels, log_ticks, round_step, ticks
from explorer.panels.panel import Panel, Probed
from explorer.panels.plotting import pg
from explorer.panels.series import Legend, series_colour
from explorer.panels.theme import DARK, SPACE_M, SPACE_S, Theme, font
from explorer.panels.wording import number_text

Range = tuple[float, float]
Drawn = tuple[
    tuple[QColor, QRectF],
    list[tuple[QColor, QRectF]],
    list[tuple[QRectF, Qt.AlignmentFlag | Qt.TextFlag, str]],
]  # the axis, its ticks, its words
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextDontClip
BELOW = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextDontClip
Reading = tuple[int, str, float | None]  # series, words, height in plot coordinates
CHIP_ROWS = 12
LINE = 16
GRID = 46  # opacity of the grid, of 255
LEGEND_FROM, TWO_ROWS_FROM, CAPTION_FROM, NAMES_FROM = 110, 165, 170, 200  # px of a panel
LABEL_TALL = 18.0  # px from one label of an upright axis to the next, at least


class Axis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """An axis with a true minus, caption type, and powers of ten written as numbers."""

    def __init__(self, side: str) -> None:
        super().__init__(side)
        self.name_among_ticks, self.titled = "", False
        self.whole = False  # numbers that count something: no ticks between
        self._specs: Any = None
        self.picture: QPicture | None
        self.enableAutoSIPrefix(False)
        self.setStyle(tickFont=font("caption"), autoReduceTextSpace=False, tickLength=-4)

    def tickValues(
        self, low: float, high: float, size: float
    ) -> list[tuple[float | None, list[float]]]:
        """Labelled ticks with room for their labels; on a log axis bare ones between them."""
        low, high = sorted((float(low), float(high)))
        if not (math.isfinite(low) and math.isfinite(high)) or high - low <= 1e-12 * abs(high):
            return []
        if self.logMode:
            labelled, bare = log_ticks(low, high, LABEL_TALL * (high - low) / max(size, 1.0))
            return [(1.0, labelled), (None, bare)]
        metrics = QFontMetrics(self.style["tickFont"])
        steps = [(count, round_step(low, high, count)) for count in (10, 8, 6, 5, 4, 3, 2, 1)]
        found = [ticks(low, high, n) for n, step in steps if not self.whole or step == round(step)]
        for roomy in (1.5, 1.0):
            for places in found:
                step = places[1] - places[0] if len(places) > 1 else 0.0
                if size * step / (high - low) >= max(roomy * self._label_room(metrics, places), 1):
                    return [(1.0, places)]
        return [(1.0, next((places[:1] for places in reversed(found) if places), []))]

    def _label_room(self, metrics: QFontMetrics, places: Sequence[float]) -> float:
        """Px from one label to the next, at least."""
        if self.orientation in ("left", "right"):
            return LABEL_TALL
        return 8.0 + max((metrics.horizontalAdvance(t) for t in labels(places)), default=0)

    def tickStrings(
        self, values: Sequence[float], scale: float, spacing: float | None
    ) -> list[str]:
        """Write the ticks the way the rest of the window writes numbers."""
        if spacing is None:
            return [""] * len(values)
        if self.logMode:
            return [number_text(10.0 ** float(v), 4) for v in values]
        return labels(values)

    def paint(self, painter: QPainter, *args: Any) -> None:
        """Draw ticks and numbers straight away: a recorded picture looks its fonts up each time."""
        if self.picture is None:
            self._specs = self.generateDrawSpecs(painter)
            self.picture = QPicture()  # pyqtgraph sets None when it wants the ticks anew
        if self._specs is None:
            return
        axis, ticks, words = self._specs
        name = self._name_place()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for colour, line in (*ticks, axis):  # level or upright: filling is quicker than lines
            painter.fillRect(line, colour)
        painter.setFont(self.style["tickFont"])
        painter.setPen(self.textPen())
        for box, flags, text in words:
            if not name.intersects(box):
                painter.drawText(box, int(flags), text)
        if not name.isEmpty():
            painter.drawText(name, Qt.AlignmentFlag.AlignCenter, self.name_among_ticks)
        painter.restore()

    def generateDrawSpecs(self, painter: QPainter) -> Drawn | None:
        """Where the axis, its ticks, which cross the view, and their numbers lie.

        pyqtgraph's own makes two points of each tick: most of what it took to draw a small plot.
        """
        bounds = self.mapRectFromParent(self.geometry())
        view = self.linkedView()
        area = view.mapRectToItem(self, view.boundingRect())
        upright = self.orientation == "left"
        length = bounds.height() if upright else bounds.width()
        low, high = self.range
        if length <= 0 or low >= high:
            return None
        step = (-length if upright else length) / (high - low)
        zero = (bounds.bottom() if upright else bounds.left()) - low * step
        seen, metrics = self.boundingRect(), QFontMetrics(self.style["tickFont"])
        tall, widest = 0.8 * metrics.height(), 0.0
        ticks: list[tuple[QColor, QRectF]] = []
        words: list[tuple[QRectF, Qt.AlignmentFlag | Qt.TextFlag, str]] = []
        for i, (spacing, values) in enumerate(self.tickValues(low, high, length)):
            colour = QColor(self.tickPen().color())
            colour.setAlpha(int(GRID / (i + 1) * min(1.0, 0.05 * length / (len(values) + 1))))
            texts = self.tickStrings(values, 1.0, spacing)
            for value, text in zip(values, texts, strict=True):
                if not low <= value <= high:
                    continue
                at = zero + value * step
                if upright:
                    ticks.append(
                        (colour, QRectF(bounds.right(), at, area.right() - bounds.right(), 1))
                    )
                else:
                    ticks.append((colour, QRectF(at, area.top(), 1, bounds.top() - area.top())))
                if not text:
                    continue
                wide = metrics.horizontalAdvance(text)
                widest = max(widest, wide)
                if upright:
                    box = QRectF(bounds.right() - 5 - wide, at - tall / 2, wide, tall)
                else:
                    box = QRectF(at - wide / 2, bounds.top() + 2, wide, tall)
                if seen.contains(box):
                    words.append((box, RIGHT if upright else BELOW, text))
        self._updateMaxTextSize(widest if upright else tall if words else 0)
        line = (
            QRectF(bounds.right() - 1, bounds.top() - 1, 1, bounds.height() + 2)
            if upright
            else (QRectF(bounds.left() - 1, bounds.top() + 1, bounds.width() + 2, 1))
        )
        return (self.pen().color(), line), ticks, words

    def _name_place(self) -> QRectF:
        """Where the name stands among the labels: right of them, or above them; empty: nowhere."""
        if not self.name_among_ticks:
            return QRectF()
        wide = QFontMetrics(self.style["tickFont"]).horizontalAdvance(self.name_among_ticks) + 8.0
        area = QRectF(0, 0, self.size().width(), self.size().height())
        place = QRectF(0, 0, wide, 14)
        if self.orientation == "bottom":
            place.moveBottomRight(area.bottomRight())
            return place if wide <= 0.6 * area.width() else QRectF()
        place.moveTopRight(area.topRight())
        return place if wide <= area.width() else QRectF()

    def name_it(self, words: str, theme: Theme) -> None:
        """Write the axis's name, in the caption face."""
        self.setLabel(words, **{"font-size": "11px", "color": theme["muted"]})

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.setPen(theme.colour("outline"))
        self.setTickPen(theme.colour("hairline"))
        self.setTextPen(theme.colour("muted"))
        self.name_it(self.labelText, theme)


class Plot(pg.GraphicsView):  # type: ignore[misc]  # pyqtgraph has no types
    """A plot that keeps all its data in view until a person zooms, and tells where the mouse is.

    It is made of a view box and two axes: pyqtgraph's own plot item brings seven menus with it.

    Signals:
        hovered: (x, y) in plot coordinates, None when the mouse leaves.
        clicked: (x, y) in plot coordinates.
    """

    hovered = Signal(object)
    clicked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.theme = DARK
        self.zoomed = False
        self._home: tuple[Range | None, Range | None, float] = (None, None, 0.03)
        self.chip: tuple[float, list[tuple[QColor | None, str]]] | None = None
        self._pressed: QPointF | None = None
        self.box = pg.ViewBox(enableMenu=False, defaultPadding=0.04)
        self.left, self.bottom = Axis("left"), Axis("bottom")
        whole = pg.GraphicsLayout()
        whole.setContentsMargins(2, 2, 2, 2)
        whole.setSpacing(0)
        whole.addItem(self.left, 0, 0)
        whole.addItem(self.box, 0, 1)
        whole.addItem(self.bottom, 1, 1)
        self.setCentralItem(whole)
        for axis in (self.left, self.bottom):
            axis.linkToView(self.box)
            axis.setGrid(GRID)
            axis.setZValue(-10)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._words = pg.TextItem("", anchor=(0.5, 0.5))
        self._words.setParentItem(self.box)
        self._words.setFont(font("body"))
        self.box.sigResized.connect(self._centre_words)
        self.rule = pg.InfiniteLine(angle=90)
        self.rule.setZValue(50)
        self.rule.hide()
        self.box.addItem(self.rule, ignoreBounds=True)
        self.viewport().setMouseTracking(True)

    def add(self, item: QGraphicsItem, *, bounds: bool = True) -> None:
        """Draw ``item`` in plot coordinates; with ``bounds`` the range follows it."""
        self.box.addItem(item, ignoreBounds=not bounds)

    def drop(self, item: QGraphicsItem) -> None:
        """Take an item out again."""
        self.box.removeItem(item)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.theme = theme
        self.setBackground(theme.colour("canvas"))
        self.left.set_theme(theme)
        self.bottom.set_theme(theme)
        self.rule.setPen(pg.mkPen(theme.colour("outline"), width=1))

    def reset_zoom(self) -> None:
        """Show all data, and go on doing so as they grow."""
        self.zoomed = False
        self.box.enableAutoRange()
        self.fit(*self._home)

    def fit(self, x: Range | None = None, y: Range | None = None, padding: float = 0.03) -> None:
        """Show at least these ranges, and ``padding`` of them at either end; None follows the data.

        A person's zoom stays.
        """
        self._home = x, y, padding
        if self.zoomed:
            return
        for axis, wanted in ((pg.ViewBox.XAxis, x), (pg.ViewBox.YAxis, y)):
            if wanted is None:
                self.box.enableAutoRange(axis)
            elif axis == pg.ViewBox.XAxis:
                self.box.setXRange(*wanted, padding=padding)
            else:
                self.box.setYRange(*wanted, padding=padding)
        self.box.prepareForPaint()  # left to the painting, it asks for a second one

    def say(self, words: str) -> None:
        """Write a line in the middle of the plot: why it is empty; "" takes it away."""
        self._words.setText(words, color=self.theme.colour("muted"))
        self._centre_words()

    def _centre_words(self, _: Any = None) -> None:
        self._words.setPos(self.box.rect().center())

    def set_compact(self, *, compact: bool) -> None:
        """Write the names of the axes among their ticks where there is no room beside them."""
        for axis in (self.left, self.bottom):
            axis.showLabel(not compact and bool(axis.labelText))
            axis.name_among_ticks = axis.labelText if compact and not axis.titled else ""
            axis.update()

    def read_out(self, x: float, lines: list[tuple[QColor | None, str]]) -> None:
        """Stand a rule at ``x`` and write the lines beside it."""
        self.rule.setPos(x)
        self.rule.show()
        self.chip = (x, lines)
        self.viewport().update()

    def end_read_out(self) -> None:
        """Take rule and lines away."""
        self.rule.hide()
        self.chip = None
        self.viewport().update()

    def drawForeground(self, painter: QPainter, rect: QRectF) -> None:
        """The lines of the probe in a box that keeps clear of the mouse and inside the plot."""
        super().drawForeground(painter, rect)
        painter.save()
        painter.resetTransform()
        face = font("caption")
        painter.setFont(face)
        area = self.mapFromScene(self.box.sceneBoundingRect()).boundingRect()
        if self.chip is not None and self.chip[1]:
            self._draw_chip(painter, area, QFontMetrics(face), *self.chip)
        painter.restore()

    def _draw_chip(
        self, painter: QPainter, area: QRect, metrics: QFontMetrics, x: float,
        lines: list[tuple[QColor | None, str]],
    ) -> None:  # fmt: skip
        widest = max(metrics.horizontalAdvance(words) for _, words in lines)
        width = min(widest, area.width() - 40) + 10 + 3 * SPACE_S
        height = LINE * len(lines) + 2 * SPACE_S
        at = self.mapFromScene(self.box.mapViewToScene(QPointF(x, 0))).x()
        left = at + SPACE_M if at + SPACE_M + width <= area.right() else at - SPACE_M - width
        box = QRectF(max(area.left(), left), area.top() + SPACE_S, width, height)
        ground = self.theme.colour("raised", 235)
        painter.setPen(self.theme.colour("outline"))
        painter.setBrush(ground)
        painter.drawRoundedRect(box, 4, 4)
        for row, (colour, words) in enumerate(lines):
            line = box.adjusted(SPACE_S, SPACE_S + LINE * row, -SPACE_S, 0)
            line.setHeight(LINE)
            painter.setPen(self.theme.colour("text" if colour else "muted"))
            if colour is not None:
                painter.fillRect(QRectF(line.left(), line.center().y() - 4, 8, 8), colour)
                line.adjust(12, 0, 0, 0)
            cut = metrics.elidedText(words, Qt.TextElideMode.ElideRight, int(line.width()) + 1)
            painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, cut)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the place."""
        super().mouseMoveEvent(event)
        if self._pressed is not None and (event.position() - self._pressed).manhattanLength() > 4:
            self.zoomed = True
        scene = self.mapToScene(event.position().toPoint())
        inside = self.box.sceneBoundingRect().contains(scene)
        place = self.box.mapSceneToView(scene)
        self.hovered.emit((float(place.x()), float(place.y())) if inside else None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click or a pan begins."""
        self._pressed = event.position()
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click ends where it began."""
        super().mouseReleaseEvent(event)
        pressed, self._pressed = self._pressed, None
        if pressed is None or event.button() is not Qt.MouseButton.LeftButton:
            return
        if (event.position() - pressed).manhattanLength() <= 4:
            place = self.box.mapSceneToView(self.mapToScene(event.position().toPoint()))
            self.clicked.emit((float(place.x()), float(place.y())))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show all again."""
        self.reset_zoom()
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom about the mouse; with Shift along x only, with Ctrl along y only."""
        self.zoomed = True
        keys = event.modifiers()
        along_x = not keys & Qt.KeyboardModifier.ControlModifier
        along_y = not keys & Qt.KeyboardModifier.ShiftModifier
        factor = 1.02 ** (-event.angleDelta().y() / 8)
        place = self.box.mapSceneToView(self.mapToScene(event.position().toPoint()))
        self.box.scaleBy(x=factor if along_x else None, y=factor if along_y else None, center=place)
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse is nowhere on the plot."""
        super().leaveEvent(event)
        self.hovered.emit(None)


class PlotPanel(Panel):
    """A panel whose body is a legend over a plot.

    A subclass overrides `draw`, and `read` for what stands at a place.
    """

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.legend = Legend()
        self.plot = Plot()
        self.hidden: frozenset[int] = frozenset()
        super().__init__(parent, theme=theme)
        self.set_body(self.plot)
        self._rows.insertWidget(1, self.legend)
        self.legend.hide()
        self.legend.toggled.connect(self._toggle)
        self.plot.hovered.connect(self._hover)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.plot.set_theme(theme)
        self.legend.set_theme(theme)
        if self.artefact is not None:
            self.forget()
            self.draw(self.artefact)

    def forget(self) -> None:
        """Make all items anew at the next drawing: the theme has changed."""

    def reset_zoom(self) -> None:
        """Show all data."""
        self.plot.reset_zoom()

    def read(self, x: float, y: float) -> tuple[float, str, list[Reading]] | None:
        """What stands at a place: x of the nearest data, its words, and a reading a series."""
        raise NotImplementedError

    def name_axes(self, bottom: str, left: str, *, titled: bool = False) -> None:
        """Write what the axes are; ``titled``: the left one is what the title says already."""
        self.plot.left.titled = titled
        for axis, words in ((self.plot.bottom, bottom), (self.plot.left, left)):
            if axis.labelText != words:
                axis.name_it(words, self.theme)
        self._make_room()

    def _hover(self, at: tuple[float, float] | None) -> None:
        found = self.read(*at) if at is not None and self.artefact is not None else None
        if found is None:
            self.plot.end_read_out()
            self.probed.emit(None)
            return
        x, head, readings = found
        near = self._nearest_first(readings, at[1]) if at is not None else readings
        lines: list[tuple[QColor | None, str]] = [
            (series_colour(i, self.theme), words) for i, words, _ in near
        ]
        if len(near) < len(readings):
            lines.append((None, f"and {len(readings) - len(near)} more"))
        self.plot.read_out(x, [(None, head), *lines])
        self.probed.emit(Probed("  ".join([head, *(words for _, words, _ in readings)])))

    def _nearest_first(self, readings: list[Reading], y: float) -> list[Reading]:
        """As many readings as the plot has room for: those nearest to the mouse, highest first."""
        room = max(1, min(CHIP_ROWS, int(self.plot.box.height() - 2 * SPACE_M) // LINE - 2))
        if len(readings) <= room:
            return readings
        finite = [r for r in readings if r[2] is not None and math.isfinite(r[2])]
        closest = sorted(finite, key=lambda r: abs((r[2] or 0.0) - y))[:room]
        return sorted(closest, key=lambda r: -(r[2] or 0.0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A small panel keeps its room for the data; the probe names what the legend would."""
        super().resizeEvent(event)
        self._make_room()

    def show_legend(
        self, names: Sequence[str], *, lines: bool = True, markers: bool = True
    ) -> None:
        """Show these names where there is room for them."""
        self.legend.show_series(names, self.hidden, lines=lines, markers=markers)
        self._make_room()

    def _make_room(self) -> None:
        self.legend.setVisible(bool(self.legend.names) and self.height() >= LEGEND_FROM)
        self.legend.set_rows(2 if self.height() >= TWO_ROWS_FROM else 1)
        self.plot.set_compact(compact=self.height() < NAMES_FROM or self.width() < NAMES_FROM)
        self.header.set_low(low=self.height() < CAPTION_FROM)

    def _toggle(self, index: int) -> None:
        self.hidden = self.hidden ^ {index}
        if self.artefact is not None:
            self.draw(self.artefact)


def logged(values: Array, *, log: bool) -> Array:
    """Float64 values as the plot takes them: base 10 logarithms on a log axis, gaps where <= 0."""
    made = np.asarray(values, np.float64)
    made = np.where(np.isfinite(made), made, np.nan)
    if not log:
        return made
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(made > 0, np.log10(np.where(made > 0, made, 1.0)), np.nan)


def set_log(plot: Plot, *, log: bool) -> None:
    """Tell the upright axis whether its numbers are powers of ten."""
    if bool(plot.left.logMode) != log:
        plot.left.setLogMode(y=log)
        plot.reset_zoom()


def nearest(values: Array, wanted: float) -> int:
    """Index of the finite value nearest to ``wanted``; -1 when there is none."""
    gap = np.abs(np.asarray(values, np.float64) - wanted)
    if not len(gap) or not np.isfinite(gap).any() or not math.isfinite(wanted):
        return -1
    return int(np.nanargmin(gap))
