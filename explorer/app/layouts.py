"""Named layouts: how the docks stand, kept for each engine; a broken one never stops the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray

from explorer.app.settings import LAYOUT_VERSION, Layout

if TYPE_CHECKING:
    from explorer.app.window import Window

PIXEL = "pixel"  # the layout of the instrument of that name, which every engine offers
LAST = ""  # the arrangement an engine was left in


class Layouts:
    """Saves and restores what `QMainWindow.saveState` gives, under ``name@engine``.

    Docks must exist, and the window be shown, before a restore: Qt forgets widths otherwise.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._settings = window.settings

    def names(self) -> list[str]:
        """Names a person gave, in the order of their making."""
        found = dict.fromkeys(k.rpartition("@")[0] for k in self._settings.values.layouts)
        return [name for name in found if name != LAST]

    def arrange(self) -> None:
        """The first arrangement: lists left, input and knobs right, output at the bottom."""
        window = self._window
        window.engine_docks.arrange([window.layers_dock, window.engines_dock], window.knobs_dock)
        window.tabs.soon()

    def save(self, name: str) -> None:
        """Keep how the docks stand now."""
        state = bytes(self._window.saveState(LAYOUT_VERSION).data())
        geometry = bytes(self._window.saveGeometry().data())
        self._settings.values.layouts[self._key(name)] = Layout(state, geometry)

    def restore(self, name: str) -> str:
        """Put the docks as they were saved; returns what went wrong, or "".

        Whatever goes wrong, the docks stand in their first arrangement then.
        """
        self.arrange()
        layout = self._settings.layout(self._key(name))
        if layout is None:
            return f"No layout {name!r} for this engine yet: the first arrangement is shown"
        if self._window.restoreState(QByteArray(layout.state), LAYOUT_VERSION):
            self._window.tabs.soon()
            return ""
        self._settings.values.layouts.pop(self._key(name))
        self.arrange()
        return (
            f"Layout {name or 'of last time'!r} could not be read: the first arrangement is shown"
        )

    def restore_last(self) -> str:
        """Put the docks as this engine was left; silent when it was never open before."""
        if self._settings.layout(self._key(LAST)) is None:
            self.arrange()
            return ""
        return self.restore(LAST)

    def restore_geometry(self) -> bool:
        """Size and place of the window itself, before it is shown."""
        layout = self._settings.layout(self._key(LAST))
        if layout is None or not layout.geometry:
            return False
        return bool(self._window.restoreGeometry(QByteArray(layout.geometry)))

    def reset(self) -> None:
        """Forget how the engine was left and put every dock back where it started."""
        self._settings.values.layouts.pop(self._key(LAST), None)
        self.arrange()

    def task(self, layout: str) -> None:
        """A task layout: the first engine that offers it, in its first arrangement.

        One pixel through all layers can be had of every engine.
        """
        window = self._window
        if window.row.layout == layout:
            self.reset()
            return
        offering = (r.name for r in window.rows.values() if r.layout == layout and not r.problem)
        name = next(offering, None)
        if layout == PIXEL:
            window.instruments.open(PIXEL)
        elif name is None:
            window.say(f"No engine offers the layout {layout!r} yet")
        else:
            window.room.open(name)

    def _key(self, name: str) -> str:
        return f"{name}@{self._window.row.name}"
