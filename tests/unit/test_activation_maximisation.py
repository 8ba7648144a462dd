"""Ascent: units rise above every sample picture, closed forms of its parts, the same by seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

from engines.classify.resnet import parameters
from engines.nn.loading import load_state
from engines.nn.resnet import DigitNet
from explorer.core.media import read_image
from explorer.core.own_models.input_scale import InputScale
from explorer.core.paths import assets
from explorer.core.stores.tensor_files import read_tensors
from explorer.core.studies.activation_maximisation import (
    Ascent,
    Canvas,
    Climbed,
    climb,
    colours_of,
    penalty,
)
from explorer.core.studies.rectifiers import Rectified
from explorer.core.studies.tracing import Target, trace
from explorer.engine import IMAGENET_MEAN, IMAGENET_STD, Preprocess, prepare
from explorer.inputs import Pixels


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ascended(objective: Callable[[Tensor], Tensor], how: Ascent, seed: int = 0) -> list[Climbed]:
    canvas = Canvas((1, 16, 16), how.basis, generator(seed))
    return list(climb(objective, canvas, how, generator(seed)))


@pytest.fixture(scope="module")
def digits() -> tuple[DigitNet, Tensor]:
    """A trained digit network, and the pictures of its own training set (1797, 1, 16, 16)."""
    network = DigitNet(8, plain=False)
    tensors = read_tensors(assets() / "weights" / "digits-residual-8.safetensors")
    load_state(network, parameters(tensors), "residual-8")
    network.eval().requires_grad_(False)
    from sklearn.datasets import load_digits

    pictures = torch.from_numpy(load_digits().images).float().unsqueeze(1) / 16
    return network, pictures.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.mark.parametrize(
    ("point", "unit", "basis"),
    [("layer1", 2, "fourier"), ("layer2", 5, "pixels"), ("layer3", 11, "fourier")],
)
def test_a_unit_rises_above_every_picture_it_was_trained_on(
    digits: tuple[DigitNet, Tensor], point: str, unit: int, basis: str
) -> None:
    network, pictures = digits
    kept: list[Tensor] = []
    handle = network.get_submodule(point).register_forward_hook(lambda *a: kept.append(a[2]))
    network(pictures)
    handle.remove()
    best = float(kept[0][:, unit].mean((1, 2)).max())

    def objective(picture: Tensor) -> Tensor:
        found = trace(network, lambda: network(picture), Target(point, unit, over="mean"),
                      canvas=lambda _: picture)  # fmt: skip
        assert found.value is not None
        return found.value

    how = Ascent(basis, steps=96, rate=0.1, jitter=1)  # type: ignore[arg-type]
    steps = ascended(objective, how)
    assert float(objective(steps[-1].picture).detach()) > 1.1 * best
    assert steps[-1].value > steps[0].value


def test_a_silent_unit_is_woken_by_the_redirected_gradient() -> None:
    """Behind a shut ReLU the plain gradient is nought everywhere."""
    weights = torch.randn(1, 1, 16, 16, generator=generator(3))

    def objective(picture: Tensor) -> Tensor:
        return torch.relu((picture * weights).sum() - 20)

    def opening(picture: Tensor) -> Tensor:
        with Rectified("redirected"):
            return objective(picture)

    how = Ascent(steps=60, rate=0.2, jitter=0)
    stuck = ascended(objective, how)
    canvas = Canvas((1, 16, 16), "fourier", generator())
    woken = list(climb(objective, canvas, how, generator(), opening))
    assert [s.value for s in stuck] == [0.0] * 60
    assert woken[0].value == 0.0
    assert woken[-1].value > 5


def test_the_same_seed_gives_the_same_pictures() -> None:
    def objective(picture: Tensor) -> Tensor:
        return picture.std()

    how = Ascent(steps=5, jitter=3)
    a, b, other = ascended(objective, how), ascended(objective, how), ascended(objective, how, 1)
    assert all(torch.equal(x.picture, y.picture) for x, y in zip(a, b, strict=True))
    assert not torch.equal(a[-1].picture, other[-1].picture)


def test_a_linear_objective_leads_to_its_own_corner() -> None:
    """For w . x without penalties the optimum in [0, 1] is 1 where w > 0 and 0 elsewhere."""
    weights = torch.randn(1, 1, 16, 16, generator=generator(1))
    how = Ascent("pixels", steps=200, rate=0.3, jitter=0, variation=0.0, decay=0.0)
    last = ascended(lambda p: (p * weights).sum(), how)[-1].picture
    clear = weights.abs() > 0.05
    assert torch.equal((last > 0.5)[clear], (weights > 0)[clear])


def test_the_penalty_is_total_variation_and_distance_from_grey() -> None:
    ramp = torch.linspace(0, 1, 11).view(1, 1, 1, 11).expand(1, 1, 7, 11)
    how = Ascent(variation=3.0, decay=0.0)
    assert float(penalty(ramp, how)) == pytest.approx(3.0 * 0.1 * 11 / 128, rel=1e-5)
    flat = torch.full((1, 3, 4, 4), 0.75)
    assert float(penalty(flat, replace(how, decay=2.0))) == pytest.approx(2 * 0.0625)
    noisy = np.random.default_rng(0).random((1, 1, 32, 32))
    smooth = denoise_tv_chambolle(noisy[0, 0], weight=0.5)[None, None]
    before, after = (float(penalty(torch.from_numpy(v), how)) for v in (noisy, smooth))
    assert after < 0.5 * before


def test_the_fourier_basis_has_equal_power_in_every_octave() -> None:
    """With white parameters, amplitude falls as 1 / f: numpy's transform of the logit shows it."""
    canvas = Canvas((1, 64, 64), "fourier", generator())
    drawn = canvas.picture().logit()[0, 0].detach().numpy()
    spectrum = np.abs(np.fft.rfft2(drawn))
    f = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64)[None])
    inside = (f > 0.05) & (f < 0.4)
    slope = np.polyfit(np.log(f[inside]), np.log(spectrum[inside]), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.15)


def test_colours_are_the_root_of_the_covariance() -> None:
    picture = torch.rand(1, 3, 20, 20, generator=generator())
    root = colours_of(picture).double()
    truth = np.cov(picture[0].flatten(1).double().numpy())
    ratio = (root @ root).numpy() / truth
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    assert float(root.norm(dim=1).max()) == pytest.approx(1.0)
    grey = picture[:, :1].expand(1, 3, 20, 20)
    assert torch.isfinite(colours_of(grey)).all()
    assert float(torch.linalg.matrix_norm(colours_of(grey), 2)) > 0.1


HOWS = {
    "imagenet": Preprocess(64, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "caffe": Preprocess(64, fit="short", order="BGR", scale=255.0, mean=(104.0, 117.0, 123.0)),
    "bars": Preprocess(64, fit="letterbox", mean=(0.5,) * 3, std=(0.25,) * 3),
}


@pytest.mark.parametrize("name", HOWS)
def test_the_scale_of_an_input_is_read_from_the_picture(name: str) -> None:
    how = HOWS[name]
    pixels = read_image(assets() / "coffee.png").pixels
    x, affine = prepare(pixels, how)
    found = InputScale.of(x, pixels, affine)
    assert found.measured
    std, mean = np.array(how.std), np.array(how.mean)
    np.testing.assert_allclose(found.gain, how.scale / std, rtol=0.01)
    np.testing.assert_allclose(found.offset, -mean / std, atol=0.02 * how.scale / std.min())
    assert found.source == ((2, 1, 0) if how.order == "BGR" else (0, 1, 2))
    red = torch.zeros(1, 3, 2, 2)
    red[:, found.source.index(0)] = 1.0
    assert found.to_pixels(red)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("pixels", [None, np.zeros((50, 60, 3), np.uint8)])
def test_without_a_likeness_the_range_of_the_input_stands_in(pixels: Pixels | None) -> None:
    x, affine = prepare(read_image(assets() / "coffee.png").pixels, HOWS["imagenet"])
    found = InputScale.of(x, pixels, affine)
    assert not found.measured
    assert float(found.to_input(torch.ones(1, 3, 1, 1)).max()) == pytest.approx(float(x.max()))
    assert float(found.to_input(torch.zeros(1, 3, 1, 1)).min()) == pytest.approx(float(x.min()))


def test_one_channel_is_grey() -> None:
    pixels = read_image(assets() / "coffee.png").pixels
    x, affine = prepare(pixels, HOWS["imagenet"])
    grey = 1.0 - (x * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)).mean(1, keepdim=True)
    found = InputScale.of(grey, pixels, affine)
    assert found.measured
    assert found.source == (3,)
    assert found.gain[0] == pytest.approx(-1.0, rel=0.02)  # dark on bright
    assert found.to_pixels(torch.full((1, 1, 2, 2), 0.5))[0, 0].tolist() == [128, 128, 128]
