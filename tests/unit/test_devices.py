"""Memory: what collections of garbage pass over, and what the C library keeps."""

from __future__ import annotations

import gc
import weakref

import torch

from explorer.core.devices import Turn, settle_memory


class Knot:
    """Refers to itself, so that only a collection can free it."""

    def __init__(self) -> None:
        self.own = self


def test_what_has_stayed_is_passed_over_until_memory_settles_again() -> None:
    knot = Knot()
    gone = weakref.ref(knot)
    settle_memory()
    assert gc.get_freeze_count() > 10_000  # torch alone is more than that
    del knot
    gc.collect()
    assert gone() is not None  # a frozen knot is not looked at
    settle_memory()
    assert gone() is None
    gc.unfreeze()


def test_a_turn_draws_what_the_seed_says_and_leaves_the_outer_numbers_alone() -> None:
    torch.manual_seed(3)
    outer = torch.get_rng_state()
    turn = Turn(torch.device("cpu"), 7)
    with turn():
        drawn = torch.rand(5)
    assert torch.equal(torch.get_rng_state(), outer)
    assert torch.equal(drawn, torch.rand(5, generator=torch.Generator().manual_seed(7)))
    with turn():
        assert not torch.equal(torch.rand(5), drawn)  # it goes on where it was
