"""Sizes of annotated boxes from a COCO file or from the XML files of a VOC folder.

Everything of a file that a person dropped is checked here; what is wrong is one clear message.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from engines.nn.detection.coco_annotations import read_annotations
from explorer.api import EngineError

Floats = npt.NDArray[np.float64]
Row = tuple[float, float, float, float, float, float]  # x1, y1, x2, y2, picture width and height
WANTED = (
    "wanted: COCO JSON with the sizes of its images, or a VOC XML (size, and a bndbox in each "
    "object)"
)


@dataclass(frozen=True, slots=True)
class BoxSizes:
    """``sizes`` (N, 2), width and height as shares of the picture; what was left out, by reason."""

    sizes: Floats
    crowds: int = 0
    outside: int = 0
    clipped: int = 0

    def words(self) -> str:
        """How many boxes, and what was done to some of them."""
        parts = [f"{len(self.sizes)} boxes"]
        parts += [f"{self.clipped} cut at the edge of their picture"] if self.clipped else []
        parts += [f"{self.outside} without area in it left out"] if self.outside else []
        parts += [f"{self.crowds} crowds left out"] if self.crowds else []
        return ", ".join(parts)


def read_sizes(path: Path) -> BoxSizes:
    """Read ``path``: COCO JSON, or a VOC XML together with all others of its folder.

    Raises:
        EngineError: one line with the file, what is wrong in it and what is wanted.
    """
    crowds = 0
    try:
        if path.suffix.lower() == ".xml":
            rows = [row for file in sorted(path.parent.glob("*.xml")) for row in _voc(file)]
        else:
            rows, crowds = _coco(path)
    except (OSError, ElementTree.ParseError) as error:
        raise EngineError(f"{path.name} cannot be read: {error}; {WANTED}") from error
    if not rows:
        raise EngineError(f"{path.name} has no boxes; {WANTED}")
    return _within(path.name, np.array(rows, np.float64), crowds)


def _within(name: str, rows: Floats, crowds: int) -> BoxSizes:
    """Cut the boxes at the edges of their pictures; those of no area are left out."""
    whole = rows[:, 4:]
    low = np.clip(rows[:, :2], 0.0, whole)
    high = np.clip(rows[:, 2:4], 0.0, whole)
    clipped = (low != rows[:, :2]).any(1) | (high != rows[:, 2:4]).any(1)
    sizes = (high - low) / whole
    inside = (sizes > 0).all(1)
    if not inside.any():
        raise EngineError(f"none of the {len(rows)} boxes of {name} has area inside its picture")
    outside, cut = int((~inside).sum()), int((clipped & inside).sum())
    return BoxSizes(sizes[inside], crowds, outside, cut)


def _coco(path: Path) -> tuple[list[Row], int]:
    """Boxes of a COCO file, and how many crowds were left out."""
    rows: list[Row] = []
    crowds = 0
    for picture in read_annotations(path).pictures:
        if picture.size is None or min(picture.size) <= 0:
            raise EngineError(
                f"{path.name}: image {picture.id} has no width and height above 0; {WANTED}"
            )
        height, width = picture.size
        rows += [(*one.box, width, height) for one in picture.objects if not one.crowd]
        crowds += sum(one.crowd for one in picture.objects)
    return rows, crowds


def _voc(path: Path) -> Iterator[Row]:
    """Boxes of one XML file of VOC; its pixels count from 1 and both ends are inside."""
    root = ElementTree.fromstring(path.read_bytes())
    width = _number(root.findtext("size/width"), f"{path.name}: size/width")
    height = _number(root.findtext("size/height"), f"{path.name}: size/height")
    if min(width, height) <= 0:
        raise EngineError(f"{path.name}: {width:g} x {height:g} px; both sides are above 0")
    for i, thing in enumerate(root.iter("object")):
        where = f"{path.name}: object {i}"
        x1, y1, x2, y2 = (
            _number(thing.findtext(f"bndbox/{key}"), f"{where}: bndbox/{key}")
            for key in ("xmin", "ymin", "xmax", "ymax")
        )
        yield (x1 - 1, y1 - 1, x2, y2, width, height)


def _number(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise EngineError(f"{where}: {str(value)[:40]!r} is no finite number; {WANTED}")
    return number
