"""What a panel asks of the session for one capture point (View), and what it gets (Rendered)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from explorer.editing import Edit as Edit  # beside View and Frame it is at hand here
from explorer.kinds import Affine

NOT_FINITE = 254
GAP = 255
TOP = 253  # index of the upper end of the range

Range = Literal["layer", "unit", "frozen"]
Order = Literal["index", "max", "mean", "change", "similarity"]


@dataclass(frozen=True, slots=True)
class View:
    """One picture of a layer that a panel wants, hashable.

    Attributes:
        point: dotted module name of a capture point, or ``group/item`` of a FeatureMaps artefact.
        call: which call of a module that runs several times; -1 is the last.
        sample: index into the batch.
        units: which units to draw in this order; empty draws all in ``order``.
        tile: wanted side of one tile in screen pixels; maps much larger are averaged down first.
        columns: tiles in a row; 0 chooses for a panel of ``aspect`` (width / height).
        range: one scale for the layer, one a unit, or ``frozen`` at ``limits``.
        order: of the units; ``similarity`` compares with ``selected``.
    """

    point: str
    call: int = -1
    sample: int = 0
    units: tuple[int, ...] = ()
    tile: int = 0
    columns: int = 0
    aspect: float = 1.6
    range: Range = "layer"
    limits: tuple[float, float] = (0.0, 1.0)
    order: Order = "index"
    selected: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Numbers about one tensor; ``unit_*`` are (C,). Zeros come from a strided sample.

    ``low`` and ``high`` are exact, of the finite values; ``dead`` counts constant units.
    """

    low: float
    high: float
    mean: float
    zeros: float
    not_finite: int
    dead: int
    unit_low: npt.NDArray[np.float32]
    unit_high: npt.NDArray[np.float32]
    unit_mean: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Handle:
    """Names a captured tensor in the session that made it, to read values from it later."""

    point: str
    call: int
    sample: int
    run: int
    frame: int


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """The answer to a View: one uint8 index mosaic, ready for one ImageItem with a 256-entry table.

    Attributes:
        index: (H, W) uint8; 0 to 253 span ``limits``, 254 is not finite, 255 a gap.
        limits: values at index 0 and 253; (C, 2) of them when the range is a unit's own.
        order: unit shown in each tile, row by row.
        tile: (height, width) of one tile in mosaic pixels, without the gap.
        columns: tiles a row. ``gap``: pixels between tiles.
        reduced: maps were averaged down by this factor before drawing (1: full size).
        shape: of the captured tensor, batch included.
        unit: what a tile is: "unit" (a map), "token × channel" (a matrix) or "value" (a number).
        kind: class of the module, or "artefact".
        affine: cells of the full-size map to input pixels; None for things without place.
        receptive: (width, height) of one cell's receptive field in input pixels, when known.
        calls: how often the module ran in this forward pass.
        edited: an edit applies at this point.
    """

    view: View
    index: npt.NDArray[np.uint8]
    limits: npt.NDArray[np.float32]
    order: npt.NDArray[np.int64]
    tile: tuple[int, int]
    columns: int
    gap: int
    reduced: int
    shape: tuple[int, ...]
    dtype: str
    kind: str
    statistics: Statistics
    handle: Handle
    affine: Affine | None = None
    receptive: tuple[float, float] | None = None
    map_size: tuple[int, int] = (1, 1)
    unit: str = "unit"
    calls: int = 1
    edited: bool = False
    notes: tuple[str, ...] = ()

    @property
    def signed(self) -> bool:
        """Whether the data cross zero, which asks for a diverging colour map."""
        return self.statistics.low < 0

    def nbytes(self) -> int:
        """Bytes of the picture."""
        return int(self.index.nbytes)


@dataclass(frozen=True, slots=True)
class LayerStatistics:
    """One row of live statistics in the module tree, from a strided sample.

    ``activity`` is the mean magnitude over the largest, in [0, 1].
    """

    name: str
    shape: tuple[int, ...]
    mean: float
    zeros: float
    finite: bool
    activity: float
    calls: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class LayerRow:
    """One row of the overview: a layer's small pictures and its numbers, made inside the pass.

    Attributes:
        strip: (h, w) uint8 as `Rendered.index`: maps side by side, or one vector or matrix;
            ``picture`` says which: "maps", "tokens" or "values".
        units: shown in the strip, for maps. ``limits``: values at index 0 and 253.
        counts: (B,) of a strided sample between ``low`` and ``high``, in equal bins.
        low, high, mean, spread: exact, of all finite values; ``spread`` is the standard deviation.
        dead: how many of ``channels`` were never above 0 in the frames that were looked at.
        saturated: share within a hundredth of the ends of a bounded activation; else None.
        not_finite: how many values are none.
        frames: how many were looked at; ``over``: mean and standard deviation of all their values.
        change: of the units' means against the look before, relative to their size.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    strip: npt.NDArray[np.uint8]
    picture: Literal["maps", "tokens", "values"]
    units: tuple[int, ...]
    limits: tuple[float, float]
    counts: npt.NDArray[np.int64]
    low: float
    high: float
    mean: float
    spread: float
    channels: int
    dead: int
    saturated: float | None
    not_finite: int
    frames: int
    over: tuple[float, float]
    change: float
    calls: int = 1


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """How far one layer's outputs are apart in two worlds, in the order of the first one's pass.

    Attributes:
        largest: largest absolute difference. ``relative``: norm of the difference over the norm of
            the first. ``cosine``: of the angle between both.
        parted: beyond the threshold. ``note``: why there are no numbers, or what else differs.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    largest: float
    relative: float
    cosine: float
    parted: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """All that belongs together on the screen: the artefacts and pictures of one step of one run.

    Attributes:
        run, frame, step: where in time; ``frame`` counts pictures of a clip.
        artefacts: of this step, with read-only arrays.
        rendered: one answer for each View that was asked for and captured.
        statistics: of all modules, present a few times a second.
        rows: of the overview, for the layers whose turn it was. ``differences``: of two worlds.
        milliseconds: spent in "decode", "network", "capture" (within network) for this frame.
        last: the run has ended with this one.
        notes: lines for the status bar ("layer3.0.relu was not called").
        before: the artefacts that edits in force have changed, as they would be without them.
    """

    run: int
    frame: int
    step: int
    artefacts: tuple[Any, ...] = ()
    rendered: tuple[Rendered, ...] = ()
    statistics: tuple[LayerStatistics, ...] = ()
    milliseconds: dict[str, float] = field(default_factory=dict)
    last: bool = False
    notes: tuple[str, ...] = ()
    rows: tuple[LayerRow, ...] = ()
    differences: tuple[LayerDifference, ...] = ()
    before: tuple[Any, ...] = ()

    def nbytes(self) -> int:
        """Bytes held by the arrays of this frame."""
        kept: int = sum(a.nbytes() for a in (*self.artefacts, *self.before))
        return kept + sum(r.nbytes() for r in self.rendered)


def grid_columns(count: int, width: int, height: int, aspect: float) -> int:
    """Columns that give ``count`` tiles the largest size in a panel of ``aspect``.

    ``aspect`` is the panel's width over its height. The best count is next to the real-valued
    optimum sqrt(count * aspect * height / width), so a few candidates suffice.
    """
    if count <= 1:
        return 1
    ideal = (count * aspect * height / width) ** 0.5
    low, high = max(1, int(ideal) - 1), min(count, int(ideal) + 3)

    def size(columns: int) -> float:
        rows = -(-count // columns)
        return min(aspect / (columns * width), 1.0 / (rows * height))

    return max(range(low, max(low, high) + 1), key=size)
