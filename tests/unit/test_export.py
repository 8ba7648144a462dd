"""Exports: the numbers and pixels that were given, readable by others, whole or not there."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PilImage

from explorer import colours
from explorer.core import export
from explorer.core.export import ClipWriter, ExportError, picture, save_npz, save_png, save_svg
from explorer.core.writing.drawing import CHOSEN
from explorer.core.writing.picture import dressed, headline
from explorer.core.writing.plots import PLOTS, log_ticks, ticks
from explorer.kinds import (
    KINDS,
    Affine,
    Artefact,
    Boxes,
    Curve,
    FeatureMaps,
    Field,
    Graph,
    Histogram,
    Hypercolumn,
    Image,
    Keypoints,
    Masks,
    Matrix,
    Scatter,
    Scores,
    Text,
)
from explorer.views import Frame, Handle, Rendered, Statistics, View

RANDOM = np.random.default_rng(0)
PHOTO = RANDOM.integers(0, 256, (40, 60, 3), dtype=np.uint8)

SAMPLES: list[Artefact] = [
    Image("input/photo", PHOTO),
    Boxes("found/boxes", [[5, 6, 30, 31]], np.array([0.5]), ("cat",), ids=(3,), state=("kept",)),
    Masks("found/masks", np.eye(40, 60)[None] > 0, ("line",)),
    Keypoints("found/points", np.array([[[10, 12, 1.0], [30, 32, 0.5]]]), skeleton=((0, 1),)),
    Field("evidence/heat", np.array([[0.0, 1.0], [2.0, np.nan]]), unit="logit"),
    FeatureMaps("maps/layer", RANDOM.normal(size=(5, 4, 4)).astype(np.float32)),
    Hypercolumn("pixel/column", RANDOM.normal(size=7), (("a", 3), ("b", 4))),
    Matrix("memory/A(t)", RANDOM.normal(size=(2, 3, 4)), ("head",), "abc", "wxyz"),
    Scores("prediction/top", np.array([0.7, 0.3]), ('<cat> & "co"', "Löwe")),
    Histogram("statistics/values", np.arange(4.0), np.array([1, 5, 2])),
    Scatter("plane/points", RANDOM.normal(size=(9, 2)), list("aabbccdde")),
    Curve("training/loss", np.arange(3.0), np.array([[3.0, np.nan, 1.0]]), ("train",), log=True),
    Graph("graph/net", ("in", "mid", "out"), np.array([[0, 1], [1, 2], [0, 2]])),
    Text("said/words", "a <b>", ("a", "<b>"), np.array([1.0, -0.5])),
]

KEYS = {
    "Image": {"image"}, "Boxes": {"boxes", "scores", "labels"}, "Keypoints": {"points"},
    "Masks": {"masks"}, "Field": {"values"}, "FeatureMaps": {"maps"},
    "Hypercolumn": {"values", "layers"}, "Matrix": {"values", "rows", "columns"},
    "Scores": {"scores", "labels"}, "Histogram": {"edges", "counts"},
    "Scatter": {"points", "labels"}, "Curve": {"x", "y"}, "Graph": {"nodes", "edges"},
}  # fmt: skip


def by_kind(name: str) -> Artefact:
    return next(a for a in SAMPLES if type(a).__name__ == name)


def test_exporting_needs_neither_torch_nor_qt() -> None:
    code = "import sys, explorer.core.export; print({'torch', 'PySide6'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_samples_cover_the_closed_set() -> None:
    assert [type(a) for a in SAMPLES] == list(KINDS)


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_npz_has_the_fields_of_the_kind_bit_for_bit(tmp_path: Path, kind: str) -> None:
    artefact = by_kind(kind)
    save_npz(artefact, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert KEYS[kind] <= set(file)
        for name, wanted in artefact.arrays().items():
            np.testing.assert_array_equal(file[name], wanted)
            assert file[name].dtype == wanted.dtype
        if kind == "Scores":
            assert file["labels"].tolist() == list(artefact.labels)  # type: ignore[attr-defined]
        if kind == "Hypercolumn":
            assert (file["layers"].tolist(), file["lengths"].tolist()) == (["a", "b"], [3, 4])
        if kind == "Boxes":
            assert (file["ids"].tolist(), file["state"].tolist()) == ([3], ["kept"])


@pytest.mark.parametrize("artefact", SAMPLES, ids=lambda a: type(a).__name__)
def test_every_kind_has_a_picture_and_a_titled_png(tmp_path: Path, artefact: Artefact) -> None:
    pixels = picture(artefact)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1, "something is drawn"
    sizes = []
    for scale in (0, 1, 2):
        save_png(artefact, tmp_path / "a.png", scale)
        sizes.append(PilImage.open(tmp_path / "a.png").size)
    assert sizes[0] == (pixels.shape[1], pixels.shape[0])
    assert sizes[1][1] >= sizes[0][1] + 44, "a strip above"
    assert sizes[2] == (2 * sizes[1][0], 2 * sizes[1][1])


def test_a_bare_png_is_the_picture_itself(tmp_path: Path) -> None:
    save_png(SAMPLES[0], tmp_path / "a.png", 0)
    np.testing.assert_array_equal(np.asarray(PilImage.open(tmp_path / "a.png")), PHOTO)


def test_field_cells_have_the_colours_of_their_values() -> None:
    pixels = picture(by_kind("Field"))
    side = pixels.shape[0] // 2
    lut = colours.table("magma")
    cells = pixels[side // 2 :: side, side // 2 :: side]
    assert cells[0, 0].tolist() == lut[0, :3].tolist()
    assert cells[0, 1].tolist() == lut[126, :3].tolist()
    assert cells[1, 0].tolist() == lut[253, :3].tolist()
    assert cells[1, 1].tolist() == [255, 0, 255]


def test_signed_maps_are_diverging_and_others_are_not() -> None:
    assert picture(FeatureMaps("a/b", np.zeros((1, 2, 2)))).max() < 200  # viridis from zero
    ramp = np.linspace(-1, 1, 101)[None, None]
    row = picture(FeatureMaps("a/b", ramp))[0].astype(int)
    middle = row[row.shape[0] // 2]
    assert middle.tolist() == [255, 255, 255]
    assert row[0, 2] > row[0, 0]
    assert row[-1, 0] > row[-1, 2]


def test_boxes_lie_on_their_pixels() -> None:
    """The outline of a box from 50 to 310 runs through pixel columns 49 or 50 and 309 or 310."""
    black = np.zeros((400, 350, 3), np.uint8)
    drawn = picture(Boxes("a/b", np.array([[50.0, 200.0, 310.0, 390.0]])), black)
    assert drawn.shape == black.shape
    lit = np.flatnonzero(drawn[300].any(axis=1))
    assert set(lit) <= {49, 50, 309, 310}
    assert len(lit) == 2
    lit = np.flatnonzero(drawn[:, 200].any(axis=1))
    assert set(lit) <= {199, 200, 389, 390}
    assert len(lit) == 2


def test_a_small_picture_is_enlarged_under_what_lies_over_it() -> None:
    """64 pixels become 512, eight for one: the outline from 5 to 31 runs near 40 and 248."""
    black = np.zeros((64, 64, 3), np.uint8)
    drawn = picture(Boxes("a/b", np.array([[5.0, 20.0, 31.0, 51.0]]), labels=("disc",)), black)
    assert drawn.shape == (512, 512, 3)
    lit = np.flatnonzero(drawn[320].any(axis=1))
    assert set(lit) <= {38, 39, 40, 41, 246, 247, 248, 249}
    assert 2 <= len(lit) <= 6
    dot = picture(Keypoints("a/b", np.array([[[5.0, 20.0, 1.0]]])), black).sum(2)
    rows, columns = np.nonzero(dot)
    assert (rows.mean(), columns.mean()) == pytest.approx((159.5, 39.5), abs=1)
    masks = np.zeros((1, 64, 64), np.bool_)
    masks[0, 20:51, 5:31] = True
    covered = picture(Masks("a/b", masks), black).any(2)
    assert covered.shape == (512, 512)
    np.testing.assert_allclose(np.argwhere(covered).min(0), (160, 40), atol=1)
    np.testing.assert_allclose(np.argwhere(covered).max(0), (407, 247), atol=1)


def test_no_label_covers_another() -> None:
    """Two boxes with one corner: twice as many pixels of label as one box has."""
    black = np.zeros((500, 500, 3), np.uint8)
    box = [100.0, 200.0, 300.0, 400.0]
    tint = colours.OKABE_ITO[0] if colours.OKABE_ITO[0] != (0, 0, 0) else colours.OKABE_ITO[1]

    def ground(count: int) -> int:
        same = Boxes("a/b", np.array([box] * count), labels=("disc",) * count)
        seen = (picture(same, black) == tint).all(2)
        return int(seen.sum())

    bare = (picture(Boxes("a/b", np.array([box])), black) == tint).all(2)
    one, two = ground(1) - int(bare.sum()), ground(2) - int(bare.sum())
    assert one > 300
    assert two == pytest.approx(2 * one, rel=0.1)


def test_removed_boxes_are_thin_and_have_no_label() -> None:
    black = np.zeros((600, 600, 3), np.uint8)
    box = np.array([[100.0, 200.0, 300.0, 400.0]])
    kept, gone = (
        picture(Boxes("a/b", box, labels=("disc",), state=(state,)), black).any(2)
        for state in ("kept", "removed")
    )
    assert kept[:195].any()
    assert not gone[:195].any(), "where the label would be"
    assert 0 < gone[:, 200].sum() < kept[200:, 200].sum()


@pytest.mark.parametrize(("side", "wanted"), [(32, 512), (200, 600), (342, 342), (700, 700)])
def test_the_factor_is_whole_and_large_pictures_stay(side: int, wanted: int) -> None:
    drawn = picture(Boxes("a/b", np.zeros((0, 4))), np.zeros((side // 2, side, 3), np.uint8))
    assert drawn.shape[:2] == (wanted // 2, wanted)


def test_widths_of_lines_are_drawn_from_a_hairline_on() -> None:
    black = np.zeros((600, 600, 3), np.uint8)
    boxes = np.array([[20.0, 100.0 + 100 * i, 500.0, 150.0 + 100 * i] for i in range(3)])
    drawn = picture(Boxes("a/b", boxes, widths=np.array([0.0, 0.5, 1.0])), black)
    lit = drawn[:, 300].any(axis=1)
    thick = [int(lit[90 + 100 * i : 120 + 100 * i].sum()) for i in range(3)]
    assert thick[0] == 1
    assert thick[0] < thick[1] < thick[2]


def test_a_small_mask_is_placed_by_its_affine() -> None:
    """Cell (2, 1) of a 4x4 mask, 10 pixels a cell, shifted by 5: rows 25-35, columns 15-25."""
    values = np.zeros((1, 4, 4))
    values[0, 2, 1] = 1
    mask = Masks("a/b", values, affine=Affine(10, 10, 5, 5))
    drawn = picture(mask, np.zeros((50, 50, 3), np.uint8)).sum(axis=2).astype(float)
    drawn = drawn[5::10, 5::10]  # ten pixels for one
    rows, columns = np.mgrid[:50, :50] + 0.5
    centre = (rows * drawn).sum() / drawn.sum(), (columns * drawn).sum() / drawn.sum()
    assert centre == pytest.approx((30, 20), abs=0.6)
    assert drawn[30, 20] > 0
    assert drawn[10, 40] == 0


@pytest.mark.parametrize("kind", sorted(k.__name__ for k in PLOTS))
def test_svg_is_well_formed_and_its_texts_are_escaped(tmp_path: Path, kind: str) -> None:
    artefact = by_kind(kind)
    save_svg(artefact, tmp_path / "a.svg")
    root = ET.parse(tmp_path / "a.svg").getroot()
    assert root.tag.endswith("svg")
    texts = [e.text for e in root.iter() if e.tag.endswith("text")]
    labels = {
        "Scores": '<cat> & "co"', "Text": "<b>", "Graph": "mid", "Curve": "train",
              "Matrix": "head 1",
        "Scatter": "e", "Hypercolumn": "b", "Histogram": "count",
    }  # fmt: skip
    assert labels[kind] in texts


def test_svg_of_scores_has_bars_of_the_right_length(tmp_path: Path) -> None:
    save_svg(Scores("a/b", np.array([0.8, 0.2, 0.0])), tmp_path / "a.svg")
    root = ET.parse(tmp_path / "a.svg").getroot()
    paper, *bars = [e.get("width", "") for e in root.iter() if e.tag.endswith("rect")]
    assert paper == "100%"
    assert float(bars[0]) == pytest.approx(4 * float(bars[1]), rel=1e-3)


def test_svg_of_a_matrix_has_one_rectangle_a_cell_in_its_colour(tmp_path: Path) -> None:
    save_svg(Matrix("a/b", np.array([[-2.0, 0.0], [1.0, 2.0]])), tmp_path / "a.svg")
    root = ET.parse(tmp_path / "a.svg").getroot()
    group = next(e for e in root.iter() if e.tag.endswith("}g"))
    fills = [e.get("fill") for e in group]
    assert fills[1] == "#ffffff"
    assert (fills[0], fills[3]) == ("#053061", "#67001f")


def test_a_picture_kind_has_no_svg(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="save it as PNG"):
        save_svg(SAMPLES[0], tmp_path / "a.svg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (1.15, 1.45, [1.2, 1.3, 1.4]), (0.07, 200.0, [0.1, 1.0, 10.0, 100.0]),
        (3.0, 9.0, [4.0, 6.0, 8.0]),
    ],
)  # fmt: skip
def test_ticks_of_a_log_axis_are_round_values(low: float, high: float, values: list[float]) -> None:
    found = [10.0**v for v in log_ticks(math.log10(low), math.log10(high))]
    assert found == pytest.approx(values)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_round_and_inside(low: float, width: float) -> None:
    high = low + width
    found = ticks(low, high)
    if high > low:
        step = found[1] - found[0] if len(found) > 1 else 1.0
        assert 1 <= len(found) <= 8
        assert low <= found[0] <= found[-1] <= high
        assert len(found) == 1 or step > 0 or width < abs(low) * 1e-9


@pytest.mark.parametrize(
    "artefact",
    [
        Curve("a/b", np.zeros(0), np.zeros(0)),
        Curve("a/b", np.zeros(1), np.full(1, np.inf), log=True, marks={"zero": 0.0}),
        Scores("a/b", np.zeros(0)),
        Scores("a/b", np.array([np.nan, -1.0]), probability=False),
        Histogram("a/b", np.array([0.0, 1.0]), np.zeros((1, 1))),
        Scatter("a/b", np.zeros((0, 2))),
        Graph("a/b", ("only",), np.zeros((0, 2))),
        Graph("a/b", ("a", "b"), np.array([[0, 1], [1, 0]]), values=np.array([1.0, 2.0])),
        Text("a/b", ""),
        Matrix("a/b", np.full((2, 2), np.nan)),
        Matrix("a/b", np.zeros((1, 2000))),
        Field("a/b", np.full((3, 3), np.inf)),
        Field("a/b", np.zeros((3, 3, 2))),
        FeatureMaps("a/b", np.full((2, 3, 3), np.nan)),
        FeatureMaps("a/b", np.zeros((3, 1, 1))),
        Boxes("a/b", np.zeros((0, 4))),
        Boxes("a/b", np.array([[np.nan, 0, 1, 1], [-1e9, -1e9, 1e9, 1e9]])),
        Keypoints("a/b", np.full((1, 2, 3), np.nan)),
        Masks("a/b", np.zeros((0, 4, 4))),
        Hypercolumn("a/b", np.zeros(1), (("x", 1),)),
        Image("a/b", np.zeros((3, 1, 1, 3), np.uint8)),
    ],
)  # fmt: skip
def test_nothing_and_nonsense_are_drawn_too(artefact: Artefact) -> None:
    pixels = dressed(artefact)
    assert min(pixels.shape[:2]) > 0
    assert max(pixels.shape[:2]) < 5000


# -- films ------------------------------------------------------------------------------------


def frames_of(path: Path) -> list[np.ndarray]:
    capture, found = cv2.VideoCapture(str(path)), []
    while (got := capture.read())[0]:
        found.append(got[1][:, :, ::-1])
    return found


def test_a_film_has_its_frames_in_order_and_colour(tmp_path: Path) -> None:
    tints = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    with ClipWriter(tmp_path / "a.mp4", 10) as film:
        for tint in tints:
            film.write(np.full((49, 65, 3), tint, np.uint8))
    found = frames_of(tmp_path / "a.mp4")
    assert [f.shape for f in found] == [(48, 64, 3)] * 3
    for frame, tint in zip(found, tints, strict=True):
        assert np.abs(frame.reshape(-1, 3).mean(0) - tint).max() < 12
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_another_size_is_fitted_with_bars(tmp_path: Path) -> None:
    with ClipWriter(tmp_path / "a.mp4", float("nan")) as film:
        film.write(np.full((64, 64, 3), 200, np.uint8))
        film.write(np.full((32, 64, 3), 200, np.uint8))
    second = frames_of(tmp_path / "a.mp4")[1]
    assert second.shape == (64, 64, 3)
    assert second[32].mean() > 180
    assert second[4].mean() < 20


def test_an_aborted_film_leaves_nothing_and_spares_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")
    film = ClipWriter(tmp_path / "a.mp4", 10)
    film.write(np.zeros((32, 32, 3), np.uint8))
    film.abort()
    film.abort()
    with pytest.raises(ExportError, match="already closed"):
        film.write(np.zeros((32, 32, 3), np.uint8))
    ClipWriter(tmp_path / "b.mp4", 10).close()  # no frames, no file
    with pytest.raises(AttributeError), ClipWriter(tmp_path / "c.mp4", 10) as other:
        other.write(None)  # type: ignore[arg-type]
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.mp4", b"old")]


# -- a whole run ------------------------------------------------------------------------------


def rendered() -> Rendered:
    one = np.ones(1, np.float32)
    numbers = Statistics(0.0, 2.0, 1.0, 0.0, 0, 0, 0 * one, one, one)
    return Rendered(
        View("layer2.0"), np.full((8, 8), 9, np.uint8), np.array([0.0, 2.0], np.float32),
        np.arange(1), (8, 8), 1, 2, 1, (1, 1, 8, 8), "float32", "ReLU", numbers,
        Handle("layer2.0", -1, 0, 1, 0),
    )  # fmt: skip


def test_a_run_folder_holds_what_run_json_says(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    frame = Frame(1, 0, 0, tuple(SAMPLES), (rendered(),), last=True)
    facts = {"engine": "toy", "knobs": {"a": (1, 2)}, "bad": float("nan"), "where": Path("x")}
    maps = np.ones((1, 8, 8), np.float32)
    record = export.write_run(folder, [frame], lambda: facts, read=lambda handle: maps)
    read_back = json.loads((folder / "run.json").read_text("utf-8"))
    assert read_back == record
    assert read_back["bad"] is None
    assert read_back["knobs"] == {"a": [1, 2]}
    entries = {e["name"]: e for e in read_back["artefacts"]}
    assert set(entries) == {a.name for a in SAMPLES} | {"capture/layer2.0"}
    files = [f for e in entries.values() for f in e["files"]]
    assert sorted([*files, "run.json"]) == sorted(p.name for p in folder.iterdir())
    assert len(files) == len(set(files))
    for entry in entries.values():
        assert {"name", "kind", "step", "files", "shape", "dtype", "unit", "range"} <= set(entry)
    matrix = entries["memory/A(t)"]
    assert matrix["files"] == ["memory_A(t).png", "memory_A(t).npz"]
    assert matrix["shape"] == [2, 3, 4]
    values = np.load(folder / "memory_A(t).npz")["values"]
    assert matrix["range"] == [values.min(), values.max()]
    assert entries["evidence/heat"]["range"] == [0, 2]
    assert entries["said/words"]["text"] == "a <b>"
    assert entries["said/words"]["files"] == ["said_words.png"]
    assert np.load(folder / "capture_layer2.0.npz")["maps"].shape == (1, 8, 8)


def test_the_last_of_each_name_counts_and_stills_come_on_request(tmp_path: Path) -> None:
    frames = [Frame(1, 0, s, (Matrix("m/a", np.full((2, 2), float(s)), step=s),)) for s in range(5)]
    record = export.write_run(tmp_path, frames, {}, every=2)
    (entry,) = record["artefacts"]
    assert entry["step"] == 4
    assert np.load(tmp_path / "m_a.npz")["values"].tolist() == [[4, 4], [4, 4]]
    assert entry["files"][2:] == ["m_a-step00000.png", "m_a-step00002.png", "m_a-step00004.png"]


def test_a_clip_gives_a_film_of_each_picture_with_boxes_on_their_own_frame(tmp_path: Path) -> None:
    def clip() -> Iterator[Frame]:
        for i in range(4):
            image = np.full((64, 64, 3), 50 * i, np.uint8)
            box = Boxes("found/box", np.array([[8.0, 8, 24, 24]]), frame=i)
            shown = (Image("input/photo", image, frame=i), box, Scores("p/s", np.ones(1)))
            # Two steps a frame: the film takes the last one.
            yield Frame(1, i, 0, (Image("input/photo", 255 - image, frame=i), *shown[1:]))
            yield Frame(1, i, 1, shown)

    record = export.write_run(tmp_path, clip(), {}, fps=10)
    films = {e["name"]: [f for f in e["files"] if f.endswith("mp4")] for e in record["artefacts"]}
    assert films == {"input/photo": ["input_photo.mp4"], "found/box": ["found_box.mp4"], "p/s": []}
    means = [f[40:].mean() for f in frames_of(tmp_path / "found_box.mp4")]
    assert means == pytest.approx([0, 50, 100, 150], abs=6)


def test_names_become_different_safe_files(tmp_path: Path) -> None:
    names = ["a/b", "A/B", "a/_b", "con/x", "con./x", "../../etc/x", "a/b?", "a/" + "long" * 99]
    artefacts = tuple(Text(name, "t") for name in names)
    record = export.write_run(tmp_path / "out", [Frame(1, 0, 0, artefacts)], {})
    files = [f for e in record["artefacts"] for f in e["files"]]
    assert len({f.lower() for f in files}) == len(files)
    assert all(re.fullmatch(r"[A-Za-z0-9_(-][A-Za-z0-9_.()-]*", f) for f in files)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted([*files, "run.json"])


def test_an_engine_that_fails_leaves_no_half_run(tmp_path: Path) -> None:
    def fails() -> Iterator[Frame]:
        yield Frame(1, 0, 0, (SAMPLES[0],))
        yield Frame(1, 1, 0, (SAMPLES[0],))
        yield Frame(1, 2, 0, (SAMPLES[0],))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        export.write_run(tmp_path / "new", fails(), {})
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text("{}")
    with pytest.raises(ZeroDivisionError):
        export.write_run(tmp_path / "old", fails(), {}, every=1)
    assert [p.name for p in (tmp_path / "old").iterdir()] == ["run.json"]


@pytest.mark.parametrize("inside", ["", "sub"])
def test_an_unwritable_folder_is_one_line(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("mine")
    target = tmp_path / "file" / inside if inside else tmp_path / "file"
    with pytest.raises(ExportError, match=r"cannot write to .*choose another folder") as caught:
        export.write_run(target, [], {})
    assert "\n" not in str(caught.value)
    with pytest.raises(ExportError, match="choose another folder"):
        save_npz(SAMPLES[0], tmp_path / "file" / "a.npz")
    with pytest.raises(ExportError, match="choose another folder"):
        ClipWriter(tmp_path / "file" / "a.mp4", 10)
    assert (tmp_path / "file").read_text() == "mine"


def test_atomic_keeps_the_old_file_on_failure(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half(part: Path) -> None:
        part.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), export.atomic(path) as part:
        half(part)
    assert path.read_text() == "old"
    with export.atomic(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "new")]
    fresh = tmp_path / "plain"
    fresh.touch()
    assert path.stat().st_mode == fresh.stat().st_mode


def test_a_chosen_path_of_a_graph_is_marked_and_its_values_are_told() -> None:
    edges, values = np.array([[0, 1], [0, 2]]), np.array([1.0, 0.25, 0.75])
    plain = Graph("tree/way", ("object", "round", "polygon"), edges, values=values)
    path = Graph("tree/way", plain.nodes, edges, values=values, chosen=(0, 2))
    marked = [np.all(picture(g) == CHOSEN, axis=-1).sum() for g in (plain, path)]
    assert marked[0] == 0
    assert marked[1] > 100
    assert headline(path)[1].endswith("0.25 … 1")
