"""Proofs: a program of torch and numpy, run in a Python of its own, gives the session's numbers."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from explorer.core.capture import hook_count
from explorer.core.media import read_image, sample_inputs
from explorer.core.own_models.model_row import own_row
from explorer.core.paths import assets
from explorer.core.proofs.proof import Asked, Proof, ProofError, prove, state_sha256
from explorer.core.registry import table
from explorer.core.session import Session
from explorer.editing import Edit, Mask
from explorer.views import View

MODEL = '''
import torch
from torch import nn


class Net(nn.Module):
    """Traps: an in-place ReLU, a module that is called twice, an output as a dict."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.act = nn.ReLU(inplace=True)
        self.body = nn.Conv2d(8, 8, 3, 1, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.act(self.stem(x))
        x = self.act(self.body(self.body(x)))
        return {"logits": self.head(x.mean((2, 3)))}


def make():
    return Net()
'''


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photo() -> dict[str, Any]:
    return {"image": read_image(assets() / "samples" / "chelsea.png")} if (
        assets() / "samples"
    ).is_dir() else {"image": read_image(assets() / "chelsea.png")}  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "small_net.py"
    path.write_text(MODEL)
    return f"{path}:make"


def run(proof: Proof, folder: Path) -> np.ndarray:
    """What the program computes in a process that shares nothing with this one."""
    script, _ = proof.write(folder, "proof")
    out = folder / "values.npy"
    done = subprocess.run(
        [sys.executable, str(script), str(out)], capture_output=True, text=True, timeout=120,
        cwd=folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("equal")
    return np.load(out)


def session_values(spec: str, inputs: Any, point: str, edits: Any = ()) -> np.ndarray:
    """The layer as the window's session reads it."""
    row, values = (table()[spec], {}) if spec in table() else own_row(spec)
    session = Session(row, device="cpu", params=values)
    session.open()
    session.views, session.edits = (View(point),), tuple(edits)
    frame = list(session.run(inputs))[-1]
    read = session.read(frame.rendered[-1].handle)
    session.close()
    return read


def test_a_layer_of_a_catalogue_engine(photo: Any, tmp_path: Path) -> None:
    proof = prove("classify", {}, photo, Asked(("_blocks.7",)), device="cpu", seed=0)
    assert proof.whole
    values = run(proof, tmp_path)
    assert np.array_equal(values, session_values("classify", photo, "_blocks.7"))


EDITS = (
    Edit("act", (3,)),
    Edit("body", (1, 2), "scale", -2.0, region=(0, 40, 10, 60)),
    Edit("stem", (), "add", 0.25, mask=Mask.of(np.eye(7, dtype=bool))),
    Edit("body", (5,), "clamp", -0.1, 0.1),
    Edit("act", (6,), on=False),
)


def test_edits_of_a_person_s_own_model_without_layerscope(
    model: str, photo: Any, tmp_path: Path
) -> None:
    asked = Asked(("act",), edits=EDITS)
    proof = prove(model, {}, photo, asked, device="cpu", seed=0)
    text = proof.text("Path('x')")
    assert "explorer" not in text.replace("layerscope", "")
    assert "engines" not in text
    values = run(proof, tmp_path)
    assert np.array_equal(values, session_values(model, photo, "act", EDITS))
    assert not values[3].any()
    assert not np.array_equal(values, session_values(model, photo, "act"))


def test_a_gram_matrix(model: str, photo: Any, tmp_path: Path) -> None:
    proof = prove(model, {}, photo, Asked(("body",), "gram"), device="cpu", seed=0)
    maps = session_values(model, photo, "body").astype(np.float64).reshape(8, -1)
    np.testing.assert_allclose(run(proof, tmp_path), maps @ maps.T, rtol=1e-5)


def test_a_hypercolumn_as_scipy_interpolates(photo: Any, tmp_path: Path) -> None:
    from scipy.ndimage import map_coordinates

    points, pixel = ("_blocks.2", "_blocks.7"), (231.3, 140.7)
    asked = Asked(points, "hypercolumn", pixel=pixel)
    proof = prove("classify", {}, photo, asked, device="cpu", seed=0)
    session = Session(table()["classify"], device="cpu")
    session.open()
    session.views = tuple(map(View, points))
    wanted = []
    for shown in list(session.run(photo))[-1].rendered:
        column, row = shown.affine.to_grid(*pixel)
        maps = session.read(shown.handle).astype(np.float64)
        at = [[row - 0.5], [column - 0.5]]
        wanted += [map_coordinates(m, at, order=1, mode="nearest")[0] for m in maps]
    np.testing.assert_allclose(run(proof, tmp_path), wanted, atol=1e-4)


def test_grad_cam_as_captum_computes_it(photo: Any, tmp_path: Path) -> None:
    from captum.attr import LayerGradCam

    from engines.classify.efficientnet import PREPROCESS
    from explorer.engine import prepare

    asked = Asked(("_blocks.15",), "grad-cam", target=("_fc", 281))
    proof = prove("classify", {}, photo, asked, device="cpu", seed=0)
    session = Session(table()["classify"], device="cpu")
    session.open()
    x, _ = prepare(photo["image"].pixels, PREPROCESS)
    cam = LayerGradCam(session.network, session.network._blocks[15])
    with torch.enable_grad():
        wanted = cam.attribute(x.requires_grad_(), 281, relu_attributions=True)
    assert np.array_equal(run(proof, tmp_path), wanted[0].detach().numpy())


def test_grad_cam_of_the_strongest_place_of_a_unit(photo: Any) -> None:
    from engines.classify.efficientnet import PREPROCESS
    from explorer.core.attribution import grad_cam
    from explorer.core.studies.tracing import Target
    from explorer.engine import prepare

    asked = Asked(("_blocks.2",), "grad-cam", target=("_blocks.7", 3), over="max")
    proof = prove("classify", {}, photo, asked, device="cpu", seed=0)
    session = Session(table()["classify"], device="cpu")
    session.open()
    x, _ = prepare(photo["image"].pixels, PREPROCESS)
    target = Target("_blocks.7", 3, over="max")
    found = grad_cam(session.network, lambda: session.network(x), "_blocks.2", target)
    assert np.array_equal(proof.values, found.map[0].numpy())
    assert proof.values.any()


@pytest.mark.parametrize("engine", ["resnet", "fast-weights", "dcgan"])
def test_other_engines_too(engine: str) -> None:
    """Digits that are prepared by hand, a state of many steps, and noise: each on its own call."""
    row = table()[engine]
    inputs = sample_inputs(row)
    last = 10 if engine == "fast-weights" else 0
    asked = Asked(row.points[:1], step=last)
    proof = prove(engine, {}, inputs, asked, device="cpu", seed=0)
    assert np.array_equal(proof.values, session_values(engine, inputs, row.points[0]))


def test_each_step_of_a_run_has_its_own_proof() -> None:
    row = table()["fast-weights"]
    inputs = sample_inputs(row)
    session = Session(row, device="cpu")
    session.open()
    session.views = (View(row.points[0]),)
    for step, frame in enumerate(session.run(inputs)):
        if step in (0, 3):
            asked = Asked(row.points[:1], step=step)
            proof = prove("fast-weights", {}, inputs, asked, device="cpu", seed=0)
            means = frame.rendered[-1].statistics.unit_mean
            assert np.array_equal(proof.values.mean((1, 2)), means)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("VALUES_SHA256 = '", "VALUES_SHA256 = '0", "NOT EQUAL"),
        ("WEIGHTS_SHA256 = '", "WEIGHTS_SHA256 = '0", "other weights"),
        ("INPUT_SHA256 = '", "INPUT_SHA256 = '0", "is not the input"),
    ],
)
def test_a_program_that_lies_says_so(
    model: str, photo: Any, tmp_path: Path, old: str, new: str, says: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    proof = prove(model, {}, photo, Asked(("stem",)), device="cpu", seed=0)
    script, _ = proof.write(tmp_path, "proof")
    script.write_text(script.read_text().replace(old, new))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.delitem(sys.modules, "small_net", raising=False)
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(script))
    assert left.value.code not in (0, None)
    assert says in f"{left.value.code} {capsys.readouterr().out}"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Asked(("act",), edits=(Edit("stem", op="freeze"),)), "another frame"),
        (Asked(("act",), step=1000), "step 1000"),
        (Asked(("stm",)), "stem"),
        (Asked(("head",), edits=(Edit("head", region=(0, 1, 0, 1)),)), "2 axes"),
    ],
)
def test_what_cannot_be_proved_says_why_and_leaves_no_hook(
    model: str, photo: Any, asked: Asked, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[nn.Module] = []
    opened = Session.open

    def noted(self: Session) -> None:
        opened(self)
        networks.append(self.network)

    monkeypatch.setattr(Session, "open", noted)
    with pytest.raises((ProofError, LookupError), match=why):
        prove(model, {}, photo, asked, device="cpu", seed=0)
    assert sum(map(hook_count, networks)) == 0


def test_the_hash_of_a_network_sees_every_tensor() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = state_sha256(network)
    assert state_sha256(network) == before
    network[1].running_mean[1] += 1e-6
    assert state_sha256(network) != before
