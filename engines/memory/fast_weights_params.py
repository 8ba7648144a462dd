"""The knobs of the fast-weights engine, of its film as of its training."""

from __future__ import annotations

from dataclasses import dataclass

from engines.nn.fast_weights import Rule
from explorer.api import knob

NETWORKS = ("trained", "random R=20", "random R=50", "random R=100")


@dataclass(frozen=True, slots=True)
class FastWeightsParams:
    """Knobs. A string takes a few milliseconds, so a changed rule runs all of it again."""

    decay: float = knob(0.9, low=0, high=1, step=0.01, help="λ: share of A kept a step")
    rate: float = knob(0.5, low=0, high=2, step=0.01, help="η: how strongly a state is written")
    steps: int = knob(1, low=1, high=16, unit="steps", help="S: inner steps that read A")
    norm: bool = knob(True, help="layer norm inside the inner loop")
    include_latest: bool = knob(False, help="A already holds the newest state when it is read")
    form: str = knob(
        "matrix", choices=("matrix", "attention"),
        help="compute A·h with the matrix or as a sum over past states; the pictures agree",
    )  # fmt: skip
    zero_at: int = knob(
        0, low=0, high=64, unit="character", help="forget all before this character; 0 is never"
    )
    network: str = knob(
        "trained", choices=NETWORKS, effect="build", help="which weights; random ones know nothing"
    )
    pairs: int = knob(
        4,
        low=1,
        high=8,
        when="training",
        help="key-value pairs in a string (K)",
    )
    batch: int = knob(
        128, low=1, high=1024, unit="strings", when="training", help="strings in a step"
    )
    learning_rate: float = knob(
        1e-3,
        low=1e-6,
        high=0.1,
        log=True,
        effect="live",
        when="training",
        help="Adam's step size",
    )
    train_steps: int = knob(
        6000, low=1, high=200_000, unit="steps", when="training", help="when to end"
    )


def rule_of(params: FastWeightsParams) -> Rule:
    """The memory rule that the knobs describe."""
    return Rule(
        decay=params.decay,
        rate=params.rate,
        steps=params.steps,
        normalise=params.norm,
        include_latest=params.include_latest,
        attention=params.form == "attention",
    )
