"""Residual networks against published counts, hand-made blocks and their own recorded training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from engines.classify import digits
from engines.classify.resnet import (
    DIGITS,
    ResNetParams,
    ResNets,
    digit_net,
    parameters,
    switched_off,
)
from engines.nn.loading import load_state
from engines.nn.resnet import BasicBlock, Bottleneck, DigitNet, ResNet, initialise
from explorer.api import Checkpoint, EngineError, ImageInput
from explorer.core import registry
from explorer.core.paths import assets
from explorer.core.session import Session
from explorer.core.weights import WeightStore
from explorer.views import View


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


STORE = WeightStore(registry.table()["resnet"].weights)


class Host:
    """As little of a session as the engine needs."""

    device = torch.device("cpu")
    seed = 0

    def weights(self, name: str) -> dict[str, Tensor]:
        return STORE.load(name).tensors

    def progress(self, text: str, fraction: float | None = None) -> None:
        assert fraction is not None

    def generator(self) -> torch.Generator:
        return seeded()


def sample() -> ImageInput:
    pixels = cv2.imread(str(assets() / "digit.png"))
    assert pixels is not None
    return ImageInput(pixels[..., ::-1].copy(), "digit")


def run(params: ResNetParams, engine: ResNets | None = None) -> dict[str, Any]:
    engine = engine or opened(params)
    made = {}
    with torch.no_grad():
        generator = engine.run({"image": sample()}, params)
        artefact = next(generator)
        while True:
            made[artefact.name] = artefact
            try:
                artefact = generator.send(params)
            except StopIteration as stop:
                made["outcome"] = stop.value
                return made


def opened(params: ResNetParams) -> ResNets:
    engine = ResNets()
    engine.host = Host()  # type: ignore[assignment]
    engine.network = engine.build(params).eval()  # type: ignore[assignment]
    return engine


# -- architecture


@pytest.mark.parametrize(
    ("depth", "count", "entries"),
    [(18, 11_689_512, 122), (34, 21_797_672, 218), (50, 25_557_032, 320), (101, 44_549_160, 626)],
)
def test_parameter_counts_are_the_published_ones(depth: int, count: int, entries: int) -> None:
    with torch.device("meta"):
        network = ResNet(depth)
    assert sum(p.numel() for p in network.parameters()) == count
    assert len(network.state_dict()) == entries


def test_keys_shapes_and_strides_are_torchvision_s() -> None:
    with torch.device("meta"):
        network = ResNet(50)
    state = network.state_dict()
    assert state["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert state["layer2.0.downsample.1.running_var"].shape == (512,)
    assert state["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    block = network.get_submodule("layer2.0")
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))
    tops = {name.partition(".")[0] for name in state}
    assert tops == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"}
    assert not any("identity" in key or "residual" in key for key in state)


def test_stage_shapes_for_224() -> None:
    network, shapes = ResNet(18).eval(), []
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        stage.register_forward_hook(lambda _m, _i, y: shapes.append(tuple(y.shape[1:])))
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    assert shapes == [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]


@pytest.mark.parametrize(("depth", "giga"), [(18, 1.814), (34, 3.664), (50, 4.089), (101, 7.801)])
def test_multiply_adds_are_torchvision_s(depth: int, giga: float) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        ResNet(depth).eval()(torch.empty(1, 3, 224, 224))
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, abs=5e-4)


@pytest.mark.parametrize("depth", [8, 20, 44])
def test_plain_and_residual_have_equal_parameters_and_the_depth_they_say(depth: int) -> None:
    plain, residual = DigitNet(depth, plain=True), DigitNet(depth, plain=False)
    counts = [sum(p.numel() for p in n.parameters()) for n in (plain, residual)]
    assert counts[0] == counts[1]
    assert plain.state_dict().keys() == residual.state_dict().keys()
    layers = [m for m in plain.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth


def test_a_depth_that_is_not_6n_plus_2_is_refused() -> None:
    with pytest.raises(ValueError, match="6 n"):
        DigitNet(10, plain=True)


# -- blocks


def a_block(kind: str) -> BasicBlock | Bottleneck:
    block = BasicBlock(8, 8) if kind == "basic" else Bottleneck(8, 2)
    initialise(block, seeded())
    return block.eval()


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
def test_a_block_whose_last_gamma_is_zero_is_the_rectified_identity(kind: str) -> None:
    block = a_block(kind)
    last = block.bn2 if isinstance(block, BasicBlock) else block.bn3
    nn.init.zeros_(last.weight)
    x = torch.randn(2, 8, 5, 5, generator=seeded(1))
    assert torch.equal(block(x), x.relu())


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
def test_the_scales_are_a_and_b_of_the_sum(kind: str) -> None:
    block = a_block(kind)
    x = torch.randn(2, 8, 5, 5, generator=seeded(1))
    seen: dict[str, Tensor] = {}
    for side in ("identity", "residual"):
        block.get_submodule(side).register_forward_hook(
            lambda _m, _i, y, side=side: seen.update({side: y.clone()})
        )
    for a, b in ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.5, 2.0)):
        block.identity_scale, block.residual_scale = a, b
        y = block(x)
        assert torch.allclose(y, (a * seen["identity"] + b * seen["residual"]).relu(), atol=1e-6)
    assert torch.equal(seen["identity"], x)
    assert (
        float(seen["residual"].detach().min()) < 0
    )  # before the ReLU, which comes after the addition


def test_a_plain_block_is_two_layers() -> None:
    block = BasicBlock(4, 4, plain=True).eval()
    initialise(block, seeded())
    x = torch.randn(1, 4, 5, 5, generator=seeded(1))
    y = block.bn1(nn.functional.conv2d(x, block.conv1.weight, padding=1)).relu()
    y = block.bn2(nn.functional.conv2d(y, block.conv2.weight, padding=1)).relu()
    assert torch.allclose(block(x), y, atol=1e-6)


def test_the_digit_shortcut_takes_every_second_pixel() -> None:
    network = DigitNet(8, plain=False).eval()
    block = network.get_submodule("layer2.0")
    x = torch.randn(1, 16, 8, 8, generator=seeded())
    seen: list[Tensor] = []
    block.get_submodule("identity").register_forward_hook(lambda _m, _i, y: seen.append(y))
    block(x)
    assert torch.equal(seen[0], x[:, :, ::2, ::2])


# -- digits


def data() -> digits.Split:
    return digits.split(Host().weights("digits8x8"), torch.device("cpu"))


def test_the_digits_are_scikit_learn_s_and_the_split_is_a_partition() -> None:
    from sklearn.datasets import load_digits

    held, published = Host().weights("digits8x8"), load_digits()
    assert np.array_equal(held["images"].numpy(), published.images)
    assert np.array_equal(held["labels"].numpy(), published.target)
    both = torch.cat([held["train_index"], held["test_index"]])
    assert len(held["train_index"]) == 1400
    assert torch.equal(both.sort().values, torch.arange(1797, dtype=both.dtype))


def test_a_drawn_digit_is_reduced_to_what_the_network_was_trained_on() -> None:
    held = Host().weights("digits8x8")
    levels = held["images"][5]
    drawn = (levels.float() * 255 / 16).round().byte().numpy().repeat(16, 0).repeat(16, 1)
    photo = drawn[..., None].repeat(3, 2)
    expected = digits.enlarge(levels[None, None])
    bright, affine = digits.picture(photo, "auto")
    assert torch.equal(bright, expected)
    dark, _ = digits.picture(255 - photo, "auto")
    assert torch.equal(dark, expected)
    assert torch.equal(digits.picture(255 - photo, "dark")[0], expected)
    assert not torch.equal(digits.picture(photo, "dark")[0], expected)
    assert affine.to_input(8, 8) == (64.0, 64.0)
    wide = np.zeros((128, 256, 3), np.uint8)
    wide[:, 64:192] = photo
    assert digits.picture(wide, "bright")[1].to_input(8, 8) == (128.0, 64.0)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (2, 1)])
def test_any_picture_becomes_an_input(shape: tuple[int, int]) -> None:
    x, _ = digits.picture(np.full((*shape, 3), 128, np.uint8), "auto")
    assert x.shape == (1, 1, 16, 16)
    assert bool(x.isfinite().all())


# -- what was trained here


@pytest.mark.parametrize("name", DIGITS)
def test_every_embedded_network_scores_what_its_record_says(name: str) -> None:
    tensors = Host().weights(f"digits-{name}")
    network = digit_net(name).eval()
    load_state(network, parameters(tensors), name)
    recorded = tensors["record.measured"][-1]
    loss, _ = digits.measure(network, data().train)
    _, error = digits.measure(network, data().test)
    assert len(tensors["record.loss"]) == digits.STEPS == int(recorded[0])
    assert loss == pytest.approx(float(recorded[1]), rel=0.02)
    assert error == pytest.approx(float(recorded[2]), abs=1.5 / 397)


def final_loss(name: str) -> float:
    return float(Host().weights(f"digits-{name}")["record.measured"][-1, 1])


def test_depth_degrades_the_plain_network_and_not_the_residual_one() -> None:
    assert final_loss("plain-44") > 10 * final_loss("plain-20")
    assert final_loss("plain-44") > 10 * final_loss("plain-8")
    assert final_loss("residual-44") <= final_loss("residual-8")
    assert final_loss("residual-44") < final_loss("plain-44") / 10


# -- the engine


def test_the_sample_is_read_right() -> None:
    made = run(ResNetParams())
    assert "reads 2" in made["prediction/before"].note
    assert np.array_equal(made["prediction/before"].scores, made["prediction/after"].scores)
    assert made["prediction/before"].scores.sum() == pytest.approx(1.0, abs=1e-5)


def test_a_bypassed_block_adds_nothing_and_the_baseline_stays() -> None:
    engine = opened(ResNetParams())
    before = run(ResNetParams(), engine)
    after = run(ResNetParams(bypass=((3.0, 1.0), (8.0, 0.0)), block=4), engine)
    assert np.array_equal(before["prediction/before"].scores, after["prediction/before"].scores)
    assert not np.allclose(after["prediction/before"].scores, after["prediction/after"].scores)
    cells = after["depth/switches"].values
    assert (cells[1, 3], cells[0, 8]) == (0.0, 0.0)
    assert (cells > 0).sum() == cells.size - 2
    assert not after["block/residual F(x)"].maps.any()
    assert np.allclose(after["block/identity x"].maps, after["block/output"].maps)
    again = run(ResNetParams(), engine)
    assert np.array_equal(before["depth/norms"].y, again["depth/norms"].y)


def test_a_network_without_residuals_sees_only_its_stem() -> None:
    engine = opened(ResNetParams(network="residual-20"))
    made = run(ResNetParams(network="residual-20", alpha=0.0), engine)
    x, _ = digits.picture(sample().pixels, "auto")
    network = engine.network
    with torch.no_grad():
        stem = network.relu(network.bn1(network.conv1(x)))
        logits = network.fc(stem[:, :, ::4, ::4].mean((2, 3)))[0]
    assert np.allclose(made["prediction/after"].scores, logits.softmax(0), atol=1e-6)
    assert "F(x) × 0" in made["prediction/after"].note


def test_the_block_panels_are_the_probes() -> None:
    session = Session(registry.table()["resnet"], device="cpu", params={"block": 8})
    session.open()
    names = [f"layer2.0.{side}" for side in ("identity", "residual")]
    session.views = tuple(View(name) for name in names)
    (frame,) = list(session.run({"image": sample()}))
    made = {a.name: a for a in frame.artefacts}
    handles = {r.view.point: r.handle for r in frame.rendered}
    x, f = (session.read(handles[name]) for name in names)
    assert np.array_equal(x, made["block/identity x"].maps)
    assert np.array_equal(f, made["block/residual F(x)"].maps)
    assert np.allclose(np.maximum(x + f, 0), made["block/output"].maps, atol=1e-6)
    norm = made["depth/norms"].y[:, 7]
    assert norm[:2] == pytest.approx([np.sqrt((x**2).mean()), np.sqrt((f**2).mean())], rel=1e-4)
    assert session.provenance == "trained here"
    session.close()


def test_a_second_click_switches_on_again() -> None:
    cells = ((3.0, 1.0), (3.4, 1.2), (2.5, 0.5))
    assert switched_off(cells, 9) == {(2, 0)}
    with pytest.raises(EngineError, match="blocks 0 to 8"):
        switched_off(((9.0, 1.0),), 9)


def test_the_records_are_shown_as_they_stand_in_the_files() -> None:
    made = run(ResNetParams(network="plain-44"))
    curve, errors = made["degradation/training loss"], made["degradation/test error"]
    assert list(errors.labels) == [n.replace("-", " ") for n in DIGITS]
    held = Host().weights("digits-plain-44")
    assert errors.scores[4] == pytest.approx(float(held["record.measured"][-1, 2]))
    assert curve.y[4, -1] == pytest.approx(float(held["record.loss"][-20:].mean()), rel=1e-5)
    assert "block/identity x" not in made
    assert not made["depth/switches"].values[0].any()


# -- training


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "STEPS", 20)


def train(steps: int, resume: Checkpoint | None = None) -> tuple[Checkpoint, list[Any]]:
    engine = opened(ResNetParams(network="residual-8"))
    knobs = SimpleNamespace(rate=0.1)
    training = engine.train({}, replace(ResNetParams(), network="residual-8"), resume)
    artefacts: list[Any] = []
    made = next(training)
    while True:
        if isinstance(made, Checkpoint):
            if made.step == steps:
                return made, artefacts
        else:
            artefacts.append(made)
        made = training.send(knobs)


@pytest.mark.usefixtures("short")
def test_ten_steps_and_ten_more_equal_twenty() -> None:
    whole, artefacts = train(20)
    half, _ = train(10)
    resumed, _ = train(20, half)
    for name, value in whole.weights.items():
        assert torch.equal(value, resumed.weights[name]), name
    assert whole.score == resumed.score
    loss = [a for a in artefacts if a.name == "training/loss"]
    assert [len(a.y) for a in loss] == list(range(1, 21))
    assert loss[-1].y[-1] < 0.7 * loss[-1].y[0]
    assert any(a.name == "training/test" for a in artefacts)


@pytest.mark.usefixtures("short")
def test_a_live_rate_bends_the_training() -> None:
    engine = opened(ResNetParams(network="residual-8"))
    training = engine.train({}, ResNetParams(network="residual-8"))
    made = next(training)
    while not (isinstance(made, Checkpoint) and made.step == 2):
        made = training.send(SimpleNamespace(rate=1e-4 if made.step == 1 else 0.1))
    calm, _ = train(2)
    assert torch.equal(calm.weights["record.loss"][:2], made.weights["record.loss"])
    assert not torch.equal(calm.weights["fc.weight"], made.weights["fc.weight"])


def test_imagenet_networks_are_not_trained_here() -> None:
    engine = ResNets()
    engine.host = Host()  # type: ignore[assignment]
    engine.network = ResNet(18)
    with pytest.raises(EngineError, match="residual-8"):
        next(engine.train({}, ResNetParams(network="resnet18")))


@pytest.mark.usefixtures("short")
def test_a_stopped_training_goes_on_from_its_file(tmp_path: Path) -> None:
    def go(out: Path, steps: int, resume: Path | None = None) -> dict[str, Tensor]:
        session = Session(
            registry.table()["resnet"], device="cpu", params={"network": "residual-8"}
        )
        session.open()
        for _ in session.train({}, out=out, resume=resume, steps=steps):
            continue
        session.close()
        return load_file(out)

    whole = go(tmp_path / "whole.safetensors", 20)
    half = tmp_path / "half.safetensors"
    go(half, 10)
    resumed = go(tmp_path / "resumed.safetensors", 10, resume=half)
    assert len(resumed["record.loss"]) == 20
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
