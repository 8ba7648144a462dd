"""Session files: what is written comes back, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.core.stores.session_file import (
    LARGEST,
    SavedInput,
    SavedSession,
    SessionFileError,
    as_json,
    read,
    write,
)
from explorer.editing import Edit, Mask

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(-1e300, 1e300)
NAMES = st.text(
    st.characters(min_codepoint=32, exclude_categories=("Cs",)), min_size=1, max_size=12
)
KNOBS = st.dictionaries(
    NAMES, NUMBERS | st.booleans() | NAMES | st.lists(st.tuples(NUMBERS, NUMBERS)).map(tuple),
    max_size=4,
)  # fmt: skip
SESSIONS = st.builds(
    SavedSession,
    engine=NAMES,
    seed=st.integers(0, 2**31),
    inputs=st.dictionaries(
        NAMES,
        st.sampled_from([
            SavedInput("sample"), SavedInput("text", "c9k8\n??c", "a" * 64),
            SavedInput("camera", "camera:0"), SavedInput("file", "/pictures/süß.png", "0" * 64),
        ]),
        max_size=2,
    ),
    knobs=KNOBS,
    layers=st.lists(NAMES, max_size=3).map(tuple),
    layer=NAMES,
    units=st.dictionaries(NAMES, st.integers(0, 10**6), max_size=2),
    edits=st.sampled_from([
        (), (Edit("a", (1, 2), "scale", 2.5, region=(0, 1, 2, 3), on=False),
             Edit("b", mask=Mask(2, 2, (1, 3)))),
    ]),
    instruments=st.dictionaries(NAMES, KNOBS, max_size=2),
    state=st.binary(max_size=40),
    geometry=st.binary(max_size=40),
)  # fmt: skip


@given(SESSIONS)
def test_what_is_written_comes_back(tmp_path_factory: Any, session: SavedSession) -> None:
    path = tmp_path_factory.mktemp("s") / "a.layerscope"
    write(session, path)
    assert read(path) == session
    assert as_json(read(path)) == path.read_text(encoding="utf-8")


def good(**changes: Any) -> str:
    return json.dumps({**json.loads(as_json(SavedSession("classify"))), **changes})


def file(where: object, **more: object) -> dict[str, Any]:
    return {"inputs": {"image": {"kind": "file", "where": where, **more}}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no session file"),
        ('{"format": "else"}', "no session file"),
        (good(version=2), "version 2"),
        (good(version="1"), "version '1'"),
        (good(version=True), "version True"),
        (good(engine=""), "no engine"),
        (good(engine=3), "'engine' must be a text"),
        (good(engin="classify"), "did you mean|unknown entry"),
        (good(seed=1.5), "'seed' must be a whole number"),
        (good(seed=2**70), "'seed' must be a whole number"),
        (good(layers="conv1"), "'layers' must be a list"),
        (good(layers=[1]), "'layers' must be a text"),
        (good(layers=["a"] * 5000), "'layers' must be a list"),
        (good(knobs=[]), "'knobs' must be an object"),
        (good(knobs={"gain": {"a": 1}}), "'knobs.gain' must be a number"),
        (good().replace('"seed": 0', '"seed": NaN'), "no JSON"),
        (good(knobs={"gain": 1}).replace('"gain": 1', '"gain": 1e999'), "'knobs.gain'"),
        (good(units={"a": "b"}), "'units.a'"),
        (good(edits=[{"point": "a", "op": "melt"}]), "edits: 'op'"),
        (good(edits=[{"op": "zero"}]), "edits: 'point'"),
        (good(state="§"), "'state' must be base64"),
        (good(state=5), "'state' must be base64"),
        (good(instruments={"gram": []}), "'instruments.gram' must be an object"),
        (good(inputs={"image": "x.png"}), "'inputs.image' must be an object"),
        (good(inputs={"image": {"kind": "shell", "where": "x"}}), "'inputs.image.kind'"),
        (good(inputs={"image": {"kind": "camera", "where": "/dev/video0"}}), "a camera such as"),
        (good(**file("a.png", sha256="123")), "64 hexadecimal"),
        (good(**file("")), "is no path"),
        (good(**file("a\x00.png")), "is no path"),
        (good(**file("x" * 5000)), "is no path"),
        (good(**file("/dev/zero")), "is no picture"),
        (good(**file("/proc/self/mem")), "is no picture"),
        (good(**file("/tmp/../dev/zero")), "is no picture"),
        (good(**file("../../etc/passwd")), "leads out of"),
        (good(**file("\\\\host\\share\\a.png")), "another computer"),
        (good(**file("//host/share/a.png")), "another computer"),
        (good(**file("http://host/a.png")), "another computer"),
        (good(**file("file:///a.png")), "another computer"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.layerscope"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SessionFileError, match=says) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith("bad.layerscope: ")
    assert "\n" not in message
    assert len(message) < 300


def test_huge_binary_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.layerscope"
    with pytest.raises(SessionFileError, match="no such file"):
        read(path)
    with pytest.raises(SessionFileError, match="is no file"):
        read(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SessionFileError, match="no UTF-8"):
        read(path)
    with path.open("wb") as sparse:
        sparse.truncate(100 * LARGEST)
    with pytest.raises(SessionFileError, match="8 MiB"):
        read(path)


def test_a_path_beside_the_file_moves_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.layerscope"
    path.write_text(good(**file("pictures/cat.png")), encoding="utf-8")
    assert read(path).inputs["image"].where == str(tmp_path / "pictures" / "cat.png")


def test_an_unwritable_folder_is_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(SessionFileError, match="choose another folder"):
        write(SavedSession("a"), blocked / "a.layerscope")
    path = tmp_path / "a.layerscope"
    write(SavedSession("a"), path)
    with pytest.raises(SessionFileError, match="cannot write"):
        write(SavedSession("b", knobs={"gain": float("nan")}), path)
    assert read(path).engine == "a"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.layerscope", "file"]


def test_the_question_names_what_was_open() -> None:
    inputs = {"image": SavedInput("file", "/pictures/cat.png")}
    edits = (Edit("a"), Edit("b"))
    assert SavedSession("vgg", inputs=inputs, edits=edits).words() == "vgg on cat.png, 2 edits"
    assert SavedSession("model", model="/models/net.py:make").words() == "net.py"


def test_the_command_line_opens_a_session_and_refuses_what_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from explorer.cli import main

    opened: list[list[str]] = []

    def start(paths: list[str], **_: Any) -> int:
        opened.append(list(paths))
        return 0

    monkeypatch.setattr("explorer.app.start.start", start)
    path = tmp_path / "a.layerscope"
    write(SavedSession("classify"), path)
    assert main(["open", str(path)]) == 0
    assert main([str(path)]) == 0
    assert opened == [[str(path)], [str(path)]]
    path.write_text("{}")
    assert main(["open", str(path)]) == 2
    assert main(["open", str(tmp_path / "none.layerscope")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert len(opened) == 2


def test_all_code_is_named_and_engines_are_none() -> None:
    instruments = {"worlds": {"model": "b.py:make"}, "gram": {"layer": "conv1"}}
    assert SavedSession("model", model="a.py", instruments=instruments).code() == (
        "a.py", "b.py:make",
    )  # fmt: skip
    assert SavedSession("vgg", instruments={"worlds": {"model": "resnet"}}).code() == ()
