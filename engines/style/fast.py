"""Style transfer in one pass: 26 styles in one network, mixed while a clip plays.

Dumoulin, Shlens, Kudlur, "A Learned Representation for Artistic Style", 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engines.nn.loading import load_state
from engines.nn.stylizer import SMALLEST, Stylizer
from engines.rows.painting import MULTISTYLE26
from engines.style.sheet import Sheet
from explorer.api import (
    Affine,
    Artefact,
    Engine,
    Image,
    ImageInput,
    Inputs,
    Matrix,
    Outcome,
    Preprocess,
    Run,
    Scores,
    knob,
    prepare,
)  # fmt: skip

WEIGHTS = "multistyle26"
STYLES = 26
TERMS = f"{MULTISTYLE26['licence']}; data: {MULTISTYLE26['data']}"
NORMS = 15
SHOWN = 6  # shares in the list
LONGEST = 4  # times the size that a long side may have
_ONE = tuple(float(i == 19) for i in range(STYLES))
_LUMA = (0.299, 0.587, 0.114)  # of ITU-R BT.601


@dataclass(frozen=True, slots=True)
class FastStyleParams:
    """Knobs."""

    spot: tuple[float, float] | None = knob(
        None, kind="point",
        help="where on the sheet: the styles around it are mixed; nowhere: the sliders are",
    )  # fmt: skip
    mix: tuple[float, ...] = knob(
        _ONE, low=0.0, high=1.0, step=0.01, basis="style, as numbered on the sheet",
        help="share of each style, while no place on the sheet is chosen",
    )  # fmt: skip
    size: int = knob(256, low=32, high=1024, step=32, unit="px", help="short side of the picture")
    strength: float = knob(
        1.0, low=0.0, high=1.0, step=0.01, effect="again", help="of the painting over the photo"
    )
    colours: str = knob(
        "painted", choices=("painted", "of the photo"), effect="again",
        help="of the photo: only brightness is painted",
    )  # fmt: skip
    norm: int = knob(
        0, low=0, high=NORMS - 1, effect="again", help="which norm's scales and shifts are shown"
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """What the knobs after the network need: pictures (3, H, W) in [0, 1]."""

    photo: Tensor
    painted: Tensor
    mix: Tensor
    affine: Affine


class FastStyle(Engine[FastStyleParams]):
    """A photo or clip, painted at once."""

    Params: ClassVar[type[Any]] = FastStyleParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Scores, Matrix)

    network: Stylizer

    def build(self, params: FastStyleParams) -> nn.Module:
        """The published network."""
        network = Stylizer(STYLES)
        load_state(network, self.host.weights(WEIGHTS), WEIGHTS)
        return network

    def run(self, inputs: Inputs, params: FastStyleParams, memory: Any = None) -> Run:
        """Paint one picture. On a clip ``memory`` is the sheet, which stays that of frame one."""
        photo: ImageInput = inputs["image"]
        params = yield Image("picture/photo", photo.pixels, note=photo.name)
        sheet = memory if memory is not None else self._sheet(photo)
        mix = self._mix(sheet, params)
        x, affine = scaled(photo, params.size, self.host.device)
        painted = self.network(x, mix.to(x.device))[0]
        params = yield Image(
            "picture/styles", sheet.pixels, gestures={"pick": "spot", "drag": "spot"},
            note="click or drag: the styles around are mixed",
        )  # fmt: skip
        kept = Kept(x[0], painted, mix, affine)
        yield from self.again(kept, params)
        return Outcome(memory=sheet, kept=kept)

    def again(self, kept: Kept, params: FastStyleParams) -> Iterator[Artefact]:
        """The painting over the photo, and the scales and shifts of one norm."""
        painted = kept.painted
        if params.colours == "of the photo":
            luma = torch.tensor(_LUMA, device=painted.device)[:, None, None]
            painted = (kept.photo + ((painted - kept.photo) * luma).sum(0)).clamp(0, 1)
        shown = torch.lerp(kept.photo, painted, params.strength)
        yield Image("picture/painted", to_pixels(shown), affine=kept.affine, note=TERMS)
        name, norm = list(self.network.norms().items())[params.norm]
        rows = [f"style {i}" for i in range(STYLES)] + ["mixture"]
        mix = kept.mix.to(norm.gamma.device)
        for item, table in (("scale", norm.gamma), ("shift", norm.beta)):
            values = torch.cat([table, (mix @ table)[None]]).detach().cpu().numpy()
            yield Matrix(
                f"norm/{item}", values, scale="diverging", rows=rows,
                columns=[str(c) for c in range(values.shape[1])],
                note=f"of {name}, a row a style: all else in the network is shared",
            )  # fmt: skip
        apart = self._apart()
        yield self._shares(kept.mix, apart)
        yield Matrix(
            "styles/distance", apart.cpu().numpy(), scale="sequential",
            rows=rows[:-1], columns=rows[:-1],
            note="between all scales and shifts of two styles",
        )  # fmt: skip

    def _apart(self) -> Tensor:
        """Euclidean distances (26, 26) between the signatures of the styles."""
        signs = self.network.signatures()
        return torch.cdist(signs, signs, compute_mode="donot_use_mm_for_euclid_dist")

    def _shares(self, mix: Tensor, apart: Tensor) -> Scores:
        most = mix.argsort(descending=True, stable=True)[:SHOWN]
        first, second = most[:2].tolist()
        far = float(apart[first, second])
        return Scores(
            "styles/shares", mix[most].numpy(), labels=[f"style {i}" for i in most.tolist()],
            note=f"the largest; scales and shifts of {first} and {second} are {far:.1f} apart",
        )  # fmt: skip

    def _sheet(self, photo: ImageInput) -> Sheet:
        """The photo, small, in every style: a batch of 26 before the picture itself."""
        small, _ = scaled(photo, Sheet.TILE, self.host.device)
        each = torch.eye(STYLES, device=small.device)
        tiles = self.network(small.expand(STYLES, -1, -1, -1), each)
        return Sheet(tiles, self.network.signatures())

    def _mix(self, sheet: Sheet, params: FastStyleParams) -> Tensor:
        """Share of each style (26,) on the CPU, adding up to 1; even when every slider is at 0."""
        if params.spot is not None:
            return sheet.mix(*params.spot)
        mix = torch.tensor(params.mix)
        return mix / mix.sum() if float(mix.sum()) > 0 else torch.full((STYLES,), 1 / STYLES)


def scaled(
    photo: ImageInput, size: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Affine]:
    """A picture (1, 3, h, w) in [0, 1] whose short side is ``size``; both sides divide by 4.

    A side never exceeds `LONGEST` times ``size`` nor falls below what the network can take, so a
    very long picture is stretched.
    """
    height, width = photo.pixels.shape[:2]
    ratio = size / min(height, width)
    sides = tuple(
        max(SMALLEST, min(4 * round(side * ratio / 4), LONGEST * size)) for side in (height, width)
    )
    return prepare(photo.pixels, Preprocess(size=(sides[0], sides[1]), fit="stretch"), device)


def to_pixels(picture: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(3, H, W) in [0, 1] as (H, W, 3) uint8."""
    pixels: np.ndarray[Any, np.dtype[np.uint8]] = (
        (picture.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    )
    return pixels
