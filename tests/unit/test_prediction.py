"""Memory and arithmetic foretold from shapes, against counts by hand and torch's own counter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from explorer.core.media import sample_inputs
from explorer.core.own_models import models
from explorer.core.own_models.model_row import own_row
from explorer.core.session import EngineFailed, Session
from explorer.core.studies import capacity
from explorer.core.studies.capacity import Speed, free_memory, speed, within_memory
from explorer.core.studies.prediction import Misfit, Needs, Rehearsal, Unpredictable, bytes_of
from explorer.engine import Cancelled, EngineError
from explorer.kinds import Text

FLOAT = 4


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 32, 3, padding=1),
        nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(32 * 16 * 16, 10),
    ).eval()  # fmt: skip


def test_figures_of_a_network_counted_by_hand() -> None:
    network = convolutions()
    out, needs = Rehearsal(network)([torch.zeros(1, 3, 16, 16)])
    pixels = 16 * 16
    weights = 3 * 64 * 9 + 64 + 64 * 32 * 9 + 32 + 32 * pixels * 10 + 10
    assert needs.parameters == bytes_of(network) == FLOAT * weights
    # The most at one time: the picture, and what goes into and comes out of the ReLU.
    assert needs.activations == FLOAT * (3 * pixels + 64 * pixels + 64 * pixels)
    products = 3 * 64 * 9 * pixels + 64 * 32 * 9 * pixels + 32 * pixels * 10
    assert needs.flops == 2 * products
    assert needs.memory == needs.parameters + needs.activations
    assert tuple(out.shape) == (1, 10)
    assert not needs.unknown


def test_flops_are_those_that_torch_counts_in_a_real_pass() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval()
    x = torch.randn(2, 9, 32)
    with FlopCounterMode(display=False) as counter:
        layer(x)
    assert Rehearsal(layer)([x])[1].flops == counter.get_total_flops() > 0


def test_what_lives_on_counts_and_what_is_let_go_does_not() -> None:
    class Keeps(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            kept = [x + i for i in range(4)]
            return torch.stack(kept).sum(0)

    class Drops(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for i in range(4):
                x = x + i
            return x

    x = torch.zeros(1000)
    # The input, four sums, their stack, and what comes out.
    assert Rehearsal(Keeps())([x])[1].activations == FLOAT * 1000 * (1 + 4 + 4 + 1)
    # The caller holds the input; of the sums no more than two live at one time.
    assert Rehearsal(Drops())([x])[1].activations == FLOAT * 1000 * 3


def test_views_and_in_place_steps_take_no_memory() -> None:
    class Views(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(10, 100).t().relu_().reshape(10, 100)

    assert Rehearsal(Views())([torch.zeros(1000)])[1].activations == FLOAT * 1000 * 2


def test_a_shared_layer_counts_once_as_parameter_and_at_every_call_as_work() -> None:
    shared = nn.Linear(8, 8, bias=False)
    needs = Rehearsal(nn.Sequential(shared, shared, shared))([torch.zeros(1, 8)])[1]
    assert needs.parameters == FLOAT * 64
    assert needs.flops == 3 * 2 * 64


def test_a_rehearsal_leaves_no_trace() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {n: t.clone() for n, t in network.state_dict().items()}
    Rehearsal(network)([torch.zeros(1, 3, 8, 8)])
    for name, value in network.state_dict().items():
        assert type(value) is Tensor
        assert torch.equal(value, before[name])
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in network.modules())


def test_shapes_that_do_not_fit_name_the_layer() -> None:
    with pytest.raises(Misfit, match=r"^2: .*"):
        Rehearsal(nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(9, 2)))([torch.zeros(1, 8)])


class Decides(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.gate = Gate()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.gate(self.first(x))
        return out


class Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


def test_the_part_that_depends_on_values_is_named() -> None:
    out, needs = Rehearsal(Decides())([torch.zeros(1, 8)])
    assert out is None
    assert needs.unknown.startswith("gate could not be predicted: what it does depends on values")
    assert needs.flops == 2 * 64  # of what came before
    assert "needs more than" in needs.text(Speed(1e9, 1e9, 0.0))


def test_a_network_that_cannot_be_copied_says_so() -> None:
    network = nn.Linear(2, 2)

    def refuse(memo: Any) -> Any:
        raise TypeError("cannot pickle a socket")

    network.__deepcopy__ = refuse
    with pytest.raises(Unpredictable, match=r"cannot be copied .*socket"):
        Rehearsal(network)


def test_a_rehearsal_that_never_ends_is_stopped_at_a_module() -> None:
    class Endless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            while True:
                x = self.step(x)

    calls = []

    def pause() -> None:
        calls.append(1)
        if len(calls) > 50:
            raise Cancelled

    with pytest.raises(Cancelled):
        Rehearsal(Endless(), pause)([torch.zeros(3)])


@pytest.mark.parametrize(
    ("needs", "text"),
    [
        (Needs(2**20, 2**19, 2_000_000), "needs about 1.5 MiB, about 2 ms a frame (2 MFLOP)"),
        (Needs(3 * 2**30, 0, 41 * 10**8), "needs about 3 GiB, about 4.1 s a frame (4.1 GFLOP)"),
        (Needs(0, 100, 0, 10**9), "needs about 100 bytes, about 1 s a frame (0 FLOP)"),
    ],
)
def test_the_words_of_a_prediction(needs: Needs, text: str) -> None:
    assert needs.text(Speed(1e9, 1e9, 0.0)) == text


def test_the_machine_is_measured_once() -> None:
    found = speed(torch.device("cpu"))
    assert found is speed(torch.device("cpu"))
    assert found.seconds(found.flops, found.bandwidth, 0) == pytest.approx(2.0)
    free = free_memory()
    assert free is None or free > 0


# -- larger than memory


def opened(folder: Path, body: str, **values: Any) -> Session:
    path = folder / "net.py"
    path.write_text(f"import torch\nfrom torch import nn\n{body}", encoding="utf-8")
    row, knobs = own_row(str(path))
    session = Session(row, device="cpu", params={**knobs, **values})
    session.open()
    return session


def test_a_network_larger_than_memory_is_refused_before_it_is_made(tmp_path: Path) -> None:
    why = r"larger than memory: a tensor of 3000000 × 3000000 takes .*GiB, and .* are free"
    with pytest.raises(EngineError, match=why):
        opened(tmp_path, "def make():\n    return nn.Linear(3_000_000, 3_000_000)")


def test_networks_on_the_meta_device_are_no_load_and_have_no_values(tmp_path: Path) -> None:
    body = "def make():\n    return nn.Linear(3_000_000, 3_000_000, device='meta')"
    with pytest.raises(EngineError, match="weight is on the meta device and has no values"):
        opened(tmp_path, body)


def test_only_what_is_large_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "free_memory", lambda device="cpu": 2**20)
    with within_memory():
        assert torch.zeros(1000).shape == (1000,)
        with pytest.raises(EngineError, match="larger than memory"):
            torch.zeros(2**23)


def test_a_pass_larger_than_memory_is_refused_with_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(tmp_path, "model = nn.Conv2d(3, 8, 3, padding=1)", size=64)
    inputs = dict(sample_inputs(session.row))
    monkeypatch.setattr(models, "free_memory", lambda device="cpu": 2**20)
    session.set_params({"size": 256})
    size = FLOAT * (3 + 8) * 256 * 256 / 2**20
    with pytest.raises(EngineFailed, match=rf"one pass takes {size:.3g} MiB .*1 MiB are free") as e:
        list(session.run(inputs))
    assert e.value.memory  # the window offers another device
    session.set_params({"size": 32})
    assert list(session.run(inputs))[-1].last


def test_weights_larger_than_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from explorer.core.own_models import model_files

    torch.save(nn.Linear(50, 50).state_dict(), tmp_path / "w.pt")
    monkeypatch.setattr(model_files, "free_memory", lambda: 1000)
    with pytest.raises(EngineError, match=r"w.pt: .* of tensors, and 0.977 KiB of memory are free"):
        model_files.load_weights(nn.Linear(50, 50), tmp_path / "w.pt")


def test_the_figures_stand_beside_the_input_and_follow_its_size(tmp_path: Path) -> None:
    session = opened(tmp_path, "model = nn.Conv2d(3, 8, 1, bias=False)", size=10)
    assert session.engine.remarks[0].startswith("needs about ")
    inputs = dict(sample_inputs(session.row))
    for side, flops in ((10, "4.8 kFLOP"), (20, "19.2 kFLOP"), (20, "19.2 kFLOP")):
        session.set_params({"size": side})
        (frame,) = list(session.run(inputs))
        (said,) = [a for a in frame.artefacts if isinstance(a, Text)]
        assert f"({flops})" in said.text  # 2 · 3 · 8 a pixel


def test_what_a_factory_traces_or_exports_is_not_disturbed(tmp_path: Path) -> None:
    body = (
        "x = torch.zeros(1, 3, 16, 16)\n"
        "def traced():\n    return torch.jit.trace(nn.Conv2d(3, 4, 3), x)\n"
        "def exported():\n"
        "    program = torch.export.export(nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), (x,))\n"
        "    return torch.export.unflatten(program)\n"
    )
    path = tmp_path / "net.py"
    path.write_text(f"import torch\nfrom torch import nn\n{body}", encoding="utf-8")
    for name in ("traced", "exported"):
        row, knobs = own_row(f"{path}:{name}")
        session = Session(row, device="cpu", params={**knobs, "size": 16})
        session.open()
        (frame,) = list(session.run(dict(sample_inputs(session.row))))
        assert any(a.name == "output/result" for a in frame.artefacts)
