"""Whose turn it is: nobody starves, visible layers come first, budgets are kept."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from explorer.core.studies.schedule import TURN, Schedule


def _fitted(costs: dict[str, float]) -> Schedule:
    """A schedule that has read each layer often enough to know what it costs."""
    schedule = Schedule()
    schedule.fit(costs)
    for _ in range(40):
        for name in schedule.choose(None):
            schedule.read(name, costs[name], 0.0)
    return schedule


@given(
    costs=st.lists(st.floats(0.001, 50.0), min_size=1, max_size=40),
    budget=st.floats(0.0, 30.0),
    seed=st.integers(0, 2**16),
)
def test_every_layer_is_read_within_as_many_passes_as_there_are_layers(
    costs: list[float], budget: float, seed: int
) -> None:
    chance = random.Random(seed)
    names = {f"layer{i}": cost for i, cost in enumerate(costs)}
    schedule = _fitted(names)
    last = dict.fromkeys(names, 0)
    for now in range(1, 3 * len(names) + 1):
        visible = chance.sample(list(names), chance.randint(0, len(names)))
        for name in schedule.choose(budget, visible):
            schedule.read(name, names[name], chance.choice([0.0, 1.0]))
            last[name] = now
        assert all(now - read <= len(names) for read in last.values())


@given(
    costs=st.lists(st.floats(0.01, 5.0), min_size=2, max_size=40),
    budget=st.floats(0.1, 30.0),
)
def test_the_budget_is_kept_but_for_the_one_that_waited_longest(
    costs: list[float], budget: float
) -> None:
    names = {f"layer{i}": cost for i, cost in enumerate(costs)}
    schedule = _fitted(names)
    for _ in range(2 * len(names)):
        chosen = schedule.choose(budget, list(names)[::2])
        assert chosen
        spent = sum(names[name] for name in chosen)
        assert spent <= budget * (1 + 1e-3) + 1e-3 or len(chosen) == 1
        for name in chosen:
            schedule.read(name, names[name], 0.0)


def test_visible_layers_are_read_in_every_pass_that_has_room_for_them() -> None:
    names = {f"layer{i}": 1.0 for i in range(100)}
    schedule = _fitted(names)
    seen = {"layer40", "layer41", "layer42"}
    others: set[str] = set()
    for _ in range(40):
        chosen = set(schedule.choose(8.0, seen))
        assert seen <= chosen
        others |= chosen - seen
        for name in chosen:
            schedule.read(name, 1.0, 0.0)
    assert len(others) == 97  # and all the others had their turn meanwhile


def test_a_quarter_is_kept_for_the_rest_when_more_is_visible_than_there_is_time() -> None:
    names = {f"layer{i}": 1.0 for i in range(100)}
    schedule = _fitted(names)
    seen = [f"layer{i}" for i in range(60)]
    hidden = 0
    for _ in range(20):
        chosen = schedule.choose(17.0, seen)
        hidden += sum(name not in seen for name in chosen)
        for name in chosen:
            schedule.read(name, 1.0, 0.0)
    assert hidden >= 20 * TURN * 16


def test_changed_layers_come_before_those_that_stand_still() -> None:
    names = {f"layer{i}": 1.0 for i in range(50)}
    schedule = _fitted(names)
    moving = {"layer30", "layer33"}
    for _ in range(60):  # two thirds of these passes are the first looks at what moves
        for name in schedule.choose(9.0):
            schedule.read(name, 1.0, 0.5 if name in moving else 0.0)
    reads = dict.fromkeys(names, 0)
    for _ in range(40):
        for name in schedule.choose(9.0):
            reads[name] += 1
            schedule.read(name, 1.0, 0.5 if name in moving else 0.0)
    still = [count for name, count in reads.items() if name not in moving]
    assert min(reads[name] for name in moving) > 2 * max(still)


def test_a_layer_in_a_later_part_of_the_network_waits_for_it() -> None:
    """A network that runs in two parts: what was chosen in the first part is read in the second."""
    names = {f"layer{i}": 1.0 for i in range(10)}
    schedule = _fitted(names)
    parts = [set(list(names)[:5]), set(list(names)[5:])]
    last = dict.fromkeys(names, 0)
    for now in range(1, 61):
        for name in schedule.choose(1.0):
            if name in parts[now % 2]:
                schedule.read(name, 1.0, 0.0)
                last[name] = now
        assert all(now - read <= 2 * len(names) + 2 for read in last.values())


def test_a_module_that_is_never_called_holds_nobody_back() -> None:
    names = {f"layer{i}": 1.0 for i in range(10)}
    schedule = Schedule()
    schedule.fit([*names, "never"])
    read: set[str] = set()
    for _ in range(30):
        for name in schedule.choose(2.0):
            if name != "never":
                schedule.read(name, 1.0, 0.0)
                read.add(name)
    assert read == set(names)


def test_another_network_forgets_the_layers_of_the_one_before() -> None:
    schedule = _fitted({"a": 1.0, "b": 1.0})
    schedule.choose(0.0)
    schedule.fit(["b", "c"])
    assert set(schedule.choose(None)) == {"b", "c"}
