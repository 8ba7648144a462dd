"""The layer tree: every module of the running network, folded by stage, with live statistics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QSortFilterProxyModel, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QLabel, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from explorer.app.layer_model import LAYER, NODE, SEARCH, SHAPE, LayerModel, LayerRow, Node
from explorer.app.layer_view import LayerView
from explorer.panels.theme import Theme

if TYPE_CHECKING:
    from explorer.views import LayerStatistics

LIVE_MS = 250


class LayerTree(QWidget):
    """Search field, tree and, below it, all that is known of the current layer.

    ``current_changed`` (a person chose a row), ``ticked_changed`` (all ticked names, newest last)
    and ``ticked`` (name, on) come from the person only, never from a setter. ``unit_step`` asks
    for the unit before or after (Left and Right on a layer without children).
    """

    current_changed = Signal(str)
    ticked_changed = Signal(object)
    ticked = Signal(str, bool)
    unit_step = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Layers")
        self._ticked: list[str] = []
        self._chosen = ""  # the current layer, also while the filter hides its row
        self._pending: Sequence[LayerStatistics] = ()
        self._points: frozenset[str] = frozenset()
        self.model = LayerModel(self)
        self.shown = QSortFilterProxyModel(self)
        self.shown.setSourceModel(self.model)
        self.shown.setRecursiveFilteringEnabled(True)
        self.shown.setFilterRole(SEARCH)
        self.shown.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.field = QLineEdit()
        self.field.setPlaceholderText("Filter by name, kind or shape")
        self.field.setAccessibleName("Filter layers")
        self.field.setToolTip(
            "Shows the layers whose name, kind or shape has this; Ctrl+K goes to any"
        )
        self.field.setClearButtonEnabled(False)
        self.tree = LayerView(self)
        self.tree.setModel(self.shown)
        self.details = QLabel()
        self.details.setProperty("role", "caption")
        self.details.setWordWrap(True)
        self.details.setMinimumHeight(32)
        self.details.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.details.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(4)
        for widget in (self.field, self.tree, self.details):
            column.addWidget(widget)
        self._live = QTimer(self)
        self._live.setSingleShot(True)
        self._live.setInterval(LIVE_MS)
        self._live.timeout.connect(self._take_pending)
        self._silent = False
        self.field.textChanged.connect(self._filter)
        self.tree.selectionModel().currentChanged.connect(self._moved)
        self.model.tick_wanted.connect(self._tick)
        self.tree.units.connect(self.unit_step)
        self.set_layers([])

    # -- what is shown

    def set_layers(self, layers: Iterable[LayerRow]) -> None:
        """Show the modules of a network, folded; current row and ticks stay where they can."""
        current = self._chosen
        self._silent = True
        self.model.set_layers(layers)
        self._ticked = [n for n in self._ticked if n in self.model.nodes]
        self.set_points(self._points)
        self._fit_shapes()
        self._fold()
        if current in self.model.nodes:
            self.set_current(current)
        self._silent = False
        self._describe()

    def set_points(self, names: Iterable[str]) -> None:
        """Star the layers that the engine says are worth showing first."""
        self._points = frozenset(names)
        for name, node in self.model.nodes.items():
            node.starred = name in self._points
        self.tree.viewport().update()

    def show_statistics(self, rows: Sequence[LayerStatistics]) -> None:
        """Take live numbers; they are shown at most four times a second, the newest ones."""
        if not rows:
            return
        self._pending = rows
        if not self._live.isActive():
            self._take_pending()
            self._live.start()

    def set_ticked(self, names: Sequence[str]) -> None:
        """Tick these layers and no others, without telling."""
        self._ticked = [name for name in names if name in self.model.nodes]
        self.model.set_ticked(self._ticked)

    def ticked_names(self) -> list[str]:
        """The ticked layers, in the order in which they were."""
        return list(self._ticked)

    def set_current(self, name: str) -> None:
        """Make a row the current one, unfolded and in view, without telling."""
        if name in self.model.nodes:
            self._chosen = name
        place = self.shown.mapFromSource(self.model.place(name))
        if not place.isValid() or name == self.current():
            return
        before, self._silent = self._silent, True
        self.tree.setCurrentIndex(place)
        self.tree.scrollTo(place)
        self._silent = before

    def current(self) -> str:
        """Name of the current row; empty when there is none."""
        node = self.tree.currentIndex().data(NODE)
        return node.layer.name if node is not None else ""

    def move_by(self, by: int) -> None:
        """Go so many layers on (or back) among the rows that are unfolded, and tell."""
        place = self.tree.currentIndex()
        for _ in range(abs(by)):
            if not place.isValid():
                place = self.shown.index(0, LAYER)
                break
            following = self.tree.indexBelow(place) if by > 0 else self.tree.indexAbove(place)
            if not following.isValid():
                break
            place = following
        if place.isValid():
            self.tree.setCurrentIndex(place.siblingAtColumn(LAYER))
            self.tree.scrollTo(place)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.tree.set_theme(theme)

    # -- what happens

    @Slot()
    def _take_pending(self) -> None:
        if self._pending:
            self.model.set_statistics(self._pending)
            self._fit_shapes()
            self._pending = ()
            self.tree.viewport().update()
            self._describe()
            self._live.start()

    @Slot(str)
    def _filter(self, text: str) -> None:
        before, self._silent = self._silent, True
        self.shown.setFilterFixedString(text.strip())
        if text.strip():
            self.tree.expandAll()
        else:
            self._fold()
        place = self.shown.mapFromSource(self.model.place(self._chosen))
        # Qt moves on to a neighbour when the current row is hidden; nobody chose that one.
        self.tree.setCurrentIndex(place)
        if place.isValid():
            self.tree.scrollTo(place)
        self._silent = before
        self._describe()

    def _fit_shapes(self) -> None:
        self.tree.fit_shapes(node.text(SHAPE) for node in self.model.nodes.values() if node.called)

    def _fold(self) -> None:
        """Fold by stage; a network that is but one or two long lists is opened."""
        self.tree.collapseAll()
        stages = [node for node in self.model.roots if node.children]
        if len(stages) <= 2:
            for node in stages:
                self.tree.expand(self.shown.mapFromSource(self.model.place(node.layer.name)))

    @Slot()
    def _moved(self) -> None:
        self._describe()
        if not self._silent and self.current():
            self._chosen = self.current()
            self.current_changed.emit(self.current())

    @Slot(str, bool)
    def _tick(self, name: str, on: bool) -> None:
        self._ticked = [n for n in self._ticked if n != name] + ([name] if on else [])
        self.ticked.emit(name, on)
        self.ticked_changed.emit(self.ticked_names())

    def _describe(self) -> None:
        node: Node | None = self.tree.currentIndex().data(NODE)
        if node is not None:
            text = node.sentence()
        elif self.model.nodes:
            text = "Choose a layer; tick several to see them together."
        else:
            text = "The layers appear when the network is loaded."
        if text != self.details.text():
            self.details.setText(text)
