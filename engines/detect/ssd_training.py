"""What the small SSD learns from, and which default boxes teach it at each step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from engines.nn.detection.detector_training import Detected
from engines.nn.detection.nms import batched_nms
from engines.nn.detection.shapes import NAMES, Target
from engines.nn.one_stage.prior_detections import candidates, scored
from engines.nn.one_stage.prior_views import matching_view
from engines.nn.one_stage.ssd import SSD, SsdOutput, start
from engines.nn.one_stage.ssd_loss import Matched, objective
from explorer.api import Affine, Artefact, Image


class Lesson:
    """Loss and detections of a small SSD; the first scene of the newest batch can be looked at."""

    def __init__(self, network: SSD) -> None:
        self.network = network
        self._seen: tuple[Tensor, Matched] | None = None

    def start(self, generator: torch.Generator) -> None:
        """Fresh weights."""
        start(self.network, generator)

    def _passed(self, images: Tensor) -> SsdOutput:
        how = self.network.preprocess
        mean, std = (images.new_tensor(v).view(1, 3, 1, 1) for v in (how.mean, how.std))
        output: SsdOutput = self.network((images - mean) / std)
        return output

    def loss(self, images: Tensor, targets: list[Target], params: Any) -> dict[str, Tensor]:
        """Confidence and location, with as many hard negatives as the knob says."""
        output = self._passed(images)
        matched = objective(
            output.logits, output.offsets, self.network.boxes,
            [t.boxes for t in targets], [t.labels + 1 for t in targets], ratio=params.negatives,
        )  # fmt: skip
        self._seen = images[0].detach(), matched
        return {"confidence": matched.confidence, "location": matched.location}

    def detect(self, images: Tensor) -> list[Detected]:
        """What is found in each picture (3, 64, 64) in [0, 1]."""
        output = self._passed(images)
        size, rule = (images.shape[2], images.shape[3]), self.network.testing
        told = []
        for logits, offsets in zip(output.logits, output.offsets, strict=True):
            found = scored(
                logits.softmax(1)[:, 1:], offsets, self.network.priors, Affine(), size, NAMES
            )
            offered = candidates(found, rule.least, rule.most)
            kept = batched_nms(offered.boxes, offered.scores, offered.labels, rule.overlap)
            kept = kept[: rule.kept]
            told.append(Detected(offered.boxes[kept], offered.scores[kept], offered.labels[kept]))
        return told

    def views(self, step: int) -> Iterator[Artefact]:
        """The scene that was learnt from last, and what its default boxes were to learn."""
        if self._seen is None:
            return
        image, matched = self._seen
        pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        yield Image("lesson/scene", pixels, step=step, note="the first of the newest batch")
        yield matching_view(
            "lesson/default boxes", matched, self.network.boxes, Affine(), f"step {step}", step=step
        )
