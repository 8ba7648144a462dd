"""One look at a picture by an R-CNN network, kept so that its thresholds can be moved afterwards.

The second stage sees all candidates of the proposal network where they are few. The suppression of
proposals, their number, and all that follows are then plain arithmetic on what was kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.nn.detection.boxes import moved
from engines.nn.detection.detections import Candidates
from engines.nn.detection.nms import Suppression, suppress
from engines.nn.two_stage.rcnn import RCNN, Framed, frame
from engines.nn.two_stage.rcnn_backbone import Pyramid
from engines.nn.two_stage.roi_heads import BoxOutput, DetectionRule, class_boxes
from engines.nn.two_stage.rpn import ProposalRule, Proposals, RpnOutput, propose
from explorer.api import IMAGENET_MEAN, IMAGENET_STD, Image, ImageInput, Preprocess, unprepare

PREPROCESS = Preprocess(mean=IMAGENET_MEAN, std=IMAGENET_STD)

FEW = 1500  # candidates that the second stage sees without a choice beforehand
FLOOR = 0.01  # scores below are never shown


@dataclass(frozen=True, slots=True)
class Look:
    """What the network made of a picture; boxes in pixels of ``framed.x``.

    Attributes:
        candidates: all that the proposal network offers; its own ``keep`` is not used.
        seen: (R,) candidates that the second stage saw. ``row``: (Q,) their row there, -1 for none.
        output: what the second stage says of them.
    """

    framed: Framed
    pyramid: Pyramid
    rpn: RpnOutput
    candidates: Proposals
    seen: Tensor
    row: Tensor
    output: BoxOutput


class Laps:
    """Milliseconds of each stage, once the device has done all of it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.milliseconds: dict[str, float] = {}
        self._last = self._now()

    def __call__(self, stage: str) -> None:
        """A stage has ended."""
        now = self._now()
        self.milliseconds[stage] = 1000.0 * (now - self._last)
        self._last = now

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def _untimed(stage: str) -> None:
    """Nobody asked how long a stage takes: the device is not waited for."""


def look(
    network: RCNN,
    framed: Framed,
    rule: ProposalRule,
    *,
    grow: float = 1.0,
    stretch: float = 1.0,
    lap: Callable[[str], None] = _untimed,
) -> Look:
    """Both stages for one picture.

    Args:
        rule: how many of each level are candidates; where they are more than `FEW`, the second
            stage sees those that this suppression leaves.
        grow, stretch: of the anchors, see `RegionProposalNetwork`.
        lap: told the name of each stage when it has ended.
    """
    pyramid = network.backbone(framed.x)
    lap("body and pyramid")
    rpn = network.rpn(pyramid.levels, framed.padded, grow=grow, stretch=stretch)
    lap("proposal head")
    candidates = propose(rpn, framed.size, rule)
    lap("proposals, suppression")
    count = len(candidates.boxes)
    seen = candidates.keep
    if count <= FEW:
        seen = torch.arange(count, device=seen.device)
    output = network.roi_heads(pyramid.heads, [candidates.boxes[seen]], network.strides)
    lap(f"{len(seen)} regions")
    row = torch.full((count,), -1, dtype=torch.int64, device=seen.device)
    row[seen] = torch.arange(len(seen), device=seen.device)
    return Look(framed, pyramid, rpn, candidates, seen, row, output)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Proposals under the thresholds of now.

    Attributes:
        kept: (P,) candidates that remain, by falling score.
        suppression: of all candidates, with the cause of each removal.
        unseen: of ``kept``, how many the second stage did not see in the run.
    """

    kept: Tensor
    suppression: Suppression
    unseen: int


def choose(look: Look, overlap: float, after: int) -> Chosen:
    """The best ``after`` candidates that survive suppression within each level."""
    candidates = look.candidates
    made = suppress(candidates.boxes, candidates.scores, candidates.levels, overlap)
    kept = made.kept[:after]
    return Chosen(kept, made, int((look.row[kept] < 0).sum()))


def to_candidates(
    look: Look, kept: Tensor, names: tuple[str, ...], levels: tuple[str, ...], lowest: float = FLOOR
) -> Candidates:
    """Every class's box of the proposals ``kept``, in input pixels, for the detectors' own panels.

    ``sources`` are candidates, ``references`` their boxes, ``levels`` where their anchors lie.
    """
    kept = kept[look.row[kept] >= 0]
    boxes, scores = class_boxes(look.output, look.framed.size)
    rows = look.row[kept]
    which, labels = torch.where(scores[rows, 1:] > lowest)
    source = kept[which]
    affine = look.framed.affine
    return Candidates(
        boxes=moved(boxes[rows[which], labels + 1], affine),
        scores=scores[rows[which], labels + 1],
        labels=labels + 1,
        sources=source,
        references=moved(look.candidates.boxes[source], affine),
        levels=look.candidates.levels[source],
        names=names,
        level_names=levels,
    )


def offered(
    network: RCNN, made: Look, names: tuple[str, ...], levels: tuple[str, ...]
) -> Candidates:
    """The candidates of the proposals that the network's own rule chooses."""
    rule = network.proposing
    return to_candidates(made, choose(made, rule.overlap, rule.after).kept, names, levels)


def found_in(
    network: RCNN, photo: ImageInput, names: tuple[str, ...], overlap: float, device: torch.device
) -> tuple[Tensor, Tensor, list[str]]:
    """Boxes (N, 4) in input pixels, scores and class names, as torchvision's networks are judged:
    all above 0.05, suppressed class by class, the best 100.
    """
    framed = frame(photo.pixels, network.framing, device)
    found = network(framed.x, framed.size, None, DetectionRule(overlap=overlap)).found
    words = [names[label] for label in found.labels.tolist()]
    return moved(found.boxes, framed.affine).cpu(), found.scores.cpu(), words


def as_fed(look: Look) -> Image:
    """The picture as the network gets it, without the padding."""
    height, width = look.framed.size
    x = look.framed.x[:, :, :height, :width]
    return Image(
        "input/as fed", unprepare(x, PREPROCESS), affine=look.framed.affine,
        note=f"resized to {width} × {height} px, padded to "
        f"{look.framed.padded[1]} × {look.framed.padded[0]}",
    )  # fmt: skip
