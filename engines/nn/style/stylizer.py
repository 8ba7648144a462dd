"""A network that paints in one pass, with a scale and a shift for each style in every norm.

Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer", 2016; Dumoulin, Shlens,
Kudlur, "A Learned Representation for Artistic Style", 2017 (conditional instance normalisation).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALLEST = 32  # px: below it a reflected edge is wider than the map


class ConditionalNorm(nn.Module):
    """Instance norm whose scale and shift are a mixture of those of several styles."""

    def __init__(self, styles: int, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(styles, channels))
        self.beta = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        """Normalise maps (N, C, H, W) over their positions, then scale and shift by ``mix`` (S,)
        or (N, S)."""
        mix = mix.reshape(-1, len(self.gamma))
        scale, shift = mix @ self.gamma, mix @ self.beta
        if len(mix) == 1:  # the same in one kernel, which a whole batch of one style can take
            return F.instance_norm(x, weight=scale[0], bias=shift[0], eps=1e-5)
        return F.instance_norm(x, eps=1e-5) * scale[:, :, None, None] + shift[:, :, None, None]


class PaintedConv(nn.Module):
    """Reflected edge, convolution without bias, conditional norm, and what follows."""

    def __init__(
        self, styles: int, inputs: int, outputs: int, kernel: int, stride: int = 1,
        after: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding=kernel // 2, padding_mode="reflect", bias=False
        )
        self.norm = ConditionalNorm(styles, outputs)
        self.after = after if after is not None else nn.ReLU()

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        y: Tensor = self.after(self.norm(self.conv(x), mix))
        return y


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, styles: int, channels: int) -> None:
        super().__init__()
        self.first = PaintedConv(styles, channels, channels, 3)
        self.second = PaintedConv(styles, channels, channels, 3, after=nn.Identity())

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        """The same shape."""
        y: Tensor = x + self.second(self.first(x, mix), mix)
        return y


class Enlarged(PaintedConv):
    """A convolution after doubling the size by repeating pixels: no checkerboards."""

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', 2 H, 2 W)."""
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"), mix)


class Stylizer(nn.Module):
    """Contract to a quarter of the size, six residual blocks, expand, sigmoid.

    Args:
        styles: how many share the convolutions.
        width: channels of the middle. ``narrow``: channels after each doubling.
    """

    def __init__(
        self, styles: int = 26, width: int = 32, narrow: tuple[int, int] = (8, 4), blocks: int = 6
    ) -> None:
        super().__init__()
        self.styles = styles
        self.contract = nn.ModuleList([
            PaintedConv(styles, 3, width, 9),
            PaintedConv(styles, width, width, 3, 2),
            PaintedConv(styles, width, width, 3, 2),
        ])  # fmt: skip
        self.residual = nn.ModuleList(Residual(styles, width) for _ in range(blocks))
        self.expand = nn.ModuleList([
            Enlarged(styles, width, narrow[0], 3),
            Enlarged(styles, narrow[0], narrow[1], 3),
            PaintedConv(styles, narrow[1], 3, 9, after=nn.Sigmoid()),
        ])  # fmt: skip

    def forward(self, x: Tensor, mix: Tensor) -> Tensor:
        """Paint pictures (N, 3, H, W), both sides a multiple of 4 and at least `SMALLEST`.

        Args:
            mix: share of each style, (S,) or (N, S); they need not add up to 1.

        Returns:
            (N, 3, H, W) in [0, 1], RGB.
        """
        for part in (*self.contract, *self.residual, *self.expand):
            x = part(x, mix)
        return x

    def start(self, generator: torch.Generator) -> None:
        """Fresh weights: He's for the convolutions, scales of 1 and shifts of 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            elif isinstance(module, ConditionalNorm):
                nn.init.ones_(module.gamma)
                nn.init.zeros_(module.beta)

    def rows(self, style: int) -> dict[str, Tensor]:
        """What makes one style: its scales and shifts (1, C) by parameter, a copy."""
        return {
            f"{name}.{part}": getattr(norm, part)[style : style + 1].detach().clone()
            for name, norm in self.norms().items()
            for part in ("gamma", "beta")
        }

    def take(self, rows: Mapping[str, Tensor], first: int) -> None:
        """Put styles (S, C), as `rows` gives them, behind the first ``first`` of those there are.

        The modules stay the same, so that whoever looks into them still does.
        """
        for name, norm in self.norms().items():
            for part in ("gamma", "beta"):
                old: Tensor = getattr(norm, part).detach()
                new = rows[f"{name}.{part}"].to(old)
                setattr(norm, part, nn.Parameter(torch.cat([old[:first], new])))
                self.styles = first + len(new)

    def norms(self) -> dict[str, ConditionalNorm]:
        """Every norm by the name of its module."""
        return {n: m for n, m in self.named_modules() if isinstance(m, ConditionalNorm)}

    def signatures(self) -> Tensor:
        """What tells the styles apart, (S, 2 C): all their scales and shifts, in order."""
        parts = [p for norm in self.norms().values() for p in (norm.gamma, norm.beta)]
        return torch.cat([p.detach() for p in parts], 1)
