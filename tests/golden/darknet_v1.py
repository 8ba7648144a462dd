"""A small network with a [detection], as cfg and weights in Darknet's own layout.

    python tests/golden/darknet_v1.py

writes darknet_v1.cfg and darknet_v1.weights beside it; 2 boxes, 3 classes, 4 x 4 cells, as the
published yolov1.cfg with a locally connected layer before the last.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CFG = """[net]
width=32
height=32
channels=3

[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[local]
size=3
stride=1
pad=1
filters=3
activation=leaky

[dropout]
probability=.5

[connected]
output=208
activation=linear

[detection]
classes=3
coords=4
rescore=1
side=4
num=2
softmax=0
sqrt=1
"""
# How many numbers a part has, and their spread: bias, scale, mean, variance, weights; then bias and
# weights of the local and the connected layer.
PARTS = ((4, 0.3), (4, 0), (4, 0.3), (4, 0), (4 * 27, 0.3), (3 * 64, 0.3), (64 * 3 * 36, 0.3),
         (208, 0.3), (208 * 192, 0.1))  # fmt: skip


def main() -> None:
    """Write both files."""
    draw = np.random.RandomState(1)
    (HERE / "darknet_v1.cfg").write_text(CFG)
    header = np.array([0, 2, 0], "<i4").tobytes() + np.array([99], "<u8").tobytes()
    parts = [draw.normal(0, s, n) if s else draw.uniform(0.5, 1.5, n) for n, s in PARTS]
    values = np.concatenate(parts).astype("<f4")
    (HERE / "darknet_v1.weights").write_bytes(header + values.tobytes())


if __name__ == "__main__":
    main()
