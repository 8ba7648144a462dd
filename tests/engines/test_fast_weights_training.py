"""Training fast weights: exact to resume, live where it says so, and the embedded file's score."""

from __future__ import annotations

import collections
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from engines.memory.associative import EXAMPLE, bag_ceiling
from engines.memory.fast_weights import FastWeights
from engines.memory.fast_weights_params import FastWeightsParams
from engines.memory.retrieval import History, error_of
from engines.nn.fast_weights import FastWeightsNetwork, Rule
from explorer.api import Checkpoint, TextInput
from explorer.core import registry
from explorer.core.paths import assets
from explorer.core.session import Session
from explorer.core.stores.tensor_files import read_tensors

FILE = "weights/fast-weights-k4.safetensors"


class Host:
    """What a training asks for."""

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(0)


def trained(folder: Path, steps: int, resume: Path | None = None, **values: Any) -> Path:
    made = Session(
        registry.table()["fast-weights"], device="cpu", seed=5,
        params={"network": "random R=20", "batch": 16, **values},
    )  # fmt: skip
    made.open()
    out = folder / f"{steps}-{resume is not None}.safetensors"
    collections.deque(
        made.train({"string": TextInput(EXAMPLE)}, out=out, resume=resume, steps=steps), maxlen=0
    )
    return out


def test_ten_steps_stop_and_ten_more_are_twenty(tmp_path: Path) -> None:
    whole = read_tensors(trained(tmp_path, 20))
    half = trained(tmp_path, 10)
    continued = read_tensors(trained(tmp_path, 10, half))
    early = read_tensors(half)
    assert whole.keys() == continued.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, continued[name]), name
        assert not torch.equal(tensor, early[name]), name


def test_training_begins_afresh_and_takes_a_live_learning_rate() -> None:
    engine = FastWeights()
    engine.host = Host()  # type: ignore[assignment]
    params = FastWeightsParams(batch=32, pairs=1, train_steps=60)
    ends = {}
    for rate in (0.0, 1e-3):
        engine.network = FastWeightsNetwork(units=20)  # whatever it holds, training starts anew
        run, sent = engine.train({"string": TextInput(EXAMPLE)}, params), None
        losses, kept = [], []
        while True:
            try:
                made = run.send(sent)
            except StopIteration:
                break
            sent = params
            if isinstance(made, Checkpoint):
                kept.append(made)
                sent = replace(params, learning_rate=rate) if made.step >= 30 else params
            elif made.name == "learning/loss":
                losses.append(made.y)
        assert [c.step for c in kept] == list(range(1, 61))
        assert len(losses[-1]) == 60
        ends[rate] = (kept, losses[-1])
    (frozen, _), (moving, loss) = ends[0.0], ends[1e-3]
    for at, same in ((29, True), (45, False)):
        pairs = zip(frozen[at].weights.values(), moving[at].weights.values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) is same
    assert torch.equal(frozen[40].weights["W.weight"], frozen[59].weights["W.weight"])
    assert loss[-10:].mean() < loss[:10].mean() - 0.5


def test_a_long_curve_keeps_its_mean() -> None:
    history = History(cap=8)
    values = np.random.default_rng(0).random(1000)
    for value in values:
        history.add(float(value))
    whole = len(history.values) * history.stride
    assert len(history.values) < 8
    assert np.mean(history.values) == pytest.approx(values[:whole].mean(), abs=1e-12)
    copy = History(cap=8, **json.loads(json.dumps(history.state())))
    assert copy == history


def test_the_embedded_weights_still_score_what_is_recorded() -> None:
    path = assets() / FILE
    assert path.stat().st_size < 500_000
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    recorded = float(facts["score error"])
    network = FastWeightsNetwork.like(read_tensors(path))
    network.load_state_dict(read_tensors(path))
    count = 4000
    found = error_of(network, Rule(attention=True), 4, seed=20_240, count=count)
    spread = 100 * (max(recorded, 0.5) / 100 * (1 / count + 1 / 2000)) ** 0.5
    assert found == pytest.approx(recorded, abs=4 * spread)
    assert found < 5.0 < 100 * (1 - bag_ceiling(4))
    assert facts["engine"] == "fast-weights"
    assert facts["steps"] == "6000"
