"""Panels of numbers: what is drawn where, read out, toggled, gestured and exported."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication

from explorer import colours
from explorer.kinds import (
    Artefact,
    Curve,
    Graph,
    Histogram,
    Hypercolumn,
    KindError,
    Matrix,
    Scatter,
    Scores,
    Text,
)  # fmt: skip
from explorer.panels import panel_class
from explorer.panels.axis_ticks import labels, log_ticks, ticks
from explorer.panels.curve import CurvePanel
from explorer.panels.graph import GraphPanel
from explorer.panels.histogram import HistogramPanel
from explorer.panels.hypercolumn import HypercolumnPanel
from explorer.panels.matrix import MatrixPanel, extremes
from explorer.panels.matrix_layout import stride
from explorer.panels.matrix_view import averaged
from explorer.panels.panel import Panel
from explorer.panels.scatter import ScatterPanel, natural
from explorer.panels.scores import ScoresPanel, fixed
from explorer.panels.series import MARKERS, contrast, series_colour, series_pen
from explorer.panels.text import TextPanel
from explorer.panels.theme import DARK, LIGHT, TREE_ROW
from explorer.panels.wording import MINUS, number_text

pytestmark = pytest.mark.gui
Show = Callable[..., Any]
X = np.arange(20)
NAN = float("nan")


@pytest.fixture
def show(qtbot: Any) -> Show:
    """Show an artefact in the panel of its kind."""

    def made(artefact: Artefact, size: tuple[int, int] = (420, 320), theme: Any = DARK) -> Any:
        panel = panel_class(type(artefact).__name__)(theme=theme)
        qtbot.addWidget(panel)
        panel.resize(*size)
        panel.show_artefact(artefact)
        with qtbot.waitExposed(panel):
            panel.show()
        return panel

    return made


def said(panel: Panel) -> list[str]:
    """The probe's words from now on, "" when the mouse is on nothing."""
    heard: list[str] = []
    panel.probed.connect(lambda probe: heard.append(probe.text if probe else ""))
    return heard


def gestures(panel: Panel) -> list[Any]:
    heard: list[Any] = []
    panel.gestured.connect(heard.append)
    return heard


def move(widget: Any, at: QPointF) -> None:
    event = QMouseEvent(
        QEvent.Type.MouseMove, at, widget.mapToGlobal(at), Qt.MouseButton.NoButton,
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


def wheel(widget: Any, at: QPointF, steps: int) -> None:
    event = QWheelEvent(
        at, widget.mapToGlobal(at), QPoint(), QPoint(0, 120 * steps), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


def on_plot(panel: Any, x: float, y: float) -> QPointF:
    """Place in the plot's viewport of a position in its coordinates."""
    plot = panel.plot
    return QPointF(plot.mapFromScene(plot.box.mapViewToScene(QPointF(x, y))))


def hover_plot(panel: Any, x: float, y: float) -> None:
    move(panel.plot.viewport(), on_plot(panel, x, y))


def colour(image: QImage, at: QPointF) -> tuple[int, int, int]:
    found = image.pixelColor(at.toPoint())
    return found.red(), found.green(), found.blue()


# -- all of them -------------------------------------------------------------------------------

UGLY: list[Artefact] = [
    Curve("g/empty", [], np.zeros(0)),
    Curve("g/no finite value", X, np.full(20, NAN), log=True),
    Curve("g/one point", [3.0], [2.0]),
    Curve("g/nothing above zero", X, -np.ones(20), log=True),
    Curve("g/forty", X, np.random.default_rng(0).normal(size=(40, 20))),
    Curve("g/x runs back", X[::-1], X, series=["größe λ"], marks={"ziel": 3.0, "no place": NAN}),
    Histogram("g/empty", [0.0], np.zeros(0)),
    Histogram("g/zeros", [0, 1, 2], [0, 0]),
    Histogram("g/edges not finite", [0, NAN, 2], [1, 2]),
    Scatter("g/empty", np.zeros((0, 2))),
    Scatter("g/one", [[1.0, 1.0]], ["a"]),
    Scatter("g/not finite", [[NAN, 1.0], [np.inf, 2.0]], ["a", "b"]),
    Scatter("g/1000 labels", np.random.default_rng(0).normal(size=(1000, 2)),
            [f"n{i}" for i in range(1000)]),
    Hypercolumn("g/empty", np.zeros(0)),
    Hypercolumn("g/constant", np.zeros(9), [("a", 4), ("b", 5)]),
    Hypercolumn("g/not finite", [NAN, 1.0, np.inf]),
    Matrix("g/empty", np.zeros((0, 3))),
    Matrix("g/1x1", [[2.0]]),
    Matrix("g/not finite", [[NAN, 1.0], [np.inf, -np.inf]]),
    Matrix("g/constant", np.zeros((3, 3)), scale="sequential"),
    Matrix("g/512", np.random.default_rng(0).normal(size=(512, 512))),
    Matrix("g/long", np.ones((1, 300))),
    Matrix("g/1000 labels", np.zeros((1000, 4)), rows=[f"größe {i}" for i in range(1000)]),
    Matrix("g/many", np.zeros((7, 9, 3, 3)), axes=("layer", "head")),
    Matrix("g/counts", np.arange(6).reshape(2, 3), scale="sequential"),
    Scores("g/empty", []),
    Scores("g/not finite", [NAN, np.inf, -np.inf], ["a", "b", "c"]),
    Scores("g/many", np.zeros(1000), [f"label {i}" for i in range(1000)]),
    Scores("g/all zero", [0.0, 0.0], probability=False),
    Graph("g/empty", [], np.zeros((0, 2))),
    Graph("g/one", ["a"], [[0, 0]], weights=[NAN], values=[NAN]),
    Graph("g/cycle", ["a", "b"], [[0, 1], [1, 0]]),
    Text("g/empty", ""),
    Text("g/not finite", "", tokens=["a", "b"], weights=[NAN, 1.0]),
    Text("g/constant", "", tokens=["<b>", "&"], weights=[1.0, 1.0]),
]  # fmt: skip


@pytest.mark.parametrize("artefact", UGLY, ids=lambda a: f"{type(a).__name__}-{a.item}")
def test_odd_data_are_drawn_exported_and_themed(
    show: Show, artefact: Artefact, tmp_path: Path
) -> None:
    for size in ((420, 320), (170, 130)):
        panel = show(artefact, size)
        panel.set_theme(LIGHT)
        picture = panel.picture(2)
        assert (picture.width(), picture.height()) == (2 * panel.width(), 2 * panel.height())
        assert panel.header.title.text() == artefact.item
    panel.save(tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    panel.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as saved:
        for name, array in artefact.arrays().items():
            np.testing.assert_array_equal(saved[name], array)


@pytest.mark.parametrize(
    "artefact", [a for a in UGLY if "not finite" in a.item], ids=lambda a: type(a).__name__
)
def test_what_is_not_finite_is_counted(show: Show, artefact: Artefact) -> None:
    bad = sum(int((~np.isfinite(a)).sum()) for a in artefact.arrays().values())
    assert show(artefact).header.warning.text() == f"{bad} not finite"


def test_series_stand_out_from_the_canvas_and_from_one_another() -> None:
    for theme in (DARK, LIGHT):
        inks = [series_colour(i, theme) for i in range(7)]
        assert all(contrast(ink, theme.colour("canvas")) >= 3 for ink in inks)
    looks = {(series_pen(i, DARK).color().name(), series_pen(i, DARK).style()) for i in range(28)}
    assert len(looks) == 28
    assert len(set(MARKERS)) >= 7  # no two of the first seven share a shape: colour is not alone


# -- curves ------------------------------------------------------------------------------------


def test_curve_probe_reads_every_series_at_the_nearest_x(show: Show) -> None:
    panel = show(
        Curve("c/loss", X, np.stack([X * 1.0, 10.0 - X]), series=("up", "down"), unit="nat")
    )
    heard = said(panel)
    hover_plot(panel, 6.9, 0.0)
    assert heard[-1] == "step 7  up 7  down 3"
    assert panel.plot.rule.isVisible()
    assert panel.plot.rule.value() == 7
    QApplication.sendEvent(panel.plot, QEvent(QEvent.Type.Leave))
    assert heard[-1] == ""
    assert panel.plot.chip is None


def test_curve_names_its_axes_and_series(show: Show) -> None:
    panel: CurvePanel = show(Curve("c/loss", X, np.ones((2, 20)), series=("a", "b"), unit="nat",
                                   x_label="epoch"))  # fmt: skip
    assert (panel.plot.bottom.labelText, panel.plot.left.labelText) == ("epoch", "nat")
    assert panel.legend.isVisible()
    assert panel.legend.names == ("a", "b")
    small = show(Curve("c/loss", X, np.ones((2, 20)), series=("a", "b")), (200, 130))
    assert small.legend.isVisible()
    assert small.plot.box.height() > 40  # and the data keep their room
    assert small.plot.bottom.name_among_ticks == "step"
    assert not small.plot.bottom._name_place().isEmpty()


def test_log_axis_leaves_gaps_and_says_how_many(show: Show) -> None:
    y = np.array([1.0, 10.0, 0.0, -5.0, 1000.0])
    panel: CurvePanel = show(Curve("c/l", np.arange(5), y, log=True))
    drawn = panel._lines[0].yData
    np.testing.assert_allclose(drawn, [0, 1, NAN, NAN, 3])
    assert panel.header.warning.text() == "2 ≤ 0 not on the log axis"
    assert panel.plot.left.tickStrings([2.0], 1, 1) == ["100"]
    panel.set_log(log=False)
    np.testing.assert_array_equal(panel._lines[0].yData, y)
    assert panel.header.warning.text() == ""
    panel.show_artefact(Curve("c/l", np.arange(5), y, log=True))
    np.testing.assert_array_equal(panel._lines[0].yData, y)  # the person's choice stays


def test_curve_grows_on_the_same_items_and_keeps_a_zoom(show: Show) -> None:
    panel: CurvePanel = show(Curve("c/l", X[:5], np.ones((2, 5)) * X[:5]))
    lines = list(panel._lines)
    panel.show_artefact(Curve("c/l", X, np.ones((2, 20)) * X))
    QApplication.processEvents()
    assert panel._lines == lines
    assert panel.plot.box.viewRect().right() > 19
    wheel(panel.plot.viewport(), on_plot(panel, 10, 10), 5)
    before = panel.plot.box.viewRect()
    panel.show_artefact(Curve("c/l", X, np.ones((2, 20)) * X * 2))
    assert panel.plot.box.viewRect() == before
    panel.reset_zoom()
    QApplication.processEvents()
    assert panel.plot.box.viewRect().bottom() >= 38


def test_long_curves_are_thinned_without_losing_their_peaks(show: Show) -> None:
    y = np.zeros(200_000)
    y[123_457] = 1.0
    panel: CurvePanel = show(Curve("c/l", np.arange(200_000), y))
    QApplication.processEvents()
    x_drawn, y_drawn = panel._lines[0].getData()
    assert len(x_drawn) <= 8002
    assert y_drawn.max() == 1.0
    assert (x_drawn[0], x_drawn[-1]) == (0, 199_999)
    for _ in range(6):
        wheel(panel.plot.viewport(), on_plot(panel, 123_457, 0.5), 6)
    x_drawn, y_drawn = panel._lines[0].getData()
    assert x_drawn[y_drawn == 1.0].tolist() == [123_457]  # zoomed in, each point stands again


def test_a_legend_names_every_series_however_small_it_is(show: Show) -> None:
    series = ["total", "content", *(f"conv{i}_1" for i in range(1, 6)), "smoothness"]
    curve = Curve("loss/terms", X, np.ones((8, 20)), series=series, log=True)
    for width in (900, 400, 200, 176):
        panel = show(curve, (width, 150))
        legend = panel.legend
        assert [i for i, _, _ in legend._places] == list(range(8))
        boxes = [box for _, box, _ in legend._places]
        assert all(box.right() <= legend.width() for box in boxes)
        assert all(a.right() <= b.left() for a, b in pairwise(boxes) if a.top() == b.top())
        assert legend.hint(boxes[5].center()).startswith("conv4_1")
    assert legend.hint(QPointF(-5, -5)) == ", ".join(series)


def test_ticks_of_a_drawn_log_axis_have_room(show: Show) -> None:
    for size in ((200, 140), (420, 320)):
        for low, high in ((0.7, 11), (1e-4, 3e3), (0.955, 0.961), (1e-30, 1e30)):
            panel = show(Curve("c/l", [0, 1], [low, high], log=True), size)
            panel.grab()
            words = [box for box, _, text in panel.plot.left._specs[2] if text]
            assert words
            for a, b in pairwise(sorted(words, key=lambda box: box.top())):
                assert b.center().y() - a.center().y() >= 14


@given(
    st.floats(-12, 12),
    st.floats(0.002, 20),
    st.floats(10, 800),
)
def test_log_ticks_are_round_apart_and_inside(low: float, span: float, pixels: float) -> None:
    apart = 18 * span / pixels
    labelled, bare = log_ticks(low, low + span, apart)
    assert all(low <= v <= low + span for v in labelled + bare)
    assert all(b - a >= apart for a, b in pairwise(labelled))
    assert not set(labelled) & set(bare)
    texts = [number_text(10.0**v, 4) for v in labelled]
    assert len(set(texts)) == len(texts)
    for v, text in zip(labelled, texts, strict=True):
        assert float(text.replace(MINUS, "-")) == pytest.approx(10.0**v, rel=1e-3)
    if pixels >= 60 and span >= 0.5:
        assert labelled


def test_whole_numbers_have_no_ticks_between_them(show: Show) -> None:
    panel = show(Curve("c/l", [1, 2, 3], [5.0, 4.0, 3.0]))
    panel.grab()
    texts = [text for _, _, text in panel.plot.bottom._specs[2]]
    assert texts == ["1", "2", "3"]


@pytest.mark.parametrize("top", [0.53, 3.7, 0.0123, 9e5])
@pytest.mark.parametrize("height", [90, 110, 130, 300])
def test_labels_of_an_upright_axis_do_not_touch(show: Show, top: float, height: int) -> None:
    panel = show(Curve("c/l", np.arange(13), np.linspace(top / 5, top, 13)), (186, height))
    panel.grab()
    QApplication.processEvents()  # the axis has found how wide its labels are
    panel.grab()
    places = sorted(box.center().y() for box, _, text in panel.plot.left._specs[2] if text)
    assert places
    assert all(b - a >= 14 for a, b in pairwise(places))


def test_labels_of_an_axis_have_the_same_decimals() -> None:
    assert labels([0.0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert labels([-0.5, 0.0, 0.5]) == ["−0.5", "0.0", "0.5"]
    assert labels([0.0, 2e6]) == ["0", "2e6"]


def test_marks_are_labelled_lines_that_follow_the_axis(show: Show) -> None:
    panel: CurvePanel = show(Curve("c/l", X, X + 1.0, marks={"target": 10.0}))
    assert panel._marks["target"].value() == 10
    assert "target 10" in panel._marks["target"].label.toPlainText()
    panel.set_log(log=True)
    assert panel._marks["target"].value() == pytest.approx(1)
    panel.show_artefact(Curve("c/l", X, X + 1.0))
    assert panel._marks == {}


def test_words_of_marks_keep_clear_of_one_another(show: Show) -> None:
    marks = {f"layer {i}": 10.0 * i for i in range(20)}
    panel = show(Curve("c/rf", X, 10.0 * X, marks=marks), (200, 150))
    panel.grab()
    shown = [m for m in panel._marks.values() if m.label.isVisible()]
    places = sorted(panel.plot.box.mapViewToScene(QPointF(0, m.value())).y() for m in shown)
    assert 2 <= len(places) < 20
    assert all(b - a >= 16 for a, b in pairwise(places))
    panel.resize(400, 900)
    panel.grab()
    assert sum(m.label.isVisible() for m in panel._marks.values()) == 20


def test_a_few_points_have_each_its_marker(show: Show, tmp_path: Path) -> None:
    panel = show(Curve("c/l", np.arange(5.0), np.array([1.0, 1, 1, NAN, 1])), (400, 300))
    picture = panel.plot.grab().toImage()
    ratio = picture.devicePixelRatio()
    ink = series_colour(0, DARK)
    for x, marked in ((0.0, True), (1.0, True), (1.5, False), (3.0, False), (4.0, True)):
        at = panel.plot.mapFromScene(panel.plot.box.mapViewToScene(QPointF(x, 1.0)))
        beside = picture.pixelColor(round(at.x() * ratio), round((at.y() + 2) * ratio))
        near = max(abs(a - b) for a, b in zip(beside.getRgb()[:3], ink.getRgb()[:3], strict=True))
        assert (near < 40) == marked, x
    panel.save(tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert drawn.count("<image") <= 2, "the ground and the warning's sign; not the markers"
    assert drawn.count("<path") >= 4


@pytest.mark.parametrize(("busy", "free"), [(slice(None, 5), 1), (slice(-5, None), 0)])
def test_words_of_a_mark_stand_where_no_line_lies_under_them(
    show: Show, busy: slice, free: int
) -> None:
    y = np.full(20, -5.0)
    y[busy] = 5.0  # where the mark is
    panel = show(Curve("c/l", X, y, marks={"a threshold": 5.0}), (400, 300))
    panel.grab()
    label = panel._marks["a threshold"].label
    words, shown = label.sceneBoundingRect(), panel.plot.box.sceneBoundingRect()
    assert shown.contains(words.center())
    assert (words.center().x() > shown.center().x()) == bool(free)
    panel.show_artefact(Curve("c/l", X, y[::-1], marks={"a threshold": 5.0}))
    panel.grab()
    assert (label.sceneBoundingRect().center().x() > shown.center().x()) != bool(free)


def test_a_series_is_hidden_at_a_click_on_its_name(show: Show, qtbot: Any) -> None:
    panel: CurvePanel = show(Curve("c/l", X, np.ones((2, 20)), series=("first", "second")))
    spot = panel.legend._places[1][1].center().toPoint()
    qtbot.mouseClick(panel.legend, Qt.MouseButton.LeftButton, pos=spot)
    assert [line.isVisible() for line in panel._lines] == [True, False]
    heard = said(panel)
    hover_plot(panel, 3, 1.0)
    assert "first" in heard[-1]
    assert "second" not in heard[-1]


def test_constant_curve_is_drawn_in_the_middle_of_its_own_size(show: Show) -> None:
    panel: CurvePanel = show(Curve("c/l", X, np.full(20, 3e-7)))
    shown = panel.plot.box.viewRect()
    assert shown.top() < 3e-7 < shown.bottom()
    assert shown.height() < 1e-5


# -- histogram, scatter, hypercolumn -----------------------------------------------------------


def test_histogram_counts_and_log_counts(show: Show) -> None:
    values = np.random.default_rng(0).normal(size=1000)
    counts, edges = np.histogram(values, 10)
    panel: HistogramPanel = show(Histogram("h/a", edges, counts, unit="logit"))
    assert panel.header.facts.text() == "1000 values · 10 bins · logit"
    heard = said(panel)
    middle = (edges[4] + edges[5]) / 2
    hover_plot(panel, middle, 1.0)
    assert heard[-1].endswith(f"count {counts[4]}")
    panel.set_log(log=True)
    drawn = panel._steps[0].yData
    some = counts > 0
    np.testing.assert_allclose(10 ** drawn[some], counts[some])
    assert "log" in panel.plot.left.labelText


def test_scatter_finds_the_point_and_keeps_its_limits(show: Show) -> None:
    points = np.array([[0.0, 0.0], [10.0, 10.0], [5.0, 1.0]])
    panel: ScatterPanel = show(Scatter("s/a", points, ["b", "a", "b"], axes=("pc 1", "pc 2")))
    heard = said(panel)
    hover_plot(panel, 5.05, 1.05)
    assert heard[-1] == "b  #2  pc 1 5  pc 2 1"
    hover_plot(panel, 2.0, 8.0)
    assert heard[-1] == ""
    before = panel.plot.box.viewRect()
    panel.show_artefact(Scatter("s/a", points / 2, ["b", "a", "b"]))
    assert panel.plot.box.viewRect() == before  # points move, the frame does not
    panel.show_artefact(Scatter("s/a", points * 3, ["b", "a", "b"]))
    assert panel.plot.box.viewRect().right() >= 30
    panel.show_artefact(Scatter("s/a", points, ["b", "a", "b"], run=1))
    assert panel.plot.box.viewRect().right() < 15  # another run starts afresh


def test_classes_keep_their_colour_whatever_their_order(show: Show) -> None:
    panel: ScatterPanel = show(Scatter("s/a", np.eye(2), ["class 10", "class 2"]))
    assert list(panel._spots) == ["class 2", "class 10"]
    assert sorted(["x10", "x9", "10"], key=natural) == ["10", "x9", "x10"]


def test_hypercolumn_names_layer_and_unit(show: Show) -> None:
    layers = [("conv1", 8), ("conv2", 16), ("conv5", 24)]
    values = np.random.default_rng(1).normal(size=48)
    panel: HypercolumnPanel = show(Hypercolumn("p/h", values, layers, at=(12.5, 7.5)), (700, 320))
    heard = said(panel)
    hover_plot(panel, 8 + 10.5, 0.5)
    assert heard[-1].startswith("conv2  unit 10 of 16: ")
    panel.set_even(even=True)
    left = panel._bands.bands[1][3]
    hover_plot(panel, left + 0.5 * 48 / 3 / 16, 0.5)
    assert heard[-1].startswith("conv2  unit 0 of 16: ")
    assert len({round(b[4] - b[3], 6) for b in panel._bands.bands}) == 1
    assert "3 layers" in panel.header.facts.text()


# -- matrices ----------------------------------------------------------------------------------


def cell_centre(panel: MatrixPanel, row: int, column: int, tile: int = 0) -> QPointF:
    return panel.view.layout_now().to_screen(tile, column + 0.5, row + 0.5)


def test_cells_have_the_colour_of_their_value(show: Show) -> None:
    values = np.array([[-2.0, 0.0, 1.0], [2.0, NAN, 0.5]])
    panel: MatrixPanel = show(Matrix("m/a", values))
    image = panel.view.grab().toImage()
    table = colours.table("diverging")
    index = colours.index_of(values, -2, 2)
    layout = panel.view.layout_now()
    for (row, column), entry in np.ndenumerate(index):
        corner = layout.to_screen(0, column, row) + QPointF(4, 4)  # beside the number in the cell
        assert colour(image, corner) == tuple(table[entry][:3])
    assert colour(image, layout.to_screen(0, 1, 0) + QPointF(4, 4)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [("diverging", -4.0, 4.0), ("sequential", 0.0, 4.0), ("probability", 0.0, 1.0)],
)
def test_scale_chooses_the_range(show: Show, scale: Any, low: float, high: float) -> None:
    panel: MatrixPanel = show(Matrix("m/a", [[0.25, 4.0]], scale=scale))
    assert panel.limits(panel.artefact) == (low, high)  # type: ignore[arg-type]
    beyond = scale == "probability"
    assert panel.colour_bar.text().endswith("▸") == beyond  # what is clipped is said


def test_matrix_probe_names_labels_axes_value_and_unit(show: Show) -> None:
    values = np.arange(2 * 3 * 2 * 4, dtype=np.float32).reshape(2, 3, 2, 4)
    panel: MatrixPanel = show(
        Matrix("m/a", values, axes=("layer", "head"), rows="ab", columns=list("wxyz"), unit="nat")
    )
    heard = said(panel)
    tile = panel._places.index((1, 2))
    move(panel.view, cell_centre(panel, 1, 3, tile))
    assert heard[-1] == f"layer 1, head 2 · row 'b', column 'z': {int(values[1, 2, 1, 3])} nat"
    move(panel.view, QPointF(1, 1))
    assert heard[-1] == ""


def test_leading_axes_side_by_side_or_one(show: Show) -> None:
    values = np.zeros((2, 3, 4, 4))
    values[1] = 1
    panel: MatrixPanel = show(Matrix("m/a", values, axes=("layer", "head"), scale="sequential"))
    assert len(panel.view.content.planes) == 6
    lines = {round(box.top()) for box in panel.view.layout_now().tiles}
    assert len(lines) == 2  # a line a layer
    panel.choices[0].setCurrentIndex(2)
    assert panel._places == [(1, 0), (1, 1), (1, 2)]
    assert panel.view.content.titles[0] == ("head 0", "0")
    panel.choices[1].setCurrentIndex(1)
    assert panel._places == [(1, 0)]
    assert float(panel.view.content.planes[0].min()) == 1
    many: MatrixPanel = show(Matrix("m/many", np.zeros((50, 3, 3)), axes=("time",)))
    assert len(many.view.content.planes) == 1  # too many for one look: one at a time


def test_tiles_never_overlap_and_stay_inside(show: Show) -> None:
    for shape in ((5, 8, 8), (12, 3, 40), (7, 60, 2), (36, 5, 5)):
        for size in ((420, 320), (900, 260), (240, 500)):
            panel: MatrixPanel = show(Matrix("m/a", np.zeros(shape)), size)
            boxes = panel.view.layout_now().tiles
            assert len(boxes) == shape[0]
            outer = panel.view.rect().toRectF().adjusted(-0.5, -0.5, 0.5, 0.5)
            assert all(outer.contains(box) for box in boxes)
            overlaps = [a.intersects(b) for i, a in enumerate(boxes) for b in boxes[:i]]
            assert not any(overlaps)


def test_zoom_is_about_the_mouse_and_shared_by_all_tiles(show: Show) -> None:
    panel: MatrixPanel = show(Matrix("m/a", np.arange(2 * 400.0).reshape(2, 20, 20)))
    at = cell_centre(panel, 5, 7, tile=1)
    wheel(panel.view, at, 6)
    assert panel.view.cell_at(at) == (1, 5, 7)
    window = panel.view.layout_now().window
    assert window.width() < 10
    assert 0 <= window.left() <= window.right() <= 20
    panel.show_artefact(Matrix("m/a", np.ones((2, 20, 20))))
    assert panel.view.layout_now().window == window  # the next step keeps it
    panel.reset_zoom()
    assert panel.view.layout_now().window.width() == 20


def test_matrix_by_keyboard_and_pick(show: Show, qtbot: Any) -> None:
    panel: MatrixPanel = show(Matrix("m/a", np.eye(3), gestures={"pick": "cell"}))
    heard, set_to = said(panel), gestures(panel)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down):
        qtbot.keyClick(panel.view, key)
    assert heard[-1] == "row 1, column 1: 1"
    qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    spot = cell_centre(panel, 2, 0).toPoint()
    qtbot.mouseClick(panel.view, Qt.MouseButton.LeftButton, pos=spot)
    assert set_to == [("cell", (1.0, 1.0)), ("cell", (0.0, 2.0))]


def test_outliers_are_clipped_and_said(show: Show) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (64, 64)).astype(np.float32)
    values[0, 0] = 12.0
    panel: MatrixPanel = show(Matrix("m/a", values))
    assert panel.limits(panel.artefact)[1] < 1.01  # type: ignore[arg-type]
    assert "▸" in panel.colour_bar.text()
    panel.set_robust(robust=False)
    assert panel.limits(panel.artefact) == (-12, 12)  # type: ignore[arg-type]


def test_a_large_matrix_is_averaged_into_its_place() -> None:
    ramp = np.linspace(0, 1, 1000, dtype=np.float32)[None].repeat(1000, 0)
    small = averaged(ramp, (100, 80))
    assert small.shape == (80, 100)
    assert np.abs(small - np.linspace(0.005, 0.995, 100)).max() < 0.01
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (512, 256))
    np.testing.assert_allclose(averaged(stripes, (128, 128)), 0.5)  # not one or the other


def test_an_averaged_matrix_says_so_and_the_probe_gives_the_true_value(show: Show) -> None:
    values = np.random.default_rng(3).normal(size=(1000, 1000)).astype(np.float32)
    panel = show(Matrix("m/large", values, note="made up"), (330, 340))
    cells = panel.view.layout_now().tiles[0].width() * panel.devicePixelRatioF()
    assert panel.header._wanted[2] == f"averaged {number_text(1000 / round(cells), 2)} × · made up"
    heard = said(panel)
    at = panel.view.layout_now().to_screen(0, 500.5, 250.5)
    cell = panel.view.cell_at(at)
    move(panel.view, at)
    assert heard[-1].endswith(number_text(float(values[cell[1], cell[2]]), 4))
    for _ in range(30):
        wheel(panel.view, at, 1)
    assert panel.view.averaging() == 1
    assert panel.header._wanted[2] == "made up"
    panel.reset_zoom()
    assert panel.header._wanted[2].startswith("averaged")
    small = show(Matrix("m/small", values[:20, :20]), (330, 340))
    assert small.header._wanted[2] == ""


def test_label_strides_and_extremes() -> None:
    assert [stride(p, 14) for p in (14, 10, 5, 2, 1, 0.5)] == [1, 2, 5, 10, 20, 50]
    assert extremes(np.array([NAN, 3.0, -np.inf, 1.0])) == (1.0, 3.0)
    assert extremes(np.zeros((0, 2))) == (0.0, 1.0)


# -- scores ------------------------------------------------------------------------------------


def test_bars_are_as_long_as_their_score(show: Show) -> None:
    panel: ScoresPanel = show(Scores("o/top", [0.5, 0.25], ["cat", "dog"]))
    first, second = panel.bars.bar(0), panel.bars.bar(1)
    assert first.width() == pytest.approx(2 * second.width())
    image = panel.bars.grab().toImage()
    ink = series_colour(0, DARK)
    inside = QPointF(first.right() - 2, first.center().y())
    assert colour(image, inside) == (ink.red(), ink.green(), ink.blue())
    assert colour(image, QPointF(first.right() + 3, first.center().y())) != colour(image, inside)


def test_bars_follow_a_clip_no_faster_than_digits_can_be_read(show: Show, qtbot: Any) -> None:
    panel: ScoresPanel = show(Scores("o/top", [0.5], ["cat"]))
    bars = panel.bars
    qtbot.waitUntil(lambda: "0.5" in bars.accessibleName())
    painted: list[int] = []
    bars.paintEvent = lambda event: painted.append(1)  # type: ignore[method-assign]
    for i in range(40):  # at 200 a second
        panel.show_artefact(Scores("o/top", [0.5 + i / 100], ["cat"]))
        qtbot.wait(5)
    assert bars.scores.tolist() == pytest.approx([0.89])  # what is exported or probed is never late
    qtbot.waitUntil(lambda: "0.89" in bars.accessibleName(), timeout=2000)
    assert 1 <= len(painted) <= 20


def test_probabilities_keep_their_axis_and_signed_scores_stand_on_zero(show: Show) -> None:
    panel: ScoresPanel = show(Scores("o/a", [0.001, 0.002], ["a", "b"]))
    assert (panel.bars.low, panel.bars.high) == (0, 1)
    signed: ScoresPanel = show(Scores("o/b", [-3.0, 5.0], ["a", "b"], probability=False))
    assert (signed.bars.low, signed.bars.high) == (-3, 5)
    assert signed.bars.bar(0).right() == pytest.approx(signed.bars.bar(1).left())


def test_hollow_bars_show_the_scores_before_an_edit(show: Show) -> None:
    before = np.array([np.nan, 0.9])
    panel: ScoresPanel = show(Scores("o/a", [0.2, 0.7], ["a", "b"], before=before))
    assert panel.bars.words(0) == "a  0.2", "not known"
    assert panel.bars.words(1) == "b  0.7  (was 0.9)"
    image = panel.bars.grab().toImage()
    hollow = panel.bars.bar(1, 0.9).adjusted(0, -2, 0, 2)
    edited = DARK.colour("edited")

    def off(at: QPointF) -> int:
        found = colour(image, at)
        return max(abs(a - b) for a, b in zip(found, edited.getRgb()[:3], strict=True))

    edge = min(off(QPointF(hollow.right() + d, hollow.center().y())) for d in (-1, 0, 1))
    assert edge < 40
    panel.show_artefact(Scores("o/a", [0.2, 0.7], ["a", "b"]))
    assert panel.bars.words(1) == "b  0.7"


def test_scores_by_keyboard_mouse_and_tooltip(show: Show, qtbot: Any) -> None:
    long = "a very long label that cannot fit, " * 5
    panel: ScoresPanel = show(
        Scores("o/a", [0.5, 0.4, 0.1], ["cat", long, "fish"], gestures={"pick": "target"})
    )
    heard, set_to = said(panel), gestures(panel)
    qtbot.keyClick(panel.bars, Qt.Key.Key_Down)
    qtbot.keyClick(panel.bars, Qt.Key.Key_Down)
    assert heard[-1].startswith(long.strip()[:20])
    qtbot.keyClick(panel.bars, Qt.Key.Key_Return)
    qtbot.mouseClick(panel.bars, Qt.MouseButton.LeftButton, pos=QPoint(30, 2 * TREE_ROW + 10))
    assert set_to == [("target", long), ("target", "fish")]
    spot = QPoint(30, TREE_ROW + 10)
    QApplication.sendEvent(panel.bars, QHelpEvent(QEvent.Type.ToolTip, spot, spot))
    from PySide6.QtWidgets import QToolTip

    assert QToolTip.text().startswith(long)
    QToolTip.hideText()
    assert panel.bars.accessibleName().startswith("Scores: cat")


def test_numbers_and_ticks_of_the_bars() -> None:
    assert [fixed(v) for v in (0.5, -0.25, 123.456, 1234.6)] == [
        "0.5000",
        "−0.2500",
        "123.46",
        "1235",
    ]
    assert ticks(0, 1, 4) == [0, 0.25, 0.5, 0.75, 1]
    assert ticks(-3, 5, 4) == [-2, 0, 2, 4]


# -- graph and text ----------------------------------------------------------------------------


def test_graph_says_what_is_under_the_mouse(show: Show, qtbot: Any) -> None:
    edges = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
    panel: GraphPanel = show(
        Graph("g/a", ["in", "conv", "skip", "add"], edges, weights=[1, 2, 3, -4.0],
              values=[0, 1, 2, 3.0], gestures={"pick": "node"})
    )  # fmt: skip
    heard, set_to = said(panel), gestures(panel)
    move(panel.view, panel.view.node_box(3).center())
    assert heard[-1] == "add: 3 · 2 in, 0 out"
    move(panel.view, panel.view._middle(3))
    assert heard[-1] == "skip → add: −4"
    qtbot.mouseClick(panel.view, Qt.MouseButton.LeftButton,
                     pos=panel.view.node_box(1).center().toPoint())  # fmt: skip
    assert set_to == [("node", 1)]
    assert panel.view.drawing.widths[3] == max(panel.view.drawing.widths)
    assert panel.view.drawing.negative == (False, False, False, True)


@pytest.mark.parametrize("size", [(420, 320), (900, 200), (200, 600)])
def test_boxes_of_a_graph_stay_inside_and_apart(show: Show, size: tuple[int, int]) -> None:
    count = 12
    edges = np.array([(i, i + 1) for i in range(count - 1)] + [(0, 5), (2, 9)])
    panel: GraphPanel = show(Graph("g/a", [f"layer {i}" for i in range(count)], edges), size)
    boxes = [panel.view.node_box(i) for i in range(count)]
    assert all(panel.view.rect().toRectF().contains(box) for box in boxes)
    assert not any(a.intersects(b) for i, a in enumerate(boxes) for b in boxes[:i])
    placed = [box.center() for box in boxes]
    panel.show_artefact(Graph("g/a", [f"layer {i}" for i in range(count)], edges,
                              values=np.arange(count)))  # fmt: skip
    assert [panel.view.node_box(i).center().y() for i in (0, 1)] != [0, 0]
    moved = [abs((panel.view.node_box(i).center() - placed[i]).x()) for i in range(count)]
    assert max(moved) < 2  # only the numbers change


def test_a_chosen_path_stands_out_and_numbers_are_written_where_they_fit(show: Show) -> None:
    names, edges = ["object", "round", "polygon", "square"], np.array([[0, 1], [0, 2], [2, 3]])
    weights, values = [0.25, 0.75, 1.0], [1.0, 0.25, 0.75, 0.75]
    path = Graph("g/a", names, edges, weights=weights, values=values, chosen=[0, 2, 3])
    panel: GraphPanel = show(path, (900, 300))
    view = panel.view
    assert [view._chosen(edge) for edge in range(3)] == [False, True, True]
    assert view.drawing.edge_words == ("0.25", "0.75", "1.00")
    picture = view.grab().toImage()
    selected = panel.theme.colour("selected")

    def near(edge: int) -> bool:
        at = view._middle(edge)
        ring = [(at.x() + dx, at.y() + dy) for dx in (-2, 0, 2) for dy in (-2, 0, 2)]
        return any(picture.pixelColor(round(x), round(y)) == selected for x, y in ring)

    assert [near(edge) for edge in range(3)] == [False, True, True]
    places = [view.node_box(i) for i in range(4)]
    panel.show_artefact(Graph("g/a", names, edges, weights=weights, values=values[::-1],
                              chosen=[0, 1]))  # fmt: skip
    assert [view.node_box(i) for i in range(4)] == places
    with pytest.raises(KindError, match="chosen nodes outside"):
        Graph("g/a", names, edges, chosen=[4])


def token_spot(panel: TextPanel, token: int) -> QPointF:
    cursor = panel.body.textCursor()
    cursor.setPosition(panel.body.starts[token])
    return QPointF(panel.body.cursorRect(cursor).center()) + QPointF(3, 0)


def test_tokens_carry_their_weight(show: Show) -> None:
    tokens = ["The", "<b>quick", "fox"]
    panel: TextPanel = show(Text("t/a", "", tokens=tokens, weights=[-1.0, 0.0, 2.0]))
    assert panel.body.toPlainText() == "The <b>quick fox"
    cursor = panel.body.textCursor()
    cursor.setPosition(panel.body.ends[2])
    red = cursor.charFormat().background().color()
    assert red == QColor(*(int(v) for v in colours.table("diverging")[253][:3]))
    heard = said(panel)
    move(panel.body.viewport(), token_spot(panel, 2))
    assert heard[-1] == "'fox'  #2  2"
    assert panel.colour_bar.isVisible()
    panel.show_artefact(Text("t/a", "plain"))
    assert not panel.colour_bar.isVisible()


def test_tokens_that_make_up_the_text_are_not_parted(show: Show) -> None:
    panel: TextPanel = show(Text("t/a", "unhappy cat", tokens=["un", "happy", " cat"]))
    assert panel.body.toPlainText() == "unhappy cat"
    panel.body.selectAll()
    assert panel.body.textCursor().selectedText() == "unhappy cat"


def test_lines_of_a_plain_text_do_not_keep_the_height_of_tokens(show: Show) -> None:
    panel: TextPanel = show(Text("g/t", "a b", tokens=["a", "b"], weights=[0.1, 1.0]))
    panel.show_artefact(Text("g/t", "one\ntwo\nthree"))
    assert panel.body.toPlainText() == "one\ntwo\nthree"
    document = panel.body.document()
    blocks = [document.findBlockByNumber(i).blockFormat() for i in range(document.blockCount())]
    assert [block.lineHeightType() for block in blocks] == [0, 0, 0]
