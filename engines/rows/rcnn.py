"""Rows of the R-CNN line with a region proposal network."""

from __future__ import annotations

from typing import Any

from engines.rows import DETECTION_GROUPS, TRAINING_GROUPS

_COCO = {
    "licence": "BSD-3-Clause (code; no terms are stated for the file)",
    "data": "COCO 2017 photographs (research terms); the body started from ImageNet-1k",
    "provenance": "trained",
    "reader": "",
    "size": 0,  # the publisher gives it in rounded megabytes only
}
_URL = "https://download.pytorch.org/models/"

FASTER_RCNN_COCO: dict[str, Any] = {
    **_COCO,
    "name": "fasterrcnn-resnet50-fpn-coco",
    "source": _URL + "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
    "sha256": "258fb6c6",
    "fingerprint": {
        "roi_heads.box_head.fc6.weight": (1024, 12544),
        "roi_heads.box_predictor.cls_score.weight": (91, 1024),
        "backbone.body.layer1.0.conv1.weight": (64, 64, 1, 1),
        "!roi_heads.mask_predictor.mask_fcn_logits.weight": (),
    },
}
MASK_RCNN_COCO: dict[str, Any] = {
    **_COCO,
    "name": "maskrcnn-resnet50-fpn-coco",
    "source": _URL + "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
    "sha256": "bf2d0c1e",
    "fingerprint": {
        "roi_heads.box_head.fc6.weight": (1024, 12544),
        "roi_heads.box_predictor.cls_score.weight": (91, 1024),
        "roi_heads.mask_predictor.mask_fcn_logits.weight": (91, 256, 1, 1),
    },
}
KEYPOINT_RCNN_COCO: dict[str, Any] = {
    **_COCO,
    "name": "keypointrcnn-resnet50-fpn-coco",
    "source": _URL + "keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
    "sha256": "fc266e95",
    "fingerprint": {
        "roi_heads.box_head.fc6.weight": (1024, 12544),
        "roi_heads.box_predictor.cls_score.weight": (2, 1024),
        "roi_heads.keypoint_predictor.kps_score_lowres.weight": (512, 17, 4, 4),
    },
}

_INPUT = {"input": {"kinds": ["Image"], "area": "right", "title": "As fed"}}
_OBJECTNESS = {"kinds": ["Field"], "area": "centre", "title": "Objectness"}
_LEVELS = {"kinds": ["Boxes", "Scores"], "area": "bottom", "title": "Level of each region"}
_POINTS = [
    "backbone.fpn.merged0",
    "backbone.c2",
    "backbone.c3",
    "backbone.fpn.lateral0",
    "backbone.fpn.top_down0",
    "backbone.fpn.layer_blocks.0",
    "backbone.fpn.layer_blocks.1",
    "rpn.head.conv",
    "rpn.head.cls_logits",
    "roi_heads.box_roi_pool",
    "roi_heads.box_head",
    "roi_heads.box_predictor.cls_score",
]

FASTER_RCNN: dict[str, Any] = {
    "name": "faster-rcnn",
    "engine": "engines.detect.faster_rcnn:FasterRcnn",
    "title": "Faster R-CNN",
    "family": "Detection",
    "paper": "Ren, He, Girshick, Sun: Faster R-CNN, 2015 (on a feature pyramid)",
    "summary": "Click a box to follow it from its anchor through the proposal to the detection.",
    "inputs": {"image": "image"},
    "sample": {"image": "shapes.png"},
    "groups": {
        **_INPUT,
        **DETECTION_GROUPS,
        "anchors": {"kinds": ["Boxes", "Matrix"], "area": "right", "title": "Anchors of a cell"},
        "objectness": {**_OBJECTNESS, "kinds": ["Field", "FeatureMaps"]},
        "proposals": {"kinds": ["Boxes", "Curve"], "area": "centre", "title": "Proposals"},
        "levels": _LEVELS,
        "region": {
            "kinds": ["Boxes", "FeatureMaps", "Scores"],
            "area": "bottom",
            "title": "One region",
        },
        "timing": {"kinds": ["Scores"], "area": "bottom", "title": "Time"},
        **TRAINING_GROUPS,
    },
    "points": _POINTS,
    "layout": "detector",
}
FPN: dict[str, Any] = {
    "name": "fpn",
    "engine": "engines.detect.fpn:Fpn",
    "title": "Feature pyramid",
    "family": "Detection",
    "paper": "Lin et al.: Feature Pyramid Networks for Object Detection, 2017",
    "summary": "Click a cell of the switches to cut a path of the pyramid, and see the boxes move.",
    "inputs": {"image": "image"},
    "sample": {"image": "shapes.png"},
    "groups": {
        **_INPUT,
        **DETECTION_GROUPS,
        "pyramid": {"kinds": ["Field"], "area": "centre", "title": "Pyramid"},
        "parts": {"kinds": ["Field"], "area": "centre", "title": "Parts of the sums"},
        "switches": {"kinds": ["Matrix"], "area": "bottom", "title": "Switches"},
        "objectness": _OBJECTNESS,
        "levels": _LEVELS,
        "intact": {"kinds": ["Boxes"], "area": "right", "title": "With all paths"},
    },
    "points": _POINTS,
    "layout": "detector",
}

ROWS: list[dict[str, Any]] = []
