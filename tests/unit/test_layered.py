"""Layered layout: edges point down, few crossings, cycles and odd graphs are laid out too."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from explorer.panels.layered import crossings, layered, order, ranks


def edges(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)


def test_rank_is_the_longest_path() -> None:
    # 0 -> 1 -> 2 -> 3 and the short cut 0 -> 3: the block's identity path.
    assert ranks(4, edges((0, 1), (1, 2), (2, 3), (0, 3))).tolist() == [0, 1, 2, 3]


def test_the_edge_that_closes_a_cycle_is_the_one_left_out() -> None:
    assert ranks(3, edges((0, 1), (1, 2), (2, 0))).tolist() == [0, 1, 2]
    assert ranks(1, edges((0, 0))).tolist() == [0]


@given(st.integers(1, 12), st.data())
def test_edges_of_an_acyclic_graph_point_down(count: int, data: st.DataObject) -> None:
    pair = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    pairs = {(min(p), max(p)) for p in data.draw(st.lists(pair, max_size=20)) if p[0] != p[1]}
    made = edges(*pairs)
    rank = ranks(count, made)
    assert (rank[made[:, 1]] > rank[made[:, 0]]).all()
    places = layered(count, made)
    assert places.shape == (count, 2)
    assert len({tuple(p) for p in places.tolist()}) == count  # no two nodes on one spot


def test_crossings_are_undone() -> None:
    crossed = edges((0, 5), (1, 4), (2, 3))  # three edges, each crossing both others
    rank = ranks(6, crossed)
    plain = np.array([-1.0, 0.0, 1.0, -1.0, 0.0, 1.0])
    assert crossings(rank, plain, crossed) == 3
    assert crossings(rank, order(rank, crossed), crossed) == 0


def test_nothing_at_all() -> None:
    assert layered(0, edges()).shape == (0, 2)
