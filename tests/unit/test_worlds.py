"""Two worlds: differences against NumPy and SciPy in float64, the layer where a pair parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import save_file
from scipy.spatial import distance as scipy_distance
from torch import nn

from explorer.core import registry
from explorer.core.capture import hook_count
from explorer.core.media import sample_inputs
from explorer.core.session import Session
from explorer.core.stores.tensor_files import WeightsError
from explorer.core.studies.differences import Comparison, distance, first_parting
from explorer.core.studies.precision import lower, units
from explorer.core.studies.worlds import World, compare, load_weights, table_of
from explorer.engine import EngineError
from explorer.views import LayerDifference

FLOATS = hnp.arrays(np.float32, 24, elements=st.floats(-1e3, 1e3, width=32))


@given(a=FLOATS, b=FLOATS)
def test_distances_are_numpys_and_scipys_in_float64(
    a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]
) -> None:
    found = distance(torch.from_numpy(a.reshape(2, 3, 4)), torch.from_numpy(b.reshape(2, 3, 4)))
    x, y = a.astype(np.float64), b.astype(np.float64)
    assert found.largest == np.abs(x - y).max()
    if x.any():
        assert found.relative == pytest.approx(
            np.linalg.norm(x - y) / np.linalg.norm(x), rel=1e-12, abs=1e-300
        )
    if x.any() and y.any():
        assert found.cosine == pytest.approx(1 - scipy_distance.cosine(x, y), abs=1e-12)
    assert found.lonely == 0


def test_zeros_and_what_is_not_finite_have_distances_too() -> None:
    zero, one = torch.zeros(3), torch.ones(3)
    same = distance(zero, zero)
    assert (same.largest, same.relative, same.cosine) == (0.0, 0.0, 1.0)
    apart = distance(zero, one)
    assert (apart.largest, apart.relative, apart.cosine) == (1.0, math.inf, 0.0)
    nan, inf = math.nan, math.inf
    alike = distance(torch.tensor([nan, inf, 1.0]), torch.tensor([nan, inf, 1.5]))
    assert (alike.largest, alike.lonely) == (0.5, 0)
    lonely = distance(torch.tensor([nan, inf, 1.0, 2.0]), torch.tensor([0.0, -inf, 1.0, nan]))
    assert (lonely.largest, lonely.lonely) == (0.0, 3)
    assert lonely.by("relative") == lonely.by("largest") == lonely.by("angle") == math.inf


def _network(k: int = 99, seed: int = 0) -> nn.Sequential:
    """Six layers; the weights of convolution ``k`` differ from those of any other ``k``."""
    torch.manual_seed(seed)
    layers = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.Conv2d(5, 6, 3), nn.ReLU(inplace=True),
        nn.Conv2d(6, 4, 3), nn.Flatten(),
    )  # fmt: skip
    with torch.no_grad():
        for i, layer in enumerate(layers):
            if i == k and isinstance(layer, nn.Conv2d):
                layer.weight += 0.05
    return layers.eval()


def _pass(network: nn.Module, x: torch.Tensor, read: Any) -> list[np.ndarray[Any, Any]]:
    """One forward with ``read`` in every leaf's hook; the outputs in float64."""
    full: list[np.ndarray[Any, Any]] = []
    handles = []
    for name, module in network.named_modules():
        if next(module.children(), None) is None:

            def hook(m: nn.Module, args: Any, out: torch.Tensor, n: str = name) -> None:
                full.append(np.array(out.detach().double().numpy()))
                read(n, m, out)

            handles.append(module.register_forward_hook(hook))
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    return full


def _compared(
    comparison: Comparison, a: nn.Module, b: nn.Module, x: torch.Tensor, y: torch.Tensor
) -> tuple[list[Any], list[Any]]:
    comparison.begin()
    outputs = _pass(a, x, comparison.keep), _pass(b, y, comparison.compare)
    comparison.end()
    return outputs


@pytest.mark.parametrize("k", [0, 2, 4])
def test_a_pair_that_differs_from_layer_k_on_parts_there(k: int) -> None:
    comparison = Comparison()
    x = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    full_a, full_b = _compared(comparison, _network(), _network(k), x, x)
    rows = comparison.rows(1e-6)
    parting = first_parting(rows)
    assert parting is not None
    assert parting.name == str(k)
    assert [row.parted for row in rows] == [i >= k for i in range(6)]
    for row, a, b in zip(rows, full_a, full_b, strict=True):
        assert row.largest == np.abs(a - b).max()
        wanted = np.linalg.norm(a - b) / np.linalg.norm(a)
        assert row.relative == pytest.approx(wanted, rel=1e-9)
        cosine = 1 - scipy_distance.cosine(a.reshape(-1), b.reshape(-1))
        assert row.cosine == pytest.approx(cosine, abs=1e-9)
    assert first_parting(comparison.rows(1e9)) is None
    by_angle = comparison.rows(2.0, "angle")
    assert first_parting(by_angle) is None  # no two vectors are further apart than that


def test_equal_networks_part_nowhere_and_two_inputs_at_once() -> None:
    comparison = Comparison()
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(2, 1, 3, 12, 12, generator=generator)
    _compared(comparison, _network(), _network(), x, x)
    assert all(row.largest == 0 for row in comparison.rows(0.0))
    assert first_parting(comparison.rows(0.0)) is None
    _compared(comparison, _network(), _network(), x, y)
    parting = first_parting(comparison.rows(1e-3))
    assert parting is not None
    assert parting.name == "0"


def test_memory_stays_under_the_cap_and_every_layer_is_compared_in_the_end() -> None:
    x = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(3))
    whole = Comparison()
    _compared(whole, _network(), _network(2), x, x)
    sizes = [4 * 5 * 100, 4 * 5 * 100, 4 * 6 * 64, 4 * 6 * 64, 4 * 4 * 36, 4 * 4 * 36]
    assert whole.most == sum(sizes)
    assert not whole.waiting
    small = Comparison(cap=2500)
    passes = 0
    while not passes or small.waiting:
        _compared(small, _network(), _network(2), x, x)
        assert small.most <= 2500
        assert small.bytes == 0
        passes += 1
        assert passes <= 6
    assert passes > 1
    assert small.rows(1e-6) == whole.rows(1e-6)


def test_what_a_layer_returned_at_each_call_is_compared_with_the_same_call() -> None:
    class Twice(nn.Module):
        def __init__(self, gain: float) -> None:
            super().__init__()
            self.act, self.gain = nn.Tanh(), gain

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.act(self.gain * self.act(x))
            return y

    comparison = Comparison()
    x = torch.randn(1, 4)
    full_a, full_b = _compared(comparison, Twice(1.0), Twice(1.5), x, x)
    (row,) = comparison.rows(1e-3)
    assert np.array_equal(full_a[0], full_b[0])
    assert row.largest == np.abs(full_a[1] - full_b[1]).max() > 0
    assert row.parted


def test_what_only_one_of_both_has_is_said() -> None:
    a = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 5, 1), nn.Tanh()).eval()
    b = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, 1)).eval()
    b.add_module("head", nn.ReLU())
    b[0].load_state_dict(a[0].state_dict())
    comparison = Comparison()
    x = torch.randn(1, 3, 4, 4)
    _compared(comparison, a, b, x, x)
    rows = {row.name: row for row in comparison.rows(1e-6)}
    assert list(rows) == ["0", "1", "2", "3", "head"]
    assert rows["0"].largest == rows["1"].largest == 0
    assert rows["2"].note == "1 × 5 × 4 × 4 and 1 × 6 × 4 × 4: no numbers"
    assert rows["3"].note == "not in the second"
    assert rows["head"].note == "not in the first"
    assert all(math.isnan(rows[n].relative) for n in ("2", "3", "head"))
    assert not any(row.parted for row in rows.values())


# -- precisions


@pytest.mark.parametrize(("precision", "digits"), [("bfloat16", 8), ("float16", 11)])
def test_a_lower_precision_computes_as_torch_does_in_it(precision: str, digits: int) -> None:
    dtype = getattr(torch, precision)
    network = _network()
    low = _network()
    lower(low, precision)
    x = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        wanted = _network().to(dtype)(x.to(dtype)).float()
        found = low(x)
        exact = network(x)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)  # a chain of modules: no arithmetic stands between them
    error = float((found - exact).norm() / exact.norm())
    assert 0 < error < 8 * 2.0**-digits
    weight = low[0].weight
    assert weight.dtype == torch.float32  # an engine that reads it finds what it knows
    assert torch.equal(weight, network[0].weight.to(dtype).float())


def test_attention_computes_as_a_whole_in_a_lower_precision() -> None:
    torch.manual_seed(0)
    attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    x = torch.randn(1, 5, 8)
    with torch.no_grad():
        exact = attention(x)
        lower(attention, "bfloat16")
        found = attention(x)
    assert {type(unit).__name__ for unit in units(attention)} >= {"MultiheadAttention", "Linear"}
    assert 0 < float((found - exact).abs().max()) < 0.05


def test_int8_dynamic_computes_as_torchs_own_and_keeps_names_and_weights() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    x = torch.randn(3, 16)
    quantize: Any = torch.ao.quantization.quantize_dynamic
    with torch.no_grad(), pytest.warns(DeprecationWarning, match="quantization"):
        wanted = quantize(network, {nn.Linear}, torch.qint8)(x)
    names = [name for name, _ in network.named_modules()]
    lower(network, "int8 dynamic")
    assert [name for name, _ in network.named_modules()] == names
    with torch.no_grad():
        assert torch.equal(network(x), wanted)
    assert network[0].weight.shape == (32, 16)
    assert len(network[0].weight.unique()) <= 256


def test_a_precision_that_changes_nothing_or_is_none_is_refused() -> None:
    with pytest.raises(EngineError, match="has none; try bfloat16"):
        lower(_network(), "int8 dynamic")
    with pytest.raises(EngineError, match="no precision 'int3'; there are float32"):
        lower(_network(), "int3")


# -- sessions


@pytest.fixture
def session() -> Iterator[Session]:
    opened = Session(registry.table()["resnet"])
    opened.open()
    yield opened
    opened.close()
    assert hook_count(opened.network) == 0


def test_the_same_once_more_is_the_same(session: Session) -> None:
    pair = compare(session, sample_inputs(session.row), World())
    rows = pair.comparison.rows(0.0)
    called = [la.name for la in session.layers() if la.leaf and la.called]
    assert sorted(row.name for row in rows) == sorted(called)
    assert all(row.largest == 0 and not row.parted and not row.note for row in rows)
    assert "nowhere apart" in table_of(rows, 0.0, "relative")
    pair.close()


def test_a_checkpoint_that_differs_in_one_layer_parts_there(
    session: Session, tmp_path: Path
) -> None:
    state = {name: value.clone() for name, value in session.network.state_dict().items()}
    state["layer2.1.conv1.weight"] *= 1.25
    save_file(state, tmp_path / "other.safetensors")
    world = World(weights=str(tmp_path / "other.safetensors"))
    pair = compare(session, sample_inputs(session.row), world, cap=100_000)
    rows = pair.comparison.rows(1e-4)
    parting = first_parting(rows)
    assert parting is not None
    assert parting.name == "layer2.1.conv1"
    assert parting.relative == pytest.approx(0.25, rel=1e-5)
    assert parting.cosine == pytest.approx(1.0, abs=1e-6)
    assert pair.comparison.most <= 100_000
    before = rows[: rows.index(parting)]
    assert len(before) > 20
    assert all(row.largest == 0 for row in before)
    text = table_of(rows, 1e-4, "relative")
    assert "> layer2.1.conv1" in text
    assert "first apart at layer2.1.conv1 (relative > 0.0001)" in text
    pair.close()


def test_weights_that_do_not_fit_are_named(session: Session, tmp_path: Path) -> None:
    state = {name: value.clone() for name, value in session.network.state_dict().items()}
    del state["conv1.weight"]
    state["fc.weight"] = torch.zeros(2, 2)
    state["more"] = torch.zeros(1)
    save_file(state, tmp_path / "bad.safetensors")
    with pytest.raises(WeightsError) as told:
        load_weights(session.network, tmp_path / "bad.safetensors")
    for part in ("conv1.weight is not in the file", "more is not in the network", "fc.weight is"):
        assert part in str(told.value)
    with pytest.raises(WeightsError, match="there is no such file"):
        load_weights(session.network, tmp_path / "none.safetensors")


def test_another_input_and_two_models_side_by_side(session: Session, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "other.png"), np.full((32, 32, 3), 200, np.uint8))
    pair = compare(
        session, sample_inputs(session.row), World(inputs=(("image", str(tmp_path / "other.png")),))
    )
    parting = first_parting(pair.comparison.rows(1e-3))
    assert parting is not None
    assert parting.name == "conv1"
    pair.close()
    pair = compare(session, sample_inputs(session.row), World(model="classify"))
    rows = pair.comparison.rows(1e-3)
    assert {row.note for row in rows} == {"not in the second", "not in the first"}
    pair.close()


def test_the_knobs_of_the_first_hold_in_the_second(session: Session) -> None:
    session.instruments.lay_on("worlds", {"precision": "float64"}, session.layers())
    inputs = sample_inputs(session.row)
    list(session.run(inputs))
    session.set_params({"alpha": 0.5})
    last = list(session.run(inputs))[-1]
    assert last.differences
    assert max(row.relative for row in last.differences) < 1e-4


# -- as an instrument


def test_the_instrument_tells_of_every_layer_and_shows_the_chosen_one(session: Session) -> None:
    values = {"precision": "bfloat16", "layer": "layer1.0.relu1", "units": 4, "threshold": 1e-4}
    session.instruments.lay_on("worlds", values, session.layers())
    kept: list[torch.Tensor] = []
    handle = session.network.get_submodule("layer1.0.relu1").register_forward_hook(
        lambda m, a, out: kept.append(out.detach().clone())
    )
    last = list(session.run(sample_inputs(session.row)))[-1]
    handle.remove()
    shown = {a.item: a for a in last.artefacts if a.group == "inspect-worlds"}
    first, second, apart = (shown[item].maps for item in ("first", "second", "difference"))
    np.testing.assert_allclose(apart, second - first, atol=1e-6)
    units = [int(label.removeprefix("#")) for label in shown["first"].labels]
    np.testing.assert_array_equal(first, kept[-1][0].numpy()[units])
    assert shown["first"].affine is not None  # so that the cursor is linked
    norms = np.linalg.norm(apart.reshape(4, -1), axis=1)
    assert (np.diff(norms) <= 1e-6).all()
    rows: tuple[LayerDifference, ...] = last.differences
    assert shown["by layer"].y.shape == (3, len(rows))
    np.testing.assert_allclose(shown["by layer"].y[1], [r.largest for r in rows], rtol=1e-5)
    assert "first apart at conv1" in shown["both"].text


def test_a_world_that_cannot_be_opened_is_told_and_the_run_goes_on(session: Session) -> None:
    values = {"weights": "/nowhere/none.safetensors"}
    session.instruments.lay_on("worlds", values, session.layers())
    last = list(session.run(sample_inputs(session.row)))[-1]
    (text,) = [a for a in last.artefacts if a.group == "inspect-worlds"]
    assert "there is no such file" in text.text
    assert not last.differences
    assert any(a.group == "prediction" for a in last.artefacts)


def test_a_transformer_of_ones_own_is_compared_attention_included(tmp_path: Path) -> None:
    from explorer.core.own_models.model_row import own_row

    (tmp_path / "net.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        torch.manual_seed(0)\n"
        "        self.patch = nn.Conv2d(3, 16, 32, 32)\n"
        "        self.token = nn.Parameter(torch.zeros(1, 1, 16))\n"
        "        self.block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)\n"
        "        self.head = nn.Linear(16, 5)\n"
        "    def forward(self, x):\n"
        "        t = self.patch(x).flatten(2).mT\n"
        "        t = torch.cat([self.token.expand(len(x), -1, -1), t], 1)\n"
        "        return {'logits': self.head(self.block(t)[:, 0])}\n"
    )
    row, values = own_row(f"{tmp_path / 'net.py'}:Net")
    session = Session(row, params=values)
    session.open()
    pair = compare(session, sample_inputs(row), World(precision="bfloat16"))
    rows = {r.name: r for r in pair.comparison.rows(0.1)}
    assert {"patch", "block.self_attn", "block.linear1", "head"} <= set(rows)
    assert all(1e-4 < r.relative < 0.1 and r.cosine > 0.99 for r in rows.values())
    pair.close()
    session.close()
