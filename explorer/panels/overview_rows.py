"""How one row of the overview looks: name, small maps, histogram, numbers; painted, no widgets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QImage, QPainter, QPainterPath
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from explorer.colours import map_for, table
from explorer.kinds import Array
from explorer.panels.theme import DARK, SPACE_M, SPACE_S, Role, Theme, font, kind_token
from explorer.panels.wording import number_text, percent_text, shape_text
from explorer.views import LayerRow

Index = QModelIndex | QPersistentModelIndex
ROW = Qt.ItemDataRole.UserRole
PICTURE, ROUND = 34, 10  # px: least height of the pictures in a row, and what is around them
NAME, NARROW_NAME, VALUES, NUMBERS, UNITS = 210, 168, 84, 132, 108
LEAST_STRIP = 132  # px; columns go, from the last one on, until the pictures have this much
NEVER = "never above 0"
TITLES = ("Layer", "Strongest units", "Values", "Mean ± spread", "Dead, saturated")


@dataclass(frozen=True, slots=True)
class Columns:
    """Left edge and width of each column that is shown; None for one that there is no room for."""

    places: tuple[tuple[int, int] | None, ...]

    @classmethod
    def within(cls, width: int) -> Columns:
        """As many columns as fit into ``width`` px beside the pictures."""
        name = NAME if width >= NAME + LEAST_STRIP + VALUES + NUMBERS + UNITS else NARROW_NAME
        left, shown = width - name - LEAST_STRIP, []
        for column in (UNITS, VALUES, NUMBERS):  # what tells most per pixel first
            shown.append(left >= column)
            left -= column if left >= column else 0
        units, values, numbers = shown
        end, places = width, []
        for size, there in ((UNITS, units), (NUMBERS, numbers), (VALUES, values)):
            end -= size if there else 0
            places.append((end, size) if there else None)
        return cls(((0, name), (name, end - name), *reversed(places)))


class RowDelegate(QStyledItemDelegate):
    """Paints a `LayerRow`; only rows on the screen are ever painted."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme: Theme = DARK
        self.picture = PICTURE
        self.painted = 0  # rows, for those who ask whether only visible ones are

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """One height for all rows."""
        return QSize(200, self.picture + ROUND)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Ground, name, pictures, histogram, numbers."""
        row: LayerRow = index.data(ROW)
        self.painted += 1
        rect = option.rect
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if chosen or hovered:
            painter.fillRect(rect, self.theme.colour("raised"))
        edge = self.theme.colour("accent" if chosen else kind_token(row.kind))
        painter.fillRect(rect.left(), rect.top() + 3, 3, rect.height() - 6, edge)
        painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, self.theme.colour("hairline"))
        name, strip, values, numbers, units = (
            None
            if place is None
            else QRect(rect.left() + place[0], rect.top(), place[1], rect.height())
            for place in Columns.within(rect.width()).places
        )
        if name is not None and strip is not None:
            shape = shape_text(row.shape, batch=True)
            self._lines(painter, name.adjusted(12, 0, -8, 0), row.name, f"{row.kind} · {shape}")
            self._strip(painter, strip.adjusted(0, 5, -SPACE_M, -5), row)
        if values is not None:
            self._histogram(painter, values.adjusted(0, 5, -12, -5), row)
        if numbers is not None:
            self._lines(painter, numbers, spread_text(row.mean, row.spread), over_text(row))
        if units is not None:
            self._units(painter, units, row)

    def _lines(self, painter: QPainter, rect: QRect, above: str, below: str) -> None:
        lines: tuple[tuple[str, Role, str, int], ...] = (
            (above, "body", "text", 4), (below, "caption", "muted", 23),
        )  # fmt: skip
        for text, role, token, top in lines:
            face = _face(role)
            painter.setFont(face)
            painter.setPen(self.theme.colour(token))
            place = QRect(rect.left(), rect.top() + top, rect.width(), 17)
            painter.drawText(place, _LEFT, elided(text, face, rect.width()))

    def _strip(self, painter: QPainter, rect: QRect, row: LayerRow) -> None:
        picture = image_of(row, self.theme)
        height, width = picture.height(), picture.width()
        if row.picture == "maps":
            scale = min(self.picture / height, rect.width() / width)
            scale = float(int(scale)) if scale >= 1 else scale
            size = (round(width * scale), round(height * scale))
        else:  # a vector or a matrix has no proportions to keep
            size = (min(rect.width(), max(width, 96)), self.picture if height > 1 else 16)
        place = QRect(rect.left(), rect.center().y() - size[1] // 2, size[0], size[1])
        painter.drawImage(place, picture)

    def _histogram(self, painter: QPainter, rect: QRect, row: LayerRow) -> None:
        counts = np.sqrt(row.counts / max(1, row.counts.max()))
        step = rect.width() / len(counts)
        path = QPainterPath()
        for i, share in enumerate(counts.tolist()):
            if share > 0:
                tall = max(1.0, share * (rect.height() - 2))
                path.addRect(QRectF(rect.left() + i * step, rect.bottom() - tall, step, tall))
        painter.fillRect(rect, self.theme.colour("canvas"))
        painter.fillPath(path, self.theme.colour("muted"))
        if row.low < 0 < row.high:
            x = rect.left() + round(rect.width() * -row.low / (row.high - row.low))
            painter.fillRect(x, rect.top(), 1, rect.height(), self.theme.colour("accent"))

    def _units(self, painter: QPainter, rect: QRect, row: LayerRow) -> None:
        if row.not_finite:
            face = _face("body")
            painter.setFont(face)
            painter.setPen(self.theme.colour("error"))
            text = f"{row.not_finite} not finite"
            painter.drawText(rect.adjusted(0, 4, 0, -22), _LEFT, text)
            self._lines(painter, rect.adjusted(0, 0, -SPACE_S, 0), "", dead_text(row))
            return
        above, below = dead_text(row), saturated_text(row)
        if above.endswith(NEVER):  # too long for one line
            above, below = above.removesuffix(f" {NEVER}"), NEVER
        self._lines(painter, rect.adjusted(0, 0, -SPACE_S, 0), above, below)


_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


def image_of(row: LayerRow, theme: Theme) -> QImage:
    """The strip in colours: from the sign of the data, as everywhere."""
    canvas = theme.colour("canvas")
    lut = colours(map_for(*row.limits), (canvas.red(), canvas.green(), canvas.blue()))
    rgb = np.ascontiguousarray(lut[row.strip])
    height, width = row.strip.shape
    return QImage(rgb.data, width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()


def dead_text(row: LayerRow) -> str:
    """``12 of 64 dead``: units never above 0 in any frame that was looked at.

    Only after an activation function that says that they are dead.
    """
    word = "dead" if kind_token(row.kind) == "kind_activation" else NEVER
    return f"{row.dead} of {row.channels} {word}"


def saturated_text(row: LayerRow) -> str:
    """Share at the ends of a bounded activation; empty for any other."""
    return "" if row.saturated is None else f"{percent_text(row.saturated)} saturated"


def spread_text(mean: float, spread: float) -> str:
    """``0.31 ± 0.52``."""
    return f"{number_text(mean, 2)} ± {number_text(spread, 2)}"


def over_text(row: LayerRow) -> str:
    """Mean and spread over all frames so far."""
    frames = "1 frame" if row.frames == 1 else f"{row.frames} frames"
    return f"{frames}: {spread_text(*row.over)}"


def tip_of(row: LayerRow) -> str:
    """All that is known of a layer, for the tooltip and for those who cannot see the pictures."""
    calls = f"\n{row.calls} calls a pass, the last one shown" if row.calls > 1 else ""
    saturated = saturated_text(row)
    units = f"\nunits {', '.join(map(str, row.units))}, the strongest when first seen"
    return (
        f"{row.name}\n{row.kind} · {shape_text(row.shape, batch=True)} · {row.dtype}{calls}\n"
        f"{number_text(row.low)} … {number_text(row.high)}, mean {number_text(row.mean)}, "
        f"spread {number_text(row.spread)}\nover {over_text(row)}\n{dead_text(row)}"
        + (f", {saturated}" if saturated else "")
        + (f"\n{row.not_finite} values are not finite" if row.not_finite else "")
        + (units if row.units else "")
    )


@lru_cache
def colours(name: str, canvas: tuple[int, int, int]) -> Array:
    """The table (256, 4) of a colour map on this canvas."""
    return table(name, gap=canvas)


@lru_cache
def _face(role: Role) -> QFont:
    return font(role)


@lru_cache(maxsize=4096)
def elided(text: str, face: QFont, width: int) -> str:
    """Cut in the middle: the ends of layer names tell them apart."""
    return QFontMetrics(face).elidedText(text, Qt.TextElideMode.ElideMiddle, width)
