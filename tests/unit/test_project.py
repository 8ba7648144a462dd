"""What the project promises: import rules, set-up commands, an ordinary install, clean sources."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def do(
    *words: str, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, env={**os.environ, **(environment or {})}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip


# -- import rules


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages and their rules, apart from the checkout, to plant breaches in."""
    folder = tmp_path_factory.mktemp("copy")
    for package in ("explorer", "engines"):
        ignore = shutil.ignore_patterns("__pycache__", "assets")
        shutil.copytree(ROOT / package, folder / package, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return do(
        str(BIN / "lint-imports"), "--no-cache", cwd=folder, environment={"PYTHONPATH": str(folder)}
    )


def test_the_import_rules_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "rule"),
    [
        ("explorer/panels/heat.py", "import torch", "panels know kinds and views only"),
        ("explorer/panels/heat.py", "import explorer.core.media", "panels know kinds and views"),
        ("explorer/kinds.py", "import torch", "torch stays out"),
        ("explorer/kinds.py", "import explorer.analysis", "arrows point down only"),
        ("explorer/core/media.py", "import PySide6.QtCore", "no Qt below the window"),
        ("explorer/core/media.py", "import explorer.app.start", "arrows point down only"),
        ("explorer/core/media.py", "import engines.nn", "the explorer never imports an engine"),
        ("explorer/app/start.py", "import explorer.cli", "arrows point down only"),
        ("engines/style/gatys.py", "import explorer.core.session", "explorer.api alone"),
        ("engines/style/gatys.py", "import PySide6.QtCore", "explorer.api alone"),
        ("engines/style/gatys.py", "import torchvision", "explorer.api alone"),
        ("engines/style/gatys.py", "import engines.classify.vgg", "do not import one another"),
    ],
)
def test_a_planted_breach_is_caught(copy: Path, file: str, line: str, rule: str) -> None:
    path = copy / file
    before = path.read_text(encoding="utf-8")
    marker = "from __future__ import annotations\n"
    assert marker in before
    path.write_text(before.replace(marker, f"{marker}\n{line}\n", 1), encoding="utf-8")
    try:
        done = lint(copy)
    finally:
        path.write_text(before, encoding="utf-8")
    assert done.returncode != 0
    broken = [row for row in done.stdout.splitlines() if row.endswith("BROKEN")]
    assert any(rule in row for row in broken), done.stdout


def test_every_family_of_engines_is_under_the_rules() -> None:
    (independent,) = [
        c["modules"]
        for c in PROJECT["tool"]["importlinter"]["contracts"]
        if c["type"] == "independence"
    ]
    families = {p.parent.name for p in ROOT.glob("engines/*/__init__.py")} - {"nn", "rows"}
    assert {name.removeprefix("engines.") for name in independent} == families


# -- the commands of the README


def test_make_has_the_commands_and_ci_calls_the_tests() -> None:
    for target in ("run", "test", "install"):
        assert do("make", "-n", target, cwd=ROOT).returncode == 0, target
    assert "python -m tests" in do("make", "-n", "test", cwd=ROOT).stdout
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert (ROOT / "constraints.txt").read_text(encoding="utf-8") == "torch==2.13.0\n"


def test_a_second_install_does_nothing_and_a_change_installs_again(tmp_path: Path) -> None:
    """With a pip and a python that only write down that they were called."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    log = tmp_path / "calls"
    for name in ("python", "pip"):
        stub = tmp_path / ".venv/bin" / name
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(f'#!/bin/sh\necho "{name} $*" >> "{log}"\n', encoding="utf-8")
        stub.chmod(0o755)

    def install() -> list[str]:
        log.write_text("", encoding="utf-8")
        done = do("make", "install", f"PYTHON={sys.executable}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return log.read_text(encoding="utf-8").splitlines()

    (call,) = install()
    assert "-c constraints.txt" in call
    assert "-e .[test]" in call
    assert install() == []
    with (tmp_path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n# another dependency\n")
    assert len(install()) == 1
    assert install() == []


# -- an ordinary install


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = do(
        sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps",
        "--no-build-isolation", "--no-index", "-w", str(folder), str(ROOT), cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("layerscope-*.whl")
    return path


def test_the_wheel_holds_the_packages_and_every_asset(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assets = {
        f"explorer/{p.relative_to(ROOT).as_posix()}"
        for p in tracked()
        if p.is_relative_to(ROOT / "assets")
    }
    code = {
        p.relative_to(ROOT).as_posix()
        for p in tracked()
        if p.relative_to(ROOT).parts[0] in ("explorer", "engines")
    }
    assert assets | code <= names
    assert {n.partition("/")[0].partition("-")[0] for n in names} == {
        "explorer", "engines", "layerscope",
    }  # fmt: skip


def test_an_ordinary_install_finds_assets_and_engines(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    done = do(
        sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
        "--no-index", "--target", str(target), str(wheel), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r})\n"
        "import json, explorer.cli\n"
        "from explorer.core.media import sample_inputs\n"
        "from explorer.core.paths import assets\n"
        "from explorer.core.registry import table\n"
        "from explorer.core.weights import WeightStore\n"
        "import engines\n"
        "rows = table()\n"
        "stored = WeightStore(w for r in rows.values() for w in r.weights)\n"
        "embedded = [w for w in stored.rows.values() if w.source.startswith('asset:')]\n"
        "print(json.dumps({'explorer': explorer.__file__, 'engines': engines.__file__,\n"
        "  'assets': str(assets()), 'problems': [r.problem for r in rows.values() if r.problem],\n"
        "  'names': list(rows), 'samples': {n: list(sample_inputs(r)) for n, r in rows.items()},\n"
        "  'lost': [w.name for w in embedded if stored.status(w.name) != 'present']}))\n"
    )
    done = do(sys.executable, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["assets"] == str(target / "explorer/assets")
    assert Path(found["explorer"]).is_relative_to(target)
    assert Path(found["engines"]).is_relative_to(target)
    assert found["problems"] == []
    assert found["names"][:2] == ["classify", "vgg"]
    assert found["samples"]["style"] == ["content", "style", "second"]
    assert found["lost"] == []


# -- what is in the tree


def test_the_tree_and_its_assets_stay_small() -> None:
    sizes = {file: file.stat().st_size for file in tracked()}
    assert sum(sizes.values()) < 60_000_000
    assert sum(n for f, n in sizes.items() if f.is_relative_to(ROOT / "assets")) < 40_000_000


def test_no_file_names_a_registry_host_or_a_place_of_one_machine() -> None:
    places = "|".join(("work", "root", "home/[a-z]+", "tmp", "opt", "Users/[a-z]+"))
    place = re.compile(rf"(?<![\w.$)}}~])/(?:{places})/\w")
    host = re.compile(
        r"index-url|find-links|\bpypi\.(?!org\b)\w|registry\.npm|://\d+\.\d+\.\d+\.\d+"
    )
    found = []
    for file in tracked():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if file == Path(__file__).resolve():
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if (place.search(line) or host.search(line)) and "127.0.0.1" not in line:
                found.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert not found, "\n".join(found)
