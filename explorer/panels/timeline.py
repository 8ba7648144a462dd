"""TimelineBar: the recorded steps of all runs as one track, to scrub back through and to mark."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QBrush,
    QFontMetrics,
    QHelpEvent,
    QIcon,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QToolTip,
    QWidget,
)

from explorer.panels.header import ElidedLabel
from explorer.panels.icons import icon, pixmap
from explorer.panels.theme import DARK, SPACE_M, SPACE_S, Theme, font

HEIGHT = 32
TRACK = 6
RADIUS = 7.0
LEAST_PITCH = 6  # px: beginnings of runs that stand closer are not drawn
LIVE, BACK = "Live", "Back to live"

Step = tuple[int, int, int]  # run, frame, step


class Track(QWidget):
    """One place a recorded step, a line where a run begins, a triangle at a mark, and a knob.

    Signals:
        chosen: position that a person went to.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.steps: Sequence[Step] = ()
        self.starts: tuple[int, ...] = ()
        self.marks: tuple[int, ...] = ()
        self.position = 0
        self.stale = False
        self.recording = True
        self.setAccessibleName("Timeline of recorded steps")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(240, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """A short track."""
        return QSize(80, HEIGHT)

    def x_of(self, position: int) -> float:
        """Where a step lies; a single one is the newest, at the right."""
        track, last = self._lane(), len(self.steps) - 1
        return track.left() + track.width() * (position / last if last > 0 else 1.0)

    def position_at(self, x: float) -> int:
        """The step nearest to a place."""
        track = self._lane()
        share = min(max((x - track.left()) / track.width(), 0.0), 1.0)
        return round(share * (len(self.steps) - 1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the step under the mouse."""
        if self.steps:
            self.chosen.emit(self.position_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag along the track."""
        if self.steps and event.buttons() & Qt.MouseButton.LeftButton:
            self.chosen.emit(self.position_at(event.position().x()))

    def event(self, event: QEvent) -> bool:
        """Say which step the mouse is on."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            words = "Steps are recorded here while the network runs"
            if not self.recording:
                words = "Nothing is recorded: Run, Record switches it on again"
            if self.steps:
                at = self.position_at(event.pos().x())
                run, frame, step = self.steps[at]
                words = f"run {run} · frame {frame} · step {step}"
                words += " · marked" if at in self.marks else ""
                words += "\nDrag to look back; Home and End go to the first and last step"
            QToolTip.showText(event.globalPos(), words, self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Lane, the part before the knob, beginnings of runs, marks, knob."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        lane, theme = self._lane(), self.theme
        painter.setPen(QPen(theme.colour("outline"), 1))
        painter.setBrush(theme.colour("canvas"))
        painter.drawRoundedRect(lane, TRACK / 2, TRACK / 2)
        if self.steps:
            x = self.x_of(self.position)
            done = QRectF(lane.left(), lane.top(), x - lane.left(), lane.height())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("accent_fill"))
            painter.drawRoundedRect(done, TRACK / 2, TRACK / 2)
            if self.stale:  # what came after the step that is shown
                later = QRectF(x, lane.top(), lane.right() - x, lane.height())
                pattern = QBrush(theme.colour("muted"), Qt.BrushStyle.BDiagPattern)
                painter.fillRect(later, pattern)
            self._draw_ticks(painter, lane)
            ring = theme.colour("accent" if self.hasFocus() else "window")
            painter.setPen(QPen(ring, 2))
            painter.setBrush(theme.colour("warn" if self.stale else "text"))
            painter.drawEllipse(QPointF(x, lane.center().y()), RADIUS, RADIUS)
        painter.end()

    def _draw_ticks(self, painter: QPainter, lane: QRectF) -> None:
        painter.setPen(QPen(self.theme.colour("muted"), 1))
        crowded = len(self.starts) * LEAST_PITCH > lane.width()
        for start in () if crowded else self.starts:
            x = round(self.x_of(start)) + 0.5
            painter.drawLine(QPointF(x, lane.top() - 5), QPointF(x, lane.bottom() + 5))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.theme.colour("selected"))
        for place in self.marks:
            x, y = self.x_of(place), lane.top() - 2
            points = [QPointF(x, y), QPointF(x - 4, y - 7), QPointF(x + 4, y - 7)]
            painter.drawPolygon(QPolygonF(points))

    def _lane(self) -> QRectF:
        inset = RADIUS + 2
        width = max(10.0, self.width() - 2 * inset)
        return QRectF(inset, (self.height() - TRACK) / 2 + 2, width, TRACK)


class TimelineBar(QWidget):
    """Track, ``step 12 of 40``, a button that marks the step, and whether what is shown is live.

    Signals:
        scrubbed: position of a recorded step that a person wants to see.
        mark_toggled: position of a step to mark (it is then kept), or to release.
        live_wanted: back to the newest step; `scrubbed` is sent too.
    """

    scrubbed = Signal(int)
    mark_toggled = Signal(int)
    live_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._position: int | None = None
        self._shown_live: tuple[bool, Theme] | None = None
        self.track = Track(self)
        self.label = ElidedLabel("number", "text", self, still=True, right=True)
        self.mark = QToolButton(self)
        self.mark.setCheckable(True)
        self.mark.setAccessibleName("Mark this step")
        self.mark.setToolTip("Mark this step, so that it is kept however long the run (M)")
        self.mark.setFixedSize(28, 28)
        self.live = QPushButton(LIVE, self)
        self.live.setAccessibleName("Back to live")
        widest = QFontMetrics(font("body")).horizontalAdvance(BACK)
        self.live.setFixedSize(widest + 56, 28)
        row = QHBoxLayout(self)
        row.setContentsMargins(SPACE_S, 0, SPACE_M, 0)
        row.setSpacing(SPACE_M)
        row.addWidget(self.track, 1)
        for widget in (self.label, self.mark, self.live):
            row.addWidget(widget)
        self.setFocusProxy(self.track)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.track.chosen.connect(self._choose)
        self.mark.clicked.connect(self._toggle_mark)
        self.live.clicked.connect(self.back_to_live)
        self.set_theme(DARK)

    # -- state ---------------------------------------------------------------------------------

    def set_steps(self, steps: Sequence[Step], marks: Sequence[int] | None = None) -> None:
        """What is recorded, in order; the newest is shown unless an earlier one was chosen."""
        self.track.steps = steps
        runs = [run for run, _, _ in steps]
        self.track.starts = tuple(i + 1 for i, (a, b) in enumerate(pairwise(runs)) if a != b)
        if marks is not None:
            self.track.marks = tuple(sorted(marks))
        if self._position is not None and self._position >= len(steps):
            self._position = None
        self._refresh()

    def set_marks(self, marks: Sequence[int]) -> None:
        """Positions of the marked steps."""
        self.track.marks = tuple(sorted(marks))
        self._refresh()

    def show_position(self, position: int | None) -> None:
        """Move the knob to the step that is on the screen; None is the newest."""
        last = len(self.track.steps) - 1
        self._position = None if position is None or position >= last else max(0, position)
        self._refresh()

    def position(self) -> int:
        """Where the knob stands."""
        last = max(0, len(self.track.steps) - 1)
        return last if self._position is None else self._position

    def is_live(self) -> bool:
        """Whether the newest step is shown, and the next one will be."""
        return self._position is None

    def set_recording(self, *, on: bool) -> None:
        """Say whether new steps are recorded."""
        self.track.recording = on
        self._refresh()

    def words(self) -> str:
        """``step 12 of 40``."""
        count = len(self.track.steps)
        if not count:
            return "nothing recorded" if self.track.recording else "not recording"
        return f"step {self.position() + 1:>{len(str(count))}} of {count}"

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.track.theme = theme
        self.mark.setIcon(icon("pin", theme, 16))
        self._refresh()

    # -- acts ----------------------------------------------------------------------------------

    @Slot()
    def back_to_live(self) -> None:
        """Show the newest step and follow what comes."""
        if not self.is_live():
            self._choose(len(self.track.steps) - 1)
            self.live_wanted.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and Right (or comma and point) walk, Home and End jump, M marks."""
        key, last = Qt.Key(event.key()), len(self.track.steps) - 1
        here = self.position()
        wanted = {
            Qt.Key.Key_Left: here - 1, Qt.Key.Key_Comma: here - 1,
            Qt.Key.Key_Right: here + 1, Qt.Key.Key_Period: here + 1,
            Qt.Key.Key_PageUp: self._start_of_run(here), Qt.Key.Key_Home: 0, Qt.Key.Key_End: last,
        }.get(key)  # fmt: skip
        if key == Qt.Key.Key_M and last >= 0:
            self._toggle_mark()
        elif wanted is None:
            super().keyPressEvent(event)
        elif 0 <= wanted <= last:
            self._choose(wanted)

    def _start_of_run(self, here: int) -> int:
        """Where the run of this step began, or the one before when it stands there already."""
        starts = (0, *self.track.starts)
        return starts[max(0, bisect_right(starts, here - 1) - 1)]

    @Slot(int)
    def _choose(self, position: int) -> None:
        if position != self.position():
            self.show_position(position)
            self.scrubbed.emit(position)

    @Slot()
    def _toggle_mark(self) -> None:
        self._refresh()  # the button says what is so, not what was clicked
        if self.track.steps:
            self.mark_toggled.emit(self.position())

    def _live_icon(self, *, live: bool) -> QIcon:
        token = "ok" if live else "text"
        shown = pixmap("record" if live else "skip", self.track.theme, 14, token)
        made = QIcon(shown)
        made.addPixmap(shown, QIcon.Mode.Disabled)
        return made

    def _show_live(self, *, live: bool) -> None:
        """The looks of the button and the words; a new style is dear, and each frame asks."""
        theme = self.track.theme
        if self._shown_live == (live, theme):
            return
        self._shown_live = live, theme
        self.label.set_theme(theme)
        self.label.set_token("text" if live else "warn")
        self.live.setText(LIVE if live else BACK)
        self.live.setEnabled(not live)
        calm = f"color: {theme['ok']}; border-color: transparent; background: transparent"
        self.live.setStyleSheet(calm if live else "")
        words = "The newest step is shown" if live else "An earlier step is shown: follow the run"
        self.live.setToolTip(words)
        self.live.setIcon(self._live_icon(live=live))

    def _refresh(self) -> None:
        track, live = self.track, self.is_live()
        track.position, track.stale = self.position(), not live
        widest = f"step {len(track.steps)} of {len(track.steps)}" if track.steps else self.words()
        self.label.set_room(QFontMetrics(font("number")).horizontalAdvance(widest) + 2)
        self.label.set_text(self.words())
        self.mark.setEnabled(bool(track.steps))
        self.mark.setChecked(self.position() in track.marks)
        self.live.setVisible(bool(track.steps))
        self._show_live(live=live)
        track.setAccessibleDescription(f"{self.words()}, {'live' if live else 'looking back'}")
        track.update()
