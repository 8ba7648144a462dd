"""SSD: default boxes, matching, hard negatives and the normalised map, on one picture.

Liu et al., "SSD: Single Shot MultiBox Detector", 2016. A small network trained here on generated
shapes, the paper's SSD300, and SSDlite on MobileNetV3, both with torchvision's weights.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from engines.detect.ssd_training import Lesson
from engines.nn.detection.annotated import Annotated, annotated
from engines.nn.detection.boxes import iou, moved
from engines.nn.detection.coco import evaluate_folder
from engines.nn.detection.coco_names import COCO_91
from engines.nn.detection.detections import Candidates, DetectionParams, kept
from engines.nn.detection.detector_training import TrainingParams, train
from engines.nn.detection.shapes import NAMES
from engines.nn.loading import load_state
from engines.nn.one_stage.prior_detections import EvaluationRule, Scored, candidates, scored, told
from engines.nn.one_stage.prior_views import matching_view, views
from engines.nn.one_stage.ssd import SSD, SsdOutput, small, ssd300, start
from engines.nn.one_stage.ssd_loss import objective
from engines.nn.one_stage.ssd_views import normalisation_views
from engines.nn.one_stage.ssdlite import ssdlite320
from explorer.api import (
    Affine,
    Artefact,
    Boxes,
    Checkpoint,
    Curve,
    Engine,
    FeatureMaps,
    Field,
    FileInput,
    Image,
    ImageInput,
    Inputs,
    Outcome,
    Run,
    Scores,
    Text,
    Training,
    knob,
)  # fmt: skip

SMALL = ("shapes-ssd", "shapes-ssd-hard")
RANDOM = ("random-ssd300", "random-ssdlite320")
OFFICIAL = ("ssd300-coco", "ssdlite320-coco")
DRAWN = {"trained": None, "1": (), "1, 2": (2.0,), "1, 2, 3": (2.0, 3.0)}


@dataclass(frozen=True, slots=True)
class SsdParams(TrainingParams, DetectionParams):
    """Knobs of SSD."""

    weights: str = knob(
        "shapes-ssd", choices=(*SMALL[:1], *RANDOM, *OFFICIAL, *SMALL[1:]), effect="build",
        help="shapes: a small network trained here on scenes of 64 px; ssd300: the paper's; "
        "ssdlite320: on MobileNetV3, with a tenth of its parameters",
    )  # fmt: skip
    score: float = knob(
        0.3, low=0.0, high=1.0, step=0.01, effect="again", help="boxes below it are not shown"
    )
    overlap: float = knob(
        0.45, low=0.0, high=1.0, step=0.05, effect="again", unit="IoU",
        help="a box that overlaps a better one of its class by more than this is removed",
    )  # fmt: skip
    most: int = knob(
        0, low=0, high=1000, effect="again", unit="boxes",
        help="the best of each class that enter the suppression; 0: as many as in its evaluation",
    )  # fmt: skip
    truth: tuple[float, float, float, float] | None = knob(
        None, kind="box", effect="again",
        help="draw what is to be found; without, the annotations or the detections stand for it",
    )  # fmt: skip
    negatives: float = knob(
        3.0, low=0.0, high=20.0, step=0.5, effect="again",
        help="hard negatives mined for each positive default box, also in training",
    )  # fmt: skip
    shapes: str = knob(
        "trained", choices=tuple(DRAWN), effect="again",
        help="ratios of the default boxes that are drawn; the network keeps its own",
    )  # fmt: skip
    enlarge: float = knob(
        1.0, low=0.25, high=4.0, step=0.05, effect="again",
        help="factor on the sizes of the default boxes that are drawn",
    )  # fmt: skip
    rate: float = knob(
        2e-3, low=1e-6, high=0.1, log=True, effect="live", when="training",
        help="learning rate of Adam at its highest; it falls to 0 along a cosine",
    )  # fmt: skip
    train_steps: int = knob(
        1500, low=1, high=100_000, unit="steps", when="training", help="length of the cosine"
    )
    batch: int = knob(32, low=1, high=256, unit="scenes", when="training", help="scenes a step")


@dataclass(frozen=True, slots=True)
class Said:
    """What `again` needs: the heads' output (1, P, K), (1, P, 4), and what it says as boxes.

    ``truth`` is what an annotation file says of the picture, None without one.
    """

    logits: Tensor
    offsets: Tensor
    found: Scored
    truth: Annotated | None = None


class Ssd(Engine[SsdParams]):
    """SSD on one picture, and its training on generated scenes."""

    Params: ClassVar[type[Any]] = SsdParams
    layout = "NHWC"
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Boxes, Scores, Field, FeatureMaps, Curve, Text,
    )  # fmt: skip
    network: SSD

    def build(self, params: SsdParams) -> nn.Module:
        """Trained weights, or random ones that say so."""
        network = network_of(params.weights)
        drawn = params.weights in RANDOM
        self.provenance = "random weights, nothing learnt" if drawn else ""
        self._names = NAMES if params.weights in SMALL else COCO_91[1:]
        if drawn:
            start(network, self.host.generator())
        else:
            load_state(network, self.host.weights(params.weights), params.weights)
        return network

    def run(self, inputs: Inputs, params: SsdParams, memory: Any = None) -> Run:
        """One pass over one picture."""
        photo: ImageInput = inputs["image"]
        params = yield Image("input/picture", photo.pixels, note=photo.name)
        said, output = self._passed(photo)
        annotations: FileInput | None = inputs.get("annotations")
        if annotations is not None:
            said = replace(said, truth=annotated(annotations.path, photo, self._names))
        yield from self.again(said, params)
        if output.before is not None and self.network.scale is not None:
            yield from normalisation_views(
                output.before[0], output.after[0], self.network.scale,
                said.found.affine.after(said.found.priors.affines()[0]),
                "conv4_3" if params.weights not in SMALL else "the map of 8 × 8",
            )  # fmt: skip
        return Outcome(kept=said)

    def _passed(self, photo: ImageInput) -> tuple[Said, SsdOutput]:
        x, affine = self.network.frame(photo.pixels, self.host.device)
        output = self.network(x)
        found = scored(
            output.logits[0].softmax(1)[:, 1:], output.offsets[0],
            self.network.priors, affine, photo.pixels.shape[:2], self._names,
        )  # fmt: skip
        return Said(output.logits, output.offsets, found), output

    def again(self, said: Said, params: SsdParams) -> Iterator[Artefact]:
        """Everything that follows from the heads' output."""
        found = said.found
        rule = self.network.testing
        offered = candidates(found, params.score, params.most or rule.most)
        other = params.shapes != "trained" or params.enlarge != 1.0
        drawn = found.priors.reshaped(DRAWN[params.shapes], params.enlarge) if other else None
        yield from views(found, offered, params, point="scores", most=rule.kept, drawn=drawn)
        yield self._matching(said, offered, params)

    def _matching(self, said: Said, offered: Candidates, params: SsdParams) -> Boxes:
        """What the loss would make of this picture with the truth as it is known."""
        found, affine = said.found, said.found.affine
        boxes, labels, what = self._truth(said, offered, params)
        matched = objective(
            said.logits, said.offsets, found.priors.boxes,
            [moved(boxes, inverse(affine))], [labels + 1], ratio=params.negatives,
        )  # fmt: skip
        return matching_view(
            "matching/default boxes", matched, found.priors.boxes, affine, what,
            gestures={"box": "truth"},
        )  # fmt: skip

    def _truth(
        self, said: Said, offered: Candidates, params: SsdParams
    ) -> tuple[Tensor, Tensor, str]:
        """Boxes (T, 4) in input pixels, labels (T,), and where they come from."""
        found = said.found
        if params.truth is not None:
            boxes = said.logits.new_tensor([params.truth])
            best = iou(boxes, moved(found.priors.boxes, found.affine))[0].argmax()
            label = found.scores[best].argmax()
            return boxes, label[None], f"truth: the box drawn, as {found.names[int(label)]}"
        if said.truth is not None:
            boxes, labels = said.truth.boxes, said.truth.labels
            device = said.logits.device
            return boxes.to(device), labels.to(device), f"truth: {said.truth.words}"
        left = kept(offered, params, most=self.network.testing.kept)
        words = f"truth: the {len(left)} detections; draw a box to set another"
        return left.boxes, left.labels, words

    def evaluate(
        self, folder: Path, params: SsdParams
    ) -> Generator[Artefact, Any, Mapping[str, float]]:
        """AP over a folder with annotations in COCO's format."""

        def detect(photo: ImageInput) -> Any:
            return told(self._passed(photo)[0].found, self._evaluated(params))

        return (yield from evaluate_folder(self.host, folder, detect, self._names))

    def _evaluated(self, params: SsdParams) -> EvaluationRule:
        """The rule of the network's authors, but for a knob that was moved."""
        rule, still = self.network.testing, SsdParams()
        overlap = rule.overlap if params.overlap == still.overlap else params.overlap
        return replace(rule, most=params.most or rule.most, overlap=overlap)

    def train(
        self, inputs: Inputs, params: SsdParams, resume: Checkpoint | None = None
    ) -> Training:
        """Train the small network on generated scenes; see `detector_training`."""
        network = self.network if params.weights in SMALL else small().to(self.host.device)
        lesson = Lesson(network)
        training = train(
            self, network, lesson.loss, lesson.detect, params, start=lesson.start, resume=resume
        )
        made = next(training, None)
        while made is not None:
            params = yield made
            if isinstance(made, Boxes):  # of held-out scenes: now and then, not every step
                for artefact in lesson.views(made.step):
                    params = yield artefact
            try:
                made = training.send(params)
            except StopIteration:
                return


def network_of(weights: str) -> SSD:
    """The network that weights of this name belong to."""
    if weights in SMALL:
        return small()
    return ssdlite320() if "ssdlite320" in weights else ssd300()


def inverse(affine: Affine) -> Affine:
    """From input pixels to the grid."""
    return Affine(1 / affine.sx, 1 / affine.sy, -affine.tx / affine.sx, -affine.ty / affine.sy)
