"""A stand-alone Python program that runs what the window shows and reads the layer it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from explorer.views import Edit


def snippet(
    engine: str,
    inputs: Mapping[str, tuple[str, str]],
    knobs: Mapping[str, Any],
    layer: str,
    *,
    edits: Sequence[Edit] = (),
    device: str = "auto",
    seed: int = 0,
) -> str:
    """The program as text.

    Args:
        inputs: slot to (slot type, path or text).
        knobs: those that differ from their defaults.
        layer: whose values it reads and prints the shape of.
    """
    opened = [
        f"    {slot!r}: read_input({kind!r}, {where!r})," for slot, (kind, where) in inputs.items()
    ]
    views = "Edit, View" if edits else "View"
    lines = [
        "from explorer.core.media import read_input",
        "from explorer.core.registry import find, table",
        "from explorer.core.session import Session",
        f"from explorer.views import {views}",
        "",
        f"row = find({engine!r}, table())",
        f"session = Session(row, device={device!r}, seed={seed}, params={dict(knobs)!r})",
        "session.open()",
        f"session.views = (View({layer!r}),)",
        *([f"session.edits = {tuple(edits)!r}"] if edits else []),
        "inputs = {",
        *opened,
        "}",
        "for frame in session.run(inputs):  # one frame a step",
        "    for picture in frame.rendered:",
        "        values = session.read(picture.handle)  # (units, height, width)",
        f"        print({layer!r}, values.shape, values.min(), values.max())",
        "session.close()",
    ]
    return "\n".join(lines) + "\n"
