"""Rows of the R-CNN line with a region proposal network."""

from __future__ import annotations

from typing import Any

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

ROWS: list[dict[str, Any]] = []
