"""Every command of the window, once: this table gives menus, keys, tooltips and palette entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDockWidget,
    QMainWindow,
    QMenu,
    QMenuBar,
    QWidget,
)

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
        hidden: out of menu, palette and key list until `Commands.reveal`; its key does nothing.
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
    hidden: bool = False


ACTIONS: tuple[Action, ...] = (
    Action("open-file", "Open file…", ("Ctrl+O",), "File", "image",
           "Open a picture, clip, text, weights or model file"),
    Action("open-folder", "Open folder…", ("Ctrl+Shift+O",), "File", "folder",
           "Open a folder of pictures"),
    Action("open-camera", "Camera or files", ("C",), "File", "camera",
           "Watch the camera live, or go back to the file from before"),
    Action("recent", "Open recent", menu="File", icon="clock", submenu=True),
    Action("samples", "Samples", menu="File", icon="image", submenu=True),
    Action("session-open", "Open session…", ("Ctrl+Alt+O",), "File", "file",
           "Open a saved session: engine, inputs, knobs, layers, edits and layout", ruled=True),
    Action("session-save", "Save session", ("Ctrl+S",), "File", "pin",
           "Save what is open as a file that can be opened again"),
    Action("session-save-as", "Save session as…", (), "File", "pin",
           "Save what is open under another name"),
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
    Action("record", "Record", (), "Run", "record",
           "Keep what is shown, to scrub back through it", checkable=True, ruled=True),
    Action("mark-step", "Mark this step", ("M",), "Run", "pin",
           "Keep the recorded step that is shown however long the run"),
    Action("find-jump", "Find a jump", ("J",), "Run", "activity",
           "Go to the recorded step at which the selected unit, or any, jumped most"),
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

    Action("previous-layer", "Previous layer", ("PgUp", "Up"), "Layer", "chevron-up",
           "Show the layer above"),
    Action("next-layer", "Next layer", ("PgDown", "Down"), "Layer", "chevron-down",
           "Show the layer below"),
    Action("previous-unit", "Previous unit", ("Left",), "Layer", "chevron-left",
           "Select the unit before, in the order shown"),
    Action("next-unit", "Next unit", ("Right",), "Layer", "chevron-right",
           "Select the unit after, in the order shown"),
    Action("previous-page", "Previous page of units", ("Ctrl+PgUp",), "Layer", "back",
           "Of a layer with more units than fit"),
    Action("next-page", "Next page of units", ("Ctrl+PgDown",), "Layer", "step",
           "Of a layer with more units than fit"),
    Action("zoom-cycle", "Next zoom", ("Z",), "Layer", "maximize",
           "Zoom the panel in use: whole, 2, 4 and 8 times, whole again"),
    Action("order", "Next order of units", ("S",), "Layer", "bars",
           "Order units by index, max, mean, change, similarity", ruled=True),
    Action("scale", "Own or layer scale", ("N",), "Layer", "sliders",
           "One colour scale for the layer, or one for each unit"),
    Action("zero-unit", "Zero unit", ("X",), "Layer", "scissors",
           "Set the selected unit to zero and run on", ruled=True),
    Action("scale-down", "Scale unit down", ("[",), "Layer", "minus", "Halve the selected unit"),
    Action("scale-up", "Scale unit up", ("]",), "Layer", "plus", "Double the selected unit"),
    Action("backprop-cycle", "Next kind of back-propagation", ("B",), "Layer", "activity",
           "Gradient, guided, deconvolution, Grad-CAM of the selected unit", hidden=True),
    Action("maximise-unit", "Maximise the unit", ("Shift+M",), "Layer", "sparkles",
           "Make the picture that the selected unit likes best", hidden=True),
    Action("compare-captum", "Compare with Captum", (), "Layer", "check",
           "Explain the selected unit, and show how far Captum's results are from it", hidden=True),
    Action("hold-unit", "Hold unit", ("Shift+F",), "Layer", "lock",
           "Hold the selected unit at the frame that is shown while the rest goes on"),
    Action("edit-type", "Type an edit…", ("Ctrl+Alt+E",), "Layer", "type",
           "A layer, its units, a region and what happens, such as layer3:5,7-9=scale:2"),
    Action("edits-load", "Load edits…", (), "Layer", "folder",
           "Take the edits of a file in place of these"),
    Action("edits-save", "Save edits…", (), "Layer", "download",
           "Keep the list of edits in a file, for the window or --edits"),
    Action("clear-edits", "Clear edits", ("Ctrl+Shift+X",), "Layer", "trash",
           "Remove every edit of the network"),

    Action("hold", "Hold the input for comparison", ("H",), "Inspect", "pin",
           "Pixel and Gram matrix compare the next input with the one of now"),
    Action("pin-cursor", "Pin the cursor", ("P",), "Inspect", "crosshair",
           "The pixel that instruments look at stays while the mouse moves on", checkable=True),
    *(
        Action(f"inspect-{row.name}", row.title, (), "Inspect", row.icon, row.summary,
               checkable=True)
        for row in INSTRUMENTS
    ),

    Action("palette", "Command palette…", ("Ctrl+K", "Ctrl+Shift+P"), "View", "search",
           "Find a layer, command, engine, knob or sample by typing"),
    Action("theme", "Dark or light theme", ("Ctrl+Shift+L",), "View", "moon",
           "Change between the dark and the light theme"),
    Action("reduced-motion", "Reduced motion", (), "View", "pause",
           "Nothing moves but the pictures: no blinking, no sliding, no turning", checkable=True),
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
    Action("next-dock", "Next dock", ("F6",), "View", "chevron-right",
           "Put the keyboard into the next dock", ruled=True),
    Action("previous-dock", "Previous dock", ("Shift+F6",), "View", "chevron-left",
           "Put the keyboard into the dock before"),
    Action("docks", "Docks", menu="View", icon="layers", submenu=True),

    Action("tour", "Tour", ("F1",), "Help", "help", "Six steps through the window"),
    Action("keys", "Keyboard shortcuts", ("?",), "Help", "keyboard", "List every key"),
    Action("change-keys", "Change keys…", ("Ctrl+Alt+K",), "Help", "settings",
           "Give any command another key"),
)  # fmt: skip

LAYOUTS: dict[str, str] = {
    "units": "layout-units",
    "detector": "layout-detector",
    "style": "layout-style",
    "pixel": "layout-pixel",
    "attention": "layout-attention",
}

MOVES = ("Left", "Right", "Up", "Down", "Home", "End")


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
        self._keys: dict[str, list[QKeySequence]] = {}
        self._lent: dict[str, list[QKeySequence]] = {}  # keys that some widgets work with
        self.conflicts: tuple[str, ...] = ()
        for row in ACTIONS:
            if not row.submenu:
                self._actions[row.id] = self._make(row)
        self.bind(rebound or {})
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._focus_moved)

    def ids(self) -> list[str]:
        """Every command that can be given."""
        return list(self._actions)

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def connect_to(self, name: str, slot: Callable[[], None]) -> None:
        """Call ``slot`` whenever the command is given, from menu, key or palette alike."""
        self._actions[name].triggered.connect(lambda _checked=False: slot())

    def bind(self, rebound: Mapping[str, str]) -> tuple[str, ...]:
        """Give every command its keys, ``rebound`` (id to key sequences, empty for none) first.

        Several sequences of one command are separated by ``;``, so that a comma stays a key.

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
            texts = split(rebound[row.id]) if row.id in rebound else row.shortcuts
            broken = [text for text in texts if not canonical(text)]
            problems += [f"shortcut {text!r} of {row.title!r} is no key" for text in broken]
            keys[row.id] = []
            for text in row.shortcuts if broken else texts:
                portable = canonical(text)
                if portable in taken:
                    problems.append(f"{text} of {row.title!r} is taken by {taken[portable]!r}")
                else:
                    taken[portable] = row.title
                    keys[row.id].append(QKeySequence(portable))
        self._lent = {}
        for name, sequences in keys.items():
            self._set_keys(name, sequences)
        self._lend(QApplication.focusWidget())
        self.conflicts = tuple(problems)
        return self.conflicts

    def bound(self) -> dict[str, tuple[str, ...]]:
        """The key sequences of each command as a settings file writes them."""
        return {
            name: tuple(k.toString(QKeySequence.SequenceFormat.PortableText) for k in keys)
            for name, keys in self._keys.items()
        }

    def reveal(self, name: str, *, on: bool = True) -> None:
        """Let a hidden command be seen and given, or hide it again."""
        self._actions[name].setVisible(on)
        self._actions[name].setEnabled(on)

    def keys(self, name: str) -> str:
        """The first key sequence of a command as the platform writes it; empty when it has none."""
        keys = self._keys.get(name)
        return keys[0].toString(QKeySequence.SequenceFormat.NativeText) if keys else ""

    def key_or_title(self, name: str) -> str:
        """How a sentence calls a command: its key, or its title when it has none."""
        return self.keys(name) or f"“{self._actions[name].text().rstrip('…')}”"

    def all_keys(self, name: str) -> str:
        """All key sequences of a command, for lists: "PgUp, Up"."""
        native = QKeySequence.SequenceFormat.NativeText
        return ", ".join(key.toString(native) for key in self._keys.get(name, []))

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
        action.setVisible(not row.hidden)
        action.setEnabled(not row.hidden)
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
        self._keys[name] = sequences
        if any(_worked_with(sequence) for sequence in sequences):
            self._lent[name] = sequences
        action.setShortcuts(sequences)
        key = f" ({self.keys(name)})" if sequences else ""
        help_text = next(row.help for row in ACTIONS if row.id == name)
        action.setToolTip(f"{action.text().rstrip('…')}{key}: {help_text}")

    @Slot(QWidget, QWidget)
    def _focus_moved(self, _old: QWidget | None, new: QWidget | None) -> None:
        self._lend(new)

    def _lend(self, focused: QWidget | None) -> None:
        """Leave Space, arrows, Home and End to a focused widget that is worked with them."""
        for name, sequences in self._lent.items():
            kept = [s for s in sequences if not _uses(focused, _worked_with(s))]
            if kept != self._actions[name].shortcuts():
                self._actions[name].setShortcuts(kept)

    def take_back(self, event: QKeyEvent) -> bool:
        """Give the command of a lent key that nothing under the focus had a use for."""
        pressed = QKeySequence(event.keyCombination())
        for name, sequences in self._lent.items():
            if pressed in sequences and self._actions[name].isEnabled():
                self._actions[name].trigger()
                return True
        return False


def split(text: str) -> tuple[str, ...]:
    """The key sequences in one entry of a settings file: ``"PgUp; Up"`` are two."""
    return tuple(part.strip() for part in text.split("; ") if part.strip())


def canonical(text: str) -> str:
    """A key sequence as Qt writes it; empty for what is no key."""
    return QKeySequence(text).toString(QKeySequence.SequenceFormat.PortableText)


def _worked_with(sequence: QKeySequence) -> str:
    """``press``, ``move`` or "": how widgets use a key without modifiers."""
    key = sequence.toString(QKeySequence.SequenceFormat.PortableText)
    return "press" if key == "Space" else "move" if key in MOVES else ""


def _uses(widget: QWidget | None, how: str) -> bool:
    if how == "press":
        return isinstance(widget, (QAbstractButton, QComboBox))
    # Lists, sliders, fields, maps: whatever takes the focus moves with arrows, except buttons.
    still = (QMainWindow, QAbstractButton, QDockWidget)
    return how == "move" and widget is not None and not isinstance(widget, still)


def tooltip(commands: Commands, name: str) -> str:
    """The tooltip of a command, its key included, for a button that stands for it."""
    return commands[name].toolTip()
