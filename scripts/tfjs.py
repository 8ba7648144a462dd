"""Weights of TensorFlow.js models: a manifest in JSON beside files of raw numbers.

A manifest is a list of groups; the files of a group, joined, hold its weights one after another. It
stands alone or under ``weightsManifest`` of a graph model's JSON.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Weight:
    """One tensor as it is stored, in the layout of TensorFlow (kernels are h, w, in, out).

    Attributes:
        stored: the numbers in the file, of its type (uint8, uint16, float16 or the weight's own).
        scale, minimum: a quantised weight is ``stored * scale + minimum``; None: it is not.
    """

    stored: Array
    scale: float | None = None
    minimum: float | None = None

    @property
    def values(self) -> Array:
        """The numbers that the network computes with, float32 (integers stay integers)."""
        if self.scale is not None and self.minimum is not None:
            return (self.stored * self.scale + self.minimum).astype(np.float32)
        return self.stored.astype(np.float32) if self.stored.dtype.kind == "f" else self.stored


def read_manifest(path: Path) -> dict[str, Weight]:
    """All weights of a manifest, or of a graph model, by name.

    Raises:
        ValueError: a file is shorter or longer than what its manifest says.
    """
    groups = json.loads(path.read_text("utf-8"))
    if isinstance(groups, dict):
        groups = groups["weightsManifest"]
    found: dict[str, Weight] = {}
    for group in groups:
        raw = b"".join((path.parent / name).read_bytes() for name in group["paths"])
        at = 0
        for entry in group["weights"]:
            weight = _weight(entry, raw, at)
            found[entry["name"]] = weight
            at += weight.stored.nbytes
        if at != len(raw):
            raise ValueError(f"{path.name}: {len(raw)} bytes of weights, {at} in its list")
    return found


def _weight(entry: dict[str, Any], raw: bytes, at: int) -> Weight:
    how = entry.get("quantization") or {}
    kind = np.dtype(how.get("dtype", entry["dtype"]))
    count = int(np.prod(entry["shape"], dtype=np.int64))
    if at + count * kind.itemsize > len(raw):
        raise ValueError(f"{entry['name']}: the file ends within its values")
    stored = np.frombuffer(raw, kind, count, at).reshape(entry["shape"])
    return Weight(stored, how.get("scale"), how.get("min"))


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a graph model; ``attributes`` are plain Python values.

    Of ``inputs`` those that only say what has to run before are left out.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]


def read_graph(path: Path) -> list[Node]:
    """The operations of a graph model, as the file orders them (not by dependence)."""
    nodes = json.loads(path.read_text("utf-8"))["modelTopology"]["node"]
    return [
        Node(
            node["name"], node["op"],
            tuple(name for name in node.get("input", ()) if not name.startswith("^")),
            {name: _plain(value) for name, value in node.get("attr", {}).items()},
        )
        for node in nodes
    ]  # fmt: skip


def _plain(value: dict[str, Any]) -> Any:
    """An attribute: texts are in base 64, integers are written as texts."""
    ((kind, content),) = value.items()
    if kind == "list":
        return [_plain({k: v}) for k, several in content.items() for v in several]
    if kind == "s":
        return base64.b64decode(content).decode("latin-1")
    return int(content) if kind == "i" else content
