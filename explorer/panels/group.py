"""GroupPanel: all items of one artefact group in a grid, each in the panel of its kind."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QImage, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QGridLayout,
    QMenu,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from explorer.kinds import Affine, Array, Artefact, Image, Matrix, named_arrays
from explorer.panels import panel_class
from explorer.panels.group_grid import SPACE, columns_for, least_size
from explorer.panels.header import Header
from explorer.panels.icons import icon
from explorer.panels.matrix import difference, share_ranges
from explorer.panels.panel import Panel, write_whole
from explorer.panels.picture import ImagePanel, PicturePanel
from explorer.panels.states import EmptyState
from explorer.panels.theme import DARK, HIT_AREA, Theme

OVERLAYS = ("Boxes", "Keypoints", "Masks")  # drawn on the group's picture when there is one
EMPTY = "The network has not run yet, or gives none of this with these knobs or outside training."


class GroupPanel(QWidget):
    """Items stand in the order in which they came; the grid fills the dock.

    A double click on a title, or its menu, shows one item alone and back; the menu also hides items
    and shows the difference of two matrices.

    Signals:
        gestured, probed, said: those of the items, see `Panel`.
        looked_at: the group came into view while artefacts wait that were offered before.
    """

    gestured = Signal(object)
    probed = Signal(object)
    said = Signal(str)
    zoomed = Signal(object)
    looked_at = Signal()

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        super().__init__(parent)
        self.theme = theme
        self._panels: dict[str, Panel] = {}
        self._unseen: dict[str, Artefact] = {}
        self._in_front = True
        self._unlaid: set[str] = set()  # items that the newest background is not below yet
        self.hidden: set[str] = set()
        self.large: str | None = None
        self.differences: dict[str, tuple[str, str]] = {}
        self._kinds: dict[str, type[Artefact]] = {}
        self._menus: dict[str, QToolButton] = {}
        self._laid_over: dict[str, Artefact] = {}
        self._background: Array | None = None
        self._background_place: Affine | None = None
        self._knobs: dict[str, Any] = {}
        self._shown: tuple[Any, ...] = ()
        self._hovered: Panel | None = None
        content = QWidget()
        self._grid = QGridLayout(content)
        self._scroll = QScrollArea(self)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(content)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._scroll)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(SPACE)
        self._empty = EmptyState("Nothing here yet", EMPTY, (), self)
        self._empty.set_theme(theme)
        self._grid.addWidget(self._empty, 0, 0)
        self.unhide = QPushButton(self)
        self.unhide.setFlat(True)
        self.unhide.setToolTip("Show all items of this group again")
        self.unhide.clicked.connect(self.show_all)
        self.unhide.hide()
        self._sharing = QTimer(self)
        self._sharing.setSingleShot(True)
        self._sharing.timeout.connect(self.share_scale)
        self._levelling = QTimer(self)
        self._levelling.setSingleShot(True)
        self._levelling.timeout.connect(self.level_titles)

    # -- items ---------------------------------------------------------------------------------

    @property
    def panels(self) -> dict[str, Panel]:
        """The panel of each item, all up to date."""
        self.settle()
        return self._panels

    def settle(self) -> None:
        """Draw what waits, though nobody may see it."""
        for artefact in self.take_unseen():
            self.add(artefact)

    def offer(self, artefact: Artefact) -> None:
        """Show an artefact, or keep it until somebody looks: nothing is drawn in a hidden tab."""
        if self.isVisible() and self._in_front:
            self.add(artefact)
        else:
            self._unseen[artefact.item] = artefact

    @Slot(bool)
    def set_in_front(self, in_front: bool) -> None:
        """Whether this is the tab that is seen; Qt has the other tabs visible too, but outside."""
        self._in_front = in_front
        self._look()

    def take_unseen(self) -> list[Artefact]:
        """What was offered while the group was hidden, the newest of each item."""
        unseen, self._unseen = self._unseen, {}
        return list(unseen.values())

    def add(self, artefact: Artefact) -> None:
        """Show an artefact in its item's panel; a new item, or another kind, gets a new one."""
        item = artefact.item
        if self._lay_over(artefact):
            return
        panel = self._panels.get(item)
        if panel is None or self._kinds[item] is not type(artefact):
            panel = self._replace(artefact)
        elif item in self._unlaid:
            self._lay_under(item, panel)
        panel.show_artefact(artefact)
        least = least_size(artefact, alone=len(self.visible_panels()) == 1)
        if panel.minimumSize().toTuple() != least:
            self._shown = ()
            self._arrange()
        if isinstance(artefact, Image):
            self._gather_overlays()
        if isinstance(artefact, Matrix):
            self._sharing.start(0)  # once for all matrices of this frame
            for name, pair in self.differences.items():
                if item in pair:
                    self._update_difference(name)

    def show_difference(self, first: str, second: str) -> str:
        """Show ``first − second`` as an item of its own that follows both; returns its name.

        Raises:
            ValueError: the two are not matrices of one shape.
        """
        a, b = (getattr(self.panels.get(item), "artefact", None) for item in (first, second))
        if not (isinstance(a, Matrix) and isinstance(b, Matrix)):
            raise ValueError(f"{first} and {second} are not both matrices of this group")
        if a.values.shape != b.values.shape:
            raise ValueError(f"{first} is {a.values.shape}, {second} is {b.values.shape}")
        name = f"{first} − {second}".replace("/", "∕")
        self.differences[name] = first, second
        self._update_difference(name)
        return name

    def share_scale(self) -> None:
        """One range for the matrices that want one, of each `Matrix.share` and scale."""
        self._sharing.stop()
        share_ranges(self._panels.values())

    def level_titles(self) -> None:
        """All titles over two lines where one has to be, so that pictures stay equally large."""
        headers = [panel.header for panel in self.visible_panels()]
        apart = not all(header.fits() for header in headers)
        for header in headers:
            header.set_apart(apart=apart)

    def hide_item(self, item: str) -> None:
        """Take an item out of the grid; it goes on being updated."""
        self.hidden.add(item)
        if self.large == item:
            self.large = None
        self._arrange()

    def show_all(self) -> None:
        """Show the hidden items again, and the whole grid."""
        self.hidden.clear()
        self.large = None
        self._arrange()

    def enlarge(self, item: str | None) -> None:
        """Show one item alone; the same item again, or None, brings the grid back."""
        self.large = None if item == self.large else item
        self._arrange()

    # -- what the application calls ------------------------------------------------------------

    def show_cursor(self, input_xy: tuple[float, float] | None) -> None:
        """Show the linked cursor in every item but the one that the mouse is on."""
        for panel in self._panels.values():
            if panel is not self._hovered:
                panel.show_cursor(input_xy)

    @Slot(str, object)
    def show_knob(self, name: str, value: Any) -> None:
        """Tell every item, those to come as well, what value a knob has."""
        self._knobs[name] = value
        for panel in self._panels.values():
            panel.show_knob(name, value)

    def set_background(self, image: Array | None, place: Affine | None = None) -> None:
        """The picture (H, W, 3) that fields, boxes, masks and points lie on from their next
        artefact on, and where it lies in input pixels.
        """
        self._background, self._background_place = image, place
        self._unlaid = set(self._panels)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self.theme = theme
        self._empty.set_theme(theme)
        for item, panel in self._panels.items():
            panel.set_theme(theme)
            self._menus[item].setIcon(icon("chevron-down", theme, 14, "muted"))

    # -- export --------------------------------------------------------------------------------

    def picture(self, scale: float = 1) -> QImage:
        """The whole group as it is shown, ``scale`` times as dense as the screen."""
        self.settle()
        self.share_scale()
        self.level_titles()
        made = QImage(self.size() * scale, QImage.Format.Format_ARGB32_Premultiplied)
        made.setDevicePixelRatio(scale)
        made.fill(self.theme.colour("window"))
        for panel in self.visible_panels():
            panel.header.flush()
        self.render(made, QPoint())
        return made

    def arrays(self) -> dict[str, Array]:
        """The numbers of all items: ``item.field``."""
        made = {f"{item}.{name}": array for item, panel in self.panels.items()
                for name, array in panel.arrays().items()}  # fmt: skip
        for item, artefact in self._laid_over.items():
            made |= {f"{item}.{name}": array for name, array in named_arrays(artefact).items()}
        return made

    def save(self, path: str | Path) -> None:
        """Write the picture (.png) or the numbers (.npz) of the whole group.

        Raises:
            OSError: the suffix is neither, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in (".png", ".npz"):
            raise OSError(f"cannot write {path.name}: use .png or .npz")
        write_whole(path, self.picture(2) if path.suffix.lower() == ".png" else self.arrays())

    def ask_and_save(self) -> None:
        """Ask for a file and write the whole group to it."""
        kinds = "Picture (*.png);;Arrays (*.npz)"
        path, _ = QFileDialog.getSaveFileName(self, "Export the whole group", "group.png", kinds)
        if not path:
            return
        try:
            self.save(path)
        except OSError as error:
            self.said.emit(str(error))
        else:
            self.said.emit(f"Wrote {path}")

    # -- layout --------------------------------------------------------------------------------

    def visible_panels(self) -> list[Panel]:
        """The panels of the grid, in order."""
        if self.large is not None and self.large in self._panels:
            return [self._panels[self.large]]
        return [panel for item, panel in self._panels.items() if item not in self.hidden]

    def showEvent(self, event: QShowEvent) -> None:
        """What was offered in the meantime is asked for."""
        super().showEvent(event)
        self._look()

    def _look(self) -> None:
        if self._unseen and self._in_front and self.isVisible():
            self.looked_at.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Choose the columns anew."""
        super().resizeEvent(event)
        self._arrange()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A double click on a title enlarges its item; titles are levelled when one is resized."""
        if event.type() == QEvent.Type.Resize and isinstance(watched, Header):
            self._levelling.start(0)
        if event.type() == QEvent.Type.MouseButtonDblClick:
            for item, panel in self._panels.items():
                if watched is panel.header:
                    self.enlarge(item)
                    return True
        return super().eventFilter(watched, event)

    def item_menu(self, item: str) -> QMenu:
        """What can be done with an item and its panel, made anew each time."""
        return self.panels[item].menu()

    def _add_lines(self, item: str, menu: QMenu) -> None:
        """The group's part of an item's menu."""
        words = "Back to the grid" if self.large == item else "Enlarge"
        menu.addAction(words, lambda: self.enlarge(item)).setEnabled(len(self._panels) > 1)
        menu.addAction("Hide", lambda: self.hide_item(item))
        if self.hidden:
            menu.addAction(f"Show all {len(self._panels)} items", self.show_all)
        others = self._alike(item)
        if others:
            minus = menu.addMenu("Difference with")
            for other in others:
                action = minus.addAction(other)
                action.triggered.connect(lambda _=False, o=other: self.show_difference(item, o))
        if item in self.differences:
            menu.addAction("Remove", lambda: self.remove(item))
        menu.addAction("Export the whole group…", self.ask_and_save)

    def remove(self, item: str) -> None:
        """Take an item, or a difference, away for good."""
        self.differences.pop(item, None)
        self.hidden.discard(item)
        self._unseen.pop(item, None)
        self._drop(item)
        self._arrange()

    def _alike(self, item: str) -> list[str]:
        """Other matrices of the same shape."""
        mine = self._panels[item].artefact
        if not isinstance(mine, Matrix) or item in self.differences:
            return []
        return [
            other
            for other, panel in self._panels.items()
            if other != item and other not in self.differences
            if isinstance(panel.artefact, Matrix)
            if panel.artefact.values.shape == mine.values.shape
        ]

    def _update_difference(self, name: str) -> None:
        first, second = self.differences[name]
        a, b = self._panels[first].artefact, self._panels[second].artefact
        if isinstance(a, Matrix) and isinstance(b, Matrix) and a.values.shape == b.values.shape:
            self.add(difference(a, b, f"{a.group}/{name}"))

    def _lay_over(self, artefact: Artefact) -> bool:
        """Draw boxes, points and masks on the group's picture; False when they need their own."""
        kind = type(artefact).__name__
        picture = self._picture_panel()
        if kind not in OVERLAYS or picture is None:
            return False
        taken = next((i for i, a in self._laid_over.items() if type(a).__name__ == kind), None)
        if taken not in (None, artefact.item):
            return False
        if artefact.item in self._panels:
            self._drop(artefact.item)
            self._arrange()
        self._laid_over[artefact.item] = artefact
        picture.set_overlay(kind, artefact)
        return True

    def _gather_overlays(self) -> None:
        """The picture came after what lies on it."""
        for panel in list(self._panels.values()):
            if panel.artefact is not None and type(panel.artefact).__name__ in OVERLAYS:
                self._lay_over(panel.artefact)

    def _picture_panel(self) -> ImagePanel | None:
        for panel in self._panels.values():
            shown = panel.artefact
            if isinstance(panel, ImagePanel) and isinstance(shown, Image) and shown.image.ndim == 3:
                return panel
        return None

    def _replace(self, artefact: Artefact) -> Panel:
        item = artefact.item
        order = list(self._panels)
        self._drop(item)
        panel = panel_class(type(artefact).__name__)(self, theme=self.theme)
        panel.gestured.connect(self.gestured)
        panel.probed.connect(self._probed)
        panel.zoomed.connect(self._zoomed)
        panel.said.connect(self.said)
        panel.add_group_lines = partial(self._add_lines, item)
        panel.header.installEventFilter(self)
        self._panels[item] = panel
        self._kinds[item] = type(artefact)
        self._menus[item] = self._menu_button(item, panel)
        if item in order:  # another kind takes the same place
            self._panels = {name: self._panels[name] for name in order}
        self._lay_under(item, panel)
        for name, value in self._knobs.items():
            panel.show_knob(name, value)
        panel.artefact = artefact  # its kind and shape decide on the columns
        self._arrange()
        return panel

    def _menu_button(self, item: str, panel: Panel) -> QToolButton:
        button = QToolButton(panel.header)
        button.setIcon(icon("chevron-down", self.theme, 14, "muted"))
        button.setAccessibleName(f"Menu of {item}")
        button.setToolTip("Enlarge, hide, compare, export (double-click the title to enlarge)")
        button.setFixedSize(HIT_AREA, HIT_AREA)
        button.setStyleSheet("min-height: 0; padding: 0; border: none")
        button.clicked.connect(lambda: self._open_menu(item))
        panel.header.extra.addWidget(button)
        return button

    def _open_menu(self, item: str) -> None:
        button = self._menus[item]
        menu = self.item_menu(item)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def _drop(self, item: str) -> None:
        panel = self._panels.pop(item, None)
        self._menus.pop(item, None)
        self._kinds.pop(item, None)
        if panel is not None:
            if self._hovered is panel:
                self._hovered = None
            panel.hide()
            panel.setParent(None)
            panel.deleteLater()

    def _lay_under(self, item: str, panel: Panel) -> None:
        self._unlaid.discard(item)
        if isinstance(panel, PicturePanel) and self._kinds[item].__name__ != "Image":
            panel.set_background(self._background, self._background_place)

    def _arrange(self) -> None:
        shown = self.visible_panels()
        columns = columns_for([p.artefact for p in shown], self.width(), self.height())
        state = (columns, tuple(map(id, shown)), len(self.hidden), self.large)
        if state == self._shown:
            return
        self._shown = state
        for panel in self._panels.values():
            self._grid.removeWidget(panel)
            panel.setMinimumSize(*least_size(panel.artefact, alone=len(shown) == 1))
        self._place(shown, columns)
        for panel in self._panels.values():
            panel.setVisible(panel in shown)
        self._empty.setVisible(not shown)
        title = "All items are hidden" if self._panels else "Nothing here yet"
        self._empty.say(title, "" if self._panels else EMPTY)
        out = len(self._panels) - len(shown)
        self.unhide.setVisible(out > 0)
        self.unhide.setText("Back to the grid" if self.large else f"{out} hidden: show all")

    def _place(self, shown: list[Panel], columns: int) -> None:
        """Put the panels into the grid; those of an unfilled last row share its whole width."""
        rows = -(-len(shown) // columns) if shown else 1
        last = len(shown) - (rows - 1) * columns or 1
        for place, panel in enumerate(shown):
            row, column = divmod(place, columns)
            span = last if row < rows - 1 else columns
            self._grid.addWidget(panel, row, column * span, 1, span)
        self._grid.removeWidget(self.unhide)
        left = Qt.AlignmentFlag.AlignLeft
        self._grid.addWidget(self.unhide, rows, 0, 1, columns * last, left)
        for i in range(max(self._grid.columnCount(), columns * last)):
            self._grid.setColumnStretch(i, 1 if i < columns * last else 0)
        for i in range(max(self._grid.rowCount(), rows)):
            self._grid.setRowStretch(i, 1 if i < rows else 0)

    def show_region(self, region: tuple[float, float, float, float] | None) -> None:
        """Show this part of the input in every item that has a place there."""
        for panel in self._panels.values():
            panel.show_region(region)

    @Slot(object)
    def _zoomed(self, region: tuple[float, float, float, float] | None) -> None:
        for panel in self._panels.values():
            if panel is not self.sender():
                panel.show_region(region)
        self.zoomed.emit(region)

    @Slot(object)
    def _probed(self, probe: Any) -> None:
        sender = self.sender()
        self._hovered = sender if isinstance(sender, Panel) and probe is not None else None
        self.probed.emit(probe)
        if probe is not None:
            self.show_cursor(probe.input_xy)
