"""The face sampler: layout of the published file, geometry of the latents, and real faces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engines import DCGAN_FACES
from engines.generate.dcgan import WALK, Dcgan, DcganParams
from engines.nn.dcgan import (
    LATENTS,
    Generator,
    principal_axes,
    slerp,
    to_pixels,
    truncated_normal,
)
from explorer.api import Artefact, EngineError, Image, WeightsMissing
from explorer.core import registry
from explorer.core.session import Session
from explorer.core.weights import WeightStore
from explorer.params import KnobError, knobs
from explorer.views import View


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -- the network


def test_layout_is_that_of_the_published_file() -> None:
    network = Generator()
    assert sum(p.numel() for p in network.parameters()) == 3_576_704
    shapes = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    convolutions = {
        "main.0.weight": (100, 512, 4, 4),
        "main.3.weight": (512, 256, 4, 4),
        "main.6.weight": (256, 128, 4, 4),
        "main.9.weight": (128, 64, 4, 4),
        "main.12.weight": (64, 3, 4, 4),
    }
    assert {name: s for name, s in shapes.items() if len(s) == 4} == convolutions
    assert len(shapes) == 5 + 4 * 5
    for name, shape in DCGAN_FACES["fingerprint"].items():
        assert shapes[name] == shape


def test_sizes_double_from_four_to_sixty_four() -> None:
    network, sizes = Generator().eval(), []
    hooks = [
        m.register_forward_hook(lambda _m, _i, out: sizes.append(tuple(out.shape[1:])))
        for m in network.main
        if isinstance(m, torch.nn.ConvTranspose2d)
    ]
    pictures = network(torch.randn(2, LATENTS, 1, 1, generator=seeded(0)))
    for hook in hooks:
        hook.remove()
    assert sizes == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 64, 64)]
    assert pictures.shape == (2, 3, 64, 64)
    assert pictures.abs().max() <= 1


def test_a_picture_does_not_depend_on_its_neighbours() -> None:
    network = Generator().eval()
    network.start(seeded(0))
    z = torch.randn(5, LATENTS, 1, 1, generator=seeded(1))
    alone = network(z[2:3])
    torch.testing.assert_close(network(z)[2:3], alone, rtol=0, atol=1e-5)
    assert network(z).std() > 0.05  # statistics were measured: no flat grey


def test_tanh_range_maps_to_bytes() -> None:
    values = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0, 1.5]).view(1, 1, 1, 6).repeat(1, 3, 1, 1)
    values[0, 1] = -values[0, 1]
    pixels = to_pixels(values)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (1, 1, 6, 3)
    assert pixels[0, 0, :, 0].tolist() == [0, 64, 128, 191, 255, 255]
    assert pixels[0, 0, :, 1].tolist() == [255, 191, 128, 64, 0, 0]


# -- the latent space


def test_axes_are_orthonormal_and_ordered_by_the_variance_they_cause() -> None:
    weight = Generator().main[0].weight
    axes, variances = principal_axes(weight)
    eye = torch.eye(LATENTS, dtype=torch.float64)
    torch.testing.assert_close(axes.T @ axes, eye, rtol=0, atol=1e-12)
    flat = weight.detach().double().flatten(1).numpy()
    sizes = np.linalg.svd(flat, compute_uv=False)
    np.testing.assert_allclose(variances, sizes**2, rtol=1e-10)
    assert (variances.diff() <= 0).all()
    caused = np.square(axes.numpy().T @ flat).sum(1)  # variance of the responses along each axis
    np.testing.assert_allclose(caused, variances, rtol=1e-10)


def test_signs_of_the_axes_are_fixed() -> None:
    weight = Generator().main[0].weight
    axes, _ = principal_axes(weight)
    mirrored, _ = principal_axes(-weight)
    torch.testing.assert_close(axes, mirrored, rtol=0, atol=1e-9)
    assert (axes.gather(0, axes.abs().argmax(0, keepdim=True)) > 0).all()


def vectors(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = seeded(seed)
    one, other = torch.randn(2, LATENTS, generator=draw, dtype=torch.float64)
    return one, 2 * other


@given(seed=st.integers(0, 10_000), steps=st.integers(2, 32))
@settings(max_examples=40, deadline=None)
def test_the_path_keeps_ends_lengths_and_speed(seed: int, steps: int) -> None:
    one, other = vectors(seed)
    path = slerp(one, other, steps)
    torch.testing.assert_close(path[0], one)
    torch.testing.assert_close(path[-1], other)
    expected = torch.linspace(float(one.norm()), float(other.norm()), steps, dtype=torch.float64)
    torch.testing.assert_close(path.norm(dim=1), expected)
    units = path / path.norm(dim=1, keepdim=True)
    turns = (units[1:] * units[:-1]).sum(1).clamp(-1, 1).acos()
    whole = ((one @ other) / (one.norm() * other.norm())).acos()
    torch.testing.assert_close(turns, (whole / (steps - 1)).expand(steps - 1), rtol=1e-6, atol=0)


def test_the_path_equals_the_textbook_formula() -> None:
    one, other = vectors(7)
    other = other * (one.norm() / other.norm())
    angle = torch.acos((one @ other) / (one.norm() * other.norm()))
    t = torch.linspace(0, 1, 9, dtype=torch.float64).unsqueeze(1)
    expected = ((1 - t) * angle).sin() / angle.sin() * one + (t * angle).sin() / angle.sin() * other
    torch.testing.assert_close(slerp(one, other, 9), expected)


def test_the_path_between_awkward_ends() -> None:
    one, _ = vectors(1)
    torch.testing.assert_close(slerp(one, one, 4), one.expand(4, -1))
    torch.testing.assert_close(slerp(one, 3 * one, 3)[1], 2 * one)
    torch.testing.assert_close(slerp(torch.zeros_like(one), one, 3)[1], one / 2)
    across = slerp(one, -one, 5)  # a half circle, not a fall through the origin
    torch.testing.assert_close(across.norm(dim=1), one.norm().expand(5))
    torch.testing.assert_close(across[-1], -one, rtol=0, atol=1e-9)
    assert abs(float(across[2] @ one)) < 1e-9


@pytest.mark.parametrize("bound", [0.1, 1.0, 2.5, 4.0])
def test_truncated_latents_equal_the_cut_normal(bound: float) -> None:
    found = truncated_normal((50, LATENTS), bound, seeded(3))
    assert found.abs().max() <= bound
    u = torch.rand(50, LATENTS, generator=seeded(3), dtype=torch.float64)
    expected = stats.truncnorm.ppf(u.numpy(), -bound, bound)
    np.testing.assert_allclose(found, expected, atol=1e-8)


# -- the engine, on random weights


@pytest.fixture(scope="module")
def session() -> Session:
    made = Session(
        registry.table()["dcgan"], device="cpu", params={"weights": "random", "count": 6}
    )
    made.open()
    return made


def artefacts(session: Session, **values: Any) -> dict[str, Artefact]:
    before = {name: getattr(session.params, name) for name in values}
    session.set_params(values)
    try:
        (frame,) = session.run({})
    finally:
        session.set_params(before)
    return {a.name: a for a in frame.artefacts}


def along(axis: int, value: float) -> tuple[float, ...]:
    return tuple(value if i == axis - 1 else 0.0 for i in range(LATENTS))


def test_every_artefact_has_its_row_and_shape(session: Session) -> None:
    found = artefacts(session)
    for artefact in found.values():
        assert type(artefact).__name__ in session.row.groups[artefact.group].kinds
    assert {type(a) for a in found.values()} == set(Dcgan.emits)
    shapes = {name: a.image.shape for name, a in found.items() if isinstance(a, Image)}
    assert shapes == {
        "samples/grid": (6, 64, 64, 3),
        "face/current": (64, 64, 3),
        "face/walk along an axis": (len(WALK), 64, 64, 3),
        "path/interpolation": (8, 64, 64, 3),
    }


def test_random_weights_say_so_on_every_picture(session: Session) -> None:
    assert session.provenance == "random"
    for artefact in artefacts(session).values():
        if isinstance(artefact, Image):
            assert "nothing learnt" in artefact.note


def test_same_seed_same_pictures(session: Session) -> None:
    one, same, other = (artefacts(session, seed=s) for s in (4, 4, 5))
    for name, artefact in one.items():
        for key, array in artefact.arrays().items():
            np.testing.assert_array_equal(array, same[name].arrays()[key])
    assert not np.array_equal(one["samples/grid"].image, other["samples/grid"].image)


def test_pictures_that_share_a_latent_are_equal(session: Session) -> None:
    found = artefacts(session, first=2, second=5)
    grid, path = found["samples/grid"].image, found["path/interpolation"].image
    for one, other in (
        (found["face/current"].image, grid[2]), (path[0], grid[2]), (path[-1], grid[5]),
    ):  # fmt: skip
        assert np.abs(one.astype(int) - other).max() <= 1
    assert np.abs(path[3].astype(int) - grid[2]).max() > 1
    assert found["samples/grid"].labels[2] == "2 first"
    assert found["samples/grid"].labels[5] == "5 second"


def test_latents_move_the_face_along_the_axis_they_name(session: Session) -> None:
    before, after = artefacts(session), artefacts(session, latent=along(3, 2.5))
    assert not np.array_equal(before["face/current"].image, after["face/current"].image)
    np.testing.assert_array_equal(before["samples/grid"].image, after["samples/grid"].image)
    moved = after["latent/coordinates"].y[0] - before["latent/coordinates"].y[0]
    np.testing.assert_allclose(moved, along(3, 2.5), atol=1e-5)


def test_the_walk_passes_through_the_face(session: Session) -> None:
    found = artefacts(session, start="origin", axis=4, latent=along(4, 2.0))
    walk = found["face/walk along an axis"].image
    distance = np.abs(walk.astype(int) - found["face/current"].image).max((1, 2, 3))
    assert WALK[int(distance.argmin())] == 2.0
    assert distance.min() <= 1 < np.sort(distance)[1]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"start": "origin"}, "face/current"),
        ({"axis": 2}, "face/walk along an axis"),
        ({"truncation": 0.5}, "samples/grid"),
        ({"count": 9}, "samples/grid"),
        ({"first": 3}, "path/interpolation"),
        ({"second": 3}, "path/interpolation"),
        ({"steps": 5}, "path/interpolation"),
    ],
)
def test_every_knob_changes_a_picture(session: Session, change: dict[str, Any], name: str) -> None:
    assert not np.array_equal(
        artefacts(session)[name].image, artefacts(session, **change)[name].image
    )


def test_fewer_samples_keep_the_first_ones(session: Session) -> None:
    many, few = artefacts(session, count=6), artefacts(session, count=3)
    difference = many["samples/grid"].image[:3].astype(int) - few["samples/grid"].image
    assert np.abs(difference).max() <= 1
    late = artefacts(
        session, count=3, first=50, second=1
    )  # a tile that is gone: the last one stands in
    assert late["samples/grid"].labels[2] == "2 first"


def test_clicks_set_the_two_ends_in_turn() -> None:
    made = Session(
        registry.table()["dcgan"], device="cpu", params={"weights": "random", "count": 6}
    )
    made.open()
    clicked = []
    for tile in (3, 4, 5, 2):
        (frame,) = made.run({})
        grid = next(a for a in frame.artefacts if a.name == "samples/grid")
        knob = grid.gestures["pick"]
        assert knob in grid.note
        clicked.append(knob)
        made.set_params({knob: tile})
    assert clicked == ["first", "second", "first", "second"]
    assert (made.params.first, made.params.second) == (5, 2)


def test_a_vector_of_the_wrong_length_is_refused(session: Session) -> None:
    with pytest.raises(KnobError, match="3 numbers, wanted 100"):
        session.set_params({"latent": "1,2,3"})
    assert knobs(DcganParams)["latent"].length == LATENTS
    assert "principal axes" in knobs(DcganParams)["latent"].basis


def test_sample_zero_of_a_layer_is_the_face(session: Session) -> None:
    session.views = tuple(View(point) for point in session.row.points)
    try:
        (frame,) = session.run({})
        drawn = {r.view.point: r for r in frame.rendered}
        assert set(drawn) == set(session.row.points)
        values = session.read(drawn["main.13"].handle)
    finally:
        session.views = ()
    face = next(a for a in frame.artefacts if a.name == "face/current")
    pixels = to_pixels(torch.from_numpy(values).unsqueeze(0))[0]
    np.testing.assert_array_equal(pixels, face.image)


def test_missing_weights_are_said_and_not_replaced(tmp_path: Any) -> None:
    row = registry.table()["dcgan"]
    made = Session(row, device="cpu", store=WeightStore(row.weights, tmp_path))
    with pytest.raises(WeightsMissing, match="layerscope weights fetch dcgan-faces"):
        made.open()


def test_weights_of_another_network_are_named() -> None:
    class Host:
        def weights(self, name: str) -> dict[str, torch.Tensor]:
            return {**Generator().state_dict(), "main.0.weight": torch.zeros(64, 512, 4, 4)}

    engine = Dcgan()
    engine.host = Host()  # type: ignore[assignment]
    with pytest.raises(EngineError, match=r"main\.0\.weight"):
        engine.build(DcganParams())


# -- the engine, on the published weights


@pytest.fixture(scope="module")
def faces() -> Session:
    row = registry.table()["dcgan"]
    made = Session(row, device="cpu")  # the test command has fetched the weights
    made.open()
    return made


def test_published_weights_fill_the_network(faces: Session) -> None:
    tensors = faces.host.weights("dcgan-faces")
    assert faces.network.state_dict().keys() == tensors.keys()
    assert sum(p.numel() for p in faces.network.parameters()) == 3_576_704
    for name, tensor in tensors.items():
        assert torch.equal(tensor, faces.network.state_dict()[name])
    assert faces.provenance == "trained"
    assert any("DigiFace" in line and "MIT" in line for line in faces.licences)


def test_published_axes_equal_numpy(faces: Session) -> None:
    axes, variances = principal_axes(faces.network.main[0].weight)
    flat = faces.network.main[0].weight.double().flatten(1).numpy()
    left, sizes, _ = np.linalg.svd(flat, full_matrices=False)
    np.testing.assert_allclose(variances, sizes**2, rtol=1e-9)
    leading = np.abs(left.T @ axes.numpy())  # up to sign
    np.testing.assert_allclose(np.diag(leading)[:10], 1.0, atol=1e-6)


def test_samples_look_like_faces(faces: Session) -> None:
    found = artefacts(faces, count=64)
    grid = found["samples/grid"].image.astype(np.float64) / 255
    # What a face sampler must show and noise cannot: smooth pictures, skin (red over blue) in the
    # middle, and faces that differ from one another.
    across = np.abs(np.diff(grid, axis=2)).mean()
    assert across < 0.25 * np.abs(grid - grid.mean()).mean()
    middle = grid[:, 20:44, 20:44].mean((0, 1, 2))
    assert middle[0] > middle[1] > middle[2]
    assert grid.mean((1, 2, 3)).std() > 0.05
    for artefact in found.values():
        if isinstance(artefact, Image):
            assert "MIT" in artefact.note
            assert "DigiFace-1M" in artefact.note


def test_leading_axes_move_the_face_more_than_the_last(faces: Session) -> None:
    def moved(axis: int) -> float:
        walk = artefacts(faces, axis=axis)["face/walk along an axis"].image.astype(np.float64)
        return float(np.abs(walk[0] - walk[-1]).mean())

    leading = np.mean([moved(axis) for axis in range(1, 6)])
    trailing = np.mean([moved(axis) for axis in range(96, 101)])
    assert leading > 2 * trailing


def test_truncation_draws_the_faces_together(faces: Session) -> None:
    def spread(bound: float) -> float:
        grid = artefacts(faces, truncation=bound)["samples/grid"].image.astype(np.float64)
        return float(grid.std(0).mean())

    assert spread(0.3) < 0.6 * spread(3.0)
