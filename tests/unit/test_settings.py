"""Settings on disk: what is written comes back, and no file however broken stops a start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from explorer.app.settings import FORMAT, VERSION, Layout, Settings


def write(path: Path, **members: Any) -> None:
    data = {"format": FORMAT, "version": VERSION, **members}
    path.write_text(json.dumps(data), encoding="utf-8")


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "deep" / "settings.json")
    settings.values.theme = "light"
    settings.values.layouts["mine@classify"] = Layout(b"\x00\xff", b"\x01")
    settings.values.shortcuts = {"freeze": "Ctrl+J"}
    settings.values.reduced_motion = True
    settings.add_recent("/a/Foto ü.png")
    assert settings.save()
    again = Settings(settings.path)
    assert again.message == ""
    assert again.values == settings.values


@pytest.mark.parametrize(
    "content", [b"", b"{ no JSON", b"[1, 2]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}']
)
def test_a_file_that_is_not_ours_is_kept_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    settings = Settings(path)
    assert "start afresh" in settings.message
    assert settings.values == Settings(tmp_path / "none.json").values
    assert (tmp_path / "settings.json.broken").read_bytes() == content


def test_one_broken_member_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    good = {"state": "AA==", "geometry": "AA==", "version": 1}
    write(path, theme="pink", engine="vgg", recent="x", hint_seen=True,
          layouts={"a@vgg": {"state": "%"}, "b@vgg": good}, shortcuts={"play": 3, "run": "F9"},
          ticked={"vgg": ["features.3"], "classify": "all"}, knobs={"vgg": []})  # fmt: skip
    settings = Settings(path)
    values = settings.values
    assert (values.theme, values.engine, values.recent, values.hint_seen) == ("dark", "vgg", [], 1)
    assert values.layouts == {"b@vgg": Layout(b"\0", b"\0", 1)}
    assert values.shortcuts == {"run": "F9"}
    assert values.ticked == {"vgg": ["features.3"]}
    assert values.knobs == {}
    for part in ("neither dark nor light", "recent", "a@vgg", "play", "classify", "knobs"):
        assert part in settings.message
    assert (tmp_path / "settings.json.broken").exists()


def test_a_newer_version_is_read_as_far_as_it_is_known_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    write(path, version=VERSION + 1, theme="light", holograms=True)
    before = path.read_bytes()
    settings = Settings(path)
    assert settings.values.theme == "light"
    assert "newer version" in settings.message
    assert settings.save()
    assert (tmp_path / f"settings.json.version-{VERSION + 1}").read_bytes() == before
    assert Settings(path).message == ""


@pytest.mark.parametrize("version", [0, -1, "2", None, 1.5, True])
def test_a_version_that_is_none_is_refused(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "settings.json"
    write(path, version=version, theme="light")
    settings = Settings(path)
    assert settings.values.theme == "dark"
    assert "version" in settings.message


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "settings.json").mkdir()
    settings = Settings(tmp_path / "settings.json")
    assert "could not be read" in settings.message
    assert not settings.save()
    assert "not saved" in settings.message
