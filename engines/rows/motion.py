"""Rows of poses and of motion transfer."""

from __future__ import annotations

from typing import Any

POSENET = {
    "name": "posenet",
    "source": "asset:weights/posenet.safetensors",
    "sha256": "9ac542455e090d9c7b28932a783a0d552c1590f54be573e19af9b2f93b869c06",
    "size": 5038388,
    "licence": "Apache-2.0 (PoseNet), MIT (package)",
    "data": "COCO 2017 photographs (research terms)",
    "provenance": "trained",
    "reader": "",
    "fingerprint": {"heat.weight": (17, 384, 1, 1), "displacement_forward.weight": (32, 384, 1, 1)},
}

ROWS: list[dict[str, Any]] = [
    {
        "name": "posenet",
        "engine": "engines.motion.posenet:PoseNets",
        "title": "PoseNet",
        "family": "Motion",
        "paper": "Papandreou et al.: PersonLab, 2018",
        "summary": "Drop a photo or a clip of people, then choose a joint to see where it may be.",
        "inputs": {"image": "image"},
        "sample": {"image": "pair.jpg"},
        "groups": {
            "people": {"kinds": ["Keypoints", "Boxes"], "area": "centre", "title": "People"},
            "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
            "joints": {"kinds": ["Scores"], "area": "right", "title": "Joints"},
            "maps": {"kinds": ["Field"], "area": "bottom", "title": "Maps"},
        },
        "points": [
            "trunk.4",
            "stem",
            "trunk.0",
            "trunk.2",
            "trunk.6",
            "trunk.8",
            "trunk.12",
            "heat",
            "offset",
            "displacement_forward",
            "displacement_backward",
        ],
        "layout": "detector",
        "weights": [POSENET],
    },
]
