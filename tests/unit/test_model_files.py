"""Files of a person's own: TorchScript, weights with a named architecture, pickles that must not
run."""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from explorer.cli import main
from explorer.core.media import sample_inputs
from explorer.core.own_models.model_files import open_model
from explorer.core.own_models.model_row import chosen, is_own, own_row, parts
from explorer.core.session import Session
from explorer.core.stores.weight_names import fitted
from explorer.core.weights import WeightsError
from explorer.engine import EngineError
from explorer.kinds import Scores, Text

CODE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
"""


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5),
        )  # fmt: skip


@pytest.fixture
def trained() -> Net:
    torch.manual_seed(7)
    network = Net()
    network(torch.randn(4, 3, 9, 9))  # the running means are no longer zero
    return network.eval()


@pytest.fixture
def code(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(CODE, encoding="utf-8")
    return f"{path}:Net"


def opened(spec: str, arch: str = "", **values: Any) -> Session:
    row, knobs = own_row(spec, arch)
    session = Session(row, device="cpu", params={**knobs, "size": 16, **values})
    session.statistics_every = 0.0
    session.open()
    return session


def result(session: Session) -> tuple[Tensor, np.ndarray[Any, Any], str]:
    """What went in, the scores by index, and what is said of the network."""
    seen: list[Tensor] = []
    hook = session.network.register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
    (frame,) = list(session.run(dict(sample_inputs(session.row))))
    hook.remove()
    (scores,) = [a for a in frame.artefacts if isinstance(a, Scores)]
    (said,) = [a for a in frame.artefacts if isinstance(a, Text)]
    order = [int(label.removeprefix("#")) for label in scores.labels]
    return seen[-1], scores.scores[np.argsort(order)], said.text


# -- weights


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state,
        lambda state: {f"module.{n}": t for n, t in state.items()},
        lambda state: {f"backbone.{n}": t for n, t in state.items()},
        lambda state: {n: t for n, t in state.items() if "num_batches" not in n},
        lambda state: {"state_dict": state, "epoch": 3},
    ],
    ids=["plain", "data parallel", "another prefix", "no batch counts", "checkpoint"],
)
def test_weights_in_a_named_network_give_its_outputs(
    code: str, trained: Net, tmp_path: Path, change: Callable[[Any], Any]
) -> None:
    torch.save(change(trained.state_dict()), tmp_path / "w.pt")
    x, scores, _ = result(opened(str(tmp_path / "w.pt"), code))
    with torch.no_grad():
        np.testing.assert_array_equal(scores, trained(x)[0].numpy())


def test_the_record_holds_the_hashes_of_both_files(code: str, trained: Net, tmp_path: Path) -> None:
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    session = opened(str(tmp_path / "w.pt"), code)
    record = session.record()["weights"]
    assert {name: row["sha256"] for name, row in record.items()} == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("net.py", "w.pt")
    }
    assert session.provenance == "your own model"


def test_safetensors_with_a_shared_tensor_saved_once(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
            self.head.weight = self.embed.weight

    torch.manual_seed(1)
    source, target = Tied(), Tied()
    save_file({"embed.weight": source.embed.weight.detach()}, tmp_path / "w.safetensors")
    from explorer.core.own_models.model_files import load_weights

    load_weights(target, tmp_path / "w.safetensors")
    assert torch.equal(target.head.weight, source.embed.weight)
    assert target.head.weight is target.embed.weight


def test_tensors_that_do_not_fit_are_listed_with_near_names(trained: Net) -> None:
    state = {n.replace("5.", "head."): t for n, t in trained.state_dict().items()}
    state["0.weight"] = torch.zeros(4, 3, 5, 5)
    why = (
        r"w\.pt does not fit Net \(6 of 9 tensors do\): "
        r"5\.weight 5 × 4 is missing \(near: head\.weight 5 × 4\), "
        r"5\.bias 5 is missing \(near: head\.bias 5\), "
        r"0\.weight is 4 × 3 × 5 × 5, wanted 4 × 3 × 3 × 3, "
        r"head\.weight 5 × 4 is not expected; and 1 more$"
    )
    with pytest.raises(EngineError, match=why):
        fitted(Net(), state, "w.pt")


def test_weights_alone_ask_for_their_network(
    trained: Net, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.safetensors"
    save_file(dict(trained.state_dict()), path)
    assert main(["layers", str(path), "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert "9 named tensors and no network; say whose they are with --arch" in said


def test_the_command_line_takes_weights_with_their_network(
    code: str, trained: Net, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.pt"
    torch.save(trained.state_dict(), path)
    words = ["layers", str(path), "--arch", code, "--set", "size=16", "--device", "cpu"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "Conv2d" in out
    assert "needs about" in err
    assert main(["layers", str(path), "--arch", f"{code}s", "--device", "cpu"]) == 2
    assert "has no 'Nets'; it has Net" in capsys.readouterr().err


# -- TorchScript


@pytest.fixture(params=["script", "trace"])
def script(request: pytest.FixtureRequest, trained: Net, tmp_path: Path) -> str:
    path = str(tmp_path / "net.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.zeros(1, 3, 16, 16)
        made = (
            torch.jit.script(trained) if request.param == "script" else torch.jit.trace(trained, x)
        )
        torch.jit.save(made, path)
    return path


def test_torchscript_shows_its_outputs_and_says_that_it_has_no_layers(
    script: str, trained: Net
) -> None:
    session = opened(script)
    x, scores, said = result(session)
    with torch.no_grad():
        np.testing.assert_array_equal(scores, trained(x)[0].numpy())
    assert "A TorchScript program cannot be hooked: its outputs are shown" in said
    (layer,) = session.layers()
    assert (layer.name, layer.shape) == ("program", (1, 5))
    assert layer.parameters == sum(p.numel() for p in trained.parameters())


def test_the_command_line_says_that_torchscript_has_no_layers(
    script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", script, "--device", "cpu", "--out", str(tmp_path / "out")]) == 0
    assert "cannot be hooked" in capsys.readouterr().err
    assert np.load(tmp_path / "out" / "output_result.npz")["scores"].shape == (5,)


@pytest.mark.parametrize("member", ["data.pkl", "constants.pkl"])
def test_a_pickle_inside_torchscript_runs_nothing(script: str, tmp_path: Path, member: str) -> None:
    bad = tmp_path / "bad.pt"
    with zipfile.ZipFile(script) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, evil(tmp_path) if name.endswith(f"/{member}") else data)
    with pytest.raises(EngineError, match=r"bad\.pt is a damaged TorchScript program"):
        open_model(str(bad))
    assert not (tmp_path / "ran").exists()


# -- pickles


class Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def evil(folder: Path) -> bytes:
    return pickle.dumps(Evil(str(folder / "ran")), protocol=2)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
@pytest.mark.parametrize("with_arch", [False, True])
def test_a_pickle_is_never_loaded_freely(
    tmp_path: Path, code: str, suffix: str, with_arch: bool
) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save({"weights": Evil(str(tmp_path / "ran"))}, path)
    with pytest.raises((EngineError, WeightsError), match=r"refused, it refers to code \(.*mkdir"):
        opened(str(path), code if with_arch else "")
    assert not (tmp_path / "ran").exists()


def test_a_pickled_network_is_refused_and_the_remedy_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "model.pt")
    assert main(["layers", str(tmp_path / "model.pt"), "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert "refers to code" in said
    assert "torch.save(model.state_dict()" in said


# -- what a name means


@pytest.mark.parametrize(
    ("name", "own"),
    [("classify", False), ("net.py", True), ("pkg.net:make", True), ("w.safetensors", True),
     ("net.pt2", True), ("net.torchscript", True)],
)  # fmt: skip
def test_names_of_models_and_of_engines(name: str, own: bool) -> None:
    assert is_own(name) is own
    if own and "." in name and ":" not in name:
        assert parts(name) == (name, "")


def test_the_window_may_be_started_on_a_model() -> None:
    rows: dict[str, Any] = {}
    assert chosen("net.py:make", "", ["cat.png"], rows) == (
        "model", ["cat.png"], {"model": "net.py:make", "weights": ""},
    )  # fmt: skip
    assert rows["model"].title == "net.py:make"
    name, left, knobs = chosen("", "net:make", ["w.pt", "cat.png"], rows)
    assert (name, left, knobs) == ("model", ["cat.png"], {"model": "net:make", "weights": "w.pt"})
    assert rows["model"].title == "w.pt in net:make"
    with pytest.raises(ValueError, match="name that file too"):
        chosen("", "net:make", [], rows)
    with pytest.raises(LookupError, match="unknown engine 'nothing'"):
        chosen("nothing", "", [], rows)
