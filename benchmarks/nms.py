"""Our suppression beside torchvision's compiled one: 1,000 and 10,000 boxes, sparse to crowded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.against_compiled import Case, compare
from benchmarks.line import Effort, Line
from engines.nn.detection.nms import nms

THRESHOLD = 0.5
SIDES = {"sparse": 0.02, "usual": 0.1, "crowded": 0.3}  # of a box, as a share of the picture's


def measure(effort: Effort) -> Line:
    """The worst of six ratios; the boxes kept are the same, in the same order."""
    return compare("nms", cases(effort), effort, tolerance=0, repeats=15)


def cases(effort: Effort) -> Iterator[Case]:
    """Boxes in a picture of 1,000 px."""
    for count in effort.count((1000, 10_000), (50,)):
        for name, side in SIDES.items():
            draw = np.random.default_rng(0)
            centres = 1000 * draw.random((count, 2))
            half = 500 * side * np.exp(0.5 * draw.normal(size=(count, 2)))
            boxes = np.concatenate([centres - half, centres + half], 1).astype(np.float32)
            scores = draw.random(count).astype(np.float32)
            tensors = torch.from_numpy(boxes), torch.from_numpy(scores)
            yield Case(
                f"{count} {name}",
                "nms",
                {"boxes": boxes, "scores": scores, "threshold": np.array(THRESHOLD)},
                lambda t=tensors: nms(*t, THRESHOLD),
            )
