"""The words above a mosaic of maps: what the layer is, how it is ordered and scaled."""

from __future__ import annotations

import math

from explorer.panels.unit_page import PAGE
from explorer.panels.wording import bytes_text, percent_text, range_text
from explorer.views import Rendered

_BYTES = {"float64": 8, "int64": 8, "complex64": 8, "float16": 2, "bfloat16": 2, "int16": 2}
_SMALL = ("uint8", "int8", "bool", "float8")
ORDER_WORDS = {
    "index": "by index",
    "max": "by maximum",
    "mean": "by mean",
    "change": "by change since the last frame",
    "similarity": "by similarity to the selected unit",
}
RANGE_WORDS = {"layer": "layer scale", "unit": "own scale each", "frozen": "frozen scale"}


def unit_word(rendered: Rendered) -> str:
    """What one tile is called."""
    return "value" if rendered.unit == "value" else "unit"


def size_words(rendered: Rendered) -> list[str]:
    """``512 units``, ``28×28``; ``1000 values``; ``197 tokens × 768 channels``."""
    height, width = rendered.map_size
    count = len(rendered.statistics.unit_high)
    if rendered.unit == "value":
        return [f"{count} value{'s' * (count != 1)}"]
    if rendered.unit == "token × channel":
        return [f"{height} tokens × {width} channels"]
    return [f"{count} unit{'s' * (count != 1)}", f"{height}×{width}"]


def facts_of(rendered: Rendered) -> str:
    """``ReLU · 512 units · 28×28 · float32 · 0 … 0.95 · 7 % dead``."""
    numbers = rendered.statistics
    parts = [rendered.kind, *size_words(rendered), rendered.dtype]
    parts.append(range_text(numbers.low, numbers.high))
    if math.prod(rendered.map_size) > 1 and rendered.unit == "unit":
        parts.append(f"{percent_text(numbers.dead / max(len(numbers.unit_high), 1))} dead")
    return " · ".join(parts)


def caption_of(rendered: Rendered, order: str, *, pages: int = 1, first: int = 0) -> str:
    """How it is ordered and scaled, which sample and call, and what else bears on the picture."""
    view = rendered.view
    parts = []
    if len(rendered.order) > 1 or pages > 1:
        parts.append(ORDER_WORDS[order])
    scale = RANGE_WORDS[view.range]
    parts.append(f"{scale} (p1 to p99)" if view.range == "layer" else scale)
    if rendered.shape and rendered.shape[0] > 1 and len(rendered.shape) > 1:
        parts.append(f"sample {view.sample} of {rendered.shape[0]}")
    if rendered.calls > 1:
        call = rendered.calls - 1 if view.call < 0 else view.call
        parts.append(f"call {call} of {rendered.calls}")
    if pages > 1:
        parts.append(_part(rendered, pages, first))
    if rendered.reduced > 1:
        parts.append(f"averaged {rendered.reduced}×")
    if rendered.edited:
        parts.append("edited")
    parts.append(bytes_text(math.prod(rendered.shape) * _width(rendered.dtype)))
    return " · ".join([*parts, *rendered.notes])


def _part(rendered: Rendered, pages: int, first: int) -> str:
    """Which of the units, by their place in the order: ``page 2 of 3``, ``700 … 1723 of 2500``."""
    shown = len(rendered.order)
    count = len(rendered.statistics.unit_high)
    if first % PAGE == 0 or shown == count:
        return f"page {first // PAGE + 1} of {pages}"
    return f"{first} … {first + shown - 1} of {count}"


def warning_of(rendered: Rendered) -> str:
    """How many values are NaN or infinite."""
    count = rendered.statistics.not_finite
    return f"{count} not finite" if count else ""


def _width(dtype: str) -> int:
    return 1 if dtype.startswith(_SMALL) else _BYTES.get(dtype, 4)
