"""The four networks of one dancer: frames and their critics, the face and its critic."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from engines.nn.translation.pix2pixhd import GlobalGenerator, MultiscaleDiscriminator, initialise

DOWNS = 3  # halvings: sides of the pictures are multiples of 8
FACE_DOWNS = 2  # sides of a face crop are multiples of 4


def generator(width: int = 16, blocks: int = 3) -> GlobalGenerator:
    """From a stick figure and the frame before (6 channels) to a frame."""
    return GlobalGenerator(6, width=width, downs=DOWNS, blocks=blocks)


def discriminator(width: int = 16, scales: int = 2) -> MultiscaleDiscriminator:
    """From two stick figures and two frames (12 channels) to score maps."""
    return MultiscaleDiscriminator(12, width=width, scales=scales)


def face_generator(width: int = 16, blocks: int = 3) -> GlobalGenerator:
    """From the crops of figure and made frame (6 channels) to what the crop lacks."""
    return GlobalGenerator(6, width=width, downs=FACE_DOWNS, blocks=blocks)


def face_discriminator(width: int = 16) -> MultiscaleDiscriminator:
    """From the crops of figure and frame (6 channels) to one score map; batch norms, one scale."""
    return MultiscaleDiscriminator(6, width=width, scales=1, norm=nn.BatchNorm2d)


class Dancer(nn.Module):
    """Everything that is learnt of one person.

    Args:
        width, blocks: of the generator of frames.
    """

    critics: ClassVar[tuple[str, ...]] = ("discriminator", "face_discriminator")

    def __init__(self, width: int = 16, blocks: int = 3) -> None:
        super().__init__()
        self.generator = generator(width, blocks)
        self.discriminator = discriminator(12)
        self.face = face_generator(12, 2)
        self.face_discriminator = face_discriminator(12)

    def start(self, draw: torch.Generator) -> None:
        """Fresh weights; batch norms begin as nothing seen."""
        initialise(self, draw)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()

    def forward(self, figure: Tensor, before: Tensor) -> Tensor:
        """The frame (N, 3, H, W) of a figure, after the frame before; both alike, in [-1, 1]."""
        y: Tensor = self.generator(torch.cat([figure, before], 1))
        return y
