"""Rows of SSD."""

from __future__ import annotations

from typing import Any

from engines.rows import DETECTION_GROUPS, TRAINING_GROUPS

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
    "licence": "BSD-3-Clause (the code: for the file no terms are stated)",
    "data": "COCO 2017 photographs (research terms); the body started from ImageNet-1k",
    "provenance": "trained",
    "reader": "",
    "fingerprint": {
        "backbone.scale_weight": (512,),
        "backbone.extra.0.7.1.weight": (1024, 512, 3, 3),
        "head.classification_head.module_list.0.weight": (364, 512, 3, 3),
    },
}

SSDLITE320_COCO: dict[str, Any] = {
    **SSD300_COCO,
    "name": "ssdlite320-coco",
    "source": "https://download.pytorch.org/models/ssdlite320_mobilenet_v3_large_coco-a79551df.pth",
    "sha256": "a79551df",
    "data": "COCO 2017 photographs (research terms)",
    "fingerprint": {
        "backbone.features.0.0.0.weight": (16, 3, 3, 3),
        "backbone.extra.0.0.0.weight": (256, 480, 1, 1),
        "head.classification_head.module_list.0.1.weight": (546, 672, 1, 1),
    },
}

_SHAPES_FILES: dict[str, tuple[str, int]] = {
    "shapes-ssd": ("82e8d8a0d0c233b8270b9dde21006b5c670d15b2021b4715f17a5b11f93fdd02", 199736),
    "shapes-ssd-hard": ("ced8e46761e96dc26908579f2eee9958418e6a116e1e1df051966f1a0043e10a", 199744),
}
SHAPES_SSD: list[dict[str, Any]] = [
    {
        "name": name,
        "source": f"asset:weights/{name}.safetensors",
        "sha256": sha256,
        "size": size,
        "licence": "MIT",
        "data": "generated scenes",
        "provenance": "trained here",
        "reader": "",
        "fingerprint": {
            "backbone.scale_weight": (64,),
            "head.classification_head.module_list.1.weight": (16, 64, 3, 3),
        },
    }
    for name, (sha256, size) in _SHAPES_FILES.items()
]

_PRIOR_GROUPS: dict[str, dict[str, Any]] = {
    "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
    **DETECTION_GROUPS,
    "priors": {"kinds": ["Boxes"], "area": "bottom", "title": "Default boxes of one cell"},
    "heat": {"kinds": ["Field"], "area": "centre", "title": "Scores of each map"},
    "maps": {"kinds": ["Scores"], "area": "bottom", "title": "Boxes kept, by map"},
}

ROWS: list[dict[str, Any]] = [
    {
        "name": "ssd",
        "engine": "engines.detect.ssd:Ssd",
        "title": "SSD",
        "family": "Detection",
        "paper": "Liu et al.: SSD: Single Shot MultiBox Detector, 2016",
        "summary": "Click a box to see which default box found it, or draw what is to be found.",
        "inputs": {"image": "image", "annotations": "file.json"},
        "sample": {"image": "shapes.png", "annotations": "shapes.json"},
        "groups": {
            **_PRIOR_GROUPS,
            "matching": {"kinds": ["Boxes"], "area": "centre", "title": "Matching"},
            "normalisation": {
                "kinds": ["FeatureMaps", "Field", "Curve"],
                "area": "bottom",
                "title": "L2 normalisation",
            },
            **TRAINING_GROUPS,
            "lesson": {
                "kinds": ["Image", "Boxes"],
                "area": "right",
                "title": "Last lesson",
                "when": "training",
            },
        },
        "points": [
            "backbone.rescaled",
            "backbone.features",
            "backbone.extra.0",
            "backbone.l2norm",
            "head.classification_head.module_list.0",
            "head.classification_head.module_list.1",
            "head.regression_head.module_list.0",
            "head.regression_head.module_list.1",
            "scores",
        ],
        "layout": "units",
        "weights": [*SHAPES_SSD, SSD300_COCO, SSDLITE320_COCO],
    },
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
