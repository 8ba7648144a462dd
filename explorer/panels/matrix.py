"""MatrixPanel: matrices with labels and a colour bar, leading axes side by side or one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QMenu, QWidget

from explorer import colours
from explorer.kinds import Array, Artefact, Matrix
from explorer.panels.matrix_view import Cell, Content, MatrixView
from explorer.panels.panel import Panel, Probed
from explorer.panels.theme import DARK, SPACE_S, Theme
from explorer.panels.wording import number_text, range_text, shape_text

Limits = tuple[float, float]
TILES = 36  # more matrices than this are not shown side by side unless asked for
AVERAGED_FROM = 1.05  # cells a drawn value
CHOICES_FROM = 190  # px of height


class MatrixPanel(Panel):
    """Values (..., R, C); the probe names the leading axes, row, column and value."""

    def __init__(self, parent: QWidget | None = None, *, theme: Theme = DARK) -> None:
        self.view = MatrixView()
        self.own_scale: bool | None = None
        self.robust = True
        self.shared: Limits | None = None
        self.choices: list[QComboBox] = []
        self._axes: tuple[tuple[str, int], ...] = ()
        self._found: tuple[Matrix, bool, Limits] | None = None
        self._places: list[tuple[int, ...]] = []
        super().__init__(parent, theme=theme)
        self.set_body(self.view)
        self._row = QHBoxLayout()
        self._row.setSpacing(SPACE_S)
        self._row.addStretch(1)
        self._rows.insertLayout(2, self._row)
        self.setFocusProxy(self.view)
        self.view.hovered.connect(self._hover)
        self.view.clicked.connect(self._click)
        self.view.scaled.connect(self.say_lines)

    def facts(self, artefact: Artefact) -> str:
        """Shape, whose scale it is, range, unit."""
        assert isinstance(artefact, Matrix)
        low, high = extremes(artefact.values)
        scale = "shared scale" if self._shares(artefact) else "own scale"
        reach = f"{range_text(low, high)} {artefact.unit}".rstrip() if artefact.values.size else ""
        parts = (shape_text(artefact.values.shape), scale, reach)
        return " · ".join(part for part in parts if part)

    def caption(self, artefact: Artefact) -> str:
        """The note, after how many cells were averaged into one where there is no room for all."""
        factor = self.view.averaging()
        words = f"averaged {number_text(factor, 2)} ×" if factor > AVERAGED_FROM else ""
        return " · ".join(part for part in (words, artefact.note) if part)

    def draw(self, artefact: Artefact) -> None:
        """Draw the chosen matrices."""
        assert isinstance(artefact, Matrix)
        self._offer_axes(artefact)
        self._places = self._chosen(artefact)
        low, high = self.limits(artefact)
        name = colours.map_for(low, high, artefact.scale)
        gap = self.theme.colour("canvas")
        table = colours.table(name, gap=(gap.red(), gap.green(), gap.blue()))
        names = [axis for axis, _ in self._axes]
        whole = [box.currentIndex() == 0 for box in self.choices]
        across = self._axes[-1][1] if len(whole) > 1 and all(whole[-2:]) else 0
        self.view.show_content(
            Content(
                planes=[artefact.values[place] for place in self._places],
                titles=[titles(names, whole, place) for place in self._places],
                rows=artefact.rows,
                heads=artefact.columns,
                low=low,
                high=high,
                table=table,
                columns=across,
            )
        )
        data = extremes(artefact.values)
        self.colour_bar.show_range(table, low, high, unit=artefact.unit, data=data)
        self.colour_bar.setVisible(artefact.values.size > 0)

    def own_limits(self, artefact: Matrix) -> Limits:
        """The range of the values: 1st to 99th percentile of a large matrix, else the extremes."""
        if self._found is None or self._found[0] is not artefact or self._found[1] != self.robust:
            self._found = artefact, self.robust, self._find_limits(artefact)
        return self._found[2]

    def _find_limits(self, artefact: Matrix) -> Limits:
        robust = colours.robust_range if self.robust else extremes
        return robust(artefact.values)

    def limits(self, artefact: Matrix) -> Limits:
        """The values at both ends of the colour bar."""
        found = self.own_limits(artefact)
        if self._shares(artefact) and self.shared is not None:
            found = self.shared
        if artefact.scale == "probability" and self.own_scale:
            return 0.0, found[1] if found[1] > 0 else 1.0
        return colours.limits_for(*found, artefact.scale)

    def set_limits(self, limits: Limits | None) -> None:
        """One range for all matrices of a group that want it; None ends that."""
        if limits == self.shared:
            return
        other_words = (limits is None) != (self.shared is None)
        self.shared = limits
        if self.artefact is not None:
            (self.show_artefact if other_words else self.draw)(self.artefact)

    def wants_shared(self) -> bool:
        """Whether this matrix takes part in the group's range."""
        return isinstance(self.artefact, Matrix) and not self._is_own(self.artefact)

    def add_actions(self, menu: QMenu) -> None:
        """Own or shared scale; with or without outliers."""
        shown = self.artefact
        own = menu.addAction("Own scale")
        own.setCheckable(True)
        own.setChecked(isinstance(shown, Matrix) and not self._shares(shown))
        own.toggled.connect(lambda on: self.set_own(own=on))
        robust = menu.addAction("Clip outliers (1 to 99 %)")
        robust.setCheckable(True)
        robust.setChecked(self.robust)
        robust.toggled.connect(lambda on: self.set_robust(robust=on))

    def set_own(self, *, own: bool) -> None:
        """Take this matrix's own range, or the group's."""
        self.own_scale = own
        self._again()

    def set_robust(self, *, robust: bool) -> None:
        """Leave the outermost values out of the range, or not."""
        self.robust = robust
        self._again()

    def reset_zoom(self) -> None:
        """Show all cells."""
        self.view.reset_zoom()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of ``theme``."""
        super().set_theme(theme)
        self.view.set_theme(theme)
        if self.artefact is not None:
            self.draw(self.artefact)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A small panel keeps its room for the cells."""
        super().resizeEvent(event)
        self._make_room()

    def _make_room(self) -> None:
        for box in self.choices:
            box.setVisible(self.height() >= CHOICES_FROM)

    def _is_own(self, artefact: Matrix) -> bool:
        return artefact.own_scale if self.own_scale is None else self.own_scale

    def _shares(self, artefact: Matrix) -> bool:
        return self.shared is not None and not self._is_own(artefact)

    def _offer_axes(self, artefact: Matrix) -> None:
        """A choice for each leading axis: all side by side, or one."""
        sizes = artefact.values.shape[:-2]
        names = tuple(artefact.axes) or tuple(f"axis {i}" for i in range(len(sizes)))
        axes = tuple(zip(names, sizes, strict=True))
        if axes == self._axes:
            return
        self._axes = axes
        for box in self.choices:
            box.hide()
            box.deleteLater()
        self.choices = []
        left = int(np.prod(sizes))
        for place, (name, size) in enumerate(axes):
            box = QComboBox(self)
            box.addItems([f"all {size} · {name}", *(f"{name} {i}" for i in range(size))])
            box.setAccessibleName(f"{name}: all side by side, or one")
            box.setToolTip(f"Which {name} to show")
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            if left > TILES:
                left //= max(1, size)
                with QSignalBlocker(box):
                    box.setCurrentIndex(1)
            box.currentIndexChanged.connect(self._again)
            self._row.insertWidget(place, box)
            self.choices.append(box)
        self._make_room()

    def _chosen(self, artefact: Matrix) -> list[tuple[int, ...]]:
        """Indices of the leading axes that are shown."""
        ranges = [
            range(size) if box.currentIndex() <= 0 else (box.currentIndex() - 1,)
            for box, (_, size) in zip(self.choices, self._axes, strict=True)
        ]
        return list(itertools.product(*ranges))

    def _again(self, _: int = 0) -> None:
        if self.artefact is not None:
            self.show_artefact(self.artefact)

    def _hover(self, cell: Cell | None) -> None:
        if cell is None:
            self.probed.emit(None)
            return
        where = place_words([axis for axis, _ in self._axes], self._places[cell[0]])
        words = " · ".join(part for part in (where, self.view.words(cell)) if part)
        unit = self.artefact.unit if self.artefact is not None else ""
        self.probed.emit(Probed(f"{words} {unit}".rstrip()))

    def _click(self, cell: Cell) -> None:
        knob = self.artefact.gestures.get("pick") if self.artefact is not None else None
        if knob:
            self.gestured.emit((knob, (float(cell[2]), float(cell[1]))))


def difference(first: Matrix, second: Matrix, name: str) -> Matrix:
    """``first − second``, of one shape, as a matrix of its own."""
    return Matrix(
        name, first.values.astype(np.float32) - second.values.astype(np.float32), axes=first.axes,
        rows=first.rows, columns=first.columns, own_scale=True, unit=first.unit,
        note=f"red where {first.item} is larger, blue where {second.item} is", step=first.step,
        frame=first.frame, run=first.run,
    )  # fmt: skip


def share_ranges(panels: Iterable[Panel]) -> None:
    """One range for the matrices that want one, of each `Matrix.share` and scale."""
    alike: dict[tuple[str, str], list[tuple[MatrixPanel, Matrix]]] = {}
    for panel in panels:
        if isinstance(panel, MatrixPanel) and panel.wants_shared():
            shown = panel.artefact
            assert isinstance(shown, Matrix)
            alike.setdefault((shown.share, shown.scale), []).append((panel, shown))
    for members in alike.values():
        ranges = [panel.own_limits(shown) for panel, shown in members]
        limits = None
        if len(ranges) > 1:
            limits = min(low for low, _ in ranges), max(high for _, high in ranges)
        for panel, _ in members:
            panel.set_limits(limits)


def place_words(names: list[str], place: tuple[int, ...]) -> str:
    """``layer 0, head 3``."""
    return ", ".join(f"{name} {i}" for name, i in zip(names, place, strict=True))


def titles(names: list[str], whole: list[bool], place: tuple[int, ...]) -> tuple[str, str]:
    """Long and short title of one matrix of many: only the axes along which they differ."""
    varying = [(n, i) for n, all_, i in zip(names, whole, place, strict=True) if all_]
    return ", ".join(f"{n} {i}" for n, i in varying), ", ".join(str(i) for _, i in varying)


def extremes(values: Array) -> Limits:
    """Least and greatest finite value; 0 and 1 when there is none."""
    if values.size == 0:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
