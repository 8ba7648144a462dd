"""The training that all small detectors share: fresh generated scenes, Adam, a cosine.

The scenes of step ``s`` are fixed by ``s`` alone, so a resumed training sees what an unbroken one
would have seen. AP is measured on scenes that no training draws, by the rule of COCO.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from engines.nn.detection.average_precision import (
    AveragePrecision,
    Found,
    Truths,
    average_precision,
    box_iou,
)
from engines.nn.detection.shapes import HELD_OUT, NAMES, Scene, Target, batch, scene, stacked
from engines.nn.training_log import Log
from explorer.api import Artefact, Boxes, Checkpoint, Host, Image, Training, knob

EVERY = 50  # steps between two measurements
HELD = 64  # held-out scenes measured on the way
FINAL = 300  # and at the end
CHUNK = 50  # scenes a forward pass when measuring
SHOWN = 8  # held-out scenes that are shown, in rows of four
SHOWN_FROM = 0.3  # score
CLIP = 10.0  # largest norm of the gradient
WARM_UP = 100  # steps, at most a tenth of all


@dataclass(frozen=True)
class TrainingParams:
    """Knobs of the training; an engine's Params may inherit them after `DetectionParams`."""

    rate: float = knob(
        1e-3, low=1e-6, high=0.1, log=True, effect="live", when="training",
        help="learning rate of Adam at its highest; it falls to 0 along a cosine",
    )  # fmt: skip
    scenes: str = knob(
        "plain", choices=("plain", "hard"), when="training",
        help="what is trained on; hard ones overlap, are faint, small and cluttered",
    )  # fmt: skip
    train_steps: int = knob(
        600, low=1, high=100_000, unit="steps", when="training", help="length of the cosine"
    )
    batch: int = knob(16, low=1, high=256, unit="scenes", when="training", help="scenes a step")


@dataclass(frozen=True)
class Source:
    """Where scenes come from.

    Attributes:
        names: of the labels.
        scene: from a seed and ``hard`` (by keyword) to a scene.
        batch: from seeds and ``hard`` to images (B, 3, H, W) and targets, as `shapes.batch`.
    """

    names: tuple[str, ...]
    scene: Callable[..., Scene]
    batch: Callable[..., tuple[Tensor, list[Target]]]


SHAPES = Source(NAMES, scene, batch)


class Detected(NamedTuple):
    """What a detector says of one scene, in its pixels; labels index the names of the `Source`."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor | None = None


class Trained(Protocol):
    """What `train` asks of an engine."""

    host: Host


Loss = Callable[[Tensor, list[Target], Any], Mapping[str, Tensor]]
Detect = Callable[[Tensor], Sequence[Sequence[Any]]]


@torch.enable_grad()
def train(
    engine: Trained,
    network: nn.Module,
    loss: Loss,
    detect: Detect,
    params: Any,
    *,
    start: Callable[[torch.Generator], object],
    resume: Checkpoint | None = None,
    source: Source = SHAPES,
) -> Training:
    """Train ``network`` from fresh weights, or go on from ``resume``; a Checkpoint ends every step.

    Args:
        loss: from images (B, 3, 64, 64) in [0, 1], their targets on the device (labels count from
            0) and the Params as they are now to the terms of the loss, of which the sum is lowered.
        detect: from images to a `Detected`, or a tuple like it, of each; called in eval mode
            without gradients, and must draw no random numbers.
        params: with the fields of `TrainingParams`; ``rate`` may change at every yield.
        start: fills the network with fresh weights.
        source: of the scenes, those of `engines.nn.detection.shapes` unless it says otherwise.
    """
    device, hard, steps = engine.host.device, params.scenes == "hard", params.train_steps
    size = params.batch
    if resume is None:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()  # its running statistics as well
        start(engine.host.generator())
    network.requires_grad_(True)
    optimiser = torch.optim.Adam(network.parameters(), params.rate)
    log, first = Log(), 1
    if resume is not None:
        network.load_state_dict(resume.state["network"])
        optimiser.load_state_dict(resume.state["optimiser"])
        log, first = Log.restored(resume.state["log"]), resume.step + 1
    shown = [source.scene(HELD_OUT + i, hard=hard) for i in range(SHOWN)]
    for step in range(first, steps + 1):
        images, targets = source.batch(range((step - 1) * size, step * size), hard=hard)
        network.train()
        terms = loss(images.to(device), [_moved(t, device) for t in targets], params)
        for group in optimiser.param_groups:
            group["lr"] = params.rate * schedule(step, steps)
        _update(network, optimiser, terms)
        log.add(terms)
        engine.host.progress(f"step {step} of {steps}", step / steps)
        if step == steps:
            halve(network)  # what is measured last is what ships
        network.eval()
        if step % EVERY == 0 or step == steps:
            count = FINAL if step == steps else HELD
            if steps < EVERY:
                count = SHOWN  # nothing can have been learnt
            told = measure(detect, device, hard=hard, count=count, source=source)
            log.measured.append((step, *figures(told)))
        if step % EVERY == 0 or step in (1, steps):
            seen = _detected(detect, shown, device)
            for artefact in held_out(shown, seen, step, source.names):
                params = yield artefact
        for artefact in log.curves(step):
            params = yield artefact
        params = yield _checkpoint(step, network, optimiser, log)


def schedule(step: int, steps: int) -> float:
    """Share of the highest rate at ``step`` (from 1) of ``steps``: a short rise, then a cosine."""
    rise = max(1, min(WARM_UP, steps // 10))
    if step <= rise:
        return step / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise + 1)))


def _update(
    network: nn.Module, optimiser: torch.optim.Optimizer, terms: Mapping[str, Tensor]
) -> None:
    optimiser.zero_grad()
    torch.autograd.backward(torch.stack(list(terms.values())).sum())
    torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
    optimiser.step()


@torch.no_grad()
def halve(network: nn.Module) -> None:
    """Round every number to half precision, in which the weights are shipped."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())


@torch.no_grad()
def measure(
    detect: Detect,
    device: torch.device | str = "cpu",
    *,
    hard: bool,
    count: int = FINAL,
    masks: bool = False,
    source: Source = SHAPES,
) -> AveragePrecision:
    """AP on the first ``count`` held-out scenes, of boxes or of masks; the network is in eval mode.

    Detections past the hundred best of a class and picture do not count.
    """
    truths, found = [], []
    for at in range(0, count, CHUNK):
        end = min(at + CHUNK, count)
        scenes = [source.scene(HELD_OUT + i, hard=hard) for i in range(at, end)]
        truths += [truths_of(s, masks=masks) for s in scenes]
        found += [found_of(d, masks=masks) for d in _detected(detect, scenes, device)]
    return average_precision(truths, found, classes=range(len(source.names)))


def truths_of(held: Scene, *, masks: bool = False) -> Truths:
    """A scene as AP takes it."""
    boxes = held.boxes.astype(np.float64)
    return Truths(boxes, held.labels, masks=held.masks if masks else None)


def found_of(told: Detected, *, masks: bool = False) -> Found:
    """What was detected as AP takes it.

    Raises:
        ValueError: masks are asked for and there are none.
    """
    if masks and told.masks is None:
        raise ValueError("this detector gives no masks")
    stack = None
    if masks and told.masks is not None:
        stack = (told.masks > 0.5).cpu().numpy()
    boxes = told.boxes.detach().double().cpu().reshape(-1, 4).numpy()
    scores = told.scores.detach().double().cpu().numpy()
    return Found(boxes, scores, told.labels.long().cpu().numpy(), stack)


@torch.no_grad()
def _detected(
    detect: Detect, scenes: Sequence[Scene], device: torch.device | str
) -> list[Detected]:
    images = stacked([s.image for s in scenes]).to(device)
    return [Detected(*told) for told in detect(images)]


def figures(measured: AveragePrecision) -> tuple[float, float, float]:
    """AP over the ten thresholds, at 0.5 and at 0.75."""
    return measured.mean, measured.at(0.5), measured.at(0.75)


def held_out(
    scenes: Sequence[Scene], told: Sequence[Detected], step: int, names: Sequence[str] = NAMES
) -> Iterator[Artefact]:
    """Held-out scenes in rows of four, what was found in them, and what was missed, dashed."""
    side, across = scenes[0].image.shape[0], 4
    rows = [[s.image for s in scenes[i : i + across]] for i in range(0, len(scenes), across)]
    picture = np.concatenate([np.concatenate(row, 1) for row in rows], 0)
    boxes: list[Any] = []
    scores: list[float] = []
    labels: list[str] = []
    state: list[str] = []
    for i, (held, one) in enumerate(zip(scenes, told, strict=True)):
        shift = np.array([i % across, i // across] * 2, np.float64) * side
        found, truths = found_of(one), truths_of(held)
        seen = found.scores >= SHOWN_FROM
        missed = _missed(truths, found, seen)
        boxes += [*(found.boxes[seen] + shift), *(truths.boxes[missed] + shift)]
        scores += [*found.scores[seen], *[0.0] * int(missed.sum())]
        labels += [names[label] for label in (*found.labels[seen], *truths.labels[missed])]
        state += ["kept"] * int(seen.sum()) + ["below"] * int(missed.sum())
    yield Image("held-out/scenes", picture, step=step, note="no training saw these")
    yield Boxes(
        "held-out/found", np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32),
        labels, state=state, step=step,
        note=f"scores from {SHOWN_FROM}; dashed: objects that were missed",
    )  # fmt: skip


def _missed(truths: Truths, found: Found, seen: Any) -> Any:
    """The truths (N,) that no shown detection of their class meets at an IoU of 0.5."""
    same = found.labels[seen][:, None] == truths.labels[None]
    met = (box_iou(found.boxes[seen], truths.boxes) >= 0.5) & same
    return ~met.any(0)


def _moved(t: Target, device: torch.device) -> Target:
    parts = (t.boxes, t.labels, t.masks, t.keypoints)
    return Target(*(part.to(device) for part in parts))


def _checkpoint(
    step: int, network: nn.Module, optimiser: torch.optim.Optimizer, log: Log
) -> Checkpoint:
    """Half precision to ship, full precision to go on from."""
    state = network.state_dict()
    weights = {
        name: (value.half() if value.is_floating_point() else value).cpu()
        for name, value in state.items()
    }
    resumable = {"network": state, "optimiser": optimiser.state_dict(), "log": log.state()}
    return Checkpoint(step, weights, resumable, log.score())
