"""How far an edit has moved what the network says, as one line for each artefact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from explorer.core.baseline import scores_by_label
from explorer.kinds import Artefact, Image, Scores, Text
from explorer.panels.wording import number_text


def change(was: Artefact, now: Artefact) -> str:
    """``tiger cat 0.62 → 0.11, now lynx 0.31``, or a distance where there are no names."""
    if isinstance(was, Scores) and isinstance(now, Scores):
        return _scores(was, now)
    if isinstance(was, Text) and isinstance(now, Text):
        return (
            f"“{_short(was.text)}” → “{_short(now.text)}”"
            if was.text != now.text
            else "other weights"
        )
    before, after = was.arrays(), now.arrays()
    numbers = (n for n, a in before.items() if n != "x" and a.dtype.kind in "fiu" and a.size)
    name = next(numbers, "")  # of a curve y
    if not name or name not in after or before[name].shape != after[name].shape:
        return "another shape"
    a, b = (arrays[name].astype(np.float64) for arrays in (before, after))
    if isinstance(was, Image):
        return f"{number_text(float(np.abs(a - b).mean()), 3)} of 255 on average"
    size = float(np.linalg.norm(a))
    moved = float(np.linalg.norm(b - a))
    if not np.isfinite(moved):
        return "no longer finite"
    return f"moved by {100 * moved / size:.3g} %" if size else "was zero"


def _scores(was: Scores, now: Scores) -> str:
    before, after = scores_by_label(was), scores_by_label(now)
    if not before or not after:
        return "no scores"
    top, best = max(before, key=_finite(before)), max(after, key=_finite(after))
    words = f"{top} {number_text(before[top], 3)} → "
    words += number_text(after[top], 3) if top in after else "not listed"
    return words if best == top else f"{words}, now {best} {number_text(after[best], 3)}"


def _finite(scores: dict[str, float]) -> Callable[[str], float]:
    return lambda name: scores[name] if np.isfinite(scores[name]) else -np.inf


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 24 else f"{text[:23]}…"
