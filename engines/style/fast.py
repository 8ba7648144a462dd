"""Style transfer in one pass: 26 styles in one network, mixed while a clip plays, and one learnt.

Dumoulin, Shlens, Kudlur, "A Learned Representation for Artistic Style", 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engines.nn.loading import load_state
from engines.nn.style.stylizer import SMALLEST, Stylizer
from engines.rows.painting import BRUSHWORK, MULTISTYLE26
from engines.style import own_style
from engines.style.learning import STYLES, WEIGHTS, LearningParams, last, still, train
from engines.style.sheet import Sheet, distances
from explorer.api import (
    Affine,
    Artefact,
    Checkpoint,
    Curve,
    Engine,
    Image,
    ImageInput,
    Inputs,
    Matrix,
    Outcome,
    Preprocess,
    Run,
    Scores,
    Training,
    knob,
    prepare,
)  # fmt: skip

LEARNT = str(BRUSHWORK["name"])
TERMS = f"{MULTISTYLE26['licence']}; data: {MULTISTYLE26['data']}"
NORMS = 15
SHOWN = 6  # shares in the list
PUBLISHED, WITH_LEARNT = "26 styles", "with one learnt"
LONGEST = 4  # times the size that a long side may have
_ONE = tuple(float(i == 19) for i in range(STYLES))
_LUMA = (0.299, 0.587, 0.114)  # of ITU-R BT.601


@dataclass(frozen=True)
class PaintingParams:
    """Knobs of the painting."""

    spot: tuple[float, float] | None = knob(
        None, kind="point",
        help="where on the sheet: the styles around it are mixed; nowhere: the sliders are",
    )  # fmt: skip
    mix: tuple[float, ...] = knob(
        _ONE, low=0.0, high=1.0, step=0.01, basis="style on the sheet", first=0,
        help="share of each style, while no place on the sheet is chosen",
    )  # fmt: skip
    learnt: float = knob(
        1.0, low=0.0, high=1.0, step=0.01, when=f"network={WITH_LEARNT}",
        help="share of the style that was learnt; the rest is the mix",
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
    network: str = knob(
        PUBLISHED, choices=(PUBLISHED, WITH_LEARNT), effect="build",
        help="the learnt style is that of `file`, else one that was trained here on a painting",
    )  # fmt: skip
    file: str = knob(
        "", effect="build", when=f"network={WITH_LEARNT}",
        help="the .safetensors of a training of yours: one more style, or a network of one style",
    )  # fmt: skip


@dataclass(frozen=True)
class FastStyleParams(LearningParams, PaintingParams):
    """All knobs, those of the painting first."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the knobs after the network need: pictures (3, H, W) in [0, 1].

    Attributes:
        apart: distances (S, S) between the scales and shifts of all styles.
    """

    photo: Tensor
    painted: Tensor
    mix: Tensor
    affine: Affine
    apart: Tensor


class FastStyle(Engine[FastStyleParams]):
    """A photo or clip, painted at once."""

    Params: ClassVar[type[Any]] = FastStyleParams
    emits: ClassVar[tuple[type[Artefact], ...]] = (Image, Scores, Matrix, Curve)

    network: Stylizer

    def build(self, params: FastStyleParams) -> nn.Module:
        """The published network, with a learnt style if one is asked for."""
        self.provenance, self.remarks = "", ()
        network = Stylizer(STYLES)
        load_state(network, self.host.weights(WEIGHTS), WEIGHTS)
        if params.network == PUBLISHED:
            if params.file:
                self.remarks = (f"the file is not used; set network={WITH_LEARNT!r} to use it",)
        elif params.file:
            tensors, words = own_style.read(params.file)
            own_style.put(network, tensors, params.file)
            # A whole network has nothing of the published one in it.
            self.provenance = words if network.styles == 1 else f"trained + {words}"
        else:
            own_style.put(network, self.host.weights(LEARNT), LEARNT)
        return network

    def run(self, inputs: Inputs, params: FastStyleParams, memory: Any = None) -> Run:
        """Paint one picture. On a clip ``memory`` is the sheet, which stays that of frame one."""
        photo: ImageInput = inputs["image"]
        params = yield Image("picture/photo", photo.pixels, note=photo.name)
        sheet = memory
        if self.network.styles > 1:
            if not isinstance(sheet, Sheet) or sheet.count != self.network.styles:
                sheet = self._sheet(photo)
            params = yield _laid(sheet)
        apart = sheet.apart if sheet is not None else self._apart()
        kept = self._painted(photo, self._mix(sheet, params), apart, params)
        yield from self.again(kept, params)
        return Outcome(memory=sheet, kept=kept)

    def again(self, kept: Kept, params: FastStyleParams) -> Iterator[Artefact]:
        """The painting over the photo, and the scales and shifts of one norm."""
        painted = kept.painted
        if params.colours == "of the photo":
            luma = torch.tensor(_LUMA, device=painted.device)[:, None, None]
            painted = (kept.photo + ((painted - kept.photo) * luma).sum(0)).clamp(0, 1)
        shown = torch.lerp(kept.photo, painted, params.strength)
        yield Image("picture/painted", to_pixels(shown), affine=kept.affine, note=self._terms())
        yield from self._tables(kept.mix, kept.apart, params)

    def train(
        self, inputs: Inputs, params: FastStyleParams, resume: Checkpoint | None = None
    ) -> Training:
        """Learn the style of a picture on a folder of photographs; it is shown as it comes."""
        photo, latest = still(inputs["image"]), 0

        def shown(step: int, knobs: FastStyleParams) -> Iterator[Artefact]:
            nonlocal latest
            latest = step
            with torch.no_grad():
                kept = self._painted(photo, last(self.network), self._apart(), knobs)
            self.provenance = f"trained here, {step} step{'s' * (step != 1)}"
            for artefact in self.again(kept, knobs):
                yield replace(artefact, step=step)

        yield from train(self.network, self.host, inputs, params, shown, resume)
        if self.network.styles > 1:  # the new one has its place among the others
            with torch.no_grad():
                sheet = self._sheet(photo)
            yield _laid(sheet, latest)

    def _painted(
        self, photo: ImageInput, mix: Tensor, apart: Tensor, params: FastStyleParams
    ) -> Kept:
        x, affine = scaled(photo, params.size, self.host.device)
        return Kept(x[0], self.network(x, mix.to(x.device))[0], mix, affine, apart)

    def _terms(self) -> str:
        """Where the network comes from, and on what terms."""
        if self.network.styles == STYLES:
            return TERMS
        return self.provenance if self.network.styles == 1 else f"{self._learnt_here()}; {TERMS}"

    def _learnt_here(self) -> str:
        return self.provenance.removeprefix("trained + ") or f"one style {BRUSHWORK['provenance']}"

    def _tables(self, mix: Tensor, apart: Tensor, params: FastStyleParams) -> Iterator[Artefact]:
        """Scales and shifts of one norm, a row a style; how far the styles are apart."""
        name, norm = list(self.network.norms().items())[params.norm]
        rows = [*self._names(), "mixture"]
        shares = mix.to(norm.gamma.device)
        for item, table in (("scale", norm.gamma), ("shift", norm.beta)):
            values = torch.cat([table, (shares @ table)[None]]).detach().cpu().numpy()
            yield Matrix(
                f"norm/{item}", values, scale="diverging", rows=rows,
                columns=[str(c) for c in range(values.shape[1])],
                note=f"of {name}, a row a style: all else in the network is shared",
            )  # fmt: skip
        if self.network.styles > 1:
            yield self._shares(mix, apart)
            yield Matrix(
                "styles/distance", apart.cpu().numpy(), scale="sequential",
                rows=rows[:-1], columns=rows[:-1],
                note="between all scales and shifts of two styles",
            )  # fmt: skip

    def _names(self) -> list[str]:
        """Of the styles; the learnt one is the last."""
        count = self.network.styles
        names = [f"style {i}" for i in range(count)]
        return names if count == STYLES else [*names[:-1], "learnt"]

    def _apart(self) -> Tensor:
        return distances(self.network.signatures())

    def _shares(self, mix: Tensor, apart: Tensor) -> Scores:
        names = self._names()
        most = mix.argsort(descending=True, stable=True)[:SHOWN]
        first, second = most[:2].tolist()
        far = float(apart[first, second])
        return Scores(
            "styles/shares", mix[most].numpy(), labels=[names[i] for i in most.tolist()],
            note=f"the largest; scales and shifts of {names[first]} and {names[second]} are "
            f"{far:.1f} apart",
        )  # fmt: skip

    def _sheet(self, photo: ImageInput) -> Sheet:
        """The photo, small, in every style: one batch before the picture itself."""
        small, _ = scaled(photo, Sheet.TILE, self.host.device)
        count = self.network.styles
        each = torch.eye(count, device=small.device)
        tiles = self.network(small.expand(count, -1, -1, -1), each)
        return Sheet(tiles, self.network.signatures(), self._names())

    def _mix(self, sheet: Sheet | None, params: FastStyleParams) -> Tensor:
        """Share of each style (S,) on the CPU, adding up to 1; even when every slider is at 0."""
        count = self.network.styles
        if count == 1:
            return torch.ones(1)
        if params.spot is not None and sheet is not None:
            return sheet.mix(*params.spot)
        mix = torch.tensor(params.mix)
        mix = mix / mix.sum() if float(mix.sum()) > 0 else torch.full((STYLES,), 1 / STYLES)
        if count == STYLES:
            return mix
        return torch.cat([(1 - params.learnt) * mix, torch.tensor([params.learnt])])


def _laid(sheet: Sheet, step: int = 0) -> Image:
    return Image(
        "picture/styles", sheet.pixels, gestures={"pick": "spot", "drag": "spot"}, step=step,
        note="click or drag: the styles around are mixed",
    )  # fmt: skip


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
