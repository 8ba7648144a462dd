"""The feature pyramid: Lin et al., "Feature Pyramid Networks for Object Detection", 2017.

Keys are torchvision's: ``inner_blocks.K.0.*`` are the lateral 1x1 convolutions,
``layer_blocks.K.0.*`` the 3x3 ones after the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from explorer.api import Probe

Watch = Callable[[int, Tensor, Tensor | None, Tensor], None]


class FeaturePyramid(nn.Module):
    """Gives every resolution what the coarser ones have seen.

    ``M_k = conv1x1(C_k) + up2(M_(k+1))``, ``P_k = conv3x3(M_k)``, without activations. Level 0 is
    the finest. The probes ``lateral0``, ``top_down0`` and ``merged0`` (and so on) show the parts.

    Attributes:
        pool: whether there is one more level, every second cell of the last, for proposals only.
        without_top_down, without_lateral: levels whose sum lacks that part. The coarsest level has
            no top-down part; without its lateral one it is 0.
        watch: called with each level, its lateral and top-down parts as they enter the sum (None
            where there is none), and the sum.
    """

    def __init__(
        self, inputs: Sequence[int], channels: int, *, pool: bool = False, norm: bool = False
    ) -> None:
        """Make it; ``norm``: every convolution has a batch norm in place of its bias."""
        super().__init__()
        self.pool = pool
        self.without_top_down: Collection[int] = ()
        self.without_lateral: Collection[int] = ()
        self.watch: Watch | None = None
        self.inner_blocks = nn.ModuleList(
            nn.Sequential(*_convolution(width, channels, 1, norm=norm)) for width in inputs
        )
        self.layer_blocks = nn.ModuleList(
            nn.Sequential(*_convolution(channels, channels, 3, norm=norm)) for _ in inputs
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for level in range(len(inputs)):
            self.add_module(f"lateral{level}", Probe())
            if level + 1 < len(inputs):
                self.add_module(f"top_down{level}", Probe())
            self.add_module(f"merged{level}", Probe())

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps C (N, C_k, h_k, w_k), fine to coarse, to levels P (N, channels, h_k, w_k).

        Raises:
            ValueError: there is not one map for each level.
        """
        if len(maps) != len(self.inner_blocks):
            raise ValueError(f"{len(maps)} maps for a pyramid of {len(self.inner_blocks)} levels")
        levels: list[Tensor] = []
        merged: Tensor | None = None
        for k in reversed(range(len(maps))):
            merged = self._merge(k, maps[k], merged)
            levels.insert(0, self.layer_blocks[k](merged))
        if self.pool:
            levels.append(F.max_pool2d(levels[-1], 1, stride=2))
        return levels

    def _merge(self, k: int, x: Tensor, above: Tensor | None) -> Tensor:
        """M of level k from its map and from M of the level above."""
        lateral: Tensor = self.get_submodule(f"lateral{k}")(self.inner_blocks[k](x))
        total = side = lateral * 0 if k in self.without_lateral else lateral
        raised = None
        if above is not None:
            # Nearest to the very size of the map, which may be odd.
            raised = F.interpolate(above, size=x.shape[-2:], mode="nearest")
            raised = self.get_submodule(f"top_down{k}")(raised)
            raised = raised * 0 if k in self.without_top_down else raised
            total = side + raised
        merged: Tensor = self.get_submodule(f"merged{k}")(total)
        if self.watch is not None:
            self.watch(k, side, raised, merged)
        return merged


def _convolution(inputs: int, outputs: int, size: int, *, norm: bool) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=not norm)
    return [layer, nn.BatchNorm2d(outputs)] if norm else [layer]
