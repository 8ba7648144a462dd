"""Which trained R-CNN networks there are, and the names of their classes."""

from __future__ import annotations

import torch

from engines.nn.detection.coco_names import COCO_91
from engines.nn.detection.shapes import NAMES
from engines.nn.two_stage.rcnn import RCNN, Kind, load, mobilenet_v3_fpn, resnet50_fpn, small
from engines.rows.rcnn import SHAPES as SMALL
from explorer.api import EngineError, Host

UNTRAINED = "shapes-untrained"  # drawn weights, to train from
SHAPES = ("background", *NAMES)
PERSON = ("background", "person")
# Faster R-CNN on MobileNetV3: at 800 px and at 320.
MOBILE = ("fasterrcnn-mobilenet-v3-large-fpn-coco", "fasterrcnn-mobilenet-v3-large-320-fpn-coco")


def models(kind: Kind) -> tuple[str, ...]:
    """Weights by name: trainings of ours on generated scenes, the official ones, none."""
    ours = (name for name in SMALL if name.startswith(f"shapes-{kind}-"))
    second = () if kind == "keypoint" else (f"{kind}rcnn-resnet50-fpn-v2-coco",)
    return (*ours, *second, f"{kind}rcnn-resnet50-fpn-coco", UNTRAINED)


def build(kind: Kind, model: str, host: Host) -> RCNN:
    """The network of a name of `models` or `MOBILE` with its weights.

    Raises:
        WeightsMissing: they must be fetched first.
    """
    if model == UNTRAINED:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(host.seed)
            return small(kind, len(SHAPES))
    if model.startswith("shapes-"):
        network = small(kind, len(SHAPES))
    elif model in MOBILE:
        network = mobilenet_v3_fpn(len(COCO_91), low="-320-" in model)
    else:
        second = "-v2-" in model
        network = resnet50_fpn(kind, len(class_names(kind, model)), version=2 if second else 1)
    load(network, host.weights(model), model)
    return network


def check_trainable(model: str) -> None:
    """Nothing, for a network that is trained here.

    Raises:
        EngineError: it is an official one.
    """
    if not model.startswith("shapes-"):
        raise EngineError(f"{model} is not trained here; set model to {UNTRAINED}")


def class_names(kind: Kind, model: str) -> tuple[str, ...]:
    """Names of the classes of a model, the background first."""
    if model.startswith("shapes-"):
        return SHAPES
    return PERSON if kind == "keypoint" else COCO_91
