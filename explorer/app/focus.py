"""The way of the keyboard through the window: the order of Tab, F6 from dock to dock, the ring."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Qt, Slot
from PySide6.QtGui import QPainter, QPaintEvent, QRegion
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QLineEdit,
    QListView,
    QMainWindow,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QStatusBar,
    QTabBar,
    QToolBar,
    QToolButton,
    QTreeView,
    QWidget,
)

from explorer.panels.theme import DARK, Theme

WIDTH, OFFSET = 2, 2  # px of the ring, and between it and the control
ZONES = {
    Qt.DockWidgetArea.LeftDockWidgetArea: 1,
    Qt.DockWidgetArea.TopDockWidgetArea: 2,
    Qt.DockWidgetArea.BottomDockWidgetArea: 4,
    Qt.DockWidgetArea.RightDockWidgetArea: 5,
}
STRIP, CENTRE, TOOLS, STATUS, FLOATING = 0, 3, 6, 7, 8
# The style sheet gives these a border of their own when they have the focus.
RINGED = (QLineEdit, QPushButton, QComboBox, QAbstractSpinBox, QPlainTextEdit, QTreeView,
          QListView, QTabBar)  # fmt: skip
Key = tuple[int, ...]


class Focus(QObject):
    """Moves the focus in the order in which a person reads: left docks, maps, bottom, right.

    Qt's own order is that of making, and leads through docks that lie behind others.

    Args:
        islands: what covers the window and keeps Tab to itself while the focus is in it.
    """

    def __init__(self, window: QMainWindow, islands: Callable[[], Sequence[QWidget]]) -> None:
        super().__init__(window)
        self._window, self._islands = window, islands
        self.ring = Ring(window)

    def stops(self) -> list[QWidget]:
        """Everything that Tab comes to, in order."""
        here = self._window.focusWidget()
        around = next((i for i in self._islands() if here is not None and _in(here, i)), None)
        root = around if around is not None else self._window
        found = [w for w in root.findChildren(QWidget) if self._takes_focus(w)]
        if around is None:
            islands = self._islands()
            found = [w for w in found if not any(_in(w, island) for island in islands)]
        return sorted(found, key=self._place)

    def move(self, *, forward: bool) -> bool:
        """Go one stop on or back, round and round; False when there is none."""
        stops = self.stops()
        if not stops:
            return False
        self._go(_after(self._window.focusWidget(), stops, forward=forward), forward=forward)
        return True

    def move_dock(self, *, forward: bool) -> None:
        """Go to the first stop of the next dock (or the maps, or the controls of the clip)."""
        firsts: dict[QWidget, QWidget] = {}
        for stop in self.stops():
            part = self._part(stop)
            if not isinstance(part, QTabBar) and part is not self._window.menuWidget():
                firsts.setdefault(part, stop)
        here = self._window.focusWidget()
        now = None if here is None else self._part(here)
        if firsts:
            self._go(firsts[_after(now, list(firsts), forward=forward)], forward=forward)

    def _go(self, to: QWidget, *, forward: bool) -> None:
        reason = Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
        to.setFocus(reason)
        above: QWidget | None = to.parentWidget()
        while above is not None and above is not self._window:
            if isinstance(above, QScrollArea):
                above.ensureWidgetVisible(to, 8, 8)
            above = above.parentWidget()
        self.ring.put_around(to)

    def _takes_focus(self, widget: QWidget) -> bool:
        return (
            bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
            and widget.isEnabled()
            and widget.isVisible()
            and widget.focusProxy() is None
            and widget.window() is self._window
            and not isinstance(widget, QMainWindow)
            and self._on_screen(widget)
        )

    def _on_screen(self, widget: QWidget) -> bool:
        """Whether it can be seen, if need be after scrolling; not behind another tab's dock."""
        probe, above = widget, widget.parentWidget()
        while above is not None and above is not self._window:
            if isinstance(above, QScrollArea):
                probe = above
            above = above.parentWidget()
        shown, part = probe.rect(), probe
        while (above := part.parentWidget()) is not None and part is not self._window:
            shown = shown.translated(part.pos()).intersected(above.rect())
            part = above
        return not shown.isEmpty()

    def _part(self, widget: QWidget) -> QWidget:
        """The direct child of the window in which a widget lies."""
        part = widget
        while part is not self._window and part.parentWidget() is not self._window:
            above = part.parentWidget()
            if above is None:
                break
            part = above
        return part

    def _zone(self, part: QWidget) -> int:
        if isinstance(part, QDockWidget):
            return ZONES.get(self._window.dockWidgetArea(part), FLOATING)
        if isinstance(part, QTabBar):
            below = QPoint(part.geometry().center().x(), part.geometry().bottom() + 12)
            under = self._window.childAt(below)
            return self._zone(self._part(under)) if under not in (None, part) else FLOATING
        if part is self._window.centralWidget():
            return CENTRE
        if part is self._window.menuWidget():
            return STRIP
        if isinstance(part, QToolBar):
            return TOOLS
        return STATUS if isinstance(part, QStatusBar) else FLOATING

    def _place(self, widget: QWidget) -> Key:
        part = self._part(widget)
        corner = part.geometry().topLeft()
        bar = part.titleBarWidget() if isinstance(part, QDockWidget) else None
        on_bar = bar is not None and _in(widget, bar)
        middle = widget.mapTo(self._window, widget.rect().center())
        left = widget.mapTo(self._window, QPoint(0, 0)).x()
        return (self._zone(part), corner.y(), corner.x(), int(on_bar), middle.y() // 4, left)


class Ring(QWidget):
    """A frame around the control that the keyboard has come to; the mouse takes it away."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("focusring")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._theme: Theme = DARK
        self.around: QWidget | None = None
        self._watched: list[QWidget] = []
        self.hide()
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._focus_changed)

    def put_around(self, widget: QWidget) -> None:
        """Show where the focus is; what has a border of its own needs no ring."""
        self.take_away()
        if isinstance(widget, RINGED):
            return
        self.around = widget
        above: QWidget | None = widget
        while above is not None and above is not self.parentWidget():
            above.installEventFilter(self)
            self._watched.append(above)
            above = above.parentWidget()
        self._fit()
        self.show()
        self.raise_()

    def take_away(self) -> None:
        """No ring."""
        for widget in self._watched:
            widget.removeEventFilter(self)
        self._watched, self.around = [], None
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay around the control when it or what holds it moves; go when it is hidden."""
        if event.type() in (QEvent.Type.Move, QEvent.Type.Resize):
            self._fit()
        elif event.type() in (QEvent.Type.Hide, QEvent.Type.MouseButtonPress):
            self.take_away()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        """The mask leaves nothing but the frame."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._theme.colour("accent"))
        painter.end()

    def _fit(self) -> None:
        window, widget = self.parentWidget(), self.around
        if widget is None or window is None:
            return
        # A tool button carries a border of the style sheet already: the ring lies on it.
        out = 0 if isinstance(widget, QToolButton) else WIDTH + OFFSET
        place = QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())
        place = place.adjusted(-out, -out, out, out).intersected(window.rect())
        self.setGeometry(place)
        inner = self.rect().adjusted(WIDTH, WIDTH, -WIDTH, -WIDTH)
        self.setMask(QRegion(self.rect()).subtracted(QRegion(inner)))

    @Slot(QWidget, QWidget)
    def _focus_changed(self, _old: QWidget | None, new: QWidget | None) -> None:
        if self.around is not None and new is not self.around:
            self.take_away()


def _after(here: QWidget | None, those: Sequence[QWidget], *, forward: bool) -> QWidget:
    """The next or the one before, round and round; an end of the row when ``here`` is none."""
    if here not in those:
        return those[0 if forward else -1]
    return those[(those.index(here) + (1 if forward else -1)) % len(those)]


def _in(widget: QWidget, holder: QWidget) -> bool:
    return widget is holder or holder.isAncestorOf(widget)
