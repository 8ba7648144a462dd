"""Darknet's networks from a cfg file; `engines.nn.one_stage.darknet_weights` fills them.

Layers as in Redmon's Darknet: a max pool pads at the right and the bottom, `Reorg` goes by its odd
rule, batch norm divides by the root of the variance plus 1e-6, and a connected layer flattens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nn.one_stage.darknet_cfg import Section, read_cfg
from engines.nn.one_stage.reorg import Reorg
from explorer.api import EngineError

EPS = 1e-12  # of the norms: Darknet's own 1e-6, added to the root, is put into the variance
LARGEST = 8192  # side of an input in px; the published ones are 608 at most
Shape = tuple[int, int, int]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky": lambda: nn.LeakyReLU(0.1),
    "linear": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
}


@dataclass(frozen=True, slots=True)
class Head:
    """What the last layer says of the grid.

    Attributes:
        version: 1 ([detection]) or 2 ([region]).
        classes, boxes: C, and boxes or anchors of a cell.
        anchors: (A, 2) in cells, v2 only.
        side: cells a side, v1 only. roots: v1 gives the root of the sides.
        softmax: v1 takes one over the classes of a cell.
        tree: v2: the file of the WordTree, as the cfg names it, or "".
    """

    version: int
    classes: int
    boxes: int
    anchors: tuple[tuple[float, float], ...] = ()
    side: int = 0
    roots: bool = False
    softmax: bool = False
    tree: str = ""


class MaxPool(nn.Module):
    """Darknet's: ``size - 1`` cells of border in all, the larger half at right and bottom."""

    def __init__(self, size: int, stride: int, border: int) -> None:
        super().__init__()
        self.size, self.stride, self.border = size, stride, border

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to one in ``stride`` of each side."""
        low, high = self.border // 2, self.border - self.border // 2
        return F.max_pool2d(F.pad(x, (low, high, low, high), value=-torch.inf),
                            self.size, self.stride)  # fmt: skip


class Local(nn.Module):
    """A convolution whose filters differ at every place."""

    def __init__(self, shape: Shape, filters: int, size: int, stride: int, border: int) -> None:
        super().__init__()
        self.geometry = (size, stride, border)
        height, width = ((s + (2 * border) - size) // stride + 1 for s in shape[1:])
        self.out = (filters, height, width)
        self.weight = nn.Parameter(torch.zeros(height * width, filters, shape[0] * size**2))
        self.bias = nn.Parameter(torch.zeros(filters, height, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, filters, h, w)."""
        size, stride, border = self.geometry
        patches = F.unfold(x, size, padding=border, stride=stride)  # (N, C k k, h w)
        y = torch.einsum("lfk,nkl->nfl", self.weight, patches)
        return y.view(len(x), *self.out) + self.bias


class Connected(nn.Module):
    """A fully connected layer over all values of a map, as a map of 1 x 1."""

    def __init__(self, shape: Shape, outputs: int, *, norm: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(shape[0] * shape[1] * shape[2], outputs, bias=not norm)
        self.norm = nn.BatchNorm1d(outputs, EPS) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs, 1, 1)."""
        y: Tensor = self.fc(x.flatten(1))
        return (y if self.norm is None else self.norm(y))[:, :, None, None]


class Route(nn.Module):
    """Concatenates the outputs of earlier layers; ``at`` are their numbers."""

    def __init__(self, at: tuple[int, ...]) -> None:
        super().__init__()
        self.at = at

    def forward(self, outputs: list[Tensor]) -> Tensor:
        """All of them along the channels, in the order of the cfg."""
        return torch.cat([outputs[i] for i in self.at], 1)


class Shortcut(nn.Module):
    """Adds the output of an earlier layer."""

    def __init__(self, at: int, act: nn.Module) -> None:
        super().__init__()
        self.at, self.act = at, act

    def forward(self, x: Tensor, earlier: Tensor) -> Tensor:
        """The sum."""
        y: Tensor = self.act(x + earlier)
        return y


class Average(nn.Module):
    """The mean over a map, (N, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """As a map of one cell."""
        return x.mean((2, 3), keepdim=True)


def _side(net: Section, key: str) -> int:
    """The height or width of the input; one that no memory holds is a slip of the keyboard."""
    side = net.integer(key, low=1)
    if side > LARGEST:
        raise net.wrong(key, f"at most {LARGEST:,} px")
    return side


class Darknet(nn.Module):
    """The layers of a cfg, run one after another.

    Attributes:
        layers: one module a section after ``[net]``, with the numbers that Darknet prints.
        shapes: (C, H, W) that each gives for the input of the cfg.
        head: what the grid means, or None (a classifier).
        size: (height, width) of the input. stride: px of a cell of the last layer.
    """

    def __init__(self, sections: list[Section]) -> None:
        super().__init__()
        net = sections[0]
        self.size = (_side(net, "height"), _side(net, "width"))
        shape: Shape = (net.integer("channels", 3, low=1), *self.size)
        self.sections = sections[1:]
        self.layers = nn.ModuleList()
        self.shapes: list[Shape] = []
        self.head: Head | None = None
        for section in self.sections:
            module, shape = self._layer(section, shape)
            if min(shape) < 1:
                raise EngineError(f"{section.where} would give a map of {shape[1]} x {shape[2]}: "
                                  "the input of this cfg is too small for it")  # fmt: skip
            self.layers.append(module)
            self.shapes.append(shape)
        self.stride = self.size[0] // shape[1]
        self.fixed = any(isinstance(m, Connected | Local) for m in self.layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] to the map of the last layer."""
        return self.outputs(x)[-1]

    def outputs(self, x: Tensor) -> list[Tensor]:
        """What every layer gives."""
        outputs: list[Tensor] = []
        for layer in self.layers:
            if isinstance(layer, Route):
                x = layer(outputs)
            elif isinstance(layer, Shortcut):
                x = layer(x, outputs[layer.at])
            else:
                x = layer(x)
            outputs.append(x)
        return outputs

    def _layer(self, s: Section, shape: Shape) -> tuple[nn.Module, Shape]:
        channels, height, width = shape
        if s.kind == "convolutional":
            return _convolution(s, shape)
        if s.kind == "maxpool":
            stride = s.integer("stride", 1, low=1)
            size = s.integer("size", stride, low=1)
            border = s.integer("padding", size - 1)
            high, wide = ((side + border - size) // stride + 1 for side in (height, width))
            return MaxPool(size, stride, border), (channels, high, wide)
        if s.kind == "reorg":
            stride = s.integer("stride", 1, low=1)
            if height % stride or width % stride or channels % stride**2:
                raise EngineError(f"{s.where} of stride {stride} does not fit a map of "
                                  f"{channels} x {height} x {width}")  # fmt: skip
            return Reorg(stride), (channels * stride**2, height // stride, width // stride)
        if s.kind == "upsample":
            stride = s.integer("stride", 2, low=1)
            return nn.Upsample(scale_factor=stride), (channels, height * stride, width * stride)
        if s.kind == "route":
            return self._route(s)
        if s.kind == "shortcut":
            at = self._earlier(s, "from", s.integer("from", low=-len(self.layers)))
            if self.shapes[at] != shape:
                raise EngineError(f"{s.where} adds maps of {self.shapes[at]} and {shape}")
            return Shortcut(at, _activation(s, "linear")), shape
        if s.kind == "connected":
            outputs = s.integer("output", low=1)
            layer = Connected(shape, outputs, norm=bool(s.integer("batch_normalize", 0)))
            return nn.Sequential(layer, _activation(s, "logistic")), (outputs, 1, 1)
        if s.kind == "local":
            local = Local(shape, s.integer("filters", low=1), s.integer("size", low=1),
                          s.integer("stride", 1, low=1), s.integer("pad", 0))  # fmt: skip
            return nn.Sequential(local, _activation(s, "logistic")), local.out
        if s.kind == "avgpool":
            return Average(), (channels, 1, 1)
        if s.kind == "softmax":
            return nn.Softmax(1), shape
        if s.kind in ("region", "detection"):
            self.head = (_region if s.kind == "region" else _detection)(s, shape)
        return nn.Identity(), shape  # dropout, cost and crop do nothing once it is trained

    def _route(self, s: Section) -> tuple[nn.Module, Shape]:
        at = tuple(self._earlier(s, "layers", int(v)) for v in s.numbers("layers"))
        if not at:
            raise EngineError(f"{s.where} has no 'layers'")
        shapes = [self.shapes[i] for i in at]
        if len({shape[1:] for shape in shapes}) > 1:
            sizes = ", ".join(f"{h} x {w}" for _, h, w in shapes)
            raise EngineError(f"{s.where} joins maps of different sizes: {sizes}")
        return Route(at), (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def _earlier(self, s: Section, key: str, number: int) -> int:
        """The layer that a cfg means: below 0 counted back from here."""
        at = number + len(self.layers) if number < 0 else number
        if not 0 <= at < len(self.layers):
            raise s.wrong(key, f"one of the {len(self.layers)} layers before it")
        return at


def _activation(s: Section, default: str) -> nn.Module:
    name = s.text("activation", default)
    if name not in ACTIVATIONS:
        raise s.wrong("activation", f"one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def _convolution(s: Section, shape: Shape) -> tuple[nn.Module, Shape]:
    channels, height, width = shape
    filters, size = s.integer("filters", 1, low=1), s.integer("size", 1, low=1)
    stride, groups = s.integer("stride", 1, low=1), s.integer("groups", 1, low=1)
    border = size // 2 if s.integer("pad", 0) else s.integer("padding", 0)
    if channels % groups or filters % groups:
        raise EngineError(f"{s.where}: {channels} to {filters} channels in {groups} groups")
    norm = bool(s.integer("batch_normalize", 0))
    conv = nn.Conv2d(channels, filters, size, stride, border, groups=groups, bias=not norm)
    layers = [conv, nn.BatchNorm2d(filters, EPS)] if norm else [conv]
    high, wide = ((side + 2 * border - size) // stride + 1 for side in (height, width))
    return nn.Sequential(*layers, _activation(s, "logistic")), (filters, high, wide)


def _region(s: Section, shape: Shape) -> Head:
    boxes, classes = s.integer("num", 1, low=1), s.integer("classes", 20)
    values = s.numbers("anchors")
    anchors = tuple(zip(values[::2], values[1::2], strict=False))
    if len(values) != 2 * boxes:
        raise EngineError(f"{s.where}: {boxes} anchors want {2 * boxes} numbers, there are "
                          f"{len(values)}")  # fmt: skip
    _channels(s, shape[0], boxes * (5 + classes))
    return Head(2, classes, boxes, anchors, tree=s.text("tree"))


def _detection(s: Section, shape: Shape) -> Head:
    side, boxes, classes = s.integer("side", 7), s.integer("num", 1), s.integer("classes", 1)
    _channels(s, shape[0] * shape[1] * shape[2], side**2 * (5 * boxes + classes))
    return Head(1, classes, boxes, side=side, roots=bool(s.integer("sqrt", 0)),
                softmax=bool(s.integer("softmax", 0)))  # fmt: skip


def _channels(s: Section, got: int, wanted: int) -> None:
    if got != wanted:
        raise EngineError(f"{s.where} wants {wanted} values of the layer before it, which gives "
                          f"{got}: its classes or filters are not right")  # fmt: skip


def v1_grid(output: Tensor, head: Head) -> Tensor:
    """The flat output (N, S S (5 B + C), 1, 1) of a ``[detection]`` as `YoloV1` has its grid.

    Darknet gives all classes first, cell by cell, then all confidences, then all coordinates.
    """
    n, side, boxes = len(output), head.side, head.boxes
    flat = output.flatten(1)
    cells = side**2
    first, second = cells * head.classes, cells * (head.classes + boxes)
    classes, confidence, coordinates = flat.tensor_split((first, second), 1)
    classes = classes.view(n, cells, head.classes)
    if head.softmax:
        classes = classes.softmax(-1)
    coordinates = coordinates.view(n, cells, boxes, 4)
    if not head.roots:
        centre, sides = coordinates[..., :2], coordinates[..., 2:]
        coordinates = torch.cat([centre, sides.clamp(min=0).sqrt()], -1)
    five = torch.cat([coordinates, confidence.view(n, cells, boxes, 1)], -1)
    grid = torch.cat([five.view(n, cells, -1), classes], 2)
    return grid.transpose(1, 2).reshape(n, -1, side, side)


def load_cfg(path: Path) -> Darknet:
    """The network of a cfg, without weights.

    Raises:
        EngineError: one line that names the line of the file.
    """
    return Darknet(read_cfg(path))
