"""YOLO9000: Darknet-19, three anchors a cell, and a WordTree in place of a list of classes.

Redmon, Farhadi, "YOLO9000: Better, Faster, Stronger", 2016, section 4; layers by Darknet's
yolo9000.cfg, which has no pass-through.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.nn.one_stage.tree_softmax import TreeSoftmax
from engines.nn.one_stage.wordtree import WordTree
from engines.nn.one_stage.yolo import (
    DARKNET19_EARLY,
    DARKNET19_LATE,
    POOL,
    SMALL_SIDE,
    SMALL_STRIDE,
    STRIDE,
    Plan,
    stack,
)
from engines.nn.one_stage.yolo_boxes import Decoded, v2_cells, v2_decode

# Width and height in cells: of yolo9000.cfg, and by k-means over the generated scenes, rounded to
# half precision as all numbers of a shipped training are.
ANCHORS = ((0.77871, 1.14074), (3.00525, 4.31277), (9.22725, 9.61974))
SMALL_ANCHORS = ((1.7099609375,) * 2, (2.30078125,) * 2, (3.060546875,) * 2)
SMALL_PLAN: Plan = ((16, 3), POOL, (32, 3), POOL, (64, 3), POOL, (64, 3), (64, 3))
SIDE = 544


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """What one picture's grid says; R rows as in `Decoded`.

    Attributes:
        decoded: boxes, objectness and anchors, without classes.
        conditional: (R, nodes) log P(node | parent).
    """

    decoded: Decoded
    conditional: Tensor


class Yolo9000(nn.Module):
    """A network that gives a grid, with the anchors and the tree by which the grid is read.

    Args:
        body: from (N, 3, H, W) to the grid (N, A (5 + nodes), H / stride, W / stride).
        anchors: (A, 2) width and height in cells.
        size: (height, width) of its input in px, multiples of ``stride``, the px of a cell.
    """

    anchors: Tensor

    def __init__(
        self,
        tree: WordTree,
        body: nn.Module,
        anchors: tuple[tuple[float, float], ...],
        stride: int,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.body = body
        self.tree = TreeSoftmax(tree)
        self.stride, self.size = stride, size
        self.register_buffer("anchors", torch.tensor(anchors), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The grid: of each anchor tx, ty, tw, th, to, and a logit of every node."""
        y: Tensor = self.body(x)
        return y

    def read(self, grid: Tensor) -> Grid:
        """One picture's grid (A (5 + nodes), h, w) as boxes and probabilities."""
        cells = v2_cells(grid[None], len(self.anchors))  # (1, h, w, A, 5 + nodes)
        boxes = cells[..., :5].permute(0, 3, 4, 1, 2).flatten(1, 2)
        return Grid(
            v2_decode(boxes[0], self.anchors, self.stride),
            self.tree(cells[0, ..., 5:].flatten(0, 2)),
        )


def _body(plan: Plan, wide: int, channels: int) -> nn.Sequential:
    layers = {"trunk": stack(plan, 3), "head": nn.Conv2d(wide, channels, 1)}
    return nn.Sequential(OrderedDict(layers))


def small(tree: WordTree) -> Yolo9000:
    """The network for pictures of 64 px, with 8 px a cell."""
    body = _body(SMALL_PLAN, 64, len(SMALL_ANCHORS) * (5 + len(tree)))
    return Yolo9000(tree, body, SMALL_ANCHORS, SMALL_STRIDE, (SMALL_SIDE, SMALL_SIDE))


def published(tree: WordTree) -> Yolo9000:
    """The paper's: 3 (5 + 9,418) = 28,269 channels and 48,793,101 parameters for its tree."""
    body = _body((*DARKNET19_EARLY, *DARKNET19_LATE), 1024, len(ANCHORS) * (5 + len(tree)))
    return Yolo9000(tree, body, ANCHORS, STRIDE, (SIDE, SIDE))
