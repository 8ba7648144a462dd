"""The command palette: one field that finds layers, commands, engines, knobs and samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from explorer.panels.theme import DARK, Theme, font

SHOWN = 60  # more rows than this nobody reads; typing narrows them
MOVES = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -8, Qt.Key.Key_PageDown: 8}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing the palette can do: ``run`` is called when it is chosen.

    Attributes:
        kind: a word that stands at the right: command, layer, engine, knob, sample, recent.
        detail: a few words more, searched too: a layer's shape, a command's help.
        shortcut: key sequence as text.
    """

    title: str
    kind: str
    detail: str
    shortcut: str
    run: Callable[[], None]
    icon: str = ""


Source = Callable[[], Iterable[Entry]]


def score(query: str, text: str) -> float:
    """How well ``text`` answers ``query``: 0 is not at all; every letter must occur, in order.

    A whole match beats a prefix, a prefix the start of a word, that any other piece, and a piece
    beats scattered letters; among equals the shorter text wins.
    """
    query, text = query.casefold().replace(" ", ""), text.casefold()
    if not query:
        return 1.0
    squeezed = text.replace(" ", "")
    short = 1.0 / (1.0 + len(squeezed))
    at = squeezed.find(query)
    if at == 0:
        return (5.0 if squeezed == query else 4.0) + short
    if at > 0:
        return (3.0 if _word_start(text, query) else 2.0) + short
    share = _scattered(query, text)
    # Half the letters must sit well, else "layer2" would also find "play the last clip again".
    return share + short if share >= 0.5 else 0.0


def _word_start(text: str, query: str) -> bool:
    at = text.find(query)
    while at > 0:
        if not text[at - 1].isalnum():
            return True
        at = text.find(query, at + 1)
    return False


def _scattered(query: str, text: str) -> float:
    """The share of letters that start a word or follow the one before; 0 if one is missing."""
    at, good = -1, 0
    for letter in query:
        found = text.find(letter, at + 1)
        if found < 0:
            return 0.0
        good += found == at + 1 or not text[found - 1].isalnum()
        at = found
    return good / len(query)


def rank(query: str, entries: Sequence[Entry]) -> list[Entry]:
    """The entries that answer ``query``, best first, ties in the order given."""
    rated = []
    for place, entry in enumerate(entries):
        rating = score(query, entry.title)
        if not rating and query.casefold() in f"{entry.kind} {entry.detail}".casefold():
            rating = 0.2
        if rating:
            rated.append((-rating, place, entry))
    rated.sort(key=lambda item: item[:2])
    return [entry for _, _, entry in rated]


class CommandPalette(QFrame):
    """A field and a list above the window; Enter does the first match, Esc closes.

    Entries come from callables that are asked each time it opens, so they are always current.
    """

    closed = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("palette")
        self._window = window
        self.setAccessibleName("Command palette")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._sources: list[Source] = []
        self._entries: list[Entry] = []
        self._before: QWidget | None = None
        self.field = QLineEdit(self)
        self.field.setPlaceholderText("Find a layer, command, engine, knob, sample, dock or layout")
        self.field.setAccessibleName("Find a layer, command, engine, knob, sample, dock or layout")
        self.field.setToolTip("Up and Down choose, Enter goes, Esc closes")
        self.field.installEventFilter(self)
        self.list = QListWidget(self)
        self.list.setAccessibleName("Matches")
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._delegate = _EntryDelegate(self.list)
        self.list.setItemDelegate(self._delegate)
        self.empty = QLabel("Nothing by that name. Try a layer, an engine or a command.", self)
        self.empty.setProperty("role", "caption")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        for widget in (self.field, self.list, self.empty):
            layout.addWidget(widget)
        self.field.textChanged.connect(self._filter)
        self.list.itemClicked.connect(self._clicked)
        self.hide()

    def add_source(self, source: Source) -> None:
        """Ask ``source`` for entries each time the palette opens."""
        self._sources.append(source)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._delegate.theme = theme
        self.setStyleSheet(
            f"#palette {{ background: {theme['panel']}; border: 1px solid {theme['outline']};"
            " border-radius: 6px; }"
        )
        self.list.viewport().update()

    def open(self, text: str = "") -> None:
        """Show it over the upper part of its window, with the field ready for typing."""
        window = self._window
        self._before = window.window().focusWidget()
        self._entries = [entry for source in self._sources for entry in source()]
        width = min(640, window.width() - 32)
        height = min(420, window.height() - 64)
        self.setGeometry((window.width() - width) // 2, 48, width, height)
        self.field.setText(text)
        self._filter(text)
        self.show()
        self.raise_()
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def shown(self) -> list[Entry]:
        """The entries in the list, best first."""
        return [self.list.item(i).data(Qt.ItemDataRole.UserRole) for i in range(self.list.count())]

    @Slot(str)
    def _filter(self, text: str) -> None:
        self.list.clear()
        for entry in rank(text.strip(), self._entries)[:SHOWN]:
            item = QListWidgetItem(entry.title)
            item.setData(Qt.ItemDataRole.UserRole, entry)
            said = (entry.title, entry.kind, entry.detail, entry.shortcut)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, ", ".join(filter(None, said)))
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.list.setVisible(self.list.count() > 0)
        self.empty.setVisible(self.list.count() == 0)

    @Slot(QListWidgetItem)
    def _clicked(self, item: QListWidgetItem) -> None:
        self._choose(item.data(Qt.ItemDataRole.UserRole))

    def _choose(self, entry: Entry) -> None:
        self.close_palette()
        entry.run()

    def close_palette(self) -> None:
        """Hide it and give the focus back."""
        if self.isHidden():
            return
        self.hide()
        if self._before is not None:
            self._before.setFocus(Qt.FocusReason.PopupFocusReason)
            self._before = None
        self.closed.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Give the field's arrows to the list, and keep window shortcuts away while it is open."""
        if watched is self.field and isinstance(event, QKeyEvent):
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress and self._key(event.key()):
                return True
        if watched is self.field and event.type() == QEvent.Type.FocusOut and self.isVisible():
            self._before = None  # the person has put the focus elsewhere
            self.close_palette()
        return super().eventFilter(watched, event)

    def _key(self, key: int) -> bool:
        move = MOVES.get(Qt.Key(key))
        if move is not None:
            last = self.list.count() - 1
            self.list.setCurrentRow(max(0, min(last, self.list.currentRow() + move)))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            item = self.list.currentItem()
            if item is not None:
                self._choose(item.data(Qt.ItemDataRole.UserRole))
        elif key == Qt.Key.Key_Escape:
            self.close_palette()
        else:
            return False
        return True


class _EntryDelegate(QStyledItemDelegate):
    """Title and detail at the left, kind and key at the right."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.theme: Theme = DARK

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """The size it would like."""
        return QSize(200, 28)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Draw one row."""
        entry: Entry = index.data(Qt.ItemDataRole.UserRole)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        text = self.theme.colour("on_accent" if chosen else "text")
        quiet = self.theme.colour("on_accent" if chosen else "muted")
        rect = option.rect
        painter.save()
        if chosen:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self.theme.colour("accent_fill"))
            painter.drawRoundedRect(rect.adjusted(0, 1, 0, -1), 4, 4)
        left, right = rect.left() + 8, rect.right() - 8
        if entry.shortcut:
            right = _right(painter, rect, right, entry.shortcut, font("number"), quiet)
        caption = font("caption")
        right = _right(painter, rect, right, entry.kind, caption, quiet)
        left = _left(painter, rect, left, right, entry.title, font("body"), text)
        _left(painter, rect, left + 12, right, entry.detail, caption, quiet)
        painter.restore()


def _right(painter: QPainter, rect: QRect, right: int, text: str, face: QFont, ink: QColor) -> int:
    width = QFontMetrics(face).horizontalAdvance(text)
    painter.setFont(face)
    painter.setPen(ink)
    box = QRect(right - width, rect.top(), width, rect.height())
    painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, text)
    return right - width - 16


def _left(
    painter: QPainter, rect: QRect, left: int, right: int, text: str, face: QFont, ink: QColor
) -> int:
    if right - left < 24:
        return left
    metrics = QFontMetrics(face)
    fitted = metrics.elidedText(text, Qt.TextElideMode.ElideRight, right - left)
    painter.setFont(face)
    painter.setPen(ink)
    width = min(right - left, metrics.horizontalAdvance(fitted) + 1)
    painter.drawText(
        QRect(left, rect.top(), width, rect.height()), Qt.AlignmentFlag.AlignVCenter, fitted
    )
    return left + width
