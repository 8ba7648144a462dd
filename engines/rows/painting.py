"""Rows of the networks that paint in one pass."""

from __future__ import annotations

from typing import Any

from engines.rows.features import EFFICIENTNET_LITE0, VGG16, VGG16_HED, VGG19

MULTISTYLE26 = {
    "name": "multistyle26",
    "source": "asset:weights/multistyle26.safetensors",
    "sha256": "800f099158ce2238b510c1db73a0eca101e60e4ddd5d446e35ef07b13550ab91",
    "size": 669384,
    "licence": "Apache-2.0 (Magenta), MIT (package)",
    "data": "ImageNet photographs, 26 paintings that the publisher does not name",
    "provenance": "trained",
    "reader": "",
    "fingerprint": {
        "contract.0.conv.weight": (32, 3, 9, 9),
        "contract.0.norm.gamma": (26, 32),
        "expand.2.conv.weight": (3, 4, 9, 9),
    },
}

# One more style for it: the scales and shifts of its norms, and nothing else.
BRUSHWORK: dict[str, Any] = {
    "name": "brushwork-style",
    "source": "asset:weights/brushwork-style.safetensors",
    "sha256": "3bed54e6b6c169f8a507a8e7cdb6e27ecf9b11b330e612883e12b2911d82a666",
    "size": 7680,
    "licence": "MIT, as this project",
    "data": "sample pictures of layerscope; its loss: VGG-16 of HED (research terms)",
    "provenance": "trained here",
    "reader": "",
    "fingerprint": {
        "contract.0.norm.gamma": (1, 32),
        "expand.2.norm.beta": (1, 3),
    },
}

ROWS: list[dict[str, Any]] = [
    {
        "name": "fast-style",
        "engine": "engines.style.fast:FastStyle",
        "title": "Fast style transfer",
        "family": "Style",
        "paper": "Dumoulin, Shlens, Kudlur: A Learned Representation for Artistic Style, 2017",
        "summary": "Drag over the sheet of 26 styles to mix its neighbours, on a photo or a clip.",
        "inputs": {"image": "image", "style": "image.training", "folder": "folder.training"},
        "sample": {"image": "astronaut.png", "style": "brushwork.jpg", "folder": "photos"},
        "groups": {
            "picture": {"kinds": ["Image"], "area": "centre", "title": "Picture"},
            "styles": {"kinds": ["Scores", "Matrix"], "area": "right", "title": "Styles"},
            "norm": {"kinds": ["Matrix"], "area": "bottom", "title": "Scale and shift"},
            "training": {
                "kinds": ["Image", "Curve"],
                "area": "bottom",
                "title": "Training",
                "when": "training",
            },
        },
        "points": [
            "contract.2",
            "contract.0.conv",
            "contract.0.norm",
            "contract.0",
            "contract.1",
            "residual.0",
            "residual.2",
            "residual.5",
            "expand.0",
            "expand.1",
            "expand.2.norm",
        ],
        "layout": "units",
        "weights": [MULTISTYLE26, BRUSHWORK, VGG16_HED, VGG16, VGG19, EFFICIENTNET_LITE0],
    },
]
