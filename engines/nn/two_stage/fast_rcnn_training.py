"""Training of the small Fast R-CNN on generated scenes with proposals of selective search."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.nn.detection.detector_training import Detected, Trained, train
from engines.nn.detection.shapes import Target
from engines.nn.two_stage.fast_rcnn import FastRCNN, draw, losses, small_fast
from engines.nn.two_stage.rcnn import normalise
from engines.nn.two_stage.roi_heads import DetectionRule, detect
from engines.nn.two_stage.selective_search import proposals, search
from explorer.api import Checkpoint, Training

MOST = 100  # proposals a picture
SPACE, SCALE = "RGB", 30.0
OVERLAP = 0.3  # IoU of the suppression, as in the paper
REMEMBERED = 400  # pictures whose proposals are kept: the held-out ones come again and again


class Proposer:
    """Selective search over pictures (3, H, W) in [0, 1]; remembers what it found."""

    def __init__(self) -> None:
        self._found: dict[bytes, Tensor] = {}

    def __call__(self, image: Tensor, *, keep: bool = False) -> Tensor:
        """(P, 4) in pixels of the picture."""
        pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        key = pixels.tobytes()
        if key not in self._found:
            boxes = torch.from_numpy(regions_of(pixels)).float()
            if not keep or len(self._found) >= REMEMBERED:
                return boxes.to(image.device)
            self._found[key] = boxes
        return self._found[key].to(image.device)


def regions_of(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The proposals (P, 4) that the small network is trained and judged with."""
    boxes: npt.NDArray[np.float64] = proposals([search(pixels, SPACE, SCALE)], MOST)[0]
    return boxes


def train_fast(
    engine: Trained, network: FastRCNN, params: Any, resume: Checkpoint | None = None
) -> Training:
    """Train the small network; knobs as in `TrainingParams`."""
    propose = Proposer()

    def loss(images: Tensor, targets: list[Target], now: Any) -> dict[str, Tensor]:
        drawn = [
            draw(propose(image), target.boxes, target.labels + 1)
            for image, target in zip(images, targets, strict=True)
        ]
        return losses(network, normalise(images), drawn)

    def start(generator: torch.Generator) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(generator.initial_seed())
            network.load_state_dict(small_fast(network.classes).state_dict())

    yield from train(
        engine, network, loss, detector(network, propose), params, start=start, resume=resume
    )


def detector(network: FastRCNN, propose: Proposer, rule: DetectionRule | None = None) -> Any:
    """What the network finds in images (B, 3, H, W) in [0, 1], as AP is measured on it."""
    wanted = rule or DetectionRule(overlap=OVERLAP)

    def told(images: Tensor) -> list[Detected]:
        size = (images.shape[2], images.shape[3])
        regions = [propose(image, keep=True) for image in images]
        output = network(normalise(images), regions).output
        found = [detect(output, size, wanted, i) for i in range(len(images))]
        return [Detected(f.boxes, f.scores, f.labels - 1) for f in found]

    return told
