"""What runs as one equals what it stands for, and gives way to whoever looks in between."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explorer.core import fusing
from explorer.core.capture import Capture
from explorer.core.fusing import Chain, Fusing, Halving
from explorer.core.media import open_clip
from explorer.core.paths import assets
from explorer.core.registry import load, table
from explorer.core.session import Session
from explorer.editing import Mask
from explorer.inputs import ImageInput
from explorer.kinds import Artefact
from explorer.views import Edit, Frame, View

FUSING = [row.name for row in table().values() if load(row).fuses]


class Telling(nn.Module):
    """Returns what is between its modules beside its result."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        y = self.conv(x)
        return self.act(y), {"before": y}


class Branches(nn.Module):
    """Every way in which an output between two modules may be wanted elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d(1)
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8, eps=1e-3)
        self.act = nn.ReLU6()
        self.pool = nn.MaxPool2d(2)
        self.uneven = nn.ZeroPad2d((0, 1, 2, 1))
        self.pair = nn.Sequential(nn.Conv2d(8, 8, 3, 2, groups=4), nn.BatchNorm2d(8))
        self.after = nn.LeakyReLU(0.2, inplace=True)
        self.twice = nn.Conv2d(8, 8, 1)
        self.beside = nn.BatchNorm2d(8)
        self.kept = nn.Conv2d(8, 8, 1, bias=False)
        self.kept_act = nn.SiLU()
        self.told = Telling()
        self.shared = nn.Conv2d(8, 8, 1)
        self.shared_act = nn.Hardswish()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.act(self.norm(self.conv(self.pad(x))))
        x = self.after(self.pair(self.uneven(self.pool(x))))
        y = self.twice(x)
        x = self.beside(y) + y  # y is wanted twice
        z = self.kept(x)
        x = self.told(self.kept_act(z))[0]
        for _ in range(2):
            x = self.shared_act(self.shared(x))
        return x, z.mean()  # z is wanted outside


@pytest.fixture
def network() -> Branches:
    torch.manual_seed(0)
    network = Branches().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for each in (module.weight, module.bias, module.running_mean, module.running_var):
                assert each is not None
                each.data.uniform_(0.5, 2.0)
    return network


@pytest.fixture(params=[True, False], ids=["packed", "plain"])
def packs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With the blocks of oneDNN and without, as on a GPU."""
    monkeypatch.setattr(fusing, "_PACKS", request.param and fusing._PACKS)
    return bool(fusing._PACKS)


X = torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(1)) * 4 - 2


@torch.no_grad()
def outputs(network: nn.Module) -> tuple[Tensor, Tensor]:
    made: tuple[Tensor, Tensor] = network(X.clone())
    return made


def learned(network: nn.Module) -> Fusing:
    found = Fusing(network)
    with torch.no_grad():
        found.learn(lambda: network(X.clone()))
    return found


@pytest.mark.usefixtures("packs")
def test_chains_are_what_alone_feeds_and_is_alone_fed(network: Branches) -> None:
    found = learned(network)
    whole = {chain.inner: chain for chain in found.chains or () if isinstance(chain, Chain)}
    assert {inner for inner in whole if inner} == {
        frozenset({"pad", "conv", "norm"}),
        frozenset({"uneven", "pair", "pair.0", "pair.1"}),  # the Sequential returns its norm's
        frozenset({"shared"}),
    }
    first = whole[frozenset({"pad", "conv", "norm"})]
    assert (first.pad, first.norm, first.act) == (network.pad, network.norm, network.act)
    assert Halving(network.pool) in (found.chains or ())


@pytest.mark.usefixtures("packs")
def test_what_runs_as_one_is_equal_and_leaves_nothing_behind(network: Branches) -> None:
    plain, found = outputs(network), learned(network)
    found.begin(())
    ran = outputs(network)
    with torch.no_grad():
        conv = network.conv(X)
    for got, want in zip(ran, plain, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    assert conv.shape[2:] == X.shape[2:]
    assert conv.min() >= 0
    assert conv.max() <= 6
    found.end()
    assert not any("forward" in vars(m) for m in network.modules())
    for got, want in zip(outputs(network), plain, strict=True):
        assert torch.equal(got, want)


@pytest.mark.usefixtures("packs")
def test_other_sizes_and_layouts_run_as_one_too(network: Branches) -> None:
    found = learned(network)
    for shape in ((1, 3, 12, 10), (1, 3, 31, 17), (1, 3, 20, 23)):
        x = torch.rand(shape) - 0.5
        for layout in (torch.contiguous_format, torch.channels_last):
            network.to(memory_format=layout)  # type: ignore[call-overload]
            with torch.no_grad():
                want = network(x)[0]
                found.begin(())
                got = network(x)[0]
                found.end()
            torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
            assert got.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("sides", [(0, 1, 0, 1), (1, 2, 1, 2), (2, 0, 3, 1), (0, 0, 0, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.usefixtures("packs")
def test_uneven_zeros_become_zeros_of_the_kernel(
    sides: tuple[int, int, int, int], stride: int
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.ZeroPad2d(sides), nn.Conv2d(4, 4, 3, stride, groups=2)).eval()
    found = Fusing(network)
    for x in (torch.rand(1, 4, 9, 12) - 0.5, torch.rand(1, 4, 10, 7) - 0.5):
        with torch.no_grad():
            found.learn(lambda x=x: network(x))
            want = network(x)
            found.begin(())
            assert "forward" in vars(network[0])
            got = network(x)
            found.end()
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2), nn.MaxPool2d(2, ceil_mode=True), nn.MaxPool2d(3, 2, padding=1)]
)
@pytest.mark.parametrize("size", [(8, 6), (2, 2), (9, 6), (4, 7), (5, 3)])
def test_halving_equals_torch_bit_for_bit(pool: nn.MaxPool2d, size: tuple[int, int]) -> None:
    x = torch.rand(2, 5, *size).to(memory_format=torch.channels_last)
    x[0, 0, 0, 0] = torch.nan
    x[1, 2, 1, 1] = torch.inf
    (swap,) = found_in(pool)
    got = next(swap.swaps())[1](x)
    assert torch.equal(got.nan_to_num(-1), pool(x).nan_to_num(-1))
    assert got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(3, 2),
        nn.MaxPool2d(2, 1),
        nn.AvgPool2d(2),
        nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
    ],
)
def test_other_pools_stay_as_they_are(pool: nn.Module) -> None:
    assert not found_in(pool)


def found_in(module: nn.Module) -> list[Any]:
    found = Fusing(nn.Sequential(module))
    found.learn(lambda: module(torch.zeros(1, 2, 8, 8)))
    return list(found.chains or ())


@pytest.mark.usefixtures("packs")
@pytest.mark.parametrize("change", ["weight", "running_var", "loaded"])
def test_changed_weights_are_followed(network: Branches, change: str) -> None:
    found = learned(network)
    found.begin(())
    found.end()
    with torch.no_grad():
        if change == "weight":
            network.conv.weight.mul_(-1)
        elif change == "running_var":
            assert network.norm.running_var is not None
            network.norm.running_var.mul_(9)
        else:
            network.load_state_dict({k: v * 1.5 for k, v in network.state_dict().items()})
        want = network(X.clone())[0]
        found.begin(())
        got = network(X.clone())[0]
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "point", ["pad", "conv", "norm", "act", "pool", "uneven", "pair", "pair.0", "after"]
)
def test_who_looks_in_between_sees_what_is_there(network: Branches, point: str) -> None:
    capture = Capture(network, lambda: False)
    with torch.no_grad():
        capture.fusing.learn(lambda: network(X.clone()))
        kept = []
        for fuse in (False, True):
            capture.install([View(point)], (), fuse=fuse)
            assert bool(capture.fusing._in) is fuse
            capture.start_pass()
            network(X.clone())
            (rendered,) = capture.rendered(1, 0, ())
            held = capture.tensor(rendered.handle)
            assert held is not None
            kept.append(held.tensor.clone())
    torch.testing.assert_close(kept[1], kept[0], rtol=1e-5, atol=1e-5)
    capture.remove()
    assert not any("forward" in vars(m) for m in network.modules())


def test_edits_sweeps_and_gradients_have_the_network_as_it_is(network: Branches) -> None:
    capture = Capture(network, lambda: False)
    with torch.no_grad():
        capture.fusing.learn(lambda: network(X.clone()))
        capture.install((), [Edit("shared", "zero", (0,))], fuse=True)
        assert not capture.fusing._in
        capture.install((), (), fuse=True)
        assert capture.fusing._in
        capture.sweep(on=True)
        assert not capture.fusing._in
        capture.install((), (), fuse=True)
        assert not capture.fusing._in  # the sweep goes on
        capture.sweep(on=False)
        capture.install((), (), fuse=True)
        assert capture.fusing._in
    with torch.enable_grad():
        capture.install((), (), fuse=True)
        assert not capture.fusing._in


def test_a_clip_runs_as_one_from_its_second_frame_and_a_still_never() -> None:
    session = Session(table()["classify"])
    session.open()
    session.statistics_every = 0.0
    as_one: list[bool] = []
    session.network._conv_stem.register_forward_hook(
        lambda module, args, out: as_one.append("forward" in vars(module))
    )
    with_clip(session)
    assert as_one == [False, False, True, True, True]  # the second is run once more, to learn
    as_one.clear()
    pixels = open_clip(assets() / "bunny.mp4")[0]
    list(session.run({"image": ImageInput(pixels)}))
    assert as_one == [False]
    session.close()


def test_an_edit_taken_back_in_the_middle_of_a_run_leaves_the_network_whole() -> None:
    session = Session(table()["classify"])
    session.open()
    session.statistics_every = 0.0
    clip = open_clip(assets() / "bunny.mp4")
    plain = [made.artefacts for i in range(4) for made in session.at({"image": clip}, i)][-1]
    run = session.engine.run

    def taking_back(*args: Any) -> Any:
        running = run(*args)
        value = yield next(running)
        if session.edits and session.replayed:  # not in the unseen run without them
            session.edits = ()
        while True:
            try:
                value = yield running.send(value)
            except StopIteration as stop:
                return stop.value

    session.engine.run = taking_back  # type: ignore[method-assign]
    session.edits = (Edit("_blocks.12", mask=Mask.of(np.ones((1, 1), bool))),)
    list(session.at({"image": clip}, 3))
    assert session.replayed
    assert not session.edits
    del session.engine.run  # type: ignore[method-assign]
    assert not [name for name, m in session.network.named_modules() if "forward" in vars(m)]
    again = [made.artefacts for made in session.at({"image": clip}, 3)][-1]
    for one, other in zip(again, plain, strict=True):
        close(one, other)
    clip.close()
    session.close()


@pytest.mark.parametrize("name", FUSING)
def test_engines_that_fuse_say_the_same_to_a_ten_thousandth(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(table()[name])
    session.open()
    fused = with_clip(session)
    assert session.capture.fusing.chains
    session.close()
    monkeypatch.setattr(type(session.engine), "fuses", False)
    session = Session(table()[name])
    session.open()
    plain = with_clip(session)
    assert session.capture.fusing.chains is None
    session.close()
    for one, other in zip(fused, plain, strict=True):
        pairs = list(zip(one.artefacts, other.artefacts, strict=True))
        assert pairs
        for a, b in pairs:
            close(a, b)


def with_clip(session: Session) -> list[Frame]:
    clip = open_clip(assets() / "bunny.mp4")
    made = list(session.play({"image": clip}, start=30, frames=4))
    clip.close()
    return made


def close(one: Artefact, other: Artefact) -> None:
    assert type(one) is type(other)
    assert one.name == other.name
    for field in fields(one):
        got: Any = getattr(one, field.name)
        want: Any = getattr(other, field.name)
        if isinstance(want, Tensor):
            got, want = got.numpy(), want.numpy()
        if isinstance(want, np.ndarray) and want.dtype.kind == "f" and want.size:
            np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max(), err_msg=one.name)
