"""Which truth a reference box answers for, and which references a loss looks at.

Ren et al., "Faster R-CNN", 2015, section 3.1.2: an anchor is positive above the upper threshold of
IoU or when it is the best of a truth, negative below the lower one, and left out in between.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NEGATIVE, IGNORED = -1, -2


@dataclass(frozen=True, slots=True)
class Matcher:
    """Thresholds of IoU.

    Attributes:
        high: from here on a reference is positive. ``low``: below, it is negative.
        best: the references that overlap a truth most are positive too, however little they do.
    """

    high: float
    low: float
    best: bool = False

    def __call__(self, overlap: Tensor) -> Tensor:
        """The truth (N,) of each reference, else `NEGATIVE` or `IGNORED`.

        Args:
            overlap: IoU (T, N) of the truths with the references; without truths all are negative.
        """
        truths, references = overlap.shape
        if not truths or not references:
            return torch.full((references,), NEGATIVE, device=overlap.device)
        quality, nearest = overlap.max(0)
        matches = nearest.clone()
        matches[quality < self.high] = IGNORED
        matches[quality < self.low] = NEGATIVE
        if self.best:
            most = overlap.max(1, keepdim=True).values
            # A truth that no reference touches has no best one: 0 is not a match.
            chosen = ((overlap == most) & (most > 0)).any(0)
            matches[chosen] = nearest[chosen]
        return matches


@dataclass(frozen=True, slots=True)
class Sampler:
    """How many references of a picture a loss sees, and the largest share that may be positive."""

    count: int
    share: float

    def __call__(
        self, matches: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Drawn without repetition: indices of positives and of negatives, rising.

        Too few positives are made up for by negatives, too few negatives by nothing.

        Args:
            matches: (N,) as `Matcher` gives them.
            generator: on the CPU; the global one where there is none.
        """
        positives = torch.where(matches >= 0)[0]
        negatives = torch.where(matches == NEGATIVE)[0]
        wanted = min(len(positives), int(self.count * self.share))
        return _drawn(positives, wanted, generator), _drawn(
            negatives, self.count - wanted, generator
        )


def _drawn(indices: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    order = torch.randperm(len(indices), generator=generator)[:count].sort().values
    return indices[order.to(indices.device)]
