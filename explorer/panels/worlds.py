"""WorldsPanel: how far two worlds are apart, one row a layer, and where they part first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from explorer.kinds import Array
from explorer.panels.panel import Panel
from explorer.panels.theme import DARK, SPACE_M, Role, Theme, font, kind_token
from explorer.panels.wording import number_text, shape_text
from explorer.views import Frame, LayerDifference

Index = QModelIndex | QPersistentModelIndex
ROW = Qt.ItemDataRole.UserRole
FIRST = Qt.ItemDataRole.UserRole + 1
HEIGHT = 40
NUMBERS = 150  # px, at the right
NOTHING = "Choose another precision, weights, model or picture under Knobs"
DECADES = 8  # of the bar: from 1e-8 to 1 of the first one's norm


class DifferenceModel(QAbstractListModel):
    """The rows of the newest comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[LayerDifference] = []
        self.first = -1

    def rowCount(self, parent: Index | None = None) -> int:
        """How many layers."""
        return len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The row, whether it is where both part, its name, all about it in words."""
        row = self.rows[index.row()]
        if role == ROW:
            return row
        if role == FIRST:
            return index.row() == self.first
        if role == Qt.ItemDataRole.DisplayRole:
            return row.name
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleDescriptionRole):
            return tip_of(row)
        return None

    def parting(self) -> str:
        """Name of the first layer apart; empty when there is none."""
        return self.rows[self.first].name if self.first >= 0 else ""

    def show(self, rows: Sequence[LayerDifference]) -> None:
        """Show these; the same layers keep their place and the list its scroll position."""
        same = [r.name for r in rows] == [r.name for r in self.rows]
        if not same:
            self.beginResetModel()
        self.rows = list(rows)
        self.first = next((i for i, r in enumerate(rows) if r.parted), -1)
        if not same:
            self.endResetModel()
        elif rows:
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))


class DifferenceDelegate(QStyledItemDelegate):
    """Name, a bar of the relative difference on a logarithmic scale, and the three numbers."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme: Theme = DARK

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """One height for all rows."""
        return QSize(200, HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """One row."""
        row: LayerDifference = index.data(ROW)
        rect, theme = option.rect, self.theme
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, theme.colour("raised"))
        edge = theme.colour("accent" if chosen else kind_token(row.kind))
        painter.fillRect(rect.left(), rect.top() + 3, 3, rect.height() - 6, edge)
        painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, theme.colour("hairline"))
        colour = theme.colour("warn" if row.parted else "muted")
        right = QRect(rect.right() - NUMBERS, rect.top(), NUMBERS - SPACE_M, rect.height())
        left = rect.adjusted(12, 0, -NUMBERS - SPACE_M, 0)
        name = f"▶ {row.name}" if index.data(FIRST) else row.name
        self._text(painter, left, 3, "body", theme.colour("text"), name)
        if math.isnan(row.relative):
            self._text(painter, left.adjusted(0, 0, NUMBERS, 0), 21, "caption", colour, row.note)
            return
        about = "first apart" if index.data(FIRST) else shape_text(row.shape, batch=True)
        words = f"{row.kind} · {about}" + (f" · {row.note}" if row.note else "")
        caption = theme.colour("warn" if index.data(FIRST) else "muted")
        self._text(painter, left, 19, "caption", caption, words)
        share = bar_share(row.relative)
        place = QRect(right.left(), rect.top() + 8, right.width(), 6)
        painter.fillRect(place, theme.colour("canvas"))
        painter.fillRect(QRect(place.left(), place.top(), round(share * place.width()), 6), colour)
        numbers = f"{number_text(row.relative, 2)} · {number_text(row.largest, 2)}"
        self._text(painter, right, 19, "caption", colour, f"{numbers} · {cosine_text(row.cosine)}")

    def _text(
        self, painter: QPainter, rect: QRect, top: int, role: Role, colour: QColor, text: str
    ) -> None:
        face = _face(role)
        painter.setFont(face)
        painter.setPen(colour)
        place = QRect(rect.left(), rect.top() + top, rect.width(), 17)
        cut = QFontMetrics(face).elidedText(text, Qt.TextElideMode.ElideMiddle, rect.width())
        painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, cut)


def bar_share(relative: float) -> float:
    """Length of the bar in [0, 1]: nothing at 1e-8 and below, all of it at 1 and above."""
    if not relative > 0:
        return 0.0
    return min(1.0, max(0.0, 1.0 + math.log10(relative) / DECADES)) if relative < 1e30 else 1.0


def cosine_text(cosine: float) -> str:
    """The angle's cosine where it tells anything: ``0.9997``."""
    return f"{cosine:.5f}".rstrip("0").rstrip(".")


def tip_of(row: LayerDifference) -> str:
    """All numbers of one layer in words."""
    if math.isnan(row.relative):
        return f"{row.name}\n{row.kind}: {row.note}"
    note = f"\n{row.note}" if row.note else ""
    return (
        f"{row.name}\n{row.kind} · {shape_text(row.shape, batch=True)}\n"
        f"relative L2 {number_text(row.relative)}\nlargest difference {number_text(row.largest)}\n"
        f"cosine {row.cosine:.9g}{note}"
    )


class WorldsPanel(Panel):
    """The table of two worlds; a click goes to the layer, whose maps then stand side by side.

    Signals:
        chosen: the name of the layer that was clicked.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.model = DifferenceModel()
        self.view = QListView()
        self.delegate = DifferenceDelegate(self.view)
        super().__init__(parent, theme=theme)
        self.model.setParent(self)
        view = self.view
        view.setModel(self.model)
        view.setItemDelegate(self.delegate)
        view.setUniformItemSizes(True)
        view.setMouseTracking(True)
        view.setFrameShape(QFrame.Shape.NoFrame)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setAccessibleName("Difference of both worlds by layer")
        view.clicked.connect(self._choose)
        view.activated.connect(self._choose)
        self.set_body(view)
        self._tell()

    def show_frame(self, frame: Frame) -> None:
        """Take the rows of a frame, if it has any."""
        if not frame.differences:
            return
        before = self.model.parting()
        self.model.show(frame.differences)
        if self.model.first >= 0 and self.model.parting() != before:
            middle = QAbstractItemView.ScrollHint.PositionAtCenter
            self.view.scrollTo(self.model.index(self.model.first), middle)
        self._tell()

    def clear(self) -> None:
        """Another network: nothing is compared yet."""
        self.model.show(())
        self._tell()

    def set_current(self, name: str) -> None:
        """Mark the layer that is shown large."""
        place = next((i for i, row in enumerate(self.model.rows) if row.name == name), -1)
        if place >= 0:
            self.view.setCurrentIndex(self.model.index(place))
        else:
            self.view.clearSelection()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.delegate.theme = theme
        self.view.setStyleSheet(f"QListView {{ background: {theme['panel']}; border: none; }}")

    def arrays(self) -> dict[str, Array]:
        """The numbers of all rows."""
        rows = self.model.rows
        if not rows:
            return {}
        return {
            "layers": np.array([row.name for row in rows]),
            "largest": np.array([row.largest for row in rows]),
            "relative": np.array([row.relative for row in rows]),
            "cosine": np.array([row.cosine for row in rows]),
            "parted": np.array([row.parted for row in rows]),
        }

    @Slot(QModelIndex)
    def _choose(self, index: QModelIndex) -> None:
        self.chosen.emit(self.model.rows[index.row()].name)

    def _tell(self) -> None:
        rows, first = self.model.rows, self.model.first
        apart = sum(row.parted for row in rows)
        facts = f"{len(rows)} layers · {apart} apart" if rows else ""
        said = f"first apart at {rows[first].name}" if first >= 0 else "nowhere apart"
        columns = "relative L2 · largest · cosine"
        self.header.show_lines("By layer", facts, f"{said} · {columns}" if rows else NOTHING, "")


@lru_cache
def _face(role: Role) -> QFont:
    return font(role)
