"""Pictures of a run of style transfer, and the words below them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engines.nn.style.taps import Taps
from engines.style.params import StyleParams
from explorer.api import Affine, Image

LUMA = (0.299, 0.587, 0.114)  # of ITU-R BT.601
DIM = 0.3  # what is left of the content outside a mask
NOT_PLACED = ("style", "second style")  # lie over no pixel of the photo


@dataclass(frozen=True, slots=True)
class Pictures:
    """Makes the Image artefacts of a run; ``about`` says whose features compare them."""

    about: str
    affine: Affine

    def image(self, item: str, pixels: Tensor, step: int = 0, words: str = "") -> Image:
        """Pixels (1, 3, H, W) in [0, 1], clamped for display only; the content takes a mask."""
        gestures: Mapping[Any, str] = {"paint": "mask"} if item == "content" else {}
        return Image(
            f"pictures/{item}", to_bytes(pixels)[0], step=step, gestures=gestures,
            affine=None if item in NOT_PLACED else self.affine, note=self.note(words),
        )  # fmt: skip

    def tiles(self, item: str, pixels: Tensor, labels: list[str], step: int, words: str) -> Image:
        """A batch (N, 3, H, W) with a label each."""
        return Image(
            f"pictures/{item}", to_bytes(pixels), labels=labels, step=step, note=self.note(words)
        )

    def saying(self, words: str) -> Pictures:
        """The same, with these words in every note."""
        return replace(self, about=self.note(words))

    def note(self, words: str) -> str:
        """The words, then whose features."""
        return f"{words}; {self.about}" if words else self.about


def to_bytes(pixels: Tensor) -> Any:
    """(N, H, W, 3) uint8 of (N, 3, H, W) in [0, 1]."""
    shown = (pixels.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return shown.permute(0, 2, 3, 1).cpu().numpy()


def in_colours_of(canvas: Tensor, photo: Tensor) -> Tensor:
    """The canvas's luminance with the photo's Cb and Cr, both (1, 3, H, W) in [0, 1].

    Cb and Cr are B - Y and R - Y up to factors: they stay when R, G and B grow by the same.
    """
    weights = canvas.new_tensor(LUMA).view(1, 3, 1, 1)
    difference = (canvas.detach().clamp(0, 1) - photo) * weights
    return photo + difference.sum(1, keepdim=True)


def compared(taps: Taps, params: StyleParams) -> str:
    """Which layers one side alone is rebuilt from; nothing when both are."""
    if params.reconstruct == "content":
        return f"content of {taps.content[params.content_block - 1]} alone"
    if params.reconstruct == "style":
        return f"style of {upto(taps.style, params.style_block)} alone"
    return ""


def spotlit(content: Tensor, inside: Tensor | None) -> Tensor:
    """The content (1, 3, H, W) with the ground outside a mask (1, 1, H, W) dimmed."""
    return content if inside is None else content * (DIM + (1 - DIM) * inside)


def tile_labels(names: tuple[str, ...]) -> list[str]:
    """Of sets of layers from the first on: ``conv1_1``, ``to conv2_1``, ..."""
    return [names[0], *(f"to {name}" for name in names[1:])]


def upto(names: tuple[str, ...], depth: int) -> str:
    """``conv1_1`` or ``conv1_1 to conv3_1``."""
    return names[0] if depth == 1 else f"{names[0]} to {names[depth - 1]}"
