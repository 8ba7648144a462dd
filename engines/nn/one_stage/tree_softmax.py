"""Hierarchical softmax over a WordTree: probabilities, the top prediction and the loss.

Redmon, Farhadi, "YOLO9000: Better, Faster, Stronger", 2016, section 4. Logits, conditional and
joint probabilities are (..., N), N nodes in the order of the tree.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.nn.one_stage.wordtree import WordTree

Floats = npt.NDArray[np.float32]


class TreeSoftmax(nn.Module):
    """Logits to log P(node | parent): a softmax of its own for each group of siblings."""

    group: Tensor
    parents: Tensor
    paths: Tensor

    def __init__(self, tree: WordTree) -> None:
        super().__init__()
        self.tree = tree
        self.groups = len(tree.starts) - 1
        deepest = int(tree.depths.max()) + 1
        paths = np.full((len(tree), deepest), -1, np.int64)
        for node in range(len(tree)):
            path = tree.path(node)
            paths[node, : len(path)] = path
        for name, values in (("group", tree.groups), ("parents", tree.parents), ("paths", paths)):
            self.register_buffer(name, torch.from_numpy(values.copy()), persistent=False)
        self.levels = [np.flatnonzero(tree.depths == d).tolist() for d in range(deepest)]

    def forward(self, logits: Tensor) -> Tensor:
        """Log P(node | parent) (..., N) of logits (..., N)."""
        where = self.group.expand_as(logits)
        none = logits.new_full((*logits.shape[:-1], self.groups), -torch.inf)
        # Only differences count, so no gradient needs to pass through the largest.
        largest = none.scatter_reduce(-1, where, logits.detach(), "amax")
        shifted = logits - largest.gather(-1, where)
        sums = torch.zeros_like(none).scatter_add(-1, where, shifted.exp())
        return shifted - sums.log().gather(-1, where)

    def joint(self, conditional: Tensor) -> Tensor:
        """Log P(node) (..., N): the sum of log P(n | parent) over the path from the root."""
        total = conditional.clone()
        for level in self.levels[1:]:
            nodes = torch.tensor(level, device=total.device)
            above = total.index_select(-1, self.parents[nodes])
            total = total.index_copy(-1, nodes, total.index_select(-1, nodes) + above)
        return total

    def of(self, conditional: Tensor, nodes: Tensor) -> Tensor:
        """Log P (M,) of one node (M,) for each row of ``conditional`` (M, N), by its path alone.

        Groups off the path take no part, so they receive no gradient.
        """
        paths = self.paths[nodes]
        values = conditional.gather(1, paths.clamp(min=0))
        return torch.where(paths >= 0, values, values.new_zeros(())).sum(1)

    def loss(self, conditional: Tensor, nodes: Tensor) -> Tensor:
        """Cross-entropy (M,) in nat of labels (M,), which may be inner nodes: - log P(node)."""
        return -self.of(conditional, nodes)


def top_prediction(
    conditional: Floats, tree: WordTree, threshold: float
) -> tuple[list[int], float]:
    """Go down from the roots to the best child while the product stays above ``threshold``.

    The best root is taken in any case, as in Darknet.

    Args:
        conditional: (N,) P(node | parent).

    Returns:
        The path, its last node is the prediction; and P of that node.
    """
    path: list[int] = []
    product, node = 1.0, -1
    while children := tree.children(node):
        best = children[int(conditional[children.start : children.stop].argmax())]
        if path and product * float(conditional[best]) <= threshold:
            break
        product, node = product * float(conditional[best]), best
        path.append(node)
    return path, product


def subset_probability(joint: Tensor, tree: WordTree, nodes: Sequence[int]) -> Tensor:
    """P (...) that one of ``nodes``, or something below one, is right; joint P is (..., N)."""
    outer = torch.tensor(tree.outermost(nodes), device=joint.device)
    return joint.index_select(-1, outer).sum(-1)
