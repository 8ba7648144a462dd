"""Rows of the catalogue, a file for each family of systems; plain data that imports nothing.

The fields are explained in `engines`.
"""

from __future__ import annotations

from typing import Any

# Of every detector: `engines.nn.detection.detections`.
DETECTION_GROUPS: dict[str, dict[str, Any]] = {
    "detections": {"kinds": ["Boxes"], "area": "centre", "title": "Detections"},
    "suppression": {"kinds": ["Boxes"], "area": "bottom", "title": "Suppression"},
    "origin": {"kinds": ["Boxes", "Text"], "area": "centre", "title": "Where it came from"},
}

# Of every engine that trains by `engines.nn.detection.detector_training`.
TRAINING_GROUPS: dict[str, dict[str, Any]] = {
    "training": {"kinds": ["Curve"], "area": "bottom", "title": "Training", "when": "training"},
    "held-out": {
        "kinds": ["Image", "Boxes"],
        "area": "bottom",
        "title": "Held-out scenes",
        "when": "training",
    },
}

# The digits that scikit-learn ships, with the split of training and test; no weights, but the
# training of the networks below starts from them.
DIGITS8X8: dict[str, Any] = {
    "name": "digits8x8",
    "source": "asset:weights/digits8x8.safetensors",
    "sha256": "57ff260f286b51bbdccd0e471c47119ea626679553573dce51d2cb0adf360d11",
    "size": 120687,
    "licence": "CC BY 4.0 (UCI), BSD-3-Clause (scikit-learn)",
    "data": "",
    "provenance": "data",
    "reader": "",
    "fingerprint": {"images": (1797, 8, 8), "train_index": (1400,)},
}
