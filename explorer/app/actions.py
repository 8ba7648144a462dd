"""Every command of the window, once: this table gives menus, keys, tooltips and palette entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QMenu, QMenuBar, QWidget

from explorer.app.palette import Entry
from explorer.core.instruments import INSTRUMENTS
from explorer.panels.icons import icon

if TYPE_CHECKING:
    from explorer.panels.theme import Theme


@dataclass(frozen=True, slots=True)
class Action:
    """One command.

    Attributes:
        shortcuts: key sequences as Qt writes them; the first one is shown.
        menu: title of the menu it stands in; empty keeps it in the palette only.
        icon: name of a file in assets/icons.
        help: one sentence for tooltip, status bar and key list.
        group: actions of one group exclude one another.
        submenu: not a command but a menu that the window fills (recent items, samples, ...).
        ruled: a separator line stands before it.
    """

    id: str
    title: str
    shortcuts: tuple[str, ...] = ()
    menu: str = ""
    icon: str = ""
    help: str = ""
    checkable: bool = False
    group: str = ""
    submenu: bool = False
    ruled: bool = False


ACTIONS: tuple[Action, ...] = (
    Action("open-file", "Open file…", ("Ctrl+O",), "File", "image",
           "Open a picture, clip, text, weights or model file"),
    Action("open-folder", "Open folder…", ("Ctrl+Shift+O",), "File", "folder",
           "Open a folder of pictures"),
    Action("open-camera", "Open camera", ("C",), "File", "camera", "Watch the camera live"),
    Action("recent", "Open recent", menu="File", icon="clock", submenu=True),
    Action("samples", "Samples", menu="File", icon="image", submenu=True),
    Action("export", "Export…", ("Ctrl+E",), "File", "export",
           "Save what is shown as PNG, SVG, NPZ or MP4", ruled=True),
    Action("quit", "Quit", ("Ctrl+Q",), "File", "x", "Close the window", ruled=True),

    Action("undo", "Undo", ("Ctrl+Z",), "Edit", "undo", "Take back the last knob or edit"),
    Action("redo", "Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Edit", "redo",
           "Do again what was undone"),
    Action("paste", "Paste", ("Ctrl+V",), "Edit", "file",
           "Use the picture, file or text on the clipboard", ruled=True),
    Action("copy-picture", "Copy picture", ("Ctrl+C",), "Edit", "copy",
           "Copy the picture of the panel in use"),
    Action("copy-snippet", "Copy as Python", ("Ctrl+Shift+C",), "Edit", "copy",
           "Copy a stand-alone program that runs this and reads the layer"),
    Action("reset-knobs", "Reset knobs", ("Ctrl+0",), "Edit", "reset",
           "Put every knob back to its default", ruled=True),

    Action("play", "Play or pause", ("Space",), "Run", "play", "Play or pause the clip or camera"),
    Action("freeze", "Freeze", ("F",), "Run", "snowflake",
           "Hold the picture that is shown while the source goes on", checkable=True),
    Action("step-back", "Step back", (",",), "Run", "back", "One frame or step back"),
    Action("step-forward", "Step forward", (".",), "Run", "step", "One frame or step on"),
    Action("seek-start", "Go to start", ("Home",), "Run", "rewind",
           "Go to the first frame or step"),
    Action("seek-end", "Go to end", ("End",), "Run", "skip",
           "Go to the last frame or step"),
    Action("run", "Run again", ("Ctrl+R", "F5"), "Run", "refresh",
           "Run the network on the same input again", ruled=True),
    Action("cancel", "Cancel", ("Esc",), "Run", "stop", "Stop what is running"),
    Action("train", "Train…", ("Ctrl+T",), "Run", "curve",
           "Train this engine and watch it learn"),
    Action("device-auto", "Device: automatic", (), "Run", "cpu", "Use a GPU when there is one",
           checkable=True, group="device", ruled=True),
    Action("device-cpu", "Device: CPU", (), "Run", "cpu", "Run on the processor",
           checkable=True, group="device"),
    Action("device-cuda", "Device: CUDA", (), "Run", "zap", "Run on the GPU",
           checkable=True, group="device"),

    Action("previous-layer", "Previous layer", ("PgUp",), "Layer", "chevron-up",
           "Show the layer above; Up in the layer tree"),
    Action("next-layer", "Next layer", ("PgDown",), "Layer", "chevron-down",
           "Show the layer below; Down in the layer tree"),
    Action("order", "Next order of units", ("S",), "Layer", "bars",
           "Order units by index, max, mean, change, similarity", ruled=True),
    Action("scale", "Own or layer scale", ("N",), "Layer", "sliders",
           "One colour scale for the layer, or one for each unit"),
    Action("zero-unit", "Zero unit", ("X",), "Layer", "scissors",
           "Set the selected unit to zero and run on", ruled=True),
    Action("scale-down", "Scale unit down", ("[",), "Layer", "minus", "Halve the selected unit"),
    Action("scale-up", "Scale unit up", ("]",), "Layer", "plus", "Double the selected unit"),
    Action("clear-edits", "Clear edits", ("Ctrl+Shift+X",), "Layer", "trash",
           "Remove every edit of the network"),

    *(
        Action(f"inspect-{row.name}", row.title, (), "Inspect", row.icon, row.summary,
               checkable=True)
        for row in INSTRUMENTS
    ),

    Action("palette", "Command palette…", ("Ctrl+K", "Ctrl+Shift+P"), "View", "search",
           "Find a layer, command, engine, knob or sample by typing"),
    Action("theme", "Dark or light theme", ("Ctrl+Shift+L",), "View", "moon",
           "Change between the dark and the light theme"),
    Action("layout-units", "Units", ("Ctrl+1",), "View", "grid",
           "Layout for the units of a layer", ruled=True),
    Action("layout-detector", "Detector", ("Ctrl+2",), "View", "box",
           "Layout for proposals, scores and suppression"),
    Action("layout-style", "Style", ("Ctrl+3",), "View", "brush",
           "Layout for Gram matrices and style transfer"),
    Action("layout-pixel", "Pixel", ("Ctrl+4",), "View", "crosshair",
           "Layout for one pixel through all layers"),
    Action("layout-attention", "Attention", ("Ctrl+5",), "View", "eye",
           "Layout for attention and memory matrices"),
    Action("layout-save", "Save layout as…", ("Ctrl+Shift+S",), "View", "pin",
           "Keep this arrangement of docks under a name", ruled=True),
    Action("layouts", "Restore layout", menu="View", icon="stack", submenu=True),
    Action("layout-reset", "Reset layout", (), "View", "reset",
           "Put every dock back where it started"),
    Action("docks", "Docks", menu="View", icon="layers", submenu=True),

    Action("tour", "Tour", ("F1",), "Help", "help", "Six steps through the window"),
    Action("keys", "Keyboard shortcuts", ("?",), "Help", "keyboard", "List every key"),
)  # fmt: skip

LAYOUTS: dict[str, str] = {
    "units": "layout-units",
    "detector": "layout-detector",
    "style": "layout-style",
    "pixel": "layout-pixel",
    "attention": "layout-attention",
}


class Commands(QObject):
    """The QActions of the table, for one window.

    ``triggered`` carries the id of the command, for checkable ones after their state has changed.
    """

    triggered = Signal(str)

    def __init__(self, window: QWidget, rebound: Mapping[str, str] | None = None) -> None:
        super().__init__(window)
        self._window = window
        self._actions: dict[str, QAction] = {}
        self._menus: dict[str, QMenu] = {}
        self._groups: dict[str, QActionGroup] = {}
        self._space: QAction | None = None
        self.conflicts: tuple[str, ...] = ()
        for row in ACTIONS:
            if not row.submenu:
                self._actions[row.id] = self._make(row)
        self.bind(rebound or {})
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._focus_moved)
            self._focus_moved(None, QApplication.focusWidget())

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def connect_to(self, name: str, slot: Callable[[], None]) -> None:
        """Call ``slot`` whenever the command is given, from menu, key or palette alike."""
        self._actions[name].triggered.connect(lambda _checked=False: slot())

    def bind(self, rebound: Mapping[str, str]) -> tuple[str, ...]:
        """Give every command its keys, ``rebound`` (id to key sequence, empty for none) first.

        Returns:
            one line for each entry that is unknown, unreadable, or taken by another command.
        """
        problems = [
            f"shortcut for {name!r}: there is no such command"
            for name in rebound
            if name not in self._actions
        ]
        taken: dict[str, str] = {}
        keys: dict[str, list[QKeySequence]] = {}
        own = [row for row in ACTIONS if row.id in rebound and not row.submenu]
        rest = [row for row in ACTIONS if row.id not in rebound and not row.submenu]
        for row in own + rest:
            texts = (rebound[row.id],) if row.id in rebound else row.shortcuts
            keys[row.id] = []
            for text in filter(None, texts):
                sequence = QKeySequence(text)
                portable = sequence.toString(QKeySequence.SequenceFormat.PortableText)
                if not portable:  # Qt writes what it does not know as nothing
                    problems.append(f"shortcut {text!r} of {row.title!r} is no key")
                elif portable in taken:
                    problems.append(f"{text} of {row.title!r} is taken by {taken[portable]!r}")
                else:
                    taken[portable] = row.title
                    keys[row.id].append(sequence)
        for name, sequences in keys.items():
            self._set_keys(name, sequences)
        self.conflicts = tuple(problems)
        return self.conflicts

    def keys(self, name: str) -> str:
        """The first key sequence of a command as the platform writes it; empty when it has none."""
        shortcuts = self._actions[name].property("keys") or []
        return str(shortcuts[0]) if shortcuts else ""

    def fill(self, bar: QMenuBar) -> None:
        """Make the menus of the table in ``bar``."""
        for row in ACTIONS:
            if not row.menu:
                continue
            menu = self._menus.get(row.menu)
            if menu is None:
                menu = self._menus[row.menu] = bar.addMenu(f"&{row.menu}")
                menu.setToolTipsVisible(True)
            if row.ruled:
                menu.addSeparator()
            if row.submenu:
                self._menus[row.id] = menu.addMenu(row.title)
                self.set_items(row.id, ())
            else:
                menu.addAction(self._actions[row.id])

    def menu(self, name: str) -> QMenu:
        """A menu by its title, or one of the filled submenus by its id."""
        return self._menus[name]

    def set_items(self, name: str, items: Iterable[tuple[str, Callable[[], None]]]) -> None:
        """Fill the submenu ``name`` with titles and what each does; an empty one says so."""
        menu = self._menus[name]
        menu.clear()
        for title, slot in items:
            # An ampersand in a file name would become a mnemonic.
            action = menu.addAction(title.replace("&", "&&"))
            action.triggered.connect(lambda _checked=False, slot=slot: slot())
        if menu.isEmpty():
            menu.addAction("None yet").setEnabled(False)

    def set_theme(self, theme: Theme) -> None:
        """Tint the icons of menus and tool bars."""
        for row in ACTIONS:
            if row.icon and row.id in self._actions:
                self._actions[row.id].setIcon(icon(row.icon, theme, 16))
            elif row.icon and row.id in self._menus:
                self._menus[row.id].setIcon(icon(row.icon, theme, 16))

    def entries(self) -> list[Entry]:
        """What the command palette shows of the table: the commands that can be given now."""
        return [
            Entry(
                row.title.rstrip("…"), "command", row.help, self.keys(row.id),
                self._actions[row.id].trigger, row.icon,
            )
            for row in ACTIONS
            if not row.submenu and row.id != "palette" and self._actions[row.id].isEnabled()
            and self._actions[row.id].isVisible()
        ]  # fmt: skip

    def _make(self, row: Action) -> QAction:
        action = QAction(row.title, self._window)
        action.setObjectName(row.id)
        action.setStatusTip(row.help)
        action.setCheckable(row.checkable)
        # With an icon, most styles show no tick beside it.
        action.setIconVisibleInMenu(not row.checkable)
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        if row.group:
            group = self._groups.setdefault(row.group, QActionGroup(self))
            group.addAction(action)
        action.triggered.connect(self._tell)
        self._window.addAction(action)
        return action

    @Slot()
    def _tell(self) -> None:
        sender = self.sender()
        if sender is not None:
            self.triggered.emit(sender.objectName())

    def _set_keys(self, name: str, sequences: list[QKeySequence]) -> None:
        action = self._actions[name]
        native = [s.toString(QKeySequence.SequenceFormat.NativeText) for s in sequences]
        action.setShortcuts(sequences)
        action.setProperty("keys", native)
        key = f" ({native[0]})" if native else ""
        help_text = next(row.help for row in ACTIONS if row.id == name)
        action.setToolTip(f"{action.text().rstrip('…')}{key}: {help_text}")
        if QKeySequence("Space") in sequences:
            self._space = action

    @Slot(QWidget, QWidget)
    def _focus_moved(self, _old: QWidget | None, new: QWidget | None) -> None:
        """Leave Space to a focused button, box or list that is worked by it."""
        if self._space is None:
            return
        shortcuts = [s for s in self._space.shortcuts() if s != QKeySequence("Space")]
        if not isinstance(new, (QAbstractButton, QComboBox)):
            shortcuts.insert(0, QKeySequence("Space"))
        self._space.setShortcuts(shortcuts)


def tooltip(commands: Commands, name: str) -> str:
    """The tooltip of a command, its key included, for a button that stands for it."""
    return commands[name].toolTip()
