"""The engine of style transfer: what it shows, reconstruction, live knobs, clips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from stylising import (
    INPUTS,
    LAYERS,
    SMALL,
    Host,
    an_engine,
    an_objective,
    descend,
    drive,
    losses,
    pixels,
)  # fmt: skip

from engines.nn.style.taps import feed
from engines.nn.vgg import CONVENTIONS
from engines.style.painting import Before, carried, start
from engines.style.params import StyleParams
from explorer.api import Cancelled, Curve, EndOfStep, Matrix, Preprocess, prepare
from explorer.core import registry
from explorer.core.session import Session
from explorer.views import Frame, View


def test_the_loss_falls() -> None:
    artefacts = drive(an_engine(SMALL), SMALL)
    total = losses(artefacts)
    assert len(total) == 4
    assert (np.diff(total) < 0).all()
    curve = artefacts[-2]
    assert isinstance(curve, Curve)
    assert curve.log
    assert "conv1_1" in curve.note


def test_every_layer_shows_style_canvas_content_and_difference_in_one_row() -> None:
    artefacts = drive(an_engine(SMALL), SMALL)
    grams = [a for a in artefacts if isinstance(a, Matrix)]
    parts = ("style", "canvas", "content", "difference")
    layers = [f"conv{b}_1" for b in range(1, 6)]
    assert [a.item for a in grams if a.step == 0] == [f"{n} {k}" for n in layers for k in parts]
    first = {a.item: a for a in grams if a.step == 0}
    last = {a.item: a for a in grams}
    for name in layers:
        style, canvas, content, difference = (last[f"{name} {k}"] for k in parts)
        assert style.rows == canvas.rows == content.rows == difference.rows
        assert {a.share for a in (style, canvas, content)} == {name}
        assert {a.scale for a in (style, canvas, content)} == {"sequential"}  # after ReLU
        assert {a.own_scale for a in (style, canvas, content)} == {False}
        assert difference.own_scale
        assert difference.scale == "diverging"
        assert np.allclose(difference.values, canvas.values - style.values, atol=1e-4)
        # The canvas starts as the content, and does not stay so.
        assert np.allclose(first[f"{name} canvas"].values, content.values, rtol=1e-4, atol=1e-6)
        assert not np.allclose(canvas.values, content.values, rtol=1e-2)


def test_signed_features_get_one_diverging_scale() -> None:
    params = replace(SMALL, features="efficientnet-lite0", steps=1)
    artefacts = drive(an_engine(params), params)
    scales = {(a.share, a.scale) for a in artefacts if isinstance(a, Matrix) and not a.own_scale}
    assert len(scales) == 5
    assert ("_act0", "sequential") in scales
    assert ("_blocks.15", "diverging") in scales


def test_spectra_are_the_eigenvalues_of_the_shown_matrices() -> None:
    artefacts = {a.name: a for a in drive(an_engine(SMALL), SMALL)}
    for name in ("conv1_1", "conv5_1"):
        curve = artefacts[f"spectrum/{name}"]
        assert isinstance(curve, Curve)
        assert curve.log
        assert curve.series == ("style", "canvas", "content")
        for series, y in zip(curve.series, curve.y, strict=True):
            values = artefacts[f"gram/{name} {series}"].values.astype(np.float64)
            expected = np.linalg.eigvalsh((values + values.T) / 2)[::-1]
            floor = curve.y[0].max() * 1e-6
            assert np.allclose(y, np.maximum(expected, floor), rtol=1e-3, atol=2 * floor)


def test_a_spectrum_takes_no_more_units_than_its_cost_allows() -> None:
    params = replace(SMALL, steps=1, units=512)
    artefacts = {a.name: a for a in drive(an_engine(params), params)}
    assert artefacts["gram/conv4_1 style"].values.shape == (512, 512)
    assert artefacts["spectrum/conv4_1"].y.shape == (3, 64)


def test_other_units_show_style_and_content_again() -> None:
    def fewer(step: int, params: StyleParams) -> StyleParams:
        return replace(params, units=5) if step >= 2 else params

    artefacts = drive(an_engine(SMALL), SMALL, fewer)
    shown = [(a.step, len(a.rows)) for a in artefacts if a.name == "gram/conv2_1 content"]
    assert shown == [(0, 48), (2, 5)]


# -- reconstruction


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("side", ["content", "style"])
def test_each_layer_can_be_rebuilt_from_noise_and_the_canvas_says_which(
    side: str, depth: int
) -> None:
    params = replace(
        SMALL, steps=8, start="noise", reconstruct=side, content_block=depth, style_block=depth
    )
    artefacts = drive(an_engine(params), params)
    curve = next(a for a in reversed(artefacts) if a.name == "loss/terms")
    names = [f"conv{depth}_2"] if side == "content" else [f"conv{b}_1" for b in range(1, depth + 1)]
    rows = ["content"] if side == "content" else names
    mean = np.mean([curve.y[curve.series.index(row)] for row in rows], axis=0)
    assert mean[-1] < 0.7 * mean[0]
    note = next(a for a in reversed(artefacts) if a.name == "pictures/canvas").note
    assert note.startswith(f"{side} of {' to '.join(dict.fromkeys((names[0], names[-1])))} alone")


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_style_layers_above_the_chosen_one_do_not_count(depth: int) -> None:
    objective = an_objective()
    some = replace(StyleParams(), reconstruct="style", smooth=0.0, style_block=depth)
    deeper = tuple(1.0 if b < depth else 4.0 for b in range(5))
    result = objective(pixels(4), some)
    assert float(objective(pixels(4), replace(some, layers=deeper)).total) == float(result.total)
    expected = 10.0 * np.mean([result.terms[name] for name in LAYERS[:depth]])
    assert float(result.total) == pytest.approx(expected, rel=1e-12)


def test_all_layers_at_once_are_what_each_is_alone() -> None:
    params = replace(SMALL, steps=3, reconstruct="each layer")
    artefacts = drive(an_engine(params), params)
    last = {a.name: a for a in artefacts}
    content, style = last["pictures/content layers"], last["pictures/style layers"]
    assert content.labels == tuple(f"conv{b}_2" for b in range(1, 6))
    assert style.labels == ("conv1_1", *(f"to conv{b}_1" for b in range(2, 6)))
    assert content.image.shape == style.image.shape
    assert content.image.shape[0] == 5
    for name in ("loss/content layers", "loss/style layers"):
        y = last[name].y
        assert y.shape == (5, 3)
        assert (y[:, -1] < y[:, 0]).all()
    for side, batch in (("content", content), ("style", style)):
        for depth in (1, 4):
            alone = replace(
                SMALL, steps=3, size=64, start="noise", reconstruct=side,
                content_block=depth, style_block=depth,
            )  # fmt: skip
            canvas = [a for a in drive(an_engine(alone), alone) if a.name == "pictures/canvas"][
                -1
            ].image
            apart = np.abs(batch.image[depth - 1].astype(int) - canvas.astype(int))
            assert apart.mean() < 1.0, (side, depth)


def test_gram_matrices_are_shown_of_the_canvas_rebuilt_from_all_style_layers() -> None:
    params = replace(SMALL, steps=4, reconstruct="each layer")
    engine = an_engine(params)
    artefacts = drive(engine, params)
    last = {a.name: a for a in artefacts}
    apart = [np.linalg.norm(a.values) for a in artefacts if a.name == "gram/conv3_1 difference"]
    assert len(apart) == 5
    assert apart[-1] < apart[0]
    assert {a.name for a in artefacts if a.group == "spectrum"} == {
        f"spectrum/conv{b}_1" for b in range(1, 6)
    }
    canvas = torch.from_numpy(last["pictures/style layers"].image[-1]).permute(2, 0, 1)[None] / 255
    found = engine.network(feed(canvas, CONVENTIONS[engine._chosen.weights]), ("conv1_1",))[
        "conv1_1"
    ][0]
    flat = found.flatten(1).double()
    units = [int(u) for u in last["gram/conv1_1 canvas"].rows]
    wanted = (flat @ flat.T / flat.shape[1])[units][:, units]
    shown = torch.from_numpy(last["gram/conv1_1 canvas"].values).double()
    wanted, shown = wanted / wanted.norm(), shown / shown.norm()  # shown in the style's units
    assert float((wanted - shown).norm()) < 0.05  # the picture is clamped and of 8 bits


def test_tiles_follow_the_live_weights() -> None:
    def smoother(step: int, params: StyleParams) -> StyleParams:
        return replace(params, smooth=10.0) if step >= 1 else params

    params = replace(SMALL, steps=3, reconstruct="each layer")
    calm, bent = (
        [a.image for a in drive(an_engine(params), params, change) if a.item == "style layers"
         and a.group == "pictures"]
        for change in (None, smoother)
    )  # fmt: skip
    assert np.array_equal(calm[1], bent[1])
    assert all(not np.array_equal(a, b) for a, b in zip(calm[3], bent[3], strict=True))


# -- live knobs


CHANGES = {
    "content": 50.0, "style": 500.0, "layers": (0.0, 0.0, 4.0, 0.0, 0.0), "content_block": 2,
    "style_block": 2, "smooth": 5.0, "optimiser": "Adam",
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_each_live_knob_bends_the_next_step_and_rebuilds_the_optimiser(name: str) -> None:
    knobs = StyleParams()
    calm, bent = descend(3, knobs), descend(3, knobs)
    before, kept = bent._optimiser, calm._optimiser
    assert torch.equal(calm.canvas, bent.canvas)
    calm.step(knobs)
    bent.step(replace(knobs, **{name: CHANGES[name]}))
    assert calm._optimiser is kept
    assert bent._optimiser is not before
    assert not torch.allclose(calm.canvas, bent.canvas, rtol=1e-4)
    if name != "optimiser":
        (state,) = bent._optimiser.state.values()
        assert state["n_iter"] == 1  # no curvature pair of the old loss is left


def test_a_rate_of_adam_changes_without_a_new_optimiser() -> None:
    knobs = replace(StyleParams(), optimiser="Adam", rate=0.01)
    descent = descend(2, knobs)
    before = descent._optimiser
    descent.step(replace(knobs, rate=0.1))
    assert descent._optimiser is before
    assert before.param_groups[0]["lr"] == 0.1


# -- clips


def test_a_frame_goes_on_from_the_canvas_of_the_one_before() -> None:
    engine = an_engine(SMALL)

    def run(memory: Before | None) -> tuple[list[Any], Before]:
        made = []
        run = engine.run(INPUTS, SMALL, memory)
        try:
            made.append(next(run))
            while True:
                made.append(run.send(SMALL))
        except StopIteration as stop:
            return [m for m in made if not isinstance(m, EndOfStep)], stop.value.memory

    first, memory = run(None)
    second, _ = run(memory)
    shown = [a for a in first if a.name == "pictures/canvas"]
    again = [a for a in second if a.name == "pictures/canvas"]
    assert np.array_equal(shown[-1].image, again[0].image)
    assert "frame before" not in shown[0].note
    assert all("frame before" in a.note for a in again)
    assert losses(second)[-1] < losses(first)[-1]
    tiny = torch.zeros(1, 3, 8, 8)
    other, _ = run(Before(tiny, tiny))  # the clip's size has changed
    assert np.array_equal(next(a for a in other if a.name == "pictures/canvas").image,
                          shown[0].image)  # fmt: skip


def test_the_canvas_moves_with_the_photo() -> None:
    """A photo that has moved by 5 and -3 px takes its canvas along."""
    photo, _ = prepare(INPUTS["content"].pixels, Preprocess(size=96, fit="short"))
    paint = photo.flip(1)
    moved = carried(Before(photo, paint), photo.roll((-3, 5), (2, 3)))
    wanted = paint.roll((-3, 5), (2, 3))
    inside = (..., slice(12, -12), slice(12, -12))
    assert float((moved - wanted)[inside].abs().mean()) < 0.02
    assert float((paint - wanted)[inside].abs().mean()) > 0.05
    assert moved.is_contiguous()


def test_a_live_knob_bends_the_run_without_restarting_it() -> None:
    def louder(step: int, params: StyleParams) -> StyleParams:
        return replace(params, content=100.0) if step >= 2 else params

    engine = an_engine(SMALL)
    calm, bent = losses(drive(engine, SMALL)), losses(drive(engine, SMALL, louder))
    assert len(bent) == 4
    assert np.array_equal(calm[:2], bent[:2])
    assert not np.isclose(calm[2], bent[2], rtol=1e-3)


def test_steps_and_show_every_act_live() -> None:
    params = replace(SMALL, steps=6, show_every=3)
    shown = [a.step for a in drive(an_engine(params), params) if a.name == "pictures/canvas"]
    assert shown == [0, 3, 6]
    shorter = drive(an_engine(SMALL), SMALL, lambda step, p: replace(p, steps=2) if step else p)
    assert len(losses(shorter)) == 2


@pytest.mark.parametrize(("present", "taken"), [(("vgg16-hed",), "VGG-16"), ((), "EfficientNet")])
def test_it_takes_vgg_when_there_and_says_which(present: tuple[str, ...], taken: str) -> None:
    params = replace(SMALL, steps=1)
    canvas = [
        a for a in drive(an_engine(params, Host(*present)), params) if a.name == "pictures/canvas"
    ]
    assert taken in canvas[-1].note
    assert ("fetch" in canvas[-1].note) == (not present)


def test_a_checkpoint_with_a_head_serves_too() -> None:
    params = replace(SMALL, features="vgg16", steps=1)
    host = Host()
    drive(an_engine(params, host), params)
    assert host.asked == ["vgg16"]


def test_the_first_canvas() -> None:
    content, noise = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    means = {
        kind: float(start(content, replace(SMALL, start=kind), lambda *_: noise).mean())
        for kind in ("content", "noise", "blend")
    }
    assert means == {"content": 0.0, "noise": 1.0, "blend": 0.5}
    assert start(content, SMALL, lambda *_: noise) is not content
    permuted = torch.rand(1, 4, 5, 3).permute(0, 3, 1, 2)
    assert start(permuted, SMALL, lambda *_: noise).is_contiguous()


def test_the_seed_decides_the_noise() -> None:
    params = replace(SMALL, start="noise", steps=1)
    engine = an_engine(params)
    first, again, other = (
        next(a for a in drive(engine, p) if a.name == "pictures/canvas").image
        for p in (params, params, replace(params, seed=1))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_session_bends_a_run_captures_its_taps_and_stops_it() -> None:
    session = Session(
        registry.table()["style"],
        device="cpu",
        params={"features": "efficientnet-lite0", "size": 32, "steps": 50},
    )
    session.open()
    session.views = (View("style3"),)
    calm = [_total(f) for f in session.run(INPUTS, steps=5) if f.step]
    bent = []
    for frame in session.run(INPUTS, steps=5):
        if frame.step:
            bent.append(_total(frame))
            (rendered,) = frame.rendered
            assert session.read(rendered.handle).shape == (40, 4, 4)
        if frame.step == 2:
            assert session.set_params({"content": 300.0}) == "live"
    assert calm[:2] == bent[:2]
    assert bent[2] != calm[2]  # what is set at the second step acts in the third
    run = session.run(INPUTS)
    assert [next(run).step for _ in range(3)] == [0, 1, 2]
    session.cancel()
    with pytest.raises(Cancelled):
        list(run)
    hooks = sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) for m in session.network.modules()
    )
    assert hooks == 0
    session.close()


def _total(frame: Frame) -> float:
    return float(next(a for a in frame.artefacts if a.name == "loss/terms").y[0, -1])
