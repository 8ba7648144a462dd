"""ScoresPanel: scores as bars with label and number, in the order given."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QScrollArea, QSizePolicy, QToolTip, QWidget

from explorer.kinds import Artefact, Scores
from explorer.panels.axis_ticks import ticks
from explorer.panels.panel import Panel, Probed
from explorer.panels.series import series_colour
from explorer.panels.theme import DARK, SPACE_M, SPACE_S, TREE_ROW, TYPE_SCALE, Role, Theme, font
from explorer.panels.wording import number_text

BAR, SCALE = 12, 18  # px of a bar; px of the scale below the bars
LEAST_ROW = 12  # px: rows close up to this before they scroll
CAPTION_FROM = 190  # px of a panel
SMALL_BELOW = 18  # px of a row from which on words are captions
REPAINT_EVERY = 0.08  # s: digits that change faster cannot be read
LABEL_SHARE = 0.45  # of the width, at most
POSITIVE, NEGATIVE = 0, 4  # colours of bars, by their place in the series' order


@dataclass(frozen=True, slots=True)
class Lay:
    """Where things lie at one size of the widget, px: asked for dozens of times a frame.

    ``pitch`` is the height of a row, ``foot`` that of the scale below, none where rows would scroll
    for it. Bars lie between ``left`` and ``left + room``.
    """

    pitch: int
    foot: int
    left: float
    room: float


class ScoreBars(QWidget):
    """One row a score: label, bar from zero, number; a hollow bar is the score before an edit.

    Signals:
        hovered: row under the mouse, -1 for none. picked: row that was clicked or entered.
    """

    hovered = Signal(int)
    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.scores: np.ndarray[Any, Any] = np.zeros(0, np.float32)
        self.labels: Sequence[str] = ()
        self.before: dict[str, float] = {}
        self.low, self.high = 0.0, 1.0
        self.row = -1
        self.unit = "probability"
        self._probability = True
        self._lay: Lay | None = None
        self._drawn: tuple[object, QPixmap] | None = None
        self._renewed_at = -REPAINT_EVERY
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._renew)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)

    def show_scores(self, artefact: Scores) -> None:
        """Show the scores, within `REPAINT_EVERY`; probabilities keep the axis at 0 to 1."""
        self.scores, self.labels = artefact.scores, artefact.labels
        self._lay = None
        self._probability = artefact.probability
        self.unit = unit_of(artefact)
        self._span()
        self.row = min(self.row, len(self.scores) - 1)
        self.setMinimumHeight(LEAST_ROW * len(self.scores))
        wait = REPAINT_EVERY - (time.monotonic() - self._renewed_at)
        if wait <= 0:
            self._renew()
        elif not self._soon.isActive():
            self._soon.start(max(1, round(1000 * wait)))

    def show_before(self, before: dict[str, float]) -> None:
        """Hollow bars, by label."""
        self.before = before
        self._span()
        self.update()

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.scores)

    def label(self, row: int) -> str:
        """The label of a row, or its number."""
        return self.labels[row] if self.labels else str(row)

    def words(self, row: int) -> str:
        """A row as a line: ``tiger cat 0.6123``, with what it was before an edit."""
        label = self.label(row)
        now = f"{label}  {number_text(float(self.scores[row]), 4)}"
        return f"{now}  (was {number_text(self.before[label], 4)})" if label in self.before else now

    def sizeHint(self) -> QSize:
        """A row a score, and the scale."""
        return QSize(240, TREE_ROW * max(1, self.count) + SCALE)

    @property
    def pitch(self) -> int:
        """Height of a row, px."""
        return self.lay.pitch

    @property
    def lay(self) -> Lay:
        """Where things lie now."""
        if self._lay is None:
            foot = SCALE if self.height() >= LEAST_ROW * self.count + SCALE else 0
            space = (self.height() - foot) // max(1, self.count)
            names = tuple(self.labels[:64]) or (str(max(0, self.count - 1)),)
            widest = max((_advance("body", name) for name in names), default=0)
            left = min(widest + SPACE_M + 2 * SPACE_S, self.width() * LABEL_SHARE)
            numbers = _advance("number", "−00.0000") + SPACE_M
            self._lay = Lay(
                min(TREE_ROW, max(LEAST_ROW, space)), foot, left,
                max(20.0, self.width() - left - numbers),
            )  # fmt: skip
        return self._lay

    def row_at(self, y: float) -> int:
        """Index of the row at a height; -1 is none."""
        row = int(y // self.pitch)
        return row if 0 <= row < self.count else -1

    def bar(self, row: int, value: float | None = None) -> QRectF:
        """Where the bar of a row lies (for another value: where it would)."""
        lay = self.lay
        number = float(self.scores[row]) if value is None else value
        number = min(max(number, self.low), self.high) if np.isfinite(number) else 0.0
        scale = lay.room / (self.high - self.low)
        zero = lay.left - self.low * scale
        thick = min(BAR, lay.pitch - 4)
        y = row * lay.pitch + (lay.pitch - thick) / 2
        return QRectF(zero, y, number * scale, thick).normalized()

    # -- events --------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """All lies elsewhere."""
        self._lay = None
        super().resizeEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the row."""
        self._choose(self.row_at(event.position().y()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click picks the row."""
        row = self.row_at(event.position().y())
        if row >= 0:
            self.picked.emit(row)

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse is on no row."""
        super().leaveEvent(event)
        if not self.hasFocus():
            self._choose(-1)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """No row is under the keys."""
        super().focusOutEvent(event)
        self._choose(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up and Down walk the rows, Return picks one."""
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if step is not None and self.count:
            self._choose(min(max(self.row + step, 0), self.count - 1))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.row >= 0:
            self.picked.emit(self.row)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """The whole label and all digits of a row as its tooltip."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            row = self.row_at(event.pos().y())
            QToolTip.showText(event.globalPos(), self.words(row) if row >= 0 else "", self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the rows that are asked for, and the scale below them."""
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._ground())
        first, last = event.rect().top() // self.pitch, event.rect().bottom() // self.pitch
        small = self.pitch < SMALL_BELOW
        names, numbers = font("caption" if small else "body"), font("number")
        if small:
            numbers.setPixelSize(TYPE_SCALE["caption"][0])
        for row in range(max(0, first), min(self.count, last + 1)):
            self._row(painter, row, names, numbers)
        painter.end()

    # -- drawing -------------------------------------------------------------------------------

    def _row(self, painter: QPainter, row: int, names: QFont, numbers: QFont) -> None:
        tall, theme = self.pitch, self.theme
        top = row * tall
        if row == self.row:
            painter.fillRect(0, top, self.width(), tall, theme.colour("raised"))
            if self.hasFocus():
                painter.setPen(QPen(theme.colour("accent"), 2))
                painter.drawRect(1, top + 1, self.width() - 2, tall - 2)
        left, room = self.lay.left, self.lay.room
        painter.setFont(names)
        painter.setPen(theme.colour("text"))
        box = QRectF(SPACE_S, top, left - SPACE_M - SPACE_S, tall)
        role: Role = "caption" if tall < SMALL_BELOW else "body"
        cut = _elided(role, self.label(row), int(box.width()))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(box, right, cut)
        value = float(self.scores[row])
        ink = series_colour(NEGATIVE if value < 0 else POSITIVE, theme)
        painter.fillRect(self.bar(row), ink)
        if self.label(row) in self.before:
            hollow = self.bar(row, self.before[self.label(row)]).adjusted(0, -2, 0, 2)
            painter.setPen(QPen(theme.colour("edited"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(hollow)
        painter.setFont(numbers)
        painter.setPen(theme.colour("text" if np.isfinite(value) else "error"))
        place = QRectF(left + room, top, self.width() - left - room - SPACE_S, tall)
        painter.drawText(place, right, fixed(value))

    def _ground(self) -> QPixmap:
        """The grid and its numbers, drawn once: from frame to frame of a clip they stay."""
        ratio = self.devicePixelRatioF()
        key = (self.lay, self.size().toTuple(), ratio, self.low, self.high, self.unit,
               self.count, self.theme.name)  # fmt: skip
        if self._drawn is None or self._drawn[0] != key:
            ground = QPixmap(self.size() * ratio)
            ground.setDevicePixelRatio(ratio)
            ground.fill(Qt.GlobalColor.transparent)
            painter = QPainter(ground)
            self._grid(painter)
            painter.end()
            self._drawn = key, ground
        return self._drawn[1]

    def _grid(self, painter: QPainter) -> None:
        if not self.count:
            painter.setFont(font("body"))
            painter.setPen(self.theme.colour("muted"))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No scores yet")
            return
        left, room = self.lay.left, self.lay.room
        foot = self.pitch * self.count
        face = font("caption")
        painter.setFont(face)
        metrics = QFontMetrics(face)
        last = -1e9
        scaled = bool(self.lay.foot)
        for tick in ticks(self.low, self.high, 4 if room > 120 else 2):
            x = left + room * (tick - self.low) / (self.high - self.low)
            painter.setPen(self.theme.colour("outline" if tick == 0 else "hairline"))
            painter.drawLine(QPointF(x, 0), QPointF(x, foot))
            words = number_text(tick)
            width = metrics.horizontalAdvance(words) + 4
            if scaled and x - width / 2 > last:
                painter.setPen(self.theme.colour("muted"))
                box = QRectF(x - width / 2, foot + 1, width, SCALE - 2)
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
                last = x + width / 2 + 4
        painter.setPen(self.theme.colour("muted"))
        unit = QRectF(last, foot + 1, self.width() - last - SPACE_S, SCALE - 2)
        if (
            scaled and metrics.horizontalAdvance(self.unit) <= unit.width()
        ):  # else the header alone says it
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(unit, right, self.unit)

    def _span(self) -> None:
        if self._probability:
            self.low, self.high = 0.0, 1.0
            return
        both = np.array([*self.scores.tolist(), *self.before.values()], np.float64)
        finite = both[np.isfinite(both)]
        self.low = min(0.0, float(finite.min())) if len(finite) else 0.0
        self.high = max(0.0, float(finite.max())) if len(finite) else 1.0
        if self.high - self.low <= 0:
            self.high = 1.0

    def _renew(self) -> None:
        self._renewed_at = time.monotonic()
        self.setAccessibleName("Scores: " + ", ".join(self.words(i) for i in range(self.count)[:5]))
        self.update()

    def _choose(self, row: int) -> None:
        if row != self.row:
            self.row = row
            self.update()
            self.hovered.emit(row)


class ScoresPanel(Panel):
    """Bars that scroll when there are many."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.bars = ScoreBars()
        self._scroll = QScrollArea()
        super().__init__(parent, theme=theme)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(self.bars)
        self.set_body(self._scroll)
        self.setFocusProxy(self.bars)
        self.bars.hovered.connect(self._tell)
        self.bars.picked.connect(self._pick)

    def facts(self, artefact: Artefact) -> str:
        """How many, and what the numbers are."""
        assert isinstance(artefact, Scores)
        count = len(artefact.scores)
        return f"{count} · {unit_of(artefact)}" if count else "no scores yet"

    def draw(self, artefact: Artefact) -> None:
        """Show the bars."""
        assert isinstance(artefact, Scores)
        self.bars.show_scores(artefact)
        before = [] if artefact.before is None else artefact.before.tolist()
        known = {self.bars.label(i): value for i, value in enumerate(before) if value == value}
        if known != self.bars.before:
            self.bars.show_before(known)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.bars.theme = theme
        self.bars.update()

    def reset_zoom(self) -> None:
        """Scroll to the first row."""
        self._scroll.verticalScrollBar().setValue(0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A low panel keeps its room for the rows."""
        super().resizeEvent(event)
        self.header.set_low(low=event.size().height() < CAPTION_FROM)

    def _tell(self, row: int) -> None:
        if row < 0:
            self.probed.emit(None)
            return
        tall = self.bars.pitch
        self._scroll.ensureVisible(0, row * tall + tall // 2, 0, tall // 2)
        self.probed.emit(Probed(self.bars.words(row)))

    def _pick(self, row: int) -> None:
        knob = self.artefact.gestures.get("pick") if self.artefact is not None else None
        if knob:
            self.gestured.emit((knob, self.bars.labels[row] if self.bars.labels else row))


def unit_of(artefact: Scores) -> str:
    """What the numbers are."""
    return artefact.unit or ("probability" if artefact.probability else "score")


@lru_cache(maxsize=2048)
def _advance(role: Role, words: str) -> int:
    """Width of ``words`` in px: asked for dozens of times a frame, the same each time."""
    return QFontMetrics(font(role)).horizontalAdvance(words)


@lru_cache(maxsize=512)
def _elided(role: Role, words: str, width: int) -> str:
    """``words``, cut to ``width`` px."""
    return QFontMetrics(font(role)).elidedText(words, Qt.TextElideMode.ElideRight, width)


def fixed(value: float) -> str:
    """A score with decimals that keep their column: four after the point, fewer for the large."""
    if not np.isfinite(value) or abs(value) >= 1e5:
        return number_text(value)
    places = 4 if abs(value) < 10 else 2 if abs(value) < 1000 else 0
    return f"{value:.{places}f}".replace("-", "−")
