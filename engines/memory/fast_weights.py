"""Fast weights on a typed associative string: the memory as a film, and what it attends to.

Ba, Hinton, Mnih, Leibo, Ionescu, "Using Fast Weights to Attend to the Recent Past", 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.memory.associative import DIGITS, FIRST_DIGIT, Query, parse
from engines.memory.fast_weights_params import FastWeightsParams, rule_of
from engines.memory.retrieval import train_retrieval
from engines.nn.fast_weights import FastWeightsNetwork, Rule, Step, Trace, forget
from engines.nn.loading import load_state
from explorer.api import (
    Artefact,
    Checkpoint,
    Curve,
    EndOfStep,
    Engine,
    EngineError,
    Inputs,
    Matrix,
    Outcome,
    Run,
    Scores,
    Text,
    Training,
)

WEIGHTS = "fast-weights-k4"
EIGENVALUES = 3
Floats = npt.NDArray[np.float32]


class Film:
    """What has been seen of one string so far, as arrays over its T characters."""

    def __init__(self, query: Query, units: int) -> None:
        length = len(query.codes)
        self.query = query
        self.attention = np.zeros((length, length), np.float32)
        self.hidden = np.zeros((length, units), np.float32)
        self.digits = np.zeros((length, len(DIGITS)), np.float32)
        self.eigenvalues = np.zeros((EIGENVALUES, length), np.float32)
        self.decayed = np.zeros(length, np.float32)
        self.norms = np.zeros((2, length), np.float32)
        self.other = 0.0

    def add(self, t: int, step: Step, trace: Trace, rule: Rule) -> None:
        """Take in character ``t`` (from 0) of a batch of one."""
        weights = trace.attention[0]
        self.attention[t, : len(weights)] = _array(weights)
        self.hidden[t] = _array(step.state.h[0])
        chances = step.logits[0].softmax(0)
        self.digits[t] = _array(chances[FIRST_DIGIT : FIRST_DIGIT + len(DIGITS)])
        self.other = max(0.0, 1.0 - float(self.digits[t].sum()))
        values = torch.linalg.eigvalsh(trace.A[0].double()).flip(0)[:EIGENVALUES]
        self.eigenvalues[: len(values), t] = _array(values)
        before = self.decayed[t - 1] if t else 0.0
        self.decayed[t] = rule.decay * before if before else self.eigenvalues[0, t]
        self.norms[:, t] = float(trace.slow[0].norm()), float(trace.fast[0].norm())

    @property
    def labels(self) -> tuple[str, ...]:
        """The characters, told apart by their place."""
        return tuple(f"{t} {c}" for t, c in enumerate(self.query.text, 1))


class FastWeights(Engine[FastWeightsParams]):
    """The network of Ba et al., one character a step."""

    Params: ClassVar[type[Any]] = FastWeightsParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Matrix, Scores, Curve, Text)
    network: FastWeightsNetwork
    origin: str  # of the weights that the network holds now, in words

    def build(self, params: FastWeightsParams) -> nn.Module:
        """The trained network with as many units as its weights have, or a random one."""
        if params.network == "trained":
            tensors = self.host.weights(WEIGHTS)
            network = FastWeightsNetwork.like(tensors)
            load_state(network, tensors, WEIGHTS)
            self.origin = "trained weights"
            return network
        network = FastWeightsNetwork(units=int(params.network.partition("=")[2]))
        network.start(self.host.generator())
        self.origin = "random weights, nothing learnt"
        return network

    def run(self, inputs: Inputs, params: FastWeightsParams, memory: Any = None) -> Run:
        """One step a character. The memory starts at zero in every string."""
        query = parse(_text(inputs))
        network = self.network
        codes = query.codes.to(network.W.weight.device)
        film = Film(query, network.units)
        state = network.begin(1, keep_matrix=params.form == "matrix")
        for t in range(len(codes)):
            rule = rule_of(params)
            if t + 1 == params.zero_at:
                state = forget(state)
            step = network(codes[t : t + 1], state, rule, trace=True)
            state = step.state
            film.add(t, step, step.trace, rule)
            for artefact in self._pictures(film, t, step.trace, rule):
                params = yield artefact
            if t + 1 < len(codes):
                params = yield EndOfStep()
        return Outcome()

    @torch.enable_grad()
    def train(
        self, inputs: Inputs, params: FastWeightsParams, resume: Checkpoint | None = None
    ) -> Training:
        """Associative retrieval from fresh weights, in the attention form, which is the cheaper."""
        rule = replace(rule_of(params), attention=True)
        query = parse(_text(inputs))
        self.origin = "weights trained in this session"
        generator = self.host.generator()
        yield from train_retrieval(self.network, params, rule, query, generator, resume)

    def _pictures(self, film: Film, t: int, trace: Trace, rule: Rule) -> Iterator[Artefact]:
        labels = film.labels
        form = "as a sum over past states" if rule.attention else "as a matrix"
        at = f"read at {labels[t]!r} {form}"
        yield Matrix(
            "memory/A(t)", _array(trace.A[0]), scale="diverging", own_scale=True, step=t,
            note=f"{at}; {rule.formula()}",
        )  # fmt: skip
        yield Matrix(
            "memory/attention", film.attention.copy(), rows=labels, columns=labels,
            scale="diverging", own_scale=True, step=t,
            note="row: character that reads; column: past state; no softmax, so of any sign",
        )  # fmt: skip
        yield from self._states(film, t, trace)
        yield from _dynamics(film, t, rule)
        yield from _prediction(film, t, self.origin)

    def _states(self, film: Film, t: int, trace: Trace) -> Iterator[Artefact]:
        yield Matrix(
            "states/hidden h(t)", film.hidden.copy(), rows=film.labels, scale="diverging", step=t,
            note="one row a character, one column a unit, −1 … 1",
        )  # fmt: skip
        inner = _array(trace.inner[0])
        yield Matrix(
            "states/inner loop", inner, rows=tuple(f"h{s}" for s in range(len(inner))),
            scale="diverging", step=t,
            note=f"h0 before and h1 … after reading A; {film.labels[t]!r}",
        )  # fmt: skip


def _dynamics(film: Film, t: int, rule: Rule) -> Iterator[Artefact]:
    x = np.arange(1, t + 2)
    upto = slice(0, t + 1)
    lines = np.vstack([film.eigenvalues[:, upto], film.decayed[upto]])
    yield Curve(
        "dynamics/eigenvalues of A(t)", x, lines,
        series=("largest", "second", "third", f"first write × {rule.decay:g}^k"),
        x_label="character", step=t,
    )  # fmt: skip
    yield Curve(
        "dynamics/slow and fast", x, film.norms[:, upto].copy(), series=("|W h|", "|A h|"),
        x_label="character", step=t, note="how much of a step comes from the fast memory",
    )  # fmt: skip


def _prediction(film: Film, t: int, origin: str) -> Iterator[Artefact]:
    query, last = film.query, t + 1 == len(film.query.text)
    best = int(film.digits[t].argmax())
    share = f"{100 * film.digits[t, best]:.1f} %"
    when = "answer" if last else f"read-out after {film.labels[t]!r}, before the end of the string"
    yield Scores(
        "prediction/digit", film.digits[t].copy(), labels=tuple(DIGITS), step=t,
        unit="probability", note=f"{when}; {100 * film.other:.1f} % on letters; {origin}",
    )  # fmt: skip
    yield Matrix(
        "prediction/over time", film.digits.copy(), rows=film.labels, columns=tuple(DIGITS),
        scale="probability", step=t, note="probability of each digit after each character",
    )  # fmt: skip
    said = f"says {DIGITS[best]} ({share}); {_verdict(query, DIGITS[best])}" if last else when
    yield Text(
        "string/characters", query.text, tokens=tuple(query.text), weights=film.attention[t].copy(),
        step=t, note=f"weight of each past state for {film.labels[t]!r}; {said}",
    )  # fmt: skip


def _verdict(query: Query, said: str) -> str:
    """What the string itself holds for the key that is asked for."""
    if not query.answers:
        return f"{query.key!r} was never stored, so there is no right answer"
    if len(set(query.answers)) > 1:
        return f"{query.key!r} was stored with {', '.join(query.answers)}"
    return "right" if said == query.answers[0] else f"wrong, it is {query.answers[0]}"


def _text(inputs: Inputs) -> str:
    given = inputs.get("string")
    if given is None:
        raise EngineError("nothing to read: type a string such as c9k8j3f1??c")
    return str(given.text)


def _array(t: Tensor) -> Floats:
    return t.detach().to("cpu", torch.float32).numpy()
