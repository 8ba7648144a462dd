"""Each benchmark prints one well-formed line of JSON; what it measures is not asserted here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import NAMES
from benchmarks.line import Line

ROOT = Path(__file__).parents[2]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_line_of_json_each(name: str) -> None:
    done = run(name, "--tiny")
    assert done.stdout.count("\n") == 1, done.stderr
    line = json.loads(done.stdout)
    assert line["name"] == name
    assert isinstance(line["value"], float), done.stderr
    assert line["unit"]
    assert line["goal"][:2] in ("<=", ">=")
    assert isinstance(line["holds"], bool)
    missing = [peer for peer, value in line.get("peer", {}).items() if value is None]
    assert line.get("missing", []) == missing
    assert not (missing and line["holds"])
    assert done.returncode == (0 if line["holds"] else 1)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    done = run("mosiac")
    assert done.returncode == 2
    assert "mosiac" in done.stderr
    assert "visible-layer" in done.stderr


def test_a_goal_holds_with_its_peers_only() -> None:
    assert Line("x", 1.05, "s", "<= 1.05").holds
    assert not Line("x", 1.06, "s", "<= 1.05").holds
    assert Line("x", 0.9, "s", ">= 0.9").holds
    assert not Line("x", 0.89, "s", ">= 0.9").holds
    line = Line("x", 1.0, "s", "<= 1.05", peer={"a": 1.2, "b": None})
    assert json.loads(line.json())["missing"] == ["b"]
    assert not line.holds
    assert Line("x", 1.0, "s", "<= 1.05", peer={"a": 0.5}).holds
