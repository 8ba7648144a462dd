"""Detections as COCO writes results: records that ``COCO.loadRes`` of pycocotools takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def result_records(
    image: int,
    boxes: npt.NDArray[Any],
    scores: Iterable[float],
    categories: Iterable[int],
    masks: npt.NDArray[np.bool_] | None = None,
    points: npt.NDArray[Any] | None = None,
) -> list[dict[str, Any]]:
    """COCO's records of one picture, as ``COCO.loadRes`` of pycocotools takes them.

    Args:
        boxes: (N, 4) as x1, y1, x2, y2; written as x, y, width, height.
        masks: (N, H, W), written as packed runs.
        points: (N, K, 3) as x, y, score; those of a detection that has none are NaN.
    """
    records: list[dict[str, Any]] = []
    for i, (box, score, category) in enumerate(zip(boxes, scores, categories, strict=True)):
        x1, y1, x2, y2 = (round(float(v), 3) for v in box)
        record = {
            "image_id": image,
            "category_id": int(category),
            "bbox": [x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)],
            "score": round(float(score), 6),
        }
        if masks is not None:
            record["segmentation"] = encoded_mask(masks[i])
        if points is not None and np.isfinite(points[i]).all():
            record["keypoints"] = [round(float(v), 3) for v in points[i].reshape(-1)]
        records.append(record)
    return records


def runs(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Lengths of the runs of a mask (H, W)."""
    flat = np.concatenate([[False], mask.T.reshape(-1)])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], edges, [mask.size]]))


def numbered(
    rows: Sequence[Mapping[str, Any]], categories: Mapping[str, int] | None = None
) -> list[dict[str, Any]]:
    """Records with the ``category_id`` that belongs to the name of their ``category``.

    Args:
        categories: numbers by name; the other names count on from there in order of names.
    """
    known = dict(categories or {})
    beyond = max(known.values(), default=0) + 1
    unknown = sorted({row["category"] for row in rows} - set(known))
    known |= {name: beyond + i for i, name in enumerate(unknown)}
    return [{**row, "category_id": known[row["category"]]} for row in rows]


def named_records(
    image: int,
    boxes: npt.NDArray[Any],
    scores: npt.NDArray[Any],
    labels: Sequence[str],
    masks: npt.NDArray[np.bool_] | None = None,
) -> list[dict[str, Any]]:
    """Records with the name of each class as ``category``, numbers to come; see `numbered`.

    Boxes without scores count as certain, boxes without labels have an empty name.
    """
    count = len(boxes)
    certain = scores if len(scores) else np.ones(count)
    rows = result_records(image, boxes, certain, [0] * count, masks)
    names = labels or [""] * count
    return [{**row, "category": name} for row, name in zip(rows, names, strict=True)]


def encoded_mask(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """A mask (H, W) as results in COCO's format hold it."""
    return {"size": list(mask.shape), "counts": packed(runs(mask))}


def packed(counts: npt.NDArray[np.int64]) -> str:
    """Runs as text: each, from the fourth on less the one before the last, in digits of base 32."""
    letters = []
    for i, count in enumerate(counts.tolist()):
        value = count - (int(counts[i - 2]) if i > 2 else 0)
        more = True
        while more:
            digit = value & 31
            value >>= 5
            more = value != -1 if digit & 16 else value != 0
            letters.append(chr(48 + (digit | 32 if more else digit)))
    return "".join(letters)
