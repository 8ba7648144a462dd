"""Masks as COCO writes them: polygons, lengths of runs, and runs packed into text.

Runs go down the columns from the top left, and begin with a run of background that may be empty.
A polygon is drawn as the published rule has it, on a grid five times as fine, so that figures agree
to the pixel with others'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
FINE = 5.0  # grid points a pixel along a polygon's edge


def mask_of(segmentation: Any, height: int, width: int) -> Bools:
    """The mask (height, width) of an annotation's ``segmentation``.

    Raises:
        ValueError: it is none of the three forms, or runs do not fill the picture.
    """
    if isinstance(segmentation, Mapping):
        counts, size = segmentation.get("counts"), segmentation.get("size")
        if list(size or ()) != [height, width]:
            raise ValueError(f"its mask is for size {size}, the picture has {[height, width]}")
        if isinstance(counts, str | bytes):
            return from_runs(unpacked(counts), height, width)
        return from_runs(np.asarray(counts, np.int64), height, width)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str):
        raise ValueError("its segmentation is neither polygons nor runs")
    mask = np.zeros((height, width), np.bool_)
    for polygon in segmentation:
        mask |= from_polygon(np.asarray(polygon, np.float64), height, width)
    return mask


def from_runs(counts: Integers, height: int, width: int) -> Bools:
    """The mask (height, width) of lengths of runs (N,).

    Raises:
        ValueError: they are negative or do not add up to all pixels.
    """
    if counts.ndim != 1 or (counts < 0).any() or int(counts.sum()) != height * width:
        raise ValueError(f"the runs of its mask do not add up to {height} × {width} pixels")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T


def unpacked(text: str | bytes) -> Integers:
    """Lengths of runs from their text, the reverse of `explorer.coco_results.packed`.

    Raises:
        ValueError: a letter that packing never writes, or a number that breaks off.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text.encode() if isinstance(text, str) else text:
        digit = letter - 48
        if not 0 <= digit < 64:
            raise ValueError("its mask has letters that packed runs never have")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the packed runs of its mask break off")
    return np.array(counts, np.int64)


def from_polygon(corners: npt.NDArray[np.float64], height: int, width: int) -> Bools:
    """The pixels inside a polygon x1, y1, x2, y2, ... in pixels.

    Raises:
        ValueError: fewer than three corners, or numbers that are not finite.
    """
    if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2 or not np.isfinite(corners).all():
        raise ValueError("a polygon of its mask has not three or more finite corners")
    # Truncated towards zero and not floored, as the published rule does it.
    points = (FINE * corners.reshape(-1, 2) + 0.5).astype(np.int64)
    x, y = _boundary(np.concatenate([points, points[:1]]))
    step = np.flatnonzero(x[1:] != x[:-1]) + 1
    forward = x[step] >= x[step - 1]
    column = (np.where(forward, x[step] - 1, x[step]) + 0.5) / FINE - 0.5
    row = (np.minimum(y[step], y[step - 1]) + 0.5) / FINE - 0.5
    whole = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    top = np.ceil(np.clip(row[whole], 0, height)).astype(np.int64)
    turns = np.bincount(column[whole].astype(np.int64) * height + top, minlength=height * width + 1)
    inside = np.cumsum(turns[: height * width]) % 2 == 1
    return np.asarray(inside.reshape(width, height).T)


def _boundary(points: Integers) -> tuple[Integers, Integers]:
    """All points of the fine grid along a closed polygon (N, 2), in order."""
    xs: list[npt.NDArray[Any]] = []
    ys: list[npt.NDArray[Any]] = []
    for start, end in pairwise(points):
        span = np.abs(end - start)
        long = 0 if span[0] >= span[1] else 1
        back = start[long] > end[long]
        low, high = (end, start) if back else (start, end)
        along = np.arange(span[long] + 1)
        slope = (high[1 - long] - low[1 - long]) / max(int(span[long]), 1)
        pair = [along, along]
        pair[long] = low[long] + along
        pair[1 - long] = (low[1 - long] + slope * along + 0.5).astype(np.int64)
        step = -1 if back else 1
        xs.append(pair[0][::step])
        ys.append(pair[1][::step])
    return np.concatenate(xs), np.concatenate(ys)
