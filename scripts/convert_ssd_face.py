"""Convert the SSD-MobileNetV1 face detector of face-api 1.7.15 to safetensors, in its eight bits.

    npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz
    python scripts/convert_ssd_face.py package/model assets/weights/ssd-face.safetensors

Every number of the published file stays what it is: the bytes are moved, not rounded again.
`engines.nn.readers.eight_bits` reads what this writes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tfjs import Weight, read_manifest

from engines.nn.one_stage.ssd_mobilenet import GRIDS, SIDE, WIDTHS
from engines.nn.readers import QUANTISED

MANIFEST = "ssd_mobilenetv1_model-weights_manifest.json"
NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
XYWH = (1, 0, 3, 2)  # their boxes are y, x, height, width


def names() -> Iterator[tuple[str, str, str]]:
    """Their name, our name, and the layout: conv, depthwise, bias, offsets or offset bias."""
    stem = "MobilenetV1/Conv2d_0_pointwise"
    yield f"{stem}/weights", "stem.1.weight", "conv"
    yield f"{stem}/convolution_bn_offset", "stem.1.bias", "vector"
    for i in range(1, len(WIDTHS)):
        theirs, ours = f"MobilenetV1/Conv2d_{i}", f"trunk.{i - 1}"
        yield f"{theirs}_depthwise/depthwise_weights", f"{ours}.depthwise.weight", "depthwise"
        for name, key in NORM.items():
            yield f"{theirs}_depthwise/BatchNorm/{name}", f"{ours}.norm.{key}", "vector"
        yield f"{theirs}_pointwise/weights", f"{ours}.pointwise.weight", "conv"
        yield f"{theirs}_pointwise/convolution_bn_offset", f"{ours}.pointwise.bias", "vector"
    for i in range(8):
        theirs, ours = (
            f"Prediction/Conv2d_{i}_pointwise",
            f"extra.{i // 2}.{('narrow', 'conv')[i % 2]}",
        )
        yield f"{theirs}/weights", f"{ours}.weight", "conv"
        yield f"{theirs}/convolution_bn_offset", f"{ours}.bias", "vector"
    for i in range(len(GRIDS)):
        theirs, ours = f"Prediction/BoxPredictor_{i}", f"predictors.{i}"
        yield f"{theirs}/ClassPredictor/weights", f"{ours}.scores.weight", "conv"
        yield f"{theirs}/ClassPredictor/biases", f"{ours}.scores.bias", "vector"
        yield f"{theirs}/BoxEncodingPredictor/weights", f"{ours}.offsets.weight", "box conv"
        yield f"{theirs}/BoxEncodingPredictor/biases", f"{ours}.offsets.bias", "box vector"


def turned(values: np.ndarray, layout: str) -> np.ndarray:
    """Kernels from (h, w, in, out) to (out, in, h, w), depthwise ones from (h, w, in, 1) to
    (in, 1, h, w); the four numbers of a box from y, x, h, w to x, y, w, h."""
    if layout.startswith("box"):
        values = values.reshape(*values.shape[:-1], -1, 4)[..., XYWH].reshape(values.shape)
    if layout.endswith("conv"):
        return values.transpose(3, 2, 0, 1)
    return values.transpose(2, 3, 0, 1) if layout == "depthwise" else values


def converted(weights: dict[str, Weight]) -> dict[str, torch.Tensor]:
    """All tensors of the network under our names."""
    tensors: dict[str, torch.Tensor] = {}
    for theirs, ours, layout in names():
        weight = weights[theirs]
        stored = np.array(turned(weight.stored, layout), order="C")
        tensors[ours] = torch.from_numpy(stored)
        if weight.scale is not None:
            steps = torch.tensor([weight.scale, weight.minimum], dtype=torch.float64)
            tensors[ours + QUANTISED] = steps
    anchors = weights["Output/extra_dim"].values[0][:, XYWH]  # y1, x1, y2, x2, shares of the side
    tensors["priors"] = torch.from_numpy(np.ascontiguousarray(anchors * np.float32(SIDE)))
    return tensors


def main() -> None:
    """Read the published files and write ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help=f"where {MANIFEST} is")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    tensors = converted(read_manifest(given.folder / MANIFEST))
    save_file(tensors, given.out)
    count = sum(t.numel() for name, t in tensors.items() if not name.endswith(QUANTISED))
    sys.stdout.write(f"{given.out}: {count} numbers, {given.out.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
