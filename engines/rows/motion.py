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

# The authors hand it out by a drive that has no plain address: a user's own file only.
LABEL2CITY = {
    "name": "label2city",
    "source": "",
    "sha256": "",
    "size": 0,
    "licence": "BSD (the authors' repository)",
    "data": "Cityscapes (research terms)",
    "provenance": "trained",
    "reader": "",
    "fingerprint": {"model1_1.1.weight": (32, 36, 7, 7), "model1_2.7.bias": (3,)},
}

SHAPES_PIX2PIXHD = {
    "name": "shapes-pix2pixhd",
    "source": "asset:weights/shapes-pix2pixhd.safetensors",
    "sha256": "b465beaea9d13faf4ddd22434146771cbff46a5fb8055574deb32033e618e890",
    "size": 1293842,
    "licence": "MIT",
    "data": "",
    "provenance": "trained here",
    "reader": "engines.nn.readers:eight_bits",
    "fingerprint": {
        "generator.model.1.weight": (16, 4, 7, 7),
        "discriminator.scale1_layer0.0.weight": (12, 7, 4, 4),
    },
}

DANCERS = {
    "name": "dancers",
    "source": "asset:weights/dancers.safetensors",
    "sha256": "a9ae1282a4e29e6308bfe84656fa9d3e5c38774d1317d1e6f3e82d5590311895",
    "size": 1519662,
    "licence": "MIT",
    "data": "",
    "provenance": "trained here",
    "reader": "engines.nn.readers:eight_bits",
    "fingerprint": {
        "generator.model.1.weight": (16, 6, 7, 7),
        "face.model.1.weight": (12, 6, 7, 7),
    },
}

JUMPER = {
    **DANCERS,
    "name": "jumper",
    "source": "asset:weights/jumper.safetensors",
    "sha256": "e36ce6af1aca4d158acc241283c68766e0727a135d508995bcefbf3409ef0cd9",
    "size": 1519742,
    "data": "a clip of the package sports2d (BSD-3-Clause)",
}

# What a person has trained on a clip of their own: `layerscope weights import own-dancer FILE`.
OWN_DANCER = {
    **DANCERS,
    "name": "own-dancer",
    "source": "",
    "sha256": "",
    "size": 0,
    "licence": "your own",
    "reader": "",
}

DANCE: dict[str, Any] = {
    "name": "dance",
    "engine": "engines.motion.dance:Dance",
    "title": "Everybody Dance Now",
    "family": "Motion",
    "paper": "Chan, Ginosar, Zhou, Efros: Everybody Dance Now, 2019",
    "summary": "Drag a joint of the figure: the dancer follows, and so does the whole film.",
    "inputs": {"target": "clip", "source": "clip"},
    "sample": {},
    "optional": ["target", "source"],
    "groups": {
        "frames": {"kinds": ["Image", "Keypoints"], "area": "centre", "title": "Film"},
        "input": {"kinds": ["Image"], "area": "right", "title": "Generated"},
        "hand": {"kinds": ["Image"], "area": "centre", "title": "By hand"},
        "film": {"kinds": ["Image"], "area": "centre", "title": "Side by side"},
        "light": {"kinds": ["Text"], "area": "right", "title": "Warning light"},
        "face": {"kinds": ["Image", "Field"], "area": "bottom", "title": "Face"},
        "memory": {"kinds": ["Image"], "area": "right", "title": "Frame before"},
        "quality": {"kinds": ["Curve"], "area": "bottom", "title": "Quality"},
        "critic": {"kinds": ["Field"], "area": "bottom", "title": "Discriminators"},
        "matching": {"kinds": ["Matrix"], "area": "bottom", "title": "Feature matching"},
        "normalisation": {"kinds": ["Curve"], "area": "bottom", "title": "Normalisation"},
        "training": {"kinds": ["Curve"], "area": "bottom", "title": "Training", "when": "training"},
        "held-out": {
            "kinds": ["Image"],
            "area": "bottom",
            "title": "Held-out motion",
            "when": "training",
        },
    },
    "points": [
        "generator.model.19",
        "generator.model.3",
        "generator.model.6",
        "generator.model.9",
        "generator.model.12",
        "generator.model.13",
        "generator.model.14",
        "generator.model.15",
        "generator.model.18",
        "generator.model.21",
        "generator.model.24",
        "face.model.9",
        "face.model.11",
        "discriminator.scale1_layer0",
        "discriminator.scale1_layer3",
        "discriminator.scale0_layer3",
    ],
    "layout": "units",
    "weights": [DANCERS, OWN_DANCER, POSENET, MOVENET],
}

# The same mechanism with a ready clip of a real person.
DANCE_JUMPER = {
    **DANCE,
    "name": "dance-jumper",
    "engine": "engines.motion.dance_jumper:DanceJumper",
    "title": "Everybody Dance Now, a real clip",
    "summary": "Drag a joint of the figure: a man from three seconds of film follows.",
    "sample": {"target": "jumper.mp4"},
    "weights": [JUMPER, OWN_DANCER, MOVENET, POSENET],
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
    {
        "name": "pix2pixhd",
        "engine": "engines.motion.pix2pixhd:Pix2PixHD",
        "title": "pix2pixHD",
        "family": "Motion",
        "paper": "Wang et al.: High-Resolution Image Synthesis with Conditional GANs, 2018",
        "summary": "Choose a class and paint on the label map: the picture follows at once.",
        "inputs": {},
        "sample": {},
        "groups": {
            "painting": {"kinds": ["Image"], "area": "centre", "title": "Painting"},
            "input": {"kinds": ["Image"], "area": "right", "title": "Truth"},
            "critic": {"kinds": ["Field"], "area": "bottom", "title": "Discriminators"},
            "matching": {"kinds": ["Matrix"], "area": "bottom", "title": "Feature matching"},
            "range": {
                "kinds": ["Scores", "Histogram"],
                "area": "bottom",
                "title": "Saturation",
            },
            "training": {
                "kinds": ["Curve"],
                "area": "bottom",
                "title": "Training",
                "when": "training",
            },
            "held-out": {
                "kinds": ["Image"],
                "area": "bottom",
                "title": "Held-out scenes",
                "when": "training",
            },
        },
        "points": [
            "generator.model.3",
            "generator.model.6",
            "generator.model.9",
            "generator.model.12",
            "generator.model.13",
            "generator.model.14",
            "generator.model.15",
            "generator.model.18",
            "generator.model.21",
            "generator.model.24",
            "generator.model.27",
            "discriminator.scale1_layer0",
            "discriminator.scale1_layer3",
            "discriminator.scale0_layer3",
        ],
        "layout": "units",
        "weights": [SHAPES_PIX2PIXHD, LABEL2CITY],
    },
    DANCE,
    DANCE_JUMPER,
]
