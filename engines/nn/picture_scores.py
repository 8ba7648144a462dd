"""How near two pictures are: PSNR and SSIM.

Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", 2004; with the square window that scikit-image takes unless told otherwise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WINDOW = 7  # pixels
K1, K2 = 0.01, 0.03
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def psnr(a: Bytes, b: Bytes) -> float:
    """Peak signal-to-noise ratio in dB of two pictures of one shape; infinite where equal."""
    error = float(np.square(a.astype(np.float64) - b).mean())
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def ssim(a: Bytes, b: Bytes) -> float:
    """Structural similarity of two pictures (H, W, 3), sides at least 7, in [-1, 1].

    Mean over the windows that lie within the picture and over the channels.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    mx, my = _mean(x), _mean(y)
    count = WINDOW * WINDOW
    unbiased = count / (count - 1)
    vx = unbiased * (_mean(x * x) - mx * mx)
    vy = unbiased * (_mean(y * y) - my * my)
    vxy = unbiased * (_mean(x * y) - mx * my)
    c1, c2 = (K1 * 255) ** 2, (K2 * 255) ** 2
    found = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(found.mean())


def _mean(x: Floats) -> Floats:
    """Means (H - 6, W - 6, 3) of all windows, by sums of sums."""
    total = np.zeros((x.shape[0] + 1, x.shape[1] + 1, *x.shape[2:]))
    total[1:, 1:] = x.cumsum(0).cumsum(1)
    w = WINDOW
    inside = total[w:, w:] - total[:-w, w:] - total[w:, :-w] + total[:-w, :-w]
    return np.asarray(inside / (w * w))
