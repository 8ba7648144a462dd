"""The middle of the window: a mosaic for each ticked layer, the current one large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QRect, QTimer, Signal, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QWidget

from explorer.app.card import EmptyCard
from explorer.app.docks import put_away
from explorer.app.drop import DropZone, yield_drops

if TYPE_CHECKING:
    from explorer.panels.maps import MapsPanel
    from explorer.panels.theme import Theme
    from explorer.views import Rendered, View

GAP = 4
A_ROW = 4  # small panels side by side
ROWS = 2


class Centre(QWidget):
    """Holds the MapsPanels; hidden ones ask for no view, so nothing is captured for them."""

    dropped = Signal(object)  # list[Dropped]
    views_changed = Signal(object)  # tuple[View, ...]
    current_changed = Signal(str)
    panel_made = Signal(object)  # MapsPanel
    unit_selected = Signal(object)  # (point, unit or None)
    find_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("centre")
        self.setAccessibleName("Maps")
        self.setMinimumSize(280, 200)
        self._theme: Theme | None = None
        self._make: Callable[[], MapsPanel] | None = None
        self._panels: dict[str, MapsPanel] = {}
        self._views: dict[str, View] = {}
        self._wanted: tuple[str, ...] = ()
        self._sent: tuple[View, ...] | None = None
        self.current = ""
        self._card: QWidget | None = None
        self.nothing = EmptyCard(
            "No layer is shown",
            "Tick a layer at the left, or find one by typing its name.",
            (("PgUp, PgDn", "Layer above or below"), ("Ctrl+K", "Find a layer or command")),
            "Find a layer",
            self.find_wanted.emit,
        )
        self.nothing.setParent(self)
        self.nothing.hide()
        self._more = QLabel("", self)
        self._more.setProperty("role", "caption")
        self._more.hide()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._send_views)
        DropZone(self).dropped.connect(self.dropped)

    def enable(self, make: Callable[[], MapsPanel]) -> None:
        """Panels may be made from now on (pyqtgraph is imported); make those that are ticked."""
        self._make = make
        self.show_points(self._wanted, self.current)

    def show_points(self, points: Sequence[str], current: str = "") -> None:
        """Show these layers, in this order; ``current`` large."""
        before = self.current
        self._wanted = tuple(dict.fromkeys(points))
        self.current = current if current in self._wanted else next(iter(self._wanted), "")
        if self._make is None:
            return
        for name in [n for n in self._panels if n not in self._wanted]:
            panel = self._panels.pop(name)
            self._views.pop(name, None)
            panel.hide()
            panel.setParent(None)
            panel.deleteLater()
        for name in self._wanted:
            if name not in self._panels:
                self._panels[name] = self._new_panel(name, self._make)
        self._arrange()
        if self.current != before:
            self.current_changed.emit(self.current)

    def make_current(self, point: str) -> None:
        """Show this one large."""
        if point in self._wanted and point != self.current:
            self.current = point
            self._arrange()
            self.current_changed.emit(point)

    def points(self) -> tuple[str, ...]:
        """The layers that are ticked, in order."""
        return self._wanted

    def panel(self, point: str = "") -> MapsPanel | None:
        """The panel of a layer, or the current one."""
        return self._panels.get(point or self.current)

    def panels(self) -> Iterable[MapsPanel]:
        """All of them, shown or not."""
        return self._panels.values()

    def views(self) -> tuple[View, ...]:
        """What the visible panels ask for."""
        return tuple(
            view for name, view in self._views.items()
            if name in self._panels and self._panels[name].isVisible()
        )  # fmt: skip

    def show_rendered(self, pictures: Iterable[Rendered]) -> None:
        """Give each picture to the panel that asked for it."""
        for rendered in pictures:
            panel = self._panels.get(rendered.view.point)
            if panel is not None and panel.isVisible():
                panel.show_rendered(rendered)

    def send_again(self) -> None:
        """Tell the views at once, before the first run: a new network knows nothing of them."""
        self._sent = None
        self._later.stop()
        self._send_views()

    def set_frozen(self, *, frozen: bool) -> None:
        """Frame all panels while the picture is held."""
        for panel in self._panels.values():
            panel.set_frozen(frozen=frozen)

    def set_stale(self, words: str) -> None:
        """Say in all panels which earlier step they show; "" for the present."""
        for panel in self._panels.values():
            panel.set_stale(words)

    def show_card(self, card: QWidget) -> None:
        """Lay a card over the panels."""
        self.clear_card()
        self._card = card
        card.setParent(self)
        put_away(card, self.clear_card)
        self._arrange()
        card.show()
        card.raise_()

    @Slot()
    def clear_card(self) -> None:
        """Take the card away."""
        if self._card is not None:
            self._card.hide()
            self._card.deleteLater()
            self._card = None
            self._arrange()

    def card(self) -> QWidget | None:
        """The card that lies over the panels, if any."""
        return self._card

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.nothing.set_theme(theme)
        self.update()
        for panel in self._panels.values():
            panel.set_theme(theme)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The plane between the panels; a palette would lose against the style sheet."""
        if self._theme is not None:
            painter = QPainter(self)
            painter.fillRect(event.rect(), QColor(self._theme["window"]))
            painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay out again."""
        super().resizeEvent(event)
        self._arrange()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A click on a small panel's header makes it the large one."""
        if event.type() == QEvent.Type.MouseButtonRelease:
            for name, panel in self._panels.items():
                if panel.header is watched:
                    self.make_current(name)
        return super().eventFilter(watched, event)

    def _new_panel(self, name: str, make: Callable[[], MapsPanel]) -> MapsPanel:
        panel = make()
        panel.setParent(self)
        panel.setObjectName(f"maps:{name}")
        panel.view_wanted.connect(self._want)
        panel.unit_selected.connect(self._selected)
        panel.header.installEventFilter(self)
        yield_drops(panel)
        panel.set_point(name)
        self.panel_made.emit(panel)
        return panel

    def _arrange(self) -> None:
        whole = self.rect()
        others = [n for n in self._wanted if n != self.current]
        shown = others[: A_ROW * ROWS]
        low = self._strip_height(len(shown))
        large = QRect(0, 0, whole.width(), whole.height() - low)
        if self._card is not None:
            self._card.setGeometry(whole)
        self.nothing.setGeometry(whole)
        self.nothing.setVisible(self._make is not None and not self._wanted and self._card is None)
        for name, panel in self._panels.items():
            if name == self.current:
                panel.setGeometry(large)
            elif name in shown:
                panel.setGeometry(self._cell(shown.index(name), len(shown), low))
            panel.setVisible((name == self.current or name in shown) and self._card is None)
        left = len(others) - len(shown)
        self._more.setVisible(left > 0)
        self._more.setText(f"{left} more ticked layers are not shown; untick some")
        self._more.adjustSize()
        self._more.move(8, whole.height() - self._more.height())
        self._later.start(0)

    def _strip_height(self, count: int) -> int:
        if not count:
            return 0
        rows = -(-count // A_ROW)
        return min(int(self.height() * (0.30 if rows == 1 else 0.46)), 240 * rows)

    def _cell(self, index: int, count: int, low: int) -> QRect:
        rows = -(-count // A_ROW)
        per_row = -(-count // rows)
        row, column = divmod(index, per_row)
        in_row = min(per_row, count - row * per_row)
        wide = (self.width() - GAP * (in_row - 1)) // in_row
        high = (low - GAP * rows) // rows
        top = self.height() - low + GAP + row * (high + GAP)
        return QRect(column * (wide + GAP), top, wide, high)

    @Slot(object)
    def _want(self, view: View) -> None:
        self._views[view.point] = view
        self._later.start(0)

    @Slot(object)
    def _selected(self, selection: tuple[str, int | None]) -> None:
        if selection[1] is not None:
            self.make_current(selection[0])
        self.unit_selected.emit(selection)

    @Slot()
    def _send_views(self) -> None:
        views = self.views()
        if views != self._sent:
            self._sent = views
            self.views_changed.emit(views)
