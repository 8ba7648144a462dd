"""A training of motion transfer as it is watched: curves, held-out frames, checkpoints."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.nn.dance_baselines import mean_frame
from engines.nn.dance_training import (
    Lesson,
    danced,
    discriminator,
    pairs_at,
    signed,
    starts_of,
)
from engines.nn.picture_scores import psnr, ssim
from engines.nn.pix2pixhd import GlobalGenerator, initialise
from engines.nn.training_log import History
from explorer.api import Artefact, Checkpoint, Curve, Host, Image, Training

EVERY = 50  # steps between two measurements
HELD = 24  # held-out frames measured on the way
SHOWN = 6  # of them are shown
Bytes = npt.NDArray[np.uint8]
Material = tuple[Bytes, Bytes]


class Learner(Protocol):
    """What `learnt` asks of an engine."""

    host: Host
    network: GlobalGenerator
    provenance: str


@torch.enable_grad()
def learnt(
    engine: Learner, material: Material, held: Material, lengths: tuple[int, ...], params: Any,
    resume: Checkpoint | None,
) -> Training:  # fmt: skip
    """Teach the engine's network; a Checkpoint ends every step.

    Args:
        material: stick figures and frames (T, H, W, 3) of the clips of ``lengths``. ``held``: a
            clip that is only measured.
        params: with ``rate`` (may change at every yield), ``batch``, ``train_steps``, ``feedback``.
    """
    draw = engine.host.generator()
    critic = discriminator()
    initialise(engine.network, draw)
    initialise(critic, draw)
    device = engine.host.device
    lesson = Lesson(engine.network, critic.to(device), feedback=params.feedback)
    log: dict[str, History] = {}
    measured: list[tuple[float, ...]] = []
    if resume is not None:
        lesson.restore(resume.state["lesson"])
        log = {name: History(*row) for name, row in resume.state["log"].items()}
        measured = [tuple(line) for line in resume.state["measured"]]
    figures, frames = signed(material[0]), signed(material[1])
    mean = mean_frame(material[1])
    bar = _figures(np.repeat(mean[None], HELD, 0), held[1][:HELD])
    steps = params.train_steps
    for step in range(lesson.steps + 1, steps + 1):
        lesson.rate = params.rate
        pairs = pairs_at(figures, frames, starts_of(step, lengths, params.batch))
        for name, value in lesson.step(pairs.to(device)).items():
            log.setdefault(name, History()).add(value)
        engine.provenance = f"trained here, {step} steps"
        engine.host.progress(f"step {step} of {steps}", step / steps)
        if step % EVERY == 0 or step in (1, steps):
            film = made(engine.network, held[0][:HELD], device, feedback=params.feedback)
            measured.append((float(step), *_figures(film, held[1][:HELD])))
            params = yield _picture(film, held, step)
        for curve in _curves(log, measured, bar, step):
            params = yield curve
        params = yield _checkpoint(lesson, log, measured)


@torch.no_grad()
def made(
    network: GlobalGenerator, figures: Bytes, device: torch.device, *, feedback: bool
) -> Bytes:
    """The film (T, H, W, 3) of a clip of stick figures."""
    frames = list(danced(network, signed(figures).to(device), feedback=feedback))
    film = ((torch.cat(frames) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    found: Bytes = film.permute(0, 2, 3, 1).cpu().numpy()
    return found


def _figures(film: Bytes, truth: Bytes) -> tuple[float, float]:
    """Mean PSNR and SSIM."""
    pairs = list(zip(film, truth, strict=True))
    return float(np.mean([psnr(*p) for p in pairs])), float(np.mean([ssim(*p) for p in pairs]))


def _picture(film: Bytes, held: Material, step: int) -> Image:
    """Figures, made and true frames below each other."""
    at = np.linspace(0, len(film) - 1, SHOWN).astype(int)
    rows = [np.concatenate(list(clip[at]), 1) for clip in (held[0], film, held[1])]
    return Image(
        "held-out/figure, generated, true", np.concatenate(rows), step=step,
        note="a motion that is never trained on",
    )  # fmt: skip


def _curves(
    log: dict[str, History], measured: list[tuple[float, ...]], bar: tuple[float, float], step: int
) -> list[Artefact]:
    lines = [h.values or [h.total / max(h.count, 1)] for h in log.values()]
    stride = next(iter(log.values())).stride
    found: list[Artefact] = [
        Curve("training/loss", stride * np.arange(1, len(lines[0]) + 1), np.array(lines),
              series=tuple(log), log=True, step=step)
    ]  # fmt: skip
    at, *both = np.array(measured).T
    for name, line, mean in zip(("PSNR", "SSIM"), both, bar, strict=True):
        found.append(Curve(f"training/{name}", at, line, marks={"mean frame": mean},
                           unit="dB" if name == "PSNR" else "", step=step,
                           note=f"held-out motion, {HELD} frames: {line[-1]:.2f}"))  # fmt: skip
    return found


def _checkpoint(
    lesson: Lesson, log: dict[str, History], measured: list[tuple[float, ...]]
) -> Checkpoint:
    """Half precision to ship, full precision to go on from."""
    weights: dict[str, Tensor] = {
        name: value.detach().half().cpu() for name, value in lesson.network.state_dict().items()
    }
    rows = {name: [h.values, h.stride, h.total, h.count] for name, h in log.items()}
    state = {"lesson": lesson.state(), "log": rows, "measured": [list(m) for m in measured]}
    score = {"PSNR": measured[-1][1], "SSIM": measured[-1][2]}
    return Checkpoint(lesson.steps, weights, state, score)
