"""What `layerscope run` says of a run, for a person: one line for each artefact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def timing(times: Sequence[Mapping[str, float]], seconds: float) -> dict[str, Any]:
    """Seconds of the whole, and mean milliseconds of each part of a frame."""
    names = sorted({name for row in times for name in row})
    mean = {f"{n}_ms": round(sum(r.get(n, 0.0) for r in times) / len(times), 3) for n in names}
    return {"seconds": round(seconds, 3), "frames": len(times), **mean}


def summary(record: dict[str, Any], out: Path) -> str:
    """The record of a run as lines of text."""
    lines = [
        f"{record['engine']} · weights: {record['provenance']} · {record['timing']['seconds']} s"
    ]
    for entry in record["artefacts"]:
        shape = " × ".join(map(str, entry.get("shape") or ()))
        said = headline(entry)
        lines.append(f"  {entry['name']:40} {entry['kind']:12} {shape:18} {said}".rstrip())
        lines.append(f"  {'':40} {', '.join(entry['files'])}")
    return "\n".join([*lines, f"in {out}"])


def headline(entry: Mapping[str, Any]) -> str:
    """What an artefact says, in one line: its best scores, its text, or its range."""
    if entry.get("best"):
        return ", ".join(
            f"{b['label']} {b['score']:.3g}" + _was(b.get("before")) for b in entry["best"][:3]
        )
    if "text" in entry:
        text = " ".join(str(entry["text"]).split())
        return text if len(text) <= 60 else f"{text[:59]}…"
    if entry.get("range") and entry["kind"] != "Image":
        low, high = entry["range"]
        return f"{low:.4g} … {high:.4g} {entry['unit']}".rstrip()
    return ""


def _was(before: float | None) -> str:
    return "" if before is None else f" (was {before:.3g})"
