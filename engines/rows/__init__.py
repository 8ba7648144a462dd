"""Rows of the catalogue, a file for each family of systems; plain data that imports nothing.

The fields are explained in `engines`.
"""

from __future__ import annotations

from typing import Any

# Of every detector: `engines.nn.detections`.
DETECTION_GROUPS: dict[str, dict[str, Any]] = {
    "detections": {"kinds": ["Boxes"], "area": "centre", "title": "Detections"},
    "suppression": {"kinds": ["Boxes"], "area": "right", "title": "Suppression"},
    "origin": {"kinds": ["Boxes", "Text"], "area": "right", "title": "Where it came from"},
}

# Of every engine that trains by `engines.nn.detector_training`.
TRAINING_GROUPS: dict[str, dict[str, Any]] = {
    "training": {"kinds": ["Curve"], "area": "bottom", "title": "Training"},
    "held-out": {"kinds": ["Image", "Boxes"], "area": "right", "title": "Held-out scenes"},
}
