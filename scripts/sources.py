"""Check assets/SOURCES.md against the files: every file has a row with its sha256.

    python -m scripts.sources

prints what is missing or wrong, with the sha256 that the row should hold. A row starts with the
file in backticks and holds its sha256 in backticks in a later column. A row may stand for many
files (`icons/*.svg`): its sha256 is that of their listing, see `digest`.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / "assets"
ROW = re.compile(r"^\|\s*`([^`]+)`\s*\|.*`([0-9a-f]{64})`", re.MULTILINE)


def digest(files: list[Path]) -> str:
    """The sha256 of one file, or of the lines "sha256  name" of several in order of name."""
    if len(files) == 1:
        return hashlib.sha256(files[0].read_bytes()).hexdigest()
    lines = [f"{digest([file])}  {file.name}\n" for file in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def problems(assets: Path = ASSETS) -> list[str]:
    """One line for each file without a row, row without a file, and wrong hash."""
    rows = ROW.findall((assets / "SOURCES.md").read_text(encoding="utf-8"))
    found, listed = [], set()
    for pattern, sha256 in rows:
        files = [file for file in assets.glob(pattern) if file.is_file()]
        listed.update(files)
        if not files:
            found.append(f"{pattern}: listed, but not there")
        elif digest(files) != sha256:
            found.append(f"{pattern}: sha256 is {digest(files)}, the row says {sha256}")
    listed.add(assets / "SOURCES.md")
    left = (f for f in sorted(assets.rglob("*")) if f.is_file() and f not in listed)
    return found + [f"{f.relative_to(assets)}: not listed, sha256 {digest([f])}" for f in left]


if __name__ == "__main__":
    lines = problems()
    sys.stdout.write("".join(f"{line}\n" for line in lines) or "every file is listed\n")
    sys.exit(bool(lines))
