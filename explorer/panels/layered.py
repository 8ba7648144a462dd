"""Layered layout of a directed graph (Sugiyama's scheme, numpy only): ranks, then few crossings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SWEEPS = 6


def ranks(count: int, edges: Ints) -> Ints:
    """Longest-path rank (N,) of each node; edges that close a cycle do not count.

    A node stands one rank below its lowest parent, so every remaining edge points downwards.
    """
    children: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges.tolist():
        if a != b:
            children[a].append(b)
    forward = _without_back_edges(children)
    waiting = np.zeros(count, np.int64)
    for targets in forward:
        for b in targets:
            waiting[b] += 1
    rank = np.zeros(count, np.int64)
    ready = [n for n in range(count) if waiting[n] == 0]
    while ready:
        node = ready.pop()
        for b in forward[node]:
            rank[b] = max(rank[b], rank[node] + 1)
            waiting[b] -= 1
            if waiting[b] == 0:
                ready.append(b)
    return rank


def _without_back_edges(children: list[list[int]]) -> list[list[int]]:
    """Drop the edges that lead back to a node still open in a depth-first walk (iterative)."""
    unseen, opened, done = 0, 1, 2
    state = [unseen] * len(children)
    kept: list[list[int]] = [[] for _ in children]
    for root in range(len(children)):
        if state[root] != unseen:
            continue
        state[root] = opened
        stack = [(root, iter(children[root]))]
        while stack:
            node, rest = stack[-1]
            child = next(rest, None)
            if child is None:
                state[node] = done
                stack.pop()
            elif state[child] != opened:
                kept[node].append(child)
                if state[child] == unseen:
                    state[child] = opened
                    stack.append((child, iter(children[child])))
    return kept


def order(rank: Ints, edges: Ints) -> Floats:
    """Place (N,) of each node across its rank, centred on 0, by sweeps of the barycentre rule."""
    count = len(rank)
    levels = [np.flatnonzero(rank == r) for r in range(int(rank.max()) + 1 if count else 0)]
    place = np.zeros(count)
    for level in levels:
        place[level] = np.arange(len(level)) - (len(level) - 1) / 2
    pairs = edges[edges[:, 0] != edges[:, 1]]
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        source, target = (pairs[:, 0], pairs[:, 1]) if downwards else (pairs[:, 1], pairs[:, 0])
        before = rank[source] < rank[target] if downwards else rank[source] > rank[target]
        total = np.bincount(target[before], place[source[before]], count)
        degree = np.bincount(target[before], minlength=count)
        wish = np.where(degree > 0, total / np.maximum(degree, 1), place)
        for level in levels:
            row = level[np.argsort(wish[level], kind="stable")]
            place[row] = np.arange(len(row)) - (len(row) - 1) / 2
    return place


def crossings(rank: Ints, place: Floats, edges: Ints) -> int:
    """Pairs of edges between the same two ranks that cross; the figure of merit of `order`."""
    total = 0
    between = rank[edges[:, 0]] * (len(rank) + 1) + rank[edges[:, 1]]
    for key in np.unique(between):
        pair = edges[between == key]
        top, bottom = place[pair[:, 0]], place[pair[:, 1]]
        turned = (top[:, None] - top) * (bottom[:, None] - bottom)
        total += int((turned < 0).sum()) // 2
    return total


def layered(count: int, edges: Ints) -> Floats:
    """Positions (N, 2) of the nodes: x across a rank, y = rank, both in steps of 1."""
    edges = np.asarray(edges, np.int64).reshape(-1, 2)
    rank = ranks(count, edges)
    return np.stack([order(rank, edges), rank.astype(np.float64)], axis=1)
