"""What excited a unit most: collected for all units of a layer while pictures go through."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from explorer.core.capture import first_tensor
from explorer.core.geometry import Place
from explorer.core.instruments import Bench, Instrument, Taken
from explorer.core.layers import Layer
from explorer.core.media import MediaError, read_folder, read_image
from explorer.core.studies.exciting import Exciting, ExcitingError, strongest
from explorer.core.studies.tracing import module_of
from explorer.engine import placed
from explorer.inputs import ImageInput
from explorer.instruments.explained import CLICK, layer_of
from explorer.instruments.map_layers import picture_of
from explorer.kinds import Affine, Artefact, Image, Text
from explorer.params import knob

LAYERS = 3  # whose crops are kept; the oldest goes
SAVE_EVERY = 30.0  # s


@dataclass(frozen=True, slots=True)
class ExcitingParams:
    """Knobs of the collection."""

    layer: str = knob("", effect="again", help="layer of the unit; follows the window")
    unit: int = knob(0, low=0, effect="again", help="which unit; follows the window")
    collect: bool = knob(True, effect="again", help="look at every frame that goes through")
    folder: str = knob("", effect="again", help="Run looks at every picture of this folder, too")
    file: str = knob(
        "", effect="again", help="NPZ file to go on from and to keep the crops in; empty: none"
    )


class WhatExcites(Instrument[ExcitingParams]):
    """One maximum a unit and frame, on the device; crops only of what is a record."""

    name = "exciting"
    Params: ClassVar[type[Any]] = ExcitingParams

    def __init__(self) -> None:
        self.kept: dict[str, Exciting] = {}
        self._places: dict[str, Place] = {}
        self._saved = time.monotonic()

    def points(self, params: ExcitingParams, layers: Sequence[Layer]) -> tuple[str, ...]:
        """The unit's layer."""
        layer = layer_of(params.layer, layers)
        return (layer,) if layer else ()

    def look(self, taken: Taken, params: ExcitingParams) -> Iterator[Artefact]:
        """Take what is a record in this frame; show the unit's best."""
        layer = layer_of(params.layer, taken.layers)
        tensor, photo = taken.tensors.get(layer), picture_of(taken.inputs)
        if tensor is None:
            if any(la.called for la in taken.layers):
                yield Text("exciting/crops", CLICK)
            return
        self._places |= taken.places
        kept = self._of(layer, tensor, params)
        if params.collect and photo is not None:
            best, cells = strongest(tensor)
            name = photo.name or "picture"
            kept.add(best, cells, photo.pixels, taken.places.get(layer), name, photo.frame)
            if params.file and time.monotonic() - self._saved > SAVE_EVERY:
                self._save(kept, params)
        yield _shown(kept, params.unit)

    def study(self, bench: Bench, params: ExcitingParams) -> Generator[Artefact, Any, None]:
        """Every picture of the folder through the engine; then the file is written."""
        layer = layer_of(params.layer, bench.layers)
        kept = self.kept.get(layer)
        if kept is None:
            yield Text("exciting/crops", "Run the network once on a picture first.")
            return
        if params.folder:
            yield from self._folder(bench, kept, params)
        else:
            yield _shown(kept, params.unit, step=kept.seen)
        if params.file:
            self._save(kept, params)

    def _folder(
        self, bench: Bench, kept: Exciting, params: ExcitingParams
    ) -> Generator[Artefact, Any, None]:
        slot = next((s for s, v in bench.inputs.items() if isinstance(v, ImageInput)), None)
        if slot is None:
            raise ExcitingError("this engine takes no picture; a folder has nothing for it")
        own, folder = bench.inputs, read_folder(params.folder)
        damaged = len(folder.skipped)
        place = _from_input(bench, kept.point, self._places.get(kept.point))
        try:
            for path in folder.files:
                try:
                    photo = read_image(path)
                except MediaError:
                    damaged += 1  # told beside the crops; the walk through the folder goes on
                    continue
                bench.inputs = {**own, slot: photo}
                seen = _watched_pass(bench, kept.point)
                if seen is None:
                    continue
                tensor, root = seen
                lies = place.under(root) if place is not None and root is not None else None
                best, cells = strongest(tensor)
                kept.add(best, cells, photo.pixels, lies, photo.name, 0)
                yield _shown(kept, params.unit, step=kept.seen, damaged=damaged)
            yield _shown(kept, params.unit, step=kept.seen, damaged=damaged)
        finally:
            bench.inputs = own

    def _of(self, layer: str, tensor: Tensor, params: ExcitingParams) -> Exciting:
        """The collection of a layer: what is here, what the file has, or an empty one."""
        units = len(strongest(tensor)[0])
        kept = self.kept.pop(layer, None)
        if kept is None or len(kept.values) != units:
            path = Path(params.file).expanduser().with_suffix(".npz") if params.file else None
            kept = Exciting.load(path) if path is not None and path.exists() else None
            if kept is not None and (kept.point, len(kept.values)) != (layer, units):
                kept = None  # of another layer: replaced when this one is saved
            kept = kept or Exciting(layer, units)
        self.kept[layer] = kept
        while len(self.kept) > LAYERS:
            del self.kept[next(iter(self.kept))]
        return kept

    def _save(self, kept: Exciting, params: ExcitingParams) -> None:
        kept.save(Path(params.file).expanduser())
        self._saved = time.monotonic()


def _shown(kept: Exciting, unit: int, step: int = 0, damaged: int = 0) -> Artefact:
    if unit >= len(kept.values):
        words = f"{kept.point} has units 0 to {len(kept.values) - 1}; there is no unit {unit}."
        return Text("exciting/crops", words, step=step)
    best = kept.of(unit)
    lost = f"; {damaged} file{'s' * (damaged > 1)} of the folder left out" if damaged else ""
    if not len(best.values):
        return Text("exciting/crops", f"No picture has been looked at yet{lost}.", step=step)
    labels = [f"{v:.3g} · {name}" for v, name in zip(best.values, best.names, strict=True)]
    note = f"{kept.point} unit {unit}, best of {kept.seen} pictures and frames{lost}"
    return Image("exciting/crops", best.crops, labels=labels, note=note, step=step)


def _from_input(bench: Bench, point: str, place: Place | None) -> Place | None:
    """Where cells lie in pixels of the network's input, of where they lie in the picture."""
    seen = _watched_pass(bench, point) if place is not None else None
    if place is None or seen is None or seen[1] is None:
        return None
    root, a, field = seen[1], place.affine, place.receptive
    inner = Affine(
        a.sx / root.sx, a.sy / root.sy, (a.tx - root.tx) / root.sx, (a.ty - root.ty) / root.sy,
        a.approximate,
    )  # fmt: skip
    return Place(inner, None if field is None else (field[0] / root.sx, field[1] / root.sy))


@torch.no_grad()
def _watched_pass(bench: Bench, point: str) -> tuple[Tensor, Affine | None] | None:
    """One pass: the layer's last output (first sample), and where the network's input lies."""
    seen: list[Tensor] = []
    roots: list[Affine] = []

    def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
        affine = placed(args[0]) if args and isinstance(args[0], Tensor) else None
        if affine is not None:
            roots.append(affine)

    def leave(module: nn.Module, args: Any, out: Any) -> None:
        x = first_tensor(out)
        if x is not None:
            seen[:] = [x.detach()[:1].clone()]

    handles = [m.register_forward_pre_hook(enter) for m in bench.network.modules()]
    handles.append(module_of(bench.network, point).register_forward_hook(leave))
    try:
        deque(bench.engine_pass(), maxlen=0)
    finally:
        for handle in handles:
            handle.remove()
    return (seen[0], roots[-1] if roots else None) if seen else None
