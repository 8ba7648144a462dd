"""Training of the small R-CNN networks on generated scenes, see `detection.detector_training`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from engines.nn.detection.detector_training import Detect, Detected, Trained, train
from engines.nn.detection.shapes import NAMES, Target
from engines.nn.two_stage.mask_head import paste_all
from engines.nn.two_stage.rcnn import RCNN, normalise
from engines.nn.two_stage.rcnn_losses import SMALL_RULE, LearningRule, Truth, losses
from engines.nn.two_stage.roi_heads import DetectionRule, detect
from engines.nn.two_stage.rpn import propose
from explorer.api import Checkpoint, Training

CLASSES = len(NAMES) + 1  # the background is class 0
KEYPOINTS = 0.2  # of their loss: a choice among 784 places would drown the others for long
AGNOSTIC = 0  # the map that the mask branch learns on objects of every class


def train_small(
    engine: Trained,
    network: RCNN,
    build: Callable[[], RCNN],
    params: Any,
    resume: Checkpoint | None = None,
) -> Training:
    """Train a small network of the family; knobs as in `TrainingParams`.

    Args:
        build: makes the same network with weights drawn from the global random state.
    """

    def start(generator: torch.Generator) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(generator.initial_seed())
            network.load_state_dict(build().state_dict())

    yield from train(
        engine, network, terms(network, SMALL_RULE), detector(network), params,
        start=start, resume=resume,
    )  # fmt: skip


def terms(
    network: RCNN, rule: LearningRule
) -> Callable[[Tensor, list[Target], Any], Mapping[str, Tensor]]:
    """The losses as a training asks for them: of images (B, 3, H, W) in [0, 1] and their targets.

    Anchors and regions are drawn with the global random state, which a checkpoint holds.
    """

    def loss(images: Tensor, targets: list[Target], params: Any) -> Mapping[str, Tensor]:
        found = losses(network, normalise(images), truths(targets), rule, agnostic=True)
        if "keypoints" in found:
            found["keypoints"] = KEYPOINTS * found["keypoints"]
        return found

    return loss


def truths(targets: Sequence[Target]) -> list[Truth]:
    """Targets of scenes with the labels of the networks, which count from 1."""
    return [Truth(t.boxes, t.labels + 1, t.masks, t.keypoints) for t in targets]


def detector(
    network: RCNN, rule: DetectionRule | None = None, *, masks: bool = False, agnostic: bool = False
) -> Detect:
    """What the network finds in images (B, 3, H, W) in [0, 1], as AP is measured on it.

    Args:
        masks: pasted masks (N, H, W) in [0, 1] too; ``agnostic``: from the map of no class.
    """
    wanted = rule or DetectionRule()

    def told(images: Tensor) -> list[Detected]:
        size = (images.shape[2], images.shape[3])
        pyramid = network.backbone(normalise(images))
        rpn = network.rpn(pyramid.levels, size)
        regions = [propose(rpn, size, network.proposing, i).kept for i in range(len(images))]
        output = network.roi_heads(pyramid.heads, regions, network.strides)
        found = [detect(output, size, wanted, i) for i in range(len(images))]
        pasted: Sequence[Tensor | None] = [None] * len(found)
        if masks:
            boxes = [f.boxes for f in found]
            labels = torch.cat([f.labels for f in found])
            chosen = network.roi_heads.masks(pyramid.heads, boxes, network.strides).chosen(
                torch.full_like(labels, AGNOSTIC) if agnostic else labels
            )
            parts = torch.split(chosen, [len(b) for b in boxes])
            pasted = [paste_all(m, b, *size) for m, b in zip(parts, boxes, strict=True)]
        return [
            Detected(f.boxes, f.scores, f.labels - 1, mask)
            for f, mask in zip(found, pasted, strict=True)
        ]

    return told
