"""What YOLO9000 shows: boxes named as far down the tree as it is sure, and one box's way down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.nn.detection.boxes import clip
from engines.nn.detection.detections import Candidates, chosen, shown, thinned
from engines.nn.one_stage.tree_softmax import TreeSoftmax, subset_probability, top_prediction
from engines.nn.one_stage.tree_views import WHOLE, gradient_graph, path_graph
from engines.nn.one_stage.wordtree import WordTree
from engines.nn.one_stage.yolo9000_params import Yolo9000Params
from engines.nn.one_stage.yolo_views import Seen, cell_views, map_views, numpy
from explorer.api import Artefact, Boxes, FeatureMaps, Scores

MOST = 300  # boxes that may enter the suppression, the surest
LISTED = 12  # nodes of a list of scores
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """One picture's grid; ``conditional`` (R, nodes) is log P(node | parent) of every box."""

    seen: Seen
    conditional: Tensor
    softmax: TreeSoftmax

    @property
    def tree(self) -> WordTree:
        """Whose nodes are the classes."""
        return self.softmax.tree


def subset_nodes(tree: WordTree, words: str) -> list[int]:
    """Nodes of names between commas; empty for none.

    Raises:
        EngineError: a name that the tree does not have.
    """
    return [tree.find(word) for word in words.split(",") if word.strip()]


def candidates(told: Told, params: Yolo9000Params) -> Candidates:
    """The surest boxes, each named by the node where its way down stops.

    The score is objectness, as in Darknet. With ``params.subset`` it is objectness times the
    probability of those nodes and all below them, and the name the likeliest of them.
    """
    decoded = told.seen.decoded
    subset = subset_nodes(told.tree, params.subset)
    sure, rows = decoded.confidence.sort(descending=True, stable=True)
    rows = rows[sure >= params.score][:MOST]
    conditional = told.conditional[rows]
    if subset:
        joint = told.softmax.joint(conditional).exp()
        outer = told.tree.outermost(subset)
        scores = decoded.confidence[rows] * subset_probability(joint, told.tree, subset)
        labels = torch.tensor(outer, device=rows.device)[joint[:, outer].argmax(1)]
    else:
        scores = decoded.confidence[rows]
        stops = [top_prediction(p, told.tree, params.stop)[0][-1]
                 for p in conditional.exp().cpu().numpy()]  # fmt: skip
        labels = torch.tensor(stops, dtype=torch.long, device=rows.device)
    count = decoded.grid[2]
    return Candidates(
        clip(told.seen.placed(decoded.boxes[rows]), *told.seen.size),
        scores,
        labels,
        rows,
        told.seen.placed(decoded.references[rows]),
        rows % count,
        told.tree.names,
        tuple(f"anchor {i + 1}" for i in range(count)),
    )


def views(told: Told, params: Yolo9000Params) -> Iterator[Artefact]:
    """Everything that follows from the grid."""
    offered = candidates(told, params)
    made = thinned(offered, params, agnostic=True)
    yield from shown(made, params, agnostic=True)
    picked = chosen(made, params.cursor)
    surest = int(told.seen.decoded.confidence.argmax())
    row = surest if picked is None else int(made.offered.sources[picked])
    yield from _way(told, row, params)
    yield from _lessons(told, row, params)
    yield from cell_views(told.seen, *_cell(told, row, params))
    yield from map_views(told.seen, params.only)
    yield _node_maps(told, row, params)


def _cell(told: Told, row: int, params: Yolo9000Params) -> tuple[int, int]:
    """The cell under the cursor; without one, that of the box."""
    seen = told.seen
    if params.cursor is not None:
        return seen.decoded.row(*seen.affine.to_grid(*params.cursor))
    return divmod(row // seen.decoded.grid[2], seen.decoded.grid[1])


def _probabilities(told: Told, row: int) -> tuple[Floats, Floats]:
    """P(node | parent) and P(node) (nodes,) of one box."""
    conditional = told.conditional[row]
    return (
        conditional.exp().float().cpu().numpy(),
        told.softmax.joint(conditional).exp().float().cpu().numpy(),
    )


def _way(told: Told, row: int, params: Yolo9000Params) -> Iterator[Artefact]:
    """The way down of one box as a graph, as a list, and the likeliest leaves."""
    tree = told.tree
    conditional, joint = _probabilities(told, row)
    path, product = top_prediction(conditional, tree, params.stop)
    whole, _ = top_prediction(conditional, tree, 0.0)
    next_one = whole[len(path)] if len(path) < len(whole) else -1
    words = f"stops at {tree.names[path[-1]]}, P {product:.2f}"
    if next_one >= 0:
        words += f": {tree.names[next_one]} has {joint[next_one]:.2f}, not above {params.stop:.2f}"
    yield path_graph(
        "tree/way down", tree, conditional, joint, path,
        note=f"{words}; P(node | parent) on the edges, their products on the nodes",
    )  # fmt: skip
    names = [f"{tree.names[n]} (stop)" if n == path[-1] else tree.names[n] for n in whole]
    yield Scores(
        "nodes/down to a leaf", joint[whole], names,
        note=f"P of each node on the way to the likeliest leaf; threshold {params.stop:.2f}",
    )  # fmt: skip
    best = tree.leaves[joint[tree.leaves].argsort(kind="stable")[::-1][:LISTED]]
    yield Scores(
        "nodes/leaves", joint[best], [tree.names[n] for n in best],
        full=joint[tree.leaves], classes=tuple(tree.names[n] for n in tree.leaves),
        note=f"the likeliest of {len(tree.leaves)} leaves; all sum to 1",
    )  # fmt: skip


def _lessons(told: Told, row: int, params: Yolo9000Params) -> Iterator[Artefact]:
    """Who would be taught what, were ``params.label`` the truth of this box or of the picture."""
    tree, decoded = told.tree, told.seen.decoded
    conditional, _ = _probabilities(told, row)
    leaf = top_prediction(conditional, tree, 0.0)[0][-1]
    label = tree.find(params.label) if params.label.strip() else leaf
    of = f"{tree.names[label]!r}" + ("" if params.label.strip() else " (its likeliest leaf)")
    yield gradient_graph(
        "lesson/gradient", tree, conditional, label,
        note=f"were this box labelled {of}: gradient of the loss at each logit, negative is pushed "
        "up; groups off the path learn nothing",
    )  # fmt: skip
    sure = decoded.confidence.clamp(min=1e-12).log()
    named = told.softmax.of(told.conditional, torch.full_like(sure, label, dtype=torch.long))
    rows = [int((sure + named).argmax()), int(sure.argmax())]
    boxes = torch.stack([decoded.boxes[r] for r in rows])
    values = [float((sure[r] + named[r]).exp()) for r in rows]
    yield Boxes(
        "lesson/who answers", numpy(clip(told.seen.placed(boxes), *told.seen.size)),
        np.array(values, np.float32),
        [f"likeliest {tree.names[label]}", "surest object"],
        sources=rows, state=["kept", "below"], gestures={"pick": "cursor"},
        note=f"were the picture labelled {of} without a box; scores are objectness times its P",
    )  # fmt: skip


def _node_maps(told: Told, row: int, params: Yolo9000Params) -> FeatureMaps:
    """Objectness times P(node) over the cells, for the whole of a small tree or for one path."""
    tree, decoded = told.tree, told.seen.decoded
    nodes: Sequence[int] = range(len(tree))
    if len(tree) > WHOLE:
        nodes, _ = top_prediction(told.conditional[row].exp().cpu().numpy(), tree, 0.0)
    maps = []
    for node in nodes:
        index = torch.full((len(told.conditional),), node, device=told.conditional.device)
        product = decoded.confidence * told.softmax.of(told.conditional, index).exp()
        maps.append(decoded.maps(product).amax(0))
    return FeatureMaps(
        "maps/nodes", numpy(torch.stack(maps)), [tree.names[n] for n in nodes],
        affine=told.seen.grid, note="objectness times P(node), the highest of the anchors",
    )  # fmt: skip
