"""Selective search: regions of alike pixels, merged two by two; every region on the way is a box.

Uijlings, van de Sande, Gevers, Smeulders, "Selective Search for Object Recognition", 2013. Of two
neighbours the most similar pair is merged, by colour, texture, size and how well they fill a box.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.nn.two_stage.segmentation_start import Pause, felzenszwalb, filtered, kernel, no_pause

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Measures = tuple[float, float, float, float]
SPACES = ("RGB", "HSV", "Lab")
MEASURES = ("colour", "texture", "size", "fill")
COLOUR_BINS, TEXTURE_BINS, DIRECTIONS = 25, 10, 8


@dataclass(frozen=True, slots=True)
class Region:
    """A node of the hierarchy: pixels, box (x1, y1, x2, y2), histograms that each add up to 1."""

    size: int
    box: tuple[int, int, int, int]
    colour: Floats
    texture: Floats


@dataclass(frozen=True, slots=True)
class Merge:
    """Two regions became one; how alike they were, by each of `MEASURES`."""

    first: int
    second: int
    made: int
    similarity: Measures

    @property
    def total(self) -> float:
        """Sum of the four."""
        return sum(self.similarity)


@dataclass(frozen=True, slots=True, eq=False)
class Hierarchy:
    """All regions: those of the start come first, then one a merge; the last is the picture.

    Attributes:
        labels: (H, W), region of the start of each pixel.
        regions: (2 n - 1,) of them. merges: (n - 1,), in order.
    """

    labels: Integers
    regions: tuple[Region, ...]
    merges: tuple[Merge, ...]

    @property
    def starts(self) -> int:
        """n: how many regions there are before any merge."""
        return len(self.regions) - len(self.merges)

    def boxes(self) -> Floats:
        """(2 n - 1, 4) in pixels, the last ones exclusive."""
        return np.array([r.box for r in self.regions], np.float64).reshape(-1, 4)

    def depths(self) -> Integers:
        """(2 n - 1,) after how many merges each region came up; 0 for those of the start."""
        return np.maximum(np.arange(len(self.regions)) - self.starts + 1, 0)

    def partition(self, merges: int) -> Integers:
        """(H, W), the region of each pixel after so many merges."""
        now = np.arange(len(self.regions))
        for merge in self.merges[:merges]:
            now[(now == merge.first) | (now == merge.second)] = merge.made
        return np.asarray(now[self.labels])


def search(
    pixels: npt.NDArray[np.uint8],
    space: str = "HSV",
    scale: float = 100.0,
    sigma: float = 0.8,
    smallest: int = 12,
    pause: Pause = no_pause,
) -> Hierarchy:
    """Segment a picture (H, W, 3) and merge until one region is left; for arguments `felzenszwalb`.

    Args:
        space: of `SPACES`, in which colours are compared.
    """
    image = converted(pixels, space)
    labels = felzenszwalb(image, scale, sigma, smallest, pause)
    pause()
    regions = _starts(image, labels)
    merges: list[Merge] = []
    area = labels.size
    touching: dict[int, set[int]] = {i: set() for i in range(len(regions))}
    alike: dict[tuple[int, int], Measures] = {}
    queue: list[tuple[float, int, int]] = []  # the most similar first, then the oldest

    def compare(region: int, others: Sequence[int]) -> None:
        compared = similarities(regions[region], [regions[i] for i in others], area)
        for other, measures in zip(others, compared, strict=True):
            touching[region].add(other)
            touching[other].add(region)
            pair = min(other, region), max(other, region)
            alike[pair] = measures
            heapq.heappush(queue, (-sum(measures), *pair))

    for region, others in _neighbours(labels).items():
        pause()
        compare(region, others)
    while queue:
        pause()
        _, first, second = heapq.heappop(queue)
        if not (first in touching and second in touching):
            continue  # merged before
        made = len(regions)
        merges.append(Merge(first, second, made, alike[first, second]))
        regions.append(_merged(regions[first], regions[second]))
        around = (touching.pop(first) | touching.pop(second)) - {first, second}
        for other in around:
            touching[other] -= {first, second}
        touching[made] = set()
        compare(made, sorted(around))
    return Hierarchy(labels, tuple(regions), tuple(merges))


def similarities(a: Region, others: Sequence[Region], area: int) -> list[Measures]:
    """How alike a region and each of the others are, by each of `MEASURES`.

    Colour and texture: what the histograms share. Size: small ones first. Fill: few gaps.

    Args:
        area: pixels of the whole picture.
    """
    if not others:
        return []
    colours = np.minimum(a.colour, np.stack([b.colour for b in others])).sum(1)
    textures = np.minimum(a.texture, np.stack([b.texture for b in others])).sum(1)
    together = a.size + np.array([b.size for b in others])
    x1, y1, x2, y2 = np.array([_around(a.box, b.box) for b in others]).T
    sizes = 1.0 - together / area
    fills = 1.0 - ((x2 - x1) * (y2 - y1) - together) / area
    return list(zip(*(m.tolist() for m in (colours, textures, sizes, fills)), strict=True))


def _merged(a: Region, b: Region) -> Region:
    size = a.size + b.size
    colour = (a.size * a.colour + b.size * b.colour) / size
    return Region(
        size, _around(a.box, b.box), colour, (a.size * a.texture + b.size * b.texture) / size
    )


def _around(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, int, int, int]:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _starts(image: Floats, labels: Integers) -> list[Region]:
    """The regions before any merge, with 3 x 25 colours and 3 x 8 x 10 textures."""
    count = int(labels.max()) + 1
    colour = _histograms(image, labels, count, COLOUR_BINS)
    texture = _histograms(gradients(image), labels, count, TEXTURE_BINS)
    sizes = np.bincount(labels.ravel(), minlength=count)
    parts = zip(sizes.tolist(), _boxes(labels, sizes), colour, texture, strict=True)
    return [Region(*part) for part in parts]


def _boxes(labels: Integers, sizes: Integers) -> list[tuple[int, int, int, int]]:
    """(x1, y1, x2, y2) around the pixels of each label, of which there are ``sizes``."""
    order = np.argsort(labels, axis=None, kind="stable")
    firsts = np.cumsum(sizes) - sizes
    rows, columns = np.divmod(order, labels.shape[1])
    ends = [np.minimum.reduceat(columns, firsts), np.minimum.reduceat(rows, firsts)]
    ends += [np.maximum.reduceat(columns, firsts) + 1, np.maximum.reduceat(rows, firsts) + 1]
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in np.stack(ends, 1).tolist()]


def gradients(image: Floats) -> Floats:
    """Positive parts of Gaussian derivatives in 8 directions, (H, W, 8 C), scaled to [0, 1]."""
    bell, slope = kernel(1.0), kernel(1.0, derivative=True)
    dx, dy = filtered(image, bell, slope), filtered(image, slope, bell)
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    parts = [np.clip(np.cos(a) * dx + np.sin(a) * dy, 0, None) for a in angles]
    made = np.concatenate(parts, -1)
    return np.asarray(made / max(float(made.max()), 1e-12))


def _histograms(values: Floats, labels: Integers, count: int, bins: int) -> Floats:
    """(count, C bins) of values (H, W, C) in [0, 1], each row adds up to 1."""
    channels = values.shape[-1]
    index = np.clip((values * bins).astype(np.int64), 0, bins - 1)
    flat = (labels[..., None] * channels + np.arange(channels)) * bins + index
    made = np.bincount(flat.ravel(), minlength=count * channels * bins).astype(np.float64)
    made = made.reshape(count, channels * bins)
    return np.asarray(made / made.sum(1, keepdims=True))


def _neighbours(labels: Integers) -> dict[int, list[int]]:
    """For each region the later ones that it touches, corners included."""
    sides = [(labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])]
    sides += [(labels[1:, 1:], labels[:-1, :-1]), (labels[1:, :-1], labels[:-1, 1:])]
    pairs = np.concatenate([np.stack([a.ravel(), b.ravel()], 1) for a, b in sides])
    found: dict[int, list[int]] = {}
    for a, b in np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0).tolist():
        found.setdefault(a, []).append(b)
    return found


def converted(pixels: npt.NDArray[np.uint8], space: str) -> Floats:
    """A picture (H, W, 3) in a colour space, all channels in [0, 1].

    HSV as usual; Lab under D65 with L / 100 and (a, b + 128) / 255.
    """
    rgb = pixels.astype(np.float64) / 255.0
    if space == "HSV":
        return _hsv(rgb)
    return _lab(rgb) if space == "Lab" else rgb


def _hsv(rgb: Floats) -> Floats:
    high, low = rgb.max(-1), rgb.min(-1)
    span = high - low
    safe = np.where(span > 0, span, 1.0)
    r, g, b = np.moveaxis(rgb, -1, 0)
    hue = np.select(
        [high == r, high == g], [(g - b) / safe % 6, (b - r) / safe + 2], (r - g) / safe + 4
    )
    return np.stack([np.where(span > 0, hue / 6, 0), span / np.where(high > 0, high, 1), high], -1)


def _lab(rgb: Floats) -> Floats:
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = np.array(
        [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169],
         [0.019334, 0.119193, 0.950227]]
    )  # fmt: skip
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    light = 116 * f[..., 1] - 16
    a, b = 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])
    return np.stack([light / 100, (a + 128) / 255, (b + 128) / 255], -1)


def proposals(hierarchies: Sequence[Hierarchy], most: int, smallest: int = 3) -> tuple[Any, Any]:
    """Boxes (N, 4) of several hierarchies without repetition, and after how many merges each came.

    Those that came up late come first, each hierarchy in turn; boxes with a side below ``smallest``
    pixels are left out.
    """
    rows: list[tuple[float, int, tuple[float, ...], int]] = []
    for k, hierarchy in enumerate(hierarchies):
        depths = hierarchy.depths()
        for i, box in enumerate(hierarchy.boxes().tolist()):
            if min(box[2] - box[0], box[3] - box[1]) >= smallest:
                rows.append((len(hierarchy.regions) - i, k, tuple(box), int(depths[i])))
    seen: dict[tuple[float, ...], int] = {}
    for _, _, box, depth in sorted(rows):
        seen.setdefault(box, depth)
    kept = list(seen.items())[:most]
    boxes = np.array([box for box, _ in kept], np.float64).reshape(-1, 4)
    return boxes, np.array([depth for _, depth in kept], np.int64)
