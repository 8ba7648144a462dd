"""What SSD's L2 normalisation does to the first map that its heads read."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from explorer.api import Affine, Artefact, Curve, FeatureMaps, Field


def normalisation_views(
    before: Tensor, after: Tensor, scale: Tensor, affine: Affine, name: str
) -> Iterator[Artefact]:
    """The map before and after, the norm at every position, and every channel's size.

    Args:
        before, after: (C, h, w). scale: the learned factor of every channel (C,).
        affine: from cells to input pixels. name: of the map.
    """
    norm = before.norm(dim=0)
    yield FeatureMaps(
        "normalisation/before", before.cpu().numpy(), affine=affine, note=f"{name}, after ReLU"
    )
    yield FeatureMaps(
        "normalisation/after", after.cpu().numpy(), affine=affine,
        note=f"{name} divided by its norm over the channels at each position, times the scale",
    )  # fmt: skip
    yield Field(
        "normalisation/norm at each position", norm.cpu().numpy(), affine=affine,
        note=f"before; after it is {after.norm(dim=0).min():.3g} to "
        f"{after.norm(dim=0).max():.3g} everywhere",
    )  # fmt: skip
    size = before.square().mean((1, 2)).sqrt()
    order = size.argsort(descending=True)
    rows = torch.stack([size, after.square().mean((1, 2)).sqrt(), scale])[:, order]
    yield Curve(
        "normalisation/channels", torch.arange(1, len(size) + 1).numpy(), rows.cpu().numpy(),
        series=("before", "after", "learned scale"), x_label="channel, strongest first",
        note="root mean square of each channel; the scale starts at 20",
    )  # fmt: skip
