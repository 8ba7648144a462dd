"""A WordTree as graphs: the way down to a prediction, and which nodes a label would teach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engines.nn.one_stage.wordtree import WordTree
from explorer.api import Graph

Floats = npt.NDArray[np.float32]
WHOLE = 40  # nodes up to which the whole tree is drawn
SIBLINGS = 6  # of each group on a path that are drawn of a larger tree


def shown_nodes(tree: WordTree, path: Sequence[int], weight: Floats) -> list[int]:
    """All nodes of a small tree; of a large one the path, and beside it the heaviest siblings.

    The children of the last node of ``path`` are among them. ``weight`` is (N,).
    """
    if len(tree) <= WHOLE:
        return list(range(len(tree)))
    found = set(path)
    for node in (-1, *path):
        group = list(tree.children(node))
        found.update(sorted(group, key=lambda n: -float(weight[n]))[:SIBLINGS])
    return sorted(found)


def tree_graph(
    name: str,
    tree: WordTree,
    nodes: Sequence[int],
    values: Floats,
    *,
    edges: Floats | None = None,
    chosen: Sequence[int] = (),
    unit: str = "",
    note: str = "",
    step: int = 0,
) -> Graph:
    """The part of the tree that ``nodes`` (in file order) span, with a value (N,) on each node.

    Args:
        edges: (N,) what stands on the edge that leads to each node.
        chosen: nodes that stand out.
    """
    place = {node: i for i, node in enumerate(nodes)}
    pairs = [(int(tree.parents[n]), n) for n in nodes if int(tree.parents[n]) in place]
    return Graph(
        name,
        [_short(tree, n) for n in nodes],
        np.array([(place[a], place[b]) for a, b in pairs], np.int64).reshape(-1, 2),
        weights=np.zeros(0) if edges is None else np.array([edges[b] for _, b in pairs]),
        values=np.asarray(values, np.float32)[list(nodes)],
        chosen=[place[n] for n in chosen if n in place],
        unit=unit,
        note=note,
        step=step,
    )


def _short(tree: WordTree, node: int) -> str:
    """A name without that of its parent at the end: ``red`` under ``disc`` for ``red disc``."""
    parent = int(tree.parents[node])
    name = tree.names[node]
    return name.removesuffix(f" {tree.names[parent]}") if parent >= 0 else name


def path_graph(
    name: str,
    tree: WordTree,
    conditional: Floats,
    joint: Floats,
    path: Sequence[int],
    *,
    note: str = "",
) -> Graph:
    """P(node | parent) on the edges, their products on the nodes, the chosen path marked.

    Args:
        conditional, joint: (N,) in [0, 1].
        path: from a root to the node where the way down stopped.
    """
    nodes = shown_nodes(tree, path, conditional)
    return tree_graph(
        name, tree, nodes, joint, edges=conditional, chosen=path, unit="probability", note=note
    )


def label_gradient(tree: WordTree, conditional: Floats, label: int) -> Floats:
    """Gradient (N,) of - log P(label) with respect to the logits, by Darknet's rule.

    P(n | parent) for every node of the groups on the path to the label, less one for those on the
    path; zero in all other groups. ``conditional`` is (N,).
    """
    path = tree.path(label)
    gradient = np.where(np.isin(tree.groups, tree.groups[path]), conditional, 0.0)
    gradient[path] -= 1.0
    return gradient.astype(np.float32)


def gradient_graph(
    name: str, tree: WordTree, conditional: Floats, label: int, *, note: str = ""
) -> Graph:
    """What each node would be taught by one example labelled ``label``; nothing off its groups."""
    gradient = label_gradient(tree, conditional, label)
    path = tree.path(label)
    nodes = shown_nodes(tree, path, np.abs(gradient))
    return tree_graph(
        name, tree, nodes, gradient, chosen=path, unit="gradient of a logit", note=note
    )
