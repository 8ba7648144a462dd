"""Knobs: what is typed comes back as it was, what is wrong is named with what would be right."""

from __future__ import annotations

import json
import math
import string
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.core.registry import load, table
from explorer.params import (
    EFFECTS,
    KnobError,
    as_dict,
    check,
    coerce,
    effect_of,
    knob,
    knobs,
    unknown,
)


@dataclass(frozen=True, slots=True)
class Everything:
    """One knob of each kind."""

    decay: float = knob(0.95, low=0.0, high=1.0, effect="live", unit="a step")
    free: float = knob(0.0)
    steps: int = knob(8, low=1, high=64)
    mode: str = knob("crop", choices=("crop", "stretch", "letterbox"), effect="build")
    normed: bool = knob(True)
    words: str = knob("", effect="again")
    seed: int = knob(0, kind="seed", low=0)
    at: tuple[float, ...] = knob((1.0, 2.0), kind="point")
    box: tuple[float, ...] | None = knob(None, kind="box")
    path: tuple[Any, ...] = knob((), kind="points")
    brush: tuple[Any, ...] = knob((), kind="mask")
    latent: tuple[float, ...] = knob((0.0,) * 3, low=-3.0, high=3.0)


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
values = st.fixed_dictionaries(
    {},
    optional={
        "decay": st.floats(0, 1),
        "free": finite,
        "steps": st.integers(1, 64),
        "mode": st.sampled_from(("crop", "stretch", "letterbox")),
        "normed": st.booleans(),
        "words": st.text(),
        "seed": st.integers(0, 2**31),
        "at": st.tuples(finite, finite),
        "box": st.none() | st.tuples(*[finite] * 4),
        "path": st.lists(st.tuples(finite, finite)).map(tuple),
        "brush": st.lists(st.tuples(*[finite] * 4)).map(tuple),
        "latent": st.tuples(*[st.floats(-3, 3)] * 3),
    },
)


def typed(value: Any) -> str:
    """A value as a person would write it after ``--set knob=``."""
    if value is None:
        return "none"
    if not isinstance(value, tuple):
        return str(value)
    if value and isinstance(value[0], tuple):
        return ";".join(typed(row) for row in value)
    return ",".join(map(repr, value))


@given(values)
def test_values_come_back_as_they_were(given_values: dict[str, Any]) -> None:
    made = coerce(Everything, given_values)
    for name, value in given_values.items():
        assert getattr(made, name) == value
    for name in {f.name for f in fields(Everything)} - set(given_values):
        assert getattr(made, name) == getattr(Everything(), name)


@given(values)
def test_typed_text_gives_the_same_as_the_value(given_values: dict[str, Any]) -> None:
    text = {name: typed(value) for name, value in given_values.items()}
    assert coerce(Everything, text) == coerce(Everything, given_values)


@given(values)
def test_what_run_json_keeps_sets_the_same_knobs_again(given_values: dict[str, Any]) -> None:
    made = coerce(Everything, given_values)
    assert coerce(Everything, json.loads(json.dumps(as_dict(made)))) == made


@given(values, values)
def test_new_values_lie_over_the_ones_in_force(first: dict[str, Any], then: dict[str, Any]) -> None:
    base = coerce(Everything, first)
    assert coerce(Everything, then, base=base) == coerce(Everything, first | then)
    assert base == coerce(Everything, first)  # frozen: the old one is as it was


@given(finite)
def test_a_number_is_accepted_exactly_within_its_range(value: float) -> None:
    decay = knobs(Everything)["decay"]
    if 0 <= value <= 1:
        assert check(decay, value) == value
    else:
        with pytest.raises(KnobError, match=r"'decay'.*outside 0 to 1"):
            check(decay, value)


@given(finite)
def test_an_integer_is_never_rounded(value: float) -> None:
    steps = replace(knobs(Everything)["steps"], low=None, high=None)
    if value == int(value):
        assert check(steps, value) == int(value)
    else:
        with pytest.raises(KnobError, match="whole number"):
            check(steps, value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "nan", "inf"])
@pytest.mark.parametrize("name", ["decay", "free", "steps", "seed"])
def test_not_a_number_is_no_value_of_any_number(name: str, value: Any) -> None:
    with pytest.raises(KnobError, match=name):
        coerce(Everything, {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("decay", "fast"), ("decay", True), ("decay", None), ("decay", [1]), ("steps", "8.5"),
        ("steps", 0), ("steps", 65), ("mode", "crops"), ("mode", 3), ("mode", ["crop"]),
        ("normed", "maybe"), ("normed", 2), ("at", "1"), ("at", (1, 2, 3)), ("at", "1,x"),
        ("box", (1, 2, 3)), ("path", "1,2;3"), ("brush", ((1, 2, 3),)), ("latent", (0, 0)),
        ("latent", (0, 0, 4)), ("seed", -1),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_the_name_of_its_knob(name: str, value: Any) -> None:
    with pytest.raises(KnobError) as caught:
        coerce(Everything, {name: value})
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_wrong_value_sets_none() -> None:
    base = Everything()
    with pytest.raises(KnobError):
        coerce(Everything, {"steps": 4, "decay": 2}, base=base)
    assert base.steps == 8


@pytest.mark.parametrize("name", [f.name for f in fields(Everything)])
@given(data=st.data())
def test_one_slip_of_the_keyboard_names_the_knob_meant(name: str, data: st.DataObject) -> None:
    if len(name) < 4:
        return
    at = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.sampled_from(string.ascii_lowercase))
    slip = name[:at] + letter + name[at + 1 :]
    if slip in knobs(Everything):
        return
    with pytest.raises(KnobError, match=f"did you mean.*{name}"):
        coerce(Everything, {slip: 1})


def test_a_name_like_none_lists_what_there_is() -> None:
    assert unknown("knob", "zzzzzz", ["decay", "steps"]) == (
        "unknown knob 'zzzzzz'; known: decay, steps"
    )
    assert unknown("knob", "x", []).endswith("known: none")


@given(values, values)
def test_a_change_costs_what_its_dearest_knob_costs(a: dict[str, Any], b: dict[str, Any]) -> None:
    old, new = coerce(Everything, a), coerce(Everything, b)
    table_ = knobs(Everything)
    changed = [n for n in table_ if getattr(old, n) != getattr(new, n)]
    found = effect_of(Everything, old, new)
    if not changed:
        assert found is None
    else:
        assert found is not None
        assert found in {table_[n].effect for n in changed}
        assert all(EFFECTS.index(table_[n].effect) <= EFFECTS.index(found) for n in changed)


def test_kinds_follow_the_types() -> None:
    assert {name: k.kind for name, k in knobs(Everything).items()} == {
        "decay": "number", "free": "number", "steps": "integer", "mode": "choice",
        "normed": "switch", "words": "text", "seed": "seed", "at": "point", "box": "box",
        "path": "points", "brush": "mask", "latent": "vector",
    }  # fmt: skip
    assert knobs(Everything)["latent"].length == 3
    assert knobs(Everything)["box"].optional


def test_a_type_without_a_control_is_refused_where_it_is_declared() -> None:
    @dataclass(frozen=True)
    class Odd:
        what: Any = knob(object())  # noqa: RUF009 -- a field, as dataclasses.field is

    with pytest.raises(TypeError, match="kind="):
        knobs(Odd)


@pytest.mark.parametrize("engine", sorted(table()))
def test_every_default_of_every_engine_is_a_value_of_its_knob(engine: str) -> None:
    params = load(table()[engine]).Params
    for name, one in knobs(params).items():
        assert check(one, one.default) == one.default, name
        assert one.help or one.unit or one.choices, f"{name} says nothing of itself"
