"""The skeletons of a run as JSON and as CSV, frame by frame."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from explorer.kinds import Keypoints
from explorer.views import Frame

COLUMNS = ("frame", "figure", "joint", "x", "y", "score")


class Poses:
    """Gathers every Keypoints artefact; of several steps of one frame the last counts."""

    def __init__(self) -> None:
        self._found: dict[str, dict[int, Keypoints]] = {}

    def take(self, frame: Frame) -> None:
        """Note the skeletons of a step."""
        for artefact in frame.artefacts:
            if isinstance(artefact, Keypoints):
                self._found.setdefault(artefact.name, {})[frame.frame] = artefact

    def texts(self, name: str) -> dict[str, str]:
        """The content of each file of the artefact ``name`` by what its file's name ends with."""
        frames = self._found[name]
        return {".poses.json": as_json(frames), ".poses.csv": as_csv(frames)}


def as_json(frames: dict[int, Keypoints]) -> str:
    """``joints``, ``skeleton`` and, a frame, its figures with their points (x, y, score)."""
    first = next(iter(frames.values()))
    record: dict[str, Any] = {
        "joints": list(first.labels),
        "skeleton": [list(pair) for pair in first.skeleton],
        "frames": [
            {
                "frame": index,
                "figures": [
                    {"id": number, "points": [[round(float(v), 4) for v in p] for p in points]}
                    for number, points in zip(_numbers(made), made.points, strict=True)
                ],
            }
            for index, made in sorted(frames.items())
        ],
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(frames: dict[int, Keypoints]) -> str:
    """A row a joint: frame, figure, joint, x and y in input pixels, score."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for index, made in sorted(frames.items()):
        for number, points in zip(_numbers(made), made.points, strict=True):
            for k, (x, y, score) in enumerate(points.tolist()):
                name = made.labels[k] if made.labels else k
                rows.writerow([index, number, name, f"{x:.4f}", f"{y:.4f}", f"{score:.4f}"])
    return out.getvalue()


def _numbers(made: Keypoints) -> list[int]:
    return list(made.ids) or list(range(len(made.points)))
