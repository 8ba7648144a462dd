"""Rows of SPPnet and Fast R-CNN."""

from __future__ import annotations

from typing import Any

from engines.rows import DIGITS8X8

SPP_DIGITS: dict[str, Any] = {
    "name": "spp-digits",
    "source": "asset:weights/spp-digits.safetensors",
    "sha256": "cb23565cf9d354d2d66adfa4a98ace3507611fa4b38b88b78e9c061ccf56e076",
    "size": 24220,
    "licence": "MIT",
    "data": "scikit-learn digits (CC BY 4.0)",
    "provenance": "trained here",
    "reader": "",
    "fingerprint": {"conv2.weight": (32, 16, 3, 3), "classifier.weight": (10, 672)},
}

ROWS: list[dict[str, Any]] = [
    {
        "name": "sppnet",
        "engine": "engines.detect.sppnet:SppNet",
        "title": "SPPnet, pyramid pooling",
        "family": "Detection",
        "paper": "He, Zhang, Ren, Sun: Spatial Pyramid Pooling, 2014",
        "summary": "Drag a box over a digit: it is read from the map that is already there.",
        "inputs": {"image": "image"},
        "sample": {"image": "digits.png"},
        "groups": {
            "pyramid": {
                "kinds": ["Image", "Boxes", "Keypoints"],
                "area": "centre",
                "title": "Pyramid",
            },
            "region": {"kinds": ["Image", "Boxes"], "area": "centre", "title": "Region"},
            "map": {"kinds": ["Field"], "area": "right", "title": "One map"},
            "sizes": {"kinds": ["Image", "Text"], "area": "right", "title": "Two sizes"},
            "vector": {"kinds": ["Matrix"], "area": "centre", "title": "Vector"},
            "rules": {"kinds": ["Text", "Matrix"], "area": "right", "title": "Paper and torch"},
            "prediction": {"kinds": ["Scores"], "area": "bottom", "title": "Prediction"},
            "training": {"kinds": ["Curve"], "area": "right", "title": "Training"},
        },
        "points": ["maps", "conv1", "conv2", "pool", "classifier"],
        "layout": "units",
        "weights": [SPP_DIGITS, DIGITS8X8],
    },
]
