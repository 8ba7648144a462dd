"""Handwritten digits for the small residual networks: pictures in, and their training.

Data: the test part of the UCI "Optical Recognition of Handwritten Digits" set as scikit-learn
ships it, 1,797 pictures of 8x8 with 17 grey levels; 1,400 train, 397 test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.resnet import initialise
from explorer.api import Affine, Artefact, Checkpoint, Curve, Host, Scores, Training

STEPS = 600
BATCH = 128
DROPS = (360, 510)  # the learning rate is divided by 10 at these steps
MEASURE_EVERY = 20
RECORD = "record."  # tensors of a weights file that are no parameters: how the training went


def picture(pixels: np.ndarray[Any, Any], ink: str) -> tuple[Tensor, Affine]:
    """Reduce a picture (H, W, 3) uint8 to what the networks know, (1, 1, 16, 16) in [0, 1].

    Grey, squared by bars of the border's brightness, averaged to 8x8, 17 levels, enlarged to 16x16.
    Digits are bright on dark; ``ink`` is "bright", "dark" (negative first) or "auto" (dark when the
    border is brighter than the picture's mean).

    Returns:
        The input, and where its pixels lie in the picture.
    """
    grey = torch.from_numpy(pixels.astype(np.float32)).mean(2) / 255.0
    border = torch.cat([grey[0], grey[-1], grey[:, 0], grey[:, -1]]).median()
    if ink == "dark" or (ink == "auto" and border > grey.mean()):
        grey, border = 1.0 - grey, 1.0 - border
    height, width = grey.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = F.pad(grey, (left, side - width - left, top, side - height - top), value=float(border))
    small = F.interpolate(square[None, None], (8, 8), mode="area")
    x = enlarge((small * 16).round().clamp(0, 16))
    affine = Affine(side / 16, side / 16, -float(left), -float(top))
    return x, affine


def enlarge(levels: Tensor) -> Tensor:
    """Digits (N, 1, 8, 8) of levels 0 to 16 as network inputs (N, 1, 16, 16) in [0, 1]."""
    return F.interpolate(levels.float() / 16.0, (16, 16), mode="bilinear", align_corners=False)


@dataclass(frozen=True, slots=True)
class Split:
    """Inputs (N, 1, 16, 16) and labels (N,) of the training and the test digits."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def split(data: Mapping[str, Tensor], device: torch.device) -> Split:
    """The fixed split that stands in the data file."""
    images = enlarge(data["images"][:, None]).to(device)
    labels = data["labels"].long().to(device)
    train, test = (data[f"{part}_index"].long().to(device) for part in ("train", "test"))
    return Split((images[train], labels[train]), (images[test], labels[test]))


@torch.no_grad()
def measure(network: nn.Module, part: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Mean cross-entropy in nat and share of wrong answers, in eval mode."""
    mode = network.training
    network.eval()
    logits = torch.cat([network(x) for x in torch.split(part[0], 400)])
    network.train(mode)
    loss = F.cross_entropy(logits, part[1])
    return float(loss), float((logits.argmax(1) != part[1]).float().mean())


@torch.enable_grad()
def train(network: nn.Module, host: Host, rate: float, resume: Checkpoint | None) -> Training:
    """SGD with momentum 0.9 and weight decay 1e-4, as in the paper, for `STEPS` steps.

    Every ``yield`` takes the Params back; their ``rate`` is the learning rate from then on.
    """
    digits = split(host.weights("digits8x8"), host.device)
    generator = host.generator()
    initialise(network, generator)
    optimiser = torch.optim.SGD(network.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    log = Log()
    if resume is not None:
        network.load_state_dict(resume.state["network"])
        optimiser.load_state_dict(resume.state["optimiser"])
        generator.set_state(resume.state["generator"].cpu())
        log.restore(resume.state["log"])
    network.train()
    for step in range(len(log.loss) + 1, STEPS + 1):
        for group in optimiser.param_groups:
            group["lr"] = rate * 0.1 ** sum(step > drop for drop in DROPS)
        picks = torch.randint(len(digits.train[1]), (BATCH,), generator=generator).to(host.device)
        loss = F.cross_entropy(network(digits.train[0][picks]), digits.train[1][picks])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        log.add(step, float(loss.detach()), network)
        if step % MEASURE_EVERY == 0 or step == STEPS:
            train_loss, _ = measure(network, digits.train)
            log.measured.append((step, train_loss, measure(network, digits.test)[1]))
        host.progress(f"step {step} of {STEPS}", step / STEPS)
        for artefact in log.artefacts(step):
            params = yield artefact
            rate = params.rate
        yield checkpoint(step, network, optimiser, generator, log)


class Log:
    """How a training went: loss of every step, measurements, gradient norm of every layer."""

    def __init__(self) -> None:
        self.loss: list[float] = []
        self.measured: list[tuple[float, float, float]] = []  # step, training loss, test error
        self.gradient: list[float] = []  # one a convolution, of the first step
        self.now: list[float] = []

    def add(self, step: int, loss: float, network: nn.Module) -> None:
        """Note one step."""
        self.loss.append(loss)
        grads = [m.weight.grad for m in network.modules() if isinstance(m, nn.Conv2d)]
        self.now = [float(g.norm()) for g in grads if g is not None]
        if step == 1:
            self.gradient = self.now

    def tensors(self) -> dict[str, Tensor]:
        """As they stand in the weights file."""
        return {
            "loss": torch.tensor(self.loss),
            "measured": torch.tensor(self.measured).reshape(-1, 3),
            "gradient": torch.tensor(self.gradient),
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The reverse of `tensors`."""
        self.loss = tensors["loss"].tolist()
        self.measured = [(row[0], row[1], row[2]) for row in tensors["measured"].tolist()]
        self.gradient = tensors["gradient"].tolist()

    def artefacts(self, step: int) -> Iterator[Artefact]:
        """Curves of the training so far."""
        steps = np.arange(1, len(self.loss) + 1)
        yield Curve("training/loss", steps, np.array(self.loss), log=True, unit="nat", step=step,
                    note="cross-entropy of each batch")  # fmt: skip
        depth = np.arange(1, len(self.now) + 1)
        yield Curve(
            "training/gradient by layer",
            depth,
            np.array([self.now, self.gradient]),
            series=("now", "first step"),
            x_label="convolution",
            log=True,
            step=step,
        )
        if self.measured:
            at, loss, error = np.array(self.measured).T
            yield Curve("training/whole set", at, np.stack([loss, error]), log=True, step=step,
                        series=("training loss (nat)", "test error (share)"))  # fmt: skip
            yield Scores("training/test", np.array([error[-1]]), ("test error",), step=step)


def checkpoint(
    step: int,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    log: Log,
) -> Checkpoint:
    """Half precision to ship, full precision to go on from."""
    record = log.tensors()
    weights: dict[str, Tensor] = {
        name: (value.half() if value.is_floating_point() else value).cpu()
        for name, value in network.state_dict().items()
    }
    return Checkpoint(
        step,
        weights | {RECORD + name: value for name, value in record.items()},
        {
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "generator": generator.get_state(),
            "log": record,
        },
        {"test error": log.measured[-1][2]} if log.measured else {},
    )
