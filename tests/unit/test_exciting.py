"""The best crops of every unit: equal to sorting all of them, bounded, kept and read strictly."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.core.geometry import Place
from explorer.core.studies.exciting import APART, Exciting, ExcitingError
from explorer.kinds import Affine, Array

PLACE = Place(Affine(4.0, 4.0), (16.0, 16.0))


def picture(value: int, size: tuple[int, int] = (40, 60)) -> Array:
    return np.full((*size, 3), value, np.uint8)


def add(
    kept: Exciting, best: list[float], name: str, frame: int = 0, pixels: Array | None = None
) -> int:
    cells = np.zeros((len(best), 2), np.int64)
    shown = picture(1) if pixels is None else pixels
    return kept.add(np.array(best, np.float32), cells, shown, PLACE, name, frame)


@settings(max_examples=40)
@given(st.lists(st.lists(st.floats(-9, 9, width=32), min_size=3, max_size=3), max_size=25))
def test_the_best_of_all_pictures_are_kept(activations: list[list[float]]) -> None:
    kept = Exciting("layer", 3, keep=4)
    for i, best in enumerate(activations):
        add(kept, best, f"{i}.png", pixels=picture(i))
    table = np.array(activations, np.float32).reshape(-1, 3)
    for unit in range(3):
        found = kept.of(unit)
        truth = np.sort(table[:, unit])[::-1][:4]
        np.testing.assert_array_equal(found.values, truth)
        for value, name, crop in zip(found.values, found.names, found.crops, strict=True):
            index = int(name.removesuffix(".png"))
            assert table[index, unit] == value
            assert (crop == index).all()


def test_neighbours_in_a_clip_count_once_and_the_same_frame_again_not_at_all() -> None:
    kept = Exciting("layer", 1, keep=3)
    for frame in range(APART + 1):
        add(kept, [float(frame % 5)], "clip.mp4", frame)
    assert kept.of(0).values.tolist() == [4.0]
    assert kept.of(0).names == ["clip.mp4 #4"]
    add(kept, [3.0], "clip.mp4", 4 + APART + 1)
    assert kept.of(0).values.tolist() == [4.0, 3.0]
    assert add(kept, [4.0], "clip.mp4", 4) == 0
    assert kept.seen == APART + 3
    assert add(kept, [4.0], "clip.mp4", 4) == 0
    assert kept.seen == APART + 3
    add(kept, [2.0], "other.mp4", 4)
    assert kept.of(0).values.tolist() == [4.0, 3.0, 2.0]


def test_what_is_not_finite_is_no_record() -> None:
    kept = Exciting("layer", 2, keep=2)
    add(kept, [float("nan"), 1.0], "a.png")
    assert kept.of(0).values.size == 0
    assert kept.of(1).values.tolist() == [1.0]


def test_a_crop_shows_what_the_cell_sees() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    kept = Exciting("layer", 2, keep=1, side=16)  # as the receptive field: no resizing
    cells = np.array([[8, 3], [0, 15]])
    kept.add(np.ones(2, np.float32), cells, pixels, PLACE, "a.png", 0)
    # cell (8, 3) is centred at y = 34, x = 14; cell (0, 15) at y = 2, x = 62, moved inside.
    np.testing.assert_array_equal(kept.of(0).crops[0], pixels[26:42, 6:22])
    np.testing.assert_array_equal(kept.of(1).crops[0], pixels[0:16, 48:64])
    kept.add(2 * np.ones(2, np.float32), cells, pixels, None, "b.png", 0)
    assert kept.of(0).crops[0].shape == (16, 16, 3)


def test_memory_is_bounded_by_smaller_crops_and_then_refused() -> None:
    for units in (64, 512, 4096):
        kept = Exciting("layer", units, cap=16 * 2**20)
        assert kept.crops.nbytes <= 16 * 2**20
    with pytest.raises(ExcitingError, match="100000 units"):
        Exciting("layer", 100_000, cap=16 * 2**20)
    small = Exciting("layer", 2, keep=2)
    before = small.nbytes
    for i in range(500):
        add(small, [float(i), float(-i)], f"{i}.png")
    assert small.nbytes == before
    assert len(small._names) <= 2 * small.sources.size + 65


def test_saved_and_read_again(tmp_path: Path) -> None:
    kept = Exciting("layer3.0", 3, keep=4)
    for i in range(9):
        add(kept, [float(i % 4), float(-i), 0.5 * i], f"ä{i}.png", frame=20 * i, pixels=picture(i))
    kept.save(tmp_path / "top.npz")
    again = Exciting.load(tmp_path / "top.npz")
    assert again.point == "layer3.0"
    for unit in range(3):
        a, b = kept.of(unit), again.of(unit)
        np.testing.assert_array_equal(a.crops, b.crops)
        np.testing.assert_array_equal(a.values, b.values)
        assert a.names == b.names
    assert add(again, [99.0, 99.0, 99.0], "new.png") == 3  # and collecting goes on
    assert again.of(0).names[0] == "new.png"
    assert [p.name for p in tmp_path.iterdir()] == ["top.npz"]


def _damaged(path: Path, name: str) -> None:
    kept = Exciting("layer", 2, keep=2)
    add(kept, [1.0, 2.0], "a.png")
    kept.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    if name == "half":
        path.write_bytes(path.read_bytes()[:200])
        return
    if name == "text":
        path.write_text("no archive")
        return
    if name == "pickle":
        arrays["names"] = np.array([{"a": 1}], dtype=object)
    elif name == "shape":
        arrays["crops"] = arrays["crops"][:, :1]
    elif name == "type":
        arrays["values"] = arrays["values"].astype(np.float64)
    elif name == "name":
        arrays["sources"] = arrays["sources"] + 7
    elif name == "missing":
        del arrays["frames"]
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    "name", ["half", "text", "pickle", "shape", "type", "name", "missing", "gone", "bomb"]
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "top.npz"
    if name == "bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("values.npy", bytes(300 * 2**20))
    elif name != "gone":
        _damaged(path, name)
    with pytest.raises(ExcitingError) as error:
        Exciting.load(path)
    assert "top.npz" in str(error.value)
    assert "\n" not in str(error.value)
