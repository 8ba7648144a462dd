"""Reader of Darknet's cfg files: sections of ``key=value`` lines, each section one layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from explorer.api import EngineError

KNOWN = (
    "avgpool", "connected", "convolutional", "cost", "crop", "detection", "dropout", "local",
    "maxpool", "region", "reorg", "route", "shortcut", "softmax", "upsample",
)  # fmt: skip
SAME = {"conv": "convolutional", "max": "maxpool", "avg": "avgpool", "conn": "connected",
        "soft": "softmax", "network": "net"}  # fmt: skip
MOST_BYTES = 1_000_000  # the largest published cfg has 15,000


@dataclass(frozen=True, slots=True)
class Section:
    """One ``[kind]`` with its options; ``line`` is where it stands, counted from 1."""

    file: str
    kind: str
    line: int
    options: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Words for a message."""
        return f"{self.file}, line {self.line}: [{self.kind}]"

    def text(self, key: str, default: str = "") -> str:
        """An option as it stands."""
        return self.options.get(key, (default, 0))[0]

    def integer(self, key: str, default: int | None = None, *, low: int = 0) -> int:
        """A whole number of at least ``low``; without a default it has to be there."""
        number = self.number(key, default)
        if number != int(number) or number < low:
            raise self.wrong(key, f"a whole number of at least {low}")
        return int(number)

    def number(self, key: str, default: float | None = None) -> float:
        """A number."""
        if key not in self.options:
            if default is None:
                raise EngineError(f"{self.where} has no {key!r}")
            return default
        try:
            number = float(self.options[key][0])
        except ValueError:
            raise self.wrong(key, "a number") from None
        if not math.isfinite(number):
            raise self.wrong(key, "a number")
        return number

    def numbers(self, key: str) -> tuple[float, ...]:
        """Numbers between commas."""
        parts = [part.strip() for part in self.text(key).split(",")]
        try:
            return tuple(float(part) for part in parts if part)
        except ValueError:
            raise self.wrong(key, "numbers between commas") from None

    def wrong(self, key: str, wanted: str) -> EngineError:
        """The error for an option that is not what it should be."""
        value, line = self.options[key]
        return EngineError(f"{self.file}, line {line}: {key}={value!r} is not {wanted}")


def read_cfg(path: Path) -> list[Section]:
    """The sections of a file; the first is ``net``, with the size of the input.

    Raises:
        EngineError: one line with file, line, what is wrong, and which layers are known.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise EngineError(f"{path.name} has {path.stat().st_size:,} bytes: no cfg is so long")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"{path.name} cannot be read as a Darknet cfg: {error}") from error
    sections: list[Section] = []
    for number, raw in enumerate(lines, start=1):
        line = raw.split("#")[0].strip()
        if not line or line.startswith(";"):
            continue
        if line.startswith("["):
            kind = line.strip("[] ").lower()
            sections.append(Section(path.name, SAME.get(kind, kind), number))
            continue
        key, equals, value = line.partition("=")
        if not equals or not sections:
            raise EngineError(f"{path.name}, line {number}: {line[:40]!r} is neither a [layer] nor "
                              "an option=value of one")  # fmt: skip
        sections[-1].options[key.strip()] = (value.strip(), number)
    if not sections or sections[0].kind != "net":
        raise EngineError(f"{path.name} does not begin with [net]: it is no Darknet cfg")
    for section in sections[1:]:
        if section.kind not in KNOWN:
            raise EngineError(f"{section.where} is a layer that is not known here; known are "
                              f"{', '.join(KNOWN)}")  # fmt: skip
    if len(sections) == 1:
        raise EngineError(f"{path.name} has no layer after [net]")
    return sections
