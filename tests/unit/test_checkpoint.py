"""Checkpoints: exact round trips, resumed training equal to uninterrupted, and nothing but data."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from explorer.core.stores import checkpoint
from explorer.core.stores.tensor_files import read_tensors
from explorer.engine import Checkpoint

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    seed = draw(st.integers(0, 2**31))
    values = torch.randint(-100, 100, shape, generator=torch.Generator().manual_seed(seed))
    value = (values / 7).to(dtype)
    return value.transpose(0, -1) if value.ndim > 1 else value


plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=8)
)
arrays = hnp.arrays(
    st.sampled_from(["<f4", "<f8", ">i4", "u2", "?"]), hnp.array_shapes(min_dims=0, max_dims=3)
)
keys = st.one_of(st.text(max_size=6), st.integers(), st.tuples(st.integers(), st.text(max_size=2)))
trees = st.recursive(
    st.one_of(plain, tensors(), arrays),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, including types and not-a-number."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a.hex() == b.hex()
    return bool(a == b)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(state=st.dictionaries(st.text(max_size=5), trees, max_size=4), step=st.integers(0, 10**9))
def test_any_nested_state_comes_back_exactly(
    tmp_path: Path, state: dict[str, Any], step: int
) -> None:
    path = tmp_path / "state.safetensors"
    weights = {"layer.weight": torch.randn(2, 3)}
    checkpoint.save(path, Checkpoint(step, weights, state, {"error": 0.25}))
    back = checkpoint.load(path)
    assert back.step == step
    assert same(back.weights, weights)
    assert same(back.state, state)
    assert same(back.score, {"error": 0.25})


def train(steps: int, saved: Checkpoint | None = None) -> tuple[nn.Module, Checkpoint]:
    """A network with dropout, momentum and numpy data order: every random source is in use."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    order = np.random.default_rng(3)
    done = 0
    if saved:
        net.load_state_dict(dict(saved.weights))
        optimiser.load_state_dict(saved.state["optimiser"])
        order.bit_generator.state = saved.state["order"]
        done = saved.step
        checkpoint.restore_random_states(saved.state["random"])
    for _ in range(steps):
        x = torch.from_numpy(order.normal(size=(6, 4))).float()
        x = x + random.random() + np.random.rand()  # noqa: NPY002
        loss = (net(x) - x.sum(1, keepdim=True)).pow(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    state = {
        "optimiser": optimiser.state_dict(),
        "order": order.bit_generator.state,
        "random": checkpoint.random_states(),
    }
    return net, Checkpoint(done + steps, net.state_dict(), state)


def test_ten_steps_and_ten_after_a_resume_equal_twenty(tmp_path: Path) -> None:
    whole, _ = train(20)
    _, half = train(10)
    path = tmp_path / "half.safetensors"
    checkpoint.save(path, half)
    torch.manual_seed(99)  # a new process would start elsewhere
    resumed, end = train(10, checkpoint.load(path))
    assert end.step == 20
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_is_also_a_file_of_weights(tmp_path: Path) -> None:
    _, saved = train(1)
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, saved)
    assert set(read_tensors(path)) == set(saved.weights)


def test_shared_and_strided_tensors_are_stored(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    state = {"a": base, "again": base, "column": base[:, 1], "turned": base.T}
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, Checkpoint(0, {"tied": base, "tied2": base}, state))
    back = checkpoint.load(path)
    assert torch.equal(back.state["column"], base[:, 1])
    assert torch.equal(back.state["turned"], base.T)
    assert torch.equal(back.weights["tied2"], base)


def test_what_is_not_data_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, Checkpoint(1, {"w": torch.ones(2)}))
    before = path.read_bytes()
    with pytest.raises(checkpoint.CheckpointError, match=r"state\.hook is a function"):
        checkpoint.save(path, Checkpoint(2, {"w": torch.ones(2)}, {"hook": train}))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\0\0\0\0\0\0\0{}      ", None])
def test_other_files_get_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(checkpoint.CheckpointError, match=r"x\.safetensors: no") as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, Checkpoint(1, {"w": torch.ones(100)}))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(checkpoint.CheckpointError, match="not a whole safetensors file"):
        checkpoint.load(path)
