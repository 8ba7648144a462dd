"""Gradients to the input and Grad-CAM equal Captum's bit for bit, and leave nothing behind."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from captum.attr import (
    Deconvolution,
    GuidedBackprop,
    LayerGradCam,
    NeuronDeconvolution,
    NeuronGradient,
    NeuronGuidedBackprop,
    Saliency,
)
from torch import Tensor, nn

from explorer.core.attribution import AttributionError, Target, grad_cam, input_gradient
from explorer.core.capture import Capture, hook_count
from explorer.core.studies.rectifiers import RULES, Readable, Rule
from explorer.engine import Cancelled, place
from explorer.kinds import Affine


class InPlace(nn.Module):
    """In-place ReLUs after a norm, after a sum and of a map that the sum still needs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.deep = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.norm(self.conv(x)))
        z = self.deep(y)
        z += y
        return self.head(self.last(z).mean((2, 3)))


class Shared(nn.Module):
    """One ReLU and one convolution, each called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.act = nn.ReLU()
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.conv(self.act(self.stem(x))))
        return self.head(self.conv(y).mean((2, 3)))


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.conv(x), {"mean": x.mean((2, 3))}


class Tuples(nn.Module):
    """A block that returns a tuple with a dict, and an in-place ReLU on what it returned."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.pair = Pair()
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y, extra = self.pair(self.conv(x))
        return self.head(self.act(y).mean((2, 3)) + extra["mean"])


def sequence(act: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), act(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), act(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "in place": InPlace,
    "shared": Shared,
    "tuples": Tuples,
    "relu": lambda: sequence(nn.ReLU),
    "relu6": lambda: sequence(nn.ReLU6),
    "silu": lambda: sequence(nn.SiLU),
}
LAYERS = {"in place": "deep", "shared": "conv", "tuples": "conv"}


@pytest.fixture(params=NETWORKS)
def case(request: pytest.FixtureRequest) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """A network whose weights, modes and hooks must be the same afterwards, and its input."""
    torch.manual_seed(0)
    network, x = NETWORKS[request.param]().eval(), torch.randn(2, 3, 12, 12)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    yield request.param, network, x
    after = network.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert hook_count(network) == 0
    assert not x.requires_grad
    assert torch.is_grad_enabled()


def captum(make: Any, *args: Any, **kwargs: Any) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x: Tensor = make.attribute(*args, **kwargs)
    return x.detach()


RULE_PEERS: dict[Rule, Any] = {
    "gradient": Saliency,
    "guided": GuidedBackprop,
    "deconvolution": Deconvolution,
}
NEURON_PEERS: dict[Rule, Any] = {
    "gradient": NeuronGradient,
    "guided": NeuronGuidedBackprop,
    "deconvolution": NeuronDeconvolution,
}


@pytest.mark.parametrize("rule", RULES)
def test_a_class_equals_captum(case: tuple[str, nn.Module, Tensor], rule: Rule) -> None:
    _, network, x = case
    one = x[:1]
    options = {"abs": False} if rule == "gradient" else {}
    truth = captum(RULE_PEERS[rule](network), one.clone(), target=3, **options)
    ours = input_gradient(network, lambda: network(one), Target("", 3), rule, clipped=False)
    assert torch.equal(ours.gradient, truth)
    assert truth.abs().max() > 0
    assert ours.value == float(network(one)[0, 3].detach())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("over", ["sum", "mean", "max", "at"])
def test_a_unit_equals_captum(case: tuple[str, nn.Module, Tensor], rule: Rule, over: Any) -> None:
    name, network, x = case
    layer = {"in place": "deep", "shared": "conv", "tuples": "pair.conv"}.get(name, "3")
    choose = {
        "sum": lambda y: y[:, 2].sum((1, 2)),
        "mean": lambda y: y[:, 2].mean((1, 2)),
        "max": lambda y: y[:, 2].amax((1, 2)),
        "at": lambda y: y[:, 2, 1, 2],
    }[over]
    one = x[:1]
    module = network.get_submodule(layer)
    peer = NEURON_PEERS[rule](network, module)
    truth = captum(peer, one.clone(), neuron_selector=choose)
    target = Target(layer, 2, at=(1, 2)) if over == "at" else Target(layer, 2, over=over)
    ours = input_gradient(network, lambda: network(one), target, rule, clipped=False)
    assert torch.equal(ours.gradient, truth)
    assert truth.abs().max() > 0


@pytest.mark.parametrize("rectify", [False, True])
def test_grad_cam_equals_captum(case: tuple[str, nn.Module, Tensor], rectify: bool) -> None:
    name, network, x = case
    layer = LAYERS.get(name, "3")
    for unit in range(5):
        truth = captum(
            LayerGradCam(network, network.get_submodule(layer)),
            x[:1].clone(), target=unit, relu_attributions=rectify,
        )  # fmt: skip
        ours = grad_cam(network, lambda: network(x[:1]), layer, Target("", unit), rectify=rectify)
        assert torch.equal(ours.map, truth)


def test_relu6_goes_back_as_a_relu_with_a_ceiling() -> None:
    """Captum leaves ReLU6 alone; in a network where a ReLU is followed by a clamp it does not."""

    class Six(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(x).clamp(max=6.0)

    torch.manual_seed(0)
    ours, theirs = sequence(nn.ReLU6).eval(), sequence(Six).eval()
    theirs.load_state_dict(ours.state_dict())
    x = 20 * torch.randn(1, 3, 12, 12)  # so that the ceiling is met
    for rule in ("guided", "deconvolution"):
        truth = captum(RULE_PEERS[rule](theirs), x.clone(), target=1)
        found = input_gradient(ours, lambda: ours(x), Target("", 1), rule)
        assert torch.equal(found.gradient, truth)
        assert (found.rectifiers, found.clipped) == (2, 2)
        plain = input_gradient(ours, lambda: ours(x), Target("", 1))
        assert not torch.equal(found.gradient, plain.gradient)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "F.relu": F.relu,
    "F.relu in place": lambda x: F.relu(x, inplace=True),
    "torch.relu": torch.relu,
    "method": lambda x: x.relu(),
    "method in place, result unused": lambda x: (x.relu_(), x)[1],
    "aten": lambda x: torch.ops.aten.relu.default(x),
}


class Functional(nn.Module):
    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.b(self.act(self.a(x)))).mean((2, 3))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_relus_that_are_no_modules_are_found_where_captum_finds_none(name: str) -> None:
    torch.manual_seed(0)
    network, twin = Functional(FUNCTIONS[name]).eval(), Functional(nn.ReLU()).eval()
    twin.load_state_dict(network.state_dict())
    x = torch.randn(1, 3, 12, 12)
    for rule in ("guided", "deconvolution"):
        truth = captum(RULE_PEERS[rule](twin), x.clone(), target=4)
        ours = input_gradient(network, lambda: network(x), Target("", 4), rule)
        assert torch.equal(ours.gradient, truth)
        assert ours.rectifiers == 2
        assert not torch.equal(captum(RULE_PEERS[rule](network), x.clone(), target=4), truth)


def test_only_what_leaves_the_relu_is_rectified() -> None:
    """With a weight of -2 around the ReLU, nothing comes through it and -2 comes past it."""
    network = nn.Sequential(nn.Identity(), nn.ReLU())
    x = torch.tensor([[3.0, -1.0]])

    class Sum(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return -2.0 * (a + b)

    past = Sum()
    network.append(past)
    run = lambda: past(network[1](y := network[0](x)), y)  # noqa: E731
    for rule, truth in (("gradient", -4.0), ("guided", -2.0), ("deconvolution", -2.0)):
        found = input_gradient(network, run, Target("2", 0), rule)
        assert found.gradient.tolist() == [[truth, 0.0]]


def test_a_network_without_relu_says_that_the_rule_met_none() -> None:
    network, x = sequence(nn.SiLU).eval(), torch.randn(1, 3, 12, 12)
    found = input_gradient(network, lambda: network(x), Target("", 0), "guided")
    assert found.rectifiers == 0


def test_grad_cam_of_tokens_weights_features_by_their_mean_gradient() -> None:
    torch.manual_seed(0)

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.up(x).tanh().mean(1))

    network, x = Tokens(), torch.randn(1, 7, 4)
    ours = grad_cam(network, lambda: network(x), "up", Target("", 2), rectify=False)
    up = network.up(x).detach()
    gradient = network.head.weight[2] / 7 * (1 - up.tanh() ** 2)  # by hand
    truth = (gradient.mean(1, keepdim=True) * up).sum(2)
    assert ours.map.shape == (1, 1, 7)
    torch.testing.assert_close(ours.map[:, 0], truth)


def test_roots_are_the_marked_pictures_whichever_module_is_called() -> None:
    """As an engine does: parts called one by one, with numpy of what carries a gradient."""
    torch.manual_seed(0)
    network = sequence(nn.ReLU).eval()
    photo = place(torch.randn(1, 3, 12, 12), Affine(2.0, 2.0, 1.0, 0.0))
    seen = []

    def run() -> None:
        y = network[0](photo)
        seen.append(float(y.mean()))
        y = network[7](network[5](network[1](y)).flatten(1))
        seen.append(y.numpy()[0, 1])
        network[7](y.new_ones(1, 8))

    with Readable():
        ours = input_gradient(network, run, Target("7", 1, call=0))
    assert ours.root.affine == Affine(2.0, 2.0, 1.0, 0.0)
    leaf = photo.clone().requires_grad_()
    y = network[7](network[5](network[1](network[0](leaf))).flatten(1))
    assert torch.equal(ours.gradient, torch.autograd.grad(y[0, 1], leaf)[0])
    assert len(seen) == 1, "the pass ends where the unit is known"
    with Readable(), pytest.raises(AttributionError, match="does not depend on the input"):
        input_gradient(network, run, Target("7", 1))  # the last call has nothing of the picture
    assert len(seen) == 3


def test_the_last_or_a_numbered_call_of_a_shared_module() -> None:
    torch.manual_seed(0)
    network, x = Shared().eval(), torch.randn(1, 3, 9, 9)
    leaf = x.clone().requires_grad_()
    first = network.conv(network.act(network.stem(leaf)))
    last = network.conv(network.act(first))
    for call, out in ((0, first), (1, last), (-1, last)):
        target = Target("conv", 3, call=call)
        truth = torch.autograd.grad(out[0, 3].sum(), leaf, retain_graph=True)[0]
        assert torch.equal(input_gradient(network, lambda: network(x), target).gradient, truth)


def test_grad_mode_of_the_caller_does_not_matter_and_comes_back() -> None:
    network, x = sequence(nn.ReLU).eval(), torch.randn(1, 3, 12, 12)
    truth = input_gradient(network, lambda: network(x), Target("", 0)).gradient
    with torch.no_grad():
        ours = input_gradient(network, lambda: network(x), Target("", 0)).gradient
        assert not torch.is_grad_enabled()
    assert torch.equal(ours, truth)
    assert not ours.requires_grad


class Encoder(nn.Module):
    """Patches, two transformer layers that call F.relu, and a mean over tokens."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.patches, self.layers = nn.Conv2d(3, 16, 4, 4), nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize("point", ["layers.layers.0", "layers.layers.1.linear1"])
def test_a_feature_of_tokens_equals_captum(point: str) -> None:
    torch.manual_seed(0)
    network, x = Encoder().eval(), torch.randn(1, 3, 16, 16)
    peer = NeuronGradient(network, network.get_submodule(point))
    for at, choose in ((None, lambda y: y[:, :, 2].sum(1)), ((3,), lambda y: y[:, 3, 2])):
        truth = captum(peer, x.clone(), neuron_selector=choose)
        ours = input_gradient(network, lambda: network(x), Target(point, 2, at=at))
        assert torch.equal(ours.gradient, truth)
        assert truth.abs().max() > 0


def test_exported_and_compiled_programs_give_the_same() -> None:
    torch.manual_seed(0)
    network, x = sequence(nn.ReLU).eval(), torch.randn(1, 3, 12, 12)
    program = torch.export.unflatten(torch.export.export(network, (x,)))
    for other in (program, torch.compile(network, backend="eager")):
        for rule in RULES:
            truth = input_gradient(network, lambda: network(x), Target("", 1), rule)
            ours = input_gradient(other, lambda o=other: o(x), Target("", 1), rule)
            assert torch.equal(ours.gradient, truth.gradient)
            assert ours.rectifiers == truth.rectifiers
    cams = [grad_cam(n, lambda n=n: n(x), "3", Target("", 1)).map for n in (network, program)]
    assert torch.equal(*cams)


def test_where_no_rule_can_be_followed_it_is_said() -> None:
    network, x = sequence(nn.ReLU).eval(), torch.randn(1, 3, 12, 12)
    script = torch.jit.trace(network, x)
    with pytest.raises(AttributionError, match="TorchScript computes its ReLUs out of sight"):
        input_gradient(script, lambda: script(x), Target("", 0), "guided")
    plain = input_gradient(script, lambda: script(x), Target("", 0)).gradient
    truth = input_gradient(network, lambda: network(x), Target("", 0)).gradient
    torch.testing.assert_close(plain, truth)
    rounded = nn.Sequential(nn.Flatten(), Rounded())
    with pytest.raises(AttributionError, match="no gradient leads"):
        input_gradient(rounded, lambda: rounded(x), Target("1", 0))


class Rounded(nn.Module):
    """Integers on the way, as in a quantised network."""

    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.int32).float()


@pytest.mark.parametrize("stop", [Cancelled, ValueError])
def test_nothing_is_left_after_a_stop(stop: type[BaseException]) -> None:
    network, x = InPlace().eval(), torch.randn(1, 3, 9, 9)

    def run() -> None:
        network(x)
        raise stop

    # The unit is reached in the run, but its last call is asked for: the pass goes on and stops.
    for explain in (
        lambda: input_gradient(network, run, Target("head", 0), "guided"),
        lambda: grad_cam(network, run, "conv", Target("head", 0)),
    ):
        with pytest.raises(stop):
            explain()
        assert hook_count(network) == 0
        assert all(p.requires_grad for p in network.parameters())
        assert torch.is_grad_enabled()
        assert F.relu(torch.tensor([-1.0, 1.0])).tolist() == [0.0, 1.0]


def test_a_cancel_stops_the_backward_pass() -> None:
    network, x = sequence(nn.ReLU).eval(), torch.randn(1, 3, 12, 12)
    forwards = []
    capture = Capture(network, lambda: len(forwards) > 0)
    capture.install((), ())
    network[7].register_forward_hook(lambda *_: forwards.append(1))
    with pytest.raises(Cancelled):
        input_gradient(network, lambda: network(x), Target("", 0), "guided")
    capture.remove()
    network[7]._forward_hooks.clear()
    assert hook_count(network) == 0


BAD: dict[str, tuple[Target, str]] = {
    "unit": (Target("3", 8), "no unit 8; there are 0 to 7"),
    "position": (Target("3", 0, at=(9, 0)), "no position 9"),
    "axes": (Target("3", 0, at=(1,)), "maps of 2 axes"),
    "sample": (Target("3", 0, row=1), "no sample 1"),
    "module": (Target("33", 0), "unknown layer '33'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_there_is_said(name: str) -> None:
    network, x = sequence(nn.ReLU).eval(), torch.randn(1, 3, 12, 12)
    target, words = BAD[name]
    with pytest.raises(AttributionError, match=words):
        input_gradient(network, lambda: network(x), target)
    assert hook_count(network) == 0


def test_a_layer_that_has_no_part_is_said() -> None:
    network, x = InPlace().eval(), torch.randn(1, 3, 9, 9)
    run = lambda: network(x)  # noqa: E731
    with pytest.raises(AttributionError, match="'head' was not called before 'conv'"):
        grad_cam(network, run, "head", Target("conv", 0, call=0))
    with pytest.raises(AttributionError, match="was not called"):
        input_gradient(network, lambda: None, Target("conv", 0))
