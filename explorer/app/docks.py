"""Docks: one for each artefact group, named ``engine:group``, and how they first stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QBoxLayout,
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QStackedLayout,
    QTabBar,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from explorer.app.drop import DropZone, yield_drops
from explorer.panels.icons import icon, pixmap

if TYPE_CHECKING:
    from explorer.core.registry import Row
    from explorer.panels.theme import Theme

AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea,
    "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
    "centre": Qt.DockWidgetArea.TopDockWidgetArea,  # above the maps, between the side columns
}
TALL = 820  # px: from here on the right column has room for three docks one above the other
NARROW = 400  # px: four buttons of a card do not fit side by side
COLUMN = 400  # px: in a narrower dock two items do not fit side by side
# Share of the window's height above and below the maps, by task layout and by what there is.
# Of the height, above and below the maps: where pictures side by side are what it is about.
SHARES = {"style": (0.46, 0.22), "detector": (0.44, 0.32)}
BOTH, BELOW = (0.32, 0.38), (0.42, 0.28)
INPUT_SHARE = {1: 1.0, 2: 0.55, 3: 0.4}  # of the right column's height, by its number of docks


class TitleBar(QWidget):
    """Title, a muted remark, the state (frozen, stale) and two buttons; drags like Qt's own."""

    def __init__(self, dock: QDockWidget) -> None:
        super().__init__(dock)
        self._theme: Theme | None = None
        self._hatched = False
        self._icon_name = ""
        self._tabbed = False
        self.title = QLabel(dock.windowTitle(), self)
        self.title.setProperty("role", "title")
        self.remark = QLabel("", self)
        self.remark.setProperty("role", "caption")
        self.remark.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.state_icon = QLabel(self)
        self.state = QLabel("", self)
        self.state.setProperty("role", "caption")
        self.float_button = self._button("maximize", "Detach or dock", dock.windowTitle())
        self.close_button = self._button(
            "x", "Close; View, Docks opens it again", dock.windowTitle()
        )
        self.close_button.clicked.connect(dock.close)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 4, 2)
        row.setSpacing(8)
        row.addWidget(self.title)
        row.addWidget(self.remark, 1)
        for widget in (self.state_icon, self.state, self.float_button, self.close_button):
            row.addWidget(widget)
        row.setSpacing(4)
        self.state_icon.hide()
        self.state.hide()

    def _button(self, icon_name: str, tip: str, title: str) -> QToolButton:
        button = QToolButton(self)
        button.setProperty("icon_name", icon_name)
        button.setToolTip(tip)
        button.setAccessibleName(f"{tip.partition(';')[0]}: {title}")
        button.setIconSize(QSize(14, 14))
        button.setFixedSize(24, 24)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setStyleSheet("QToolButton { min-height: 20px; min-width: 20px; padding: 0; }")
        return button

    def set_theme(self, theme: Theme) -> None:
        """Tint the buttons."""
        self._theme = theme
        for button in (self.float_button, self.close_button):
            button.setIcon(icon(str(button.property("icon_name")), theme, 14, "muted"))
        self._tint_state()
        self.update()

    def set_tabbed(self, *, tabbed: bool) -> None:
        """In a tab group the tab says the title: only a state needs the bar then."""
        self._tabbed = tabbed
        self.title.setVisible(not tabbed)
        self._fit()

    def sizeHint(self) -> QSize:
        """No height at all when there is nothing to say."""
        hidden = self._tabbed and not self.state.text()
        return QSize(super().sizeHint().width(), 0 if hidden else super().sizeHint().height())

    def _fit(self) -> None:
        hidden = self._tabbed and not self.state.text()
        self.setMaximumHeight(0 if hidden else 16777215)
        self.updateGeometry()

    def set_state(self, text: str, icon_name: str = "", *, hatched: bool = False) -> None:
        """Show ``frozen`` with a snowflake, or a stale frame's number on hatching."""
        if (text, hatched) == (self.state.text(), self._hatched):
            return  # at every frame: the window would be laid out anew
        self._hatched = hatched
        self.state.setText(text)
        self.state.setVisible(bool(text))
        self.state_icon.setVisible(bool(icon_name))
        self._icon_name = icon_name
        self._tint_state()
        self._fit()
        self.update()

    def _tint_state(self) -> None:
        if self._icon_name and self._theme is not None:
            self.state_icon.setPixmap(pixmap(self._icon_name, self._theme, 14, "accent"))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Hatch the bar behind a stale picture's title."""
        if self._theme is None:
            return
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._theme["window"]))
        if self._hatched:
            painter.setPen(QPen(QColor(self._theme["hairline"]), 1))
            for x in range(-self.height(), self.width(), 6):
                painter.drawLine(x, self.height(), x + self.height(), 0)
        painter.end()


class Dock(QDockWidget):
    """A dock with a body, a card that may lie over it, and a title bar that tells its state."""

    dropped = Signal(object)  # list[Dropped]

    def __init__(self, name: str, title: str, window: QMainWindow) -> None:
        super().__init__(title, window)
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setFeatures(
            QDockWidget.DockWidgetFeature.DockWidgetClosable
            | QDockWidget.DockWidgetFeature.DockWidgetMovable
            | QDockWidget.DockWidgetFeature.DockWidgetFloatable
        )
        self.bar = TitleBar(self)
        self.bar.float_button.clicked.connect(self._float)
        self.setTitleBarWidget(self.bar)
        self._frame = QFrame(self)
        self._frame.setObjectName("dockframe")
        self._frame.setMinimumSize(120, 48)  # so that a card never widens the column
        self._stack = QStackedLayout(self._frame)
        self._body = QWidget(self._frame)
        self._column = QVBoxLayout(self._body)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._stack.addWidget(self._body)
        self._card: QWidget | None = None
        self.setWidget(self._frame)
        DropZone(self).dropped.connect(self.dropped)
        self._in_front = True
        self.visibilityChanged.connect(self._note_in_front)

    def add(self, widget: QWidget, stretch: int = 0) -> None:
        """Add a widget to the body, below what is there."""
        self._column.addWidget(widget, stretch)

    def fill(self, panel: QWidget) -> None:
        """Put the panel in that takes the room there is; a group is told when nobody can see it."""
        yield_drops(panel)
        self.add(panel, 1)
        if hasattr(panel, "set_in_front"):
            panel.set_in_front(self._in_front)
            self.visibilityChanged.connect(panel.set_in_front)

    @Slot(bool)
    def _note_in_front(self, in_front: bool) -> None:
        self._in_front = in_front

    def add_stretch(self) -> None:
        """Keep what was added at the top."""
        self._column.addStretch(1)

    def card(self) -> QWidget | None:
        """The card that lies over the body, if any."""
        return self._card

    def show_card(self, card: QWidget) -> None:
        """Lay a card over the body; the body stays as it is beneath."""
        self.clear_card()
        self._card = card
        put_away(card, self.clear_card)
        if self.width() < NARROW:
            for row in card.findChildren(QHBoxLayout):
                stack_buttons(row)
        self._stack.addWidget(card)
        self._stack.setCurrentWidget(card)

    @Slot()
    def clear_card(self) -> None:
        """Take the card away."""
        if self._card is not None:
            self._stack.setCurrentWidget(self._body)
            self._stack.removeWidget(self._card)
            self._card.hide()
            self._card.deleteLater()
            self._card = None

    def set_theme(self, theme: Theme) -> None:
        """Tint the title bar; the body's panels are told by whoever owns them."""
        self.bar.set_theme(theme)

    def set_frozen(self, theme: Theme, *, frozen: bool) -> None:
        """A blue frame and a snowflake while the picture is held."""
        edge = f"2px solid {theme['accent']}" if frozen else "none"
        self._frame.setStyleSheet(f"QFrame#dockframe {{ border: {edge}; }}")
        self.bar.set_state("frozen" if frozen else "", "snowflake" if frozen else "")

    @Slot()
    def _float(self) -> None:
        self.setFloating(not self.isFloating())

    def minimumSizeHint(self) -> QSize:
        """Small enough that three stand one above the other on a small screen."""
        return QSize(160, 72)


class _PutAway(QToolButton):
    """A cross in the upper right corner of a card."""

    def __init__(self, card: QWidget, act: Callable[[], None]) -> None:
        super().__init__(card)
        self.setText("×")
        self.setAccessibleName("Put this away")
        self.setToolTip("Put this away; what ran before is still there (Esc)")
        self.setFixedSize(24, 24)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.clicked.connect(act)
        card.installEventFilter(self)
        self.show()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in the corner."""
        if event.type() == QEvent.Type.Resize and isinstance(watched, QWidget):
            self.move(watched.width() - self.width() - 8, 8)
            self.raise_()
        return False


def stack_buttons(row: QHBoxLayout) -> None:
    """In a narrow dock the buttons of a card stand one below the other."""
    items = [row.itemAt(i) for i in range(row.count())]
    widgets = [item.widget() for item in items if item is not None]
    if sum(isinstance(w, QPushButton) for w in widgets) > 1:
        row.setDirection(QBoxLayout.Direction.TopToBottom)


def put_away(card: QWidget, act: Callable[[], None]) -> None:
    """Give a card a cross that takes it away."""
    _PutAway(card, act)


class EngineDocks:
    """The docks of the engine in use: all made, then shown, then restored; the order matters."""

    def __init__(self, window: QMainWindow) -> None:
        self._window = window
        self.docks: dict[str, Dock] = {}
        self.row: Row | None = None

    def make(self, row: Row) -> dict[str, Dock]:
        """Replace the last engine's docks by those of ``row``; the input dock is always one."""
        for dock in self.docks.values():
            self._window.removeDockWidget(dock)
            dock.hide()
            dock.setParent(None)
            dock.deleteLater()
        self.row = row
        self.docks = {}
        titles = {"input": "Input"} | {g.name: g.title for g in row.groups.values()}
        for group, title in titles.items():
            self.docks[group] = Dock(f"{row.name}:{group}", title, self._window)
        return self.docks

    def area(self, group: str) -> str:
        """Where a group's dock first stands; the input is always at the right."""
        if self.row is None or group == "input" or group not in self.row.groups:
            return "right"
        return self.row.groups[group].area

    def learning(self) -> list[Dock]:
        """The docks that the training alone fills."""
        return [dock for group, dock in self.docks.items() if self._learns(group)]

    def show_learning(self) -> None:
        """Bring them to the front, where they are open; the first of several in one place."""
        for dock in reversed(self.learning()):
            if not dock.isHidden():
                dock.raise_()

    def arrange(self, left: list[Dock], knobs: Dock) -> None:
        """The first layout: lists left, input and knobs right, results above and below the maps."""
        window = self._window
        for dock in [*left, *self._at("left")]:
            window.addDockWidget(AREAS["left"], dock)
        for above, below in pairwise([*left, *self._at("left")]):
            window.tabifyDockWidget(above, below)
        self._arrange_right(knobs)
        self._arrange_row("centre")
        self._arrange_row("bottom")
        for dock in [*left, *self.docks.values(), knobs]:
            dock.setFloating(False)
            dock.show()
        right = self._beside_input() or [knobs]
        firsts = [left[:1], right[:1], self._at("centre"), self._at("bottom")]
        for dock in reversed([dock for docks in firsts for dock in docks]):
            dock.raise_()
        self._resize(left[0], knobs)

    def _at(self, area: str) -> list[Dock]:
        """The docks of an area, those that only the training fills last."""
        groups = [g for g in self.docks if g != "input" and self.area(g) == area]
        return [self.docks[g] for g in sorted(groups, key=self._learns)]

    def _learns(self, group: str) -> bool:
        row = None if self.row is None else self.row.groups.get(group)
        return row is not None and row.when == "training"

    def _shares(self) -> tuple[float, float]:
        row = self.row
        if row is not None and row.layout in SHARES:
            return SHARES[row.layout]
        return BOTH if self._at("centre") and self._at("bottom") else BELOW

    def _side_widths(self) -> tuple[int, int]:
        wide = self._window.width()
        return max(240, min(290, wide // 5)), max(250, min(330, wide // 4))

    def _bars_height(self) -> int:
        """What the menu, the tool bars and the status bar take away from the docks."""
        direct = Qt.FindChildOption.FindDirectChildrenOnly
        bars: list[Any] = [self._window.menuWidget(), self._window.statusBar()]
        bars += self._window.findChildren(QToolBar, options=direct)
        return sum(bar.sizeHint().height() for bar in bars)

    def _columns(self, area: str) -> int:
        """Docks side by side: as far as there is room, and none that waits for a training."""
        room = (self._window.width() - sum(self._side_widths())) // COLUMN
        waiting = self.learning()
        return max(1, min(room, sum(dock not in waiting for dock in self._at(area))))

    def _beside_input(self) -> list[Dock]:
        """The docks between input and knobs, one behind the other; none that all wait."""
        docks = self._at("right")
        return docks if set(docks) - set(self.learning()) else []

    def _arrange_right(self, knobs: Dock) -> None:
        window, first = self._window, self.docks["input"]
        window.addDockWidget(AREAS["right"], first)
        window.splitDockWidget(first, knobs, Qt.Orientation.Vertical)
        others = self._beside_input()
        if others:
            window.splitDockWidget(first, others[0], Qt.Orientation.Vertical)
            if window.height() < TALL:
                window.tabifyDockWidget(others[0], knobs)
        for before, dock in pairwise(others or [knobs, *self._at("right")]):
            window.tabifyDockWidget(before, dock)

    def _arrange_row(self, area: str) -> None:
        """Side by side as far as there is room, the others in tabs behind them."""
        docks, columns = self._at(area), self._columns(area)
        for before, dock in zip([None, *docks], docks[:columns], strict=False):
            if before is None:
                self._window.addDockWidget(AREAS[area], dock)
            else:
                self._window.splitDockWidget(before, dock, Qt.Orientation.Horizontal)
        for place, dock in enumerate(docks[columns:]):
            self._window.tabifyDockWidget(docks[columns - 1 - place % columns], dock)

    def _resize(self, left: Dock, knobs: Dock) -> None:
        window, first = self._window, self.docks["input"]
        across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        window.resizeDocks([left, first], list(self._side_widths()), across)
        column = [first, *self._beside_input()[:1]]
        if knobs not in window.tabifiedDockWidgets(column[-1]):
            column.append(knobs)
        high = window.height() - self._bars_height()
        slots_only = self.row is not None and "input" not in self.row.groups
        top = first.sizeHint().height() + 16 if slots_only else int(high * INPUT_SHARE[len(column)])
        rest = (high - top) // max(1, len(column) - 1)
        window.resizeDocks(column, [top, *[rest] * (len(column) - 1)], down)
        for area, share in zip(("centre", "bottom"), self._shares(), strict=True):
            docks = self._at(area)
            height = max(150, int(window.height() * share))
            window.resizeDocks(docks[:1], [height] * len(docks[:1]), down)
            visible = docks[: self._columns(area)]
            window.resizeDocks(visible, [COLUMN] * len(visible), across)


class TabWatcher(QWidget):
    """Tells title bars whether their dock is in a tab group, whenever the layout has changed."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self.hide()
        self._window = window
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.look)

    def watch(self, docks: Iterable[Dock]) -> None:
        """Look again whenever one of these moves or shows."""
        for dock in docks:
            dock.dockLocationChanged.connect(self.soon)
            dock.topLevelChanged.connect(self.soon)
            dock.visibilityChanged.connect(self.soon)

    @Slot()
    def soon(self) -> None:
        """Look when the layout has settled."""
        self._later.start(0)

    @Slot()
    def look(self) -> None:
        """Tell every title bar; the tab bars are Qt's own and draw a base line unless told."""
        for bar in self._window.findChildren(QTabBar):
            bar.setDrawBase(False)
            bar.setAccessibleName("Docks: " + ", ".join(map(bar.tabText, range(bar.count()))))
        for dock in self._window.findChildren(Dock):
            tabbed = bool(self._window.tabifiedDockWidgets(dock)) and not dock.isFloating()
            dock.bar.set_tabbed(tabbed=tabbed)
