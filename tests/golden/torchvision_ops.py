"""Golden files of the shared parts of detectors: what torchvision's compiled kernels make of them.

Run with a Python that has torchvision: ``python3 tests/golden/torchvision_ops.py`` writes
``ops-NAME.npz`` beside this file, inputs and outputs. The tests need no torchvision.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NMS_COUNTS = (1, 2, 7, 100, 1000)
THRESHOLDS = (0.0, 0.3, 0.45, 0.5, 0.7, 1.0)
POOLING = ((1, 1.0), (2, 0.5), (7, 0.25), (7, 0.0625), (9, 0.5))  # bins a side, scale
RATIOS = (0, 1, 2, 4)  # points a side of a bin
ODD = ((25, 37), (13, 19), (7, 10))  # maps whose sides are no halves of each other


def file(name: str) -> Path:
    """Where the golden values of one operation stand."""
    return Path(__file__).with_name(f"ops-{name}.npz")


def boxes(count: int, seed: int, side: float = 100.0, grid: float = 0.0) -> np.ndarray:
    """Boxes (count, 4), float32, some of them beyond the picture of this side.

    Args:
        grid: corners are multiples of it, so that IoUs meet thresholds exactly.
    """
    draw = np.random.default_rng(seed)
    centres = draw.random((count, 2)) * side
    half = np.exp(draw.normal(size=(count, 2)) * 0.6) * 0.12 * side
    found = np.concatenate([centres - half, centres + half], 1)
    if grid:
        found = np.round(found / grid) * grid
    return found.astype(np.float32)


def bad_boxes() -> np.ndarray:
    """A point, a line, a box twice, one with its ends swapped, and one far away, float32."""
    return np.array(
        [
            [5, 5, 5, 5], [5, 5, 25, 5], [10, 10, 30, 30], [10, 10, 30, 30], [30, 30, 10, 10],
            [5, 5, 5, 5], [900, 900, 950, 950], [0, 0, 40, 40], [-20, -20, -3, -3],
        ],
        np.float32,
    )  # fmt: skip


def regions(seed: int, side: float = 64.0) -> np.ndarray:
    """Regions (R, 5) of two maps: inside, hanging over, outside, without area, swapped, tiny."""
    draw = np.random.default_rng(seed)
    inside = draw.random((13, 4)) * side
    inside = np.concatenate(
        [np.minimum(inside[:, :2], inside[:, 2:]), np.maximum(inside[:, :2], inside[:, 2:])], 1
    )
    odd = np.array(
        [
            [-10, -6, 20, 15], [50, 40, 90, 75], [-9, -9, 90, 90], [70, 70, 90, 90],
            [-30, 5, -12, 20], [8, 8, 8, 8], [3, 9, 3, 30], [30, 20, 10, 5], [7.5, 7.5, 8.5, 8.5],
            [0.4, 0.4, 0.9, 0.9], [1.5, 2.5, 10.5, 11.5], [0, 0, 64, 64], [62.5, 62.5, 64, 64],
        ]
    )  # fmt: skip
    found = np.concatenate([inside, odd])
    return np.concatenate([np.arange(len(found))[:, None] % 2, found], 1).astype(np.float32)


def maps(seed: int, *shape: int) -> np.ndarray:
    """Values of feature maps, float32, none of them alike."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def nms() -> dict[str, np.ndarray]:
    """Kept indices of plain and of batched suppression."""
    import torch
    from torchvision.ops import batched_nms, nms

    stored: dict[str, Any] = {}
    cases = {f"{n}": boxes(n, n) for n in NMS_COUNTS}
    cases |= {"grid": boxes(400, 3, grid=5.0), "bad": bad_boxes(), "none": np.zeros((0, 4), "f4")}
    cases["heap"] = boxes(1, 4) + boxes(1000, 5, side=4.0)  # a thousand on one spot
    for name, corners in cases.items():
        draw = np.random.default_rng(len(corners))
        scores = draw.permutation(len(corners)).astype(np.float32) / max(1, len(corners))
        if name == "grid":
            scores = np.floor(scores * 20) / 20  # ties: the first of them goes first
        labels = draw.integers(0, 5, len(corners))
        stored |= {f"{name}-boxes": corners, f"{name}-scores": scores, f"{name}-labels": labels}
        given = torch.from_numpy(corners), torch.from_numpy(scores)
        for threshold in THRESHOLDS:
            stored[f"{name}-nms-{threshold}"] = nms(*given, threshold).numpy()
            stored[f"{name}-batched-{threshold}"] = batched_nms(
                *given, torch.from_numpy(labels), threshold
            ).numpy()
    return stored


def pooling() -> dict[str, np.ndarray]:
    """RoIPool and RoIAlign, with the gradient of a weighted sum by the maps."""
    import torch
    from torchvision.ops import roi_align, roi_pool

    rois = regions(0)
    stored: dict[str, Any] = {"rois": rois}
    for size, scale in POOLING:
        side = max(4, round(64 * scale))
        x = maps(size, 2, 2, side, side + 3)
        stored[f"maps-{size}-{scale}"] = x
        cases: dict[str, Callable[[Any], Any]] = {
            "pool": lambda t, n=size, s=scale: roi_pool(t, torch.from_numpy(rois), n, s)
        }
        for ratio in RATIOS:
            for aligned in (False, True):
                cases[f"align-{ratio}-{aligned}"] = lambda t, n=size, s=scale, r=ratio, a=aligned: (
                    roi_align(t, torch.from_numpy(rois), n, s, r, a)
                )
        for name, case in cases.items():
            leaf = torch.from_numpy(x).requires_grad_()
            found = case(leaf)
            weights = torch.linspace(-1, 1, found.numel()).view_as(found)
            (found * weights).sum().backward()
            stored[f"{name}-{size}-{scale}"] = found.detach().numpy()
            if name == "pool" or name.startswith("align-2"):
                stored[f"gradient-{name}-{size}-{scale}"] = leaf.grad.numpy()
    return stored


def coding() -> dict[str, np.ndarray]:
    """Box coding with both sets of weights, IoU, clipping, and small boxes."""
    import torch
    from torchvision.models.detection._utils import BoxCoder
    from torchvision.ops import box_area, box_iou, clip_boxes_to_image, remove_small_boxes

    truth, reference = boxes(60, 1), boxes(60, 2)
    deltas = maps(3, 60, 4) * np.float32(3)  # some beyond the limit
    t, r, d = (torch.from_numpy(a) for a in (truth, reference, deltas))
    stored = {"truth": truth, "reference": reference, "deltas": deltas}
    for name, weights in (("rpn", (1.0,) * 4), ("head", (10.0, 10.0, 5.0, 5.0))):
        coder = BoxCoder(weights)
        stored[f"encoded-{name}"] = coder.encode_single(t, r).numpy()
        stored[f"decoded-{name}"] = coder.decode_single(d, r).numpy()
    stored |= {
        "area": box_area(t).numpy(),
        "iou": box_iou(t, r).numpy(),
        "clipped": clip_boxes_to_image(t, (80, 90)).numpy(),
        "large": remove_small_boxes(clip_boxes_to_image(t, (80, 90)), 12.0).numpy(),
    }
    return stored


def references() -> dict[str, np.ndarray]:
    """Anchors of the pyramid and of one map, and the default boxes of SSD300."""
    import torch
    from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
    from torchvision.models.detection.image_list import ImageList

    def made(generator: Any, image: tuple[int, int], grids: list[tuple[int, int]]) -> np.ndarray:
        images = ImageList(torch.zeros(1, 3, *image), [image])
        return generator(images, [torch.zeros(1, 1, *grid) for grid in grids])[0].numpy()

    pyramid = AnchorGenerator(tuple((s,) for s in (32, 64, 128, 256, 512)), ((0.5, 1.0, 2.0),) * 5)
    whole = made(pyramid, (800, 800), [(200, 200), (100, 100), (50, 50), (25, 25), (13, 13)])
    ratios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
    maps300 = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]
    ssd = DefaultBoxGenerator(
        ratios, scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05], steps=[8, 16, 32, 64, 100, 300]
    )
    stepless = DefaultBoxGenerator([[2], [2, 3]], scales=[0.2, 0.6, 1.3], clip=False)
    single = AnchorGenerator(((16, 48, 100),), ((0.3, 1.0, 1.7),))
    return {
        "pyramid-count": np.array(len(whole)),
        "pyramid": whole[::101],
        "odd": made(pyramid, (96, 160), [(24, 40), (12, 20), (6, 10), (3, 5), (2, 3)]),
        "cells": np.concatenate([cell.numpy() for cell in pyramid.cell_anchors]),
        "single": made(single, (70, 100), [(5, 7)]),
        "ssd": made(ssd, (300, 300), maps300),
        "stepless": made(stepless, (40, 60), [(4, 6), (3, 2)]),
    }


def pyramid() -> dict[str, np.ndarray]:
    """`FeaturePyramidNetwork` on maps with odd sides, and `MultiScaleRoIAlign` over its levels."""
    import torch
    from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
    from torchvision.ops.poolers import LevelMapper

    widths = (6, 10, 14)
    network = FeaturePyramidNetwork(list(widths), 8, LastLevelMaxPool())
    stored: dict[str, Any] = {}
    for i, (name, value) in enumerate(network.state_dict().items()):
        stored[f"state-{name}"] = 0.2 * maps(i, *value.shape)
    network.load_state_dict({k[6:]: torch.from_numpy(v) for k, v in stored.items()})
    given = [maps(50 + i, 2, c, *size) for i, (c, size) in enumerate(zip(widths, ODD, strict=True))]
    with torch.no_grad():
        levels = network(OrderedDict((str(i), torch.from_numpy(x)) for i, x in enumerate(given)))
    stored |= {f"map{i}": x for i, x in enumerate(given)}
    stored |= {f"level{i}": x.numpy() for i, x in enumerate(levels.values())}

    sides = ((64, 96), (32, 48), (16, 24), (8, 12))  # strides 4 to 32 of a picture of 256 x 384
    whole = OrderedDict(
        (str(i), torch.from_numpy(maps(80 + i, 2, 2, *s))) for i, s in enumerate(sides)
    )
    first, second = boxes(40, 90, 380.0), np.concatenate([boxes(30, 91, 250.0), bad_boxes()])
    first, second = (np.clip(b, 0, (384, 256, 384, 256)).astype("f4") for b in (first, second))
    stored |= {f"whole{i}": x.numpy() for i, x in enumerate(whole.values())}
    stored |= {"first": first, "second": second}
    both = [torch.from_numpy(first), torch.from_numpy(second)]
    for name, how in (("7-224", (7, 2, 224, 4)), ("5-60", (5, 2, 60, 3))):
        size, ratio, canonical, level = how
        pool = MultiScaleRoIAlign(
            list(whole), size, ratio, canonical_scale=canonical, canonical_level=level
        )
        stored[f"pooled-{name}"] = pool(whole, both, [(256, 384)] * 2).numpy()
        mapper = LevelMapper(2, 5, canonical, level)
        stored[f"levels-{name}"] = mapper(both).numpy() + 2
    return stored


def heads() -> dict[str, np.ndarray]:
    """Masks pasted into a picture, and keypoints found in their maps, for boxes of all sorts."""
    import torch
    from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, paste_masks_in_image

    corners = np.array(
        [
            [10, 12, 40, 50], [10.2, 11.7, 39.4, 52.8], [0, 0, 95, 70], [80.5, 60.25, 95, 70],
            [0, 20.5, 3.2, 24.9], [50.1, 30.4, 50.9, 31.1], [7, 5, 90, 6.5], [44, 1, 47, 69],
        ],
        np.float32,
    )  # fmt: skip
    stored: dict[str, Any] = {"boxes": corners}
    for side in (14, 28):
        masks = 1 / (1 + np.exp(-3 * maps(side, len(corners), 1, side, side)))
        stored[f"masks-{side}"] = masks
        given = torch.from_numpy(masks), torch.from_numpy(corners)
        stored[f"pasted-{side}"] = paste_masks_in_image(*given, (70, 95))[:, 0].numpy()
    logits = maps(3, len(corners), 4, 28, 28)
    points, scores = heatmaps_to_keypoints(torch.from_numpy(logits), torch.from_numpy(corners))
    return stored | {"logits": logits, "points": points.numpy(), "scores": scores.numpy()}


def main() -> None:
    """Write the six files and say how large they are."""
    import torch
    import torchvision

    torch.set_num_threads(1)
    for made in (nms, pooling, coding, references, pyramid, heads):
        path = file(made.__name__)
        np.savez_compressed(
            path, torchvision=torchvision.__version__, torch=torch.__version__, **made()
        )
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
