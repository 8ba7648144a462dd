"""One part of the input in the coordinates of several grids."""

from __future__ import annotations

from collections.abc import Callable

Region = tuple[float, float, float, float]


def region_on(
    place: Callable[[float, float], tuple[float, float]], region: Region | None
) -> Region | None:
    """A region (x1, y1, x2, y2) through an axis-aligned map of points; None, all, stays None."""
    if region is None:
        return None
    return (*place(region[0], region[1]), *place(region[2], region[3]))
