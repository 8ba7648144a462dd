"""Rows of SSD."""

from __future__ import annotations

from typing import Any

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

ROWS: list[dict[str, Any]] = []
