"""Our RoIAlign and RoIPool beside torchvision's compiled ones: 1,000 and 10,000 regions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.against_compiled import Case, compare
from benchmarks.line import Effort, Line
from engines.nn.two_stage.roi import roi_align, roi_pool

SIZE = 7
PICTURE = 800
# regions, channels, cells a side of the map: strides 16 and 4 of a picture of 800 px
SHAPES = ((1000, 256, 50), (1000, 256, 200), (10_000, 256, 50))


def measure(effort: Effort) -> Line:
    """The worst ratio; values are the same to 1e-4."""
    return compare("roi-align", cases(effort), effort, tolerance=1e-4, repeats=5)


def cases(effort: Effort) -> Iterator[Case]:
    """Regions of all sizes, 4 points a bin; RoIPool for the first shape only."""
    for k, (count, channels, side) in enumerate(effort.count(SHAPES, ((9, 4, 12),))):
        draw = np.random.default_rng(0)
        maps = draw.standard_normal((1, channels, side, side), dtype=np.float32)
        centres = PICTURE * draw.random((count, 2))
        half = 0.075 * PICTURE * np.exp(0.5 * draw.normal(size=(count, 2)))
        boxes = np.concatenate([centres - half, centres + half], 1).clip(0, PICTURE)
        rois = np.pad(boxes, ((0, 0), (1, 0))).astype(np.float32)
        scale = side / PICTURE
        given = {"maps": maps, "rois": rois, "size": np.array(SIZE), "scale": np.array(scale)}
        values = torch.from_numpy(maps), torch.from_numpy(rois), SIZE, scale
        shape = f"{count} of {channels} × {side} × {side}"
        yield Case(f"align {shape}", "roi_align", given, lambda v=values: roi_align(*v))
        if not k:
            yield Case(f"pool {shape}", "roi_pool", given, lambda v=values: roi_pool(*v))
