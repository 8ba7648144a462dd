"""What the documentation says is so: commands parse, links exist, code runs, engines have pages."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import pytest

from explorer import cli
from explorer.command_words import edit, settings
from explorer.core.media import sample_inputs
from explorer.core.own_models.model_row import is_own, own_row
from explorer.core.registry import GROUP, Row, load, table
from explorer.core.session import Session
from explorer.params import coerce

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])
ENGINES = {n: r for n, r in table().items() if r.origin == "engines:CATALOG"}
TAUGHT = {"gabor", "sobel"}  # engines that the pages build


def indented(page: Path) -> Iterator[str]:
    """Lines of command in a page: four spaces, outside of fences."""
    fenced = False
    for line in page.read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        if not fenced and line.startswith("    "):
            yield line.strip()


def words_of(line: str) -> list[str]:
    """The words after `layerscope` of a command line; none for other commands."""
    found = shlex.split(line.replace("\\", "/"), comments=True)
    return found[1:] if found and Path(found[0]).name == "layerscope" else []


COMMANDS = [
    pytest.param(words_of(line), id=f"{page.stem}: {line}")
    for page in PAGES
    for line in indented(page)
    if words_of(line) and "[" not in line
]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the command line understood, in place of doing it."""
    seen: list[Any] = []

    def note(args: Any) -> int:
        seen.append(args)
        return 0

    def start(paths: Sequence[str], *, engine: str, **_: Any) -> int:
        assert not engine or is_own(engine) or engine in ENGINES.keys() | TAUGHT
        seen.append(None)
        return 0

    for verb in cli.VERBS:
        monkeypatch.setitem(cli.COMMANDS, verb, note)
    monkeypatch.setattr("explorer.app.start.start", start)
    return seen


def knobs_of_engine(pairs: Sequence[str]) -> dict[str, str]:
    """Without those of instruments, which are written INSTRUMENT.knob."""
    return {name: value for name, value in settings(pairs).items() if "." not in name}


def test_there_are_commands_to_try() -> None:
    assert {p.values[0][0] for p in COMMANDS} >= set(cli.VERBS)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_line_is_understood(words: list[str], parsed: list[Any]) -> None:
    assert cli.main(words) == 0
    assert len(parsed) == 1
    args = vars(parsed[0]) if parsed[0] is not None else {}
    for text in args.get("edit", ()):
        edit(text)
    name = args.get("model") or args.get("engine") or ""
    if name and not is_own(name) and name not in TAUGHT:
        row = ENGINES[name]
        coerce(load(row).Params, knobs_of_engine(args.get("set") or ()))
        for text in args.get("inputs") or ():
            slot, equals, _ = text.partition("=")
            assert not equals or slot in row.inputs
    known = {w.name for row in ENGINES.values() for w in row.weights}
    if args.get("action") in ("fetch", "import"):
        wanted = args["names"] if args["action"] == "fetch" else args["names"][:1]
        assert set(wanted) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_every_engine_has_a_page_with_a_picture_of_it(name: str) -> None:
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert f"`{name}`" in text
    shown = [DOCS / target for target in re.findall(r"!\[[^]]*\]\((pictures/[^)]+)\)", text)]
    assert any(path.stem.startswith(name) for path in shown)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"[{name}](docs/{name}.md)" in readme


def test_the_readme_names_the_two_commands() -> None:
    lines = [line.split("#")[0].strip() for line in indented(ROOT / "README.md")]
    assert "make run" in lines
    assert "make test" in lines


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_pictures", DOCS / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_picture_can_be_made_again_and_is_small(
    pictures: ModuleType, parsed: list[Any]
) -> None:
    there = {path.stem: path for path in (DOCS / "pictures").iterdir()}
    assert set(there) == set(pictures.SHOTS)
    for name, path in there.items():
        assert path.stat().st_size < pictures.LIMIT, name
        picture = cv2.imread(str(path))
        assert picture is not None
        parsed.clear()
        assert cli.main(pictures.command(name, Path("x.png"))) == 0
        width, height = map(int, parsed[0].size.split("x"))
        assert picture.shape == (height, width, 3)
        own = is_own(parsed[0].engine)
        row = own_row(parsed[0].engine)[0] if own else ENGINES[parsed[0].engine]
        coerce(load(row).Params, knobs_of_engine(parsed[0].set))
    whole = sum(p.stat().st_size for p in DOCS.rglob("*") if p.is_file())
    assert whole < 14_000_000


def fences(page: Path) -> list[str]:
    """The Python blocks of a page, in order."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write the package of a page and give its row, as pip would install it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, page: Path) -> Row:
        folder = tmp_path / name
        folder.mkdir()
        blocks = fences(page)
        row = next(block for block in blocks if "CATALOG = [" in block)
        engine = next(block for block in blocks if "(Engine[" in block)
        (folder / "__init__.py").write_text(row, encoding="utf-8")
        (folder / "engine.py").write_text(engine, encoding="utf-8")
        for module in (name, f"{name}.engine"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        return table([EntryPoint(name, f"{name}:CATALOG", GROUP)])[name]

    return write


@pytest.mark.parametrize(
    ("name", "page"),
    [("sobel", ROOT / "README.md"), ("gabor", DOCS / "adding-an-engine.md")],
)
def test_the_engines_that_the_pages_build_run(name: str, page: Path, taught: Any) -> None:
    row = taught(name, page)
    assert not row.problem
    session = Session(row, device="cpu")
    session.open()
    frames = list(session.run(sample_inputs(row)))
    session.close()
    made = {a.group for frame in frames for a in frame.artefacts}
    assert made == set(row.groups)
    assert session.provenance == "computed filters"
    assert set(row.points) <= {layer.name for layer in session.layers()}


def test_the_readme_engine_has_twenty_lines() -> None:
    block = next(b for b in fences(ROOT / "README.md") if "(Engine[" in b)
    code = [line for line in block.splitlines() if line.strip() and "import" not in line]
    assert len(code) <= 20
