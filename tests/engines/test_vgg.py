"""VGG against published counts, the support of gradients, and cuDNN-free arithmetic of torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engines.classify.vgg import Vgg, VggParams, strongest
from engines.nn.imagenet import class_names
from engines.nn.vgg import CONVENTIONS, VGG, initialise, layers, receptive_fields
from explorer.api import EngineError, ImageInput, WeightsMissing, prepare
from explorer.core import registry
from explorer.core.media import read_image
from explorer.core.paths import assets
from explorer.core.session import Session


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def a_photo(height: int = 48, width: int = 64) -> ImageInput:
    pixels = torch.randint(0, 256, (height, width, 3), generator=seeded(), dtype=torch.uint8)
    return ImageInput(pixels.numpy(), "noise")


# -- architecture


@pytest.mark.parametrize(
    ("depth", "head", "count"),
    [
        (16, True, 138_357_544),
        (19, True, 143_667_240),
        (19, False, 20_024_384),
        (16, False, 14_714_688),
    ],
)
def test_parameter_counts_are_the_published_ones(depth: int, head: bool, count: int) -> None:
    with torch.device("meta"):
        network = VGG(depth, head=head)
    assert sum(p.numel() for p in network.parameters()) == count


def test_layer_indices_are_torchvision_s() -> None:
    at = layers(19)
    expected = {
        "conv1_1": 0, "conv1_2": 2, "pool1": 4, "conv2_1": 5, "conv3_1": 10, "conv3_4": 16,
        "pool3": 18, "conv4_2": 21, "relu4_2": 22, "pool4": 27, "conv5_4": 34, "pool5": 36,
    }  # fmt: skip
    assert {name: at[name] for name in expected} == expected
    with torch.device("meta"):
        network = VGG(19)
    kinds = {name: type(network.features[i]) for name, i in at.items()}
    assert all(kind is nn.Conv2d for name, kind in kinds.items() if name.startswith("conv"))
    assert all(kind is nn.ReLU for name, kind in kinds.items() if name.startswith("relu"))
    keys = set(network.state_dict())
    assert {
        "features.0.weight",
        "features.34.bias",
        "classifier.0.weight",
        "classifier.6.bias",
    } <= keys
    assert len(keys) == 2 * (16 + 3)


def test_shapes_after_each_block() -> None:
    network, shapes = VGG(16, head=False), {}
    names = {i: name for name, i in layers(16).items()}
    network(torch.zeros(1, 3, 224, 224), lambda i, y: shapes.update({names[i]: tuple(y.shape[1:])}))
    got = [shapes[f"relu{b}_1"] for b in range(1, 6)]
    assert got == [(64, 224, 224), (128, 112, 112), (256, 56, 56), (512, 28, 28), (512, 14, 14)]


def test_receptive_fields_are_those_of_the_card() -> None:
    fields = receptive_fields(19)
    got = [fields[f"conv{b}_1"] for b in range(1, 6)]
    assert got == [(3, 1), (10, 2), (24, 4), (68, 8), (156, 16)]


@pytest.mark.parametrize("name", ["conv1_2", "conv2_1", "conv3_1", "conv4_1"])
def test_receptive_fields_are_the_support_of_the_gradient(name: str) -> None:
    network = VGG(16, head=False, pool="average")
    with torch.no_grad():
        for parameter in network.parameters():  # positive, so that no ReLU and no sum cuts a path
            parameter.uniform_(0.01, 0.02, generator=seeded())
    x = torch.ones(1, 3, 96, 96, requires_grad=True)
    y = network.features(x, until=layers(16)[name])
    middle = y.shape[2] // 2
    y[0, 0, middle, middle].backward()
    assert x.grad is not None
    touched = x.grad[0].abs().sum(0) > 0
    side, stride = receptive_fields(16)[name]
    assert (int(touched.any(0).sum()), int(touched.any(1).sum())) == (side, side)
    assert x.shape[2] // y.shape[2] == stride


def test_one_layer_by_torch_s_own_functions() -> None:
    network = VGG(16, head=False, pool="max").eval()
    initialise(network, seeded())
    x = torch.randn(1, 3, 16, 16, generator=seeded(1))
    state = network.state_dict()
    y = x
    for i in (0, 2):
        y = nn.functional.conv2d(
            y, state[f"features.{i}.weight"], state[f"features.{i}.bias"], padding=1
        )
        y = y.relu()
    y = nn.functional.max_pool2d(y, 2)
    assert torch.allclose(network.features(x, until=4), y, atol=1e-5)


# -- pixels


def test_every_file_of_weights_has_its_convention() -> None:
    photo = np.full((8, 8, 3), (10, 100, 200), np.uint8)
    bgr, _ = prepare(photo, replace(CONVENTIONS["vgg16-hed"], size=None))
    assert bgr[0, :, 0, 0].tolist() == pytest.approx(
        [200 - 104.007, 100 - 116.669, 10 - 122.679], abs=1e-3
    )
    rgb, _ = prepare(photo, replace(CONVENTIONS["vgg19"], size=None))
    expected = [
        (10 / 255 - 0.485) / 0.229,
        (100 / 255 - 0.456) / 0.224,
        (200 / 255 - 0.406) / 0.225,
    ]
    assert rgb[0, :, 0, 0].tolist() == pytest.approx(expected, abs=1e-5)
    row = registry.table()["vgg"]
    assert {w.name for w in row.weights} == set(CONVENTIONS)


# -- the engine


class Host:
    """As little of a session as the engine needs."""

    device = torch.device("cpu")
    seed = 0

    def __init__(self, tensors: dict[str, Tensor] | None = None) -> None:
        self.tensors = tensors

    def weights(self, name: str) -> dict[str, Tensor]:
        if self.tensors is None:
            raise WeightsMissing(name, f"fetch {name}")
        return self.tensors

    def generator(self) -> torch.Generator:
        return seeded()


def without_head() -> dict[str, Tensor]:
    network = VGG(16, head=False)
    initialise(network, seeded(7))
    return network.state_dict()


def artefacts(params: VggParams, host: Host) -> dict[str, Any]:
    engine = Vgg()
    engine.host = host  # type: ignore[assignment]
    engine.network = engine.build(params).eval()  # type: ignore[assignment]
    made = {}
    with torch.no_grad():
        run = engine.run({"image": a_photo()}, params)
        artefact = next(run)
        while True:
            made[artefact.name] = artefact
            try:
                artefact = run.send(params)
            except StopIteration as stop:
                made["outcome"] = stop.value
                return made


def test_convolutions_alone_say_why_there_is_no_class_list() -> None:
    made = artefacts(VggParams(size=64), Host(without_head()))
    (said,) = (a for name, a in made.items() if name.startswith("prediction/"))
    assert "vgg16-hed have no classifier" in said.text
    network = VGG(16, head=False).eval()
    network.load_state_dict(without_head())
    x, _ = prepare(a_photo().pixels, replace(CONVENTIONS["vgg16-hed"], size=64, fit="short"))
    with torch.no_grad():
        means = network.features(x)[0].mean(dim=(1, 2))
    assert f"unit {int(means.argmax())}, mean {float(means.max()):.3g}" in said.text
    assert made["input/as fed"].image.shape == (64, 85, 3)
    assert "BGR" in made["input/as fed"].note


def test_the_curves_are_what_the_layers_say() -> None:
    made = artefacts(VggParams(size=64), Host(without_head()))
    network = VGG(16, head=False).eval()
    network.load_state_dict(without_head())
    x, _ = prepare(a_photo().pixels, replace(CONVENTIONS["vgg16-hed"], size=64))
    active, mean = [], []
    with torch.no_grad():
        for layer in network.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                active.append(float((x > 0).float().mean()))
                mean.append(float(x.mean()))
    assert made["layers/active share"].y == pytest.approx(active)
    assert made["layers/mean activation"].y == pytest.approx(mean, rel=1e-5)
    assert made["layers/receptive field"].y[0].tolist()[:3] == [3.0, 5.0, 10.0]


def test_the_gram_matrix_is_that_of_the_chosen_layer() -> None:
    params = VggParams(size=64, layer="conv2_1", units=8)
    made = artefacts(params, Host(without_head()))
    matrix = made["gram/conv2_1"]
    network = VGG(16, head=False).eval()
    network.load_state_dict(without_head())
    x, _ = prepare(a_photo().pixels, replace(CONVENTIONS["vgg16-hed"], size=64))
    with torch.no_grad():
        f = network.features(x, until=layers(16)["relu2_1"])[0].flatten(1).numpy()
    expected = np.einsum("cm,dm->cd", f, f) / f.shape[1]
    units = [int(u) for u in matrix.rows]
    assert sorted(units) == sorted(np.argsort(-expected.diagonal())[:8].tolist())
    assert np.allclose(matrix.values, expected[np.ix_(units, units)], rtol=1e-4)


def test_again_needs_no_network() -> None:
    params = VggParams(size=64)
    made = artefacts(params, Host(without_head()))
    engine = Vgg()
    matrix, _ = engine.again(made["outcome"].kept, replace(params, units=5))
    assert matrix.values.shape == (5, 5)


def test_a_head_gives_named_classes_and_random_weights_say_so() -> None:
    made = artefacts(VggParams(weights="random-16", size=64, top=3), Host())
    scores = made["prediction/top classes"]
    assert len(scores.labels) == 3
    assert set(scores.labels) <= set(class_names())
    assert "random" in scores.note


def test_missing_weights_are_named_and_never_replaced_by_random_ones() -> None:
    with pytest.raises(WeightsMissing, match="vgg16-hed"):
        artefacts(VggParams(), Host())


def test_weights_of_another_depth_are_refused_by_name() -> None:
    tensors = without_head()
    tensors["features.0.weight"] = torch.zeros(64, 4, 3, 3)
    with pytest.raises(EngineError, match=r"features\.0\.weight"):
        artefacts(VggParams(), Host(tensors))


def test_strongest_takes_the_largest_diagonal() -> None:
    matrix = torch.diag(torch.tensor([1.0, 5.0, 3.0]))
    block, units = strongest(matrix, 2)
    assert sorted(units.tolist()) == [1, 2]
    assert sorted(block.diagonal().tolist()) == [3.0, 5.0]


def test_trained_convolutions_of_the_wheel_see_edges() -> None:
    """On the weights that the test command has fetched."""
    session = Session(registry.table()["vgg"], device="cpu", params={"size": 320})
    session.open()
    assert session.provenance == "trained"
    photo = read_image(assets() / "astronaut.png")
    (frame,) = list(session.run({"image": photo}))
    edges = next(a for a in frame.artefacts if a.name == "edges/fused").values
    # Measured apart from this program, with the file's own layers: 6e-6 to 0.988.
    assert (edges.min(), edges.max()) == pytest.approx((6e-6, 0.988), abs=2e-3)
    grey = cv2.cvtColor(cv2.resize(photo.pixels, (320, 320)), cv2.COLOR_RGB2GRAY)
    steep = cv2.Canny(grey, 100, 200) > 0
    assert edges[steep].mean() > 2.0 * edges[~steep].mean()
    session.close()
