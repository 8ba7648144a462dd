"""Annotation files in COCO's format: found in a folder, checked, with what was mended counted."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engines.nn.detection.average_precision import Truths
from engines.nn.detection.coco_masks import mask_of
from explorer.api import EngineError

PARTS = ("images", "annotations", "categories")


@dataclass(frozen=True, slots=True)
class Object:
    """One annotation: box as x1, y1, x2, y2 in pixels, and what COCO says of it."""

    id: Any
    box: tuple[float, float, float, float]
    category: int
    crowd: bool
    area: float | None
    segmentation: Any
    keypoints: Any


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the file; ``size`` is (height, width) where the file says it."""

    id: int
    file: str
    size: tuple[int, int] | None
    objects: list[Object] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Annotations:
    """A whole file: pictures in its order, names of categories by id."""

    path: Path
    pictures: tuple[Picture, ...]
    categories: Mapping[int, str]


def annotation_file(folder: Path) -> Path:
    """The one annotation file of a folder, beside the pictures or under ``annotations``.

    Raises:
        EngineError: there is none, or several.
    """
    places = [folder, folder / "annotations"]
    files = sorted(path for place in places if place.is_dir() for path in place.glob("*.json"))
    known = [path for path in files if _looks_like_coco(path)] if len(files) > 1 else files
    if len(known) == 1:
        return known[0]
    form = "one JSON file in COCO's format (images, annotations, categories)"
    if known:
        names = ", ".join(path.name for path in known[:4])
        raise EngineError(f"{folder.name}: {len(known)} annotation files ({names}); leave one")
    found = f"none of {len(files)} JSON files is one" if files else "it has no JSON file"
    raise EngineError(f"{folder.name}: put {form} beside the pictures; {found}")


def _looks_like_coco(path: Path) -> bool:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and all(part in data for part in PARTS)


def read_annotations(path: Path) -> Annotations:
    """Read and check a file.

    Raises:
        EngineError: it is no such file, or an entry has a wrong type, an unknown picture or
            category; the message names the entry.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError(f"{path.name}: not readable as JSON ({error})") from error
    if not isinstance(data, dict) or not all(isinstance(data.get(part), list) for part in PARTS):
        raise EngineError(
            f"{path.name}: not in COCO's format; it needs the lists {', '.join(PARTS)}"
        )
    try:
        categories = {
            _whole(c, "id", f"category {i}"): str(_of(c, "name", f"category {i}"))
            for i, c in enumerate(data["categories"])
        }
        pictures: dict[int, Picture] = {}
        for i, entry in enumerate(data["images"]):
            picture = _picture(entry, f"image {i}")
            if picture.id in pictures:
                raise ValueError(f"image {i}: id {picture.id} comes twice")
            pictures[picture.id] = picture
        for i, entry in enumerate(data["annotations"]):
            where = f"annotation {i}"
            image = _whole(entry, "image_id", where)
            if image not in pictures:
                raise ValueError(f"{where}: image_id {image} is none of the images")
            pictures[image].objects.append(_object(entry, where, categories))
    except ValueError as error:
        raise EngineError(f"{path.name}: {error}; mend the file") from error
    if not categories or not pictures:
        raise EngineError(
            f"{path.name}: no {'categories' if pictures else 'images'}; mend the file"
        )
    return Annotations(path, tuple(pictures.values()), categories)


def _picture(entry: Any, where: str) -> Picture:
    sides = [_of(entry, side, where, needed=False) for side in ("height", "width")]
    size = None
    if None not in sides:
        height, width = (_whole(entry, side, where) for side in ("height", "width"))
        size = height, width
    return Picture(_whole(entry, "id", where), str(_of(entry, "file_name", where)), size)


def _object(entry: Any, where: str, categories: Mapping[int, str]) -> Object:
    category = _whole(entry, "category_id", where)
    if category not in categories:
        raise ValueError(f"{where}: category_id {category} is none of the categories")
    box = _of(entry, "bbox", where)
    if not isinstance(box, list) or len(box) != 4 or not all(map(_finite, box)):
        raise ValueError(f"{where}: bbox is {box!r}, wanted four numbers x, y, width, height")
    x, y, width, height = map(float, box)
    crowd = _of(entry, "iscrowd", where, needed=False)
    area = _of(entry, "area", where, needed=False)
    return Object(
        entry.get("id"),
        (x, y, x + width, y + height),
        category,
        bool(crowd),
        float(area) if _finite(area) else None,
        entry.get("segmentation"),
        entry.get("keypoints") if entry.get("num_keypoints") != 0 else None,
    )


def _of(entry: Any, key: str, where: str, *, needed: bool = True) -> Any:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is {type(entry).__name__}, wanted an object")
    if needed and key not in entry:
        raise ValueError(f"{where} has no {key!r}")
    return entry.get(key)


def _whole(entry: Any, key: str, where: str) -> int:
    value = _of(entry, key, where)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{where}: {key} is {value!r}, wanted a whole number")
    return value


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def truths_of(
    picture: Picture,
    size: tuple[int, int],
    index: Mapping[int, int],
    counts: Counter[str],
    *,
    masks: bool = False,
    points: int = 0,
) -> Truths:
    """What AP takes of one picture; boxes are cut to it, and those outside it left out, counted.

    Args:
        size: (height, width) of the picture itself.
        index: class index by category; objects of other categories are left out, uncounted.
        counts: told what was mended, in words.
        points: how many keypoints an object has, where these are compared.

    Raises:
        ValueError: a mask or keypoints that cannot be read; the message names the annotation.
    """
    height, width = size
    rows: list[tuple[tuple[float, ...], Object]] = []
    for one in picture.objects:
        if one.category not in index:
            continue
        low = [min(max(v, 0.0), end) for v, end in zip(one.box[:2], (width, height), strict=True)]
        high = [min(max(v, 0.0), end) for v, end in zip(one.box[2:], (width, height), strict=True)]
        if high[0] <= low[0] or high[1] <= low[1]:
            counts["boxes left out (empty or outside)"] += 1
            continue
        cut = (*low, *high)
        if max(abs(a - b) for a, b in zip(cut, one.box, strict=True)) > 0.5:
            counts["boxes cut to the picture"] += 1
        rows.append((cut, one))
    boxes = np.array([box for box, _ in rows], np.float64).reshape(-1, 4)
    objects = [one for _, one in rows]
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return Truths(
        boxes,
        np.array([index[one.category] for one in objects], np.int64),
        np.array([one.crowd for one in objects], np.bool_),
        np.array(
            [s if one.area is None else one.area for one, s in zip(objects, sizes, strict=True)]
        ),
        _masks(objects, size) if masks else None,
        _points(objects, points) if points else None,
    )


def areas_of(annotations: Annotations, categories: Collection[int]) -> list[float]:
    """Pixels of every object of these categories that is no crowd: as the file says, or its box."""
    found = []
    for one in (one for picture in annotations.pictures for one in picture.objects):
        x1, y1, x2, y2 = one.box
        if one.category in categories and not one.crowd:
            found.append((x2 - x1) * (y2 - y1) if one.area is None else one.area)
    return found


def _masks(objects: Sequence[Object], size: tuple[int, int]) -> Any:
    stack = np.zeros((len(objects), *size), np.bool_)
    for i, one in enumerate(objects):
        try:
            stack[i] = mask_of(one.segmentation, *size)
        except (TypeError, ValueError) as error:
            raise ValueError(f"annotation with id {one.id}: {error}") from error
    return stack


def _points(objects: Sequence[Object], count: int) -> Any:
    """(N, count, 3) as x, y and 0 where a point is not annotated."""
    points = np.zeros((len(objects), count, 3))
    for i, one in enumerate(objects):
        if one.keypoints is None:
            continue
        values = one.keypoints
        if (
            not isinstance(values, list)
            or len(values) != 3 * count
            or not all(map(_finite, values))
        ):
            size = len(values) if isinstance(values, list) else repr(values)
            raise ValueError(
                f"annotation with id {one.id}: keypoints are {size}, wanted {3 * count} numbers "
                f"x, y, visible of {count} points"
            )
        points[i] = np.array(values, np.float64).reshape(count, 3)
    return points
