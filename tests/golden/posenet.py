"""Golden outputs of PoseNet: `python tests/golden/posenet.py package/models/posenet.json`.

Interprets the published graph node by node on a seeded input, with TensorFlow's rule for "SAME"
padding written out; none of our network's code takes part.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from tfjs import read_graph, read_manifest

SIDE = 193
HEADS = ("heatmap_2", "offset_2", "displacement_fwd_2", "displacement_bwd_2")


def same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Padded so that a side of n becomes ceil(n / stride); the odd pixel is right and below."""
    wanted = [-(-side // stride) for side in x.shape[2:]]
    down, across = (
        max((n - 1) * stride + kernel - side, 0)
        for n, side in zip(wanted, x.shape[2:], strict=True)
    )
    return F.pad(x, [across // 2, across - across // 2, down // 2, down - down // 2])


@torch.no_grad()
def main(model: Path) -> None:
    """Write posenet.npz beside this script."""
    nodes = {node.name: node for node in read_graph(model)}
    weights = read_manifest(model)
    noise = np.random.default_rng(11).standard_normal((1, 3, SIDE, SIDE), np.float32)
    memory: dict[str, Tensor] = {"image": torch.from_numpy(noise)}

    def value(name: str) -> Tensor:
        if name not in memory:
            node = nodes[name]
            x = value(node.inputs[0])
            kernel, bias = (torch.from_numpy(weights[i].values.copy()) for i in node.inputs[1:3])
            stride = node.attributes["strides"][1]
            x = same(x, kernel.shape[0], stride)
            if node.op == "_FusedConv2D":
                x = F.conv2d(x, kernel.permute(3, 2, 0, 1), bias, stride)
            else:
                x = F.conv2d(x, kernel.permute(2, 3, 0, 1), bias, stride, groups=kernel.shape[2])
            if "Relu6" in node.attributes["fused_ops"]:
                x = x.clamp(0, 6)
            memory[name] = x
        return memory[name]

    made = {head: value(f"MobilenetV1/{head}/BiasAdd")[0].numpy() for head in HEADS}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **made)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
