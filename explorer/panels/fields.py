"""FieldPanel: a value or a vector per pixel, alone or as heat over the input picture."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QConicalGradient, QPainter, QPaintEvent, QPen, QTransform
from PySide6.QtGui import QRadialGradient as Radial
from PySide6.QtWidgets import QMenu, QSizePolicy, QWidget

from explorer import colours
from explorer.kinds import Affine, Array, Artefact, Field
from explorer.panels.colour_bar import STEP
from explorer.panels.heat import (
    field_limits,
    flow_picture,
    ground,
    heat_limits,
    heat_picture,
    heat_table,
    magnitude,
    table_name,
)
from explorer.panels.overlays import Overlay, round_pen
from explorer.panels.panel import Probed
from explorer.panels.picture import PicturePanel, placed, position_text
from explorer.panels.picture_view import SmoothImage
from explorer.panels.theme import DARK, SPACE_M, Theme, font
from explorer.panels.wording import number_text, range_text, shape_text

ARROW_EVERY = 26  # screen px between arrows


class Arrows(Overlay):
    """A sparse grid of arrows: tail at its pixel, length to scale, longest one grid step."""

    def __init__(self) -> None:
        super().__init__()
        self._vectors: Array = np.zeros((0, 0, 2), np.float32)
        self._rect, self._reach = QRectF(), 1.0

    def show_vectors(self, vectors: Array, rect: QRectF, reach: float) -> None:
        """Draw ``vectors`` (H, W, 2) placed at ``rect``; ``reach`` gets the longest arrow."""
        self._vectors, self._rect, self._reach = vectors, rect, reach
        self.update()

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """White arrows with a black edge."""
        height, width = self._vectors.shape[:2]
        if not height or not width:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        on_screen = to_screen.mapRect(self._rect)
        across = max(1, int(on_screen.width() / ARROW_EVERY))
        down = max(1, int(on_screen.height() / ARROW_EVERY))
        for row in np.unique((np.arange(down) + 0.5) / down * height).astype(int):
            for column in np.unique((np.arange(across) + 0.5) / across * width).astype(int):
                dx, dy = (float(v) for v in self._vectors[row, column])
                size = math.hypot(dx, dy) / self._reach * ARROW_EVERY * 0.9
                if not math.isfinite(size) or size < 1.5:
                    continue
                x = on_screen.x() + (column + 0.5) / width * on_screen.width()
                y = on_screen.y() + (row + 0.5) / height * on_screen.height()
                self._arrow(painter, QPointF(x, y), math.atan2(dy, dx), min(size, 2 * ARROW_EVERY))

    @staticmethod
    def _arrow(painter: QPainter, tail: QPointF, angle: float, size: float) -> None:
        tip = tail + QPointF(math.cos(angle), math.sin(angle)) * size
        barb = min(5.0, 0.5 * size + 1)
        ends = [
            tip - QPointF(math.cos(angle + turn), math.sin(angle + turn)) * barb
            for turn in (0.5, -0.5)
        ]
        for ink, width in (("black", 3.0), ("white", 1.2)):
            painter.setPen(round_pen(QColor(ink), width))
            painter.drawLine(tail, tip)
            for end in ends:
                painter.drawLine(tip, end)


class Wheel(QWidget):
    """The key to a vector field: hue is direction (right, down, ...), saturation is length."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._words = DARK, ""
        self.setFont(font("number"))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_reach(self, reach: float, unit: str) -> None:
        """Say which length has the full colour."""
        before = self.sizeHint()
        self._words = f"full colour {number_text(reach)} {unit}".rstrip()
        self.setAccessibleName(f"colour wheel, {self._words}")
        self.setToolTip("Hue is the direction, saturation the length of the vector.")
        if self.sizeHint() != before:
            self.updateGeometry()
        self.update()

    def text(self) -> str:
        """The words beside the wheel."""
        return self._words

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """Words and a wheel of 32 px; in steps, so that it stays as digits come and go."""
        words = -(-self.fontMetrics().horizontalAdvance(self._words) // STEP) * STEP
        return QSize(words + 32 + SPACE_M, 32)

    def paintEvent(self, event: QPaintEvent) -> None:
        """White in the middle, full hues at the rim; angles as on the screen, y down."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        disc = QRectF(self.width() - 31, 1, 30, 30)
        hues = QConicalGradient(disc.center(), 0)
        for step in range(13):
            hues.setColorAt(step / 12, QColor.fromHsv(int(360 - 30 * step) % 360, 255, 255))
        fade = Radial(disc.center(), 15)
        fade.setColorAt(0, QColor(255, 255, 255))
        fade.setColorAt(1, QColor(255, 255, 255, 0))
        painter.setPen(QPen(self._theme.colour("outline"), 1))
        for brush in (hues, fade):
            painter.setBrush(brush)
            painter.drawEllipse(disc)
        painter.setFont(font("number"))
        painter.setPen(self._theme.colour("muted"))
        words = QRectF(0, 0, self.width() - 32 - SPACE_M, 32)
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(words, flags, self._words)
        painter.end()


class FieldPanel(PicturePanel):
    """Values in a colour map by sign and scale, vectors as hue with arrows; heat over the photo."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self._heat = SmoothImage()
        self._heat.smooth_below = math.inf  # heat of a coarse layer has no edges of its own
        self.arrows = Arrows()
        self.wheel = Wheel()
        self.over_picture: bool | None = None  # the person's choice; else that of the field
        self.whole_range = False  # of heat: up to 1 however weak it is
        super().__init__(parent, theme=theme)
        self.add_layer(self._heat, 5)
        self.add_overlay(self.arrows, 20)
        self.footer.insertWidget(1, self.wheel)
        self.wheel.hide()

    def facts(self, artefact: Artefact) -> str:
        """Size, exact range, unit."""
        assert isinstance(artefact, Field)
        values = magnitude(artefact)
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        what = "length " if artefact.values.ndim == 3 else ""
        size = f"{shape_text(artefact.values.shape[1::-1])} px"
        return f"{size} · {what}{range_text(low, high)} {artefact.unit}".rstrip()

    def draw(self, artefact: Artefact) -> None:
        """Draw values or vectors, over the input picture when there is one."""
        assert isinstance(artefact, Field)
        rect = placed(artefact.values.shape, artefact.affine)
        vectors = artefact.values.ndim == 3
        self.wheel.setVisible(vectors)
        self.colour_bar.setVisible(not vectors)
        self.arrows.setVisible(vectors)
        over = self.background is not None and self._lies_over(artefact) and not vectors
        self._heat.setVisible(over)
        if vectors:
            self._draw_vectors(artefact, rect)
        else:
            self._draw_values(artefact, rect, over=over)
        if over and self.background is not None:
            rect = placed(self.background.shape, self.background_place)
        self.view.set_home(rect)

    def set_background(self, image: Array | None, place: Affine | None = None) -> None:
        """Draw heat over this picture (H, W, 3) uint8 from the next field on."""
        self.background, self.background_place = image, place

    def probe(self, x: float, y: float) -> Probed | None:
        """The value, or length and direction, at an input position."""
        field = self.artefact
        if not isinstance(field, Field):
            return super().probe(x, y)
        column, row = (field.affine or Affine()).to_grid(x, y)
        height, width = field.values.shape[:2]
        if not (0 <= column < width and 0 <= row < height):
            return None
        value = field.values[int(row), int(column)]
        if field.values.ndim == 2:
            words = f"{number_text(float(value), 4)} {field.unit}".rstrip()
        else:
            dx, dy = float(value[0]), float(value[1])
            size = f"{number_text(math.hypot(dx, dy))} {field.unit}".rstrip()
            words = f"({number_text(dx)}, {number_text(dy)}) · length {size}"
        return Probed(f"{position_text(x, y)}  {words}", (x, y))

    def add_actions(self, menu: QMenu) -> None:
        """Heat over the picture, or the field alone."""
        if self.background is not None:
            action = menu.addAction("Over the input picture")
            action.setCheckable(True)
            action.setChecked(isinstance(self.artefact, Field) and self._lies_over(self.artefact))
            action.toggled.connect(self.set_over_picture)
        field = self.artefact
        over = isinstance(field, Field) and self.background is not None and self._lies_over(field)
        if over and isinstance(field, Field) and field.scale == "probability":
            action = menu.addAction("Colours from 0 to 1")
            action.setCheckable(True)
            action.setChecked(self.whole_range)
            action.toggled.connect(self.set_whole_range)

    def set_whole_range(self, whole: bool) -> None:
        """Colour heat by the range from 0 to 1, or by that of this map."""
        self.whole_range = whole
        if isinstance(self.artefact, Field):
            self.draw(self.artefact)

    def _lies_over(self, field: Field) -> bool:
        return field.over if self.over_picture is None else self.over_picture

    def set_over_picture(self, over: bool) -> None:
        """Show heat over the photo, or the field alone."""
        self.over_picture = over
        if isinstance(self.artefact, Field):
            self.draw(self.artefact)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.wheel.set_theme(theme)

    def _draw_values(self, field: Field, rect: QRectF, *, over: bool) -> None:
        finite = field.values[np.isfinite(field.values)]
        data = (float(finite.min()), float(finite.max())) if finite.size else None
        if over:
            low, high = heat_limits(field, whole=self.whole_range)
            table = heat_table(field)
            picture = heat_picture(field, whole=self.whole_range)
            self._heat.setImage(picture, autoLevels=False, levels=None)
            self._heat.setRect(rect)
            if self.background is not None:
                below = placed(self.background.shape, self.background_place)
                self.view.show_picture(ground(self.background), below)
        else:
            low, high = field_limits(field)
            table = colours.table(table_name(field))
            self.view.show_picture(colours.index_of(field.values, low, high), rect, table)
        self.colour_bar.show_range(table, low, high, unit=field.unit, data=data)

    def _draw_vectors(self, field: Field, rect: QRectF) -> None:
        length = magnitude(field)
        finite = length[np.isfinite(length)]
        reach = float(np.percentile(finite, 99)) if finite.size else 1.0
        reach = reach or 1.0
        self.view.show_picture(flow_picture(field, reach), rect)
        self.arrows.show_vectors(field.values, rect, reach)
        self.wheel.show_reach(reach, field.unit)
