"""A drawing as plain data, and its two outputs: pixels by OpenCV and SVG text.

Coordinates are pixels at scale 1, y downwards.
"""

from __future__ import annotations

import base64
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

from explorer.core.opencv import opencv

Colour = tuple[int, int, int]
Pixels = npt.NDArray[np.uint8]
Anchor = Literal["start", "middle", "end"]

PAPER: Colour = (255, 255, 255)
INK: Colour = (21, 24, 30)
MUTED: Colour = (82, 91, 107)
HAIRLINE: Colour = (201, 206, 216)
CHOSEN: Colour = (179, 0, 107)  # as the light theme marks what is selected
# Okabe-Ito in the order in which lines on white paper are told apart best.
LINES: tuple[Colour, ...] = (
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167),
    (86, 180, 233), (230, 159, 0), (21, 24, 30), (150, 150, 40),
)  # fmt: skip

_PLAIN = {"×": "x", "…": "...", "−": "-", "·": "|", "–": "-", "—": "-", "µ": "u", "→": "->"}
_RECTS = 4096  # cells up to which a picture becomes rectangles in an SVG
_SHIFT = 4  # bits of subpixel positions in OpenCV


@dataclass(frozen=True, slots=True)
class Line:
    """A polyline through ``points`` (x, y)."""

    points: Sequence[tuple[float, float]]
    colour: Colour = INK
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Rect:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    fill: Colour


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled disc."""

    x: float
    y: float
    radius: float
    fill: Colour


@dataclass(frozen=True, slots=True)
class Label:
    """Text whose baseline starts, centres or ends at (x, y); ``upright`` False runs it upwards."""

    x: float
    y: float
    text: str
    colour: Colour = INK
    size: float = 12.0
    anchor: Anchor = "start"
    upright: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Bitmap:
    """Cells (R, C, 3) uint8 stretched over a rectangle without smoothing."""

    x: float
    y: float
    width: float
    height: float
    pixels: Pixels


@dataclass(slots=True)
class Drawing:
    """Items in painting order on paper of ``width`` x ``height``."""

    width: float
    height: float
    items: list[Line | Rect | Dot | Label | Bitmap] = field(default_factory=list)

    def add(self, *items: Line | Rect | Dot | Label | Bitmap) -> None:
        """Paint these above what is there."""
        self.items.extend(items)


def text_width(text: str, size: float = 12.0) -> float:
    """About how wide a text is, in pixels."""
    return 0.56 * size * len(text)


def fit_text(text: str, width: float, size: float = 12.0) -> str:
    """The text, cut with an ellipsis where it would be wider than ``width``."""
    room = max(1, int(width / (0.56 * size)))
    return text if len(text) <= room else text[: max(1, room - 1)] + "…"


def plain(text: str) -> str:
    """ASCII for the stroke fonts of OpenCV; what has no likeness becomes a question mark."""
    text = "".join(_PLAIN.get(c, c) for c in text)
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return text.encode("ascii", "replace").decode("ascii")


def raster(drawing: Drawing, scale: int = 1) -> Pixels:
    """The drawing as (H, W, 3) uint8."""
    size = (math.ceil(drawing.height) * scale, math.ceil(drawing.width) * scale, 3)
    canvas: Pixels = np.full(size, PAPER, np.uint8)
    for item in drawing.items:
        if isinstance(item, Line):
            _line(canvas, item, scale)
        elif isinstance(item, Rect):
            x, y, w, h = (round(v * scale) for v in (item.x, item.y, item.width, item.height))
            canvas[max(0, y) : max(0, y + max(1, h)), max(0, x) : max(0, x + max(1, w))] = item.fill
        elif isinstance(item, Dot):
            centre = (_sub(item.x * scale), _sub(item.y * scale))
            opencv().circle(
                canvas, centre, _sub(item.radius * scale), item.fill, -1, opencv().LINE_AA, _SHIFT
            )
        elif isinstance(item, Label):
            write(canvas, item, scale)
        else:
            _bitmap(canvas, item, scale)
    return canvas


def _sub(value: float) -> int:
    return round(value * (1 << _SHIFT))


def _line(canvas: Pixels, line: Line, scale: int) -> None:
    cv2 = opencv()
    points = np.asarray(line.points, np.float64).reshape(-1, 2) * scale
    thick = max(1, round(line.width * scale))
    for part in _dashes(points, 4.0 * scale) if line.dashed else [points]:
        fixed = np.rint(part * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(canvas, [fixed], False, line.colour, thick, cv2.LINE_AA, _SHIFT)


def _dashes(points: npt.NDArray[np.float64], length: float) -> list[npt.NDArray[np.float64]]:
    parts = []
    for a, b in pairwise(points):
        count = max(1, int(np.hypot(*(b - a)) / (2 * length)))
        starts = np.arange(count) / count
        parts += [np.array([a + (b - a) * t, a + (b - a) * (t + 0.5 / count)]) for t in starts]
    return parts


def write(canvas: Pixels, label: Label, scale: int = 1) -> None:
    """Write one label onto pixels."""
    cv2 = opencv()
    text = plain(label.text)
    font, size = cv2.FONT_HERSHEY_SIMPLEX, label.size * scale / 29
    # Two strokes below this size fill the letters; one antialiased stroke stays readable.
    thick = max(1, round(label.size * scale / 16))
    (width, height), base = cv2.getTextSize(text, font, size, thick)
    shift = {"start": 0, "middle": width // 2, "end": width}[label.anchor]
    x, y = round(label.x * scale), round(label.y * scale)
    if label.upright:
        cv2.putText(canvas, text, (x - shift, y), font, size, label.colour, thick, cv2.LINE_AA)
        return
    mask = np.zeros((height + base + 2, width + 2), np.uint8)
    cv2.putText(mask, text, (1, height), font, size, 255, thick, cv2.LINE_AA)
    turned = np.rot90(mask)
    top, left = y - turned.shape[0] + shift, x - height
    _blend(canvas, turned, top, left, label.colour)


def _blend(canvas: Pixels, mask: Pixels, top: int, left: int, colour: Colour) -> None:
    """Mix ``colour`` into the canvas by ``mask``, cut at the canvas edges."""
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(canvas.shape[0], top + mask.shape[0]), min(canvas.shape[1], left + mask.shape[1])
    if y1 <= y0 or x1 <= x0:
        return
    alpha = mask[y0 - top : y1 - top, x0 - left : x1 - left, None] / 255.0
    part = canvas[y0:y1, x0:x1]
    part[:] = np.rint(part * (1 - alpha) + np.array(colour) * alpha).astype(np.uint8)


def _bitmap(canvas: Pixels, item: Bitmap, scale: int) -> None:
    x, y = round(item.x * scale), round(item.y * scale)
    width, height = round(item.width * scale), round(item.height * scale)
    cells = enlarge(item.pixels, max(1, height), max(1, width))
    part = canvas[y : y + height, x : x + width]
    part[:] = cells[: part.shape[0], : part.shape[1]]


def enlarge(pixels: Pixels, height: int, width: int) -> Pixels:
    """Nearest-neighbour resize of (R, C, 3) to (height, width, 3)."""
    rows = np.arange(height) * pixels.shape[0] // height
    columns = np.arange(width) * pixels.shape[1] // width
    cells: Pixels = pixels[rows[:, None], columns]
    return cells


def svg(drawing: Drawing) -> str:
    """The drawing as a stand-alone SVG document; every text is escaped."""
    width, height = f"{drawing.width:g}", f"{drawing.height:g}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, Noto Sans, sans-serif">'
    )
    body = "\n".join(_element(item) for item in drawing.items)
    paper = f'<rect width="100%" height="100%" fill="{_hex(PAPER)}"/>'
    return f"{head}\n{paper}\n{body}\n</svg>\n"


def _hex(colour: Sequence[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(c) for c in colour))


def _element(item: Any) -> str:
    if isinstance(item, Line):
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in item.points)
        dash = ' stroke-dasharray="4 4"' if item.dashed else ""
        return (
            f'<polyline points="{points}" fill="none" stroke="{_hex(item.colour)}" '
            f'stroke-width="{item.width:g}"{dash}/>'
        )
    if isinstance(item, Rect):
        return _svg_rect(item.x, item.y, item.width, item.height, item.fill)
    if isinstance(item, Dot):
        where = f'cx="{item.x:.2f}" cy="{item.y:.2f}" r="{item.radius:g}"'
        return f'<circle {where} fill="{_hex(item.fill)}"/>'
    if isinstance(item, Label):
        turn = "" if item.upright else f' transform="rotate(-90 {item.x:.2f} {item.y:.2f})"'
        return (
            f'<text x="{item.x:.2f}" y="{item.y:.2f}" font-size="{item.size:g}" '
            f'fill="{_hex(item.colour)}" text-anchor="{item.anchor}"{turn}>'
            f"{escape(_printable(item.text))}</text>"
        )
    return _svg_bitmap(item)


def _printable(text: str) -> str:
    """Without the control characters and surrogates that XML forbids."""
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cs") else " " for c in text)


def _svg_rect(x: float, y: float, width: float, height: float, fill: Sequence[int]) -> str:
    return (
        f'<rect x="{x:.3f}" y="{y:.3f}" width="{width:.3f}" height="{height:.3f}" '
        f'fill="{_hex(fill)}"/>'
    )


def _svg_bitmap(item: Bitmap) -> str:
    rows, columns = item.pixels.shape[:2]
    if rows * columns <= _RECTS:
        dx, dy = item.width / columns, item.height / rows
        cells = (
            _svg_rect(item.x + c * dx, item.y + r * dy, dx, dy, item.pixels[r, c])
            for r in range(rows)
            for c in range(columns)
        )
        return '<g shape-rendering="crispEdges">' + "".join(cells) + "</g>"
    _, data = opencv().imencode(".png", item.pixels[:, :, ::-1])
    address = quoteattr("data:image/png;base64," + base64.b64encode(data.tobytes()).decode("ascii"))
    return (
        f'<image x="{item.x:.2f}" y="{item.y:.2f}" width="{item.width:.2f}" '
        f'height="{item.height:.2f}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href={address}/>'
    )
