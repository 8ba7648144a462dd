"""MatrixPanel: a matrix as a picture with labels, leading axes to choose, own or shared scale."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QTransform
from PySide6.QtWidgets import QMenu, QSpinBox, QWidget

from explorer import colours
from explorer.kinds import Array, Artefact, Matrix
from explorer.panels.overlays import Overlay
from explorer.panels.panel import Panel, Probed
from explorer.panels.picture_view import PictureView
from explorer.panels.theme import DARK, Theme, font
from explorer.panels.wording import number_text, range_text, shape_text

Limits = tuple[float, float]
LABEL_FROM = 12.0  # screen pixels of a cell from which labels are drawn


class Labels(Overlay):
    """Names of rows at the left and of columns above, when the cells are large enough."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[str, ...] = ()
        self.columns: tuple[str, ...] = ()

    def draw(self, painter: QPainter, to_screen: QTransform) -> None:
        """Write beside the cells that are large enough."""
        face = font("caption")
        painter.setFont(face)
        painter.setPen(self.theme.colour("text"))
        metrics = QFontMetrics(face)
        cell = to_screen.m11()
        if cell < LABEL_FROM:
            return
        for i, name in enumerate(self.rows):
            at = to_screen.map(QPointF(0, i + 0.5))
            box = QRectF(at.x() - 104, at.y() - 8, 100, 16)
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(box, flags, metrics.elidedText(name, Qt.TextElideMode.ElideLeft, 100))
        for i, name in enumerate(self.columns):
            at = to_screen.map(QPointF(i + 0.5, 0))
            if metrics.horizontalAdvance(name) <= cell:
                box = QRectF(at.x() - cell / 2, at.y() - 18, cell, 16)
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, name)


class MatrixPanel(Panel):
    """Values (..., R, C), with a counter for each leading axis; the probe names row and column."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.view = PictureView()
        self.labels = Labels()
        self.own_scale: bool | None = None
        self.shared: Limits | None = None
        self._counters: list[QSpinBox] = []
        self._axes: tuple[tuple[str, int], ...] = ()
        super().__init__(parent, theme=theme)
        self.view.add(self.labels, 20)
        self.set_body(self.view)
        self.view.hovered.connect(self._hover)
        self.view.clicked.connect(self._click)

    def facts(self, artefact: Artefact) -> str:
        """Shape, range, and whose scale it is."""
        assert isinstance(artefact, Matrix)
        low, high = extremes(artefact.values)
        scale = "own scale" if self._is_own(artefact) or self.shared is None else "shared scale"
        parts = (shape_text(artefact.values.shape), range_text(low, high), artefact.unit, scale)
        return " · ".join(part for part in parts if part)

    def draw(self, artefact: Artefact) -> None:
        """Draw the chosen matrix."""
        assert isinstance(artefact, Matrix)
        self._count_axes(artefact)
        plane = self._plane(artefact)
        low, high = self._limits(artefact)
        name = colours.map_for(low, high, artefact.scale)
        gap = self.theme.colour("canvas")
        table = colours.table(name, gap=(gap.red(), gap.green(), gap.blue()))
        rows, columns = plane.shape
        rect = QRectF(0, 0, columns, rows)
        self.view.show_picture(colours.index_of(plane, low, high), rect, table)
        margin_x = 0.14 * columns if artefact.rows else 0.0
        margin_y = 0.06 * rows if artefact.columns else 0.0
        self.view.set_home(rect.adjusted(-margin_x, -margin_y, 0, 0))
        self.labels.rows, self.labels.columns = tuple(artefact.rows), tuple(artefact.columns)
        self.labels.update()
        self.colour_bar.show_range(table, low, high, data=extremes(artefact.values))
        self.colour_bar.show()

    def set_shared(self, limits: Limits | None) -> None:
        """One range for all matrices of a group that want it."""
        if limits != self.shared:
            self.shared = limits
            if self.artefact is not None:
                self.show_artefact(self.artefact)

    def add_actions(self, menu: QMenu) -> None:
        """Own or shared scale."""
        action = menu.addAction("Own scale")
        action.setCheckable(True)
        action.setChecked(isinstance(self.artefact, Matrix) and self._is_own(self.artefact))
        action.toggled.connect(self.set_own)

    def set_own(self, own: bool) -> None:
        """Take this matrix's own range, or the group's."""
        self.own_scale = own
        if self.artefact is not None:
            self.show_artefact(self.artefact)

    def reset_zoom(self) -> None:
        """Show all."""
        self.view.reset_zoom()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.view.set_theme(theme)
        self.labels.set_theme(theme)
        if self.artefact is not None:
            self.draw(self.artefact)

    def _is_own(self, artefact: Matrix) -> bool:
        return artefact.own_scale if self.own_scale is None else self.own_scale

    def _limits(self, artefact: Matrix) -> Limits:
        found = extremes(artefact.values)
        if self.shared is not None and not self._is_own(artefact):
            found = self.shared
        return colours.limits_for(*found, artefact.scale)

    def _plane(self, artefact: Matrix) -> Array:
        index = tuple(counter.value() for counter in self._counters)
        plane: Array = artefact.values[index]
        return plane

    def _count_axes(self, artefact: Matrix) -> None:
        sizes = artefact.values.shape[:-2]
        names = tuple(artefact.axes) or tuple(f"axis {i}" for i in range(len(sizes)))
        axes = tuple(zip(names, sizes, strict=True))
        if axes == self._axes:
            return
        self._axes = axes
        for counter in self._counters:
            counter.hide()
            counter.deleteLater()
        self._counters = []
        for place, (name, size) in enumerate(axes):
            counter = QSpinBox(self)
            counter.setRange(0, size - 1)
            counter.setPrefix(f"{name} ")
            counter.setAccessibleName(f"{name}, 0 to {size - 1}")
            counter.valueChanged.connect(self._again)
            self.footer.insertWidget(place, counter)
            self._counters.append(counter)

    def _again(self) -> None:
        if self.artefact is not None:
            self.draw(self.artefact)

    def _cell(self, at: tuple[float, float] | None) -> tuple[int, int] | None:
        if at is None or not isinstance(self.artefact, Matrix):
            return None
        rows, columns = self.artefact.values.shape[-2:]
        row, column = int(np.floor(at[1])), int(np.floor(at[0]))
        return (row, column) if 0 <= row < rows and 0 <= column < columns else None

    def _hover(self, at: tuple[float, float] | None) -> None:
        cell, matrix = self._cell(at), self.artefact
        if cell is None or not isinstance(matrix, Matrix):
            self.probed.emit(None)
            return
        row = matrix.rows[cell[0]] if matrix.rows else str(cell[0])
        column = matrix.columns[cell[1]] if matrix.columns else str(cell[1])
        value = number_text(float(self._plane(matrix)[cell]), 5)
        self.probed.emit(Probed(f"{matrix.item}  row {row}  column {column}  {value}"))

    def _click(self, at: tuple[float, float]) -> None:
        cell = self._cell(at)
        knob = self.artefact.gestures.get("pick") if self.artefact is not None else None
        if knob and cell is not None:
            self.gestured.emit((knob, (float(cell[1]), float(cell[0]))))


def extremes(values: Array) -> Limits:
    """Least and greatest finite value; 0 and 1 when there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
