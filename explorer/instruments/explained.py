"""What the studies of a unit have in common: passes of an engine, and the number to explain."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch

from explorer.core.instruments import Bench
from explorer.core.layers import Layer
from explorer.core.studies.rectifiers import Readable
from explorer.core.studies.tracing import AttributionError, Over, Pass, Target
from explorer.instruments.map_layers import chosen_layers
from explorer.kinds import Boxes, Scores

CLICK = "Click a unit in the maps of a layer."


def layer_of(name: str, layers: Sequence[Layer]) -> str:
    """The layer named, or the coarsest one of maps while none is chosen."""
    if name:
        return name if any(la.name == name for la in layers) else ""
    return next(reversed(chosen_layers("", 8, layers)), "")


def passes(bench: Bench) -> Pass:
    """A pass of the engine on the present inputs, with tensors that numpy may read."""

    def run() -> None:
        with Readable():
            deque(bench.engine_pass(), maxlen=0)

    return run


def unit_target(bench: Bench, layer: str, unit: int, over: Over) -> Target:
    """A unit of a layer at its last call, as far as the calls of a pass are known.

    Raises:
        AttributionError: no layer is chosen, or it is none of this network.
    """
    if not layer:
        raise AttributionError(f"no layer is chosen. {CLICK}")
    known = next((la for la in bench.layers if la.name == layer), None)
    return Target(layer, unit, over=over, call=known.calls - 1 if known and known.calls else -1)


def predicted_target(bench: Bench, index: int | None) -> tuple[Target, str]:
    """What the engine itself names as its prediction, and its words for it.

    Scores name a point and a class; ``index`` is another class. Boxes name a point and the column
    of their score; ``index`` is another box than the best, and its source the row (the anchor or
    proposal that it came from).

    Raises:
        AttributionError: no artefact of the engine has a target, or there is no such box.
    """
    with torch.no_grad():
        named = [a for a in bench.engine_pass() if a.target is not None]
    scores = [a for a in named if isinstance(a, Scores)] or named
    if not scores or scores[-1].target is None:
        raise AttributionError(
            "this engine names no prediction to explain; set the knob explain to unit"
        )
    found = scores[-1]
    assert found.target is not None
    point, first = found.target
    if isinstance(found, Boxes):
        return _box_target(found, point, first, index, bench.layers)
    words = f"{point} {first if index is None else index}"
    if index is None and isinstance(found, Scores) and len(found.labels):
        words = f"“{found.labels[int(found.scores.argmax())]}” ({words})"
    return Target(point, first if index is None else index), words


def _box_target(
    boxes: Boxes, point: str, column: int, index: int | None, layers: Sequence[Layer]
) -> tuple[Target, str]:
    if index is None:
        index = int(boxes.scores.argmax()) if len(boxes.scores) else 0
    if index >= len(boxes.boxes):
        raise AttributionError(f"there is no box {index}; the engine shows {len(boxes.boxes)}")
    row = int(boxes.sources[index]) if len(boxes.sources) else index
    label = f" “{boxes.labels[index]}”" if len(boxes.labels) else ""
    words = f"box {index}{label} ({point}, row {row})"
    shape = next((la.shape for la in layers if la.name == point), None)
    if shape is not None and len(shape) == 3:  # (1, anchors, columns)
        return Target(point, column, at=(row,)), words
    return Target(point, column, row=row), words


def before(layer: str, layers: Sequence[Layer]) -> str:
    """A layer of maps that ``layer`` is made of: the nearest of an outer depth, else of its own.

    Raises:
        AttributionError: there is none.
    """
    names = [la.name for la in layers]
    place = names.index(layer) if layer in names else len(names)
    depth = layer.count(".")
    earlier = [
        la for la in layers[:place]
        if la.shape is not None and len(la.shape) == 4 and la.shape[2] * la.shape[3] > 1
        and not layer.startswith(la.name + ".")
    ]  # fmt: skip
    outer = [la.name for la in earlier if la.depth < depth]
    beside = [la.name for la in earlier if la.depth == depth]
    for names in (outer, beside):
        if names:
            return names[-1]
    raise AttributionError(f"no layer of maps stands before {layer!r}; name one in the knob cam")
