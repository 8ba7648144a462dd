"""CurvePanel: lines over one axis, linear or logarithmic, that grow without flicker."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, Qt, Slot
from PySide6.QtWidgets import QMenu, QWidget

from explorer.kinds import Array, Artefact, Curve
from explorer.panels.line import Line
from explorer.panels.plot_panel import PlotPanel, Range, Reading, logged, nearest, set_log
from explorer.panels.plotting import pg
from explorer.panels.series import ORDER, marker_path, series_pen
from explorer.panels.theme import DARK, Theme
from explorer.panels.wording import number_text

MARK_APART = 16.0  # px from the words of one mark to the next
MARK_ENDS = (0.02, 0.98)  # where along a mark its words begin or end
MARK_SAMPLES = 16  # of the lines behind the words of a mark
SPOT = 7  # px of a marker
PADDING = 0.05  # of the range, at either end: room for half a marker
MARKED = 8  # markers along a long line
LONG = 8000  # points of a line; longer ones are thinned
WIDTH = 1.6  # px of a solid line; dashed ones are thin
ALL_MARKED = 24  # up to this many points each has its marker


class CurvePanel(PlotPanel):
    """Series differ by colour, line style and marker; marks are labelled lines across."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.log: bool | None = None
        self._lines: list[Any] = []
        self._marks: dict[str, Any] = {}
        self._x: Array = np.zeros(0)
        self._y: Array = np.zeros((0, 0))
        super().__init__(parent, theme=theme)
        self.plot.box.sigXRangeChanged.connect(self._refine)
        self.plot.box.sigYRangeChanged.connect(self._part_labels)
        self.plot.box.sigResized.connect(self._part_labels)

    def facts(self, artefact: Artefact) -> str:
        """Last value of a single line, else how many lines; points; unit."""
        assert isinstance(artefact, Curve)
        count = f"{len(artefact.x)} points"
        rows = np.atleast_2d(artefact.y)
        if len(rows) > 1:
            first = f"{len(rows)} series"
        else:
            first = f"now {number_text(float(rows[0, -1]), 4)}" if rows.size else ""
        return " · ".join(part for part in (first, count, artefact.unit) if part)

    def warning(self, artefact: Artefact) -> str:
        """What cannot be drawn: not finite, or not above zero on a log axis."""
        assert isinstance(artefact, Curve)
        words = [super().warning(artefact)]
        below = int(np.sum(artefact.y <= 0)) if self.is_log(artefact) else 0
        words.append(f"{below} ≤ 0 not on the log axis" if below else "")
        return ", ".join(part for part in words if part)

    def is_log(self, artefact: Curve) -> bool:
        """As a person chose, else as the artefact says; never with nothing above zero."""
        wanted = artefact.log if self.log is None else self.log
        with np.errstate(invalid="ignore"):
            return wanted and bool((artefact.y > 0).any())

    def draw(self, artefact: Artefact) -> None:
        """Move the lines that there are; make or drop only as many as changed."""
        assert isinstance(artefact, Curve)
        rows = np.atleast_2d(artefact.y)
        log = self.is_log(artefact)
        set_log(self.plot, log=log)
        self._match(len(rows))
        x, order = _ascending(artefact.x)
        self._x = x
        self._y = logged(rows if order is None else rows[:, order], log=log)
        self.plot.bottom.whole = bool(x.size) and bool((x == np.round(x)).all())
        self._draw_lines()
        for i, shown in enumerate(self._y):
            self._mark_points(i, x, shown, alone=len(rows) == 1)
        self._draw_marks(artefact, log=log)
        self.plot.fit(*self._ranges(), padding=PADDING)
        self.plot.say("" if rows.size else "No points yet")
        self.show_legend(names(artefact, len(rows)))
        self.name_axes(artefact.x_label, artefact.unit or artefact.item, titled=not artefact.unit)

    def _ranges(self) -> tuple[Range | None, Range | None]:
        """All that is shown: lines that are not hidden, and marks. None where there is nothing."""
        shown = [row for i, row in enumerate(self._y) if i not in self.hidden]
        marks = np.array([line.value() for line in self._marks.values()], np.float64)
        y = np.concatenate([marks, *shown])
        return between(self._x), level(y) or between(y)

    def forget(self) -> None:
        """Make all lines anew."""
        self._match(0)
        for line in self._marks.values():
            self.plot.drop(line)
        self._marks = {}

    def add_actions(self, menu: QMenu) -> None:
        """Logarithmic axis."""
        action = menu.addAction("Logarithmic axis")
        action.setCheckable(True)
        action.setChecked(isinstance(self.artefact, Curve) and self.is_log(self.artefact))
        action.toggled.connect(lambda on: self.set_log(log=on))

    def set_log(self, *, log: bool) -> None:
        """Logarithmic or linear y axis, whatever the artefact says."""
        self.log = log
        if self.artefact is not None:
            self.show_artefact(self.artefact)

    def read(self, x: float, y: float) -> tuple[float, str, list[Reading]] | None:
        """The values of all lines at the nearest x, those shown only."""
        curve = self.artefact
        assert isinstance(curve, Curve)
        at = nearest(curve.x, x)
        if at < 0:
            return None
        rows = np.atleast_2d(curve.y)
        labels = names(curve, len(rows)) or [curve.item]
        readings: list[Reading] = [
            (i, f"{labels[i]} {number_text(float(row[at]), 4)}", float(row[at]))
            for i, row in enumerate(rows)
            if i not in self.hidden
        ]
        place = float(curve.x[at])
        return place, f"{curve.x_label} {number_text(place, 6)}", readings

    def _match(self, count: int) -> None:
        while len(self._lines) > count:
            self.plot.drop(self._lines.pop())
        while len(self._lines) < count:
            i = len(self._lines)
            solid = i < len(ORDER)
            pen = series_pen(i, self.theme, WIDTH if solid else 1.0)
            line = Line(marker_path(i, QPointF(0, 0), 1.0), SPOT, pen=pen, connect="finite")
            self.plot.add(line)
            self._lines.append(line)

    def _draw_lines(self) -> None:
        """Put the data into the lines: long ones thinned to what the pixels can show."""
        low, high = self.plot.box.viewRange()[0] if self.plot.zoomed else (-np.inf, np.inf)
        for i, row in enumerate(self._y):
            self._lines[i].setData(*thinned(self._x, row, low, high))
            self._lines[i].setVisible(i not in self.hidden)

    @Slot()
    def _refine(self) -> None:
        """A zoom asks for the points that were left out."""
        if len(self._x) > LONG and self._lines:
            self._draw_lines()

    def _mark_points(self, i: int, x: Array, y: Array, *, alone: bool) -> None:
        """A marker at each of a few points, else at some, staggered between series."""
        if len(x) <= ALL_MARKED:
            chosen = np.arange(len(x))
        elif alone:
            chosen = np.arange(0)
        else:
            stride = max(1, len(x) // MARKED)
            chosen = np.arange((i * stride // 3) % stride, len(x), stride)
        chosen = chosen[np.isfinite(y[chosen]) & np.isfinite(x[chosen])]
        self._lines[i].set_spots(x[chosen], y[chosen])

    def _draw_marks(self, artefact: Curve, *, log: bool) -> None:
        wanted = {
            word: float(logged(np.array([value]), log=log)[0])
            for word, value in artefact.marks.items()
        }
        wanted = {word: place for word, place in wanted.items() if np.isfinite(place)}
        for gone in self._marks.keys() - wanted.keys():
            self.plot.drop(self._marks.pop(gone))
        for word, place in wanted.items():
            if word not in self._marks:
                self._marks[word] = self._mark(word)
                self.plot.add(self._marks[word])
            line = self._marks[word]
            line.setPos(place)
            line.label.setFormat(f"{word} {number_text(artefact.marks[word])}")
        self._part_labels()

    @Slot()
    def _part_labels(self) -> None:
        """Write the words of a mark only where they keep clear of the mark above.

        They stand at the end of it where less of the lines lies under them.
        """
        last = -math.inf
        for line in sorted(self._marks.values(), key=lambda line: -line.value()):
            y = self.plot.box.mapViewToScene(QPointF(0.0, line.value())).y()
            line.label.setVisible(y - last >= MARK_APART)
            last = y if y - last >= MARK_APART else last
            if line.label.isVisible():
                end = int(np.argmin(self._under(line)))
                line.label.anchors = [(end, 0), (end, 1)]
                line.label.setPosition(MARK_ENDS[end])

    def _under(self, line: Any) -> tuple[int, int]:
        """How much of the drawn lines lies behind the words of a mark, at its left and its right.

        In samples of the width of the words.
        """
        words, box = line.label.boundingRect(), self.plot.box
        (left, right), (low, high) = box.viewRange()
        wide = words.width() / max(1.0, box.width()) * (right - left)
        tall = words.height() / max(1.0, box.height()) * (high - low)
        steps = np.linspace(0.0, wide, MARK_SAMPLES)
        found = []
        for x in (left + steps, right - steps):
            rows = [np.interp(x, self._x, y, left=np.nan, right=np.nan) for y in self._y if y.size]
            found.append(sum(int((np.abs(row - line.value()) <= tall).sum()) for row in rows))
        return found[0], found[1]

    def _mark(self, word: str) -> Any:
        ink = self.theme.colour("muted")
        return pg.InfiniteLine(
            angle=0, pen=pg.mkPen(ink, style=Qt.PenStyle.DashLine), label=word,
            labelOpts={"color": ink, "position": MARK_ENDS[0], "anchors": [(0, 0), (0, 1)],
                       "fill": self.theme.colour("canvas", 200)},
        )  # fmt: skip


def names(artefact: Curve, count: int) -> list[str]:
    """Names for the legend: those given, or numbers; none for a single nameless line."""
    if artefact.series:
        return list(artefact.series)
    return [f"series {i}" for i in range(count)] if count > 1 else []


def level(values: Array) -> tuple[float, float] | None:
    """A range about values that are all the same, which the plot itself would draw from −0.5."""
    finite = values[np.isfinite(values)]
    if not finite.size or finite.max() > finite.min():
        return None
    middle = float(finite[0])
    reach = abs(middle) / 2 or 1.0
    return middle - reach, middle + reach


def between(values: Array) -> Range | None:
    """The least and the greatest that are finite; None when these are one, or none."""
    finite = values[np.isfinite(values)]
    if not finite.size or finite.max() == finite.min():
        return None
    return float(finite.min()), float(finite.max())


def thinned(x: Array, y: Array, low: float, high: float) -> tuple[Array, Array]:
    """At most `LONG` points of a line: least and greatest value of each stretch from low to high.

    The first and last point stay whatever the window, so that the whole line keeps its extent.
    """
    if len(x) <= LONG:
        return x, y
    first = max(0, int(np.searchsorted(x, low)) - 1)
    last = min(len(x), int(np.searchsorted(x, high, side="right")) + 1)
    inside_x, inside_y = x[first:last], y[first:last]
    if len(inside_x) > LONG:
        starts = np.linspace(0, len(inside_x), LONG // 2, endpoint=False).astype(np.int64)
        both = np.fmin.reduceat(inside_y, starts), np.fmax.reduceat(inside_y, starts)
        inside_x, inside_y = inside_x[starts].repeat(2), np.stack(both, 1).reshape(-1)
    ends = slice(0, 1), slice(len(x) - 1, len(x))
    return (
        np.concatenate([x[ends[0]], inside_x, x[ends[1]]]),
        np.concatenate([y[ends[0]], inside_y, y[ends[1]]]),
    )


def _ascending(x: Array) -> tuple[Array, Array | None]:
    """x in rising order, which downsampling needs, and the order when it was not."""
    made = np.asarray(x, np.float64)
    if len(made) < 2 or bool((np.diff(made) >= 0).all()):
        return made, None
    order: Array = np.argsort(made, kind="stable")
    return made[order], order
