"""A tree of words, each group of siblings a question of its own: the WordTree of YOLO9000.

Redmon, Farhadi, "YOLO9000: Better, Faster, Stronger", 2016, section 4. The file is Darknet's: a
line "name parent" for each node, -1 for the parent of a root, every parent above its children and
the children of one parent in one run of lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from explorer.api import EngineError

Indices = npt.NDArray[np.int64]
FORM = "a line is a name and the line number of its parent, counted from 0, or -1 for a root"


@dataclass(frozen=True, eq=False)
class WordTree:
    """Nodes in the order of the file.

    Attributes:
        ids: what the file calls the nodes.
        parents: (N,) index of each node's parent, always below its own; -1 for a root.
        names: for a person; the ids where there are no others.
    """

    ids: tuple[str, ...]
    parents: Indices
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def roots(self) -> Indices:
        """Nodes without a parent."""
        return np.flatnonzero(self.parents < 0)

    @cached_property
    def groups(self) -> Indices:
        """(N,) index of the group of siblings that each node belongs to, from 0, in file order."""
        starts = np.diff(self.parents, prepend=-2) != 0
        return np.cumsum(starts) - 1

    @cached_property
    def starts(self) -> Indices:
        """First node of each group, and N at the end."""
        return np.append(np.flatnonzero(np.diff(self.groups, prepend=-1)), len(self))

    @cached_property
    def depths(self) -> Indices:
        """(N,) number of nodes above each one; 0 for a root."""
        depths = np.zeros(len(self), np.int64)
        for node, parent in enumerate(self.parents.tolist()):
            if parent >= 0:
                depths[node] = depths[parent] + 1
        return depths

    @cached_property
    def leaves(self) -> Indices:
        """Nodes without children."""
        inner = np.zeros(len(self), bool)
        inner[self.parents[self.parents >= 0]] = True
        return np.flatnonzero(~inner)

    @cached_property
    def _children(self) -> dict[int, range]:
        firsts = self.starts[:-1]
        return {
            int(self.parents[a]): range(int(a), int(b))
            for a, b in zip(firsts, self.starts[1:], strict=True)
        }

    def children(self, node: int) -> range:
        """Children of a node, empty for a leaf; those of -1 are the roots."""
        return self._children.get(node, range(0))

    def path(self, node: int) -> list[int]:
        """From the root down to ``node``."""
        found = []
        while node >= 0:
            found.append(node)
            node = int(self.parents[node])
        return found[::-1]

    def subtree(self, node: int) -> list[int]:
        """``node`` and all below it, in file order."""
        found = [node]
        for each in found:  # grows while it is walked
            found.extend(self.children(each))
        return sorted(found)

    def outermost(self, nodes: Sequence[int]) -> list[int]:
        """``nodes`` without those that lie below another of them, so that none counts twice."""
        chosen = set(nodes)
        return [n for n in sorted(chosen) if not chosen & set(self.path(n)[:-1])]

    def find(self, word: str) -> int:
        """The node of a name or id; capitals and space around it do not matter.

        Raises:
            EngineError: there is none; a few that contain the word are named.
        """
        plain = word.strip().lower()
        for words in (self.names, self.ids):
            for node, name in enumerate(words):
                if name.lower() == plain:
                    return node
        near = [n for n in self.names if plain and plain in n.lower()][:5] or list(self.names[:5])
        raise EngineError(f"the tree has no node {word.strip()!r}; it has {', '.join(near)}, ...")

    def words(self) -> str:
        """Its size in one line."""
        return (
            f"{len(self)} nodes, {len(self.roots)} roots, {len(self.leaves)} leaves, "
            f"{len(self.starts) - 1} groups, {int(self.depths.max()) + 1} levels"
        )


def read_tree(path: Path) -> WordTree:
    """Read a tree; a file of the same stem with the suffix .names beside it names the nodes.

    Raises:
        EngineError: the file and line that are wrong, and what is wanted.
    """
    tree = parse_tree(_text(path), path.name)
    beside = path.with_suffix(".names")
    if not beside.is_file():
        return tree
    names = [line.strip() for line in _text(beside).splitlines() if line.strip()]
    if len(names) != len(tree):
        raise EngineError(
            f"{beside.name} names {len(names)} nodes and {path.name} has {len(tree)}; a name a node"
        )
    return WordTree(tree.ids, tree.parents, tuple(names))


def parse_tree(text: str, name: str) -> WordTree:
    """The tree of a file's text; ``name`` is what messages call it.

    Raises:
        EngineError: the line that is wrong, and what is wanted.
    """
    ids: list[str] = []
    parents: list[int] = []
    ended: dict[int, int] = {}  # parent of each finished group, and the line of its last child
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    for node, line in enumerate(lines):
        where = f"{name}, line {node + 1}"
        words = line.split()
        if len(words) != 2:
            raise EngineError(f"{where} is {line[:40]!r}; {FORM}")
        parent = _parent(words[1], node, where)
        if parents and parent != parents[-1]:
            ended[parents[-1]] = node
        if parent in ended:
            raise EngineError(
                f"{where}: siblings stand together, and those of {words[0]} ended in line "
                f"{ended[parent]}; one softmax is over one run of lines"
            )
        ids.append(words[0])
        parents.append(parent)
    if not ids:
        raise EngineError(f"{name} is empty; {FORM}")
    return WordTree(
        tuple(ids), np.array(parents, np.int64), tuple(w.replace("_", " ") for w in ids)
    )


def _parent(word: str, node: int, where: str) -> int:
    try:
        parent = int(word)
    except ValueError:
        raise EngineError(f"{where}: {word[:40]!r} is no line number; {FORM}") from None
    if parent >= node or parent < -1:
        raise EngineError(
            f"{where}: its parent {parent} is not above it (-1 to {node - 1}); {FORM}"
        )
    return parent


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"{path.name} cannot be read as text: {error}; {FORM}") from error
