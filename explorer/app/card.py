"""Cards in place of a dock's content (failed, empty, asking for consent), and strips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from PySide6.QtCore import QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.panels.icons import icon, pixmap
from explorer.panels.theme import DARK, Theme, font

TEXT_WIDTH = 460


class Card(QFrame):
    """A title with an icon, sentences and buttons, in the middle of whatever it covers.

    ``pressed`` carries the text of the button.
    """

    pressed = Signal(str)

    def __init__(self, title: str, glyph: str = "", token: str = "text") -> None:
        super().__init__()
        self.setObjectName("card")
        self.setAccessibleName(title)
        self._glyph, self._token = glyph, token
        self._theme: Theme = DARK
        self.mark, self.title = QLabel(), QLabel(title)
        self.title.setProperty("role", "title")
        self.title.setWordWrap(True)
        self.mark.setVisible(bool(glyph))
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.title, 1)
        self.body = QVBoxLayout()
        self.body.setSpacing(8)
        self.body.addLayout(head)
        self.buttons = QHBoxLayout()
        self.buttons.setSpacing(8)
        inner = QWidget()
        inner.setMaximumWidth(TEXT_WIDTH)
        inner.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        column.addLayout(self.body)
        column.addLayout(self.buttons)
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(inner, 100)
        middle.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(16, 16, 16, 16)
        whole.addStretch(1)
        whole.addLayout(middle)
        whole.addStretch(2)

    def add_text(self, text: str, role: str = "") -> QLabel:
        """A sentence that can be selected."""
        label = QLabel(text)
        label.setProperty("role", role)
        label.setWordWrap(True)
        label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        label.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.body.addWidget(label)
        return label

    def add_button(
        self,
        text: str,
        *,
        primary: bool = False,
        tip: str = "",
        slot: Callable[[], None] | None = None,
    ) -> QPushButton:
        """A button that tells ``pressed`` and calls ``slot``; one of a card may be primary."""
        button = QPushButton(text)
        button.setProperty("primary", primary)
        button.setToolTip(tip or text)
        button.clicked.connect(lambda: self._press(text, slot))
        self.buttons.addWidget(button)
        return button

    def close_row(self) -> None:
        """No more buttons: they stand at the left."""
        self.buttons.addStretch(1)

    def set_theme(self, theme: Theme) -> None:
        """Tint the icon."""
        self._theme = theme
        if self._glyph:
            ratio = self.devicePixelRatioF()
            self.mark.setPixmap(pixmap(self._glyph, theme, 20, self._token, ratio))
        self.update()

    def _press(self, text: str, slot: Callable[[], None] | None) -> None:
        self.pressed.emit(text)
        if slot is not None:
            slot()


class ErrorCard(Card):
    """What went wrong, what to do about it, and the details for whoever wants them.

    Args:
        cause: what it is, with the value: "broken.pt: 300 bytes, not a zip or pickle archive".
        remedy: what is accepted, what to do next.
        details: traceback or facts; shown on demand, copied with the rest.
        again, another: what the buttons *Try again* and *Open another* do; without one, no button.
    """

    def __init__(
        self,
        title: str,
        cause: str,
        remedy: str = "",
        details: str = "",
        *,
        again: Callable[[], None] | None = None,
        another: Callable[[], None] | None = None,
        more: Sequence[tuple[str, Callable[[], None]]] = (),
    ) -> None:
        super().__init__(f"Error: {title}", "error", "error")
        self._text = "\n".join(filter(None, (title, cause, remedy, details)))
        self.cause = self.add_text(cause)
        self.remedy = self.add_text(remedy, "muted")
        self.remedy.setVisible(bool(remedy))
        self.details = QPlainTextEdit(details)
        self.details.setReadOnly(True)
        self.details.setFont(font("number"))
        self.details.setAccessibleName("Details of the error")
        self.details.setMinimumHeight(120)
        self.details.hide()
        self.body.addWidget(self.details)
        for text, slot in more:
            self.add_button(text, slot=slot)
        if again is not None:
            self.add_button("Try again", tip="Do the same once more", slot=again)
        if another is not None:
            self.add_button("Open another", tip="Choose another file (Ctrl+O)", slot=another)
        if details:
            self.toggle = self.add_button(
                "Details", tip="Show all that is known", slot=self._toggle
            )
        self.add_button("Copy", tip="Copy message and details", slot=self._copy)
        self.close_row()
        self.set_theme(DARK)

    def _toggle(self) -> None:
        self.details.setVisible(self.details.isHidden())
        self.toggle.setText("Details" if self.details.isHidden() else "Hide details")

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._text)


class EmptyCard(Card):
    """Nothing is here yet: what will be, how to get it, the keys, and one button."""

    def __init__(
        self,
        title: str,
        sentence: str,
        keys: Sequence[tuple[str, str]] = (),
        button: str = "",
        slot: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(title)
        self.title.setProperty("role", "empty")
        self.add_text(sentence, "muted")
        for key, does in keys:
            row = QHBoxLayout()
            row.setSpacing(12)
            name = QLabel(key)
            name.setObjectName("key")
            name.setFont(font("number"))
            name.setProperty("role", "number")
            name.setFixedWidth(88)
            row.addWidget(name)
            row.addWidget(QLabel(does), 1)
            self.body.addLayout(row)
        if button:
            self.add_button(button, primary=True, slot=slot)
        self.close_row()


class ConsentCard(Card):
    """Asks before code from a file runs; *Do not* has the focus, so that Enter is harmless."""

    def __init__(
        self, name: str, why: str, run: Callable[[], None], leave: Callable[[], None]
    ) -> None:
        super().__init__(f"Run the code in {name}?", "warning", "warn")
        self.add_text(why)
        self.add_text(
            "It can do on this computer whatever you can. Run it only if you trust it.", "warn"
        )
        self.no = self.add_button("Do not", tip="Leave the file alone", slot=leave)
        self.yes = self.add_button("Run it", tip=f"Run the code in {name}", slot=run)
        self.close_row()
        self.set_theme(DARK)
        self.setFocusProxy(self.no)


class Strip(QFrame):
    """One line across the top of the window that never stands in the way."""

    dismissed = Signal()

    def __init__(self, parent: QWidget, glyph: str, token: str) -> None:
        super().__init__(parent)
        self._home = parent
        self.setObjectName("strip")
        self._glyph, self._token = glyph, token
        self.mark, self.text = QLabel(), QLabel()
        self.shut = QToolButton()
        self.shut.setAccessibleName("Dismiss")
        self.shut.setToolTip("Dismiss")
        self.shut.clicked.connect(self.dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 2, 4, 2)
        row.setSpacing(8)
        row.addWidget(self.mark)
        row.addWidget(self.text, 1)
        row.addWidget(self.shut)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Neutral ground, a tinted icon."""
        self.setStyleSheet(
            f"#strip {{ background: {theme['raised']}; border: 1px solid {theme['outline']};"
            " border-radius: 6px; }"
        )
        self.mark.setPixmap(pixmap(self._glyph, theme, 16, self._token, self.devicePixelRatioF()))
        self.shut.setIcon(icon("x", theme, 14))

    @Slot()
    def dismiss(self) -> None:
        """Go away."""
        if not self.isHidden():
            self.hide()
            self.dismissed.emit()

    def sizeHint(self) -> QSize:
        """One line."""
        return super().sizeHint().expandedTo(QSize(160, 32))


class HintStrip(Strip):
    """The one hint of a first start; ``dismissed`` is when to note that it has been seen."""

    WORDS = "Drop a photo, video or model anywhere · Click a map · F1 tour"

    def __init__(self, parent: QWidget, *, seen: bool) -> None:
        super().__init__(parent, "info", "muted")
        self.text.setText(self.WORDS)
        self.setAccessibleName(self.WORDS)
        self.setVisible(not seen)


Level = Literal["ok", "info", "warning", "error"]
LEVELS: dict[Level, tuple[str, str, str]] = {
    "ok": ("ok", "ok", "Done"),
    "info": ("info", "muted", "Note"),
    "warning": ("warning", "warn", "Warning"),
    "error": ("error", "error", "Error"),
}


class Toast(Strip):
    """A message that goes by itself, errors excepted; it takes no focus and blocks nothing."""

    STAYS_MS = 6000

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, "info", "muted")
        self._theme: Theme = DARK
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._leave = QTimer(self)
        self._leave.setSingleShot(True)
        self._leave.setInterval(self.STAYS_MS)
        self._leave.timeout.connect(self.dismiss)

    def show_text(self, text: str, level: Level = "info") -> None:
        """Show a line at the foot of the window, in place of the one before."""
        self._glyph, self._token, word = LEVELS[level]
        said = f"{word}: {text}"
        self.setAccessibleName(said)
        self.text.setText(said)
        self.set_theme(self._theme)
        self._leave.stop()
        if level != "error":
            self._leave.start()
        self.adjustSize()
        home = self._home
        width = min(max(self.width(), 240), home.width() - 32)
        self.resize(width, self.height())
        self.move((home.width() - width) // 2, home.height() - self.height() - 48)
        self.show()
        self.raise_()

    def set_theme(self, theme: Theme) -> None:
        """Neutral ground, an icon in the colour of the level."""
        self._theme = theme
        super().set_theme(theme)
