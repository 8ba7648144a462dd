"""Golden outputs of the 26-style network: `python tests/golden/multistyle.py MODEL.onnx`.

Runs the published ONNX file in onnxruntime on a seeded picture, with single styles and a mixture.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime


def main(model: Path) -> None:
    """Write multistyle.npz beside this script."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(7)
    small = rng.random((1, 3, 6, 8), np.float32)
    image = small.repeat(8, 2).repeat(8, 3) * 0.8 + 0.2 * rng.random((1, 3, 48, 64), np.float32)
    mixes = np.zeros((4, 26), np.float32)
    for row, style in enumerate((0, 7, 19)):
        mixes[row, style] = 1.0
    mixes[3, [3, 12, 25]] = 0.5, 0.3, 0.2
    outputs = [session.run(None, {"image": image, "style_weights": mix})[0][0] for mix in mixes]
    np.savez_compressed(
        Path(__file__).with_suffix(".npz"), image=image.astype(np.float32), mixes=mixes,
        outputs=np.stack(outputs), version=onnxruntime.__version__,
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
