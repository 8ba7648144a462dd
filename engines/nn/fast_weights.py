"""The fast-weights recurrent network, one time step a forward pass.

Ba, Hinton, Mnih, Leibo, Ionescu, "Using Fast Weights to Attend to the Recent Past", 2016.

Names of the paper: h hidden state (R,), W slow and A(t) fast recurrent weights (R, R), C input
weights, f = tanh, lambda decay, eta learning rate of A, S inner steps. Source indexing, in which
the state from which the step starts is not yet in A:

    A(t) = eta sum_{tau=1}^{t-1} lambda^(t-tau-1) h(tau) h(tau)^T
    base = W h(t) + C x(t),   h_0 = f(base),   h_{s+1} = f(LN[base + A(t) h_s]),   h(t+1) = h_S
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from explorer.api import Probe


@dataclass(frozen=True, slots=True)
class Rule:
    """How the memory is written and read in one step.

    Attributes:
        decay: lambda, share of A kept a step, [0, 1].
        rate: eta, share of the outer product that is written, >= 0.
        steps: S, inner steps, >= 1.
        normalise: layer norm over the R features inside the inner loop.
        include_latest: A(t) already holds the state h(t) from which the step starts.
        attention: compute A h as a sum over past states instead of with the matrix A.
    """

    decay: float = 0.9
    rate: float = 0.5
    steps: int = 1
    normalise: bool = True
    include_latest: bool = False
    attention: bool = False

    def formula(self) -> str:
        """The sum that A(t) stands for, as it is written below a picture."""
        limit, power = ("t", "t−τ") if self.include_latest else ("t−1", "t−τ−1")
        return f"A(t) = {self.rate:g} · Σ τ=1…{limit} of {self.decay:g}^({power}) · h(τ) h(τ)ᵀ"


@dataclass(frozen=True, slots=True)
class State:
    """What sequences carry: ``h`` (B, R), the ``past`` states (B, N, R) in A with ``shares`` (N,).

    ``A`` (B, R, R) is one matrix a sequence; None where only the attention form is wanted. ``t``
    characters have been read. ``past[:, n]`` is h(n + 1): h(0) = 0 is never written.
    """

    t: int
    h: Tensor
    past: Tensor
    shares: Tensor
    A: Tensor | None


@dataclass(frozen=True, slots=True)
class Trace:
    """The inner tensors of one step.

    Attributes:
        A: memory that the step read (B, R, R).
        attention: a_tau of the last inner step (B, N), one for each state in ``State.past``.
        inner: h_0 ... h_S (B, S + 1, R).
        slow, fast: W h and the last A h_s (B, R).
    """

    A: Tensor
    attention: Tensor
    inner: Tensor
    slow: Tensor
    fast: Tensor


@dataclass(frozen=True, slots=True)
class Step:
    """Logits (B, symbols) after one character, the state to go on with, the trace if asked for."""

    logits: Tensor
    state: State
    trace: Trace | None = field(default=None)


def write(state: State, h: Tensor, rule: Rule) -> State:
    """A <- lambda A + eta h h^T for each sequence, and the same kept as one more past state."""
    if state.t == 0:
        return state
    A = state.A
    if A is not None:
        A = rule.decay * A + rule.rate * h.unsqueeze(2) * h.unsqueeze(1)  # (B, R, R)
    latest = state.shares.new_full((1,), rule.rate)
    return replace(
        state,
        past=torch.cat([state.past, h.unsqueeze(1)], 1),  # (B, N + 1, R)
        shares=torch.cat([rule.decay * state.shares, latest]),  # (N + 1,)
        A=A,
    )


def forget(state: State) -> State:
    """The state with its memory at zero, in both forms."""
    A = None if state.A is None else torch.zeros_like(state.A)
    return replace(state, shares=torch.zeros_like(state.shares), A=A)


def attention(past: Tensor, shares: Tensor, h: Tensor) -> Tensor:
    """Weights a_tau = eta lambda^k h(tau) . h (B, N): linear, of any sign, with no sum rule."""
    return shares * torch.einsum("bnr,br->bn", past, h)


def recall(past: Tensor, weights: Tensor) -> Tensor:
    """Sum over past states (B, N, R) with weights (B, N): A h without ever forming A."""
    return torch.einsum("bn,bnr->br", weights, past)


def matrix(past: Tensor, shares: Tensor) -> Tensor:
    """A (B, R, R) as the sum of outer products of past states (B, N, R)."""
    return torch.einsum("n,bnr,bnq->brq", shares, past, past)


class FastWeightsNetwork(nn.Module):
    """Embedding, one recurrent step with fast weights, and a read-out of R -> hidden -> symbols."""

    def __init__(self, symbols: int = 37, width: int = 100, units: int = 50, hidden: int = 100):
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.C = nn.Linear(width, units)
        self.W = nn.Linear(units, units, bias=False)
        self.norm = nn.LayerNorm(units)
        self.memory = Probe()
        self.attention = Probe()
        self.fast = Probe()
        self.inner = Probe()
        self.hidden = Probe()
        self.readout = nn.Sequential(
            nn.Linear(units, hidden), nn.ReLU(), nn.Linear(hidden, symbols)
        )

    @property
    def units(self) -> int:
        """R."""
        return self.W.in_features

    @classmethod
    def like(cls, tensors: dict[str, Tensor]) -> FastWeightsNetwork:
        """A network of the sizes of these weights."""
        wanted = ("embedding.weight", "W.weight", "readout.0.weight")
        if any(name not in tensors or tensors[name].ndim != 2 for name in wanted):
            return cls()  # loading into it names what is missing
        symbols, width = tensors["embedding.weight"].shape
        hidden, units = tensors["readout.0.weight"].shape
        return cls(symbols, width, units, hidden)

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Fresh weights: W = 0.05 I, the rest uniform in +-1 / sqrt(fan in), LN at identity."""
        for name, p in self.named_parameters():
            if name == "W.weight":
                values = 0.05 * torch.eye(self.units)
            elif name == "embedding.weight":
                values = torch.randn(p.shape, generator=generator)
            elif name.startswith("norm."):
                values = torch.full(p.shape, float(name == "norm.weight"))
            else:
                owner = self.get_submodule(name.rpartition(".")[0])
                bound = float(owner.in_features) ** -0.5  # type: ignore[arg-type]
                values = (2 * torch.rand(p.shape, generator=generator) - 1) * bound
            p.copy_(values)

    def begin(self, batch: int, *, keep_matrix: bool) -> State:
        """h = 0 and A = 0 for ``batch`` sequences."""
        like = self.W.weight
        return State(
            t=0,
            h=like.new_zeros(batch, self.units),
            past=like.new_zeros(batch, 0, self.units),
            shares=like.new_zeros(0),
            A=like.new_zeros(batch, self.units, self.units) if keep_matrix else None,
        )

    def forward(self, codes: Tensor, state: State, rule: Rule, *, trace: bool = False) -> Step:
        """One character ``codes`` (B,) a sequence.

        With ``trace`` the inner tensors come too, in both forms, whichever of them computes.
        """
        h = state.h
        if rule.include_latest:
            state = write(state, h, rule)
        A = self._matrix(state, rule, trace=trace)
        slow = self.W(h)  # (B, R)
        base = slow + self.C(self.embedding(codes))  # fixed through the inner loop
        inner = [self.inner(torch.tanh(base))]
        for _ in range(rule.steps):
            fast, weights = self._read(A, state, inner[-1], rule, trace=trace)
            total = base + fast
            inner.append(self.inner(torch.tanh(self.norm(total) if rule.normalise else total)))
        new = self.hidden(inner[-1])
        if not rule.include_latest:
            state = write(state, h, rule)
        logits = self.readout(new)  # (B, symbols)
        state = replace(state, h=new, t=state.t + 1)
        if not trace:
            return Step(logits, state)
        return Step(logits, state, Trace(A, weights, torch.stack(inner, 1), slow, fast))

    def _matrix(self, state: State, rule: Rule, *, trace: bool) -> Tensor:
        if rule.attention and not trace:
            return state.shares  # never read
        A = state.A if state.A is not None else matrix(state.past, state.shares)
        shown: Tensor = self.memory(A.unsqueeze(1))  # one map of R x R a sequence
        return shown.squeeze(1)

    def _read(
        self, A: Tensor, state: State, h: Tensor, rule: Rule, *, trace: bool
    ) -> tuple[Tensor, Tensor]:
        """A h_s (B, R) in the form asked for, and a_tau (B, N)."""
        weights = state.shares
        if rule.attention or trace:
            weights = attention(state.past, state.shares, h)
            if weights.shape[1]:  # nothing to show before the first write
                weights = self.attention(weights)
        fast = recall(state.past, weights) if rule.attention else torch.einsum("brq,bq->br", A, h)
        return self.fast(fast), weights


def unroll(
    network: FastWeightsNetwork, codes: Tensor, rule: Rule, *, keep_matrix: bool | None = None
) -> Step:
    """All characters (B, T) from an empty memory; the last step, with logits after the last one."""
    matrix_wanted = not rule.attention if keep_matrix is None else keep_matrix
    state = network.begin(len(codes), keep_matrix=matrix_wanted)
    for t in range(codes.shape[1]):
        step = network(codes[:, t], state, rule)
        state = step.state
    return step  # type: ignore[no-any-return]
