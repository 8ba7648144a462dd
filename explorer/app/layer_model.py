"""The modules of the running network as a tree that Qt can show: names, shapes, live statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import (
    QAbstractItemModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from explorer.panels.theme import kind_token
from explorer.panels.wording import MINUS, number_text, percent_text, shape_text

if TYPE_CHECKING:
    from explorer.views import LayerStatistics

Index = QModelIndex | QPersistentModelIndex
NODE, SEARCH = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1
COLUMNS = ("Layer", "Shape", "Active", "Kind", "Zeros", "Mean", "Parameters")
LAYER, SHAPE, ACTIVE, KIND, ZEROS, MEAN, PARAMETERS = range(7)


class LayerRow(Protocol):
    """What the tree needs to know of one module."""

    @property
    def name(self) -> str:
        """Dotted name."""

    @property
    def kind(self) -> str:
        """Name of the module's class."""

    @property
    def parameters(self) -> int:
        """How many, children included."""

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of its output, batch included; None before the first run."""

    @property
    def leaf(self) -> bool:
        """Whether it has no modules inside."""

    @property
    def called(self) -> bool | None:
        """Whether its parent calls it; None before the first run."""


@dataclass(eq=False, slots=True)
class Node:
    """One module and its place in the tree."""

    layer: LayerRow
    parent: Node | None
    row: int
    children: list[Node] = field(default_factory=list)
    ticked: bool = False
    starred: bool = False
    statistics: LayerStatistics | None = None
    broken: str = ""  # the first layer inside, or itself, that is not finite

    @property
    def tail(self) -> str:
        """The name without that of the parent."""
        name = self.layer.name
        return name if self.parent is None else name.removeprefix(self.parent.layer.name + ".")

    @property
    def called(self) -> bool:
        """False only where it is known that nothing calls it."""
        return self.layer.called is not False

    def text(self, column: int) -> str:
        """What a cell says."""
        layer, live = self.layer, self.statistics
        shape = live.shape if live is not None else layer.shape
        if column == LAYER:
            return self.tail
        if column == SHAPE:
            return (
                "not called" if not self.called else shape_text(shape, batch=True) if shape else ""
            )
        if column == KIND:
            return kind_word(layer.kind, leaf=layer.leaf)
        if column == PARAMETERS:
            return f"{layer.parameters:,}" if layer.parameters else "0"
        if live is None or not self.called:
            return ""
        if not live.finite and column in (MEAN, ACTIVE):
            return "NaN" if column == MEAN else ""
        return {ZEROS: percent_text(live.zeros), MEAN: _mean(live.mean),
                ACTIVE: percent_text(live.activity)}[column]  # fmt: skip

    def sentence(self) -> str:
        """All that is known of it in one line."""
        layer, live = self.layer, self.statistics
        parts = [layer.name, layer.kind, self.text(SHAPE)]
        if layer.parameters:
            parts.append(f"{layer.parameters:,} parameters")
        if live is not None and self.called:
            parts.append(f"mean {number_text(live.mean)}")
            parts.append(f"{percent_text(live.zeros)} zeros")
            parts.append("" if live.finite else "has NaN or ∞")
            parts.append(f"{live.calls} calls" if live.calls > 1 else "")
        elif self.broken:
            parts.append(f"NaN or ∞ first in {self.broken}")
        return " · ".join(filter(None, parts))


def kind_word(kind: str, *, leaf: bool = True) -> str:
    """The kind of a module class as a word: "Conv2d" is conv; the rest is other or block."""
    word = kind_token(kind).removeprefix("kind_")
    if word != "linear" or "linear" in kind.lower():
        return word if leaf or word != "linear" else "block"
    return "other" if leaf else "block"


def _mean(value: float) -> str:
    if abs(value) >= 1000 or value != value:
        return number_text(value)
    return f"{value:.3f}".replace("-", MINUS)


class LayerModel(QAbstractItemModel):
    """A tree by dotted names; a statistics update repaints and lays nothing out anew."""

    tick_wanted = Signal(str, bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.nodes: dict[str, Node] = {}
        self.roots: list[Node] = []

    def set_layers(self, layers: Iterable[LayerRow]) -> None:
        """Show other modules; ticks and statistics of names that stay are kept."""
        before = self.nodes
        self.beginResetModel()
        self.nodes, self.roots = {}, []
        for layer in layers:
            if not layer.name:
                continue
            parent = self._nearest(layer.name)
            siblings = self.roots if parent is None else parent.children
            node = Node(layer, parent, len(siblings))
            old = before.get(layer.name)
            if old is not None and old.layer.kind == layer.kind:
                node.ticked, node.statistics = old.ticked, old.statistics
            siblings.append(node)
            self.nodes[layer.name] = node
        self.endResetModel()

    def _nearest(self, name: str) -> Node | None:
        while "." in name:
            name = name.rpartition(".")[0]
            if name in self.nodes:
                return self.nodes[name]
        return None

    def place(self, name: str) -> QModelIndex:
        """The first cell of a module's row; invalid for an unknown name."""
        node = self.nodes.get(name)
        return QModelIndex() if node is None else self.createIndex(node.row, LAYER, node)

    def walk(self) -> Iterator[Node]:
        """All nodes in the order of the network."""
        stack = list(reversed(self.roots))
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def set_ticked(self, names: Sequence[str]) -> None:
        """Tick these and no others."""
        wanted = set(names)
        for name, node in self.nodes.items():
            if node.ticked != (name in wanted):
                node.ticked = name in wanted
                place = self.place(name)
                self.dataChanged.emit(place, place, [Qt.ItemDataRole.CheckStateRole])

    def set_statistics(self, rows: Iterable[LayerStatistics]) -> None:
        """Take new numbers; the view repaints what is visible."""
        for row in rows:
            node = self.nodes.get(row.name)
            if node is not None:
                node.statistics = row
        self._find_broken()

    def _find_broken(self) -> None:
        """A folded stage says too that something in it is not finite, and where first."""
        for node in self.nodes.values():
            node.broken = ""
        for node in self.walk():
            above: Node | None = node
            whole = node.statistics is None or node.statistics.finite
            while not whole and above is not None and not above.broken:
                above.broken = node.layer.name
                above = above.parent

    # -- what Qt asks

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008
        """The cell of a row."""
        siblings = parent.internalPointer().children if parent.isValid() else self.roots
        if 0 <= row < len(siblings) and 0 <= column < len(COLUMNS):
            return self.createIndex(row, column, siblings[row])
        return QModelIndex()

    def parent(self, child: Index) -> QModelIndex:  # type: ignore[override]
        """The row above in the tree."""
        node: Node | None = child.internalPointer().parent if child.isValid() else None
        return QModelIndex() if node is None else self.createIndex(node.row, LAYER, node)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """How many modules lie directly inside."""
        if parent.column() > 0:
            return 0
        return len(parent.internalPointer().children if parent.isValid() else self.roots)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """As many as there are titles."""
        return len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles of the columns."""
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return HELP[section]
        if role == Qt.ItemDataRole.TextAlignmentRole and section in (
            SHAPE,
            ZEROS,
            MEAN,
            PARAMETERS,
        ):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows and says."""
        node: Node = index.internalPointer()
        if role == Qt.ItemDataRole.DisplayRole:
            return node.text(index.column())
        if role == NODE:
            return node
        if role == SEARCH:
            said = (node.layer.name, node.layer.kind, node.text(KIND), node.text(SHAPE))
            return " ".join(said) + (" NaN" if node.broken else "")
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            why = "" if node.called else "; its parent never calls it, so there is nothing to show"
            return node.sentence() + why
        if role == Qt.ItemDataRole.CheckStateRole and index.column() == LAYER and node.called:
            return Qt.CheckState.Checked if node.ticked else Qt.CheckState.Unchecked
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """A tick by the person."""
        node: Node = index.internalPointer()
        if role != Qt.ItemDataRole.CheckStateRole or not node.called:
            return False
        node.ticked = Qt.CheckState(value) == Qt.CheckState.Checked
        self.dataChanged.emit(index, index, [role])
        self.tick_wanted.emit(node.layer.name, node.ticked)
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Every row can be chosen; those that ran can be ticked."""
        base = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.isValid() and index.column() == LAYER and index.internalPointer().called:
            return base | Qt.ItemFlag.ItemIsUserCheckable
        return base


HELP = (
    "Module of the network; tick to show its maps",
    "Shape of its output",
    "How strongly it answers, against the strongest layer",
    "What kind of module it is",
    "Share of its output that is exactly zero",
    "Mean of its output",
    "Learned numbers, children included",
)
