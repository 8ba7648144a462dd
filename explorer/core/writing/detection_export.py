"""The detections of a run as one file of results in COCO's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer.coco_results import named_records, numbered
from explorer.kinds import Affine, Artefact, Boxes, Keypoints, Masks
from explorer.views import Frame

GROUP = "detections"  # of artefacts; its Boxes called ``boxes`` are what a detector found
FILE = "detections.coco.json"


class Detections:
    """Gathers ``detections/boxes`` frame by frame, with as many masks, and with keypoints.

    Args:
        categories: numbers of the classes by name; the rest count on from there in order of names.
        first: number of the first picture; those of a clip count on.
    """

    def __init__(self, categories: Mapping[str, int] | None = None, first: int = 1) -> None:
        self.categories = dict(categories or {})
        self.first = first
        self.any = False  # whether there was something to gather: the engine is a detector
        self._now: dict[str, Artefact] = {}
        self._frame = 0
        self._rows: list[dict[str, Any]] = []

    def take(self, frame: Frame) -> None:
        """Note the artefacts of a step; of several of one name in a frame the last counts."""
        if frame.frame != self._frame:
            self._close()
            self._frame = frame.frame
        for artefact in frame.artefacts:
            if artefact.group == GROUP and isinstance(artefact, Boxes | Masks | Keypoints):
                self._now[artefact.name] = artefact
                self.any |= artefact.name == f"{GROUP}/boxes"

    def records(self) -> list[dict[str, Any]]:
        """A record a detection, with the name of its class as ``category``."""
        self._close()
        return numbered(self._rows, self.categories)

    def text(self) -> str:
        """The file."""
        return json.dumps(self.records(), ensure_ascii=False, allow_nan=False) + "\n"

    def _close(self) -> None:
        """The frame is over: only its records are kept, for masks are large."""
        boxes = self._now.get(f"{GROUP}/boxes")
        if isinstance(boxes, Boxes):
            count = len(boxes.boxes)
            image, masks = self.first + self._frame, _masks(self._now, count)
            rows = named_records(image, boxes.boxes, boxes.scores, boxes.labels, masks)
            points = _keypoints(self._now, boxes)
            self._rows += [row | more for row, more in zip(rows, points, strict=True)]
        self._now = {}


def picture_number(name: str) -> int:
    """COCO's number of a picture, which is its file name (``000000000139.jpg``); 1 for others."""
    stem = Path(name).stem
    return int(stem) if stem.isascii() and stem.isdigit() else 1


def _masks(made: Mapping[str, Artefact], count: int) -> Any:
    """Masks (N, H, W) in pixels of the picture, where there is one for each box."""
    for artefact in made.values():
        if isinstance(artefact, Masks) and len(artefact.masks) == count:
            place = artefact.affine or Affine()
            if (place.tx, place.ty) == (0, 0):  # else it is unknown where the picture ends
                return _enlarged(np.asarray(artefact.masks) > 0.5, place)
    return None


def _enlarged(masks: npt.NDArray[np.bool_], place: Affine) -> npt.NDArray[np.bool_]:
    """Masks of the whole picture at its own size; each pixel takes the cell that holds it."""
    sides = zip(masks.shape[1:], (place.sy, place.sx), strict=True)
    rows, columns = (
        np.minimum(((np.arange(round(side * scale)) + 0.5) / scale).astype(np.int64), side - 1)
        for side, scale in sides
    )
    return masks[:, rows[:, None], columns[None]]


def _keypoints(made: Mapping[str, Artefact], boxes: Boxes) -> list[dict[str, Any]]:
    """Of each box its points as x, y, score, where there are some: those of its number, or of its
    place where neither has numbers."""
    count = len(boxes.boxes)
    numbers = list(boxes.ids) or list(range(count))
    for artefact in made.values():
        if not isinstance(artefact, Keypoints):
            continue
        flat = np.round(artefact.points.reshape(len(artefact.points), -1).astype(float), 3).tolist()
        if artefact.ids and set(artefact.ids) <= set(numbers):
            rows = dict(zip(artefact.ids, flat, strict=True))
            return [{"keypoints": rows[n]} if n in rows else {} for n in numbers]
        if not artefact.ids and len(flat) == count:
            return [{"keypoints": row} for row in flat]
    return [{}] * count
