"""The overview's numbers against NumPy on the full tensors, and what it keeps of them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from explorer.core import registry
from explorer.core.capture import hook_count
from explorer.core.instruments import Scene
from explorer.core.layers import Layer, innermost, tree_of
from explorer.core.media import sample_inputs
from explorer.core.session import Session
from explorer.core.studies.thumbnails import SAMPLE, by_unit
from explorer.instruments.overview import BINS, Overview, OverviewParams
from explorer.views import GAP, NOT_FINITE, TOP, LayerRow


def scene_of(network: nn.Module) -> Scene:
    tree = tree_of(list(network.named_modules()))
    row = registry.table()["resnet"]
    return Scene(network, tree, row, None, torch.device("cpu"), 0)


class Stand:
    """An overview on a network of our own, pass by pass, and the full outputs beside it."""

    def __init__(self, network: nn.Module, **knobs: Any) -> None:
        self.network, self.overview = network.eval(), Overview()
        self.params, self.scene = OverviewParams(**knobs), scene_of(network)
        self.full: dict[str, list[np.ndarray[Any, Any]]] = {}

    def __call__(self, *inputs: torch.Tensor, hurried: bool = False) -> dict[str, LayerRow]:
        scene = replace(self.scene, hurried=hurried)
        handles = []
        for name, module in self.network.named_modules():
            if name:
                handles.append(module.register_forward_hook(self._keeper(name)))
        for name, reader in self.overview.readers(self.params, scene).items():
            module = self.network.get_submodule(name)
            handles.append(module.register_forward_hook(lambda m, a, out, r=reader: r(m, out)))
        with torch.no_grad():
            self.network(*inputs)
        for handle in handles:
            handle.remove()
        return {row.name: row for row in self.overview.rows(self.params)}

    def _keeper(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, out: torch.Tensor) -> None:
            self.full.setdefault(name, []).append(np.array(out.double().numpy()))

        return hook


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(inplace=True), nn.Sigmoid(),
        nn.Flatten(2), nn.Linear(400, 7), nn.Tanh(), nn.Flatten(), nn.Linear(84, 10), nn.Softmax(1),
    )  # fmt: skip


@pytest.fixture
def stand() -> Stand:
    return Stand(_network())


def _photo(seed: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, 20, 20, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("batch", [1, 3])
def test_range_mean_and_spread_are_those_of_the_full_tensor(stand: Stand, batch: int) -> None:
    rows = stand(_photo(1, batch))
    assert list(rows) == [str(i) for i in range(10)]
    for name, row in rows.items():
        x = stand.full[name][0]
        found = (row.low, row.high, row.mean, row.spread)
        wanted = (x.min(), x.max(), x.mean(), x.std())
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)
        assert row.shape == x.shape
        assert row.not_finite == 0


def test_mean_and_spread_over_frames_are_those_of_all_frames_together(stand: Stand) -> None:
    rows: dict[str, LayerRow] = {}
    for seed in range(5):
        rows = stand((seed + 0.3) * _photo(seed))
    for name, row in rows.items():
        x = np.stack(stand.full[name])
        np.testing.assert_allclose(row.over, (x.mean(), x.std()), rtol=2e-5, atol=2e-6)
        assert row.frames == 5


def test_the_spread_survives_a_mean_that_is_a_thousand_times_larger() -> None:
    class Shift(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 1e-3 * x + torch.arange(3.0)[:, None, None] + 5.0

    stand = Stand(nn.Sequential(Shift()))
    row = stand(_photo(2))["0"]
    x = stand.full["0"][0]
    np.testing.assert_allclose(row.spread, x.std(), rtol=1e-5)
    one = Stand(nn.Sequential(nn.ConstantPad2d(0, 0.0)))
    flat = one(1e-3 * _photo(2) + 7.0)["0"]
    np.testing.assert_allclose(flat.spread, one.full["0"][0].std(), rtol=1e-4)


def test_dead_units_were_never_above_zero_in_any_frame(stand: Stand) -> None:
    with torch.no_grad():
        norm = stand.network[1]
        assert isinstance(norm, nn.BatchNorm2d)
        norm.bias[:4] = -50.0  # never above 0, whatever comes
        norm.weight[4], norm.bias[4] = 0.0, 0.0
    wanted = np.ones(12, bool)
    for seed in range(3):
        row = stand(_photo(seed))["2"]
        wanted &= stand.full["2"][-1].max((0, 2, 3)) <= 0
        assert row.dead == wanted.sum() >= 5
        assert row.channels == 12
    # a unit that is above 0 in one frame only is not dead afterwards
    with torch.no_grad():
        norm.bias[0] = 3.0
    assert stand(_photo(9))["2"].dead == wanted.sum() - 1
    with torch.no_grad():
        norm.bias[0] = -50.0
    assert stand(_photo(10))["2"].dead == wanted.sum() - 1


def test_saturation_is_the_share_at_the_ends_of_bounded_activations_only(stand: Stand) -> None:
    linear = stand.network[5]
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight *= 20
    rows = stand(30 * _photo(3))
    for name, low, high in (("3", 0, 1), ("6", -1, 1), ("9", 0, 1)):
        x = stand.full[name][0]
        margin = 0.01 * (high - low)
        wanted = ((x <= low + margin) | (x >= high - margin)).mean()
        assert rows[name].saturated == pytest.approx(wanted, abs=1e-6)
    assert rows["6"].saturated
    assert all(rows[name].saturated is None for name in ("0", "1", "2", "5"))


def test_the_histogram_is_numpys_of_the_strided_sample(stand: Stand) -> None:
    rows = stand(_photo(4))
    for name, row in rows.items():
        x = stand.full[name][0].reshape(-1)
        stride = max(1, x.size // SAMPLE) | 1
        kept = x[::stride]
        edges = np.linspace(row.low, row.high, BINS + 1)
        # values within rounding of an edge may fall to either side of it
        near = (np.abs(kept[:, None] - edges[None]) < 1e-6 * (row.high - row.low)).any(1).sum()
        wanted, _ = np.histogram(kept, BINS, (row.low, row.high))
        assert row.counts.sum() == kept.size
        assert np.abs(row.counts - wanted).sum() <= 2 * near


def test_not_finite_values_are_counted_and_left_out() -> None:
    class Spoil(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.clone()
            y[0, 0, 0, :5], y[0, 1, 2, 3], y[0, 2, 0, 0] = torch.nan, torch.inf, -torch.inf
            return y

    stand = Stand(nn.Sequential(Spoil()))
    row = stand(_photo(5))["0"]
    x = stand.full["0"][0]
    kept = x[np.isfinite(x)]
    assert row.not_finite == 7
    np.testing.assert_allclose(
        (row.low, row.high, row.mean, row.spread, *row.over),
        (kept.min(), kept.max(), kept.mean(), kept.std(), kept.mean(), kept.std()), rtol=2e-5,
    )  # fmt: skip
    assert (row.strip == NOT_FINITE).sum() > 0
    nothing = Stand(nn.Sequential(nn.Identity()))(torch.full((1, 2, 3, 3), torch.nan))["0"]
    assert (nothing.not_finite, nothing.mean, nothing.spread, nothing.low) == (18, 0, 0, 0)


def test_the_strip_holds_the_strongest_units_as_small_means(stand: Stand) -> None:
    row = stand(_photo(6), hurried=False)["1"]
    x = stand.full["1"][0][0]
    wanted = np.argsort(-x.max((1, 2)))[:8]
    assert row.units == tuple(wanted.tolist())
    assert row.strip.shape == (20, 8 * 21 - 1)
    low, high = row.limits
    for i, unit in enumerate(wanted.tolist()):
        tile = row.strip[:, i * 21 : i * 21 + 20]
        index = np.clip((x[unit] - low) / (high - low) * TOP, 0, TOP)
        np.testing.assert_allclose(tile, index, atol=0.51)
    assert (row.strip[:, 20::21] == GAP).all()
    again = stand(_photo(7))["1"]
    assert again.units == row.units  # they do not jump from frame to frame


def test_large_maps_are_averaged_down_as_numpy_does() -> None:
    stand = Stand(nn.Sequential(nn.Identity()), side=16, units=3)
    row = stand(torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(0)))["0"]
    assert row.strip.shape == (16, 3 * 13 - 1)
    x = stand.full["0"][0][0][list(row.units)]
    means = x.reshape(3, 16, 4, 12, 4).mean((2, 4))
    index = np.clip(means / row.limits[1] * TOP, 0, TOP)
    tiles = np.stack([row.strip[:, i * 13 : i * 13 + 12] for i in range(3)])
    np.testing.assert_allclose(tiles, index, atol=0.51)


def test_an_inplace_successor_does_not_rewrite_what_was_seen() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True))
    stand = Stand(network)
    assert stand(_photo(1))["0"].low < 0


@pytest.mark.parametrize(
    ("shape", "picture", "channels"),
    [((1, 9, 5), "tokens", 5), ((2, 30), "values", 30), ((1, 4, 2, 6, 6), "maps", 4),
     ((7,), "values", 7), ((1, 2, 3, 3), "maps", 2)],
)  # fmt: skip
def test_shapes_that_are_no_maps_are_strips(
    shape: tuple[int, ...], picture: str, channels: int
) -> None:
    row = Stand(nn.Sequential(nn.Identity()))(torch.randn(shape))["0"]
    assert (row.picture, row.channels, row.shape) == (picture, channels, shape)
    assert row.strip.ndim == 2
    assert row.strip.size


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int64, torch.complex64])
def test_every_dtype_has_a_row(dtype: torch.dtype) -> None:
    x = (8 * torch.rand(1, 3, 6, 6)).to(dtype)
    network = nn.Sequential(nn.Identity()).eval()
    overview = Overview()
    params = OverviewParams()
    reader = overview.readers(params, scene_of(network))["0"]
    reader(network[0], x)
    (row,) = overview.rows(params)
    values = np.abs(x.to(torch.complex64).numpy())
    assert row.dtype == str(dtype).removeprefix("torch.")
    assert row.mean == pytest.approx(values.mean(), rel=1e-5)


def test_of_several_calls_the_last_one_is_shown_also_when_they_become_fewer() -> None:
    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.times = nn.Identity(), 3

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for i in range(self.times):
                x = self.act(x + i)
            return x

    network = Again()
    stand = Stand(network)
    stand(torch.zeros(1, 4))
    row = stand(torch.zeros(1, 4))["act"]
    assert (row.mean, row.calls, row.frames) == (3.0, 3, 2)
    network.times = 2
    assert "act" not in stand(torch.zeros(1, 4))  # the third call was waited for, once
    row = stand(torch.zeros(1, 4))["act"]
    assert (row.mean, row.calls) == (1.0, 2)
    network.times = 3
    assert stand(torch.zeros(1, 4))["act"].mean == 3.0


def test_attention_is_a_layer_though_it_has_a_child_that_it_never_calls() -> None:
    def layer(name: str, *, called: bool | None) -> Layer:
        return Layer(name, "M", 0, None, name.count("."), leaf=False, called=called)

    names = {"enc": True, "enc.attn": True, "enc.attn.out_proj": False, "enc.norm": True, "a": True}
    found = innermost([layer(name, called=called) for name, called in names.items()])
    assert [la.name for la in found] == ["enc.attn", "enc.norm", "a"]
    before = innermost([layer(name, called=None) for name in names])  # nothing has run yet
    assert [la.name for la in before] == ["enc.attn.out_proj", "enc.norm", "a"]


def test_units_are_the_axis_that_the_layer_says() -> None:
    x = torch.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(by_unit(x, nn.Conv1d(1, 1, 1))[1], x.numpy()[:, 1].reshape(-1))
    np.testing.assert_array_equal(by_unit(x, nn.LayerNorm(4))[1], x.numpy()[:, :, 1].reshape(-1))


def test_what_is_kept_of_a_layer_is_small_and_no_view_of_it() -> None:
    network = nn.Sequential(nn.Identity()).eval()
    overview, params = Overview(), OverviewParams()
    reader = overview.readers(params, scene_of(network))["0"]
    x = torch.randn(1, 256, 64, 64)
    owner = x.untyped_storage().data_ptr()
    reader(network[0], x)
    del x
    gc.collect()
    kept = [t for t in gc.get_objects() if type(t) is torch.Tensor and not t.is_sparse]
    assert not any(t.untyped_storage().data_ptr() == owner and t.numel() > 1 for t in kept)
    held = overview._pass.read["0"].made
    sizes = [getattr(held, f).untyped_storage().nbytes() for f in held.__dataclass_fields__]
    assert sum(sizes) < 64 * 1024  # of 4 MiB


def test_the_budget_is_what_the_person_sets_or_a_quarter_of_the_pass() -> None:
    overview = Overview()
    overview._own = 30.0  # ms that the network took
    assert overview.budget(OverviewParams()) == pytest.approx(7.5)
    assert overview.budget(OverviewParams(milliseconds=4.0)) == 4.0
    assert overview.budget(OverviewParams(fps=25.0, milliseconds=4.0)) == pytest.approx(10.0)
    assert overview.budget(OverviewParams(fps=60.0)) == 0.0  # one layer a frame all the same


# -- in a session


@pytest.fixture
def session() -> Iterator[Session]:
    opened = Session(registry.table()["resnet"])
    opened.open()
    opened.instruments.lay_on("overview", {}, opened.layers())
    yield opened
    opened.close()
    assert hook_count(opened.network) == 0


def test_a_still_shows_every_layer_that_runs(session: Session) -> None:
    inputs = sample_inputs(session.row)
    first = list(session.run(inputs))[-1]
    called = {la.name for la in session.layers() if la.leaf and la.called}
    again = list(session.run(inputs))[-1]
    assert {row.name for row in first.rows} == {row.name for row in again.rows} == called
    assert not session.timeline.at(0).rows  # the record of past steps does not grow by them
    by_name = {row.name: row for row in again.rows}
    assert all(by_name[n].frames == 2 for n in called)


def test_while_frames_follow_one_another_a_budget_is_kept(session: Session) -> None:
    inputs = sample_inputs(session.row)
    for _ in session.run(inputs):
        continue
    session.hurried = True
    called = {la.name for la in session.layers() if la.leaf and la.called}
    session.instruments.lay_on("overview", {"milliseconds": 0.5}, session.layers())
    seen: set[str] = set()
    session.visible = ("relu", "conv1")
    passes = 0
    while seen != called:
        names = {row.name for row in list(session.run(inputs))[-1].rows}
        assert len(names) < len(called)
        seen |= names
        passes += 1
        assert passes <= len(called) + 1  # the first one is timed while it goes on


def test_edits_are_seen(session: Session) -> None:
    from explorer.views import Edit

    session.edits = (Edit("relu", (3,), "replace", 2.5),)
    rows = {row.name: row for row in list(session.run(sample_inputs(session.row)))[-1].rows}
    session.edits = (Edit("relu", (), "replace", 2.5),)
    flat = {row.name: row for row in list(session.run(sample_inputs(session.row)))[-1].rows}
    assert rows["relu"].spread > 0
    assert (flat["relu"].low, flat["relu"].high, flat["relu"].spread) == (2.5, 2.5, 0.0)


def test_a_layer_that_cannot_be_read_is_told_and_the_run_goes_on(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from explorer.instruments import overview

    real = overview.reduce_layer

    def fails(x: torch.Tensor, module: nn.Module, **rest: Any) -> Any:
        if isinstance(module, nn.Linear):
            raise RuntimeError("no such luck")
        return real(x, module, **rest)

    monkeypatch.setattr(overview, "reduce_layer", fails)
    last = list(session.run(sample_inputs(session.row)))[-1]
    assert any("cannot read" in note and "no such luck" in note for note in last.notes)
    assert len(last.rows) > 100
