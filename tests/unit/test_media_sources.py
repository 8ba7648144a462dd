"""What a file is, folders, texts, other files, and the door that takes whatever a slot is given."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from explorer.core import paths
from explorer.core.media import (
    Clip,
    MediaError,
    assets,
    fits,
    natural,
    read_file,
    read_folder,
    read_input,
    read_text,
    sample_inputs,
    sniff,
)  # fmt: skip
from explorer.core.registry import Row, table
from explorer.inputs import FileInput, FolderInput, ImageInput, TextInput

PHOTO = assets() / "chelsea.png"


def test_sniff_goes_by_content_before_suffix(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_bytes(PHOTO.read_bytes())
    (tmp_path / "clip.png").write_bytes((assets() / "bunny.mp4").read_bytes())
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "weights.txt")
    torch.save({"a": torch.zeros(3)}, tmp_path / "new.dat")
    torch.save({"a": torch.zeros(3)}, tmp_path / "old.dat", _use_new_zipfile_serialization=False)
    with pytest.deprecated_call():
        torch.jit.script(torch.nn.ReLU()).save(str(tmp_path / "script.dat"))
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(1),))
    torch.export.save(program, tmp_path / "program.pt2")
    (tmp_path / "net.py").write_text("import torch\n")
    (tmp_path / "note").write_text("größer", encoding="utf-8")
    (tmp_path / "wide.dat").write_bytes("wide".encode("utf-16"))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    found = {file.name: sniff(file) for file in tmp_path.iterdir()}
    assert found == {
        "photo.txt": "image", "clip.png": "clip", "weights.txt": "weights", "new.dat": "weights",
        "old.dat": "weights", "script.dat": "model", "program.pt2": "model", "net.py": "model",
        "note": "text", "wide.dat": "text", "other.zip": "unknown",
    }  # fmt: skip
    assert sniff(tmp_path) == "folder"


@pytest.mark.parametrize(("name", "expected"), [
    ("broken.jpg", "image"), ("broken.MP4", "clip"), ("broken.pt", "weights"),
    ("broken.xyz", "unknown"),
])  # fmt: skip
def test_sniff_falls_back_on_the_suffix(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / name).write_bytes(b"\0\x01\x02\x03" * 75)
    assert sniff(tmp_path / name) == expected


def test_sniff_of_what_is_not_there_or_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert sniff(tmp_path / "gone.png") == "unknown"
    assert sniff(tmp_path / "pipe.png") == "unknown"  # and does not wait for a writer
    assert sniff("nul\0.png") == "unknown"


def test_every_sample_is_what_it_seems() -> None:
    found = {file.name: sniff(file) for file in assets().iterdir() if file.is_file()}
    for name, kind in found.items():
        suffix = name.rpartition(".")[2]
        expected = {"png": "image", "jpg": "image", "mp4": "clip"}.get(suffix, "text")
        assert kind == expected, name


def test_fits() -> None:
    assert fits("image", "image")
    assert fits("image", "clip")
    assert not fits("image", "text")
    assert fits("clip", "clip")
    assert not fits("clip", "image")
    assert fits("text", "text")
    assert fits("folder", "folder")
    assert fits("file.pt2", "model")
    assert not fits("file", "folder")
    assert not fits("nonsense", "image")


# ---- folders


def test_a_mixed_folder_gives_its_pictures_in_natural_order(tmp_path: Path) -> None:
    for name in ("frame10.png", "frame9.png", "Frame1.PNG", "photo.dat", "sub/frame2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PHOTO.read_bytes())
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "liar.jpg").write_bytes(b"plain words")
    (tmp_path / "clip.mp4").write_bytes((assets() / "drift.mp4").read_bytes())
    (tmp_path / ".hidden.png").write_bytes(PHOTO.read_bytes())
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe.png")
    folder = read_folder(tmp_path)
    names = [str(file.relative_to(tmp_path)) for file in folder.files]
    assert names == ["Frame1.PNG", "frame9.png", "frame10.png", "photo.dat", "sub/frame2.png"]
    assert set(folder.skipped) == {
        "notes.txt", "empty.png", "liar.jpg", "clip.mp4", "dangling.png", "pipe.png",
    }  # fmt: skip


def test_natural_order() -> None:
    names = ["a10", "a2", "a1b3", "a1b20", "A3", "10", "9", "b", "a٣", "a²"]
    assert sorted(names, key=natural)[:7] == ["9", "10", "a1b3", "a1b20", "a2", "A3", "a10"]


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no picture in this folder, nothing"):
        read_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(MediaError, match="no picture in this folder, 1 other file"):
        read_folder(tmp_path)
    with pytest.raises(MediaError, match="no such folder"):
        read_folder(tmp_path / "gone")
    with pytest.raises(MediaError, match="not a folder"):
        read_folder(tmp_path / "notes.txt")


# ---- texts and other files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_in_its_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("Größe – naïve\r\nzwei".encode(encoding))
    found = read_text(path)
    assert found.text == "Größe – naïve\nzwei"
    assert found.name == "text.txt"
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("content", "cause"), [
    (b"", "empty"), (b"\x89PNG\r\n\x1a\n\0\0\0\0", "not a text"), (b"a" * 1_000_001, "larger than"),
    (b"\xff\xfe\x00", "not a text"),
])  # fmt: skip
def test_what_is_no_text(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=cause):
        read_text(path)


def test_read_file_checks_suffix_and_content(tmp_path: Path) -> None:
    path = tmp_path / "net.PT2"
    path.write_bytes(b"abc")
    assert read_file(path, (".pt2",)) == FileInput(path, hashlib.sha256(b"abc").hexdigest())
    assert read_file(path).path == path
    with pytest.raises(MediaError, match=r"net\.PT2: 3 bytes, of the wrong type\. .* \.py"):
        read_file(path, (".py",))
    path.write_bytes(b"")
    with pytest.raises(MediaError, match="empty"):
        read_file(path)
    with pytest.raises(MediaError, match="no such file"):
        read_file(tmp_path / "gone")


# ---- the one door


def test_read_input_by_slot_type(tmp_path: Path) -> None:
    image = read_input("image", str(PHOTO))
    assert isinstance(image, ImageInput)
    assert image.pixels.shape == (300, 451, 3)
    clip = read_input("image", assets() / "drift.mp4")
    assert isinstance(clip, Clip)
    clip.close()
    folder = read_input("folder", assets())
    assert isinstance(folder, FolderInput)
    (tmp_path / "text.txt").write_text("from a file")
    assert read_input("text", tmp_path / "text.txt").text == "from a file"
    assert read_input("text", str(tmp_path / "text.txt")).text == "from a file"
    assert isinstance(read_input("file.txt", tmp_path / "text.txt"), FileInput)


@pytest.mark.parametrize("text", ["c9k8j3f1??c", "", "a" * 100_000, "nul\0nul", "/no/such/file"])
def test_a_text_slot_takes_the_text_itself(text: str) -> None:
    found = read_input("text", text)
    assert isinstance(found, TextInput)
    assert found.text == text


@pytest.mark.parametrize(("slot", "value", "cause"), [
    ("image", "gone.png", "no such file"), ("image", str(assets()), "a folder, not a picture"),
    ("image", "camera:99", "camera 99"), ("clip", str(PHOTO), "a still picture"),
    ("folder", str(PHOTO), "not a folder"), ("file.pt2", str(PHOTO), "of the wrong type"),
    ("image", __file__, "a model, not a picture"), ("nonsense", "x", "unknown"),
    ("text", "a" * 1_000_001, "too long"),
])  # fmt: skip
def test_a_wrong_input_is_one_line(slot: str, value: str, cause: str) -> None:
    with pytest.raises(MediaError, match=cause) as caught:
        read_input(slot, value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_sample_inputs_are_files_in_assets_or_the_text() -> None:
    slots = {"image": "image", "text": "text", "more": "image"}
    sample = {"image": "chelsea.png", "text": "a1b2??a"}
    row = Row("demo", "", "Demo", "Test", inputs=slots, sample=sample)
    found = sample_inputs(row)
    assert found["image"].name == "chelsea.png"
    assert found["text"].text == "a1b2??a"
    assert set(found) == {"image", "text"}
    with pytest.raises(MediaError, match=r"gone\.png"):
        sample_inputs(
            Row("x", "", "x", "x", inputs={"image": "image"}, sample={"image": "gone.png"})
        )


@pytest.mark.parametrize("name", [name for name, row in table().items() if row.sample])
def test_the_sample_of_every_engine_opens(name: str) -> None:
    for value in sample_inputs(table()[name]).values():
        if isinstance(value, Clip):
            value.close()


def test_user_folders_follow_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    assert [paths.cache(), paths.data(), paths.config()] == [
        tmp_path / "cache", tmp_path / "data", tmp_path / "config",
    ]  # fmt: skip
    monkeypatch.delenv(paths.HOME)
    assert {p.is_absolute() for p in (paths.cache(), paths.data(), paths.config())} == {True}
    assert all("layerscope" in str(p) for p in (paths.cache(), paths.data(), paths.config()))


def test_a_header_that_lies_about_lengths_is_no_trap(tmp_path: Path) -> None:
    path = tmp_path / "loop.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + struct.pack("<HI", 0, 8))  # points at itself
    with pytest.raises(MediaError, match="0 × 0"):
        read_input("image", path)
    (tmp_path / "long.json").write_text(json.dumps(list(range(9))))
    assert sniff(tmp_path / "long.json") == "text"
