"""The list of engines by family: what each does, takes and needs, and why one cannot run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from PySide6.QtCore import (
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import (
    QFont,
    QFontMetrics,
    QKeyEvent,
    QPainter,
    QStandardItem,
    QStandardItemModel,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from explorer.core.registry import Row
from explorer.panels.icons import pixmap
from explorer.panels.theme import DARK, Theme, font
from explorer.panels.wording import bytes_text

ROW = Qt.ItemDataRole.UserRole
FAMILY_HEIGHT, ROW_HEIGHT, SCROLL_BAR = 28, 46, 12
MOST_HEIGHT = 160  # px of a row whose reason is long; the card below has it whole
INPUT_ICONS = {"image": "image", "text": "text", "clip": "film", "folder": "folder", "file": "file"}
HERE = ("present", "imported")


class EngineList(QWidget):
    """Search field, list, and below it the current engine with its paper, weights and buttons.

    ``chosen`` (double click, Enter or Open) carries the engine's name, ``fetch_wanted`` the name
    of the weights.
    """

    chosen = Signal(str)
    fetch_wanted = Signal(str)

    def __init__(
        self, rows: Mapping[str, Row] | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName("Engines")
        self._rows: dict[str, Row] = {}
        self._statuses: dict[str, str] = {}
        self._open = ""
        self.field = QLineEdit()
        self.field.setPlaceholderText("Find an engine")
        self.field.setAccessibleName("Find an engine")
        self.field.setToolTip("By title, family, paper or what it does; Enter opens the first")
        self.model = QStandardItemModel(self)
        self.list = _List(self)
        self.list.setModel(self.model)
        self.delegate = _RowDelegate(self.list)
        self.list.setItemDelegate(self.delegate)
        self._make_card()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(8)
        for widget in (self.field, self.list, self.card):
            column.addWidget(widget)
        self.list.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.field.textChanged.connect(self._fill)
        self.field.returnPressed.connect(self._open_first)
        self.list.activated_row.connect(self._activate)
        self.list.selectionModel().currentChanged.connect(self._describe)
        self.open_button.clicked.connect(self._open_current)
        self.fetch_button.clicked.connect(self._fetch)
        self.set_rows(rows or {}, {})

    def _make_card(self) -> None:
        self.card = QFrame()
        self.card.setObjectName("card")
        self.about, self.needs = QLabel(), QLabel()
        for label in (self.about, self.needs):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.needs.setProperty("role", "caption")
        self.open_button, self.fetch_button = QPushButton("Open"), QPushButton("Fetch weights")
        self.open_button.setToolTip("Open this engine (Enter)")
        buttons = QHBoxLayout()
        buttons.addWidget(self.open_button)
        buttons.addWidget(self.fetch_button)
        buttons.addStretch(1)
        column = QVBoxLayout(self.card)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(4)
        column.addWidget(self.about)
        column.addWidget(self.needs)
        column.addLayout(buttons)

    def set_rows(self, rows: Mapping[str, Row], statuses: Mapping[str, str]) -> None:
        """Show these engines; ``statuses``: weights name to present, imported or missing."""
        self._rows, self._statuses = dict(rows), dict(statuses)
        self._fill(self.field.text())

    def set_statuses(self, statuses: Mapping[str, str]) -> None:
        """Show anew which weights are here."""
        self.set_rows(self._rows, statuses)

    def set_current(self, name: str) -> None:
        """Mark the engine that is open."""
        self._open = name
        self.delegate.open_name = name
        self._select(name)
        self.list.viewport().update()

    def current(self) -> str:
        """Name of the row that is chosen; empty when there is none."""
        row: Row | None = self.list.currentIndex().data(ROW)
        return row.name if row is not None else ""

    def shown(self) -> list[str]:
        """Names of the engines in the list, from top to bottom."""
        rows = (self.model.item(i).data(ROW) for i in range(self.model.rowCount()))
        return [row.name for row in rows if row is not None]

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.delegate.theme = theme
        self.list.viewport().update()

    # -- filling

    @Slot(str)
    def _fill(self, text: str) -> None:
        before = self.current() or self._open
        words = text.casefold().split()
        families: dict[str, list[Row]] = {}
        for row in self._rows.values():
            if all(word in _said(row) for word in words):
                families.setdefault(row.family, []).append(row)
        self.model.clear()
        for family, rows in families.items():
            head = QStandardItem(family)
            head.setFlags(Qt.ItemFlag.NoItemFlags)
            self.model.appendRow(head)
            for row in rows:
                self.model.appendRow(self._item(row))
        if not families and self._rows:
            nothing = QStandardItem("No engine has these words. Clear the field to see all.")
            nothing.setFlags(Qt.ItemFlag.NoItemFlags)
            self.model.appendRow(nothing)
        if not self._select(before):
            self._select(next(iter(self.shown()), ""))
        self._describe()

    def _item(self, row: Row) -> QStandardItem:
        item = QStandardItem(row.title)
        item.setData(row, ROW)
        item.setData(self.weights_text(row), ROW + 1)
        item.setEditable(False)
        why = f"cannot run: {row.problem}" if row.problem else row.summary
        said = (row.title, row.family, why, self.weights_text(row))
        item.setData(", ".join(filter(None, said)), Qt.ItemDataRole.AccessibleTextRole)
        item.setToolTip("" if row.problem else f"{row.title}: {row.summary} (Enter opens it)")
        return item

    def _select(self, name: str) -> bool:
        for i in range(self.model.rowCount()):
            row = self.model.item(i).data(ROW)
            if row is not None and row.name == name:
                self.list.setCurrentIndex(self.model.index(i, 0))
                return True
        return False

    # -- weights

    def missing(self, row: Row) -> list[Any]:
        """The weights of an engine that must be fetched first."""
        return [w for w in row.weights if self._statuses.get(w.name) == "missing"]

    def weights_text(self, row: Row) -> str:
        """How the weights of an engine stand, in a few words."""
        if row.problem:
            return ""
        missing = self.missing(row)
        if missing:
            size = sum(weights.size for weights in missing)
            of = f"{len(missing)} of {len(row.weights)} " if len(row.weights) > 1 else "weights "
            return f"{of}to fetch" + (f", {bytes_text(size)}" if size else "")
        if not row.weights:
            return "needs no weights"
        if any(self._statuses.get(w.name) == "imported" for w in row.weights):
            return "your own weights"
        return row.weights[0].provenance

    @Slot()
    def _describe(self) -> None:
        row: Row | None = self.list.currentIndex().data(ROW)
        self.card.setVisible(row is not None)
        if row is None:
            return
        missing = self.missing(row)
        self.about.setText(f"It cannot run: {row.problem}" if row.problem else row.summary)
        self.about.setProperty("role", "warn" if row.problem else "")
        self.about.style().polish(self.about)
        terms = [
            f"{w.name}: {w.licence}" + (f"; data: {w.data}" if w.data else "") for w in row.weights
        ]
        may = dict.fromkeys(row.optional, " or nothing")
        inputs = ", ".join(
            f"{slot} ({kind}{may.get(slot, '')})" for slot, kind in row.inputs.items()
        )
        lines = [row.paper, f"Takes {inputs}" if inputs else "Takes no input", *terms]
        self.needs.setText("\n".join(filter(None, lines)))
        self.open_button.setEnabled(not row.problem)
        self.open_button.setAccessibleName(f"Open {row.title}")
        self.fetch_button.setVisible(bool(missing) and not row.problem)
        if missing:
            size = f", {bytes_text(missing[0].size)}" if missing[0].size else ""
            self.fetch_button.setText(f"Fetch {missing[0].name}{size}")
            self.fetch_button.setToolTip(f"Download and check these weights; {missing[0].licence}")

    # -- choosing

    @Slot(object)
    def _activate(self, row: Row) -> None:
        if not row.problem:
            self.chosen.emit(row.name)

    @Slot()
    def _open_current(self) -> None:
        row: Row | None = self.list.currentIndex().data(ROW)
        if row is not None:
            self._activate(row)

    @Slot()
    def _open_first(self) -> None:
        first = next((n for n in self.shown() if not self._rows[n].problem), None)
        if first is not None and self.field.text().strip():
            self._select(first)
            self.chosen.emit(first)

    @Slot()
    def _fetch(self) -> None:
        row: Row | None = self.list.currentIndex().data(ROW)
        if row is not None and self.missing(row):
            self.fetch_wanted.emit(self.missing(row)[0].name)


def _said(row: Row) -> str:
    parts = (row.title, row.name, row.family, row.paper, row.summary, row.problem)
    return " ".join((*parts, *row.inputs.values())).casefold()


class _List(QListView):
    """Enter and double click open."""

    activated_row = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName("Engines by family")
        self.setToolTip("Enter or a double click opens")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.doubleClicked.connect(self._chosen)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter opens the current row."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._chosen(self.currentIndex())
        else:
            super().keyPressEvent(event)

    @Slot(QModelIndex)
    def _chosen(self, index: QModelIndex) -> None:
        row = index.data(ROW)
        if row is not None:
            self.activated_row.emit(row)


class _RowDelegate(QStyledItemDelegate):
    """Two lines an engine: title, inputs and weights; then what it does, or why it cannot run."""

    def __init__(self, view: QListView) -> None:
        super().__init__(view)
        self._list = view
        self.theme: Theme = DARK
        self.open_name = ""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """Families are lower than engines; a reason has the lines that it needs."""
        row: Row | None = index.data(ROW)
        if row is None:
            return QSize(120, FAMILY_HEIGHT)
        if not row.problem:
            return QSize(120, ROW_HEIGHT)
        # As if the scroll bar were there: whether it is depends on what is said here.
        place = QRect(0, 0, max(80, self._list.width() - SCROLL_BAR - 36), 1000)
        wrap = Qt.TextFlag.TextWordWrap
        metrics = QFontMetrics(_face("caption"))
        high = metrics.boundingRect(place, wrap, _reason(row)).height()
        return QSize(120, min(MOST_HEIGHT, max(ROW_HEIGHT, 32 + high)))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """A family's name, or an engine."""
        row: Row | None = index.data(ROW)
        rect = QRect(option.rect)
        if row is None:
            painter.setFont(_face("caption"))
            painter.setPen(self.theme.colour("muted"))
            words = Qt.AlignmentFlag.AlignBottom | Qt.TextFlag.TextWordWrap
            painter.drawText(rect.adjusted(8, 0, -8, -6), words, index.data())
            return
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, self.theme.colour("accent_fill" if chosen else "raised"))
        if row.name == self.open_name:
            bar = "on_accent" if chosen else "accent"
            painter.fillRect(
                rect.left(), rect.top() + 4, 3, rect.height() - 8, self.theme.colour(bar)
            )
        inner = rect.adjusted(10, 4, -8, -4)
        self._head(painter, inner, row, str(index.data(ROW + 1)), chosen=chosen)
        self._second(painter, inner.adjusted(0, 20, 0, 0), row, chosen=chosen)

    def _head(
        self, painter: QPainter, inner: QRect, row: Row, weights: str, *, chosen: bool
    ) -> None:
        ratio = painter.device().devicePixelRatioF()
        quiet = "on_accent" if chosen else "muted"
        right = inner.right()
        for kind in reversed([*dict.fromkeys(k.partition(".")[0] for k in row.inputs.values())]):
            right -= 16
            glyph = pixmap(INPUT_ICONS.get(kind, "file"), self.theme, 14, quiet, ratio)
            painter.drawPixmap(QPoint(right + 1, inner.top() + 3), glyph)
        metrics = QFontMetrics(_face("caption"))
        if row.name == self.open_name:
            weights = f"open · {weights}" if weights else "open"
        title_width = QFontMetrics(_face("body")).horizontalAdvance(row.title)
        room = max(inner.width() // 4, right - inner.left() - title_width - 16)
        text = metrics.elidedText(weights, Qt.TextElideMode.ElideRight, room)
        width = metrics.horizontalAdvance(text) + 2
        right -= width + 6
        painter.setFont(_face("caption"))
        painter.setPen(self.theme.colour("warn" if "fetch" in weights and not chosen else quiet))
        painter.drawText(QRect(right, inner.top(), width, 20), Qt.AlignmentFlag.AlignVCenter, text)
        ink = "on_accent" if chosen else "disabled" if row.problem else "text"
        title = QRect(inner.left(), inner.top(), max(24, right - inner.left() - 8), 20)
        _line(painter, title, row.title, "body", self.theme.colour(ink))

    def _second(self, painter: QPainter, rest: QRect, row: Row, *, chosen: bool) -> None:
        if not row.problem:
            ink = self.theme.colour("on_accent" if chosen else "muted")
            _line(
                painter,
                QRect(rest.left(), rest.top(), rest.width(), 16),
                row.summary,
                "caption",
                ink,
            )
            return
        token = "on_accent" if chosen else "warn"
        glyph = pixmap("warning", self.theme, 12, token, painter.device().devicePixelRatioF())
        painter.drawPixmap(QPoint(rest.left(), rest.top() + 2), glyph)
        painter.setFont(_face("caption"))
        painter.setPen(self.theme.colour(token))
        wrap = Qt.TextFlag.TextWordWrap
        painter.drawText(rest.adjusted(18, 0, 0, 0), wrap, _reason(row))


def _reason(row: Row) -> str:
    return f"Cannot run: {row.problem}"


def _line(painter: QPainter, place: QRect, text: str, role: Any, ink: Any) -> None:
    face = _face(role)
    painter.setFont(face)
    painter.setPen(ink)
    fitted = QFontMetrics(face).elidedText(text, Qt.TextElideMode.ElideRight, place.width())
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, fitted)


@lru_cache
def _face(role: Any) -> QFont:
    return font(role)
