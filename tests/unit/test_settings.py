"""Settings survive a restart, and no file of whatever content stops a start."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.app.settings import (
    FORMAT,
    LAYOUT_VERSION,
    VERSION,
    Layout,
    Remembered,
    Settings,
    folder,
)


def test_everything_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    first = Settings(path)
    values = first.values
    values.theme, values.engine, values.hint_seen, values.torch_threads = "light", "style", True, 3
    values.layouts["mine"] = Layout(b"\x00\xffstate", b"\x01geometry")
    values.shortcuts["export"] = "Ctrl+J"
    values.sources["style"] = {"image": "/pictures/Zürich.png"}
    values.ticked["style"] = ["conv1", "conv2"]
    values.knobs["style"] = {"weight": 2.5, "latent": (0.1, 0.2)}
    first.add_recent("/pictures/Zürich.png")
    assert first.save()
    again = Settings(path)
    assert again.message == ""
    assert again.values.theme == "light"
    assert again.layout("mine") == Layout(b"\x00\xffstate", b"\x01geometry")
    assert again.values.sources == values.sources
    assert again.values.ticked == values.ticked
    assert again.values.knobs["style"] == {"weight": 2.5, "latent": [0.1, 0.2]}
    assert again.values.recent == ["/pictures/Zürich.png"]
    assert again.values.hint_seen
    assert [p.name for p in path.parent.iterdir()] == ["settings.json"]


def test_the_home_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAYERSCOPE_HOME", str(tmp_path))
    assert folder() == tmp_path
    monkeypatch.delenv("LAYERSCOPE_HOME")
    assert folder().name == "layerscope"


def test_recent_items_are_few_and_without_double(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "s.json")
    for n in [*range(20), 15]:
        settings.add_recent(str(n))
    assert settings.values.recent[:3] == ["15", "19", "18"]
    assert len(settings.values.recent) == len(set(settings.values.recent)) == 12


GOOD = {"format": FORMAT, "version": VERSION}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b'{"theme": "dark"}', b"[" * 100_000,
        json.dumps({**GOOD, "theme": "pink"}).encode(),
        json.dumps({**GOOD, "recent": [1]}).encode(),
        json.dumps({**GOOD, "hint_seen": "yes"}).encode(),
        json.dumps({**GOOD, "sources": {"a": ["b"]}}).encode(),
        json.dumps({**GOOD, "layouts": {"a": {"state": "%", "version": 1}}}).encode(),
    ],
)  # fmt: skip
def test_a_broken_or_foreign_file_is_kept_aside_and_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    settings = Settings(path)
    assert settings.values == Remembered()
    assert "settings.json.broken" in settings.message
    assert (tmp_path / "settings.json.broken").read_bytes() == content
    assert settings.save()
    assert Settings(path).message == ""


def write(path: Path, **members: Any) -> None:
    path.write_text(json.dumps({**GOOD, **members}), encoding="utf-8")


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


def test_a_layout_of_other_docks_is_left_out(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "s.json")
    settings.values.layouts["old"] = Layout(b"x", b"y", LAYOUT_VERSION + 1)
    settings.save()
    assert Settings(tmp_path / "s.json").layout("old") is None


def test_an_unwritable_folder_is_told_and_harmless(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    settings = Settings(blocked / "settings.json")
    assert not settings.save()
    assert "not saved" in settings.message


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.json"
    settings = Settings(path)
    settings.values.engine = "one"
    settings.save()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    settings.values.engine = "two"
    monkeypatch.setattr(os, "replace", fail)
    assert not settings.save()
    assert "No space left" in settings.message
    monkeypatch.undo()
    assert Settings(path).values.engine == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Remembered.__slots__)), JSON, max_size=4))
def test_no_content_stops_the_start(
    tmp_path_factory: pytest.TempPathFactory, members: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("s") / "settings.json"
    path.write_text(json.dumps({**GOOD, **members}))
    settings = Settings(path)
    assert settings.save()
