"""Rows of NanoDet."""

from __future__ import annotations

from typing import Any

from engines.rows import DETECTION_GROUPS

NANODET = {
    "name": "nanodet",
    "source": "asset:weights/nanodet.safetensors",
    "sha256": "5b9099cac3c8078cea96ee0f679620ab91ddb1600de089400b1e11d7e043f290",
    "size": 7578488,
    "licence": "Apache-2.0 (NanoDet), MIT (package)",
    "data": "COCO 2017 photographs (research terms)",
    "provenance": "trained",
    "reader": "",
    "fingerprint": {"heads.0.out.weight": (124, 128, 1, 1), "lateral.2.weight": (128, 512, 1, 1)},
}

ROWS: list[dict[str, Any]] = [
    {
        "name": "nanodet",
        "engine": "engines.detect.nanodet:NanoDetector",
        "title": "NanoDet, 80 classes",
        "family": "Detection",
        "paper": "Lyu: NanoDet, 2020; Li et al.: Generalized Focal Loss, 2020",
        "summary": "Drop a street photo or a clip, then click a box to see where it came from.",
        "inputs": {"image": "image"},
        "sample": {"image": "astronaut.png"},
        "groups": {
            **DETECTION_GROUPS,
            "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
            "heat": {"kinds": ["Field"], "area": "bottom", "title": "Scores of the cells"},
            "cell": {
                "kinds": ["Scores", "Matrix", "Boxes"],
                "area": "bottom",
                "title": "The cell that found it",
            },
        },
        "points": [
            "stages.1",
            "stem",
            "stages.0",
            "stages.2",
            "stages.3",
            "merged.0",
            "merged.1",
            "merged.2",
            "heads.0.conv",
            "heads.1.conv",
            "heads.2.conv",
        ],
        "layout": "detector",
        "weights": [NANODET],
    },
]
