"""How a layer's row looks: painted from its node, in as many columns as there is room for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPen,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QFrame,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from explorer.app.layer_model import (
    ACTIVE,
    KIND,
    LAYER,
    MEAN,
    NODE,
    PARAMETERS,
    SHAPE,
    ZEROS,
    Index,
    Node,
)
from explorer.panels.icons import pixmap
from explorer.panels.theme import DARK, TREE_ROW, Theme, font, kind_token

if TYPE_CHECKING:
    from explorer.views import LayerStatistics

WIDTHS = {SHAPE: 116, ACTIVE: 58, KIND: 76, ZEROS: 88, MEAN: 68, PARAMETERS: 88}
SHAPE_LEAST, SHAPE_SHARE = 72, 0.58  # px, and the most of the width that shapes take
BAR = 44  # px of the activity bar below a shape, where it has no column of its own
NAME_WIDTH = 150  # columns go, from the last one on, until the name has this much
NAME_LEAST = 90  # beside the shape alone


class LayerView(QTreeView):
    """Rows of one height; as many columns as leave room for the name."""

    units = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme: Theme = DARK
        self._shapes = WIDTHS[SHAPE]
        self._delegate = LayerDelegate(self)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName("Layers of the network")
        self.setToolTip("Up and Down move by layer, Left and Right by unit, Enter ticks")
        self.setUniformRowHeights(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setIndentation(14)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAllColumnsShowFocus(True)
        self.setAutoScroll(False)
        self.header().setStretchLastSection(False)
        self.header().setSectionsMovable(False)
        self.header().setAccessibleName("Columns of the layer tree")

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self._delegate.theme = theme
        self.viewport().update()

    def fit_shapes(self, shapes: Iterable[str]) -> None:
        """Make the column of shapes as wide as the longest of these, so that none is cut."""
        metrics = QFontMetrics(_number())
        widest = max((metrics.horizontalAdvance(text) for text in set(shapes)), default=0)
        wanted = max(SHAPE_LEAST, widest + 14)
        if wanted != self._shapes:
            self._shapes = wanted
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as many columns as fit."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Without room for the kinds, names carry them; without activity, shapes do."""
        header = self.header()
        if header.count() <= PARAMETERS:
            return
        room = whole = self.viewport().width()
        header.setSectionResizeMode(LAYER, QHeaderView.ResizeMode.Stretch)
        shapes = min(self._shapes, max(SHAPE_LEAST, round(SHAPE_SHARE * whole)))
        for column, width in {**WIDTHS, SHAPE: shapes}.items():
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            room -= width
            self.setColumnHidden(column, room < (NAME_LEAST if column == SHAPE else NAME_WIDTH))
            header.resizeSection(column, width)
        self._delegate.words = self.isColumnHidden(KIND)
        self._delegate.bars = self.isColumnHidden(ACTIVE)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter ticks; Left and Right go to the maps of a layer that has nothing to fold."""
        place = self.currentIndex().siblingAtColumn(LAYER)
        node: Node | None = place.data(NODE)
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if node is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            state = Qt.CheckState.Unchecked if node.ticked else Qt.CheckState.Checked
            self.model().setData(place, state, Qt.ItemDataRole.CheckStateRole)
        elif node is not None and step is not None and not node.children:
            self.units.emit(step)
        else:
            super().keyPressEvent(event)

    def drawBranches(self, painter: QPainter, rect: QRect, index: Index) -> None:
        """A chevron in the theme's own colour."""
        if not self.model().hasChildren(index):
            return
        name = "chevron-down" if self.isExpanded(index) else "chevron-right"
        glyph = pixmap(name, self._theme, 12, "muted", self.devicePixelRatioF())
        painter.drawPixmap(rect.right() - 12, rect.center().y() - 5, glyph)


class LayerDelegate(QStyledItemDelegate):
    """Paints a cell from its node; no widgets, so that a thousand rows scroll like ten."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme: Theme = DARK
        self.words = False  # write the kind beside the name
        self.bars = False  # draw the activity below the shape

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """One height for all rows."""
        return QSize(60, TREE_ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Background, then what the column shows."""
        node: Node = index.data(NODE)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        rect = option.rect
        if chosen or hovered:
            painter.fillRect(rect, self.theme.colour("accent_fill" if chosen else "raised"))
        if index.column() == LAYER:
            self._paint_name(painter, option, node, chosen=chosen)
        elif index.column() == ACTIVE:
            self._paint_activity(painter, rect, node, chosen=chosen)
        else:
            self._paint_text(painter, rect, node, index.column(), chosen=chosen)

    def _ink(self, node: Node, *, chosen: bool, quiet: bool) -> QColor:
        if chosen:
            return self.theme.colour("on_accent")
        return self.theme.colour("disabled" if not node.called else "muted" if quiet else "text")

    def _paint_name(
        self, painter: QPainter, option: QStyleOptionViewItem, node: Node, *, chosen: bool
    ) -> None:
        rect = QRect(option.rect)
        edge = self.theme.colour(kind_token(node.layer.kind) if node.called else "hairline")
        painter.fillRect(rect.left(), rect.top() + 3, 3, rect.height() - 6, edge)
        if node.called:
            self._paint_tick(painter, self._tick_box(option), node, chosen=chosen)
        left, right = rect.left() + 28, rect.right() - 4
        if node.broken:
            right = self._paint_warning(painter, rect, right)
        elif node.starred:
            right -= 14
            _star(
                painter,
                QPointF(right + 7, rect.center().y() + 1),
                self._ink(node, chosen=chosen, quiet=True),
            )
        text = _elided(node.tail, _body(), max(8, right - left))
        painter.setFont(_body())
        painter.setPen(self._ink(node, chosen=chosen, quiet=False))
        painter.drawText(QRect(left, rect.top(), right - left, rect.height()), _MIDDLE, text)
        word, end = node.text(KIND), left + QFontMetrics(_body()).horizontalAdvance(text) + 8
        if self.words and node.layer.leaf and right - end >= _width(word):
            painter.setFont(_caption())
            painter.setPen(self._ink(node, chosen=chosen, quiet=True))
            painter.drawText(QRect(end, rect.top(), right - end, rect.height()), _MIDDLE, word)

    def _paint_tick(self, painter: QPainter, box: QRect, node: Node, *, chosen: bool) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = self.theme.colour("on_accent" if chosen else "outline")
        fill = self.theme.colour("accent_fill" if node.ticked else "canvas")
        painter.setPen(
            QPen(self.theme.colour("accent") if node.ticked and not chosen else outline, 1)
        )
        painter.setBrush(fill)
        painter.drawRoundedRect(box, 3, 3)
        if node.ticked:
            x, y = box.left(), box.top()
            painter.setPen(QPen(self.theme.colour("on_accent"), 2))
            painter.drawPolyline(
                [QPointF(x + 3, y + 7), QPointF(x + 6, y + 10), QPointF(x + 11, y + 4)]
            )
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)

    def _paint_warning(self, painter: QPainter, rect: QRect, right: int) -> int:
        painter.setFont(_caption())
        painter.setPen(self.theme.colour("error"))
        width = QFontMetrics(_caption()).horizontalAdvance("NaN")
        painter.drawText(QRect(right - width, rect.top(), width, rect.height()), _MIDDLE, "NaN")
        glyph = pixmap("warning", self.theme, 12, "error", painter.device().devicePixelRatioF())
        painter.drawPixmap(right - width - 15, rect.center().y() - 5, glyph)
        return right - width - 18

    def _paint_activity(self, painter: QPainter, rect: QRect, node: Node, *, chosen: bool) -> None:
        if node.statistics is None or not node.called:
            return
        share = min(max(node.statistics.activity, 0.0), 1.0) if node.statistics.finite else 0.0
        colour = self.theme.colour("on_accent" if chosen else "muted")
        _bar(painter, QRect(rect.left() + 4, rect.center().y() - 2, rect.width() - 8, 5), share,
             colour, self.theme.colour("hairline"))  # fmt: skip

    def _paint_text(
        self, painter: QPainter, rect: QRect, node: Node, column: int, *, chosen: bool
    ) -> None:
        text = node.text(column)
        if not text:
            return
        if column == ZEROS and node.statistics is not None:
            bar = QRect(rect.left() + 6, rect.center().y() - 2, 30, 5)
            colour = self.theme.colour("on_accent" if chosen else "muted")
            _bar(painter, bar, node.statistics.zeros, colour, self.theme.colour("hairline"))
        words = column == KIND or (column == SHAPE and not node.called)
        face = _caption() if words else _number()
        painter.setFont(face)
        painter.setPen(self._ink(node, chosen=chosen, quiet=column != SHAPE))
        inner = rect.adjusted(4, 0, -6, 0)
        side = Qt.AlignmentFlag.AlignLeft if column == KIND else Qt.AlignmentFlag.AlignRight
        painter.drawText(inner, _MIDDLE | side, _elided(text, face, inner.width()))
        if column == SHAPE and self.bars and node.statistics is not None and node.called:
            self._bar_below(painter, inner, node.statistics, chosen=chosen)

    def _bar_below(
        self, painter: QPainter, inner: QRect, live: LayerStatistics, *, chosen: bool
    ) -> None:
        share = min(max(live.activity, 0.0), 1.0) if live.finite else 0.0
        place = QRect(inner.right() - BAR + 1, inner.bottom() - 2, BAR, 2)
        colour = self.theme.colour("on_accent" if chosen else "muted")
        _bar(painter, place, share, colour, self.theme.colour("hairline"))

    def editorEvent(
        self,
        event: QEvent,
        model: QAbstractItemModel,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> bool:
        """A click on the box ticks; the hit area is the left end of the row."""
        if (
            event.type() != QEvent.Type.MouseButtonRelease
            or not isinstance(event, QMouseEvent)
            or index.column() != LAYER
            or event.button() != Qt.MouseButton.LeftButton
        ):
            return False
        hit = QRect(option.rect.left(), option.rect.top(), 26, option.rect.height())
        if not hit.contains(event.position().toPoint()):
            return False
        node: Node = index.data(NODE)
        state = Qt.CheckState.Unchecked if node.ticked else Qt.CheckState.Checked
        return model.setData(index, state, Qt.ItemDataRole.CheckStateRole)

    def _tick_box(self, option: QStyleOptionViewItem) -> QRect:
        return QRect(option.rect.left() + 8, option.rect.center().y() - 6, 14, 14)


_MIDDLE = Qt.AlignmentFlag.AlignVCenter


@lru_cache
def _body() -> QFont:
    return font("body")


@lru_cache
def _caption() -> QFont:
    return font("caption")


@lru_cache
def _number() -> QFont:
    return font("number")


@lru_cache
def _width(word: str) -> int:
    return QFontMetrics(_caption()).horizontalAdvance(word)


@lru_cache(maxsize=4096)
def _elided(text: str, face: QFont, width: int) -> str:
    return QFontMetrics(face).elidedText(text, Qt.TextElideMode.ElideMiddle, width)


def _bar(painter: QPainter, place: QRect, share: float, colour: QColor, ground: QColor) -> None:
    painter.fillRect(place, ground)
    painter.fillRect(
        place.left(), place.top(), round(share * place.width()), place.height(), colour
    )


def _star(painter: QPainter, centre: QPointF, colour: QColor) -> None:
    points = [
        centre
        + QPointF(math.sin(k * math.pi / 5), -math.cos(k * math.pi / 5)) * (2.2 if k % 2 else 5.5)
        for k in range(10)
    ]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF(points))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
