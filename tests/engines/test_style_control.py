"""What a person controls of a painting: resolution, start, pooling, styles, mask and colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from stylising import (
    INPUTS,
    LAYERS,
    SMALL,
    a_photo,
    an_engine,
    drive,
    features,
    losses,
    pixels,
    seeded,
    tiny,
)  # fmt: skip
from torch import nn

from engines.nn.style.gram import per_position, relative
from engines.nn.style.taps import Taps
from engines.nn.vgg import VGG
from engines.style.canvas import Descent
from engines.style.guidance import guided, painted
from engines.style.objective import Objective
from engines.style.painting import Painting, halvings_left, resized, side
from engines.style.params import StyleParams
from engines.style.pictures import in_colours_of
from engines.style.pooling import choose_pooling, with_pools
from explorer.api import Affine
from explorer.core.registry import table
from explorer.core.session import Session

THREE = {**INPUTS, "second": a_photo(7)}
HALF = ((0.0, 20.0, 26.0, 1.0),)  # on a photo of 48 x 40: the left half, or so


def at(step: int, **values: Any) -> Callable[[int, StyleParams], StyleParams]:
    """From the end of a step on, other knobs."""
    return lambda now, params: replace(params, **values) if now >= step else params


def shown(artefacts: list[Any], name: str) -> list[Any]:
    return [a for a in artefacts if a.name == name]


# -- resolution, start and pooling while it runs


def test_another_size_goes_on_from_the_canvas_and_its_history() -> None:
    made = drive(an_engine(SMALL), SMALL, at(2, size=64))
    short = [min(a.image.shape[:2]) for a in shown(made, "pictures/canvas")]
    assert short == [32, 32, 32, 64, 64]
    assert [a.step for a in shown(made, "pictures/content")] == [0, 3]
    assert [a.image.shape for a in shown(made, "pictures/content")] == [(32, 38, 3), (64, 77, 3)]
    before, after = shown(made, "pictures/canvas")[2:4]
    assert before.affine.sx == pytest.approx(2 * after.affine.sx, rel=0.02)
    calm = losses(drive(an_engine(SMALL), SMALL))
    assert np.array_equal(losses(made)[:2], calm[:2])
    assert len(losses(made)) == 4
    small = cv2.resize(after.image, before.image.shape[1::-1], interpolation=cv2.INTER_AREA)
    photo = shown(made, "pictures/content")[0].image
    moved = np.abs(small.astype(float) - before.image).mean()
    assert moved < np.abs(photo.astype(float) - before.image).mean()  # nearer than a fresh start


def test_a_resized_canvas_is_opencv_s() -> None:
    """A smooth picture at twice its size, away from the edges where both repeat pixels."""
    y, x = np.mgrid[:12, :14] / 5.0
    picture = np.stack([np.sin(x + y), np.cos(x), np.sin(y)], -1).astype(np.float32)
    wanted = cv2.resize(picture, (28, 24), interpolation=cv2.INTER_LINEAR)
    canvas = torch.from_numpy(picture).permute(2, 0, 1)[None]
    found = resized(canvas, torch.zeros(1, 3, 24, 28))
    assert found.is_contiguous()
    assert np.allclose(found[0].permute(1, 2, 0).numpy(), wanted, atol=1e-5)


def test_a_move_rebuilds_the_optimiser_and_keeps_the_history() -> None:
    taps = Taps(LAYERS, LAYERS)
    small, large = (Objective(tiny(), taps, pixels(2, n), pixels(3, n)) for n in (6, 9))
    descent, knobs = Descent(small, pixels(4, 6)), StyleParams()
    for _ in range(3):
        descent.step(knobs)
    canvas = resized(descent.canvas.detach(), pixels(2, 9))
    descent.move(large, canvas.clone())
    descent.step(knobs)
    assert descent.gradient.shape == (1, 3, 9, 9)
    (state,) = descent._optimiser.state.values()
    assert state["n_iter"] == 1
    alone = Descent(large, canvas)
    alone.step(knobs)
    assert torch.equal(alone.canvas, descent.canvas)
    assert descent.history()[1].shape[1] == 4


@pytest.mark.parametrize("change", [{"start": "noise"}, {"start": "noise", "seed": 4}])
def test_another_start_begins_the_canvas_anew(change: dict[str, Any]) -> None:
    params = replace(SMALL, optimiser="Adam", rate=1e-4)  # so that the canvas shows where it began
    engine = an_engine(params)
    made = shown(drive(engine, params, at(2, **change)), "pictures/canvas")
    fresh = shown(drive(engine, replace(params, **change)), "pictures/canvas")
    assert np.abs(made[3].image.astype(int) - fresh[1].image).max() <= 1
    assert np.abs(made[2].image.astype(int) - fresh[1].image).mean() > 10


def test_a_pool_is_torch_s_of_either_kind_while_it_lives() -> None:
    network = VGG(16, head=False)
    with_pools(network.features)
    x = torch.randn(1, 2, 6, 8, generator=seeded())
    pool = network.features[4]
    for kind, peer in (("average", nn.AvgPool2d(2)), ("max", nn.MaxPool2d(2))):
        choose_pooling(network, kind)
        assert torch.equal(pool(x), peer(x))
    assert sum(isinstance(layer, nn.AvgPool2d) for layer in network.features) == 5


@pytest.mark.parametrize("reconstruct", ["both", "each layer"])
def test_pooling_acts_in_the_next_step(reconstruct: str) -> None:
    params = replace(SMALL, steps=3, reconstruct=reconstruct)
    name = "gram/conv3_1 style"
    engine = an_engine(params)
    made = drive(engine, params, at(1, pooling="max"))
    largest = drive(engine, replace(params, pooling="max"))
    assert [a.step for a in shown(made, name)] == [0, 2]
    assert np.array_equal(shown(made, name)[1].values, shown(largest, name)[0].values)
    assert not np.array_equal(shown(made, name)[0].values, shown(made, name)[1].values)


# -- coarse to fine


def test_the_schedule_by_hand() -> None:
    assert [halvings_left(2, step, 9) for step in range(1, 10)] == [2, 2, 2, 1, 1, 1, 0, 0, 0]
    assert [halvings_left(5, step, 2) for step in (1, 2)] == [5, 2]
    assert halvings_left(0, 1, 1) == 0
    assert [side(1024, left) for left in (0, 1, 5)] == [1024, 512, 32]
    assert side(64, 5) == 16


def test_sizes_double_over_the_steps() -> None:
    params = replace(SMALL, size=64, halvings=2, steps=6)
    made = drive(an_engine(params), params)
    sizes = [min(a.image.shape[:2]) for a in shown(made, "pictures/canvas")]
    assert sizes == [16, 16, 16, 32, 32, 64, 64]
    assert len(losses(made)) == 6


def test_more_steps_do_not_shrink_the_canvas_again() -> None:
    params = replace(SMALL, size=64, halvings=1, steps=4)
    made = drive(an_engine(params), params, at(3, steps=8))
    sizes = [min(a.image.shape[:2]) for a in shown(made, "pictures/canvas")]
    assert sizes == [32, 32, 32, *[64] * 6]


def test_a_frame_that_follows_another_does_not_begin_coarse() -> None:
    params = replace(SMALL, size=64, halvings=1, steps=2)
    engine = an_engine(params)
    memory: Any = None
    sizes = []
    for _ in range(2):
        run = engine.run(INPUTS, params, memory)
        made = next(run)
        while True:
            if getattr(made, "name", "") == "pictures/canvas":
                sizes.append(min(made.image.shape[:2]))
            try:
                made = run.send(params)
            except StopIteration as stop:
                memory = stop.value.memory
                break
    assert sizes == [32, 32, 64, 64, 64, 64]


# -- colours


def test_colours_of_the_photo_are_opencv_s_luminance_swap() -> None:
    canvas, photo = (torch.rand(1, 3, 9, 11, generator=seeded(n)) for n in (1, 2))

    def planes(x: torch.Tensor) -> np.ndarray[Any, Any]:
        rgb = np.ascontiguousarray(x[0].permute(1, 2, 0).numpy())
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))

    swapped = planes(photo)
    swapped[..., 0] = planes(canvas)[..., 0]
    wanted = cv2.cvtColor(swapped, cv2.COLOR_YCrCb2RGB)
    found = in_colours_of(canvas, photo)[0].permute(1, 2, 0).numpy()
    assert np.allclose(found, wanted, atol=2e-3)  # OpenCV rounds its coefficients


def test_colours_change_the_picture_and_not_the_painting() -> None:
    engine = an_engine(SMALL)
    calm, kept = drive(engine, SMALL), drive(engine, SMALL, at(2, colours="content"))
    assert np.array_equal(losses(calm), losses(kept))
    a, b = (shown(made, "pictures/canvas")[-1].image for made in (calm, kept))
    photo = shown(calm, "pictures/content")[0].image
    inside = ((b > 0) & (b < 255)).all(-1)  # what was not clamped for display

    def chroma(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return cv2.cvtColor(x, cv2.COLOR_RGB2YCrCb)[..., 1:][inside].astype(int)

    assert np.abs(chroma(b) - chroma(photo)).max() <= 2
    assert np.abs(chroma(a) - chroma(photo)).max() > 8


# -- several styles


def an_objective(**options: Any) -> Objective:
    return Objective(tiny(), Taps(LAYERS, LAYERS), pixels(2), pixels(3), **options)


def test_gram_matrices_of_two_styles_are_mixed() -> None:
    objective = an_objective(second=pixels(5))
    knobs = replace(StyleParams(), share=0.3)
    found = {n: f[0].flatten(1).numpy() for n, f in tiny()(pixels(4), LAYERS).items()}
    first, other = (tiny()(pixels(n), LAYERS) for n in (3, 5))
    terms = objective(pixels(4), knobs).terms
    for name in LAYERS:
        mats = [np.einsum("cm,dm->cd", f, f) / 36
                for f in (x[name][0].flatten(1).numpy() for x in (first, other))]  # fmt: skip
        target = 0.7 * mats[0] + 0.3 * mats[1]
        gram = np.einsum("cm,dm->cd", found[name], found[name]) / 36
        wanted = ((gram - target) ** 2).mean() / (target**2).mean()
        assert terms[name] == pytest.approx(wanted, rel=1e-9)


def test_a_whole_share_is_the_second_style_alone_and_none_never_looks_at_it() -> None:
    asked = []

    def extract(x: torch.Tensor, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
        asked.append(x.shape[2])
        return tiny()(x, names)

    taps = Taps(LAYERS, LAYERS)
    objective = Objective(extract, taps, pixels(2), pixels(3), pixels(5, 9))
    objective(pixels(4), StyleParams())
    assert 9 not in asked
    whole = objective(pixels(4), replace(StyleParams(), share=1.0))
    assert asked.count(9) == 1
    alone = Objective(tiny(), taps, pixels(2), pixels(5, 9))(pixels(4), StyleParams())
    assert float(whole.total) == pytest.approx(float(alone.total), rel=1e-12)
    objective(pixels(4), replace(StyleParams(), share=0.5))
    assert asked.count(9) == 1


def test_the_share_acts_live_and_shows_its_picture_and_matrices() -> None:
    engine = an_engine(SMALL)
    made = drive(engine, SMALL, at(1, share=0.5), THREE)
    assert [a.step for a in shown(made, "pictures/second style")] == [2]
    assert [a.step for a in shown(made, "gram/conv2_1 style")] == [0, 2]
    assert "50 % second style" in shown(made, "pictures/canvas")[-1].note
    calm = losses(drive(engine, SMALL, None, THREE))
    assert losses(made)[0] == calm[0]
    assert losses(made)[1] != calm[1]


def test_without_a_second_picture_its_share_does_nothing() -> None:
    engine = an_engine(SMALL)
    calm, bent = (drive(engine, replace(SMALL, share=s)) for s in (0.0, 0.5))
    assert np.array_equal(losses(calm), losses(bent))
    assert "second" not in shown(bent, "pictures/canvas")[-1].note


# -- masks


def test_dabs_are_opencv_s_discs_in_pixels_of_the_photo() -> None:
    affine = Affine(2.0, 2.0, 0.0, 0.0)
    mask = painted(((30.0, 20.0, 14.0, 1.0), (36.0, 20.0, 5.0, 0.25)), affine, 20, 30)[0, 0]
    y, x = np.mgrid[:20, :30] * 2.0 + 1.0
    wanted = np.where(np.hypot(x - 30, y - 20) <= 14, 1.0, 0.0)
    wanted[np.hypot(x - 36, y - 20) <= 5] = 0.25
    assert np.array_equal(mask.numpy(), wanted.astype(np.float32))
    disc = cv2.circle(np.zeros((40, 60), np.uint8), (30, 20), 14, 1, -1)
    assert float((mask > 0).sum()) * 4 == pytest.approx(int(disc.sum()), rel=0.1)


@pytest.mark.parametrize("dab", [(-50.0, -50.0, 5.0, 1.0), (10.0, 10.0, 0.0, 1.0)])
def test_a_dab_that_meets_no_pixel_leaves_the_mask_empty(dab: tuple[float, ...]) -> None:
    assert float(painted((dab,), Affine(2.0, 2.0, 0.0, 0.0), 20, 30).sum()) == 0.0


def test_a_guided_gram_is_einsum_of_weighted_features() -> None:
    f = features(5, 24).view(1, 5, 4, 6)
    mask = torch.rand(1, 1, 8, 12, generator=seeded(3))
    t = mask[0, 0].numpy().astype(float).reshape(4, 2, 6, 2).mean((1, 3)).ravel()
    flat = f[0].flatten(1).numpy()
    wanted = np.einsum("cm,dm,m->cd", flat, flat, t**2) / (t**2).sum()
    assert np.allclose(guided(f, mask).numpy(), wanted, rtol=1e-5)


def test_a_mask_of_ones_is_no_mask_and_one_of_zeros_asks_for_nothing() -> None:
    f = features(5, 24).view(1, 5, 4, 6)
    assert torch.allclose(guided(f, torch.ones(1, 1, 4, 6)), per_position(f), rtol=1e-12)
    objective, knobs = an_objective(), replace(StyleParams(), reconstruct="style", smooth=0.0)
    canvas = pixels(4).requires_grad_()
    nowhere = objective(canvas, replace(knobs, mask=((-9.0, -9.0, 1.0, 1.0),))).total
    (gradient,) = torch.autograd.grad(nowhere, canvas)
    assert float(nowhere.detach()) == pytest.approx(knobs.style)  # 1 a layer: no features at all
    assert float(gradient.abs().max()) == 0.0


def test_the_gradient_under_a_mask_is_that_of_finite_differences() -> None:
    objective = an_objective(second=pixels(5))
    knobs = replace(StyleParams(), mask=((2.0, 2.0, 2.5, 1.0),), share=0.4)
    canvas = pixels(4).requires_grad_()
    (gradient,) = torch.autograd.grad(objective(canvas, knobs).total, canvas)
    for place in [(0, 0, 0, 0), (0, 1, 2, 3), (0, 2, 5, 5)]:
        step = torch.zeros_like(canvas)
        step[place] = 1e-6
        with torch.no_grad():
            up, down = (objective(canvas + s, knobs).total for s in (step, -step))
        assert float(gradient[place]) == pytest.approx(float(up - down) / 2e-6, rel=1e-6, abs=1e-9)


def test_the_second_style_has_the_ground_outside_the_mask() -> None:
    objective = an_objective(second=pixels(5))
    knobs = replace(StyleParams(), mask=((2.0, 2.0, 2.5, 1.0),), share=0.4)
    inside = painted(knobs.mask, Affine(), 6, 6)
    terms = objective(pixels(4), knobs).terms
    canvas, first, other = (tiny()(pixels(n), LAYERS) for n in (4, 3, 5))
    for name in LAYERS:
        here = relative(guided(canvas[name], inside), per_position(first[name]))
        there = relative(guided(canvas[name], 1 - inside), per_position(other[name]))
        assert terms[name] == pytest.approx(float(0.6 * here + 0.4 * there), rel=1e-6)


def test_style_is_painted_where_the_mask_is_and_nowhere_else() -> None:
    params = replace(SMALL, reconstruct="style", smooth=0.0, style_block=2, steps=6)
    engine = an_engine(params)
    made = drive(engine, replace(params, mask=HALF))
    canvas = shown(made, "pictures/canvas")
    change = np.abs(canvas[-1].image.astype(int) - canvas[0].image).mean(-1)
    assert change[:, -8:].max() <= 1
    assert change[:, :12].mean() > 3
    assert "style on " in canvas[-1].note
    assert shown(made, "pictures/content")[0].gestures == {"paint": "mask"}


def test_a_mask_painted_while_it_runs_bends_the_next_step() -> None:
    engine = an_engine(SMALL)
    calm, bent = drive(engine, SMALL), drive(engine, SMALL, at(2, mask=HALF))
    assert np.array_equal(losses(calm)[:2], losses(bent)[:2])
    assert not np.isclose(losses(calm)[2], losses(bent)[2], rtol=1e-3)
    assert [a.step for a in shown(bent, "gram/conv2_1 content")] == [0, 3]


def test_the_ground_outside_a_mask_is_dimmed_on_the_content_from_the_next_step_on() -> None:
    bare, lit = shown(drive(an_engine(SMALL), SMALL, at(2, mask=HALF)), "pictures/content")
    assert (bare.step, lit.step) == (0, 3)
    assert np.array_equal(lit.image[:, :12], bare.image[:, :12])
    dimmed = 0.3 * bare.image[:, -8:].astype(float)
    assert np.abs(lit.image[:, -8:] - dimmed).max() <= 1
    assert "paint here" in lit.note


# -- through a session


def test_a_session_changes_size_share_and_mask_of_one_run() -> None:
    session = Session(
        table()["style"],
        device="cpu",
        params={"features": "efficientnet-lite0", "size": 32, "steps": 6},
    )
    session.open()
    asked: dict[int, dict[str, Any]] = {
        1: {"size": 48}, 2: {"share": 0.5}, 3: {"mask": HALF}, 4: {"start": "blend"},
    }  # fmt: skip
    sizes = []
    for frame in session.run(THREE):
        canvas = next(a for a in frame.artefacts if a.name == "pictures/canvas")
        sizes.append(min(canvas.image.shape[:2]))
        if frame.step in asked:
            assert session.set_params(asked[frame.step]) == "live"
    assert sizes == [32, 32, 48, 48, 48, 48, 48]
    assert "outside" in canvas.note
    session.close()


def test_a_loss_that_is_no_number_says_what_to_lower() -> None:
    engine = an_engine(SMALL)
    made = Painting(
        lambda short, kind: engine._level(INPUTS, short, kind),
        engine.network.taps, engine.noise, SMALL,
    )  # fmt: skip
    with torch.no_grad():
        made.descent.canvas.fill_(float("nan"))
    with torch.enable_grad():
        made.step(replace(SMALL, optimiser="Adam"), 1)
    assert not made.descent.finite
