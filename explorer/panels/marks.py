"""Boxes, masks and keypoints over the input picture, with legend, read-out and selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer.kinds import WAITING, Artefact, Boxes, Keypoints, Masks
from explorer.panels.film import FilmBar
from explorer.panels.heat import masks_picture
from explorer.panels.marking import (
    CHOSEN,
    SEEN_FROM,
    box_marks,
    box_under,
    box_words,
    cause_of,
    legend_of,
    nearest_point,
    numbers_of,
    skeletons,
    standing_under,
)
from explorer.panels.overlays import BoxesOverlay, PointsOverlay, class_colour
from explorer.panels.panel import Probed
from explorer.panels.picture import PicturePanel, placed, position_text
from explorer.panels.plotting import pg
from explorer.panels.theme import DARK, SPACE_M, SPACE_S, TYPE_SCALE, Theme, font

LEGEND_ENTRIES = 6
SWATCH = 10  # px


def _entry(label: str, count: int) -> str:
    return f"{label} × {count}" if count > 1 else label


class Legend(QWidget):
    """Colour, word and count of each class, up to six as there is room; the rest is counted.

    It is drawn, not built of widgets: with a clip its words change at every frame.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._entries: list[tuple[str, QColor, int]] = []
        self._tall = TYPE_SCALE["caption"][1]
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_entries(self, entries: Sequence[tuple[str, QColor, int]]) -> None:
        """Show these, in this order, as many as there is room for."""
        if list(entries) != self._entries:
            self._entries = list(entries)
            self._tell()
            self.setVisible(bool(self._entries))
            self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer words fit."""
        super().resizeEvent(event)
        self._tell()

    def sizeHint(self) -> QSize:
        """One line; as wide as others leave."""
        return QSize(60, self._tall)

    def minimumSizeHint(self) -> QSize:
        """A swatch and two or three characters."""
        return QSize(40, self._tall)

    def words(self) -> list[str]:
        """The words of the entries, all of them."""
        return [label for label, _, _ in self._entries]

    def shown(self) -> list[tuple[QColor | None, str]]:
        """What is written: swatch and words of each entry that has room, then how many more."""
        metrics = self._metrics()
        most = min(len(self._entries), LEGEND_ENTRIES)
        written: list[tuple[QColor | None, str]] = []
        for count in range(most, 0, -1):
            written = [(colour, _entry(word, n)) for word, colour, n in self._entries[:count]]
            if count < len(self._entries):
                written.append((None, f"and {len(self._entries) - count} more"))
            if sum(self._width(metrics, entry) for entry in written) <= self.width() + SPACE_M:
                return written
        return written

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        self._theme = theme
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what fits; of a single entry that is too long, its beginning."""
        painter = QPainter(self)
        painter.setFont(font("caption"))
        painter.setPen(self._theme.colour("muted"))
        metrics, written, left = self._metrics(), self.shown(), 0
        widths = [self._width(metrics, entry) for entry in written]
        if written:  # the only one may be too long
            widths[0] -= max(0, sum(widths) - SPACE_M - self.width())
        for (colour, words), width in zip(written, widths, strict=True):
            if colour is not None:
                painter.fillRect(left, (self.height() - SWATCH) // 2, SWATCH, SWATCH, colour)
            at = left + (SWATCH + SPACE_S if colour is not None else 0)
            room = QRect(at, 0, left + width - SPACE_M - at, self.height())
            words = metrics.elidedText(words, Qt.TextElideMode.ElideRight, room.width())
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, words)
            left += width
        painter.end()

    @staticmethod
    def _metrics() -> QFontMetrics:
        return QFontMetrics(font("caption"))

    @staticmethod
    def _width(metrics: QFontMetrics, entry: tuple[QColor | None, str]) -> int:
        swatch = 0 if entry[0] is None else SWATCH + SPACE_S
        return swatch + metrics.horizontalAdvance(entry[1]) + 1 + SPACE_M

    def _tell(self) -> None:
        """All entries as name and, where not all is read, as tooltip."""
        everything = ", ".join(_entry(word, n) for word, _, n in self._entries)
        self.setAccessibleName(f"Legend: {everything}" if everything else "")
        metrics, written = self._metrics(), self.shown()
        width = sum(self._width(metrics, entry) for entry in written) - SPACE_M
        whole = len(written) == len(self._entries) and width <= self.width()
        self.setToolTip("" if whole else everything)


class MarksPanel(PicturePanel):
    """A picture panel with a legend below it."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.legend = Legend()
        super().__init__(parent, theme=theme)
        self.footer.insertWidget(0, self.legend, 20)  # the room is its own

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.legend.set_theme(theme)

    def _frame(self, rect: QRectF) -> None:
        """Without a picture below, show the region that the marks cover."""
        if self.background is None:
            margin = 0.05 * max(rect.width(), rect.height(), 1.0)
            self.view.set_home(rect.adjusted(-margin, -margin, margin, margin))


class BoxesPanel(MarksPanel):
    """Boxes with label and score; click marks one, dashed boxes were removed.

    The mouse over a removed box marks the one that removed it. Where boxes are decided one after
    another and the gesture ``type`` names a knob, a slider sets how many decisions are shown.
    """

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.marks = BoxesOverlay()
        self.film = FilmBar()
        super().__init__(parent, theme=theme)
        self.add_overlay(self.marks, 20)
        self.footer.insertWidget(1, self.film)
        self.film.hide()
        self.film.moved.connect(self._on_film)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.film.set_theme(theme)

    def facts(self, artefact: Artefact) -> str:
        """How many boxes, and the range of their scores."""
        assert isinstance(artefact, Boxes)
        count = len(artefact.boxes)
        parts = [f"{count} box" if count == 1 else f"{count} boxes"]
        if len(artefact.scores):
            parts.append(f"score {artefact.scores.min():.2f} … {artefact.scores.max():.2f}")
        if artefact.state:
            kinds = dict.fromkeys(artefact.state)
            parts += [f"{list(artefact.state).count(s)} {s}" for s in kinds]
        return " · ".join(parts)

    def draw(self, artefact: Artefact) -> None:
        """Draw the boxes; marked is the one that was chosen or lies under the picked place."""
        assert isinstance(artefact, Boxes)
        self.marks.show_marks(box_marks(artefact), self._selected(artefact))
        self.legend.show_entries(legend_of(artefact.labels))
        self._show_film(artefact)
        if len(artefact.boxes):
            x1, y1 = artefact.boxes[:, :2].min(0).tolist()
            x2, y2 = artefact.boxes[:, 2:].max(0).tolist()
            self._frame(QRectF(x1, y1, x2 - x1, y2 - y1))

    def show_knob(self, name: str, value: Any) -> None:
        """A place that was picked elsewhere, or undone, marks its box here too."""
        super().show_knob(name, value)
        if name == self._knob("pick") and isinstance(self.artefact, Boxes):
            self.marks.selected = self._selected(self.artefact)
            self.marks.update()

    def probe(self, x: float, y: float) -> Probed | None:
        """The smallest box under the mouse, with label, score, size and fate."""
        boxes = self.artefact
        i = box_under(boxes, x, y) if isinstance(boxes, Boxes) else None
        if i is None or not isinstance(boxes, Boxes):
            self.marks.show_cause(None)
            return super().probe(x, y)
        x1, y1, x2, y2 = boxes.boxes[i]
        number = boxes.ids[i] if len(boxes.ids) > i else i  # by which others name it as their cause
        parts = [f"box {number}, one of {len(boxes.boxes)}", box_words(boxes, i)]
        parts.append(f"{x2 - x1:.0f} × {y2 - y1:.0f} px at {x1:.0f}, {y1:.0f}")
        if boxes.state:
            parts.append(boxes.state[i])
        if len(boxes.cause_id) and boxes.cause_id[i] >= 0 and len(boxes.cause_iou):
            parts.append(f"by box {boxes.cause_id[i]} at IoU {boxes.cause_iou[i]:.2f}")
        cause = cause_of(boxes, i)
        words = "" if cause is None else f"box {boxes.cause_id[i]} · {box_words(boxes, cause)}"
        self.marks.show_cause(cause, words)
        return Probed(" · ".join(p for p in parts if p), (x, y))

    def pick(self, x: float, y: float) -> None:
        """Mark the box under the mouse."""
        if isinstance(self.artefact, Boxes):
            self.marks.selected = box_under(self.artefact, x, y)
            self.marks.update()
        super().pick(x, y)

    def _on_hover(self, at: tuple[float, float] | None) -> None:
        if at is None:
            self.marks.show_cause(None)
        super()._on_hover(at)

    def _selected(self, boxes: Boxes) -> int | None:
        """The chosen box, or the last that a film has decided on, else the one under the picked
        place; boxes of another frame have other numbers. Without any that which was marked."""
        if CHOSEN in boxes.state:
            return list(boxes.state).index(CHOSEN)
        if WAITING in boxes.state:
            return max(0, list(boxes.state).index(WAITING) - 1)
        knob = self._knob("pick")
        if knob in self._knobs:
            at = self._knobs[knob]
            return None if at is None else standing_under(boxes, *at)
        selected = self.marks.selected
        return selected if selected is not None and selected < len(boxes.boxes) else None

    def _show_film(self, boxes: Boxes) -> None:
        count = len(boxes.state)
        self.film.setVisible(count > 1 and self._knob("type") is not None)
        self.film.show_decided(count - list(boxes.state).count(WAITING), count)

    def _on_film(self, decisions: int) -> None:
        knob = self._knob("type")
        if knob is not None:
            self.gestured.emit((knob, decisions))


class MasksPanel(MarksPanel):
    """Masks in the colours of Okabe and Ito with solid edges; the probe names the mask."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self._item = pg.ImageItem()
        super().__init__(parent, theme=theme)
        self.add_layer(self._item, 6)

    def facts(self, artefact: Artefact) -> str:
        """How many masks of which size."""
        assert isinstance(artefact, Masks)
        count, height, width = artefact.masks.shape
        return f"{count} mask{'s' * (count != 1)} · {width} × {height} px"

    def draw(self, artefact: Artefact) -> None:
        """Draw all masks as one picture."""
        assert isinstance(artefact, Masks)
        rect = placed(artefact.masks.shape[1:], artefact.affine)
        self._item.setImage(masks_picture(artefact), autoLevels=False, levels=None)
        self._item.setRect(rect)
        names = [self._name(artefact, i) for i in range(len(artefact.masks))]
        self.legend.show_entries([(name, class_colour(i), 1) for i, name in enumerate(names)])
        if self.background is None:
            self.view.set_home(rect)

    def probe(self, x: float, y: float) -> Probed | None:
        """The topmost mask under the mouse and how sure it is."""
        masks, base = self.artefact, super().probe(x, y)
        if not isinstance(masks, Masks) or base is None:
            return base
        height, width = masks.masks.shape[1:]
        rect = placed((height, width), masks.affine)
        column = int((x - rect.x()) / rect.width() * width)
        row = int((y - rect.y()) / rect.height() * height)
        if not (0 <= column < width and 0 <= row < height):
            return base
        values = masks.masks[:, row, column].astype(float)
        hit = [i for i, value in enumerate(values) if value >= 0.5]
        if not hit:
            return base
        sure = "" if masks.masks.dtype == bool else f" · p {values[hit[-1]]:.2f}"
        return Probed(f"{self._name(masks, hit[-1])}{sure}  {position_text(x, y)}", (x, y))

    @staticmethod
    def _name(masks: Masks, i: int) -> str:
        label = masks.labels[i] if masks.labels else f"mask {i}"
        return f"{label} {masks.scores[i]:.2f}" if len(masks.scores) > i else label


class KeypointsPanel(MarksPanel):
    """Skeletons over the picture; the probe names the nearest point."""

    REACH = 12.0  # screen px

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.points = PointsOverlay()
        super().__init__(parent, theme=theme)
        self.add_overlay(self.points, 20)

    def facts(self, artefact: Artefact) -> str:
        """How many skeletons and points."""
        assert isinstance(artefact, Keypoints)
        people, count, _ = artefact.points.shape
        seen = int((artefact.points[..., 2] >= SEEN_FROM).sum())
        return f"{people} × {count} points · {seen} with score ≥ {SEEN_FROM:g}"

    def draw(self, artefact: Artefact) -> None:
        """Draw bones and points."""
        assert isinstance(artefact, Keypoints)
        numbers = numbers_of(artefact)
        self.points.show_points(skeletons(artefact), artefact.skeleton, numbers)
        self.legend.show_entries([(f"skeleton {i}", class_colour(i), 1) for i in numbers])
        if artefact.points.size:
            low, high = artefact.points[..., :2].min((0, 1)), artefact.points[..., :2].max((0, 1))
            self._frame(QRectF(float(low[0]), float(low[1]), *(high - low).tolist()))

    def probe(self, x: float, y: float) -> Probed | None:
        """The nearest point with its name and score."""
        points = self.artefact
        found = None
        if isinstance(points, Keypoints):
            pixel = abs(self.view.screen(1, 0).x() - self.view.screen(0, 0).x())
            found = nearest_point(points, x, y, self.REACH / max(pixel, 1e-6))
        self.points.selected = found
        self.points.update()
        if found is None or not isinstance(points, Keypoints):
            return super().probe(x, y)
        person, k = found
        name = points.labels[k] if points.labels else f"point {k}"
        score = points.points[person, k, 2]
        return Probed(
            f"skeleton {numbers_of(points)[person]} · {name} · score {score:.2f}  "
            f"{position_text(x, y)}",
            (x, y),
        )
