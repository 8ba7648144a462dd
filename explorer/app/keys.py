"""The list of every key, laid over the window by ``?`` and gone with the next key or click."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from explorer.app.actions import ACTIONS, Commands
from explorer.panels.theme import DARK, Theme, font

COLUMN = 280  # px that a key and its words take
AROUND = 120  # px for title, advice and margins
LONGEST = 14  # characters of keys side by side

# What lists and maps do with keys and mouse themselves: nobody needs to bind it anew.
ELSEWHERE: tuple[tuple[str, str, str], ...] = (
    ("In the layers", "Up, Down", "Layer above or below"),
    ("In the layers", "Left, Right", "Fold; unit before or after"),
    ("In the layers", "Enter", "Tick, to show beside the others"),
    ("On the maps", "Arrows", "Walk from unit to unit"),
    ("On the maps", "Wheel", "Zoom"),
)


class KeysOverlay(QFrame):
    """Commands with their keys, by menu; made when it is first shown, from what is bound then."""

    def __init__(self, window: QWidget, commands: Commands) -> None:
        super().__init__(window)
        self.setObjectName("keys")
        self.setAccessibleName("Keyboard shortcuts")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._window, self._commands = window, commands
        self._before: QWidget | None = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(24, 16, 24, 16)
        self.set_theme(DARK)
        self.hide()

    def rows(self) -> list[tuple[str, str, str]]:
        """Menu, keys and command of all that is bound, then what lists and maps understand."""
        bound = [
            (row.menu, self._shown(row.id), row.title.rstrip("…"))
            for row in ACTIONS
            if not row.submenu and self._commands.keys(row.id)
            and self._commands[row.id].isVisible()
        ]  # fmt: skip
        return [*bound, *ELSEWHERE]

    def _shown(self, name: str) -> str:
        """All keys of a command, or the first one where they would push the words aside."""
        every = self._commands.all_keys(name)
        return every if len(every) <= LONGEST else self._commands.keys(name)

    def open(self) -> None:
        """Cover the middle of the window."""
        while (item := self._layout.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        title = QLabel("Keyboard shortcuts")
        title.setProperty("role", "empty")
        close = QLabel("Any key closes this. Help, Change keys gives any command another key.")
        close.setProperty("role", "caption")
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        window = self._window
        width = min(1240, window.width() - 48)
        columns = self._columns(max(1, (width - 48) // COLUMN))
        scroll.setWidget(columns)
        height = min(columns.sizeHint().height() + AROUND, window.height() - 48)
        for widget in (title, scroll, close):
            self._layout.addWidget(widget)
        self._before = window.window().focusWidget()
        self.setGeometry(
            (window.width() - width) // 2, (window.height() - height) // 2, width, height
        )
        self.show()
        self.raise_()
        self.setFocus(Qt.FocusReason.PopupFocusReason)

    def close_overlay(self) -> None:
        """Give the window back."""
        if not self.isHidden():
            self.hide()
            if self._before is not None:
                self._before.setFocus(Qt.FocusReason.PopupFocusReason)
                self._before = None

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.setStyleSheet(
            f"#keys {{ background: {theme['panel']}; border: 1px solid {theme['outline']};"
            " border-radius: 6px; }"
        )

    def event(self, event: QEvent) -> bool:
        """Keep the window's shortcuts away while it is open."""
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Any key closes."""
        if event.key() not in (
            Qt.Key.Key_Shift,
            Qt.Key.Key_Control,
            Qt.Key.Key_Alt,
            Qt.Key.Key_Meta,
        ):
            self.close_overlay()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click closes."""
        self.close_overlay()

    def _columns(self, count: int) -> QWidget:
        groups: dict[str, list[tuple[str, str]]] = {}
        for menu, key, does in self.rows():
            groups.setdefault(menu, []).append((key, does))
        whole = QWidget()
        row = QHBoxLayout(whole)
        row.setContentsMargins(0, 8, 0, 8)
        row.setSpacing(16)
        columns = [QVBoxLayout() for _ in range(count)]
        heights = [0] * count
        for menu, pairs in groups.items():
            shortest = heights.index(min(heights))
            heights[shortest] += len(pairs) + 2
            columns[shortest].addLayout(_group(menu, pairs))
            columns[shortest].addSpacing(16)
        for column in columns:
            column.addStretch(1)
            row.addLayout(column, 1)
        return whole


def _group(menu: str, pairs: list[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(4)
    head = QLabel(menu)
    head.setProperty("role", "title")
    grid.addWidget(head, 0, 0, 1, 2)
    for line, (key, does) in enumerate(pairs, 1):
        name = QLabel(key)
        name.setFont(font("number"))
        name.setProperty("role", "number")
        grid.addWidget(name, line, 0)
        grid.addWidget(QLabel(does), line, 1)
    grid.setColumnMinimumWidth(0, 88)
    grid.setColumnStretch(1, 1)
    return grid
