"""MoveNet Lightning: a first guess of all joints of the person nearest to the middle, and each
joint's own heat map to put the guess right.

Google, "MoveNet" (2021), model card and TensorFlow Hub; trunk: Sandler et al., "MobileNetV2", 2018;
heads: Zhou, Wang, Krähenbühl, "Objects as Points", 2019. Batch norms are folded in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 192
CELLS = 48
STRIDE = SIDE // CELLS
JOINTS = 17
# Outputs and stride of each inverted residual; the first does not expand.
_BLOCKS = (
    (16, 1), (24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1),
    (96, 1), (96, 1), (96, 1), (160, 2), (160, 1), (160, 1), (320, 1),
)  # fmt: skip
_TAPS = (2, 5, 9)  # blocks whose maps join the pyramid
EXPANSION = 6
NEAR = 1.7998046875  # cells, added to the distance from the guess before heat is divided by it


def pad_below(x: Tensor) -> Tensor:
    """One pixel right and below: what the trunk was trained with where it halves even sides."""
    return F.pad(x, (0, 1, 0, 1))


class Inverted(nn.Module):
    """Expand 1x1, filter each channel 3x3, project 1x1; beside the identity where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, expands: bool) -> None:
        super().__init__()
        middle = inputs * EXPANSION if expands else inputs
        self.expand = nn.Conv2d(inputs, middle, 1) if expands else nn.Identity()
        self.first = nn.ReLU6() if expands else nn.Identity()
        padding = 1 if stride == 1 else 0
        self.depthwise = nn.Conv2d(middle, middle, 3, stride, padding, groups=middle)
        self.second = nn.ReLU6()
        self.project = nn.Conv2d(middle, outputs, 1)
        self._halves, self._adds = stride == 2, stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        wide = self.first(self.expand(x))
        wide = self.depthwise(pad_below(wide) if self._halves else wide)
        y: Tensor = self.project(self.second(wide))
        return x + y if self._adds else y


class Separable(nn.Module):
    """Each channel 3x3 without bias, then 1x1 and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The same height and width."""
        y: Tensor = self.relu(self.pointwise(self.depthwise(x)))
        return y


@dataclass(frozen=True, slots=True)
class Joints:
    """What the heads say of one picture, and what is read from it; places in cells of 4 px, (y, x).

    Attributes:
        heat: probability (17, 48, 48). ``centre``: (48, 48), weighted towards the middle.
        guess: (48, 48, 17, 2), from a cell to each joint of the person whose centre it is.
        offset: (48, 48, 17, 2), from a cell to the joint within it.
        start: (2,) the centre that was chosen. ``first``: (17, 2) the guess from there.
        ranked: (17, 48, 48), heat over the distance from the guess.
        cells: (17, 2) where that is highest. ``points``: (17, 2) with the offset added.
        scores: (17,) heat there.
    """

    heat: Tensor
    centre: Tensor
    guess: Tensor
    offset: Tensor
    start: Tensor
    first: Tensor
    ranked: Tensor
    cells: Tensor
    points: Tensor
    scores: Tensor


class MoveNet(nn.Module):
    """MobileNetV2, a pyramid up to stride 4, four heads; 2,317,974 parameters.

    ``prior`` (48, 48) weighs the centre's heat: who stands in the middle is meant.
    """

    prior: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2), nn.ReLU6())
        widths = [32, *(width for width, _ in _BLOCKS)]
        self.blocks = nn.ModuleList(
            Inverted(w, out, s, expands=i > 0)
            for i, (w, (out, s)) in enumerate(zip(widths, _BLOCKS, strict=False))
        )
        self.out = nn.Sequential(nn.Conv2d(320, 1280, 1), nn.ReLU6())
        self.lateral = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in ((24, 24), (32, 32), (64, 64), (1280, 64))
        )
        self.merge = nn.ModuleList(Separable(a, b) for a, b in ((64, 32), (32, 24), (24, 24)))
        outputs = {"heat": JOINTS, "guess": 2 * JOINTS, "centre": 1, "offset": 2 * JOINTS}
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(Separable(24, 96), nn.Conv2d(96, n, 1))
                for name, n in outputs.items()
            }
        )
        self.register_buffer("prior", torch.zeros(CELLS, CELLS))

    def forward(self, x: Tensor) -> Joints:
        """One picture (1, 3, 192, 192) in [-1, 1], RGB.

        Raises:
            ValueError: another size; the weights of the middle are made for this one.
        """
        if x.shape != (1, 3, SIDE, SIDE):
            raise ValueError(f"input is {tuple(x.shape)}; MoveNet Lightning wants (1, 3, 192, 192)")
        x = self.stem(pad_below(x))
        taps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _TAPS:
                taps.append(x)
        y = self.lateral[3](self.out(x))
        for merge, lateral, tap in zip(
            self.merge, reversed(self.lateral[:3]), taps[::-1], strict=True
        ):
            y = merge(doubled(y) + lateral(tap))
        made = {name: head(y)[0] for name, head in self.heads.items()}
        return self._read(made["heat"].sigmoid(), made["centre"][0].sigmoid() * self.prior,
                          pairs(made["guess"]), pairs(made["offset"]))  # fmt: skip

    def _read(self, heat: Tensor, centre: Tensor, guess: Tensor, offset: Tensor) -> Joints:
        best = int(centre.argmax())
        row, column = divmod(best, CELLS)
        start = torch.tensor([row, column], device=heat.device)
        first = start + guess[row, column]
        grid = torch.stack(
            torch.meshgrid(*2 * [torch.arange(CELLS, device=heat.device)], indexing="ij")
        )
        away = (grid[None] - first[:, :, None, None]).square().sum(1).sqrt()
        ranked = heat / (away + NEAR)
        places = ranked.flatten(1).argmax(1)
        cells = torch.stack([places // CELLS, places % CELLS], 1)
        each = torch.arange(JOINTS, device=heat.device)
        points = cells + offset[cells[:, 0], cells[:, 1], each]
        scores = heat[each, cells[:, 0], cells[:, 1]]
        return Joints(heat, centre, guess, offset, start, first, ranked, cells, points, scores)


def doubled(x: Tensor) -> Tensor:
    """Twice the size, bilinear between half-pixel centres."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def pairs(maps: Tensor) -> Tensor:
    """(34, H, W) as y and x of each joint in turn, to (H, W, 17, 2)."""
    return maps.permute(1, 2, 0).reshape(*maps.shape[1:], JOINTS, 2)
