"""TextPanel: a text, or tokens on a ground as strong as their weight."""

from __future__ import annotations

from bisect import bisect_right

from PySide6.QtCore import QEvent, QPointF, Signal
from PySide6.QtGui import QColor, QMouseEvent, QTextBlockFormat, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit, QToolTip, QWidget

from explorer import colours
from explorer.kinds import Artefact, Text
from explorer.panels.matrix import extremes
from explorer.panels.overlays import ink_on
from explorer.panels.panel import Panel, Probed
from explorer.panels.theme import DARK, Theme, font
from explorer.panels.wording import number_text

LINE_HEIGHT = 150.0  # percent, so that the grounds of two lines do not touch


class TokenText(QTextEdit):
    """Read-only text that can be selected, and tells which token the mouse is on.

    Signals:
        hovered: index of the token, -1 for none. clicked: index of the token.
    """

    hovered = Signal(int)
    clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.starts: list[int] = []
        self.ends: list[int] = []
        self._token = -1
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setFont(font("body"))
        self.setAccessibleName("Text")
        self.viewport().setMouseTracking(True)

    def show_tokens(self, tokens: list[str], formats: list[QTextCharFormat], between: str) -> None:
        """Write the tokens, each in its format, and ``between`` in none."""
        self.clear()
        self.starts, self.ends = [], []
        cursor = QTextCursor(self.document())
        block = cursor.blockFormat()
        block.setLineHeight(LINE_HEIGHT, 1)  # ProportionalHeight
        cursor.setBlockFormat(block)
        cursor.beginEditBlock()
        for i, (token, style) in enumerate(zip(tokens, formats, strict=True)):
            if i and between:
                cursor.insertText(between, QTextCharFormat())
            self.starts.append(cursor.position())
            cursor.insertText(token, style)
            self.ends.append(cursor.position())
        cursor.endEditBlock()

    def show_plain(self, text: str) -> None:
        """Write a text in one edit; emptied in between, it would lose its scroll bar."""
        self.starts, self.ends = [], []
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.setBlockFormat(QTextBlockFormat())  # of tokens before: every line takes it on
        cursor.insertText(text, QTextCharFormat())
        cursor.endEditBlock()

    def token_at(self, at: QPointF) -> int:
        """Index of the token at a place of the viewport; -1 is none."""
        cursor = self.cursorForPosition(at.toPoint())
        # The cursor stands at the gap nearest to the mouse: look which side of it the mouse is on.
        position = cursor.position()
        if self.cursorRect(cursor).center().x() > at.x():
            position -= 1
        line = self.cursorRect(cursor)
        if not line.top() - 4 <= at.y() <= line.bottom() + 4:
            return -1
        token = bisect_right(self.starts, position) - 1
        return token if token >= 0 and position < self.ends[token] else -1

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the token."""
        super().mouseMoveEvent(event)
        self._choose(self.token_at(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click that selects nothing picks the token."""
        super().mouseReleaseEvent(event)
        token = self.token_at(event.position())
        if token >= 0 and not self.textCursor().hasSelection():
            self.clicked.emit(token)

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse is on no token."""
        super().leaveEvent(event)
        self._choose(-1)

    def _choose(self, token: int) -> None:
        if token != self._token:
            self._token = token
            self.hovered.emit(token)


class TextPanel(Panel):
    """Weights colour the ground of their token; signed ones diverge around 0."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.body = TokenText()
        super().__init__(parent, theme=theme)
        self.body.setPlaceholderText("No text yet")
        self.set_body(self.body)
        self.body.hovered.connect(self._hover)
        self.body.clicked.connect(self._click)

    def facts(self, artefact: Artefact) -> str:
        """How many tokens or characters, and what their weights are."""
        assert isinstance(artefact, Text)
        tokens = len(artefact.tokens)
        count = f"{tokens} tokens" if tokens else f"{len(artefact.text)} characters"
        return " · ".join(part for part in (count, artefact.unit) if part)

    def draw(self, artefact: Artefact) -> None:
        """Write the text; the place that was scrolled to stays."""
        assert isinstance(artefact, Text)
        bar = self.body.verticalScrollBar()
        place, at_end = bar.value(), bar.value() >= bar.maximum() - 2
        self.colour_bar.setVisible(len(artefact.weights) > 0)
        if artefact.tokens:
            joined = "".join(artefact.tokens) == artefact.text
            formats = self._formats(artefact)
            self.body.show_tokens(list(artefact.tokens), formats, "" if joined else " ")
        elif artefact.text != self.body.toPlainText():
            self.body.show_plain(artefact.text)
        bar.setValue(bar.maximum() if at_end and place else place)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        if self.artefact is not None:
            self.draw(self.artefact)

    def reset_zoom(self) -> None:
        """Text of its own size again, after Ctrl and the wheel."""
        self.body.setFont(font("body"))

    def _formats(self, artefact: Text) -> list[QTextCharFormat]:
        plain = QTextCharFormat()
        if not len(artefact.weights):
            return [plain] * len(artefact.tokens)
        found = extremes(artefact.weights)
        low, high = colours.limits_for(*found)
        table = colours.table(colours.map_for(*found))
        self.colour_bar.show_range(table, low, high, unit=artefact.unit, data=found)
        index = colours.index_of(artefact.weights, low, high)
        made = []
        for entry in index:
            ground = QColor(*(int(v) for v in table[entry][:3]))
            style = QTextCharFormat()
            style.setBackground(ground)
            style.setForeground(ink_on(ground))
            made.append(style)
        return made

    def _hover(self, token: int) -> None:
        text = self.artefact
        if token < 0 or not isinstance(text, Text):
            QToolTip.hideText()
            self.probed.emit(None)
            return
        words = f"{text.tokens[token]!r}  #{token}"
        if len(text.weights):
            words += f"  {number_text(float(text.weights[token]), 4)} {text.unit}".rstrip()
        self.body.viewport().setToolTip(words)
        self.probed.emit(Probed(words))

    def _click(self, token: int) -> None:
        knob = self.artefact.gestures.get("pick") if self.artefact is not None else None
        if knob:
            self.gestured.emit((knob, token))
