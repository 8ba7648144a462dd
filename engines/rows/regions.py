"""Rows of SPPnet and Fast R-CNN."""

from __future__ import annotations

from typing import Any

from engines.rows import DETECTION_GROUPS, DIGITS8X8, TRAINING_GROUPS
from engines.rows.rcnn import FASTER_RCNN_COCO

SPP_DIGITS: dict[str, Any] = {
    "name": "spp-digits",
    "source": "asset:weights/spp-digits.safetensors",
    "sha256": "cb23565cf9d354d2d66adfa4a98ace3507611fa4b38b88b78e9c061ccf56e076",
    "size": 24220,
    "licence": "MIT",
    "data": "scikit-learn digits (CC BY 4.0)",
    "provenance": "trained here",
    "reader": "",
    "fingerprint": {"conv2.weight": (32, 16, 3, 3), "classifier.weight": (10, 672)},
}

SHAPES_FAST_RCNN: dict[str, Any] = {
    "name": "shapes-fast-rcnn",
    "source": "asset:weights/shapes-fast-rcnn.safetensors",
    "sha256": "01d1742e4db5f3dcf7fb2366f2dd52bf7f85de48bde46a7dcdb065a32ce0027b",
    "size": 445944,
    "licence": "MIT",
    "data": "generated scenes",
    "provenance": "trained here",
    "reader": "",
    "fingerprint": {
        "roi_heads.box_head.fc6.weight": (96, 1200),
        "roi_heads.box_predictor.cls_score.weight": (4, 96),
        "!rpn.head.cls_logits.weight": (),
    },
}

SHAPES_FAST_RCNN_HARD: dict[str, Any] = {
    **SHAPES_FAST_RCNN,
    "name": "shapes-fast-rcnn-hard",
    "source": "asset:weights/shapes-fast-rcnn-hard.safetensors",
    "sha256": "9669b06fed647e87f72b6264de9b0813783e80cb7f80fbc42d7cd06a421ab9f9",
    "size": 445944,
    "fingerprint": {
        "roi_heads.box_predictor.cls_score.weight": (4, 96),
        "!rpn.head.cls_logits.weight": (),
    },
}

ROWS: list[dict[str, Any]] = [
    {
        "name": "sppnet",
        "engine": "engines.detect.sppnet:SppNet",
        "title": "SPPnet, pyramid pooling",
        "family": "Detection",
        "paper": "He, Zhang, Ren, Sun: Spatial Pyramid Pooling, 2014",
        "summary": "Drag a box over a digit: it is read from the map that is already there.",
        "inputs": {"image": "image"},
        "sample": {"image": "digits.png"},
        "groups": {
            "pyramid": {
                "kinds": ["Image", "Boxes", "Keypoints"],
                "area": "centre",
                "title": "Pyramid",
            },
            "region": {"kinds": ["Image", "Boxes"], "area": "centre", "title": "Region"},
            "map": {"kinds": ["Field"], "area": "right", "title": "One map"},
            "sizes": {"kinds": ["Image", "Text"], "area": "right", "title": "Two sizes"},
            "vector": {"kinds": ["Matrix"], "area": "centre", "title": "Vector"},
            "rules": {"kinds": ["Text", "Matrix"], "area": "right", "title": "Paper and torch"},
            "prediction": {"kinds": ["Scores"], "area": "bottom", "title": "Prediction"},
            "training": {
                "kinds": ["Curve"],
                "area": "right",
                "title": "Training",
                "when": "training",
            },
        },
        "points": ["maps", "conv1", "conv2", "pool", "classifier"],
        "layout": "units",
        "weights": [SPP_DIGITS, DIGITS8X8],
    },
    {
        "name": "fast-rcnn",
        "engine": "engines.detect.fast_rcnn:FastRcnn",
        "title": "Fast R-CNN",
        "family": "Detection",
        "paper": "Girshick: Fast R-CNN, 2015; Uijlings et al.: Selective Search, 2013",
        "summary": "Move through the merges that make the proposals, and drag a box to score it.",
        "inputs": {"image": "image"},
        "sample": {"image": "shapes.png"},
        "groups": {
            "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
            **DETECTION_GROUPS,
            "proposals": {"kinds": ["Boxes"], "area": "centre", "title": "Proposals"},
            "hierarchy": {
                "kinds": ["Image", "Boxes", "Text", "Curve"],
                "area": "centre",
                "title": "Merges",
            },
            "region": {
                "kinds": ["Scores", "Boxes", "FeatureMaps"],
                "area": "bottom",
                "title": "One region",
            },
            "pooling": {
                "kinds": ["Image", "Boxes", "Matrix"],
                "area": "right",
                "title": "RoIPool and RoIAlign",
            },
            **TRAINING_GROUPS,
        },
        "points": [
            "backbone.fpn",
            "backbone.body.stem",
            "backbone.c2",
            "backbone.c3",
            "roi_heads.box_roi_pool",
            "roi_heads.box_head",
            "roi_heads.box_predictor.cls_score",
            "roi_heads.box_predictor.bbox_pred",
        ],
        "layout": "detector",
        "weights": [SHAPES_FAST_RCNN, SHAPES_FAST_RCNN_HARD, FASTER_RCNN_COCO],
    },
]
