"""What a panel shows when it has no data yet: what to do, or what it waits for."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from explorer.panels.theme import DARK, SPACE_L, SPACE_M, SPACE_S, Theme, font

CANCEL_AFTER = 0.3  # seconds of waiting before Cancel appears


class EmptyState(QWidget):
    """Title, one sentence, a few shortcuts, in the middle of the panel."""

    def __init__(
        self,
        title: str,
        sentence: str,
        keys: Sequence[tuple[str, str]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = DARK
        self.title, self.sentence = QLabel(title), QLabel(sentence)
        self.title.setFont(font("empty"))
        self.sentence.setFont(font("body"))
        self.sentence.setWordWrap(True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._keys = [(QLabel(key), QLabel(what)) for key, what in keys]
        middle = Qt.AlignmentFlag.AlignHCenter
        rows = QVBoxLayout(self)
        rows.addStretch(1)
        rows.addWidget(self.title, 0, middle)
        rows.addSpacing(SPACE_S)
        rows.addWidget(self.sentence)
        rows.addSpacing(SPACE_L)
        grid = QGridLayout()
        grid.setHorizontalSpacing(SPACE_L)
        for i, (key, what) in enumerate(self._keys):
            key.setFont(font("number"))
            what.setFont(font("body"))
            grid.addWidget(key, i, 0, Qt.AlignmentFlag.AlignRight)
            grid.addWidget(what, i, 1)
        box = QWidget()
        box.setLayout(grid)
        rows.addWidget(box, 0, middle)
        rows.addStretch(1)
        self.set_theme(DARK)

    def say(self, title: str, sentence: str) -> None:
        """Other words for the same place."""
        self.title.setText(title)
        self.sentence.setText(sentence)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.title.setStyleSheet(f"color: {theme['text']}; font-size: 20px; font-weight: 600")
        for label in (self.sentence, *(what for _, what in self._keys)):
            label.setStyleSheet(f"color: {theme['muted']}")
        for key, _ in self._keys:
            key.setStyleSheet(
                f"color: {theme['text']}; background: {theme['raised']}; border: 1px solid "
                f"{theme['outline']}; border-radius: 4px; padding: 1px 6px; font-size: 12px"
            )


class LoadingState(QWidget):
    """Grey tiles, what is waited for, the elapsed time, and after 0.3 s a way to cancel."""

    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._what, self._since = DARK, "", 0.0
        self.words = QLabel()
        self.words.setFont(font("body"))
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop waiting (Esc)")
        self.cancel.clicked.connect(self.cancelled)
        rows = QVBoxLayout(self)
        rows.addStretch(1)
        rows.addWidget(self.words, 0, Qt.AlignmentFlag.AlignHCenter)
        rows.addSpacing(SPACE_M)
        rows.addWidget(self.cancel, 0, Qt.AlignmentFlag.AlignHCenter)
        rows.addStretch(1)
        self._timer = QTimer(self)
        self._timer.setInterval(100)
        self._timer.timeout.connect(self._tick)

    def wait_for(self, what: str) -> None:
        """Start counting the seconds for ``what``."""
        self._what, self._since = what, time.monotonic()
        self._tick()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.words.setStyleSheet(
            f"color: {theme['text']}; background: {theme['panel']}; padding: 4px 12px"
        )
        self.update()

    def showEvent(self, event: QShowEvent) -> None:
        """Count only while it is seen."""
        self._timer.start()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop the clock."""
        self._timer.stop()
        super().hideEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Grey tiles where maps will be."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colour("canvas"))
        for y in range(0, self.height(), 50):
            for x in range(0, self.width(), 50):
                painter.fillRect(x, y, 48, 48, self._theme.colour("raised"))
        painter.end()

    def _tick(self) -> None:
        elapsed = time.monotonic() - self._since
        self.words.setText(f"{self._what}  {elapsed:.1f} s")
        self.cancel.setVisible(elapsed >= CANCEL_AFTER)
