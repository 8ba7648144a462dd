"""Learning a person from stick figures: a generator with memory and a two-frame discriminator.

Chan, Ginosar, Zhou, Efros, "Everybody Dance Now", 2019, on the networks of pix2pixHD. Stick figures
and frames are (N, 3, H, W) in [-1, 1]; N pairs of neighbouring frames are one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call

from engines.nn.motion.dance_network import discriminator, generator
from engines.nn.translation.pix2pixhd import (
    GlobalGenerator,
    MultiscaleDiscriminator,
    adversarial,
    feature_matching,
    initialise,
)

MATCHING, ABSOLUTE = 10.0, 10.0  # weights of feature matching and of the L1 distance
RATE, BETAS = 5e-4, (0.5, 0.999)
BATCH = 4  # pairs
GAP = 8  # frames left out between training and held-out frames of one clip
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Neighbouring frames x0, x1 (stick figures) and y0, y1 (the person), each (N, 3, H, W)."""

    x0: Tensor
    x1: Tensor
    y0: Tensor
    y1: Tensor

    def to(self, device: torch.device) -> Pairs:
        """The same on a device."""
        return Pairs(*(part.to(device) for part in (self.x0, self.x1, self.y0, self.y1)))


def signed(frames: Bytes) -> Tensor:
    """Frames (T, H, W, 3) as (T, 3, H, W) in [-1, 1]."""
    values = torch.from_numpy(frames.astype(np.float32))  # a copy: frames may be read-only
    return values.permute(0, 3, 1, 2) / 127.5 - 1


def two_frames(network: nn.Module, x0: Tensor, x1: Tensor, *, feedback: bool) -> Tensor:
    """I0 = G(x0, 0) and I1 = G(x1, I0), (2, N, 3, H, W); the gradient of I1 flows through I0.

    Without ``feedback`` I1 = G(x1, 0).
    """
    nothing = torch.zeros_like(x0)
    first = network(torch.cat([x0, nothing], 1))
    second = network(torch.cat([x1, first if feedback else nothing], 1))
    return torch.stack([first, second])


def danced(network: nn.Module, figures: Tensor, *, feedback: bool = True) -> Iterator[Tensor]:
    """Frame after frame (1, 3, H, W) of a clip of stick figures (T, 3, H, W), each fed back."""
    before = torch.zeros_like(figures[:1])
    for t in range(len(figures)):
        made = network(torch.cat([figures[t : t + 1], before], 1))
        yield made
        if feedback:
            before = made


def seen_by_critic(pairs: Pairs, y0: Tensor, y1: Tensor) -> Tensor:
    """[x0, x1, y0, y1], (N, 12, H, W)."""
    return torch.cat([pairs.x0, pairs.x1, y0, y1], 1)


def discriminator_terms(critic: nn.Module, pairs: Pairs, made: Tensor) -> dict[str, Tensor]:
    """Half the least-squares losses on real and on made frames; the generator gets no gradient."""
    y0, y1 = made.detach()
    real = adversarial(critic(seen_by_critic(pairs, pairs.y0, pairs.y1)), real=True)
    fake = adversarial(critic(seen_by_critic(pairs, y0, y1)), real=False)
    return {"D real": 0.5 * real, "D made": 0.5 * fake}


def generator_terms(critic: nn.Module, pairs: Pairs, made: Tensor) -> dict[str, Tensor]:
    """Least squares, 10 x feature matching, 10 x L1 of both frames; the critic gets no gradient."""
    frozen = {name: value.detach() for name, value in critic.named_parameters()}

    def judged(y0: Tensor, y1: Tensor) -> Any:
        return functional_call(critic, frozen, (seen_by_critic(pairs, y0, y1),))

    fake = judged(made[0], made[1])
    real = judged(pairs.y0, pairs.y1)
    away = torch.stack([(made[0] - pairs.y0).abs().mean(), (made[1] - pairs.y1).abs().mean()])
    return {
        "adversarial": adversarial(fake, real=True),
        "feature matching": MATCHING * feature_matching(fake, real).sum(),
        "L1": ABSOLUTE * away.mean(),
    }


@dataclass(slots=True)
class Lesson:
    """Both networks and their optimisers; `step` teaches one batch."""

    network: GlobalGenerator
    critic: MultiscaleDiscriminator
    rate: float = RATE
    feedback: bool = True
    for_network: torch.optim.Adam = field(init=False)
    for_critic: torch.optim.Adam = field(init=False)
    steps: int = 0

    def __post_init__(self) -> None:
        self.for_network = torch.optim.Adam(self.network.parameters(), self.rate, BETAS)
        self.for_critic = torch.optim.Adam(self.critic.parameters(), self.rate, BETAS)

    @classmethod
    def fresh(cls, seed: int, *, feedback: bool = True, width: int = 16) -> Lesson:
        """Networks with the authors' first weights; the same seed gives the same ones."""
        draw = torch.Generator().manual_seed(seed)
        network, critic = generator(width), discriminator(width)
        initialise(network, draw)
        initialise(critic, draw)
        return cls(network, critic, feedback=feedback)

    @torch.enable_grad()
    def step(self, pairs: Pairs) -> dict[str, float]:
        """One update of the critic, then one of the generator; returns every term of both."""
        made = two_frames(self.network, pairs.x0, pairs.x1, feedback=self.feedback)
        against = discriminator_terms(self.critic, pairs, made)
        descend(self.for_critic, against, self.rate)
        terms = generator_terms(self.critic, pairs, made)
        descend(self.for_network, terms, self.rate)
        self.steps += 1
        return {name: float(value.detach()) for name, value in (terms | against).items()}

    def state(self) -> dict[str, Any]:
        """All that is needed to go on from here."""
        return {
            "network": self.network.state_dict(),
            "critic": self.critic.state_dict(),
            "for network": self.for_network.state_dict(),
            "for critic": self.for_critic.state_dict(),
            "steps": self.steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """The reverse of `state`."""
        self.network.load_state_dict(state["network"])
        self.critic.load_state_dict(state["critic"])
        self.for_network.load_state_dict(state["for network"])
        self.for_critic.load_state_dict(state["for critic"])
        self.steps = int(state["steps"])


def descend(optimiser: torch.optim.Adam, terms: Mapping[str, Tensor], rate: float) -> None:
    """One step down the sum of the terms."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    torch.autograd.backward(torch.stack(list(terms.values())).sum())
    optimiser.step()


def starts_of(step: int, lengths: tuple[int, ...], batch: int = BATCH, seed: int = 0) -> list[int]:
    """First frames of the pairs of one step, fixed by the step alone.

    Args:
        lengths: of the clips that lie one behind the other; no pair spans two of them.

    Raises:
        ValueError: no clip has two frames.
    """
    ends = np.cumsum(lengths)
    firsts = np.concatenate([
        np.arange(end - length, end - 1) for end, length in zip(ends, lengths, strict=True)
    ])  # fmt: skip
    if not len(firsts):
        raise ValueError(f"clips of {lengths} frames have no two neighbouring frames to learn from")
    draw = np.random.RandomState([seed, step])
    return [int(i) for i in draw.choice(firsts, batch)]


def pairs_at(figures: Tensor, frames: Tensor, starts: list[int]) -> Pairs:
    """The pairs that begin at ``starts`` of a clip."""
    at = torch.tensor(starts)
    return Pairs(figures[at], figures[at + 1], frames[at], frames[at + 1])


def pairs_of(figures: Bytes, frames: Bytes, starts: list[int]) -> Pairs:
    """The pairs that begin at ``starts`` of clips (T, H, W, 3); only these frames are read."""
    at = np.array(starts)
    return Pairs(
        signed(figures[at]), signed(figures[at + 1]), signed(frames[at]), signed(frames[at + 1])
    )


def split_by_time(count: int, held: float = 0.2) -> tuple[range, range]:
    """Training frames and, after a gap of `GAP`, held-out frames at the end of a clip.

    Frames drawn at random would have a neighbour in the training, which nearly shows them.

    Raises:
        ValueError: too few frames for two of either.
    """
    last = round(count * held)
    first = count - last - GAP
    if min(first, last) < 2:
        raise ValueError(
            f"{count} frames are too few to keep {held:.0%} of them for measuring; a clip of "
            f"{int(np.ceil(2 / held)) + GAP} frames is the least"
        )
    return range(first), range(count - last, count)
