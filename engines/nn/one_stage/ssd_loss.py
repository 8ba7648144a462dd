"""The training objective of SSD: matching, hard negative mining, and the loss of both heads.

Liu et al., "SSD: Single Shot MultiBox Detector", 2016, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.nn.detection.boxes import encode, iou
from engines.nn.one_stage.priors import WEIGHTS

MATCHED_ABOVE = 0.5
NEGATIVES = 3.0  # for one positive
UNMATCHED = -1


def match(truth: Tensor, priors: Tensor, threshold: float = MATCHED_ABOVE) -> Tensor:
    """Which truth each prior is to find.

    A prior takes the truth that it overlaps most, if the IoU is above ``threshold``. Before that
    every truth has its best prior, whatever the IoU and whatever other truth that prior overlaps
    more; where two truths have the same best prior, the later one keeps it. A truth that touches
    no prior has none.

    Args:
        truth: boxes (T, 4). priors: boxes (P, 4).

    Returns:
        (P,) index of the truth, `UNMATCHED` for background.
    """
    if not len(truth):
        return torch.full((len(priors),), UNMATCHED, device=priors.device)
    overlap = iou(truth, priors)
    best, found = overlap.max(0)
    found = torch.where(best > threshold, found, UNMATCHED)
    most, prior = overlap.max(1)
    for t in most.gt(0).nonzero()[:, 0].tolist():  # in order: a scatter would not be
        found[prior[t]] = t
    return found


def mine(loss: Tensor, positive: Tensor, ratio: float = NEGATIVES) -> Tensor:
    """The negatives that count: those of highest loss, ``ratio`` for each positive.

    Args:
        loss: confidence loss (N, P) in nat. positive: (N, P) bool.

    Returns:
        (N, P) bool; none in a picture without positives.
    """
    order = loss.detach().masked_fill(positive, -torch.inf)
    order = order.argsort(dim=1, descending=True, stable=True)
    wanted = (ratio * positive.sum(1, keepdim=True)).long()
    chosen = torch.zeros_like(positive)
    rank = torch.arange(loss.shape[1], device=loss.device).expand_as(order)
    chosen.scatter_(1, order, rank < wanted)
    return chosen & ~positive


@dataclass(frozen=True, slots=True)
class Matched:
    """What the loss made of N pictures with P priors.

    Attributes:
        found: (N, P) index of the truth, `UNMATCHED` for background.
        loss: confidence loss (N, P) of every prior in nat.
        negative: (N, P) the background priors that were mined.
        confidence, location: the two terms, each divided by the number of positives.
    """

    found: Tensor
    loss: Tensor
    negative: Tensor
    confidence: Tensor
    location: Tensor

    @property
    def positive(self) -> Tensor:
        """(N, P) bool."""
        return self.found != UNMATCHED


def objective(
    logits: Tensor,
    offsets: Tensor,
    priors: Tensor,
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    *,
    ratio: float = NEGATIVES,
    threshold: float = MATCHED_ABOVE,
) -> Matched:
    """Softmax loss of positives and mined negatives, smooth L1 of the positives' offsets.

    Both are sums over the pictures divided by the number N of positives in all of them, and 0 when
    there is none (equation 1 with alpha = 1).

    Args:
        logits: (N, P, K), class 0 the background. offsets: (N, P, 4).
        priors: (P, 4) in the pixels of ``boxes``.
        boxes: the truth of each picture (T, 4). labels: its classes (T,), from 1.
    """
    found = torch.stack([match(truth, priors, threshold) for truth in boxes])
    positive = found != UNMATCHED
    classes = torch.zeros_like(found)
    wanted = torch.zeros_like(offsets)
    for i, (truth, names) in enumerate(zip(boxes, labels, strict=True)):
        taken = found[i][positive[i]]
        classes[i][positive[i]] = names[taken]
        wanted[i][positive[i]] = encode(truth[taken], priors[positive[i]], WEIGHTS)
    loss = F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none")
    loss = loss.view_as(found)
    negative = mine(loss, positive, ratio)
    count = positive.sum().clamp(min=1)
    location = F.smooth_l1_loss(offsets[positive], wanted[positive], reduction="sum")
    return Matched(found, loss, negative, loss[positive | negative].sum() / count, location / count)
