"""Losses and descent of style transfer against closed forms, einsum, differences and SciPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from stylising import LAYERS, an_objective, descend, features, pixels, seeded, tiny
from torch import Tensor, nn

from engines.nn.efficientnet import EfficientNetLite0
from engines.nn.style.gram import (
    content_energy,
    gram_matrix,
    grams_per_position,
    per_position,
    relative,
    style_energy,
    style_gradient,
    total_variation,
)
from engines.nn.style.taps import Tapped, Taps, extract, feed, taps
from engines.nn.vgg import CONVENTIONS, VGG, initialise
from engines.style.canvas import Descent
from engines.style.objective import Objective
from engines.style.params import StyleParams
from explorer.api import gram, prepare
from explorer.core import registry

# -- the equations


def test_gram_is_einsum_symmetric_and_positive_semidefinite() -> None:
    f = features()
    g = gram(f[:, None])
    assert np.allclose(g.numpy(), np.einsum("cm,dm->cd", f, f), rtol=1e-12)
    assert torch.allclose(g, g.T, rtol=1e-12)
    assert float(torch.linalg.eigvalsh(g).min()) >= -1e-9
    assert torch.allclose(per_position(f.view(1, 7, 3, 4)), g / 12, rtol=1e-12)


def test_gram_of_orthonormal_rows_is_the_identity() -> None:
    q, _ = torch.linalg.qr(features(12, 7))
    assert torch.allclose(gram(q.T[:, None]), torch.eye(7, dtype=torch.float64), atol=1e-12)


def test_gram_ignores_where_and_scales_by_the_square() -> None:
    f = features().view(7, 3, 4)
    shuffled = f.flatten(1)[:, torch.randperm(12, generator=seeded(5))].view(7, 3, 4)
    assert torch.allclose(gram(f), gram(shuffled), rtol=1e-10, atol=1e-12)
    assert torch.allclose(gram(3 * f), 9 * gram(f), rtol=1e-12)


def test_gradient_of_the_style_energy_is_the_paper_s() -> None:
    f, a = features().requires_grad_(), gram(features(seed=1)[:, None])
    (found,) = torch.autograd.grad(style_energy(f @ f.T, a, 12), f)
    assert torch.allclose(found, style_gradient(f.detach(), a), rtol=1e-10, atol=1e-14)


def test_gradients_of_gram_matrices_are_those_of_finite_differences() -> None:
    f = features().view(1, 7, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(gram_matrix, f[0].flatten(1))
    assert torch.autograd.gradcheck(per_position, f)
    assert torch.autograd.gradcheck(grams_per_position, torch.cat([f, 2 * f.flip(3)]))


def test_gram_matrices_of_a_batch_are_those_of_each() -> None:
    f = torch.stack([features(), features(seed=4)]).view(2, 7, 3, 4)
    wanted = np.einsum("bcm,bdm->bcd", f.flatten(2), f.flatten(2)) / 12
    assert np.allclose(grams_per_position(f).numpy(), wanted, rtol=1e-12)


def test_energies_by_hand() -> None:
    f, p = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    assert float(content_energy(f, p)) == 2.5
    # One unit, two positions: G = 5, A = 16, E = 121 / (4 * 1 * 4).
    assert float(style_energy(f @ f.T, p @ p.T, 2)) == pytest.approx(121 / 16)


def test_relative_is_the_energy_up_to_the_printed_constant() -> None:
    f, a = features(), gram(features(seed=1)[:, None])
    g = f @ f.T
    constant = 4 / (a / 12).square().mean()
    expected = constant * style_energy(g, a, 12)
    assert torch.allclose(relative(g / 12, a / 12), expected, rtol=1e-12)


def test_total_variation_of_a_ramp() -> None:
    ramp = torch.arange(5.0).expand(1, 3, 4, 5)
    assert float(total_variation(ramp)) == 1.0


# -- the objective


def test_nothing_to_do_when_all_three_pictures_agree() -> None:
    objective = Objective(tiny(), Taps(LAYERS, LAYERS), pixels(2), pixels(2))
    canvas = pixels(2).requires_grad_()
    result = objective(canvas, replace(StyleParams(), smooth=0.0))
    (gradient,) = torch.autograd.grad(result.total, canvas)
    assert float(result.total.detach()) == 0.0
    assert float(gradient.abs().max()) == 0.0


def test_the_gradient_is_that_of_finite_differences() -> None:
    objective, knobs = an_objective(), StyleParams()
    canvas = pixels(4).requires_grad_()
    (gradient,) = torch.autograd.grad(objective(canvas, knobs).total, canvas)
    for at in [(0, 0, 0, 0), (0, 1, 2, 3), (0, 2, 5, 5)]:
        step = torch.zeros_like(canvas)
        step[at] = 1e-6
        with torch.no_grad():
            up, down = (objective(canvas + s, knobs).total for s in (step, -step))
        assert float(gradient[at]) == pytest.approx(float(up - down) / 2e-6, rel=1e-6, abs=1e-9)


def test_content_notices_a_shift_that_style_does_not() -> None:
    objective = Objective(tiny(), Taps(LAYERS, LAYERS), pixels(2, 24), pixels(2, 24))
    rolled = objective(pixels(2, 24).roll(7, 3), StyleParams()).terms
    assert rolled["content"] > 20 * max(rolled[name] for name in LAYERS)


@pytest.mark.parametrize(("side", "silent"), [("content", "style"), ("style", "content")])
def test_one_side_alone_does_not_hear_the_other_s_weight(side: str, silent: str) -> None:
    objective = an_objective()
    alone = replace(StyleParams(), reconstruct=side)
    loud = replace(alone, **{silent: 500.0})
    canvas = pixels(4)
    assert float(objective(canvas, alone).total) == float(objective(canvas, loud).total)
    assert float(objective(canvas, replace(loud, reconstruct="both")).total) > 1.0


def test_a_layer_s_weight_of_zero_removes_its_term() -> None:
    objective = an_objective()
    only = replace(StyleParams(), reconstruct="style", smooth=0.0, layers=(0.0, 0.0, 2.0, 0.0, 0.0))
    result = objective(pixels(4), only)
    assert float(result.total) == pytest.approx(10.0 * 2.0 * result.terms["c"] / 5, rel=1e-12)


# -- the descent


@pytest.mark.parametrize("knobs", [replace(StyleParams(), smooth=0.0), StyleParams()])
def test_lbfgs_never_rises_and_ends_where_scipy_s_does(knobs: StyleParams) -> None:
    """From the same canvas on the same closure, as many pairs and as many iterations."""
    iterations, side = 100, 12
    objective = an_objective(side=side)
    descent = Descent(objective, pixels(4, side))
    for _ in range(iterations):
        descent.step(knobs)
    names, values = descent.history()
    total = values[names.index("total")]
    assert (np.diff(total) <= 1e-12).all()

    def closure(flat: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        x = torch.from_numpy(flat.reshape(1, 3, side, side).copy()).requires_grad_()
        loss = objective(x, knobs).total
        (gradient,) = torch.autograd.grad(loss, x)
        return float(loss.detach()), gradient.numpy().ravel()

    peer = scipy.optimize.minimize(
        closure, pixels(4, side).numpy().ravel(), jac=True, method="L-BFGS-B",
        options={"maxiter": iterations, "maxcor": 30, "ftol": 0.0, "gtol": 0.0},
    )  # fmt: skip
    assert total[-1] < 0.1 * float(objective(pixels(4, side), knobs).total)
    assert total[-1] <= 1.05 * peer.fun


def test_single_iterations_equal_one_long_call() -> None:
    knobs = StyleParams()
    descent = descend(20, knobs)
    objective, canvas = an_objective(), pixels(4).requires_grad_()
    peer = torch.optim.LBFGS(
        [canvas], max_iter=20, max_eval=10_000, history_size=30, line_search_fn="strong_wolfe",
        tolerance_grad=0.0, tolerance_change=0.0,
    )  # fmt: skip

    def closure() -> float:
        loss = objective(canvas, knobs).total
        (canvas.grad,) = torch.autograd.grad(loss, canvas)
        return float(loss.detach())

    peer.step(closure)
    assert torch.allclose(descent.canvas, canvas, atol=1e-9)
    evaluations = peer.state[canvas]["func_evals"]
    assert descent.evaluations <= evaluations  # nothing is computed twice for the single steps


def test_adam_is_torch_s_and_follows_the_live_rate() -> None:
    knobs = replace(StyleParams(), optimiser="Adam", rate=0.01)
    descent = Descent(an_objective(), pixels(4))
    descent.step(knobs)
    before = descent.canvas.detach().clone()
    assert float((before - pixels(4)).abs().max()) == pytest.approx(0.01, rel=1e-3)
    descent.step(replace(knobs, rate=1e-4))
    assert float((descent.canvas.detach() - before).abs().max()) <= 1.1e-4


def test_a_changed_weight_gets_a_new_optimiser_and_an_unchanged_one_keeps_it() -> None:
    knobs = StyleParams()
    descent = descend(3, knobs)
    first = descent._optimiser
    descent.step(knobs)
    assert descent._optimiser is first
    descent.step(replace(knobs, style=20.0))
    assert descent._optimiser is not first


# -- features


def test_taps_of_vgg_are_relu_outputs_and_nothing_deeper_runs() -> None:
    network = VGG(16, head=False, pool="average").eval()
    initialise(network, seeded())
    called = []
    for i, layer in enumerate(network.features):
        layer.register_forward_hook(lambda *_, i=i: called.append(i))
    x = torch.rand(1, 3, 32, 32, generator=seeded())
    found = extract(network, x, ("conv1_1", "conv3_1"))
    with torch.no_grad():
        assert torch.equal(found["conv3_1"], network.features[:12](x))
        assert torch.equal(found["conv1_1"], network.features[:2](x))
    assert found["conv3_1"].shape == (1, 256, 8, 8)
    assert set(called) == set(range(12))
    assert any(isinstance(layer, nn.AvgPool2d) for layer in network.features)


def test_taps_of_the_classifier_are_its_stages() -> None:
    network = EfficientNetLite0().eval()
    x = torch.rand(1, 3, 64, 64, generator=seeded())
    found = extract(network, x, taps(network).style)
    shapes = {name: tuple(f.shape[1:]) for name, f in found.items()}
    assert list(shapes.values()) == [
        (32, 32, 32),
        (24, 16, 16),
        (40, 8, 8),
        (112, 4, 4),
        (320, 2, 2),
    ]
    block = network._blocks[15]
    kept = []
    block.register_forward_hook(lambda _m, _i, y: kept.append(y))
    network(x)
    assert torch.equal(kept[0], found["_blocks.15"])


@pytest.mark.parametrize("backbone", [VGG(16, head=False), EfficientNetLite0()])
def test_the_taps_are_capture_points_of_one_name_for_both(backbone: nn.Module) -> None:
    network = Tapped(backbone).eval()
    seen: dict[str, Tensor] = {}
    for name in ("style2", "content4"):
        network.get_submodule(name).register_forward_hook(
            lambda _m, _i, y, name=name: seen.update({name: y})
        )
    style, content = taps(backbone).style[1], taps(backbone).content[3]
    found = network(torch.rand(1, 3, 64, 64, generator=seeded()), (style, content))
    assert torch.equal(seen["style2"], found[style])
    assert torch.equal(seen["content4"], found[content])
    assert set(registry.table()["style"].points) <= {name for name, _ in network.named_modules()}


@pytest.mark.parametrize("weights", ["vgg16-hed", "vgg16"])
def test_the_canvas_is_fed_as_a_photo_would_be(weights: str) -> None:
    photo = torch.randint(0, 256, (20, 30, 3), generator=seeded(), dtype=torch.uint8).numpy()
    how = replace(CONVENTIONS[weights], size=None)
    expected, _ = prepare(photo, how)
    canvas = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255.0
    assert torch.allclose(feed(canvas, how), expected, atol=1e-4)
