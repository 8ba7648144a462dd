"""Hooks for one run: cancel, edit, read and count; always removed, whichever way the run ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from explorer.core.fusing import Fusing
from explorer.core.geometry import Geometry, Place
from explorer.core.reduction import as_maps, reduce, strided
from explorer.core.surgery import Surgery
from explorer.engine import Cancelled, placed
from explorer.kinds import Affine
from explorer.params import unknown
from explorer.views import Edit, Handle, LayerStatistics, Rendered, View

# Leaves that take no time to speak of beside what feeds them.
_QUICK = (
    nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout2d, nn.BatchNorm1d, nn.BatchNorm2d,
    nn.BatchNorm3d, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.SiLU, nn.Sigmoid, nn.Tanh,
)  # fmt: skip


# Where the hooks before one leaf are, and the key of ours: to register and remove each anew took
# longer, frame after frame, than a picture of what was captured.
_Stop = tuple[MutableMapping[int, Any], int]


class UnknownPoint(LookupError):
    """No module of that name; the message names the near ones."""


@dataclass(slots=True)
class Kept:
    """A captured sample: ``tensor`` is our own copy, whatever is written in place afterwards."""

    tensor: Tensor
    shape: tuple[int, ...]
    dtype: str
    root: Affine
    calls: int
    fresh: bool = True


@dataclass(slots=True)
class Seen:
    """What a sweep noted of one module: the sample stays on the device until it is asked for."""

    shape: tuple[int, ...]
    sample: Tensor | None
    calls: int = 1


@dataclass(slots=True)
class _Point:
    """One captured module during one pass."""

    name: str
    views: tuple[View, ...]
    edits: tuple[Edit, ...]
    kept: bool = False
    calls: int = 0
    ever: bool = False


class Capture:
    """The hooks of one network. Buffers are kept from run to run: a frame allocates nothing.

    ``entered`` is called when a picture enters the network.
    """

    def __init__(
        self,
        network: nn.Module,
        cancelled: Callable[[], bool],
        entered: Callable[[], object] = lambda: None,
    ) -> None:
        self.network = network
        self.seconds = 0.0
        self.sweep_seconds = 0.0  # what the last sweep took
        self.seen: dict[str, Seen] = {}
        self._cancelled = cancelled
        self._tell_entered = entered
        self._kept: dict[tuple[str, int, int], Kept] = {}
        self._means: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []
        self._points: dict[str, _Point] = {}
        self._wanted: tuple[tuple[View, ...], tuple[Edit, ...], tuple[str, ...], bool]
        self._wanted = ((), (), (), False)
        self._geometry = Geometry()
        self._places: dict[str, Place] = {}
        self._root = Affine(approximate=True)
        self._sweep_handles: list[RemovableHandle] = []
        self.surgery = Surgery()
        self.fusing = Fusing(network)
        self.channels_last: Callable[[str], bool] = lambda name: False  # maps are (N, H, W, C)
        self._follow = True  # in this sweep, note where the cells of each map lie
        self._entered: list[tuple[int, ...]] = []
        self._followed: list[tuple[int, ...]] = []
        self.modules: list[tuple[str, nn.Module]] = []
        self._leaves: set[str] = set()
        self._stops: list[_Stop] = []
        self._armed: list[_Stop] = []  # those of `_stops` that are in
        self._look_around()

    def _look_around(self) -> bool:
        """Note the modules, as walking through all takes longer than hooking them; are they new?

        A cancel need not look into those that take next to no time.
        """
        modules = list(self.network.named_modules())
        if modules == self.modules:
            return False
        self.modules = modules
        self.fusing.forget()
        leaves = [(name, m) for name, m in modules if not _has_children(m)]
        self._leaves = {name for name, _ in leaves}
        stops = [m for i, (_, m) in enumerate(leaves) if i == 0 or not isinstance(m, _QUICK)]
        self._stops = [(m._forward_pre_hooks, _key(m)) for m in stops]
        return True

    def check(self, names: Sequence[str]) -> None:
        """Raise UnknownPoint for a name that is no module."""
        known = dict(self.network.named_modules())
        for name in names:
            if name not in known:
                raise UnknownPoint(unknown("layer", name, list(known)))

    def install(
        self,
        views: Sequence[View],
        edits: Sequence[Edit],
        keep: Sequence[str] = (),
        *,
        forget: bool = True,
        fuse: bool = False,
    ) -> None:
        """Hook the network for these views and edits; a call with the same ones costs nothing.

        Of ``keep`` the last output is kept without a picture being made, for `taken`. What was
        captured of other points is forgotten, unless ``forget`` is off. With ``fuse`` what nobody
        looks into runs as one, as far as its chains are known.
        """
        edits = tuple(e for e in edits if e.on)
        fuse = fuse and not (edits or self.sweeping or torch.is_grad_enabled())
        wanted = (tuple(views), edits, tuple(keep), fuse)
        if self._armed and wanted == self._wanted:
            return
        self._release()
        self._wanted, self._armed, enter = wanted, self._stops, self._enter
        for hooks, key in self._armed:
            hooks[key] = enter
        if len(self.modules) == 1:  # no module inside: only the graph tells where its backward is
            self._handles.append(self.network.register_forward_hook(self._guard))
        names = dict.fromkeys([*(e.point for e in wanted[1]), *(v.point for v in wanted[0]), *keep])
        for name in names:
            module = _module(self.network, name)
            if module is None:
                continue
            point = _Point(
                name,
                tuple(v for v in wanted[0] if v.point == name),
                tuple(e for e in wanted[1] if e.point == name),
                name in keep,
            )
            self._points[name] = point
            hook = module.register_forward_hook(self._reader(point), prepend=False)
            self._handles.append(hook)
        if fuse:
            self.fusing.begin(names)
        keys = {(v.point, v.call, v.sample) for v in wanted[0]} | {(p, -1, 0) for p in keep}
        if forget:
            self._kept = {key: kept for key, kept in self._kept.items() if key in keys}

    @property
    def sweeping(self) -> bool:
        """Whether a sweep is under way."""
        return bool(self._sweep_handles)

    def sweep(self, *, on: bool) -> None:
        """Note shapes, places and a sample's statistics of every module in the next pass."""
        begun = time.perf_counter()
        for handle in self._sweep_handles:
            handle.remove()
        self._sweep_handles = []
        if not on:
            if self._follow:
                self._followed = self._entered
            self.sweep_seconds += time.perf_counter() - begun
            return
        self.seen = {}
        self.fusing.end()
        # An engine may have put another module in place of one.
        self._follow = self._look_around() or not self._places
        if self._follow:
            self._places = {}
        self._entered = []
        for name, module in self.modules:
            hook = module.register_forward_hook(self._sweeper(name, leaf=name in self._leaves))
            self._sweep_handles.append(hook)
        self.sweep_seconds = time.perf_counter() - begun

    def remove(self) -> None:
        """Take away every hook."""
        self._release()
        for handle in self._sweep_handles:
            handle.remove()
        self._sweep_handles = []

    def _release(self) -> None:
        self.fusing.end()
        for handle in self._handles:
            handle.remove()
        for hooks, key in self._armed:
            hooks.pop(key, None)
        self._handles, self._armed, self._points = [], [], {}

    def clear(self) -> None:
        """Forget the captured tensors."""
        self._kept.clear()
        self._means.clear()

    def start_pass(self) -> None:
        """Before a resumption of the engine: count the calls of this step alone."""
        for point in self._points.values():
            point.calls = 0
        self.seconds = 0.0

    def rendered(self, run: int, frame: int, edits: Sequence[Edit]) -> tuple[Rendered, ...]:
        """A picture for each view whose point ran since the last call."""
        begun = time.perf_counter()
        edited = {e.point for e in edits if e.on}
        pictures = tuple(self._render(v, run, frame, v.point in edited) for v in self._due())
        for kept in self._kept.values():
            kept.fresh = False
        self.seconds += time.perf_counter() - begun
        return pictures

    def redraw(
        self, views: Sequence[View], run: int, frame: int, edits: Sequence[Edit]
    ) -> tuple[Rendered, ...]:
        """Pictures for those of the views whose values are still here."""
        edited = {e.point for e in edits if e.on}
        here = [v for v in views if (v.point, v.call, v.sample) in self._kept]
        return tuple(self._render(v, run, frame, v.point in edited) for v in here)

    def statistics(self) -> tuple[LayerStatistics, ...]:
        """The rows of the last sweep, in one transfer from the device."""
        named = [(name, s, s.sample) for name, s in self.seen.items() if s.sample is not None]
        if not named:
            return ()
        lengths = [len(sample) for _, _, sample in named]
        flat = torch.cat([sample for _, _, sample in named]).cpu().numpy()
        # One pass over all samples: eight small operations a layer took longer than its capture.
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        size = np.abs(flat)
        with np.errstate(invalid="ignore"):  # infinities of both signs have no mean
            sums = [np.add.reduceat(v, starts, dtype=np.float64) for v in (flat, flat == 0, size)]
        means = np.stack(sums, 1) / np.array(lengths)[:, None]
        table = np.column_stack([means, np.maximum.reduceat(size, starts)]).tolist()
        return tuple(
            LayerStatistics(
                name, s.shape, mean, zeros, finite=magnitude - magnitude == 0.0,
                activity=magnitude / peak if peak > 0 else 0.0, calls=s.calls,
            )
            for (name, s, _), (mean, zeros, magnitude, peak) in zip(named, table, strict=True)
        )  # fmt: skip

    def tensor(self, handle: Handle) -> Kept | None:
        """The captured sample that a handle names, if it is still there."""
        return self._kept.get((handle.point, handle.call, handle.sample))

    def taken(self, points: Sequence[str]) -> tuple[dict[str, Tensor], dict[str, Place]]:
        """What is kept of these points, with a leading 1, and where their cells lie."""
        kept = {p: self._kept[(p, -1, 0)] for p in points if (p, -1, 0) in self._kept}
        places = {p: self._places[p].under(k.root) for p, k in kept.items() if p in self._places}
        return {p: k.tensor.unsqueeze(0) for p, k in kept.items()}, places

    def edit_notes(self) -> tuple[str, ...]:
        """Edits that change nothing, or make values that are not finite, in words."""
        return self.surgery.notes() + tuple(
            f"{edit.text()} changes nothing: {point.name} was not called"
            for point in self._points.values()
            for edit in point.edits
            if not point.ever
        )

    def uncalled(self) -> tuple[str, ...]:
        """Captured points whose module has not run since they were hooked."""
        return tuple(p.name for p in self._points.values() if p.views and not p.ever)

    def _due(self) -> Iterator[View]:
        for view in self._wanted[0]:
            kept = self._kept.get((view.point, view.call, view.sample))
            if kept is not None and kept.fresh:
                yield view

    def _render(self, view: View, run: int, frame: int, edited: bool) -> Rendered:
        kept = self._kept[(view.point, view.call, view.sample)]
        maps, unit = as_maps(kept.tensor.unsqueeze(0))
        mosaic = reduce(maps, view, self._means.get(view.point))
        self._means[view.point] = torch.from_numpy(mosaic.statistics.unit_mean)
        place = self._places.get(view.point)
        place = place.under(kept.root) if place else None
        return Rendered(
            view=view,
            index=mosaic.index.cpu().numpy(),
            limits=mosaic.limits.float().numpy(),
            order=mosaic.order.numpy(),
            tile=mosaic.tile,
            columns=mosaic.columns,
            gap=mosaic.gap,
            reduced=mosaic.reduced,
            shape=kept.shape,
            dtype=kept.dtype,
            kind=type(self.network.get_submodule(view.point)).__name__,
            statistics=mosaic.statistics,
            handle=Handle(view.point, view.call, view.sample, run, frame),
            affine=place.affine if place else None,
            receptive=place.receptive if place else None,
            map_size=(int(maps.shape[1]), int(maps.shape[2])),
            unit=unit,
            calls=kept.calls,
            edited=edited,
        )

    def _reader(self, point: _Point) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, out: Any) -> Any:
            begun = time.perf_counter()
            x, changed = first_tensor(out), out
            turned = x is not None and x.ndim == 4 and self.channels_last(point.name)
            if point.edits and x is not None:
                changed = self.surgery.edited(out, x, point.edits, channels_last=turned)
                x = first_tensor(changed)
            if x is not None:
                x = x.permute(0, 3, 1, 2) if turned else x
                for view in point.views:
                    if view.call in (-1, point.calls):
                        self._keep((view.point, view.call, view.sample), x, point.calls + 1)
                if point.kept:
                    self._keep((point.name, -1, 0), x, point.calls + 1)
            point.calls += 1
            point.ever = True
            self.seconds += time.perf_counter() - begun
            return changed if point.edits else None

        return hook

    def _keep(self, key: tuple[str, int, int], x: Tensor, calls: int) -> None:
        """Copy one sample into our own buffer: a later in-place ReLU must not rewrite it."""
        x = _meant(x.detach())
        one = x[min(key[2], len(x) - 1)] if x.ndim > 1 else x.reshape(-1)
        old = self._kept.get(key)
        fits = old is not None and old.tensor.shape == one.shape and old.tensor.dtype == one.dtype
        if old is not None and fits and old.tensor.device == one.device:
            copy = old.tensor.copy_(one)
        else:
            copy = one.clone(memory_format=torch.contiguous_format)
        dtype = str(x.dtype).removeprefix("torch.")
        self._kept[key] = Kept(copy, tuple(x.shape), dtype, self._root, calls)

    def _sweeper(self, name: str, *, leaf: bool) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            begun = time.perf_counter()
            x = first_tensor(out)
            if x is None:
                return
            before = self.seen.get(name)
            sample = _sample(x) if leaf and x.numel() else None
            self.seen[name] = Seen(tuple(x.shape), sample, before.calls + 1 if before else 1)
            if self._follow:
                if leaf:
                    self._geometry.leave(module, args[0] if args else None, x)
                place = self._geometry.of(x)
                if place is not None:
                    self._places[name] = place
            self.sweep_seconds += time.perf_counter() - begun

        return hook

    def _enter(self, module: nn.Module, args: Any) -> None:
        """Before a leaf: stop here if asked to, in the backward pass too, and note where the
        picture enters the network."""
        if self._cancelled():
            raise Cancelled
        x = args[0] if args else None
        if not isinstance(x, Tensor):
            return
        # Not on leaves of the graph: an optimised canvas outlives the run, and so would the hooks.
        if x.requires_grad and not x.is_leaf:
            x.register_hook(self._stop_gradient)  # type: ignore[no-untyped-call]
        affine = placed(x)
        if affine is not None:
            self._root = affine
            self._tell_entered()
            if self._sweep_handles:
                self._enter_sweep(x)

    def _enter_sweep(self, x: Tensor) -> None:
        """A picture enters the network: of the size it had before, all maps lie where they did."""
        size, entry = tuple(x.shape), len(self._entered)
        self._entered.append(size)
        if entry >= len(self._followed) or self._followed[entry] != size:
            self._follow = True
        if self._follow:
            self._geometry.enter(x)

    def _guard(self, module: nn.Module, args: Any, out: Any) -> None:
        """Let a cancel act at every operation of the backward pass of a single module."""
        x = first_tensor(out)
        left = [x.grad_fn] if x is not None else []
        known = set()
        while left:
            node = left.pop()
            # A leaf's node outlives the run, as the leaf does, and so would the hook.
            if node is None or node in known or not node.next_functions:
                continue
            known.add(node)
            node.register_prehook(self._stop_gradient)
            left += [before for before, _ in node.next_functions]

    def _stop_gradient(self, gradient: object) -> None:
        if self._cancelled():
            raise Cancelled


def first_tensor(value: Any) -> Tensor | None:
    """The first tensor in a tensor, tuple, list or dict, depth first."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        for part in value:
            found = first_tensor(part)
            if found is not None:
                return found
    return None


def hook_count(network: nn.Module) -> int:
    """Hooks of every sort that are on the network's modules now."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)


def _module(network: nn.Module, name: str) -> nn.Module | None:
    try:
        return network.get_submodule(name)
    except AttributeError:  # a view of an artefact, or of another network
        return None


def _key(module: nn.Module) -> int:
    """A key that no other hook before this module has."""
    handle = module.register_forward_pre_hook(lambda module, args: None)
    handle.remove()
    return handle.id


def _has_children(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def _sample(x: Tensor) -> Tensor:
    """A strided sample as a copy (float32), on the device: an in-place ReLU may follow."""
    return strided(_meant(x.detach()), 1024).to(torch.float32, copy=True)


def _meant(x: Tensor) -> Tensor:
    """Quantised values as the numbers that they stand for."""
    return x.dequantize() if x.is_quantized else x
