"""The feature pyramid at work: Lin et al., "Feature Pyramid Networks", 2017.

The same two-stage detector as `engines.detect.faster_rcnn`, with the paths of its pyramid to switch
off and the rule to move by which a region finds its level; the boxes follow at once.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from engines.detect.rcnn_models import UNTRAINED, build, check_trainable, class_names, models
from engines.nn.detection.coco import evaluate_folder
from engines.nn.detection.coco_names import CATEGORY_IDS
from engines.nn.detection.detections import DetectionParams, kept, shown, thinned
from engines.nn.detection.detector_training import TrainingParams
from engines.nn.two_stage.fpn_views import PATHS, Sums, at_place, counts, parts, pyramid, switches
from engines.nn.two_stage.rcnn import RCNN, frame, small
from engines.nn.two_stage.rcnn_stages import (
    Look,
    as_fed,
    choose,
    found_in,
    look,
    offered,
    to_candidates,
)
from engines.nn.two_stage.rcnn_training import train_small
from engines.nn.two_stage.rpn_views import assignment, levels_of, objectness
from explorer.api import (
    Artefact,
    Boxes,
    Checkpoint,
    Curve,
    Engine,
    EngineError,
    Field,
    Image,
    ImageInput,
    Inputs,
    Matrix,
    Outcome,
    Run,
    Scores,
    Text,
    Training,
    knob,
)  # fmt: skip

LATERAL = "shapes-fpn-hard-lateral"  # trained without its top-down path
MODELS = (*models("faster")[:-1], LATERAL, UNTRAINED)
Cells = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class FpnParams(TrainingParams, DetectionParams):
    """Knobs of the pyramid."""

    model: str = knob(
        MODELS[0], choices=MODELS, effect="build",
        help="shapes-… were trained here on generated scenes, …-lateral without a top-down path; "
        "…-coco are the official weights",
    )  # fmt: skip
    off: tuple[tuple[float, float], ...] = knob(
        (), kind="points",
        help="paths switched off (on where they are off), as level,path from 0: path 0 is the "
        "lateral one, 1 the top-down",
    )  # fmt: skip
    canonical: float = knob(
        1.0, low=0.25, high=4.0, step=0.05, log=True, unit="×",
        help="factor on the size at which a region moves to the next level",
    )  # fmt: skip
    level: int = knob(
        0, low=-3, high=3, unit="levels", help="how much higher every region is pooled"
    )
    show: str = knob(
        "energy", choices=("energy", "channel"), effect="again",
        help="of each map: root mean square over its channels, or one of them",
    )  # fmt: skip
    channel: int = knob(
        0, low=0, high=255, effect="again", when="show=channel", help="which one; it counts around"
    )
    shown: int = knob(30, low=1, high=1000, effect="again", help="best proposals that are drawn")


@dataclass(frozen=True, slots=True)
class Kept:
    """What one run leaves: both looks (the same one where nothing is switched) and the sums.

    ``pooled_from`` is the level (Q,) of each candidate, by the rule of this run.
    """

    intact: Look
    now: Look
    sums: Sums
    pooled_from: torch.Tensor


class Fpn(Engine[FpnParams]):
    """Every level's parts, and what the detections owe to them."""

    Params: ClassVar[type[Any]] = FpnParams
    layout = "NHWC"
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Boxes, Scores, Text, Field, Matrix, Curve,
    )  # fmt: skip
    replays: ClassVar[bool] = False  # the sums are watched while they are made
    categories = CATEGORY_IDS
    network: RCNN

    def build(self, params: FpnParams) -> nn.Module:
        """The chosen network with its weights."""
        self.names = class_names("faster", params.model)
        network = build("faster", params.model, self.host)
        self.levels = levels_of(network)
        self.trained = frozenset({(0, 1)} if params.model == LATERAL else ())
        return network

    def run(self, inputs: Inputs, params: FpnParams, memory: Any = None) -> Run:
        """The network as it was trained, and once more with the switches when any is turned."""
        photo: ImageInput = inputs["image"]
        framed = frame(photo.pixels, self.network.framing, self.host.device)
        off, sums, rule = self._off(params), Sums(), self.network.proposing
        intact = None
        if off != self.trained or (params.canonical, params.level) != (1.0, 0):
            with turned(self.network, self.trained):
                intact = look(self.network, framed, rule)
        with turned(self.network, off, params, sums):
            now = look(self.network, framed, rule)
            pool = self.network.roi_heads.box_roi_pool
            pooled_from = pool.levels(now.candidates.boxes, self.network.strides)
        made = Kept(intact or now, now, sums, pooled_from)
        yield as_fed(now)
        names = self.levels.names[: self.levels.heads]
        yield switches(sums, names)
        yield from parts(framed, sums, self.network.backbone.fpn, names)
        yield from objectness(now, self.levels, every=False)
        yield from self._after(made, params)
        return Outcome(kept=made)

    def again(self, kept: Kept, params: FpnParams) -> Iterator[Artefact]:
        """Everything but the network."""
        yield from self._after(kept, params)

    def evaluate(
        self, folder: Path, params: FpnParams
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP over a folder with annotations in COCO's format, with the switches as they are; by
        thirds of the objects too, as all are small to COCO in small pictures."""
        off = self._off(params)

        def detect(photo: ImageInput) -> Any:
            with turned(self.network, off, params):
                return found_in(self.network, photo, self.names, params.overlap, self.host.device)

        return (yield from evaluate_folder(self.host, folder, detect, self.names, thirds=True))

    def train(
        self, inputs: Inputs, params: FpnParams, resume: Checkpoint | None = None
    ) -> Training:
        """Train the small network on generated scenes from fresh weights, with the switches so.

        Raises:
            EngineError: the network is not the small one.
        """
        check_trainable(params.model)
        with turned(self.network, self._off(params), params):
            yield from train_small(self, self.network, small, params, resume)

    def _off(self, params: FpnParams) -> frozenset[tuple[int, int]]:
        """The cells (level, path) that are off now."""
        return self.trained ^ toggled(params.off, self.levels.heads)

    def _after(self, made: Kept, params: FpnParams) -> Iterator[Artefact]:
        names = self.levels.names[: self.levels.heads]
        framed, rule = made.now.framed, self.network.proposing
        channel = params.channel if params.show == "channel" else None
        yield at_place(framed, made.now.pyramid, made.sums, names, params.cursor)
        yield from pyramid(framed, made.now.pyramid, made.sums, names, channel)
        chosen = choose(made.now, rule.overlap, rule.after).kept
        candidates = to_candidates(made.now, chosen, self.names, self.levels.names)
        left = thinned(candidates, params)
        yield from shown(left, params)
        found = left.left()
        level = made.pooled_from[found.sources]
        yield Boxes(
            "levels/of each detection", found.boxes.cpu().numpy(), found.scores.cpu().numpy(),
            labels=[names[i] for i in level.tolist()], sources=found.sources.tolist(),
            note="where the region of each was pooled from",
        )  # fmt: skip
        yield counts(level, names, "detections", "how many were pooled from each level")
        yield from assignment(
            made.now.candidates.boxes[chosen], made.now.candidates.scores[chosen],
            made.pooled_from[chosen], framed.affine, names, params.shown,
        )  # fmt: skip
        yield self._before(made, params)

    def _before(self, made: Kept, params: FpnParams) -> Boxes:
        """The detections of the network as it was trained, to compare with."""
        every = offered(self.network, made.intact, self.names, self.levels.names)
        found = kept(every, params)
        return Boxes(
            "intact/detections", found.boxes.cpu().numpy(), found.scores.cpu().numpy(),
            labels=found.classes(),
            note="by the network as it was trained, with its own rule of levels",
        )  # fmt: skip


def toggled(cells: Cells, levels: int) -> frozenset[tuple[int, int]]:
    """Cells (level, path) that occur an odd number of times: each click toggles.

    Raises:
        EngineError: a level or path that is not there.
    """
    times = Counter((int(level), int(path)) for level, path in cells)
    for level, path in times:
        if not (0 <= level < levels and 0 <= path < len(PATHS)):
            raise EngineError(
                f"off {level},{path}: this pyramid has levels 0 to {levels - 1} and paths 0 "
                "(lateral) and 1 (top-down)"
            )
    return frozenset(cell for cell, n in times.items() if n % 2)


@contextlib.contextmanager
def turned(
    network: RCNN,
    off: frozenset[tuple[int, int]],
    params: FpnParams | None = None,
    sums: Sums | None = None,
) -> Iterator[None]:
    """Switch paths off, move the rule of levels, watch the sums; all is as before afterwards."""
    fpn, pool = network.backbone.fpn, network.roi_heads.box_roi_pool
    before = (pool.canonical, pool.level)
    try:
        fpn.without_lateral = {level for level, path in off if path == 0}
        fpn.without_top_down = {level for level, path in off if path == 1}
        fpn.watch = sums
        if params is not None:
            pool.canonical, pool.level = before[0] * params.canonical, before[1] + params.level
        yield
    finally:
        fpn.without_lateral = fpn.without_top_down = ()
        fpn.watch = None
        pool.canonical, pool.level = before
