"""Rows of the R-CNN line with a region proposal network."""

from __future__ import annotations

from typing import Any

from engines.rows import DETECTION_GROUPS, TRAINING_GROUPS

_COCO = {
    "licence": "BSD-3-Clause (the code: for the file no terms are stated)",
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
FASTER_RCNN_V2_COCO: dict[str, Any] = {
    **_COCO,
    "name": "fasterrcnn-resnet50-fpn-v2-coco",
    "source": _URL + "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
    "sha256": "dd69338a",
    "fingerprint": {
        "roi_heads.box_head.5.weight": (1024, 12544),
        "roi_heads.box_predictor.cls_score.weight": (91, 1024),
        "!roi_heads.mask_predictor.mask_fcn_logits.weight": (),
    },
}
FASTER_RCNN_MOBILE_COCO: list[dict[str, Any]] = [
    {
        **_COCO,
        "name": f"fasterrcnn-mobilenet-v3-large-{size}fpn-coco",
        "source": _URL + f"fasterrcnn_mobilenet_v3_large_{size.replace('-', '_')}fpn-{sha256}.pth",
        "sha256": sha256,
        "fingerprint": {
            "roi_heads.box_head.fc6.weight": (1024, 12544),
            "roi_heads.box_predictor.cls_score.weight": (91, 1024),
            "backbone.body.0.0.weight": (16, 3, 3, 3),
        },
    }
    for size, sha256 in (("", "fb6a3cc7"), ("320-", "907ea3f9"))
]
MASK_RCNN_V2_COCO: dict[str, Any] = {
    **_COCO,
    "name": "maskrcnn-resnet50-fpn-v2-coco",
    "source": _URL + "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
    "sha256": "73cbd019",
    "fingerprint": {
        "roi_heads.box_head.5.weight": (1024, 12544),
        "roi_heads.box_predictor.cls_score.weight": (91, 1024),
        "roi_heads.mask_predictor.mask_fcn_logits.weight": (91, 256, 1, 1),
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

# Small networks of the family that were trained here, see assets/SOURCES.md.
_SHAPES: dict[str, tuple[str, int]] = {  # name to sha256 and bytes
    "shapes-faster-rcnn": (
        "5f899933300bcacd7ff041af5fa4a6ed9a8bc7f97e82f08a7907f20cbfd106c1",
        489582,
    ),
    "shapes-faster-rcnn-hard": (
        "013e0d91b45a95e38a75c9a3e4412b85daaa67cc8a3b5c2585c7b429553f919d",
        489590,
    ),
    "shapes-fpn-hard-lateral": (
        "c1ea6570b899aff60e942ae88ca177526b9cd1e0f858f41183118006ad5765ef",
        489494,
    ),
    "shapes-mask-rcnn": (
        "50f918ff3e2bffc7ac65deb490046ebd746da0938313fd5bcb4d0a0a71a1cc3c",
        592414,
    ),
    "shapes-mask-rcnn-hard": (
        "cb50dfc76ead3fd6e12a265bb49a66402576dfdc8f74d9f8383a128182302ab2",
        592422,
    ),
    "shapes-mask-rcnn-hard-pool": (
        "e72e844f41a37cb620b1d8b88aa0e5a2ed7ed59b1cd5697c96bc6913bc33ffea",
        592422,
    ),
    "shapes-keypoint-rcnn": (
        "22922fb088bd8fea05c86e7f696f38171cfbe6b50c2e98d54a12b59459a57609",
        579438,
    ),
}


def _small(name: str) -> dict[str, tuple[int, ...]]:
    """What tells the small networks from the others, and from one another by their heads."""
    masks = "roi_heads.mask_predictor.mask_fcn_logits.weight"
    points = "roi_heads.keypoint_predictor.kps_score_lowres.weight"
    heads: dict[str, tuple[int, ...]] = {f"!{masks}": (), f"!{points}": ()}
    if name.startswith("shapes-mask-"):
        heads = {masks: (4, 48, 1, 1)}
    elif name.startswith("shapes-keypoint-"):
        heads = {points: (48, 4, 4, 4)}
    return {
        "roi_heads.box_predictor.cls_score.weight": (4, 96),
        "rpn.head.cls_logits.weight": (3, 48, 1, 1),
        **heads,
    }


SHAPES = {
    name: {
        "name": name,
        "source": f"asset:weights/{name}.safetensors",
        "sha256": sha256,
        "size": size,
        "licence": "MIT",
        "data": "generated scenes",
        "provenance": "trained here",
        "reader": "",
        "fingerprint": _small(name),
    }
    for name, (sha256, size) in _SHAPES.items()
}


def _of(kind: str) -> list[dict[str, Any]]:
    """The weights of one network of the family that were trained here."""
    return [row for name, row in SHAPES.items() if name.startswith(f"shapes-{kind}-")]


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
    "weights": [
        *_of("faster"), FASTER_RCNN_V2_COCO, FASTER_RCNN_COCO, *FASTER_RCNN_MOBILE_COCO,
    ],
}  # fmt: skip
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
        "detections": DETECTION_GROUPS["detections"],  # with the pyramid beside it
        "pyramid": {"kinds": ["Field"], "area": "centre", "title": "Pyramid"},
        **DETECTION_GROUPS,
        "parts": {"kinds": ["Field"], "area": "centre", "title": "Parts of the sums"},
        "switches": {"kinds": ["Matrix"], "area": "bottom", "title": "Switches"},
        "objectness": _OBJECTNESS,
        "levels": _LEVELS,
        "intact": {"kinds": ["Boxes"], "area": "right", "title": "With all paths"},
        **TRAINING_GROUPS,
    },
    "points": _POINTS,
    "layout": "detector",
    "weights": [*_of("faster"), *_of("fpn"), FASTER_RCNN_V2_COCO, FASTER_RCNN_COCO],
}


def _detections(kind: str) -> dict[str, Any]:
    """The groups of every detector, with one more kind on the picture."""
    shown = DETECTION_GROUPS["detections"]
    return {**DETECTION_GROUPS, "detections": {**shown, "kinds": [*shown["kinds"], kind]}}


_ROI_GROUP = {
    "kinds": ["Image", "Boxes", "Matrix", "Text"],
    "area": "right",
    "title": "RoIAlign and RoIPool",
}
_BRANCH = ["backbone.fpn.merged0", "backbone.c2", "backbone.c3", "backbone.fpn.layer_blocks.0"]

MASK_RCNN: dict[str, Any] = {
    "name": "mask-rcnn",
    "engine": "engines.detect.mask_rcnn:MaskRcnn",
    "title": "Mask R-CNN",
    "family": "Detection",
    "paper": "He et al.: Mask R-CNN, 2017",
    "summary": "Click a box to see its mask in every class, and drag one to pool it both ways.",
    "inputs": {"image": "image"},
    "sample": {"image": "shapes.png"},
    "groups": {
        "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
        "classes": {
            "kinds": ["FeatureMaps", "Image", "Scores"],
            "area": "centre",
            "title": "Maps of all classes",
        },
        **_detections("Masks"),
        "roi": _ROI_GROUP,
        "pasted": {"kinds": ["Field", "Masks"], "area": "bottom", "title": "Pasted mask"},
        **TRAINING_GROUPS,
    },
    "points": [
        "roi_heads.mask_head",
        "roi_heads.mask_predictor.conv5_mask",
        "roi_heads.mask_predictor",
        *_BRANCH,
    ],
    "layout": "detector",
    "weights": [*_of("mask"), MASK_RCNN_V2_COCO, MASK_RCNN_COCO],
}
KEYPOINT_RCNN: dict[str, Any] = {
    "name": "keypoint-rcnn",
    "engine": "engines.detect.keypoint_rcnn:KeypointRcnn",
    "title": "Keypoint R-CNN",
    "family": "Detection",
    "paper": "He et al.: Mask R-CNN, 2017, section 5",
    "summary": "Click a box to see the heat map of each of its points.",
    "inputs": {"image": "image"},
    "sample": {"image": "shapes.png"},
    "groups": {
        "input": {"kinds": ["Image"], "area": "right", "title": "Input"},
        "points": {
            "kinds": ["FeatureMaps", "Image", "Scores", "Field"],
            "area": "centre",
            "title": "Maps of the points",
        },
        **_detections("Keypoints"),
        "roi": {**_ROI_GROUP, "area": "bottom"},
        **TRAINING_GROUPS,
    },
    "points": [
        "roi_heads.keypoint_head",
        "roi_heads.keypoint_predictor.kps_score_lowres",
        *_BRANCH,
    ],
    "layout": "detector",
    "weights": [*_of("keypoint"), KEYPOINT_RCNN_COCO],
}

ROWS: list[dict[str, Any]] = [FASTER_RCNN, FPN, MASK_RCNN, KEYPOINT_RCNN]
