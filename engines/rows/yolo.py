"""Rows of YOLO."""

from __future__ import annotations

from typing import Any

from engines.rows import DETECTION_GROUPS, TRAINING_GROUPS

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

_SHAPES = {
    "licence": "MIT",
    "data": "generated scenes",
    "provenance": "trained here",
    "reader": "",
}
_V1 = {"trunk.0.0.weight": (16, 3, 3, 3), "head.weight": (13, 64, 1, 1), "!anchors": ()}
_V2 = {"early.0.0.weight": (16, 3, 3, 3), "head.weight": (24, 64, 1, 1), "anchors": (3, 2)}
SHAPES_YOLO = {
    name: {
        **_SHAPES,
        "name": name,
        "source": f"asset:weights/{name}.safetensors",
        "sha256": sha256,
        "size": size,
        "fingerprint": fingerprint,
    }
    for name, sha256, size, fingerprint in (
        (
            "shapes-yolo-v1",
            "064744edb83e92c5b31858feb81ad10c0b3978d137a8a58ae1f8a5ea0de7954c",
            201106,
            _V1,
        ),
        (
            "shapes-yolo-v1-hard",
            "4db7214748f46cc9df2df3268576524233fb2925088250a03bf3939397991958",
            201098,
            _V1,
        ),
        (
            "shapes-yolo-v2",
            "e0e1c3cceed0f5ca82f047486e8bf25c01eedc5b83ece78c668be31c64108e65",
            241028,
            _V2,
        ),
        (
            "shapes-yolo-v2-hard",
            "dd104fedc50bf8c635d98ea4726ed717f37510ebbef814539b99f49b7dd9eafb",
            241012,
            _V2,
        ),
    )
}

_INPUT: dict[str, Any] = {"input": {"kinds": ["Image"], "area": "right", "title": "Picture"}}
_CELL: dict[str, Any] = {"kinds": ["Boxes", "Scores"], "area": "bottom", "title": "One cell"}
_MAPS: dict[str, Any] = {
    "kinds": ["FeatureMaps", "Field"], "area": "centre", "title": "Over the cells",
}  # fmt: skip

ROWS: list[dict[str, Any]] = [
    {
        "name": "yolo-v1",
        "engine": "engines.detect.yolo_v1:YoloV1Engine",
        "title": "YOLO v1",
        "family": "Detection",
        "paper": "Redmon et al.: You Only Look Once, 2016",
        "summary": "Click the picture to see both boxes of the cell there, or train it on scenes.",
        "inputs": {"image": "image", "annotations": "file.json"},
        "sample": {"image": "shapes.png", "annotations": "shapes.json"},
        "groups": {
            **_INPUT,
            **DETECTION_GROUPS,
            "grid": {"kinds": ["Masks"], "area": "centre", "title": "Grid"},
            "maps": _MAPS,
            "truth": {"kinds": ["Boxes", "Scores"], "area": "bottom", "title": "Loss"},
            "cell": _CELL,
            **TRAINING_GROUPS,
        },
        "points": ["trunk.6", "trunk.0", "trunk.2", "trunk.4", "trunk.7", "head"],
        "layout": "units",
        "weights": [SHAPES_YOLO["shapes-yolo-v1"], SHAPES_YOLO["shapes-yolo-v1-hard"]],
    },
    {
        "name": "yolo-v2",
        "engine": "engines.detect.yolo_v2:YoloV2Engine",
        "title": "YOLO v2",
        "family": "Detection",
        "paper": "Redmon, Farhadi: YOLO9000: Better, Faster, Stronger, 2016",
        "summary": "Click an object to see its cell's anchors, or give the path of a Darknet cfg.",
        "inputs": {"image": "image", "annotations": "file.json"},
        "sample": {"image": "shapes.png", "annotations": "shapes.json"},
        "groups": {
            **_INPUT,
            **DETECTION_GROUPS,
            "maps": _MAPS,
            "cell": _CELL,
            "passthrough": {
                "kinds": ["FeatureMaps", "Field"],
                "area": "centre",
                "title": "Pass-through",
            },
            "anchors": {
                "kinds": ["Scatter", "Curve", "Boxes", "Text"],
                "area": "bottom",
                "title": "Anchors by k-means",
            },
            **TRAINING_GROUPS,
        },
        "points": [
            "narrowed",
            "reorg",
            "joined",
            "early.0",
            "early.2",
            "early.4",
            "late.1",
            "mix",
            "head",
        ],
        "layout": "units",
        "weights": [SHAPES_YOLO["shapes-yolo-v2"], SHAPES_YOLO["shapes-yolo-v2-hard"]],
    },
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
