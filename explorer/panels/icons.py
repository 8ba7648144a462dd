"""Icons: Lucide outlines from assets/icons, tinted to a theme token and kept per size."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from explorer.panels.theme import Theme


def icon_folder() -> Path:
    """Where the SVG files lie: beside the installed package, or in the repository."""
    packaged = Path(__file__).parents[1] / "assets" / "icons"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "assets" / "icons"


def icon_names() -> list[str]:
    """All names that `icon` takes."""
    return sorted(path.stem for path in icon_folder().glob("*.svg"))


def pixmap(
    name: str, theme: Theme, size: int = 16, token: str = "text", ratio: float = 1.0
) -> QPixmap:
    """The icon as a picture of ``size`` logical pixels in the colour of ``token``.

    Raises:
        KeyError: no icon of that name; the message lists what there is.
    """
    return _pixmap(name, theme[token], size, ratio)


def icon(name: str, theme: Theme, size: int = 16, token: str = "text") -> QIcon:
    """The icon at ordinary and double density, with a greyed form for disabled controls."""
    made = QIcon()
    for ratio in (1.0, 2.0):
        made.addPixmap(_pixmap(name, theme[token], size, ratio), QIcon.Mode.Normal)
        made.addPixmap(_pixmap(name, theme["disabled"], size, ratio), QIcon.Mode.Disabled)
    return made


@cache
def _source(name: str) -> str:
    path = icon_folder() / f"{name}.svg"
    if not path.is_file():
        raise KeyError(f"no icon {name!r}; there are {', '.join(icon_names())}")
    return path.read_text(encoding="utf-8")


@cache
def _pixmap(name: str, colour: str, size: int, ratio: float) -> QPixmap:
    tinted = _source(name).replace("currentColor", colour)
    made = QPixmap(round(size * ratio), round(size * ratio))
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    QSvgRenderer(QByteArray(tinted.encode())).render(painter)
    painter.end()
    made.setDevicePixelRatio(ratio)
    return made
