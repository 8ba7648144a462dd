"""Spatial pyramid pooling on one shared map: bins, the cells that won, vectors of one length.

He, Zhang, Ren, Sun, "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual
Recognition", 2014. A region of the picture is pooled from the same map, without the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.loading import load_state
from engines.nn.two_stage import spp_training
from engines.nn.two_stage.spp import RULES, Bin, Pooled, SppDigits, pyramid, spans
from explorer.api import (
    Affine,
    Artefact,
    Boxes,
    Checkpoint,
    Curve,
    Engine,
    EngineError,
    Field,
    Image,
    ImageInput,
    Inputs,
    Keypoints,
    Matrix,
    Outcome,
    Preprocess,
    Run,
    Scores,
    Text,
    Training,
    knob,
    place,
    prepare,
)  # fmt: skip

WEIGHTS = "spp-digits"
TRAINED = "1,2,4"
LEVELS = (TRAINED, "1,2,3,6", "1,2,4,8")
LONGEST = 40  # times the short side
DIGITS = tuple("0123456789")


@dataclass(frozen=True, slots=True)
class SppParams:
    """Knobs. Only the sizes run the network again."""

    size: int = knob(20, low=8, high=96, unit="px", help="short side of the picture as it is fed")
    second: int = knob(
        28, low=8, high=96, unit="px", help="short side at which it is fed once more, to compare"
    )
    levels: str = knob(
        TRAINED, choices=LEVELS, effect="again",
        help="bins a side of each level; the last layer was trained with 1, 2 and 4",
    )  # fmt: skip
    shown: int = knob(
        3, low=1, high=4, effect="again", help="which level is drawn, from coarse to fine"
    )
    channel: int = knob(0, low=0, high=31, effect="again", help="the map that is drawn")
    rule: str = knob(
        "torch", choices=RULES, effect="again",
        help="torch's bins cover every cell; the paper's have one window and stride",
    )  # fmt: skip
    region: tuple[float, float, float, float] | None = knob(
        None, kind="box", effect="again",
        help="drag a box: it is pooled from the same map; empty: a square in the middle",
    )  # fmt: skip
    ink: str = knob(
        "auto", choices=("auto", "bright", "dark"), help="whether digits are brighter than paper"
    )
    weights: str = knob(
        "trained", choices=("trained", "random"), effect="build",
        help="random weights have learnt nothing",
    )  # fmt: skip
    rate: float = knob(
        3e-3, low=1e-5, high=0.1, log=True, effect="live", when="training",
        help="learning rate of Adam",
    )  # fmt: skip
    batch: int = knob(
        spp_training.BATCH, low=8, high=256, when="training", help="digits a step, all at one size"
    )


@dataclass(frozen=True, slots=True)
class Fed:
    """The picture at one size: pixels (h, w, 3), where they lie, and its map (1, C, h', w')."""

    pixels: npt.NDArray[np.uint8]
    affine: Affine  # from cells of the map to pixels of the picture
    maps: Tensor
    logits: Tensor
    short: int

    @property
    def cells(self) -> str:
        """The map's size in words."""
        return f"{self.maps.shape[3]} × {self.maps.shape[2]} cells"

    def box(self, cells: Bin) -> list[float]:
        """A rectangle of cells in pixels of the picture."""
        return [*self.affine.to_input(*cells[:2]), *self.affine.to_input(*cells[2:])]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run leaves for `SppNet.again`."""

    photo: npt.NDArray[np.uint8]
    first: Fed
    second: Fed


class SppNet(Engine[SppParams]):
    """A network of digits whose last layer does not care for the size of the picture."""

    Params: ClassVar[type[Any]] = SppParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (
        Image, Boxes, Keypoints, Field, Matrix, Scores, Text, Curve,
    )  # fmt: skip
    network: SppDigits

    def build(self, params: SppParams) -> nn.Module:
        """The network that was trained here on digits at several sizes, or a random one."""
        network = SppDigits()
        if params.weights == "trained":
            load_state(network, self.host.weights(WEIGHTS), WEIGHTS)
        else:
            network.start(self.host.generator())
        return network

    def run(self, inputs: Inputs, params: SppParams, memory: Any = None) -> Run:
        """Two passes, one a size."""
        photo: ImageInput = inputs["image"]
        second = self._feed(photo, params.second, params)
        first = self._feed(photo, params.size, params)  # last: layers are shown as it left them
        kept = Kept(photo.pixels, first, second)
        for artefact in self.again(kept, params):
            params = yield artefact
        return Outcome(kept=kept)

    def train(
        self, inputs: Inputs, params: SppParams, resume: Checkpoint | None = None
    ) -> Training:
        """Train on digits, one size a step."""
        yield from spp_training.train(self.network, self.host, params.rate, params.batch, resume)

    def again(self, kept: Kept, params: SppParams) -> Iterator[Artefact]:
        """Everything that is seen, pooled anew from the maps that are there."""
        levels = tuple(int(n) for n in params.levels.split(","))
        pooled = _pooled(kept.first, levels, params.rule)
        other = _pooled(kept.second, levels, params.rule)
        yield from _pyramid(kept, pooled, levels, params)
        yield from _vectors(kept, pooled, other)
        yield from _rules(kept.first, levels)
        region = _region_cells(kept, params.region)
        inside, why = _pooled_region(kept.first, levels, params.rule, region)
        yield from _region(kept, region, inside, pooled, why)
        scores = {
            "region": None if inside is None else self._chances(inside, None, params),
            "whole picture": self._chances(pooled, kept.first, params),
            "second size": self._chances(other, kept.second, params),
        }
        for item, chances in scores.items():
            yield from _prediction(item, chances, params)

    def _feed(self, photo: ImageInput, size: int, params: SppParams) -> Fed:
        height, width = photo.pixels.shape[:2]
        if max(height, width) > LONGEST * min(height, width):
            raise EngineError(
                f"the picture is {width} × {height} pixels, longer than {LONGEST} times its other "
                f"side; cut it"
            )
        x, affine = prepare(photo.pixels, Preprocess(size, "short"), self.host.device)
        grey = x.mean(1, keepdim=True)
        edges = (grey[..., 0, :], grey[..., -1, :], grey[..., 0], grey[..., -1])
        paper = torch.cat([edge.flatten() for edge in edges]).median()
        if params.ink == "dark" or (params.ink == "auto" and paper > grey.mean()):
            grey = 1.0 - grey
        place(grey, affine)
        maps = self.network.features(grey)
        logits = self.network.classifier(self.network.pool(maps))[0]
        pixels = (grey[0, 0] * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        cell = affine.after(Affine(self.network.stride, self.network.stride))
        return Fed(np.repeat(pixels[..., None], 3, 2), cell, maps, logits, size)

    def _chances(self, pooled: Pooled, fed: Fed | None, params: SppParams) -> Tensor | None:
        """Probabilities of the ten digits; None where the last layer does not fit the vector."""
        if params.levels != TRAINED:
            return None
        if fed is not None and params.rule == "torch":
            return fed.logits.softmax(0)
        head = self.network.classifier
        return F.linear(pooled.vector()[0], head.weight, head.bias).softmax(0)


def _pooled(fed: Fed, levels: tuple[int, ...], rule: str) -> Pooled:
    try:
        return pyramid(fed.maps, levels, rule)
    except ValueError as error:
        raise EngineError(f"at {fed.short} px {error}; choose a larger size") from error


def _pyramid(
    kept: Kept, pooled: Pooled, levels: tuple[int, ...], params: SppParams
) -> Iterator[Artefact]:
    """The bins of one level on the picture, and where each found its maximum."""
    fed, channel = kept.first, params.channel
    level = levels[min(params.shown, len(levels)) - 1]
    at = [i for i, one in enumerate(pooled.levels) if one == level]
    boxes = np.array([fed.box(pooled.bins[i]) for i in at], np.float32)
    values = pooled.values[0, channel, at]
    cells = pooled.cells[0, channel, at]
    width = fed.maps.shape[3]
    points = [
        (*fed.affine.to_input(cell % width + 0.5, cell // width + 0.5), float(value > 0))
        for cell, value in zip(cells.tolist(), values.tolist(), strict=True)
    ]
    yield Image(
        "pyramid/picture", kept.photo, gestures={"box": "region"},
        note=f"drag a box to pool a region; fed at {fed.short} px, map {fed.cells}",
    )  # fmt: skip
    yield Boxes(
        "pyramid/bins", boxes, note=f"level of {level} × {level} bins, rule of {params.rule}"
    )
    yield Keypoints(
        "pyramid/maxima", np.array(points, np.float32)[None],
        [_bin_name(level, i) for i in range(len(at))],
        note=f"where unit {channel} is largest in each bin; hollow: nowhere above 0",
    )  # fmt: skip
    yield Field(
        "map/channel", _array(fed.maps[0, channel]), affine=fed.affine,
        note=f"unit {channel} of {fed.maps.shape[1]}, {fed.cells}",
    )  # fmt: skip


def _vectors(kept: Kept, pooled: Pooled, other: Pooled) -> Iterator[Artefact]:
    columns = _columns(pooled)
    pairs = (("first", kept.first, pooled), ("second", kept.second, other))
    for item, fed, made in pairs:
        count = made.values.shape[1] * made.values.shape[2]
        yield Image(
            f"sizes/{item}", fed.pixels, affine=_pixel_affine(fed),
            note=f"{fed.short} px: map {fed.cells}, vector of {count}",
        )  # fmt: skip
    for item, fed, made in pairs:
        yield Matrix(
            f"vector/{item} size", _array(made.values[0]), columns=columns, scale="sequential",
            note=f"{fed.short} px: {made.values.shape[1]} units × {len(columns)} bins by level",
        )  # fmt: skip
    flat = [made.vector()[0] for made in (pooled, other)]
    cosine = float(F.cosine_similarity(flat[0], flat[1], dim=0))
    yield Text(
        "sizes/lengths",
        f"{kept.first.short} px → {kept.first.cells} → {len(flat[0])} numbers\n"
        f"{kept.second.short} px → {kept.second.cells} → {len(flat[1])} numbers\n"
        f"cosine of both vectors: {cosine:.3f}",
    )


def _rules(fed: Fed, levels: tuple[int, ...]) -> Iterator[Artefact]:
    """Bins of both rules along both sides, and what the difference does to the maxima."""
    lines = []
    sides = (("across", fed.maps.shape[3]), ("down", fed.maps.shape[2]))
    for side, extent in sides:
        for n in levels:
            torchs, papers = (spans(extent, n, rule) for rule in RULES)
            window, stride = math.ceil(extent / n), extent // n
            missed = extent - papers[-1][1]
            verdict = "the same" if torchs == papers else _spans(torchs)
            left = f"; the last {missed} in no bin" if missed else ""
            lines.append(
                f"{side}, {extent} cells, {n} bins: paper window {window} stride {stride} "
                f"{_spans(papers)}{left}; torch {verdict}"
            )
    yield Text("rules/bins", "\n".join(lines), note="cells, the end of each bin not included")
    made = [pyramid(fed.maps, levels, rule) for rule in RULES]
    change = made[1].values[0] - made[0].values[0]
    share = float((change != 0).float().mean())
    yield Matrix(
        "rules/paper − torch", _array(change), columns=_columns(made[0]), own_scale=True,
        note=f"{100 * share:.1f} % of the maxima differ",
    )  # fmt: skip


def _region(
    kept: Kept, region: Bin, inside: Pooled | None, whole: Pooled, why: str
) -> Iterator[Artefact]:
    """The region's bins and vector, and what differs from the whole picture's."""
    fed = kept.first
    yield Image("region/picture", kept.photo, gestures={"box": "region"}, note="drag a box here")
    if inside is None:
        yield Boxes("region/bins", np.array([fed.box(region)], np.float32), note=why)
        return
    finest = max(inside.levels)
    at = [i for i, n in enumerate(inside.levels) if n == finest]
    boxes = np.array([fed.box(region), *(fed.box(inside.bins[i]) for i in at)], np.float32)
    yield Boxes("region/bins", boxes, note=why)
    change = inside.values[0] - whole.values[0]
    yield Matrix(
        "vector/region", _array(inside.values[0]), columns=_columns(inside), scale="sequential",
        note="from the shared map; the network did not run",
    )  # fmt: skip
    same = float((change == 0).float().mean())
    yield Matrix(
        "vector/region less whole", _array(change), columns=_columns(inside), own_scale=True,
        note=f"{100 * same:.1f} % of the bins did not change",
    )  # fmt: skip


def _prediction(item: str, chances: Tensor | None, params: SppParams) -> Iterator[Scores]:
    if chances is None:
        return
    best = int(chances.argmax())
    rule = "" if params.rule == "torch" else "; trained with torch's bins"
    yield Scores(
        f"prediction/{item}", _array(chances), DIGITS,
        target=("classifier", best) if item == "whole picture" else None,
        note=f"reads {best}; trained on single digits{rule}",
    )  # fmt: skip


def _region_cells(kept: Kept, box: tuple[float, float, float, float] | None) -> Bin:
    """The cells that a box in pixels touches, at least one, inside the map."""
    height, width = kept.photo.shape[:2]
    if box is None:
        half = 0.45 * min(height, width)
        box = (width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)
    fed = kept.first
    rows, columns = fed.maps.shape[2:]
    x1, y1 = fed.affine.to_grid(min(box[0], box[2]), min(box[1], box[3]))
    x2, y2 = fed.affine.to_grid(max(box[0], box[2]), max(box[1], box[3]))
    left, top = min(max(int(x1), 0), columns - 1), min(max(int(y1), 0), rows - 1)
    right = max(min(math.ceil(x2), columns), left + 1)
    return left, top, right, max(min(math.ceil(y2), rows), top + 1)


def _pooled_region(
    fed: Fed, levels: tuple[int, ...], rule: str, region: Bin
) -> tuple[Pooled | None, str]:
    """The region's maxima, or None and why: it has fewer cells than the finest level has bins."""
    width, height = region[2] - region[0], region[3] - region[1]
    if min(width, height) < max(levels):
        least = max(levels)
        return None, (
            f"{width} × {height} cells are too few for {least} × {least} bins; drag a larger box "
            f"or feed a larger picture"
        )
    note = f"{width} × {height} cells in {max(levels)} × {max(levels)} bins"
    return pyramid(fed.maps, levels, rule, region), note


def _columns(pooled: Pooled) -> list[str]:
    first = {level: pooled.levels.index(level) for level in dict.fromkeys(pooled.levels)}
    return [_bin_name(level, i - first[level]) for i, level in enumerate(pooled.levels)]


def _bin_name(level: int, i: int) -> str:
    return f"{level}: {i // level},{i % level}"


def _spans(found: list[tuple[int, int]]) -> str:
    return " ".join(f"{start}-{end}" for start, end in found)


def _pixel_affine(fed: Fed) -> Affine:
    """From pixels as fed to pixels of the picture."""
    return fed.affine.after(Affine(1 / SppDigits.stride, 1 / SppDigits.stride))


def _array(t: Tensor) -> npt.NDArray[np.float32]:
    return t.detach().float().cpu().numpy()
