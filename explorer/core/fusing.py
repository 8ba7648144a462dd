"""A convolution with its padding, norm and activation in one, where nobody looks in between.

For a clip on a CPU, where a frame is one picture: there a pass is bound by memory, and each of
these modules walks through its map once more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from explorer.core.following import Follower

Forward = Callable[[Tensor], Tensor]
Swap = tuple[dict[str, Any], Forward]  # attributes of a module, and what goes among them
Slot = tuple[dict[str, Any], str]  # where a weight stands, and its name there

# What each does to a tensor of our own, in place; and what oneDNN calls it, with its numbers.
_ACTIVATIONS: dict[type[nn.Module], tuple[Callable[[Any, Tensor], Tensor], str]] = {
    nn.ReLU: (lambda act, y: F.relu(y, inplace=True), "relu"),
    nn.ReLU6: (lambda act, y: F.relu6(y, inplace=True), "hardtanh"),
    nn.LeakyReLU: (lambda act, y: F.leaky_relu(y, act.negative_slope, inplace=True), "leaky_relu"),
    nn.SiLU: (lambda act, y: F.silu(y, inplace=True), "swish"),
    nn.Hardswish: (lambda act, y: F.hardswish(y, inplace=True), "hardswish"),
}


@dataclasses.dataclass(slots=True)
class Chain:
    """Modules that run one after the other, each fed by nothing but the one before it.

    Attributes:
        inner: names of what returns an output that is not made when they run as one.
    """

    inner: frozenset[str]
    pad: nn.ZeroPad2d | None
    conv: nn.Conv2d
    norm: nn.BatchNorm2d | None
    act: nn.Module | None

    def slots(self) -> Iterator[Slot]:
        """The weights that `swaps` depends on."""
        yield from ((self.conv._parameters, name) for name in ("weight", "bias"))
        if self.norm is not None:
            yield from ((self.norm._parameters, name) for name in ("weight", "bias"))
            yield from ((self.norm._buffers, name) for name in ("running_mean", "running_var"))

    def swaps(self) -> Iterator[Swap]:
        """A ``forward`` for each module, for the weights as they are now."""
        yield vars(self.conv), self._whole()
        yield from ((vars(m), _same) for m in (self.pad, self.norm, self.act) if m is not None)

    def _whole(self) -> Forward:
        conv, act = self.conv, self.act
        weight, bias = conv.weight.detach(), None if conv.bias is None else conv.bias.detach()
        if (norm := self.norm) is not None:
            known: Any = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
            folded = fuse_conv_bn_weights(weight, bias, *known)
            weight, bias = (p.detach() for p in folded)
        padding: Any = conv.padding
        if self.pad is not None:
            weight, padding = _padding(weight, self.pad.padding)
        how: Any = (conv.stride, padding, conv.dilation)
        convolve: Any = F.conv2d
        finish = None if act is None else partial(_ACTIVATIONS[type(act)][0], act)

        def forward(x: Tensor) -> Tensor:
            y: Tensor = convolve(x, weight, bias, *how, conv.groups)
            return y if finish is None else finish(y)

        if _PACKS and weight.device.type == "cpu" and weight.dtype == torch.float32:
            return _packed(weight, bias, how, conv.groups, act, forward)
        return forward


# oneDNN lays weights in blocks; where they were not, it does so anew at every call.
_PACKS = bool(torch.backends.mkldnn.is_available()) and all(  # type: ignore[no-untyped-call]
    hasattr(where, name)
    for where, name in (
        (torch._C._nn, "mkldnn_reorder_conv2d_weight"),
        (torch.ops.mkldnn, "_convolution_pointwise"),
    )
)


def _packed(
    weight: Tensor, bias: Tensor | None, how: Any, groups: int, act: Any, otherwise: Forward
) -> Forward:
    """On a CPU: weights in blocks, the activation on the way out.

    Its maps are always (N, H, W, C) in memory: ``otherwise`` makes those that are not to be.
    """
    stride, padding, dilation = how
    name = "none" if act is None else _ACTIVATIONS[type(act)][1]
    numbers = {"hardtanh": [0.0, 6.0], "leaky_relu": [getattr(act, "negative_slope", 0.0)]}
    scalars, packed = numbers.get(name, []), None
    last = torch.channels_last
    always = weight.is_contiguous(memory_format=last) and not weight.is_contiguous()

    def forward(x: Tensor) -> Tensor:
        nonlocal packed
        if not (always or x.is_contiguous(memory_format=last)):
            return otherwise(x)
        if packed is None:  # in the blocks that suit the first picture
            blocked: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            packed = blocked(weight.to_mkldnn(), padding, stride, dilation, groups, list(x.shape))
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, packed, bias, padding, stride, dilation, groups, name, scalars, ""
        )
        return y

    return forward


@dataclasses.dataclass(slots=True)
class Halving:
    """A maximum over 2 x 2 or 3 x 3 cells that halves a map. torch notes the place of each; here
    it is found without, along one axis and then the other."""

    pool: nn.MaxPool2d
    inner: frozenset[str] = frozenset()

    def slots(self) -> Iterator[Slot]:
        """None: a maximum has no weights."""
        yield from ()

    def swaps(self) -> Iterator[Swap]:
        """As those of a chain."""
        yield vars(self.pool), self._forward

    def _forward(self, x: Tensor) -> Tensor:
        pool = self.pool
        if x.device.type != "cpu" or not x.is_contiguous(memory_format=torch.channels_last):
            pooled: Tensor = nn.MaxPool2d.forward(pool, x)
            return pooled
        overlap = _each(pool.kernel_size) == (3, 3)
        rows = _halved(x, 2, overlap=overlap, ceil=pool.ceil_mode)
        return _halved(rows, 3, overlap=overlap, ceil=pool.ceil_mode)


def _halved(x: Tensor, axis: int, *, overlap: bool, ceil: bool) -> Tensor:
    """The maximum of cells 2i and 2i + 1 along an axis, with ``overlap`` of cell 2i - 1 too."""
    every = [slice(None)] * 4

    def part(values: Tensor, *bounds: int | None) -> Tensor:
        return values[(*every[:axis], slice(*bounds))]

    even, odd = part(x, None, None, 2), part(x, 1, None, 2)
    pairs = odd.shape[axis]
    if even.shape[axis] == pairs or not (overlap or ceil):
        y = torch.maximum(part(even, pairs), odd)
    else:  # the last cell has no partner
        y = even.clone()
        torch.maximum(part(y, pairs), odd, out=part(y, pairs))
    if overlap:
        later = part(y, 1, None)
        torch.maximum(later, part(odd, later.shape[axis]), out=later)
    return y


class Fusing:
    """The chains of one network, and which of them run as one at the moment."""

    def __init__(self, network: nn.Module) -> None:
        self.chains: tuple[Chain | Halving, ...] | None = None  # none known yet
        self._network = network
        self._slots: tuple[Slot, ...] = ()
        self._stamp: list[int] | None = None  # of the weights that these are made of:
        self._made: list[tuple[frozenset[str], tuple[Swap, ...]]] = []
        self._watched: frozenset[str] | None = None
        self._unwatched: list[Swap] = []  # those of what nobody watches inside
        self._in: list[Swap] = []

    def forget(self) -> None:
        """The network has other modules than before."""
        self.end()
        self.chains, self._slots, self._stamp = None, (), None

    def learn(self, run: Callable[[], object]) -> None:
        """Find the chains by watching ``run``, in which the network runs as it is."""
        self.forget()
        pools = [Halving(m) for m in self._network.modules() if _halves(m)]  # type: ignore[arg-type]
        self.chains = (*chains_of(self._network, run), *pools)
        self._slots = tuple(slot for chain in self.chains for slot in chain.slots())

    def begin(self, watched: Iterable[str]) -> None:
        """From now on run as one what has nobody watching inside."""
        self.end()
        names = frozenset(watched)
        # Every frame comes by here, and each of its weights is looked at: nothing slower will do.
        weights = [t for where, name in self._slots if (t := where[name]) is not None]
        stamp = [*[t.data_ptr() for t in weights], *[t._version for t in weights]]
        if stamp != self._stamp:
            self._stamp, self._watched = stamp, None
            self._made = [(chain.inner, tuple(chain.swaps())) for chain in self.chains or ()]
        if names != self._watched:
            self._watched = names
            free = (swaps for inner, swaps in self._made if inner.isdisjoint(names))
            self._unwatched = [swap for swaps in free for swap in swaps]
        self._in = self._unwatched
        for attributes, forward in self._in:
            attributes["forward"] = forward

    def end(self) -> None:
        """Every module runs by itself again."""
        for attributes, _ in self._in:
            attributes.pop("forward", None)
        self._in = []


def chains_of(network: nn.Module, run: Callable[[], object]) -> Iterator[Chain]:
    """What can run as one: seen in ``run``, for no trace gets through every network's code."""
    follower = Follower(network, (nn.Conv2d, nn.ZeroPad2d, nn.BatchNorm2d))
    with follower:
        run()
    after, names = dict(follower.edges()), follower.names
    before = {second: first for first, second in after.items()}
    modules = dict(network.named_modules())

    def joined(chain: list[str], fits: Callable[[nn.Module], bool]) -> nn.Module | None:
        """The module after the chain, as its new end, if it fits."""
        name = after.get(chain[-1])
        if name is None or not fits(modules[name]):
            return None
        chain.append(name)
        found: nn.Module = modules[name]
        return found

    for name, conv in modules.items():
        if type(conv) is not nn.Conv2d or not _is_plain(conv):
            continue
        first = before.get(name, "")
        pad: Any = modules[first] if _folds(modules[first], conv) else None
        chain = [name] if pad is None else [first, name]
        norm: Any = joined(chain, _is_norm)
        act = joined(chain, lambda module: type(module) in _ACTIVATIONS)
        if len(chain) > 1 or (_PACKS and name in names):
            inner = frozenset(n for each in chain[:-1] for n in names[each])
            yield Chain(inner, pad, conv, norm, act)


def _is_plain(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _is_norm(module: nn.Module) -> bool:
    return type(module) is nn.BatchNorm2d and module.running_mean is not None


def _folds(pad: nn.Module, conv: nn.Conv2d) -> bool:
    """Whether the zeros that ``pad`` lays around could be laid by the convolution."""
    plain = conv.padding == (0, 0) and conv.dilation == (1, 1)
    return plain and isinstance(pad, nn.ZeroPad2d) and min(pad.padding) >= 0


def _padding(weight: Tensor, sides: tuple[int, int, int, int]) -> tuple[Tensor, tuple[int, int]]:
    """A kernel and the zeros on both sides that do as ``sides`` (left, right, top, bottom) do.

    Where more are wanted on one side, the kernel has zeros of its own on the other.
    """
    left, right, top, bottom = sides
    more = max(right - left, 0), max(left - right, 0), max(bottom - top, 0), max(top - bottom, 0)
    layout = torch.channels_last if weight.stride(1) == 1 else torch.contiguous_format
    padded = F.pad(weight, more).contiguous(memory_format=layout) if any(more) else weight
    return padded, (max(top, bottom), max(left, right))


def _halves(module: nn.Module) -> bool:
    if type(module) is not nn.MaxPool2d or module.return_indices or "forward" in vars(module):
        return False
    shape = tuple(map(_each, (module.kernel_size, module.padding)))
    steps = tuple(map(_each, (module.stride, module.dilation)))
    if shape[0] == (3, 3) and module.ceil_mode:  # has a window more where a side is even
        return False
    return steps == ((2, 2), (1, 1)) and shape in (((2, 2), (0, 0)), ((3, 3), (1, 1)))


def _each(sides: Any) -> tuple[int, int]:
    return sides if isinstance(sides, tuple) else (sides, sides)


def _same(x: Tensor) -> Tensor:
    return x
