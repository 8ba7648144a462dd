"""Digits at several sizes for the pyramid-pooling network: one size a step, as in the paper.

He et al., "Spatial Pyramid Pooling", 2014, section 3.1: mixed sizes cannot share a batch, so the
size changes from step to step while the weights are shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.nn.two_stage.spp import SppDigits
from explorer.api import Artefact, Checkpoint, Curve, Host, Training

STEPS = 300
BATCH = 64
SIZES = (16, 18, 20, 22, 24, 26, 28)  # pixels; trained on
TRIED = (12, 14, *SIZES, 32, 36)  # tested at, the first two and the last two never trained on
EVERY = 20  # steps between two measurements


def enlarged(levels: Tensor, size: int) -> Tensor:
    """Digits (N, 1, 8, 8) of levels 0 to 16 as inputs (N, 1, size, size) in [0, 1]."""
    return F.interpolate(levels.float() / 16.0, (size, size), mode="bilinear", align_corners=False)


def parts(
    data: Mapping[str, Tensor], device: torch.device | str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Levels (N, 1, 8, 8) and labels (N,) of the training and of the test digits."""
    for part in ("train", "test"):
        rows = data[f"{part}_index"].long()
        yield data["images"][rows][:, None].to(device), data["labels"][rows].long().to(device)


@torch.no_grad()
def accuracy(network: SppDigits, part: tuple[Tensor, Tensor], size: int) -> float:
    """Share of right answers at one size."""
    right = network(enlarged(part[0], size)).argmax(1) == part[1]
    return float(right.float().mean())


@torch.enable_grad()
def train(
    network: SppDigits, host: Host, rate: float, batch: int, resume: Checkpoint | None
) -> Training:
    """Adam for `STEPS` steps; a Checkpoint ends every step, ``rate`` may change at every yield."""
    train_part, test_part = parts(host.weights("digits8x8"), host.device)
    generator = host.generator()
    network.start(generator)
    optimiser = torch.optim.Adam(network.parameters(), rate)
    losses: list[float] = []
    by_size: list[float] = []
    if resume is not None:
        network.load_state_dict(resume.state["network"])
        optimiser.load_state_dict(resume.state["optimiser"])
        generator.set_state(resume.state["generator"].cpu())
        losses, by_size = list(resume.state["losses"]), list(resume.state["by_size"])
    for step in range(len(losses) + 1, STEPS + 1):
        rows = torch.randint(len(train_part[1]), (batch,), generator=generator).to(host.device)
        size = SIZES[int(torch.randint(len(SIZES), (1,), generator=generator))]
        loss = F.cross_entropy(network(enlarged(train_part[0][rows], size)), train_part[1][rows])
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(float(loss.detach()))
        host.progress(f"step {step} of {STEPS}", step / STEPS)
        if step % EVERY == 0 or step == STEPS:
            by_size = [accuracy(network, test_part, s) for s in TRIED]
        for artefact in _curves(losses, by_size, step):
            params = yield artefact
            rate = params.rate
        state = {
            "network": network.state_dict(), "optimiser": optimiser.state_dict(),
            "generator": generator.get_state(), "losses": losses, "by_size": by_size,
        }  # fmt: skip
        params = yield Checkpoint(step, _halves(network), state, _score(by_size))
        rate = params.rate


def _curves(losses: list[float], by_size: list[float], step: int) -> Iterator[Artefact]:
    steps = np.arange(1, len(losses) + 1)
    yield Curve("training/loss", steps, np.array(losses), log=True, unit="nat", step=step,
                note=f"cross-entropy of {BATCH} digits at one size a step")  # fmt: skip
    if by_size:
        yield Curve(
            "training/accuracy by size", np.array(TRIED), np.array(by_size), x_label="size (px)",
            step=step, note=f"test digits; trained at {SIZES[0]} to {SIZES[-1]} px",
        )  # fmt: skip


def _score(by_size: list[float]) -> dict[str, float]:
    return {f"accuracy {s} px": value for s, value in zip(TRIED, by_size, strict=False)}


def _halves(network: SppDigits) -> dict[str, Any]:
    return {name: value.half().cpu() for name, value in network.state_dict().items()}
