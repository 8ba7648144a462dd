"""Knobs and pictures of how regions are pooled, shared by the engines with heads on regions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from engines.nn.detection.detections import Candidates, DetectionParams, thinned
from engines.nn.two_stage.rcnn import RCNN, frame
from engines.nn.two_stage.rcnn_stages import Look, look, offered
from engines.nn.two_stage.roi import MultiScaleRoIAlign, align_points, bilinear_weights
from engines.nn.two_stage.roi_pooling import to_network
from engines.nn.two_stage.roi_views import compare
from explorer.api import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Artefact,
    Image,
    ImageInput,
    Preprocess,
    Text,
    knob,
    unprepare,
)  # fmt: skip

MOST = 100  # detections of a picture
LEAST = 0.05  # score from which detections count when they are evaluated
PREPROCESS = Preprocess(mean=IMAGENET_MEAN, std=IMAGENET_STD)


@dataclass(frozen=True)
class PoolingParams:
    """How the heads pool regions, and the box for which both ways are drawn."""

    region: tuple[float, float, float, float] | None = knob(
        None, kind="box", effect="again",
        help="the box for which RoIAlign and RoIPool are compared: drag one on the input; empty: "
        "the traced detection",
    )  # fmt: skip
    bins: int = knob(
        7, low=1, high=28, effect="again", help="bins a side in the comparison of both poolings"
    )
    unit: int = knob(0, low=0, high=255, effect="again", help="the map that is compared")
    pooling: str = knob(
        "as trained", choices=("as trained", "align", "pool"),
        help="how the heads take regions out of the maps; RoIPool rounds boxes to cells",
    )  # fmt: skip
    ratio: int = knob(
        2, low=0, high=4, help="points a side of a bin of RoIAlign; 0: as many as it has cells"
    )
    aligned: bool = knob(
        False, help="RoIAlign counts cells from their edges; the weights here know it without"
    )


def pooling(params: PoolingParams, *, trained: Literal["align", "pool"] = "align") -> (
    Literal["align", "pool"]
):  # fmt: skip
    """How the heads are to pool; ``trained`` is what the weights know."""
    if params.pooling == "as trained":
        return trained
    return "pool" if params.pooling == "pool" else "align"


def seen(
    network: RCNN,
    photo: ImageInput,
    params: DetectionParams,
    names: tuple[str, ...],
    levels: tuple[str, ...],
    device: torch.device,
) -> tuple[Look, Candidates, Tensor]:
    """Both stages on a picture, the candidates, and the rows of those that are left, best first."""
    framed = frame(photo.pixels, network.framing, device)
    made = look(network, framed, network.proposing)
    found = offered(network, made, names, levels)
    return made, found, thinned(found, params, most=MOST).left_rows()


def as_fed(made: Look) -> Image:
    """The picture as the network gets it, without the padding; a box can be dragged on it."""
    height, width = made.framed.size
    return Image(
        "input/as fed", unprepare(made.framed.x[:, :, :height, :width], PREPROCESS),
        affine=made.framed.affine, gestures={"box": "region"},
        note=f"resized to {width} × {height} px; drag a box to compare RoIAlign and RoIPool",
    )  # fmt: skip


def pooled_both_ways(
    made: Look,
    traced: Tensor | None,
    params: PoolingParams,
    pool: MultiScaleRoIAlign,
    strides: Sequence[int],
) -> Iterator[Artefact]:
    """One box by RoIPool and by RoIAlign, on the level of its size.

    Args:
        traced: the box (4,) in input pixels that is taken where a person has drawn none.
    """
    affine = made.framed.affine
    if params.region is not None:
        box = torch.tensor(params.region, device=made.framed.x.device)
    elif traced is not None:
        box = traced
    else:
        return
    inside = to_network(box[None], affine)
    level = int(pool.levels(inside, strides))
    features = made.pyramid.heads[level][0]
    yield from compare(
        "roi", features, inside[0], 1 / strides[level], params.bins, params.ratio,
        aligned=params.aligned, unit=min(params.unit, len(features) - 1), affine=affine,
    )  # fmt: skip
    yield neighbours(inside[0], params, 1 / strides[level], features)


def neighbours(box: Tensor, params: PoolingParams, scale: float, features: Tensor) -> Text:
    """The first point of the middle bin of RoIAlign: its four cells, their weights and values.

    Args:
        box: (4,) in pixels of the network's input. ``scale``: cells of the map (C, h, w) a pixel.
    """
    points = align_points(box, params.bins, scale, params.ratio, aligned=params.aligned)
    middle = params.bins // 2
    first = points[middle, middle].reshape(-1, 2)[:1]
    if not len(first):
        return Text("roi/one point", "The box has no point: it has no area.")
    unit = min(params.unit, len(features) - 1)
    values = features[unit].flatten()
    cells, weights = bilinear_weights(first[:, 1], first[:, 0], *features.shape[1:])
    width = features.shape[2]
    parts = [
        f"{weight:.3f} of {float(values[cell]):+.3f} (row {cell // width}, column {cell % width})"
        for cell, weight in zip(cells[0].tolist(), weights[0].tolist(), strict=True)
    ]
    total = float((values[cells[0]] * weights[0]).sum())
    x, y = first[0].tolist()
    return Text(
        "roi/one point",
        f"Bin {middle}, {middle}, its first point, at column {x:.2f} and row {y:.2f} of the map "
        f"(whole numbers are middles of cells), unit {unit}:\n" + "\n".join(parts)
        + f"\nmakes {total:+.3f}; the bin is the mean of its {points[0, 0].numel() // 2} points.",
    )  # fmt: skip
