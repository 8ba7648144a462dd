"""Golden outputs of MoveNet: `python tests/golden/movenet.py models/movenet-lightning.json`.

Interprets the published graph node by node, as it is written, on a seeded picture; none of our
network's code takes part.
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

SIDE = 192
WANTED = {"conv2d_5": "heat", "conv2d_6": "guess", "conv2d_4": "centre", "conv2d_7": "offset"}


def convolved(node: Node, i: list[Tensor]) -> Tensor:
    """Convolution with TensorFlow's "SAME" padding, bias and activation as the node says."""
    a, (x, kernel) = node.attributes, i[:2]
    stride, x = a["strides"][1], x.permute(0, 3, 1, 2)
    if a["padding"] == "SAME":
        down, across = (
            max((-(-side // stride) - 1) * stride + kernel.shape[0] - side, 0)
            for side in x.shape[2:]
        )
        x = F.pad(x, [across // 2, across - across // 2, down // 2, down - down // 2])
    bias = i[2] if len(i) > 2 else None
    if "Depthwise" in node.op:
        y = F.conv2d(x, kernel.permute(2, 3, 0, 1), bias, stride, groups=kernel.shape[2])
    else:
        y = F.conv2d(x, kernel.permute(3, 2, 0, 1), bias, stride)
    fused = a.get("fused_ops", [])
    y = y.clamp(0, 6) if "Relu6" in fused else y.clamp(min=0) if "Relu" in fused else y
    return y.permute(0, 2, 3, 1)


def computed(node: Node, i: list[Any]) -> Any:
    """One operation on its inputs."""
    a = node.attributes
    if "Conv2" in node.op:
        return convolved(node, i)
    match node.op:
        case "Cast":
            return i[0].float() if a["DstT"] == "DT_FLOAT" else i[0].long()
        case "Unpack":
            return list(i[0].unbind(int(a["axis"])))
        case "Pack":
            return torch.stack([t.long() if not t.is_floating_point() else t for t in i], a["axis"])
        case "ExpandDims":
            return i[0].unsqueeze(int(i[1]))
        case "Squeeze":
            return i[0].squeeze(0)
        case "Sub":
            return i[0] - i[1]
        case "Mul":
            return i[0] * i[1]
        case "AddV2":
            return i[0] + i[1]
        case "RealDiv":
            return i[0] / i[1]
        case "FloorDiv":
            return torch.div(i[0], i[1], rounding_mode="floor")
        case "SquaredDifference":
            return (i[0] - i[1]).square()
        case "Sqrt":
            return i[0].sqrt()
        case "Sigmoid":
            return i[0].sigmoid()
        case "ArgMax":
            return i[0].argmax(int(i[1]))
        case "Reshape":
            return i[0].reshape(i[1].long().tolist())
        case "ResizeBilinear":
            x, size = i[0].permute(0, 3, 1, 2), i[1].long().tolist()
            return F.interpolate(x, size, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
        case "ConcatV2":
            return torch.cat(
                [t.long() if not t.is_floating_point() else t for t in i[:-1]], int(i[-1])
            )
        case "GatherNd":
            return i[0][tuple(i[1].long().unbind(-1))]
        case "Identity":
            return i[0]
    raise NotImplementedError(node.op)


@torch.no_grad()
def main(model: Path) -> None:
    """Write movenet.npz beside this script: heads, and joints as (17, 3) y, x, score."""
    nodes, weights = {node.name: node for node in read_graph(model)}, read_manifest(model)
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (12, 12, 3)).repeat(16, 0).repeat(16, 1)
    memory: dict[str, Any] = {"input": torch.from_numpy(picture[None].astype(np.float32))}

    def value(name: str) -> Any:
        base, _, index = name.partition(":")
        if base not in memory:
            node = nodes[base]
            if node.op == "Const":
                memory[base] = torch.from_numpy(np.array(weights[base].values))
            else:
                memory[base] = computed(node, [value(i) for i in node.inputs])
        made = memory[base]
        return made[int(index or 0)] if isinstance(made, list) else made

    joints = value("Identity")[0, 0].numpy()
    heads = {
        ours: memory[name][0, ::3, ::3].numpy()
        for name in nodes
        for theirs, ours in WANTED.items()
        if name.endswith(f"/{theirs}/BiasAdd")
    }
    np.savez_compressed(
        Path(__file__).with_suffix(".npz"), picture=picture.astype(np.uint8), joints=joints, **heads
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
