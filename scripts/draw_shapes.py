"""Draw the sample scenes of the small detectors into assets/: pictures and their annotations.

    python -m scripts.draw_shapes

The scenes are held-out ones, with fixed seeds: the same files come out each time.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2

from engines.nn.detection.coco import annotations_of
from engines.nn.detection.shapes import HELD_OUT, NAMES, scene

ASSETS = Path(__file__).parent.parent / "assets"
SCENES = {"shapes.png": (13, False), "shapes-hard.png": (10, True)}


def main() -> None:
    """Write two pictures and shapes.json."""
    drawn = {file: scene(HELD_OUT + seed, hard=hard) for file, (seed, hard) in SCENES.items()}
    for file, held in drawn.items():
        cv2.imwrite(str(ASSETS / file), held.image[..., ::-1])
    text = json.dumps(annotations_of(drawn, NAMES))
    (ASSETS / "shapes.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
