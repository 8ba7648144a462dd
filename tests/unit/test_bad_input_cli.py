"""What bad input gets on the command line: one line, the right exit code, nothing written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from explorer.cli import main
from explorer.core.paths import assets, cache

Refuse = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Run a command that must fail with ``code``; its one line on stderr.

    ``OUT`` among the words is a folder that must not come to be.
    """

    def do(*words: str, code: int = 2) -> str:
        out = tmp_path / "must-not-be"
        capsys.readouterr()
        assert main([str(out) if word == "OUT" else word for word in words]) == code
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert line.startswith("layerscope: ")
        assert not out.exists()
        return line

    return do


def photo(name: str = "coffee.png") -> str:
    return str(assets() / name)


# -- words


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("rnu classify", "did you mean run?"),
        ("run clasify --out OUT", "unknown engine 'clasify'; did you mean classify"),
        ("layers resent", "did you mean resnet"),
        ("run qqqq --out OUT", "known: classify, vgg, resnet"),
        ("run classify", "--out"),
        ("run --out OUT", "MODEL"),
        ("run classify --out OUT --fast", "--fast"),
        ("run classify --out OUT --set tpo=3", "unknown knob 'tpo'; did you mean top"),
        ("run classify --out OUT --set top", "write it as knob=value"),
        ("run classify --out OUT --set top=999", "outside 1 to 20"),
        ("run classify --out OUT --set top=many", "'many' is no integer"),
        ("run classify --out OUT --set fit=corp", "did you mean crop"),
        ("run classify --out OUT --capture _conv_stemm", "did you mean _conv_stem"),
        ("run classify --out OUT --capture evidenc/x", "did you mean evidence"),
        ("run classify --out OUT --edit _conv_sten:0=zero", "did you mean _conv_stem"),
        ("run classify --out OUT --edit _conv_stem=zero", "write LAYER:UNIT=zero"),
        ("run classify --out OUT --edit _conv_stem:0=scale", "write LAYER:UNIT=zero"),
        ("run classify --out OUT --edit _conv_stem:0=clamp:1", "write LAYER:UNIT=zero"),
        ("run classify --out OUT --edit _conv_stem:a=zero", "write LAYER:UNIT=zero"),
        ("run classify --out OUT --edit _conv_stem:0[3:3,:]=zero", "holds no cell"),
        ("run classify --out OUT --edit _conv_stem:0=scale:nan", "finite"),
        ("run classify --out OUT --edits gone.json", "gone.json: No such file"),
        ("run classify --out OUT --edits PHOTO", "no JSON"),
        ("run classify --out OUT --edit _conv_stem:0=squash:2", "write LAYER:UNIT=zero"),
        ("run classify --out OUT --device tpu", "use auto, cpu or cuda"),
        ("run classify --out OUT --device cuda:77", "not here"),
        ("run classify --out OUT --steps 0", "0 is not 1 or more"),
        ("run classify --out OUT --frames -1", "--frames"),
        ("run classify --out OUT --seed x", "--seed"),
        ("run classify gone.png --out OUT", "gone.png"),
        ("run classify imag=x.png --out OUT", "unknown input 'imag'; did you mean image"),
        ("run classify PHOTO PHOTO --out OUT", "one too many: engine 'classify' takes image"),
        ("run dcgan PHOTO --out OUT", "one too many: engine 'dcgan' takes no input"),
        ("run gone.py:make --out OUT", "there is no such file"),
        ("run no_such_module:make --out OUT", "cannot be imported"),
        ("train classify --out OUT", "has no training"),
        ("train fast-weights --out OUT --resume gone.safetensors", "gone.checkpoint"),
        ("train fast-weights --out w.checkpoint", "name the file of the weights"),
        ("evaluate vgg TMP", "has no metric"),
        ("evaluate classify gone", "there is no such folder"),
        ("evaluate classify TMP --out OUT", "no pictures in sub-folders"),
        ("weights fetch vgg16-hedd", "did you mean vgg16-hed"),
        ("weights fetch", "which?"),
        ("weights import vgg16", "NAME FILE"),
        ("weights import vgg16 gone.pth", "gone.pth"),
        ("weights forget vgg16", "forget"),
        ("shot picture.jpg", "name it OUT.png"),
        ("shot picture.png --size big", "1440x900"),
    ],
)
def test_wrong_words_are_named_with_what_would_be_right(
    refused: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = words.replace("PHOTO", photo()).replace("TMP", str(tmp_path)).split()
    assert says in refused(*given)
    assert [p.name for p in tmp_path.iterdir()] in ([], ["home"])


# -- files


def _png() -> bytes:
    return Path(photo()).read_bytes()


BAD_FILES: dict[str, Callable[[], bytes]] = {
    "empty.png": lambda: b"",
    "cut.png": lambda: _png()[:200],
    "words.png": lambda: b"this is no picture\n" * 20,
    "cut.mp4": lambda: (assets() / "drift.mp4").read_bytes()[:400],
    "page.html": lambda: b"<html><body>404</body></html>",
    "noise.jpg": lambda: np.random.default_rng(0).bytes(5000),
    "weights.safetensors": lambda: (assets() / "weights/digits-plain-8.safetensors").read_bytes(),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_picture(refused: Refuse, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(BAD_FILES[name]())
    line = refused("run", "classify", str(path), "--out", "OUT", "--device", "cpu")
    assert name in line


def test_a_folder_where_a_picture_belongs(refused: Refuse, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    line = refused("run", "classify", str(folder), "--out", "OUT", "--device", "cpu")
    assert "a folder" in line


def test_a_header_of_twenty_thousand_pixels_a_side_is_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "huge.png", tmp_path / "out"
    assert cv2.imwrite(str(path), np.zeros((20_000, 20_000), np.uint8))
    code = main(["run", "classify", str(path), "--out", str(out), "--device", "cpu"])
    assert code in (0, 2)  # made smaller, or refused in one line; never a crash
    if code == 2:
        (line,) = capsys.readouterr().err.splitlines()
        assert "huge.png" in line
        assert not out.exists()
    else:
        facts = json.loads((out / "run.json").read_text("utf-8"))
        assert max(facts["artefacts"][0]["shape"]) < 20_000


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((1, 1, 3), 90, np.uint8),
        np.full((40, 30), 40_000, np.uint16),
        np.full((40, 30, 4), 90, np.uint8),
        np.full((2, 900, 3), 90, np.uint8),
    ],
    ids=["1x1", "16-bit", "alpha", "thin"],
)
def test_odd_pictures_are_pictures(tmp_path: Path, pixels: np.ndarray) -> None:
    path, out = tmp_path / "odd.png", tmp_path / "out"
    assert cv2.imwrite(str(path), pixels)
    assert main(["run", "classify", str(path), "--out", str(out), "--device", "cpu"]) == 0
    with np.load(out / "prediction_top_classes.npz") as stored:
        assert np.isfinite(stored["scores"]).all()


def test_a_damaged_file_of_weights_is_found_out(
    refused: Refuse, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "mine.safetensors"
    own.write_bytes((assets() / "weights/fast-weights-k4.safetensors").read_bytes())
    assert main(["weights", "import", "fast-weights-k4", str(own)]) == 0
    (kept,) = home.rglob("fast-weights-k4.safetensors")
    data = bytearray(kept.read_bytes())
    data[-5] ^= 1
    kept.write_bytes(data)
    line = refused("run", "fast-weights", "--out", "OUT", "--device", "cpu")
    assert "sha256" in line
    assert "import it again" in line
    assert main(["weights", "verify"]) == 2
    assert "damaged" in capsys.readouterr().out


def test_a_fetched_file_with_a_wrong_hash_is_not_loaded(refused: Refuse, home: Path) -> None:
    folder = home / "cache" / "weights"
    folder.mkdir(parents=True)
    (folder / "dcgan-faces-0c3b90b1.tar").write_bytes(bytes(14_322_251))  # of the right size
    line = refused("run", "dcgan", "--out", "OUT", "--device", "cpu")
    assert "expected 0c3b90b138cfc4e8" in line


class Bomb:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch EXPLODED",)


def test_a_pickle_that_would_run_code_runs_none(
    refused: Refuse, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bomb.pth"
    torch.save({"features.0.weight": Bomb()}, path)
    assert "bomb.pth" in refused("weights", "import", "vgg16", str(path))
    assert not (tmp_path / "EXPLODED").exists()


def test_weights_of_other_shapes_are_listed(refused: Refuse, home: Path) -> None:
    own = str(assets() / "weights/digits-plain-8.safetensors")
    line = refused("weights", "import", "fast-weights-k4", own)
    assert "does not fit" in line
    assert "embedding.weight" in line


# -- weights that are not here, engines that fail, folders that cannot be written


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("dcgan", "layerscope weights fetch dcgan-faces"),
        ("vgg --set weights=vgg19", "layerscope weights fetch vgg19"),
        ("resnet --set network=resnet50", "layerscope weights fetch resnet50"),
    ],
)
def test_missing_weights_exit_3_with_the_command_that_fetches(
    refused: Refuse, home: Path, words: str, command: str
) -> None:
    assert command in refused("run", *words.split(), "--out", "OUT", "--device", "cpu", code=3)


def test_an_engine_that_raises_exits_4_and_keeps_its_traceback(
    refused: Refuse, home: Path, tmp_path: Path
) -> None:
    code = (
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def forward(self, x):\n"
        "        raise ZeroDivisionError('in line four')\n"
    )
    (tmp_path / "bad.py").write_text(code, encoding="utf-8")
    line = refused("run", str(tmp_path / "bad.py"), "--out", "OUT", "--device", "cpu", code=4)
    assert "ZeroDivisionError: in line four" in line
    (log,) = (cache() / "logs").iterdir()
    assert str(log) in line
    text = log.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "raise ZeroDivisionError" in text


def test_an_engine_that_raises_late_leaves_nothing_half_written(
    refused: Refuse, home: Path, tmp_path: Path
) -> None:
    code = (
        "from torch import nn\n"
        "class Net(nn.Conv2d):\n"
        "    calls = 0\n"
        "    def __init__(self): super().__init__(3, 4, 3)\n"
        "    def forward(self, x):\n"
        "        Net.calls += 1\n"
        "        if Net.calls > 3: raise RuntimeError('third frame')\n"
        "        return super().forward(x)\n"
    )
    (tmp_path / "late.py").write_text(code, encoding="utf-8")
    words = ["run", str(tmp_path / "late.py"), photo("drift.mp4"), "--set", "size=32"]
    assert "third frame" in refused(*words, "--out", "OUT", "--device", "cpu", code=4)


@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_a_folder_that_cannot_be_made(refused: Refuse, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    out = f"{tmp_path / 'file'}{below}"
    line = refused("run", "fast-weights", "--out", out, "--device", "cpu")
    assert "cannot write to" in line
    assert "another folder" in line
    assert (tmp_path / "file").read_text(encoding="utf-8") == "in the way"


def test_a_training_finds_out_first_that_it_cannot_write(refused: Refuse, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    line = refused("train", "fast-weights", "--out", f"{tmp_path / 'file'}/w.safetensors")
    assert "cannot write to" in line


def test_what_an_earlier_run_wrote_stays_when_a_later_one_fails(
    refused: Refuse, tmp_path: Path
) -> None:
    out = tmp_path / "kept"
    assert main(["run", "fast-weights", "--out", str(out), "--device", "cpu"]) == 0
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    refused("run", "fast-weights", "a" * 2_000_000, "--out", str(out), "--device", "cpu")
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
