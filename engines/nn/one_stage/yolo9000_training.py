"""Joint training: scenes with boxes, and pictures of which only the name is known.

Redmon, Farhadi, "YOLO9000: Better, Faster, Stronger", 2016, section 4, on generated scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.detection.boxes import iou
from engines.nn.detection.detector_training import Detected, Source
from engines.nn.detection.nms import nms
from engines.nn.detection.shapes import HELD_OUT, Target, stacked, target_of
from engines.nn.one_stage.coloured_shapes import LEAVES, coloured, leaf_nodes, single
from engines.nn.one_stage.yolo import start
from engines.nn.one_stage.yolo9000 import Yolo9000
from engines.nn.one_stage.yolo_boxes import v2_cells
from engines.nn.one_stage.yolo_loss import v2_loss

WARM_UP = 0.3  # of the steps: boxes alone, so that the objects are found before names come
SINGLES = 500_000  # first seed of the pictures without boxes
LEAST, OVERLAP, MOST = 0.01, 0.5, 100
Floats = npt.NDArray[np.float32]


class JointTraining:
    """Loss, scenes and detections of a small YOLO9000.

    Attributes:
        taught: (N,) mean size of each node's gradient in the last step, from the boxes of scenes
            and from pictures without boxes; the second only where there were any.
    """

    def __init__(self, network: Yolo9000, params: Any) -> None:
        self.network, self.params = network, params
        self.tree = network.tree.tree
        self.nodes = torch.from_numpy(leaf_nodes(self.tree))
        self.source = Source(LEAVES, coloured, self.batch)
        self.taught: dict[str, Floats] = {}

    def start(self, generator: torch.Generator) -> None:
        """Fresh weights."""
        start(self.network, generator)

    def batch(self, seeds: Sequence[int], *, hard: bool) -> tuple[Tensor, list[Target]]:
        """Scenes with boxes, and after the warm-up pictures without, which have a label alone."""
        scenes = [coloured(seed, hard=hard) for seed in seeds]
        targets = [target_of(s) for s in scenes]
        step = seeds[0] // len(seeds)
        if step >= WARM_UP * self.params.train_steps:
            first = SINGLES + step * self.params.class_only
            named = [single(first + i) for i in range(self.params.class_only)]
            targets += [_name_only(target_of(s)) for s in named]
            scenes += named
        return stacked([s.image for s in scenes]), targets

    def loss(self, images: Tensor, targets: list[Target], params: Any) -> dict[str, Tensor]:
        """The terms of Darknet's region layer for scenes, and one for pictures without boxes."""
        grid = self.network(images)
        count = sum(len(t.boxes) > 0 for t in targets)
        nodes = [self.nodes.to(t.labels.device)[t.labels] for t in targets]
        known = nodes[:count]
        if params.labels == "shape":
            known = [self.network.tree.parents[n] for n in known]
        self.taught = {}
        terms = v2_loss(
            grid[:count], [t.boxes for t in targets[:count]], known,
            anchors=self.network.anchors, stride=self.network.stride, classify=self._classify,
        )  # fmt: skip
        named = grid.new_zeros(())
        if count < len(targets):
            named = self.named_loss(grid[count:], torch.cat(nodes[count:]), params.claim)
        return {**terms, "name alone": named}

    def _classify(self, logits: Tensor, nodes: Tensor) -> Tensor:
        self._note("scenes", logits, nodes)
        return self.network.tree.loss(self.network.tree(logits), nodes).sum()

    def named_loss(self, grid: Tensor, nodes: Tensor, claim: str) -> Tensor:
        """Mean loss of pictures (M, A (5 + N), h, w) of which only the node (M,) is known.

        One box of each picture answers, and only the groups on the path to its node are taught;
        coordinates and objectness are not. With ``claim`` "class" it is the box with the highest
        probability of being an object of that node, as in the paper; with "objectness" the one
        that is surest to be an object.
        """
        cells = v2_cells(grid, len(self.network.anchors)).flatten(1, 3)  # (M, R, 5 + N)
        sure = F.logsigmoid(cells[..., 4])
        if claim == "class":
            conditional = self.network.tree(cells[..., 5:])
            rows = nodes.repeat_interleave(cells.shape[1])
            sure = sure + self.network.tree.of(conditional.flatten(0, 1), rows).view_as(sure)
        own = cells[torch.arange(len(cells), device=cells.device), sure.detach().argmax(1)]
        self._note("names alone", own[:, 5:], nodes)
        return self.network.tree.loss(self.network.tree(own[:, 5:]), nodes).mean()

    def _note(self, name: str, logits: Tensor, nodes: Tensor) -> None:
        """Mean size of the gradient with respect to each node's logit, by Darknet's rule."""
        if not len(nodes):
            return
        tree = self.network.tree
        conditional = tree(logits.detach()).exp()
        paths = tree.paths[nodes]
        on = F.one_hot(paths.clamp(min=0), logits.shape[1]) * (paths >= 0)[..., None]
        path = on.sum(1).to(conditional)  # (M, N)
        groups = torch.zeros(len(nodes), tree.groups, device=path.device)
        groups = groups.scatter_add(1, tree.group.expand_as(path), path)
        gradient = conditional * groups.gather(1, tree.group.expand_as(path)) - path
        self.taught[name] = gradient.abs().mean(0).float().cpu().numpy()

    def detect(self, images: Tensor) -> list[Detected]:
        """The best leaf of every box; objectness times its probability is the score."""
        leaves = self.nodes.to(images.device)
        found = []
        for grid in self.network(images):
            said = self.network.read(grid)
            joint = self.network.tree.joint(said.conditional).exp()[:, leaves]
            best, label = joint.max(1)
            scores = said.decoded.confidence * best
            rows = torch.where(scores > LEAST)[0]
            kept = rows[nms(said.decoded.boxes[rows], scores[rows], OVERLAP)[:MOST]]
            found.append(Detected(said.decoded.boxes[kept], scores[kept], label[kept]))
        return found


def _name_only(target: Target) -> Target:
    return Target(target.boxes[:0], target.labels, target.masks[:0], target.keypoints[:0])


@torch.no_grad()
def accuracies(network: nn.Module, *, hard: bool = False, count: int = 300) -> dict[str, float]:
    """What is found in the first ``count`` held-out scenes, and how far down it is named right.

    An object is found where a box of objectness 0.3 or more meets it at IoU 0.5 or more; the
    surest of them is asked for its most likely leaf. ``leaf``, ``shape`` and ``colour`` are shares
    of the objects found.
    """
    assert isinstance(network, Yolo9000)
    tree, nodes = network.tree.tree, leaf_nodes(network.tree.tree)
    device = next(network.parameters()).device
    objects, right = 0, {"leaf": 0, "shape": 0, "colour": 0}
    found = 0
    for at in range(count):
        held = coloured(HELD_OUT + at, hard=hard)
        said = network.read(network(stacked([held.image]).to(device))[0])
        met = iou(said.decoded.boxes.cpu(), torch.from_numpy(held.boxes)) >= 0.5
        sure = said.decoded.confidence.cpu()
        for truth, label in enumerate(held.labels.tolist()):
            objects += 1
            rows = torch.where(met[:, truth] & (sure >= 0.3))[0]
            if not len(rows):
                continue
            found += 1
            joint = network.tree.joint(said.conditional[rows[sure[rows].argmax()]])
            best = int(joint[torch.from_numpy(nodes)].argmax())
            right["leaf"] += best == label
            right["shape"] += tree.parents[nodes[best]] == tree.parents[nodes[label]]
            right["colour"] += LEAVES[best].split()[0] == LEAVES[label].split()[0]
    return {"found": found / objects, **{k: n / max(found, 1) for k, n in right.items()}}
