"""The table of engines with third parties in it: whatever they bring, the rest goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from engines import CATALOG
from explorer.cli import main
from explorer.core import registry
from explorer.core.registry import GROUP, EngineUnavailable, Row, UnknownEngine, find, load, table

BUILT_IN = EntryPoint("layerscope", "engines:CATALOG", GROUP)
NAMES = [row["name"] for row in CATALOG]
ROW = {"name": "depth", "engine": "other.net:Depth", "title": "Depth", "family": "Other"}

Plugin = Callable[[str, str], EntryPoint]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """Write a package of a third party and give its entry point, as pip would install it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, code: str) -> EntryPoint:
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
        return EntryPoint(name, f"{name}:CATALOG", GROUP)

    return write


def built_in_as_ever(rows: dict[str, Row]) -> bool:
    alone = table([BUILT_IN])
    return list(rows)[: len(alone)] == list(alone) and all(rows[n] == alone[n] for n in alone)


def test_the_built_in_engines_come_through_the_same_door() -> None:
    rows = table()
    assert list(rows)[: len(NAMES)] == NAMES
    assert not any(row.problem for row in rows.values())


def test_a_third_party_engine_stands_beside_the_built_in_ones(plugin: Plugin) -> None:
    point = plugin("goodplug", f"CATALOG = [{ROW!r}]")
    rows = table([point, BUILT_IN])
    assert list(rows) == [*NAMES, "depth"]  # built-in first, in whatever order pip found them
    assert rows["depth"].title == "Depth"
    assert rows["depth"].origin == "goodplug:CATALOG"
    assert not rows["depth"].problem


def test_a_second_engine_of_one_name_is_greyed_and_takes_nothing(plugin: Plugin) -> None:
    row = {**ROW, "name": "classify"}
    rows = table([plugin("again", f"CATALOG = [{row!r}, {row!r}]"), BUILT_IN])
    assert built_in_as_ever(rows)
    second, third = list(rows.values())[len(NAMES) :]
    for other in (second, third):
        assert other.problem == "the name is taken by engines:CATALOG"
        assert "again:CATALOG" in other.title
    assert second.name != third.name


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import there_is_no_such_module", "ModuleNotFoundError"),
        ("raise RuntimeError('no licence\\nsecond line')", "RuntimeError: no licence second line"),
        ("import sys\nsys.exit(3)", "SystemExit"),
        ("CATALOGUE = []", "AttributeError"),
        ("CATALOG = None", "TypeError"),
        ("CATALOG = [", "SyntaxError"),
    ],
)
def test_a_catalogue_that_cannot_be_read_is_a_greyed_row(
    plugin: Plugin, code: str, why: str
) -> None:
    rows = table([plugin("brokenplug", code), BUILT_IN])
    assert built_in_as_ever(rows)
    assert why in rows["brokenplug"].problem
    assert "\n" not in rows["brokenplug"].problem


def test_a_broken_distribution_named_like_an_engine_does_not_replace_it(plugin: Plugin) -> None:
    broken = plugin("style", "raise OSError('gone')")
    rows = table([BUILT_IN, broken])
    assert built_in_as_ever(rows)
    (extra,) = list(rows.values())[len(NAMES) :]
    assert "OSError: gone" in extra.problem


def test_two_broken_distributions_of_one_name_are_both_named(plugin: Plugin) -> None:
    broken = plugin("twice", "raise OSError('gone')")
    assert len(table([broken, broken])) == 2


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"name": "depth"}, "missing"),
        ({**ROW, "colour": "red"}, "colour"),
        ({**ROW, "engine": "other.net"}, "module:Class"),
        ({**ROW, "title": 3}, "title is a int"),
        ({**ROW, "name": ""}, "name"),
        ({**ROW, "inputs": ["image"]}, "list"),
        ({**ROW, "inputs": {"image": "imag"}}, "did you mean image"),
        ({**ROW, "inputs": {"image": 3}}, "not both texts"),
        ({**ROW, "sample": {"picture": "a.png"}}, "unknown input 'picture'"),
        ({**ROW, "groups": {"out": {}}}, "kinds"),
        ({**ROW, "groups": {"out": {"kinds": ["Score"]}}}, "did you mean Scores"),
        ({**ROW, "groups": {"out": {"kinds": ["Scores"], "area": "top"}}}, "unknown area"),
        ({**ROW, "weights": [{"name": "w"}]}, "source"),
        ({**ROW, "points": [1]}, "points"),
        ("depth", "str"),
        (None, ""),
    ],
)
def test_a_wrong_row_says_what_is_wrong_and_spares_the_next(
    plugin: Plugin, row: Any, why: str
) -> None:
    good = {**ROW, "name": "good"}
    rows = table([plugin("wrongrow", f"CATALOG = [{row!r}, {good!r}]"), BUILT_IN])
    assert built_in_as_ever(rows)
    *_, wrong, fine = rows.values()
    assert "its catalogue row is wrong: " in wrong.problem
    assert why in wrong.problem
    assert fine.name == "good"
    assert not fine.problem


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import there_is_no_such_module", "ModuleNotFoundError"),
        ("raise ValueError('needs a newer driver')", "ValueError: needs a newer driver"),
        ("import sys\nsys.exit('bye')", "SystemExit"),
        ("", "has no attribute 'Net'"),
        ("class Net: pass", "no Engine"),
        ("def Net(): pass", "no Engine"),
    ],
)
def test_a_class_that_cannot_be_imported_says_why_when_it_is_opened(
    plugin: Plugin, code: str, why: str
) -> None:
    row = {**ROW, "engine": "lateplug_net:Net"}
    plugin("lateplug_net", code)
    rows = table([plugin("lateplug", f"CATALOG = [{row!r}]")])
    with pytest.raises(EngineUnavailable, match=r"engine 'depth' cannot run") as caught:
        load(rows["depth"])
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_greyed_row_refuses_to_load_with_its_reason(plugin: Plugin) -> None:
    rows = table([plugin("gone", "raise OSError('no disc')")])
    with pytest.raises(EngineUnavailable, match="OSError: no disc"):
        load(rows["gone"])


def test_an_unknown_engine_names_the_near_ones() -> None:
    with pytest.raises(UnknownEngine, match="did you mean classify"):
        find("clasify", table([BUILT_IN]))


def test_the_command_line_lists_greyed_rows_and_goes_on(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    points = [plugin("sadplug", "raise OSError('no disc')"), BUILT_IN]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "cannot run: OSError: no disc" in out
    assert all(name in out for name in NAMES)
    assert main(["layers", "sadplug"]) == 2
    assert "no disc" in capsys.readouterr().err
