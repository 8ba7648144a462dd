"""Three detectors on a clip in the window, against the bare loop over its frames."""

from __future__ import annotations

from typing import Any

from benchmarks.line import Effort, Line
from benchmarks.playing import against
from benchmarks.timing import clock_name
from engines.detect import nanodet, ssd_face
from engines.nn.detection.detections import Candidates, kept
from engines.nn.one_stage import prior_detections, yolo_views
from explorer.api import ImageInput
from explorer.core.session import Session

NAMES = ("nanodet", "yolo-v2-face", "ssd-face")


def measure(effort: Effort) -> Line:
    """Frames on the screen a second of wall time; the least of the three ratios."""
    found = {name: against(name, "detections", boxes, effort) for name in NAMES}
    detail = {**found, "clock": "wall", "clock_without_window": clock_name(effort.device)}
    least = min(each["ratio"] for each in found.values())
    return Line("detectors", least, "× bare frames/s", ">= 0.9", detail=detail)


def boxes(session: Session, photo: ImageInput) -> object:
    """Prepare, run, suppress; the boxes are read."""
    params = session.params
    return kept(candidates(session.engine, photo, params), params).boxes.tolist()


def candidates(engine: Any, photo: ImageInput, params: Any) -> Candidates:
    """What the heads propose for a picture, and nothing that is only looked at."""
    if isinstance(engine, nanodet.NanoDetector):
        return nanodet.candidates(engine._pass(photo, params.size), params.score)
    if isinstance(engine, ssd_face.SsdFace):
        most = ssd_face.TESTING.most
        return prior_detections.candidates(engine._scored(photo), params.score, most)
    return yolo_views.candidates(engine._seen(photo, params), params.score)
