"""The knobs of YOLO9000."""

from __future__ import annotations

from dataclasses import dataclass

from engines.nn.detection.detections import DetectionParams
from engines.nn.detection.detector_training import TrainingParams
from explorer.api import knob

SMALL = ("shapes-yolo9000", "shapes-yolo9000-boxes")


@dataclass(frozen=True)
class TreeParams:
    """What is asked of the tree, and which network answers."""

    stop: float = knob(
        0.7, low=0.0, high=0.99, step=0.01, effect="again",
        help="go down the tree while the probability of the next node is above this",
    )  # fmt: skip
    subset: str = knob(
        "", effect="again",
        help="nodes between commas: boxes are scored by these and all below them; empty: by "
        "objectness",
    )  # fmt: skip
    label: str = knob(
        "", effect="again",
        help="a node, as if it were the truth: which logits it would teach; empty: the best leaf",
    )  # fmt: skip
    size: int = knob(
        0, low=0, high=832, step=32, unit="px",
        help="side of the network's input, in whole cells; 0: what the network was made for",
    )  # fmt: skip
    weights: str = knob(
        SMALL[0], choices=SMALL, effect="build",
        help="trained here on boxes known by shape and names alone with colours, or on the boxes "
        "alone, which never tell a colour",
    )  # fmt: skip
    darknet: str = knob(
        "", effect="build",
        help="your own network in place of that: the path of yolo9000.cfg with its weights and "
        "tree beside it, or CFG; WEIGHTS; TREE",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Yolo9000Params(TrainingParams, TreeParams, DetectionParams):
    """Knobs of YOLO9000: of every detector, of the tree, of the training."""

    rate: float = knob(
        2e-3, low=1e-6, high=0.1, log=True, effect="live", when="training",
        help="learning rate of Adam at its highest; it falls to 0 along a cosine",
    )  # fmt: skip
    train_steps: int = knob(
        1000, low=1, high=100_000, unit="steps", when="training", help="length of the cosine"
    )
    class_only: int = knob(
        16, low=0, high=256, unit="pictures", when="training",
        help="pictures of which only the name is known, in each step after the first 30 %",
    )  # fmt: skip
    labels: str = knob(
        "shape", choices=("shape", "leaf"), when="training",
        help="how far down the tree the boxes of scenes are labelled",
    )  # fmt: skip
    claim: str = knob(
        "objectness", choices=("objectness", "class"), when="training",
        help="which box answers for a picture without boxes: the surest, or by the paper's rule "
        "the likeliest of its class",
    )  # fmt: skip
