"""Rows of SSD."""

from __future__ import annotations

from typing import Any

from engines.rows import DETECTION_GROUPS

SSD_FACE: dict[str, Any] = {
    "name": "ssd-face",
    "source": "asset:weights/ssd-face.safetensors",
    "sha256": "42c611a5be14f5a531d7ac555af6dcf56e05f05447196efdc7be96cfd3c0ca72",
    "size": 5642959,
    "licence": "MIT",
    "data": "WIDER FACE photographs (research terms)",
    "provenance": "trained",
    "reader": "engines.nn.readers:eight_bits",
    "fingerprint": {
        "trunk.12.pointwise.weight": (1024, 1024, 1, 1),
        "predictors.5.offsets.weight": (24, 128, 1, 1),
        "priors": (5118, 4),
    },
}
SSD300_COCO: dict[str, Any] = {
    "name": "ssd300-coco",
    "source": "https://download.pytorch.org/models/ssd300_vgg16_coco-b556d3b4.pth",
    "sha256": "b556d3b4",
    "size": 0,  # the publisher gives it in rounded megabytes only
    "licence": "BSD-3-Clause (code; no terms are stated for the file)",
    "data": "COCO 2017 photographs (research terms); the body started from ImageNet-1k",
    "provenance": "trained",
    "reader": "",
    "fingerprint": {
        "backbone.scale_weight": (512,),
        "backbone.extra.0.7.1.weight": (1024, 512, 3, 3),
        "head.classification_head.module_list.0.weight": (364, 512, 3, 3),
    },
}

_PRIOR_GROUPS: dict[str, dict[str, Any]] = {
    "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
    **DETECTION_GROUPS,
    "priors": {"kinds": ["Boxes"], "area": "bottom", "title": "Default boxes of one cell"},
    "heat": {"kinds": ["Field"], "area": "bottom", "title": "Scores of each map"},
    "maps": {"kinds": ["Scores"], "area": "bottom", "title": "Boxes kept, by map"},
}

ROWS: list[dict[str, Any]] = [
    {
        "name": "ssd-face",
        "engine": "engines.detect.ssd_face:SsdFace",
        "title": "SSD, faces",
        "family": "Detection",
        "paper": "Liu et al.: SSD, 2016; Howard et al.: MobileNets, 2017",
        "summary": "Drop a photo with people and click a face to see which default box found it.",
        "inputs": {"image": "image"},
        "sample": {"image": "astronaut.png"},
        "groups": _PRIOR_GROUPS,
        "points": [
            "trunk.10",
            "stem",
            "trunk.0",
            "trunk.2",
            "trunk.4",
            "trunk.6",
            "trunk.8",
            "trunk.12",
            "extra.0",
            "extra.1",
            "extra.2",
            "scores",
        ],
        "layout": "units",
        "weights": [SSD_FACE],
    },
]
