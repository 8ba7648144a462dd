"""EfficientNet-Lite0 (Tan, Le 2019; the Lite variant has ReLU6 and no squeeze-and-excitation).

Module and parameter names are those of the published checkpoint, so that it loads as it is.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

# repeats, kernel, stride, expansion, channels (width 1.0, depth 1.0)
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip


class SamePad(nn.ZeroPad2d):
    """TensorFlow's SAME padding for an even input: the odd pixel goes to the bottom and right."""

    def __init__(self, kernel: int, stride: int) -> None:
        total = max(kernel - stride, 0)
        super().__init__((total // 2, total - total // 2) * 2)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, project 1x1; the input is added where shape allows."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.skips = stride == 1 and inputs == outputs
        if expansion != 1:
            self._expand_conv = nn.Conv2d(inputs, hidden, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(hidden, eps=1e-3)
            self._act0 = nn.ReLU6()
        self._pad = SamePad(kernel, stride)
        self._depthwise_conv = nn.Conv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = nn.BatchNorm2d(hidden, eps=1e-3)
        self._act1 = nn.ReLU6()
        self._project_conv = nn.Conv2d(hidden, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:  # (N, inputs, H, W) -> (N, outputs, H / stride, ...)
        """Apply the block."""
        y = x
        if hasattr(self, "_expand_conv"):
            y = self._act0(self._bn0(self._expand_conv(y)))
        y = self._act1(self._bn1(self._depthwise_conv(self._pad(y))))
        y = self._bn2(self._project_conv(y))
        out: Tensor = x + y if self.skips else y
        return out


class EfficientNetLite0(nn.Module):
    """The classifier; input (N, 3, H, W) RGB as ``(x / 255 - 0.498) / 0.502``, output logits."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self._pad = SamePad(3, 2)
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._act0 = nn.ReLU6()
        blocks: list[nn.Module] = []
        inputs = 32
        for repeats, kernel, stride, expansion, channels in STAGES:
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                blocks.append(InvertedResidual(inputs, channels, kernel, step, expansion))
                inputs = channels
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(inputs, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._act1 = nn.ReLU6()
        self._fc = nn.Linear(1280, classes)

    def features(self, x: Tensor) -> Tensor:
        """Last feature maps (N, 1280, H / 32, W / 32), non-negative."""
        x = self._act0(self._bn0(self._conv_stem(self._pad(x))))
        x = self._blocks(x)
        out: Tensor = self._act1(self._bn1(self._conv_head(x)))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes)."""
        out: Tensor = self._fc(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))
        return out
