"""Pictures in input pixels with overlays, gestures and a probe; ImagePanel shows an Image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QTransform
from PySide6.QtWidgets import QGraphicsItem, QWidget

from explorer.kinds import Affine, Array, Artefact, Boxes, Field, Image, Keypoints, Masks
from explorer.panels.heat import heat_picture, masks_picture
from explorer.panels.marking import box_marks, numbers_of, skeletons
from explorer.panels.mosaic import Layout, arrange, plan
from explorer.panels.overlays import (
    BoxesOverlay,
    CursorOverlay,
    DabsOverlay,
    Overlay,
    PointsOverlay,
    RectOverlay,
)
from explorer.panels.panel import Panel, Probed
from explorer.panels.picture_view import PictureView, SmoothImage
from explorer.panels.plotting import pg
from explorer.panels.theme import DARK, Theme, font

XY = tuple[float, float]


def placed(shape: Sequence[int], affine: Affine | None) -> QRectF:
    """Where a picture of ``shape`` (H, W, ...) lies in input pixels."""
    where = affine or Affine()
    x1, y1 = where.to_input(0, 0)
    x2, y2 = where.to_input(float(shape[1]), float(shape[0]))
    return QRectF(QPointF(x1, y1), QPointF(x2, y2))


class PicturePanel(Panel):
    """A panel whose body is a picture in input pixels: background, overlays, cursor, gestures."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.view = PictureView()
        self.cursor_mark = CursorOverlay()
        self.drawn_box = RectOverlay(dashed=True)
        self.background: Array | None = None
        self.background_place: Affine | None = None
        self.brush_radius = 8.0  # input px
        self.painted = DabsOverlay()
        self._knobs: dict[str, Any] = {}
        self._before_drag: tuple[XY, ...] | None = None
        self._overlays: list[Overlay] = []
        super().__init__(parent, theme=theme)
        self.add_overlay(self.cursor_mark, 100)
        self.add_overlay(self.drawn_box, 90)
        self.add_overlay(self.painted, 80)
        self.set_body(self.view)
        self.view.hovered.connect(self._on_hover)
        self.view.clicked.connect(self._on_click)
        self.view.dragged.connect(self._on_drag)
        self.view.zoom_changed.connect(self._on_zoom)

    def add_overlay(self, item: Overlay, z: float = 10) -> None:
        """Put ``item`` above the picture and let it follow the theme."""
        item.set_theme(self.theme)
        self._overlays.append(item)
        self.view.add(item, z)

    def add_layer(self, item: QGraphicsItem, z: float) -> None:
        """Put a plain graphics item (a heat picture) above the picture."""
        self.view.add(item, z)

    def set_background(self, image: Array | None, place: Affine | None = None) -> None:
        """Draw over this picture (H, W, 3) uint8, which lies at ``place`` in input pixels."""
        self.background, self.background_place = image, place
        if image is not None:
            rect = placed(image.shape, place)
            self.view.show_picture(image, rect)
            self.view.set_home(rect)

    def show_artefact(self, artefact: Artefact) -> None:
        """Show ``artefact`` and take up its gestures."""
        super().show_artefact(artefact)
        gestures = artefact.gestures
        paints = "paint" in gestures or "drag" in gestures
        self.view.drag_mode = "paint" if paints else "box" if "box" in gestures else "pan"
        self._show_painted()
        shape = Qt.CursorShape.CrossCursor if gestures else Qt.CursorShape.ArrowCursor
        self.view.viewport().setCursor(shape)

    def show_knob(self, name: str, value: Any) -> None:
        """Keep the value: what is painted stands on what a mask holds already, undone or not."""
        self._knobs[name] = value
        self._show_painted()

    def _show_painted(self) -> None:
        self.painted.show_dabs(self._knobs.get(self._brush()[0]) or ())

    def show_cursor(self, input_xy: XY | None) -> None:
        """Show the linked cursor at an input position."""
        self.cursor_mark.show_at(input_xy if self.has_place() else None)

    def reset_zoom(self) -> None:
        """Show the whole picture."""
        self.view.show_all()

    def show_region(self, region: tuple[float, float, float, float] | None) -> None:
        """Show the same part of the input as another panel."""
        if self.has_place():
            self.view.show_region(region)

    def has_place(self) -> bool:
        """Whether the picture lies in input pixels; the tiles of a batch do not."""
        return True

    def _on_zoom(self, region: tuple[float, float, float, float] | None) -> None:
        if self.has_place():
            self.zoomed.emit(region)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.view.set_theme(theme)
        for item in self._overlays:
            item.set_theme(theme)

    def probe(self, x: float, y: float) -> Probed | None:
        """What is at an input position: its pixel and colour."""
        if self.background is None:
            return Probed(position_text(x, y), (x, y))
        height, width = self.background.shape[:2]
        column, row = (self.background_place or Affine()).to_grid(x, y)
        if not (0 <= column < width and 0 <= row < height):
            return None
        red, green, blue = self.background[int(row), int(column)]
        return Probed(f"{position_text(x, y)}  RGB {red} {green} {blue}", (x, y))

    def pick(self, x: float, y: float) -> None:
        """A click at an input position: set the knob of the gesture ``pick``."""
        knob = self._knob("pick")
        if knob is not None:
            self.gestured.emit((knob, (x, y)))

    def _knob(self, gesture: str) -> str | None:
        gestures = self.artefact.gestures if self.artefact is not None else {}
        return {str(k): v for k, v in gestures.items()}.get(gesture)

    def _brush(self) -> tuple[str, float, float]:
        """Knob of the gesture ``paint`` ("" is none), value and radius in input px of a dab.

        The gesture may be ``knob=value`` or ``knob=value,radius`` where these are not the usual.
        """
        knob, _, rest = (self._knob("paint") or "").partition("=")
        value, _, radius = rest.partition(",")
        return knob, float(value or 1.0), float(radius or self.brush_radius)

    def _on_hover(self, at: XY | None) -> None:
        self.probed.emit(None if at is None else self.probe(*at))

    def _on_click(self, at: XY) -> None:
        self.pick(*at)

    def _on_drag(self, drag: tuple[XY, XY, bool]) -> None:
        (x1, y1), (x2, y2), finished = drag
        if knob := self._knob("box"):
            corners = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
            self.drawn_box.show_corners(None if finished else corners)
            if finished:
                self.gestured.emit((knob, corners))
        if knob := self._knob("drag"):
            self._drag_knob(knob, drag)
        knob, value, radius = self._brush()
        if knob:
            dabs = (*self.painted.dabs, (x2, y2, radius, value))
            self.show_knob(knob, dabs)
            self.gestured.emit((knob, dabs))

    def _drag_knob(self, knob: str, drag: tuple[XY, XY, bool]) -> None:
        """Set a point to where the mouse is; ``knob+`` adds where a drag began and where it is."""
        start, now, finished = drag
        name = knob.removesuffix("+")
        if name == knob:
            self.gestured.emit((knob, now))
            return
        if self._before_drag is None:
            self._before_drag = tuple(self._knobs.get(name) or ())
        if now != start:
            self.gestured.emit((name, (*self._before_drag, start, now)))
        if finished:
            self._before_drag = None


class TileLabels(Overlay):
    """A caption above each tile of a batch; a label wider than its tile is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: Sequence[str] = ()
        self.layout: Layout | None = None

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """Write the labels into the rows kept for them."""
        if self.layout is None or not self.layout.label:
            return
        made = font("caption")
        metrics = QFontMetrics(made)
        painter.setFont(made)
        painter.setPen(self.theme.colour("muted"))
        for i, label in enumerate(self.labels):
            x1, y1, x2, _ = self.layout.corners(i)
            left, right = to_screen.map(QPointF(x1, y1)), to_screen.map(QPointF(x2, y1))
            width = int(right.x() - left.x())
            text = metrics.elidedText(label, Qt.TextElideMode.ElideRight, width)
            rect = QRectF(left.x(), left.y() - 16, width, 16)
            painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)


class ImagePanel(PicturePanel):
    """A picture, or a batch of them as labelled tiles, with overlays of other artefacts on top."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self._batch: npt.NDArray[np.uint8] | None = None
        self._layout: Layout | None = None
        self._boxes, self._points = BoxesOverlay(), PointsOverlay()
        self._field = RectOverlay()
        self._labels = TileLabels()
        self._heat, self._masks = SmoothImage(), pg.ImageItem()
        self._heat.smooth_below = math.inf  # heat of a coarse layer has no edges of its own
        super().__init__(parent, theme=theme)
        self.add_layer(self._heat, 5)
        self.add_layer(self._masks, 6)
        for z, item in enumerate((self._boxes, self._points, self._field, self._labels), start=20):
            self.add_overlay(item, z)
        self.view.resized.connect(self._draw_batch)

    def facts(self, artefact: Artefact) -> str:
        """``640 × 480 px``, and how many."""
        assert isinstance(artefact, Image)
        *batch, height, width, _ = artefact.image.shape
        parts = [f"{batch[0]} pictures"] if batch and batch[0] > 1 else []
        return " · ".join([*parts, f"{width} × {height} px", *filter(None, [artefact.unit])])

    def draw(self, artefact: Artefact) -> None:
        """Show the picture in input pixels, or the batch in tiles."""
        assert isinstance(artefact, Image)
        if artefact.image.ndim == 4 and len(artefact.image) > 1:
            self._batch = artefact.image
            self._draw_batch()
            return
        image = artefact.image if artefact.image.ndim == 3 else artefact.image[0]
        self._batch = self._layout = self._labels.layout = None
        self.background = image
        rect = placed(image.shape, artefact.affine)
        self.view.show_picture(image, rect)
        self.view.set_home(rect)

    def set_overlay(self, kind: str, artefact: Artefact | None) -> None:
        """Lay an artefact over the picture, or take the one of that kind away with None.

        Args:
            kind: "Boxes", "Keypoints", "Masks" or "Field".

        Raises:
            KeyError: no overlay of that kind.
        """
        {
            "Boxes": self._overlay_boxes,
            "Keypoints": self._overlay_points,
            "Masks": self._overlay_masks,
            "Field": self._overlay_heat,
        }[kind](artefact)

    def has_place(self) -> bool:
        """The pictures of a batch, even of one, are not the input: they stand side by side."""
        batch = isinstance(self.artefact, Image) and self.artefact.image.ndim == 4
        return self._batch is None and not batch

    def set_receptive_field(self, corners: tuple[float, float, float, float] | None) -> None:
        """Outline (x1, y1, x2, y2) in input pixels: what the selected cell can see."""
        words = ""
        if corners is not None:
            words = (
                f"receptive field {corners[2] - corners[0]:.0f} × {corners[3] - corners[1]:.0f} px"
            )
        self._field.show_corners(corners, words)

    def probe(self, x: float, y: float) -> Probed | None:
        """Pixel and colour; in a batch also which picture."""
        if self._batch is None or self._layout is None:
            return self._probe_one(x, y)
        found = self._layout.locate(x, y)
        if found is None:
            return None
        index, tile_x, tile_y = found
        red, green, blue = self._batch[index, int(tile_y), int(tile_x)]
        words = f"{self._label(index)}  {position_text(tile_x, tile_y)}  RGB {red} {green} {blue}"
        return Probed(words)

    def pick(self, x: float, y: float) -> None:
        """Set the knob of the gesture: a position, or in a batch the number of the picture."""
        if self._layout is None:
            super().pick(x, y)
            return
        found, knob = self._layout.locate(x, y), self._knob("pick")
        if found is not None and knob is not None:
            self.gestured.emit((knob, found[0]))

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``; the gaps of a batch have that of the canvas."""
        super().set_theme(theme)
        self._draw_batch()

    def _probe_one(self, x: float, y: float) -> Probed | None:
        if self.background is None:
            return None
        affine = self.artefact.affine if isinstance(self.artefact, Image) else None
        column, row = (affine or Affine()).to_grid(x, y)
        height, width = self.background.shape[:2]
        if not (0 <= column < width and 0 <= row < height):
            return None
        red, green, blue = self.background[int(row), int(column)]
        words = f"{position_text(x, y)}  RGB {red} {green} {blue}"
        return Probed(words, (x, y) if self.has_place() else None)

    def _label(self, index: int) -> str:
        labels = self.artefact.labels if isinstance(self.artefact, Image) else ()
        count = 0 if self._batch is None else len(self._batch)
        return labels[index] if labels else f"picture {index} of {count}"

    def _draw_batch(self) -> None:
        if self._batch is None:
            return
        size = self.view.viewport().size()
        count, height, width = self._batch.shape[:3]
        layout = plan(count, (height, width), size.width(), size.height())
        picture = arrange(self._batch, layout, fill=self.theme.colour("canvas").red())
        picture = self._with_canvas(picture, layout)
        rect = QRectF(0, 0, picture.shape[1], picture.shape[0])
        self._layout = self._labels.layout = layout
        self._labels.labels = [self._label(i) for i in range(count)]
        if not isinstance(self.artefact, Image) or not self.artefact.labels:
            self._labels.labels = [str(i) for i in range(count)]
        self.view.show_picture(picture, rect)
        self.view.set_home(rect, 1.0)
        self._labels.update()

    def _with_canvas(self, picture: npt.NDArray[np.uint8], layout: Layout) -> npt.NDArray[np.uint8]:
        """Paint all that is no tile in the canvas colour."""
        filled = np.ones((layout.count, *layout.tile), np.uint8)
        outside = arrange(filled, layout, fill=0) == 0
        canvas = self.theme.colour("canvas")
        picture = picture.copy()
        picture[outside] = (canvas.red(), canvas.green(), canvas.blue())
        return picture

    def _overlay_boxes(self, artefact: Artefact | None) -> None:
        self._boxes.show_marks(box_marks(artefact) if isinstance(artefact, Boxes) else ())

    def _overlay_points(self, artefact: Artefact | None) -> None:
        if isinstance(artefact, Keypoints):
            self._points.show_points(skeletons(artefact), artefact.skeleton, numbers_of(artefact))
        else:
            self._points.show_points([], (), ())

    def _overlay_masks(self, artefact: Artefact | None) -> None:
        self._masks.setVisible(isinstance(artefact, Masks))
        if isinstance(artefact, Masks):
            self._masks.setImage(masks_picture(artefact), levels=None, autoLevels=False)
            self._masks.setRect(placed(artefact.masks.shape[1:], artefact.affine))

    def _overlay_heat(self, artefact: Artefact | None) -> None:
        self._heat.setVisible(isinstance(artefact, Field))
        if isinstance(artefact, Field):
            self._heat.setImage(heat_picture(artefact), levels=None, autoLevels=False)
            self._heat.setRect(placed(artefact.values.shape, artefact.affine))


def position_text(x: float, y: float) -> str:
    """Pixel under a continuous position: ``x  12  y 103``."""
    return f"x {int(np.floor(x)):4d}  y {int(np.floor(y)):4d}"
