"""GraphView: nodes as labelled boxes in layers, edges as curves with arrowheads; zoom and pan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer.panels.layered import layered
from explorer.panels.overlays import chip, ink_on
from explorer.panels.theme import DARK, Theme, font

BOX_HEIGHT, BOX_WIDE, MOST_APART = 26.0, 150.0, 48.0  # px
MARGIN, REACH = 16.0, 6.0
READABLE = 12.0  # px of a box below which nothing is written
GAP = (52.0, 34.0)  # px between two layers, side by side or one below the other, for numbers
CROWDED = 40  # edges from which they are drawn lighter
SAMPLES = np.linspace(0.0, 1.0, 24)
NUMBER = "  −0.00"  # room for it beside a label
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn: labels, edges (E, 2) with widths and signs, a fill for each node or none.

    ``chosen`` nodes stand out; ``node_words`` and ``edge_words`` are written where there is room.
    """

    labels: tuple[str, ...] = ()
    edges: npt.NDArray[np.int64] | None = None
    widths: tuple[float, ...] = ()
    negative: tuple[bool, ...] = ()
    fills: tuple[QColor, ...] = ()
    chosen: frozenset[int] = frozenset()
    node_words: tuple[str, ...] = ()
    edge_words: tuple[str, ...] = ()


class GraphView(QWidget):
    """A graph that fills its place; the wheel zooms, a drag pans, a double click shows all.

    Signals:
        hovered: ("node", index), ("edge", index) or None. clicked: index of a node.
    """

    hovered = Signal(object)
    clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.drawing = Drawing()
        self.under: tuple[str, int] | None = None
        self.words = ""
        self._layers: Floats = np.zeros((0, 2))
        self._place: Floats = self._layers
        self._label = 80.0
        self._sideways = False
        self._key: object = None
        self._zoom, self._pan = 1.0, QPointF()
        self._pressed: tuple[QPointF, QPointF] | None = None
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(60, 48)

    def show_drawing(self, drawing: Drawing) -> None:
        """Show a graph; the places stay while nodes and edges are the same."""
        self.drawing = drawing
        edges = drawing.edges if drawing.edges is not None else np.zeros((0, 2), np.int64)
        key = (drawing.labels, edges.tobytes())
        if key != self._key:
            self._key = key
            self.under = None
            self._lay_out(edges)
            self._turn()
            self.reset_zoom()
        self.update()

    def reset_zoom(self) -> None:
        """Show all."""
        self._zoom, self._pan = 1.0, QPointF()
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """Room for a small graph."""
        return QSize(300, 220)

    def node_box(self, node: int) -> QRectF:
        """Screen rectangle of a node: as large as its label, smaller where nodes are crowded."""
        (pitch_x, pitch_y), (width, height) = self._pitch(), self._box()
        x, y = self._place[node]
        at = QPointF(self.width() / 2 + x * pitch_x, self.height() / 2 + y * pitch_y) + self._pan
        return QRectF(at.x() - width / 2, at.y() - height / 2, width, height)

    # -- layout --------------------------------------------------------------------------------

    def _lay_out(self, edges: npt.NDArray[np.int64]) -> None:
        """Places in steps of one node across and one layer down (or right), about the middle."""
        place = layered(len(self.drawing.labels), edges)
        metrics = QFontMetrics(font("caption"))
        widest = max((metrics.horizontalAdvance(name) for name in self.drawing.labels), default=20)
        numbers = metrics.horizontalAdvance(NUMBER) if self.drawing.node_words else 0
        self._label = min(BOX_WIDE, max(28.0, widest + numbers + 16.0))
        if len(place):
            place = place - (place.min(0) + place.max(0)) / 2
        self._layers = place

    def _turn(self) -> None:
        """Layers go down or right, whichever leaves the boxes more of the size they want."""
        roomy = []
        for sideways in (False, True):
            self._sideways = sideways
            self._place = self._layers[:, ::-1] if sideways else self._layers
            width, height = self._box()
            roomy.append(min(width / self._label, 1.0) * min(height / BOX_HEIGHT, 1.0))
        self._sideways = roomy[1] > roomy[0]
        self._place = self._layers[:, ::-1] if self._sideways else self._layers

    def _pitch(self) -> tuple[float, float]:
        """Pixels from one node to the next across, and from one layer to the next."""
        steps = np.ptp(self._place, axis=0) if len(self._place) else np.zeros(2)
        most = (self._label + MOST_APART, BOX_HEIGHT + MOST_APART)
        sizes = (self.width() - 2 * MARGIN - self._label, self.height() - 2 * MARGIN - BOX_HEIGHT)
        along = 0 if self._sideways else 1
        made = []
        for axis in (0, 1):
            fit = max(sizes[axis], 10.0) / max(1.0, float(steps[axis]))
            made.append(min(fit, most[axis] * (2.0 if axis == along else 1.0)) * self._zoom)
        return made[0], made[1]

    def _box(self) -> tuple[float, float]:
        """Size of the boxes: that of the longest label, or what the pitch leaves."""
        pitch = self._pitch()
        gaps = (0.62, 0.85) if self._sideways else (0.88, 0.58)
        return min(self._label, pitch[0] * gaps[0]), min(BOX_HEIGHT, pitch[1] * gaps[1])

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Turn the layers the way that suits the new shape."""
        super().resizeEvent(event)
        self._turn()

    def curve(self, edge: int) -> tuple[QPointF, QPointF, QPointF, QPointF]:
        """The four points of the cubic curve of an edge, on the screen."""
        assert self.drawing.edges is not None
        a, b = (int(n) for n in self.drawing.edges[edge])
        start, end = self.node_box(a), self.node_box(b)
        if a == b:
            right, r = QPointF(start.right(), start.center().y()), start.height()
            return (right - QPointF(0, r / 4), right + QPointF(1.5 * r, -r),
                    right + QPointF(1.5 * r, r), right + QPointF(0, r / 4))  # fmt: skip
        if self._sideways:
            first, last = start.center() + QPointF(start.width() / 2, 0), end.center()
            last -= QPointF(end.width() / 2, 0)
            lean = QPointF((last.x() - first.x()) / 2, 0)
            aside = QPointF(0, start.height() * 1.4)
        else:
            first, last = start.center() + QPointF(0, start.height() / 2), end.center()
            last -= QPointF(0, end.height() / 2)
            lean = QPointF(0, (last.y() - first.y()) / 2)
            aside = QPointF(start.width() * 0.8, 0)
        # An edge that skips a layer bows out, or it would run through the boxes between.
        skipped = (self._layers[b] - self._layers[a])[1]
        bow = aside * (0.0 if 0 < skipped < 1.5 else 1.0)
        return first, first + lean + bow, last - lean + bow, last

    # -- drawing -------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Edges, then nodes, then the words of what is under the mouse."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.theme.colour("canvas"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.drawing.labels:
            painter.setFont(font("body"))
            painter.setPen(self.theme.colour("muted"))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No nodes")
            painter.end()
            return
        count = len(self.drawing.edges) if self.drawing.edges is not None else 0
        near = self._near()
        for edge in sorted(range(count), key=lambda e: (e in near, self._chosen(e))):
            self._draw_edge(painter, edge, lit=edge in near)
        for node in range(len(self.drawing.labels)):
            self._draw_node(painter, node)
        along = 0 if self._sideways else 1
        gap = self._pitch()[along] - self._box()[along]
        if count <= CROWDED and gap >= GAP[along] and self._box()[1] >= READABLE:
            self._draw_edge_words(painter)
        if self.under is not None and self.words:
            self._draw_words(painter)
        painter.end()

    def _chosen(self, edge: int) -> bool:
        """Whether both ends of an edge stand out."""
        assert self.drawing.edges is not None
        return bool(self.drawing.chosen.issuperset(self.drawing.edges[edge].tolist()))

    def _near(self) -> set[int]:
        """Edges to light up: the one under the mouse, or those of the node there."""
        if self.under is None or self.drawing.edges is None:
            return set()
        kind, index = self.under
        if kind == "edge":
            return {index}
        return set(np.flatnonzero((self.drawing.edges == index).any(1)).tolist())

    def _draw_edge(self, painter: QPainter, edge: int, *, lit: bool) -> None:
        first, one, two, last = self.curve(edge)
        most = max(1.0, 0.3 * self._box()[1])
        width = min(self.drawing.widths[edge], most) if self.drawing.widths else 1.2
        dashed = bool(self.drawing.negative) and self.drawing.negative[edge]
        crowded = self.drawing.edges is not None and len(self.drawing.edges) > CROWDED
        stands_out = lit or self._chosen(edge)
        ink = self.theme.colour(
            "selected" if stands_out else "outline", 130 if crowded and not stands_out else 255
        )
        width = max(width, min(3.0, most)) if stands_out else width
        style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
        painter.setPen(QPen(ink, width, style))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        path = QPainterPath(first)
        path.cubicTo(one, two, last)
        painter.drawPath(path)
        along = last - two
        length = max(1e-6, float(np.hypot(along.x(), along.y())))
        unit = along / length
        normal = QPointF(-unit.y(), unit.x())
        size = 5.0 + width
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        foot = last - unit * size
        painter.drawPolygon(QPolygonF([last, foot + normal * size / 2, foot - normal * size / 2]))

    def _draw_node(self, painter: QPainter, node: int) -> None:
        box = self.node_box(node)
        if not box.intersects(QRectF(self.rect())):
            return
        lit = self.under == ("node", node) or node in self.drawing.chosen
        fill = self.drawing.fills[node] if self.drawing.fills else self.theme.colour("raised")
        painter.setBrush(fill)
        painter.setPen(QPen(self.theme.colour("selected" if lit else "outline"), 2 if lit else 1))
        painter.drawRoundedRect(box, 4, 4)
        if box.height() < READABLE:
            return
        face = font("caption")
        painter.setFont(face)
        painter.setPen(ink_on(fill) if self.drawing.fills else self.theme.colour("text"))
        mode = Qt.TextElideMode.ElideMiddle
        metrics, label, number = QFontMetrics(face), self.drawing.labels[node], ""
        if self.drawing.node_words:
            number = f"  {self.drawing.node_words[node]}"
            if metrics.horizontalAdvance(label + number) > box.width() - 6:
                number = ""  # the name comes first
        left = int(box.width()) - 6 - metrics.horizontalAdvance(number)
        words = metrics.elidedText(label, mode, left)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words + number if len(words) > 1 or
                         len(label) == 1 else "")  # fmt: skip

    def _draw_edge_words(self, painter: QPainter) -> None:
        """The numbers of the edges near the nodes where they end."""
        face = font("caption")
        paper = self.theme.colour("canvas", 190)
        for edge, words in enumerate(self.drawing.edge_words):
            wide = QFontMetrics(face).horizontalAdvance(words) + 8
            before = QPointF(-wide - 12, 8) if self._sideways else QPointF(-wide / 2, -10)
            ink = self.theme.colour("selected" if self._chosen(edge) else "muted")
            chip(painter, self.curve(edge)[3] + before, words, ink, paper)

    def _draw_words(self, painter: QPainter) -> None:
        assert self.under is not None
        kind, index = self.under
        at = self.node_box(index).bottomLeft() if kind == "node" else self._middle(index)
        wide = QFontMetrics(font("caption")).horizontalAdvance(self.words) + 8
        x = min(max(2.0, at.x()), max(2.0, self.width() - wide - 2.0))
        y = min(at.y() + 20, self.height() - 2.0)
        ground, ink = self.theme.colour("raised", 240), self.theme.colour("text")
        chip(painter, QPointF(x, y), self.words, ink, ground)

    def _middle(self, edge: int) -> QPointF:
        a, b, c, d = self.curve(edge)
        return (a + b * 3 + c * 3 + d) / 8

    # -- events --------------------------------------------------------------------------------

    def at(self, where: QPointF) -> tuple[str, int] | None:
        """The node under a place, else the edge that passes there."""
        for node in range(len(self.drawing.labels)):
            if self.node_box(node).contains(where):
                return "node", node
        count = len(self.drawing.edges) if self.drawing.edges is not None else 0
        t = SAMPLES[:, None]
        weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
        best, found = REACH, None
        for edge in range(count):
            points = weights @ np.array([[p.x(), p.y()] for p in self.curve(edge)])
            away = float(np.hypot(*(points - (where.x(), where.y())).T).min())
            if away < best:
                best, found = away, ("edge", edge)
        return found

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Pan, or tell what is under the mouse."""
        if self._pressed is not None:
            self._pan = self._pressed[1] + event.position() - self._pressed[0]
            self.update()
            return
        self._choose(self.at(event.position()) if self.drawing.labels else None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click or a pan begins."""
        self._pressed = event.position(), QPointF(self._pan)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click on a node ends where it began."""
        pressed, self._pressed = self._pressed, None
        if pressed is None or (event.position() - pressed[0]).manhattanLength() > 4:
            return
        found = self.at(event.position()) if self.drawing.labels else None
        if found is not None and found[0] == "node":
            self.clicked.emit(found[1])

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show all again."""
        self.reset_zoom()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom about the mouse."""
        factor = 1.15 ** (event.angleDelta().y() / 120)
        new = min(max(self._zoom * factor, 0.5), 30.0)
        factor = new / self._zoom
        from_centre = event.position() - QPointF(self.width() / 2, self.height() / 2)
        self._zoom = new
        self._pan = from_centre - (from_centre - self._pan) * factor
        self.update()
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse is nowhere."""
        super().leaveEvent(event)
        self._choose(None)

    def _choose(self, found: tuple[str, int] | None) -> None:
        if found != self.under:
            self.under = found
            self.hovered.emit(found)
            self.update()
