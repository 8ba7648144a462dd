"""How the items of a group stand: how many side by side, and the least room each can be read in."""

from __future__ import annotations

import math
from collections.abc import Sequence

from explorer.kinds import Artefact, Image, Matrix, Scores
from explorer.views import grid_columns

WIDE = {"Curve": 1.8, "Histogram": 1.6, "Hypercolumn": 2.4, "Text": 2.0, "Scores": 1.6}
LEAST = {
    "Image": (92, 110), "Field": (110, 130), "Curve": (160, 140), "Histogram": (160, 140),
    "Scatter": (160, 150), "FeatureMaps": (160, 150), "Hypercolumn": (240, 150),
    "Text": (170, 90), "Graph": (200, 150), "Matrix": (92, 144),
}  # fmt: skip
"""Px (width, height) of a panel; with less, the group scrolls."""
SCROLL = 14  # px of the scroll bar
SPACE = 2  # px between panels
CHROME = 74  # px of a matrix's panel that are not cells: header, colour bar, borders
ROWS = 12  # of scores that are all seen at once where the group decides
SCORE_ROW, SCORE_CHROME = 12, 48


def least_size(artefact: Artefact | None, *, alone: bool = False) -> tuple[int, int]:
    """Px (width, height) below which an artefact cannot be read; ``alone``, rather less."""
    if alone and not isinstance(artefact, Scores):
        return 92, 90
    if isinstance(artefact, Scores):
        return 150, max(110, SCORE_CHROME + SCORE_ROW * min(len(artefact.scores), ROWS))
    if isinstance(artefact, Matrix) and artefact.values.size:
        rows, columns = artefact.values.shape[-2:]
        wide, tall = LEAST["Matrix"]
        aspect = columns / rows
        if artefact.values.ndim > 2:
            return 170, 150
        return (
            round(wide * min(max(aspect, 1.0), 2.5)),
            CHROME + round((tall - CHROME) / min(max(aspect, 1.0), 1.6)),
        )
    return LEAST.get(type(artefact).__name__, (170, 150))


def columns_for(shown: Sequence[Artefact | None], width: int, height: int) -> int:
    """Items side by side: what makes them largest, but rather more than a need to scroll."""
    if not shown:
        return 1
    wide = [preferred_aspect(artefact) for artefact in shown]
    mean = math.exp(sum(map(math.log, wide)) / len(wide))
    sizes = [least_size(artefact) for artefact in shown]
    least = max(w for w, _ in sizes), max(h for _, h in sizes)
    most = max(1, (width - SCROLL + SPACE) // (least[0] + SPACE))
    best = grid_columns(len(shown), round(100 * mean), 100, width / max(1, height))
    best = min(best, most)
    while best < min(most, len(shown)) and _rows(shown, best) * (least[1] + SPACE) > height:
        best += 1
    return whole_rows(shown, best)


def _rows(shown: Sequence[Artefact | None], columns: int) -> int:
    return -(-len(shown) // whole_rows(shown, columns))


def whole_rows(shown: Sequence[Artefact | None], columns: int) -> int:
    """Columns, at most this many, that never break a row of matrices of one `Matrix.share`."""
    keys = [a.share if isinstance(a, Matrix) else "" for a in shown]
    counts = {keys.count(key) for key in keys}
    if "" in keys or len(counts) != 1:
        return columns
    (run,) = counts
    if columns >= run:
        return columns - columns % run
    return max(n for n in range(1, columns + 1) if run % n == 0)


def preferred_aspect(artefact: Artefact | None) -> float:
    """Width over height that an artefact is best seen at, header and labels included."""
    if isinstance(artefact, Matrix):
        rows, columns = artefact.values.shape[-2:]
        return float(min(max(columns / max(1, rows), 0.7), 2.5))
    if isinstance(artefact, Image):
        height, width = artefact.image.shape[-3:-1]
        return float(min(max(width / height, 0.6), 2.0))
    return WIDE.get(type(artefact).__name__, 1.3)
