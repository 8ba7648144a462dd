"""Named layouts: how the docks stand, kept for each engine; a broken one falls back to the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray

from explorer.app.settings import LAYOUT_VERSION, Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QMainWindow

    from explorer.app.settings import Settings

LAST = ""  # the arrangement an engine was left in


class Layouts:
    """Saves and restores what `QMainWindow.saveState` gives, under ``name@engine``.

    Docks must exist, and the window be shown, before a restore: Qt forgets widths otherwise.
    """

    def __init__(
        self, window: QMainWindow, settings: Settings, arrange: Callable[[], None]
    ) -> None:
        self._window = window
        self._settings = settings
        self._arrange = arrange

    def names(self) -> list[str]:
        """Names a person gave, in the order of their making."""
        found = dict.fromkeys(k.rpartition("@")[0] for k in self._settings.values.layouts)
        return [name for name in found if name != LAST]

    def save(self, name: str, engine: str) -> None:
        """Keep how the docks stand now."""
        state = bytes(self._window.saveState(LAYOUT_VERSION).data())
        geometry = bytes(self._window.saveGeometry().data())
        self._settings.values.layouts[f"{name}@{engine}"] = Layout(state, geometry)

    def restore(self, name: str, engine: str) -> str:
        """Put the docks as they were saved; returns what went wrong, or "".

        Whatever goes wrong, the docks stand in their first arrangement then.
        """
        layout = self._settings.layout(f"{name}@{engine}")
        if layout is None:
            self._arrange()
            return f"No layout {name!r} for this engine yet: the first arrangement is shown"
        if not self._window.restoreState(QByteArray(layout.state), LAYOUT_VERSION):
            self._settings.values.layouts.pop(f"{name}@{engine}")
            self._arrange()
            return f"Layout {name or 'of last time'!r} could not be read: the first arrangement is shown"
        return ""

    def restore_last(self, engine: str) -> str:
        """Put the docks as this engine was left; silent when it was never open before."""
        if self._settings.layout(f"{LAST}@{engine}") is None:
            self._arrange()
            return ""
        return self.restore(LAST, engine)

    def restore_geometry(self, engine: str) -> bool:
        """Size and place of the window itself, before it is shown."""
        layout = self._settings.layout(f"{LAST}@{engine}")
        if layout is None or not layout.geometry:
            return False
        return bool(self._window.restoreGeometry(QByteArray(layout.geometry)))

    def reset(self, engine: str) -> None:
        """Forget how the engine was left and put every dock back where it started."""
        self._settings.values.layouts.pop(f"{LAST}@{engine}", None)
        self._arrange()
