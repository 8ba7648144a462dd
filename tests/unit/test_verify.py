"""`layerscope verify`: a run that is repeated is equal; whatever was tampered with is found."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.cli import main
from explorer.core.proofs.verify import VerifyError, read_record, verify

NET = """
import torch
def make():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(inplace=True))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: Any) -> Path:
    """A run of the digit network with an edit and a captured layer; small and quick."""
    out = tmp_path_factory.mktemp("run") / "out"
    words = ["run", "resnet", "--out", str(out), "--capture", "layer2.0.conv1", "--prove"]
    assert main([*words, "--edit", "layer1.0.conv1:3=zero", "--seed", "3"]) == 0
    return out


@pytest.fixture
def run(ran: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    out = tmp_path / "out"
    out.mkdir()
    for path in ran.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    return out


def change(run: Path, **changes: Any) -> None:
    path = run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_run_is_equal_to_itself(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(run), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["equal"]
    states = {(a["name"], a["field"]): a["state"] for a in report["arrays"]}
    assert states["capture/layer2.0.conv1", "maps"] == "equal"
    assert set(states.values()) == {"equal"}
    assert len(states) > 5


def test_the_hashes_are_those_of_the_arrays_and_of_the_program(ran: Path) -> None:
    record = json.loads((ran / "run.json").read_text())
    (entry,) = [e for e in record["artefacts"] if e["name"].startswith("capture/")]
    with np.load(ran / entry["files"][1]) as arrays:
        found = hashlib.sha256(arrays["maps"].tobytes()).hexdigest()
    assert entry["sha256"] == {"maps": found}
    assert len(entry["proof"]) == 2
    for name, sha256 in entry["proof"].items():
        assert hashlib.sha256((ran / name).read_bytes()).hexdigest() == sha256
    program = next(ran.glob("*.proof.py")).read_text()
    assert found in program  # the program checks the very hash that the record holds


def test_another_knob_gives_other_numbers(run: Path) -> None:
    change(run, edits=[])  # words for people; what is done again stands under "again"
    assert {v.state for v in verify(run)} == {"equal"}
    knobs = json.loads((run / "run.json").read_text())["knobs"]
    change(run, knobs={**knobs, "block": knobs["block"] + 1})
    assert "differs" in {v.state for v in verify(run)}


def test_another_edit_gives_other_numbers(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    record["again"]["edits"] = []
    change(run, **record)
    states = {(v.name, v.field): v.state for v in verify(run)}
    assert states["capture/layer2.0.conv1", "maps"] == "differs"


def test_a_changed_file_is_damaged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "capture_layer2.0.conv1.npz"
    with np.load(path) as arrays:
        maps = arrays["maps"].copy()
    maps.flat[7] += 1e-6
    np.savez_compressed(path, maps=maps)
    assert main(["verify", str(run)]) == 1
    assert "damaged" in capsys.readouterr().out
    path.write_bytes(b"no zip")
    assert "damaged" in {v.state for v in verify(run)}


def test_a_hash_of_something_that_never_came_is_missing(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    record["artefacts"].append({"name": "no/such", "files": [], "sha256": {"values": "0"}})
    change(run, **record)
    assert ("no/such", "values", "missing") in {(v.name, v.field, v.state) for v in verify(run)}


def photo_run(folder: Path, photo: Path) -> Path:
    out = folder / "out"
    assert main(["run", "resnet", f"image={photo}", "--out", str(out)]) == 0
    return out


def test_a_missing_or_another_input_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import cv2

    photo = tmp_path / "a.png"
    pixels = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    cv2.imwrite(str(photo), pixels)
    out = photo_run(tmp_path, photo)
    moved = photo.rename(tmp_path / "b.png")
    assert main(["verify", str(out)]) == 2
    assert "give it as image=PATH" in capsys.readouterr().err
    assert main(["verify", str(out), f"image={moved}"]) == 0
    cv2.imwrite(str(photo), 255 - pixels)
    assert main(["verify", str(out)]) == 2
    assert "is not the input of this run" in capsys.readouterr().err
    assert main(["verify", str(out), f"picture={moved}"]) == 2


def test_code_of_a_stranger_s_run_does_not_run_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "net.py"
    model.write_text(NET)
    out = tmp_path / "out"
    assert main(["run", f"{model}:make", "--out", str(out), "--capture", "0"]) == 0
    mark = tmp_path / "ran"
    model.write_text(NET + f"\nopen({str(mark)!r}, 'w')\n")
    assert main(["verify", str(out)]) == 2
    assert "--run-code" in capsys.readouterr().err
    assert not mark.exists()
    assert main(["verify", str(out), "--run-code"]) == 0
    assert mark.exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no run.json"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no record of a run"),
        ('{"artefacts": [1]}', "no record of a run"),
        ('{"artefacts": []}', "before runs could be verified"),
    ],
)
def test_what_is_no_run_is_one_line(
    tmp_path: Path, text: str | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(VerifyError, match=says):
        read_record(tmp_path)
    assert main(["verify", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_prove_wants_a_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "resnet", "--out", str(tmp_path / "out"), "--prove"]) == 2
    assert "--capture" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_over_a_clip_is_verified_too(tmp_path: Path) -> None:
    from explorer.core.paths import assets

    out = tmp_path / "out"
    clip = str(assets() / "drift.mp4")
    words = ["run", "resnet", clip, "--frames", "3", "--every", "2", "--out", str(out)]
    assert main([*words, "--capture", "layer1.0.conv1"]) == 0
    assert {v.state for v in verify(out)} == {"equal"}
    record = json.loads((out / "run.json").read_text())
    assert record["again"]["inputs"]["image"]["kind"] == "sample"
    record["again"]["frames"] = 2
    change(out, **record)
    assert "differs" in {v.state for v in verify(out)}


def test_instruments_are_verified_and_their_code_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["run", "resnet", "--out", str(out), "--inspect", "gram"]
    assert main([*words, "--set", "gram.layer=layer2.0.conv1"]) == 0
    found = list(verify(out))
    assert {v.state for v in found} == {"equal"}
    assert any(v.name.startswith("inspect-gram/") for v in found)
    record = json.loads((out / "run.json").read_text())
    record["again"]["instruments"] = {"worlds": {"model": f"{tmp_path}/evil.py:make"}}
    change(out, **record)
    capsys.readouterr()
    assert main(["verify", str(out)]) == 2
    assert "--run-code" in capsys.readouterr().err
