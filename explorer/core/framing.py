"""From what an engine yields to what belongs together on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from explorer.core.reduction import reduce
from explorer.kinds import Artefact, FeatureMaps, field_names
from explorer.views import Handle, LayerRow, Rendered, View


class Batch:
    """What belongs to one step of one frame, while it is being collected."""

    def __init__(self, run: int, frame: int, step: int = 0) -> None:
        self.run, self.frame, self.step = run, frame, step
        self.artefacts: list[Artefact] = []
        self.rendered: dict[View, Rendered] = {}
        self.milliseconds: dict[str, float] = {}
        self.rows: dict[str, LayerRow] = {}

    def ends_with(self, artefact: Artefact) -> bool:
        """Whether ``artefact`` begins a new step."""
        return bool(self.artefacts) and artefact.step != self.step

    def add(
        self, artefact: Artefact | None, rendered: tuple[Rendered, ...], spent: Mapping[str, float]
    ) -> None:
        """Take one resumption's results."""
        if artefact is not None:
            self.step = artefact.step
            self.artefacts.append(artefact)
        self.rendered |= {r.view: r for r in rendered}
        for name, value in spent.items():
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + value


def sealed(artefact: Artefact, run: int, frame: int) -> Artefact:
    """A copy with its time, whose arrays are read-only and share nothing with a tensor."""
    if not isinstance(artefact, Artefact):
        raise TypeError(
            f"an engine yielded {type(artefact).__name__}, which is no artefact; yield a kind",
        )
    own = object.__new__(type(artefact))
    for name in field_names(type(artefact)):
        value = getattr(artefact, name)
        if isinstance(value, np.ndarray):
            value = value.copy() if _shares_tensor(value) else value
            value.flags.writeable = False
        object.__setattr__(own, name, value)
    object.__setattr__(own, "run", run)
    object.__setattr__(own, "frame", frame)
    return own


def _shares_tensor(array: np.ndarray[Any, np.dtype[Any]]) -> bool:
    base: Any = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return not isinstance(base, np.ndarray)


def render_artefact(artefact: FeatureMaps, view: View) -> Rendered:
    """The picture of a FeatureMaps artefact, as of a captured layer."""
    maps = torch.from_numpy(np.array(artefact.maps))
    mosaic = reduce(maps.float(), view)
    return Rendered(
        view, mosaic.index.numpy(), mosaic.limits.float().numpy(), mosaic.order.numpy(),
        mosaic.tile, mosaic.columns, mosaic.gap, mosaic.reduced, tuple(maps.shape),
        str(artefact.maps.dtype), "artefact", mosaic.statistics,
        Handle(artefact.name, view.call, view.sample, artefact.run, artefact.frame),
        affine=artefact.affine, map_size=(int(maps.shape[1]), int(maps.shape[2])),
    )  # fmt: skip
