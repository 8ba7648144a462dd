"""Edits in a network equal the same forward written out by hand with the change made in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.capture import Capture, hook_count
from explorer.core.surgery import Surgery, replaced
from explorer.editing import END, Edit, Mask
from explorer.engine import Probe
from explorer.views import View

Change = Callable[[Tensor], Tensor]


class Block(nn.Module):
    """A residual block with in-place ReLU, as the field writes it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x)) + x)


class Net(nn.Module):
    """Convolutions, then attention over the cells as tokens, then a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.block = Block(8)
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
        self.attention, self.tokens = Probe(), Probe()
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.by_hand(x, {})

    def by_hand(self, x: Tensor, change: dict[str, Change]) -> Tensor:
        """The forward pass; ``change`` acts on named results, written out as plain tensors."""

        def at(name: str, y: Tensor) -> Tensor:
            return change[name](y.clone()) if name in change else y

        y = at("block", self.block(at("stem", self.stem(x))))
        t = y.flatten(2).transpose(1, 2)  # (N, T, C)
        q, k, v = (m(t).unflatten(2, (2, 4)).transpose(1, 2) for m in self.projections)
        a = at("attention", self.attention((q @ k.transpose(2, 3) / 2).softmax(-1)))
        t = at("tokens", self.tokens((a @ v).transpose(1, 2).flatten(2)))
        return at("head", self.head(t.mean(1)))

    @property
    def projections(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        return self.query, self.key, self.value


@pytest.fixture
def network() -> Net:
    torch.manual_seed(4)
    return Net().eval()


@torch.no_grad()
def edited(network: nn.Module, x: Tensor, edits: Sequence[Edit]) -> tuple[Tensor, Capture]:
    capture = Capture(network, lambda: False)
    capture.install([View(edits[0].point)], edits)
    capture.surgery.start_run(1, -1, edits)
    y = network(x)
    capture.remove()
    assert hook_count(network) == 0
    return y, capture


def put(index: object, value: Callable[[Tensor], Tensor] | float) -> Change:
    def change(y: Tensor) -> Tensor:
        y[index] = value(y[index]) if callable(value) else value  # type: ignore[index]
        return y

    return change


DISC = torch.zeros(6, 6, dtype=torch.bool)
DISC[1:4, 2:5] = True
DISC[0, 0] = True
DISC_MASK = Mask.of(DISC.numpy())
ALL = slice(None)


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        (Edit("block", (3,)), put((ALL, 3), 0.0)),
        (Edit("block", (1, 6), "scale", -2.0), put((ALL, [1, 6]), lambda y: -2 * y)),
        (Edit("block", (), "add", 0.5), put(ALL, lambda y: y + 0.5)),
        (Edit("stem", (2,), "clamp", -0.1, 0.1), put((ALL, 2), lambda y: y.clamp(-0.1, 0.1))),
        (Edit("block", (3,), region=(1, 4, 0, END)), put((ALL, 3, slice(1, 4)), 0.0)),
        (Edit("block", (5,), "replace", 3.0, mask=DISC_MASK),
         lambda y: torch.where(DISC & (torch.arange(8) == 5)[:, None, None], 3.0, y)),
        (Edit("block", mask=DISC_MASK, region=(0, 2, 0, 6)),
         lambda y: torch.where(DISC & (torch.arange(6) < 2)[:, None], 0.0, y)),
        (Edit("attention", (1,)), put((ALL, 1), 0.0)),
        (Edit("attention", (0,), "replace", 1.0, region=(4, 5, 7, 8)), put((ALL, 0, 4, 7), 1.0)),
        (Edit("attention", region=(0, END, 3, 4)), put((ALL, ALL, ALL, 3), 0.0)),
        (Edit("tokens", region=(9, 10, 0, END)), put((ALL, 9), 0.0)),
        (Edit("tokens", (), "scale", 4.0, region=(0, END, 6, 7)),
         put((ALL, ALL, 6), lambda y: 4 * y)),
        (Edit("tokens", (0,), "add", 1.0, region=(2, 5, 1, 3)),
         put((ALL, slice(2, 5), slice(1, 3)), lambda y: y + 1)),
        (Edit("head", (4,), "replace", 9.0), put((ALL, 4), 9.0)),
    ],
)  # fmt: skip
def test_an_edit_equals_the_change_made_by_hand(network: Net, edit: Edit, change: Change) -> None:
    x = torch.randn(2, 3, 12, 12)
    after, capture = edited(network, x, [edit])
    with torch.no_grad():
        truth = network.by_hand(x, {edit.point: change})
        plain = network(x)
    assert torch.equal(after, truth)
    assert not torch.equal(after, plain)
    assert capture.edit_notes() == ()


def test_edits_of_one_layer_act_in_the_order_of_the_list(network: Net) -> None:
    x = torch.randn(1, 3, 12, 12)
    add, scale = Edit("block", (3,), "add", 1.0), Edit("block", (3,), "scale", 3.0)
    with torch.no_grad():
        first = network.by_hand(x, {"block": put((ALL, 3), lambda y: (y + 1) * 3)})
        second = network.by_hand(x, {"block": put((ALL, 3), lambda y: y * 3 + 1)})
    assert torch.equal(edited(network, x, [add, scale])[0], first)
    assert torch.equal(edited(network, x, [scale, add])[0], second)
    assert not torch.equal(first, second)


def test_a_mask_of_another_size_is_stretched_to_the_nearest_cells(network: Net) -> None:
    x = torch.randn(1, 3, 12, 12)
    small = torch.tensor([[True, False], [False, True]])
    large = F.interpolate(small[None, None].float(), (6, 6), mode="nearest")[0, 0].bool()
    after, _ = edited(network, x, [Edit("block", mask=Mask.of(small.numpy()))])
    with torch.no_grad():
        truth = network.by_hand(x, {"block": lambda y: torch.where(large, 0.0, y)})
    assert torch.equal(after, truth)


def test_five_axes_are_folded_as_the_panel_shows_them() -> None:
    network = nn.Sequential(nn.Identity(), nn.Unflatten(1, (2, 3)), nn.Identity())
    x = torch.randn(1, 6, 4, 5).to(memory_format=torch.channels_last)
    after, _ = edited(network, x, [Edit("1", (4,), region=(1, 2, 0, 3))])
    truth = x.clone().unflatten(1, (2, 3))
    truth[:, 1, 1, 1, 0:3] = 0
    assert torch.equal(after, truth)


def run(network: nn.Module, surgery: Capture, number: int, frame: int, *xs: Tensor) -> list[Tensor]:
    edits = surgery._wanted[1]
    surgery.surgery.start_run(number, frame, edits)
    with torch.no_grad():
        return [network(x) for x in xs]


def test_freeze_holds_the_frame_that_was_chosen_while_the_rest_goes_on(network: Net) -> None:
    frames = [torch.randn(1, 3, 12, 12) for _ in range(4)]
    edit = Edit("block", (2, 5), "freeze", moment=1)
    capture = Capture(network, lambda: False)
    capture.install((), (edit,))
    got = [run(network, capture, i, i, x)[0] for i, x in enumerate(frames)]
    notes = capture.edit_notes()
    capture.remove()
    with torch.no_grad():
        held = network.block(network.stem(frames[1]))[:, [2, 5]]
        plain = [network(x) for x in frames]
        truth = [network.by_hand(x, {"block": put((ALL, [2, 5]), lambda y: held)}) for x in frames]
    assert torch.equal(got[0], plain[0]), "the frame that it holds has not been seen"
    assert torch.equal(got[1], plain[1])
    assert torch.equal(got[2], truth[2])
    assert torch.equal(got[3], truth[3])
    assert not torch.equal(got[3], plain[3])
    assert notes == ()


def test_freeze_without_a_moment_holds_the_first_one_it_meets(network: Net) -> None:
    a, b = torch.randn(1, 3, 12, 12), torch.randn(1, 3, 12, 12)
    capture = Capture(network, lambda: False)
    capture.install((), (Edit("block", (), "freeze"),))
    for frames in ((0, 1), (-1, -1)):  # a clip, and two stills
        capture.surgery.forget()
        first, second = (
            run(network, capture, n, frame, x)[0]
            for n, (frame, x) in enumerate(zip(frames, (a, b), strict=True))
        )
        assert torch.equal(first, second), "all that follows comes from the held layer"
    capture.remove()


def test_freeze_within_a_run_holds_a_call_of_the_module(network: Net) -> None:
    steps = [torch.randn(1, 3, 12, 12) for _ in range(4)]
    capture = Capture(network, lambda: False)
    capture.install((), (Edit("block", (), "freeze", moment=1),))
    got = run(network, capture, 1, -1, *steps)
    again = run(network, capture, 2, -1, *reversed(steps))
    capture.remove()
    with torch.no_grad():
        plain = [network(x) for x in steps]
    assert torch.equal(got[0], plain[0])
    assert all(torch.equal(y, plain[1]) for y in got[1:])
    assert torch.equal(again[0], plain[3])
    assert all(torch.equal(y, plain[2]) for y in again[1:])


def test_a_held_map_of_another_size_changes_nothing_and_says_so(network: Net) -> None:
    edit = Edit("block", (1,), "freeze")
    capture = Capture(network, lambda: False)
    capture.install((), (edit,))
    run(network, capture, 1, 0, torch.randn(1, 3, 12, 12))
    x = torch.randn(1, 3, 16, 16)
    (after,) = run(network, capture, 2, 1, x)
    notes = capture.edit_notes()
    capture.remove()
    with torch.no_grad():
        assert torch.equal(after, network(x))
    assert notes == (
        "block #1 held changes nothing: it holds 1 × 8 × 6 × 6, the output is 1 × 8 × 8 × 8 now",
    )


def test_a_freeze_that_was_taken_away_and_put_back_holds_anew() -> None:
    surgery, edit = Surgery(), Edit("0", (), "freeze")
    a, b = torch.ones(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    surgery.start_run(1, 0, (edit,))
    surgery.edited(a, a, (edit,))
    surgery.start_run(2, 1, (Edit("0", (), "freeze", on=False),))
    surgery.start_run(3, 2, (edit,))
    assert torch.equal(surgery.edited(b, b, (edit,)), a), "switched off it goes on holding"
    surgery.start_run(4, 3, ())
    surgery.start_run(5, 4, (edit,))
    assert torch.equal(surgery.edited(b, b, (edit,)), b)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (Edit("block", (99,)), "block #99 × 0 changes nothing: block has 8 units"),
        (Edit("tokens", (1,)), "tokens #1 × 0 changes nothing: tokens has 1 units"),
        (Edit("block", region=(6, 9, 0, 3)),
         "block all units [6:9, 0:3] × 0 changes nothing: the map has 6 × 6 cells"),
        (Edit("block", (2,), "scale", 3e38),
         "block #2 × 3e+38 makes values of block that are not finite"),
    ],
)  # fmt: skip
def test_an_edit_that_cannot_or_goes_too_far_says_so(network: Net, edit: Edit, says: str) -> None:
    _, capture = edited(network, 9 + torch.randn(1, 3, 12, 12), [edit])
    assert capture.edit_notes() == (says,)


def test_an_edit_is_not_blamed_for_what_was_not_finite_before(network: Net) -> None:
    _, capture = edited(network, torch.full((1, 3, 12, 12), torch.nan), [Edit("block", (2,))])
    assert capture.edit_notes() == ()


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        (Edit("block", (3, 4), "scale", 2.0, region=(0, 3, 0, END)),
         put((ALL, [3, 4], slice(0, 3)), lambda y: 2 * y)),
        (Edit("block", (), "clamp", 0.1, 0.5), lambda y: y.clamp(0.1, 0.5)),
        (Edit("block", (), "scale", 3.0, mask=DISC_MASK), lambda y: torch.where(DISC, 3 * y, y)),
    ],
)  # fmt: skip
def test_gradients_flow_through_an_edit_as_through_the_change(
    network: Net, edit: Edit, change: Change
) -> None:
    x = torch.randn(1, 3, 12, 12, requires_grad=True)
    capture = Capture(network, lambda: False)
    capture.install((), (edit,))
    (got,) = torch.autograd.grad(network(x)[0, 1], x)
    capture.remove()
    (truth,) = torch.autograd.grad(network.by_hand(x, {"block": change})[0, 1], x)
    assert torch.allclose(got, truth, atol=1e-7)


class Nested(NamedTuple):
    """What a module with several levels of maps returns."""

    levels: tuple[Tensor, ...]
    count: int


def test_a_tensor_inside_a_tuple_of_a_named_tuple_is_edited_too() -> None:
    old, new, other = torch.zeros(2), torch.ones(2), torch.zeros(2)
    made = replaced(Nested((old, other), 2), old, new)
    assert isinstance(made, Nested)
    assert made.levels[0] is new
    assert made.levels[1] is other
    assert made.count == 2
