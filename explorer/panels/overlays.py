"""What is drawn over a picture in input coordinates: boxes, points, rectangles, the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPainterPath, QPen, QTransform
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from explorer.colours import OKABE_ITO
from explorer.panels.theme import DARK, Theme, font

EVERYWHERE = QRectF(-1e6, -1e6, 2e6, 2e6)  # overlays are cheap: no need to compute a tight bound
CROWD = 20  # boxes that stay; from here on their lines are thin
EDGE = QColor("black")  # around coloured lines; opaque, for Qt blends tall spans in other threads
WIDEST = 6  # screen px, of a line whose width tells something
LABEL_PLACES = 3  # tried for the name of a box, one below the other
Corner = tuple[float, float, float, float]


def class_colour(index: int) -> QColor:
    """Okabe-Ito colour of class ``index``; its black is left out, it vanishes on photos."""
    return QColor(*OKABE_ITO[index % 7])


def colours_of(labels: Sequence[str]) -> dict[str, QColor]:
    """A colour for each distinct label, in order of first appearance."""
    return {label: class_colour(i) for i, label in enumerate(dict.fromkeys(labels))}


class Overlay(QGraphicsItem):
    """Something painted above the picture with lines and text of constant size on the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.theme = DARK

    def boundingRect(self) -> QRectF:
        """All of the plane."""
        return EVERYWHERE

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        """Hand over to `draw` in screen pixels."""
        transform = painter.worldTransform()
        painter.save()
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        self.draw(painter, transform)
        painter.restore()

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """Draw with screen coordinates ``to_screen.map(point)``."""
        raise NotImplementedError

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.theme = theme
        self.update()


def on_screen(corners: Corner, to_screen: QTransform) -> QRectF:
    """Screen rectangle of corners (x1, y1, x2, y2)."""
    return to_screen.mapRect(QRectF(QPointF(*corners[:2]), QPointF(*corners[2:])))


def two_tone(painter: QPainter, rect: QRectF, colour: QColor, width: float = 2.0) -> None:
    """Outline of 2 px in ``colour`` inside rings of 1 px black and 1 px white: seen on any map."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for grow, thick, ink in (
        (width / 2, width, colour),
        (width + 0.5, 1.0, QColor("black")),
        (width + 1.5, 1.0, QColor("white")),
    ):
        pen = QPen(ink, thick)
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        painter.setPen(pen)
        painter.drawRect(rect.adjusted(-grow, -grow, grow, grow))


def chip(painter: QPainter, at: QPointF, text: str, ink: QColor, paper: QColor) -> QRectF:
    """Caption text on a filled rectangle whose lower left corner is ``at``; returns it."""
    made = font("caption")
    metrics = QFontMetrics(made)
    rect = QRectF(at.x(), at.y() - 16, metrics.horizontalAdvance(text) + 8, 16)
    painter.fillRect(rect, paper)
    painter.setFont(made)
    painter.setPen(ink)
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
    return rect


def ink_on(paper: QColor) -> QColor:
    """Black or white, whichever is read better on ``paper``."""
    luminance = 0.299 * paper.redF() + 0.587 * paper.greenF() + 0.114 * paper.blueF()
    return QColor("black") if luminance > 0.5 else QColor("white")


@dataclass(frozen=True, slots=True)
class BoxMark:
    """One box to draw: corners in input pixels, words, colour; dashed when it was removed, faint
    while nothing has been decided about it. ``share`` in [0, 1] of the widest line, None as usual.
    """

    corners: Corner
    text: str
    colour: QColor
    dashed: bool = False
    faint: bool = False
    share: float | None = None

    @property
    def width(self) -> float | None:
        """Of its line in screen px, where that tells something."""
        return None if self.share is None else 1 + (WIDEST - 1) * self.share


def round_pen(ink: QColor, width: float) -> QPen:
    """A pen with round ends."""
    return QPen(ink, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)


class BoxesOverlay(Overlay):
    """Boxes with labels; the ``selected`` one is marked as every selection is, the ``cause`` of a
    removal by dashes and its words."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: tuple[BoxMark, ...] = ()
        self.selected: int | None = None
        self.cause: int | None = None
        self._words = ""

    def show_marks(self, marks: Sequence[BoxMark], selected: int | None = None) -> None:
        """Draw ``marks``; names of the first ones take the best places."""
        self.marks, self.selected, self.cause = tuple(marks), selected, None
        self.update()

    def show_cause(self, cause: int | None, words: str = "") -> None:
        """Point out the box that removed the one under the mouse, or none."""
        if cause != self.cause:
            self.cause, self._words = cause, words
            self.update()

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """Outlines first, then words, so that no box crosses out a label."""
        rects = [on_screen(m.corners, to_screen) for m in self.marks]
        thin = sum(not (m.dashed or m.faint) for m in self.marks) > CROWD
        for i in sorted(range(len(rects)), key=self._height):
            self._outline(painter, rects[i], self.marks[i], selected=i == self.selected, thin=thin)
        if self.cause is not None:
            self._point_out(painter, rects[self.cause])
        taken: list[QRectF] = []
        for mark, rect in zip(self.marks, rects, strict=True):
            if mark.text and not mark.dashed and not mark.faint:
                self._label(painter, rect, mark, taken)
        if self.cause is not None:
            at = rects[self.cause].bottomLeft() + QPointF(4, -4)
            chip(painter, at, self._words, QColor("black"), QColor("white"))

    def _height(self, i: int) -> tuple[bool, int, int]:
        """What is drawn later lies above: the selected box, what stays, the first."""
        mark = self.marks[i]
        return i == self.selected, 0 if mark.faint else 1 if mark.dashed else 2, -i

    def _point_out(self, painter: QPainter, rect: QRectF) -> None:
        for ink, style in (("black", Qt.PenStyle.SolidLine), ("white", Qt.PenStyle.DashLine)):
            painter.setPen(QPen(QColor(ink), 3, style))
            painter.drawRect(rect)

    def _outline(
        self, painter: QPainter, rect: QRectF, mark: BoxMark, *, selected: bool, thin: bool
    ) -> None:
        if selected:
            two_tone(painter, rect, self.theme.colour("selected"), mark.width or 2.0)
            return
        if mark.faint:
            painter.setPen(QPen(QColor(255, 255, 255, 90), 1, Qt.PenStyle.DotLine))
            painter.drawRect(rect)
            return
        width = mark.width or (1.0 if mark.dashed or thin else 2.0)
        painter.setPen(QPen(EDGE, 1 if mark.dashed else 2 + width))
        painter.drawRect(rect)
        style = Qt.PenStyle.DashLine if mark.dashed else Qt.PenStyle.SolidLine
        painter.setPen(QPen(mark.colour, width, style))
        painter.drawRect(rect)

    def _label(self, painter: QPainter, rect: QRectF, mark: BoxMark, taken: list[QRectF]) -> None:
        """Above the box, inside it at the view's top edge; a little lower where another label
        stands. None where no place is left or it would be cut: the mouse over the box tells it."""
        view = QRectF(painter.viewport())
        width = QFontMetrics(font("caption")).horizontalAdvance(mark.text) + 8
        left = max(0.0, min(rect.left() - 1, view.right() - width))
        top = rect.top() if rect.top() >= 16 else rect.top() + 16
        spot = QRectF(left, top - 16, width, 16)
        for _ in range(LABEL_PLACES):
            if not any(spot.intersects(other) for other in taken):
                break
            spot.translate(0, 17)
        else:
            return
        if not view.contains(spot):
            return
        taken.append(spot)
        chip(painter, spot.bottomLeft(), mark.text, ink_on(mark.colour), mark.colour)


class PointsOverlay(Overlay):
    """Skeletons: points (P, K) of (x, y, visible) in input pixels, joined by index pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.people: list[list[tuple[float, float, bool]]] = []
        self.pairs: tuple[tuple[int, int], ...] = ()
        self.numbers: tuple[int, ...] = ()
        self.selected: tuple[int, int] | None = None

    def show_points(
        self,
        people: list[list[tuple[float, float, bool]]],
        pairs: Sequence[tuple[int, int]],
        numbers: Sequence[int],
    ) -> None:
        """Draw ``people``, each in the colour of its number."""
        self.people, self.pairs, self.numbers = people, tuple(pairs), tuple(numbers)
        self.update()

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """Bones with a dark edge below, then points; points of low score are hollow."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for p, (points, number) in enumerate(zip(self.people, self.numbers, strict=True)):
            own = class_colour(number)
            spots = [to_screen.map(QPointF(x, y)) for x, y, _ in points]
            for ink, width in ((EDGE, 5), (own, 3)):
                painter.setPen(round_pen(ink, width))
                for a, b in self.pairs:
                    if points[a][2] and points[b][2]:
                        painter.drawLine(spots[a], spots[b])
            for k, (spot, (_, _, seen)) in enumerate(zip(spots, points, strict=True)):
                painter.setPen(QPen(QColor("black"), 1))
                painter.setBrush(own if seen else Qt.BrushStyle.NoBrush)
                painter.drawEllipse(spot, 4.5, 4.5)
                painter.setPen(QPen(QColor("white") if seen else own, 1))
                painter.drawEllipse(spot, 3.5, 3.5)
                if self.selected == (p, k):
                    two_tone(
                        painter,
                        QRectF(spot.x() - 6, spot.y() - 6, 12, 12),
                        self.theme.colour("selected"),
                    )


class RectOverlay(Overlay):
    """One rectangle in the colour of the selection: a receptive field, or the box being drawn."""

    def __init__(self, *, dashed: bool = False) -> None:
        super().__init__()
        self.corners: Corner | None = None
        self.words = ""
        self._dashed = dashed

    def show_corners(self, corners: Corner | None, words: str = "") -> None:
        """Draw the rectangle (x1, y1, x2, y2), or nothing."""
        self.corners, self.words = corners, words
        self.update()

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """The two-tone outline, or a dashed line on black."""
        if self.corners is None:
            return
        rect = on_screen(self.corners, to_screen)
        colour = self.theme.colour("selected")
        if self._dashed:
            painter.setPen(QPen(QColor("black"), 2))
            painter.drawRect(rect)
            painter.setPen(QPen(QColor("white"), 2, Qt.PenStyle.DashLine))
            painter.drawRect(rect)
        else:
            two_tone(painter, rect, colour)
        if self.words:
            top = rect.top() - 4 if rect.top() > 20 else rect.bottom() + 20
            chip(painter, QPointF(rect.left() - 3, top), self.words, ink_on(colour), colour)


class DabsOverlay(Overlay):
    """What is painted: discs (x, y, radius, value) in picture coordinates; a value of 0 erases."""

    def __init__(self) -> None:
        super().__init__()
        self.dabs: tuple[tuple[float, float, float, float], ...] = ()

    def show_dabs(self, dabs: Sequence[tuple[float, float, float, float]]) -> None:
        """Draw these and no others."""
        if tuple(dabs) != self.dabs:
            self.dabs = tuple(dabs)
            self.update()

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """One see-through shape in the colour of edits."""
        shape = QPainterPath()
        shape.setFillRule(Qt.FillRule.WindingFill)  # discs that overlap are one
        for x, y, radius, value in self.dabs:
            disc = QPainterPath()
            disc.addEllipse(QRectF(x - radius, y - radius, 2 * radius, 2 * radius))
            if value > 0:
                shape.addPath(disc)
            else:
                shape = shape.subtracted(disc)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillPath(to_screen.map(shape), self.theme.colour("edited", 110))


class CursorOverlay(Overlay):
    """The linked cursor: a cross with an open middle, white on black."""

    def __init__(self, arm: int = 9) -> None:
        super().__init__()
        self.at: tuple[float, float] | None = None
        self._arm = arm

    def show_at(self, at: tuple[float, float] | None) -> None:
        """Stand at ``at`` in picture coordinates, or nowhere."""
        if at != self.at:
            self.at = at
            self.update()

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """Four arms; black 3 px below white 1 px."""
        if self.at is None:
            return
        spot = to_screen.map(QPointF(*self.at))
        for ink, width in (("black", 3), ("white", 1)):
            painter.setPen(QPen(QColor(ink), width))
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                step = QPointF(dx, dy)
                painter.drawLine(spot + step * 3.0, spot + step * float(self._arm))
