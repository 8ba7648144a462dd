"""The instruments pixel and gram, against plain hooks with SciPy and NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor, nn

from explorer.core import registry
from explorer.core.geometry import Place
from explorer.core.instruments import Taken
from explorer.core.layers import Layer
from explorer.core.media import sample_inputs
from explorer.core.session import Session
from explorer.inputs import ImageInput
from explorer.instruments.gram import Gram, GramParams
from explorer.instruments.map_layers import chosen_layers
from explorer.instruments.pixel import Pixel, PixelParams
from explorer.kinds import Affine, Artefact, Curve, Matrix, Text
from explorer.params import coerce

PHOTO = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    opened = Session(registry.table()["resnet"])
    opened.open()
    yield opened
    opened.close()


def layer(name: str, shape: tuple[int, ...], depth: int = 0) -> Layer:
    return Layer(name, "Conv2d", 1, shape, depth, leaf=True, called=True, calls=1)


def taken(tensors: dict[str, Tensor], run: int = 1, photo: Any = PHOTO, name: str = "a") -> Taken:
    """A pass over a picture of 48 x 32 px; every map covers all of it."""
    height, width = PHOTO.shape[:2]
    places = {
        n: Place(Affine(width / t.shape[3], height / t.shape[2]), (9.0, 9.0))
        for n, t in tensors.items()
        if t.ndim == 4
    }
    return Taken(
        tensors=tensors, places=places, network=nn.Identity(), params=None, run=run, frame=0,
        layers=[layer(n, tuple(t.shape)) for n, t in tensors.items()],
        inputs={} if photo is None else {"image": ImageInput(photo, name, sha256=name)},
    )  # fmt: skip


def maps(seed: int = 0, units: int = 9) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "fine": torch.randn(1, units, 16, 24, generator=generator),
        "coarse": torch.randn(1, units + 3, 4, 6, generator=generator).relu(),
    }


def seen(instrument: Any, what: Taken, **knobs: Any) -> dict[str, Artefact]:
    params = coerce(instrument.Params, knobs)
    return {a.item: a for a in instrument.look(what, params)}


# -- choosing layers


def test_one_layer_of_each_size_finest_first() -> None:
    layers = [
        layer("pad", (1, 3, 225, 225)), layer("stem", (1, 32, 112, 112)),
        layer("block", (1, 64, 56, 56)), layer("block.act", (1, 64, 56, 56), depth=1),
        layer("end", (1, 128, 57, 57)), layer("head", (1, 1000)),
    ]  # fmt: skip
    assert chosen_layers("", 5, layers) == ("stem", "end")
    assert chosen_layers("", 1, layers) == ("stem",)
    assert chosen_layers("block.act, head, gone", 1, layers) == ("block.act", "head")
    assert chosen_layers("", 5, [layer("picture", (1, 3, 8, 8))]) == ("picture",)


# -- pixel


def test_the_curve_is_the_interpolated_values_of_the_captured_layers(session: Session) -> None:
    """Through a real network: strides by hand (k 3, s 2, p 1 puts cell i at 2 i + 0.5)."""
    inputs = sample_inputs(session.row)
    list(session.run(inputs))
    kept: dict[str, Tensor] = {}
    hooks = [
        session.network.get_submodule(name).register_forward_hook(
            lambda _m, _a, out, name=name: kept.__setitem__(name, out[0].clone())
        )
        for name in ("layer1", "layer2")
    ]
    session.instruments.lay_on(
        "pixel", {"layers": "layer1,layer2", "alike": False, "cursor": (41.0, 57.0)},
        session.layers(),
    )  # fmt: skip
    frames = list(session.run(inputs))
    for hook in hooks:
        hook.remove()
    (column,) = [a for a in frames[-1].artefacts if a.name == "inspect-pixel/hypercolumn"]
    x, y = 41 / 8, 57 / 8  # the digit of 128 px is fed at 16 px
    expected = [map_coordinates(u, [[y - 0.5], [x - 0.5]], order=1) for u in kept["layer1"]]
    x, y = (x - 0.5) / 2, (y - 0.5) / 2
    expected += [map_coordinates(u, [[y], [x]], order=1) for u in kept["layer2"]]
    np.testing.assert_allclose(column.values, np.concatenate(expected), atol=1e-5)
    assert column.layers == [("layer1", 16), ("layer2", 16)]


def test_a_moved_cursor_runs_no_module(session: Session) -> None:
    list(session.run(sample_inputs(session.row)))
    session.instruments.lay_on("pixel", {}, session.layers())
    list(session.run(sample_inputs(session.row)))
    calls = []
    handle = session.network.register_forward_pre_hook(lambda *_: calls.append(1))
    columns = []
    for at in ((20.0, 30.0), (90.0, 70.0)):
        session.instruments.lay_on("pixel", {"cursor": at}, session.layers())
        frame = session.look("pixel")
        assert frame is not None
        found = {a.item: a for a in frame.artefacts}
        assert "colours" not in found  # they do not depend on the cursor
        assert found["hypercolumn"].at == at
        columns.append(found["hypercolumn"].values)
    handle.remove()
    assert not calls
    assert not np.allclose(*columns)
    session.instruments.take_off("pixel")


def test_all_pixels_are_compared_by_their_cosine() -> None:
    tensors = maps()
    got = seen(Pixel(), taken(tensors), cursor=(30.0, 20.0), alike=False, centred=False, detail=48)
    y, x = np.mgrid[0:32, 0:48] + 0.5
    stack = []
    for t in tensors.values():
        rows, columns = y * t.shape[2] / 32 - 0.5, x * t.shape[3] / 48 - 0.5
        stack += [
            map_coordinates(u, [rows, columns], order=1, mode="nearest") for u in t[0].double()
        ]
    at = [
        map_coordinates(u, [[20 * t.shape[2] / 32 - 0.5], [30 * t.shape[3] / 48 - 0.5]], order=1)
        for t in tensors.values()
        for u in t[0].double()
    ]
    all_, one = np.stack(stack), np.concatenate(at)
    wanted = np.tensordot(one, all_, 1) / np.linalg.norm(all_, axis=0) / np.linalg.norm(one)
    np.testing.assert_allclose(got["like this pixel"].values, wanted, atol=1e-5)
    assert got["like this pixel"].affine == Affine(1, 1, 0, 0)


def test_the_gram_row_averages_what_the_pixels_feed() -> None:
    """The mean of f_u f_j over cell centres is that row of the Gram matrix of those cells."""
    tensors = {"fine": maps()["fine"]}
    instrument, fed = Pixel(), []
    for column in range(24):
        at = (2.0 * column + 1, 1.0)
        curve = seen(instrument, taken(tensors), cursor=at, unit=3, detail=32)["Gram row"]
        assert isinstance(curve, Curve)
        fed.append(curve.y[0])
    flat = tensors["fine"][0].flatten(1).double().numpy()
    np.testing.assert_allclose(curve.y[1], flat @ flat[3] / 384, atol=1e-5)
    np.testing.assert_allclose(np.mean(fed, 0), flat[:, :24] @ flat[3, :24] / 24, atol=1e-5)


def test_a_held_picture_is_searched_for_the_pixel_of_another() -> None:
    """The second picture is the first, shifted: the pixel is found where it has gone."""
    first = maps(1)
    moved = {
        "fine": first["fine"].roll((4, 8), (2, 3)),
        "coarse": first["coarse"].roll((1, 2), (2, 3)),
    }
    instrument = Pixel()
    knobs = {"detail": 48, "cursor": (31.5, 23.5), "hold": True}
    seen(instrument, taken(first, 1, name="first"), **knobs)
    buffers = {name: t.copy_(moved[name]) for name, t in first.items()}  # as the capture does
    got = seen(instrument, taken(buffers, 2, name="second"), **knobs)
    note = got["like it in the held picture"].note
    assert note == "first: most alike at x 15.5, y 15.5, cosine 1.000"
    assert "axes of first" in got["colours"].note
    after = seen(instrument, taken(buffers, 2), detail=48)
    assert isinstance(after["like it in the held picture"], Text)


def test_new_values_in_the_same_buffers_are_seen() -> None:
    """A run of many steps writes each into the same memory, under the same run and frame."""
    instrument, tensors = Pixel(), maps()
    before = seen(instrument, taken(tensors))
    tensors["fine"].mul_(-2)
    after = seen(instrument, taken(tensors))
    assert "colours" in after
    assert not np.allclose(before["hypercolumn"].values, after["hypercolumn"].values)


@pytest.mark.parametrize(
    "knobs",
    [{"count": 1}, {"alike": False}, {"centred": False}, {"colouring": "k-means"},
     {"colouring": "none"}, {"detail": 64}, {"cursor": (3.0, 4.0)}, {"layer": "fine"},
     {"unit": 2}, {"layers": "coarse"}],
)  # fmt: skip
def test_every_knob_changes_something(knobs: dict[str, Any]) -> None:
    def numbers(found: dict[str, Artefact]) -> list[Any]:
        return [
            (n, a.note, {k: v.tolist() for k, v in a.arrays().items()}) for n, a in found.items()
        ]

    assert numbers(seen(Pixel(), taken(maps()))) != numbers(seen(Pixel(), taken(maps()), **knobs))


def test_clusters_and_seed_change_the_colours() -> None:
    plain = seen(Pixel(), taken(maps()), colouring="k-means", detail=64)["colours"]
    more = seen(Pixel(), taken(maps()), colouring="k-means", detail=64, clusters=3)["colours"]
    other = seen(Pixel(), taken(maps()), colouring="k-means", detail=64, seed=5)["colours"]
    assert plain.note != more.note
    assert not np.array_equal(plain.image, other.image)
    again = seen(Pixel(), taken(maps()), colouring="k-means", detail=64)["colours"]
    np.testing.assert_array_equal(plain.image, again.image)


def test_networks_without_maps_or_pictures_are_told() -> None:
    vector = {"head": torch.ones(1, 7)}
    got = seen(Pixel(), taken(vector))
    assert isinstance(got["hypercolumn"], Text)
    without = seen(Pixel(), taken(maps(), photo=None))
    assert "receptive fields" not in without
    assert len(without["hypercolumn"].values) == 21
    broken = maps()
    broken["fine"][0, 0, 0, 0] = torch.nan
    assert "not finite" in str(seen(Pixel(), taken(broken))["colours"].text)


# -- gram


def gram_of(t: Tensor) -> Any:
    flat = t[0].flatten(1).double().numpy()
    return flat @ flat.T / flat.shape[1]


def test_the_matrix_is_the_mean_product_in_the_order_shown() -> None:
    tensors = maps(units=12)
    got = seen(Gram(), taken(tensors), layer="fine")["this input"]
    order = [int(name) for name in got.rows]
    whole = gram_of(tensors["fine"])[np.ix_(order, order)]
    np.testing.assert_allclose(got.values, whole / np.sqrt((whole**2).mean()), atol=1e-5)
    assert sorted(order) == list(range(12))
    few = seen(Gram(), taken(tensors), layer="fine", units=4, order="energy")["this input"]
    strongest = np.argsort(-np.diag(gram_of(tensors["fine"])))[:4]
    assert [int(name) for name in few.rows] == strongest.tolist()


def test_held_and_present_are_compared_on_one_scale() -> None:
    first, second = maps(1), maps(2)
    instrument = Gram()
    seen(instrument, taken(first, 1, name="first"), layer="fine", hold=True)
    wanted = gram_of(first["fine"])
    first["fine"].copy_(second["fine"])
    got = seen(instrument, taken(first, 2, name="second"), layer="fine", hold=True, order="index")
    scale = np.sqrt((wanted**2).mean())
    away = gram_of(second["fine"]) - wanted
    np.testing.assert_allclose(got["held input"].values, wanted / scale, atol=1e-5)
    np.testing.assert_allclose(got["this − held"].values, away / scale, atol=1e-5)
    loss = (away**2).mean() / (wanted**2).mean()
    assert f"mean square {loss:.3g} of" in got["this − held"].note
    spectrum = got["spectrum"]
    assert isinstance(spectrum, Curve)
    for line, matrix in zip(spectrum.y, (gram_of(second["fine"]), wanted), strict=True):
        np.testing.assert_allclose(line, np.linalg.eigvalsh(matrix)[::-1], rtol=1e-4)
    after = seen(instrument, taken(second, 3), layer="fine")
    assert isinstance(after["held input"], Text)


def test_the_diagonal_of_a_correlation_is_one() -> None:
    tensors = maps()
    tensors["fine"][0, 4] = 0
    got = seen(Gram(), taken(tensors), layer="fine", correlation=True, order="index")["this input"]
    scale = float(got.note.rpartition(" ")[2])
    np.testing.assert_allclose(np.diag(got.values) * scale, [1, 1, 1, 1, 0, 1, 1, 1, 1], rtol=2e-3)


def test_many_units_are_averaged_in_blocks_and_it_is_said() -> None:
    wide = {"wide": torch.randn(1, 1500, 3, 4, generator=torch.Generator().manual_seed(0))}
    got = seen(Gram(), taken(wide), units=300, order="index")["this input"]
    assert "averaged in blocks of 5" in got.note
    whole = gram_of(wide["wide"]).reshape(300, 5, 300, 5).mean((1, 3))
    np.testing.assert_allclose(got.values, whole / np.sqrt((whole**2).mean()), atol=1e-4)
    assert got.rows[1] == "5…"
    alike = seen(Gram(), taken(wide), units=300)["this input"]
    assert isinstance(alike, Matrix)
    assert alike.values.shape == (300, 300)
    assert alike.rows != got.rows


@pytest.mark.parametrize(("shape", "units"), [((1, 5, 8), 8), ((1, 6), 6), ((1, 2, 3, 4, 5), 0)])
def test_tokens_vectors_and_other_shapes(shape: tuple[int, ...], units: int) -> None:
    got = seen(Gram(), taken({"x": torch.randn(shape)}), layer="x")["this input"]
    if units:
        assert got.values.shape == (units, units)
    else:
        assert isinstance(got, Text)
        assert "2 × 3 × 4 × 5" in got.text


def test_the_order_of_a_clip_stays_from_frame_to_frame() -> None:
    instrument = Gram()
    rows = [
        seen(instrument, taken(maps(seed), run, name="clip"), layer="fine")["this input"].rows
        for run, seed in enumerate((1, 2))
    ]
    assert rows[0] == rows[1]
    other = seen(instrument, taken(maps(2), 3, name="other"), layer="fine")["this input"].rows
    assert other != rows[0]


def test_params_are_knobs() -> None:
    assert coerce(PixelParams, {"cursor": "3,4"}).cursor == (3.0, 4.0)
    assert coerce(GramParams, {"hold": "on"}).hold is True
