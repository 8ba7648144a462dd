"""How each kind of artefact is drawn without a window: pixels, and a colour bar where it helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from explorer import colours
from explorer.core.opencv import opencv
from explorer.core.writing.drawing import (
    INK,
    MUTED,
    PAPER,
    Label,
    Pixels,
    enlarge,
    plain,
    raster,
    write,
)
from explorer.core.writing.plots import PLOTS, matrix_limits, number
from explorer.kinds import (
    GONE,
    WAITING,
    Artefact,
    Boxes,
    FeatureMaps,
    Field,
    Graph,
    Image,
    Keypoints,
    Masks,
    Matrix,
)
from explorer.views import GAP, Rendered, grid_columns

Array = npt.NDArray[Any]
Tag = tuple[str, int, int, tuple[int, int, int]]  # words, left and lower end, colour

_CANVAS = colours.CANVAS
_GAP = 2
_SHADES = tuple(c for c in colours.OKABE_ITO if c != (0, 0, 0))
_SIDE = 384  # small grids of numbers are enlarged by whole factors to about this
_MARKED = 512  # small pictures with boxes, masks or points over them: their words need room
_PLACES = 5  # tried for a label, one below the other
_WIDEST = 3  # times the usual line, where a line's width tells something


@dataclass(frozen=True, slots=True)
class Bar:
    """A colour bar: the map, and the values at its ends."""

    name: str
    low: float
    high: float
    unit: str = ""


def picture(artefact: Artefact | Rendered, on: Pixels | None = None, scale: int = 1) -> Pixels:
    """The picture (H, W, 3) uint8 of an artefact, without title.

    Args:
        on: the input picture, (H, W, 3), over which boxes, masks and keypoints are drawn.
        scale: enlarges plots sharply, pictures by whole pixels.
    """
    plot = PLOTS.get(type(artefact)) if isinstance(artefact, Artefact) else None
    if plot is not None:
        return raster(plot(artefact), scale)
    pixels = _pixels(artefact, on)
    return enlarge(pixels, pixels.shape[0] * scale, pixels.shape[1] * scale)


def bar_of(artefact: Artefact | Rendered) -> Bar | None:
    """The colour bar that belongs to the picture; None where colour means nothing by itself."""
    if isinstance(artefact, Rendered):
        if artefact.limits.ndim != 1:
            return None  # every unit has its own range
        name = "diverging" if artefact.signed else "viridis"
        return Bar(name, float(artefact.limits[0]), float(artefact.limits[1]))
    if isinstance(artefact, Matrix):
        return Bar(*matrix_limits(artefact), artefact.unit)
    if isinstance(artefact, FeatureMaps):
        return Bar(*_maps_limits(artefact.maps), artefact.unit)
    if isinstance(artefact, Field) and artefact.values.ndim == 2:
        return Bar(*_field_limits(artefact), artefact.unit)
    return None


def _pixels(artefact: Artefact | Rendered, on: Pixels | None) -> Pixels:
    if isinstance(artefact, Rendered):
        name = "diverging" if artefact.signed else "viridis"
        return _readable(colours.table(name)[:, :3][artefact.index])
    if isinstance(artefact, Image):
        return artefact.image if artefact.image.ndim == 3 else _tiles(artefact.image)
    if isinstance(artefact, FeatureMaps):
        name, low, high = _maps_limits(artefact.maps)
        index = _mosaic(colours.index_of(artefact.maps, low, high))
        return _readable(colours.table(name)[:, :3][index])
    if isinstance(artefact, Field):
        return _readable(_flow(artefact.values) if artefact.values.ndim == 3 else _heat(artefact))
    if isinstance(artefact, Boxes):
        return _boxes(artefact, on)
    if isinstance(artefact, Keypoints):
        return _keypoints(artefact, on)
    if isinstance(artefact, Masks):
        return _masks(artefact, on)
    raise TypeError(f"no picture for {type(artefact).__name__}")


def _readable(pixels: Pixels) -> Pixels:
    factor = max(1, _SIDE // max(pixels.shape[:2]))
    return enlarge(pixels, pixels.shape[0] * factor, pixels.shape[1] * factor)


def _tiles(images: Array) -> Pixels:
    """A batch (N, H, W, 3) in a grid with gaps."""
    count, height, width = images.shape[:3]
    columns = grid_columns(count, width + _GAP, height + _GAP, 1.6)
    rows = -(-count // columns)
    size = (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3)
    canvas: Pixels = np.full(size, _CANVAS, np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * (height + _GAP), i % columns * (width + _GAP)
        canvas[y : y + height, x : x + width] = image
    return canvas


def _mosaic(index: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Maps (C, H, W) of indices in a grid with gaps of index 255."""
    count, height, width = index.shape
    gap = 1 if max(height, width) < 16 else _GAP
    columns = grid_columns(max(1, count), width + gap, height + gap, 1.6)
    rows = max(1, -(-count // columns))
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), GAP, np.uint8)
    for i, tile in enumerate(index):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        canvas[y : y + height, x : x + width] = tile
    return canvas


def _maps_limits(maps: Array) -> tuple[str, float, float]:
    """The robust range of a layer, first to last percentile, from zero or about zero."""
    finite = maps[np.isfinite(maps)]
    if not finite.size:
        return "viridis", 0.0, 1.0
    sample = finite[:: max(1, finite.size // 200_000)]
    low, high = (float(v) for v in np.quantile(sample, (0.01, 0.99)))
    signed = float(finite.min()) < 0
    if high <= low:  # nearly constant maps: their few other values are what is there to see
        low, high = float(finite.min()), float(finite.max())
    low = min(low, -1e-12) if signed else 0.0
    return (colours.map_for(low, high), *colours.limits_for(low, high))


def _field_limits(artefact: Field) -> tuple[str, float, float]:
    finite = artefact.values[np.isfinite(artefact.values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    name = colours.map_for(low, high, artefact.scale)
    ends = colours.limits_for(low, high, artefact.scale)
    return ("magma" if name == "viridis" else name), *ends


def _heat(artefact: Field) -> Pixels:
    name, low, high = _field_limits(artefact)
    return colours.table(name)[:, :3][colours.index_of(artefact.values, low, high)]


def _flow(values: Array) -> Pixels:
    """Direction as hue and length as brightness; what is not finite is magenta."""
    vectors = values.astype(np.float32)
    finite = np.asarray(np.isfinite(vectors).all(axis=2))
    vectors = np.where(finite[..., None], vectors, 0)
    length = np.hypot(vectors[..., 0], vectors[..., 1])
    top = float(length.max()) or 1.0
    angle = np.degrees(np.arctan2(vectors[..., 1], vectors[..., 0])) % 360
    full = np.ones_like(length)
    hsv = np.stack([angle, full, length / top], axis=-1).astype(np.float32)
    rgb = opencv().cvtColor(hsv, opencv().COLOR_HSV2RGB)
    pixels: Pixels = np.rint(rgb * 255).astype(np.uint8)
    pixels[~finite] = colours.MAGENTA
    return pixels


def _ground(on: Pixels | None, reach: tuple[float, float]) -> Pixels:
    """The input picture, or a blank one that holds all coordinates up to ``reach`` (x, y)."""
    if on is not None:
        return on.copy()
    width, height = (int(np.clip(np.ceil(v) + 8, 64, 4096)) for v in reach)
    return np.full((height, width, 3), _CANVAS, np.uint8)


def _boxes(artefact: Boxes, on: Pixels | None) -> Pixels:
    cv2 = opencv()
    finite = artefact.boxes[np.isfinite(artefact.boxes).all(axis=1)]
    reach = (float(finite[:, 2].max()), float(finite[:, 3].max())) if len(finite) else (0.0, 0.0)
    canvas = _ground(on, reach)
    canvas, factor = _enlarged(canvas)
    kinds = {name: i for i, name in enumerate(dict.fromkeys(artefact.labels))}
    thick = max(1, round(min(canvas.shape[:2]) / 300))
    tags = []
    for i, box in enumerate(artefact.boxes):
        if not np.isfinite(box).all():
            continue
        name = artefact.labels[i] if artefact.labels else ""
        tint = _SHADES[kinds.get(name, 0) % len(_SHADES)]
        # Box edges are continuous coordinates, pixel i covers [i, i + 1).
        x1, y1, x2, y2 = (round(float(np.clip(factor * v, -9999, 9999)) - 0.5) for v in box)
        weak = bool(artefact.state) and artefact.state[i] in (*GONE, WAITING)
        share = (_WIDEST * artefact.widths[i] + 0.5) if len(artefact.widths) else 1.0
        line = 1 if weak else max(1, round(thick * share))
        cv2.rectangle(canvas, (x1, y1), (x2, y2), tint, line)
        score = f"{artefact.scores[i]:.2f}" if len(artefact.scores) else ""
        if not weak:
            tags.append((f"{name} {score}".strip(), x1, y1, tint))
    _write_tags(canvas, tags)
    return canvas


def _enlarged(canvas: Pixels) -> tuple[Pixels, int]:
    """A small picture by a whole factor, each pixel a square, to about `_MARKED` a side."""
    factor = max(1, round(_MARKED / max(canvas.shape[:2])))
    return enlarge(canvas, canvas.shape[0] * factor, canvas.shape[1] * factor), factor


def _write_tags(canvas: Pixels, tags: Sequence[Tag]) -> None:
    """Labels on a filled ground above corners, moved inside the picture; a little lower where a
    better one stands, and none where no place is left: half a word is worse than none."""
    size = float(np.clip(min(canvas.shape[:2]) / 26, 9, 20))
    font = opencv().FONT_HERSHEY_SIMPLEX
    taken: list[tuple[int, int, int, int]] = []
    for text, left, bottom, tint in tags:
        if not text:
            continue
        (width, height), _ = opencv().getTextSize(plain(text), font, size / 29, 1)
        width, height = width + 4, height + 6
        x = int(np.clip(left, 0, max(0, canvas.shape[1] - width)))
        y = int(np.clip(bottom, height, canvas.shape[0]))
        for lower in range(y, min(y + _PLACES * (height + 1), canvas.shape[0] + 1), height + 1):
            spot = (x, lower - height, x + width, lower)
            if not any(_meet(spot, other) for other in taken):
                taken.append(spot)
                canvas[spot[1] : spot[3], spot[0] : spot[2]] = tint
                write(canvas, Label(x + 2, lower - 3, text, INK, size))
                break


def _meet(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _keypoints(artefact: Keypoints, on: Pixels | None) -> Pixels:
    cv2 = opencv()
    points = artefact.points
    seen = np.isfinite(points).all(axis=2) & (points[..., 2] > 0)
    reach = tuple(points[seen][:, :2].max(axis=0)) if seen.any() else (0.0, 0.0)
    canvas, factor = _enlarged(_ground(on, (float(reach[0]), float(reach[1]))))
    radius = max(2, round(min(canvas.shape[:2]) / 120))
    for p, person in enumerate(points):
        tint = _SHADES[p % len(_SHADES)]
        spots = [
            (round(float(factor * x) - 0.5), round(float(factor * y) - 0.5))
            for x, y, _ in np.nan_to_num(person)
        ]
        for a, b in artefact.skeleton:
            if seen[p, a] and seen[p, b]:
                cv2.line(canvas, spots[a], spots[b], tint, max(1, radius // 2), cv2.LINE_AA)
        for k, spot in enumerate(spots):
            if seen[p, k]:
                cv2.circle(canvas, spot, radius + 1, INK, -1, cv2.LINE_AA)
                cv2.circle(canvas, spot, radius, tint, -1, cv2.LINE_AA)
    return canvas


def _masks(artefact: Masks, on: Pixels | None) -> Pixels:
    cv2 = opencv()
    count, height, width = artefact.masks.shape
    blank: Pixels = np.full((height, width, 3), _CANVAS, np.uint8)
    ground = _ground(blank if on is None else on, (0.0, 0.0))
    canvas, factor = _enlarged(ground)
    tags = []
    for i in range(count):
        share = _onto(artefact, i, ground.shape[:2]).repeat(factor, 0).repeat(factor, 1)
        tint = np.array(_SHADES[i % len(_SHADES)])
        alpha = (0.55 * np.clip(np.nan_to_num(share), 0, 1))[..., None]
        canvas = np.rint(canvas * (1 - alpha) + tint * alpha).astype(np.uint8)
        outline, _ = cv2.findContours(
            (share >= 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(canvas, outline, -1, _SHADES[i % len(_SHADES)], 2 if factor > 1 else 1)
        if artefact.labels and outline:
            x, y, _, _ = cv2.boundingRect(max(outline, key=cv2.contourArea))
            tags.append((artefact.labels[i], x, y, _SHADES[i % len(_SHADES)]))
    _write_tags(canvas, tags)
    return canvas


def _onto(artefact: Masks, i: int, size: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """One mask in input pixels."""
    mask: npt.NDArray[np.float32] = artefact.masks[i].astype(np.float32)
    if mask.shape == tuple(size[:2]) and artefact.affine is None:
        return mask
    place = artefact.affine
    if place is None:
        resized: npt.NDArray[np.float32] = opencv().resize(mask, (size[1], size[0]))
        return resized
    # OpenCV counts pixel centres as whole numbers, the affine as halves.
    matrix = np.array([
        [place.sx, 0, place.tx + 0.5 * place.sx - 0.5],
        [0, place.sy, place.ty + 0.5 * place.sy - 0.5],
    ])  # fmt: skip
    warped: npt.NDArray[np.float32] = opencv().warpAffine(mask, matrix, (size[1], size[0]))
    return warped


def headline(artefact: Artefact | Rendered) -> tuple[str, str]:
    """Name, and one line of facts: shape, type and range."""
    if isinstance(artefact, Rendered):
        numbers = artefact.statistics
        shape = " × ".join(map(str, artefact.shape))
        span = f"{number(numbers.low)} … {number(numbers.high)}"
        return artefact.view.point, f"{artefact.kind} · {shape} · {artefact.dtype} · {span}"
    main = main_array(artefact)
    facts = [type(artefact).__name__]
    if main is not None:
        facts += [" × ".join(map(str, main.shape)), str(main.dtype)]
        span_of = range_of(main)
        if span_of is not None:
            facts.append(f"{number(span_of[0])} … {number(span_of[1])} {artefact.unit}".strip())
    return artefact.name, " · ".join(facts)


_MAIN = {
    "Image": "image", "Boxes": "boxes", "Masks": "masks", "Keypoints": "points", "Field": "values",
    "FeatureMaps": "maps", "Hypercolumn": "values", "Matrix": "values", "Scores": "scores",
    "Histogram": "counts", "Scatter": "points", "Curve": "y", "Graph": "edges",
}  # fmt: skip


def main_array(artefact: Artefact) -> Array | None:
    """The array that the kind is about; None for text."""
    field = _MAIN.get(type(artefact).__name__)
    if isinstance(artefact, Graph) and artefact.values.size:
        field = "values"  # whose unit and range are told
    return None if field is None else np.asarray(getattr(artefact, field))


def range_of(values: Array) -> tuple[float, float] | None:
    """Least and greatest finite value."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(finite.min()), float(finite.max())) if finite.size else None


def dressed(artefact: Artefact | Rendered, scale: int = 1, on: Pixels | None = None) -> Pixels:
    """The picture below a strip with name, shape and range, and above its colour bar."""
    body = picture(artefact, on, scale)
    bar = bar_of(artefact)
    width = max(body.shape[1], 280 * scale)
    strip: Pixels = np.full((44 * scale, width, 3), PAPER, np.uint8)
    title, facts = headline(artefact)
    write(strip, Label(8, 18, _cut(title, width / scale, 13), INK, 13), scale)
    write(strip, Label(8, 35, _cut(facts, width / scale, 11), MUTED, 11), scale)
    rows = [strip, _padded(body, width)]
    if bar is not None:
        rows.append(_bar_pixels(bar, width, scale))
    return np.concatenate(rows)


def _cut(text: str, width: float, size: float) -> str:
    cv2 = opencv()
    while text and cv2.getTextSize(plain(text), 0, size / 29, 1)[0][0] > width - 16:
        text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
    return text


def _padded(pixels: Pixels, width: int) -> Pixels:
    if pixels.shape[1] >= width:
        return pixels
    canvas: Pixels = np.full((pixels.shape[0], width, 3), PAPER, np.uint8)
    canvas[:, : pixels.shape[1]] = pixels
    return canvas


def _bar_pixels(bar: Bar, width: int, scale: int) -> Pixels:
    """The map from low to high with a number at each end, and zero where it lies between."""
    canvas: Pixels = np.full((42 * scale, width, 3), PAPER, np.uint8)
    left, right = 8 * scale, width - 8 * scale
    index = np.rint(np.linspace(0, 253, right - left)).astype(np.uint8)
    canvas[8 * scale : 20 * scale, left:right] = colours.table(bar.name)[:, :3][index]
    ends = f"{number(bar.high)} {bar.unit}".strip()
    write(canvas, Label(8, 34, number(bar.low), INK, 11), scale)
    write(canvas, Label(width / scale - 8, 34, ends, INK, 11, "end"), scale)
    if bar.low < 0 < bar.high:
        write(canvas, Label(width / scale / 2, 34, "0", INK, 11, "middle"), scale)
    return canvas
