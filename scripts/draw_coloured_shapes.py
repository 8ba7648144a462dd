"""Draw the sample of YOLO9000 into assets/: `python -m scripts.draw_coloured_shapes`.

Four objects of which three are between the names of its tree: a disc between red and green, a
triangle between blue and red, a disc with a hole too small for a ring. The same file comes out
each time.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

ASSETS = Path(__file__).parent.parent / "assets"
GROUND, NOISE = (40, 38, 52), 10.0


def main() -> None:
    """Write the picture."""
    at = np.arange(64) + 0.5
    canvas = np.ones((64, 64, 3)) * GROUND
    for x, y, colour in (
        (47, 18, (60, 190, 70)), (16, 17, (160, 185, 60)), (48, 47, (135, 75, 145)),
        (17, 47, (60, 90, 220)),
    ):  # fmt: skip
        dx, dy = at[None, :] - x, at[:, None] - y
        inside = (np.abs(dx) <= 11) & (np.abs(dy) <= 11)
        if x < 32:
            inside = dx**2 + dy**2 <= 11**2
        elif y > 32:
            inside &= np.abs(dx) <= (dy + 11) / 2
        canvas[inside] = colour
        if (x, y) == (17, 47):
            canvas[dx**2 + dy**2 < 3.3**2] = GROUND
    canvas += np.random.RandomState(0).normal(0, NOISE, canvas.shape)
    image = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    cv2.imwrite(str(ASSETS / "shapes-coloured.png"), image[..., ::-1])


if __name__ == "__main__":
    main()
