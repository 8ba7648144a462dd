"""The region proposal network: Ren et al., "Faster R-CNN", 2015, as torchvision builds it on FPN.

A small head slides over every level of the pyramid and gives each anchor an objectness logit and a
shift. Keys: ``rpn.head.conv.0.0.*``, ``rpn.head.cls_logits.*``, ``rpn.head.bbox_pred.*``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.nn.detection.anchors import AnchorGrid
from engines.nn.detection.boxes import clip, decode, from_centres, large_enough, to_centres
from engines.nn.detection.nms import batched_nms


class RpnOutput(NamedTuple):
    """What the head says of every anchor, level by level, and where the anchors lie.

    Attributes:
        logits: (N, A, h, w) a level, one for each of the A shapes of a cell.
        deltas: (N, 4 A, h, w) a level; shape a has the channels 4 a to 4 a + 3.
        anchors: (T, 4) in pixels of the network's input; levels one after the other, cells row by
            row, the shapes of a cell together. The index of an anchor in here names it everywhere.
        counts: anchors a level; they add up to T.
    """

    logits: tuple[Tensor, ...]
    deltas: tuple[Tensor, ...]
    anchors: Tensor
    counts: tuple[int, ...]

    def objectness(self) -> Tensor:
        """Logits (N, T) in the order of the anchors."""
        return torch.cat([x.permute(0, 2, 3, 1).flatten(1) for x in self.logits], 1)

    def shifts(self) -> Tensor:
        """Deltas (N, T, 4) in the order of the anchors."""
        return torch.cat([_rows(x) for x in self.deltas], 1)

    def levels(self) -> Tensor:
        """The level (T,) of every anchor, from 0."""
        counts = torch.tensor(self.counts, device=self.anchors.device)
        return torch.arange(len(self.counts), device=counts.device).repeat_interleave(counts)


def _rows(deltas: Tensor) -> Tensor:
    """(N, 4 A, h, w) to (N, h w A, 4): the four numbers of an anchor are neighbours."""
    n, channels, h, w = deltas.shape
    return deltas.view(n, channels // 4, 4, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, 4)


@dataclass(frozen=True, slots=True)
class ProposalRule:
    """Which anchors become proposals.

    Attributes:
        before: best of each level that go on, before suppression.
        after: best of all levels that remain.
        overlap: IoU above which the weaker of two of one level goes.
        smallest: side in pixels of the network's input. score: least objectness in [0, 1].
    """

    before: int = 1000
    after: int = 1000
    overlap: float = 0.7
    smallest: float = 1e-3
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Proposals:
    """Proposals of one picture before and after suppression, in pixels of the network's input.

    Attributes:
        boxes: (Q, 4) the best of each level, regressed and clipped, before suppression.
        scores: (Q,) objectness in [0, 1]. ``levels``: (Q,) from 0.
        sources: (Q,) the anchor that each came from.
        keep: (P,) indices of those that remain, by falling score.
    """

    boxes: Tensor
    scores: Tensor
    levels: Tensor
    sources: Tensor
    keep: Tensor

    @property
    def kept(self) -> Tensor:
        """The proposals (P, 4) that the second stage sees."""
        return self.boxes[self.keep]


class RPNHead(nn.Module):
    """3x3 convolutions, one as a rule, and two 1x1, shared by all levels."""

    def __init__(self, channels: int, shapes: int, convolutions: int = 1) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
                for _ in range(convolutions)
            )
        )
        self.cls_logits = nn.Conv2d(channels, shapes, 1)
        self.bbox_pred = nn.Conv2d(channels, 4 * shapes, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) to logits (N, A, h, w) and deltas (N, 4 A, h, w)."""
        x = self.conv(level)
        return self.cls_logits(x), self.bbox_pred(x)


class RegionProposalNetwork(nn.Module):
    """Anchors, the head, and the choice of proposals.

    Args:
        channels: of the pyramid.
        sizes, ratios: of the anchors, a tuple of each for every level; a ratio is height over
            width.
        convolutions: of 3x3 in the head.
    """

    def __init__(
        self,
        channels: int,
        sizes: Sequence[Sequence[float]],
        ratios: Sequence[Sequence[float]],
        convolutions: int = 1,
    ) -> None:
        super().__init__()
        self.anchors = AnchorGrid(sizes, ratios)
        self.shapes = tuple(
            tuple((size, ratio) for ratio in row for size in line)
            for line, row in zip(sizes, ratios, strict=True)
        )
        self.head = RPNHead(channels, len(self.shapes[0]), convolutions)

    def forward(
        self,
        levels: Sequence[Tensor],
        size: tuple[int, int],
        *,
        grow: float = 1.0,
        stretch: float = 1.0,
    ) -> RpnOutput:
        """What the head says of every anchor.

        Args:
            levels: maps (N, C, h, w) of the pyramid, fine to coarse.
            size: (height, width) of the network's input, padding included.
            grow, stretch: factors on the size and on height over width of all anchors; the head
                knows nothing of them.
        """
        said = [self.head(level) for level in levels]
        logits, deltas = zip(*said, strict=True)
        grids = [(level.shape[2], level.shape[3]) for level in levels]
        anchors = self.anchors(size, grids)
        if (grow, stretch) != (1.0, 1.0):
            anchors = reshaped(anchors, grow, stretch)
        return RpnOutput(
            logits, deltas, anchors.to(levels[0].device), tuple(x[0].numel() for x in logits)
        )


def reshaped(anchors: Tensor, grow: float, stretch: float) -> Tensor:
    """Anchors (T, 4) around the same centres, with other sizes and heights over widths."""
    centred = to_centres(anchors)
    sides = anchors.new_tensor((grow / math.sqrt(stretch), grow * math.sqrt(stretch)))
    return from_centres(torch.cat([centred[:, :2], centred[:, 2:] * sides], 1))


def propose(
    output: RpnOutput, size: tuple[int, int], rule: ProposalRule, image: int = 0
) -> Proposals:
    """The proposals of one picture of the batch; no gradient flows through the choice.

    Args:
        size: (height, width) of the picture in the network's input, without padding.
    """
    logits = output.objectness()[image].detach()
    parts = torch.split(logits, list(output.counts))
    starts = [sum(output.counts[:i]) for i in range(len(parts))]
    best = torch.cat(
        [
            part.topk(min(rule.before, len(part))).indices + start
            for part, start in zip(parts, starts, strict=True)
        ]
    )
    deltas = output.shifts()[image, best].detach()
    boxes = clip(decode(deltas, output.anchors[best]), *size)
    scores = logits[best].sigmoid()
    keep = large_enough(boxes, rule.smallest) & (scores >= rule.score)
    boxes, best, scores = boxes[keep], best[keep], scores[keep]
    levels = output.levels()[best]
    order = batched_nms(boxes, scores, levels, rule.overlap)[: rule.after]
    return Proposals(boxes, scores, levels, best, order)
