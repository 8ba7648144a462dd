"""Hooks: what is captured equals Captum's LayerActivation bit for bit, and nothing stays behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from captum.attr import LayerActivation
from torch import Tensor, nn

from explorer.core.capture import Capture, UnknownPoint, first_tensor, hook_count
from explorer.engine import Cancelled
from explorer.views import Edit, View

KEPT = torch.tensor([1, 0, 1, 0, 1, 1, 1, 1.0])


class InPlace(nn.Module):
    """Batch norm whose output an in-place ReLU and an in-place sum overwrite at once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.unused = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        y = self.act(y)
        y += 1.0
        y = self.act(y.sub_(1.2))
        return self.head(y.mean((2, 3)))


class Alias(nn.Module):
    """Outputs that alias inputs, tuples and dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Identity()
        self.pair = Pair()
        self.last = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y, extra = self.pair(self.same(x))
        return self.last(y - 0.5) + extra["b"].mean()


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return x * 2, {"b": x}


def captured(network: nn.Module, x: Tensor, *views: View, edits: tuple[Edit, ...] = ()) -> Capture:
    capture = Capture(network.eval(), lambda: False)
    capture.install(views, edits)
    capture.start_pass()
    with torch.no_grad():
        network(x)
    return capture


@pytest.mark.parametrize("name", ["conv", "norm"])
def test_captures_equal_captum_before_in_place_operations(name: str) -> None:
    torch.manual_seed(0)
    network, x = InPlace().eval(), torch.randn(2, 3, 9, 9)
    view = View(name, sample=1)
    capture = captured(network, x, view)
    rendered = capture.rendered(1, 0, ())[0]
    own = capture.tensor(rendered.handle)
    assert own is not None
    capture.remove()
    # Captum keeps references; a copy of the module's own result is what it would hand out in time.
    truth: dict[str, Tensor] = {}
    module = network.get_submodule(name)
    handle = module.register_forward_hook(lambda m, i, o: truth.update(o=o.detach().clone()))
    with torch.no_grad():
        network(x)
    handle.remove()
    assert torch.equal(own.tensor, truth["o"][1])
    assert float(own.tensor.min()) < 0, "an in-place ReLU must not have rewritten it"


def test_captures_equal_captum_on_a_network_with_in_place_operations() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(6 * 4, 3),
    ).eval()  # fmt: skip
    x = torch.randn(1, 3, 10, 10)
    for name in ("2", "3", "4", "6"):
        capture = captured(network, x, View(name))
        own = capture.tensor(capture.rendered(1, 0, ())[0].handle)
        capture.remove()
        with torch.no_grad():
            truth = LayerActivation(network, network.get_submodule(name)).attribute(x)
        assert own is not None
        assert torch.equal(own.tensor, truth[0])


def test_a_module_called_twice_keeps_each_call_and_the_last() -> None:
    network = InPlace().eval()
    views = View("act", 0), View("act", 1), View("act")
    capture = captured(network, torch.randn(1, 3, 8, 8), *views)
    pictures = {r.view.call: r for r in capture.rendered(1, 0, ())}
    kept = {call: capture.tensor(r.handle) for call, r in pictures.items()}
    assert kept[-1] is not None
    assert kept[1] is not None
    assert kept[0] is not None
    assert torch.equal(kept[-1].tensor, kept[1].tensor)
    assert not torch.equal(kept[0].tensor, kept[1].tensor)
    assert pictures[-1].calls == 2


def test_a_module_that_is_never_called_says_so() -> None:
    capture = captured(InPlace(), torch.randn(1, 3, 8, 8), View("unused"), View("conv"))
    assert capture.uncalled() == ("unused",)
    assert [r.view.point for r in capture.rendered(1, 0, ())] == ["conv"]


def test_tuples_dicts_and_aliases() -> None:
    x = torch.rand(1, 2, 4, 4)
    capture = captured(Alias(), x, View("same"), View("pair"))
    same, pair = capture.rendered(1, 0, ())
    kept_same, kept_pair = capture.tensor(same.handle), capture.tensor(pair.handle)
    assert kept_same is not None
    assert kept_pair is not None
    assert torch.equal(kept_same.tensor, x[0])
    assert torch.equal(kept_pair.tensor, 2 * x[0])
    assert first_tensor({"a": [None, (x,)]}) is x


def test_a_second_frame_reuses_the_buffer() -> None:
    network = InPlace().eval()
    capture = Capture(network, lambda: False)
    addresses = set()
    for _ in range(3):
        capture.install((View("conv"),), ())
        capture.start_pass()
        with torch.no_grad():
            network(torch.randn(1, 3, 8, 8))
        kept = capture.tensor(capture.rendered(1, 0, ())[0].handle)
        assert kept is not None
        addresses.add(kept.tensor.data_ptr())
        capture.remove()
    assert len(addresses) == 1


@pytest.mark.parametrize(
    ("edit", "truth"),
    [
        (Edit("conv", (1, 3), "zero"), lambda y: y * KEPT[:, None, None]),
        (Edit("conv", (), "scale", 0.5), lambda y: y * 0.5),
        (Edit("conv", (), "add", 2.0), lambda y: y + 2.0),
        (Edit("conv", (), "replace", 3.0), lambda y: torch.full_like(y, 3.0)),
        (Edit("conv", (), "clamp", -0.1, 0.2), lambda y: y.clamp(-0.1, 0.2)),
    ],
)  # fmt: skip
def test_edits_change_what_is_captured_and_what_follows(
    edit: Edit, truth: Callable[[Tensor], Tensor]
) -> None:
    torch.manual_seed(2)
    network, x = InPlace().eval(), torch.randn(1, 3, 6, 6)
    with torch.no_grad():
        conv, before = network.conv(x)[0], network(x)
    capture = Capture(network, lambda: False)
    capture.install((View("conv"),), (edit,))
    with torch.no_grad():
        after = network(x)
    kept = capture.tensor(capture.rendered(1, 0, (edit,))[0].handle)
    capture.remove()
    assert kept is not None
    assert torch.equal(kept.tensor, truth(conv))
    assert not torch.allclose(before, after)


def test_an_edit_of_a_region_leaves_the_rest() -> None:
    network, x = InPlace().eval(), torch.randn(1, 3, 6, 6)
    with torch.no_grad():
        conv = network.conv(x)[0]
    capture = captured(network, x, View("conv"), edits=(Edit("conv", (2,), region=(1, 3, 0, 2)),))
    kept = capture.tensor(capture.rendered(1, 0, ())[0].handle)
    assert kept is not None
    wanted = conv.clone()
    wanted[2, 1:3, 0:2] = 0
    assert torch.equal(kept.tensor, wanted)


def test_an_edit_of_a_unit_that_is_not_there_says_so() -> None:
    network, x = InPlace().eval(), torch.randn(1, 3, 6, 6)
    capture = captured(network, x, edits=(Edit("conv", (99,)),))
    assert capture.edit_notes() == ("conv #99 × 0 changes nothing: conv has 8 units",)


def test_an_edit_that_is_switched_off_changes_nothing() -> None:
    network, x = InPlace().eval(), torch.randn(1, 3, 6, 6)
    capture = captured(network, x, View("conv"), edits=(Edit("conv", on=False),))
    kept = capture.tensor(capture.rendered(1, 0, ())[0].handle)
    assert kept is not None
    with torch.no_grad():
        assert torch.equal(kept.tensor, network.conv(x)[0])


def test_no_hook_is_left_after_success_error_and_cancel() -> None:
    network = InPlace().eval()
    stop = False
    capture = Capture(network, lambda: stop)
    capture.install((View("conv"),), (Edit("norm"),))
    capture.sweep(on=True)
    assert hook_count(network) > 0
    with pytest.raises(RuntimeError):
        network(torch.randn(1, 4, 8, 8))
    stop = True
    with pytest.raises(Cancelled):
        network(torch.randn(1, 3, 8, 8))
    capture.remove()
    assert hook_count(network) == 0


def test_cancel_acts_in_the_backward_pass_too() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    stop = False
    capture = Capture(network, lambda: stop)
    capture.install((), ())
    out = network(torch.randn(2, 4)).sum()
    stop = True
    with pytest.raises(Cancelled):
        out.backward()
    capture.remove()


class Single(nn.Module):
    """All in one module, as a person may write it; ``inside`` sees a gradient in its middle."""

    def __init__(self, inside: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        middle = torch.tanh(x @ self.weight)
        middle.register_hook(self.inside)  # type: ignore[no-untyped-call]
        return torch.tanh(middle @ self.weight).sum()


def test_cancel_acts_inside_the_backward_pass_of_a_single_module() -> None:
    stopped: list[bool] = []
    network = Single(lambda gradient: stopped.append(True))
    capture = Capture(network, lambda: bool(stopped))
    for x in (torch.randn(2, 4), torch.randn(2, 4, requires_grad=True)):
        stopped.clear()
        capture.install((), ())
        out = network(x)
        with pytest.raises(Cancelled):
            out.backward()
        assert network.weight.grad is None
        assert x.grad is None
        capture.remove()
    assert hook_count(network) == 0
    stopped.clear()
    network(x).backward()
    assert x.grad is not None


def test_an_unknown_layer_names_the_near_ones() -> None:
    capture = Capture(InPlace(), lambda: False)
    with pytest.raises(UnknownPoint, match="did you mean conv"):
        capture.check(["convv"])


def test_a_sweep_notes_shapes_statistics_and_not_finite_values() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)).eval()
    capture = Capture(network, lambda: False)
    capture.install((), ())
    capture.sweep(on=True)
    with torch.no_grad():
        network(torch.full((1, 1, 4, 4), float("nan")))
    rows = {row.name: row for row in capture.statistics()}
    capture.remove()
    assert rows["0"].shape == (1, 2, 2, 2)
    assert not rows["0"].finite
    assert set(rows) == {"0", "1", "2", "3"}
