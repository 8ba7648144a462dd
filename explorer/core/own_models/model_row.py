"""The row of a person's own network, before torch or anything of the network is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from explorer.core.reading.formats import MODEL_SUFFIXES, WEIGHTS_SUFFIXES
from explorer.core.registry import GroupRow, Row, find

NAME = "model"
FILES = (*MODEL_SUFFIXES, *WEIGHTS_SUFFIXES, ".ts", ".torchscript")
"""Suffixes of files that a network may come from."""

OUTPUTS = ("Scores", "Matrix", "FeatureMaps", "Image", "Masks", "Boxes", "Field", "Text")


def is_own(name: str) -> bool:
    """Whether a name on the command line means a person's own model and no engine."""
    return ":" in name or name.endswith(FILES)


def parts(spec: str) -> tuple[str, str]:
    """File or module, and the factory's name; a drive letter's colon is none of these."""
    if spec.endswith(FILES):
        return spec, ""
    path, _, factory = spec.rpartition(":")
    return (path, factory) if path else (spec, "")


def chosen(
    engine: str, arch: str, paths: Sequence[str], rows: dict[str, Row]
) -> tuple[str, list[str], dict[str, Any]]:
    """The engine, inputs and knobs that a command line of the window means.

    A model of one's own may be named as the engine, or weights as the first path with ``arch``; its
    row is added to ``rows``. Naming it there is the consent to run its code.

    Raises:
        UnknownEngine: no engine of that name. ValueError: an arch without a file of weights.
    """
    left = list(paths)
    if arch and not engine:
        if not left:
            raise ValueError("--arch says whose weights a file holds; name that file too")
        engine = left.pop(0)
    if engine and (arch or is_own(engine)):
        row, knobs = own_row(engine, arch)
        rows[row.name] = row
        return row.name, left, knobs
    if engine:
        find(engine, rows)
    return engine, left, {}


def own_row(spec: str, arch: str = "") -> tuple[Row, dict[str, Any]]:
    """The row of a person's own model, and the knobs to open it with.

    With ``arch`` (``module:factory`` or ``file.py:factory``) ``spec`` is a file of weights for it.
    Slots and layers worth showing are filled in when the network stands: see `OwnModel.described`.
    """
    path, factory = parts(spec)
    title = f"{Path(path).name}:{factory}" if factory else Path(path).name
    row = Row(
        NAME,
        "explorer.core.own_models.models:OwnModel",
        f"{title} in {Path(arch).name}" if arch else title,
        "Your own",
        summary="Tick layers to see them; the knobs say what it is given.",
        inputs={"image": "image"},
        sample={"image": "chelsea.png"},
        groups={
            "input": GroupRow("input", ("Image", "Text"), "right", "Input"),
            "output": GroupRow("output", OUTPUTS, "bottom", "Output"),
        },
    )
    return row, {"model": arch, "weights": spec} if arch else {"model": spec, "weights": ""}
