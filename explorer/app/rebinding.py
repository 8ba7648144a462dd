"""The list in which any command is given another key; it lies over the window, as ``?`` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt, Slot
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from explorer.app.actions import ACTIONS, Action, Commands, canonical
from explorer.panels.theme import DARK, Theme, font

if TYPE_CHECKING:
    from explorer.app.settings import Settings

ID = Qt.ItemDataRole.UserRole
COMMAND, KEY, STANDARD = range(3)
ALONE = (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta,
         Qt.Key.Key_AltGr, Qt.Key.Key_CapsLock, Qt.Key.Key_unknown)  # fmt: skip
ADVICE = "Enter or a double click asks for a new key; Delete takes the key away; Esc closes."


class Rebinding(QFrame):
    """All commands with their keys, a search field, and buttons to change, remove and reset.

    While it waits for a key, whatever is pressed is the new key (Esc gives up). A key that another
    command has is taken from it only when it is pressed twice; the line at the foot says from whom.
    Each change is in force at once and in the settings file.
    """

    def __init__(self, window: QWidget, commands: Commands, settings: Settings) -> None:
        super().__init__(window)
        self.setObjectName("rebinding")
        self.setAccessibleName("Change keys")
        self._window, self._commands, self._settings = window, commands, settings
        self._before: QWidget | None = None
        self.waiting = ""  # the command whose new key is awaited
        self._asked = ""  # a key that is taken, pressed once
        self._make()
        self.set_theme(DARK)
        self.hide()

    def _make(self) -> None:
        head = QLabel("Change keys")
        head.setProperty("role", "empty")
        self.field = QLineEdit()
        self.field.setPlaceholderText("Find by command or key")
        self.field.setAccessibleName("Find by command or key")
        self.field.setToolTip("Shows the commands whose name or key has this")
        self.list = QTreeWidget()
        self.list.setAccessibleName("Commands and their keys")
        self.list.setToolTip(ADVICE)
        self.list.setHeaderLabels(["Command", "Keys", "Standard"])
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.list.header().setAccessibleName("Columns")
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(COMMAND, QHeaderView.ResizeMode.Stretch)
        for column in (KEY, STANDARD):
            self.list.header().resizeSection(column, 170)
        self.said = QLabel(ADVICE)
        self.said.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        self.change = _button("New key…", "Press the key that gives this command (Enter)")
        self.remove = _button("No key", "Leave this command without a key (Delete)")
        self.reset = _button("Reset", "Give this command its standard key again")
        self.reset_all = _button("Reset all", "Give every command its standard key again")
        self.close_button = _button("Close", "Go back to the window (Esc)")
        for button in (self.change, self.remove, self.reset, self.reset_all):
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self.close_button)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(24, 16, 24, 16)
        whole.setSpacing(8)
        parts: tuple[QWidget, ...] = (head, self.field, self.list, self.said)
        for part in parts:
            whole.addWidget(part)
        whole.addLayout(buttons)
        self.field.textChanged.connect(self._filter)
        self.list.itemDoubleClicked.connect(self.ask)
        self.list.currentItemChanged.connect(self._current_changed)
        self.change.clicked.connect(self.ask)
        self.remove.clicked.connect(self._remove)
        self.reset.clicked.connect(self._reset)
        self.reset_all.clicked.connect(self._reset_all)
        self.close_button.clicked.connect(self.close_list)
        watched: tuple[QWidget, ...] = (self.field, self.list, *self.findChildren(QPushButton))
        for widget in watched:
            widget.installEventFilter(self)

    # -- showing

    def open(self) -> None:
        """Cover the middle of the window."""
        window = self._window
        self._before = window.window().focusWidget()
        width, height = min(760, window.width() - 48), min(640, window.height() - 48)
        left, top = (window.width() - width) // 2, (window.height() - height) // 2
        self.setGeometry(left, top, width, height)
        self.field.clear()
        self._fill()
        self.say(ADVICE)
        self.show()
        self.raise_()
        self.field.setFocus(Qt.FocusReason.PopupFocusReason)

    @Slot()
    def close_list(self) -> None:
        """Give the window back."""
        self.waiting = ""
        if not self.isHidden():
            self.hide()
            if self._before is not None:
                self._before.setFocus(Qt.FocusReason.PopupFocusReason)
                self._before = None

    def say(self, text: str, role: str = "caption") -> None:
        """One line under the list."""
        self.said.setText(text)
        self.said.setProperty("role", role)
        self.said.style().polish(self.said)

    def rows(self) -> dict[str, tuple[str, str]]:
        """Id to the keys and the standard keys that the list shows, in its order."""
        found = {}
        for i in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(i)
            if item is not None and not item.isHidden():
                found[str(item.data(COMMAND, ID))] = (item.text(KEY), item.text(STANDARD))
        return found

    def choose(self, name: str) -> None:
        """Make the row of a command the current one."""
        for i in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(i)
            if item is not None and item.data(COMMAND, ID) == name:
                self.list.setCurrentItem(item)

    def current(self) -> str:
        """Id of the command that is chosen; empty when there is none."""
        item = self.list.currentItem()
        return "" if item is None or item.isHidden() else str(item.data(COMMAND, ID))

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.setStyleSheet(
            f"#rebinding {{ background: {theme['panel']}; border: 1px solid {theme['outline']};"
            " border-radius: 6px; }"
        )

    def _fill(self) -> None:
        current = self.current()
        bound = self._commands.bound()
        self.list.clear()
        for row in ACTIONS:
            if row.submenu or not self._commands[row.id].isVisible():
                continue
            standard = tuple(canonical(key) for key in row.shortcuts)
            item = QTreeWidgetItem([title(row), _native(bound[row.id]), _native(standard)])
            item.setData(COMMAND, ID, row.id)
            for column in (KEY, STANDARD):
                item.setFont(column, font("number"))
            changed = bound[row.id] != standard
            if changed:
                bold = font("number")
                bold.setBold(True)
                item.setFont(KEY, bold)
            said = f"{title(row)}: {item.text(KEY) or 'no key'}{', changed' if changed else ''}"
            item.setData(COMMAND, Qt.ItemDataRole.AccessibleTextRole, said)
            self.list.addTopLevelItem(item)
        self._filter(self.field.text())
        self.choose(current)
        self._current_changed()

    @Slot(str)
    def _filter(self, text: str) -> None:
        words = text.casefold().split()
        first: QTreeWidgetItem | None = None
        for i in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(i)
            if item is None:
                continue
            said = f"{item.text(COMMAND)} {item.text(KEY)}".casefold()
            item.setHidden(not all(word in said for word in words))
            if first is None and not item.isHidden():
                first = item
        now = self.list.currentItem()
        if first is not None and (now is None or now.isHidden()):
            self.list.setCurrentItem(first)
        self._current_changed()

    @Slot()
    def _current_changed(self) -> None:
        name = self.current()
        self.waiting = self._asked = ""
        for button in (self.change, self.remove):
            button.setEnabled(bool(name))
        self.reset.setEnabled(name in self._settings.values.shortcuts)
        self.reset_all.setEnabled(bool(self._settings.values.shortcuts))

    # -- changing

    @Slot()
    def ask(self) -> None:
        """Wait for the new key of the current command."""
        self.waiting, self._asked = self.current(), ""
        if self.waiting:
            self.list.setFocus(Qt.FocusReason.OtherFocusReason)
            self.say(f"Press the new key of “{self._title(self.waiting)}”; Esc leaves it as it is.")

    def put(self, name: str, keys: tuple[str, ...]) -> None:
        """Give a command these keys, taken from whichever has them, and keep that."""
        own = self._settings.values.shortcuts
        for other, taken in self._commands.bound().items():
            left = tuple(key for key in taken if key not in keys)
            if other != name and left != taken:
                self._note(own, other, left)
        self._note(own, name, keys)
        self._apply()

    def _note(self, own: dict[str, str], name: str, keys: tuple[str, ...]) -> None:
        standard = next(row.shortcuts for row in ACTIONS if row.id == name)
        if keys == tuple(canonical(key) for key in standard):
            own.pop(name, None)
        else:
            own[name] = "; ".join(keys)

    def _apply(self) -> None:
        self._commands.bind(self._settings.values.shortcuts)
        saved = self._settings.save()
        self._fill()
        if not saved:
            self.say(self._settings.message, "warn")

    @Slot()
    def _remove(self) -> None:
        name = self.current()
        if name:
            self.say(f"“{self._title(name)}” has no key now; the palette still finds it.")
            self.put(name, ())

    @Slot()
    def _reset(self) -> None:
        name = self.current()
        if name:
            row = next(row for row in ACTIONS if row.id == name)
            self.say(f"“{title(row)}” has its standard key again.")
            self.put(name, tuple(canonical(key) for key in row.shortcuts))

    @Slot()
    def _reset_all(self) -> None:
        self._settings.values.shortcuts.clear()
        self.say("Every command has its standard key again.")
        self._apply()

    def _pressed(self, event: QKeyEvent) -> None:
        """A key while one is awaited."""
        if event.key() in ALONE:
            return
        name = self.waiting
        if event.key() == Qt.Key.Key_Escape and not event.modifiers():
            self.waiting = ""
            self.say(ADVICE)
            return
        key = pressed(event)
        owner = next(
            (o for o, keys in self._commands.bound().items() if key in keys and o != name), ""
        )
        if owner and key != self._asked:
            self._asked = key
            shown = _native((key,))
            self.say(
                f"{shown} is “{self._title(owner)}”. Press it again to take it from there, "
                "or press another key; Esc gives up.",
                "warn",
            )
            return
        lost = f"; “{self._title(owner)}” has lost it" if owner else ""
        self.say(f"{_native((key,))} is “{self._title(name)}” now{lost}.")
        self.put(name, (key,))

    def _title(self, name: str) -> str:
        return next(title(row) for row in ACTIONS if row.id == name)

    # -- keys

    def event(self, event: QEvent) -> bool:
        """Keep the window's shortcuts away while it is open."""
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the awaited key before anything else does; Enter, Delete and Esc otherwise."""
        if not isinstance(event, QKeyEvent) or self.isHidden():
            return False
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        if event.type() != QEvent.Type.KeyPress:
            return False
        if self.waiting:
            self._pressed(event)
            return True
        return self._plain(watched, event.key())

    def _plain(self, watched: QObject, key: int) -> bool:
        enter = key in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if key == Qt.Key.Key_Escape:
            self.close_list()
        elif enter and watched in (self.list, self.field):
            self.ask()
        elif key == Qt.Key.Key_Delete and watched is self.list:
            self._remove()
        elif key == Qt.Key.Key_Down and watched is self.field:
            self.list.setFocus(Qt.FocusReason.TabFocusReason)
        else:
            return False
        return True


def pressed(event: QKeyEvent) -> str:
    """The key of an event as a settings file writes it: "Ctrl+J", "?", "Num+5" is "5"."""
    keys = event.keyCombination()
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    text = event.text()
    # "?" is Shift and a key that differs from keyboard to keyboard: the sign is what counts.
    if len(text) == 1 and text.isprintable() and not text.isalnum() and not text.isspace():
        modifiers &= ~Qt.KeyboardModifier.ShiftModifier
    return QKeySequence(modifiers.value | keys.key().value).toString(
        QKeySequence.SequenceFormat.PortableText
    )


def title(row: Action) -> str:
    """A command's name with its menu: "Layer: Zero unit"."""
    return f"{row.menu}: {row.title.rstrip('…')}"


def _native(keys: tuple[str, ...]) -> str:
    return ", ".join(
        QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in keys
    )


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
