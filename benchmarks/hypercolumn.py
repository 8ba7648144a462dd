"""One pixel through five layers of VGG-16 at 224 px, and how like it every other pixel is."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.line import Effort, Line
from benchmarks.timing import clock, clock_name, median
from engines.nn.vgg import VGG
from explorer.core.studies.hypercolumns import (
    Hypercolumns,
    Raster,
    even_scales,
    hypercolumn,
    similarity,
)
from explorer.kinds import Affine

LAYERS = (3, 8, 15, 22, 29)  # the last ReLU of each block
PIXEL_GOAL, MAP_GOAL = 1.0, 30.0  # ms
AT = (100.5, 50.5)


def measure(effort: Effort) -> Line:
    """The worse of both figures as a share of its goal; the figures themselves under detail.

    ``map_ms`` is the first map after a forward pass, with all that is computed once for a picture;
    ``moved_ms`` a further one, with the cursor elsewhere.
    """
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))  # as under the window
    side = effort.count(224, 32)
    maps, affines = _layers(side, effort.device)
    raster = Raster(side, side, Affine())
    count = effort.count(41, 2)
    fresh = Hypercolumns(maps, affines, raster, even_scales(maps))
    similarity(fresh, fresh.at(*AT))
    pixel = _median_ms(lambda: hypercolumn(maps, affines, *AT), count, effort)
    first = _median_ms(
        lambda: _similar(Hypercolumns(maps, affines, raster, even_scales(maps))), count, effort
    )
    moved = _median_ms(lambda: _similar(fresh), count, effort)
    stack = _median_ms(lambda: _by_stack(maps, side), effort.count(5, 1), effort)
    return Line(
        "hypercolumn", max(pixel / PIXEL_GOAL, first / MAP_GOAL), "of the goal", "<= 1",
        peer={"map by an up-sampled stack": stack / MAP_GOAL},
        detail={
            "pixel_ms": round(pixel, 3), "pixel_goal_ms": PIXEL_GOAL,
            "map_ms": round(first, 2), "map_goal_ms": MAP_GOAL, "moved_ms": round(moved, 2),
            "stack_ms": round(stack, 1), "values": sum(len(m) for m in maps), "side_px": side,
            "clock": clock_name(effort.device), "threads": torch.get_num_threads(),
        },
    )  # fmt: skip


def _similar(columns: Hypercolumns) -> Tensor:
    return similarity(columns, columns.at(*AT))


def _by_stack(maps: list[Tensor], side: int) -> Tensor:
    """The plain way: every layer at full size, one cosine a pixel."""
    full = torch.cat([F.interpolate(m[None], (side, side), mode="bilinear") for m in maps], 1)
    x, y = (int(v * side / 224) for v in AT)
    return F.cosine_similarity(full, full[:, :, y, x][..., None, None])


def _layers(side: int, device: str) -> tuple[list[Tensor], list[Affine]]:
    """Five layers of a pass of VGG-16 with random weights."""
    network = VGG(16, head=False).eval().to(device)
    kept: list[Tensor] = []
    with torch.no_grad():
        network.features(
            torch.rand(1, 3, side, side, device=device),
            watch=lambda i, x: kept.append(x[0]) if i in LAYERS else None,
        )
    return kept, [Affine(side / m.shape[2], side / m.shape[1]) for m in kept]


def _median_ms(work: Callable[[], object], count: int, effort: Effort) -> float:
    now, spent = clock(effort.device), []
    work()
    for _ in range(count):
        begun = now()
        work()
        spent.append(now() - begun)
    return 1e3 * median(spent)
