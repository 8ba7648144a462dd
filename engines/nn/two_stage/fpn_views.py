"""A feature pyramid at work, as artefacts in input pixels: what each level is the sum of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.two_stage.fpn import FeaturePyramid
from engines.nn.two_stage.rcnn import Framed
from engines.nn.two_stage.rcnn_backbone import Pyramid
from engines.nn.two_stage.rpn_views import cells
from explorer.api import Artefact, Field, Matrix, Scores

PATHS = ("lateral", "top-down")


@dataclass(slots=True)
class Sums:
    """Watches one pass of a pyramid: both parts of each sum and the sum, (1, C, h, w) by level."""

    lateral: dict[int, Tensor] = field(default_factory=dict)
    top_down: dict[int, Tensor] = field(default_factory=dict)
    merged: dict[int, Tensor] = field(default_factory=dict)

    def __call__(
        self, level: int, lateral: Tensor, top_down: Tensor | None, merged: Tensor
    ) -> None:
        """One level has been merged."""
        self.lateral[level], self.merged[level] = lateral, merged
        if top_down is not None:
            self.top_down[level] = top_down


def switches(sums: Sums, names: Sequence[str]) -> Matrix:
    """How much each path carries into each level; 0 is a path that is off."""
    values = np.array([
        [_rms(sums.lateral[k]), _rms(sums.top_down[k]) if k in sums.top_down else 0.0]
        for k in range(len(names))
    ])  # fmt: skip
    return Matrix(
        "switches/what each path carries", values.T, rows=PATHS, columns=tuple(names),
        scale="sequential", gestures={"pick": "off"},
        note="root mean square; click a cell to switch that path off or on. The coarsest level has "
        "nothing above it",
    )  # fmt: skip


def at_place(
    framed: Framed, maps: Pyramid, sums: Sums, names: Sequence[str], at: tuple[float, float] | None
) -> Matrix:
    """The same at the cells of one place in input pixels, and what becomes of it in P.

    Args:
        at: None is the middle of the picture.
    """
    height, width = framed.size
    x, y = framed.affine.to_grid(*at) if at is not None else (width / 2, height / 2)
    rows = []
    for k in range(len(names)):
        parts = (sums.lateral[k], sums.top_down.get(k), sums.merged[k], maps.levels[k])
        rows.append([0.0 if part is None else _rms(_cell(framed, part, x, y)) for part in parts])
    where = "the middle of the picture" if at is None else f"{at[0]:.0f}, {at[1]:.0f}"
    return Matrix(
        "switches/at the cursor", np.array(rows).T, rows=(*PATHS, "sum (M)", "level (P)"),
        columns=tuple(names), scale="sequential", own_scale=True,
        note=f"root mean square over the channels of the cells at {where}",
    )  # fmt: skip


def _cell(framed: Framed, tensor: Tensor, x: float, y: float) -> Tensor:
    """The channels (C,) of the cell at a position on the network's input."""
    h, w = tensor.shape[2:]
    row, column = int(y * h / framed.padded[0]), int(x * w / framed.padded[1])
    return tensor[0, :, min(max(row, 0), h - 1), min(max(column, 0), w - 1)]


def pyramid(
    framed: Framed, maps: Pyramid, sums: Sums, names: Sequence[str], channel: int | None
) -> Iterator[Artefact]:
    """C, M and P of every level: one channel, or the energy over all.

    Args:
        names: of the levels, P2 and so on. channel: counts modulo the channels of a map.
    """
    unit = "rms" if channel is None else f"channel {channel}"
    for k, name in enumerate(names):
        digit = name.removeprefix("P")
        for letter, tensor, said in (
            ("C", maps.body[k], "of the body"),
            ("M", sums.merged[k], "the sum, before the 3x3 convolution"),
            ("P", maps.levels[k], "after the 3x3 convolution"),
        ):
            kept, affine = cells(framed, tensor)
            yield Field(
                f"pyramid/{letter}{digit}", _picture(kept, channel), affine=affine, over=False,
                scale="sequential" if channel is None else "diverging", unit=unit, note=said,
            )  # fmt: skip


def parts(
    framed: Framed, sums: Sums, fpn: FeaturePyramid, names: Sequence[str]
) -> Iterator[Artefact]:
    """Both parts of every sum, the share of the one from above, and P without it."""
    for k, name in enumerate(names):
        if k not in sums.top_down:
            continue
        side, affine = cells(framed, sums.lateral[k])
        above, _ = cells(framed, sums.top_down[k])
        lateral, top_down = _picture(side, None), _picture(above, None)
        yield Field(f"parts/{name} lateral", lateral, affine=affine, over=False, unit="rms")
        yield Field(f"parts/{name} top-down", top_down, affine=affine, over=False, unit="rms")
        total = lateral + top_down
        share = np.divide(top_down, total, out=np.zeros_like(total), where=total > 0)
        yield Field(
            f"parts/{name} share of top-down", share, scale="probability", affine=affine,
            over=False, note="top-down / (lateral + top-down), of their energies",
        )  # fmt: skip
        alone, _ = cells(framed, _last(fpn, k, sums.lateral[k]))
        yield Field(
            f"parts/{name} without top-down", _picture(alone, None), affine=affine, over=False,
            unit="rms", note=f"{name} as it would be if nothing came from above",
        )  # fmt: skip


def _last(fpn: FeaturePyramid, level: int, merged: Tensor) -> Tensor:
    """The 3x3 convolution of a level, not as a call of the module: no part of this pass."""
    convolution, *norms = fpn.layer_blocks[level].children()
    assert isinstance(convolution, nn.Conv2d)
    x = F.conv2d(merged, convolution.weight, convolution.bias, padding=1)
    for norm in norms:
        assert isinstance(norm, nn.BatchNorm2d)
        x = F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
    return x


def counts(levels: Tensor, names: Sequence[str], item: str, note: str) -> Scores:
    """How many boxes belong to each level; levels (N,) from 0."""
    found = torch.bincount(levels.cpu(), minlength=len(names)).float()
    return Scores(
        f"levels/{item}", _array(found), labels=tuple(names), probability=False, unit=item,
        note=note,
    )  # fmt: skip


def _picture(maps: Tensor, channel: int | None) -> npt.NDArray[np.float32]:
    """One channel of maps (C, h, w), or the root mean square over them."""
    chosen = maps.square().mean(0).sqrt() if channel is None else maps[channel % len(maps)]
    return _array(chosen)


def _rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


def _array(t: Tensor) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = t.detach().to("cpu", torch.float32).numpy()
    return values
