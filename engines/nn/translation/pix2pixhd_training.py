"""Training of a small pix2pixHD on generated scenes: least squares, feature matching, L1.

The scenes of step ``s`` are fixed by ``s`` alone and nothing else is random, so a resumed training
does what an unbroken one would have done. PSNR and SSIM are those of scenes that it never draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.nn.detection.shapes import HELD_OUT
from engines.nn.picture_scores import psnr, ssim
from engines.nn.training_log import History
from engines.nn.translation.pix2pixhd import (
    GlobalGenerator,
    MultiscaleDiscriminator,
    adversarial,
    feature_matching,
    initialise,
)
from engines.nn.translation.shaded_shapes import (
    CLASSES,
    batch,
    coloured,
    from_tanh,
    label_map,
    one_hot,
    render,
)
from explorer.api import Artefact, Checkpoint, Curve, Host, Image, Training

WIDTH, DOWNS, BLOCKS = 16, 3, 3
CRITIC_WIDTH, SCALES = 12, 2
EVERY = 50  # steps between two measurements
HELD = 16  # held-out scenes measured on the way
FINAL = 100  # and at the end
BOOK = 400  # training scenes that the baselines look in while it trains
CHUNK = 20  # scenes a forward pass when measuring
SHOWN = 6  # held-out scenes that are shown
TERMS = ("critic", "generator", "matching", "pixels")
Bytes = npt.NDArray[np.uint8]


class Pair(nn.Module):
    """The generator, and the discriminators that see a label map with a picture of it."""

    def __init__(self) -> None:
        super().__init__()
        classes = len(CLASSES)
        self.generator = GlobalGenerator(classes, 3, WIDTH, DOWNS, BLOCKS)
        self.discriminator = MultiscaleDiscriminator(classes + 3, CRITIC_WIDTH, scales=SCALES)

    def start(self, generator: torch.Generator) -> None:
        """Fresh weights."""
        initialise(self, generator)

    def judged(self, maps: Tensor, pictures: Tensor) -> list[list[Tensor]]:
        """Features and score maps of pictures (N, 3, H, W) with their maps (N, 4, H, W)."""
        found: list[list[Tensor]] = self.discriminator(torch.cat([maps, pictures], 1))
        return found


class Quality(NamedTuple):
    """Means over held-out scenes."""

    psnr: float
    ssim: float


@dataclass(slots=True)
class Log:
    """How a training went: terms of the loss, (step, PSNR, SSIM), and the same of baselines."""

    terms: dict[str, History] = field(default_factory=lambda: {name: History() for name in TERMS})
    measured: list[tuple[float, ...]] = field(default_factory=list)
    marks: dict[str, list[float]] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        terms = {
            name: {"values": h.values, "stride": h.stride, "total": h.total, "count": h.count}
            for name, h in self.terms.items()
        }
        measured = [list(row) for row in self.measured]
        return {"terms": terms, "measured": measured, "marks": self.marks}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Log:
        """The reverse of `state`."""
        terms = {
            name: History(list(h["values"]), h["stride"], h["total"], h["count"])
            for name, h in state["terms"].items()
        }
        marks = {name: list(map(float, row)) for name, row in state["marks"].items()}
        return cls(terms, [tuple(map(float, row)) for row in state["measured"]], marks)

    def curves(self, step: int) -> Iterator[Artefact]:
        """The training so far."""
        lines = [h.values or [h.total / max(h.count, 1)] for h in self.terms.values()]
        stride = self.terms[TERMS[0]].stride
        yield Curve(
            "training/loss", stride * np.arange(1, len(lines[0]) + 1), np.array(lines, np.float32),
            series=("discriminators", "generator, least squares", "feature matching", "pixels, L1"),
            log=True, step=step, note=f"each batch, mean of {stride} steps a point; no weights",
        )  # fmt: skip
        if self.measured:
            at, decibel, likeness = np.array(self.measured, np.float64).T
            for i, (name, y, unit) in enumerate((("PSNR", decibel, "dB"), ("SSIM", likeness, ""))):
                yield Curve(
                    f"training/{name}", at, y.astype(np.float32), unit=unit, step=step,
                    marks={mark: row[i] for mark, row in self.marks.items()},
                    note=f"{HELD} held-out scenes until the last step: {y[-1]:.3g}",
                )  # fmt: skip

    def score(self) -> dict[str, float]:
        """The newest figures by name."""
        if not self.measured:
            return {}
        return dict(zip(("PSNR", "SSIM"), self.measured[-1][1:], strict=True))


@torch.enable_grad()
def train(network: Pair, host: Host, params: Any, resume: Checkpoint | None = None) -> Training:
    """Train from fresh weights, or go on; a Checkpoint ends every step.

    Args:
        params: with ``rate``, ``matching`` and ``pixels``, which may change at every yield, and
            ``train_steps`` and ``batch``.
    """
    steps, size, device = params.train_steps, params.batch, host.device
    if resume is None:
        network.start(host.generator())
    network.train().requires_grad_(True)
    optimisers = {
        name: torch.optim.Adam(part.parameters(), params.rate, (0.5, 0.999))
        for name, part in network.named_children()
    }
    log, first = Log(), 1
    if resume is not None:
        network.load_state_dict(resume.state["network"])
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(resume.state[name])
        log, first = Log.restored(resume.state["log"]), resume.step + 1
    for step in range(first, steps + 1):
        maps, pictures = batch(range((step - 1) * size, step * size))
        rate = params.rate * schedule(step, steps)
        terms = update(network, optimisers, maps.to(device), pictures.to(device), params, rate)
        for name, value in terms.items():
            log.terms[name].add(value)
        host.progress(f"step {step} of {steps}", step / steps)
        if step == steps:
            halve(network)  # what is measured last is what ships
        if step % EVERY == 0 or step == steps:
            count = HELD if step < steps else FINAL if steps >= EVERY else SHOWN
            if not log.marks or count == FINAL:
                log.marks = {k: list(v) for k, v in baselines(min(BOOK, steps * size), count)}
            log.measured.append((step, *measure(network.generator, count)))
        if step % EVERY == 0 or step in (1, steps):
            params = yield held_out(network.generator, step)
        for artefact in log.curves(step):
            params = yield artefact
        params = yield _checkpoint(step, network, optimisers, log)


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate: 1, then down in a straight line over the second half."""
    return min(1.0, 2.0 * (steps - step + 1) / (steps + 1))


def update(
    network: Pair, optimisers: Mapping[str, torch.optim.Optimizer], maps: Tensor, pictures: Tensor,
    params: Any, rate: float,
) -> dict[str, float]:  # fmt: skip
    """One step of the generator and one of the discriminators; the terms without their weights."""
    for optimiser in optimisers.values():
        for group in optimiser.param_groups:
            group["lr"] = rate
    fake = network.generator(maps)
    real = network.judged(maps, pictures)
    critic = 0.5 * (
        adversarial(network.judged(maps, fake.detach()), real=False) + adversarial(real, real=True)
    )
    seen = network.judged(maps, fake)
    fooled = adversarial(seen, real=True)
    matching = feature_matching(seen, real).sum()
    pixels = (fake - pictures).abs().mean()
    optimisers["generator"].zero_grad()
    loss = fooled + params.matching * matching + params.pixels * pixels
    torch.autograd.backward(loss, inputs=list(network.generator.parameters()))
    # Both gradients are taken before either network moves: the graphs hold the old weights.
    optimisers["discriminator"].zero_grad()
    torch.autograd.backward(critic)
    for optimiser in optimisers.values():
        optimiser.step()
    return {
        name: float(value.detach())
        for name, value in zip(TERMS, (critic, fooled, matching, pixels), strict=True)
    }


@torch.no_grad()
def halve(network: nn.Module) -> None:
    """Round every number to half precision, in which the weights are shipped."""
    for tensor in network.parameters():
        tensor.copy_(tensor.half())


@torch.no_grad()
def painted(generator: nn.Module, maps: Bytes) -> Bytes:
    """Pictures (N, H, W, 3) of label maps (N, H, W)."""
    device = next(generator.parameters()).device
    parts = [maps[at : at + CHUNK] for at in range(0, len(maps), CHUNK)]
    return np.concatenate([from_tanh(generator(one_hot(part).to(device))) for part in parts])


def measure(generator: nn.Module, count: int = FINAL) -> Quality:
    """PSNR in dB and SSIM on the first ``count`` held-out scenes."""
    maps = [label_map(HELD_OUT + i) for i in range(count)]
    return compared([render(m) for m in maps], list(painted(generator, np.stack(maps))))


def compared(truths: list[Bytes], found: list[Bytes]) -> Quality:
    """Means over the pictures."""
    pairs = list(zip(truths, found, strict=True))
    decibel = float(np.mean([psnr(a, b) for a, b in pairs]))
    return Quality(decibel, float(np.mean([ssim(a, b) for a, b in pairs])))


def baselines(book: int, count: int) -> Iterator[tuple[str, Quality]]:
    """What needs no network, on ``count`` held-out scenes and the first ``book`` training scenes.

    The mean picture, and the picture of the training scene whose label map differs at the fewest
    pixels.
    """
    held = np.stack([label_map(HELD_OUT + i) for i in range(count)])
    known = np.stack([label_map(i) for i in range(book)])
    truths = [render(m) for m in held]
    pictures = np.stack([render(m) for m in known])
    mean = np.rint(pictures.mean(0)).astype(np.uint8)
    yield "mean picture", compared(truths, [mean] * count)
    nearest = [int((known != m).sum((1, 2)).argmin()) for m in held]
    yield "nearest map", compared(truths, [pictures[i] for i in nearest])


def held_out(generator: nn.Module, step: int) -> Image:
    """Held-out scenes: label maps above, what is painted of them, and the truth below."""
    maps = np.stack([label_map(HELD_OUT + i) for i in range(SHOWN)])
    rows = [coloured(maps), painted(generator, maps), np.stack([render(m) for m in maps])]
    picture = np.concatenate([np.concatenate(list(row), 1) for row in rows], 0)
    return Image("held-out/scenes", picture, step=step, note="label maps, painted, truth")


def _checkpoint(
    step: int, network: Pair, optimisers: Mapping[str, torch.optim.Optimizer], log: Log
) -> Checkpoint:
    """Half precision to ship, full precision to go on from."""
    state = network.state_dict()
    weights = {name: value.half().cpu() for name, value in state.items()}
    resumable = {name: optimiser.state_dict() for name, optimiser in optimisers.items()}
    return Checkpoint(
        step, weights, {"network": state, **resumable, "log": log.state()}, log.score()
    )
