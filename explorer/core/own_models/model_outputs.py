"""What a network returned, shown as what it is: scores, maps, matrices, pictures, masks, boxes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from explorer.kinds import (
    Affine,
    Artefact,
    Boxes,
    FeatureMaps,
    Field,
    Image,
    Masks,
    Matrix,
    Scores,
    Text,
)

TOP = 10
LIMIT = 24  # outputs that are shown; a transformer may return a tensor a layer
SMALLEST_PICTURE = 16
CLASSES = (2, 256)
WIDEST = 4096
SHOWN_CLASSES = 8
SHOW = ("guessed", "scores", "maps", "matrix", "picture", "mask")
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """How outputs are read.

    Attributes:
        sample: of a batch. ``show``: one of `SHOW`. ``channels_last``: maps are (N, H, W, C).
        size: (height, width) of the picture that went in, and ``affine`` to its pixels.
        labels: of classes, by index. ``tokens``: words of the ids that went in, one of ``ids``.
    """

    sample: int = 0
    show: str = "guessed"
    channels_last: bool = False
    size: tuple[int, int] | None = None
    affine: Affine | None = None
    labels: Sequence[str] = ()
    tokens: Sequence[str] = ()
    ids: int = 0


def tensors_of(out: Any, name: str = "result", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in what a network returned, with a name that says where it was."""
    if isinstance(out, Tensor):
        if out.numel():
            yield name, out
        return
    if depth > _DEPTH or type(out).__name__.endswith("Cache"):  # keys and values for a next call
        return
    if isinstance(out, Mapping):
        items = [(_joined(name, str(key)), value) for key, value in out.items()]
    elif isinstance(out, tuple) and hasattr(out, "_fields"):
        items = [(_joined(name, f), getattr(out, f)) for f in out._fields]
    elif isinstance(out, (tuple, list)):
        items = [(f"{name} {i}", value) for i, value in enumerate(out)]
    elif dataclasses.is_dataclass(out) and not isinstance(out, type):
        items = [(_joined(name, f.name), getattr(out, f.name)) for f in dataclasses.fields(out)]
    else:
        held = vars(out) if hasattr(out, "__dict__") else {}
        items = [(_joined(name, n), v) for n, v in held.items() if not n.startswith("_")]
    for inner, value in items:
        yield from tensors_of(value, inner, depth + 1)


def _joined(name: str, key: str) -> str:
    key = key.replace("/", ".")
    return (key or name) if name == "result" else f"{name} {key}".strip()


def outputs(out: Any, reading: Reading) -> Iterator[Artefact]:
    """An artefact or two for every tensor that came out; none when there was no tensor."""
    boxes = list(_boxes(out, reading))
    found = [] if boxes else list(tensors_of(out))
    yield from boxes
    for name, tensor in found[:LIMIT]:
        yield from shown(f"output/{name}", tensor, reading)
    if len(found) > LIMIT:
        rest = ", ".join(f"{n} {_shape(t)}" for n, t in found[LIMIT : 2 * LIMIT])
        yield Text("output/more", f"{len(found) - LIMIT} more tensors came out: {rest}")


def shown(name: str, tensor: Tensor, reading: Reading) -> Iterator[Artefact]:
    """One tensor as what its shape, type and values say it is, or as ``reading.show`` says."""
    x = _plain(tensor)
    if reading.channels_last and x.ndim == 4:
        x = x.permute(0, 3, 1, 2)
    batch = len(x) if x.ndim > 1 else 1
    number = min(reading.sample, batch - 1)
    note = f"sample {number} of {batch}" if batch > 1 else ""
    one = x[number] if x.ndim > 1 else x
    if reading.show != "guessed":
        yield from _forced(name, one, reading, note)
    elif one.ndim == 0 or one.ndim == 1:
        yield _scores(name, one.reshape(-1), reading, note)
    elif one.ndim == 2:
        yield from _plane(name, one, tensor, reading, note)
    elif one.ndim == 3:
        yield from _stack(name, one, tensor, reading, note)
    else:
        shape = " × ".join(map(str, one.shape))
        folded = one.reshape(-1, *one.shape[-2:])
        yield FeatureMaps(name, _array(folded), note=_words(note, f"{shape}, folded"))


def _forced(name: str, one: Tensor, reading: Reading, note: str) -> Iterator[Artefact]:
    """As a person wants to see it; a shape that cannot be seen so is shown as the nearest."""
    maps = one.reshape(-1, *one.shape[-2:]) if one.ndim >= 2 else one.reshape(1, 1, -1)
    if reading.show == "scores":
        yield _scores(name, one.reshape(-1), reading, note)
    elif reading.show == "matrix":
        yield Matrix(name, _array(maps[0] if len(maps) == 1 else maps), _axes(maps), note=note)
    elif reading.show == "picture" and len(maps) in (1, 3, 4):
        yield _picture(name, maps[:3].float(), reading, note, stretch=True)
    elif reading.show == "mask" and len(maps) > 1:
        yield _classes(name, maps.argmax(0), reading, note, len(maps))
    elif reading.show == "mask":
        yield _masks(name, maps, reading, note)
    else:
        yield FeatureMaps(name, _array(maps), affine=_affine(maps, reading), note=note)


def _axes(maps: Tensor) -> tuple[str, ...]:
    return () if len(maps) == 1 else ("map",)


def _plane(
    name: str, one: Tensor, tensor: Tensor, reading: Reading, note: str
) -> Iterator[Artefact]:
    """Rows x columns: a class map or depth of the picture's size, else tokens x channels."""
    if reading.size == tuple(one.shape) and not _is_text(reading):
        if not tensor.is_floating_point():
            yield _classes(name, one, reading, note)
        else:
            yield Field(name, _array(one), affine=_affine(one[None], reading), note=note)
        return
    rows = reading.tokens if len(reading.tokens) == len(one) else ()
    if rows and one.shape[1] == reading.ids:
        last = _scores(f"{name} next", one[-1], reading, _words(note, "after the last token"))
        yield dataclasses.replace(
            last, labels=_token_labels(last.labels), classes=_token_labels(last.classes)
        )
        if one.shape[1] > WIDEST:  # a column for each word of a vocabulary: nothing to be seen
            return
    square = rows if one.shape[0] == one.shape[1] else ()
    yield Matrix(name, _array(one), rows=rows, columns=square, note=note)


def _stack(
    name: str, one: Tensor, tensor: Tensor, reading: Reading, note: str
) -> Iterator[Artefact]:
    """(C, H, W): heads x tokens x tokens, a picture, a mask, logits of classes, or maps."""
    count, height, width = one.shape
    if "attention" in name and height == width and reading.size != (height, width):
        tokens = reading.tokens if len(reading.tokens) == height else ()
        yield Matrix(
            name, _array(one), ("head",), tokens, tokens, "probability", note=note
        )  # fmt: skip
        return
    full = reading.size == (height, width)
    if count in (1, 3) and min(height, width) >= SMALLEST_PICTURE and _in_unit_range(one, tensor):
        if count == 3:
            yield _picture(name, one, reading, note, stretch=False)
            return
        if full:
            yield _masks(name, one, reading, note)
            return
    yield FeatureMaps(name, _array(one), affine=_affine(one, reading), note=note)
    if not (full and tensor.is_floating_point()):
        return
    if count == 3:  # what goes in has three channels too: a picture out of range
        yield _picture(f"{name} picture", one, reading, note, stretch=True)
    elif CLASSES[0] <= count <= CLASSES[1]:
        largest = _words(note, "the largest map at each pixel")
        yield _classes(f"{name} classes", one.argmax(0), reading, largest, count)


def _in_unit_range(one: Tensor, tensor: Tensor) -> bool:
    if tensor.dtype == torch.uint8:
        return one.shape[0] == 3
    if not tensor.is_floating_point():
        return tensor.dtype == torch.bool
    return bool((one >= 0).all()) and bool((one <= 1).all()) and bool(one.max() > one.min())


def _picture(name: str, one: Tensor, reading: Reading, note: str, *, stretch: bool) -> Image:
    """(1 or 3, H, W) as a picture; 0 to 1 are black and white, or the extremes when stretched."""
    x = torch.nan_to_num(one)
    if stretch and (x.min() < 0 or x.max() > 1):
        low, high = float(x.min()), float(x.max())
        x = (x - low) / (high - low if high > low else 1.0)
        note = _words(note, f"black is {low:.3g}, white {high:.3g}")
    elif x.max() > 1:
        x = x / 255  # bytes
    pixels = (255 * x.clamp(0, 1)).round().to(torch.uint8).expand(3, -1, -1)
    return Image(
        name, pixels.permute(1, 2, 0).contiguous().numpy(), affine=_affine(one, reading), note=note
    )


def _classes(name: str, plane: Tensor, reading: Reading, note: str, count: int = 0) -> Masks:
    """Whole numbers (H, W) as one mask a class, of ``count`` (0: not known), those with most
    pixels first."""
    classes, counts = np.unique(plane.numpy().astype(np.int64), return_counts=True)
    order = counts.argsort()[::-1][:SHOWN_CLASSES]
    chosen = classes[order].tolist()
    masks = torch.stack([plane == c for c in chosen])
    left = len(classes) - len(chosen)
    note = _words(note, f"{left} smaller classes left out" if left else "")
    labels = [_label(c, reading, count) for c in chosen]
    share = counts[order] / plane.numel()
    return Masks(name, masks.numpy(), labels, share, _affine(plane[None], reading), note=note)


def _masks(name: str, one: Tensor, reading: Reading, note: str) -> Masks:
    """A probability or yes and no a pixel, or a logit, as one mask a map."""
    many = len(one) > 1
    labels = [_label(i, reading, len(one)) for i in range(len(one))] if many else ["mask"]
    if float(one.min()) < 0 or float(one.max()) > 1:
        one = torch.sigmoid(one.float())
        note = _words(note, "logistic function of the output")
    return Masks(name, one.float().numpy(), labels, affine=_affine(one, reading), note=note)


def _scores(name: str, row: Tensor, reading: Reading, note: str) -> Scores:
    best = torch.nan_to_num(row, nan=-torch.inf).topk(min(TOP, len(row)))
    total = float(row.double().sum()) if len(row) > 1 else 0.0
    sure = bool((row >= 0).all()) and abs(total - 1) < 1e-3
    labels = [_label(i, reading, len(row)) for i in best.indices.tolist()]
    what = "probabilities" if sure else "raw outputs"
    many = f"largest of {len(row):,} {what}" if len(row) > TOP else what
    values = row[best.indices].numpy()
    everyone = len(row) <= WIDEST
    return Scores(
        name, values, labels, probability=sure, note=_words(note, many),
        full=row.numpy() if everyone else None,
        classes=[_label(i, reading, len(row)) for i in range(len(row))] if everyone else (),
    )  # fmt: skip


def _label(index: int, reading: Reading, count: int) -> str:
    """The number of a class, with its name where there are as many names as classes."""
    named = bool(reading.labels) and count == len(reading.labels)
    return f"{reading.labels[index]} #{index}" if named else f"#{index}"


def _token_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Ids below 128 with the character that they are when one id is a byte."""
    numbers = [int(re.sub(r".*#", "", label)) for label in labels]
    return tuple(f"#{n} {chr(n)}" if 32 < n < 127 else f"#{n}" for n in numbers)


def _boxes(out: Any, reading: Reading) -> Iterator[Artefact]:
    """A list of {boxes, scores, labels}, one a picture, as detectors return it."""
    rows = out if isinstance(out, (list, tuple)) else [out]
    if not (rows and all(isinstance(r, Mapping) and "boxes" in r for r in rows)):
        return
    row = rows[min(reading.sample, len(rows) - 1)]
    boxes = row["boxes"]
    if not (isinstance(boxes, Tensor) and boxes.ndim == 2 and boxes.shape[1] == 4):
        return
    place = reading.affine or Affine()
    scale = torch.tensor([place.sx, place.sy, place.sx, place.sy])
    moved = boxes.detach().float().cpu() * scale + torch.tensor(
        [place.tx, place.ty, place.tx, place.ty]
    )
    scores = row.get("scores")
    numbers = row.get("labels")
    named = [] if numbers is None else [f"#{int(n)}" for n in numbers.tolist()]
    empty = np.zeros(0, np.float32)
    values = empty if scores is None else _array(_plain(scores))
    note = "" if len(boxes) else "no box"
    yield Boxes("output/boxes", moved.numpy(), values, named, note=note)


def _plain(tensor: Tensor) -> Tensor:
    """On the CPU, without gradient, as ordinary numbers; complex ones by their size."""
    x = tensor.detach()
    if x.is_quantized:
        x = x.dequantize()
    if x.is_sparse or x.layout != torch.strided:
        x = x.to_dense()
    return (x.abs() if x.is_complex() else x).float().cpu()


def _array(x: Tensor) -> np.ndarray[Any, np.dtype[Any]]:
    array: np.ndarray[Any, np.dtype[Any]] = x.numpy()
    return array


def _affine(maps: Tensor, reading: Reading) -> Affine | None:
    """Where the cells of maps lie in the picture, by the ratio of their sizes."""
    if reading.affine is None or reading.size is None:
        return None
    height, width = reading.size
    sy, sx = height / maps.shape[-2], width / maps.shape[-1]
    exact = sx == sy == 1
    return reading.affine.after(Affine(sx, sy, approximate=not exact))


def _is_text(reading: Reading) -> bool:
    return bool(reading.tokens)


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape))


def _words(*parts: str) -> str:
    return ", ".join(filter(None, parts))
