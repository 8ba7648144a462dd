"""The tour: six bubbles that point at real controls; doing what one says is as good as Next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from explorer.app.actions import ACTIONS
from explorer.panels.theme import DARK, Theme

ARROW, WIDTH, MARGIN = 10, 300, 8


@dataclass(frozen=True, slots=True)
class TourStep:
    """One bubble.

    Attributes:
        event: what a person does to end the step; `Tour.did` is told.
        target: which control it points at, by the window's name for it.
        text: ``{export}`` stands for the key of that command.
    """

    event: str
    target: str
    title: str
    text: str


STEPS: tuple[TourStep, ...] = (
    TourStep("source", "input", "Your own picture",
             "Drop a photo or clip anywhere, paste one ({paste}), or press {open-camera} for the "
             "camera."),
    TourStep("layer", "layers", "Any layer",
             "Choose a row, or press {palette}, type a name, then Enter. Ticks keep several open."),
    TourStep("unit", "maps", "One unit",
             "Each tile is a unit. Click one: it opens large, its field is drawn on the photo."),
    TourStep("edit", "maps", "Touch it",
             "Press {zero-unit} to silence the unit, {scale-down} and {scale-up} to scale it. "
             "{undo} takes it back."),
    TourStep("engine", "engines", "Another network",
             "Each engine opens with its own sample and says what to do first. Enter opens it."),
    TourStep("palette", "status", "Everything else",
             "{palette} finds every command, {keys} lists the keys, {export} saves what you see."),
)  # fmt: skip


def standard_key(name: str) -> str:
    """The key that a command has when nobody has changed it."""
    return next((row.shortcuts[0] for row in ACTIONS if row.id == name and row.shortcuts), "")


class Tour(QObject):
    """Walks through ``steps``; ``find`` gives the widget of a target, or None if not there.

    ``keys`` gives the key of a command as it is bound now.
    """

    ended = Signal()

    def __init__(
        self,
        window: QWidget,
        find: Callable[[str], QWidget | None],
        steps: tuple[TourStep, ...] = STEPS,
        keys: Callable[[str], str] = standard_key,
    ) -> None:
        super().__init__(window)
        self._keys = keys
        self._window, self._find, self._steps = window, find, steps
        self._at = -1
        self._theme: Theme = DARK
        self.bubble: Bubble | None = None

    @property
    def step(self) -> TourStep | None:
        """The step that is shown; None when the tour does not run."""
        return self._steps[self._at] if 0 <= self._at < len(self._steps) else None

    @Slot()
    def start(self) -> None:
        """Begin at the first step."""
        self._at = 0
        if self.bubble is None:
            self.bubble = Bubble(self._window)
            self.bubble.next.clicked.connect(self.advance)
            self.bubble.skip.clicked.connect(self.end)
            self._window.installEventFilter(self)
        self._show()

    @Slot()
    def advance(self) -> None:
        """Go to the next step; after the last one it ends."""
        self._at += 1
        if self.step is None:
            self.end()
        else:
            self._show()

    def did(self, event: str) -> None:
        """A person has done something; if it is what the bubble says, the step is over."""
        if self.step is not None and self.step.event == event:
            self.advance()

    @Slot()
    def end(self) -> None:
        """Take the bubble away."""
        if self._at < 0:
            return
        self._at = -1
        if self.bubble is not None:
            self._window.removeEventFilter(self)
            self.bubble.hide()
            self.bubble.deleteLater()
            self.bubble = None
        self.ended.emit()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        if self.bubble is not None:
            self.bubble.set_theme(theme)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay beside the control when the window changes its size."""
        if watched is self._window and event.type() == QEvent.Type.Resize and self.step is not None:
            self._place()
        return super().eventFilter(watched, event)

    def _show(self) -> None:
        if self.bubble is None or self.step is None:
            return
        bound = {row.id: self._keys(row.id) for row in ACTIONS if not row.submenu}
        step = replace(self.step, text=self.step.text.format_map(bound))
        self.bubble.show_step(step, self._at + 1, len(self._steps))
        self.bubble.set_theme(self._theme)
        self._place()
        self.bubble.show()
        self.bubble.raise_()

    def _place(self) -> None:
        if self.bubble is None or self.step is None:
            return
        target = self._find(self.step.target)
        whole = self._window.rect()
        if target is None or not target.isVisible():
            self.bubble.point_at(QRect(whole.center(), QSize(1, 1)), whole)
        else:
            corner = target.mapTo(self._window, QPoint(0, 0))
            self.bubble.point_at(QRect(corner, target.size()).intersected(whole), whole)


class Bubble(QWidget):
    """Title, text, "n / 6", Skip and Next, with an arrow at the side of its target.

    It is a child of the window and covers no more than itself: all beside it works as before.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("bubble")
        self._window = window
        self._theme: Theme = DARK
        self._tip = QPointF()
        self._side = "left"
        self.title, self.text, self.count = QLabel(), QLabel(), QLabel()
        self.title.setProperty("role", "title")
        self.count.setProperty("role", "caption")
        self.text.setWordWrap(True)
        self.skip, self.next = QPushButton("Skip"), QPushButton("Next")
        self.skip.setToolTip("End the tour")
        self.next.setToolTip("Go to the next step")
        self.next.setProperty("primary", True)
        for button in (self.skip, self.next):
            # The keys stay with the window: a step is done by doing it.
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        foot = QHBoxLayout()
        foot.addWidget(self.count)
        foot.addStretch(1)
        foot.addWidget(self.skip)
        foot.addWidget(self.next)
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(ARROW + 16, ARROW + 12, ARROW + 16, ARROW + 12)
        column.setSpacing(8)
        column.addWidget(self.title)
        column.addWidget(self.text)
        column.addLayout(foot)
        self.hide()

    def show_step(self, step: TourStep, number: int, count: int) -> None:
        """Show the words of a step."""
        self.title.setText(step.title)
        self.text.setText(step.text)
        self.count.setText(f"{number} / {count}")
        self.next.setText("Done" if number == count else "Next")
        self.setAccessibleName(f"Tour, {number} of {count}: {step.title}. {step.text}")

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.update()

    def point_at(self, target: QRect, whole: QRect) -> None:
        """Stand beside ``target``, inside ``whole``, on the side with the most room."""
        self.setFixedWidth(WIDTH)
        height = self._column.totalHeightForWidth(WIDTH)
        self.setFixedHeight(height)
        room = {
            "left": whole.right() - target.right(), "right": target.left() - whole.left(),
            "top": whole.bottom() - target.bottom(), "bottom": target.top() - whole.top(),
        }  # fmt: skip
        fits = [s for s in ("left", "right") if room[s] >= WIDTH + MARGIN]
        fits += [s for s in ("bottom", "top") if room[s] >= height + MARGIN]
        self._side = max(fits, key=lambda side: room[side]) if fits else "inside"
        centre = target.center()
        x, y = centre.x() - WIDTH // 2, centre.y() - height // 2
        x = {"left": target.right(), "right": target.left() - WIDTH}.get(self._side, x)
        y = {"top": target.bottom(), "bottom": target.top() - height}.get(self._side, y)
        x = min(max(whole.left() + MARGIN, x), whole.right() - WIDTH - MARGIN)
        y = min(max(whole.top() + MARGIN, y), whole.bottom() - height - MARGIN)
        self.move(x, y)
        self._tip = QPointF(self.mapFrom(self._window, centre))
        self.update()

    def arrow(self) -> QPolygonF:
        """The triangle that points at the target; upward when the bubble lies on its target."""
        w, h, half = float(self.width()), float(self.height()), float(ARROW)
        along_x = min(max(self._tip.x(), 3 * half), w - 3 * half)
        along_y = min(max(self._tip.y(), 3 * half), h - 3 * half)
        corners = {
            "left": [(0, along_y), (half, along_y - half), (half, along_y + half)],
            "right": [(w, along_y), (w - half, along_y - half), (w - half, along_y + half)],
            "bottom": [(along_x, h), (along_x - half, h - half), (along_x + half, h - half)],
        }.get(self._side, [(along_x, 0), (along_x - half, half), (along_x + half, half)])
        return QPolygonF([QPointF(x, y) for x, y in corners])

    def paintEvent(self, event: QPaintEvent) -> None:
        """A raised plate and its arrow in one outline."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        plate = QPainterPath()
        inner = self.rect().adjusted(ARROW, ARROW, -ARROW, -ARROW)
        plate.addRoundedRect(inner.x(), inner.y(), inner.width(), inner.height(), 6, 6)
        point = QPainterPath()
        point.addPolygon(self.arrow())
        point.closeSubpath()
        painter.setPen(QPen(self._theme.colour("accent"), 2))
        painter.setBrush(self._theme.colour("raised"))
        painter.drawPath(plate.united(point).simplified())
