"""YOLO9000: boxes named over a tree of words, as far down as the network is sure.

Redmon, Farhadi, "YOLO9000: Better, Faster, Stronger", 2016, section 4. A small network trained here
on coloured shapes, and the published 9,418 nodes from your own files.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from engines.nn.detection.coco import evaluate_folder
from engines.nn.detection.detections import kept
from engines.nn.detection.detector_training import train
from engines.nn.loading import load_state
from engines.nn.one_stage.coloured_shapes import shapes_tree
from engines.nn.one_stage.darknet import Darknet
from engines.nn.one_stage.tree_views import tree_graph
from engines.nn.one_stage.yolo9000 import Yolo9000, small
from engines.nn.one_stage.yolo9000_files import own_yolo9000
from engines.nn.one_stage.yolo9000_params import Yolo9000Params
from engines.nn.one_stage.yolo9000_training import LEAST, JointTraining
from engines.nn.one_stage.yolo9000_views import Told, candidates, views
from engines.nn.one_stage.yolo_views import Seen
from explorer.api import (
    Artefact,
    Boxes,
    Checkpoint,
    Curve,
    Engine,
    EngineError,
    FeatureMaps,
    Field,
    Graph,
    Image,
    ImageInput,
    Inputs,
    Outcome,
    Preprocess,
    Run,
    Scores,
    Text,
    Training,
    prepare,
)  # fmt: skip

TAUGHT_EVERY = 10  # steps between two pictures of which nodes were taught


class YOLO9000(Engine[Yolo9000Params]):
    """YOLO9000 on one picture, and the joint training of a small one."""

    Params: ClassVar[type[Any]] = Yolo9000Params
    layout = "NHWC"
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Boxes, Graph, Scores, FeatureMaps, Field, Curve, Text,
    )  # fmt: skip
    network: Yolo9000

    def build(self, params: Yolo9000Params) -> nn.Module:
        """The small network, or that of your own files."""
        self.provenance = ""
        if params.darknet.strip():
            network, self.provenance = own_yolo9000(params.darknet)
        else:
            network = small(shapes_tree())
            load_state(network, self.host.weights(params.weights), params.weights)
        self.remarks = (f"WordTree: {network.tree.tree.words()}",)
        return network

    def described(self) -> Mapping[str, Any]:
        """The layers of the network that was built."""
        if not isinstance(self.network.body, Darknet):
            return {}
        count = len(self.network.body.layers)
        return {"points": [f"body.layers.{i}" for i in (count // 2, 0, count - 2)]}

    def run(self, inputs: Inputs, params: Yolo9000Params, memory: Any = None) -> Run:
        """One pass over one picture."""
        photo: ImageInput = inputs["image"]
        params = yield Image("input/picture", photo.pixels, note=photo.name)
        told = self._told(photo, params)
        yield from self.again(told, params)
        return Outcome(kept=told)

    def again(self, kept: Told, params: Yolo9000Params) -> Iterator[Artefact]:
        """Everything that follows from the grid."""
        yield from views(kept, params)

    def _told(self, photo: ImageInput, params: Yolo9000Params) -> Told:
        network = self.network
        stride = network.stride
        sides = (params.size, params.size) if params.size else network.size
        size = (max(sides[0] // stride, 1) * stride, max(sides[1] // stride, 1) * stride)
        x, affine = prepare(photo.pixels, Preprocess(size, "letterbox"), self.host.device)
        grid = network.read(network(x)[0])
        seen = Seen(grid.decoded, affine, photo.pixels.shape[:2], (), "anchor")
        return Told(seen, grid.conditional, network.tree)

    def evaluate(
        self, folder: Path, params: Yolo9000Params
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP over a folder with annotations in COCO's format, whose categories are nodes.

        A box stands for every node on its way down, with objectness times the node's probability.
        """
        tree = self.network.tree.tree
        low = replace(params, score=LEAST, only="")

        def detect(photo: ImageInput) -> Any:
            told = self._told(photo, low)
            left = kept(candidates(told, low), low, agnostic=True)
            boxes, scores, names = [], [], []
            for i, row in enumerate(left.sources.tolist()):
                joint = told.softmax.joint(told.conditional[row]).exp()
                for node in tree.path(int(left.labels[i])):
                    boxes.append(left.boxes[i].tolist())
                    scores.append(float(told.seen.decoded.confidence[row] * joint[node]))
                    names.append(tree.names[node])
            return boxes, scores, names

        return (yield from evaluate_folder(self.host, folder, detect, tree.names))

    def train(
        self, inputs: Inputs, params: Yolo9000Params, resume: Checkpoint | None = None
    ) -> Training:
        """Train the small network on coloured shapes, with boxes and with names alone."""
        if params.darknet.strip():
            raise EngineError("only the small network is trained here: leave darknet empty")
        joint = JointTraining(self.network, params)
        training = train(
            self, self.network, joint.loss, joint.detect, params,
            start=joint.start, resume=resume, source=joint.source,
        )  # fmt: skip
        made = next(training, None)
        while made is not None:
            params = yield made
            if isinstance(made, Curve) and made.item == "loss":
                for artefact in self._taught(joint, made.step):
                    params = yield artefact
            try:
                made = training.send(params)
            except StopIteration:
                return

    def _taught(self, joint: JointTraining, step: int) -> Iterator[Artefact]:
        """Which nodes the last step taught, from boxes and from names alone."""
        if step % TAUGHT_EVERY and step > 1:
            return
        tree = self.network.tree.tree
        for name, gradient in joint.taught.items():
            yield tree_graph(
                f"taught/by {name}", tree, range(len(tree)), gradient,
                unit="size of the gradient", step=step,
                note="mean over the labels of this step; nodes at 0 learn nothing from them",
            )  # fmt: skip
