"""Rows of YOLO9000."""

from __future__ import annotations

from typing import Any

from engines.rows import DETECTION_GROUPS, TRAINING_GROUPS

_FILES = {
    "shapes-yolo9000": ("d6d67e662df59a20a24bc91dcbd48fb2631bfae83e10a29c963c3f6e0f2f007a", 209000),
    "shapes-yolo9000-boxes": (
        "9ae11a7d4966db380288bb69e5e2e1b3003685878f4f2aef391571654bc19ebc",
        209000,
    ),
}
SHAPES_YOLO9000: list[dict[str, Any]] = [
    {
        "name": name,
        "source": f"asset:weights/{name}.safetensors",
        "sha256": sha256,
        "size": size,
        "licence": "MIT",
        "data": "generated scenes",
        "provenance": "trained here",
        "reader": "",
        "fingerprint": {"body.trunk.0.0.weight": (16, 3, 3, 3), "body.head.weight": (72, 64, 1, 1)},
    }
    for name, (sha256, size) in _FILES.items()
]

ROWS: list[dict[str, Any]] = [
    {
        "name": "yolo9000",
        "engine": "engines.detect.yolo9000:YOLO9000",
        "title": "YOLO9000 and its WordTree",
        "family": "Detection",
        "paper": "Redmon, Farhadi: YOLO9000: Better, Faster, Stronger, 2016",
        "summary": "Move the knob Stop: the name of each box goes up or down the tree.",
        "inputs": {"image": "image"},
        "sample": {"image": "shapes-coloured.png"},
        "groups": {
            "tree": {"kinds": ["Graph"], "area": "centre", "title": "WordTree"},
            **DETECTION_GROUPS,
            "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
            "nodes": {"kinds": ["Scores"], "area": "bottom", "title": "Nodes of the tree"},
            "lesson": {
                "kinds": ["Graph", "Boxes"],
                "area": "bottom",
                "title": "What a label teaches",
            },
            "cell": {"kinds": ["Boxes"], "area": "right", "title": "One cell"},
            "maps": {
                "kinds": ["FeatureMaps", "Field"],
                "area": "bottom",
                "title": "Over the cells",
            },
            **TRAINING_GROUPS,
            "taught": {
                "kinds": ["Graph"],
                "area": "bottom",
                "title": "Nodes that were taught",
                "when": "training",
            },
        },
        "points": [
            "body.trunk.7",
            "body.trunk.0",
            "body.trunk.2",
            "body.trunk.4",
            "body.trunk.6",
            "body.head",
        ],
        "layout": "detector",
        "weights": SHAPES_YOLO9000,
    },
]
