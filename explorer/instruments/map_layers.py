"""Which layers an instrument over maps looks at, and where their cells lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from explorer.core.geometry import Place
from explorer.core.layers import Layer
from explorer.core.studies.hypercolumns import Raster
from explorer.inputs import ImageInput, Inputs
from explorer.kinds import Affine

FEW = 8  # units; what has fewer is a picture or an edge map, and taken only for want of better


def chosen_layers(names: str, count: int, layers: Sequence[Layer]) -> tuple[str, ...]:
    """The layers named, with commas between; without names one of each size, finest first.

    Sizes are told apart by halving. Of each, the last module of the outermost depth is taken: a
    stage's end rather than something within a block.
    """
    asked = [name.strip() for name in names.split(",") if name.strip()]
    maps = [la for la in layers if la.shape is not None and len(la.shape) == 4]
    if asked:
        return tuple(name for name in asked if name in {la.name for la in layers})
    spread = [la for la in maps if la.shape and la.shape[2] * la.shape[3] >= 4]
    rich = [la for la in spread if la.shape and la.shape[1] >= FEW] or spread
    by_size: dict[int, Layer] = {}
    for layer in rich:
        assert layer.shape is not None
        size = round(math.log2(layer.shape[2] * layer.shape[3]) / 2)
        best = by_size.get(size)
        if best is None or layer.depth <= best.depth:
            by_size[size] = layer
    return tuple(by_size[size].name for size in sorted(by_size, reverse=True)[:count])


def maps_of(tensor: Tensor) -> Tensor | None:
    """A layer's first sample as maps (C, h, w); a vector is one cell; None for other shapes."""
    if tensor.ndim == 4:
        return tensor[0]
    if tensor.ndim == 2:
        return tensor[0][:, None, None]
    return None


def placed_maps(
    tensors: Mapping[str, Tensor], places: Mapping[str, Place], picture: tuple[int, int] | None
) -> dict[str, tuple[Tensor, Place]]:
    """Maps and where they lie, in the order of ``tensors``.

    Where nothing is known of a way, the map is laid over the ``picture`` (height, width), or over
    the finest map when there is none, and marked approximate.
    """
    found = {name: maps for name, t in tensors.items() if (maps := maps_of(t)) is not None}
    if not found:
        return {}
    finest = max(found.values(), key=lambda m: m[0].numel())
    height, width = picture or (int(finest.shape[1]), int(finest.shape[2]))

    def guessed(maps: Tensor) -> Place:
        affine = Affine(width / maps.shape[2], height / maps.shape[1], approximate=True)
        return Place(affine, None)

    return {name: (maps, places.get(name) or guessed(maps)) for name, maps in found.items()}


def raster_over(
    maps: Mapping[str, tuple[Tensor, Place]], picture: tuple[int, int] | None, side: int
) -> Raster:
    """What the finest map covers of the picture (height, width), ``side`` pixels at the longer."""
    finest, place = max(maps.values(), key=lambda pair: pair[0][0].numel())
    x1, y1 = place.affine.to_input(0, 0)
    x2, y2 = place.affine.to_input(float(finest.shape[2]), float(finest.shape[1]))
    if picture is not None:
        x1, y1 = max(0.0, x1), max(0.0, y1)
        x2, y2 = min(float(picture[1]), x2), min(float(picture[0]), y2)
    across, down = max(x2 - x1, 1e-6), max(y2 - y1, 1e-6)
    width = max(1, round(side * min(1.0, across / down)))
    height = max(1, round(side * min(1.0, down / across)))
    return Raster(height, width, Affine(across / width, down / height, x1, y1))


def picture_of(inputs: Inputs) -> ImageInput | None:
    """The first picture among the inputs."""
    return next((value for value in inputs.values() if isinstance(value, ImageInput)), None)
