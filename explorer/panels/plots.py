"""Panels of plots: scores as bars; curves, histograms and scatters in a pyqtgraph plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QMenu, QScrollArea, QSizePolicy, QWidget

from explorer.kinds import Artefact, Curve, Histogram, Scatter, Scores
from explorer.panels.overlays import class_colour, colours_of
from explorer.panels.panel import Panel, Probed
from explorer.panels.plotting import pg
from explorer.panels.theme import DARK, SPACE_M, SPACE_S, Theme, font
from explorer.panels.wording import number_text

ROW = 24
BAR = 12
LABEL_SHARE = 0.42
LEGEND_FROM = 150  # px of height
STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)


class ScoreBars(QWidget):
    """One row a score: label, bar from zero, number; a hollow bar behind it is the one before."""

    hovered = Signal(int)
    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.scores: np.ndarray[Any, Any] = np.zeros(0, np.float32)
        self.before: dict[str, float] = {}
        self.labels: Sequence[str] = ()
        self.low, self.high = 0.0, 1.0
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)

    def show_scores(self, artefact: Scores) -> None:
        """Show the scores; probabilities keep the axis at 0 to 1."""
        self.scores, self.labels = artefact.scores, artefact.labels
        finite = self.scores[np.isfinite(self.scores)]
        self.low = min(0.0, float(finite.min())) if len(finite) else 0.0
        self.high = max(1e-9, float(finite.max())) if len(finite) else 1.0
        if artefact.probability:
            self.low, self.high = 0.0, 1.0
        self.setMinimumHeight(ROW * len(self.scores))
        self.update()

    def sizeHint(self) -> QSize:
        """A row a score."""
        return QSize(240, ROW * max(1, len(self.scores)))

    def row_at(self, y: float) -> int:
        """Index of the row at a height; -1 is none."""
        row = int(y // ROW)
        return row if 0 <= row < len(self.scores) else -1

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the row."""
        self.hovered.emit(self.row_at(event.position().y()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click picks the row."""
        self.picked.emit(self.row_at(event.position().y()))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the rows that are asked for."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        number = font("number")
        numbers = QFontMetrics(number).horizontalAdvance("−0.00000") + SPACE_M
        left = self.width() * LABEL_SHARE if self.labels else SPACE_M
        room = max(20.0, self.width() - left - numbers - SPACE_M)
        zero = left + room * (0 - self.low) / (self.high - self.low)
        first, last = event.rect().top() // ROW, event.rect().bottom() // ROW
        for i in range(max(0, first), min(len(self.scores), last + 1)):
            top = i * ROW
            value = float(self.scores[i])
            label = self.labels[i] if self.labels else ""
            self._label(painter, QRectF(SPACE_S, top, left - SPACE_M - SPACE_S, ROW), label)
            self._bar(painter, zero, top, room * value / (self.high - self.low), label, room)
            painter.setFont(number)
            painter.setPen(self.theme.colour("text"))
            box = QRectF(self.width() - numbers, top, numbers - SPACE_S, ROW)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(box, right, number_text(value))
        painter.end()

    def _label(self, painter: QPainter, box: QRectF, label: str) -> None:
        face = font("body")
        painter.setFont(face)
        painter.setPen(self.theme.colour("text"))
        mode = Qt.TextElideMode.ElideRight
        cut = QFontMetrics(face).elidedText(label, mode, int(box.width()))
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, cut)

    def _bar(
        self, painter: QPainter, zero: float, top: float, length: float, label: str, room: float
    ) -> None:
        if not np.isfinite(length):
            length = 0.0
        y = top + (ROW - BAR) / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.theme.colour("muted"))
        painter.drawRect(QRectF(zero, y, length, BAR).normalized())
        if label in self.before:
            old = room * self.before[label] / (self.high - self.low)
            painter.setPen(QPen(self.theme.colour("edited"), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(zero, y - 2, old, BAR + 4).normalized())


class ScoresPanel(Panel):
    """Bars with labels and numbers, in the order given."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.bars = ScoreBars()
        self._scroll = QScrollArea()
        super().__init__(parent, theme=theme)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(self.bars)
        self.set_body(self._scroll)
        self.bars.hovered.connect(self._tell)
        self.bars.picked.connect(self._pick)

    def facts(self, artefact: Artefact) -> str:
        """How many, and what the numbers are."""
        assert isinstance(artefact, Scores)
        unit = artefact.unit or ("probability" if artefact.probability else "score")
        return f"{len(artefact.scores)} · {unit}"

    def draw(self, artefact: Artefact) -> None:
        """Show the bars."""
        assert isinstance(artefact, Scores)
        self.bars.show_scores(artefact)

    def set_before(self, before: Scores | None) -> None:
        """Hollow bars: the scores without the edits."""
        pairs = zip(before.labels, before.scores, strict=True) if before is not None else ()
        self.bars.before = {label: float(score) for label, score in pairs}
        self.bars.update()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.bars.theme = theme
        self.bars.update()

    def _tell(self, row: int) -> None:
        if row < 0:
            self.probed.emit(None)
            return
        label = self.bars.labels[row] if self.bars.labels else f"{row}"
        self.probed.emit(Probed(f"{label}  {number_text(float(self.bars.scores[row]), 5)}"))

    def _pick(self, row: int) -> None:
        knob = self.artefact.gestures.get("pick") if self.artefact is not None else None
        if knob and row >= 0:
            self.gestured.emit((knob, self.bars.labels[row] if self.bars.labels else row))


class PlotPanel(Panel):
    """A panel whose body is a plot with axes, a legend and a probe at the nearest data."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.plot = pg.PlotWidget()
        self.legend = self.plot.addLegend(offset=(-8, 8))
        super().__init__(parent, theme=theme)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.showGrid(x=True, y=True, alpha=0.15)
        self.set_body(self.plot)
        self.plot.scene().sigMouseMoved.connect(self._moved)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.plot.setBackground(theme.colour("canvas"))
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(theme.colour("outline"))
            axis.setTextPen(theme.colour("muted"))
            axis.setStyle(tickFont=font("caption"))
        self.legend.setLabelTextColor(theme.colour("text"))
        if self.artefact is not None:
            self.draw(self.artefact)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A legend would cover a small plot; the probe names the lines there."""
        super().resizeEvent(event)
        self.legend.setVisible(self.plot.height() >= LEGEND_FROM)

    def reset_zoom(self) -> None:
        """Show all data."""
        self.plot.enableAutoRange()

    def words(self, x: float, y: float) -> str:
        """What to say about a place in the plot."""
        return f"x {number_text(x)}  y {number_text(y)}"

    def _moved(self, at: QPointF) -> None:
        if self.artefact is None or not self.plot.sceneBoundingRect().contains(at):
            self.probed.emit(None)
            return
        place = self.plot.getPlotItem().vb.mapSceneToView(at)
        self.probed.emit(Probed(self.words(place.x(), place.y())))

    def _pen(self, series: int, width: float = 1.6) -> Any:
        style = STYLES[series // 7 % len(STYLES)]
        return pg.mkPen(_visible(class_colour(series), self.theme), width=width, style=style)


class CurvePanel(PlotPanel):
    """Lines over one axis; the axis may be logarithmic, marks are labelled lines across."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.log: bool | None = None
        self._lines: list[Any] = []
        self._shape: tuple[Any, ...] = ()
        super().__init__(parent, theme=theme)

    def draw(self, artefact: Artefact) -> None:
        """Move the lines there are; make new ones only when their number or names changed."""
        assert isinstance(artefact, Curve)
        rows = np.atleast_2d(artefact.y).astype(np.float64)
        log = artefact.log if self.log is None else self.log
        shape = (len(rows), tuple(artefact.series), tuple(artefact.marks.items()), self.theme.name)
        if shape != self._shape:
            self._shape = shape
            self._make(artefact, len(rows))
        self.plot.setLogMode(x=False, y=log)
        x = artefact.x.astype(np.float64)
        for line, row in zip(self._lines, rows, strict=True):
            shown = np.where(row > 0, row, np.nan) if log else row
            line.setData(x, shown, connect="finite")
            line.setSymbol("o" if len(x) == 1 else None)
        self.plot.setLabel("bottom", artefact.x_label)
        self.plot.setLabel("left", artefact.unit or artefact.item)

    def add_actions(self, menu: QMenu) -> None:
        """Logarithmic axis."""
        action = menu.addAction("Logarithmic axis")
        action.setCheckable(True)
        now = isinstance(self.artefact, Curve) and self.artefact.log
        action.setChecked(now if self.log is None else self.log)
        action.toggled.connect(self.set_log)

    def set_log(self, log: bool) -> None:
        """Logarithmic or linear y axis."""
        self.log = log
        if self.artefact is not None:
            self.draw(self.artefact)

    def words(self, x: float, y: float) -> str:
        """The values of all lines at the nearest x."""
        curve = self.artefact
        assert isinstance(curve, Curve)
        if not len(curve.x):
            return ""
        at = int(np.abs(curve.x - x).argmin())
        names = curve.series or [""] * len(np.atleast_2d(curve.y))
        pairs = zip(names, np.atleast_2d(curve.y)[:, at], strict=True)
        values = "  ".join(f"{name} {number_text(float(v))}".strip() for name, v in pairs)
        return f"{curve.x_label} {number_text(float(curve.x[at]))}  {values}"

    def _make(self, artefact: Curve, count: int) -> None:
        self.plot.clear()
        names: Sequence[str | None] = artefact.series or [None] * count
        self._lines = [self.plot.plot(pen=self._pen(i), name=name) for i, name in enumerate(names)]
        for word, value in artefact.marks.items():
            line = pg.InfiniteLine(
                value, angle=0, pen=pg.mkPen(self.theme.colour("muted"), style=STYLES[1]),
                label=word, labelOpts={"color": self.theme.colour("muted"), "position": 0.1},
            )  # fmt: skip
            self.plot.addItem(line)


class HistogramPanel(PlotPanel):
    """Counts between edges; several series are outlined steps of their own colour."""

    def draw(self, artefact: Artefact) -> None:
        """One step line a series, the first one filled."""
        assert isinstance(artefact, Histogram)
        self.plot.clear()
        rows = np.atleast_2d(artefact.counts)
        names: Sequence[str | None] = artefact.series or [None] * len(rows)
        for i, (name, counts) in enumerate(zip(names, rows, strict=True)):
            fill = _visible(class_colour(i), self.theme)
            fill.setAlpha(90)
            self.plot.plot(
                artefact.edges.astype(np.float64), counts.astype(np.float64), stepMode="center",
                fillLevel=0, brush=fill if i == 0 else None, pen=self._pen(i), name=name,
            )  # fmt: skip
        self.plot.setLabel("bottom", artefact.unit or "value")
        self.plot.setLabel("left", "count")


class ScatterPanel(PlotPanel):
    """Points in a plane, one colour a class."""

    def draw(self, artefact: Artefact) -> None:
        """One item a class, so that the legend names it."""
        assert isinstance(artefact, Scatter)
        self.plot.clear()
        labels = list(artefact.labels) or [""] * len(artefact.points)
        for name, colour in colours_of(labels).items():
            mine = np.array([label == name for label in labels], bool)
            self.plot.plot(
                artefact.points[mine, 0], artefact.points[mine, 1], pen=None, symbol="o",
                symbolSize=6, symbolPen=None, symbolBrush=_visible(colour, self.theme),
                name=name or None,
            )  # fmt: skip
        self.plot.setLabel("bottom", artefact.axes[0])
        self.plot.setLabel("left", artefact.axes[1])


def _visible(colour: QColor, theme: Theme) -> QColor:
    """The colour, darkened on a light ground where it would vanish."""
    made = QColor(colour)
    return made.darker(150) if theme.name == "light" and made.lightness() > 150 else made
