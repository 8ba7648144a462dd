"""OverviewPanel: every layer of the running network as one row of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import QAbstractListModel, QEvent, QModelIndex, QObject, QRect, Qt, Signal, Slot
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractItemView, QFrame, QListView, QMenu, QVBoxLayout, QWidget

from explorer.kinds import Array
from explorer.panels.overview_rows import PICTURE, ROW, TITLES, Columns, Index, RowDelegate, tip_of
from explorer.panels.panel import Panel
from explorer.panels.states import EmptyState
from explorer.panels.theme import DARK, Theme, font
from explorer.views import Frame, LayerRow

ORDERS: Mapping[str, Callable[[LayerRow], float]] = {
    "As they run": lambda row: 0.0,
    "Most dead units": lambda row: -row.dead / max(1, row.channels),
    "Most saturated": lambda row: -(row.saturated or 0.0),
    "Most not finite": lambda row: -float(row.not_finite),
    "Largest change": lambda row: -(row.change if row.change == row.change else 0.0),
}


class RowModel(QAbstractListModel):
    """Rows by name, in the order in which the layers ran; a newer row takes the older one's place.

    Sorted by something else, they stay where they are until they are sorted again: rows that jump
    while one reads them are of no use.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: dict[str, LayerRow] = {}
        self._order: list[str] = []
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._order)

    def rows(self) -> list[LayerRow]:
        """All rows as they are listed."""
        return [self._rows[name] for name in self._order]

    def rowCount(self, parent: Index | None = None) -> int:
        """How many layers there are."""
        return len(self._order)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The row itself, its name, or all about it in words."""
        row = self._rows[self._order[index.row()]]
        if role == ROW:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return row.name
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleDescriptionRole):
            return tip_of(row)
        return None

    def name(self, place: int) -> str:
        """The layer at a place of the list."""
        return self._order[place]

    def place(self, name: str) -> int:
        """Where a layer is listed; -1 when it is not."""
        return self._at.get(name, -1)

    def clear(self) -> None:
        """Forget the layers of another network."""
        self.beginResetModel()
        self._rows, self._order, self._at = {}, [], {}
        self.endResetModel()

    def update(self, rows: Iterable[LayerRow]) -> None:
        """Take newer rows in."""
        new: list[str] = []
        for row in rows:
            if row.name not in self._rows:
                new.append(row.name)
            self._rows[row.name] = row
            if row.name in self._at:
                index = self.index(self._at[row.name])
                self.dataChanged.emit(index, index)
        if new:
            first = len(self._order)
            self.beginInsertRows(QModelIndex(), first, first + len(new) - 1)
            self._order += new
            self._at |= {name: first + i for i, name in enumerate(new)}
            self.endInsertRows()

    def sort_by(self, key: Callable[[LayerRow], float]) -> None:
        """List the rows by ``key``, those of one value as they run."""
        self.layoutAboutToBeChanged.emit()
        self._order = sorted(self._rows, key=lambda name: key(self._rows[name]))
        self._at = {name: place for place, name in enumerate(self._order)}
        self.layoutChanged.emit()


BY_COLUMN = (
    ("As they run",), ("As they run",), ("Most not finite", "As they run"),
    ("Largest change", "As they run"), ("Most dead units", "Most saturated", "As they run"),
)  # fmt: skip
"""What a click on each title sorts by; the next click takes the next one."""


class _Titles(QWidget):
    """The titles of the columns, above the list and as wide as its rows; a click sorts."""

    sorted_by = Signal(str)

    def __init__(self, view: QListView) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.order = next(iter(ORDERS))
        self._view = view
        self.setFixedHeight(18)
        self.setAccessibleName("Titles of the columns; a click sorts")
        self.setToolTip("Click a title to sort: by dead units, saturation, change, NaN")

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Sort by what the title under the mouse tells of."""
        places = Columns.within(self._view.viewport().width()).places
        x = event.position().x()
        for place, orders in zip(places, BY_COLUMN, strict=True):
            if place is not None and place[0] <= x < place[0] + place[1]:
                at = orders.index(self.order) + 1 if self.order in orders else 0
                self.sorted_by.emit(orders[at % len(orders)])

    def paintEvent(self, event: QPaintEvent) -> None:
        """Each title where its column is."""
        painter = QPainter(self)
        painter.setFont(font("caption"))
        painter.setPen(self.theme.colour("muted"))
        places = Columns.within(self._view.viewport().width()).places
        sorted_by = self.order if self.order != next(iter(ORDERS)) else ""
        for title, place, orders in zip(TITLES, places, BY_COLUMN, strict=True):
            if place is not None:
                title = f"↓ {sorted_by.lower()}" if sorted_by in orders else title
                left = place[0] + (12 if place[0] == 0 else 0)
                side = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(QRect(left, 0, place[1] - 4, 18), side, title)
        painter.end()


class OverviewPanel(Panel):
    """One scrolling list over all layers; it paints the rows on the screen and no others.

    Signals:
        chosen: a row was clicked: the layer's name.
        visible_changed: names of the layers on the screen, which are refreshed first.
    """

    chosen = Signal(str)
    visible_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.model = RowModel()
        self.view = QListView()
        self.titles = _Titles(self.view)
        self.delegate = RowDelegate(self.view)
        self.empty = EmptyState(
            "No layer has run yet", "Drop a picture: each layer then gets a row.", (), self.view
        )
        super().__init__(parent, theme=theme)
        self.model.setParent(self)
        self._visible: tuple[str, ...] = ()
        view = self.view
        view.setModel(self.model)
        view.setItemDelegate(self.delegate)
        view.setUniformItemSizes(True)
        view.setMouseTracking(True)
        view.setFrameShape(QFrame.Shape.NoFrame)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setAccessibleName("All layers with their statistics")
        view.clicked.connect(self._choose)
        view.activated.connect(self._choose)
        view.verticalScrollBar().valueChanged.connect(self._look)
        view.viewport().installEventFilter(self)
        self.titles.sorted_by.connect(self.sort_by)
        body = QWidget()
        rows = QVBoxLayout(body)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(self.titles)
        rows.addWidget(view, 1)
        self.set_body(body)
        self._tell()

    def show_frame(self, frame: Frame) -> None:
        """Take the rows of a frame, if it has any."""
        if frame.rows:
            self.show_rows(frame.rows)

    def show_rows(self, rows: Sequence[LayerRow]) -> None:
        """Take newer rows of some or all layers."""
        fresh = any(self.model.place(row.name) < 0 for row in rows)
        self.model.update(rows)
        tall = max((r.strip.shape[0] for r in rows if r.picture == "maps"), default=0)
        if tall > self.delegate.picture:
            self.delegate.picture = tall
            self.view.doItemsLayout()
        if fresh:
            self._look()
        self._tell()

    def clear(self) -> None:
        """Another network: its layers are still to come."""
        self.model.clear()
        self._visible = ()
        self.titles.order = next(iter(ORDERS))
        self.delegate.picture = PICTURE
        self._tell()

    def set_current(self, name: str) -> None:
        """Mark the layer that is shown large."""
        place = self.model.place(name)
        if place >= 0:
            self.view.setCurrentIndex(self.model.index(place))
        else:
            self.view.clearSelection()

    def visible(self) -> tuple[str, ...]:
        """Names of the layers on the screen."""
        if not len(self.model) or not self.isVisible():
            return ()
        area = self.view.viewport().rect()
        first = self.view.indexAt(area.topLeft()).row()
        last = self.view.indexAt(area.bottomLeft()).row()
        last = len(self.model) - 1 if last < 0 else last
        return tuple(self.model.name(i) for i in range(max(0, first), last + 1))

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.delegate.theme = self.titles.theme = theme
        self.empty.set_theme(theme)
        self.view.setStyleSheet(f"QListView {{ background: {theme['panel']}; border: none; }}")
        self.titles.update()

    def arrays(self) -> dict[str, Array]:
        """The numbers of all rows; the histograms in equal bins from ``low`` to ``high``."""
        rows = self.model.rows()
        if not rows:
            return {}
        numbers = {
            name: np.array([getattr(row, name) for row in rows])
            for name in ("low", "high", "mean", "spread", "dead", "channels", "not_finite",
                         "frames")
        }  # fmt: skip
        saturated = [np.nan if row.saturated is None else row.saturated for row in rows]
        return {
            "layers": np.array([row.name for row in rows]), **numbers,
            "saturated": np.array(saturated), "over": np.array([row.over for row in rows]),
            "histogram": np.stack([row.counts for row in rows]),
        }  # fmt: skip

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The list has another size, or is shown or hidden."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide):
            self.empty.setGeometry(self.view.viewport().geometry())
            self.titles.update()
            self._look()
        return False

    @Slot()
    def _look(self) -> None:
        """Tell which rows are on the screen, when that has changed."""
        seen = self.visible()
        if seen != self._visible:
            self._visible = seen
            self.visible_changed.emit(seen)

    @Slot(QModelIndex)
    def _choose(self, index: QModelIndex) -> None:
        self.chosen.emit(self.model.name(index.row()))

    @Slot(str)
    def sort_by(self, order: str) -> None:
        """List the layers in one of `ORDERS`, by the numbers of now."""
        self.titles.order = order
        self.titles.update()
        self.model.sort_by(ORDERS[order])
        self.view.scrollToTop()
        self._look()

    def add_actions(self, menu: QMenu) -> None:
        """The orders, for the keyboard."""
        for order in ORDERS:
            action = menu.addAction(order, partial(self.sort_by, order))
            action.setCheckable(True)
            action.setChecked(order == self.titles.order)

    def _tell(self) -> None:
        rows = self.model.rows()
        self.empty.setVisible(not rows)
        dead = sum(row.dead for row in rows if "ReLU" in row.kind)
        bad = sum(row.not_finite > 0 for row in rows)
        facts = counted(len(rows), "layer")
        facts += f" · {counted(dead, 'unit')} dead after a ReLU" if dead else ""
        self.header.show_lines(
            "All layers",
            facts if rows else "",
            "",
            f"{counted(bad, 'layer')} with NaN" if bad else "",
        )


def counted(number: int, thing: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
