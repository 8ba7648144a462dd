"""From nothing to a painted window; one line where there is no display."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

NO_DISPLAY = (
    "no display: the window cannot open here. Without one work: layerscope list, layers, run, "
    "compare, verify, shot, train, evaluate, weights (see layerscope --help)"
)
EXIT_NO_DISPLAY = 2


def no_display() -> str:
    """One line that says why no window can open here, or "" when one can."""
    if not sys.platform.startswith("linux"):
        return ""
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    if platform:
        return _lacking() if platform == "xcb" else ""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return NO_DISPLAY
    return "" if os.environ.get("WAYLAND_DISPLAY") else _lacking()


def _lacking() -> str:
    """Name the library that Qt's X11 plugin lacks: Qt itself aborts, and blames the wrong one."""
    from PySide6.QtCore import QLibraryInfo

    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath)
    plugin = Path(folder) / "platforms" / "libqxcb.so"
    if not plugin.is_file():
        return ""
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        name = str(error).partition(":")[0]
        return (
            f"the window cannot open: {name} is missing. On Debian and Ubuntu: "
            "apt install libxcb-icccm4 libxcb-keysyms1 libxcb-cursor0"
        )
    return ""


def application(theme: str = "dark") -> QApplication:
    """The one QApplication, with style, font and style sheet."""
    from PySide6.QtGui import QGuiApplication
    from PySide6.QtWidgets import QApplication

    from explorer.core.allocation import keep_freed_memory
    from explorer.panels.theme import THEMES, font, style_sheet

    keep_freed_memory()  # before Qt has threads of its own
    os.environ.setdefault("QT_NO_GUI_THREADPOOL", "1")  # painting in one: the others compute
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        app = QApplication(sys.argv[:1])
    app.setApplicationName("layerscope")
    QGuiApplication.setApplicationDisplayName("layerscope")
    QGuiApplication.setDesktopFileName("layerscope")
    app.setStyle("Fusion")
    app.setFont(font("body"))
    app.setStyleSheet(style_sheet(THEMES[theme]))
    return app


def start(
    paths: Sequence[str] = (),
    *,
    engine: str = "",
    arch: str = "",
    device: str = "",
    seed: int = 0,
) -> int:
    """Open the window and stay until it is closed; returns the exit code.

    Args:
        paths: dropped on the window, as it were, in this order.
        engine: which to open, or a model of one's own; the last one, or the first of the catalogue,
            when empty. ``arch``: the network of weights that ``engine`` or the first path names.
        device: auto, cpu, cuda or cuda:N; what was chosen last when empty.
        seed: of the network's random numbers.

    Raises:
        UnknownEngine: no engine of that name; the near ones are named.
    """
    why = no_display()
    if why:
        sys.stderr.write(f"layerscope: {why}\n")
        return EXIT_NO_DISPLAY
    from explorer.app.settings import Settings
    from explorer.core.own_models.model_row import chosen
    from explorer.core.registry import table

    rows = table()
    engine, paths, knobs = chosen(engine, arch, paths, rows)
    settings = Settings()
    app = application(settings.values.theme)
    from explorer.app.window import Asked, Window

    window = Window(
        settings=settings, rows=rows, engine=engine, paths=paths, device=device, seed=seed,
        asked=Asked(knobs),
    )  # fmt: skip
    window.show()
    window.autosave.begin()
    return app.exec()
