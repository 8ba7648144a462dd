"""TimelineBar: the recorded steps of all runs as one track, to scrub back through."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer.panels.theme import DARK, SPACE_M, SPACE_S, Theme, font

HEIGHT = 32
TRACK = 6
RADIUS = 7.0

Step = tuple[int, int, int]  # run, frame, step


class TimelineBar(QWidget):
    """A track with one place a recorded step, a line where a run begins, and what is shown now.

    Signals:
        scrubbed: position of a recorded step that a person wants to see.
    """

    scrubbed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._steps: Sequence[Step] = ()
        self._starts: tuple[int, ...] = ()
        self._position: int | None = None
        self.setAccessibleName("Timeline of recorded steps")
        self.setToolTip("Drag to look back; Home and End go to the first and last step")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_steps(self, steps: Sequence[Step]) -> None:
        """What is recorded, in order; the newest is shown unless an earlier one was chosen."""
        self._steps = steps
        runs = [run for run, _, _ in steps]
        self._starts = tuple(i + 1 for i, (a, b) in enumerate(pairwise(runs)) if a != b)
        if self._position is not None and self._position >= len(steps):
            self._position = None
        self.update()

    def show_position(self, position: int | None) -> None:
        """Mark the step that is on the screen; None is the newest."""
        last = len(self._steps) - 1
        self._position = None if position is None or position >= last else position
        self.update()

    def position(self) -> int:
        """Where the mark stands."""
        return max(0, len(self._steps) - 1) if self._position is None else self._position

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.update()

    def words(self) -> str:
        """What stands at the right: ``step 12 of 40``."""
        count = len(self._steps)
        if not count:
            return "nothing recorded"
        return f"step {self.position() + 1:>{len(str(count))}} of {count}"

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(320, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Room for the words and a short track."""
        return QSize(200, HEIGHT)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the step under the mouse."""
        self._go_to(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag along the track."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go_to(event.position().x())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and Right walk, one step each."""
        by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if by is None:
            super().keyPressEvent(event)
        elif 0 <= self.position() + by < len(self._steps):
            self._choose(self.position() + by)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Track, beginnings of runs, the part before the mark, the mark, the words."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        track, theme = self._track(), self._theme
        painter.setPen(QPen(theme.colour("outline"), 1))
        painter.setBrush(theme.colour("canvas"))
        painter.drawRoundedRect(track, TRACK / 2, TRACK / 2)
        if self._steps:
            x = self._x(self.position())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("accent_fill"))
            done = QRectF(track.left(), track.top(), x - track.left(), track.height())
            painter.drawRoundedRect(done, TRACK / 2, TRACK / 2)
            painter.setPen(QPen(theme.colour("muted"), 1))
            for start in self._starts[-400:]:
                at = self._x(start)
                painter.drawLine(int(at), int(track.top()) - 5, int(at), int(track.bottom()) + 5)
            stale = self._position is not None
            painter.setPen(QPen(theme.colour("accent" if self.hasFocus() else "panel"), 2))
            painter.setBrush(theme.colour("warn" if stale else "text"))
            painter.drawEllipse(QPointF(x, track.center().y()), RADIUS, RADIUS)
        painter.setFont(font("number"))
        painter.setPen(theme.colour("text" if self._steps else "muted"))
        right = self.rect().adjusted(0, 0, -SPACE_M, 0)
        painter.drawText(
            right, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self.words()
        )
        painter.end()

    def _track(self) -> QRectF:
        room = QFontMetrics(font("number")).horizontalAdvance("step 00000 of 00000") + 2 * SPACE_M
        width = max(40, self.width() - room - 2 * SPACE_M)
        return QRectF(SPACE_M + SPACE_S, (self.height() - TRACK) / 2, width, TRACK)

    def _x(self, position: int) -> float:
        track = self._track()
        return track.left() + track.width() * position / max(1, len(self._steps) - 1)

    def _go_to(self, x: float) -> None:
        if self._steps:
            track = self._track()
            share = min(max((x - track.left()) / track.width(), 0.0), 1.0)
            self._choose(round(share * (len(self._steps) - 1)))

    def _choose(self, position: int) -> None:
        if position != self.position():
            self.show_position(position)
            self.scrubbed.emit(position)
