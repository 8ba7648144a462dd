"""Boxes and keypoints in the words and colours of the overlays that draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtGui import QColor

from explorer.kinds import GONE, WAITING, Boxes, Keypoints
from explorer.panels.overlays import BoxMark, class_colour, colours_of

CHOSEN = "chosen"  # a state that is marked as a selection is
SEEN_FROM = 0.3  # score from which a keypoint counts as seen


def box_words(boxes: Boxes, i: int) -> str:
    """Label and score of box ``i``: ``cat 0.93``."""
    label = boxes.labels[i] if boxes.labels else ""
    score = f"{boxes.scores[i]:.2f}" if len(boxes.scores) else ""
    return " ".join(part for part in (label, score) if part)


def box_marks(boxes: Boxes, colours: Mapping[str, QColor] | None = None) -> list[BoxMark]:
    """What to draw for each box; the best score is drawn last, on top."""
    known = colours if colours is not None else colours_of(boxes.labels)
    return [
        BoxMark(
            (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            box_words(boxes, i),
            known[boxes.labels[i]] if boxes.labels else class_colour(1),
            dashed=bool(boxes.state) and boxes.state[i] in GONE,
            faint=bool(boxes.state) and boxes.state[i] == WAITING,
            share=float(boxes.widths[i]) if len(boxes.widths) else None,
        )
        for i, box in enumerate(boxes.boxes)
    ]


def box_under(boxes: Boxes, x: float, y: float) -> int | None:
    """The smallest box that holds an input position."""
    inside = [
        i
        for i, (x1, y1, x2, y2) in enumerate(boxes.boxes.tolist())
        if x1 <= x <= x2 and y1 <= y <= y2
    ]
    area = (boxes.boxes[:, 2] - boxes.boxes[:, 0]) * (boxes.boxes[:, 3] - boxes.boxes[:, 1])
    return min(inside, key=lambda i: float(area[i])) if inside else None


def standing_under(boxes: Boxes, x: float, y: float) -> int | None:
    """As `box_under`, of the boxes that were not removed and do not wait."""
    if not boxes.state:
        return box_under(boxes, x, y)
    rows = [i for i, s in enumerate(boxes.state) if s not in GONE and s != WAITING]
    found = box_under(Boxes(boxes.name, boxes.boxes[rows]), x, y) if rows else None
    return None if found is None else rows[found]


def cause_of(boxes: Boxes, i: int) -> int | None:
    """Which box removed box ``i``, where it is among them."""
    if len(boxes.cause_id) <= i or boxes.cause_id[i] < 0:
        return None
    ids = list(boxes.ids) or list(range(len(boxes.boxes)))
    return ids.index(boxes.cause_id[i]) if boxes.cause_id[i] in ids else None


def skeletons(keypoints: Keypoints) -> list[list[tuple[float, float, bool]]]:
    """Points of each person as (x, y, seen)."""
    return [
        [(float(x), float(y), bool(score >= SEEN_FROM)) for x, y, score in person]
        for person in keypoints.points
    ]


def numbers_of(keypoints: Keypoints) -> list[int]:
    """The number of each figure, which gives it its colour and its name."""
    return list(keypoints.ids) or list(range(len(keypoints.points)))


def nearest_point(keypoints: Keypoints, x: float, y: float, reach: float) -> tuple[int, int] | None:
    """(person, point) nearest to an input position, no farther than ``reach`` input pixels."""
    if not keypoints.points.size:
        return None
    away = ((keypoints.points[..., :2] - (x, y)) ** 2).sum(-1)
    best = int(away.argmin())
    person, point = divmod(best, keypoints.points.shape[1])
    return (person, point) if float(away.flat[best]) <= reach**2 else None


def legend_of(labels: Sequence[str]) -> list[tuple[str, QColor, int]]:
    """(label, colour, how many) of each distinct label."""
    return [
        (label, colour, list(labels).count(label)) for label, colour in colours_of(labels).items()
    ]
