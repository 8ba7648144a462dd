"""Edits in a small JSON file, read strictly: of a wrong one nothing is taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from explorer.core.stores.atomic import atomic
from explorer.editing import Edit, EditError, as_record, of_record

SUFFIX = ".json"
LARGEST = 2**20  # bytes
MOST = 1000  # edits
KEYS = {"layerscope", "engine", "edits"}
VERSION = "edits 1"


class EditFileError(ValueError):
    """A file of edits cannot be read; one line of cause and remedy."""


def save_edits(path: Path, edits: Sequence[Edit], engine: str = "") -> None:
    """Write edits, whole or not at all; ``engine`` is noted for a person.

    Raises:
        OSError: the file cannot be written.
    """
    whole = {"layerscope": VERSION, "engine": engine, "edits": [as_record(e) for e in edits]}
    with atomic(Path(path)) as part:
        part.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def load_edits(path: Path) -> tuple[Edit, ...]:
    """Read edits.

    Raises:
        EditFileError: no file of edits, an unknown key, a wrong type, too large.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise EditFileError(f"{path.name}: {error.strerror or error}; choose another") from error
    if len(data) > LARGEST:
        raise EditFileError(f"{path.name}: over 1 MiB, which no file of edits is")
    try:
        whole = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise EditFileError(f"{path.name}: no JSON ({error}); save edits from the window") from None
    try:
        return _edits(whole)
    except EditError as error:
        raise EditFileError(f"{path.name}: {error}") from error


def _edits(whole: object) -> tuple[Edit, ...]:
    if not isinstance(whole, dict) or whole.get("layerscope") != VERSION:
        raise EditError(f'no file of edits: it has no "layerscope": "{VERSION}"')
    if unknown := sorted(set(whole) - KEYS):
        raise EditError(f"unknown key {unknown[0]!r}; there are {', '.join(sorted(KEYS))}")
    records = whole.get("edits")
    if not isinstance(records, list) or len(records) > MOST:
        raise EditError(f"'edits' must be a list of at most {MOST}")
    made: list[Edit] = []
    for number, record in enumerate(records, 1):
        try:
            made.append(of_record(record))
        except EditError as error:
            raise EditError(f"edit {number}: {error}") from error
    return tuple(made)
