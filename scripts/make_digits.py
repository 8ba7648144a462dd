"""Write the digits that the small residual networks are trained on, and a sample digit.

    python -m scripts.make_digits

needs scikit-learn (extra ``test``). Makes assets/weights/digits8x8.safetensors (pictures, labels
and the fixed split), assets/digit.png (a test digit, 16 screen pixels a pixel) and
assets/digits.png (three test digits in a row, smoothly enlarged).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits

ASSETS = Path(__file__).resolve().parents[1] / "assets"
TRAIN = 1400
ROW = (34, 12, 2)  # places of the digits in a row
SAMPLE = 1  # place of the sample among the test digits: a 2, which the deep plain network misreads


def main() -> None:
    """Write both files."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    tensors = {
        "images": torch.from_numpy(digits.images).to(torch.uint8),
        "labels": torch.from_numpy(digits.target).to(torch.uint8),
        "train_index": order[:TRAIN].sort().values.to(torch.int16),
        "test_index": order[TRAIN:].sort().values.to(torch.int16),
    }
    path = ASSETS / "weights" / "digits8x8.safetensors"
    save_file(tensors, path)
    path.chmod(0o644)
    levels = digits.images[int(tensors["test_index"][SAMPLE])]
    pixels = np.round(levels * 255 / 16).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    cv2.imwrite(str(ASSETS / "digit.png"), pixels)
    row = [digits.images[int(tensors["test_index"][i])] for i in ROW]
    large = [cv2.resize(one * 255 / 16, (96, 96), interpolation=cv2.INTER_LINEAR) for one in row]
    canvas = np.pad(np.concatenate(large, 1), 8)
    cv2.imwrite(str(ASSETS / "digits.png"), np.round(canvas).astype(np.uint8))
    print(f"digit.png shows a {int(tensors['labels'][tensors['test_index'][SAMPLE].long()])}")


if __name__ == "__main__":
    main()
