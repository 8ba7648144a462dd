"""Training the fast-weights network on associative retrieval, one optimiser step at a time."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.memory.associative import (
    DIGITS,
    FIRST_DIGIT,
    SYMBOLS,
    Query,
    bag_ceiling,
    draw,
    text_of,
)
from engines.memory.fast_weights_params import FastWeightsParams
from engines.nn.fast_weights import FastWeightsNetwork, Rule, unroll
from explorer.api import Artefact, Checkpoint, Curve, Matrix, Text

HELD_OUT = 2000
HELD_OUT_SEED = 7919
CLIP = 5.0
EVERY = 100  # steps between two measurements of the held-out error
SHOWN = 8


@dataclass(slots=True)
class History:
    """A curve of bounded length: when ``cap`` points are full, neighbours are averaged.

    ``values`` are means over ``stride`` steps each; ``total`` and ``count`` belong to the next one.
    """

    values: list[float] = field(default_factory=list)
    stride: int = 1
    total: float = 0.0
    count: int = 0
    cap: int = 1000

    def add(self, value: float) -> None:
        """Take in the value of one more step."""
        self.total += value
        self.count += 1
        if self.count == self.stride:
            self.values.append(self.total / self.stride)
            self.total, self.count = 0.0, 0
        if len(self.values) == self.cap:
            pairs = zip(self.values[::2], self.values[1::2], strict=True)
            self.values = [(a + b) / 2 for a, b in pairs]
            self.stride *= 2

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            "values": list(self.values), "stride": self.stride,
            "total": self.total, "count": self.count,
        }  # fmt: skip


@torch.no_grad()
def error_of(
    network: FastWeightsNetwork,
    rule: Rule,
    pairs: int,
    *,
    seed: int = HELD_OUT_SEED,
    count: int = HELD_OUT,
) -> float:
    """Wrong answers in percent on ``count`` fresh strings; the answer is the top symbol."""
    codes, digits = draw(count, pairs, torch.Generator().manual_seed(seed))
    said = _answers(network, codes, rule)
    return 100.0 * float((said != digits + FIRST_DIGIT).double().mean())


def train_retrieval(
    network: FastWeightsNetwork,
    params: FastWeightsParams,
    rule: Rule,
    query: Query,
    generator: torch.Generator,
    resume: Checkpoint | None,
) -> Generator[Artefact | Checkpoint, Any, None]:
    """Adam on the cross-entropy of the last step over fresh strings; a Checkpoint ends every step.

    ``query`` is the string whose memory is shown on the way; nothing is learnt from it.
    ``network`` starts afresh from ``generator``, or from ``resume``. Of the knobs only the learning
    rate may change on the way.
    """
    network.requires_grad_(True)
    optimiser = torch.optim.Adam(network.parameters(), lr=params.learning_rate)
    losses, errors, first = History(), [], 1
    pairs, batch, end = params.pairs, params.batch, params.train_steps
    if resume is None:
        network.start(generator)
    else:
        network.load_state_dict(resume.weights)
        _restore(optimiser, network, resume.state["adam"])
        generator.set_state(resume.state["generator"].to("cpu", torch.uint8))
        losses = History(**resume.state["losses"])
        errors = [(int(step), float(error)) for step, error in resume.state["errors"]]
        first = resume.step + 1
    device = network.W.weight.device
    for step in range(first, end + 1):
        codes, digits = draw(batch, pairs, generator)
        for group in optimiser.param_groups:
            group["lr"] = params.learning_rate
        loss = _update(network, optimiser, codes.to(device), digits.to(device), rule)
        losses.add(loss)
        if step % EVERY == 0 or step == 1:
            errors.append((step, error_of(network, rule, pairs)))
            for artefact in _report(network, rule, pairs, query, errors, step):
                params = yield artefact
        params = yield _loss_curve(losses, step)
        params = yield Checkpoint(
            step,
            {name: t.detach().clone() for name, t in network.state_dict().items()},
            {
                "adam": _moments(optimiser, network),
                "generator": generator.get_state(),
                "losses": losses.state(),
                "errors": [list(pair) for pair in errors],
            },
            {"error": errors[-1][1]},
        )


def _update(
    network: FastWeightsNetwork,
    optimiser: torch.optim.Optimizer,
    codes: Tensor,
    digits: Tensor,
    rule: Rule,
) -> float:
    logits = unroll(network, codes, rule).logits
    loss = F.cross_entropy(logits, digits + FIRST_DIGIT)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
    optimiser.step()
    return float(loss.detach())


def _loss_curve(losses: History, step: int) -> Curve:
    values = losses.values or [losses.total / max(losses.count, 1)]
    x = losses.stride * np.arange(1, len(values) + 1)
    chance = float(np.log(len(DIGITS)))
    return Curve(
        "learning/loss",
        x,
        np.array(values, np.float32),
        unit="nat",
        log=True,
        step=step,
        marks={"any digit": chance},
        note=f"cross-entropy of the answer, mean of {losses.stride} steps a point",
    )


@torch.no_grad()
def _report(
    network: FastWeightsNetwork,
    rule: Rule,
    pairs: int,
    query: Query,
    errors: list[tuple[int, float]],
    step: int,
) -> Generator[Artefact, Any, None]:
    """Held-out error with the line of a bag of digits, some answers, the memory of ``query``."""
    x, y = np.array(errors, np.float64).T
    marks = {"no binding learnt": 100.0 * (1.0 - bag_ceiling(pairs)), "chance": 90.0}
    yield Curve(
        "learning/error", x, y.astype(np.float32), unit="%", step=step, marks=marks,
        note=f"wrong answers on {HELD_OUT} held-out strings: {y[-1]:.2f} %",
    )  # fmt: skip
    codes, digits = draw(SHOWN, pairs, torch.Generator().manual_seed(HELD_OUT_SEED))
    said = _answers(network, codes, rule)
    lines = [
        f"{text_of(c)}  {SYMBOLS[int(s)]}  {'right' if s == d + FIRST_DIGIT else f'wrong, {d}'}"
        for c, s, d in zip(codes, said, digits.tolist(), strict=True)
    ]
    yield Text("learning/answers", "\n".join(lines), step=step, note="string, answer, verdict")
    own = unroll(network, query.codes[None].to(network.W.weight.device), rule, keep_matrix=True)
    assert own.state.A is not None
    answer = SYMBOLS[int(own.logits[0].argmax())]
    yield Matrix(
        "memory/A after the string", own.state.A[0].cpu().numpy(), step=step, own_scale=True,
        note=f"{query.text}, answer {answer}, after {step} training steps",
    )  # fmt: skip


@torch.no_grad()
def _answers(network: FastWeightsNetwork, codes: Tensor, rule: Rule) -> Tensor:
    return unroll(network, codes.to(network.W.weight.device), rule).logits.argmax(1).cpu()


def _moments(
    optimiser: torch.optim.Adam, network: FastWeightsNetwork
) -> dict[str, dict[str, Tensor]]:
    """Adam's step and moments by parameter name."""
    return {
        name: {key: value.clone() for key, value in optimiser.state[p].items()}
        for name, p in network.named_parameters()
    }


def _restore(
    optimiser: torch.optim.Adam,
    network: FastWeightsNetwork,
    moments: Mapping[str, Mapping[str, Tensor]],
) -> None:
    for name, p in network.named_parameters():
        kept = moments[name]
        optimiser.state[p] = {
            key: value.clone().to("cpu" if key == "step" else p.device)
            for key, value in kept.items()
        }
