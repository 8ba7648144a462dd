"""What lies above a mosaic: hatch on dead units, labels, edit marks, selection, hover."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetrics, QPainter, QPen, QPixmap, QTransform

from explorer.panels.icons import pixmap
from explorer.panels.mosaic import LABEL_FROM, MAXIMUM_FROM, Layout
from explorer.panels.overlays import Overlay, on_screen, two_tone
from explorer.panels.series import contrast
from explorer.panels.theme import Theme, font

HATCH_STEP = 6  # px between lines
ICON = 14  # px
READABLE = 4.5  # contrast of text


def hatch(theme: Theme) -> QBrush:
    """Lines of 1 px at 45 degrees, one every 6 px, muted on the raised plane."""
    tile = QPixmap(HATCH_STEP, HATCH_STEP)
    tile.fill(theme.colour("raised"))
    painter = QPainter(tile)
    painter.setPen(QPen(theme.colour("muted"), 1))
    for i in range(HATCH_STEP):
        painter.drawPoint(i, HATCH_STEP - 1 - i)
    painter.end()
    return QBrush(tile)


class TileMarks(Overlay):
    """Hatch, labels and edit marks of all tiles; changes a few times a second at most."""

    def __init__(self) -> None:
        super().__init__()
        self.layout: Layout | None = None
        self.paper = self.theme.colour("canvas")  # what the labels stand on
        self.dead: Sequence[int] = ()
        self.edited: Sequence[int] = ()
        self._label: Callable[[int], str] = str
        self._largest: Callable[[int], str] = str

    def show_tiles(
        self,
        layout: Layout,
        dead: Sequence[int],
        edited: Sequence[int],
        label: Callable[[int], str],
        largest: Callable[[int], str],
    ) -> None:
        """Mark the tiles of ``layout``; positions in ``dead`` are hatched.

        ``label`` and ``largest`` give the index and the maximum of the tile at a position as text.
        """
        self.layout, self.dead, self.edited = layout, dead, edited
        self._label, self._largest = label, largest
        self.update()

    def ink(self) -> QColor:
        """The colour of labels: muted, where that can be read."""
        muted = self.theme.colour("muted")
        if contrast(muted, self.paper) >= READABLE:
            return muted
        return max((QColor("black"), QColor("white")), key=lambda c: contrast(c, self.paper))

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """Only tiles that are in view are drawn."""
        if self.layout is None:
            return
        device = painter.device()
        seen = QRectF(-100, -100, device.width() + 200, device.height() + 200)
        marked = range(self.layout.count) if self.layout.label else {*self.dead, *self.edited}
        rects = {i: on_screen(self.layout.corners(i), to_screen) for i in marked}
        rects = {i: rect for i, rect in rects.items() if rect.intersects(seen)}
        dead = [rects[i] for i in self.dead if i in rects]
        brush = hatch(self.theme) if dead else QBrush()
        for rect in dead:
            painter.fillRect(rect, brush)
        if rects and self.layout.label:
            self._draw_labels(painter, rects)
        for i in self.edited:
            if i in rects:
                self._draw_edit(painter, rects[i])

    def _draw_labels(self, painter: QPainter, rects: dict[int, QRectF]) -> None:
        made = font("caption")
        metrics = QFontMetrics(made)
        painter.setFont(made)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(self.ink())
        for i, rect in rects.items():
            side = min(rect.width(), rect.height())
            if side < LABEL_FROM - 1:
                continue
            row = QRectF(rect.x() + 1, rect.y() - 16, rect.width() - 7, 16)
            painter.drawText(row, middle | Qt.AlignmentFlag.AlignLeft, self._label(i))
            largest = f"max {self._largest(i)}" if side >= MAXIMUM_FROM else ""
            if largest and metrics.horizontalAdvance(self._label(i) + "  " + largest) < row.width():
                painter.drawText(row, middle | Qt.AlignmentFlag.AlignRight, largest)

    def _draw_edit(self, painter: QPainter, rect: QRectF) -> None:
        painter.setPen(QPen(self.theme.colour("edited"), 2))
        painter.drawRect(rect.adjusted(1, 1, -1, -1))
        if min(rect.width(), rect.height()) >= ICON + 4:
            spot = QPointF(rect.right() - ICON - 2, rect.top() + 2)
            painter.fillRect(
                QRectF(spot.x() - 1, spot.y() - 1, ICON + 2, ICON + 2), QColor("black")
            )
            painter.drawPixmap(spot, pixmap("scissors", self.theme, ICON, "edited"))


class SelectionMarks(Overlay):
    """The selected tile (two-tone) and the hovered one (1 px white in 1 px black)."""

    def __init__(self) -> None:
        super().__init__()
        self.selected: tuple[float, float, float, float] | None = None
        self.hovered: tuple[float, float, float, float] | None = None

    def mark(
        self,
        selected: tuple[float, float, float, float] | None,
        hovered: tuple[float, float, float, float] | None,
    ) -> None:
        """Outline these corners in mosaic pixels."""
        if (selected, hovered) != (self.selected, self.hovered):
            self.selected, self.hovered = selected, hovered
            self.update()

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """Hover first, so that the selection stays on top."""
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self.hovered is not None:
            rect = on_screen(self.hovered, to_screen)
            for grow, ink in ((0.5, "white"), (1.5, "black")):
                painter.setPen(QPen(QColor(ink), 1))
                painter.drawRect(rect.adjusted(-grow, -grow, grow, grow))
        if self.selected is not None:
            two_tone(painter, on_screen(self.selected, to_screen), self.theme.colour("selected"))
