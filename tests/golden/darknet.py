"""Golden file of Darknet's layers: what OpenCV 4.8.1 makes of darknet.cfg and seeded weights.

    python3 -m venv cv && cv/bin/pip install opencv-python-headless==4.8.1.78 'numpy<2'
    cv/bin/python tests/golden/darknet.py

writes darknet.weights (a file as Darknet writes it) and darknet.npz (input in [0, 1], output of the
layer before the region, rows of the region: centre, sides, confidence, classes). OpenCV 5 reads no
Darknet files any more. The tests need neither.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
# filters, inputs, kernel, norm; in the order of the cfg
CONVOLUTIONS = (
    (8, 3, 3, 1), (16, 8, 3, 1), (12, 16, 3, 1), (8, 12, 1, 1), (16, 44, 3, 1), (21, 16, 1, 0),
)  # fmt: skip


def write_weights(path: Path, draw: np.random.RandomState) -> None:
    """Header 0.2.0 with 12,345 pictures seen, then each layer."""
    with path.open("wb") as file:
        file.write(np.array([0, 2, 0], "<i4").tobytes() + np.array([12345], "<u8").tobytes())
        for filters, inputs, kernel, norm in CONVOLUTIONS:
            parts = [draw.normal(0, 0.3, filters)]
            if norm:
                parts += [draw.uniform(0.5, 1.5, filters), draw.normal(0, 0.3, filters),
                          draw.uniform(0.3, 2.0, filters)]  # fmt: skip
            fan = inputs * kernel**2
            parts.append(draw.normal(0, (2 / fan) ** 0.5, filters * fan))
            file.write(np.concatenate(parts).astype("<f4").tobytes())


def main() -> None:
    """Write both files."""
    draw = np.random.RandomState(8)
    write_weights(HERE / "darknet.weights", draw)
    x = draw.uniform(0, 1, (1, 3, 64, 96)).astype(np.float32)
    network = cv2.dnn.readNetFromDarknet(str(HERE / "darknet.cfg"), str(HERE / "darknet.weights"))
    network.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    network.setInput(x)
    names = network.getLayerNames()
    before = [name for name in names if name.startswith("conv")][-1]
    output, rows = network.forward([before, names[-1]])
    np.savez_compressed(HERE / "darknet.npz", x=x, output=output, rows=rows)
    print(cv2.__version__, names, output.shape, rows.shape)  # noqa: T201


if __name__ == "__main__":
    main()
