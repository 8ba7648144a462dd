"""How far a painting is from a photo in content and from a style in Gram matrices, for training.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer", 2016, section 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engines.nn.style.gram import grams_per_position, per_position, relative, total_variation
from engines.nn.style.taps import Tapped, feed
from explorer.api import Preprocess

CONTENT = 3  # depth: conv3_2 of VGG, the block of the paper's relu3_3


class PerceptualLoss:
    """Terms of the loss of a batch, each relative to its target as in `gram.relative`.

    Args:
        features: frozen. ``how``: they want their pixels.
        style: the picture (1, 3, H, W) in [0, 1] whose Gram matrices are the target.
    """

    def __init__(self, features: Tapped, how: Preprocess, style: Tensor) -> None:
        self._features, self._how = features, how
        self._styles = features.taps.style
        self._content = features.taps.content[CONTENT - 1]
        with torch.no_grad():
            found = features(feed(style, how), self._styles)
            self.grams = {name: per_position(found[name]) for name in self._styles}

    def __call__(self, painted: Tensor, photos: Tensor) -> dict[str, Tensor]:
        """``content``, ``style`` (mean over the layers) and ``smoothness`` (total variation).

        Args:
            painted: (B, 3, H, W) in [0, 1], differentiable. ``photos``: what they were made of.
        """
        with torch.no_grad():
            wanted = self._features(feed(photos, self._how), (self._content,))[self._content]
        found = self._features(feed(painted, self._how), (*self._styles, self._content))
        layers = [
            relative(grams_per_position(found[name]), target) for name, target in self.grams.items()
        ]
        return {
            "content": relative(found[self._content], wanted),
            "style": torch.stack(layers).mean(),
            "smoothness": total_variation(painted),
        }
