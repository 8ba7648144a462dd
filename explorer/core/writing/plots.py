"""Artefacts that are plots, as drawings: curves, bars, points, graphs, matrices and text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer import colours
from explorer.core.writing.drawing import (
    CHOSEN,
    HAIRLINE,
    INK,
    LINES,
    MUTED,
    Bitmap,
    Colour,
    Dot,
    Drawing,
    Label,
    Line,
    Rect,
    fit_text,
    text_width,
)
from explorer.kinds import (
    Artefact,
    Curve,
    Graph,
    Histogram,
    Hypercolumn,
    Matrix,
    Scatter,
    Scores,
    Text,
)

Array = npt.NDArray[Any]
Limits = tuple[float, float]
Spot = tuple[float, float]

_WIDTH, _HEIGHT = 640.0, 360.0
_MOST_BARS = 40


def number(value: float) -> str:
    """A number with up to four digits, a true minus sign, no needless zeros."""
    return f"{value:.4g}".replace("-", "−")


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) within [low, high]."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Clipped, since at the limits of precision a multiple may fall outside.
    return [min(max(k * step, low), high) for k in range(first, last + 1)] or [low]


def log_ticks(low: float, high: float) -> list[float]:
    """Base 10 logarithms of round values: decades where there are two, else values between."""
    whole = [float(k) for k in range(math.ceil(low), math.floor(high) + 1)]
    if len(whole) > 1:
        return whole[:: max(1, len(whole) // 8)]
    between = [math.log10(v) for v in ticks(10.0**low, 10.0**high, 5) if v > 0]
    return [v for v in between if low <= v <= high]


def _finite_range(values: Array, pad: float = 0.04) -> Limits:
    """Extremes of the finite values with a margin, never of width zero."""
    found = np.asarray(values, np.float64)
    found = found[np.isfinite(found)]
    if not found.size:
        return 0.0, 1.0
    low, high = float(found.min()), float(found.max())
    room = (high - low) * pad or abs(high) * 0.1 or 1.0
    return low - room, high + room


class _Frame:
    """Axes with ticks and grid lines on a drawing; ``place`` leads from values to pixels."""

    def __init__(
        self, drawing: Drawing, x: Limits, y: Limits, *, log: bool = False, right: float = 16.0
    ) -> None:
        self.x, self.y, self.log = x, y, log
        self.left, self.right = 64.0, drawing.width - right
        self.top, self.bottom = 14.0, drawing.height - 44.0
        self.drawing = drawing
        self._grid()

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Pixel position of a value (y already a logarithm on a log axis)."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )

    def titles(self, x: str, y: str) -> None:
        """Axis titles."""
        middle = (self.left + self.right) / 2
        self.drawing.add(Label(middle, self.bottom + 36, x, MUTED, 12, "middle"))
        if y:
            height = (self.top + self.bottom) / 2
            self.drawing.add(Label(14, height, y, MUTED, 12, "middle", upright=False))

    def _grid(self) -> None:
        for value in ticks(*self.x):
            at, _ = self.place(value, self.y[0])
            self.drawing.add(Line([(at, self.top), (at, self.bottom)], HAIRLINE))
            self.drawing.add(Label(at, self.bottom + 17, number(value), MUTED, 11, "middle"))
        marks = ticks(*self.y, 5)
        if self.log:
            marks = log_ticks(*self.y)
        for value in marks:
            _, at = self.place(self.x[0], value)
            self.drawing.add(Line([(self.left, at), (self.right, at)], HAIRLINE))
            text = number(10.0**value if self.log else value)
            self.drawing.add(Label(self.left - 6, at + 4, text, MUTED, 11, "end"))
        corner = [(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)]
        self.drawing.add(Line(corner, MUTED))


def _legend_room(names: Sequence[str]) -> float:
    return 16.0 if not names else 40.0 + min(180.0, max(text_width(n, 11) for n in names))


def _legend(frame: _Frame, names: Sequence[str], tints: Sequence[Colour]) -> None:
    for i, (name, tint) in enumerate(zip(names, tints, strict=True)):
        y = frame.top + 10 + 18 * i
        frame.drawing.add(Line([(frame.right + 8, y), (frame.right + 24, y)], tint, 2.5))
        frame.drawing.add(Label(frame.right + 29, y + 4, fit_text(name, 190, 11), INK, 11))


def _tint(i: int) -> Colour:
    return LINES[i % len(LINES)]


def curve(artefact: Curve) -> Drawing:
    """Lines over x with a legend; gaps where y is not finite (log axis: not positive)."""
    y = np.atleast_2d(np.asarray(artefact.y, np.float64))
    x = np.asarray(artefact.x, np.float64)
    marks = {k: float(v) for k, v in artefact.marks.items() if not artefact.log or v > 0}
    if artefact.log:
        y = np.log10(np.where(y > 0, y, np.nan))
        marks = {k: math.log10(v) for k, v in marks.items()}
    span = _finite_range(np.concatenate([y.ravel(), np.array(list(marks.values()))]))
    drawing = Drawing(_WIDTH, _HEIGHT)
    names = list(artefact.series)
    frame = _Frame(
        drawing, _finite_range(x, 0.0), span, log=artefact.log, right=_legend_room(names)
    )
    for i, row in enumerate(y):
        _polyline(frame, x, row, _tint(i))
    for name, value in marks.items():
        _, at = frame.place(0, value)
        drawing.add(Line([(frame.left, at), (frame.right, at)], MUTED, 1, dashed=True))
        drawing.add(Label(frame.right - 4, at - 4, name, MUTED, 11, "end"))
    frame.titles(artefact.x_label, artefact.unit or artefact.item)
    _legend(frame, names, [_tint(i) for i in range(len(names))])
    return drawing


def _polyline(frame: _Frame, x: Array, y: Array, tint: Colour, width: float = 1.6) -> None:
    good = np.isfinite(x) & np.isfinite(y)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        points = [
            frame.place(float(a), float(b)) for a, b in zip(x[start:end], y[start:end], strict=True)
        ]
        frame.drawing.add(
            Line(points, tint, width) if len(points) > 1 else Dot(*points[0], 2.5, tint)
        )


def hypercolumn(artefact: Hypercolumn) -> Drawing:
    """One line over all units, with the layers marked off."""
    values = np.asarray(artefact.values, np.float64)
    drawing = Drawing(_WIDTH * 1.25, _HEIGHT)
    frame = _Frame(drawing, (0.0, max(1.0, len(values) - 1.0)), _finite_range(values))
    _polyline(frame, np.arange(len(values), dtype=np.float64), values, LINES[0], 1.0)
    start = 0
    for i, (name, length) in enumerate(artefact.layers):
        left, _ = frame.place(start, frame.y[0])
        start += length
        right, _ = frame.place(min(start, len(values) - 1), frame.y[0])
        drawing.add(Line([(right, frame.top), (right, frame.bottom)], MUTED, 1, dashed=True))
        text = fit_text(name, right - left, 10)
        drawing.add(
            Label((left + right) / 2, frame.top + 10 + 12 * (i % 2), text, INK, 10, "middle")
        )
    frame.titles("unit, layer by layer", artefact.unit or "activation")
    return drawing


def scores(artefact: Scores) -> Drawing:
    """Horizontal bars with labels and numbers, at most 40; hollow ones are those before an edit."""
    values = np.asarray(artefact.scores, np.float64)
    before = np.full(len(values), np.nan) if artefact.before is None else artefact.before
    names = list(artefact.labels) or [str(i) for i in range(len(values))]
    shown = min(len(values), _MOST_BARS)
    both = np.concatenate([values, before])
    finite = both[np.isfinite(both)]
    ends = (0.0, 1.0) if artefact.probability or not finite.size else (
        min(0.0, float(finite.min())), max(0.0, float(finite.max()))
    )  # fmt: skip
    low, high = ends if ends[1] > ends[0] else (0.0, 1.0)
    more = len(values) - shown
    drawing = Drawing(_WIDTH, 22.0 * shown + (54 if more else 32))
    left = 16 + min(240.0, max((text_width(n) for n in names[:shown]), default=0.0))
    right = drawing.width - (72 if artefact.before is None else 150)
    zero = left + (0 - low) / (high - low) * (right - left)
    for i in range(shown):
        y, value = 8 + 22.0 * i, values[i]
        drawing.add(Label(left - 6, y + 14, fit_text(names[i], left - 12), INK, 12, "end"))
        at = left + (np.clip(value, low, high) - low) / (high - low) * (right - left)
        if np.isfinite(value):
            tint = LINES[0] if value >= 0 else LINES[1]
            drawing.add(Rect(min(zero, at), y + 2, max(abs(at - zero), 1.0), 15, tint))
        end = max(at, zero) if np.isfinite(value) else zero
        words = number(float(value))
        if np.isfinite(before[i]):
            was = left + (np.clip(before[i], low, high) - low) / (high - low) * (right - left)
            x1, x2, top, foot = min(zero, was), max(zero, was), y + 0.5, y + 18.5
            outline = [(x1, top), (x2, top), (x2, foot), (x1, foot), (x1, top)]
            drawing.add(Line(outline, LINES[3], 1.5))
            end, words = max(end, was), f"{words} (was {number(float(before[i]))})"
        drawing.add(Label(end + 5, y + 14, words, MUTED, 11))
    drawing.add(Line([(zero, 4), (zero, 10 + 22 * shown)], MUTED))
    if more:
        drawing.add(Label(left, 22.0 * shown + 28, f"… and {more} more", MUTED, 11))
    unit = artefact.unit or ("probability" if artefact.probability else "score")
    drawing.add(Label((left + right) / 2, drawing.height - 8, unit, MUTED, 11, "middle"))
    return drawing


def histogram(artefact: Histogram) -> Drawing:
    """Bars between the edges; several series as outlines."""
    edges = np.asarray(artefact.edges, np.float64)
    counts = np.atleast_2d(np.asarray(artefact.counts, np.float64))
    top = float(np.nanmax(counts)) if counts.size else 1.0
    drawing = Drawing(_WIDTH, _HEIGHT)
    names = list(artefact.series)
    frame = _Frame(
        drawing, _finite_range(edges, 0.0), (0.0, top * 1.04 or 1.0), right=_legend_room(names)
    )
    for s, row in enumerate(counts):
        if len(counts) == 1:
            for count, a, b in zip(row, edges[:-1], edges[1:], strict=True):
                (x0, y0), (x1, y1) = frame.place(a, count), frame.place(b, 0.0)
                drawing.add(Rect(x0, y0, max(1.0, x1 - x0 - 1), y1 - y0, LINES[0]))
        else:
            steps = np.repeat(edges, 2)[1:-1]
            _polyline(frame, steps, np.repeat(row, 2), _tint(s))
    frame.titles(artefact.unit or "value", "count")
    _legend(frame, names, [_tint(i) for i in range(len(names))])
    return drawing


def scatter(artefact: Scatter) -> Drawing:
    """Points coloured by class, classes in the legend."""
    points = np.asarray(artefact.points, np.float64)
    classes = list(dict.fromkeys(artefact.labels))
    shown = classes[:16]
    drawing = Drawing(_WIDTH, _WIDTH * 0.75)
    x = _finite_range(points[:, 0]) if len(points) else (0.0, 1.0)
    y = _finite_range(points[:, 1]) if len(points) else (0.0, 1.0)
    frame = _Frame(drawing, x, y, right=_legend_room(shown))
    index = {name: i for i, name in enumerate(classes)}
    for i, point in enumerate(points):
        if np.isfinite(point).all():
            tint = _tint(index[artefact.labels[i]] if artefact.labels else 0)
            drawing.add(Dot(*frame.place(*point), 3.0, tint))
    frame.titles(*[*artefact.axes, "x", "y"][:2])
    _legend(frame, shown, [_tint(i) for i in range(len(shown))])
    return drawing


def graph(artefact: Graph) -> Drawing:
    """Nodes in columns by their distance from the sources (on a circle where there are cycles)."""
    count = len(artefact.nodes)
    drawing = Drawing(_WIDTH * 1.25, _HEIGHT * 1.5)
    depth = _depths(count, artefact.edges)
    spots = _spots(count, depth, drawing)
    weights = np.asarray(artefact.weights, np.float64)
    top = float(np.nanmax(np.abs(weights))) if weights.size else 1.0
    for e, (a, b) in enumerate(artefact.edges):
        strength = abs(weights[e]) / (top or 1.0) if e < len(weights) else 0.6
        tint = LINES[1] if e < len(weights) and weights[e] < 0 else LINES[0]
        bent = depth is None or depth[b] - depth[a] > 1
        tint = tint if len(weights) else MUTED
        width = 0.6 + 2.4 * strength
        if {int(a), int(b)} <= set(artefact.chosen):
            tint, width = CHOSEN, max(width, 2.0)
        _arrow(drawing, spots[a], spots[b], tint, width, bent=bent)
    values = np.asarray(artefact.values, np.float64)
    if len(values):
        low, high = colours.limits_for(float(np.nanmin(values)), float(np.nanmax(values)))
        name = colours.map_for(float(np.nanmin(values)), high)
        lut = colours.table(name)[:, :3][colours.index_of(values, low, high)]
    for i, spot in enumerate(spots):
        fill = tuple(int(c) for c in lut[i]) if i < len(values) else HAIRLINE
        rim, radius = (CHOSEN, 10) if i in artefact.chosen else (INK, 8)
        drawing.add(Dot(*spot, radius, rim), Dot(*spot, 7, (fill[0], fill[1], fill[2])))
        number = f"  {values[i]:.2f}" if i < len(values) and abs(values[i]) < 100 else ""
        words = fit_text(artefact.nodes[i], 80 if number else 110, 11) + number
        drawing.add(Label(spot[0], spot[1] + 22, words, INK, 11, "middle"))
    return drawing


def _spots(count: int, depth: list[int] | None, drawing: Drawing) -> list[Spot]:
    if depth is None:
        angle = 2 * np.pi * np.arange(count) / max(1, count) - np.pi / 2
        reach_x, reach_y = drawing.width / 2 - 70, drawing.height / 2 - 40
        return [
            (drawing.width / 2 + reach_x * math.cos(a), drawing.height / 2 + reach_y * math.sin(a))
            for a in angle
        ]
    columns = max(depth, default=0) + 1
    spots = []
    for i in range(count):
        peers = [j for j in range(count) if depth[j] == depth[i]]
        x = 60 + (drawing.width - 120) * ((depth[i] + 0.5) / columns)
        y = drawing.height * (peers.index(i) + 0.5) / len(peers)
        spots.append((x, y))
    return spots


def _depths(count: int, edges: Array) -> list[int] | None:
    """Longest path to each node; None when there is a cycle."""
    depth = [0] * count
    for _ in range(count + 1):
        changed = False
        for a, b in edges:
            if depth[b] < depth[a] + 1:
                depth[b], changed = depth[a] + 1, True
        if not changed:
            return depth
    return None


def _towards(a: Spot, b: Spot) -> Spot:
    length = math.hypot(b[0] - a[0], b[1] - a[1]) or 1.0
    return (b[0] - a[0]) / length, (b[1] - a[1]) / length


def _arrow(drawing: Drawing, a: Spot, b: Spot, tint: Colour, width: float, *, bent: bool) -> None:
    length = math.hypot(b[0] - a[0], b[1] - a[1])
    if length < 20:
        return
    # An arc, so that an edge that skips nodes on its line, or runs back, is seen beside them.
    bend = 0.35 if bent else 0.0
    middle = ((a[0] + b[0]) / 2 + bend * (b[1] - a[1]), (a[1] + b[1]) / 2 - bend * (b[0] - a[0]))
    ux, uy = _towards(middle, b)
    vx, vy = _towards(a, middle)
    start, tip = (a[0] + 9 * vx, a[1] + 9 * vy), (b[0] - 9 * ux, b[1] - 9 * uy)
    barbs = [(tip[0] - 6 * ux + s * 4 * uy, tip[1] - 6 * uy - s * 4 * ux) for s in (1, -1)]
    shares = [k / 16 for k in range(17)] if bent else [0.0, 1.0]
    path = [
        tuple(
            (1 - t) ** 2 * p + 2 * t * (1 - t) * q + t * t * r
            for p, q, r in zip(start, middle, tip, strict=True)
        )
        for t in shares
    ]
    drawing.add(Line([(x, y) for x, y in path], tint, width))
    drawing.add(Line([barbs[0], tip, barbs[1]], tint, max(1.0, width * 0.7)))


def matrix_limits(artefact: Matrix) -> tuple[str, float, float]:
    """Colour map and range of a matrix, as its panel has them when it shares no range."""
    low, high = colours.robust_range(np.asarray(artefact.values, np.float64))
    name = colours.map_for(low, high, artefact.scale)
    return (name, *colours.limits_for(low, high, artefact.scale))


def matrix(artefact: Matrix) -> Drawing:
    """Cells in colour, leading axes as a grid of panels, row and column labels where they fit."""
    values = np.asarray(artefact.values, np.float64)
    rows, columns = values.shape[-2:]
    panels = values.reshape(-1, rows, columns)
    name, low, high = matrix_limits(artefact)
    lut = colours.table(name)[:, :3]
    cell = float(np.clip(480.0 / max(rows, columns, 1), 1.0, 28.0))
    cell = cell if len(panels) == 1 else max(1.0, cell * (0.5 if len(panels) <= 8 else 0.3))
    roomy = cell >= 11
    left = 12 + (
        min(160.0, max((text_width(r, 10) for r in artefact.rows), default=0)) if roomy else 0
    )
    above = 22 + (
        min(120.0, max((text_width(c, 10) for c in artefact.columns), default=0)) if roomy else 0
    )
    across = max(1, min(len(panels), round(math.sqrt(len(panels) * 1.5))))
    step_x, step_y = left + columns * cell + 8, above + rows * cell + 8
    drawing = Drawing(max(160.0, across * step_x + 8), -(-len(panels) // across) * step_y + 8)
    for i, panel in enumerate(panels):
        x, y = left + (i % across) * step_x, above + (i // across) * step_y
        pixels = lut[colours.index_of(panel, low, high)]
        drawing.add(Bitmap(x, y, columns * cell, rows * cell, pixels))
        drawing.add(Label(x, 14 + (i // across) * step_y, _where(artefact, i), MUTED, 11))
        if not roomy:
            continue
        for r, text in enumerate(artefact.rows):
            spot = y + (r + 0.5) * cell + 4
            drawing.add(Label(x - 4, spot, fit_text(text, left - 8, 10), INK, 10, "end"))
        for c, text in enumerate(artefact.columns):
            spot = x + (c + 0.5) * cell + 4
            drawing.add(Label(spot, y - 4, fit_text(text, above - 22, 10), INK, 10, upright=False))
    return drawing


def _where(artefact: Matrix, index: int) -> str:
    """Place of a panel along the leading axes: ``layer 0 · head 3``."""
    lead = artefact.values.shape[:-2]
    if not lead:
        return ""
    names = artefact.axes or [f"axis {i}" for i in range(len(lead))]
    spots = np.unravel_index(index, lead)
    return " · ".join(f"{n} {int(i)}" for n, i in zip(names, spots, strict=True))


def text(artefact: Text) -> Drawing:
    """Tokens shaded by weight (blue below zero), or lines of text."""
    weights = np.asarray(artefact.weights, np.float64)
    pieces = list(artefact.tokens) or artefact.text.splitlines() or [""]
    top = float(np.nanmax(np.abs(weights))) if weights.size else 0.0
    drawing = Drawing(_WIDTH, 0)
    x, y = 12.0, 24.0
    for i, piece in enumerate(pieces):
        for part in _wrapped(piece, 92) if not artefact.tokens else [piece]:
            width = text_width(part, 13) + 8
            if x > 12 and (x + width > _WIDTH - 12 or not artefact.tokens):
                x, y = 12.0, y + 24
            if i < len(weights) and top > 0 and np.isfinite(weights[i]):
                drawing.add(Rect(x, y - 15, width - 2, 20, _shade(weights[i] / top)))
            drawing.add(Label(x + 3, y, part, INK, 13))
            x += width + 2
    drawing.height = y + 14
    return drawing


def _wrapped(line: str, room: int) -> list[str]:
    return [line[i : i + room] for i in range(0, len(line), room)] or [""]


def _shade(share: float) -> Colour:
    ends = np.array([240, 150, 60]) if share >= 0 else np.array([110, 170, 235])
    mixed = 255 + (ends - 255) * min(1.0, abs(share))
    return int(mixed[0]), int(mixed[1]), int(mixed[2])


PLOTS: Mapping[type[Artefact], Callable[[Any], Drawing]] = {
    Curve: curve, Hypercolumn: hypercolumn, Scores: scores, Histogram: histogram, Scatter: scatter,
    Graph: graph, Matrix: matrix, Text: text,
}  # fmt: skip
"""How each kind that is a plot is drawn."""
