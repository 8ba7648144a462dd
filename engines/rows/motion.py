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

MOVENET = {
    "name": "movenet-lightning",
    "source": "asset:weights/movenet-lightning.safetensors",
    "sha256": "c8c97bb711f6130fa775d0ea913571fd3b16eb3b91be1a1b8a197710ff8dec4f",
    "size": 4653420,
    "licence": "Apache-2.0 (MoveNet), MIT (package)",
    "data": "COCO 2017 photographs (research terms), pictures of the publisher's own",
    "provenance": "trained",
    "reader": "",
    "fingerprint": {"prior": (48, 48), "heads.heat.1.weight": (17, 96, 1, 1)},
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
    {
        "name": "movenet",
        "engine": "engines.motion.movenet:MoveNets",
        "title": "MoveNet Lightning",
        "family": "Motion",
        "paper": "Google: MoveNet, 2021; Zhou et al.: Objects as Points, 2019",
        "summary": "Drop a clip of one person and see the first guess being put right.",
        "inputs": {"image": "image"},
        "sample": {"image": "pair.jpg"},
        "groups": {
            "people": {"kinds": ["Keypoints", "Boxes"], "area": "centre", "title": "Person"},
            "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
            "joints": {"kinds": ["Scores"], "area": "right", "title": "Joints"},
            "maps": {"kinds": ["Field"], "area": "bottom", "title": "Maps"},
        },
        "points": [
            "blocks.2",
            "stem",
            "blocks.0",
            "blocks.5",
            "blocks.9",
            "blocks.16",
            "out",
            "merge.0",
            "merge.1",
            "merge.2",
            "heads.heat",
        ],
        "layout": "detector",
        "weights": [MOVENET],
    },
]
