"""Training of one style on a folder of photographs: Johnson, Alahi, Fei-Fei, 2016.

Or of its scales and shifts alone, on the convolutions that 26 styles share: Dumoulin, Shlens,
Kudlur, 2017, section 3.2. What step ``s`` sees is fixed by seed and ``s``, so a resumed training
does what an unbroken one would have done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engines.nn.loading import load_state
from engines.nn.style.perceptual import PerceptualLoss
from engines.nn.style.stylizer import Stylizer
from engines.nn.style.taps import convention
from engines.nn.training_log import History
from engines.style.features import FEATURES, chosen
from engines.style.photos import Photos
from explorer.api import (
    Artefact,
    Checkpoint,
    Curve,
    EngineError,
    FolderInput,
    Host,
    Image,
    ImageInput,
    Inputs,
    Preprocess,
    Training,
    knob,
    prepare,
)  # fmt: skip

WEIGHTS = "multistyle26"
STYLES = 26
SCALES, WHOLE = "scales and shifts", "whole network"
TERMS = ("content", "style", "smoothness")
SEVERAL = 6  # cuts of a batch that are shown


@dataclass(frozen=True)
class LearningParams:
    """Knobs of the training; weights of the loss mean what they mean in the engine ``style``."""

    learn: str = knob(
        SCALES, choices=(SCALES, WHOLE), when="training",
        help="scales and shifts: a 27th style, 990 numbers; whole network: one style, from scratch",
    )  # fmt: skip
    content: float = knob(
        1.0, low=1e-3, high=1e3, log=True, effect="live", when="training", help="weight of content"
    )
    style: float = knob(
        3.0, low=1e-2, high=1e4, log=True, effect="live", when="training", help="weight of style"
    )
    smooth: float = knob(
        0.05, low=0.0, high=10.0, effect="live", when="training", help="weight of total variation"
    )
    rate: float = knob(
        1e-2, low=1e-6, high=0.1, log=True, effect="live", when="training",
        help="learning rate of Adam, a tenth for convolutions; it falls to 0 over the second half",
    )  # fmt: skip
    side: int = knob(
        128, low=32, high=512, step=32, unit="px", when="training",
        help="of the cuts that are trained on, and short side of the style",
    )  # fmt: skip
    batch: int = knob(2, low=1, high=64, unit="photos", when="training", help="cuts a step")
    train_steps: int = knob(
        400, low=1, high=100_000, unit="steps", effect="live", when="training", help="when to end"
    )
    sample_every: int = knob(
        5, low=1, high=1000, unit="steps", effect="live", when="training",
        help="steps from one painting of the photo to the next",
    )  # fmt: skip
    features: str = knob(
        "auto", choices=FEATURES, when="training",
        help="of the loss; auto: VGG-16 convolutions when they are fetched, else the classifier's",
    )  # fmt: skip


@dataclass(slots=True)
class Log:
    """Terms of the loss at each step, and (step, content, style) of the photo that is not learnt
    from, with what it would be unpainted."""

    terms: dict[str, History] = field(default_factory=lambda: {n: History() for n in TERMS})
    measured: list[tuple[float, ...]] = field(default_factory=list)
    unpainted: float = 0.0

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        terms = {
            name: {"values": h.values, "stride": h.stride, "total": h.total, "count": h.count}
            for name, h in self.terms.items()
        }
        rows = [list(row) for row in self.measured]
        return {"terms": terms, "measured": rows, "unpainted": self.unpainted}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Log:
        """The reverse of `state`."""
        terms = {
            name: History(list(h["values"]), h["stride"], h["total"], h["count"])
            for name, h in state["terms"].items()
        }
        rows = [tuple(map(float, row)) for row in state["measured"]]
        return cls(terms, rows, float(state["unpainted"]))

    def curves(self, step: int, about: str) -> Iterator[Artefact]:
        """The training so far."""
        lines = [h.values or [h.total / max(h.count, 1)] for h in self.terms.values()]
        stride = self.terms[TERMS[0]].stride
        yield Curve(
            "training/loss", stride * np.arange(1, len(lines[0]) + 1),
            np.array(lines, np.float32), series=TERMS, log=True, step=step,
            note=f"each batch before its weights, mean of {stride} steps a point; {about}",
        )  # fmt: skip
        if self.measured:
            at, *y = np.array(self.measured, np.float64).T
            yield Curve(
                "training/photo", at, np.stack(y).astype(np.float32), series=TERMS[:2], step=step,
                marks={"bare photo": self.unpainted},
                note="the photo; dashed: its style before it is painted",
            )  # fmt: skip

    def score(self) -> dict[str, float]:
        """The newest figures by name."""
        return dict(zip(TERMS[:2], self.measured[-1][1:], strict=True)) if self.measured else {}


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What one training compares: cuts of photos, the style, and the photo that is shown.

    Attributes:
        photo: (1, 3, H, W) in [0, 1]. ``weights``: whose features the loss compares.
    """

    loss: PerceptualLoss
    photos: Photos
    photo: Tensor
    style: ImageInput
    about: str
    weights: str

    def measured(self, network: Stylizer) -> dict[str, Tensor]:
        """The terms on the photo."""
        with torch.no_grad():
            painted = network(self.photo, last(network).to(self.photo))
            return self.loss(painted, self.photo)


Shown = Callable[[int, Any], Iterator[Artefact]]


@torch.enable_grad()
def train(
    network: Stylizer, host: Host, inputs: Inputs, params: Any, shown: Shown,
    resume: Checkpoint | None = None,
) -> Training:  # fmt: skip
    """Train ``network`` in place; a Checkpoint ends every step.

    Args:
        inputs: ``folder`` of photographs, ``style``, and ``image``, which is painted on the way.
        params: with the fields of `LearningParams`.
        shown: what the photo looks like after a step, under the knobs as they are then.

    Raises:
        EngineError: a picture is missing, or the checkpoint is of another kind of training.
    """
    lesson = begun(host, inputs, params, resume)
    trained = prepared(network, host, params.learn, resume)
    optimiser = torch.optim.Adam(trained)
    log, first = Log(), 1
    log.unpainted = float(lesson.loss(lesson.photo, lesson.photo)["style"].detach())
    if resume is not None:
        optimiser.load_state_dict(resume.state["optimiser"])
        log, first = Log.restored(resume.state["log"]), resume.step + 1
    yield Image("training/style", lesson.style.pixels, step=first, note=lesson.style.name)
    step = first - 1
    while step < params.train_steps:
        step += 1
        rate = params.rate * schedule(step, params.train_steps)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"]
        cuts = lesson.photos.batch(step, params.batch)
        painted, terms = update(network, optimiser, cuts, lesson.loss, params)
        for name, value in terms.items():
            log.terms[name].add(value)
        host.progress(f"step {step} of {params.train_steps}", step / params.train_steps)
        if step % params.sample_every == 0 or step in (first, params.train_steps):
            found = lesson.measured(network)
            log.measured.append((step, float(found["content"]), float(found["style"])))
            params = yield beside(cuts, painted, step, lesson.photos.note)
            for artefact in shown(step, params):
                params = yield artefact
        for artefact in log.curves(step, lesson.about):
            params = yield artefact
        params = yield _checkpoint(step, network, optimiser, log, lesson, params.learn)


def begun(host: Host, inputs: Inputs, params: Any, resume: Checkpoint | None) -> Lesson:
    """Pictures and features of a training.

    Raises:
        EngineError: a slot is empty. WeightsMissing: features that were asked for are not here.
    """
    folder, style = inputs.get("folder"), inputs.get("style")
    if not isinstance(folder, FolderInput):
        raise EngineError("there are no photographs to learn from; give a folder: folder=PATH")
    if style is None:
        raise EngineError("there is no picture whose style is learnt; give one: style=PATH")
    wanted = params.features if resume is None else resume.state["features"]
    found = chosen(host, wanted)
    found.network.to(host.device).eval()
    painting = still(style)
    target, _ = prepare(painting.pixels, Preprocess(params.side, "short"), host.device)
    photo, _ = prepare(
        still(inputs["image"]).pixels, Preprocess(params.side, "crop", 1.0), host.device
    )
    loss = PerceptualLoss(found.network, convention(found.weights), target)
    photos = Photos(folder, params.side, host)
    return Lesson(loss, photos, photo, painting, found.about, found.weights)


def still(given: Any) -> ImageInput:
    """A picture, of a clip or camera the first one."""
    if isinstance(given, ImageInput):
        return given
    return ImageInput(given[0], given.name)


def prepared(
    network: Stylizer, host: Host, learn: str, resume: Checkpoint | None
) -> list[dict[str, Any]]:
    """Give the network the form that is trained, and name what moves, in groups for Adam.

    Raises:
        EngineError: the checkpoint is of the other kind of training.
    """
    if resume is not None:
        was = resume.state["learn"]
        if was != learn:
            raise EngineError(f"this training learns {was!r}; set learn={was!r} to go on with it")
        resize(network, resume.state["network"])
        network.load_state_dict(resume.state["network"])
    elif learn == WHOLE:
        network.take(network.rows(0), 0)
        network.start(host.generator())
    else:
        restore(network, host)
        network.take(mean(network), STYLES)
    network.train().requires_grad_(learn == WHOLE)
    norms = [p for norm in network.norms().values() for p in (norm.gamma, norm.beta)]
    for parameter in norms:
        parameter.requires_grad_(True)
    groups: list[dict[str, Any]] = [{"params": norms, "share": 1.0}]
    if learn == WHOLE:
        kernels = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
        groups.append({"params": kernels, "share": 0.1})
    return groups


def restore(network: Stylizer, host: Host) -> None:
    """The published network with its 26 styles, in the modules that there are."""
    tensors = host.weights(WEIGHTS)
    resize(network, tensors)
    load_state(network, tensors, WEIGHTS)


def resize(network: Stylizer, tensors: Mapping[str, Tensor]) -> None:
    """Make room for as many styles as ``tensors`` have."""
    network.take({name: tensors[name] for name in network.rows(0)}, 0)


def mean(network: Stylizer) -> dict[str, Tensor]:
    """What lies in the middle of all styles, a place to begin from."""
    every = [network.rows(style) for style in range(network.styles)]
    return {name: torch.stack([rows[name] for rows in every]).mean(0) for name in every[0]}


def last(network: Stylizer) -> Tensor:
    """Shares (S,) of the last style alone: the one that is learnt."""
    mix = torch.zeros(network.styles)
    mix[-1] = 1.0
    return mix


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate: 1, then down in a straight line over the second half."""
    return min(1.0, 2.0 * (steps - step + 1) / (steps + 1))


def update(
    network: Stylizer, optimiser: torch.optim.Optimizer, photos: Tensor, loss: PerceptualLoss,
    params: Any,
) -> tuple[Tensor, dict[str, float]]:  # fmt: skip
    """One step of Adam; gives what was painted, and the terms without their weights."""
    painted = network(photos, last(network).to(photos))
    terms = loss(painted, photos)
    weights = (params.content, params.style, params.smooth)
    total = torch.stack([w * terms[n] for w, n in zip(weights, TERMS, strict=True)]).sum()
    if not bool(total.isfinite()):
        raise EngineError("the loss is no longer finite; lower the rate or the weights")
    optimiser.zero_grad()
    torch.autograd.backward(total)
    optimiser.step()
    return painted.detach(), {name: float(terms[name].detach()) for name in TERMS}


def beside(photos: Tensor, painted: Tensor, step: int, note: str) -> Image:
    """Some cuts of a batch above what was painted of them."""
    rows = torch.stack([photos[:SEVERAL], painted[:SEVERAL]])  # (2, B, 3, S, S)
    picture = rows.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return Image("training/batch", pixels, step=step, note=note)


def _checkpoint(
    step: int, network: Stylizer, optimiser: torch.optim.Optimizer, log: Log, lesson: Lesson,
    learn: str,
) -> Checkpoint:  # fmt: skip
    """What ships: one style's scales and shifts, or the whole network of one style."""
    state = network.state_dict()
    weights = state if learn == WHOLE else network.rows(network.styles - 1)
    resumable = {
        "network": state, "optimiser": optimiser.state_dict(), "log": log.state(),
        "learn": learn, "features": lesson.weights,
    }  # fmt: skip
    return Checkpoint(step, weights, resumable, log.score())
