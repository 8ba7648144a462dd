"""Convert the tiny face detector of face-api 1.7.15 to safetensors, in its eight bits.

    npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz
    python scripts/convert_yolo_face.py package/model assets/weights/yolo-v2-face.safetensors

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

from engines.nn.readers import QUANTISED

MANIFEST = "tiny_face_detector_model-weights_manifest.json"


def names() -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Their name, our name, and the axes of theirs in the order of ours."""
    conv, depthwise = (3, 2, 0, 1), (2, 3, 0, 1)  # from (h, w, in, out) and (h, w, in, 1)
    for layer in ("conv0", "conv8"):
        yield f"{layer}/filters", f"{layer}.weight", conv
        yield f"{layer}/bias", f"{layer}.bias", (0,)
    for i in range(1, 6):
        yield f"conv{i}/depthwise_filter", f"conv{i}.depthwise.weight", depthwise
        yield f"conv{i}/pointwise_filter", f"conv{i}.pointwise.weight", conv
        yield f"conv{i}/bias", f"conv{i}.pointwise.bias", (0,)


def converted(weights: dict[str, Weight]) -> dict[str, torch.Tensor]:
    """All tensors of the network under our names."""
    tensors: dict[str, torch.Tensor] = {}
    for theirs, ours, axes in names():
        weight = weights[theirs]
        tensors[ours] = torch.from_numpy(np.array(weight.stored.transpose(axes), order="C"))
        steps = torch.tensor([weight.scale, weight.minimum], dtype=torch.float64)
        tensors[ours + QUANTISED] = steps
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
