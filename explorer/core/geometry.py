"""Where each cell of a feature map lies in the network's input, by the layers' attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from explorer.kinds import Affine


@dataclass(frozen=True, slots=True)
class Place:
    """Affine from map cells to pixels, and the receptive field (width, height) in pixels."""

    affine: Affine
    receptive: tuple[float, float] | None

    def under(self, outer: Affine) -> Place:
        """The same place in the coordinates that ``outer`` leads to."""
        field = self.receptive
        scaled = None if field is None else (field[0] * outer.sx, field[1] * outer.sy)
        return Place(outer.after(self.affine), scaled)


class Geometry:
    """Follows one forward pass; `enter` before it, `leave` after each leaf module.

    A tensor that comes out of plain arithmetic (a residual sum) has no known history; it takes the
    place of the known map of its own size that sees most (a shortcut may have passed through a
    module after the branch), else the ratio of sizes, marked approximate.
    """

    def __init__(self) -> None:
        self._by_size: dict[tuple[int, int], Place] = {}
        self._root: tuple[int, int] | None = None

    def enter(self, x: Tensor) -> None:
        """Note the input of the network (N, C, H, W)."""
        if x.ndim != 4:
            return
        size = (int(x.shape[2]), int(x.shape[3]))
        place = Place(Affine(), (1.0, 1.0))
        self._root = size
        self._by_size = {size: place}
        _set(x, place)

    def leave(self, module: nn.Module, x: Any, out: Any) -> None:
        """Note what a leaf module made of its input."""
        if not (isinstance(x, Tensor) and isinstance(out, Tensor) and x.ndim == out.ndim == 4):
            return
        before = self.of(x)
        if before is None:
            return
        step = _step(module, x, out)
        if step is None:
            place = self._by_ratio(out) if x.shape[2:] != out.shape[2:] else before
        else:
            place = _then(before, *step)
        if place is not None:
            _set(out, place)
            size = (int(out.shape[2]), int(out.shape[3]))
            self._by_size[size] = _wider(self._by_size.get(size), place)

    def of(self, x: Tensor) -> Place | None:
        """The place of a tensor (N, C, H, W) of this pass."""
        own: Place | None = getattr(x, "layerscope_place", None)
        if own is not None or x.ndim != 4:
            return own
        return self._by_size.get((int(x.shape[2]), int(x.shape[3]))) or self._by_ratio(x)

    def _by_ratio(self, x: Tensor) -> Place | None:
        if self._root is None:
            return None
        height, width = self._root
        ratio = Affine(width / x.shape[3], height / x.shape[2], approximate=True)
        return Place(ratio, None)


def _wider(old: Place | None, new: Place) -> Place:
    """The one with the larger receptive field; the newer one where they are alike."""
    if old is None or old.receptive is None or new.receptive is None:
        return new
    return old if old.receptive > new.receptive else new


def _set(x: Tensor, place: Place) -> None:
    x.layerscope_place = place  # type: ignore[attr-defined]


def _then(before: Place, local: Affine, reach_x: float, reach_y: float) -> Place:
    a = before.affine
    field = before.receptive
    grown = None if field is None else (field[0] + reach_x * a.sx, field[1] + reach_y * a.sy)
    return Place(a.after(local), grown)


def _step(module: nn.Module, x: Tensor, out: Tensor) -> tuple[Affine, float, float] | None:
    """(map from output cells to input cells, growth of the receptive field in input cells)."""
    if isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        ky, kx = _pair(module.kernel_size)
        sy, sx = _pair(module.stride if module.stride is not None else module.kernel_size)
        dy, dx = _pair(getattr(module, "dilation", 1))
        ey, ex = dy * (ky - 1) + 1, dx * (kx - 1) + 1
        if module.padding == "same":
            py, px = (ey - 1) // 2, (ex - 1) // 2
        else:
            py, px = (0, 0) if module.padding == "valid" else _pair(module.padding)
        # Output cell i covers input cells i*s - p to i*s - p + extent; centres are at i + 0.5.
        tx, ty = -0.5 * sx - px + ex / 2, -0.5 * sy - py + ey / 2
        return Affine(sx, sy, tx, ty), ex - 1, ey - 1
    if isinstance(module, nn.ConvTranspose2d):
        ky, kx = _pair(module.kernel_size)
        sy, sx = _pair(module.stride)
        py, px = _pair(module.padding)
        tx, ty = (0.5 * sx + px - kx / 2) / sx, (0.5 * sy + py - ky / 2) / sy
        return Affine(1 / sx, 1 / sy, tx, ty), max(0.0, (kx - 1) / sx), max(0.0, (ky - 1) / sy)
    if isinstance(
        module, (nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.ConstantPad2d)
    ):
        left, _, top, _ = _four(module.padding)
        return Affine(1, 1, -left, -top), 0.0, 0.0
    if isinstance(module, (nn.Upsample, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
        ry, rx = x.shape[2] / out.shape[2], x.shape[3] / out.shape[3]
        return Affine(rx, ry), max(0.0, rx - 1), max(0.0, ry - 1)
    return None


def _pair(value: Any) -> tuple[int, int]:
    return (
        (int(value[0]), int(value[1]))
        if isinstance(value, (tuple, list))
        else (int(value), int(value))
    )


def _four(value: Any) -> tuple[int, int, int, int]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * 4
