"""Edits as data: how they are written, kept in a file, and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.core.stores.edit_files import LARGEST, EditFileError, load_edits, save_edits
from explorer.editing import END, Edit, EditError, Mask, as_record, edit_of, of_record

PAINTED = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))
REGION = st.tuples(st.integers(0, 9), st.integers(1, 9), st.integers(0, 9), st.integers(1, 9)).map(
    lambda c: (c[0], c[0] + c[1], c[2], c[2] + c[3])
)
EDITS = st.builds(
    Edit,
    st.sampled_from(["layer3", "layer2.0.conv1", "_blocks.7"]),
    st.lists(st.integers(0, 600), max_size=5, unique=True).map(tuple),
    st.sampled_from(["zero", "scale", "add", "replace", "clamp", "freeze"]),
    st.floats(-9, 9, width=32),
    st.floats(10, 20, width=32),
    st.none() | REGION,
    st.booleans(),
    st.none() | PAINTED.map(Mask.of),
    st.integers(-1, 400),
)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("layer3:5=zero", Edit("layer3", (5,))),
        ("layer3:5,7-9=scale:2", Edit("layer3", (5, 7, 8, 9), "scale", 2.0)),
        ("layer3:*=clamp:-1,1", Edit("layer3", (), "clamp", -1.0, 1.0)),
        ("layer3:5[1:3, 0:2]=add:1", Edit("layer3", (5,), "add", 1.0, region=(1, 3, 0, 2))),
        ("attn:2[4, 7]=replace:0.5", Edit("attn", (2,), "replace", 0.5, region=(4, 5, 7, 8))),
        ("tokens[3, :]=zero", Edit("tokens", region=(3, 4, 0, END))),
        ("tokens[:, 5]=zero", Edit("tokens", region=(0, END, 5, 6))),
        ("tokens:*[2:, :4]=zero", Edit("tokens", region=(2, END, 0, 4))),
        ("layer3:5=freeze:12", Edit("layer3", (5,), "freeze", moment=12)),
        ("layer3:*=freeze", Edit("layer3", (), "freeze")),
    ],
)
def test_edits_as_a_person_writes_them(text: str, edit: Edit) -> None:
    assert edit_of(text) == edit
    assert edit_of(edit.written()) == edit


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("layer3=zero", "write LAYER:UNIT=zero"),
        ("layer3:5", "write LAYER:UNIT=zero"),
        ("layer3:5=scale", "write LAYER:UNIT=zero"),
        ("layer3:5=clamp:1", "write LAYER:UNIT=zero"),
        ("layer3:5=squash:1", "write LAYER:UNIT=zero"),
        ("layer3:x=zero", "write LAYER:UNIT=zero"),
        ("layer3:5[1:2]=zero", "write LAYER:UNIT=zero"),
        ("layer3:5[1:2, a]=zero", "write LAYER:UNIT=zero"),
        ("layer3:5=freeze:soon", "write LAYER:UNIT=zero"),
        ("layer3:5[3:3, :]=zero", "holds no cell"),
        ("layer3:5=clamp:2,1", "wrong way round"),
        ("layer3:5=scale:inf", "finite"),
        ("layer3:5=replace:nan", "finite"),
        ("layer3:0-99999=zero", "more than 65,536 units"),
    ],
)
def test_edits_written_wrongly_are_one_line(text: str, says: str) -> None:
    with pytest.raises(EditError, match=says) as caught:
        edit_of(text)
    assert "\n" not in str(caught.value)


def test_the_words_of_the_list() -> None:
    assert Edit("layer2.3.act3", (137,)).text() == "layer2.3.act3 #137 × 0"
    assert Edit("a", (5, 6, 20, 21, 22)).text() == "a #5,6,20-22 × 0"
    assert Edit("a", op="freeze", moment=12).text() == "a all units held at 12"
    assert Edit("a", region=(3, 4, 0, END)).text() == "a all units [3, :] × 0"
    mask = Mask.of(np.eye(4, dtype=bool))
    assert Edit("a", (1,), mask=mask).text() == "a #1 painted 4 cells × 0"


@given(PAINTED)
def test_a_mask_holds_what_was_painted(painted: Any) -> None:
    mask = Mask.of(painted)
    assert (mask.array() == painted).all()
    assert mask.count == np.count_nonzero(painted)
    assert Mask.of(mask.array()) == mask


@given(EDITS)
def test_json_gives_back_the_very_edit(edit: Edit) -> None:
    assert of_record(json.loads(json.dumps(as_record(edit)))) == edit


@given(EDITS.filter(lambda e: e.mask is None and e.on))
def test_what_is_written_is_read_as_the_same_change(edit: Edit) -> None:
    again = edit_of(edit.written())
    assert again.text() == edit.text()
    assert (again.point, again.units, again.region) == (edit.point, edit.units, edit.region)


def test_a_file_of_edits_comes_back_whole(tmp_path: Path) -> None:
    mask = Mask.of(np.tri(5, dtype=bool))
    edits = (Edit("a", (1,), mask=mask), Edit("b", op="scale", value=0.1, on=False))
    save_edits(tmp_path / "e.json", edits, "resnet")
    assert load_edits(tmp_path / "e.json") == edits
    assert [p.name for p in tmp_path.iterdir()] == ["e.json"]


def file_of(*records: object, **more: object) -> str:
    return json.dumps({"layerscope": "edits 1", "engine": "", "edits": list(records), **more})


MASKED = {"point": "a", "mask": {"size": [2, 2], "runs": [1, 2]}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("[" * 5000, "no JSON"),
        ("[]", 'no "layerscope"'),
        ('{"layerscope": "session 1"}', 'no "layerscope"'),
        (file_of(edit=1), "unknown key 'edit'"),
        ('{"layerscope": "edits 1", "edits": {}}', "must be a list"),
        (file_of(*[{"point": "a"}] * 1001), "at most 1000"),
        (file_of({"point": "a"}, 3), "edit 2: an edit is an object, not int"),
        (file_of({"op": "zero"}), "edit 1: 'point' is missing"),
        (file_of({"point": "a", "unit": 3}), "unknown key 'unit'"),
        (file_of({"point": "a", "units": 3}), "a list of whole numbers, not 3"),
        (file_of({"point": "a", "units": [True]}), "a whole number, not True"),
        (file_of({"point": "a", "units": [-1]}), "count from 0"),
        (file_of({"point": "a", "op": "eval"}), "one of zero, scale"),
        (file_of({"point": "a", "op": "scale", "value": "2"}), "a number, not '2'"),
        (file_of({"point": "a", "op": "scale", "value": 10**400}), "a number, not"),
        (file_of({"point": "a", "op": "add", "value": float("nan")}), "finite numbers"),
        (file_of({"point": "a", "region": [0, 1]}), "four whole numbers"),
        (file_of({"point": "a", "on": "yes"}), "true or false"),
        (file_of(MASKED), "add up to 3, not 4"),
        (file_of({"point": "a", "mask": {"size": [9**9, 9**9], "runs": []}}), "a mask of"),
        ("x" * (LARGEST + 1), "over 1 MiB"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "edits.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EditFileError) as caught:
        load_edits(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith("edits.json: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(EditFileError, match=r"gone\.json: No such file"):
        load_edits(tmp_path / "gone.json")
