"""Rows of YOLO."""

from __future__ import annotations

from typing import Any

from engines.rows import DETECTION_GROUPS

YOLO_V2_FACE = {
    "name": "yolo-v2-face",
    "source": "asset:weights/yolo-v2-face.safetensors",
    "sha256": "1e4b87d28e226c333b22e6b13bcd8bc14269f4bc1ca565444bc7be2b87361717",
    "size": 196809,
    "licence": "MIT",
    "data": "some 14,000 pictures of the publisher's (terms not stated)",
    "provenance": "trained",
    "reader": "engines.nn.readers:eight_bits",
    "fingerprint": {
        "conv0.weight": (16, 3, 3, 3),
        "conv5.pointwise.weight": (512, 256, 1, 1),
        "conv8.weight": (25, 512, 1, 1),
    },
}

_INPUT = {"input": {"kinds": ["Image"], "area": "right", "title": "Picture"}}
_CELL = {"kinds": ["Boxes", "Scores"], "area": "right", "title": "One cell"}
_MAPS = {"kinds": ["FeatureMaps", "Field"], "area": "centre", "title": "Over the cells"}

ROWS: list[dict[str, Any]] = [
    {
        "name": "yolo-v2-face",
        "engine": "engines.detect.yolo_v2_face:YoloV2Face",
        "title": "YOLO v2 for faces",
        "family": "Detection",
        "paper": "Redmon, Farhadi: YOLO9000: Better, Faster, Stronger, 2016 (Tiny, separable)",
        "summary": "Drop a photo or start the camera, then click a face to see its cell's anchors.",
        "inputs": {"image": "image"},
        "sample": {"image": "astronaut.png"},
        "groups": {
            **_INPUT,
            **DETECTION_GROUPS,
            "cell": {**_CELL, "kinds": ["Boxes"]},
            "maps": _MAPS,
        },
        "points": ["conv5", "conv0", "act0", "conv1", "conv2", "conv3", "conv4", "conv8"],
        "layout": "units",
        "weights": [YOLO_V2_FACE],
    },
]
