"""From the heads of a detector with default boxes to candidates for the suppression."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engines.nn.detection.boxes import clip, decode, moved
from engines.nn.detection.detections import Candidates, DetectionParams, kept
from engines.nn.one_stage.priors import WEIGHTS, Priors
from explorer.api import Affine


@dataclass(frozen=True, slots=True)
class EvaluationRule:
    """Which boxes remain when a network is evaluated, as its authors do it; SSD's own by default.

    Attributes:
        least: score above. most: best of each class that enter the suppression.
        overlap: IoU above which the weaker goes. kept: best of a picture that remain.
    """

    least: float = 0.01
    most: int = 400
    overlap: float = 0.45
    kept: int = 200


@dataclass(frozen=True, slots=True)
class Scored:
    """All default boxes of one picture, moved and scored; P of them, K classes.

    Attributes:
        scores: (P, K) in [0, 1], without the background.
        boxes: (P, 4) in input pixels, within the picture.
        priors: the default boxes in network pixels. affine: from there to input pixels.
        size: (height, width) of the picture. names: of the K classes.
    """

    scores: Tensor
    boxes: Tensor
    priors: Priors
    affine: Affine
    size: tuple[int, int]
    names: tuple[str, ...]

    def columns(self, only: str) -> Tensor:
        """Scores (P, k) of the class named ``only``; of all where there is none of that name."""
        if only in self.names:
            return self.scores[:, [self.names.index(only)]]
        return self.scores


def scored(
    scores: Tensor,
    offsets: Tensor,
    priors: Priors,
    affine: Affine,
    size: tuple[int, int],
    names: tuple[str, ...],
) -> Scored:
    """Default boxes moved by ``offsets`` (P, 4) and cut at the edges of a picture (h, w)."""
    boxes = clip(moved(decode(offsets, priors.boxes, WEIGHTS), affine), *size)
    return Scored(scores, boxes, priors, affine, size, names)


def candidates(found: Scored, least: float, most: int) -> Candidates:
    """Every pair of box and class with a score above ``least``, the best ``most`` of each class.

    One default box may stand for several classes, as in the paper.
    """
    scores = found.scores
    count = min(most, len(scores))
    best, index = scores.topk(count, dim=0)  # (count, K)
    enough = best > least
    rows, labels = index[enough], enough.nonzero()[:, 1]
    return Candidates(
        found.boxes[rows],
        best[enough],
        labels,
        rows,
        moved(found.priors.boxes[rows], found.affine),
        found.priors.levels()[rows],
        found.names,
        found.priors.names,
    )


def told(found: Scored, rule: EvaluationRule) -> tuple[Tensor, Tensor, list[str]]:
    """Boxes (N, 4), scores (N,) and class names for AP: the weak ones too, all classes."""
    params = DetectionParams(score=rule.least, overlap=rule.overlap)
    left = kept(candidates(found, rule.least, rule.most), params, most=rule.kept)
    return left.boxes, left.scores, [found.names[i] for i in left.labels.tolist()]
