"""Sizes of annotated boxes from a COCO file or from the XML files of a VOC folder.

Everything of a file that a person dropped is checked here; what is wrong is one clear message.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from explorer.api import EngineError

Floats = npt.NDArray[np.float64]
Row = tuple[float, float, float, float, float, float]  # x1, y1, x2, y2, picture width and height
WANTED = (
    "wanted: COCO JSON with 'images' (id, width, height) and 'annotations' (image_id, bbox as "
    "x, y, width, height), or a VOC XML (size, and a bndbox in each object)"
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
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, ElementTree.ParseError) as error:
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
    return BoxSizes(
        sizes[inside], crowds, int((~inside).sum()), int((clipped & inside).sum())
    )  # fmt: skip


def _coco(path: Path) -> tuple[list[Row], int]:
    """Boxes of a COCO file, and how many crowds were left out."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not all(
        isinstance(found.get(key), list) for key in ("images", "annotations")
    ):
        raise EngineError(f"{path.name} has no lists 'images' and 'annotations'; {WANTED}")
    sides: dict[Any, tuple[float, float]] = {}
    for i, image in enumerate(found["images"]):
        where = f"{path.name}: image {i}"
        named = _record(image, where, ("id", "width", "height"))
        sides[str(named["id"])] = _sides(named["width"], named["height"], where)
    rows, crowds = [], 0
    for i, annotation in enumerate(found["annotations"]):
        where = f"{path.name}: annotation {i}"
        named = _record(annotation, where, ("image_id", "bbox"))
        if named.get("iscrowd"):
            crowds += 1
            continue
        if str(named["image_id"]) not in sides:
            raise EngineError(f"{where} is of image {named['image_id']!r}, which is not listed")
        box = named["bbox"]
        if not isinstance(box, list) or len(box) != 4:
            raise EngineError(f"{where}: bbox is {str(box)[:40]}, not four numbers")
        x, y, w, h = (_number(value, where) for value in box)
        rows.append((x, y, x + w, y + h, *sides[str(named["image_id"])]))
    return rows, crowds


def _voc(path: Path) -> Iterator[Row]:
    """Boxes of one XML file of VOC; its pixels count from 1 and both ends are inside."""
    root = ElementTree.fromstring(path.read_bytes())
    width = _number(root.findtext("size/width"), f"{path.name}: size/width")
    height = _number(root.findtext("size/height"), f"{path.name}: size/height")
    sides = _sides(width, height, path.name)
    for i, thing in enumerate(root.iter("object")):
        where = f"{path.name}: object {i}"
        x1, y1, x2, y2 = (
            _number(thing.findtext(f"bndbox/{key}"), f"{where}: bndbox/{key}")
            for key in ("xmin", "ymin", "xmax", "ymax")
        )
        yield (x1 - 1, y1 - 1, x2, y2, *sides)


def _record(value: Any, where: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    if missing:
        raise EngineError(f"{where} has no {' and no '.join(map(repr, missing))}; {WANTED}")
    named: Mapping[str, Any] = value
    return named


def _sides(width: Any, height: Any, where: str) -> tuple[float, float]:
    sides = _number(width, where), _number(height, where)
    if min(sides) <= 0:
        raise EngineError(f"{where} is {sides[0]:g} x {sides[1]:g} px; both sides are above 0")
    return sides


def _number(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise EngineError(f"{where}: {str(value)[:40]!r} is no finite number; {WANTED}")
    return number
