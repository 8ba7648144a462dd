"""Golden outputs of NanoDet: `python tests/golden/nanodet.py package/models/nanodet.json`.

Interprets the published graph node by node, as it is written, on a seeded input; none of our
network's code takes part. `scripts/convert_nanodet.py` tells where the file comes from.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from tfjs import Node, read_graph, read_manifest

STEP = 17  # every so manieth cell is kept
OUTPUTS = ("Identity", "Identity_1", "Identity_2", "Identity_3", "Identity_4", "Identity_5")


def first(x: Tensor) -> Tensor:
    """Channels to the front."""
    return x.permute(0, 3, 1, 2)


def last(x: Tensor) -> Tensor:
    """Channels to the back."""
    return x.permute(0, 2, 3, 1)


def padding(amounts: Tensor) -> list[int]:
    """TensorFlow's pairs an axis, as torch wants them."""
    return [int(v) for pair in amounts.tolist()[::-1] for v in pair]


def computed(node: Node, i: list[Any]) -> Any:
    """One operation on its inputs."""
    a = node.attributes
    match node.op:
        case "Pad":
            return F.pad(i[0], padding(i[1]))
        case "PadV2":
            return F.pad(i[0], padding(i[1]), value=float(i[2]))
        case "Transpose":
            return i[0].permute(*i[1].tolist())
        case "Conv2D":
            return last(F.conv2d(first(i[0]), i[1].permute(3, 2, 0, 1), stride=a["strides"][1]))
        case "Add" | "AddV2":
            return i[0] + i[1]
        case "LeakyRelu":
            return F.leaky_relu(i[0], a["alpha"])
        case "MaxPool":
            return last(F.max_pool2d(first(i[0]), a["ksize"][1], a["strides"][1]))
        case "ConcatV2":
            return torch.cat(i[:-1], int(i[-1]))
        case "ResizeBilinear":
            size = i[1].tolist()
            return last(F.interpolate(first(i[0]), size, mode="bilinear", align_corners=False))
        case "SplitV":
            return list(torch.split(i[0], i[1].tolist(), int(i[2])))
        case "Sigmoid":
            return i[0].sigmoid()
        case "Reshape":
            return i[0].reshape(i[1].long().tolist())
        case "Identity":
            return i[0]
        case "SparseToDense":  # zeros, added to the shapes
            return torch.zeros(i[1].tolist(), dtype=torch.int32)
    raise NotImplementedError(node.op)


def interpreted(model: Path, x: Tensor) -> list[Tensor]:
    """All outputs of the graph."""
    nodes = {node.name: node for node in read_graph(model)}
    weights = read_manifest(model)
    memory: dict[str, Any] = {}

    def value(name: str) -> Any:
        base, _, index = name.partition(":")
        if base not in memory:
            node = nodes[base]
            if node.op == "Const":
                memory[base] = torch.from_numpy(np.array(weights[base].values))
            elif node.op == "Placeholder":
                memory[base] = x
            else:
                memory[base] = computed(node, [value(i) for i in node.inputs])
        made = memory[base]
        return made[int(index or 0)] if isinstance(made, list) else made

    return [value(name) for name in OUTPUTS]


@torch.no_grad()
def main(model: Path) -> None:
    """Write nanodet.npz beside this script."""
    x = np.random.default_rng(5).standard_normal((1, 3, 416, 416), np.float32)
    out = interpreted(model, torch.from_numpy(x))
    scores, sides = (torch.cat([o[0] for o in part])[::STEP] for part in (out[:3], out[3:]))
    np.savez_compressed(
        Path(__file__).with_suffix(".npz"), scores=scores.numpy(), sides=sides.numpy()
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
