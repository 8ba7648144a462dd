"""Fast weights against the sums of the paper, a loop of library calls, and the plateau of a bag."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engines.memory.associative import (
    EXAMPLE,
    FIRST_DIGIT,
    draw,
)
from engines.memory.fast_weights import FastWeights
from engines.memory.fast_weights_params import FastWeightsParams
from engines.nn.fast_weights import (
    FastWeightsNetwork,
    Rule,
    attention,
    forget,
    matrix,
    recall,
    unroll,
    write,
)
from explorer.api import Artefact, EngineError, Matrix, TextInput
from explorer.core import registry
from explorer.core.session import Session
from explorer.params import knobs
from explorer.views import Edit, View


def a_network(units: int = 50, *, seed: int = 0, double: bool = True) -> FastWeightsNetwork:
    network = FastWeightsNetwork(units=units)
    network.start(torch.Generator().manual_seed(seed))
    with torch.no_grad():  # norm at identity and a small W would hide mistakes in both
        network.W.weight.add_(0.2 * torch.randn(units, units, generator=seeded(3)))
        network.norm.weight.add_(0.3 * torch.randn(units, generator=seeded(4)))
        network.norm.bias.add_(0.3 * torch.randn(units, generator=seeded(5)))
    return network.double() if double else network


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def written(states: torch.Tensor, rule: Rule) -> Any:
    """The memory after writing all of states (B, T, R)."""
    network = FastWeightsNetwork(units=states.shape[2]).to(states.dtype)
    state = replace(network.begin(len(states), keep_matrix=True), t=1)
    for h in states.unbind(1):
        state = write(state, h, rule)
    return state


def history(network: FastWeightsNetwork, codes: torch.Tensor, rule: Rule) -> list[Any]:
    """Every step, traced."""
    state = network.begin(len(codes), keep_matrix=not rule.attention)
    steps = []
    for column in codes.unbind(1):
        steps.append(network(column, state, rule, trace=True))
        state = steps[-1].state
    return steps


# -- the memory


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_recursion_equals_the_sum_of_the_paper(dtype: torch.dtype, tolerance: float) -> None:
    h = torch.randn(2, 40, 50, generator=seeded(0), dtype=dtype).tanh()
    probe = torch.randn(2, 50, generator=seeded(1), dtype=dtype)
    state = written(h, Rule(0.9, 0.5))
    t = h.shape[1] + 1  # A(t) = eta sum_{tau=1}^{t-1} lambda^(t-tau-1) h h^T
    exact = h.double().numpy()
    terms = [
        0.5 * 0.9 ** (t - tau - 1) * np.einsum("br,bq->brq", exact[:, tau - 1], exact[:, tau - 1])
        for tau in range(1, t)
    ]
    expected = torch.from_numpy(np.sum(terms, 0))
    read = torch.einsum("brq,bq->br", expected, probe.double())
    forms = {
        "recursion": state.A,
        "sum": matrix(state.past, state.shares),
    }
    for name, A in forms.items():
        assert (A - expected).norm() / expected.norm() < tolerance, name
    weights = attention(state.past, state.shares, probe)
    attended = recall(state.past, weights)
    assert (attended - read).norm() / read.norm() < tolerance


@pytest.mark.parametrize("length", [1, 7, 40, 60])
def test_memory_is_symmetric_positive_and_of_bounded_rank(length: int) -> None:
    h = torch.randn(3, length, 50, generator=seeded(2), dtype=torch.float64).tanh()
    A = written(h, Rule()).A
    assert torch.equal(A, A.mT)
    values = torch.linalg.eigvalsh(A)
    assert values.min() > -1e-12
    assert torch.linalg.matrix_rank(A, hermitian=True).tolist() == [min(length, 50)] * 3


def test_trace_is_the_decayed_sum_of_squared_states() -> None:
    h = torch.randn(2, 9, 20, generator=seeded(2), dtype=torch.float64)
    A = written(h, Rule(0.8, 0.3)).A
    ages = torch.arange(8, -1, -1, dtype=torch.float64)
    expected = (0.3 * 0.8**ages * h.square().sum(2)).sum(1)
    torch.testing.assert_close(A.diagonal(dim1=1, dim2=2).sum(1), expected, rtol=1e-13, atol=0)


def test_without_a_state_the_memory_only_decays() -> None:
    state = written(torch.randn(1, 4, 10, generator=seeded(1), dtype=torch.float64), Rule())
    later = write(state, torch.zeros(1, 10, dtype=torch.float64), Rule(0.7, 0.5))
    assert torch.equal(later.A, 0.7 * state.A)


def test_forgetting_empties_both_forms() -> None:
    state = forget(written(torch.ones(1, 3, 5), Rule()))
    assert not state.A.any()
    assert not matrix(state.past, state.shares).any()


# -- the network


def layer_norm_rnn(network: FastWeightsNetwork, codes: torch.Tensor) -> torch.Tensor:
    h = torch.zeros(len(codes), network.units, dtype=torch.float64)
    for column in codes.unbind(1):
        x = network.embedding.weight[column]
        base = h @ network.W.weight.T + x @ network.C.weight.T + network.C.bias
        h = torch.tanh(F.layer_norm(base, (network.units,), network.norm.weight, network.norm.bias))
    return h


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("form", [False, True])
def test_without_writing_it_is_a_layer_norm_rnn(steps: int, form: bool) -> None:
    network = a_network()
    codes, _ = draw(5, 4, seeded(0))
    found = unroll(network, codes, Rule(rate=0.0, steps=steps, attention=form)).state.h
    torch.testing.assert_close(found, layer_norm_rnn(network, codes), rtol=1e-12, atol=1e-13)


def by_the_book(
    network: FastWeightsNetwork, codes: torch.Tensor, rule: Rule
) -> tuple[list[np.ndarray], np.ndarray, list[np.ndarray]]:
    """h(1) ... h(T), logits and the A read at each step of one string, from the sums alone."""
    weights = {name: t.detach().numpy() for name, t in network.state_dict().items()}
    h = [np.zeros(network.units)]
    read = []
    for j, code in enumerate(codes.tolist(), 1):
        t = j - 1  # the step leads from h(t) to h(t + 1)
        last, power = (t, t) if rule.include_latest else (t - 1, t - 1)
        A = np.zeros((network.units, network.units))
        for tau in range(1, last + 1):
            A += rule.rate * rule.decay ** (power - tau) * np.outer(h[tau], h[tau])
        read.append(A)
        x = weights["embedding.weight"][code]
        base = weights["W.weight"] @ h[t] + weights["C.weight"] @ x + weights["C.bias"]
        s = np.tanh(base)
        for _ in range(rule.steps):
            total = base + A @ s
            if rule.normalise:
                total = (total - total.mean()) / np.sqrt(total.var() + 1e-5)
                total = total * weights["norm.weight"] + weights["norm.bias"]
            s = np.tanh(total)
        h.append(s)
    hidden = np.maximum(weights["readout.0.weight"] @ h[-1] + weights["readout.0.bias"], 0)
    logits = weights["readout.2.weight"] @ hidden + weights["readout.2.bias"]
    return h[1:], logits, read


@pytest.mark.parametrize(
    ("steps", "latest", "norm", "form"),
    list(itertools.product([1, 3], [False, True], [False, True], [False, True])),
)
def test_network_equals_the_equations(steps: int, latest: bool, norm: bool, form: bool) -> None:
    rule = Rule(0.85, 0.4 if norm else 0.01, steps, norm, latest, form)
    network = a_network(20)
    codes, _ = draw(2, 4, seeded(1))
    traced = history(network, codes, rule)
    plain = unroll(network, codes, rule)
    assert torch.equal(plain.logits, traced[-1].logits)
    for row in range(2):
        states, logits, read = by_the_book(network, codes[row], rule)
        for j, step in enumerate(traced):
            np.testing.assert_allclose(step.state.h[row].detach(), states[j], atol=1e-12)
            np.testing.assert_allclose(step.trace.A[row].detach(), read[j], atol=1e-12)
        np.testing.assert_allclose(traced[-1].logits[row].detach(), logits, atol=1e-11)


def test_the_newest_state_shifts_the_exponent_by_exactly_one() -> None:
    network = a_network(20)
    codes, _ = draw(1, 4, seeded(1))
    outside = network.begin(1, keep_matrix=True)
    for t, column in enumerate(codes.unbind(1)):
        both = [
            network(column, outside, Rule(0.8, 0.3, include_latest=latest), trace=True)
            for latest in (False, True)
        ]
        h = outside.h
        expected = 0.8 * both[0].trace.A + 0.3 * h.unsqueeze(2) * h.unsqueeze(1)
        torch.testing.assert_close(both[1].trace.A, expected, rtol=0, atol=1e-14)
        torch.testing.assert_close(both[0].state.A, both[1].trace.A, rtol=0, atol=1e-14)
        counts = [step.trace.attention.shape[1] for step in both]
        assert counts == [max(0, t - 1), t]
        outside = both[0].state


def test_equal_features_survive_the_layer_norm() -> None:
    network = a_network(20)
    with torch.no_grad():  # all units alike, so the variance that the norm divides by is zero
        network.C.weight.zero_()
        network.C.bias.fill_(0.3)
        network.W.weight.zero_()
    codes, digits = draw(3, 4, seeded(0))
    logits = unroll(network, codes, Rule(rate=0.0)).logits
    F.cross_entropy(logits, digits + FIRST_DIGIT).backward()
    assert torch.isfinite(logits).all()
    for name, p in network.named_parameters():
        assert torch.isfinite(p.grad).all(), name
    alike = unroll(network, codes, Rule(rate=0.0)).state.h
    torch.testing.assert_close(alike, torch.tanh(network.norm.bias).expand(3, -1))


@pytest.mark.parametrize("form", [False, True])
def test_a_batch_equals_its_sequences_one_by_one(form: bool) -> None:
    network = a_network()
    codes, _ = draw(6, 4, seeded(2))
    rule = Rule(attention=form, steps=2)
    together = unroll(network, codes, rule).logits
    alone = torch.cat([unroll(network, row.unsqueeze(0), rule).logits for row in codes])
    torch.testing.assert_close(together, alone, rtol=1e-11, atol=1e-12)


def test_both_forms_have_the_same_gradients() -> None:
    codes, digits = draw(8, 4, seeded(3))
    gradients = []
    for form in (False, True):
        network = a_network()
        logits = unroll(network, codes, Rule(attention=form, steps=2)).logits
        F.cross_entropy(logits, digits + FIRST_DIGIT).backward()
        gradients.append({name: p.grad for name, p in network.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-9, atol=1e-12)


# -- the engine


@pytest.fixture(scope="module")
def session() -> Session:
    made = Session(registry.table()["fast-weights"], device="cpu")
    made.open()
    return made


def artefacts(session: Session, text: str = EXAMPLE, **knob_values: Any) -> list[Artefact]:
    session.set_params(knob_values)
    try:
        frames = list(session.run({"string": TextInput(text)}))
    finally:
        session.set_params({name: knobs(FastWeightsParams)[name].default for name in knob_values})
    return [artefact for frame in frames for artefact in frame.artefacts]


def last(found: list[Artefact], name: str) -> Any:
    return [a for a in found if a.name == name][-1]


def test_a_string_is_a_film_of_its_characters(session: Session) -> None:
    found = artefacts(session)
    row = session.row
    assert {a.step for a in found} == set(range(len(EXAMPLE)))
    assert {type(a) for a in found} == set(FastWeights.emits)
    for artefact in found:
        assert type(artefact).__name__ in row.groups[artefact.group].kinds
    film = [a for a in found if a.name == "memory/A(t)"]
    assert isinstance(film[0], Matrix)
    assert not film[0].values.any()
    assert not film[1].values.any()  # h(1) is not in the A that the second character reads
    assert np.linalg.matrix_rank(film[5].values.astype(np.float64), tol=1e-4) == 4
    assert session.provenance == "trained here"


def test_the_trained_network_answers_and_attends(session: Session) -> None:
    for key, value in (("c", "9"), ("k", "8"), ("j", "3"), ("f", "1")):
        found = artefacts(session, f"c9k8j3f1??{key}")
        scores = last(found, "prediction/digit")
        assert scores.labels[int(scores.scores.argmax())] == value
        assert last(found, "string/characters").note.endswith("right")


def test_attention_and_hidden_states_rebuild_what_the_memory_returned(session: Session) -> None:
    found = artefacts(session)
    attended = last(found, "memory/attention").values
    hidden = last(found, "states/hidden h(t)").values
    fast = last(found, "dynamics/slow and fast").y[1]
    assert not np.triu(attended, -1).any()
    np.testing.assert_allclose(np.linalg.norm(attended @ hidden, axis=1), fast, rtol=1e-4)
    A = last(found, "memory/A(t)").values
    top = np.linalg.eigvalsh(A.astype(np.float64))[::-1][:3]
    np.testing.assert_allclose(
        last(found, "dynamics/eigenvalues of A(t)").y[:3, -1], top, rtol=1e-4
    )


def test_pictures_are_the_same_in_both_forms(session: Session) -> None:
    for one, other in zip(artefacts(session), artefacts(session, form="attention"), strict=True):
        assert one.name == other.name
        for name, array in one.arrays().items():
            np.testing.assert_allclose(array, other.arrays()[name], atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"decay": 0.5}, {"rate": 0.1}, {"steps": 3}, {"norm": False}, {"include_latest": True},
        {"zero_at": 9},
    ],
)  # fmt: skip
def test_every_rule_knob_changes_the_film(session: Session, change: dict[str, Any]) -> None:
    before, after = artefacts(session), artefacts(session, **change)
    A = [last(found, "memory/A(t)").values for found in (before, after)]
    assert not np.allclose(*A, atol=1e-3)
    said = [last(found, "prediction/digit").scores for found in (before, after)]
    assert not np.array_equal(*said)


def test_zeroing_the_memory_forgets_the_pairs(session: Session) -> None:
    for form in ("matrix", "attention"):
        found = artefacts(session, zero_at=10, form=form)
        film = [a.values for a in found if a.name == "memory/A(t)"]
        assert film[8].any()
        assert not film[9].any()
        rank = np.linalg.matrix_rank(film[10].astype(np.float64), tol=1e-4)
        assert rank == 1  # only what the tenth step wrote


def test_strings_do_not_leak_into_one_another(session: Session) -> None:
    alone = artefacts(session, "a1b2??a")
    artefacts(session, "q7r8s9t0??q")
    for one, other in zip(alone, artefacts(session, "a1b2??a"), strict=True):
        for name, array in one.arrays().items():
            np.testing.assert_array_equal(array, other.arrays()[name])


def test_an_absent_or_double_key_is_said(session: Session) -> None:
    assert "never stored" in last(artefacts(session, "a1b2??z"), "string/characters").note
    assert "stored with 1, 2" in last(artefacts(session, "a1a2??a"), "string/characters").note


def test_an_edit_of_the_memory_changes_the_answer(session: Session) -> None:
    before = last(artefacts(session), "prediction/digit").scores
    session.edits = (Edit("memory"),)
    try:
        after = last(artefacts(session), "prediction/digit").scores
    finally:
        session.edits = ()
    empty = last(artefacts(session, rate=0.0), "prediction/digit").scores
    assert not np.allclose(before, after, atol=1e-2)
    np.testing.assert_allclose(after, empty, atol=1e-6)


def test_every_listed_point_fires(session: Session) -> None:
    session.views = tuple(View(point) for point in session.row.points)
    try:
        frames = list(session.run({"string": TextInput(EXAMPLE)}))
    finally:
        session.views = ()
    assert {r.view.point for r in frames[-1].rendered} == set(session.row.points)


class Host:
    """A host with one set of weights."""

    device = torch.device("cpu")
    seed = 0

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self.tensors = tensors

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        assert name == "fast-weights-k4"
        return self.tensors

    def generator(self) -> torch.Generator:
        return seeded(self.seed)


def test_the_network_takes_its_size_from_the_weights() -> None:
    engine = FastWeights()
    wanted = FastWeightsNetwork(units=23, width=11, hidden=31)
    engine.host = Host(wanted.state_dict())  # type: ignore[assignment]
    made = engine.build(FastWeightsParams())
    assert isinstance(made, FastWeightsNetwork)
    assert made.units == 23
    for name, tensor in wanted.state_dict().items():
        assert torch.equal(tensor, made.state_dict()[name])
    engine.host = Host({"W.weight": torch.zeros(3, 3)})  # type: ignore[assignment]
    with pytest.raises(EngineError, match=r"embedding\.weight"):
        engine.build(FastWeightsParams())


def test_random_networks_are_said_to_be_random() -> None:
    made = Session(
        registry.table()["fast-weights"], device="cpu", params={"network": "random R=20"}
    )
    made.open()
    found = artefacts(made)
    assert made.provenance == "random"
    assert last(found, "memory/A(t)").values.shape == (20, 20)
    assert "nothing learnt" in last(found, "prediction/digit").note


def test_a_network_that_is_training_no_longer_counts_as_the_trained_one() -> None:
    made = Session(registry.table()["fast-weights"], device="cpu", params={"batch": 8})
    made.open()
    frames = list(made.train({"string": TextInput("a1b2??a")}, steps=1))
    memory = next(a for a in frames[0].artefacts if a.name == "memory/A after the string")
    assert memory.note.startswith("a1b2??a")
    assert "trained in this session" in last(artefacts(made), "prediction/digit").note
