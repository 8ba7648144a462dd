"""Pictures of a run of style transfer, and the words below them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engines.nn.taps import Taps
from engines.style.params import StyleParams
from explorer.api import Affine, Image


@dataclass(frozen=True, slots=True)
class Pictures:
    """Makes the Image artefacts of a run; ``about`` says whose features compare them."""

    about: str
    affine: Affine

    def image(self, item: str, pixels: Tensor, step: int = 0, words: str = "") -> Image:
        """Pixels (1, 3, H, W) in [0, 1], clamped for display only."""
        return Image(
            f"pictures/{item}", to_bytes(pixels)[0], step=step,
            affine=None if item == "style" else self.affine, note=self.note(words),
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


def compared(taps: Taps, params: StyleParams) -> str:
    """Which layers one side alone is rebuilt from; nothing when both are."""
    if params.reconstruct == "content":
        return f"content of {taps.content[params.content_block - 1]} alone"
    if params.reconstruct == "style":
        return f"style of {upto(taps.style, params.style_block)} alone"
    return ""


def upto(names: tuple[str, ...], depth: int) -> str:
    """``conv1_1`` or ``conv1_1 to conv3_1``."""
    return names[0] if depth == 1 else f"{names[0]} to {names[depth - 1]}"
