"""A person's own model: files, factories and exported programs, and what they may return."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explorer.cli import main
from explorer.core.media import sample_inputs
from explorer.core.own_models.model_files import open_model
from explorer.core.own_models.model_row import own_row, parts
from explorer.core.session import EngineFailed, Session
from explorer.engine import EngineError
from explorer.kinds import Artefact, FeatureMaps, Image, Matrix, Scores, Text
from explorer.views import View

NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3, stride=2),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 20))
"""


def saved(folder: Path, code: str, name: str = "net.py") -> str:
    path = folder / name
    path.write_text(code, encoding="utf-8")
    return str(path)


def session(spec: str, **values: Any) -> Session:
    row, knobs = own_row(spec)
    made = Session(row, device="cpu", params={**knobs, **values})
    made.statistics_every = 0.0
    made.open()
    return made


def shown(spec: str, **values: Any) -> dict[str, Artefact]:
    made = session(spec, **values)
    frames = list(made.run(dict(sample_inputs(made.row))))
    return {a.name: a for frame in frames for a in frame.artefacts}


# -- what is named


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("net.py", ("net.py", "")),
        ("net.py:make", ("net.py", "make")),
        ("pkg.net:make", ("pkg.net", "make")),
        ("net.pt2", ("net.pt2", "")),
        (r"C:\nets\net.py", (r"C:\nets\net.py", "")),
        (r"C:\nets\net.py:make", (r"C:\nets\net.py", "make")),
    ],
)
def test_file_and_factory_are_told_apart(spec: str, wanted: tuple[str, str]) -> None:
    assert parts(spec) == wanted


def test_the_one_network_of_a_file_needs_no_name(tmp_path: Path) -> None:
    network = open_model(saved(tmp_path, NET))
    assert type(network).__name__ == "Net"
    assert sum(p.numel() for p in network.parameters()) == 4 * 28 + 6 * 37 + 20 * 7


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (NET + "\ndef make():\n    return Net()", ":make"),
        (NET + "\ndef build():\n    return Net()", ""),
        (NET + "\nmodel = Net()", ""),
        (NET + "\nmodel = Net()", ":model"),
        (NET, ":Net"),
        (NET + "\nclass Other(nn.Module): ...\ndef make_model(width=3): return Net()", ""),
    ],
)
def test_factories_and_finished_networks(tmp_path: Path, code: str, name: str) -> None:
    assert type(open_model(saved(tmp_path, code) + name)).__name__ == "Net"


def test_a_module_of_the_folder_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, NET, "net_of_this_folder.py")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    assert type(open_model("net_of_this_folder:Net")).__name__ == "Net"
    assert sys.path == path


def test_a_file_may_import_what_lies_beside_it_and_hold_dataclasses(tmp_path: Path) -> None:
    saved(tmp_path, NET, "blocks_beside.py")
    code = """
from __future__ import annotations
from dataclasses import dataclass
from blocks_beside import Net

@dataclass
class Config:
    width: int = 4

def make():
    return Net()
"""
    assert type(open_model(saved(tmp_path, code))).__name__ == "Net"


@pytest.mark.parametrize(
    ("code", "name", "why"),
    [
        (NET + "\ndef make(): raise OSError('no disc\\nmore')", ":make", r"OSError: no disc$"),
        (NET + "\ndef make(): return 1 + 'a'", ":make", r"raised TypeError: unsupported"),
        (NET + "\ndef make(width, *, depth): return Net()", ":make", r"arguments \(width, depth\)"),
        (NET + "\ndef make(): return 3", ":make", r"returned a int; wanted a torch.nn.Module"),
        (NET + "\nmake = 3", ":make", r"is a int; wanted a network"),
        (NET, ":Nett", r"has no 'Nett'; it has .*Net"),
        (NET + "\nclass Two(nn.Module): ...", "", r"net.py:NAME; networks in it: Net, Two"),
        ("x = 1", "", r"networks in it: none"),
        ("import no_such_thing", "", r"ModuleNotFoundError"),
        ("def (", "", r"SyntaxError"),
        ("import sys; sys.exit(0)", "", r"SystemExit"),
        ("\0", "", r"cannot be imported"),
    ],
)
def test_what_cannot_be_made_says_why_on_one_line(
    tmp_path: Path, code: str, name: str, why: str
) -> None:
    with pytest.raises(EngineError, match=why) as caught:
        open_model(saved(tmp_path, code) + name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["gone.py", "gone.py:make", "gone.pt2"])
def test_a_file_that_is_not_there(tmp_path: Path, spec: str) -> None:
    with pytest.raises(EngineError, match="there is no such file"):
        open_model(str(tmp_path / spec))


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(EngineError, match="no_such_module cannot be imported"):
        open_model("no_such_module:make")


# -- what comes out


def returning(expression: str) -> str:
    return f"""
import torch
from torch import nn
from types import SimpleNamespace

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
    def forward(self, x):
        maps = self.conv(x)
        tokens = maps.flatten(2).transpose(1, 2)
        logits = maps.mean((2, 3))
        return {expression}
"""


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("logits", {"output/result": Scores}),
        ("maps", {"output/result": FeatureMaps}),
        ("tokens", {"output/result": Matrix}),
        ("logits.sum()", {"output/result": Scores}),
        ("maps.argmax(1)", {"output/result": Matrix}),
        ("torch.fft.fft2(maps)", {"output/result": FeatureMaps}),
        ("(logits, maps)", {"output/result 0": Scores, "output/result 1": FeatureMaps}),
        ("{'out': maps, 'aux': [tokens]}", {"output/out": FeatureMaps, "output/aux 0": Matrix}),
        ("{'': maps}", {"output/result": FeatureMaps}),
        ("SimpleNamespace(last_hidden_state=tokens)", {"output/last_hidden_state": Matrix}),
        ("(logits, None, 'word')", {"output/result 0": Scores}),
    ],
)
def test_every_tensor_of_the_result_is_shown_as_what_it_is(
    tmp_path: Path, expression: str, wanted: dict[str, type[Artefact]]
) -> None:
    made = shown(saved(tmp_path, returning(expression)), size=32)
    assert isinstance(made.pop("input/picture"), Image)
    assert isinstance(made.pop("input/model"), Text)
    assert {name: type(a) for name, a in made.items()} == wanted


def test_the_shown_scores_are_the_largest_outputs_in_order(tmp_path: Path) -> None:
    spec = saved(tmp_path, NET)
    made = session(spec, size=40)
    inputs = dict(sample_inputs(made.row))
    seen: list[Tensor] = []
    made.network.register_forward_hook(lambda _m, _x, out: seen.append(out[0].clone()))
    (frame,) = list(made.run(inputs))
    (scores,) = [a for a in frame.artefacts if isinstance(a, Scores)]
    order = seen[0].argsort(descending=True)[:10]
    np.testing.assert_array_equal(scores.scores, seen[0][order].numpy())
    assert list(scores.labels) == [f"#{i}" for i in order.tolist()]


def test_another_look_at_the_outputs_does_not_run_the_network(tmp_path: Path) -> None:
    made = session(saved(tmp_path, returning("torch.cat([maps, maps + 1])")), size=16)
    list(made.run(dict(sample_inputs(made.row))))
    made.network.register_forward_pre_hook(lambda _m, _x: pytest.fail("the network ran"))
    assert made.set_params({"sample": 1}) == "again"
    (frame,) = list(made.again())
    (second,) = [a for a in frame.artefacts if isinstance(a, FeatureMaps)]
    made.set_params({"sample": 0})
    (frame,) = list(made.again())
    (first,) = [a for a in frame.artefacts if isinstance(a, FeatureMaps)]
    np.testing.assert_array_equal(second.maps, first.maps + 1)
    made.set_params({"show": "matrix"})
    (frame,) = list(made.again())
    assert any(isinstance(a, Matrix) for a in frame.artefacts)


def test_a_result_without_a_tensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="returned str, in which there is no tensor"):
        shown(saved(tmp_path, returning("'nothing'")), size=32)


def test_a_network_of_one_channel_gets_one_and_says_what_is_wrong_with_three(
    tmp_path: Path,
) -> None:
    spec = saved(tmp_path, "from torch import nn\nmodel = nn.Conv2d(1, 2, 3)")
    with pytest.raises(EngineFailed, match=r"expected input.* 1 channels.* 1 × 3 × 32 × 32"):
        shown(spec, size=32, channels=3)
    maps = shown(spec, size=32)["output/result"]
    assert isinstance(maps, FeatureMaps)
    assert maps.maps.shape == (2, 30, 30)


@pytest.mark.parametrize(
    ("normalise", "low", "high"), [("0 to 1", 0.0, 1.0), ("-1 to 1", -1.0, 1.0)]
)
def test_normalisation_gives_the_range_it_names(
    tmp_path: Path, normalise: str, low: float, high: float
) -> None:
    maps = shown(
        saved(tmp_path, "from torch import nn\nmodel = nn.Identity()"),
        size=64,
        normalise=normalise,
        show="maps",
    )["output/result"]
    assert isinstance(maps, FeatureMaps)
    assert low <= maps.maps.min() < low + 0.25 * (high - low)
    assert high - 0.25 * (high - low) < maps.maps.max() <= high


# -- exported programs


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.block = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(x + self.block(x))
        out: Tensor = self.head(x.mean((2, 3)))
        return out


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Small]:
    torch.manual_seed(3)
    network = Small().eval()
    path = tmp_path_factory.mktemp("program") / "small.pt2"
    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, 48, 48),)), path)
    return str(path), network


def test_captures_of_a_program_equal_those_of_the_eager_network(
    exported: tuple[str, Small],
) -> None:
    path, network = exported
    made = session(path)
    points = ["stem", "stem.0", "block", "head"]
    made.views = tuple(View(point) for point in points)
    given: list[Tensor] = []
    made.network.register_forward_pre_hook(lambda _m, x: given.append(x[0].clone()))
    (frame,) = list(made.run(dict(sample_inputs(made.row))))
    assert given[0].shape == (1, 3, 48, 48)  # the size that it was exported with
    truth: dict[str, Tensor] = {}
    for name in points:
        network.get_submodule(name).register_forward_hook(
            lambda _m, _x, out, name=name: truth.__setitem__(name, out.clone())
        )
    with torch.no_grad():
        network(given[0])
    assert {r.view.point for r in frame.rendered} == set(points)
    for rendered in frame.rendered:
        values = made.read(rendered.handle)
        wanted = truth[rendered.view.point][0].numpy()
        np.testing.assert_array_equal(values.reshape(wanted.shape), wanted)


def test_a_program_names_its_layers_as_the_network_does(exported: tuple[str, Small]) -> None:
    path, network = exported
    names = {name for name, _ in network.named_modules() if name}
    assert names <= {layer.name for layer in session(path).layers()}


@pytest.mark.parametrize("damage", ["cut", "empty", "junk"])
def test_a_damaged_program_is_one_line(
    exported: tuple[str, Small], tmp_path: Path, damage: str
) -> None:
    data = Path(exported[0]).read_bytes()
    path = tmp_path / "damaged.pt2"
    path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "junk": b"junk" * 99}[damage])
    with pytest.raises(EngineError, match=r"damaged\.pt2 is no torch\.export program") as caught:
        open_model(str(path))
    assert "\n" not in str(caught.value)


def test_the_command_line_runs_a_program_and_lists_its_layers(
    exported: tuple[str, Small], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["layers", exported[0], "--device", "cpu", "--json"]) == 0
    layers = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert layers["stem.0"]["shape"] == [1, 8, 48, 48]
    out = tmp_path / "out"
    assert (
        main(["run", exported[0], "--device", "cpu", "--out", str(out), "--capture", "block"]) == 0
    )
    assert np.load(out / "capture_block.npz")["maps"].shape == (8, 48, 48)
