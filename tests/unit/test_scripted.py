"""Blocks as graphs give the very numbers of the blocks, and stand aside where somebody looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explorer.core import scripted
from explorer.core.capture import Capture
from explorer.core.media import open_clip
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.scripted import Scripted
from explorer.core.session import Session
from explorer.kinds import Artefact
from explorer.views import Edit, Frame, View

PLAYERS = ("classify", "nanodet", "ssd-face", "posenet", "fast-style")
POINTS = {"classify": "_blocks.7", "nanodet": "stages.2"}


@pytest.fixture(autouse=True)
def eager_to_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(scripted, "CALM", 0)
    monkeypatch.setattr(scripted, "SLOW", 1e9)


def played(session: Session, path: Path, frames: int) -> list[Frame]:
    clip = open_clip(path)
    made = list(session.play({"image": clip}, frames=frames))
    clip.close()
    return made


def values(artefact: Artefact) -> dict[str, Any]:
    return {field.name: getattr(artefact, field.name) for field in dataclasses.fields(artefact)}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("name", PLAYERS)
def test_a_clip_as_graphs_is_the_clip_bit_for_bit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(table()[name], device="cpu")
    session.statistics_every = 0.0
    session.open()
    session.views = (View(POINTS[name]),) if name in POINTS else ()
    path = assets() / "bunny.mp4"
    blocks = 16 if name == "classify" else 5
    played(session, path, blocks + 4)
    assert session.scripted.blocks, session.scripted.failed
    as_graphs = played(session, path, 3)
    monkeypatch.setattr(scripted.Scripted, "enter", lambda self, params, looked_into: None)
    as_they_are = played(session, path, 3)
    session.close()
    assert len(as_graphs) == len(as_they_are) == 3
    for one, other in zip(as_graphs, as_they_are, strict=True):
        assert [a.name for a in one.artefacts] == [a.name for a in other.artefacts]
        for a, b in zip(one.artefacts, other.artefacts, strict=True):
            left, right = values(a), values(b)
            left.pop("run"), right.pop("run")
            assert all(same(left[key], right[key]) for key in left), a.name
        assert [r.view for r in one.rendered] == [r.view for r in other.rendered]
        assert len(one.rendered) == len(session.views)
        for r, s in zip(one.rendered, other.rendered, strict=True):
            assert same(r.index, s.index)
            assert same(r.limits, s.limits)


class Block(nn.Module):
    """A block whose inner step is given from outside."""

    def __init__(self, step: Callable[[nn.Module, Tensor], Any]) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 3, padding=1)
        self.step = step

    def forward(self, x: Tensor) -> Any:
        return self.step(self, self.inner(x))


class Net(nn.Module):
    """Two blocks; the first is the one that is tried."""

    def __init__(self, step: Callable[[nn.Module, Tensor], Any]) -> None:
        super().__init__()
        self.block = Block(step)
        self.after = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Any:
        y = self.block(x)
        return self.after(y if isinstance(y, Tensor) else y[0]), y


class Table:
    """A network with its capture, passed through as a driver does."""

    def __init__(self, network: nn.Module, cancelled: Callable[[], bool] = lambda: False) -> None:
        self.capture = Capture(network.eval().requires_grad_(False), cancelled)
        self.network = network
        self.scripted = Scripted(self.capture)
        self.capture.sweep(on=True)
        with torch.no_grad():
            network(torch.zeros(1, 3, 8, 8))
        self.capture.sweep(on=False)

    def through(
        self, x: Tensor, views: tuple[View, ...] = (), edits: tuple[Edit, ...] = (), params: Any = 0
    ) -> Any:
        try:
            with torch.no_grad():
                self.capture.install(views, edits)
                self.scripted.enter(params)
                return self.network(x)[0]
        finally:
            self.capture.remove()
            self.scripted.leave()
            self.scripted.learn()


def doubled(module: nn.Module, x: Tensor) -> Tensor:
    return x.relu_() * 2


def branching(module: nn.Module, x: Tensor) -> Tensor:
    return x if float(x.mean()) > 0 else -x


def remembering(module: Any, x: Tensor) -> Tensor:
    module.last = x
    return x


def listing(module: Any, x: Tensor) -> Tensor:
    module.__dict__.setdefault("seen", []).append(1)
    return x


def counting(module: Any, x: Tensor) -> Tensor:
    module.inner.bias.add_(0.0)
    return x


def noisy(module: nn.Module, x: Tensor) -> Tensor:
    return x + torch.randn_like(x)


def several(module: nn.Module, x: Tensor) -> Any:
    return x, x * 2


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (branching, "branches by values"), (remembering, "keeps something"),
        (listing, "keeps something"), (counting, "keeps something"),
        (noisy, "something else"), (several, "more than one"),
    ],
)  # fmt: skip
def test_what_cannot_be_traced_faithfully_runs_as_it_is(step: Any, why: str) -> None:
    torch.manual_seed(0)
    table = Table(Net(step))
    table.through(torch.rand(1, 3, 8, 8))
    table.through(torch.rand(1, 3, 8, 8))  # after the whole network its block is tried
    assert why in table.scripted.failed["block"]
    assert table.scripted.blocks == ()
    x = -torch.rand(1, 3, 8, 8)
    torch.manual_seed(1)
    got = table.through(x)
    torch.manual_seed(1)
    with torch.no_grad():
        assert torch.equal(got, table.network(x)[0])


def ready() -> Table:
    torch.manual_seed(0)
    table = Table(Net(doubled))
    for _ in range(3):
        table.through(torch.rand(1, 3, 8, 8))
    assert table.scripted.blocks == ("block",)
    assert "more than one" in table.scripted.failed[""]
    return table


def computed_by_python(table: Table, **how: Any) -> bool:
    """Whether the block ran in Python: its step is looked at, no hook is added."""
    calls: list[int] = []
    block: Any = table.network.block
    block.step = lambda module, x: (calls.append(1), doubled(module, x))[1]
    x = torch.rand(1, 3, 8, 8)
    got = table.through(x, **how)
    block.step = doubled
    table.through(x, **how)
    assert got.shape == (1, 3, 8, 8)
    return bool(calls)


def test_a_graph_stands_in_only_where_nobody_looks() -> None:
    table = ready()
    assert not computed_by_python(table)
    assert not computed_by_python(table, views=(View("block"),))  # its output is no inside
    assert computed_by_python(table, views=(View("block.inner"),))
    assert computed_by_python(table, edits=(Edit("block.inner", (0,), "scale", 0.0),))
    assert not computed_by_python(table)
    assert computed_by_python(table, params="another knob")
    assert "forward" not in vars(table.network.block)


def test_in_place_operations_and_other_weights_are_followed() -> None:
    table = ready()
    block: Any = table.network.block
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        block.inner.weight.mul_(-1.5)
        expected = table.network(x.clone())[0]
    got = table.through(x)
    assert torch.equal(got, expected)


def test_another_size_gets_a_graph_of_its_own() -> None:
    table = ready()
    x = torch.rand(1, 3, 12, 10)
    with torch.no_grad():
        expected = table.network(x)[0]
    assert torch.equal(table.through(x), expected)
    assert torch.equal(table.through(x), expected)
    assert len(table.scripted._graphs) == 2


def test_a_cancel_acts_before_a_graph_and_the_forward_comes_back() -> None:
    asked: list[bool] = []
    table = Table(Net(doubled), lambda: bool(asked))
    for _ in range(3):
        table.through(torch.rand(1, 3, 8, 8))
    asked.append(True)
    from explorer.engine import Cancelled

    with pytest.raises(Cancelled):
        table.through(torch.rand(1, 3, 8, 8))
    assert "forward" not in vars(table.network.block)


def test_a_slow_frame_is_not_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripted, "SLOW", 0.0)
    table = Table(Net(doubled))
    for _ in range(3):
        table.through(torch.rand(1, 3, 8, 8))
    assert table.scripted.blocks == ()
    assert table.scripted.failed == {}


def test_a_block_has_few_graphs() -> None:
    table = ready()
    for side in range(9, 9 + 2 * scripted.MOST):
        table.through(torch.rand(1, 3, side, side))
    assert len(table.scripted._graphs) == scripted.MOST
