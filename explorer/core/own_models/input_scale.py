"""How the numbers that enter a network follow from the picture: order, gain and offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from explorer.inputs import Pixels
from explorer.kinds import Affine

SURE = 0.95  # correlation from which a channel of the input is taken for one of the picture


@dataclass(frozen=True, slots=True)
class InputScale:
    """Channel c of the input is ``gain[c] * p + offset[c]``; p in [0, 1] is a picture's channel.

    Attributes:
        source: which channel of the picture each is: 0 to 2 for R, G, B, 3 for their mean.
        measured: from the picture itself; otherwise the range of the input stands for black to
            white.
    """

    gain: tuple[float, ...]
    offset: tuple[float, ...]
    source: tuple[int, ...]
    measured: bool

    @classmethod
    def of(cls, x: Tensor, pixels: Pixels | None, affine: Affine | None) -> InputScale:
        """Measure by least squares, channel by channel, where a picture is at hand.

        Args:
            x: what entered the network (1, C, H, W).
            pixels: the picture (h, w, 3) uint8 it was made of.
            affine: from pixels of ``x`` to those of the picture.
        """
        if pixels is not None and affine is not None:
            found = _measured(x.detach().float().cpu(), pixels, affine)
            if found is not None:
                return found
        low, high = float(x.min()), float(x.max())
        count = x.shape[1]
        source = (3,) if count == 1 else tuple(min(c, 2) for c in range(count))
        return cls((max(high - low, 1e-6),) * count, (low,) * count, source, measured=False)

    def to_input(self, picture: Tensor) -> Tensor:
        """Channels (1, C, H, W) in [0, 1], in the network's order, as the network wants them."""
        shape = (1, len(self.gain), 1, 1)
        gain, offset = (picture.new_tensor(v).view(shape) for v in (self.gain, self.offset))
        return picture * gain + offset

    def to_pixels(self, picture: Tensor) -> Pixels:
        """The same channels as a picture (H, W, 3) uint8 to look at."""
        values = picture.detach()[0].float().cpu()
        shown = values.mean(0, keepdim=True).repeat(3, 1, 1)
        if len(self.source) == 3 and set(self.source) <= {0, 1, 2}:
            for channel, source in enumerate(self.source):
                shown[source] = values[channel]
        found: Pixels = (255 * shown).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        return np.ascontiguousarray(found)


def _measured(x: Tensor, pixels: Pixels, affine: Affine) -> InputScale | None:
    """Gains, offsets and channels, or None where the input does not look like the picture."""
    seen, inside = _as_placed(pixels, affine, x.shape[2], x.shape[3])
    if int(inside.sum()) < 16:
        return None
    sources = torch.cat([seen, seen.mean(0, keepdim=True)])[:, inside]  # (4, n)
    sources = sources - (means := sources.mean(1, keepdim=True))
    gain, offset, source = [], [], []
    for channel, values in enumerate(x[0][:, inside]):
        centred = values - values.mean()
        both = sources @ centred
        size = sources.square().sum(1)
        match = both.abs() / (size * centred.square().sum()).sqrt().clamp_min(1e-12)
        # A grey picture leaves the order open: then as it stands.
        best = channel if match[min(channel, 3)] > match.max() - 1e-4 else int(match.argmax())
        best = 3 if x.shape[1] == 1 else min(best, 3)
        if match[best] < SURE:
            return None
        slope = float(both[best] / size[best])
        gain.append(slope)
        offset.append(float(values.mean() - slope * means[best, 0]))
        source.append(best)
    return InputScale(tuple(gain), tuple(offset), tuple(source), measured=True)


def _as_placed(pixels: Pixels, affine: Affine, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The picture (3, height, width) in [0, 1] under an input of that size, and where it lies."""
    photo = torch.from_numpy(np.array(pixels, order="C")).permute(2, 0, 1).float() / 255
    size = [max(1, round(photo.shape[1] / affine.sy)), max(1, round(photo.shape[2] / affine.sx))]
    small = F.interpolate(photo.unsqueeze(0), size, mode="bilinear", antialias=True)[0]
    rows = torch.arange(height) + round(affine.ty / affine.sy)
    columns = torch.arange(width) + round(affine.tx / affine.sx)
    inside = ((rows >= 0) & (rows < size[0]))[:, None] & (columns >= 0) & (columns < size[1])
    return small[:, rows.clamp(0, size[0] - 1)][:, :, columns.clamp(0, size[1] - 1)], inside
